//! 11: empty when quiet. 13, as far as the world does not see it itself. 14: bounded. 25: healing.

use std::collections::BTreeSet;

use switchboard::id::CallRef;
use switchboard::state::Change;

use super::super::history::{History, Role, What};
use super::super::script::PROBE_COMPANY;
use super::Violation;
use super::wire::{PATIENCE, T4};

/// Invariant 11. At the last look, long after the last call and `max-call`, nothing is left; at the first, long after the last call and
/// where nothing has been said for 64·T1, nothing but the dialogs of phones that vanished in them. Whoever waits, and what is not stored,
/// has nothing to do with what was said lately.
pub fn empty_when_quiet(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    let looks: Vec<_> = (history.entries.iter().enumerate())
        .filter_map(|(place, entry)| match &entry.what {
            What::Audited(audit, wake) => Some((place, *audit, *wake)),
            _ => None,
        })
        .collect();
    let violation = |place, words| Violation { invariant: 11, place, words };
    match looks.last() {
        Some((place, audit, _)) if !audit.is_empty() => violations.push(violation(*place, format!("left: {audit:?}"))),
        Some(_) => {}
        None if history.entries.iter().any(|entry| matches!(entry.what, What::Defect(_))) => {}
        None => violations.push(violation(history.entries.len().saturating_sub(1), "nobody looked".to_owned())),
    }
    if let Some((place, audit, _)) = looks.first() {
        let talk = [audit.server_transactions, audit.client_transactions, audit.contexts];
        // A dialog that ends by its session timer has transactions of its own, whenever that is.
        let since = history.entries[*place].at.saturating_sub(PATIENCE + T4);
        let quiet = history.entries[..*place]
            .iter()
            .rev()
            .take_while(|entry| entry.at >= since)
            .all(|entry| !matches!(entry.what, What::Heard(_) | What::Sent(_) | What::Recorded(_)));
        let is_pending = quiet && talk.iter().any(|count| *count > 0);
        if is_pending || audit.waiting > 0 || audit.unsaved > 0 {
            violations.push(violation(*place, format!("left before max-call was over: {audit:?}")));
        }
    }
    if let Some((place, _, _)) = looks.last() {
        let stored = stored_calls(history);
        if !stored.is_empty() {
            violations.push(violation(*place, format!("the store keeps calls that are over: {stored:?}")));
        }
    }
    violations
}

/// The calls that the store was told of, and was not told the end of: the next start would bring them back.
fn stored_calls(history: &History) -> BTreeSet<CallRef> {
    let mut stored = BTreeSet::new();
    for entry in &history.entries {
        match &entry.what {
            What::Started(saved, _) => stored = saved.calls.iter().map(|call| call.call).collect(),
            What::Changed(_, change) => match &**change {
                Change::Call(call) => {
                    stored.insert(call.call);
                }
                Change::Over(record) => {
                    stored.remove(&record.call);
                }
                _ => {}
            },
            _ => {}
        }
    }
    stored
}

/// Invariant 14. One datagram causes at most 4 + 3·breadth others, the breadth being all phones and trunks there are.
pub fn bounded(history: &History) -> Vec<Violation> {
    let breadth = history.phones.len() + history.models[0].trunks.len();
    let most = 4 + 3 * breadth;
    let (mut violations, mut cause, mut count) = (Vec::new(), None, 0);
    for (place, entry) in history.entries.iter().enumerate() {
        match &entry.what {
            What::Heard(_) => (cause, count) = (Some(place), 0),
            What::Sent(_) => {
                count += 1;
                if let (Some(place), true) = (cause, count == most + 1) {
                    let words = format!("one datagram causes more than {most}");
                    violations.push(Violation { invariant: 14, place, words });
                }
            }
            What::Put(_) | What::Delivered(_) | What::Changed(..) | What::Recorded(_) => {}
            What::Undeliverable(_)
            | What::Fired
            | What::Durable(_)
            | What::Adopted(_)
            | What::Refused(_)
            | What::Commanded(..)
            | What::Killed
            | What::Started(..)
            | What::Stood(_)
            | What::ClockJumped(_)
            | What::Audited(..)
            | What::FaultsEnded
            | What::Defect(_) => cause = None,
        }
    }
    violations
}

/// Invariant 25. 64·T1 after all faults have ended, a call from a trunk to a phone that lives is answered.
pub fn healing(history: &History) -> Vec<Violation> {
    let trunks = &history.models[0].trunks;
    let probe = trunks.iter().position(|trunk| trunk.id == PROBE_COMPANY).map(Role::Trunk);
    let ended = history.entries.iter().position(|entry| matches!(entry.what, What::FaultsEnded));
    let Some(ended) = ended else { return Vec::new() };
    if history.entries.iter().any(|entry| matches!(entry.what, What::Defect(_))) {
        return Vec::new();
    }
    let answered = history.entries[ended..].iter().any(|entry| match &entry.what {
        What::Delivered(datagram) if history.role(datagram.to) == probe => {
            let message = datagram.message.as_ref();
            message.is_some_and(|message| {
                message.status() == Some(200) && message.cseq().is_some_and(|(_, method)| method == "INVITE")
            })
        }
        _ => false,
    });
    if answered {
        return Vec::new();
    }
    let words = "64·T1 after the faults ended, a call between live parties was not answered".to_owned();
    // The last that the probe's trunk sent or was sent shows why.
    let place = (history.entries.iter().enumerate().rev())
        .find(|(_, entry)| match &entry.what {
            What::Heard(datagram) => history.role(datagram.from) == probe,
            What::Sent(datagram) => history.role(datagram.to) == probe,
            _ => false,
        })
        .map_or(ended, |(place, _)| place);
    vec![Violation { invariant: 25, place, words }]
}

#[cfg(test)]
mod tests {
    use switchboard::engine::Audit;

    use super::super::staged::{PHONE, Stage, request};
    use super::*;
    use crate::history::SECOND;

    /// What is found where a look finds that, so long after something was said, and the last look finds nothing.
    fn found(first: Audit, after: u64) -> usize {
        let mut stage = Stage::new();
        stage.heard(PHONE, request("BYE", PHONE, "z9hG4bK1", "221@acme.example", "t", ""));
        stage.after(after * SECOND).what(What::Audited(first, None));
        stage.after(after * SECOND).what(What::Audited(Audit::default(), None));
        empty_when_quiet(stage.history()).len()
    }

    #[test]
    fn what_was_said_lately_excuses_its_transactions_at_the_first_look() {
        for left in [
            Audit { server_transactions: 1, ..Audit::default() },
            Audit { client_transactions: 1, ..Audit::default() },
            Audit { contexts: 1, ..Audit::default() },
        ] {
            assert_eq!((found(left, 1), found(left, 60)), (0, 1), "{left:?}");
        }
        assert_eq!(found(Audit { dialogs: 1, ..Audit::default() }, 60), 0, "its phone may have vanished");
    }

    #[test]
    fn what_was_said_lately_excuses_nobody_who_waits_and_nothing_unsaved() {
        for left in [Audit { waiting: 1, ..Audit::default() }, Audit { unsaved: 1, ..Audit::default() }] {
            assert_eq!((found(left, 1), found(left, 60)), (1, 1), "{left:?}");
        }
    }
}
