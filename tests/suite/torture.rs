//! The messages of RFC 4475 and RFC 5118, given to the engine by a trunk: each gets the answer the table promises, none
//! leaves anything, and the next call is served (checklists §2 class 2; invariant 18).

use std::path::PathBuf;
use std::time::Duration;

use switchboard::peer::Behaviour;

use super::companies::{MACHINE, acme};
use super::raw::{challenges, status, tell, values};
use super::world::{World, configuration};

#[path = "../torture/table.rs"]
mod table;

use table::{RFC4475, RFC5118, Verdict};

/// An address of the trunk's where nobody listens: the phones' library reads no extension methods.
const TRUNK: &str = "192.0.2.9:5060";

fn message(rfc: &str, name: &str) -> Vec<u8> {
    let file = format!("{name}.dat");
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "corpora", rfc, &file].iter().collect();
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_response(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SIP/")
}

/// The company is at home where most of the messages go.
fn world() -> World {
    let sales = "[departments.sales]\nmembers = [\"221\"]\n";
    let text = acme(sales, &[("221", "")]).replace("acme.example", "example.com");
    let mut world = World::new(configuration(MACHINE, &[("acme", &text)]));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "example.com", Behaviour::answer_after(Duration::from_secs(1)));
    world
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str, Verdict)> {
    let first = RFC4475.iter().map(|(name, verdict)| ("rfc4475", *name, *verdict));
    first.chain(RFC5118.iter().map(|(name, verdict)| ("rfc5118", *name, *verdict)))
}

/// What a request that is read may be answered with in the end, where its verdict leaves that to the core.
fn is_served(method: &str, status: u16) -> bool {
    match method {
        "OPTIONS" => matches!(status, 200 | 481),
        "REGISTER" => matches!(status, 401 | 403),
        "INVITE" => matches!(status, 404 | 481),
        "ACK" => false,
        _ => matches!(status, 405 | 481),
    }
}

#[test]
fn every_message_gets_the_answer_its_row_promises() {
    let mut seen_rows = 0;
    for (rfc, name, verdict) in rows() {
        seen_rows += 1;
        let bytes = message(rfc, name);
        let mut world = world();
        // Some hold bytes that are no text, which `tell` does not take.
        world.inject(TRUNK, &bytes);
        let before = world.seen.len();
        world.pass(Duration::from_millis(2));
        let sent: Vec<_> = world.seen[before..]
            .iter()
            .filter(|seen| seen.to.to_string() != super::world::SWITCHBOARD)
            .cloned()
            .collect();
        assert!(sent.iter().all(|seen| seen.to.ip().to_string() == "192.0.2.9"), "{name}: {sent:?}");
        assert!(sent.iter().all(|seen| is_response(&seen.bytes)), "{name}: nothing goes on: {sent:?}");
        let last = sent.last().map(status);
        match verdict {
            Verdict::Core(expected) => {
                assert_eq!(last, Some(expected), "{name}");
                let answer = sent.last().unwrap();
                match expected {
                    420 => assert!(!values(answer, "Unsupported").is_empty(), "{name}"),
                    401 => assert!(!challenges(answer).is_empty(), "{name}"),
                    _ => {}
                }
            }
            Verdict::Refused(expected, fault) => assert_eq!(last, Some(expected), "{name}: {fault:?}"),
            Verdict::Dropped(fault) => assert_eq!(last, None, "{name}: {fault:?}"),
            Verdict::Forwarded if is_response(&bytes) => {
                assert_eq!(last, None, "{name}: no transaction has asked for it")
            }
            Verdict::Forwarded => {
                let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
                let method = String::from_utf8_lossy(&bytes[start..]).split(' ').next().unwrap_or_default().to_owned();
                let last = last.unwrap_or_else(|| panic!("{name}: {method} is answered"));
                assert!(is_served(&method, last), "{name}: {method} {last}");
            }
        }
        assert_eq!(world.phone_mut("asha").times_rung(), 0, "{name}");
        world.end();
    }
    assert_eq!(seen_rows, 61);
}

#[test]
fn after_all_of_them_the_next_call_is_served_and_nothing_is_left() {
    let mut world = world();
    for (rfc, name, _) in rows() {
        for from in [TRUNK, "198.51.100.250:5060"] {
            world.inject(from, &message(rfc, name));
        }
    }
    world.pass(Duration::from_secs(1));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_secs(3));
    assert!(world.answered("airtel", call), "{:?}", world.call_events("airtel", call));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn a_ping_is_answered_also_where_it_may_go_no_further() {
    // RFC 3261 §16.3 item 3: an OPTIONS that may not be forwarded may be answered by whom it reached. Carriers ping so.
    let mut world = world();
    let ping = "OPTIONS sip:203.0.113.10:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKping\r\n\
                Max-Forwards: 0\r\nFrom: <sip:ping@192.0.2.1>;tag=1\r\nTo: <sip:203.0.113.10>\r\nCall-ID: ping\r\n\
                CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(tell(&mut world, TRUNK, ping).iter().map(status).collect::<Vec<_>>(), [200]);
    let required = ping.replace("z9hG4bKping", "z9hG4bKq").replace("Max-Forwards: 0", "Proxy-Require: x");
    assert_eq!(tell(&mut world, TRUNK, &required).iter().map(status).collect::<Vec<_>>(), [420]);
    world.end();
}
