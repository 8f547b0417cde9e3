//! What survives a restart: the store's commands and replies as values, and the embedded store.
//!
//! The engine says what changed ([`Change`], numbered from 1 in the order it happened) and is told up to which number all
//! is durable; at the next start it is given what was [`Saved`]. It knows nothing of files. Between the two stand
//!
//! - the journal: every change is in it before anything that came of it leaves the machine, so that a killed
//!   process loses nothing that anybody has seen. It is never waited for: it is memory of the operating system.
//! - the store: changes are written to the disk in groups, on a thread of its own. Whoever needs a change to be
//!   durable (a REGISTER's 200) waits for that; nothing else does.
//!
//! `change` and `saved` are values; another store (on a shared database) has to understand no more than these, and to be a
//! [`Store`].
//!
//! | file | owns |
//! |---|---|
//! | `change`, `record`, `saved` | the values |
//! | `encoding`, `frame`, `journal` | the journal: its bytes, its two files |
//! | `store`, `embedded` | what a store does; the one on SQLite |
//! | `log` | the call log: its tables, searches and reports |
//! | `opening` | a start: store, journal, all that was saved |
//! | `fault` | what can be wrong with a file, and what to do |

mod change;
mod embedded;
mod encoding;
mod fault;
mod frame;
mod journal;
mod log;
mod opening;
mod record;
#[cfg(test)]
pub(crate) mod samples;
mod saved;
mod store;

pub use change::{
    Change, Number, SavedBinding, SavedBranch, SavedCall, SavedClaim, SavedDialog, SavedFlow, SavedHold, SavedOffer,
    SavedPeer, SavedSide,
};
pub use embedded::{Embedded, FILE};
pub use fault::StoreError;
pub use frame::Identity;
pub use journal::{Journal, JournalReader, LIMIT, Unwritten};
pub use log::{
    AgentSums, CallLog, CallRow, Companies, Cursor, DepartmentSums, Filter, HourSums, MissedSums, Page, PeriodSums,
    Report, ReportQuestion, SERVICE_LEVEL, SkipSums, Spread, Totals, Which, discreet, outcome,
};
pub use opening::{Found, Opened, open};
pub use record::{CallRecord, EndedBy};
pub use saved::Saved;
pub use store::Store;

/// A change's frame, appended to those of a journal: what [`Journal::append`] takes.
///
/// # Errors
/// In words; a defect.
pub fn frame_change(frames: &mut Vec<u8>, identity: &Identity, number: Number, change: &Change) -> Result<(), String> {
    frame::append(frames, identity, number, change)
}
