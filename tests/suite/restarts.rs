//! Stories of a daemon that is killed and started again: nothing that anybody was told is lost.

use std::time::Duration;

use switchboard::engine::{Command, EndedBy as Ended, Reply};
use switchboard::peer::{Behaviour, CallEvent, EndedBy};

use super::companies::{MACHINE, acme, one_company, user};
use super::script::{ASHA, Party, RAVI, TRUNK, from_trunk, hang_up, register, respond, seconds, talk};
use super::world::{Disk, SWITCHBOARD, World, configuration, sockets};

const SALES: &str = "[departments.sales]\nmembers = [\"221\", \"222\"]\nstrategy = \"serial\"\nring = \"20s\"\n\
                     wrap-up = \"30s\"\n";

fn two() -> Vec<(&'static str, &'static str)> {
    vec![("221", "person = \"asha\""), ("222", "")]
}

/// Asha and Ravi, who answer after a second.
fn world() -> World {
    let mut world = World::new(one_company(SALES, &two()));
    world.trunk("airtel", TRUNK);
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.phone("ravi", "222", "acme.example", Behaviour::answer_after(seconds(1)));
    world
}

fn registered(world: &mut World) -> Vec<String> {
    match world.command(Command::Registrations) {
        Reply::Registrations(all) => all.into_iter().map(|one| format!("{}@{}", one.extension, one.company)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_was_on_a_call_still_is_and_either_sides_bye_ends_it_and_completes_the_log() {
    for caller_hangs_up in [true, false] {
        let mut world = world();
        let call = world.call("airtel", "+918041234567", "+919811112222");
        world.pass(seconds(10));
        assert!(world.answered("airtel", call));
        world.restart();
        assert_eq!(world.busy(), ["221@acme on-call"]);
        let second = world.call("airtel", "+918041234567", "+919811112223");
        world.pass(seconds(3));
        assert_eq!(world.phone_ref("asha").times_rung(), 1, "she is on a call");
        assert!(world.answered("airtel", second), "Ravi is not");
        if caller_hangs_up {
            world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
        } else {
            world.with_phone("asha", |phone, now| phone.hang_up(now));
        }
        world.pass(seconds(1));
        assert!(!world.phone_ref("asha").is_talking());
        assert_eq!(world.busy(), ["221@acme wrap-up", "222@acme on-call"]);
        let record = world.shelf.log.iter().find(|record| record.decision.caller == "+919811112222").unwrap();
        assert_eq!(record.ended_by, if caller_hangs_up { Ended::Caller } else { Ended::Callee });
        assert_eq!((record.status, record.answered_by.as_slice()), (200, &["221".to_owned()][..]));
        let talked = record.ended_at.unix_millis() - record.answered_at.unwrap().unix_millis();
        assert!((8_000..=14_000).contains(&talked), "{talked} ms");
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, second));
        world.end();
    }
}

#[test]
fn a_call_that_nobody_had_answered_is_given_up_and_its_phones_are_let_go() {
    let mut world = world();
    world.phone_mut("asha").behave(Behaviour::ring_only());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(3));
    assert!(world.phone_ref("asha").is_ringing());
    world.restart();
    assert_eq!(world.busy(), ["221@acme ringing"], "held until she provably rings no more (R-7.1)");
    world.pass(Duration::from_millis(20));
    let (status, reason) = world.refusal("airtel", call).expect("the caller is told");
    assert_eq!(status, 500);
    assert!(reason.contains("cause=41"), "{reason}");
    assert!(!world.phone_ref("asha").is_ringing());
    assert_eq!(world.cancel_reasons("asha"), [None], "not `completed elsewhere`");
    assert!(world.busy().is_empty(), "the 487 has come");
    world.pass(seconds(1));
    let record = world.shelf.log.last().unwrap();
    assert_eq!((record.ended_by, record.status), (Ended::CutOff, 500));
    let record = serde_json::to_value(&record.decision).unwrap();
    assert_eq!(record["answer"]["cause"], "cut-off");
    assert_eq!(record["steps"][0]["members"][0]["outcome"], "withdrawn");
    assert_eq!(record["steps"][0]["members"][1].get("outcome"), None, "Ravi was not reached");
    world.end();
}

#[test]
fn a_phone_that_hears_no_cancel_is_not_rung_again_before_64_t1() {
    let mut world = world();
    world.phone_mut("asha").behave(Behaviour::silent());
    world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(1));
    world.take_over("198.51.100.1:5060");
    world.restart();
    world.pass(seconds(31));
    assert_eq!(world.busy(), ["221@acme ringing"]);
    world.pass(seconds(2));
    assert!(world.busy().is_empty());
    world.end();
}

/// A kill may come between any two changes of a step: as far as the store knows, a branch has ended before its person is free.
#[test]
fn the_store_lets_nobody_go_to_whom_it_has_a_branch() {
    let mut world = world();
    world.phone_mut("asha").behave(Behaviour::refuse(486, seconds(1)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(5));
    assert_eq!((world.phone_ref("asha").times_rung(), world.phone_ref("ravi").times_rung()), (1, 1));
    assert_eq!(world.shelf.let_go, [""; 0]);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn an_answer_that_crosses_the_restart_goes_to_the_caller_and_counts() {
    let mut world = world();
    world.phone_mut("asha").behave(Behaviour::answer_despite_cancel());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(3));
    world.restart();
    world.pass(seconds(2));
    let went_up = world.sent_to(TRUNK).iter().filter(|seen| seen.first_line() == "SIP/2.0 200 OK").count();
    assert!(went_up > 0, "RFC 3261 §16.7 item 5: every 2xx goes up");
    assert!(!world.answered("airtel", call));
    assert_eq!(world.busy(), ["221@acme wrap-up"], "the trunk hung up what it had been refused");
    let record = world.shelf.log.last().unwrap();
    assert_eq!((record.status, record.answered_by.as_slice()), (200, &["221".to_owned()][..]));
    world.end();
}

#[test]
fn copies_of_an_answer_and_of_its_invite_still_find_their_way() {
    let mut world = World::new(one_company(SALES, &two()));
    register(&mut world, SWITCHBOARD, ASHA, &format!("sip:221@{ASHA}"), "221", "boot", 1);
    let invite = from_trunk("copies").request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let offered = world.expect(ASHA, "INVITE");
    let answer = respond(&offered, "200 OK", "asha", &format!("Contact: <sip:221@{ASHA}>\r\n"), "");
    world.say(ASHA, &answer);
    world.expect(TRUNK, "SIP/2.0 200");
    world.restart();
    // The ACK was lost, so the phone repeats itself, and the trunk hears it.
    world.say(ASHA, &answer);
    world.expect(TRUNK, "SIP/2.0 200");
    // A copy of the INVITE that was on its way is no new call.
    let calls = world.shelf.calls.len();
    world.say(TRUNK, &invite);
    assert_eq!(world.shelf.calls.len(), calls);
    world.expect_no(ASHA, "INVITE");
    world.expect_no(TRUNK, "SIP/2.0 4");
    // Nobody ever acknowledges: the phone gives up.
    assert_eq!(world.busy(), ["221@acme on-call"]);
    world.restart();
    world.pass(seconds(40));
    hang_up(&mut world, &mut Party::callee(ASHA, &offered, "asha"), TRUNK);
    assert_eq!(world.busy(), ["221@acme wrap-up"]);
    world.end();
}

#[test]
fn a_copy_of_an_invite_is_no_new_call_though_the_clock_has_jumped_over_a_restart() {
    let mut world = World::new(one_company(SALES, &two()));
    register(&mut world, SWITCHBOARD, ASHA, &format!("sip:221@{ASHA}"), "221", "boot", 1);
    let invite = from_trunk("copies").request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let offered = world.expect(ASHA, "INVITE");
    let answer = respond(&offered, "200 OK", "asha", &format!("Contact: <sip:221@{ASHA}>\r\n"), "");
    world.say(ASHA, &answer);
    world.expect(TRUNK, "SIP/2.0 200");
    world.now.wall = world.now.wall + seconds(60);
    world.restart();
    world.say(TRUNK, &invite);
    world.expect_no(TRUNK, "SIP/2.0");
    world.say(ASHA, &answer);
    world.expect(TRUNK, "SIP/2.0 200");
    assert_eq!(world.busy(), ["221@acme on-call"]);
    hang_up(&mut world, &mut Party::callee(ASHA, &offered, "asha"), TRUNK);
    world.end();
}

#[test]
fn a_copy_of_an_invite_that_was_refused_is_no_new_call_while_its_phones_may_ring() {
    for refused_by in ["the restart", "the caller"] {
        let mut world = World::new(one_company(SALES, &two()));
        register(&mut world, SWITCHBOARD, ASHA, &format!("sip:221@{ASHA}"), "221", "boot", 1);
        let mut caller = from_trunk("copies");
        let invite = caller.request("INVITE", "", "");
        world.say(TRUNK, &invite);
        let offered = world.expect(ASHA, "INVITE");
        world.say(ASHA, &respond(&offered, "180 Ringing", "asha", "", ""));
        world.expect(TRUNK, "SIP/2.0 180");
        if refused_by == "the caller" {
            let cancel = caller.cancel("");
            world.say(TRUNK, &cancel);
            world.expect(TRUNK, "SIP/2.0 487");
        } else {
            world.restart();
            world.expect(TRUNK, "SIP/2.0 500");
        }
        world.expect(ASHA, "CANCEL");
        world.restart();
        world.expect(ASHA, "CANCEL");
        // Whether the refusal ever left is not known after a kill.
        let refusal = if refused_by == "the caller" { "SIP/2.0 487" } else { "SIP/2.0 500" };
        world.expect(TRUNK, refusal);
        world.say(TRUNK, &invite);
        world.expect_no(ASHA, "INVITE");
        world.expect_no(TRUNK, "SIP/2.0 100");
        // Her answer crosses all of it, and goes to the caller as that of the one call there is.
        world.say(ASHA, &respond(&offered, "200 OK", "asha", &format!("Contact: <sip:221@{ASHA}>\r\n"), ""));
        world.expect(TRUNK, "SIP/2.0 200");
        assert_eq!(world.busy(), ["221@acme on-call"]);
        hang_up(&mut world, &mut Party::callee(ASHA, &offered, "asha"), TRUNK);
        world.end();
    }
}

#[test]
fn registrations_come_back_as_they_were_but_for_those_that_have_run_out_or_gone() {
    let mut world = world();
    let before = format!("{:?}", world.command(Command::Registrations));
    world.restart();
    assert_eq!(format!("{:?}", world.command(Command::Registrations)), before);
    world.with_phone("ravi", |phone, now| phone.unregister(now));
    world.pass(seconds(1));
    assert_eq!(registered(&mut world), ["221@acme"]);
    world.restart();
    assert_eq!(registered(&mut world), ["221@acme"], "a removed binding never returns (invariant 15)");
    world.phone_mut("asha").stop_refreshing();
    world.kill(seconds(3500));
    world.pass(seconds(3501));
    assert_eq!(registered(&mut world), ["221@acme"]);
    world.kill(seconds(120));
    world.pass(seconds(121));
    assert_eq!(registered(&mut world), Vec::<String>::new(), "its hour was over while no daemon ran");
    assert!(world.shelf.bindings.is_empty(), "nor is it kept for ever");
    world.end();
}

#[test]
fn a_restored_binding_is_refreshed_by_its_own_device_and_ordered_by_cseq() {
    let mut world = World::new(one_company(SALES, &two()));
    let contact = format!("sip:221@{ASHA}");
    register(&mut world, SWITCHBOARD, ASHA, &contact, "221", "boot", 7);
    let before = world.shelf.bindings.clone();
    world.restart();
    assert_eq!(world.shelf.bindings, before);
    register(&mut world, SWITCHBOARD, ASHA, &contact, "221", "boot", 9);
    assert_eq!(registered(&mut world), ["221@acme"], "one device, not two");
    let binding = &world.shelf.bindings.values().next().unwrap()[0];
    assert_eq!(binding.cseq, 10, "the second REGISTER, with its proof");
    world.end();
}

#[test]
fn a_register_is_answered_only_when_its_binding_is_durable() {
    let mut world = World::new(one_company(SALES, &two()));
    world.trunk("airtel", TRUNK);
    world.unregistered_phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.disk = Disk::Stuck;
    world.with_phone("asha", |phone, now| phone.register(now, 3600));
    world.pass(Duration::from_millis(1900));
    assert!(!world.phone_ref("asha").is_registered(), "nobody can promise it yet");
    // Calls do not wait for the disk.
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(Duration::from_millis(50));
    assert!(world.phone_ref("asha").is_ringing());
    world.pass(seconds(2));
    let refused = world.sent_to("198.51.100.1:5060").iter().any(|seen| {
        seen.first_line().starts_with("SIP/2.0 503") && seen.header("Retry-After").as_deref() == Some("10")
    });
    assert!(refused, "a bounded delay");
    assert!(world.answered("airtel", call));
    world.disk = Disk::Well;
    world.with_phone("asha", |phone, now| phone.register(now, 3600));
    world.pass(seconds(1));
    assert!(world.phone_ref("asha").is_registered());
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.end();
}

#[test]
fn switches_wrap_ups_and_memories_come_back() {
    let robin = "[departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nstrategy = \"round-robin\"\nring = \"20s\"\n\
                 wrap-up = \"60s\"\nsticky = { mode = \"loose\", window = \"1h\" }\n";
    let mut world = World::new(one_company(robin, &[("221", ""), ("222", ""), ("223", "")]));
    world.trunk("airtel", TRUNK);
    for (name, extension) in [("asha", "221"), ("ravi", "222"), ("mina", "223")] {
        world.phone(name, extension, "acme.example", Behaviour::answer_after(seconds(1)).hang_up_after(seconds(1)));
    }
    let call = |world: &mut World, caller: &str| {
        let call = world.call("airtel", "+918041234567", caller);
        world.pass(seconds(5));
        assert!(world.answered("airtel", call));
        world.shelf.log.last().unwrap().answered_by.clone()
    };
    assert_eq!(call(&mut world, "+919811112221"), ["221"]);
    world.restart();
    assert_eq!(world.busy(), ["221@acme wrap-up"]);
    assert_eq!(call(&mut world, "+919811112222"), ["222"], "the pointer");
    world.restart();
    assert_eq!(call(&mut world, "+919811112223"), ["223"], "the pointer");
    world.pass(seconds(70));
    assert!(world.busy().is_empty(), "wrap-ups end on time: {:?}", world.busy());
    world.restart();
    assert_eq!(call(&mut world, "+919811112223"), ["223"], "sticky");
    world.pass(seconds(70));
    world.command(Command::Pause { user: "221@acme".into() });
    world.command(Command::TakeCalls { user: "222@acme".into(), takes: false });
    world.restart();
    let Reply::Agents(agents) = world.command(Command::Agents) else { panic!() };
    let states: Vec<&str> = agents.iter().map(|agent| agent.state.as_str()).collect();
    assert_eq!(states, ["paused", "away", "free"]);
    world.command(Command::Resume { user: "221@acme".into() });
    world.restart();
    let Reply::Agents(agents) = world.command(Command::Agents) else { panic!() };
    assert_eq!(agents[0].state, "free");
    world.end();
}

#[test]
fn a_person_who_called_is_held_too_and_an_end_by_the_clock_still_comes() {
    let machine = MACHINE.replace("[sip]\n", "[sip]\nmax-call = \"10m\"\n");
    let config = configuration(&machine, &[("acme", &acme(SALES, &two()))]);
    let mut world = World::new(config);
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.phone("ravi", "222", "acme.example", Behaviour::answer_after(seconds(1)));
    world.with_phone("asha", |phone, now| phone.call(now, "sip:222@acme.example"));
    world.pass(seconds(5));
    assert_eq!(world.busy(), ["221@acme on-call", "222@acme on-call"]);
    world.kill(seconds(60));
    world.pass(seconds(61));
    assert_eq!(world.busy(), ["221@acme on-call", "222@acme on-call"]);
    world.pass(seconds(590));
    assert!(world.busy().is_empty());
    assert!(!world.phone_ref("asha").is_talking() && !world.phone_ref("ravi").is_talking());
    assert_eq!(world.shelf.log.last().unwrap().ended_by, Ended::MaxCall);
    world.end();
}

#[test]
fn a_call_whose_user_person_or_socket_is_another_after_the_restart_ends_in_order() {
    let mut world = world();
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(5));
    // Asha is called otherwise now: she is held under that name.
    let renamed =
        one_company(SALES, &[("221", "person = \"asha.rao\""), ("222", ""), ("223", "person = \"asha.rao\"")]);
    world.restart_with(renamed);
    world.phone("her other phone", "223", "acme.example", Behaviour::answer_after(seconds(1)));
    assert_eq!(world.busy(), ["221@acme on-call", "223@acme on-call"]);
    // She is nobody's now.
    let without = SALES.replace("\"221\", ", "");
    world.restart_with(one_company(&without, &[("222", "")]));
    assert!(world.busy().is_empty());
    assert_eq!(registered(&mut world), ["222@acme"]);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(1));
    assert!(!world.phone_ref("asha").is_talking(), "BYE reaches her all the same");
    assert_eq!(world.shelf.log.last().unwrap().ended_by, Ended::Caller);
    world.end();
}

#[test]
fn two_who_are_one_person_after_the_restart_are_held_by_the_call_that_lasts() {
    for (rings, states) in
        [("asha", ["221@acme ringing", "222@acme on-call"]), ("ravi", ["221@acme on-call", "222@acme ringing"])]
    {
        let mut world = world();
        world.phone_mut(rings).behave(Behaviour::ring_only());
        let first = world.call("airtel", "+918041234567", "+919811112222");
        world.pass(seconds(1));
        let second = world.call("airtel", "+918041234567", "+919811113333");
        world.pass(seconds(5));
        assert_eq!(world.busy(), states);
        world.restart_with(one_company(SALES, &[("221", "person = \"asha\""), ("222", "person = \"asha\"")]));
        world.pass(seconds(5));
        assert!(!world.phone_ref(rings).is_ringing());
        assert_eq!(world.busy(), ["221@acme on-call", "222@acme on-call"], "she talks by her other phone");
        let talks = if rings == "asha" { second } else { first };
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, talks));
        world.pass(seconds(60));
        assert!(world.busy().is_empty());
        world.end();
    }
}

#[test]
fn a_call_goes_on_by_another_socket_of_the_family() {
    let six = "[2001:db8::10]:5060";
    let mut world = World::with_listeners(one_company(SALES, &two()), &[six, SWITCHBOARD]);
    let contact = format!("sip:221@{ASHA}");
    register(&mut world, SWITCHBOARD, ASHA, &contact, "221", "boot", 1);
    let (mut caller, _) = talk(&mut world, "sockets", ASHA, "");
    world.listen(sockets(&[SWITCHBOARD, six]));
    world.restart();
    let bye = caller.request("BYE", "", "");
    world.say(TRUNK, &bye);
    let bye = world.expect(ASHA, "BYE");
    assert_eq!(bye.from, SWITCHBOARD.parse().unwrap(), "the socket has another number now");
    world.say(ASHA, &respond(&bye, "200 OK", "", "", ""));
    world.end();
}

#[test]
fn whoever_waits_in_line_is_told_and_calls_of_two_starts_are_never_called_alike() {
    let waiting = format!("{SALES}wait = \"60s\"\n");
    let mut world = World::new(one_company(&waiting, &[("221", ""), ("222", "")]));
    world.trunk("airtel", TRUNK);
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    let first = world.call("airtel", "+918041234567", "+919811112221");
    world.pass(seconds(3));
    let second = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(3));
    assert!(matches!(world.command(Command::Queue), Reply::Queue(queue) if queue.len() == 1));
    world.restart();
    world.pass(seconds(1));
    assert_eq!(world.refusal("airtel", second).map(|(status, _)| status), Some(500));
    assert!(matches!(world.command(Command::Queue), Reply::Queue(queue) if queue.is_empty()));
    let third = world.call("airtel", "+918041234567", "+919811112223");
    world.pass(seconds(1));
    let Reply::Calls(calls) = world.command(Command::Calls) else { panic!() };
    assert_eq!(calls.len(), 2);
    assert!(calls[1].call.starts_with("c2-"), "{}", calls[1].call);
    for call in [first, third] {
        world.with_trunk("airtel", |trunk, now| {
            trunk.cancel(now, call);
            trunk.hang_up(now, call);
        });
    }
    world.end();
}

#[test]
fn a_clock_that_was_set_back_while_no_daemon_ran_makes_nothing_last_longer() {
    let mut world = world();
    world.phone_mut("asha").behave(Behaviour::answer_after(seconds(1)).hang_up_after(seconds(1)));
    world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(5));
    assert_eq!(world.busy(), ["221@acme wrap-up"]);
    let second = world.call("airtel", "+918041234567", "+919811112223");
    world.pass(seconds(3));
    assert!(world.answered("airtel", second));
    for name in ["asha", "ravi"] {
        world.phone_mut(name).stop_refreshing();
    }
    let year = i64::from(365 * 24 * 3600) * 1000;
    world.now.wall = switchboard::time::WallTime::from_unix_millis(world.now.wall.unix_millis() - year);
    world.restart();
    world.pass(seconds(31));
    assert_eq!(world.busy(), ["222@acme on-call"], "thirty seconds of wrap-up, not a year");
    world.pass(seconds(7_200));
    assert_eq!(registered(&mut world), Vec::<String>::new(), "no binding lasts longer than the longest");
    world.pass(seconds(7_201));
    assert!(world.busy().is_empty(), "nor a call longer than `max-call`");
    world.end();
}

#[test]
fn what_an_offer_had_come_to_is_not_told_anew_and_a_cancelled_call_stays_cancelled() {
    let mut world = world();
    world.phone_mut("asha").behave(Behaviour::silent());
    world.phone_mut("ravi").behave(Behaviour::silent());
    let call = world.call("airtel", "+918041234567", "+919811112222");
    // Asha rings out after twenty seconds; her phone never says a word, and then nobody answers its CANCEL.
    world.pass(seconds(21));
    world.restart();
    world.settle();
    let record = serde_json::to_value(&world.shelf.log.last().unwrap().decision).unwrap();
    let first = &record["steps"][0]["members"][0];
    assert_eq!((first["outcome"].as_str(), first["ring"].as_f64()), (Some("no-answer"), Some(20.0)), "{first}");
    assert_eq!(world.refusal("airtel", call).map(|(status, _)| status), Some(500));

    let call = world.call("airtel", "+918041234567", "+919811112223");
    world.pass(seconds(2));
    world.with_trunk("airtel", |trunk, now| trunk.cancel(now, call));
    world.pass(seconds(2));
    world.restart();
    world.settle();
    let record = world.shelf.log.last().unwrap();
    assert_eq!((record.ended_by, record.status), (Ended::Cancelled, 487));
    world.end();
}

#[test]
fn a_hundred_restarts_in_the_midst_of_a_conversation_change_nothing_of_it() {
    let globex = format!(
        "name = \"Globex\"\ndomain = \"globex.example\"\ntimezone = \"Europe/Berlin\"\n\n\
         [numbers.\"+493012345678\"]\nroutes = [ {{ to = \"user:305\" }} ]\n\n{}",
        user("305", "person = \"asha\"")
    );
    let config = configuration(MACHINE, &[("acme", &acme(SALES, &two())), ("globex", &globex)]);
    let mut world = World::new(config);
    world.trunk("airtel", TRUNK);
    world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
    world.phone("asha at globex", "305", "globex.example", Behaviour::answer_after(seconds(1)));
    let call = world.call("airtel", "+918041234567", "+919811112222");
    world.pass(seconds(3));
    for round in 0..100 {
        world.restart();
        let other = world.call("airtel", "+493012345678", "+919811112223");
        world.pass(seconds(1));
        assert_eq!(world.refusal("airtel", other).map(|(status, _)| status), Some(486), "round {round}");
    }
    assert_eq!(world.phone_ref("asha at globex").times_rung(), 0);
    world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, call));
    world.pass(seconds(31));
    let events = world.call_events("airtel", call);
    assert_eq!(events.iter().filter(|event| matches!(event, CallEvent::Ended { by: EndedBy::Us })).count(), 1);
    assert!(world.busy().is_empty());
    assert_eq!(world.shelf.log.len(), 101);
    world.end();
}

#[test]
fn a_call_of_ones_own_ends_no_wrap_up_that_it_began_in() {
    // Nobody is at 222 at first, so that the call is refused; then it is answered, and once the daemon dies meanwhile.
    for (is_there, dies) in [(false, false), (true, false), (true, true)] {
        let sales = SALES.replace(", \"222\"", "") + "wait = \"60s\"\n";
        let mut world = World::new(one_company(&sales, &two()));
        world.trunk("airtel", TRUNK);
        world.phone("asha", "221", "acme.example", Behaviour::answer_after(seconds(1)));
        if is_there {
            world.phone("ravi", "222", "acme.example", Behaviour::answer_after(seconds(1)));
        }
        let first = world.call("airtel", "+918041234567", "+919811112221");
        world.pass(seconds(3));
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, first));
        world.pass(seconds(1));
        assert_eq!(world.busy(), ["221@acme wrap-up"]);
        // she may call all the same.
        world.with_phone("asha", |phone, now| phone.call(now, "sip:222@acme.example"));
        world.pass(seconds(3));
        if is_there {
            assert_eq!(world.busy(), ["221@acme on-call", "222@acme on-call"]);
            if dies {
                world.restart();
            }
            world.with_phone("asha", |phone, now| phone.hang_up(now));
        }
        let second = world.call("airtel", "+918041234567", "+919811112222");
        world.pass(seconds(3));
        assert_eq!(world.busy(), ["221@acme wrap-up"], "R-5.8: what was left of it");
        assert_eq!(world.phone_ref("asha").times_rung(), 1);
        world.pass(seconds(30));
        assert!(world.answered("airtel", second), "thirty seconds after the call it came of");
        world.with_trunk("airtel", |trunk, now| trunk.hang_up(now, second));
        world.pass(seconds(1));
        world.end();
    }
}

#[test]
fn what_old_sockets_said_of_us_still_means_us_after_a_restart_with_others() {
    let (new, mut old) = ("203.0.113.20:5070", sockets(&[SWITCHBOARD]));
    old[0].advertised = "sip.acme.example:5060".to_owned();
    let mut world = World::new(one_company(SALES, &two()));
    world.listen(old);
    world.restart();
    register(&mut world, SWITCHBOARD, ASHA, &format!("sip:221@{ASHA}"), "221", "boot", 1);
    register(&mut world, SWITCHBOARD, RAVI, &format!("sip:222@{RAVI}"), "222", "boot", 1);
    // Asha talks; Ravi's phone rings.
    let (mut caller, _) = talk(&mut world, "talks", ASHA, "");
    world.say(TRUNK, &from_trunk("rings").request("INVITE", "", ""));
    let offered = world.expect(RAVI, "INVITE");
    assert!(offered.header("Via").unwrap().contains("sip.acme.example"), "{offered:?}");
    world.say(RAVI, &respond(&offered, "180 Ringing", "ravi", "", ""));
    world.listen(sockets(&[new]));
    world.restart();
    world.pass(Duration::from_millis(3));
    let cancel = world.expect(RAVI, "CANCEL");
    assert_eq!(cancel.header("Via"), offered.header("Via"), "RFC 3261 §9.1");
    world.say_to(new, RAVI, &respond(&cancel, "200 OK", "ravi", "", ""));
    world.say_to(new, RAVI, &respond(&offered, "487 Request Terminated", "ravi", "", ""));
    world.expect(RAVI, "ACK");
    assert_eq!(world.busy(), ["221@acme on-call"], "he rings no more");
    // Another restart: nothing but the conversation itself says what we were called.
    world.restart();
    let bye = caller.request("BYE", "", "");
    assert!(bye.contains("Route: <sip:sip.acme.example:5060;"), "{bye}");
    world.say_to(new, TRUNK, &bye);
    let bye = world.expect(ASHA, "BYE");
    assert!(bye.header("Route").is_none(), "the old name was ours: {bye:?}");
    world.say_to(new, ASHA, &respond(&bye, "200 OK", "", "", ""));
    world.expect(TRUNK, "SIP/2.0 200");
    world.end();
}
