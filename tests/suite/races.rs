//! What crosses on the wire, several devices under one offer, outside numbers and the limits of trunks and companies.

use std::time::Duration;

use switchboard::config::Config;
use switchboard::engine::Input;
use switchboard::id::TrunkId;
use switchboard::peer::Behaviour;

use super::companies::{MACHINE, acme, one_company};
use super::proxy::scripted_phones;
use super::script::{ASHA, MINA, Party, RAVI, TRUNK, address, from_trunk, hang_up, register, respond, seconds, talk};
use super::world::{SWITCHBOARD, Seen, World, configuration};

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

fn contact(at: &str) -> String {
    format!("Contact: <sip:phone@{at}>\r\n")
}

fn sales(members: &str, more: &str, users: &[(&str, &str)]) -> Config {
    one_company(&format!("[departments.sales]\nmembers = [{members}]\nring = \"20s\"\n{more}"), users)
}

fn invite(world: &mut World, caller: &mut Party) {
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
}

fn answer(world: &mut World, rung: &Seen, at: &str, tag: &str) -> Party {
    world.say(at, &respond(rung, "200 OK", tag, &contact(at), ""));
    Party::callee(at, rung, tag)
}

/// The trunk hears an answer and acknowledges it.
fn acknowledge(world: &mut World, caller: &Party, at: &str) -> Party {
    let ok = world.expect(TRUNK, "SIP/2.0 200");
    let mut caller = caller.clone();
    caller.learn(&ok);
    world.say(TRUNK, &caller.ack());
    world.expect(at, "ACK");
    caller
}

fn cancelled(world: &mut World, rung: &Seen, at: &str) -> Vec<String> {
    let cancel = world.expect(at, "CANCEL");
    world.say(at, &respond(&cancel, "200 OK", "c", "", ""));
    world.say(at, &respond(rung, "487 Request Terminated", "c", "", ""));
    world.expect(at, "ACK");
    cancel.headers("Reason")
}

// ---- answers that cross ---------------------------------------------------------------------------------------------------

#[test]
fn a_second_answer_that_crossed_the_cancel_goes_up_too_and_its_person_is_busy_until_that_dialog_ends() {
    // R-7.5; RFC 3261 §16.7 items 5 and 10.
    let mut world = World::new(sales("\"221\", \"222\", \"223\"", "", &[("221", ""), ("222", ""), ("223", "")]));
    scripted_phones(&mut world, 3);
    let mut caller = from_trunk("two");
    invite(&mut world, &mut caller);
    let (asha, ravi, mina) = (world.expect(ASHA, "INVITE"), world.expect(RAVI, "INVITE"), world.expect(MINA, "INVITE"));
    for (at, rung) in [(ASHA, &asha), (RAVI, &ravi), (MINA, &mina)] {
        world.say(at, &respond(rung, "180 Ringing", "early", "", ""));
    }
    answer(&mut world, &ravi, RAVI, "r");
    let mut with_ravi = acknowledge(&mut world, &caller, RAVI);
    assert_eq!(cancelled(&mut world, &mina, MINA), [ELSEWHERE]);
    // Asha picked up while the CANCEL was on its way.
    let cancel = world.expect(ASHA, "CANCEL");
    world.say(ASHA, &respond(&cancel, "481 Call/Transaction Does Not Exist", "a", "", ""));
    answer(&mut world, &asha, ASHA, "a");
    assert_eq!(world.busy(), ["221@acme on-call", "222@acme on-call"]);
    let mut with_asha = acknowledge(&mut world, &caller, ASHA);
    hang_up(&mut world, &mut with_ravi, RAVI);
    assert_eq!(world.busy(), ["221@acme on-call"]);
    assert!(world.records.is_empty(), "the call is not over");
    hang_up(&mut world, &mut with_asha, ASHA);
    assert!(world.busy().is_empty());
    assert_eq!(world.records.len(), 1);
    assert_eq!(world.records[0].answered_by, ["221", "222"]);
    world.end();
}

#[test]
fn the_second_answer_may_end_first() {
    let mut world = World::new(sales("\"221\", \"222\"", "", &[("221", ""), ("222", "")]));
    scripted_phones(&mut world, 2);
    let mut caller = from_trunk("first");
    invite(&mut world, &mut caller);
    let (asha, ravi) = (world.expect(ASHA, "INVITE"), world.expect(RAVI, "INVITE"));
    let _ = answer(&mut world, &ravi, RAVI, "r");
    let mut with_ravi = acknowledge(&mut world, &caller, RAVI);
    let _ = answer(&mut world, &asha, ASHA, "a");
    let mut with_asha = acknowledge(&mut world, &caller, ASHA);
    world.expect_no(ASHA, "CANCEL");
    hang_up(&mut world, &mut with_asha, ASHA);
    assert_eq!(world.busy(), ["222@acme on-call"]);
    hang_up(&mut world, &mut with_ravi, RAVI);
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn a_180_that_the_200_overtook_is_not_forwarded() {
    let mut world = World::new(sales("\"221\"", "", &[("221", "")]));
    scripted_phones(&mut world, 1);
    world.disturb(|seen| {
        let length = if seen.first_line().ends_with("180 Ringing") { 5 } else { 1 };
        vec![Duration::from_millis(length)]
    });
    let mut caller = from_trunk("overtaken");
    invite(&mut world, &mut caller);
    let rung = world.expect(ASHA, "INVITE");
    world.heard(TRUNK);
    world.inject(ASHA, respond(&rung, "180 Ringing", "t", "", "").as_bytes());
    let mut callee = answer(&mut world, &rung, ASHA, "t");
    acknowledge(&mut world, &caller, ASHA);
    world.pass(Duration::from_millis(20));
    world.expect_no(TRUNK, "SIP/2.0 180");
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn an_answer_after_the_callers_cancel_counts_until_the_caller_ends_it() {
    // R-7.6; RFC 3261 §9.1.
    let mut world = World::new(sales("\"221\"", "", &[("221", "")]));
    scripted_phones(&mut world, 1);
    let mut caller = from_trunk("late");
    invite(&mut world, &mut caller);
    let rung = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "180 Ringing", "t", "", ""));
    world.say(TRUNK, &caller.cancel(""));
    let failure = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.heard(TRUNK);
    answer(&mut world, &rung, ASHA, "t");
    let mut with_asha = acknowledge(&mut world, &caller, ASHA);
    assert_eq!(world.busy(), ["221@acme on-call"]);
    world.pass(seconds(100));
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut with_asha, ASHA);
    assert!(world.busy().is_empty());
    world.end();
}

// ---- several devices under one offer (R-5.3, R-5.4) -------------------------------------------------------------------------

/// Asha has a desk phone (at ASHA) and a softphone (at RAVI); Mina is next.
fn two_devices() -> World {
    let mut world = World::new(sales("\"221\", \"223\"", "strategy = \"serial\"\n", &[("221", ""), ("223", "")]));
    register(&mut world, SWITCHBOARD, ASHA, &format!("sip:221@{ASHA}"), "221", "desk", 1);
    register(&mut world, SWITCHBOARD, RAVI, &format!("sip:221@{RAVI}"), "221", "soft", 1);
    register(&mut world, SWITCHBOARD, MINA, &format!("sip:223@{MINA}"), "223", "mina", 1);
    world
}

#[test]
fn a_6xx_of_one_device_ends_the_offer_and_the_hunt_goes_on() {
    // R-5.4.
    let mut world = two_devices();
    let mut caller = from_trunk("decline");
    invite(&mut world, &mut caller);
    let (desk, soft) = (world.expect(ASHA, "INVITE"), world.expect(RAVI, "INVITE"));
    world.say(RAVI, &respond(&soft, "180 Ringing", "s", "", ""));
    world.expect_no(MINA, "INVITE");
    world.say(ASHA, &respond(&desk, "603 Decline", "d", "", ""));
    assert!(cancelled(&mut world, &soft, RAVI).is_empty(), "nobody answered elsewhere");
    let mina = world.expect(MINA, "INVITE");
    world.expect_no(TRUNK, "SIP/2.0 6");
    let mut callee = answer(&mut world, &mina, MINA, "m");
    acknowledge(&mut world, &caller, MINA);
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn anything_less_than_6xx_ends_the_ringing_of_that_device_alone() {
    // R-5.4.
    let mut world = two_devices();
    let mut caller = from_trunk("one-device");
    invite(&mut world, &mut caller);
    let (desk, soft) = (world.expect(ASHA, "INVITE"), world.expect(RAVI, "INVITE"));
    world.say(ASHA, &respond(&desk, "486 Busy Here", "d", "", ""));
    world.pass(seconds(5));
    world.expect_no(RAVI, "CANCEL");
    world.expect_no(MINA, "INVITE");
    assert_eq!(world.busy(), ["221@acme ringing"]);
    let mut callee = answer(&mut world, &soft, RAVI, "s");
    acknowledge(&mut world, &caller, RAVI);
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn a_person_whose_devices_both_answered_is_busy_until_both_dialogs_are_over() {
    // R-7.5.
    let mut world = two_devices();
    let mut caller = from_trunk("both");
    invite(&mut world, &mut caller);
    let (desk, soft) = (world.expect(ASHA, "INVITE"), world.expect(RAVI, "INVITE"));
    for (at, rung) in [(ASHA, &desk), (RAVI, &soft)] {
        world.say(at, &respond(rung, "180 Ringing", "early", "", ""));
    }
    answer(&mut world, &desk, ASHA, "d");
    let mut with_desk = acknowledge(&mut world, &caller, ASHA);
    assert_eq!(world.expect(RAVI, "CANCEL").headers("Reason"), [ELSEWHERE]);
    answer(&mut world, &soft, RAVI, "s");
    let mut with_soft = acknowledge(&mut world, &caller, RAVI);
    hang_up(&mut world, &mut with_desk, ASHA);
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut with_soft, RAVI);
    assert!(world.busy().is_empty());
    world.end();
}

// ---- outside numbers --------------------------------------------------------------------------------------------------------

/// Calls go out through `sip:sbc.airtel.example`, which has two addresses.
fn outward() -> World {
    let machine = MACHINE.replace("sip:192.0.2.1:5060", "sip:sbc.airtel.example");
    let department = "[departments.sales]\nmembers = []\noverflow = { default = \"external:+919800000000\" }\n";
    let mut world = World::new(configuration(&machine, &[("acme", &acme(department, &[("221", "")]))]));
    let addresses = vec![address(OUT_1), address(OUT_2)];
    world.happen(Input::TrunkAddresses { trunk: TrunkId::new("airtel"), addresses });
    world
}

const OUT_1: &str = "203.0.113.71:5060";
const OUT_2: &str = "203.0.113.72:5060";

#[test]
fn the_second_address_of_a_trunk_is_tried_when_the_first_cannot_serve() {
    // RFC 3263 §4.3; RFC 3261 §16.7 item 6.
    let mut world = outward();
    let mut caller = from_trunk("503");
    invite(&mut world, &mut caller);
    let first = world.expect(OUT_1, "INVITE sip:+919800000000@sbc.airtel.example");
    world.say(OUT_1, &respond(&first, "503 Service Unavailable", "x", "", ""));
    world.expect(OUT_1, "ACK");
    let second = world.expect(OUT_2, "INVITE sip:+919800000000@sbc.airtel.example");
    let mut callee = answer(&mut world, &second, OUT_2, "y");
    acknowledge(&mut world, &caller, OUT_2);
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn the_second_address_of_a_trunk_is_tried_when_the_first_is_silent() {
    let mut world = outward();
    let mut caller = from_trunk("silent");
    invite(&mut world, &mut caller);
    world.expect(OUT_1, "INVITE");
    let mut second = None;
    for _ in 0..35 {
        world.pass(seconds(1));
        second = second.or_else(|| world.heard(OUT_2).into_iter().next());
    }
    match second {
        Some(second) => {
            let mut callee = answer(&mut world, &second, OUT_2, "y");
            acknowledge(&mut world, &caller, OUT_2);
            hang_up(&mut world, &mut callee, TRUNK);
        }
        None => panic!("the second address was never tried: {:?}", world.lines(TRUNK)),
    }
    world.end();
}

#[test]
fn what_the_first_address_began_ends_with_its_503_and_no_other_is_tried() {
    // The caller has heard that address: its early dialog is over with the branch.
    let mut world = outward();
    let mut caller = from_trunk("early");
    invite(&mut world, &mut caller);
    let first = world.expect(OUT_1, "INVITE");
    world.say(OUT_1, &respond(&first, "183 Session Progress", "x", &contact(OUT_1), ""));
    world.say(OUT_1, &respond(&first, "503 Service Unavailable", "x", "", ""));
    world.expect(OUT_1, "ACK");
    world.expect_no(OUT_2, "INVITE");
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    world.say(TRUNK, &caller.ack_failure(&failure));
    assert_eq!(world.records.len(), 1, "the call is over");
    world.end();
}

#[test]
fn a_first_address_that_said_only_100_is_left_for_the_second() {
    let mut world = outward();
    let mut caller = from_trunk("trying");
    invite(&mut world, &mut caller);
    let first = world.expect(OUT_1, "INVITE");
    world.say(OUT_1, &respond(&first, "100 Trying", "", "", ""));
    world.say(OUT_1, &respond(&first, "503 Service Unavailable", "x", "", ""));
    let second = world.expect(OUT_2, "INVITE");
    let mut callee = answer(&mut world, &second, OUT_2, "y");
    acknowledge(&mut world, &caller, OUT_2);
    hang_up(&mut world, &mut callee, TRUNK);
    assert_eq!(world.records.len(), 1);
    world.end();
}

#[test]
fn no_address_left_is_a_refusal() {
    let mut world = outward();
    let mut caller = from_trunk("none-left");
    invite(&mut world, &mut caller);
    for at in [OUT_1, OUT_2] {
        let seen = world.expect(at, "INVITE");
        world.say(at, &respond(&seen, "503 Service Unavailable", "x", "", ""));
    }
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.end();
}

fn with_mobile(ring_on: &str, machine: &str) -> World {
    let user = format!("mobile = \"+919810000001\"\nring-on = [{ring_on}]");
    let department = "[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n";
    World::new(configuration(machine, &[("acme", &acme(department, &[("221", user.as_str()), ("222", "")]))]))
}

#[test]
fn a_mobile_rings_through_the_trunk_and_its_person_is_busy() {
    let mut world = with_mobile("\"mobile\"", MACHINE);
    let mut caller = from_trunk("mobile");
    invite(&mut world, &mut caller);
    let out = world.expect(TRUNK, "INVITE sip:+919810000001@192.0.2.1:5060");
    assert_eq!(world.busy(), ["221@acme ringing"]);
    let mut callee = answer(&mut world, &out, TRUNK, "m");
    let mut caller = acknowledge(&mut world, &caller, TRUNK);
    assert_eq!(world.busy(), ["221@acme on-call"]);
    let mut second = from_trunk("second");
    invite(&mut world, &mut second);
    let failure = world.expect(TRUNK, "SIP/2.0 486");
    world.say(TRUNK, &second.ack_failure(&failure));
    hang_up(&mut world, &mut caller, TRUNK);
    assert!(world.busy().is_empty());
    let _ = callee.request("BYE", "", "");
    world.end();
}

#[test]
fn phone_and_mobile_ring_under_one_offer_and_the_loser_hears_why() {
    // R-5.3.
    let mut world = with_mobile("\"extension\", \"mobile\"", MACHINE);
    scripted_phones(&mut world, 1);
    let mut caller = from_trunk("both");
    invite(&mut world, &mut caller);
    let desk = world.expect(ASHA, "INVITE");
    let mobile = world.expect(TRUNK, "INVITE");
    world.say(ASHA, &respond(&desk, "180 Ringing", "d", "", ""));
    let mut callee = answer(&mut world, &mobile, TRUNK, "m");
    assert_eq!(cancelled(&mut world, &desk, ASHA), [ELSEWHERE]);
    acknowledge(&mut world, &caller, TRUNK);
    hang_up(&mut world, &mut callee, TRUNK);
    assert!(world.busy().is_empty());
    world.end();
}

// ---- limits (R-8) -------------------------------------------------------------------------------------------------------------

fn limited(line: &str) -> String {
    MACHINE.replace("country-code", &format!("{line}\ncountry-code"))
}

#[test]
fn a_trunk_at_its_limit_of_calls_gets_503_and_when_to_try_again() {
    let department = "[departments.sales]\nmembers = [\"221\", \"222\"]\nstrategy = \"serial\"\n";
    let users = [("221", ""), ("222", "")];
    let mut world = World::new(configuration(&limited("max-calls = 1"), &[("acme", &acme(department, &users))]));
    scripted_phones(&mut world, 2);
    let (mut caller, _) = talk(&mut world, "one", ASHA, "");
    let mut second = from_trunk("two");
    invite(&mut world, &mut second);
    let failure = world.expect(TRUNK, "SIP/2.0 503");
    assert_eq!(failure.headers("Retry-After").len(), 1);
    assert!(failure.headers("Reason")[0].starts_with("Q.850;cause=42;text="));
    world.say(TRUNK, &second.ack_failure(&failure));
    world.expect_no(RAVI, "INVITE");
    hang_up(&mut world, &mut caller, ASHA);
    let (mut caller, _) = talk(&mut world, "three", ASHA, "");
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

#[test]
fn a_trunk_begins_no_more_calls_a_second_than_it_may() {
    let department = "[departments.sales]\nmembers = [\"221\"]\n";
    let machine = limited("max-calls-per-second = 2");
    let mut world = World::new(configuration(&machine, &[("acme", &acme(department, &[("221", "")]))]));
    world.trunk("airtel", TRUNK);
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    let calls: Vec<_> = (0..5).map(|_| world.call("airtel", "+918041234567", "+919811112222")).collect();
    world.pass(Duration::from_millis(20));
    let statuses: Vec<_> = calls.iter().map(|call| world.refusal("airtel", *call).map(|(status, _)| status)).collect();
    assert_eq!(statuses, [None, Some(486), Some(503), Some(503), Some(503)]);
    world.pass(seconds(1));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_millis(20));
    assert_eq!(world.refusal("airtel", call).map(|(status, _)| status), Some(486), "served again");
    world.end();
}

#[test]
fn a_company_at_its_limit_of_calls_is_busy() {
    let department = "[departments.sales]\nmembers = [\"221\", \"222\"]\nstrategy = \"serial\"\n";
    let text = acme(department, &[("221", ""), ("222", "")]).replace("timezone", "max-calls = 1\ntimezone");
    let mut world = World::new(configuration(MACHINE, &[("acme", &text)]));
    scripted_phones(&mut world, 2);
    let (mut caller, _) = talk(&mut world, "one", ASHA, "");
    let mut second = from_trunk("two");
    invite(&mut world, &mut second);
    let failure = world.expect(TRUNK, "SIP/2.0 486");
    assert!(failure.headers("Reason")[0].starts_with("Q.850;cause=17;text="));
    world.say(TRUNK, &second.ack_failure(&failure));
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

#[test]
fn a_leg_to_a_mobile_that_lost_counts_against_its_trunk_no_more() {
    let mut world = with_mobile("\"extension\", \"mobile\"", &limited("max-calls = 2"));
    scripted_phones(&mut world, 2);
    let mut caller = from_trunk("one");
    invite(&mut world, &mut caller);
    let desk = world.expect(ASHA, "INVITE");
    let mobile = world.expect(TRUNK, "INVITE");
    world.say(TRUNK, &respond(&mobile, "180 Ringing", "m", "", ""));
    let mut callee = answer(&mut world, &desk, ASHA, "d");
    cancelled(&mut world, &mobile, TRUNK);
    world.heard(TRUNK);
    // One call is left of the two: a second one is served (and finds Asha busy).
    let mut second = from_trunk("two");
    invite(&mut world, &mut second);
    let failure = world.expect(TRUNK, "SIP/2.0 486");
    world.say(TRUNK, &second.ack_failure(&failure));
    caller.learn(
        &world
            .sent_to(TRUNK)
            .into_iter()
            .find(|seen| seen.first_line() == "SIP/2.0 200 OK" && seen.header("CSeq").unwrap().ends_with("INVITE"))
            .unwrap()
            .clone(),
    );
    world.say(TRUNK, &caller.ack());
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

// ---- answers after the end --------------------------------------------------------------------------------------------------

#[test]
fn an_answer_after_the_end_of_its_call_goes_up_and_its_dialog_works_and_counts_nothing_twice() {
    // Behind the phone somebody forks: a second 200, by another tag, comes after the first dialog was ended. The answer is
    // the caller's (RFC 3261 §16.7); the record is written, and the person may be on another call by now (docs/choices.md).
    let department = "[departments.sales]\nmembers = [\"221\", \"222\"]\nstrategy = \"serial\"\n";
    let users = [("221", ""), ("222", "")];
    let mut world = World::new(configuration(&limited("max-calls = 2"), &[("acme", &acme(department, &users))]));
    scripted_phones(&mut world, 2);
    let mut caller = from_trunk("again");
    invite(&mut world, &mut caller);
    let rung = world.expect(ASHA, "INVITE");
    answer(&mut world, &rung, ASHA, "one");
    let mut first = acknowledge(&mut world, &caller, ASHA);
    hang_up(&mut world, &mut first, ASHA);
    assert!(world.busy().is_empty());
    answer(&mut world, &rung, ASHA, "two");
    let mut second = acknowledge(&mut world, &caller, ASHA);
    assert!(world.busy().is_empty());
    world.pass(seconds(60));
    let (mut other, _) = talk(&mut world, "other", ASHA, "");
    hang_up(&mut world, &mut second, ASHA);
    assert_eq!(world.busy(), ["221@acme on-call"]);
    assert_eq!(world.records.len(), 1, "one record of a call");
    // The trunk has one call now: one more is served, a third is not.
    let (mut third, _) = talk(&mut world, "third", RAVI, "");
    let mut fourth = from_trunk("fourth");
    invite(&mut world, &mut fourth);
    let failure = world.expect(TRUNK, "SIP/2.0 503");
    world.say(TRUNK, &fourth.ack_failure(&failure));
    hang_up(&mut world, &mut third, RAVI);
    hang_up(&mut world, &mut other, ASHA);
    world.end();
}

#[test]
fn a_copy_of_an_answer_after_its_dialog_ended_brings_nothing_back() {
    let mut world = World::new(sales("\"221\"", "", &[("221", "")]));
    scripted_phones(&mut world, 1);
    let mut caller = from_trunk("copy");
    invite(&mut world, &mut caller);
    let rung = world.expect(ASHA, "INVITE");
    answer(&mut world, &rung, ASHA, "one");
    let mut caller = acknowledge(&mut world, &caller, ASHA);
    hang_up(&mut world, &mut caller, ASHA);
    answer(&mut world, &rung, ASHA, "one");
    world.expect(TRUNK, "SIP/2.0 200");
    assert!(world.busy().is_empty());
    world.pass(seconds(60));
    world.expect_no(ASHA, "BYE");
    assert_eq!(world.records.len(), 1);
    world.end();
}

#[test]
fn a_damaged_copy_of_an_invite_that_is_being_served_ends_nothing() {
    // RFC 3261 §17.1.1.2: a 400 to the copy would be the final response of the INVITE, which rings on.
    let mut world = World::new(sales("\"221\"", "", &[("221", "")]));
    scripted_phones(&mut world, 1);
    let mut caller = from_trunk("damaged");
    let whole = caller.request("INVITE", "", "");
    world.say(TRUNK, &whole);
    let rung = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "180 Ringing", "a", "", ""));
    world.expect(TRUNK, "SIP/2.0 180");
    // Shorter than its Content-Length says, which a request of its own would be told (RFC 3261 §18.3).
    let cut = whole.replace("Content-Length: 0", "Content-Length: 10");
    assert_ne!(cut, whole);
    world.say(TRUNK, &cut);
    world.expect_no(TRUNK, "SIP/2.0");
    answer(&mut world, &rung, ASHA, "a");
    let mut caller = acknowledge(&mut world, &caller, ASHA);
    // Once nobody is waiting for an answer to it, the same bytes are told what is wrong with them.
    let other = cut.replace("branch=z9hG4bK", "branch=z9hG4bKother");
    world.say(TRUNK, &other);
    world.expect(TRUNK, "SIP/2.0 400");
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}
