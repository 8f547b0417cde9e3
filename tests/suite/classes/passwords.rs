//! Classes 9, 10, 11 and 13: guessing, replaying, weakening and wheedling digests.

use std::collections::BTreeSet;
use std::time::Duration;

use switchboard::engine::Event;

use super::super::companies::{MACHINE, acme};
use super::super::proxy::scripted_phones;
use super::super::raw::{Account, Ask, Challenge, challenges, daemon, tell};
use super::super::script::{self, respond, talk};
use super::super::world::{World, configuration};
use super::{ASHA, DESK, OTHER_DESK, SALES, STRANGER, TRUNK, USUAL, counted, heard, proven, still_serves, world};

/// One guess at 221's password; the status it got.
fn guess(world: &mut World, from: &str, challenge: &mut Option<Challenge>, number: u32, password: &str) -> Option<u16> {
    let mut ask = Ask::register("221").line("Contact: <sip:221@198.51.100.66>").line(USUAL);
    ask.call_id = format!("guess-{from}-{number}");
    ask.branch = format!("z9hG4bK-{number}");
    let account = Account { name: "221", password };
    let ask = match challenge.take() {
        Some(challenge) => ask.proven(&account, &challenge, 1),
        None => ask,
    };
    let sent = tell(world, from, &ask.text());
    *challenge = sent.iter().flat_map(challenges).next();
    world.seen.clear();
    heard(&sent, from)
}

#[test]
fn class_09_guessing_is_slowed_down_and_locks_nobody_out() {
    let mut world = world();
    let mut challenge = None;
    for number in 0..20_000 {
        assert_eq!(guess(&mut world, STRANGER, &mut challenge, number, "a guess"), Some(401));
        world.pass(Duration::from_millis(50));
    }
    let looked_at = counted(&mut world, "wrong-credentials");
    assert!(looked_at < 40, "{looked_at} of 20,000 guesses in 1,000 s were looked at");
    assert!(counted(&mut world, "guesses-not-checked") > 19_000);
    let told = world.events.iter().filter(|event| matches!(event, Event::PhoneRefused { .. })).count();
    assert!((10..=18).contains(&told), "{told} lines in the log for 1,000 s: one a minute");

    // Even with the right word the guesser hears nothing new while it has to wait.
    let silent = guess(&mut world, STRANGER, &mut challenge, 20_001, "secret-221");
    assert_eq!(silent, Some(401));
    // The owner, elsewhere and for the first time there.
    let ask = Ask::register("221").line("Contact: <sip:221@198.51.100.201:5060>");
    let (_, sent) = proven(&mut world, "198.51.100.201:5060", &ASHA, ask);
    assert_eq!(heard(&sent, "198.51.100.201:5060"), Some(200));
    // The owner's phone that is registered.
    let mut ask = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>");
    ask.call_id = "of-the-desk".to_owned();
    let (_, sent) = proven(&mut world, DESK, &ASHA, ask);
    assert_eq!(heard(&sent, DESK), Some(200));
    // The owner where the guesses came from, a minute after they ended.
    world.pass(Duration::from_secs(64));
    let mut ask = Ask::register("221").line("Contact: <sip:221@198.51.100.250:5060>");
    ask.call_id = "of-the-owner".to_owned();
    let (_, sent) = proven(&mut world, STRANGER, &ASHA, ask);
    assert_eq!(heard(&sent, STRANGER), Some(200));
    still_serves(world);
}

#[test]
fn class_09_a_registered_phone_is_never_made_to_wait_by_its_neighbours() {
    let mut world = world();
    // Whoever sits behind the same address as 221's phone.
    let mut challenge = None;
    for number in 0..200 {
        guess(&mut world, "198.51.100.1:40000", &mut challenge, number, "a guess");
    }
    assert!(counted(&mut world, "guesses-not-checked") > 100);
    let mut ask = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>");
    ask.call_id = "refresh".to_owned();
    let (_, sent) = proven(&mut world, DESK, &ASHA, ask);
    assert_eq!(heard(&sent, DESK), Some(200));
    // And 223's phone, new behind that address, is another account.
    let ask = Ask::register("223").line("Contact: <sip:223@198.51.100.1:40001>");
    let account = Account { name: "223", password: "secret-223" };
    let (_, sent) = proven(&mut world, "198.51.100.1:40001", &account, ask);
    assert_eq!(heard(&sent, "198.51.100.1:40001"), Some(200));
    still_serves(world);
}

#[test]
fn class_09_guesses_in_a_forged_name_and_address_delay_nobody() {
    let mut world = world();
    let owner = "198.51.100.201:5060";
    for number in 0..400 {
        // Whoever forges the source never sees the challenge, and makes a nonce up.
        let challenge = Challenge {
            field: "WWW-Authenticate",
            algorithm: "MD5".to_owned(),
            realm: "acme.example".to_owned(),
            nonce: format!("{number:048x}"),
            stale: false,
        };
        guess(&mut world, owner, &mut Some(challenge), number, "a guess");
    }
    world.pass(Duration::from_secs(3));
    let (_, sent) =
        proven(&mut world, owner, &ASHA, Ask::register("221").line("Contact: <sip:221@198.51.100.201:5060>"));
    assert_eq!(heard(&sent, owner), Some(200));
    still_serves(world);
}

#[test]
fn class_10_every_authorised_request_is_challenged_when_it_is_sent_again() {
    let mut world = world();
    let register = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>");
    let invite = |uri: &str| Ask::new("INVITE", uri, "221@acme.example", "222@acme.example");
    let mut captured = Vec::new();
    for (n, ask) in
        [register, invite("sip:222@acme.example"), invite("sip:+918041234567@acme.example")].into_iter().enumerate()
    {
        let mut ask = ask.line("Contact: <sip:221@198.51.100.1:5060>");
        ask.call_id = format!("captured-{n}");
        let (text, sent) = proven(&mut world, DESK, &ASHA, ask);
        assert!(heard(&sent, DESK).is_some_and(|status| status < 300), "{sent:?}");
        captured.push(text);
        // Nobody answers; the caller's transaction ends in time.
        world.pass(Duration::from_secs(120));
    }
    let registrations = daemon(&mut world).registrations;
    let rung = world.phone_mut("ravi").times_rung();
    for (n, text) in captured.iter().enumerate() {
        for (m, from) in [DESK, STRANGER, OTHER_DESK, "198.51.100.1:40000"].into_iter().enumerate() {
            // As it was, and as another transaction, a later one, one of another call.
            let changes = [
                text.clone(),
                text.replace("z9hG4bK-2", &format!("z9hG4bK-r{n}{m}")),
                text.replace("z9hG4bK-2", &format!("z9hG4bK-s{n}{m}")).replace("CSeq: 2", "CSeq: 9"),
                text.replace("z9hG4bK-2", &format!("z9hG4bK-u{n}{m}")).replace("captured", "another"),
                text.replace("z9hG4bK-2", &format!("z9hG4bK-w{n}{m}")).replace("nc=00000001", "nc=00000002"),
            ];
            for change in changes {
                let sent = tell(&mut world, from, &change);
                assert!(matches!(heard(&sent, from), Some(401 | 407)), "{n} from {from}: {sent:?}\n{change}");
                assert!(sent.iter().all(|seen| seen.to.to_string() == from), "{sent:?}");
            }
        }
    }
    assert_eq!(daemon(&mut world).registrations, registrations);
    assert_eq!(world.phone_mut("ravi").times_rung(), rung);
    still_serves(world);
}

#[test]
fn class_11_only_an_algorithm_that_is_offered_with_its_own_nonce_is_taken() {
    let both = ["SHA-256", "MD5"];
    for (line, offered) in [("", &both[..]), ("md5 = false\n", &both[..1]), ("sha-256 = false\n", &both[1..])] {
        let machine = MACHINE.replace("[sip]\n", &format!("[sip]\n{line}"));
        for nonce_of in 0..2 {
            for claimed in both {
                let mut world =
                    World::new(configuration(&machine, &[("acme", &acme(SALES, &[("221", ""), ("222", "")]))]));
                let ask = Ask::register("221").line("Contact: <sip:221@198.51.100.1:5060>").line(USUAL);
                let challenged = tell(&mut world, DESK, &ask.text());
                let all = challenges(&challenged[0]);
                let names: Vec<&str> = all.iter().map(|one| one.algorithm.as_str()).collect();
                assert_eq!(names, offered, "the strong one first (RFC 8760 §2.3)");
                let Some(mut challenge) = all.get(nonce_of).cloned() else { continue };
                let own = challenge.algorithm == claimed;
                challenge.algorithm = claimed.to_owned();
                let sent = tell(&mut world, DESK, &ask.next().proven(&ASHA, &challenge, 1).text());
                let expected = if own { 200 } else { 401 };
                assert_eq!(heard(&sent, DESK), Some(expected), "{claimed} with the nonce of {nonce_of}, {line:?}");
                world.end();
            }
        }
    }
}

#[test]
fn class_13_a_challenge_to_our_own_bye_is_not_answered_and_not_asked_again() {
    // ES2021-05, CVE-2020-28242: whoever is called may challenge what we send, with a new nonce each time.
    let machine = MACHINE.replace("[sip]\n", "[sip]\nmax-call = \"10m\"\n");
    let sales = "[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n";
    let mut world = World::new(configuration(&machine, &[("acme", &acme(sales, &[("221", "")]))]));
    scripted_phones(&mut world, 1);
    talk(&mut world, "wheedling", DESK, "");
    world.pass(Duration::from_secs(600));
    let mut byes = BTreeSet::new();
    for at in [DESK, TRUNK] {
        for n in 0..5 {
            for seen in world.heard(at).into_iter().filter(|seen| seen.bytes.starts_with(b"BYE")) {
                byes.insert((at, script::branch(&seen)));
                for (field, status) in [
                    ("WWW-Authenticate", "401 Unauthorized"),
                    ("Proxy-Authenticate", "407 Proxy Authentication Required"),
                ] {
                    let lure = format!(
                        "{field}: Digest realm=\"acme.example\", nonce=\"lure-{n}\", algorithm=MD5, qop=\"auth\"\r\n"
                    );
                    world.say(at, &respond(&seen, status, "", &lure, ""));
                }
            }
        }
    }
    assert_eq!(byes.len(), 2, "one to each end: {byes:?}");
    assert!(world.busy().is_empty(), "and the call is over all the same");
    let ours = world.seen.iter().filter(|seen| seen.from.to_string() == super::super::world::SWITCHBOARD);
    for seen in ours {
        assert!(
            seen.headers("Authorization").is_empty() && seen.headers("Proxy-Authorization").is_empty(),
            "{}",
            seen.text()
        );
    }
    world.end();
}
