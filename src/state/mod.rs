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
//! `change` and `saved` are values; another store (on a shared database) has to understand no more than these.

mod change;
mod record;
mod saved;

pub use change::{
    Change, Number, SavedBinding, SavedBranch, SavedCall, SavedClaim, SavedDialog, SavedFlow, SavedHold, SavedOffer,
    SavedPeer, SavedSide,
};
pub use record::{CallRecord, EndedBy};
pub use saved::Saved;
