//! The corner cases of the RFCs that proxies get wrong: 61 of them, and the test purposes of ETSI TS 102 027-2 that are
//! known. A test `corner_NN_…` tells the story of one number whole, however often it is told elsewhere in other words;
//! `docs/corners.md` is their table, and `table` holds the two together.

mod auth;
mod cancels;
mod copies;
mod dialogs;
mod etsi;
mod forks;
mod refusals;
mod registrar;
mod responses;
mod table;
mod timers;
mod transactions;
mod wire;

use std::time::Duration;

use switchboard::config::Config;

use super::companies::one_company;
use super::proxy::scripted_phones;
use super::script::{ASHA, Party, TRUNK, address, hang_up, respond, seconds, talk};
use super::world::{Seen, World};

/// What everybody but the one who answered is told.
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// Sales rings three people at once for 20 s.
fn sales() -> Config {
    one_company(
        "[departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nring = \"20s\"\n",
        &[("221", ""), ("222", ""), ("223", "")],
    )
}

/// Sales rings three people at once for ten minutes: longer than any timer of a transaction.
fn patient() -> Config {
    one_company(
        "[departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nring = \"10m\"\n",
        &[("221", ""), ("222", ""), ("223", "")],
    )
}

/// A world with that many phones, which the test plays: 221 at `ASHA`, 222 at `RAVI`, 223 at `MINA`.
fn phones(config: Config, count: usize) -> World {
    let mut world = World::new(config);
    scripted_phones(&mut world, count);
    world
}

/// The caller's INVITE, sent, and as the first phone sees it.
fn ring(world: &mut World, caller: &mut Party, extra: &str) -> Seen {
    let invite = caller.request("INVITE", extra, "");
    world.say(TRUNK, &invite);
    world.expect(ASHA, "INVITE")
}

/// The first phone refuses, the caller hears a failure and acknowledges it.
fn refuse(world: &mut World, caller: &mut Party, rung: &Seen) {
    world.say(ASHA, &respond(rung, "486 Busy Here", "no", "", ""));
    world.expect(ASHA, "ACK");
    fail(world, caller);
}

/// The caller hears a failure and acknowledges it.
fn fail(world: &mut World, caller: &mut Party) -> Seen {
    let failure = world.expect(TRUNK, "SIP/2.0 4");
    world.say(TRUNK, &caller.ack_failure(&failure));
    failure
}

/// A phone answers.
fn pick_up(world: &mut World, at: &str, rung: &Seen, tag: &str) -> Party {
    world.say(at, &respond(rung, "200 OK", tag, &format!("Contact: <sip:phone@{at}>\r\n"), ""));
    Party::callee(at, rung, tag)
}

/// The caller hears an answer and acknowledges it; its end of that dialog.
fn acknowledge(world: &mut World, caller: &Party, at: &str) -> Party {
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    let mut caller = caller.clone();
    caller.learn(&answer);
    world.say(TRUNK, &caller.ack());
    world.expect(at, "ACK");
    caller
}

/// A phone obeys a CANCEL; what the CANCEL gave as its reason.
fn give_up(world: &mut World, at: &str, rung: &Seen) -> Vec<String> {
    let cancel = world.expect(at, "CANCEL");
    world.say(at, &respond(&cancel, "200 OK", "gone", "", ""));
    world.say(at, &respond(rung, "487 Request Terminated", "gone", "", ""));
    world.expect(at, "ACK");
    cancel.headers("Reason")
}

/// Lets that much time pass, and says when Switchboard sent an address what begins so: milliseconds from now.
fn departures(world: &mut World, to: &str, start: &str, length: Duration) -> Vec<u64> {
    world.flush();
    let (to, begin) = (address(to), world.now.mono);
    let mut known = world.seen.len();
    let mut times = Vec::new();
    world.pass_watched(length, |world| {
        let at = world.now.mono.since(begin).as_millis() as u64;
        let new = world.seen[known..].iter();
        times.extend(new.filter(|seen| seen.to == to && seen.first_line().starts_with(start)).map(|_| at));
        known = world.seen.len();
    });
    times
}

/// How far apart times are.
fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// A call between the caller and the first phone that goes on, and how it is ended.
fn talking(world: &mut World, name: &str) -> Party {
    let (caller, _) = talk(world, name, ASHA, "");
    world.heard(TRUNK);
    world.heard(ASHA);
    caller
}

/// The caller hangs up, and nothing is left.
fn over(mut world: World, mut caller: Party) {
    world.heard(TRUNK);
    world.heard(ASHA);
    hang_up(&mut world, &mut caller, ASHA);
    assert!(world.busy().is_empty());
    world.end();
}

/// A call of the trunk's to a number that is nobody's.
fn to_nobody(name: &str) -> Party {
    Party::caller(TRUNK, name, "sip:+918099999999@203.0.113.10")
}

/// A minute, which outlasts every transaction.
fn a_minute() -> Duration {
    seconds(60)
}
