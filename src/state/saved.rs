//! What the store gives back at a start: the sum of all changes.

use chrono::NaiveDate;

use super::change::{Number, SavedBinding, SavedCall, SavedClaim};
use crate::id::{CompanyId, DepartmentId, Extension, PersonId, UserId};
use crate::time::WallTime;

/// All that was saved, in the order of its keys; each list holds no key twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// How often this store has been opened, this time included: calls of different starts have different names by it.
    pub start: u64,
    /// The last change there was: the next one has the number after it.
    pub last: Number,
    /// Each user's devices in the order they ring; expired ones too.
    pub bindings: Vec<(UserId, Vec<SavedBinding>)>,
    /// User, own switch, paused.
    pub switches: Vec<(UserId, Option<bool>, bool)>,
    /// Claims and wrap-ups.
    pub claims: Vec<(PersonId, SavedClaim)>,
    /// Whom each department offered a call last.
    pub pointers: Vec<(CompanyId, DepartmentId, Extension)>,
    /// Members: the day that is counted, calls on it, when the last one was.
    pub members: Vec<(CompanyId, DepartmentId, Extension, NaiveDate, u32, WallTime)>,
    /// Callers of each department, the one heard of longest ago first: with whom each spoke, and when.
    pub callers: Vec<(CompanyId, DepartmentId, String, Extension, WallTime)>,
    /// Calls that went on.
    pub calls: Vec<SavedCall>,
}
