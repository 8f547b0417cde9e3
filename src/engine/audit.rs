//! What is still in the engine's tables: nothing, when every call is over (invariant 11).

/// Counts of everything that lives no longer than its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Audit {
    pub server_transactions: usize,
    pub client_transactions: usize,
    pub contexts: usize,
    pub calls: usize,
    pub hunts: usize,
    pub dialogs: usize,
    pub claims: usize,
    pub waiting: usize,
    /// Changes the store has not been told, and REGISTERs that wait for it.
    pub unsaved: usize,
    /// Armed timers but those for registrations and wrap-ups.
    pub timers: usize,
}

impl Audit {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Audit::default()
    }
}
