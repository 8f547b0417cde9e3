//! Stories of calls: rings, answers, refusals, and what is left when they are over.

use std::time::Duration;

use switchboard::engine::{Command, Reply};
use switchboard::peer::{Behaviour, CallEvent, EndedBy, PhoneEvent};

use super::companies::{MACHINE, acme, one_company, user};
use super::world::{World, configuration};

const SALES: &str = "[departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nring = \"20s\"\n";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn three() -> Vec<(&'static str, &'static str)> {
    vec![("221", ""), ("222", ""), ("223", "")]
}

fn ended(world: &World, phone: &str) -> usize {
    world.phone_events[phone]
        .iter()
        .filter(|event| matches!(event, PhoneEvent::Call(_, CallEvent::Ended { .. })))
        .count()
}

fn agents_busy(world: &mut World) -> Vec<String> {
    match world.command(Command::Agents) {
        Reply::Agents(agents) => agents
            .into_iter()
            .filter(|agent| ["on-call", "ringing", "wrap-up"].contains(&agent.state.as_str()))
            .map(|agent| format!("{}@{} {}", agent.extension, agent.company, agent.state))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// How many Via lines a message has.
fn vias(message: &[u8]) -> usize {
    String::from_utf8_lossy(message).lines().filter(|line| line.to_ascii_lowercase().starts_with("via:")).count()
}

#[test]
fn a_call_is_answered_and_the_caller_hangs_up() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(2)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    assert_eq!(agents_busy(&mut world), ["221@acme ringing"]);
    world.pass(seconds(3));
    assert!(world.answered("airtel", call));
    assert_eq!(agents_busy(&mut world), ["221@acme on-call"]);
    assert!(
        world.phone_events["asha"].iter().any(|event| matches!(event, PhoneEvent::Call(_, CallEvent::AckReceived)))
    );
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(1));
    assert_eq!(ended(&world, "asha"), 1);
    assert!(agents_busy(&mut world).is_empty());
    let record = world.records.last().expect("the call was recorded").clone();
    assert_eq!(record.status, 200);
    assert_eq!(record.ended_by, switchboard::engine::EndedBy::Caller);
    assert_eq!(record.answered_by, ["221"]);
    assert!(record.answered_at.is_some_and(|at| at < record.ended_at));
    world.end();
}

#[test]
fn a_call_is_answered_and_the_phone_hangs_up() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)).hang_up_after(seconds(5)));
    let call = world.call("airtel", "08041234567", "9811112222");
    world.pass(seconds(10));
    let events = world.call_events("airtel", call);
    assert!(events.contains(&CallEvent::Ended { by: EndedBy::Remote }), "{events:?}");
    assert_eq!(world.records.last().unwrap().ended_by, switchboard::engine::EndedBy::Callee);
    assert!(agents_busy(&mut world).is_empty());
    world.end();
}

#[test]
fn all_ring_one_answers_and_the_others_hear_that_it_was_answered_elsewhere() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    world.phone("ravi", "222", "acme.example", Behaviour::answer_after(seconds(3)));
    world.phone("mina", "223", "acme.example", Behaviour::ring_only());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(5));
    assert!(world.answered("airtel", call));
    let elsewhere = Some("SIP;cause=200;text=\"Call completed elsewhere\"".to_owned());
    assert_eq!(world.cancel_reasons("asha"), std::slice::from_ref(&elsewhere));
    assert_eq!(world.cancel_reasons("mina"), [elsewhere]);
    assert_eq!(agents_busy(&mut world), ["222@acme on-call"]);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn the_caller_gives_up_and_gets_its_487_at_once() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(3));
    world.with_trunk("airtel", |trunk, now| trunk.cancel(now, call));
    world.pass(Duration::from_millis(10));
    assert_eq!(world.refusal("airtel", call).map(|(status, _)| status), Some(487));
    assert_eq!(world.cancel_reasons("asha"), [None], "nobody answered elsewhere");
    assert_eq!(world.records.last().unwrap().ended_by, switchboard::engine::EndedBy::Cancelled);
    world.end();
}

#[test]
fn a_refusal_that_names_nobody_behind_us_is_acknowledged_all_the_same() {
    const PHONE: &str = "198.51.100.1:5060";
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    let invite = world.sent_to(PHONE).into_iter().find(|seen| seen.first_line().starts_with("INVITE")).unwrap().clone();
    // Some phones put but the topmost Via into the 487 that follows a CANCEL: it is lost but for that one.
    world.lose(|seen| {
        !(seen.first_line().contains("487") && seen.from == PHONE.parse().unwrap() && vias(&seen.bytes) > 1)
    });
    world.with_trunk("airtel", |trunk, now| trunk.cancel(now, call));
    world.pass(Duration::from_millis(10));
    assert_eq!(agents_busy(&mut world), ["221@acme ringing"], "until its phone has said that it no longer rings");
    let field = |name| invite.header(name).unwrap();
    let refusal = format!(
        "SIP/2.0 487 Request Terminated\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=p1\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Content-Length: 0\r\n\r\n",
        field("Via"),
        field("From"),
        field("To"),
        field("Call-ID"),
        field("CSeq")
    );
    world.inject(PHONE, refusal.as_bytes());
    world.pass(Duration::from_millis(10));
    let acks = world.sent_to(PHONE).into_iter().filter(|seen| seen.first_line().starts_with("ACK")).count();
    assert_eq!(acks, 1);
    assert!(agents_busy(&mut world).is_empty());
    world.lose_nothing();
    world.end();
}

#[test]
fn nobody_answers_and_the_caller_is_told_so_in_words() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(21));
    let (status, reason) = world.refusal("airtel", call).expect("refused after the ring time");
    assert_eq!(status, 480);
    assert!(reason.starts_with("Q.850;cause=19;text="), "{reason}");
    assert!(reason.contains("sales"), "{reason}");
    world.end();
}

#[test]
fn a_refusal_ends_that_offer_only_and_serial_goes_on() {
    let sales = "[departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nstrategy = \"serial\"\nring = \"5s\"\n";
    let mut world = World::new(one_company(sales, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::refuse(603, seconds(1)));
    world.phone("ravi", "222", "acme.example", Behaviour::redirect("sip:+15551234567@evil.example"));
    world.phone("mina", "223", "acme.example", Behaviour::answer_after(seconds(1)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(4));
    assert!(world.answered("airtel", call), "{:?}", world.call_events("airtel", call));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn everybody_busy_is_486() {
    let mut world = World::new(one_company("[departments.sales]\nmembers = [\"221\"]\n", &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    let first = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(2));
    let second = world.call("airtel", "+918041234567", "+919811113333");
    world.pass(seconds(1));
    let (status, reason) = world.refusal("airtel", second).unwrap();
    assert_eq!(status, 486);
    assert!(reason.starts_with("Q.850;cause=17;"), "{reason}");
    assert_eq!(world.phone_mut("asha").times_rung(), 1);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, first));
    world.end();
}

/// Two companies that share one person.
fn shared() -> switchboard::config::Config {
    let acme = acme("[departments.sales]\nmembers = [\"221\"]\n", &[("221", "person = \"asha\"")]);
    let mut globex = String::from(
        "name = \"Globex\"\ndomain = \"globex.example\"\ntimezone = \"Europe/Berlin\"\n\n[numbers.\"+493012345678\"]\n\
         routes = [ { to = \"department:desk\" } ]\n\n[departments.desk]\nmembers = [\"305\"]\n\n",
    );
    globex.push_str(&user("305", "person = \"asha\""));
    configuration(MACHINE, &[("acme", &acme), ("globex", &globex)])
}

#[test]
fn a_person_on_a_call_for_one_company_is_busy_for_the_other() {
    let mut world = World::new(shared());
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha at acme", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.phone("asha at globex", "305", "globex.example", Behaviour::answer_after(seconds(1)));
    let first = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(2));
    let second = world.call("airtel", "+493012345678", "+919811113333");
    world.pass(seconds(2));
    assert_eq!(world.refusal("airtel", second).map(|(status, _)| status), Some(486));
    assert_eq!(world.phone_mut("asha at globex").times_rung(), 0);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, first));
    world.pass(seconds(1));
    let third = world.call("airtel", "+493012345678", "+919811113333");
    world.pass(seconds(2));
    assert!(world.answered("airtel", third));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, third));
    world.end();
}

#[test]
fn sixty_calls_in_one_millisecond_ring_a_shared_person_once() {
    let mut world = World::new(shared());
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha at acme", "221", "acme.example", Behaviour::ring_only());
    world.phone("asha at globex", "305", "globex.example", Behaviour::ring_only());
    let mut calls = Vec::new();
    for index in 0..60 {
        let number = if index % 2 == 0 { "+918041234567" } else { "+493012345678" };
        calls.push(world.call("airtel", number, "+919811112222"));
    }
    world.pass(seconds(5));
    let rung = world.phone_mut("asha at acme").times_rung() + world.phone_mut("asha at globex").times_rung();
    assert_eq!(rung, 1);
    let refused = calls.iter().filter(|call| world.refusal("airtel", **call).is_some()).count();
    assert_eq!(refused, 59);
    world.end();
}

#[test]
fn a_caller_waits_and_is_offered_whoever_becomes_free() {
    let sales = "[departments.sales]\nmembers = [\"221\"]\nwait = \"60s\"\n";
    let mut world = World::new(one_company(sales, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    let first = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(2));
    let second = world.call("airtel", "+918041234567", "+919811113333");
    world.pass(seconds(1));
    let third = world.call("airtel", "+918041234567", "+919811114444");
    world.pass(seconds(1));
    for call in [second, third] {
        let events = world.call_events("airtel", call);
        assert!(events.iter().any(|event| matches!(event, CallEvent::Progress { status: 182, .. })), "{events:?}");
    }
    match world.command(Command::Queue) {
        Reply::Queue(queue) => assert_eq!(queue.iter().map(|entry| entry.place).collect::<Vec<_>>(), [1, 2]),
        other => panic!("{other:?}"),
    }
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, first));
    world.pass(seconds(2));
    assert!(world.answered("airtel", second), "first come, first served");
    assert!(!world.answered("airtel", third));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, second));
    world.pass(seconds(2));
    assert!(world.answered("airtel", third));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, third));
    world.end();
}

#[test]
fn extensions_call_each_other_and_both_persons_are_busy() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    world.phone("ravi", "222", "acme.example", Behaviour::answer_after(seconds(1)));
    world.with_phone("asha", |phone, now| phone.call(now, "sip:222@acme.example"));
    world.pass(seconds(3));
    assert!(world.phone_mut("asha").is_talking(), "{:?}", world.phone_events["asha"]);
    assert_eq!(agents_busy(&mut world), ["221@acme on-call", "222@acme on-call"]);
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    assert_eq!(world.refusal("airtel", call).map(|(status, _)| status), Some(486));
    world.with_phone("asha", |phone, now| phone.hang_up(now));
    world.pass(seconds(1));
    assert!(agents_busy(&mut world).is_empty());
    world.end();
}

#[test]
fn an_answer_that_crosses_the_cancel_reaches_the_caller_and_counts_as_a_call() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_despite_cancel());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(3));
    world.with_trunk("airtel", |trunk, now| trunk.cancel(now, call));
    world.pass(Duration::from_millis(20));
    let to_trunk: Vec<String> = world.sent_to("192.0.2.1:5060").iter().map(|seen| seen.first_line()).collect();
    assert!(to_trunk.iter().any(|line| line.starts_with("SIP/2.0 487")), "{to_trunk:?}");
    assert!(
        world.sent_to("192.0.2.1:5060").iter().any(|seen| seen.first_line().starts_with("SIP/2.0 200")
            && seen.header("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"))),
        "{to_trunk:?}"
    );
    world.settle();
    assert!(agents_busy(&mut world).is_empty(), "nobody is stuck busy");
    world.end();
}

#[test]
fn a_phone_that_vanishes_is_freed_when_its_branch_is_given_up() {
    let mut world = World::new(one_company("[departments.sales]\nmembers = [\"221\"]\nring = \"10s\"\n", &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::silent());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(15));
    assert_eq!(agents_busy(&mut world), ["221@acme ringing"], "it may still be ringing (R-7.1)");
    world.pass(seconds(20));
    assert!(agents_busy(&mut world).is_empty());
    assert_eq!(world.refusal("airtel", call).map(|(status, _)| status), Some(480));
    world.end();
}

#[test]
fn an_external_destination_goes_out_through_the_trunks_proxy() {
    let department = "[departments.sales]\nmembers = [\"221\"]\noverflow = { default = \"external:+919800000000\" }\n";
    let mut world = World::new(one_company(department, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(2));
    assert!(world.answered("airtel", call), "{:?}", world.call_events("airtel", call));
    let invites: Vec<String> = world
        .sent_to("192.0.2.1:5060")
        .iter()
        .map(|seen| seen.first_line())
        .filter(|line| line.starts_with("INVITE"))
        .collect();
    assert_eq!(invites, ["INVITE sip:+919800000000@192.0.2.1:5060 SIP/2.0"]);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn strangers_get_a_refusal_and_nothing_is_remembered_of_them() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("thief", "198.51.100.200:5060");
    let call = world.call("thief", "+918041234567", "+919811112222");
    world.pass(Duration::from_millis(10));
    assert!(world.engine.audit().is_empty());
    assert_eq!(world.refusal("thief", call).map(|(status, _)| status), Some(403));
    world.end();
}

#[test]
fn the_same_call_survives_a_lossy_network() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(2)));
    let mut count = 0u32;
    world.lose(move |_| {
        count += 1;
        !count.is_multiple_of(3)
    });
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(15));
    assert!(world.answered("airtel", call), "{:?}", world.call_events("airtel", call));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(15));
    assert!(agents_busy(&mut world).is_empty());
    world.lose_nothing();
    world.end();
}

#[test]
fn a_reload_keeps_registrations_and_the_call_that_is_on() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(2));
    world.adopt(one_company("[departments.sales]\nmembers = [\"222\"]\n", &[("221", ""), ("222", "")]));
    world.pass(seconds(1));
    assert!(world.trunk_mut("airtel").is_talking(call));
    match world.command(Command::Registrations) {
        Reply::Registrations(list) => assert_eq!(list.len(), 1),
        other => panic!("{other:?}"),
    }
    let second = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    assert_eq!(world.refusal("airtel", second).map(|(status, _)| status), Some(480), "222 is not registered");
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn a_late_copy_of_the_answer_does_not_bring_an_ended_call_back() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(2));
    let answer = world
        .seen
        .iter()
        .find(|seen| {
            seen.from.to_string() == "198.51.100.1:5060"
                && seen.header("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"))
                && seen.first_line().starts_with("SIP/2.0 200")
        })
        .expect("the phone answered")
        .bytes
        .clone();
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(1));
    world.inject("198.51.100.1:5060", &answer);
    world.pass(seconds(1));
    assert!(agents_busy(&mut world).is_empty());
    match world.command(Command::Status) {
        Reply::Status(status) => assert_eq!(status.calls, 0),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.engine.audit().dialogs, 0);
    assert_eq!(world.records.len(), 1);
    world.end();
}

#[test]
fn somebody_who_becomes_another_person_by_a_reload_stays_busy() {
    let globex = |more: &str| {
        let mut text = String::from(
            "name = \"Globex\"\ndomain = \"globex.example\"\ntimezone = \"Europe/Berlin\"\n\n[numbers.\"+493012345678\"]\n\
             routes = [ { to = \"department:desk\" } ]\n\n[departments.desk]\nmembers = [\"305\"]\nwrap-up = \"10s\"\n\n",
        );
        text.push_str(&user("305", more));
        text
    };
    let sales = "[departments.sales]\nmembers = [\"221\"]\n";
    let plan = |acme_user: &str, globex_user: &str| {
        configuration(MACHINE, &[("acme", &acme(sales, &[("221", acme_user)])), ("globex", &globex(globex_user))])
    };
    let mut world = World::new(plan("email = \"asha@bpo.example\"", "email = \"asha@bpo.example\""));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha at acme", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.phone("asha at globex", "305", "globex.example", Behaviour::answer_after(seconds(1)));
    let first = world.call("airtel", "+493012345678", "+919811112222");
    world.pass(seconds(2));
    // Now both are `asha`; who talks is still the same.
    world.adopt(plan("person = \"asha\"", "person = \"asha\""));
    let second = world.call("airtel", "+918041234567", "+919811113333");
    world.pass(seconds(1));
    assert_eq!(world.refusal("airtel", second).map(|(status, _)| status), Some(486));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, first));
    world.pass(seconds(1));
    assert_eq!(agents_busy(&mut world), ["221@acme wrap-up", "305@globex wrap-up"]);
    world.pass(seconds(10));
    let third = world.call("airtel", "+918041234567", "+919811113333");
    world.pass(seconds(2));
    assert!(world.answered("airtel", third));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, third));
    world.end();
}

#[test]
fn a_call_goes_on_under_the_address_it_began_with() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(5)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    world.adopt_as(one_company(SALES, &three()), "sip.switchboard.example:5060");
    world.pass(seconds(6));
    assert!(world.answered("airtel", call), "{:?}", world.call_events("airtel", call));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(1));
    assert_eq!(ended(&world, "asha"), 1);
    world.end();
}

#[test]
fn a_leg_that_lost_counts_against_its_trunk_no_longer() {
    let mobile = "ring-on = [\"extension\", \"mobile\"]\nmobile = \"+919810000001\"";
    let mut world = World::new(one_company("[departments.sales]\nmembers = [\"221\"]\n", &[("221", mobile)]));
    world.trunk("airtel", "192.0.2.1:5060");
    world.with_trunk("airtel", |trunk, _| trunk.behave(Behaviour::ring_only()));
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(2)));
    let calls_of_trunk = |world: &mut World| match world.command(Command::Status) {
        Reply::Status(status) => status.trunks["airtel"].calls,
        other => panic!("{other:?}"),
    };
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    assert_eq!(calls_of_trunk(&mut world), 2, "in, and out to the mobile");
    world.pass(seconds(2));
    assert!(world.answered("airtel", call));
    assert_eq!(calls_of_trunk(&mut world), 1, "the desk phone won");
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(1));
    assert_eq!(calls_of_trunk(&mut world), 0);
    world.end();
}

#[test]
fn routes_that_a_caller_wrote_beyond_us_go_nowhere() {
    let mut world = World::new(one_company(SALES, &three()));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    let call = world.with_trunk("airtel", |trunk, now| {
        trunk.place(
            now,
            switchboard::peer::OutgoingCall {
                number: "+918041234567".into(),
                caller: "+919811112222".into(),
                fields: vec![("Route".into(), "<sip:203.0.113.10:5060;lr>, <sip:premium@inner.example;lr>".into())],
                ..Default::default()
            },
        )
    });
    world.pass(seconds(2));
    assert!(world.answered("airtel", call), "{:?}", world.call_events("airtel", call));
    let invite = world.sent_to("198.51.100.1:5060").into_iter().find(|seen| seen.first_line().starts_with("INVITE"));
    assert_eq!(invite.expect("the phone was called").header("Route"), None);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn an_outside_number_behind_a_silent_trunk_is_unavailable_and_the_record_says_why() {
    let sales = "[departments.sales]\nmembers = [\"221\"]\noverflow = { default = \"external:+919800000000\" }\n";
    let mut world = World::new(one_company(sales, &[("221", "")]));
    world.trunk("airtel", "192.0.2.2:5060"); // its proxy, 192.0.2.1, is not there
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(40));
    let (status, reason) = world.refusal("airtel", call).expect("refused");
    assert_eq!(status, 480);
    assert!(reason.contains("cause=20") && reason.contains("cannot be reached"), "{reason}");
    let steps = &world.records.last().unwrap().decision.steps;
    assert_eq!(steps[1].evidence.as_deref(), Some("the proxy of trunk airtel does not answer"));
    world.end();
}

#[test]
fn hours_that_open_serve_all_who_wait_in_the_order_they_came() {
    let sales = "[hours.late]\nweek = { mon-sun = [\"10:02-12:00\"] }\n\
                 [departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nstrategy = \"serial\"\nwait = \"10m\"\n";
    let late = "hours = \"late\"";
    let mut world = World::new(one_company(sales, &[("221", ""), ("222", late), ("223", late)]));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.phone("ravi", "222", "acme.example", Behaviour::answer_after(seconds(3)));
    world.phone("mina", "223", "acme.example", Behaviour::answer_after(seconds(4)));
    let talking = world.call("airtel", "+918041234567", "+919811112221");
    world.pass(seconds(7));
    let first = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(7));
    let second = world.call("airtel", "+918041234567", "+919811112223");
    world.pass(seconds(90));
    assert_eq!(agents_busy(&mut world), ["221@acme on-call"], "10:01:44, and nobody else is there");
    world.pass(seconds(17));
    assert_eq!(agents_busy(&mut world), ["221@acme on-call", "222@acme ringing", "223@acme ringing"], "10:02:01");
    world.pass(seconds(4));
    assert!(world.answered("airtel", first) && world.answered("airtel", second));
    for call in [talking, first, second] {
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    }
    world.pass(seconds(1));
    let served: Vec<(String, Vec<String>)> =
        world.records.iter().map(|record| (record.decision.caller.clone(), record.answered_by.clone())).collect();
    assert!(served.contains(&("+919811112222".to_owned(), vec!["222".to_owned()])), "{served:?}");
    assert!(served.contains(&("+919811112223".to_owned(), vec!["223".to_owned()])), "{served:?}");
    world.end();
}

#[test]
fn a_phone_of_an_inactive_user_is_refused_like_a_stranger_and_counted() {
    let mut world = World::new(one_company(SALES, &[("221", "status = \"disabled\""), ("222", ""), ("223", "")]));
    world.unregistered_phone("asha", "221", "acme.example", Behaviour::ring_only());
    world.with_phone("asha", |phone, now| phone.register(now, 3600));
    world.pass(seconds(2));
    assert!(!world.phone_mut("asha").is_registered());
    assert!(world.sent_to("198.51.100.1:5060").iter().all(|seen| seen.first_line().contains("401")));
    let Reply::Status(status) = world.command(Command::Status) else { panic!("no status") };
    assert!(status.counters.get("credentials-of-inactive-user").is_some_and(|count| *count > 0), "{status:?}");
    world.end();
}

/// Acme's sales and Globex's desk, whose members are persons as given.
fn two_desks(acme_user: &str, globex_user: &str) -> switchboard::config::Config {
    let sales = "[departments.sales]\nmembers = [\"222\", \"221\"]\nstrategy = \"serial\"\nring = \"5s\"\n";
    let mut globex = String::from(
        "name = \"Globex\"\ndomain = \"globex.example\"\ntimezone = \"Europe/Berlin\"\n\n[numbers.\"+493012345678\"]\n\
         routes = [ { to = \"department:desk\" } ]\n\n[departments.desk]\nmembers = [\"305\"]\n\n",
    );
    globex.push_str(&user("305", globex_user));
    configuration(MACHINE, &[("acme", &acme(sales, &[("222", ""), ("221", acme_user)])), ("globex", &globex)])
}

#[test]
fn a_call_of_the_old_plan_does_not_ring_whom_a_call_of_the_new_one_rings() {
    let mut world = World::new(two_desks("person = \"asha\"", "person = \"bruno\""));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("ravi", "222", "acme.example", Behaviour::ring_only());
    world.phone("asha at acme", "221", "acme.example", Behaviour::ring_only());
    world.phone("asha at globex", "305", "globex.example", Behaviour::answer_after(seconds(1)));
    let old = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    // 305 turns out to be Asha too, and is called before the old call comes to 221.
    world.adopt(two_desks("person = \"asha-rao\"", "person = \"asha-rao\""));
    let new = world.call("airtel", "+493012345678", "+919811113333");
    world.pass(seconds(8));
    assert!(world.answered("airtel", new));
    assert_eq!(world.phone_mut("asha at acme").times_rung(), 0, "she talks for globex");
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, new));
    world.pass(seconds(5));
    assert!(world.refusal("airtel", old).is_some());
    world.end();
}

#[test]
fn a_name_that_a_reload_gave_by_mistake_and_the_next_took_back_holds_nobody() {
    let mut world = World::new(two_desks("person = \"asha\"", "person = \"bruno\""));
    world.trunk("airtel", "192.0.2.1:5060");
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.phone("bruno", "305", "globex.example", Behaviour::answer_after(seconds(1)));
    let first = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(2));
    assert!(world.answered("airtel", first));
    world.adopt(two_desks("person = \"bruno\"", "person = \"bruno\""));
    assert_eq!(agents_busy(&mut world), ["221@acme on-call", "305@globex on-call"]);
    world.adopt(two_desks("person = \"asha\"", "person = \"bruno\""));
    assert_eq!(agents_busy(&mut world), ["221@acme on-call"]);
    let second = world.call("airtel", "+493012345678", "+919811113333");
    world.pass(seconds(2));
    assert!(world.answered("airtel", second));
    for call in [first, second] {
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    }
    world.end();
}

#[test]
fn the_log_says_once_a_minute_why_a_users_phone_is_refused() {
    let mut world = World::new(one_company(SALES, &three()));
    world.unregistered_phone("asha", "221", "acme.example", Behaviour::ring_only());
    let refused = |world: &World| {
        world
            .events
            .iter()
            .filter(|event| matches!(event, switchboard::engine::Event::PhoneRefused { .. }))
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    // Her password is another one now.
    let changed = acme(SALES, &[("222", ""), ("223", "")])
        .replace("[users.222]", "[users.221]\nname = \"Asha\"\npassword = \"another\"\n\n[users.222]");
    world.adopt(configuration(MACHINE, &[("acme", &changed)]));
    for _ in 0..3 {
        world.with_phone("asha", |phone, now| phone.register(now, 3600));
        world.pass(seconds(5));
    }
    assert_eq!(refused(&world), ["a phone of 221@acme is refused: wrong-credentials"]);
    world.pass(seconds(60));
    world.with_phone("asha", |phone, now| phone.register(now, 3600));
    world.pass(seconds(1));
    assert_eq!(refused(&world).len(), 2);
    world.end();
}
