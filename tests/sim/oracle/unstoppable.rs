//! 18, beyond what the engine says of itself: whatever else arrives, a request that deserves an answer is answered in the step that hears
//! it, a REGISTER within two seconds at the latest, and timers are served when they are due.

use std::collections::{HashMap, HashSet};

use super::super::history::{MILLISECOND, Nanos, Role, SECOND, What};
use super::super::text::Message;
use super::Violation;
use super::reading::Reading;

/// How late anything may be.
const LATE: Nanos = 50 * MILLISECOND;

/// `docs/operating.md`: a REGISTER waits for the disk that long, and is answered 503 then.
const FOR_THE_DISK: Nanos = 2 * SECOND;

/// A REGISTER that is to be answered, and by when.
struct Waiting<'h> {
    place: usize,
    until: Nanos,
    /// Its host: the port of the answer may be another (RFC 3261 §18.2.2).
    key: (std::net::IpAddr, &'h str),
}

pub(super) fn nothing_delays(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 18, place, words });
    let history = reading.history;
    let mut put: HashMap<u64, &bytes::Bytes> = HashMap::new();
    let mut known = HashSet::new();
    let mut waiting: Vec<Waiting<'_>> = Vec::new();
    let mut wakes: Option<Nanos> = None;
    let mut steps = reading.steps.iter().peekable();
    let mut last = 0;
    for (place, entry) in history.entries.iter().enumerate() {
        if entry.at < last {
            wrong(place, format!("time runs backwards: {} ns after {last} ns", entry.at));
        }
        last = last.max(entry.at);
        match &entry.what {
            What::Put(datagram) => {
                put.insert(datagram.id, &datagram.bytes);
            }
            // Nobody can be served while the process stands still, or is not.
            What::Stood(_) | What::Killed | What::Started(..) => {
                if matches!(entry.what, What::Stood(_)) {
                    waiting.iter_mut().for_each(|waiting| waiting.until = waiting.until.max(entry.at));
                } else {
                    waiting.clear();
                }
                wakes = None;
            }
            What::Audited(_, next) => wakes = *next,
            What::Sent(sent) => {
                let branch = sent.message.as_ref().filter(|message| message.status().is_some());
                let branch = branch.and_then(Message::branch).unwrap_or_default();
                waiting.retain(|waiting| waiting.key != (sent.to.ip(), branch));
            }
            _ => {}
        }
        let Some(step) = steps.next_if(|step| step.cause == place) else { continue };
        if let Some(due) = wakes.take().filter(|due| due + LATE < entry.at) {
            wrong(place, format!("the engine wanted to be called {} ms earlier", (entry.at - due) / MILLISECOND));
        }
        waiting.retain(|waiting| {
            let late = waiting.until + LATE < entry.at;
            if late {
                wrong(waiting.place, "a REGISTER with the right password is not answered in time".to_owned());
            }
            !late
        });
        let Some(datagram) = reading.heard(step) else { continue };
        let Some(message) = datagram.message.as_ref() else { continue };
        let Some(method) = message.method().filter(|method| *method != "ACK") else { continue };
        let Some(branch) = message.branch() else { continue };
        // Copies are answered when there is something to say; what the link broke may be unanswerable.
        // From behind a NAT a copy may come from another port.
        let is_new = known.insert((datagram.from.ip(), branch, method));
        let is_whole = put.get(&datagram.id).is_none_or(|bytes| **bytes == datagram.bytes);
        if !is_new || !is_whole || step.cut || reading.is_of_stranger(datagram) {
            continue;
        }
        let is_trunk =
            matches!(history.role(datagram.from), Some(Role::Trunk(_))) && reading.is_of_trunk(step, datagram.from);
        let mut answers = reading.answer(step).filter(|(_, entry)| matches!(entry.what, What::Sent(_))).peekable();
        if method == "REGISTER" && step.prover.is_some() {
            if answers.peek().is_none() {
                waiting.push(Waiting { place, until: entry.at + FOR_THE_DISK, key: (datagram.from.ip(), branch) });
            }
        } else if is_trunk || step.prover.is_some() {
            match answers.next() {
                None => wrong(place, format!("{} of {} is met with silence", message.label(), datagram.from)),
                Some((place, sent)) if sent.at > entry.at + LATE => {
                    wrong(
                        place,
                        format!("{} ms for a first word to {}", (sent.at - entry.at) / MILLISECOND, message.label()),
                    );
                }
                Some(_) => {}
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use switchboard::engine::Audit;

    use super::super::staged::{PHONE, STRANGER, Stage, TRUNK, register, registered, request, response};
    use super::*;

    fn invite() -> String {
        request("INVITE", TRUNK, "z9hG4bKin", "+91@192.0.2.1", "", "")
    }

    #[test]
    fn an_answer_at_once_and_a_register_within_two_seconds_are_right() {
        let mut stage = Stage::new();
        stage.heard(TRUNK, invite()).sent(TRUNK, &response("100 Trying", "INVITE", TRUNK, "z9hG4bKin", ""));
        stage.heard(TRUNK, invite());
        stage.heard(STRANGER, request("OPTIONS", STRANGER, "z9hG4bKs", "a@b", "", ""));
        stage.heard(PHONE, register("z9hG4bK1", "n", 1));
        stage.after(2 * SECOND).what(What::Fired).sent(PHONE, &registered("z9hG4bK1", ""));
        stage.after(SECOND).what(What::Fired);
        assert_eq!(stage.judged(nothing_delays), [""; 0]);
    }

    #[test]
    fn silence_and_slowness_towards_a_trunk_are_caught() {
        let mut stage = Stage::new();
        stage.heard(TRUNK, invite()).what(What::Fired);
        assert_eq!(stage.judged(nothing_delays), ["INVITE sip:222@acme.example of 192.0.2.1:5060 is met with silence"]);
        let mut stage = Stage::new();
        stage.heard(TRUNK, invite()).after(LATE + MILLISECOND);
        stage.sent(TRUNK, &response("100 Trying", "INVITE", TRUNK, "z9hG4bKin", ""));
        assert_eq!(stage.judged(nothing_delays), ["51 ms for a first word to INVITE sip:222@acme.example"]);
    }

    #[test]
    fn a_register_that_is_never_answered_is_caught() {
        let mut stage = Stage::new();
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).after(3 * SECOND).what(What::Fired);
        assert_eq!(stage.judged(nothing_delays), ["a REGISTER with the right password is not answered in time"]);
    }

    #[test]
    fn a_timer_that_is_late_is_caught_unless_the_process_stood_still() {
        for (stands, found) in [(false, 1), (true, 0)] {
            let mut stage = Stage::new();
            stage.what(What::Audited(Audit::default(), Some(2 * SECOND))).after(2 * SECOND);
            if stands {
                stage.what(What::Stood(2 * SECOND));
            }
            stage.what(What::Fired);
            assert_eq!(stage.judged(nothing_delays).len(), found);
        }
    }
}
