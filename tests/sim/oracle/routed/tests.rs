//! A right history passes; each wrong one differs from it in one thing, which is found.

use serde_json::{Value, json};
use switchboard::routing::DecisionRecord;
use switchboard::state::SavedHold;
use switchboard::time::WallTime;

use super::routed_as_written;
use crate::model::{Model, Sticky};
use crate::oracle::hand::{Hand, TRUNK, WALL, copy, invite, model, refusal};

const PHONES: [(&str, &str); 2] = [("201", "198.51.100.1:5060"), ("202", "198.51.100.2:5060")];

fn record(value: Value) -> DecisionRecord {
    serde_json::from_value(value).unwrap()
}

/// The call is in `sales`, with these members so far.
fn in_sales(members: &Value) -> Value {
    json!({
        "number": "+918041234500", "company": "one", "caller": "+919811112220", "at": "2026-11-23T10:00:00+05:30",
        "route": { "to": "department:sales", "hours": null },
        "steps": [{ "department": "sales", "strategy": "serial", "cause": null, "members": members }],
        "answer": null
    })
}

fn member(extension: &str, rest: Value) -> Value {
    let mut member = json!({ "extension": extension, "person": format!("{extension}@one") });
    member.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    member
}

fn offer(number: u32, outcome: Option<&str>) -> Value {
    json!({ "offer": number, "at": "", "after": 0.0, "outcome": outcome })
}

/// How a history differs from a right one.
struct Story {
    model: Model,
    /// In which order the two are offered the call.
    order: [usize; 2],
    /// Where the first INVITE goes.
    first_to: usize,
    /// 201 talks with somebody else.
    busy: bool,
    /// Status and Q.850 cause of the final answer.
    answer: (u16, u16),
    /// After how many seconds the first offer is over.
    ring: u64,
}

impl Story {
    fn right() -> Story {
        Story { model: model(), order: [0, 1], first_to: 0, busy: false, answer: (480, 19), ring: 5 }
    }

    /// Both are there. One is rung in vain, then the other, then the caller is told.
    fn found(self) -> Vec<String> {
        let mut hand = Hand::new(vec![self.model]);
        hand.entry(crate::history::What::Fired);
        for (extension, target) in PHONES {
            hand.registered(extension, target);
        }
        if self.busy {
            hand.claimed("201", 3, Some(SavedHold::OnCall));
        }
        hand.later(1);
        let members = |states: [Value; 2]| json!([member("201", states[0].clone()), member("202", states[1].clone())]);
        let (one, other) = (self.order[0], self.order[1]);
        let mut states = [json!({}), json!({})];
        states[one] = offer(1, None);
        hand.heard(TRUNK, &invite("+918041234500"));
        hand.claimed(PHONES[one].0, 7, Some(SavedHold::Ringing));
        hand.stored(&record(in_sales(&members(states.clone()))));
        hand.sent(PHONES[self.first_to].1, &copy("a"));
        hand.later(self.ring);
        hand.entry(crate::history::What::Fired);
        states[one] = offer(1, Some("no-answer"));
        states[other] = offer(2, None);
        hand.claimed(PHONES[other].0, 7, Some(SavedHold::Ringing));
        hand.stored(&record(in_sales(&members(states.clone()))));
        hand.sent(PHONES[other].1, &copy("b"));
        hand.later(5);
        hand.entry(crate::history::What::Fired);
        states[other] = offer(2, Some("no-answer"));
        let mut last = in_sales(&members(states));
        last["steps"][0]["cause"] = json!("no-answer");
        last["answer"] = json!({ "status": 480, "q850": 19, "cause": "no-answer", "text": "" });
        hand.recorded(&record(last));
        hand.sent(TRUNK, &refusal(self.answer.0, self.answer.1));
        routed_as_written(&hand.history).into_iter().map(|violation| violation.words).collect()
    }
}

/// The same of another call.
fn second(text: String) -> String {
    text.replace("Call-ID: call", "Call-ID: other").replace("z9hG4bKtrunk", "z9hG4bKother")
}

/// Two calls ring one member each, in vain and equally long: for the one that comes second there may be no room in the line.
fn second_of_two_left_while_the_first_waits(max_waiting: usize) -> Vec<String> {
    let mut model = model();
    (model.companies[0].departments[0].wait, model.companies[0].departments[0].max_waiting) = (60, max_waiting);
    let mut hand = Hand::new(vec![model]);
    hand.entry(crate::history::What::Fired);
    for (extension, target) in PHONES {
        hand.registered(extension, target);
    }
    let rings = |extension: &str| json!({ "extension": extension, "person": format!("{extension}@one") });
    let skipped = |extension: &str, evidence: &str| {
        let mut member = rings(extension);
        member["skip"] = json!("ringing");
        member["evidence"] = json!(evidence);
        member
    };
    let with = |extension: &str, outcome: Option<&str>| member(extension, offer(1, outcome));
    let number = "+918041234500";
    hand.later(1);
    hand.heard(TRUNK, &invite(number));
    hand.claimed("201", 7, Some(SavedHold::Ringing));
    hand.stored(&record(in_sales(&json!([with("201", None), rings("202")]))));
    hand.sent(PHONES[0].1, &copy("a"));
    hand.heard(TRUNK, &second(invite(number)));
    hand.claimed("202", 8, Some(SavedHold::Ringing));
    let other = in_sales(&json!([skipped("201", "by call 7"), with("202", None)]));
    hand.stored_as(8, &second(invite(number)), &record(other));
    hand.sent(PHONES[1].1, &second(copy("b")));
    hand.later(5);
    hand.entry(crate::history::What::Fired);
    let waits = in_sales(&json!([with("201", Some("no-answer")), skipped("202", "by call 8")]));
    hand.stored(&record(waits));
    let mut left = in_sales(&json!([skipped("201", "by call 7"), with("202", Some("no-answer"))]));
    left["steps"][0]["cause"] = json!("no-answer");
    left["answer"] = json!({ "status": 480, "q850": 19, "cause": "no-answer", "text": "" });
    hand.stored_as(8, &second(invite(number)), &record(left));
    hand.sent(TRUNK, &refusal(182, 0).replace(" No\n", " Queued\n"));
    hand.sent(TRUNK, &second(refusal(480, 19)));
    routed_as_written(&hand.history).into_iter().map(|violation| violation.words).collect()
}

/// 201 wraps up, 202 talks, and two calls wait, 7 before 8. 201 is through with it, and is offered one of them.
fn free_for_a_line_of_two(next: u64) -> Vec<String> {
    let mut model = model();
    model.companies[0].departments[0].wait = 60;
    let mut hand = Hand::new(vec![model]);
    hand.entry(crate::history::What::Fired);
    for (extension, target) in PHONES {
        hand.registered(extension, target);
    }
    let ready = 12;
    let until = WallTime::from_unix_millis(WALL + 1_000 * ready as i64);
    hand.claimed("201", 3, Some(SavedHold::WrapUp(until)));
    hand.claimed("202", 4, Some(SavedHold::OnCall));
    let wraps_up = member("201", json!({ "skip": "wrap-up", "evidence": "by call 3" }));
    let talks = member("202", json!({ "skip": "on-call", "evidence": "by call 4" }));
    let number = "+918041234500";
    let as_written = |call: u64, text: String| if call == 7 { text } else { second(text) };
    for call in [7, 8] {
        hand.later(1);
        let invite = as_written(call, invite(number));
        hand.heard(TRUNK, &invite);
        hand.stored_as(call, &invite, &record(in_sales(&json!([wraps_up, talks]))));
        hand.sent(TRUNK, &as_written(call, refusal(182, 0).replace(" No\n", " Queued\n")));
    }
    hand.later(ready - 2);
    hand.entry(crate::history::What::Fired);
    hand.claimed("201", 3, None);
    hand.claimed("201", next, Some(SavedHold::Ringing));
    let rings = record(in_sales(&json!([member("201", offer(1, None)), talks])));
    hand.stored_as(next, &as_written(next, invite(number)), &rings);
    hand.sent(PHONES[0].1, &as_written(next, copy("a")));
    routed_as_written(&hand.history).into_iter().map(|violation| violation.words).collect()
}

#[test]
fn an_offer_past_somebody_who_has_waited_longer_is_found_out() {
    assert_eq!(free_for_a_line_of_two(7), Vec::<String>::new());
    let found = free_for_a_line_of_two(8);
    assert!(
        found.iter().any(|words| words.contains("while call c7, which has waited longer, wants 201@one")),
        "{found:?}"
    );
}

#[test]
fn a_line_may_be_filled_in_the_very_step_that_leaves_no_room_for_another() {
    assert_eq!(second_of_two_left_while_the_first_waits(1), Vec::<String>::new());
    let found = second_of_two_left_while_the_first_waits(2);
    assert!(found.iter().any(|words| words.contains("right is [\"(wait)\"]")), "{found:?}");
}

#[test]
fn a_hunt_as_written_is_right() {
    assert_eq!(Story::right().found(), Vec::<String>::new());
}

#[test]
fn the_order_of_members_is_found_out() {
    let found = Story { order: [1, 0], first_to: 1, ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("201 was passed over")), "{found:?}");
}

#[test]
fn ringing_somebody_who_talks_is_found_out() {
    let found = Story { busy: true, ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("201 was offered") && words.contains("on-call")), "{found:?}");
}

#[test]
fn ringing_somebody_who_is_away_is_found_out() {
    let mut away = model();
    away.companies[0].users[0].take_calls = false;
    let found = Story { model: away, ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("201 was offered") && words.contains("away")), "{found:?}");
}

#[test]
fn an_invite_to_somebody_else_is_found_out() {
    let found = Story { first_to: 1, ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("INVITE went to")), "{found:?}");
}

#[test]
fn another_answer_than_the_row_of_r8_is_found_out() {
    let found = Story { answer: (486, 17), ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("486")), "{found:?}");
}

#[test]
fn an_offer_cut_short_or_drawn_out_is_found_out() {
    let found = Story { ring: 3, ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("ended before 5 s")), "{found:?}");
}

/// 201 is rung, and after so many seconds a timer goes off, in a step that changes nothing.
fn rings_on(seconds: u64, killed: bool) -> Vec<String> {
    let mut hand = Hand::new(vec![model()]);
    hand.entry(crate::history::What::Fired);
    for (extension, target) in PHONES {
        hand.registered(extension, target);
    }
    hand.later(1);
    hand.heard(TRUNK, &invite("+918041234500"));
    hand.claimed("201", 7, Some(SavedHold::Ringing));
    hand.stored(&record(in_sales(&json!([member("201", offer(1, None)), member("202", json!({}))]))));
    hand.sent(PHONES[0].1, &copy("a"));
    hand.later(seconds);
    hand.entry(crate::history::What::Fired);
    if killed {
        hand.entry(crate::history::What::Killed);
    }
    routed_as_written(&hand.history).into_iter().map(|violation| violation.words).collect()
}

#[test]
fn an_offer_that_outlasts_its_time_is_found_out_unless_a_kill_cut_that_very_step_short() {
    assert_eq!(rings_on(4, false), Vec::<String>::new());
    assert!(rings_on(6, false).iter().any(|words| words.contains("201 rings longer than 5 s")));
    assert_eq!(rings_on(6, true), Vec::<String>::new());
}

/// 202 is skipped, and nothing that was stored so far says why.
fn skipped_as(reason: &str, killed: bool) -> Vec<String> {
    let mut hand = Hand::new(vec![model()]);
    hand.entry(crate::history::What::Fired);
    for (extension, target) in PHONES {
        hand.registered(extension, target);
    }
    hand.later(1);
    hand.heard(TRUNK, &invite("+918041234500"));
    hand.claimed("201", 7, Some(SavedHold::Ringing));
    let skipped = member("202", json!({ "skip": reason, "evidence": "" }));
    hand.stored(&record(in_sales(&json!([member("201", offer(1, None)), skipped]))));
    hand.sent(PHONES[0].1, &copy("a"));
    if killed {
        hand.entry(crate::history::What::Killed);
    }
    routed_as_written(&hand.history).into_iter().map(|violation| violation.words).collect()
}

#[test]
fn a_claim_that_a_kill_kept_from_the_store_may_have_been_in_the_way() {
    let caught = |found: Vec<String>| assert!(found.iter().any(|words| words.contains("202 was skipped")), "{found:?}");
    caught(skipped_as("ringing", false));
    assert_eq!(skipped_as("ringing", true), Vec::<String>::new());
    caught(skipped_as("away", true));
}

/// The trunk hangs up while 201 is rung, in a CANCEL with that branch and Call-ID.
fn cancelled_by(branch: &str, call_id: &str) -> Vec<String> {
    let mut hand = Hand::new(vec![model()]);
    hand.entry(crate::history::What::Fired);
    for (extension, target) in PHONES {
        hand.registered(extension, target);
    }
    hand.later(1);
    let number = "+918041234500";
    hand.heard(TRUNK, &invite(number));
    hand.claimed("201", 7, Some(SavedHold::Ringing));
    hand.stored(&record(in_sales(&json!([member("201", offer(1, None)), member("202", json!({}))]))));
    hand.sent(PHONES[0].1, &copy("a"));
    hand.later(1);
    let cancel = invite(number).replace("INVITE", "CANCEL").replace("z9hG4bKtrunk", branch);
    hand.heard(TRUNK, &cancel.replace("Call-ID: call", &format!("Call-ID: {call_id}")));
    let mut over = in_sales(&json!([member("201", offer(1, Some("withdrawn"))), member("202", json!({}))]));
    over["answer"] = json!({ "status": 487, "q850": null, "cause": "cancelled", "text": "" });
    hand.stored(&record(over));
    hand.sent(TRUNK, &refusal(487, 0));
    routed_as_written(&hand.history).into_iter().map(|violation| violation.words).collect()
}

#[test]
fn a_cancel_is_of_the_call_whose_branch_it_names() {
    for (branch, call_id) in [("z9hG4bKtrunk", "call"), ("z9hG4bKtrunk", "c!ll"), ("z9hG4bKtrunK", "call")] {
        assert_eq!(cancelled_by(branch, call_id), Vec::<String>::new(), "{branch} {call_id}");
    }
    let found = cancelled_by("z9hG4bKother", "call");
    assert!(found.iter().any(|words| words.contains("nobody sent CANCEL")), "{found:?}");
}

#[test]
fn an_overflow_that_was_not_followed_is_found_out() {
    let mut leads = model();
    leads.companies[0].departments[0].overflow.push(("default", crate::model::Destination::Reject("decline")));
    let found = Story { model: leads, ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("reject:decline")), "{found:?}");
}

#[test]
fn a_call_that_the_door_should_have_refused_is_found_out() {
    let mut blocked = model();
    blocked.companies[0].blocked.push("+9198*".into());
    let found = Story { model: blocked, ..Story::right() }.found();
    assert!(found.iter().any(|words| words.contains("refused as blocked-caller")), "{found:?}");
    let mut sticky = model();
    sticky.companies[0].departments[0].sticky = Some(Sticky { strict: true, window: 60 });
    assert_eq!(Story { model: sticky, ..Story::right() }.found(), Vec::<String>::new(), "nobody spoke with anybody");
}
