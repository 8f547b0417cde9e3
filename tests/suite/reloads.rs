//! Stories of new configurations while calls are on, and of a daemon that is to end.

use std::time::Duration;

use switchboard::config::Config;
use switchboard::engine::{Command, Reply};
use switchboard::peer::{Behaviour, CallEvent, EndedBy};

use super::companies::{MACHINE, acme, one_company, user};
use super::raw::daemon;
use super::world::{World, configuration};

const NUMBER: &str = "+918041234567";
const CALLER: &str = "+919811112222";
const SALES: &str = "[departments.sales]\nmembers = [\"221\", \"222\"]\nstrategy = \"serial\"\nring = \"20s\"\n";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn answering() -> Behaviour {
    Behaviour::answer_after(seconds(1))
}

fn world(config: Config) -> World {
    let mut world = World::new(config);
    world.trunk("airtel", "192.0.2.1:5060");
    world
}

fn both() -> Config {
    one_company(SALES, &[("221", ""), ("222", "")])
}

fn agent(world: &mut World, extension: &str) -> Option<String> {
    match world.command(Command::Agents) {
        Reply::Agents(agents) => agents.into_iter().find(|agent| agent.extension == extension).map(|agent| agent.state),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hundred_adoptions_keep_every_call() {
    let names = ["a", "b", "c", "d", "e"];
    let extensions = ["221", "222", "223", "224", "225"];
    let users: Vec<(&str, &str)> = extensions.iter().map(|extension| (*extension, "")).collect();
    let all = "[departments.sales]\nmembers = [\"221\", \"222\", \"223\", \"224\", \"225\"]\nstrategy = \"serial\"\n";
    let mut world = world(one_company(all, &users));
    for (name, extension) in names.into_iter().zip(extensions) {
        world.phone(name, extension, "acme.example", answering());
    }
    let mut calls = Vec::new();
    for _ in names {
        calls.push(world.call("airtel", NUMBER, CALLER));
        world.pass(seconds(2));
    }
    for round in 0..100 {
        let ring = format!("{all}ring = \"{}s\"\n", 5 + round % 20);
        // Every third version has nobody but 221, every seventh no department's members as before.
        let users = if round % 3 == 0 { &users[..1] } else { &users[..] };
        let department = if round % 3 == 0 { "[departments.sales]\nmembers = [\"221\"]\n" } else { &ring };
        world.adopt(one_company(department, users));
        world.pass(Duration::from_millis(250));
        for call in &calls {
            assert!(world.trunk_mut("airtel").is_talking(*call), "round {round}");
        }
    }
    world.adopt(one_company(all, &users));
    assert_eq!(daemon(&mut world).talking, 5);
    for call in &calls {
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, *call));
    }
    world.pass(seconds(1));
    assert_eq!(world.records.len(), 5);
    assert!(world.records.iter().all(|record| record.status == 200 && record.ended_by.as_str() == "caller"));
    world.end();
}

#[test]
fn a_user_who_is_deleted_finishes_the_call_and_gets_no_other() {
    let mut world = world(both());
    world.phone("asha", "221", "acme.example", answering());
    let call = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    world.adopt(one_company("[departments.sales]\nmembers = [\"222\"]\n", &[("222", "")]));
    world.pass(seconds(1));
    assert!(world.trunk_mut("airtel").is_talking(call));
    let second = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(1));
    assert_eq!(world.refusal("airtel", second).map(|(status, _)| status), Some(480));
    world.with_phone("asha", |phone, now| phone.hang_up(now));
    world.pass(seconds(1));
    assert!(world.call_events("airtel", call).contains(&CallEvent::Ended { by: EndedBy::Remote }));
    assert_eq!(world.records.last().unwrap().ended_by.as_str(), "callee");
    world.end();
}

#[test]
fn a_call_that_rings_a_user_who_is_deleted_can_still_be_answered() {
    let mut world = world(both());
    world.phone("asha", "221", "acme.example", Behaviour::ring_only());
    let call = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(1));
    world.adopt(one_company("[departments.sales]\nmembers = [\"222\"]\n", &[("222", "")]));
    world.with_phone("asha", |phone, now| phone.answer(now));
    world.pass(seconds(1));
    assert!(world.answered("airtel", call));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(1));
    assert!(!world.phone_mut("asha").is_talking());
    world.end();
}

#[test]
fn a_number_and_a_department_that_are_deleted_are_gone_for_new_calls_only() {
    let mut world = world(both());
    world.phone("asha", "221", "acme.example", Behaviour::refuse(486, seconds(2)));
    world.phone("ravi", "222", "acme.example", answering());
    let call = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(1));
    let text = acme("", &[("221", ""), ("222", "")])
        .replace("+918041234567", "+918041230000")
        .replace("department:sales", "user:221");
    world.adopt(configuration(MACHINE, &[("acme", &text)]));
    world.pass(seconds(4));
    assert!(world.answered("airtel", call), "it goes on to 222 as the version it began with says");
    let second = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(1));
    assert_eq!(world.refusal("airtel", second).map(|(status, _)| status), Some(404));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn a_trunk_that_is_deleted_ends_its_calls_in_order_and_begins_none() {
    let mut world = world(both());
    world.phone("asha", "221", "acme.example", answering());
    let call = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    let machine = MACHINE.replace("192.0.2.0/28", "192.0.2.128/28").replace("192.0.2.1:", "192.0.2.129:");
    let machine = machine.replace("trunks.airtel", "trunks.tata");
    let text = acme(SALES, &[("221", ""), ("222", "")]).replace("\"airtel\"", "\"tata\"");
    world.adopt(configuration(&machine, &[("acme", &text)]));
    world.pass(seconds(1));
    assert!(world.trunk_mut("airtel").is_talking(call));
    let second = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(1));
    assert_eq!(world.refusal("airtel", second).map(|(status, _)| status), Some(403), "a stranger now");
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(1));
    assert!(!world.phone_mut("asha").is_talking());
    assert_eq!(world.records.last().unwrap().ended_by.as_str(), "caller");
    world.end();
}

#[test]
fn who_waits_in_a_department_that_is_removed_is_served_by_the_version_it_came_under() {
    let waiting = "[departments.sales]\nmembers = [\"221\"]\nwait = \"60s\"\n";
    let mut world = world(one_company(waiting, &[("221", "")]));
    world.phone("asha", "221", "acme.example", answering());
    let first = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    let second = world.call("airtel", NUMBER, "+919811113333");
    world.pass(seconds(1));
    let text = acme("", &[("221", "")]).replace("department:sales", "user:221");
    world.adopt(configuration(MACHINE, &[("acme", &text)]));
    world.pass(seconds(1));
    assert_eq!(daemon(&mut world).waiting, 1);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, first));
    world.pass(seconds(2));
    assert!(world.answered("airtel", second), "{:?}", world.call_events("airtel", second));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, second));
    world.end();
}

#[test]
fn registrations_switches_and_memories_of_those_who_remain_are_kept() {
    let round =
        "[departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nstrategy = \"round-robin\"\nring = \"5s\"\n";
    let users = [("221", ""), ("222", ""), ("223", "")];
    let mut world = world(one_company(round, &users));
    world.phone("a", "221", "acme.example", answering());
    world.phone("b", "222", "acme.example", answering());
    world.phone("c", "223", "acme.example", answering());
    assert!(matches!(world.command(Command::Pause { user: "223@acme".into() }), Reply::Done(_)));
    let first = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, first));
    world.pass(seconds(1));
    assert_eq!(world.phone_mut("a").times_rung(), 1);
    assert!(matches!(world.command(Command::TakeCalls { user: "221@acme".into(), takes: false }), Reply::Done(_)));

    world.adopt(one_company(&round.replace("5s", "6s"), &users));
    assert_eq!(daemon(&mut world).registrations, 3);
    assert_eq!(agent(&mut world, "223").as_deref(), Some("paused"));
    assert_eq!(agent(&mut world, "221").as_deref(), Some("away"));
    assert!(matches!(world.command(Command::TakeCalls { user: "221@acme".into(), takes: true }), Reply::Done(_)));
    let second = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    assert_eq!(world.phone_mut("a").times_rung(), 1, "the pointer is where it was");
    assert_eq!(world.phone_mut("b").times_rung(), 1);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, second));
    world.end();
}

#[test]
fn a_user_who_comes_back_after_being_deleted_begins_anew() {
    let mut world = world(both());
    world.phone("asha", "221", "acme.example", answering());
    assert!(matches!(world.command(Command::Pause { user: "221@acme".into() }), Reply::Done(_)));
    let without = "[departments.sales]\nmembers = [\"222\"]\n";
    world.adopt(one_company(without, &[("222", "")]));
    world.adopt(both());
    assert_eq!(agent(&mut world, "221").as_deref(), Some("not-registered"), "neither paused nor registered");
    world.end();
}

#[test]
fn a_new_member_takes_a_call_that_waits() {
    let waiting = "[departments.sales]\nmembers = [\"221\"]\nwait = \"60s\"\n";
    let users = [("221", ""), ("222", "")];
    let mut world = world(one_company(waiting, &users));
    world.phone("asha", "221", "acme.example", answering());
    let first = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    let second = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(1));
    // the waiting call is under the version it began with; who is free is known anew.
    world.adopt(one_company(&waiting.replace("\"221\"", "\"221\", \"222\""), &users));
    world.phone("ravi", "222", "acme.example", answering());
    world.pass(seconds(3));
    assert!(!world.answered("airtel", second), "222 is no member in the version it began with");
    let third = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(3));
    assert!(world.answered("airtel", third), "222 is free, and nobody older may have it");
    for call in [first, third] {
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    }
    world.pass(seconds(3));
    assert!(world.answered("airtel", second));
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, second));
    world.end();
}

#[test]
fn a_person_who_is_split_or_joined_mid_call_is_freed_all_the_same() {
    let shared = |person: &str| {
        let acme = acme("[departments.sales]\nmembers = [\"221\"]\n", &[("221", "person = \"asha\"")]);
        let globex = format!(
            "name = \"Globex\"\ndomain = \"globex.example\"\ntimezone = \"Europe/Berlin\"\n\n\
             [numbers.\"+493012345678\"]\nroutes = [ {{ to = \"user:305\" }} ]\n\n{}",
            user("305", &format!("person = \"{person}\""))
        );
        configuration(MACHINE, &[("acme", &acme), ("globex", &globex)])
    };
    let mut world = world(shared("asha"));
    world.phone("acme", "221", "acme.example", answering());
    world.phone("globex", "305", "globex.example", answering());
    let first = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    world.adopt(shared("another"));
    let second = world.call("airtel", "+493012345678", CALLER);
    world.pass(seconds(2));
    assert!(world.answered("airtel", second), "another person now");
    world.adopt(shared("asha"));
    for call in [first, second] {
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    }
    world.pass(seconds(1));
    assert_eq!(agent(&mut world, "221").as_deref(), Some("free"));
    assert_eq!(agent(&mut world, "305").as_deref(), Some("free"));
    world.end();
}

#[test]
fn a_daemon_that_drains_keeps_its_calls_and_takes_no_new_ones() {
    let mut world = world(both());
    world.phone("asha", "221", "acme.example", answering());
    world.phone("ravi", "222", "acme.example", answering());
    let call = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(2));
    assert!(matches!(world.command(Command::Drain), Reply::Done(_)));
    let second = world.call("airtel", NUMBER, CALLER);
    world.pass(seconds(1));
    let heard = world.call_events("airtel", second);
    assert!(
        heard.iter().any(|event| matches!(event, CallEvent::Refused { status: 503, retry_after: Some(_), .. })),
        "{heard:?}"
    );
    assert_eq!(world.phone_mut("ravi").times_rung(), 0);
    // It is the company's call all the same, and in its log for what it is.
    let record = serde_json::to_value(world.records.last().unwrap()).unwrap();
    assert_eq!((&record["company"], &record["decision"]["company"]), (&"acme".into(), &"acme".into()), "{record}");
    assert_eq!(record["decision"]["number"], "+918041234567");
    assert_eq!(record["decision"]["door"]["refused"], "draining");
    world.with_trunk("airtel", |trunk, now| trunk.reinvite(now, call));
    world.pass(seconds(1));
    assert!(
        world.call_events("airtel", call).contains(&CallEvent::Reinvited { status: 200 }),
        "it is a call like before"
    );
    let status = daemon(&mut world);
    assert!(status.draining && status.calls == 1);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(40));
    assert_eq!(daemon(&mut world).calls, 0, "and the daemon may end");
    world.end();
}
