//! Classes 14, 15, 16, 19 and 20: others' calls, registrations and money, and requests aimed inward.

use std::collections::BTreeSet;
use std::time::Duration;

use switchboard::engine::{Command, Reply};
use switchboard::peer::Behaviour;

use super::super::companies::one_company;
use super::super::proxy::scripted_phones;
use super::super::raw::{Ask, daemon, tell};
use super::super::script::{self, from_trunk, hang_up, respond, talk};
use super::super::world::{SWITCHBOARD, World};
use super::{ASHA, DESK, Dice, OTHER_DESK, SALES, STRANGER, TRUNK, USUAL, heard, proven, still_serves, world};

fn one_phone() -> World {
    let sales = "[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n";
    let mut world = World::new(one_company(sales, &[("221", ""), ("222", "")]));
    scripted_phones(&mut world, 2);
    world
}

#[test]
fn class_14_a_call_that_rings_is_changed_by_its_own_messages_alone() {
    let mut world = one_phone();
    let mut caller = from_trunk("ringing");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(DESK, "INVITE");
    world.say(DESK, &respond(&rung, "180 Ringing", "t", "", ""));
    world.expect(TRUNK, "SIP/2.0 180");
    // CANCEL by whoever has seen the INVITE, from elsewhere.
    for from in [STRANGER, OTHER_DESK, DESK, "192.0.2.200:5060"] {
        world.say(from, &caller.clone().cancel(""));
    }
    // Finals on every branch that is nearly the right one, from the phone's own address too.
    let branch = script::branch(&rung);
    let mut dice = Dice(14);
    for n in 0..300 {
        let mut guessed = branch.clone().into_bytes();
        // What follows the 16 digits of its number is for us to know loops by.
        let at = 7 + dice.below(16);
        guessed[at] = if guessed[at] == b'0' { b'1' } else { b'0' };
        let guessed = String::from_utf8(guessed).unwrap();
        let status = ["486 Busy Here", "603 Decline", "200 OK", "404 Not Found"][n % 4];
        let forged = respond(&rung, status, "t", "Contact: <sip:x@198.51.100.250>\r\n", "").replace(&branch, &guessed);
        world.say([STRANGER, DESK][n % 2], &forged);
    }
    // And of another method, and by another name for us.
    let bye = respond(&rung, "486 Busy Here", "t", "", "").replace("1 INVITE", "1 BYE");
    world.say(STRANGER, &bye);
    world.say(STRANGER, &respond(&rung, "486 Busy Here", "t", "", "").replace(SWITCHBOARD, "203.0.113.99:5060"));
    for at in [TRUNK, DESK] {
        let lines = world.lines(at);
        assert!(
            lines.iter().all(|line| line.starts_with("SIP/2.0 403") || line.starts_with("SIP/2.0 481")),
            "{at}: {lines:?}"
        );
    }
    assert_eq!(world.busy(), ["221@acme ringing"]);
    world.say(TRUNK, &caller.cancel(""));
    world.expect(TRUNK, "SIP/2.0 487");
    let cancel = world.expect(DESK, "CANCEL");
    world.say(DESK, &respond(&cancel, "200 OK", "t", "", ""));
    world.say(DESK, &respond(&rung, "487 Request Terminated", "t", "", ""));
    world.end();
}

#[test]
fn class_14_a_call_that_talks_is_ended_by_its_ends_alone() {
    let mut world = one_phone();
    let (mut caller, callee) = talk(&mut world, "talking", DESK, "");
    for end in [&caller, &callee] {
        for from in [STRANGER, OTHER_DESK, "192.0.2.200:5060"] {
            for (local, remote) in [
                (end.local.clone(), end.remote.clone()),
                (end.remote.clone(), end.local.clone()),
                (end.local.clone(), format!("{}x", end.remote)),
                (format!("{}x", end.local), end.remote.clone()),
                (end.local.split(";tag=").next().unwrap().to_owned() + ";tag=", end.remote.clone()),
            ] {
                let mut thief = end.clone();
                thief.address = from.to_owned();
                thief.local = local;
                thief.remote = remote;
                world.say(from, &thief.request("BYE", "", ""));
                let mut cancel = thief.clone();
                cancel.branch = caller.branch.clone();
                world.say(from, &cancel.cancel(""));
            }
        }
    }
    world.pass(Duration::from_secs(40));
    world.expect_no(DESK, "BYE");
    world.expect_no(TRUNK, "BYE");
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut caller, DESK);
    world.end();
}

fn contacts(world: &mut World) -> Vec<String> {
    match world.command(Command::Registrations) {
        Reply::Registrations(all) => all.iter().map(|one| format!("{one:?}")).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn class_15_nobody_but_its_owner_removes_replaces_or_freezes_a_registration() {
    let mut world = world();
    let mut ask = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>");
    ask.call_id = "boot".to_owned();
    ask.cseq = 500;
    let challenged_at = ask.cseq;
    let (text, sent) = proven(&mut world, DESK, &ASHA, ask);
    assert_eq!(heard(&sent, DESK), Some(200));
    // Leaving and coming back, so that an older REGISTER exists that would remove everything.
    let mut leave = Ask::register("221").line("Contact: *").line("Expires: 0");
    leave.call_id = "boot".to_owned();
    leave.cseq = challenged_at + 10;
    let (leaving, sent) = proven(&mut world, DESK, &ASHA, leave);
    assert_eq!(heard(&sent, DESK), Some(200));
    let mut back = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>");
    back.call_id = "boot".to_owned();
    back.cseq = challenged_at + 20;
    let (_, sent) = proven(&mut world, DESK, &ASHA, back);
    assert_eq!(heard(&sent, DESK), Some(200));
    world.pass(Duration::from_secs(40));
    let before = contacts(&mut world);
    assert_eq!(before.len(), 2);
    for from in [STRANGER, OTHER_DESK, TRUNK, DESK] {
        // The old ones again; and without proof: everything away, another device, the highest count there is.
        let mut star = Ask::register("221").line("Contact: *").line("Expires: 0").line(USUAL);
        star.branch = format!("z9hG4bK-star-{from}");
        let mut other = Ask::register("221").line("Contact: <sip:221@198.51.100.66>;expires=7200").line(USUAL);
        other.branch = format!("z9hG4bK-other-{from}");
        let mut frozen = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>").line(USUAL);
        (frozen.call_id, frozen.cseq) = ("boot".to_owned(), 2_147_483_647);
        frozen.branch = format!("z9hG4bK-frozen-{from}");
        for text in [text.clone(), leaving.clone(), star.text(), other.text(), frozen.text()] {
            let sent = tell(&mut world, from, &text);
            assert!(matches!(heard(&sent, from), Some(401)), "{from}: {sent:?}");
        }
    }
    // With another user's password.
    let star = Ask::register("221").line("Contact: *").line("Expires: 0");
    let (_, sent) = proven(&mut world, OTHER_DESK, &super::RAVI, star);
    assert_eq!(heard(&sent, OTHER_DESK), Some(403));
    assert_eq!(contacts(&mut world), before);
    // The owner goes on where it was: no count was frozen.
    let mut refresh = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>");
    (refresh.call_id, refresh.cseq) = ("boot".to_owned(), challenged_at + 30);
    let (_, sent) = proven(&mut world, DESK, &ASHA, refresh);
    assert_eq!(heard(&sent, DESK), Some(200));
    still_serves(world);
}

#[test]
fn class_16_nobody_without_the_right_reaches_a_trunk() {
    let uris = [
        "sip:+15551234567@203.0.113.10",
        "sip:+15551234567@acme.example",
        "sip:0015551234567@203.0.113.10:5060",
        "sip:+15551234567@192.0.2.1",
        "sip:+15551234567@192.0.2.1:5060;maddr=192.0.2.1",
        "sip:+15551234567@acme.example;maddr=192.0.2.1",
        "tel:+15551234567",
        "sip:+918041234567@192.0.2.1",
        "sip:222@192.0.2.1",
    ];
    let mut world = world();
    let routes = ["", "Route: <sip:192.0.2.1;lr>", "Route: <sip:203.0.113.10;lr>, <sip:192.0.2.1:5060;lr>"];
    let mut number = 0;
    for uri in uris {
        for route in routes {
            for (from, name) in [
                (DESK, "221@acme.example"),
                (STRANGER, "221@acme.example"),
                (STRANGER, "x@192.0.2.1"),
                ("192.0.2.9:5060", "x@192.0.2.9"),
            ] {
                for method in ["INVITE", "REFER", "MESSAGE", "OPTIONS"] {
                    number += 1;
                    let mut ask = Ask::new(method, uri, name, "222@acme.example")
                        .line("Contact: <sip:221@198.51.100.1:5060>")
                        .line(USUAL);
                    ask.call_id = format!("fraud-{number}");
                    ask.branch = format!("z9hG4bK-fraud-{number}");
                    if !route.is_empty() {
                        ask = ask.line(route);
                    }
                    ask = ask.line("Refer-To: <sip:+15551234567@192.0.2.1>");
                    let mut sent = tell(&mut world, from, &ask.text());
                    let challenge = sent.iter().flat_map(super::super::raw::challenges).next();
                    if let (Some(challenge), DESK) = (challenge, from) {
                        ask.branch = format!("z9hG4bK-fraud-{number}-2");
                        ask.cseq += 1;
                        sent.extend(tell(&mut world, from, &ask.proven(&ASHA, &challenge, 1).text()));
                    }
                    let out = sent.iter().filter(|seen| seen.to.to_string() == TRUNK).count();
                    assert_eq!(out, 0, "{method} {uri} from {from} with {route:?}: {sent:?}");
                }
            }
        }
        world.pass(Duration::from_secs(60));
    }
    assert_eq!(world.trunk_mut("airtel").times_rung(), 0);
    world.seen.clear();
    still_serves(world);
}

#[test]
fn class_16_a_contact_at_our_own_trunk_rings_where_it_registered_from() {
    let mut world = World::new(one_company(SALES, &[("222", "")]));
    world.trunk("airtel", TRUNK);
    for contact in [
        "sip:+15551234567@192.0.2.1",
        "sip:+15551234567@192.0.2.1:5060;maddr=192.0.2.1",
        "sip:222@192.0.2.1?Route=%3Csip:192.0.2.1%3E",
    ] {
        let ask = Ask::register("222").line(format!("Contact: <{contact}>"));
        let mut ask = ask;
        ask.call_id = contact.to_owned().replace(['?', '<', '>', '%', ';'], "");
        let (_, sent) = proven(&mut world, OTHER_DESK, &super::RAVI, ask);
        assert_eq!(heard(&sent, OTHER_DESK), Some(200), "{contact}");
    }
    let before = world.seen.len();
    world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_secs(30));
    let invites: BTreeSet<String> = world.seen[before..]
        .iter()
        .filter(|seen| seen.from.to_string() == SWITCHBOARD && seen.bytes.starts_with(b"INVITE"))
        .map(|seen| seen.to.to_string())
        .collect();
    assert_eq!(invites, BTreeSet::from([OTHER_DESK.to_owned()]));
    world.end();
}

#[test]
fn class_19_an_answer_and_a_cancel_that_meet_at_any_moment_end_in_one_of_two_ways() {
    for micros in (0..6_000).step_by(250) {
        let sales = "[departments.sales]\nmembers = [\"222\"]\nring = \"20s\"\n";
        let mut world = World::new(one_company(sales, &[("222", "")]));
        world.trunk("airtel", TRUNK);
        world.phone("ravi", "222", "acme.example", Behaviour::answer_after(Duration::from_millis(3)));
        let call = world.call("airtel", "+918041234567", "+919811112222");
        world.pass(Duration::from_micros(micros));
        world.with_trunk("airtel", |trunk, now| trunk.cancel(now, call));
        world.pass(Duration::from_secs(1));
        let (answered, refusal) = (world.answered("airtel", call), world.refusal("airtel", call));
        match &refusal {
            None => assert!(answered, "{micros} µs: neither"),
            Some((status, _)) => assert_eq!((*status, answered), (487, false), "{micros} µs"),
        }
        // This caller hangs up at once where its CANCEL came too late; if it has not, it talks.
        let busy = world.busy();
        let talks = world.trunk_mut("airtel").is_talking(call);
        assert_eq!(busy.is_empty(), !talks, "{micros} µs: {busy:?}");
        if talks {
            world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
        }
        world.pass(Duration::from_secs(1));
        assert_eq!(world.records.len(), 1, "{micros} µs");
        // an answer that crossed a CANCEL counts as a call, also where the caller had its 487 before.
        assert!(world.records[0].answered_at.is_some() || !answered, "{micros} µs");
        world.end();
    }
}

#[test]
fn class_20_no_way_of_writing_an_inward_address_is_ever_a_destination() {
    let hosts = [
        "127.0.0.1",
        "127.0.0.1:5060",
        "127.1.2.3",
        "127.255.255.254",
        "0.0.0.0",
        "0.0.0.0:80",
        "0.1.2.3",
        "255.255.255.255",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.169.254:80",
        "224.0.0.1",
        "224.0.1.75",
        "239.255.255.250:1900",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "localhost.localdomain",
        "[::1]",
        "[::1]:5060",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[ff05::2]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "metadata.google.internal",
        "203.0.113.10",
        "203.0.113.10:5060",
        "203.0.113.10:8060",
        "acme.example",
        "127.0.0.1;maddr=127.0.0.1",
        "x;maddr=[::1]",
    ];
    assert!(hosts.len() >= 40);
    for host in hosts {
        let mut world = world();
        // As Contact of a phone, and of a caller; as Route, Via, Request-URI, Record-Route and Path.
        let mut register =
            Ask::register("222").line(format!("Contact: <sip:222@{host}>")).line(format!("Path: <sip:{host};lr>"));
        register.sent_by = host.split(';').next().unwrap().to_owned();
        register.call_id = "inward".to_owned();
        let challenged = tell(&mut world, OTHER_DESK, &register.clone().line(USUAL).text());
        if let Some(challenge) = challenged.iter().flat_map(super::super::raw::challenges).next() {
            let sent =
                tell(&mut world, OTHER_DESK, &register.line(USUAL).next().proven(&super::RAVI, &challenge, 1).text());
            assert!(sent.iter().all(|seen| seen.to.to_string() == OTHER_DESK), "{host}: {sent:?}");
        }
        let lines = format!(
            "Contact: <sip:x@{host}>\r\nRecord-Route: <sip:{host};lr>\r\nRoute: <sip:{host};lr>\r\nReply-To: <sip:x@{host}>"
        );
        for (from, uri, branch) in [
            ("192.0.2.9:5060", "sip:+918041234567@203.0.113.10".to_owned(), "a"),
            ("192.0.2.9:5060", format!("sip:+918041234567@{host}"), "b"),
            (STRANGER, format!("sip:222@{host}"), "c"),
        ] {
            let mut ask = Ask::new("INVITE", &uri, "x@192.0.2.9", "y@192.0.2.9").line(lines.as_str());
            ask.sent_by = host.split(';').next().unwrap().to_owned();
            (ask.branch, ask.call_id) = (format!("z9hG4bK-{branch}"), branch.to_owned());
            tell(&mut world, from, &ask.text());
        }
        world.settle();
        let known = ["192.0.2.9", "198.51.100.1", "198.51.100.2", "198.51.100.250", "192.0.2.1"];
        let ours = world.seen.iter().filter(|seen| seen.from.to_string() == SWITCHBOARD);
        for seen in ours {
            assert!(
                known.contains(&seen.to.ip().to_string().as_str()),
                "{host}: a datagram to {}\n{}",
                seen.to,
                seen.text()
            );
        }
        assert_eq!(daemon(&mut world).transactions, 0, "{host}");
    }
}
