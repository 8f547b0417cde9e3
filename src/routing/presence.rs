//! What routing asks of the running daemon.

use super::Unreachable;
use crate::id::{CompanyId, TrunkId, UserId};

/// What is known about users now, beside the plan and the claims.
pub trait Presence {
    /// Whether any device is registered (a live binding).
    fn is_registered(&self, user: &UserId) -> bool;

    /// The user's own switch: the run-time value where there is one, else `None` (the plan's `take-calls` holds).
    fn takes_calls(&self, user: &UserId) -> Option<bool>;

    /// Whether an admin has paused the user.
    fn is_paused(&self, user: &UserId) -> bool;

    /// Calls of a company now going on, the one being decided not counted.
    fn calls_of(&self, company: &CompanyId) -> u32;

    /// How many calls more a trunk may take now, `None` for any number: only [`explain`](super::explain) asks beforehand, a
    /// live call is told when it tries.
    ///
    /// # Errors
    /// Why nothing can go out through it.
    fn lines_left(&self, trunk: &TrunkId) -> Result<Option<u32>, Unreachable> {
        let _ = trunk;
        Ok(None)
    }
}
