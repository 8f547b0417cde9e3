//! Corners 11–18: what belongs to a transaction, and what becomes of the rest (RFC 3261 §17, RFC 6026, RFC 4320).

use std::time::Duration;

use bytes::Bytes;
use switchboard::engine::Input;
use switchboard::time::Instant;
use switchboard::transaction::{AckFate, Client, InviteClient, InviteServer, Reliability, Server, Timing};

use super::super::script::{ASHA, TRUNK, branch, from_trunk, respond, seconds};
use super::super::world::SWITCHBOARD;
use super::{a_minute, acknowledge, departures, over, phones, pick_up, refuse, ring, sales, talking, to_nobody};

/// RFC 6026 §8.10 (§18.1.2 of RFC 3261 as amended): a response that no client transaction knows is dropped, and not
/// forwarded without state.
#[test]
fn corner_11_a_response_of_no_client_transaction_is_dropped() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("stray");
    let rung = ring(&mut world, &mut caller, "");
    world.heard(TRUNK);
    let ok = respond(&rung, "200 OK", "t", &format!("Contact: <sip:a@{ASHA}>\r\n"), "");
    let unknown = format!("z9hG4bK{:024x}", 12_345);
    world.say(ASHA, &ok.replacen(&branch(&rung), &unknown, 1));
    world.say(ASHA, &ok.replacen(SWITCHBOARD, "203.0.113.99:5060", 1));
    world.say(ASHA, &ok.replace("INVITE\r\n", "CANCEL\r\n"));
    assert!(world.lines(TRUNK).is_empty());
    assert_eq!(world.busy(), ["221@acme ringing"]);
    refuse(&mut world, &mut caller, &rung);
    world.pass(a_minute());
    world.heard(TRUNK);
    world.say(ASHA, &ok);
    assert!(world.lines(TRUNK).is_empty(), "its transaction is over");
    world.end();
}

/// RFC 6026 §7.1, §7.2: in Accepted a transport error changes nothing on either side.
#[test]
fn corner_12_a_transport_error_in_accepted_ends_nothing() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("icmp");
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    pick_up(&mut world, ASHA, &rung, "t");
    let answer = world.expect(TRUNK, "SIP/2.0 200");
    for lost in [&rung, &answer] {
        world.happen(Input::Undeliverable { bytes: lost.bytes.clone() });
    }
    assert_eq!(world.busy(), ["221@acme on-call"]);
    world.say(TRUNK, &invite);
    assert!(world.lines(TRUNK).is_empty() && world.lines(ASHA).is_empty(), "the server side absorbs copies as before");
    pick_up(&mut world, ASHA, &rung, "t");
    let caller = acknowledge(&mut world, &caller, ASHA);
    over(world, caller);

    let start = Instant::from_nanos(1);
    let mut client = InviteClient::new(start, Timing::default(), Reliability::Unreliable, Bytes::new()).0;
    let mut server = InviteServer::new(start, Timing::default(), Reliability::Unreliable);
    drop((client.on_success(start), server.respond_success(start, Bytes::new())));
    drop((client.on_transport_error(start), server.on_transport_error(start)));
    assert!(!client.is_terminated() && !server.is_terminated());
    assert_eq!(server.on_ack(start), AckFate::PassUp);
}

/// RFC 3261 §17.2.3: branch, sent-by and method name a transaction, an ACK that of its INVITE; §7.3.1: parameters and
/// hosts compare without regard to case, and §18.2.2: a missing port is 5060.
#[test]
fn corner_13_branch_sent_by_and_method_name_a_transaction_whatever_their_case() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("case");
    caller.address = "Sbc.Airtel.Example:5060".to_owned();
    let invite = caller.request("INVITE", "", "");
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    world.heard(TRUNK);
    let copy = invite.replacen("Sbc.Airtel.Example:5060;branch=z9hG4bK-", "sbc.AIRTEL.example;branch=Z9HG4BK-", 1);
    assert_ne!(copy, invite);
    world.say(TRUNK, &copy);
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 100 Trying"], "a copy");
    // The same branch under another method is a transaction of its own.
    let cancel = caller.cancel("");
    world.say(TRUNK, &cancel);
    world.say(TRUNK, &cancel);
    let failure = world.expect(TRUNK, "SIP/2.0 487");
    let answers: Vec<String> = world.sent_to(TRUNK).iter().map(|seen| seen.first_line()).collect();
    assert_eq!(answers.iter().filter(|line| line.as_str() == "SIP/2.0 200 OK").count(), 2, "{answers:?}");
    // The ACK is the INVITE's.
    world.inject(TRUNK, caller.ack_failure(&failure).replace("z9hG4bK-", "Z9hg4bk-").as_bytes());
    assert!(departures(&mut world, TRUNK, "SIP/2.0 487", seconds(10)).is_empty(), "acknowledged");
    world.say(ASHA, &respond(&rung, "487 Request Terminated", "a", "", ""));
    world.end();
}

/// RFC 3261 §17.2.3: where the branch lacks the cookie, RFC 2543's rules hold: Request-URI, tags, Call-ID, CSeq and the
/// whole topmost Via; an ACK must also bear the To tag of the response it is for.
#[test]
fn corner_13_without_the_cookie_rfc_2543s_rules_match() {
    let old = |text: String| text.replace("branch=z9hG4bK-", "branch=");
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("old");
    let invite = old(caller.request("INVITE", "", ""));
    world.say(TRUNK, &invite);
    let rung = world.expect(ASHA, "INVITE");
    world.heard(TRUNK);
    world.say(TRUNK, &invite);
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 100 Trying"], "a copy");
    world.expect_no(ASHA, "INVITE");
    world.say(ASHA, &respond(&rung, "486 Busy Here", "no", "", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 480");
    let ack = old(caller.ack_failure(&failure));
    let tag = failure.header("To").unwrap().split("tag=").nth(1).unwrap().to_owned();
    world.inject(TRUNK, ack.replace(&tag, "another").as_bytes());
    assert!(!departures(&mut world, TRUNK, "SIP/2.0 480", seconds(5)).is_empty(), "an ACK of another response");
    world.inject(TRUNK, ack.as_bytes());
    assert!(departures(&mut world, TRUNK, "SIP/2.0 480", seconds(10)).is_empty(), "acknowledged");

    let mut caller = from_trunk("older");
    world.say(TRUNK, &old(caller.request("INVITE", "", "")));
    let rung = world.expect(ASHA, "INVITE");
    world.say(TRUNK, &old(caller.cancel("")));
    let terminated = world.expect(TRUNK, "SIP/2.0 487");
    world.inject(TRUNK, old(caller.ack_failure(&terminated)).as_bytes());
    assert!(departures(&mut world, TRUNK, "SIP/2.0 487", seconds(10)).is_empty(), "acknowledged");
    world.say(ASHA, &respond(&rung, "487 Request Terminated", "no", "", ""));
    world.end();
}

/// RFC 3261 §17.2.3: sent-by is part of the name, since two clients may have chosen one branch.
#[test]
fn corner_14_the_same_branch_of_another_sender_is_another_transaction() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("one");
    let rung = ring(&mut world, &mut caller, "");
    world.heard(TRUNK);
    let mut other = to_nobody("two");
    other.address = "192.0.2.2:5060".to_owned();
    let mut invite = other.request("INVITE", "", "");
    invite = invite.replacen(&other.branch, &caller.branch, 1);
    other.branch.clone_from(&caller.branch);
    world.say("192.0.2.2:5060", &invite);
    let failure = world.expect("192.0.2.2:5060", "SIP/2.0 404");
    world.say("192.0.2.2:5060", &other.ack_failure(&failure));
    assert!(world.lines(TRUNK).is_empty());
    assert_eq!(world.busy(), ["221@acme ringing"], "the first is as it was");
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 3261 §8.2.2.2: the same From tag, Call-ID and CSeq in another transaction is the same request by another way:
/// 482.
#[test]
fn corner_15_a_request_that_came_by_two_ways_is_482_the_second_time() {
    let mut world = phones(sales(), 1);
    let mut caller = from_trunk("merged");
    let rung = ring(&mut world, &mut caller, "");
    let mut second = caller.clone();
    world.say(TRUNK, &second.request_with("INVITE", 1, "", ""));
    let refused = world.expect(TRUNK, "SIP/2.0 482 Loop Detected");
    world.say(TRUNK, &second.ack_failure(&refused));
    world.expect_no(ASHA, "INVITE");
    assert_eq!(world.busy(), ["221@acme ringing"]);
    // Another CSeq is another request, for somebody who is being rung.
    let mut third = second.clone();
    world.heard(TRUNK);
    world.say(TRUNK, &third.request("INVITE", "", ""));
    let busy = world.expect(TRUNK, "SIP/2.0 486 Busy Here");
    world.say(TRUNK, &third.ack_failure(&busy));
    refuse(&mut world, &mut caller, &rung);
    world.end();
}

/// RFC 4320 §4.1: to anything but an INVITE no provisional response but 100, and over UDP not before a client's Timer
/// E would be at T2 (3.5 s); §4.2: no 408, whoever made it.
#[test]
fn corner_16_a_non_invite_gets_no_408_and_no_provisional_but_a_late_100() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "info");
    world.inject(TRUNK, caller.request("INFO", "", "").as_bytes());
    world.pass(Duration::from_millis(5));
    let seen = world.expect(ASHA, "INFO");
    for status in ["100 Trying", "183 Session Progress"] {
        world.inject(ASHA, respond(&seen, status, "", "", "").as_bytes());
    }
    let times = departures(&mut world, TRUNK, "SIP/2.0", seconds(20));
    assert_eq!(times, [3496], "one, 3.5 s after the request came");
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 100 Trying"]);
    world.inject(ASHA, respond(&seen, "408 Request Timeout", "", "", "").as_bytes());
    assert!(departures(&mut world, TRUNK, "SIP/2.0", a_minute()).is_empty(), "no 408 of the phone's");

    world.inject(TRUNK, caller.request("INFO", "", "").as_bytes());
    world.pass(a_minute());
    let lines = world.lines(TRUNK);
    assert_eq!(lines, ["SIP/2.0 100 Trying"], "and none of ours");
    over(world, caller);
}

/// RFC 4320 §3, §4.2: a final answer to a request other than INVITE that comes after 64·T1 is of no use to anybody:
/// it is not sent on.
#[test]
fn corner_17_a_late_final_answer_to_a_non_invite_is_swallowed() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "late");
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let seen = world.expect(ASHA, "INFO");
    world.pass(seconds(33));
    world.heard(TRUNK);
    world.say(ASHA, &respond(&seen, "200 OK", "", "", ""));
    assert!(world.lines(TRUNK).is_empty());
    assert_eq!(world.busy(), ["221@acme on-call"], "the call goes on");
    over(world, caller);
}

/// RFC 3261 §17.1.1.2, §17.1.2.2, §17.2.1, §17.2.2: over a reliable transport A, E and G are not armed, and D, I, J
/// and K are zero. There is no such socket (`docs/choices.md`); the machines have this half all the same.
#[test]
fn corner_18_over_a_reliable_transport_nothing_is_sent_again_and_nothing_lingers() {
    let start = Instant::from_nanos(7_000_000_000);
    let (timing, by) = (Timing::default(), Reliability::Reliable);
    let patience = Some(start + Duration::from_secs(32));
    let later = start + seconds(1);

    let mut invite = InviteClient::new(start, timing, by, Bytes::new()).0;
    assert_eq!(invite.deadline(), patience, "B and no A");
    drop(invite.on_failure(later, Bytes::new));
    assert_eq!(invite.deadline(), Some(later), "D is zero");
    assert!(!invite.on_timer(later).is_empty() && invite.is_terminated());

    let mut request = Client::new(start, timing, by, Bytes::new()).0;
    assert_eq!(request.deadline(), patience, "F and no E");
    drop(request.on_final(later));
    assert_eq!(request.deadline(), Some(later), "K is zero");

    let mut invited = InviteServer::new(start, timing, by);
    drop(invited.respond_failure(start, Bytes::new()));
    assert_eq!(invited.deadline(), patience, "H and no G");
    invited.on_ack(later);
    assert_eq!(invited.deadline(), Some(later), "I is zero");

    let mut requested = Server::new(start, timing, by);
    drop(requested.respond_final(later, Bytes::new()));
    assert_eq!(requested.deadline(), Some(later), "J is zero");

    // What ends an unacknowledged or unanswered request is not of the transport's: L and M stay.
    let mut accepted = InviteClient::new(start, timing, by, Bytes::new()).0;
    drop(accepted.on_success(start));
    assert_eq!(accepted.deadline(), patience);
    assert!(!invited.on_timer(later).is_empty() && invited.is_terminated());
}

/// RFC 3261 §17.2.3, seen from the other side: what is acknowledged is over for good.
#[test]
fn corner_14_an_ack_of_another_sender_acknowledges_nothing() {
    let mut world = phones(sales(), 0);
    let mut caller = to_nobody("mine");
    world.inject(TRUNK, caller.request("INVITE", "", "").as_bytes());
    world.pass(Duration::from_millis(5));
    let failure = world.expect(TRUNK, "SIP/2.0 404");
    let ack = caller.ack_failure(&failure);
    world.inject(TRUNK, ack.replacen("Via: SIP/2.0/UDP 192.0.2.1", "Via: SIP/2.0/UDP 192.0.2.2", 1).as_bytes());
    assert!(!departures(&mut world, TRUNK, "SIP/2.0 404", seconds(5)).is_empty());
    world.inject(TRUNK, ack.as_bytes());
    assert!(departures(&mut world, TRUNK, "SIP/2.0 404", seconds(10)).is_empty());
    world.end();
}
