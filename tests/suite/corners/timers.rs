//! Corners 1–10: when copies leave, and when they stop (RFC 3261 §17, RFC 6026).

use std::time::Duration;

use switchboard::time::Instant;
use switchboard::transaction::{InviteServer, Reliability, Timing, invite_server};

use super::super::raw::daemon;
use super::super::script::{ASHA, Party, TRUNK, from_trunk, hang_up, respond, seconds};
use super::super::world::World;
use super::{
    a_minute, acknowledge, departures, fail, gaps, over, patient, phones, pick_up, refuse, ring, sales, talking,
    to_nobody,
};

/// When the copies of an INVITE left that nobody answers, in 100 s.
fn invites() -> Vec<u64> {
    let mut world = phones(patient(), 1);
    let mut caller = from_trunk("silent");
    let invite = caller.request("INVITE", "", "");
    world.inject(TRUNK, invite.as_bytes());
    let times = departures(&mut world, ASHA, "INVITE", seconds(100));
    fail(&mut world, &mut caller);
    world.end();
    times
}

/// When the copies of an INFO left that nobody answers, in 100 s.
fn infos() -> Vec<u64> {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "info");
    let info = caller.request("INFO", "", "");
    world.inject(TRUNK, info.as_bytes());
    let times = departures(&mut world, ASHA, "INFO", seconds(100));
    over(world, caller);
    times
}

/// RFC 3261 §17.1.1.2: an INVITE is sent again after T1, and each interval is twice the one before, without a bound.
/// §17.1.2.2: of other requests the interval is bounded by T2.
#[test]
fn corner_01_a_doubles_without_a_cap_and_e_doubles_up_to_t2() {
    assert_eq!(gaps(&invites()), [500, 1000, 2000, 4000, 8000, 16_000]);
    assert_eq!(gaps(&infos()), [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000]);
}

/// RFC 3261 §17.1.1.2, §17.1.2.2: Timers B and F end the sending 64·T1 after the first request. Seven INVITEs have
/// left by then, or eleven of any other request.
#[test]
fn corner_02_seven_invites_or_eleven_other_requests_leave_by_64_t1_and_none_later() {
    let (invites, infos) = (invites(), infos());
    assert_eq!((invites.len(), infos.len()), (7, 11));
    for times in [invites, infos] {
        assert!(times.last().unwrap() - times[0] < 32_000, "{times:?}");
    }
}

/// RFC 3261 §17.1.1.2: in Proceeding the INVITE is not sent again; §16.6 item 11: a proxy bounds it by Timer C
/// instead of B, more than three minutes.
#[test]
fn corner_03_the_first_provisional_stops_a_and_c_takes_the_place_of_b() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "c");
    let again = caller.request("INVITE", "", "");
    world.inject(TRUNK, again.as_bytes());
    assert_eq!(departures(&mut world, ASHA, "INVITE", Duration::from_millis(700)), [1, 501]);
    let seen = world.expect(ASHA, "INVITE");
    world.heard(TRUNK);
    world.inject(ASHA, respond(&seen, "100 Trying", "", "", "").as_bytes());
    assert!(departures(&mut world, ASHA, "INVITE", seconds(180)).is_empty(), "A has stopped");
    assert!(world.lines(TRUNK).is_empty(), "B has stopped: no 408 after 32 s");
    let cancels = departures(&mut world, ASHA, "CANCEL", Duration::from_millis(1400));
    assert_eq!(cancels.len(), 1, "C has begun");
    world.heard(ASHA);
    world.say(ASHA, &respond(&seen, "487 Request Terminated", "", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 487");
    world.say(TRUNK, &caller.ack_failure(&failure));
    over(world, caller);
}

/// RFC 3261 §17.1.1.2: Timer D is at least 32 s over UDP; while it runs, each copy of the failure is acknowledged
/// again.
#[test]
fn corner_04_copies_of_a_failure_are_acknowledged_for_32_seconds() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("d");
    let rung = ring(&mut world, &mut caller, "");
    let busy = respond(&rung, "486 Busy Here", "no", "", "");
    world.say(ASHA, &busy);
    let first = world.expect(ASHA, "ACK");
    fail(&mut world, &mut caller);
    for _ in 0..3 {
        world.pass(Duration::from_millis(10_500));
        world.say(ASHA, &busy);
        assert_eq!(world.expect(ASHA, "ACK").bytes, first.bytes, "the same ACK");
    }
    world.pass(seconds(1));
    world.say(ASHA, &busy);
    world.expect_no(ASHA, "ACK");
    world.end();
}

/// RFC 3261 §17.2.1: a server transaction owes a 100 unless its user answers within 200 ms. Ours says it at once, to
/// new calls and inside dialogs; the machine asks for it where a user does not.
#[test]
fn corner_05_a_100_leaves_within_200_ms() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("trying");
    let invite = caller.request("INVITE", "", "");
    world.inject(TRUNK, invite.as_bytes());
    let times = departures(&mut world, TRUNK, "SIP/2.0 100", seconds(1));
    assert_eq!(times.len(), 1);
    assert!(times[0] <= 200);
    let rung = world.expect(ASHA, "INVITE");
    pick_up(&mut world, ASHA, &rung, "t");
    let mut caller = acknowledge(&mut world, &caller, ASHA);
    let again = caller.request("INVITE", "", "");
    world.inject(TRUNK, again.as_bytes());
    let times = departures(&mut world, TRUNK, "SIP/2.0 100", Duration::from_millis(200));
    assert_eq!(times.len(), 1);
    let seen = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&seen, "488 Not Acceptable Here", "", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 488");
    world.say(TRUNK, &caller.ack_failure(&failure));
    over(world, caller);

    let start = Instant::from_nanos(5_000_000_000);
    let mut silent = InviteServer::new(start, Timing::default(), Reliability::Unreliable);
    let due = start + Duration::from_millis(200);
    assert_eq!(silent.deadline(), Some(due));
    assert_eq!(silent.on_timer(due).as_slice(), [invite_server::Effect::TryingDue]);
}

/// RFC 3261 §17.2.1: in Proceeding a copy of the INVITE gets the most recent provisional response again, and goes no
/// further.
#[test]
fn corner_06_a_copy_of_an_invite_that_rings_gets_the_last_provisional_again() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("copy");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    world.say(TRUNK, &invite);
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 100 Trying", "SIP/2.0 100 Trying"]);
    for status in ["180 Ringing", "183 Session Progress"] {
        world.say(ASHA, &respond(&rung, status, "a", "", ""));
        let passed_on = world.expect(TRUNK, &format!("SIP/2.0 {status}"));
        world.say(TRUNK, &invite);
        assert_eq!(world.expect(TRUNK, "SIP/2.0 1").bytes, passed_on.bytes);
    }
    world.expect_no(ASHA, "INVITE");
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 3261 §17.2.1: a failure is sent again after T1, then ever later up to T2, until Timer H at 64·T1 or the ACK.
#[test]
fn corner_07_a_failure_is_sent_again_up_to_t2_apart_until_h_or_the_ack() {
    let mut world = phones(sales(), 0);
    let mut caller = to_nobody("h");
    let invite = caller.request("INVITE", "", "");
    world.inject(TRUNK, invite.as_bytes());
    let times = departures(&mut world, TRUNK, "SIP/2.0 404", seconds(100));
    assert_eq!(gaps(&times), [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000]);

    let mut caller = to_nobody("ack");
    let invite = caller.request("INVITE", "", "");
    world.inject(TRUNK, invite.as_bytes());
    let times = departures(&mut world, TRUNK, "SIP/2.0 404", seconds(2));
    assert_eq!(gaps(&times), [500, 1000]);
    let failure = world.expect(TRUNK, "SIP/2.0 404");
    world.inject(TRUNK, caller.ack_failure(&failure).as_bytes());
    assert!(departures(&mut world, TRUNK, "SIP/2.0 404", a_minute()).is_empty());
    world.end();
}

/// RFC 3261 §17.2.1: the ACK of a failure ends in the transaction, which stays Confirmed for T4 to absorb its copies.
#[test]
fn corner_08_the_ack_of_a_failure_is_absorbed_and_so_are_its_copies_for_t4() {
    let mut world = phones(sales(), 1);
    world.settle();
    let mut caller = to_nobody("confirmed");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let failure = world.expect(TRUNK, "SIP/2.0 404");
    let ack = caller.ack_failure(&failure);
    world.say(TRUNK, &ack);
    world.heard(TRUNK);
    world.heard(ASHA);
    for copy in [&ack, &invite, &ack] {
        world.pass(Duration::from_millis(1200));
        world.say(TRUNK, copy);
    }
    assert_eq!(daemon(&mut world).transactions, 1, "Confirmed");
    assert!(world.lines(TRUNK).is_empty() && world.lines(ASHA).is_empty());
    world.pass(Duration::from_millis(1500));
    assert_eq!(daemon(&mut world).transactions, 0, "T4 after the first ACK");
    world.end();
}

/// A call that was just answered and not yet acknowledged: the INVITE as it was sent, the caller, the callee and its
/// 200.
fn answered(name: &str) -> (World, String, Party, Party, String) {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk(name);
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    let callee = Party::callee(ASHA, &rung, "t");
    let ok = respond(&rung, "200 OK", "t", &format!("Contact: <sip:phone@{ASHA}>\r\n"), "");
    world.say(ASHA, &ok);
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    caller.learn(&answer);
    (world, invite, caller, callee, ok)
}

/// RFC 6026 §7.1: a 2xx leads to Accepted, which lasts 64·T1 (Timer L): copies of the INVITE are absorbed, further
/// 2xx of the transaction's user go out, and the ACK is handed up.
#[test]
fn corner_09_accepted_absorbs_the_invite_passes_2xx_and_hands_the_ack_up() {
    let (mut world, invite, mut caller, _, ok) = answered("l");
    let branch = caller.branch.clone();
    for _ in 0..3 {
        world.pass(seconds(10));
        world.say(TRUNK, &invite);
        assert!(world.lines(TRUNK).is_empty() && world.lines(ASHA).is_empty(), "absorbed");
        world.say(ASHA, &ok);
        assert_eq!(world.lines(TRUNK), ["SIP/2.0 200 OK"], "passed");
        let ack = caller.ack();
        world.say(TRUNK, &ack);
        // Some callers acknowledge a 2xx by the branch of its INVITE.
        world.say(TRUNK, &ack.replace(&caller.branch, &branch));
        assert_eq!(world.lines(ASHA).len(), 2, "handed up");
    }
    // Timer L: from here on the INVITE is a new one, of a call to a person who is busy.
    world.pass(seconds(3));
    world.say(TRUNK, &invite);
    let refused = world.expect(TRUNK, "SIP/2.0 4");
    let mut repeated = from_trunk("l");
    let _ = repeated.request("INVITE", "", "");
    world.say(TRUNK, &repeated.ack_failure(&refused));
    world.expect_no(ASHA, "INVITE");
    hang_up(&mut world, &mut caller, ASHA);
    world.end();
}

/// RFC 6026 §7.2: the client side is Accepted for 64·T1 too (Timer M), and every 2xx that comes meanwhile goes up,
/// also one with another To tag: of a branch further down.
#[test]
fn corner_10_every_2xx_goes_up_for_64_t1_also_one_with_another_tag() {
    let (mut world, _, mut caller, mut callee, ok) = answered("m");
    world.say(TRUNK, &caller.ack());
    world.expect(ASHA, "ACK");
    let other_ok = ok.replace(";tag=t\r\n", ";tag=other\r\n");
    assert_ne!(other_ok, ok);
    world.pass(seconds(15));
    world.say(ASHA, &ok);
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 200 OK"]);
    world.say(ASHA, &other_ok);
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    assert!(answer.header("To").unwrap().ends_with(";tag=other"));
    let mut other = caller.clone();
    other.learn(&answer);
    world.say(TRUNK, &other.ack());
    world.expect(ASHA, "ACK");
    world.pass(seconds(16));
    world.say(ASHA, &ok);
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 200 OK"], "still Accepted after 31 s");
    world.pass(seconds(2));
    world.say(ASHA, &ok);
    assert!(world.lines(TRUNK).is_empty(), "Timer M");
    hang_up(&mut world, &mut other, ASHA);
    assert_eq!(world.busy(), ["221@acme on-call"], "until the first dialog ends too");
    hang_up(&mut world, &mut callee, TRUNK);
    assert!(world.busy().is_empty());
    world.end();
}
