//! A store's directory in memory, as it was when its daemon was killed.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::types::Value;
use switchboard::state::{self, Change, Embedded, FILE, Identity, Number, Opened, Store as _, StoreError};
use tempfile::TempDir;

use super::history;
use crate::targets::choices::Choices;

/// Who the store is: the same in every run.
pub const IDENTITY: Identity = *b"the fuzzed store";

/// How many changes it has before anything.
pub const KNOWN: u64 = 3;

const TAPES: [&str; 2] = ["journal-a", "journal-b"];

pub struct Home {
    place: TempDir,
}

/// A directory in memory where there is one: the disk has nothing to do with this.
fn place() -> TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(parent).expect("a directory for the store")
}

/// The file of a store that has so many changes.
fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let place = place();
        let mut store = Embedded::open(place.path()).expect("a new store");
        let mut choices = Choices::new(&[]);
        let changes: Vec<_> = (1..=KNOWN).map(|number| (Number(number), history::first(&mut choices))).collect();
        store.write(&changes).expect("changes are written");
        drop(store);
        let path = place.path().join(FILE);
        let connection = Connection::open(&path).expect("the file is there");
        connection.execute("UPDATE store SET identity = ?1", [IDENTITY]).expect("it has a row");
        connection.close().map_err(|(_, error)| error).expect("all is written");
        std::fs::read(path).expect("the file is there")
    })
}

impl Home {
    pub fn new() -> Home {
        let home = Home { place: place() };
        std::fs::create_dir(home.directory()).expect("a new directory");
        std::fs::create_dir(home.journal()).expect("a new directory");
        std::fs::write(home.file(), template()).expect("room in memory");
        home
    }

    /// With these changes in its tables.
    pub fn with(changes: &[(Number, Change)]) -> Home {
        let home = Home::new();
        let mut store = Embedded::open(&home.directory()).expect("a store");
        store.write(changes).expect("changes are written");
        home
    }

    pub fn directory(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    fn journal(&self) -> PathBuf {
        self.place.path().join("memory")
    }

    fn file(&self) -> PathBuf {
        self.directory().join(FILE)
    }

    /// The journal's files.
    pub fn put(&self, tapes: &[Option<Vec<u8>>; 2]) {
        for (name, bytes) in TAPES.iter().zip(tapes) {
            if let Some(bytes) = bytes {
                std::fs::write(self.journal().join(name), bytes).expect("room in memory");
            }
        }
    }

    /// Nothing was emptied.
    pub fn is_as_it_was(&self, tapes: &[Vec<u8>]) {
        for (name, bytes) in TAPES.iter().zip(tapes) {
            assert_eq!(&std::fs::read(self.journal().join(name)).expect("it is still there"), bytes, "{name}");
        }
    }

    pub fn open(&self) -> Result<Opened, StoreError> {
        state::open(&self.directory(), &self.journal())
    }

    /// Another value somewhere, as SQL lets it be.
    pub fn change_a_value(&self, choices: &mut Choices<'_>) {
        let connection = Connection::open(self.file()).expect("the file is there");
        let columns = [
            "store.starts",
            "store.last",
            "store.identity",
            "bindings.value",
            "bindings.extension",
            "switches.paused",
            "switches.takes_calls",
            "claims.value",
            "claims.person",
            "pointers.extension",
            "members.day",
            "members.calls",
            "members.last_call",
            "callers.at",
            "callers.heard",
            "callers.caller",
            "running.value",
            "running.call",
            "records.record",
            "records.call",
        ];
        let (table, column) = choices.of(&columns).split_once('.').expect("table and column");
        let old: Option<Value> =
            connection.query_row(&format!("SELECT {column} FROM {table} LIMIT 1"), [], |row| row.get(0)).ok();
        let value = match old {
            Some(Value::Blob(mut bytes)) => {
                for _ in 0..=choices.below(3) {
                    let at = usize::from(choices.word()) % (bytes.len() + 1);
                    let goes = (at + choices.below(12)).min(bytes.len());
                    bytes.splice(at..goes, choices.some(12).iter().copied());
                }
                Value::Blob(bytes)
            }
            Some(Value::Integer(_)) => {
                Value::Integer(choices.of(&[0, -1, 1, i64::MAX, i64::MIN, i64::from(i32::MAX) + 1, 1_795_323_660_000]))
            }
            _ => Value::Text(String::from_utf8_lossy(choices.some(20)).into_owned()),
        };
        // The tables are strict: what they do not take, they do not have.
        let _ = connection.execute(&format!("UPDATE {table} SET {column} = ?1"), [value]);
    }

    /// Other bytes in the file.
    pub fn damage(&self, choices: &mut Choices<'_>) {
        let mut bytes = std::fs::read(self.file()).expect("the file is there");
        for _ in 0..=choices.below(4) {
            let at = usize::from(choices.word()) * 8 + choices.below(8);
            let at = at % bytes.len();
            let comes = choices.some(16);
            let end = (at + comes.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&comes[..end - at]);
        }
        if choices.below(8) == 7 {
            bytes.truncate(usize::from(choices.word()) * 8 % bytes.len());
        }
        std::fs::write(self.file(), bytes).expect("room in memory");
    }
}

/// The header as `src/state/frame.rs` describes it, written here once more.
pub fn header() -> Vec<u8> {
    let mut bytes = b"SWBDjrnl".to_vec();
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&IDENTITY);
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// A frame, likewise.
pub fn frame(bytes: &mut Vec<u8>, number: u64, change: &[u8]) {
    let length = u32::try_from(8 + change.len()).expect("a short one").to_le_bytes();
    let mut crc = crc32fast::Hasher::new();
    for part in [&IDENTITY[..], &length, &number.to_le_bytes(), change] {
        crc.update(part);
    }
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&crc.finalize().to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(change);
}

/// A change's bytes in its frame.
pub fn encoded(change: &Change) -> Vec<u8> {
    let mut frame = Vec::new();
    state::frame_change(&mut frame, &IDENTITY, Number(1), change).expect("it has a form");
    frame.split_off(16)
}
