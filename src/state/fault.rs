//! What can be wrong with a store, where, and what to do. A file that is there is never emptied or made anew.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a store, its journal or the call log cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The directory is not there, is none, or may not be written.
    Directory {
        /// The directory.
        path: PathBuf,
        /// In words.
        why: String,
    },
    /// There is no store in the directory (only of readers: a daemon makes one).
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// The file may not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// In words.
        why: String,
    },
    /// The file is something else.
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead, or what it lacks.
        why: String,
    },
    /// A later version of switchboard wrote it.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The latest one this program knows.
        known: u32,
    },
    /// An earlier version of switchboard wrote it (only for readers: a daemon migrates it).
    Older {
        /// The file.
        path: PathBuf,
    },
    /// It was ours and is damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place in the file where that is known.
        why: String,
    },
    /// Another daemon uses it.
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The journal holds changes of another store.
    JournalOfAnother {
        /// The journal.
        path: PathBuf,
        /// The store that was opened.
        store: PathBuf,
    },
    /// The disk or SQLite says no.
    Failed {
        /// The file.
        path: PathBuf,
        /// In words.
        why: String,
    },
}

impl StoreError {
    pub(super) fn failed(path: &Path, why: impl fmt::Display) -> StoreError {
        StoreError::Failed { path: path.to_owned(), why: why.to_string() }
    }

    pub(super) fn damaged(path: &Path, why: impl fmt::Display) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), why: why.to_string() }
    }

    pub(super) fn foreign(path: &Path, why: impl fmt::Display) -> StoreError {
        StoreError::Foreign { path: path.to_owned(), why: why.to_string() }
    }

    /// What SQLite says of a file.
    pub(super) fn of_sqlite(path: &Path, error: &rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => StoreError::damaged(path, error),
            Some(ErrorCode::NotADatabase) => StoreError::foreign(path, "it is no SQLite database"),
            _ => StoreError::failed(path, error),
        }
    }

    /// What the system says of a file that was to be read.
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> StoreError {
        StoreError::Unreadable { path: path.to_owned(), why: error.to_string() }
    }

    /// Its name in logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            StoreError::Directory { .. } => "directory",
            StoreError::Absent { .. } => "absent",
            StoreError::Unreadable { .. } => "unreadable",
            StoreError::Foreign { .. } => "foreign",
            StoreError::Newer { .. } => "newer",
            StoreError::Older { .. } => "older",
            StoreError::Damaged { .. } => "damaged",
            StoreError::InUse { .. } => "in-use",
            StoreError::JournalOfAnother { .. } => "journal-of-another",
            StoreError::Failed { .. } => "failed",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Directory { path, why } => write!(
                f,
                "the state directory {} cannot be used: {why}; `[state] directory` has to be a directory that the daemon may write",
                path.display()
            ),
            StoreError::Absent { path } => write!(
                f,
                "there is no store at {}: a daemon with this `[state] directory` makes it when it starts",
                path.display()
            ),
            StoreError::Unreadable { path, why } => write!(
                f,
                "{} cannot be read: {why}; only root and the user the daemon runs as may read it",
                path.display()
            ),
            StoreError::Foreign { path, why } => write!(
                f,
                "{} is not a store of switchboard: {why}; it was left as it is. Move it away, or name another `[state] directory`",
                path.display()
            ),
            StoreError::Newer { path, version, known } => write!(
                f,
                "{} was written by a later version of switchboard (its format is {version}, this one knows {known}); it was left \
                 as it is. Run that version, or restore a copy made before the update",
                path.display()
            ),
            StoreError::Older { path } => write!(
                f,
                "{} was written by an earlier version of switchboard: start the daemon once, which brings it up to date",
                path.display()
            ),
            StoreError::Damaged { path, why } => write!(
                f,
                "{} is damaged: {why}; it was left as it is. Restore a copy (with the daemon stopped), or move it away to begin \
                 with nothing",
                path.display()
            ),
            StoreError::InUse { path } => write!(
                f,
                "the state directory {} is used by another switchboard that runs; stop that, or give this one another",
                path.display()
            ),
            StoreError::JournalOfAnother { path, store } => write!(
                f,
                "the journal {} holds changes of another store than {}; it was left as it is. If they are not wanted any more, \
                 move it away; else give the daemon the store they belong to",
                path.display(),
                store.display()
            ),
            StoreError::Failed { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}
