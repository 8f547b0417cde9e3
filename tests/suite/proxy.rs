//! RFC 3261 §16 over the whole engine: what is forwarded, what it looks like on the other side, and what is refused. The
//! numbers are those of the project's list of RFC corner cases.

use switchboard::config::Config;
use switchboard::engine::Input;
use switchboard::peer::{Behaviour, CallEvent};

use super::companies::{MACHINE, acme, one_company};
use super::script::{
    ASHA, BODY, MINA, Party, RAVI, TRUNK, address, branch, from_trunk, hang_up, register, respond, seconds, talk,
};
use super::world::{SWITCHBOARD, Seen, World, configuration};

const V6: &str = "[2001:db8::10]:5060";

/// Sales rings everybody at once for 20 s.
fn sales() -> Config {
    one_company(
        "[departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nring = \"20s\"\n",
        &[("221", ""), ("222", ""), ("223", "")],
    )
}

/// Registers that many phones (221, 222, 223), which the test plays from then on.
pub fn scripted_phones(world: &mut World, count: usize) {
    for (name, extension, at) in
        [("asha", "221", ASHA), ("ravi", "222", RAVI), ("mina", "223", MINA)].iter().take(count)
    {
        world.phone(name, extension, "acme.example", Behaviour::ring_only());
        world.take_over(at);
    }
}

fn one_phone() -> World {
    let mut world = World::new(sales());
    scripted_phones(&mut world, 1);
    world
}

/// The caller's INVITE, sent, and as the phone sees it.
fn ring(world: &mut World, caller: &mut Party, extra: &str, body: &str) -> Seen {
    let invite = caller.request("INVITE", extra, body);
    world.say(TRUNK, &invite);
    world.expect(ASHA, "INVITE")
}

/// Asha refuses, the trunk hears a failure and acknowledges it.
fn refuse(world: &mut World, caller: &mut Party, rung: &Seen) {
    world.say(ASHA, &respond(rung, "486 Busy Here", "no", "", ""));
    world.expect(ASHA, "ACK");
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    world.say(TRUNK, &caller.ack_failure(&failure));
}

/// Route values without the parameter that names the call.
fn plain(routes: &[String]) -> Vec<String> {
    let value = |route: &String| match route.split_once(";call=") {
        Some((before, after)) => format!("{before}{}", after.trim_start_matches(|digit: char| digit.is_ascii_digit())),
        None => route.clone(),
    };
    routes.iter().map(value).collect()
}

/// All but the lines whose names are given, in order.
fn without(text: &str, names: &[&str]) -> Vec<String> {
    text.split("\r\n")
        .skip(1)
        .filter(|line| !names.iter().any(|name| line.to_ascii_lowercase().starts_with(&format!("{name}:"))))
        .map(str::to_owned)
        .collect()
}

// ---- transactions as the network sees them (1–18) ---------------------------------------------------------------------

#[test]
fn a_hundred_callers_at_once_all_hear_100_at_once() {
    // 5; RFC 3261 §17.2.1: 100 "within 200 ms".
    let mut world = World::new(sales());
    world.trunk("airtel", TRUNK);
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    let calls: Vec<_> = (0..100).map(|_| world.call("airtel", "+918041234567", "+919811112222")).collect();
    world.pass(std::time::Duration::from_millis(5));
    for call in calls {
        let first = world.call_events("airtel", call).into_iter().next();
        assert_eq!(first, Some(CallEvent::Progress { status: 100, to_tag: None }));
    }
    assert_eq!(world.phone_mut("asha").times_rung(), 1);
    world.end();
}

#[test]
fn a_copy_of_an_invite_that_rings_gets_the_last_provisional_again() {
    // 6; RFC 3261 §17.2.1: "If a request retransmission is received while in the "Proceeding" state, the most recent
    // provisional response … MUST be passed to the transport layer".
    let mut world = one_phone();
    let mut caller = from_trunk("copy");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    world.say(TRUNK, &invite);
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 100 Trying", "SIP/2.0 100 Trying"]);
    let rung = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    world.say(TRUNK, &invite);
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 180 Ringing", "SIP/2.0 180 Ringing"]);
    world.expect_no(ASHA, "INVITE");
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

#[test]
fn every_copy_of_a_2xx_is_forwarded_and_copies_of_the_invite_are_absorbed() {
    // 9, 10; RFC 6026 §7.1, §7.2.
    let mut world = one_phone();
    let mut caller = from_trunk("twice");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    let mut callee = Party::callee(ASHA, &rung, "t");
    let ok = respond(&rung, "200 OK", "t", &format!("Contact: <sip:a@{ASHA}>\r\n"), BODY);
    world.heard(TRUNK);
    for _ in 0..3 {
        world.say(ASHA, &ok);
    }
    let heard = world.heard(TRUNK);
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|seen| seen.bytes == heard[0].bytes && seen.first_line() == "SIP/2.0 200 OK"));
    world.say(TRUNK, &invite);
    assert!(world.lines(TRUNK).is_empty(), "absorbed");
    assert!(world.lines(ASHA).is_empty(), "and the phone is not rung again");
    caller.learn(&heard[0]);
    let ack = caller.ack();
    world.say(TRUNK, &ack);
    world.say(TRUNK, &ack);
    let acks = world.heard(ASHA);
    assert_eq!(acks.len(), 2, "each copy of the ACK goes on");
    assert_eq!(acks[0].bytes, acks[1].bytes, "§16.11: by the same branch");
    world.say(ASHA, &ok);
    world.expect(TRUNK, "SIP/2.0 200");
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn responses_that_belong_to_nothing_are_dropped() {
    // 11, 44; RFC 6026 §8.10, RFC 3261 §18.1.2.
    let mut world = one_phone();
    let mut caller = from_trunk("stray");
    let rung = ring(&mut world, &mut caller, "", "");
    world.heard(TRUNK);
    let ok = respond(&rung, "200 OK", "t", "", "");
    let ours = branch(&rung);
    let unknown = format!("z9hG4bK{:024x}", 12345);
    world.say(ASHA, &ok.replacen(&ours, &unknown, 1));
    // RFC 3261 §17.1.3: the branch is the same as a whole, not in its first part.
    let (same, last) = ours.split_at(ours.len() - 1);
    let other = format!("{same}{}", if last == "0" { "1" } else { "0" });
    world.say(ASHA, &ok.replacen(&ours, &other, 1));
    world.say(ASHA, &respond(&rung, "486 Busy Here", "t", "", "").replacen(&ours, &other, 1));
    world.expect_no(ASHA, "ACK");
    world.say(ASHA, &ok.replacen(SWITCHBOARD, "203.0.113.99:5060", 1));
    world.say(ASHA, &ok.replace("INVITE\r\n", "CANCEL\r\n"));
    assert!(world.lines(TRUNK).is_empty());
    assert_eq!(world.busy(), ["221@acme ringing"]);
    refuse(&mut world, &mut caller, &rung);
    // The branch is over: even its own 2xx comes too late.
    world.pass(seconds(60));
    world.heard(TRUNK);
    world.say(ASHA, &ok);
    assert!(world.lines(TRUNK).is_empty());
    world.end();
}

#[test]
fn a_branch_is_the_same_in_capital_letters() {
    // RFC 3261 §7.3.1: parameter values are compared without regard to case.
    let mut world = one_phone();
    let mut caller = from_trunk("capitals");
    let rung = ring(&mut world, &mut caller, "", "");
    let (ours, busy) = (branch(&rung), respond(&rung, "486 Busy Here", "t", "", ""));
    let capitals = format!("z9hG4bK{}", ours.strip_prefix("z9hG4bK").unwrap().to_ascii_uppercase());
    world.say(ASHA, &busy.replacen(&ours, &capitals, 1));
    world.expect(ASHA, "ACK");
    assert!(world.busy().is_empty());
    let failed = world.expect(TRUNK, "SIP/2.0 4");
    let ack = caller.ack_failure(&failed);
    world.say(TRUNK, &ack);
    world.end();
}

#[test]
fn a_request_that_came_by_two_ways_is_served_once() {
    // 15; RFC 3261 §8.2.2.2: 482.
    let mut world = one_phone();
    let mut caller = from_trunk("merged");
    let rung = ring(&mut world, &mut caller, "", "");
    let again = caller.request_with("INVITE", 1, "", "");
    world.say(TRUNK, &again);
    let loop_detected = world.expect(TRUNK, "SIP/2.0 482 Loop Detected");
    world.say(TRUNK, &caller.ack_failure(&loop_detected));
    world.expect_no(ASHA, "INVITE");
    assert_eq!(world.busy(), ["221@acme ringing"]);
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

#[test]
fn a_non_invite_gets_no_408_and_its_late_answer_is_swallowed() {
    // 16, 17; RFC 4320 §4.1, §4.2.
    let mut world = one_phone();
    let (mut caller, _) = talk(&mut world, "late", ASHA, "");
    let info = caller.request("INFO", "", "");
    world.say(TRUNK, &info);
    let seen = world.expect(ASHA, "INFO");
    world.heard(TRUNK);
    world.pass(seconds(40));
    let lines = world.lines(TRUNK);
    assert!(lines.iter().all(|line| line == "SIP/2.0 100 Trying"), "{lines:?}");
    world.say(ASHA, &respond(&seen, "200 OK", "", "", ""));
    assert!(world.lines(TRUNK).is_empty());
    assert_eq!(world.busy(), ["221@acme on-call"], "the call goes on");
    world.heard(ASHA);
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

// ---- what may be forwarded (19–22, 42, 43) ------------------------------------------------------------------------------

#[test]
fn hops_are_counted() {
    // 19; RFC 3261 §16.3 item 3, §16.6 item 3.
    let mut world = one_phone();
    let mut caller = from_trunk("hops");
    let spent = caller.request("INVITE", "Max-Forwards: 0\r\n", "");
    world.say(TRUNK, &spent);
    let refused = world.expect(TRUNK, "SIP/2.0 483 Too Many Hops");
    world.say(TRUNK, &caller.ack_failure(&refused));
    let mut caller = from_trunk("one-hop");
    let rung = ring(&mut world, &mut caller, "Max-Forwards: 1\r\n", "");
    assert_eq!(rung.headers("Max-Forwards"), ["0"]);
    refuse(&mut world, &mut caller, &rung);
    let mut caller = from_trunk("no-hops");
    let invite = caller.request("INVITE", "", "").replace("Max-Forwards: 70\r\n", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    assert_eq!(rung.headers("Max-Forwards"), ["70"]);
    refuse(&mut world, &mut caller, &rung);
    let mut caller = Party::caller(TRUNK, "ping", "sip:203.0.113.10");
    let ping = caller.request("OPTIONS", "Max-Forwards: 0\r\n", "");
    world.say(TRUNK, &ping);
    world.expect(TRUNK, "SIP/2.0 200");
    world.end();
}

#[test]
fn unknown_schemes_and_extensions_are_refused_by_name() {
    // 20, 21; RFC 3261 §16.3 items 2 and 5.
    let mut world = one_phone();
    let mut caller = Party::caller(TRUNK, "scheme", "nobodyknows:thisscheme");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let refused = world.expect(TRUNK, "SIP/2.0 416");
    world.say(TRUNK, &caller.ack_failure(&refused));
    let mut caller = from_trunk("extension");
    let invite = caller.request("INVITE", "Proxy-Require: privacy, foo\r\n", "");
    world.say(TRUNK, &invite);
    let refused = world.expect(TRUNK, "SIP/2.0 420 Bad Extension");
    assert_eq!(refused.headers("Unsupported"), ["privacy, foo"]);
    world.say(TRUNK, &caller.ack_failure(&refused));
    world.expect_no(ASHA, "INVITE");
    world.end();
}

#[test]
fn what_a_strict_router_did_is_undone() {
    // 22; RFC 3261 §16.4: the Request-URI holds our Record-Route value, the target is the last Route value.
    let mut world = one_phone();
    let (mut caller, _) = talk(&mut world, "strict", ASHA, "");
    let target = std::mem::replace(&mut caller.target, format!("sip:{SWITCHBOARD};lr"));
    caller.routes = vec![format!("<{target}>")];
    let bye = caller.request("BYE", "", "");
    world.say(TRUNK, &bye);
    let bye = world.expect(ASHA, "BYE");
    assert_eq!(bye.first_line(), format!("BYE {target} SIP/2.0"));
    assert!(bye.headers("Route").is_empty());
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    world.end();
}

/// Sales has nobody: its calls go out again by the trunk.
fn outward() -> World {
    World::new(one_company(
        "[numbers.\"+918041234568\"]\nroutes = [ { to = \"user:221\" } ]\n\n\
         [departments.sales]\nmembers = []\noverflow = { default = \"external:+919800000000\" }\n",
        &[("221", "")],
    ))
}

/// The INVITE as a proxy of the trunk's sends it back: one more Via, one hop less, another Request-URI.
fn sent_back(seen: &Seen, uri: &str, via: &str) -> String {
    let (line, rest) = seen.text().split_once("\r\n").map(|(line, rest)| (line.to_owned(), rest.to_owned())).unwrap();
    let method = line.split(' ').next().unwrap();
    let uri = if uri.is_empty() { line.split(' ').nth(1).unwrap() } else { uri };
    let own_route = format!("Route: <sip:{TRUNK};lr>\r\n");
    format!("{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK};branch=z9hG4bK-{via};rport\r\n{rest}")
        .replace(&own_route, "")
}

/// The response without its topmost Via, as that proxy passes it on.
fn passed_on(seen: &Seen) -> String {
    let text = seen.text();
    let start = text.find("Via:").unwrap();
    let end = start + text[start..].find("\r\n").unwrap() + 2;
    format!("{}{}", &text[..start], &text[end..])
}

#[test]
fn a_request_that_comes_back_unchanged_is_a_loop() {
    // 42; RFC 3261 §16.3 item 4, RFC 5393 §4.2.
    let mut world = outward();
    let mut caller = from_trunk("loop");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let out = world.expect(TRUNK, "INVITE sip:+919800000000@");
    world.say(TRUNK, &sent_back(&out, &caller.target, "loop"));
    let refused = world.expect(TRUNK, "SIP/2.0 482 Loop Detected");
    assert_eq!(refused.headers("Via").len(), 3);
    let ack = sent_back(&out, &caller.target, "loop").replace("INVITE", "ACK");
    world.say(TRUNK, &ack);
    world.say(TRUNK, &passed_on(&refused));
    world.expect(TRUNK, "ACK");
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.end();
}

#[test]
fn a_request_that_comes_back_for_another_number_is_a_spiral_and_its_whole_call_works() {
    // 42; RFC 3261 §6 "Spiral": "this is not an error condition". The dialog runs through us twice.
    let mut world = outward();
    scripted_phones(&mut world, 1);
    let mut caller = from_trunk("spiral");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let out = world.expect(TRUNK, "INVITE sip:+919800000000@");
    // The trunk's proxy record-routes, and forwards the number to one of ours.
    let back = sent_back(&out, "sip:+918041234568@203.0.113.10", "spiral").replacen(
        "Record-Route:",
        &format!("Record-Route: <sip:{TRUNK};lr>\r\nRecord-Route:"),
        1,
    );
    world.say(TRUNK, &back);
    let rung = world.expect(ASHA, "INVITE");
    assert_eq!(rung.headers("Via").len(), 4);
    let branches: std::collections::BTreeSet<String> =
        rung.headers("Via").iter().map(|via| via.split("branch=").nth(1).unwrap().to_owned()).collect();
    assert_eq!(branches.len(), 4, "27: a branch of its own for every pass");
    let mut callee = Party::callee(ASHA, &rung, "inner");
    assert_eq!(callee.routes.len(), 3);
    world.say(ASHA, &respond(&rung, "200 OK", "inner", &format!("Contact: <sip:phone@{ASHA}>\r\n"), ""));
    let inner = world.expect(TRUNK, "SIP/2.0 200");
    assert_eq!(inner.headers("Via").len(), 3);
    world.say(TRUNK, &passed_on(&inner));
    let outer = world.expect(TRUNK, "SIP/2.0 200");
    assert_eq!(outer.headers("Via").len(), 1);
    caller.learn(&outer);

    world.say(TRUNK, &caller.ack());
    let ack = world.expect(TRUNK, "ACK");
    world.say(TRUNK, &sent_back(&ack, "", "spiral-ack"));
    world.expect(ASHA, "ACK");
    world.expect_no(TRUNK, "ACK");
    world.pass(seconds(40));
    assert_eq!(world.busy(), ["221@acme on-call"], "both passes saw the ACK");

    world.heard(TRUNK);
    let bye = callee.request("BYE", "", "");
    world.say(ASHA, &bye);
    let first = world.expect(TRUNK, "BYE");
    world.say(TRUNK, &sent_back(&first, "", "spiral-bye"));
    let second = world.expect(TRUNK, "BYE");
    assert_eq!(second.headers("Via").len(), 4);
    world.say(TRUNK, &respond(&second, "200 OK", "", "", ""));
    let ok = world.expect(TRUNK, "SIP/2.0 200");
    world.say(TRUNK, &passed_on(&ok));
    world.expect(ASHA, "SIP/2.0 200");
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn no_more_branches_than_max_breadth_allows() {
    // 43; RFC 5393 §5.3.3.
    let mut world = World::new(sales());
    scripted_phones(&mut world, 3);
    let mut caller = from_trunk("breadth");
    let rung = ring(&mut world, &mut caller, "Max-Breadth: 2\r\n", "");
    let second = world.expect(RAVI, "INVITE");
    world.expect_no(MINA, "INVITE");
    assert_eq!(rung.headers("Max-Breadth"), ["1"]);
    assert_eq!(second.headers("Max-Breadth"), ["1"]);
    world.say(RAVI, &respond(&second, "486 Busy Here", "r", "", ""));
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

// ---- what the copy looks like (23–27, 46) -------------------------------------------------------------------------------

#[test]
fn what_is_not_ours_to_change_leaves_byte_for_byte_and_in_order() {
    // 26; RFC 3261 §16.6: "The proxy … MUST NOT add to, modify, or remove" the body; unknown fields pass.
    const STRANGE: &str = "X-One:  two  spaces \r\nSUBJECT: Caf\u{e9}\r\nx-folded: a\r\n  b\r\nAllow: INVITE\r\n\
                           Geolocation: <cid:x>\r\nSupported: 100rel , timer\r\nX-One: again\r\nAccept:\r\n\
                           P-Asserted-Identity: <tel:+919811112222>\r\nContent-Type: application/sdp\r\n";
    const CHANGED: [&str; 6] = ["via", "max-forwards", "record-route", "route", "max-breadth", "content-length"];
    let mut world = one_phone();
    let mut caller = from_trunk("bytes");
    let body = "v=0\r\n\r\n\0\u{1}binary\r\n ";
    let invite = caller.request("INVITE", STRANGE, body);
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    assert_eq!(without(&rung.text(), &CHANGED), without(&invite, &CHANGED));
    assert_eq!(rung.headers("Content-Length"), [body.len().to_string()]);
    let answer = respond(&rung, "183 Session Progress", "t", STRANGE, body);
    world.say(ASHA, &answer);
    let heard = world.expect(TRUNK, "SIP/2.0 183 Session Progress");
    assert_eq!(without(&heard.text(), &["via"]), without(&answer, &["via"]));
    assert_eq!(heard.headers("Via").len(), 1);
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

#[test]
fn one_record_route_leaves_and_our_own_route_is_popped_both_ways() {
    // 23, 25; RFC 3261 §16.4, §16.6 item 4.
    let mut world = one_phone();
    let (mut caller, mut callee) = talk(&mut world, "routes", ASHA, "");
    assert_eq!(plain(&callee.routes), [format!("<sip:{SWITCHBOARD};lr>")]);
    assert_eq!(caller.routes, callee.routes);
    for (from, to, party) in [(TRUNK, ASHA, &mut caller), (ASHA, TRUNK, &mut callee)] {
        let info = party.request("INFO", "", BODY);
        world.say(from, &info);
        let seen = world.expect(to, &format!("INFO {}", party.target));
        assert!(seen.headers("Route").is_empty());
        assert!(seen.headers("Record-Route").is_empty());
        assert!(seen.text().ends_with(BODY));
        world.say(to, &respond(&seen, "200 OK", "", "", ""));
        world.expect(from, "SIP/2.0 200");
    }
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn between_ipv4_and_ipv6_each_side_gets_the_address_it_can_reach() {
    // 25; RFC 5658 §3: two Record-Route values where the request changes sockets.
    let phone = "[2001:db8::221]:5060";
    let mut world = World::with_listeners(sales(), &[SWITCHBOARD, V6]);
    register(&mut world, V6, phone, &format!("sip:221@{phone}"), "221", "six", 1);
    let mut caller = from_trunk("six");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(phone, "INVITE");
    assert_eq!(rung.from, address(V6));
    assert!(rung.headers("Via")[0].contains(V6), "{:?}", rung.headers("Via"));
    let mut callee = Party::callee(phone, &rung, "t");
    assert_eq!(
        plain(&callee.routes),
        [format!("<sip:{V6};lr>"), format!("<sip:{SWITCHBOARD};lr>")],
        "the nearer on top"
    );
    world.say_to(V6, phone, &respond(&rung, "200 OK", "t", &format!("Contact: <sip:221@{phone}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    assert_eq!(answer.from, address(SWITCHBOARD));
    caller.learn(&answer);
    assert_eq!(plain(&caller.routes)[0], format!("<sip:{SWITCHBOARD};lr>"));
    world.say(TRUNK, &caller.ack());
    let ack = world.expect(phone, "ACK");
    assert!(ack.headers("Route").is_empty(), "both values are ours");
    let info = callee.request("INFO", "", "");
    world.say_to(V6, phone, &info);
    let seen = world.expect(TRUNK, "INFO");
    assert_eq!(seen.from, address(SWITCHBOARD));
    assert!(seen.headers("Route").is_empty());
    world.say(TRUNK, &respond(&seen, "200 OK", "", "", ""));
    world.expect(phone, "SIP/2.0 200");
    let bye = caller.request("BYE", "", "");
    world.say(TRUNK, &bye);
    let bye = world.expect(phone, "BYE");
    assert_eq!(bye.from, address(V6));
    world.say_to(V6, phone, &respond(&bye, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn an_ipv6_trunk_calls_an_ipv4_phone() {
    let trunk = "[2001:db8:a::1]:5060";
    let machine = MACHINE.replace("sources = [\"192.0.2.0/28\"]", "sources = [\"192.0.2.0/28\", \"2001:db8:a::/64\"]");
    let users = [("221", "")];
    let config = configuration(&machine, &[("acme", &acme("[departments.sales]\nmembers = [\"221\"]\n", &users))]);
    let mut world = World::with_listeners(config, &[SWITCHBOARD, V6]);
    scripted_phones(&mut world, 1);
    let mut caller = Party::caller(trunk, "v6", &format!("sip:08041234567@{V6}"));
    let invite = caller.request("INVITE", "", "");
    world.say_to(V6, trunk, &invite);
    let rung = world.expect(ASHA, "INVITE");
    let mut callee = Party::callee(ASHA, &rung, "t");
    assert_eq!(plain(&callee.routes), [format!("<sip:{SWITCHBOARD};lr>"), format!("<sip:{V6};lr>")]);
    world.say(ASHA, &respond(&rung, "200 OK", "t", &format!("Contact: <sip:221@{ASHA}>\r\n"), ""));
    let answer = world.expect(trunk, "SIP/2.0 200");
    assert_eq!(answer.from, address(V6));
    caller.learn(&answer);
    world.say_to(V6, trunk, &caller.ack());
    world.expect(ASHA, "ACK");
    hang_up(&mut world, &mut callee, trunk);
    world.end();
}

#[test]
fn a_trunk_whose_contact_is_of_the_other_family_is_reached_from_that_familys_socket() {
    // 25: "right address per side". The trunk talks IPv4 and wants its requests on IPv6.
    let machine = MACHINE.replace("sources = [\"192.0.2.0/28\"]", "sources = [\"192.0.2.0/28\", \"2001:db8:a::/64\"]");
    let config =
        configuration(&machine, &[("acme", &acme("[departments.sales]\nmembers = [\"221\"]\n", &[("221", "")]))]);
    let mut world = World::with_listeners(config, &[SWITCHBOARD, V6]);
    scripted_phones(&mut world, 1);
    let (_, mut callee) = talk(&mut world, "families", ASHA, "");
    let six = "[2001:db8:a::7]:5060";
    callee.target = format!("sip:me@{six}");
    let bye = callee.request("BYE", "", "");
    world.say(ASHA, &bye);
    let bye = world.expect(six, "BYE");
    assert_eq!(bye.from, address(V6));
    world.say_to(V6, six, &respond(&bye, "200 OK", "", "", ""));
    world.expect(ASHA, "SIP/2.0 200");
    world.end();
}

#[test]
fn responses_go_where_rfc_3581_says() {
    // 27; RFC 3581 §4, RFC 3261 §18.2.2.
    let mut world = one_phone();
    let mut caller = from_trunk("nat");
    caller.address = "10.0.0.1:5062".to_owned();
    let invite = caller.request("INVITE", "", "");
    world.say("192.0.2.1:40000", &invite);
    world.expect("192.0.2.1:40000", "SIP/2.0 100");
    let rung = world.expect(ASHA, "INVITE");
    let vias = rung.headers("Via");
    assert!(vias[1].contains("received=192.0.2.1") && vias[1].contains("rport=40000"), "{vias:?}");
    let cancel = caller.cancel("");
    world.say("192.0.2.1:40000", &cancel);
    let failure = world.expect("192.0.2.1:40000", "SIP/2.0 487");
    world.say("192.0.2.1:40000", &caller.ack_failure(&failure));
    world.say(ASHA, &respond(&rung, "486 Busy Here", "t", "", ""));

    let mut caller = from_trunk("plain");
    caller.address = "10.0.0.1:5062".to_owned();
    let invite = caller.request("INVITE", "", "").replace(";rport", "");
    world.say("192.0.2.1:40000", &invite);
    world.expect("192.0.2.1:5062", "SIP/2.0 100");
    let rung = world.expect(ASHA, "INVITE");
    let vias = rung.headers("Via");
    assert!(vias[1].contains("received=192.0.2.1") && !vias[1].contains("rport"), "{vias:?}");
    world.say(ASHA, &respond(&rung, "486 Busy Here", "t", "", ""));
    let failure = world.expect("192.0.2.1:5062", "SIP/2.0 480");
    world.say("192.0.2.1:40000", &caller.ack_failure(&failure).replace(";rport", ""));
    world.end();
}

#[test]
fn reliable_provisionals_and_updates_run_both_ways_in_early_dialogs() {
    // 46; RFC 3262, RFC 3311, RFC 4028.
    let mut world = one_phone();
    let mut caller = from_trunk("early");
    let extra = "Supported: 100rel, timer\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n";
    let rung = ring(&mut world, &mut caller, extra, "");
    for (name, value) in [("Supported", "100rel, timer"), ("Session-Expires", "1800;refresher=uac"), ("Min-SE", "90")] {
        assert_eq!(rung.headers(name), [value]);
    }
    let mut callee = Party::callee(ASHA, &rung, "e");
    let extra = format!("Require: 100rel\r\nRSeq: 7\r\nContact: <sip:phone@{ASHA}>\r\n");
    world.say(ASHA, &respond(&rung, "183 Session Progress", "e", &extra, ""));
    let progress = world.expect(TRUNK, "SIP/2.0 183");
    assert_eq!(progress.headers("RSeq"), ["7"]);
    assert_eq!(progress.headers("Require"), ["100rel"]);
    caller.learn(&progress);
    let prack = caller.request("PRACK", "RAck: 7 1 INVITE\r\n", "");
    world.say(TRUNK, &prack);
    let prack = world.expect(ASHA, "PRACK");
    assert_eq!(prack.headers("RAck"), ["7 1 INVITE"]);
    world.say(ASHA, &respond(&prack, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    for (from, to, party) in [(TRUNK, ASHA, &mut caller), (ASHA, TRUNK, &mut callee)] {
        let update = party.request("UPDATE", "", BODY);
        world.say(from, &update);
        let seen = world.expect(to, "UPDATE");
        world.say(to, &respond(&seen, "200 OK", "", "", ""));
        world.expect(from, "SIP/2.0 200");
    }
    // A request of a stranger's inside the early dialog goes nowhere.
    let spoofed = caller.request("UPDATE", "", "");
    world.say("198.51.100.66:5060", &spoofed);
    world.expect_no(ASHA, "UPDATE");
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

// ---- forks (29) ---------------------------------------------------------------------------------------------------------

#[test]
fn provisionals_with_several_tags_go_up_and_100_does_not() {
    // 29; RFC 3261 §16.7 item 5: "any provisional response except 100".
    let mut world = one_phone();
    let mut caller = from_trunk("tags");
    let rung = ring(&mut world, &mut caller, "", "");
    world.heard(TRUNK);
    world.say(ASHA, &respond(&rung, "100 Trying", "", "", ""));
    world.say(ASHA, &respond(&rung, "180 Ringing", "one", "", ""));
    world.say(ASHA, &respond(&rung, "183 Session Progress", "two", "", ""));
    world.say(ASHA, &respond(&rung, "180 Ringing", "", "", ""));
    let heard = world.heard(TRUNK);
    let tags: Vec<String> = heard.iter().map(|seen| seen.header("To").unwrap()).collect();
    assert_eq!(heard.len(), 3, "{tags:?}");
    assert!(tags[0].ends_with("tag=one") && tags[1].ends_with("tag=two") && !tags[2].contains("tag="), "{tags:?}");
    // One of the early dialogs answers; the other is over with it.
    world.say(ASHA, &respond(&rung, "200 OK", "two", &format!("Contact: <sip:a@{ASHA}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    world.expect(ASHA, "ACK");
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

// ---- CANCEL (35–38) and Timer C (33, 34) --------------------------------------------------------------------------------

#[test]
fn a_cancel_is_held_back_until_the_phone_has_said_something() {
    // 35; RFC 3261 §9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent".
    let mut world = one_phone();
    let mut caller = from_trunk("held");
    let rung = ring(&mut world, &mut caller, "", "");
    world.heard(TRUNK);
    let cancel = caller.cancel("Reason: Q.850;cause=16\r\n");
    world.say(TRUNK, &cancel);
    let heard = world.heard(TRUNK);
    let mut lines: Vec<String> = heard.iter().map(Seen::first_line).collect();
    lines.sort();
    assert_eq!(lines, ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"], "R-7.6: at once");
    let failure = heard.into_iter().find(|seen| seen.first_line().contains("487")).unwrap();
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.expect_no(ASHA, "CANCEL");
    assert_eq!(world.busy(), ["221@acme ringing"], "it may ring yet");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    let cancel = world.expect(ASHA, "CANCEL");
    assert_eq!(branch(&cancel), branch(&rung));
    assert_eq!(cancel.headers("Reason"), ["Q.850;cause=16"]);
    world.expect_no(TRUNK, "SIP/2.0 180");
    world.say(ASHA, &respond(&cancel, "200 OK", "a", "", ""));
    world.say(ASHA, &respond(&rung, "487 Request Terminated", "a", "", ""));
    world.expect(ASHA, "ACK");
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn a_branch_is_dead_64_t1_after_its_cancel() {
    // 35; RFC 3261 §9.1: "SHOULD then consider the original transaction cancelled"; R-7.1.
    let mut world = one_phone();
    let mut caller = from_trunk("dead");
    let rung = ring(&mut world, &mut caller, "", "");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    let cancel = caller.cancel("");
    world.say(TRUNK, &cancel);
    let failure = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.expect(ASHA, "CANCEL");
    world.pass(seconds(31));
    assert_eq!(world.busy(), ["221@acme ringing"]);
    world.pass(seconds(2));
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn only_branches_that_still_ring_are_cancelled() {
    // 35; RFC 3261 §16.10: CANCEL for "all pending client transactions".
    let mut world = World::new(sales());
    scripted_phones(&mut world, 2);
    let mut caller = from_trunk("pending");
    let asha = ring(&mut world, &mut caller, "", "");
    let ravi = world.expect(RAVI, "INVITE");
    world.say(ASHA, &respond(&asha, "486 Busy Here", "a", "", ""));
    world.expect(ASHA, "ACK");
    world.say(RAVI, &respond(&ravi, "180 Ringing", "r", "", ""));
    let cancel = caller.cancel("");
    world.say(TRUNK, &cancel);
    let failure = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.expect_no(ASHA, "CANCEL");
    let cancel = world.expect(RAVI, "CANCEL");
    world.say(RAVI, &respond(&cancel, "200 OK", "r", "", ""));
    world.say(RAVI, &respond(&ravi, "487 Request Terminated", "r", "", ""));
    world.end();
}

#[test]
fn a_cancel_for_nothing_is_481_and_one_after_the_answer_changes_nothing() {
    // 36, 37, 38; RFC 3261 §9.2, §16.10.
    let mut world = one_phone();
    let mut caller = from_trunk("nothing");
    let _ = caller.request("INVITE", "", "");
    world.say(TRUNK, &caller.cancel(""));
    world.expect(TRUNK, "SIP/2.0 481");
    assert!(world.lines(ASHA).is_empty());
    // After a 4xx.
    let mut caller = from_trunk("refused");
    let rung = ring(&mut world, &mut caller, "", "");
    world.say(ASHA, &respond(&rung, "486 Busy Here", "a", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 480");
    world.say(TRUNK, &caller.cancel(""));
    world.expect(TRUNK, "SIP/2.0 200");
    world.expect_no(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.expect_no(ASHA, "CANCEL");
    // After a 2xx: it was crossed on the wire, the call stands.
    let mut caller = from_trunk("answered");
    let rung = ring(&mut world, &mut caller, "", "");
    let mut callee = Party::callee(ASHA, &rung, "a");
    world.say(ASHA, &respond(&rung, "200 OK", "a", &format!("Contact: <sip:a@{ASHA}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    world.say(TRUNK, &caller.cancel(""));
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 200 OK"], "of the CANCEL, and no 487");
    world.expect_no(ASHA, "CANCEL");
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    world.expect(ASHA, "ACK");
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn a_cancel_from_elsewhere_is_refused_and_changes_nothing() {
    // Class 14 of the vulnerability list: CANCEL is hop by hop.
    let mut world = one_phone();
    let mut caller = from_trunk("spoofed");
    let rung = ring(&mut world, &mut caller, "", "");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    world.say("198.51.100.66:5060", &caller.cancel(""));
    world.expect("198.51.100.66:5060", "SIP/2.0 403");
    world.expect_no(ASHA, "CANCEL");
    world.expect_no(TRUNK, "SIP/2.0 487");
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// Sales rings for ten minutes: only Timer C ends a branch before.
fn patient() -> World {
    let mut world = World::new(one_company(
        "[departments.sales]\nmembers = [\"221\", \"222\"]\nring = \"10m\"\n",
        &[("221", ""), ("222", "")],
    ));
    scripted_phones(&mut world, 2);
    world
}

#[test]
fn a_long_ring_is_not_cut_short_by_timer_c_and_ends_with_a_refusal_in_hand() {
    // 34, 38; R-5.2: an offer lasts `ring`, on our own clock; RFC 3261 §16.6 item 11: Timer C is longer than 3 minutes.
    let mut world = patient();
    let mut caller = from_trunk("c");
    let asha = ring(&mut world, &mut caller, "", "");
    let ravi = world.expect(RAVI, "INVITE");
    world.say(ASHA, &respond(&asha, "486 Busy Here", "a", "", ""));
    world.say(RAVI, &respond(&ravi, "180 Ringing", "r", "", ""));
    world.pass(seconds(599));
    world.expect_no(RAVI, "CANCEL");
    world.heard(TRUNK);
    world.pass(seconds(2));
    let cancel = world.expect(RAVI, "CANCEL");
    assert!(cancel.headers("Reason").is_empty());
    world.say(RAVI, &respond(&cancel, "200 OK", "r", "", ""));
    assert_eq!(world.busy(), ["222@acme ringing"]);
    world.say(RAVI, &respond(&ravi, "487 Request Terminated", "r", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 480");
    world.say(TRUNK, &caller.ack_failure(&failure));
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn timer_c_ends_a_re_invite_that_rings_for_ever_and_every_provisional_resets_it() {
    // 34; RFC 3261 §16.7 item 2, §16.8.
    let mut world = one_phone();
    let (mut caller, _) = talk(&mut world, "c", ASHA, "");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let seen = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&seen, "180 Ringing", "", "", ""));
    world.pass(seconds(100));
    world.say(ASHA, &respond(&seen, "180 Ringing", "", "", ""));
    world.pass(seconds(179));
    world.expect_no(ASHA, "CANCEL");
    world.pass(seconds(3));
    let cancel = world.expect(ASHA, "CANCEL");
    world.say(ASHA, &respond(&cancel, "200 OK", "", "", ""));
    world.say(ASHA, &respond(&seen, "487 Request Terminated", "", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&failure));
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

#[test]
fn a_branch_that_never_says_anything_counts_as_408() {
    // 33; RFC 3261 §16.7, §16.8: "the proxy MUST behave as if the transaction received a 408".
    let mut world = patient();
    let mut caller = from_trunk("b");
    let _ = ring(&mut world, &mut caller, "", "");
    world.pass(seconds(33));
    world.expect_no(ASHA, "CANCEL");
    let failure = world.expect(TRUNK, "SIP/2.0 480");
    world.say(TRUNK, &caller.ack_failure(&failure));
    assert!(world.busy().is_empty());
    world.end();
}

// ---- ACK, unknown dialogs, broken transports (39–41, 45) ----------------------------------------------------------------

#[test]
fn acks_and_requests_of_no_dialog_go_nowhere() {
    // 40, 41; RFC 3261 §12.2.2, §17.
    let mut world = one_phone();
    let mut caller = from_trunk("none");
    caller.remote.push_str(";tag=nobody");
    caller.cseq = 5;
    world.say(TRUNK, &caller.ack());
    let mut toothless = from_trunk("none");
    world.say(TRUNK, &toothless.ack());
    assert!(world.lines(TRUNK).is_empty(), "an ACK is never answered");
    for method in ["BYE", "INVITE", "INFO", "UPDATE", "PRACK", "REFER", "OPTIONS"] {
        let request = caller.request(method, "", "");
        world.say(TRUNK, &request);
        let refused = world.expect(TRUNK, "SIP/2.0 481");
        if method == "INVITE" {
            world.say(TRUNK, &caller.ack_failure(&refused));
        }
    }
    assert!(world.lines(ASHA).is_empty());
    world.end();
}

#[test]
fn a_copy_that_cannot_be_sent_lets_nobody_go() {
    let mut world = World::new(sales());
    scripted_phones(&mut world, 1);
    let mut caller = from_trunk("copies");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let invite = world.expect(ASHA, "INVITE");
    world.pass(std::time::Duration::from_millis(600));
    world.happen(Input::Undeliverable { bytes: invite.bytes.clone() });
    assert_eq!(world.busy(), ["221@acme ringing"], "the first has arrived, perhaps (R-7.1)");
    world.say(ASHA, &respond(&invite, "180 Ringing", "a", "", ""));
    world.expect(TRUNK, "SIP/2.0 180");
    world.say(TRUNK, &caller.cancel(""));
    world.expect(ASHA, "CANCEL");
    world.say(ASHA, &respond(&invite, "487 Request Terminated", "a", "", ""));
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn a_transport_error_ends_that_branch_as_a_503_would() {
    // 45; RFC 3261 §16.9.
    let mut world = World::new(sales());
    scripted_phones(&mut world, 2);
    let mut caller = from_trunk("icmp");
    let _ = ring(&mut world, &mut caller, "", "");
    let ravi = world.expect(RAVI, "INVITE");
    let lost = |world: &World, to: &str| {
        let invite = world.sent_to(to).into_iter().find(|seen| seen.first_line().starts_with("INVITE"));
        Input::Undeliverable { bytes: invite.expect("it was called").bytes.clone() }
    };
    let input = lost(&world, ASHA);
    world.happen(input);
    assert_eq!(world.busy(), ["222@acme ringing"], "freed at once");
    world.say(RAVI, &respond(&ravi, "200 OK", "r", &format!("Contact: <sip:r@{RAVI}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    world.expect(RAVI, "ACK");
    // In the Accepted state a transport error changes nothing any more (12).
    let input = lost(&world, RAVI);
    world.happen(input);
    assert_eq!(world.busy(), ["222@acme on-call"]);
    hang_up(&mut world, &mut caller, RAVI);
    world.end();
}
