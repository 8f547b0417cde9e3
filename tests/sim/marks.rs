//! Places where things go wrong elsewhere, by name: a simulator that never gets there proves nothing. They are seen in a history,
//! by whoever knows nothing of the engine.

mod calls;
mod operation;

use std::collections::BTreeSet;

use super::history::History;

/// All there are.
pub fn all() -> Vec<&'static str> {
    [&calls::ALL[..], &operation::ALL].concat()
}

/// Those that a world has reached.
pub fn reached(history: &History) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    calls::reached(history, &mut reached);
    operation::reached(history, &mut reached);
    reached
}
