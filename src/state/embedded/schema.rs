//! The tables, their versions, and how one becomes the next.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::place::{self, log_of};
use crate::state::fault::StoreError;
use crate::state::log;

/// SQLite's `application_id`: `SWBD`.
pub(super) const APPLICATION: u32 = u32::from_be_bytes(*b"SWBD");

/// The version of the tables that this program writes: how many steps there are.
pub(in crate::state) const VERSION: u32 = 2;

/// What each version adds to the one before: `user_version` counts them.
const STEPS: [Step; 2] = [Step { tables: STATE, fill: |_| Ok(()) }, Step { tables: log::LOG, fill: log::add_all }];

/// From one version to the next.
struct Step {
    tables: &'static str,
    /// What goes into them of what there is.
    fill: fn(&Transaction<'_>) -> rusqlite::Result<()>,
}

/// Tables that are small and that everything hangs on: checked at every start.
pub(super) const SMALL: [&str; 8] =
    ["store", "bindings", "switches", "claims", "pointers", "members", "callers", "running"];

/// Version 1: state, and the log of calls as their records alone.
const STATE: &str = "
-- One row: who this store is, how often it was opened, and the last change in it.
CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1), identity BLOB NOT NULL, starts INTEGER NOT NULL, last INTEGER NOT NULL
) STRICT;
CREATE TABLE bindings (
    company TEXT NOT NULL, extension TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (company, extension)
) STRICT, WITHOUT ROWID;
CREATE TABLE switches (
    company TEXT NOT NULL, extension TEXT NOT NULL, takes_calls INTEGER, paused INTEGER NOT NULL,
    PRIMARY KEY (company, extension)
) STRICT, WITHOUT ROWID;
CREATE TABLE claims (person TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE pointers (
    company TEXT NOT NULL, department TEXT NOT NULL, extension TEXT NOT NULL, PRIMARY KEY (company, department)
) STRICT, WITHOUT ROWID;
CREATE TABLE members (
    company TEXT NOT NULL, department TEXT NOT NULL, extension TEXT NOT NULL,
    day TEXT NOT NULL, calls INTEGER NOT NULL, last_call INTEGER NOT NULL,
    PRIMARY KEY (company, department, extension)
) STRICT, WITHOUT ROWID;
-- `heard` is the number of the change: callers are forgotten in the order they were heard of.
CREATE TABLE callers (
    company TEXT NOT NULL, department TEXT NOT NULL, caller TEXT NOT NULL,
    extension TEXT NOT NULL, at INTEGER NOT NULL, heard INTEGER NOT NULL,
    PRIMARY KEY (company, department, caller)
) STRICT, WITHOUT ROWID;
CREATE INDEX callers_by_age ON callers (company, department, heard);
CREATE TABLE running (call INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE records (call INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
";

/// Makes a new store beside its place and moves it there whole, so that a file under its name never is an unfinished one.
pub(super) fn create(directory: &Path, path: &Path) -> Result<(), StoreError> {
    // SQLite would take what is in the log for changes of the new file.
    if log_of(path).exists() {
        let why = "it is missing, but its write-ahead log (switchboard.db-wal) is there";
        return Err(StoreError::damaged(path, why));
    }
    let unfinished = directory.join("switchboard.db.new");
    let unusable = |why: String| StoreError::Directory { path: directory.to_owned(), why };
    for leftover in [unfinished.clone(), log_of(&unfinished)] {
        match std::fs::remove_file(&leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(error.to_string())),
            Ok(()) | Err(_) => {}
        }
    }
    place::private(&unfinished).map_err(|error| unusable(format!("no store can be made in it: {error}")))?;
    fill(&unfinished).map_err(|error| StoreError::of_sqlite(&unfinished, &error))?;
    let synced = File::open(&unfinished).and_then(|file| file.sync_all());
    let moved = synced.and_then(|()| std::fs::rename(&unfinished, path));
    let kept = moved.and_then(|()| File::open(directory)).and_then(|directory| directory.sync_all());
    kept.map_err(|error| unusable(format!("no store can be made in it: {error}")))
}

fn fill(path: &Path) -> rusqlite::Result<()> {
    let mut identity = [0; 16];
    // Without randomness of the system there is no daemon either.
    getrandom::fill(&mut identity).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    for step in STEPS {
        transaction.execute_batch(step.tables)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute("INSERT INTO store VALUES (1, ?1, 0, 0)", [identity])?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

/// Looks at the small tables whole.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    for table in SMALL {
        let said: Result<String, _> =
            connection.query_row(&format!("PRAGMA quick_check({table})"), [], |row| row.get(0));
        match said {
            Ok(said) if said == "ok" => {}
            Ok(said) => return Err(StoreError::damaged(path, format!("in {table}: {}", said.replace('\n', "; ")))),
            Err(error) => {
                return Err(match StoreError::of_sqlite(path, &error) {
                    StoreError::Failed { .. } if is_missing(&error) => {
                        StoreError::damaged(path, format!("{table} is missing"))
                    }
                    other => other,
                });
            }
        }
    }
    Ok(())
}

fn is_missing(error: &rusqlite::Error) -> bool {
    error.to_string().contains("no such table")
}

/// Takes the steps that the file has not taken, all in one transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::of_sqlite(path, &error);
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if version > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), version, known: VERSION });
    }
    if version == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step.tables).map_err(failed)?;
        (step.fill)(&transaction).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// The store of a version, for tests of what becomes of it.
#[cfg(test)]
pub(super) fn of_version(path: &Path, version: u32) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "application_id", APPLICATION).unwrap();
    for step in STEPS.iter().take(usize::try_from(version).unwrap()) {
        connection.execute_batch(step.tables).unwrap();
    }
    connection.pragma_update(None, "user_version", version).unwrap();
    connection.execute("INSERT INTO store VALUES (1, ?1, 4, 9)", [[7_u8; 16]]).unwrap();
    connection
}
