//! Judges a world by its [`History`] alone: the 25 invariants, each in a function of its own named for it.

mod acks;
mod amplifier;
mod answers;
mod bindings;
mod cancels;
mod claims;
mod configs;
mod durable;
mod engaged;
mod exclusive;
mod guard;
#[cfg(test)]
pub(super) mod hand;
mod in_time;
mod intact;
mod interpreter;
mod kept;
mod no_proof_no_ring;
mod nonces;
mod nothing_left;
mod one_outcome;
mod passed_on;
mod proofs;
mod reading;
mod retransmissions;
mod right_choice;
mod routed;
#[cfg(test)]
mod staged;
mod strangers;
mod tells_nothing;
#[cfg(test)]
mod testing;
mod timely;
mod transparent;
mod unstoppable;
mod wire;
mod wrap_up;

use super::history::{Entry, History, What};

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1 to 25.
    pub invariant: u8,
    /// The entry of the history at which it shows.
    pub place: usize,
    /// What was seen, and what would have been right.
    pub words: String,
}

/// Everything that is wrong in a history, in the order it happened.
pub fn judge(history: &History) -> Vec<Violation> {
    let judges: [fn(&History) -> Vec<Violation>; 10] = [
        defects,
        calls,
        routed::routed_as_written,
        nothing_left::empty_when_quiet,
        nothing_left::bounded,
        bindings::bindings_atomic_and_ordered,
        guard::judge,
        wrap_up::judge,
        configs::configs_whole_or_not_at_all,
        nothing_left::healing,
    ];
    let mut violations: Vec<Violation> = judges.iter().flat_map(|judge| judge(history)).collect();
    violations.sort_by_key(|violation| violation.place);
    violations
}

/// 1 to 9 and 12: what is read from the wire, and from claims.
fn calls(history: &History) -> Vec<Violation> {
    let wire = wire::Wire::read(history);
    let judges: [fn(&wire::Wire<'_>) -> Vec<Violation>; 11] = [
        exclusive::judge,
        one_outcome::judge,
        in_time::judge,
        answers::judge,
        right_choice::judge,
        passed_on::judge,
        cancels::judge,
        acks::judge,
        retransmissions::judge,
        transparent::judge,
        claims::judge,
    ];
    judges.iter().flat_map(|judge| judge(&wire)).collect()
}

/// 18, as far as the engine says so itself: nothing that arrives makes it doubt itself.
fn defects(history: &History) -> Vec<Violation> {
    let defect = |(place, entry): (usize, &Entry)| match &entry.what {
        What::Defect(words) => Some(Violation { invariant: 18, place, words: words.clone() }),
        _ => None,
    };
    history.entries.iter().enumerate().filter_map(defect).collect()
}
