//! Corners 25–28: what the copy of a request looks like, and by which socket it and its answers leave (RFC 3261 §16.6).

use std::collections::BTreeSet;

use super::super::proxy::scripted_phones;
use super::super::script::{ASHA, BODY, MINA, Party, RAVI, TRUNK, address, branch, from_trunk, register, respond};
use super::super::world::{SWITCHBOARD, World};
use super::{fail, over, phones, refuse, ring, sales, talking};

const V6: &str = "[2001:db8::10]:5060";

/// RFC 3261 §16.6 item 4: the Record-Route value is a loose router's; RFC 5658 §3: where the two sides speak by
/// different sockets there are two, and each side sends to the one it can reach.
#[test]
fn corner_25_record_route_is_loose_and_right_for_either_side() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("one");
    let rung = ring(&mut world, &mut caller, "");
    let values = rung.headers("Record-Route");
    assert_eq!(values.len(), 1);
    assert!(values[0].starts_with(&format!("<sip:{SWITCHBOARD};lr")), "{values:?}");
    refuse(&mut world, &mut caller, &rung);
    world.end();

    let phone = "[2001:db8::221]:5060";
    let mut world = World::with_listeners(sales(), &[SWITCHBOARD, V6]);
    register(&mut world, V6, phone, &format!("sip:221@{phone}"), "221", "six", 1);
    let mut caller = from_trunk("two");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = world.expect(phone, "INVITE");
    assert_eq!(rung.from, address(V6));
    let values = rung.headers("Record-Route");
    assert!(values[0].starts_with(&format!("<sip:{V6};lr")), "{values:?}");
    assert!(values[1].starts_with(&format!("<sip:{SWITCHBOARD};lr")), "{values:?}");
    let mut callee = Party::callee(phone, &rung, "t");
    world.say_to(V6, phone, &respond(&rung, "200 OK", "t", &format!("Contact: <sip:221@{phone}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    assert_eq!(answer.from, address(SWITCHBOARD));
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    assert!(world.expect(phone, "ACK").headers("Route").is_empty(), "both values are ours");
    world.say_to(V6, phone, &callee.request("BYE", "", ""));
    let bye = world.expect(TRUNK, "BYE");
    assert_eq!(bye.from, address(SWITCHBOARD));
    world.say(TRUNK, &respond(&bye, "200 OK", "", "", ""));
    world.expect(phone, "SIP/2.0 200");
    world.end();
}

/// All but the start line and the lines whose names are given, in order.
fn without(text: &str, names: &[&str]) -> Vec<String> {
    text.split("\r\n")
        .skip(1)
        .filter(|line| !names.iter().any(|name| line.to_ascii_lowercase().starts_with(&format!("{name}:"))))
        .map(str::to_owned)
        .collect()
}

/// RFC 3261 §16.6: a proxy leaves the body alone, and every field that it has no business with, known or not, in its
/// order.
#[test]
fn corner_26_unknown_fields_and_the_body_leave_byte_for_byte_and_in_order() {
    const STRANGE: &str = "X-Odd :  two  spaces \r\nsubject: Caf\u{e9}\r\nX-Folded: a\r\n\tb\r\nAllow: INVITE\r\n\
                           Privacy: none\r\nSupported: 100rel , timer\r\nX-Odd: again\r\nAccept:\r\n\
                           Content-Type: application/sdp\r\n";
    let changed = ["via", "max-forwards", "max-breadth", "record-route", "content-length"];
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("bytes");
    let body = "v=0\r\n\r\n\0\u{1}binary\r\n ";
    let invite = caller.request("INVITE", STRANGE, body);
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    assert_eq!(without(&rung.text(), &changed), without(&invite, &changed));
    assert_eq!(rung.headers("Content-Length"), [body.len().to_string()]);
    let progress = respond(&rung, "183 Session Progress", "t", STRANGE, body);
    world.say(ASHA, &progress);
    let heard = world.expect(TRUNK, "SIP/2.0 183");
    assert_eq!(without(&heard.text(), &["via"]), without(&progress, &["via"]));
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 3261 §16.6 item 8: each branch has its own branch id, and each request; §18.2.1 and RFC 3581 §4: `received` and
/// `rport` tell where a request came from, and its answer goes there, by the socket it came to.
#[test]
fn corner_27_branches_are_unique_and_answers_go_where_the_request_came_from() {
    const SECOND: &str = "203.0.113.11:5060";
    let mut world = World::with_listeners(sales(), &[SWITCHBOARD, SECOND]);
    scripted_phones(&mut world, 3);
    let mut ids = BTreeSet::new();
    for name in ["first", "second"] {
        let mut caller = from_trunk(name);
        caller.address = "10.0.0.1:5062".to_owned();
        world.say_to(SECOND, "192.0.2.1:40000", &caller.request("INVITE", "", ""));
        assert_eq!(world.expect("192.0.2.1:40000", "SIP/2.0 100").from, address(SECOND));
        for at in [ASHA, RAVI, MINA] {
            let rung = world.expect(at, "INVITE");
            assert!(branch(&rung).starts_with("z9hG4bK"));
            assert!(ids.insert(branch(&rung)), "another one each time");
            let via = &rung.headers("Via")[1];
            assert!(via.contains("received=192.0.2.1") && via.contains("rport=40000"), "{via}");
            world.say(at, &respond(&rung, "486 Busy Here", "t", "", ""));
        }
        let failure = world.expect("192.0.2.1:40000", "SIP/2.0 4");
        assert_eq!(failure.from, address(SECOND));
        world.say_to(SECOND, "192.0.2.1:40000", &caller.ack_failure(&failure));
    }
    // Without rport: to the port that sent-by names (RFC 3261 §18.2.2).
    let mut caller = from_trunk("plain");
    caller.address = "10.0.0.1:5062".to_owned();
    world.say("192.0.2.1:40000", &caller.request("INVITE", "", "").replace(";rport", ""));
    world.expect("192.0.2.1:5062", "SIP/2.0 100");
    for at in [ASHA, RAVI, MINA] {
        let rung = world.expect(at, "INVITE");
        assert!(!rung.headers("Via")[1].contains("rport"));
        world.say(at, &respond(&rung, "486 Busy Here", "t", "", ""));
    }
    let failure = world.expect("192.0.2.1:5062", "SIP/2.0 4");
    world.say("192.0.2.1:40000", &caller.ack_failure(&failure).replace(";rport", ""));
    world.end();
}

/// RFC 3261 §18.1.1: a request of more than 1300 bytes is to go by a transport with congestion control, if there is
/// one. There is none here (`docs/choices.md`), so it goes by UDP, whole, with nothing cut off.
#[test]
fn corner_28_a_large_request_leaves_whole_by_udp_where_there_is_nothing_else() {
    let mut world = phones(sales(), 1);
    let body = format!("{BODY}{}", "a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\n".repeat(60));
    let mut caller = from_trunk("large");
    world.say(TRUNK, &caller.request("INVITE", "", &body));
    let rung = world.expect(ASHA, "INVITE");
    assert!(rung.bytes.len() > 1300);
    assert!(rung.text().ends_with(&format!("\r\n\r\n{body}")));
    world.say(ASHA, &respond(&rung, "486 Busy Here", "t", "", ""));
    fail(&mut world, &mut caller);
    let mut caller = talking(&mut world, "large-too");
    world.say(TRUNK, &caller.request("INFO", "", &body));
    let seen = world.expect(ASHA, "INFO");
    assert!(seen.text().ends_with(&format!("\r\n\r\n{body}")));
    world.say(ASHA, &respond(&seen, "200 OK", "", "", ""));
    over(world, caller);
}
