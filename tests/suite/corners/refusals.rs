//! Corners 19–24 and 41–43: what may be forwarded at all, and where Route says (RFC 3261 §16.3, §16.4, RFC 5393).

use std::collections::BTreeSet;

use super::super::companies::one_company;
use super::super::script::{ASHA, MINA, Party, RAVI, TRUNK, branch, from_trunk, respond};
use super::super::world::{SWITCHBOARD, Seen, World};
use super::{fail, over, phones, refuse, ring, sales, talking};

/// RFC 3261 §16.3 item 3: with 0 hops left a request is answered 483, but an OPTIONS may be answered by whom it has
/// reached; §16.6 item 3: else one hop less, and 70 where there was no field.
#[test]
fn corner_19_the_last_hop_is_refused_and_a_missing_count_is_70() {
    let mut world = phones(sales(), 1);
    for (name, hops, left) in
        [("spent", "Max-Forwards: 0\r\n", None), ("one", "Max-Forwards: 1\r\n", Some("0")), ("none", "", Some("70"))]
    {
        let mut caller = from_trunk(name);
        let invite = caller.request("INVITE", hops, "");
        let invite = if hops.is_empty() { invite.replace("Max-Forwards: 70\r\n", "") } else { invite };
        world.say(TRUNK, &invite);
        match left {
            None => {
                let refused = world.expect(TRUNK, "SIP/2.0 483 Too Many Hops");
                world.say(TRUNK, &caller.ack_failure(&refused));
                world.expect_no(ASHA, "INVITE");
            }
            Some(left) => {
                let rung = world.expect(ASHA, "INVITE");
                assert_eq!(rung.headers("Max-Forwards"), [left]);
                refuse(&mut world, &mut caller, &rung);
            }
        }
    }
    let mut caller = Party::caller(TRUNK, "ping", "sip:203.0.113.10");
    world.say(TRUNK, &caller.request("OPTIONS", "Max-Forwards: 0\r\n", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    world.end();
}

/// RFC 3261 §16.3 item 2: a Request-URI of a scheme that cannot be routed is 416.
#[test]
fn corner_20_an_unknown_scheme_is_416() {
    let mut world = phones(sales(), 1);
    let mut caller = Party::caller(TRUNK, "scheme", "nobodyknows:thisscheme");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let refused = world.expect(TRUNK, "SIP/2.0 416 Unsupported URI Scheme");
    world.say(TRUNK, &caller.ack_failure(&refused));
    world.expect_no(ASHA, "INVITE");
    world.end();
}

/// RFC 3261 §16.3 item 5: an option in Proxy-Require that a proxy does not know is 420, with those options in
/// Unsupported. Require is for the other end.
#[test]
fn corner_21_an_unknown_proxy_require_is_420_and_named() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("extension");
    world.say(TRUNK, &caller.request("INVITE", "Proxy-Require: privacy, foo\r\nProxy-Require: bar\r\n", ""));
    let refused = world.expect(TRUNK, "SIP/2.0 420 Bad Extension");
    assert_eq!(refused.headers("Unsupported"), ["privacy, foo, bar"]);
    world.say(TRUNK, &caller.ack_failure(&refused));
    world.expect_no(ASHA, "INVITE");
    let mut caller = from_trunk("require");
    let rung = ring(&mut world, &mut caller, "Require: nothing-known-here\r\n");
    assert_eq!(rung.headers("Require"), ["nothing-known-here"]);
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 3261 §16.4: where a strict router has put our Record-Route value into the Request-URI, the last Route value is
/// the true one, and goes back there.
#[test]
fn corner_22_what_a_strict_router_did_is_undone() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "strict");
    let ours = super::super::script::between(&caller.routes[0]);
    let target = std::mem::replace(&mut caller.target, ours);
    caller.routes = vec![format!("<{target}>")];
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let seen = world.expect(ASHA, "INFO");
    assert_eq!(seen.first_line(), format!("INFO {target} SIP/2.0"));
    assert!(seen.headers("Route").is_empty());
    world.say(ASHA, &respond(&seen, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    over(world, caller);
}

/// RFC 3261 §16.4: a topmost Route value that is ours is removed, and only that. A `maddr` that names us changes
/// nothing of whom the request is for, and does not go on.
#[test]
fn corner_23_our_own_route_is_popped_and_a_maddr_of_ours_goes_no_further() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "pop");
    caller.routes.push("<sip:beyond.example;lr>".to_owned());
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let seen = world.expect(ASHA, "INFO");
    assert_eq!(seen.headers("Route"), ["<sip:beyond.example;lr>"]);
    world.say(ASHA, &respond(&seen, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    caller.routes.pop();
    over(world, caller);

    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("maddr");
    caller.target = "sip:+918041234567@acme.example;maddr=203.0.113.10;transport=udp".to_owned();
    caller.routes = vec![format!("<sip:{SWITCHBOARD};lr>")];
    let rung = ring(&mut world, &mut caller, "");
    assert_eq!(rung.first_line(), format!("INVITE {} SIP/2.0", super::super::script::between(&contact(&world))));
    assert!(!rung.first_line().contains("maddr") && rung.headers("Route").is_empty());
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// The Contact that the first phone registered.
fn contact(world: &World) -> String {
    let register = world.seen.iter().rfind(|seen| seen.first_line().starts_with("REGISTER")).unwrap();
    register.header("Contact").unwrap()
}

/// RFC 3261 §16.4: only a value that we put into Record-Route is replaced, and then all other Route values stay as
/// they are. A Request-URI that merely lies at our address is somebody's.
#[test]
fn corner_24_a_request_uri_of_ours_is_replaced_only_where_it_is_our_record_route_value() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "ours");
    let ours = super::super::script::between(&caller.routes[0]);
    let (target, routes) = (caller.target.clone(), caller.routes.clone());
    caller.target = ours;
    caller.routes = vec!["<sip:loose.example;lr>".to_owned(), format!("<{target}>")];
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let seen = world.expect(ASHA, "INFO");
    assert_eq!(seen.first_line(), format!("INFO {target} SIP/2.0"));
    assert_eq!(seen.headers("Route"), ["<sip:loose.example;lr>"]);
    world.say(ASHA, &respond(&seen, "200 OK", "", "", ""));

    caller.target = format!("sip:somebody@{SWITCHBOARD}");
    caller.routes = [routes.clone(), vec!["<sip:loose.example;lr>".to_owned()]].concat();
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let seen = world.expect(ASHA, "INFO");
    assert_eq!(seen.first_line(), format!("INFO sip:somebody@{SWITCHBOARD} SIP/2.0"));
    assert_eq!(seen.headers("Route"), ["<sip:loose.example;lr>"]);
    world.say(ASHA, &respond(&seen, "200 OK", "", "", ""));
    (caller.target, caller.routes) = (target, routes);
    over(world, caller);
}

/// RFC 3261 §12.2.2: a request inside a dialog that nobody has here is 481. §16.5 would let Route lead it on; it does
/// not, for nobody's header sends a datagram to a stranger (`docs/choices.md`).
#[test]
fn corner_41_a_request_of_an_unknown_dialog_is_481_and_follows_no_route() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("none");
    caller.remote.push_str(";tag=nobody");
    for routes in [vec![], vec![format!("<sip:{SWITCHBOARD};lr>"), "<sip:198.51.100.66;lr>".to_owned()]] {
        caller.routes = routes;
        for method in ["BYE", "INVITE", "INFO", "UPDATE", "PRACK", "REFER", "OPTIONS", "NOTIFY"] {
            world.say(TRUNK, &caller.request(method, "", ""));
            let refused = world.expect(TRUNK, "SIP/2.0 481");
            if method == "INVITE" {
                world.say(TRUNK, &caller.ack_failure(&refused));
            }
        }
    }
    let mut tagless = from_trunk("tagless");
    world.say(TRUNK, &tagless.request("BYE", "", ""));
    world.expect(TRUNK, "SIP/2.0 481");
    assert!(world.lines(ASHA).is_empty());
    assert!(world.sent_to("198.51.100.66:5060").is_empty());
    world.end();
}

/// Sales has nobody: its calls go out again by the trunk. +918041234568 is Asha's.
fn outward() -> World {
    let config = one_company(
        "[numbers.\"+918041234568\"]\nroutes = [ { to = \"user:221\" } ]\n\n\
         [departments.sales]\nmembers = []\noverflow = { default = \"external:+919800000000\" }\n",
        &[("221", "")],
    );
    phones(config, 1)
}

/// The INVITE as a proxy of the trunk's sends it back: one more Via, that Request-URI.
fn sent_back(seen: &Seen, method: &str, uri: &str) -> String {
    let own = branch(seen);
    let (_, rest) = seen.text().split_once("\r\n").map(|(line, rest)| (line.to_owned(), rest.to_owned())).unwrap();
    let rest = rest.replace(" INVITE\r\n", &format!(" {method}\r\n"));
    format!("{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK};branch=z9hG4bK-back-{own};rport\r\n{rest}")
}

/// The response without its topmost Via, as that proxy passes it on.
fn passed_on(seen: &Seen) -> String {
    let text = seen.text();
    let start = text.find("Via:").unwrap();
    let end = start + text[start..].find("\r\n").unwrap() + 2;
    format!("{}{}", &text[..start], &text[end..])
}

/// RFC 3261 §16.3 item 4, RFC 5393 §4.2: a request that comes back with nothing changed that decides its way is 482;
/// for another Request-URI it is a spiral, and is served.
#[test]
fn corner_42_an_unchanged_request_is_a_loop_and_one_for_another_number_is_a_spiral() {
    let mut world = outward();
    let mut caller = from_trunk("loop");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let out = world.expect(TRUNK, "INVITE sip:+919800000000@");
    world.say(TRUNK, &sent_back(&out, "INVITE", &caller.target));
    let refused = world.expect(TRUNK, "SIP/2.0 482 Loop Detected");
    world.say(TRUNK, &sent_back(&out, "ACK", &caller.target));
    world.say(TRUNK, &passed_on(&refused));
    world.expect(TRUNK, "ACK");
    fail(&mut world, &mut caller);
    world.expect_no(ASHA, "INVITE");

    let mut caller = from_trunk("spiral");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let out = world.expect(TRUNK, "INVITE sip:+919800000000@");
    let spiral = "sip:+918041234568@203.0.113.10";
    world.say(TRUNK, &sent_back(&out, "INVITE", spiral));
    let rung = world.expect(ASHA, "INVITE");
    let branches: BTreeSet<String> =
        rung.headers("Via").iter().map(|via| via.split("branch=").nth(1).unwrap().to_owned()).collect();
    assert_eq!((rung.headers("Via").len(), branches.len()), (4, 4), "a branch of its own for every pass (corner 27)");
    world.say(ASHA, &respond(&rung, "486 Busy Here", "no", "", ""));
    let refused = world.expect(TRUNK, "SIP/2.0 4");
    assert_eq!(refused.headers("Via").len(), 3, "of the inner pass");
    world.say(TRUNK, &sent_back(&out, "ACK", spiral));
    world.say(TRUNK, &passed_on(&refused));
    world.expect(TRUNK, "ACK");
    fail(&mut world, &mut caller);
    world.end();
}

/// RFC 5393 §5.3.3: no more branches at once than Max-Breadth allows, which they share; with none left 440.
#[test]
fn corner_43_max_breadth_is_shared_by_the_branches_and_none_is_440() {
    let mut world = phones(sales(), 3);
    let mut caller = from_trunk("breadth");
    let asha = ring(&mut world, &mut caller, "Max-Breadth: 2\r\n");
    let ravi = world.expect(RAVI, "INVITE");
    world.expect_no(MINA, "INVITE");
    for rung in [&asha, &ravi] {
        assert_eq!(rung.headers("Max-Breadth"), ["1"]);
    }
    world.say(RAVI, &respond(&ravi, "486 Busy Here", "r", "", ""));
    refuse(&mut world, &mut caller, &asha);
    let mut caller = from_trunk("narrow");
    world.say(TRUNK, &caller.request("INVITE", "Max-Breadth: 0\r\n", ""));
    let refused = world.expect(TRUNK, "SIP/2.0 440 Max-Breadth Exceeded");
    world.say(TRUNK, &caller.ack_failure(&refused));
    world.expect_no(ASHA, "INVITE");
    world.end();
}
