//! Corners 35–38: CANCEL, and what crosses it (RFC 3261 §9, §16.10; R-7.1, R-7.6).

use switchboard::engine::Event;

use super::super::companies::one_company;
use super::super::script::{ASHA, RAVI, TRUNK, branch, from_trunk, hang_up, register, respond, seconds};
use super::super::world::{SWITCHBOARD, Seen, World};
use super::{a_minute, acknowledge, fail, give_up, over, phones, pick_up, refuse, ring, sales};

/// RFC 3261 §9.2, §16.10: a CANCEL is answered 200 and its INVITE 487 at once, and only branches without a final
/// answer are cancelled.
#[test]
fn corner_35_a_cancel_is_200_at_once_its_invite_487_and_only_pending_branches_are_cancelled() {
    let mut world = phones(sales(), 2);
    let mut caller = from_trunk("pending");
    let asha = ring(&mut world, &mut caller, "");
    let ravi = world.expect(RAVI, "INVITE");
    world.say(ASHA, &respond(&asha, "486 Busy Here", "a", "", ""));
    world.expect(ASHA, "ACK");
    world.say(RAVI, &respond(&ravi, "180 Ringing", "r", "", ""));
    world.heard(TRUNK);
    world.say(TRUNK, &caller.cancel("Reason: Q.850;cause=16\r\n"));
    let heard = world.heard(TRUNK);
    let mut lines: Vec<String> = heard.iter().map(Seen::first_line).collect();
    lines.sort();
    assert_eq!(lines, ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    let terminated = heard.iter().find(|seen| seen.first_line().contains("487")).unwrap();
    world.say(TRUNK, &caller.ack_failure(terminated));
    world.expect_no(ASHA, "CANCEL");
    assert_eq!(give_up(&mut world, RAVI, &ravi), ["Q.850;cause=16"]);
    assert!(world.busy().is_empty());
    world.end();
}

/// RFC 3261 §9.1: no CANCEL leaves before a provisional response has come; it bears the INVITE's branch.
#[test]
fn corner_35_a_cancel_is_held_back_until_a_provisional() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("held");
    let rung = ring(&mut world, &mut caller, "");
    world.say(TRUNK, &caller.cancel(""));
    let terminated = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&terminated));
    world.pass(seconds(10));
    world.expect_no(ASHA, "CANCEL");
    assert_eq!(world.busy(), ["221@acme ringing"], "it may ring yet");
    world.say(ASHA, &respond(&rung, "100 Trying", "", "", ""));
    let cancel = world.expect(ASHA, "CANCEL");
    assert_eq!(branch(&cancel), branch(&rung));
    world.say(ASHA, &respond(&rung, "487 Request Terminated", "a", "", ""));
    assert!(world.busy().is_empty());
    world.end();
}

/// RFC 3261 §9.1: 64·T1 after its CANCEL a branch that has given no final answer counts as cancelled.
#[test]
fn corner_35_a_branch_is_dead_64_t1_after_its_cancel() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("dead");
    let rung = ring(&mut world, &mut caller, "");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    world.say(TRUNK, &caller.cancel(""));
    let terminated = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&terminated));
    world.pass(seconds(31));
    assert_eq!(world.busy(), ["221@acme ringing"]);
    world.pass(seconds(2));
    assert!(world.busy().is_empty());
    world.end();
}

/// RFC 3261 §9.2, §16.10: a CANCEL that belongs to no transaction here is 481. §16.10 would have a proxy forward it
/// without state; ours is stateful for every INVITE, so there is nothing it could belong to further on.
#[test]
fn corner_36_a_cancel_of_nothing_is_481_and_goes_nowhere() {
    let mut world = phones(sales(), 1);
    world.settle();
    let mut caller = from_trunk("nothing");
    let _ = caller.request("INVITE", "", "");
    world.say(TRUNK, &caller.cancel(""));
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    assert!(world.engine.audit().is_empty());
    // One that is another's by its branch alone.
    let mut caller = from_trunk("real");
    let rung = ring(&mut world, &mut caller, "");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    world.say(TRUNK, &caller.cancel("").replace(&caller.branch, "z9hG4bK-guess"));
    world.expect(TRUNK, "SIP/2.0 481");
    world.expect_no(ASHA, "CANCEL");
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 3261 §9.2: a CANCEL that finds a final answer sent changes nothing; the 2xx it crossed stands.
#[test]
fn corner_37_a_cancel_that_crosses_the_200_changes_nothing() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("crossed");
    let rung = ring(&mut world, &mut caller, "");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    pick_up(&mut world, ASHA, &rung, "a");
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    world.say(TRUNK, &caller.cancel(""));
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 200 OK"], "of the CANCEL, and no 487");
    world.expect_no(ASHA, "CANCEL");
    assert_eq!(cancelled(&world), 0);
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    world.expect(ASHA, "ACK");
    assert_eq!(world.busy(), ["221@acme on-call"]);
    over(world, caller);
}

/// RFC 3261 §9.2, §16.10: a CANCEL after one branch's 4xx cancels the other; after the caller was refused it is
/// answered, and nothing else happens.
#[test]
fn corner_38_a_cancel_after_some_4xx() {
    let mut world = phones(sales(), 2);
    let mut caller = from_trunk("some");
    let asha = ring(&mut world, &mut caller, "");
    let ravi = world.expect(RAVI, "INVITE");
    world.say(RAVI, &respond(&ravi, "180 Ringing", "r", "", ""));
    world.say(ASHA, &respond(&asha, "404 Not Found", "a", "", ""));
    world.heard(TRUNK);
    world.say(TRUNK, &caller.cancel(""));
    let terminated = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&terminated));
    give_up(&mut world, RAVI, &ravi);
    world.expect_no(ASHA, "CANCEL");

    let mut caller = from_trunk("all");
    let asha = ring(&mut world, &mut caller, "");
    let ravi = world.expect(RAVI, "INVITE");
    world.say(RAVI, &respond(&ravi, "486 Busy Here", "r", "", ""));
    world.say(ASHA, &respond(&asha, "486 Busy Here", "a", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 480");
    world.say(TRUNK, &caller.cancel(""));
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 200 OK"]);
    world.say(TRUNK, &caller.ack_failure(&failure));
    assert_eq!(cancelled(&world), 1, "the first call alone");
    world.end();
}

/// How many calls the log says were given up by their callers.
fn cancelled(world: &World) -> usize {
    world.events.iter().filter(|event| matches!(event, Event::CallCancelled { .. })).count()
}

/// Asha has a desk phone (at `ASHA`) and a softphone (at `RAVI`), and is alone in sales.
fn alone_with_two_devices() -> World {
    let mut world =
        World::new(one_company("[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n", &[("221", "")]));
    register(&mut world, SWITCHBOARD, ASHA, &format!("sip:221@{ASHA}"), "221", "desk", 1);
    register(&mut world, SWITCHBOARD, RAVI, &format!("sip:221@{RAVI}"), "221", "soft", 1);
    world
}

/// RFC 3261 §16.7 item 5, §16.10: after a 6xx the other branch is being cancelled already: a CANCEL of the caller's
/// sends no second one, and the caller hears 487.
#[test]
fn corner_38_a_cancel_after_a_6xx() {
    let mut world = alone_with_two_devices();
    let mut caller = from_trunk("six");
    let desk = ring(&mut world, &mut caller, "");
    let soft = world.expect(RAVI, "INVITE");
    world.say(RAVI, &respond(&soft, "180 Ringing", "s", "", ""));
    world.say(ASHA, &respond(&desk, "603 Decline", "d", "", ""));
    let cancel = world.expect(RAVI, "CANCEL");
    world.say(RAVI, &respond(&cancel, "200 OK", "s", "", ""));
    world.heard(TRUNK);
    world.say(TRUNK, &caller.cancel(""));
    let terminated = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&terminated));
    world.expect_no(RAVI, "CANCEL");
    world.say(RAVI, &respond(&soft, "487 Request Terminated", "s", "", ""));
    assert!(world.busy().is_empty());
    world.end();
}

/// R-7.6 with RFC 3261 §16.7 item 5: a 2xx that comes after the caller's CANCEL goes to the caller, and is a call
/// until it is ended.
#[test]
fn corner_38_a_2xx_after_the_cancel_goes_up_and_is_a_call() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("late");
    let rung = ring(&mut world, &mut caller, "");
    world.say(ASHA, &respond(&rung, "180 Ringing", "t", "", ""));
    world.say(TRUNK, &caller.cancel(""));
    let terminated = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&terminated));
    world.expect(ASHA, "CANCEL");
    world.heard(TRUNK);
    pick_up(&mut world, ASHA, &rung, "t");
    let mut caller = acknowledge(&mut world, &caller, ASHA);
    world.pass(a_minute());
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut caller, ASHA);
    assert!(world.busy().is_empty());
    world.end();
}

/// RFC 3261 §16.8: the end of the ringing time with another branch's 4xx in hand: CANCEL, and the answer waits for
/// what becomes of it. In a hunt that time is the offer's own (R-5.2), always shorter than Timer C.
#[test]
fn corner_38_the_end_of_ringing_with_a_4xx_in_hand() {
    for answers_after_all in [false, true] {
        let mut world = alone_with_two_devices();
        let mut caller = from_trunk("in-hand");
        let desk = ring(&mut world, &mut caller, "");
        let soft = world.expect(RAVI, "INVITE");
        world.say(RAVI, &respond(&soft, "180 Ringing", "s", "", ""));
        world.say(ASHA, &respond(&desk, "486 Busy Here", "d", "", ""));
        world.heard(TRUNK);
        world.pass(seconds(20));
        world.expect(RAVI, "CANCEL");
        world.expect_no(TRUNK, "SIP/2.0 4");
        if answers_after_all {
            pick_up(&mut world, RAVI, &soft, "s");
            let mut caller = acknowledge(&mut world, &caller, RAVI);
            hang_up(&mut world, &mut caller, RAVI);
        } else {
            world.say(RAVI, &respond(&soft, "487 Request Terminated", "s", "", ""));
            fail(&mut world, &mut caller);
        }
        assert!(world.busy().is_empty());
        world.end();
    }
}
