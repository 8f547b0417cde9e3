//! Stories of registrations: who may, for how long, in which order, and what a stranger can learn (RFC 3261 §10, R-8).

use std::time::Duration;

use switchboard::engine::{Command, Reply};
use switchboard::peer::{Behaviour, PhoneEvent};

use super::companies::{MACHINE, acme, one_company};
use super::raw::{Account, Ask, Challenge, challenges, daemon, only, tell, values};
use super::world::{Seen, World, configuration};

const SALES: &str = "[departments.sales]\nmembers = [\"221\", \"222\"]\nring = \"20s\"\n";
const PHONE: &str = "198.51.100.77:5060";
const ASHA: Account<'static> = Account { name: "221", password: "secret-221" };
const RAVI: Account<'static> = Account { name: "222", password: "secret-222" };

/// Long enough, as every real phone's, for both challenges to fit into an answer of one and a half times its size.
const ALLOW: &str =
    "Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE, PUBLISH";

fn world() -> World {
    let users = [("221", ""), ("222", ""), ("224", "status = \"disabled\"")];
    let mut world = World::new(one_company(SALES, &users));
    world.trunk("airtel", "192.0.2.1:5060");
    world
}

fn world_with(sip: &str) -> World {
    let machine = MACHINE.replacen("[sip]\n", &format!("[sip]\n{sip}\n"), 1);
    World::new(configuration(&machine, &[("acme", &acme(SALES, &[("221", ""), ("222", "")]))]))
}

fn contact(more: &str) -> String {
    format!("Contact: <sip:221@198.51.100.77:5060>{more}")
}

fn asha() -> Ask {
    Ask::register("221").line(ALLOW)
}

/// What that REGISTER is challenged with.
fn asked(world: &mut World, ask: &Ask) -> Vec<Challenge> {
    let answers = tell(world, PHONE, &ask.text());
    let (answer, status) = only(&answers);
    assert_eq!(status, 401);
    challenges(answer)
}

/// Registers under the first challenge it gets; the answer, and the request as it was sent.
fn register(world: &mut World, account: &Account<'_>, ask: Ask) -> (Seen, u16, String) {
    let challenge = asked(world, &ask).remove(0);
    let proven = ask.next().proven(account, &challenge, 1).text();
    let answers = tell(world, PHONE, &proven);
    let (answer, status) = only(&answers);
    (answer.clone(), status, proven)
}

fn registrations(world: &mut World) -> usize {
    match world.command(Command::Registrations) {
        Reply::Registrations(list) => list.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sha_256_is_offered_before_md5_and_either_is_taken() {
    // RFC 8760 §2.3: in the order the server prefers.
    let mut world = world();
    let offered = asked(&mut world, &asha().line(contact("")));
    assert_eq!(offered.iter().map(|one| one.algorithm.as_str()).collect::<Vec<_>>(), ["SHA-256", "MD5"]);
    assert!(offered.iter().all(|one| one.realm == "acme.example" && !one.stale));
    let mut ask = asha().line(contact(""));
    for challenge in &offered {
        ask = ask.next();
        let answers = tell(&mut world, PHONE, &ask.clone().proven(&ASHA, challenge, 1).text());
        let (answer, status) = only(&answers);
        assert_eq!(status, 200, "{}", challenge.algorithm);
        assert_eq!(values(answer, "Contact"), ["<sip:221@198.51.100.77:5060>;expires=3600"]);
    }
    assert_eq!(registrations(&mut world), 1);
    world.end();
}

#[test]
fn an_algorithm_the_admin_left_out_is_neither_offered_nor_taken() {
    for (sip, left) in [("sha-256 = false", "MD5"), ("md5 = false", "SHA-256")] {
        let mut world = world_with(sip);
        let ask = asha().line(contact(""));
        let offered = asked(&mut world, &ask);
        assert_eq!(offered.iter().map(|one| one.algorithm.as_str()).collect::<Vec<_>>(), [left]);
        let other = if left == "MD5" { "SHA-256" } else { "MD5" };
        let moved = Challenge { algorithm: other.to_owned(), ..offered[0].clone() };
        let answers = tell(&mut world, PHONE, &ask.clone().next().proven(&ASHA, &moved, 1).text());
        assert_eq!(only(&answers).1, 401, "{sip}: a nonce serves one algorithm");
        let answers = tell(&mut world, PHONE, &ask.next().next().proven(&ASHA, &offered[0], 1).text());
        assert_eq!(only(&answers).1, 200, "{sip}");
        world.end();
    }
}

#[test]
fn every_device_of_an_extension_rings_and_the_first_to_answer_has_the_call() {
    let mut world = world();
    world.phone("desk", "221", "acme.example", Behaviour::ring_only());
    world.phone("mobile app", "221", "acme.example", Behaviour::answer_after(Duration::from_secs(3)));
    world.phone("laptop", "221", "acme.example", Behaviour::ring_only());
    assert_eq!(registrations(&mut world), 3);
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_secs(1));
    assert!(["desk", "mobile app", "laptop"].into_iter().all(|name| world.phone_mut(name).is_ringing()));
    world.pass(Duration::from_secs(4));
    assert!(world.answered("airtel", call));
    assert!(world.phone_mut("mobile app").is_talking());
    for other in ["desk", "laptop"] {
        assert!(!world.phone_mut(other).is_ringing());
        assert_eq!(world.cancel_reasons(other).len(), 1, "{other}");
    }
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn a_registration_that_is_not_refreshed_ends_on_time() {
    let mut world = world();
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    world.phone_mut("asha").stop_refreshing();
    world.pass(Duration::from_secs(3590));
    assert_eq!(registrations(&mut world), 1);
    world.pass(Duration::from_secs(11));
    assert_eq!(registrations(&mut world), 0);
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.refusal("airtel", call).map(|(status, _)| status), Some(480));
    assert_eq!(world.phone_mut("asha").times_rung(), 0, "no request goes to an expired binding (invariant 17)");
    world.end();
}

#[test]
fn too_brief_an_expiry_is_423_and_says_what_would_do() {
    let mut world = world();
    let (answer, status, _) = register(&mut world, &ASHA, asha().line(contact(";expires=30")));
    assert_eq!((status, answer.header("Min-Expires").as_deref()), (423, Some("60")));
    assert_eq!(registrations(&mut world), 0);
    world.unregistered_phone("asha", "221", "acme.example", Behaviour::ring_only());
    world.with_phone("asha", |phone, now| phone.register(now, 30));
    world.pass(Duration::from_secs(1));
    assert!(world.phone_events["asha"].contains(&PhoneEvent::Registered { expires: 60 }));
    world.phone_mut("asha").stop_refreshing();
    world.end();
}

#[test]
fn a_fetch_lists_what_is_stored_and_a_star_removes_it() {
    let mut world = world();
    let (_, status, _) = register(&mut world, &ASHA, asha().line(contact(";expires=600")));
    assert_eq!(status, 200);
    world.pass(Duration::from_secs(100));
    let mut fetch = asha();
    fetch.call_id = "another".to_owned();
    let (answer, status, _) = register(&mut world, &ASHA, fetch);
    assert_eq!(
        (status, values(&answer, "Contact")),
        (200, vec!["<sip:221@198.51.100.77:5060>;expires=500".to_owned()])
    );

    let mut star = asha().line("Contact: *").line("Expires: 0");
    star.cseq = 10;
    star.branch = "z9hG4bK-10".to_owned();
    let (answer, status, _) = register(&mut world, &ASHA, star);
    assert_eq!((status, values(&answer, "Contact")), (200, Vec::new()));
    assert_eq!(registrations(&mut world), 0);
    world.end();
}

#[test]
fn an_older_register_of_the_same_series_changes_nothing() {
    // RFC 3261 §10.3 item 7; invariant 16.
    let mut world = world();
    let mut ask = asha().line(contact(";expires=600"));
    ask.cseq = 50;
    assert_eq!(register(&mut world, &ASHA, ask).1, 200);
    let mut late = asha().line(contact(";expires=0"));
    late.cseq = 40;
    late.branch = "z9hG4bK-late".to_owned();
    assert_eq!(register(&mut world, &ASHA, late).1, 500);
    assert_eq!(registrations(&mut world), 1);
    world.end();
}

#[test]
fn nobody_registers_for_another() {
    let mut world = world();
    assert_eq!(register(&mut world, &RAVI, asha().line(contact(""))).1, 403, "222's password, 221's address-of-record");
    let mut ask = asha().line(contact(""));
    ask.from = "222@acme.example".to_owned();
    ask.branch = "z9hG4bK-9".to_owned();
    assert_eq!(register(&mut world, &RAVI, ask).1, 403);
    assert_eq!(registrations(&mut world), 0);
    world.end();
}

#[test]
fn a_copy_of_a_register_gets_the_same_answer_and_a_replay_is_asked_again() {
    // RFC 3261 §17.2.2; checklists §2 class 10.
    let mut world = world();
    let (first, status, sent) = register(&mut world, &ASHA, asha().line(contact("")));
    assert_eq!(status, 200);
    world.pass(Duration::from_secs(1));
    let copies = tell(&mut world, PHONE, &sent);
    assert_eq!(only(&copies).0.bytes, first.bytes, "the transaction repeats itself");

    let elsewhere = tell(&mut world, "198.51.100.66:5060", &sent.replace("z9hG4bK-2", "z9hG4bK-x"));
    assert_eq!(only(&elsewhere).1, 401);
    let here = tell(&mut world, PHONE, &sent.replace("z9hG4bK-2", "z9hG4bK-y"));
    assert_eq!(only(&here).1, 401);
    world.pass(Duration::from_secs(40));
    let later = tell(&mut world, PHONE, &sent);
    assert_eq!(only(&later).1, 401, "the transaction is gone, the count is spent");
    assert_eq!(registrations(&mut world), 1);
    world.end();
}

#[test]
fn an_old_nonce_is_stale_and_the_next_one_serves() {
    let mut world = world();
    let ask = asha().line(contact(""));
    let old = asked(&mut world, &ask).remove(0);
    world.pass(Duration::from_secs(301));
    let answers = tell(&mut world, PHONE, &ask.clone().next().proven(&ASHA, &old, 1).text());
    let (answer, status) = only(&answers);
    let fresh = challenges(answer);
    assert_eq!(status, 401);
    assert!(fresh.iter().all(|one| one.stale), "the password was right (RFC 7616 §3.3)");
    let answers = tell(&mut world, PHONE, &ask.next().next().proven(&ASHA, &fresh[0], 1).text());
    assert_eq!(only(&answers).1, 200);
    world.end();
}

#[test]
fn a_phone_behind_a_nat_is_called_where_its_register_came_from() {
    // RFC 3581 §4; corner case 56.
    const OUTSIDE: &str = "198.51.100.200:40000";
    let mut world = world();
    let mut ask = asha().line("Contact: <sip:221@10.0.0.5:5062>");
    ask.sent_by = "10.0.0.5:5062".to_owned();
    let first = tell(&mut world, OUTSIDE, &ask.text());
    let (answer, _) = only(&first);
    let via = answer.header("Via").unwrap();
    assert!(via.contains("received=198.51.100.200") && via.contains("rport=40000"), "{via}");
    assert_eq!(answer.to.to_string(), OUTSIDE);
    let challenge = challenges(answer).remove(0);
    let answers = tell(&mut world, OUTSIDE, &ask.next().proven(&ASHA, &challenge, 1).text());
    assert_eq!(only(&answers).1, 200);
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_secs(1));
    let invite = world.sent_to(OUTSIDE).into_iter().rfind(|seen| seen.first_line().starts_with("INVITE")).unwrap();
    assert_eq!(invite.first_line(), "INVITE sip:221@10.0.0.5:5062 SIP/2.0");
    assert!(world.sent_to("10.0.0.5:5062").is_empty());
    world.with_trunk("airtel", |trunk, now| trunk.cancel(now, call));
    world.end();
}

/// An answer without what may differ: nonces, tags, and the extension it echoes.
fn masked(seen: &Seen, extension: &str) -> String {
    let mut text = String::from_utf8_lossy(&seen.bytes).into_owned();
    for challenge in challenges(seen) {
        text = text.replace(&challenge.nonce, "NONCE");
    }
    let to = seen.header("To").unwrap();
    let tag = to.split("tag=").nth(1).unwrap();
    text.replace(tag, "TAG").replace(extension, "EXT")
}

#[test]
fn a_wrong_password_an_unknown_and_a_disabled_user_are_told_the_same() {
    // Invariant 22; checklists §2 class 8.
    let mut world = world();
    let mut told = Vec::new();
    for (extension, password) in [("221", "guess"), ("999", "guess"), ("224", "guess"), ("224", "secret-224")] {
        let ask = Ask::register(extension).line(ALLOW).line("Contact: <sip:x@198.51.100.77>");
        let first = tell(&mut world, PHONE, &ask.text());
        let challenge = challenges(only(&first).0).remove(0);
        let proven = ask.clone().next().proven(&Account { name: extension, password }, &challenge, 1).text();
        let second = tell(&mut world, PHONE, &proven);
        let copy = tell(&mut world, PHONE, &proven);
        assert_eq!((only(&first).1, only(&second).1, only(&copy).1), (401, 401, 401));
        told.push([&first[0], &second[0], &copy[0]].map(|seen| masked(seen, extension)));
        assert!(world.engine.audit().is_empty(), "nothing is remembered of {extension}");
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:#?}");
    world.end();
}

#[test]
fn a_domain_that_is_nobodys_is_refused_without_a_challenge() {
    let mut world = world();
    let own = "221@elsewhere.example";
    let ask = Ask::new("REGISTER", "sip:elsewhere.example", own, own).line(contact(""));
    let answers = tell(&mut world, PHONE, &ask.text());
    assert_eq!(only(&answers).1, 403);
    assert_eq!(daemon(&mut world).transactions, 0);
    world.end();
}

#[test]
fn a_trunks_address_is_no_password() {
    // Product §1: a REGISTER is always a user's and always authenticated.
    let mut world = world();
    let answers = tell(&mut world, "192.0.2.1:5060", &asha().line(contact("")).text());
    assert_eq!(only(&answers).1, 401);
    world.end();
}

#[test]
fn options_are_answered_for_those_who_are_known() {
    // RFC 3261 §11.2.
    let mut world = world();
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    let options = |from: &str| Ask::new("OPTIONS", "sip:203.0.113.10:5060", from, "203.0.113.10:5060");
    let cases = [
        ("198.51.100.1:5060", "221@acme.example", 200),
        ("192.0.2.1:5060", "ping@192.0.2.1", 200),
        ("198.51.100.1:5060", "222@acme.example", 403), // who is not registered from there
        ("198.51.100.99:5060", "221@acme.example", 403),
        ("198.51.100.99:5060", "ping@198.51.100.99", 403),
    ];
    for (index, (source, from, expected)) in cases.into_iter().enumerate() {
        let mut ask = options(from);
        ask.branch = format!("z9hG4bK-o{index}");
        let answers = tell(&mut world, source, &ask.text());
        let (answer, status) = only(&answers);
        assert_eq!(status, expected, "{from} from {source}");
        assert_eq!(answer.header("Allow").is_some(), expected == 200);
    }
    world.end();
}
