//! Judges a world by its [`History`] alone: the 25 invariants, each in a function of its own named for it.

mod amplifier;
mod durable;
mod guard;
mod no_proof_no_ring;
mod nonces;
pub mod nothing_left;
mod proofs;
mod reading;
#[cfg(test)]
mod staged;
mod strangers;
mod tells_nothing;
mod timely;
mod unstoppable;

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
    let judges: &[fn(&History) -> Vec<Violation>] =
        &[defects, nothing_left::empty_when_quiet, nothing_left::bounded, nothing_left::healing, guard::judge];
    let mut violations: Vec<Violation> = judges.iter().flat_map(|judge| judge(history)).collect();
    violations.sort_by_key(|violation| violation.place);
    violations
}

/// 18, as far as the engine says so itself: nothing that arrives makes it doubt itself.
fn defects(history: &History) -> Vec<Violation> {
    let defect = |(place, entry): (usize, &Entry)| match &entry.what {
        What::Defect(words) => Some(Violation { invariant: 18, place, words: words.clone() }),
        _ => None,
    };
    history.entries.iter().enumerate().filter_map(defect).collect()
}
