//! Who may do what: every method from every origin, proof of callers, and what may be sent to who has proved nothing
//! (checklists §2 classes 6–8, 10, 12, 16, 17; invariants 20–22).

use std::time::Duration;

use switchboard::peer::{Behaviour, CallEvent, OutgoingCall, PhoneEvent};

use super::companies::one_company;
use super::raw::{Account, Ask, challenges, daemon, only, status, tell, values};
use super::world::{Seen, World};

const SALES: &str = "[departments.sales]\nmembers = [\"222\"]\nring = \"20s\"\n";
const STRANGER: &str = "198.51.100.250:5060";
/// An address of the trunk's where nobody listens: the phones' library reads no extension methods.
const TRUNK: &str = "192.0.2.9:5060";
/// Where the world puts its first phone.
const DESK: &str = "198.51.100.1:5060";
const ASHA: Account<'static> = Account { name: "221", password: "secret-221" };
const NUMBER: &str = "sip:+918041234567@203.0.113.10";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// 221 is registered at [`DESK`], 222 rings.
fn world() -> World {
    let mut world = World::new(one_company(SALES, &[("221", ""), ("222", ""), ("223", "")]));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    world.phone("ravi", "222", "acme.example", Behaviour::ring_only());
    world.pass(seconds(60));
    world
}

fn busy_reason(world: &World, phone: &str) -> Vec<(u16, Option<String>)> {
    let events = world.phone_events[phone].iter();
    events
        .filter_map(|event| match event {
            PhoneEvent::Call(_, CallEvent::Refused { status, reason, .. }) => Some((*status, reason.clone())),
            _ => None,
        })
        .collect()
}

/// An INVITE of 221's phone for that URI, authorised; what was sent because of it.
fn invite(world: &mut World, uri: &str, from: &str, lines: &[&str]) -> Vec<Seen> {
    let mut ask = Ask::new("INVITE", uri, from, "222@acme.example").line("Contact: <sip:221@198.51.100.1:5060>");
    ask.lines.extend(lines.iter().map(|line| (*line).to_owned()));
    let asked = tell(world, DESK, &ask.text());
    let (answer, status) = only(&asked);
    assert_eq!(status, 407);
    let challenge = challenges(answer).remove(0);
    tell(world, DESK, &ask.next().proven(&ASHA, &challenge, 1).text())
}

#[test]
fn a_phones_invite_is_challenged_and_the_ack_of_that_leaves_nothing() {
    let mut world = world();
    let ask = Ask::new("INVITE", "sip:222@acme.example", "221@acme.example", "222@acme.example");
    let ask = ask.line("Contact: <sip:221@198.51.100.1:5060>");
    let asked = tell(&mut world, DESK, &ask.text());
    let (answer, status) = only(&asked);
    assert_eq!((status, challenges(answer).len()), (407, 1), "a short INVITE has room for one challenge");
    assert!(world.engine.audit().is_empty());
    let mut ack = ask.clone();
    ack.method = "ACK".to_owned();
    ack.to_tag = answer.header("To").unwrap().split("tag=").nth(1).map(str::to_owned);
    assert!(tell(&mut world, DESK, &ack.text()).is_empty());
    assert!(world.engine.audit().is_empty());
    assert_eq!(daemon(&mut world).transactions, 0);
    world.end();
}

#[test]
fn an_extension_calls_an_extension_and_a_number_of_its_company() {
    let mut world = world();
    world.phone_mut("ravi").behave(Behaviour::answer_after(seconds(1)));
    for uri in ["sip:222@acme.example", "sip:+918041234567@acme.example", "sip:08041234567@acme.example"] {
        world.with_phone("asha", |phone, now| phone.call(now, uri));
        world.pass(seconds(3));
        assert!(world.phone_mut("asha").is_talking(), "{uri}: {:?}", world.phone_events["asha"]);
        assert!(world.phone_mut("ravi").is_talking(), "{uri}");
        world.with_phone("asha", |phone, now| phone.hang_up(now));
        world.pass(seconds(2));
        assert!(!world.phone_mut("ravi").is_talking(), "{uri}");
    }
    world.end();
}

#[test]
fn whoever_is_on_a_call_makes_no_second_one() {
    // a call a person makes holds the claim too.
    let mut world = world();
    world.phone_mut("ravi").behave(Behaviour::answer_after(seconds(1)));
    world.with_phone("asha", |phone, now| phone.call(now, "sip:222@acme.example"));
    world.pass(seconds(3));
    world.with_phone("asha", |phone, now| phone.call(now, "sip:223@acme.example"));
    world.pass(seconds(1));
    let refused = busy_reason(&world, "asha");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, 486);
    assert!(refused[0].1.as_deref().is_some_and(|reason| reason.starts_with("Q.850;cause=17;text=")), "{refused:?}");
    world.with_phone("asha", |phone, now| phone.hang_up(now));
    world.end();
}

#[test]
fn proven_as_one_and_speaking_as_another_is_refused() {
    // Checklists §2 class 12.
    let mut world = world();
    let answers = invite(&mut world, "sip:222@acme.example", "223@acme.example", &[]);
    assert_eq!(only(&answers).1, 403);
    assert!(world.engine.audit().is_empty());
    world.end();
}

#[test]
fn another_domain_is_not_ours_to_call() {
    // Checklists §2 class 16.
    for uri in ["sip:222@elsewhere.example", "sip:+15551234567@192.0.2.1", "sip:222@198.51.100.2:5060"] {
        let mut world = world();
        let answers = invite(&mut world, uri, "221@acme.example", &[]);
        assert_eq!(answers.iter().map(status).collect::<Vec<_>>(), [100, 404], "{uri}");
        assert!(answers.iter().all(|seen| seen.to.to_string() == DESK));
        world.settle();
        assert_eq!(world.phone_mut("ravi").times_rung(), 0, "{uri}");
        assert_eq!(world.trunk_mut("airtel").times_rung(), 0, "{uri}");
        world.end();
    }
}

#[test]
fn what_a_user_proved_and_asserted_goes_no_further() {
    // RFC 3261 §22.3; RFC 3325 §5.
    let mut world = world();
    let theirs = "Proxy-Authorization: Digest username=\"x\", realm=\"other.example\", nonce=\"1\", uri=\"sip:x\", \
                  response=\"00000000000000000000000000000000\"";
    let lines = ["P-Asserted-Identity: <sip:ceo@acme.example>", theirs];
    let sent = invite(&mut world, "sip:222@acme.example", "221@acme.example", &lines);
    let onward = sent.iter().find(|seen| seen.first_line().starts_with("INVITE")).expect("222 is rung");
    assert_eq!(values(onward, "P-Asserted-Identity"), Vec::<String>::new());
    let left = values(onward, "Proxy-Authorization");
    assert_eq!(left.len(), 1);
    assert!(left[0].contains("other.example"));
    world.settle();
    world.end();
}

#[test]
fn what_a_trunk_asserts_is_passed_on() {
    let mut world = world();
    world.with_trunk("airtel", |trunk, now| {
        trunk.place(
            now,
            OutgoingCall {
                number: "+918041234567".into(),
                caller: "anonymous".into(),
                asserted_identity: Some("<sip:+919811112222@192.0.2.1>".into()),
                ..OutgoingCall::default()
            },
        )
    });
    world.pass(seconds(1));
    let asserted: Vec<_> = world.phone_events["ravi"]
        .iter()
        .filter_map(|event| match event {
            PhoneEvent::Call(_, CallEvent::Ringing { asserted, .. }) => Some(asserted.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(asserted, [Some("<sip:+919811112222@192.0.2.1>".to_owned())]);
    world.settle();
    world.end();
}

/// Where a request comes from, and who it says it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    Trunk,
    /// From 221's phone, with the password where it is asked for.
    User,
    /// Says it is 221, from elsewhere, without the password.
    Unproven,
    Stranger,
    /// A stranger who says what it is.
    Scanner,
}

const METHODS: [&str; 15] = [
    "INVITE",
    "REGISTER",
    "OPTIONS",
    "ACK",
    "CANCEL",
    "BYE",
    "PRACK",
    "UPDATE",
    "INFO",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "MESSAGE",
    "PUBLISH",
    "FROBNICATE",
];

/// The last answer that a request outside any dialog gets; `None` for none at all.
fn expected(from: From, method: &str) -> Option<u16> {
    match (from, method) {
        // RFC 3261 §17: an ACK is never answered.
        (From::Scanner, _) | (_, "ACK") => None,
        // §9.2: no such transaction.
        (_, "CANCEL") => Some(481),
        // A trunk's address registers nobody (product §1).
        (From::Trunk | From::Unproven, "REGISTER") => Some(401),
        (From::Trunk | From::User, "INVITE") => Some(180),
        (From::Unproven, "INVITE") => Some(407),
        (From::User, "REGISTER") => Some(200),
        (From::Trunk | From::User, "OPTIONS") => Some(200),
        // RFC 3261 §15.1.2: a BYE that belongs to no dialog.
        (From::Trunk | From::User, "BYE") => Some(481),
        (From::Trunk | From::User, _) => Some(405),
        (From::Unproven | From::Stranger, _) => Some(403),
    }
}

fn request(from: From, method: &str) -> (Ask, &'static str) {
    let (who, source) = match from {
        From::Trunk => ("+919811112222@192.0.2.1", TRUNK),
        From::User => ("221@acme.example", DESK),
        From::Unproven => ("221@acme.example", STRANGER),
        From::Stranger => ("hello@elsewhere.example", STRANGER),
        From::Scanner => ("221@acme.example", STRANGER),
    };
    let mut ask = match method {
        "REGISTER" => {
            Ask::new(method, "sip:acme.example", who, if from == From::Trunk { "221@acme.example" } else { who })
        }
        _ => Ask::new(method, NUMBER, who, "+918041234567@203.0.113.10"),
    };
    ask = ask.line("Contact: <sip:221@198.51.100.1:5060>");
    if from == From::Scanner {
        ask = ask.line("User-Agent: friendly-scanner");
    }
    (ask, source)
}

/// Invariant 20: at most one datagram, to where the request came from, of at most one and a half times its size.
fn is_no_amplifier(ask: &str, source: &str, sent: &[Seen]) {
    assert!(sent.len() <= 1, "{sent:?}");
    for seen in sent {
        assert_eq!(seen.to.ip(), source.parse::<std::net::SocketAddr>().unwrap().ip());
        assert!(seen.bytes.len() * 2 <= ask.len() * 3, "{} bytes for {}:\n{ask}", seen.bytes.len(), ask.len());
    }
}

#[test]
fn every_method_from_every_origin_is_refused_unless_a_rule_admits_it() {
    for from in [From::Trunk, From::User, From::Unproven, From::Stranger, From::Scanner] {
        for method in METHODS {
            let case = format!("{method} from {from:?}");
            let mut world = world();
            let (ask, source) = request(from, method);
            let mut text = ask.text();
            let mut sent = tell(&mut world, source, &text);
            if from == From::User && matches!(method, "INVITE" | "REGISTER") {
                is_no_amplifier(&text, source, &sent);
                let challenge = challenges(only(&sent).0).remove(0);
                text = ask.next().proven(&ASHA, &challenge, 1).text();
                sent = tell(&mut world, source, &text);
            }
            match from {
                From::Unproven | From::Stranger | From::Scanner => {
                    is_no_amplifier(&text, source, &sent);
                    assert!(world.engine.audit().is_empty(), "{case}: {:?}", world.engine.audit());
                    assert_eq!(daemon(&mut world).transactions, 0, "{case}");
                }
                From::Trunk | From::User => {}
            }
            let before = world.seen.len() - sent.len();
            world.pass(Duration::from_millis(100));
            let last = world.seen[before..]
                .iter()
                .filter(|seen| seen.to.to_string() == source && seen.first_line().starts_with("SIP/2.0"))
                .map(status)
                .next_back();
            assert_eq!(last, expected(from, method), "{case}");
            let rung = world.phone_mut("ravi").times_rung();
            let may_ring = method == "INVITE" && matches!(from, From::Trunk | From::User);
            assert_eq!(rung, u64::from(may_ring), "{case} (invariant 21)");
            world.settle();
            assert!(world.engine.audit().is_empty(), "{case}");
        }
    }
}

#[test]
fn a_dialog_nobody_knows_is_481_for_everybody_but_scanners() {
    for from in [From::Trunk, From::User, From::Unproven, From::Stranger, From::Scanner] {
        for method in METHODS {
            if matches!(method, "CANCEL" | "REGISTER") {
                continue;
            }
            let mut world = world();
            let (mut ask, source) = request(from, method);
            ask.to_tag = Some("guessed".to_owned());
            let text = ask.text();
            let sent = tell(&mut world, source, &text);
            let expected = if method == "ACK" || from == From::Scanner { None } else { Some(481) };
            assert_eq!(sent.last().map(status), expected, "{method} from {from:?}");
            is_no_amplifier(&text, source, &sent);
            assert!(world.engine.audit().is_empty(), "{method} from {from:?}");
            assert_eq!(world.phone_mut("ravi").times_rung(), 0);
        }
    }
}

#[test]
fn what_cannot_be_read_is_answered_no_louder_than_it_was_asked() {
    let mut world = world();
    let (ask, source) = request(From::Stranger, "INVITE");
    let whole = ask.text();
    let broken = [
        whole.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        whole.replace("Max-Forwards: 70", "Max-Forwards: many"),
        whole.replace("From:", "From: <"),
        "X y SIP/2.0\r\nVia: x\r\nCSeq: 1 X\r\n\r\n".to_owned(),
        "OPTIONS sip:a SIP/2.0\r\nv: SIP/2.0/UDP a\r\nCSeq: 1\r\n\r\n".to_owned(),
    ];
    let mut answered = 0;
    for text in &broken {
        let sent = tell(&mut world, source, text);
        is_no_amplifier(text, source, &sent);
        answered += sent.len();
    }
    assert_eq!(answered, 3, "those of a size that anybody sends get their 400");
    let scan = broken[0].replace("Content-Length", "User-Agent: SIPVicious\r\nContent-Length");
    assert!(tell(&mut world, source, &scan).is_empty(), "a scanner hears nothing (R-8)");
    world.end();
}

#[test]
fn a_short_register_gets_the_challenge_every_phone_can_answer_and_a_real_one_gets_both() {
    // Invariant 20: measured over every size from the shortest REGISTER there is.
    let mut world = world();
    let (mut one, mut both) = (0, 0);
    for padding in 0..400 {
        let mut ask = Ask::register("221");
        ask.branch = format!("z9hG4bK{padding}");
        let text = ask.line(format!("User-Agent: {}", "x".repeat(padding))).text();
        let sent = tell(&mut world, STRANGER, &text);
        is_no_amplifier(&text, STRANGER, &sent);
        let offered: Vec<String> = sent.iter().flat_map(challenges).map(|one| one.algorithm).collect();
        match offered.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => assert!(text.len() < 280, "{} bytes, less than any phone's", text.len()),
            ["MD5"] => one += 1,
            ["SHA-256", "MD5"] => both += 1,
            other => panic!("{other:?}"),
        }
        if text.len() >= 400 {
            assert_eq!(offered.len(), 2, "{} bytes", text.len());
        }
    }
    assert!(one > 0 && both > 0, "{one} {both}");
    assert!(world.engine.audit().is_empty());
    world.end();
}

#[test]
fn a_desk_phones_register_gets_both_challenges() {
    let mut world = world();
    let text = "REGISTER sip:acme.example:5060 SIP/2.0\r\n\
                Via: SIP/2.0/UDP 192.168.178.45:5060;branch=z9hG4bK3478221159;rport\r\n\
                From: \"Asha Rao\" <sip:221@acme.example:5060>;tag=2830944210\r\n\
                To: \"Asha Rao\" <sip:221@acme.example:5060>\r\n\
                Call-ID: 0_1826381926@192.168.178.45\r\nCSeq: 1 REGISTER\r\n\
                Contact: <sip:221@192.168.178.45:5060>\r\n\
                Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE, MESSAGE\r\n\
                Max-Forwards: 70\r\nUser-Agent: Desk Phone 46 66.86.0.15\r\nExpires: 3600\r\n\
                Allow-Events: talk,hold,conference,refer,check-sync\r\nContent-Length: 0\r\n\r\n";
    let sent = tell(&mut world, "198.51.100.200:1024", text);
    is_no_amplifier(text, "198.51.100.200:1024", &sent);
    assert_eq!(challenges(only(&sent).0).len(), 2);
    world.end();
}
