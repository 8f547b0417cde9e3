//! What routing asks of the running daemon.

use crate::id::{CompanyId, UserId};

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
}
