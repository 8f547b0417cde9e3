//! What happens inside calls, and how they end: no claim outlives its call, and no stranger ends one.

use std::time::Duration;

use switchboard::config::Config;
use switchboard::engine::EndedBy as Ended;
use switchboard::peer::{Behaviour, CallEvent, EndedBy, PhoneEvent};

use super::companies::{MACHINE, acme, one_company};
use super::proxy::scripted_phones;
use super::script::{ASHA, BODY, Party, RAVI, TRUNK, from_trunk, hang_up, register, respond, seconds, talk};
use super::world::{SWITCHBOARD, Seen, World, configuration, sockets};

const SALES: &str = "[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n";

fn config() -> Config {
    one_company(SALES, &[("221", ""), ("222", "")])
}

/// No call is longer than ten minutes.
fn ten_minutes() -> Config {
    let machine = MACHINE.replace("[sip]\n", "[sip]\nmax-call = \"10m\"\n");
    configuration(&machine, &[("acme", &acme(SALES, &[("221", "")]))])
}

fn one_phone(config: Config) -> World {
    let mut world = World::new(config);
    scripted_phones(&mut world, 1);
    world
}

fn cseq(seen: &Seen) -> u32 {
    seen.header("CSeq").unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Both ends of a call hear that Switchboard ends it, in each other's name, and say so.
fn both_are_hung_up(world: &mut World, caller: &Party, callee: &Party) {
    for (hears, other) in [(caller, callee), (callee, caller)] {
        let bye = world.expect(&hears.address, "BYE");
        assert_eq!(
            bye.headers("From"),
            [other.local.as_str()],
            "RFC 3261 §12.2.1.1: the other's identity, with its tag"
        );
        assert_eq!(bye.header("To").as_ref(), Some(&hears.local));
        assert_eq!(bye.header("Call-ID").as_ref(), Some(&hears.call_id));
        assert!(cseq(&bye) > other.cseq, "above all the other has used");
        assert_eq!(bye.headers("Via").len(), 1);
        let ok = respond(&bye, "200 OK", "", "", "");
        world.say(&hears.address, &ok);
    }
}

// ---- BYE --------------------------------------------------------------------------------------------------------------

#[test]
fn a_phone_that_died_without_bye_is_free_when_the_callers_bye_times_out() {
    let mut world = one_phone(config());
    let (mut caller, _) = talk(&mut world, "dead", ASHA, "");
    world.say(TRUNK, &caller.request("BYE", "", ""));
    world.pass(seconds(30));
    assert_eq!(world.busy(), ["221@acme on-call"]);
    world.pass(seconds(3));
    assert!(world.busy().is_empty());
    world.expect_no(TRUNK, "SIP/2.0 408");
    assert_eq!(world.records.last().unwrap().ended_by, Ended::Caller);
    world.end();
}

#[test]
fn copies_of_a_bye_are_absorbed_and_answered_again() {
    let mut world = one_phone(config());
    let (_, mut callee) = talk(&mut world, "copies", ASHA, "");
    let bye = callee.request("BYE", "", "");
    world.say(ASHA, &bye);
    world.say(ASHA, &bye);
    let seen = world.expect(TRUNK, "BYE");
    world.expect_no(TRUNK, "BYE");
    world.say(TRUNK, &respond(&seen, "200 OK", "", "", ""));
    world.expect(ASHA, "SIP/2.0 200");
    world.say(ASHA, &bye);
    world.expect(ASHA, "SIP/2.0 200");
    assert_eq!(world.records.len(), 1);
    world.end();
}

#[test]
fn two_byes_that_cross_end_the_call_once() {
    let mut world = one_phone(config());
    let (mut caller, mut callee) = talk(&mut world, "glare", ASHA, "");
    world.say(TRUNK, &caller.request("BYE", "", ""));
    world.say(ASHA, &callee.request("BYE", "", ""));
    let at_asha = world.expect(ASHA, "BYE");
    let at_trunk = world.expect(TRUNK, "BYE");
    world.say(ASHA, &respond(&at_asha, "481 Call/Transaction Does Not Exist", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 481");
    assert!(world.busy().is_empty());
    world.say(TRUNK, &respond(&at_trunk, "200 OK", "", "", ""));
    world.expect(ASHA, "SIP/2.0 200");
    assert_eq!(world.records.len(), 1);
    world.end();
}

#[test]
fn a_bye_refused_for_lack_of_proof_ends_nothing() {
    let mut world = one_phone(config());
    let (mut caller, _) = talk(&mut world, "challenged", ASHA, "");
    world.say(TRUNK, &caller.request("BYE", "", ""));
    let bye = world.expect(ASHA, "BYE");
    world.say(ASHA, &respond(&bye, "401 Unauthorized", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 401");
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut caller, ASHA);
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn a_bye_that_is_challenged_in_an_early_dialog_leaves_it_early() {
    // RFC 3261 §15: a caller may send BYE on an early dialog. What the challenge leaves is what was there before.
    let mut world = one_phone(config());
    let mut caller = from_trunk("early-bye");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "180 Ringing", "e", &format!("Contact: <sip:a@{ASHA}>\r\n"), ""));
    let progress = world.expect(TRUNK, "SIP/2.0 180");
    let mut early = caller.clone();
    early.learn(&progress);
    world.say(TRUNK, &early.request("BYE", "", ""));
    let bye = world.expect(ASHA, "BYE");
    world.say(ASHA, &respond(&bye, "401 Unauthorized", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 401");
    world.say(ASHA, &respond(&rung, "486 Busy Here", "e", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    world.say(TRUNK, &caller.ack_failure(&failure));
    assert!(world.busy().is_empty());
    assert_eq!(world.records.len(), 1);
    world.end();
}

#[test]
fn a_bye_that_is_challenged_after_its_early_dialogs_branch_ended_leaves_nothing() {
    let mut world = one_phone(config());
    let mut caller = from_trunk("too-late");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "180 Ringing", "e", &format!("Contact: <sip:a@{ASHA}>\r\n"), ""));
    let progress = world.expect(TRUNK, "SIP/2.0 180");
    let mut early = caller.clone();
    early.learn(&progress);
    world.say(TRUNK, &early.request("BYE", "", ""));
    let bye = world.expect(ASHA, "BYE");
    world.say(ASHA, &respond(&rung, "486 Busy Here", "e", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    world.say(TRUNK, &caller.ack_failure(&failure));
    world.say(ASHA, &respond(&bye, "401 Unauthorized", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 401");
    assert!(world.busy().is_empty());
    assert_eq!(world.records.len(), 1);
    world.end();
}

#[test]
fn a_bye_in_an_early_dialog_ends_it_and_its_invite() {
    let mut world = one_phone(config());
    let mut caller = from_trunk("early-end");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "180 Ringing", "e", &format!("Contact: <sip:a@{ASHA}>\r\n"), ""));
    let progress = world.expect(TRUNK, "SIP/2.0 180");
    let mut early = caller.clone();
    early.learn(&progress);
    world.say(TRUNK, &early.request("BYE", "", ""));
    let bye = world.expect(ASHA, "BYE");
    world.say(ASHA, &respond(&rung, "487 Request Terminated", "e", "", ""));
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    let failure =
        world.heard(TRUNK).into_iter().chain(world.sent_to(TRUNK).into_iter().cloned()).find(|seen| {
            seen.first_line().starts_with("SIP/2.0 4") && seen.header("CSeq").unwrap().ends_with("INVITE")
        });
    world.say(TRUNK, &caller.ack_failure(&failure.unwrap()));
    assert!(world.busy().is_empty());
    world.end();
}

// ---- re-INVITE, INFO, target refresh -------------------------------------------------------------------------------------

#[test]
fn both_ends_may_hold_and_resume_and_a_refreshed_target_is_used() {
    // RFC 3261 §14, §12.2: "target refresh".
    let mut world = one_phone(ten_minutes());
    let (mut caller, mut callee) = talk(&mut world, "hold", ASHA, "");
    let hold = format!("{BODY}a=sendonly\r\n");
    // The trunk holds, from a new contact of its own, and the phone answers with a new one too.
    let invite = caller.request("INVITE", "", &hold).replace("<sip:me@192.0.2.1:5060>", "<sip:moved@192.0.2.9:5070>");
    world.say(TRUNK, &invite);
    world.expect(TRUNK, "SIP/2.0 100");
    let seen = world.expect(ASHA, "INVITE");
    assert!(seen.text().ends_with(&hold));
    assert!(seen.headers("Record-Route").is_empty(), "the route set does not change");
    let moved = format!("Contact: <sip:elsewhere@{ASHA}>\r\n");
    world.say(ASHA, &respond(&seen, "200 OK", "", &moved, BODY));
    let ok = world.expect(TRUNK, "SIP/2.0 200");
    assert!(ok.text().ends_with(BODY));
    caller.target = format!("sip:elsewhere@{ASHA}");
    world.say(TRUNK, &caller.ack());
    let ack = world.expect(ASHA, "ACK");
    assert_eq!(ack.first_line(), format!("ACK sip:elsewhere@{ASHA} SIP/2.0"));
    // The phone resumes; its requests go to the trunk's new contact, one of the trunk's own addresses.
    callee.target = "sip:moved@192.0.2.9:5070".to_owned();
    world.say(ASHA, &callee.request("INVITE", "", BODY));
    let seen = world.expect("192.0.2.9:5070", "INVITE sip:moved@192.0.2.9:5070");
    world.say("192.0.2.9:5070", &respond(&seen, "200 OK", "", "Contact: <sip:moved@192.0.2.9:5070>\r\n", BODY));
    world.expect(ASHA, "SIP/2.0 200");
    world.say(ASHA, &callee.ack());
    world.expect("192.0.2.9:5070", "ACK");
    // Our own BYE knows both.
    world.pass(seconds(600));
    let bye = world.expect("192.0.2.9:5070", "BYE sip:moved@192.0.2.9:5070");
    world.say("192.0.2.9:5070", &respond(&bye, "200 OK", "", "", ""));
    let bye = world.expect(ASHA, &format!("BYE sip:me@{ASHA}"));
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn re_invites_that_cross_are_both_refused_491_and_the_call_goes_on() {
    // RFC 3261 §14.2.
    let mut world = one_phone(config());
    let (mut caller, mut callee) = talk(&mut world, "glare", ASHA, "");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    world.say(ASHA, &callee.request("INVITE", "", ""));
    let at_asha = world.expect(ASHA, "INVITE");
    let at_trunk = world.expect(TRUNK, "INVITE");
    world.say(ASHA, &respond(&at_asha, "491 Request Pending", "", "", ""));
    world.expect(ASHA, "ACK");
    let refused = world.expect(TRUNK, "SIP/2.0 491");
    world.say(TRUNK, &caller.ack_failure(&refused));
    world.say(TRUNK, &respond(&at_trunk, "491 Request Pending", "", "", ""));
    world.expect(TRUNK, "ACK");
    let refused = world.expect(ASHA, "SIP/2.0 491");
    world.say(ASHA, &callee.ack_failure(&refused));
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut callee, TRUNK);
    world.end();
}

#[test]
fn a_re_invite_can_be_cancelled_and_the_call_goes_on() {
    let mut world = one_phone(config());
    let (mut caller, _) = talk(&mut world, "cancelled", ASHA, "");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let seen = world.expect(ASHA, "INVITE");
    world.say(TRUNK, &caller.cancel(""));
    world.expect(TRUNK, "SIP/2.0 200");
    world.expect_no(ASHA, "CANCEL");
    world.say(ASHA, &respond(&seen, "100 Trying", "", "", ""));
    let cancel = world.expect(ASHA, "CANCEL");
    assert_eq!(cancel.headers("To"), seen.headers("To"));
    world.say(ASHA, &respond(&cancel, "200 OK", "", "", ""));
    world.say(ASHA, &respond(&seen, "487 Request Terminated", "", "", ""));
    world.expect(ASHA, "ACK");
    let refused = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&refused));
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

#[test]
fn a_re_invite_that_nobody_answers_is_408_and_the_call_goes_on() {
    let mut world = one_phone(config());
    let (mut caller, _) = talk(&mut world, "silent", ASHA, "");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    world.pass(seconds(33));
    let refused = world.expect(TRUNK, "SIP/2.0 408");
    world.say(TRUNK, &caller.ack_failure(&refused));
    assert_eq!(world.busy(), ["221@acme on-call"]);
    world.heard(ASHA);
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

// ---- ends of our own making -----------------------------------------------------------------------------------------------

#[test]
fn a_session_that_nobody_refreshes_is_ended() {
    // RFC 4028 §8.2.
    let mut world = one_phone(config());
    let expires = "Session-Expires: 100;refresher=uac\r\n";
    let (mut caller, callee) = talk(&mut world, "session", ASHA, expires);
    world.pass(seconds(60));
    world.say(TRUNK, &caller.request("UPDATE", "Session-Expires: 100;refresher=uac\r\n", ""));
    let update = world.expect(ASHA, "UPDATE");
    world.say(ASHA, &respond(&update, "200 OK", "", expires, ""));
    world.expect(TRUNK, "SIP/2.0 200");
    world.pass(seconds(99));
    world.expect_no(ASHA, "BYE");
    assert_eq!(world.busy(), ["221@acme on-call"]);
    world.pass(seconds(2));
    both_are_hung_up(&mut world, &caller, &callee);
    assert!(world.busy().is_empty());
    assert_eq!(world.records.last().unwrap().ended_by, Ended::SessionTimer);
    world.end();
}

#[test]
fn the_longest_call_is_ended_and_both_ends_take_the_bye() {
    let mut world = World::new(ten_minutes());
    world.trunk("airtel", TRUNK);
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(602));
    let ended = CallEvent::Ended { by: EndedBy::Remote };
    assert!(world.call_events("airtel", call).contains(&ended), "{:?}", world.call_events("airtel", call));
    assert!(
        world.phone_events["asha"].iter().any(|event| matches!(event, PhoneEvent::Call(_, event) if *event == ended))
    );
    assert_eq!(world.records.last().unwrap().ended_by, Ended::MaxCall);
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn a_bye_of_ours_follows_the_route_set_of_each_side() {
    // RFC 3261 §12.2.1.1: Route is the dialog's route set.
    let mut world = one_phone(ten_minutes());
    let mut caller = from_trunk("route-set");
    world.say(
        TRUNK,
        &caller.request("INVITE", "Record-Route: <sip:192.0.2.2;lr>\r\nRecord-Route: <sip:192.0.2.3;lr>\r\n", ""),
    );
    let rung = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "200 OK", "t", &format!("Contact: <sip:a@{ASHA}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    assert_eq!(caller.routes.len(), 3);
    caller.routes.retain(|route| route.contains(SWITCHBOARD));
    world.say(TRUNK, &caller.ack());
    world.expect(ASHA, "ACK");
    world.pass(seconds(601));
    let bye = world.expect("192.0.2.2:5060", "BYE sip:me@192.0.2.1:5060");
    assert_eq!(bye.headers("Route"), ["<sip:192.0.2.2;lr>", "<sip:192.0.2.3;lr>"]);
    world.say("192.0.2.2:5060", &respond(&bye, "200 OK", "", "", ""));
    let bye = world.expect(ASHA, "BYE");
    assert!(bye.headers("Route").is_empty());
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    world.end();
}

#[test]
fn a_copy_of_one_ends_answer_to_our_bye_does_not_speak_for_the_other() {
    // until that person provably no longer talks.
    let mut world = one_phone(ten_minutes());
    let _ = talk(&mut world, "copy", ASHA, "");
    world.pass(seconds(601));
    let bye = world.expect(TRUNK, "BYE");
    let ok = respond(&bye, "200 OK", "", "", "");
    world.say(TRUNK, &ok);
    world.say(TRUNK, &ok);
    assert_eq!(world.busy(), ["221@acme on-call"], "the phone has not answered its BYE yet");
    let bye = world.expect(ASHA, "BYE");
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn an_answer_that_is_never_acknowledged_is_ended() {
    let mut world = one_phone(config());
    let mut caller = from_trunk("no-ack");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = world.expect(ASHA, "INVITE");
    let callee = Party::callee(ASHA, &rung, "t");
    world.say(ASHA, &respond(&rung, "200 OK", "t", &format!("Contact: <sip:a@{ASHA}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    world.pass(seconds(33));
    both_are_hung_up(&mut world, &caller, &callee);
    assert!(world.busy().is_empty());
    assert_eq!(world.records.last().unwrap().ended_by, Ended::Unacknowledged);
    world.end();
}

#[test]
fn a_phone_that_says_it_restarted_has_no_call_any_more() {
    // RFC 3261 §10.2: a new Call-ID is a new boot.
    let mut world = World::new(config());
    let contact = format!("sip:221@{ASHA}");
    register(&mut world, SWITCHBOARD, ASHA, &contact, "221", "boot-1", 1);
    let (caller, callee) = talk(&mut world, "restart", ASHA, "");
    register(&mut world, SWITCHBOARD, ASHA, &contact, "221", "boot-1", 3);
    assert_eq!(world.busy(), ["221@acme on-call"], "a refresh is no restart");
    register(&mut world, SWITCHBOARD, ASHA, &contact, "221", "boot-2", 1);
    // It left before the 200, which waits for the disk.
    let bye = world.sent_to(ASHA).into_iter().find(|seen| seen.first_line().starts_with("BYE")).unwrap().clone();
    world.say(ASHA, &respond(&bye, "481 Call/Transaction Does Not Exist", "", "", ""));
    let bye = world.expect(TRUNK, "BYE");
    assert_eq!(bye.header("From").as_ref(), Some(&callee.local));
    assert_eq!(bye.header("To").as_ref(), Some(&caller.local));
    world.say(TRUNK, &respond(&bye, "200 OK", "", "", ""));
    assert!(world.busy().is_empty());
    assert_eq!(world.records.last().unwrap().ended_by, Ended::Restarted);
    world.end();
}

#[test]
fn a_call_whose_end_no_socket_reaches_any_more_still_ends() {
    // The IPv6 socket is taken away by a reload while a phone talks through it.
    let six = "[2001:db8::10]:5060";
    let phone = "[2001:db8::221]:5060";
    let mut world = World::with_listeners(ten_minutes(), &[SWITCHBOARD, six]);
    register(&mut world, six, phone, &format!("sip:221@{phone}"), "221", "six", 1);
    let _ = talk_through(&mut world, six, phone);
    world.adopt_with(ten_minutes(), sockets(&[SWITCHBOARD]));
    world.pass(seconds(601));
    let bye = world.expect(TRUNK, "BYE");
    world.say(TRUNK, &respond(&bye, "200 OK", "", "", ""));
    world.pass(seconds(33));
    assert!(world.busy().is_empty());
    assert_eq!(world.records.last().unwrap().ended_by, Ended::MaxCall);
    world.end();
}

#[test]
fn a_phone_whose_socket_is_gone_hears_of_the_end_from_another() {
    let second = "203.0.113.11:5060";
    let mut world = World::with_listeners(ten_minutes(), &[SWITCHBOARD, second]);
    register(&mut world, second, ASHA, &format!("sip:221@{ASHA}"), "221", "two", 1);
    let _ = talk_through(&mut world, second, ASHA);
    world.adopt_with(ten_minutes(), sockets(&[SWITCHBOARD]));
    world.pass(seconds(601));
    let bye = world.expect(TRUNK, "BYE");
    world.say(TRUNK, &respond(&bye, "200 OK", "", "", ""));
    let bye = world.expect(ASHA, "BYE");
    assert!(bye.headers("Via")[0].contains(SWITCHBOARD));
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    assert!(world.busy().is_empty());
    world.end();
}

/// A call that a phone at another socket answers.
fn talk_through(world: &mut World, socket: &str, phone: &str) -> (Party, Party) {
    let mut caller = from_trunk("through");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = world.expect(phone, "INVITE");
    let callee = Party::callee(phone, &rung, "t");
    world.say_to(socket, phone, &respond(&rung, "200 OK", "t", &format!("Contact: <sip:a@{phone}>\r\n"), ""));
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    world.expect(phone, "ACK");
    (caller, callee)
}

#[test]
fn a_target_refreshed_before_the_answer_is_used_after_it() {
    // RFC 3311 §5.1: UPDATE is a target refresh request, in early dialogs too.
    let mut world = one_phone(ten_minutes());
    let mut caller = from_trunk("update");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let rung = world.expect(ASHA, "INVITE");
    let contact = format!("Contact: <sip:a@{ASHA}>\r\n");
    world.say(ASHA, &respond(&rung, "183 Session Progress", "t", &contact, ""));
    let progress = world.expect(TRUNK, "SIP/2.0 183");
    caller.learn(&progress);
    let update = caller.request("UPDATE", "", "").replace("<sip:me@192.0.2.1:5060>", "<sip:moved@192.0.2.9:5070>");
    world.say(TRUNK, &update);
    let update = world.expect(ASHA, "UPDATE");
    world.say(ASHA, &respond(&update, "200 OK", "", "", ""));
    world.say(ASHA, &respond(&rung, "200 OK", "t", &contact, ""));
    world.say(TRUNK, &caller.request_with("ACK", 1, "", ""));
    world.expect(ASHA, "ACK");
    world.pass(seconds(601));
    let bye = world.expect("192.0.2.9:5070", "BYE sip:moved@192.0.2.9:5070");
    world.say("192.0.2.9:5070", &respond(&bye, "200 OK", "", "", ""));
    let bye = world.expect(ASHA, "BYE");
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    world.end();
}

// ---- who may speak inside a call --------------------------------------------------------------------------------------------

#[test]
fn strangers_that_know_both_tags_cannot_end_a_call() {
    // Invariant 23.
    let mut world = one_phone(config());
    let (mut caller, mut callee) = talk(&mut world, "spoofed", ASHA, "");
    let stranger = "198.51.100.66:5060";
    for method in ["BYE", "INVITE", "INFO"] {
        world.say(stranger, &caller.clone().request(method, "", ""));
        world.expect(stranger, "SIP/2.0 403");
        world.say(stranger, &callee.clone().request(method, "", ""));
        world.expect(stranger, "SIP/2.0 407");
    }
    world.say(stranger, &caller.clone().ack());
    // Another trunk's phone neither: Ravi is a user, but not this one.
    assert!(world.lines(ASHA).is_empty());
    assert!(world.lines(TRUNK).is_empty());
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut caller, ASHA);
    let _ = callee.request("BYE", "", "");
    world.end();
}

#[test]
fn a_phone_whose_nat_gave_it_a_new_port_keeps_its_call() {
    let mut world = World::new(config());
    let contact = "sip:221@10.0.0.7:5060";
    let new = "198.51.100.1:41000";
    register(&mut world, SWITCHBOARD, ASHA, contact, "221", "nat", 1);
    let (mut caller, mut callee) = talk(&mut world, "nat", ASHA, "");
    register(&mut world, SWITCHBOARD, new, contact, "221", "nat", 3);
    world.heard(ASHA);
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let info = world.expect(new, "INFO");
    assert!(world.lines(ASHA).is_empty(), "nothing goes to the old port");
    world.say(new, &respond(&info, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    callee.address = new.to_owned();
    hang_up(&mut world, &mut callee, TRUNK);
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn another_address_of_the_same_trunk_may_end_the_call() {
    let mut world = one_phone(config());
    let (mut caller, _) = talk(&mut world, "sources", ASHA, "");
    caller.address = "192.0.2.7:5060".to_owned();
    hang_up(&mut world, &mut caller, ASHA);
    assert!(world.busy().is_empty());
    world.end();
}

#[test]
fn a_second_phone_of_another_user_cannot_end_the_call() {
    let mut world = World::new(config());
    scripted_phones(&mut world, 2);
    let (mut caller, callee) = talk(&mut world, "other", ASHA, "");
    let mut thief = callee.clone();
    thief.address = RAVI.to_owned();
    world.say(RAVI, &thief.request("BYE", "", ""));
    world.expect(RAVI, "SIP/2.0 407");
    world.expect_no(TRUNK, "BYE");
    world.pass(Duration::from_secs(1));
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}
