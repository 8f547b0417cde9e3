//! The call log: a record of every call that is over, searched and summed up without standing in the daemon's way.
//!
//! `facts` says what missed, answered and waited mean; `tables` are the tables, `keep` fills and empties them in the store's own
//! transactions; `query` and `report` read them. [`CallLog`] reads the store's file beside the daemon that writes it, or when none
//! runs.

mod facts;
mod keep;
mod query;
mod report;
mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::embedded::{FILE, VERSION, Writing, open_file};
use super::encoding;
use super::fault::StoreError;
use super::record::CallRecord;
use crate::id::CallRef;

pub use facts::{discreet, outcome};
pub(super) use keep::{add, add_all, prune};
pub use query::{CallRow, Companies, Cursor, Filter, Page, Which};
pub use report::{
    AgentSums, DepartmentSums, HourSums, MissedSums, PeriodSums, Report, ReportQuestion, SkipSums, Spread, Totals,
};
pub(super) use tables::LOG;

/// Whoever is answered within so long counts for the service level.
pub const SERVICE_LEVEL: Duration = Duration::from_secs(20);

/// Reads the log of a state directory. Not for a thread that must not wait for a disk.
#[derive(Debug)]
pub struct CallLog {
    connection: Connection,
    path: PathBuf,
}

impl CallLog {
    /// Opens it for reading.
    ///
    /// # Errors
    /// There is none, it may not be read, or something is wrong with it.
    pub fn open(directory: &Path) -> Result<CallLog, StoreError> {
        CallLog::open_as(directory, Writing::No)
    }

    /// Opens it for reading in the process that writes it.
    ///
    /// # Errors
    /// As for [`CallLog::open`].
    pub fn beside_the_store(directory: &Path) -> Result<CallLog, StoreError> {
        CallLog::open_as(directory, Writing::Beside)
    }

    fn open_as(directory: &Path, writing: Writing) -> Result<CallLog, StoreError> {
        let path = directory.join(FILE);
        let connection = open_file(&path, writing)?;
        let version: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| StoreError::of_sqlite(&path, &error))?;
        match version {
            VERSION => Ok(CallLog { connection, path }),
            newer if newer > VERSION => Err(StoreError::Newer { path, version: newer, known: VERSION }),
            _ => Err(StoreError::Older { path }),
        }
    }

    /// One call's record, if it is over and in the log.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn find(&self, call: CallRef) -> Result<Option<CallRecord>, StoreError> {
        let query = "SELECT record FROM records WHERE call = ?1";
        let found: Option<Vec<u8>> = self
            .connection
            .prepare_cached(query)
            .and_then(|mut statement| statement.query_row([call.0.cast_signed()], |row| row.get(0)).optional())
            .map_err(|error| self.failed(&error))?;
        found
            .map(|bytes| encoding::decode(&bytes))
            .transpose()
            .map_err(|error| StoreError::damaged(&self.path, format!("the record of call {call}: {error}")))
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::of_sqlite(&self.path, error)
    }
}

#[cfg(test)]
mod locks_of_the_file {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::state::Embedded;

    /// How many locks this process has on a file (proc(5)).
    fn locks(path: &Path) -> usize {
        let inode = format!(":{} ", std::fs::metadata(path).unwrap().ino());
        let process = format!(" {} ", std::process::id());
        let all = std::fs::read_to_string("/proc/locks").unwrap();
        all.lines().filter(|line| line.contains(" POSIX ") && line.contains(&inode) && line.contains(&process)).count()
    }

    #[test]
    fn reading_beside_the_store_leaves_its_locks_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        let before = locks(&path);
        assert!(before > 0, "a store in use is locked, or a backup takes itself for its last user");
        let log = CallLog::beside_the_store(directory.path()).unwrap();
        assert_eq!(log.query(&Filter::default()).unwrap().calls, []);
        drop(log);
        assert_eq!(locks(&path), before);
        // What this guards against: in a process of its own that is right, here it drops them.
        drop(CallLog::open(directory.path()).unwrap());
        assert!(locks(&path) < before);
        drop(store);
    }
}
