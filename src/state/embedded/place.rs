//! The directory and the file: whether they are ours, and whose turn it is. Foreign files are judged by their bytes: SQLite may
//! change what it opens.

use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{APPLICATION, VERSION};
use crate::state::fault::StoreError;

/// The file in the state directory.
pub const FILE: &str = "switchboard.db";

/// A database without content, whose lock says that a daemon runs. SQLite's locks go with the process that holds them.
const LOCK: &str = "switchboard.lock";

/// How long a reader waits for a writer and the other way round; in WAL, hardly ever.
const BUSY: Duration = Duration::from_secs(5);

/// Whether a connection may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::state) enum Writing {
    Yes,
    No,
    /// It may not, and the same process has another that does.
    Beside,
}

/// Makes the directory, if only it is missing.
pub(super) fn prepare(directory: &Path) -> Result<(), StoreError> {
    let unusable = |why: String| StoreError::Directory { path: directory.to_owned(), why };
    match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(unusable("it is no directory".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(directory).map_err(|error| unusable(error.to_string()))
        }
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Takes the directory for this process; dropping it lets go.
pub(super) fn lock(directory: &Path) -> Result<Connection, StoreError> {
    let path = directory.join(LOCK);
    let taken = (private(&path))
        .map_err(|error| StoreError::Directory { path: directory.to_owned(), why: format!("{LOCK}: {error}") })
        .and_then(|()| Connection::open(&path).map_err(|error| StoreError::of_sqlite(&path, &error)))?;
    let busy = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path: directory.to_owned() },
        _ => StoreError::of_sqlite(&path, &error),
    };
    taken.busy_timeout(Duration::ZERO).map_err(busy)?;
    taken.execute_batch("BEGIN EXCLUSIVE").map_err(busy)?;
    Ok(taken)
}

/// Makes a file that only its owner may read, unless it is there.
pub(super) fn private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().append(true).create(true).mode(0o600).open(path).map(|_| ())
}

/// Opens a store's file that is there, if its first bytes say that it is ours.
pub(in crate::state) fn open_file(path: &Path, writing: Writing) -> Result<Connection, StoreError> {
    match writing {
        Writing::Yes | Writing::No => judge(path)?,
        // To open and close the file past SQLite would drop the locks that this process has on it (POSIX, fcntl): then another
        // program's backup takes itself for the last user of the file, and removes the log that we write to.
        Writing::Beside => {}
    }
    let flags = match writing {
        Writing::Yes => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Writing::No | Writing::Beside => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| StoreError::of_sqlite(path, &error))?;
    settle(&connection, writing).map_err(|error| StoreError::of_sqlite(path, &error))?;
    Ok(connection)
}

fn settle(connection: &Connection, writing: Writing) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    match writing {
        Writing::Yes => {
            connection.pragma_update(None, "synchronous", "FULL")?;
            // A log of a day that a reader held up does not stay that large.
            connection.pragma_update(None, "journal_size_limit", 64 << 20)
        }
        Writing::No | Writing::Beside => connection.pragma_update(None, "query_only", true),
    }
}

/// Whether the file is ours, by the header of SQLite's file format (sqlite.org/fileformat.html §1.3): magic at 0, page size at 16,
/// pages at 28, user version at 60, application at 68.
fn judge(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; 100];
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::Absent { path: path.to_owned() },
        _ => StoreError::unreadable(path, &error),
    })?;
    let length = file.metadata().map_err(|error| StoreError::unreadable(path, &error))?.len();
    if length == 0 {
        return Err(StoreError::foreign(path, "it is empty"));
    }
    if let Err(error) = file.read_exact(&mut header) {
        return Err(match error.kind() {
            io::ErrorKind::UnexpectedEof => StoreError::foreign(path, "it is no SQLite database"),
            _ => StoreError::unreadable(path, &error),
        });
    }
    let word = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.unwrap_or_default())
    };
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(StoreError::foreign(path, "it is no SQLite database"));
    }
    if word(68) != APPLICATION {
        return Err(StoreError::foreign(path, "it is a database of another program"));
    }
    if word(60) > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), version: word(60), known: VERSION });
    }
    // What is missing may be in the write-ahead log, if there is one.
    let page = match word(16) >> 16 {
        1 => 65_536,
        size => u64::from(size),
    };
    let whole = page * u64::from(word(28));
    let log = std::fs::metadata(log_of(path)).map_or(0, |log| log.len());
    if length < whole && log == 0 {
        return Err(StoreError::damaged(path, format!("it has {length} bytes and should have {whole}")));
    }
    Ok(())
}

/// SQLite's write-ahead log of a file.
pub(super) fn log_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
