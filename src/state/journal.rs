//! The journal: what has changed and may not be on the disk yet, in a memory file system (R-7.4, checklist 15).
//!
//! Changes are written here before anything that came of them leaves the machine, and nothing here is ever waited for: what a
//! process has written stays with the operating system when the process is killed. Two files take turns, so that the journal stays
//! small while changes never cease: one is emptied when everything in it is durable in the store.
//!
//! Whoever appends is the engine's thread; the store's thread may read what was appended ([`JournalReader`]).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::change::{Change, Number};
use super::encoding;
use super::fault::StoreError;
use super::frame::{self, End, HEADER, Head, Identity};

/// The most bytes both files hold together.
pub const LIMIT: u64 = 2 * frame::MOST;

/// A file in which everything is durable is emptied in its place once it has grown to this.
const SMALL: u64 = 1 << 20;

const NAMES: [&str; 2] = ["journal-a", "journal-b"];

/// What a journal held at a start.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Remains {
    /// In the order of their numbers.
    pub(super) changes: Vec<(Number, Change)>,
    /// Files whose last frame a kill has cut off: where, and how many bytes were left of it.
    pub(super) torn: Vec<(PathBuf, u64, u64)>,
}

/// Reads what is left of a journal. Files that are not there hold nothing. Nothing is changed.
///
/// # Errors
/// A file is none of ours, another store's, or damaged before its end.
pub(super) fn read(directory: &Path, identity: &Identity, store: &Path) -> Result<Remains, StoreError> {
    let mut remains = Remains::default();
    for name in NAMES {
        let path = directory.join(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(StoreError::unreadable(&path, &error)),
        };
        read_file(path, &bytes, identity, store, &mut remains)?;
    }
    remains.changes.sort_by_key(|(number, _)| *number);
    Ok(remains)
}

fn read_file(
    path: PathBuf,
    bytes: &[u8],
    identity: &Identity,
    store: &Path,
    remains: &mut Remains,
) -> Result<(), StoreError> {
    let whose = match frame::head(bytes) {
        Head::Journal(whose) => whose,
        Head::Unfinished => return Ok(()),
        Head::Foreign => return Err(StoreError::foreign(&path, "it is no journal")),
        Head::Newer(version) => return Err(StoreError::Newer { path, version, known: frame::VERSION }),
        Head::Damaged => return Err(StoreError::damaged(&path, "its header is wrong")),
    };
    let walked = frame::walk(bytes, &whose);
    if whose != *identity {
        // One that holds nothing can be of no use to its store.
        let empty = walked.frames.is_empty() && walked.end == End::Whole;
        return if empty { Ok(()) } else { Err(StoreError::JournalOfAnother { path, store: store.to_owned() }) };
    }
    match walked.end {
        End::Whole => {}
        End::Torn(at) => remains.torn.push((path.clone(), length(at), length(bytes.len().saturating_sub(at)))),
        End::Damaged(at) => {
            return Err(StoreError::damaged(
                &path,
                format!("byte {at} begins no change, and none that a kill cut off"),
            ));
        }
    }
    for (number, range) in walked.frames {
        let at = range.start;
        let change = encoding::decode(bytes.get(range).unwrap_or_default()).map_err(|error| {
            StoreError::damaged(&path, format!("the change at byte {at} cannot be understood: {error}"))
        })?;
        remains.changes.push((number, change));
    }
    Ok(())
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Why changes were not taken into the journal. They are nowhere in it then.
#[derive(Debug)]
pub enum Unwritten {
    /// It is as large as it may be, and the store has not taken up enough of it.
    Full,
    /// The file system says no.
    Failed(io::Error),
}

impl std::fmt::Display for Unwritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unwritten::Full => f.write_str("it is full"),
            Unwritten::Failed(error) => error.fmt(f),
        }
    }
}

/// A file that grows at its end; a test's may fail.
pub(super) trait Tape: Send + std::fmt::Debug {
    /// Writes behind its end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it to that length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Tape for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// The writing end.
#[derive(Debug)]
pub struct Journal {
    identity: Identity,
    slots: [Slot; 2],
    active: usize,
    limit: u64,
}

#[derive(Debug)]
struct Slot {
    tape: Box<dyn Tape>,
    /// Of what is whole in it.
    length: u64,
    last: Number,
    /// A failed write may have left something behind `length`: to be cut off before the next.
    dirty: bool,
}

impl Journal {
    /// Empties both files and begins: everything in them has to be durable.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn begin(directory: &Path, identity: Identity) -> Result<(Journal, JournalReader), StoreError> {
        let failed = |path: &Path, error: &io::Error| {
            StoreError::failed(path, format!("the journal cannot be written: {error}"))
        };
        let open = |name: &str| {
            let path = directory.join(name);
            let file = (OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path))
                .and_then(|mut file| {
                    file.set_len(0)?;
                    file.write_all(&frame::header(&identity))?;
                    Ok(file)
                })
                .map_err(|error| failed(&path, &error))?;
            let reader = file.try_clone().map_err(|error| failed(&path, &error))?;
            Ok((file, reader))
        };
        if let Some(parent) = directory.parent().filter(|_| !directory.exists())
            && parent.exists()
        {
            std::fs::create_dir(directory).map_err(|error| failed(directory, &error))?;
        }
        let [a, b] = NAMES;
        let ((a, a_reader), (b, b_reader)) = (open(a)?, open(b)?);
        let journal = Journal::on([Box::new(a), Box::new(b)], identity, LIMIT);
        Ok((journal, JournalReader { files: [a_reader, b_reader], identity }))
    }

    pub(super) fn on([a, b]: [Box<dyn Tape>; 2], identity: Identity, limit: u64) -> Journal {
        let slot = |tape| Slot { tape, length: length(HEADER), last: Number(0), dirty: false };
        Journal { identity, slots: [slot(a), slot(b)], active: 0, limit }
    }

    /// Whose it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.slots.iter().map(|slot| slot.length).sum()
    }

    /// Appends frames, the last of which is `last`; all up to `durable` are in the store.
    ///
    /// # Errors
    /// Nothing of them was kept.
    pub fn append(&mut self, frames: &[u8], last: Number, durable: Number) -> Result<(), Unwritten> {
        let most = self.limit / 2;
        let [a, b] = &mut self.slots;
        let (mut slot, other) = if self.active == 0 { (a, b) } else { (b, a) };
        if slot.length >= SMALL.min(most) && slot.last <= durable {
            slot.empty()?;
        }
        if slot.length + length(frames.len()) > most && other.last <= durable {
            other.empty()?;
            self.active = 1 - self.active;
            slot = other;
        }
        if slot.length + length(frames.len()) > most {
            return Err(Unwritten::Full);
        }
        slot.append(frames, last).map_err(Unwritten::Failed)
    }

    /// Cuts both files down to nothing: everything in them is durable.
    ///
    /// # Errors
    /// The file system says no.
    pub fn empty(&mut self) -> Result<(), Unwritten> {
        self.slots.iter_mut().try_for_each(Slot::empty)
    }
}

impl Slot {
    fn empty(&mut self) -> Result<(), Unwritten> {
        self.tape.cut(length(HEADER)).map_err(Unwritten::Failed)?;
        (self.length, self.last, self.dirty) = (length(HEADER), Number(0), false);
        Ok(())
    }

    fn append(&mut self, frames: &[u8], last: Number) -> io::Result<()> {
        if self.dirty {
            self.tape.cut(self.length)?;
            self.dirty = false;
        }
        if let Err(error) = self.tape.append(frames) {
            self.dirty = self.tape.cut(self.length).is_err();
            return Err(error);
        }
        self.length += length(frames.len());
        self.last = last;
        Ok(())
    }
}

/// The reading end, for a store's thread that has fallen behind.
#[derive(Debug)]
pub struct JournalReader {
    files: [File; 2],
    identity: Identity,
}

impl JournalReader {
    /// At most `most` changes from `from` to `to`, in order. All of them have to have been appended before.
    ///
    /// # Errors
    /// In words: they cannot be read.
    pub fn changes(&self, from: Number, to: Number, most: usize) -> Result<Vec<(Number, Change)>, String> {
        let mut found = Vec::new();
        for file in &self.files {
            let bytes = whole(file).map_err(|error| error.to_string())?;
            let walked = frame::walk(&bytes, &self.identity);
            for (number, range) in walked.frames {
                if (from..=to).contains(&number) {
                    found.push((number, bytes.get(range).unwrap_or_default().to_vec()));
                }
            }
        }
        found.sort_by_key(|(number, _)| *number);
        found.truncate(most);
        found.into_iter().map(|(number, bytes)| Ok((number, encoding::decode(&bytes)?))).collect()
    }
}

/// The file as it is now; it may grow meanwhile.
fn whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, length(filled))? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::state::samples;

    const IDENTITY: Identity = *b"0123456789abcdef";
    const STORE: &str = "/var/lib/switchboard/switchboard.db";

    fn frames(numbers: std::ops::RangeInclusive<u64>) -> (Vec<u8>, Number) {
        let mut bytes = Vec::new();
        for number in numbers.clone() {
            frame::append(&mut bytes, &IDENTITY, Number(number), &samples::pointer(number)).unwrap();
        }
        (bytes, Number(*numbers.end()))
    }

    fn numbers(remains: &Remains) -> Vec<u64> {
        remains.changes.iter().map(|(number, _)| number.0).collect()
    }

    #[test]
    fn what_was_appended_is_there_for_the_next_start_and_only_then_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path(), &IDENTITY, Path::new(STORE)).unwrap(), Remains::default());
        let (mut journal, reader) = Journal::begin(directory.path(), IDENTITY).unwrap();
        for at in [1, 4, 7] {
            let (bytes, last) = frames(at..=at + 2);
            journal.append(&bytes, last, Number(0)).unwrap();
        }
        let middle = reader.changes(Number(3), Number(8), 4).unwrap();
        assert_eq!(middle.iter().map(|(number, _)| number.0).collect::<Vec<_>>(), [3, 4, 5, 6]);
        let remains = read(directory.path(), &IDENTITY, Path::new(STORE)).unwrap();
        assert_eq!(numbers(&remains), (1..=9).collect::<Vec<_>>());
        assert_eq!(remains.changes[4].1, samples::pointer(5));
        journal.empty().unwrap();
        assert_eq!(read(directory.path(), &IDENTITY, Path::new(STORE)).unwrap(), Remains::default());
    }

    #[test]
    fn files_take_turns_and_it_is_full_only_while_nothing_is_durable() {
        let directory = tempfile::tempdir().unwrap();
        let (_, _) = Journal::begin(directory.path(), IDENTITY).unwrap();
        let open = |name| Box::new(OpenOptions::new().append(true).open(directory.path().join(name)).unwrap());
        let (bytes, _) = frames(101..=110);
        let limit = 2 * (length(HEADER) + 3 * length(bytes.len()));
        let mut journal = Journal::on([open(NAMES[0]), open(NAMES[1])], IDENTITY, limit);
        let mut next = 101;
        let mut put = |journal: &mut Journal, durable| {
            let (bytes, last) = frames(next..=next + 9);
            let put = journal.append(&bytes, last, Number(durable));
            if put.is_ok() {
                next += 10;
            }
            put
        };
        for _ in 0..6 {
            put(&mut journal, 0).unwrap();
        }
        assert!(matches!(put(&mut journal, 129), Err(Unwritten::Full)), "130 is in the first file and not durable");
        assert!(journal.length() <= limit);
        put(&mut journal, 130).unwrap();
        let remains = read(directory.path(), &IDENTITY, Path::new(STORE)).unwrap();
        assert_eq!(numbers(&remains), (131..=170).collect::<Vec<_>>(), "in order over both files");
        for round in 0..100 {
            put(&mut journal, 160 + 10 * round).unwrap();
            assert!(journal.length() <= limit);
        }
    }

    /// A tape that runs out of room.
    #[derive(Clone, Debug, Default)]
    struct Short(Arc<Mutex<(Vec<u8>, usize, bool)>>);

    impl Tape for Short {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut tape = self.0.lock().unwrap();
            let room = tape.1.saturating_sub(tape.0.len()).min(bytes.len());
            tape.0.extend_from_slice(&bytes[..room]);
            if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            let mut tape = self.0.lock().unwrap();
            if tape.2 {
                return Err(io::Error::other("the file system is gone"));
            }
            tape.0.truncate(usize::try_from(length).unwrap());
            Ok(())
        }
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_no_damage_behind() {
        for cut_fails in [false, true] {
            let tape = Short::default();
            *tape.0.lock().unwrap() = (frame::header(&IDENTITY).to_vec(), 200, false);
            let mut journal = Journal::on([Box::new(tape.clone()), Box::new(Short::default())], IDENTITY, 1 << 20);
            let (first, last) = frames(1..=1);
            journal.append(&first, last, Number(0)).unwrap();
            tape.0.lock().unwrap().2 = cut_fails;
            let (many, last) = frames(2..=9);
            assert!(matches!(journal.append(&many, last, Number(0)), Err(Unwritten::Failed(_))));
            if cut_fails {
                assert!(journal.append(&many, last, Number(0)).is_err(), "nothing behind a torn frame");
            }
            {
                let mut tape = tape.0.lock().unwrap();
                (tape.1, tape.2) = (1 << 20, false);
            }
            let (next, last) = frames(10..=10);
            journal.append(&next, last, Number(0)).unwrap();
            let bytes = tape.0.lock().unwrap().0.clone();
            let walked = frame::walk(&bytes, &IDENTITY);
            assert_eq!(walked.frames.iter().map(|(number, _)| number.0).collect::<Vec<_>>(), [1, 10]);
            assert_eq!(walked.end, End::Whole);
        }
    }

    #[test]
    fn what_is_not_this_stores_journal_is_named_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAMES[0]);
        let whole = [frame::header(&IDENTITY).to_vec(), frames(1..=3).0].concat();
        let mut damaged = whole.clone();
        damaged[HEADER + 20] ^= 1;
        let mut newer = whole.clone();
        newer[8] = 9;
        let other = {
            let mut bytes = frame::header(b"another--store--").to_vec();
            frame::append(&mut bytes, b"another--store--", Number(1), &samples::pointer(1)).unwrap();
            bytes
        };
        for (bytes, name) in [
            (b"not a journal at all, but some text".to_vec(), "foreign"),
            (damaged, "damaged"),
            (newer, "newer"),
            (other, "journal-of-another"),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let error = read(directory.path(), &IDENTITY, Path::new(STORE)).unwrap_err();
            assert_eq!(error.name(), name);
            assert!(error.to_string().contains("journal-a"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
        }
        std::fs::write(&path, frame::header(b"another--store--")).unwrap();
        read(directory.path(), &IDENTITY, Path::new(STORE)).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let remains = read(directory.path(), &IDENTITY, Path::new(STORE)).unwrap();
        assert_eq!(numbers(&remains), [1, 2]);
        assert_eq!(remains.torn.len(), 1);
    }
}
