//! The embedded store: one SQLite file, `DIRECTORY/switchboard.db`, written by one daemon and readable beside it.
//!
//! `place` finds, judges and locks the file, `schema` makes and migrates its tables, `write` and `load` are the two ways through
//! them. Every commit is on the disk when it returns (`synchronous = FULL`); readers are never in its way (WAL).

mod load;
mod place;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::change::{Change, Number};
use super::fault::StoreError;
use super::frame::Identity;
use super::log;
use super::saved::Saved;
use super::store::Store;
use crate::time::WallTime;

pub use place::FILE;
pub(super) use place::{Writing, open_file};
pub(super) use schema::VERSION;

/// An open store. It is this process's alone; the call log in it may be read by others.
#[derive(Debug)]
pub struct Embedded {
    connection: Connection,
    path: PathBuf,
    identity: Identity,
    last: Number,
    /// How many callers each department remembers, of those that were asked for since the last failure.
    callers: HashMap<(String, String), u32>,
    /// Released, by the system too, when the store is closed.
    _lock: Connection,
}

impl Embedded {
    /// Opens the store of a directory, makes it where there is none yet, and migrates it where an older version wrote it.
    ///
    /// # Errors
    /// What is wrong, where, and what to do. What is there is left as it is.
    pub fn open(directory: &Path) -> Result<Embedded, StoreError> {
        place::prepare(directory)?;
        let lock = place::lock(directory)?;
        let path = directory.join(FILE);
        if !path.exists() {
            schema::create(directory, &path)?;
        }
        let mut connection = open_file(&path, Writing::Yes)?;
        schema::check(&connection, &path)?;
        schema::migrate(&mut connection, &path)?;
        let (identity, last) = load::identity(&connection, &path)?;
        Ok(Embedded { connection, path, identity, last, callers: HashMap::new(), _lock: lock })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells it from every other store.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Counts this start, durably, and gives all that was saved.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn begin(&mut self) -> Result<Saved, StoreError> {
        load::begin(&mut self.connection, &self.path)
    }
}

impl Store for Embedded {
    fn write(&mut self, changes: &[(Number, Change)]) -> Result<(), StoreError> {
        match write::write(&mut self.connection, &mut self.callers, self.last, changes) {
            Ok(last) => {
                self.last = last;
                Ok(())
            }
            Err(error) => {
                // What was counted was not kept.
                self.callers.clear();
                Err(StoreError::of_sqlite(&self.path, &error))
            }
        }
    }

    fn last(&self) -> Number {
        self.last
    }

    fn prune(&mut self, before: WallTime, most: u32) -> Result<u32, StoreError> {
        log::prune(&mut self.connection, before, most).map_err(|error| StoreError::of_sqlite(&self.path, &error))
    }
}
