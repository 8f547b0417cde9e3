//! Corners 39 and 40: the ACK of a 2xx, and the ACK of nothing (RFC 3261 §13.2.2.4, §16.11, §17).

use super::super::raw::daemon;
use super::super::script::{ASHA, Party, TRUNK, branch, from_trunk, hang_up, respond, seconds, talk};
use super::{a_minute, departures, over, phones, pick_up, refuse, ring, sales, to_nobody};

/// RFC 3261 §16.11, §17: the ACK of a 2xx goes where its Route says, as no transaction: never answered, never sent
/// again, and a copy of it by the same branch.
#[test]
fn corner_39_the_ack_of_a_2xx_follows_route_without_state_and_is_never_answered() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("ack");
    let rung = ring(&mut world, &mut caller, "");
    pick_up(&mut world, ASHA, &rung, "t");
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    let ack = caller.ack();
    assert!(ack.contains("Route: <sip:203.0.113.10"));
    let before = daemon(&mut world).transactions;
    world.say(TRUNK, &ack);
    let first = world.expect(ASHA, "ACK");
    assert_eq!(first.first_line(), format!("ACK {} SIP/2.0", caller.target));
    assert!(first.headers("Route").is_empty());
    assert_eq!(first.headers("Via").len(), 2);
    assert_ne!(branch(&first), branch(&rung), "the INVITE's is another");
    assert_eq!(daemon(&mut world).transactions, before);
    world.say(TRUNK, &ack);
    assert_eq!(world.expect(ASHA, "ACK").bytes, first.bytes);
    assert!(departures(&mut world, ASHA, "ACK", a_minute()).is_empty());
    assert!(world.lines(TRUNK).is_empty());
    // Its hops count too; with none left it ends here, and still nothing is said of it.
    let spent = ack.replace("Max-Forwards: 70", "Max-Forwards: 0");
    world.say(TRUNK, &spent);
    assert!(world.lines(TRUNK).is_empty() && world.lines(ASHA).is_empty());
    over(world, caller);
}

/// RFC 3261 §17: an ACK never gets a response; one that belongs to no transaction and no dialog goes nowhere.
#[test]
fn corner_40_a_stray_ack_is_dropped() {
    let mut world = phones(sales(), 1);
    world.settle();
    world.heard(ASHA);
    let mut without_tag = to_nobody("no-tag");
    let mut with_tag = from_trunk("tag");
    with_tag.remote.push_str(";tag=nobody");
    with_tag.routes = vec!["<sip:203.0.113.10:5060;lr>".to_owned(), "<sip:198.51.100.66;lr>".to_owned()];
    for stray in [without_tag.ack(), with_tag.ack()] {
        world.say(TRUNK, &stray);
        world.say("198.51.100.66:5060", &stray);
    }
    assert!(world.lines(TRUNK).is_empty() && world.lines(ASHA).is_empty());
    assert!(world.sent_to("198.51.100.66:5060").is_empty());
    assert!(world.engine.audit().is_empty());

    // Inside a call that rings, from the caller, of a response that never came.
    let mut caller = from_trunk("early");
    let rung = ring(&mut world, &mut caller, "");
    let mut hasty = caller.clone();
    world.heard(TRUNK);
    world.say(TRUNK, &hasty.ack());
    assert!(world.lines(TRUNK).is_empty() && world.lines(ASHA).is_empty());
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 3261 §12.2.1.1: the remote target is the other end's Contact, wherever the INVITE had gone; Switchboard
/// follows it for the Request-URI, and the flow for the address (`docs/choices.md`).
#[test]
fn corner_39_an_ack_of_the_callees_own_re_invite_goes_the_other_way() {
    let mut world = phones(sales(), 1);
    let (caller, mut callee): (Party, Party) = talk(&mut world, "other-way", ASHA, "");
    world.say(ASHA, &callee.request("INVITE", "", ""));
    let seen = world.expect(TRUNK, "INVITE");
    world.say(TRUNK, &respond(&seen, "200 OK", "", &format!("Contact: <sip:me@{TRUNK}>\r\n"), ""));
    world.expect(ASHA, "SIP/2.0 200");
    world.say(ASHA, &callee.ack());
    let ack = world.expect(TRUNK, "ACK");
    assert_eq!(ack.first_line(), format!("ACK {} SIP/2.0", callee.target));
    assert!(ack.headers("Route").is_empty());
    world.pass(seconds(1));
    assert!(world.lines(ASHA).is_empty());
    let mut caller = caller;
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}
