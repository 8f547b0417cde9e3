//! Corners 29–34: what the answers of several branches come to, and how long a branch may ring (RFC 3261 §16.7, §16.8).

use std::time::Duration;

use super::super::companies::one_company;
use super::super::script::{ASHA, MINA, Party, RAVI, TRUNK, from_trunk, hang_up, register, respond, seconds};
use super::super::world::{SWITCHBOARD, Seen, World};
use super::{
    ELSEWHERE, acknowledge, departures, fail, give_up, over, patient, phones, pick_up, refuse, ring, sales, talking,
};

/// RFC 3261 §16.7 item 5: every provisional response goes up at once, but 100; those of several dialogs keep their To
/// tags.
#[test]
fn corner_29_every_provisional_but_100_goes_up_with_its_tag() {
    let mut world = phones(sales(), 2);
    let mut caller = from_trunk("tags");
    let asha = ring(&mut world, &mut caller, "");
    let ravi = world.expect(RAVI, "INVITE");
    world.heard(TRUNK);
    world.say(ASHA, &respond(&asha, "100 Trying", "", "", ""));
    assert!(world.lines(TRUNK).is_empty());
    for (at, rung, status, tag) in [
        (ASHA, &asha, "180 Ringing", "one"),
        (ASHA, &asha, "183 Session Progress", "two"),
        (RAVI, &ravi, "180 Ringing", "three"),
        (ASHA, &asha, "199 Early Dialog Terminated", "one"),
    ] {
        world.say(at, &respond(rung, status, tag, "", ""));
        let heard = world.expect(TRUNK, &format!("SIP/2.0 {status}"));
        assert!(heard.header("To").unwrap().ends_with(&format!(";tag={tag}")));
    }
    world.say(RAVI, &respond(&ravi, "486 Busy Here", "three", "", ""));
    refuse(&mut world, &mut caller, &asha);
    world.end();
}

/// RFC 3261 §16.7 items 5 and 10: the first 2xx goes up at once and the other branches are cancelled; a second 2xx
/// goes up too.
#[test]
fn corner_30_the_first_2xx_goes_up_at_once_the_others_are_cancelled_and_a_second_goes_up_too() {
    let mut world = phones(sales(), 3);
    let mut caller = from_trunk("two");
    let asha = ring(&mut world, &mut caller, "");
    let (ravi, mina) = (world.expect(RAVI, "INVITE"), world.expect(MINA, "INVITE"));
    for (at, rung) in [(ASHA, &asha), (RAVI, &ravi), (MINA, &mina)] {
        world.say(at, &respond(rung, "180 Ringing", "early", "", ""));
    }
    world.heard(TRUNK);
    world.inject(RAVI, respond(&ravi, "200 OK", "r", &format!("Contact: <sip:phone@{RAVI}>\r\n"), "").as_bytes());
    assert_eq!(departures(&mut world, TRUNK, "SIP/2.0 200", Duration::from_millis(5)), [1], "at once");
    let mut with_ravi = acknowledge(&mut world, &caller, RAVI);
    assert_eq!(give_up(&mut world, MINA, &mina), [ELSEWHERE]);
    assert_eq!(world.expect(ASHA, "CANCEL").headers("Reason"), [ELSEWHERE]);
    pick_up(&mut world, ASHA, &asha, "a");
    let mut with_asha = acknowledge(&mut world, &caller, ASHA);
    assert_eq!(world.busy(), ["221@acme on-call", "222@acme on-call"]);
    hang_up(&mut world, &mut with_ravi, RAVI);
    hang_up(&mut world, &mut with_asha, ASHA);
    world.end();
}

/// Asha has a desk phone (at `ASHA`) and a softphone (at `RAVI`); Mina is next.
fn two_devices() -> World {
    let mut world = World::new(one_company(
        "[departments.sales]\nmembers = [\"221\", \"223\"]\nstrategy = \"serial\"\nring = \"20s\"\n",
        &[("221", ""), ("223", "")],
    ));
    register(&mut world, SWITCHBOARD, ASHA, &format!("sip:221@{ASHA}"), "221", "desk", 1);
    register(&mut world, SWITCHBOARD, RAVI, &format!("sip:221@{RAVI}"), "221", "soft", 1);
    register(&mut world, SWITCHBOARD, MINA, &format!("sip:223@{MINA}"), "223", "mina", 1);
    world
}

/// RFC 3261 §16.7 item 5: a 6xx cancels the other branches, and is the answer unless a 2xx still comes. R-5.4 says
/// otherwise for a company's call: an agent's 6xx ends that offer only, and never goes up.
#[test]
fn corner_31_a_6xx_cancels_the_persons_other_devices_and_does_not_speak_for_the_company() {
    let mut world = two_devices();
    let mut caller = from_trunk("decline");
    let desk = ring(&mut world, &mut caller, "");
    let soft = world.expect(RAVI, "INVITE");
    world.say(RAVI, &respond(&soft, "180 Ringing", "s", "", ""));
    world.say(ASHA, &respond(&desk, "603 Decline", "d", "", ""));
    assert!(give_up(&mut world, RAVI, &soft).is_empty(), "nobody answered elsewhere");
    let mina = world.expect(MINA, "INVITE");
    world.expect_no(TRUNK, "SIP/2.0 6");
    pick_up(&mut world, MINA, &mina, "m");
    let mut caller = acknowledge(&mut world, &caller, MINA);
    hang_up(&mut world, &mut caller, MINA);
    world.end();
}

/// RFC 3261 §16.7 items 5 and 6, outside a hunt: inside a dialog there is one branch, and its 6xx is the answer.
#[test]
fn corner_31_a_6xx_to_a_re_invite_goes_up_as_it_is() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "re");
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let seen = world.expect(ASHA, "INVITE");
    world.say(ASHA, &respond(&seen, "606 Not Acceptable", "", "Warning: 399 phone \"no\"\r\n", ""));
    let failure = world.expect(TRUNK, "SIP/2.0 606 Not Acceptable");
    assert_eq!(failure.headers("Warning"), ["399 phone \"no\""]);
    world.say(TRUNK, &caller.ack_failure(&failure));
    over(world, caller);
}

/// Asks the phone something inside the call, which answers so; what the caller hears of it.
fn asked(world: &mut World, caller: &mut Party, status: &str, extra: &str) -> Seen {
    world.say(TRUNK, &caller.request("INFO", "", ""));
    let seen = world.expect(ASHA, "INFO");
    world.say(ASHA, &respond(&seen, status, "", extra, ""));
    world.expect(TRUNK, "SIP/2.0 ")
}

/// RFC 3261 §16.7 items 6 and 7, outside a hunt: a 503 goes up as 500, for it is the branch that cannot serve, not
/// we; every challenge of a 401 or 407 goes up; item 4: a redirect is not followed, but passed on.
#[test]
fn corner_32_503_goes_up_as_500_challenges_go_up_whole_and_redirects_are_not_followed() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "best");
    assert_eq!(
        asked(&mut world, &mut caller, "503 Service Unavailable", "Retry-After: 9\r\n").first_line(),
        "SIP/2.0 500 Server Internal Error"
    );
    let challenges = ["Digest realm=\"a.example\", nonce=\"1\"", "Digest realm=\"b.example\", nonce=\"2\""];
    for (status, field) in
        [("401 Unauthorized", "WWW-Authenticate"), ("407 Proxy Authentication Required", "Proxy-Authenticate")]
    {
        let extra: String = challenges.iter().map(|challenge| format!("{field}: {challenge}\r\n")).collect();
        let heard = asked(&mut world, &mut caller, status, &extra);
        assert_eq!(heard.first_line(), format!("SIP/2.0 {status}"));
        assert_eq!(heard.headers(field), challenges);
    }
    let heard = asked(&mut world, &mut caller, "302 Moved Temporarily", "Contact: <sip:198.51.100.66>\r\n");
    assert_eq!(heard.headers("Contact"), ["<sip:198.51.100.66>"]);
    assert!(world.sent_to("198.51.100.66:5060").is_empty());
    over(world, caller);
}

/// RFC 3261 §16.7 item 6 would choose among the branches' answers. R-5.4 and R-8 choose for a company's call: the
/// caller gets the company's answer, never one agent's, and no phone forwards the call elsewhere.
#[test]
fn corner_32_the_best_answer_of_a_companys_call_is_the_companys_own() {
    for (status, extra) in [
        ("302 Moved Temporarily", "Contact: <sip:198.51.100.66>\r\n"),
        ("401 Unauthorized", "WWW-Authenticate: Digest realm=\"a.example\", nonce=\"1\"\r\n"),
        ("503 Service Unavailable", ""),
        ("486 Busy Here", ""),
    ] {
        let mut world = phones(sales(), 2);
        let mut caller = from_trunk("own");
        let asha = ring(&mut world, &mut caller, "");
        let ravi = world.expect(RAVI, "INVITE");
        world.say(ASHA, &respond(&asha, status, "a", extra, ""));
        world.expect(ASHA, "ACK");
        world.say(RAVI, &respond(&ravi, "404 Not Found", "r", "", ""));
        let failure = fail(&mut world, &mut caller);
        assert_eq!(failure.first_line(), "SIP/2.0 480 Temporarily Unavailable", "{status}");
        assert!(failure.headers("Reason")[0].starts_with("Q.850;cause=19"), "{status}");
        assert!(failure.headers("Contact").is_empty() && failure.headers("WWW-Authenticate").is_empty());
        assert!(world.sent_to("198.51.100.66:5060").is_empty());
        world.end();
    }
}

/// RFC 3261 §16.7 item 2, §16.8: a branch that nobody answers, by Timer B or after Timer C's CANCEL, counts as a 408.
#[test]
fn corner_33_a_branch_without_an_answer_counts_as_408() {
    let mut world = phones(sales(), 1);
    let mut caller = talking(&mut world, "b");
    world.inject(TRUNK, caller.request("INVITE", "", "").as_bytes());
    assert_eq!(departures(&mut world, TRUNK, "SIP/2.0 408", seconds(33)).first(), Some(&32_001), "Timer B");
    let failure = world.expect(TRUNK, "SIP/2.0 408");
    world.say(TRUNK, &caller.ack_failure(&failure));

    world.heard(ASHA);
    world.say(TRUNK, &caller.request("INVITE", "", ""));
    let seen = world.expect(ASHA, "INVITE");
    world.heard(TRUNK);
    world.say(ASHA, &respond(&seen, "180 Ringing", "", "", ""));
    world.pass(seconds(182));
    world.expect(ASHA, "CANCEL");
    assert_eq!(world.lines(TRUNK), ["SIP/2.0 180 Ringing"]);
    world.pass(seconds(32));
    let failure = world.expect(TRUNK, "SIP/2.0 408");
    world.say(TRUNK, &caller.ack_failure(&failure));
    over(world, caller);

    // In a hunt: nobody answered (R-8).
    let mut world = phones(patient(), 1);
    let mut caller = from_trunk("hunt");
    ring(&mut world, &mut caller, "");
    world.pass(seconds(33));
    let failure = fail(&mut world, &mut caller);
    assert!(failure.headers("Reason")[0].starts_with("Q.850;cause=19"));
    assert!(world.busy().is_empty());
    world.end();
}

/// RFC 3261 §16.6 item 11, §16.7 item 2, §16.8: Timer C is more than three minutes, begins anew with each response
/// from 101 to 199 and with no 100, and then the branch is cancelled.
#[test]
fn corner_34_timer_c_begins_anew_with_101_to_199_and_ends_in_a_cancel() {
    for (status, expected) in [("183 Session Progress", 280..=282), ("100 Trying", 180..=182)] {
        let mut world = phones(sales(), 1);
        let mut caller = talking(&mut world, "c");
        world.say(TRUNK, &caller.request("INVITE", "", ""));
        let seen = world.expect(ASHA, "INVITE");
        world.inject(ASHA, respond(&seen, "180 Ringing", "", "", "").as_bytes());
        let mut cancels = departures(&mut world, ASHA, "CANCEL", seconds(100));
        world.inject(ASHA, respond(&seen, status, "", "", "").as_bytes());
        cancels.extend(departures(&mut world, ASHA, "CANCEL", seconds(190)).iter().map(|at| at + 100_000));
        assert!(expected.contains(&(cancels[0] / 1000)), "{status}: {cancels:?}");
        world.say(ASHA, &respond(&seen, "487 Request Terminated", "", "", ""));
        let failure = world.expect(TRUNK, "SIP/2.0 4");
        world.say(TRUNK, &caller.ack_failure(&failure));
        over(world, caller);
    }
}

/// R-5.2 with RFC 3261 §16.6 item 11: an offer that may ring for longer than three minutes is not cut short by Timer C.
#[test]
fn corner_34_timer_c_does_not_cut_an_offer_short() {
    let mut world = phones(patient(), 1);
    let mut caller = from_trunk("long");
    let rung = ring(&mut world, &mut caller, "");
    world.inject(ASHA, respond(&rung, "180 Ringing", "a", "", "").as_bytes());
    let cancels = departures(&mut world, ASHA, "CANCEL", seconds(601));
    assert_eq!(cancels.first().map(|at| at / 1000), Some(599), "ten minutes after the INVITE: {cancels:?}");
    world.heard(ASHA);
    world.say(ASHA, &respond(&rung, "487 Request Terminated", "a", "", ""));
    fail(&mut world, &mut caller);
    world.end();
}
