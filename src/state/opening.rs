//! A start: the store, then what the journal holds beyond it, then everything there is.

use std::path::Path;

use super::embedded::Embedded;
use super::fault::StoreError;
use super::journal::{self, Journal, JournalReader, Remains};
use super::saved::Saved;
use super::store::Store;

/// The most changes of a journal that are written in one transaction.
const GROUP: usize = 10_000;

/// An open store, and what was found.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Embedded,
    /// The journal, emptied; why there is none, where it cannot be written. Without it a kill costs what is not on the disk yet.
    pub journal: Result<(Journal, JournalReader), StoreError>,
    /// All that was saved.
    pub saved: Saved,
    /// What was in the journal and not in the store, and what a kill had cut off in it.
    pub found: Found,
}

/// What a journal gave at a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Changes that the store did not have.
    pub replayed: usize,
    /// Frames that were cut off: nothing that came of them had left the machine.
    pub torn: Vec<String>,
}

/// Opens the store in `directory` and its journal in `journal`, a directory in a memory file system.
///
/// # Errors
/// What is wrong, where, and what to do. Nothing was emptied.
pub fn open(directory: &Path, journal: &Path) -> Result<Opened, StoreError> {
    let mut store = Embedded::open(directory)?;
    let Remains { mut changes, torn } = journal::read(journal, store.identity(), store.path())?;
    let known = store.last();
    changes.retain(|(number, _)| *number > known);
    for group in changes.chunks(GROUP) {
        store.write(group)?;
    }
    let saved = store.begin()?;
    let torn = torn.into_iter().map(|(path, at, bytes)| {
        format!("{}: a kill cut off the last change, at byte {at} ({bytes} bytes were left of it)", path.display())
    });
    let found = Found { replayed: changes.len(), torn: torn.collect() };
    // All that was in it is durable now.
    let journal = Journal::begin(journal, *store.identity());
    Ok(Opened { store, journal, saved, found })
}
