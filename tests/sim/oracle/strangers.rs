//! 23: only a message that matches branch, sent-by and method, or both tags of a dialog from one of its ends, changes a call.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use bytes::Bytes;
use switchboard::state::Change;

use super::super::history::{Datagram, History, Role, What};
use super::super::text::{Message, Name};
use super::Violation;
use super::reading::{Reading, Step, about};

/// What has passed so far.
#[derive(Default)]
struct Passed<'h> {
    /// Everything sent, by where it went.
    sent: HashSet<(SocketAddr, &'h Bytes)>,
    /// Branch, in lower case (RFC 3261 §7.3.1), sent-by and method of requests that were sent.
    asked: HashSet<(String, &'h str, &'h str)>,
    /// Who has made or taken part in the call with a Call-ID.
    parts: HashMap<&'h str, Vec<Role>>,
    /// Who has called, by the INVITE's branch.
    callers: HashMap<&'h str, Vec<Role>>,
    /// Pairs of tags, by Call-ID, the smaller first.
    dialogs: HashSet<(&'h str, &'h str, &'h str)>,
}

pub(super) fn strangers_touch_no_call(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut passed = Passed::default();
    for step in &reading.steps {
        if let Some(datagram) = reading.heard(step) {
            if reading.is_of_stranger(datagram) {
                stranger(reading, step, datagram, &passed, &mut violations);
            } else if let Some(message) = &datagram.message {
                passed.note_heard(reading, step, datagram, message);
                if let Some(words) = wrong_peer(reading, step, datagram, message, &passed) {
                    violations.push(Violation { invariant: 23, place: step.cause, words });
                }
            }
        }
        for (_, sent) in reading.sent(step) {
            passed.note_sent(reading, sent);
        }
    }
    violations
}

impl<'h> Passed<'h> {
    fn note_heard(&mut self, reading: &Reading<'h>, step: &Step, datagram: &'h Datagram, message: &'h Message) {
        let Some(role) = reading.history.role(datagram.from) else { return };
        if message.is("INVITE")
            && message.to_tag().is_none()
            && (step.prover.is_some() || reading.is_of_trunk(step, datagram.from))
        {
            self.parts.entry(message.call_id()).or_default().push(role);
            self.callers.entry(message.branch().unwrap_or_default()).or_default().push(role);
        }
        self.note_dialog(message);
    }

    fn note_sent(&mut self, reading: &Reading<'h>, sent: &'h Datagram) {
        self.sent.insert((sent.to, &sent.bytes));
        let Some(message) = &sent.message else { return };
        if let Some(method) = message.method() {
            self.asked.insert((message.branch().unwrap_or_default().to_ascii_lowercase(), sent_by(message), method));
            if let Some(role) = reading.history.role(sent.to) {
                let parts = self.parts.entry(message.call_id()).or_default();
                if !parts.contains(&role) {
                    parts.push(role);
                }
            }
        }
        self.note_dialog(message);
    }

    /// A response with a To tag makes a dialog known.
    fn note_dialog(&mut self, message: &'h Message) {
        if message.status().is_some_and(|status| status > 100)
            && let Some(to) = message.to_tag()
        {
            // RFC 3261 §12.1.1: a caller without a tag has the null one.
            let from = message.from_tag().unwrap_or_default();
            self.dialogs.insert((message.call_id(), from.min(to), from.max(to)));
        }
    }
}

/// Whoever has no part in anything causes nothing but an answer to itself.
fn stranger(
    reading: &Reading<'_>,
    step: &Step,
    datagram: &Datagram,
    passed: &Passed<'_>,
    violations: &mut Vec<Violation>,
) {
    let asked = datagram.message.as_ref().map_or_else(|| "something unreadable".to_owned(), Message::label);
    for (place, entry) in reading.answer(step) {
        let done = match &entry.what {
            What::Changed(_, change) => format!("changed {}", name(change)),
            What::Recorded(_) => "ended a call".to_owned(),
            // A copy of a request is answered like the request, and so to its maker (RFC 3261 §17.2.1, §17.2.2). Without
            // `rport`, a response goes to the port that Via names, of the host it came from (§18.2.2).
            What::Sent(sent) if sent.to.ip() == datagram.from.ip() || passed.sent.contains(&(sent.to, &sent.bytes)) => {
                continue;
            }
            What::Sent(sent) => {
                let label = sent.message.as_ref().map_or_else(|| "something".to_owned(), Message::label);
                format!("sent {label} to {}", sent.to)
            }
            _ => continue,
        };
        let words = format!("{asked} of a stranger ({}) {done}", datagram.from);
        violations.push(Violation { invariant: 23, place, words });
    }
}

fn name(change: &Change) -> &'static str {
    match change {
        Change::Bindings { .. } => "bindings",
        Change::Switches { .. } => "switches",
        Change::Claim { .. } => "a claim",
        Change::Pointer { .. } | Change::Member { .. } | Change::Caller { .. } => "a department's memory",
        Change::Call(_) => "a call",
        Change::Over(_) => "the call log",
    }
}

/// Why a peer's message should not have done what it did.
fn wrong_peer(
    reading: &Reading<'_>,
    step: &Step,
    datagram: &Datagram,
    message: &Message,
    passed: &Passed<'_>,
) -> Option<String> {
    let from = datagram.from;
    let history = reading.history;
    let did = |wanted: &dyn Fn(&Message) -> bool| {
        reading.sent(step).any(|(_, sent)| sent.message.as_ref().is_some_and(wanted))
    };
    match message.method() {
        None => {
            let branch = message.branch().unwrap_or_default();
            // What was bent until it is no text can be read by the engine, and not here.
            let is_text = std::str::from_utf8(&datagram.bytes).is_ok();
            if !is_text && !reading.intact.is(step.cause)
                || passed.asked.contains(&(branch.to_ascii_lowercase(), sent_by(message), about(message)))
                || !did(&|_| true)
            {
                return None;
            }
            Some(format!("{} of {from} answers no request of ours (branch {branch}), and was heeded", message.label()))
        }
        Some("CANCEL") => {
            let cancels = did(&|sent| sent.is("CANCEL") || sent.status() == Some(487));
            let callers = passed.callers.get(message.branch().unwrap_or_default());
            let is_caller = callers.is_some_and(|callers| callers.iter().any(|role| same(history, *role, from)));
            let in_dialog = passed.parts.get(message.call_id()).is_some_and(|parts| has(history, parts, from));
            (cancels && !is_caller && !in_dialog)
                .then(|| format!("a CANCEL of {from}, which called nobody, was heeded"))
        }
        Some(method) => {
            let to = message.to_tag()?;
            let call_id = message.call_id();
            let passes = did(&|sent| sent.is(method) && sent.call_id() == call_id);
            if !passes {
                return None;
            }
            if !passed.parts.get(call_id).is_some_and(|parts| has(history, parts, from)) {
                return Some(format!("{} of {from}, who has no part in that call, was passed on", message.label()));
            }
            let other = message.from_tag().unwrap_or_default();
            let known = passed.dialogs.contains(&(call_id, other.min(to), other.max(to)));
            (!known).then(|| format!("{} of {from} was passed on under tags that no dialog has", message.label()))
        }
    }
}

/// Host and port of the topmost Via.
fn sent_by(message: &Message) -> &str {
    let via = message.first(Name::Via).unwrap_or_default();
    via.split(' ').nth(1).and_then(|rest| rest.split(';').next()).unwrap_or_default()
}

fn has(history: &History, parts: &[Role], from: SocketAddr) -> bool {
    parts.iter().any(|part| same(history, *part, from))
}

/// The same peer, or another phone of the same user.
fn same(history: &History, one: Role, from: SocketAddr) -> bool {
    match (one, history.role(from)) {
        (Role::Phone(one), Some(Role::Phone(other))) => {
            let owner = |phone: usize| history.phones.get(phone).map(|phone| (&phone.company, &phone.extension));
            one == other || owner(one).is_some() && owner(one) == owner(other)
        }
        (one, other) => Some(one) == other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::staged::{DAEMON, PHONE, STRANGER, Stage, TRUNK, request, response};
    use super::*;

    const OUT: &str = "z9hG4bKout";

    /// A trunk's call that the phone has answered.
    fn stage() -> Stage {
        let mut stage = Stage::new();
        stage.heard(TRUNK, request("INVITE", TRUNK, "z9hG4bKin", "221@acme.example", "", ""));
        stage.sent(TRUNK, &response("100 Trying", "INVITE", TRUNK, "z9hG4bKin", ""));
        stage.sent(PHONE, &request("INVITE", DAEMON, OUT, "221@acme.example", "", ""));
        stage.heard(PHONE, response("200 OK", "INVITE", DAEMON, OUT, ""));
        stage.sent(TRUNK, &response("200 OK", "INVITE", TRUNK, "z9hG4bKin", ""));
        stage
    }

    fn bye(from: &str, branch: &str, tag: &str, more: &str) -> String {
        request("BYE", from, branch, "221@acme.example", tag, more)
    }

    #[test]
    fn a_call_that_its_own_ends_lead_is_right() {
        let mut stage = stage();
        stage.heard(TRUNK, bye(TRUNK, "z9hG4bKb", "t", "")).sent(PHONE, &bye(DAEMON, "z9hG4bKc", "t", ""));
        stage.heard(STRANGER, bye(STRANGER, "z9hG4bKd", "t", ""));
        stage.sent(STRANGER, &response("403 Forbidden", "BYE", STRANGER, "z9hG4bKd", ""));
        assert_eq!(stage.judged(strangers_touch_no_call), [""; 0]);
    }

    #[test]
    fn a_caller_without_a_tag_leads_its_call_and_no_other() {
        for (tag, found) in [("t", 0), ("other", 1)] {
            let untagged = |text: String| text.replace(";tag=f", ";tag-f");
            let mut stage = Stage::new();
            stage.heard(TRUNK, untagged(request("INVITE", TRUNK, "z9hG4bKin", "221@acme.example", "", "")));
            stage.sent(PHONE, &untagged(request("INVITE", DAEMON, OUT, "221@acme.example", "", "")));
            stage.heard(PHONE, untagged(response("200 OK", "INVITE", DAEMON, OUT, "")));
            stage.sent(TRUNK, &untagged(response("200 OK", "INVITE", TRUNK, "z9hG4bKin", "")));
            stage.heard(TRUNK, untagged(bye(TRUNK, "z9hG4bKb", tag, "")));
            stage.sent(PHONE, &untagged(bye(DAEMON, "z9hG4bKc", tag, "")));
            assert_eq!(stage.judged(strangers_touch_no_call).len(), found, "{tag}");
        }
    }

    #[test]
    fn a_copy_that_a_stranger_sends_may_bring_the_callers_answer_again() {
        let mut stage = stage();
        stage.heard(STRANGER, request("INVITE", TRUNK, "z9hG4bKin", "221@acme.example", "", ""));
        stage.sent(TRUNK, &response("200 OK", "INVITE", TRUNK, "z9hG4bKin", ""));
        assert_eq!(stage.judged(strangers_touch_no_call), [""; 0]);
    }

    #[test]
    fn a_bye_of_a_stranger_that_is_passed_on_is_caught() {
        let mut stage = stage();
        stage.heard(STRANGER, bye(STRANGER, "z9hG4bKb", "t", "")).sent(PHONE, &bye(DAEMON, "z9hG4bKc", "t", ""));
        assert_eq!(stage.judged(strangers_touch_no_call).len(), 1);
        let mut stage = self::stage();
        stage.heard(TRUNK, bye(TRUNK, "z9hG4bKb", "t", "X-Forged: yes\r\n"));
        stage.sent(PHONE, &bye(DAEMON, "z9hG4bKc", "t", ""));
        assert_eq!(stage.judged(strangers_touch_no_call).len(), 1, "from a trunk's address, but not the trunk's");
    }

    #[test]
    fn a_change_that_a_stranger_causes_is_caught() {
        let mut stage = stage();
        stage.heard(STRANGER, bye(STRANGER, "z9hG4bKb", "t", "")).bindings(1, vec![]);
        assert_eq!(
            stage.judged(strangers_touch_no_call),
            ["BYE sip:222@acme.example of a stranger (198.51.100.250:5060) changed bindings"]
        );
    }

    #[test]
    fn a_bye_under_tags_of_no_dialog_is_caught() {
        let mut stage = stage();
        stage.heard(TRUNK, bye(TRUNK, "z9hG4bKb", "other", "")).sent(PHONE, &bye(DAEMON, "z9hG4bKc", "other", ""));
        assert_eq!(stage.judged(strangers_touch_no_call).len(), 1);
    }

    #[test]
    fn a_response_under_another_branch_or_sent_by_that_is_heeded_is_caught() {
        // A branch in another case is the same one (RFC 3261 §7.3.1).
        for (via, branch, found) in
            [(DAEMON, OUT, 0), (DAEMON, "z9hG4bKouT", 0), (DAEMON, "z9hG4bKouu", 1), ("203.0.113.10:5070", OUT, 1)]
        {
            let mut stage = Stage::new();
            stage.heard(TRUNK, request("INVITE", TRUNK, "z9hG4bKin", "221@acme.example", "", ""));
            stage.sent(PHONE, &request("INVITE", DAEMON, OUT, "221@acme.example", "", ""));
            stage.heard(PHONE, response("180 Ringing", "INVITE", via, branch, ""));
            stage.sent(TRUNK, &response("180 Ringing", "INVITE", TRUNK, "z9hG4bKin", ""));
            assert_eq!(stage.judged(strangers_touch_no_call).len(), found, "{via} {branch}");
        }
    }

    #[test]
    fn a_response_that_is_no_text_is_excused_only_where_it_was_bent() {
        let right = response("180 Ringing", "INVITE", DAEMON, OUT, "");
        let bytes: Vec<u8> =
            right.replace(OUT, "z9hG4bKother").bytes().map(|byte| if byte == b'R' { 0xff } else { byte }).collect();
        for (is_bent, found) in [(true, 0), (false, 1)] {
            let mut stage = Stage::new();
            stage.heard(TRUNK, request("INVITE", TRUNK, "z9hG4bKin", "221@acme.example", "", ""));
            stage.sent(PHONE, &request("INVITE", DAEMON, OUT, "221@acme.example", "", ""));
            if is_bent {
                stage.heard_as(PHONE, &right, &bytes);
            } else {
                stage.heard(PHONE, &bytes);
            }
            stage.sent(TRUNK, &response("180 Ringing", "INVITE", TRUNK, "z9hG4bKin", ""));
            assert_eq!(stage.judged(strangers_touch_no_call).len(), found, "bent: {is_bent}");
        }
    }

    #[test]
    fn a_cancel_of_somebody_else_that_is_heeded_is_caught() {
        for (from, found) in [(TRUNK, 0), (PHONE, 1)] {
            let mut stage = Stage::new();
            stage.heard(TRUNK, request("INVITE", TRUNK, "z9hG4bKin", "221@acme.example", "", ""));
            stage.heard(from, request("CANCEL", TRUNK, "z9hG4bKin", "221@acme.example", "", ""));
            stage.sent(TRUNK, &response("487 Request Terminated", "INVITE", TRUNK, "z9hG4bKin", ""));
            assert_eq!(stage.judged(strangers_touch_no_call).len(), found, "{from}");
        }
    }
}
