//! What outlives an engine: the real journal and the real store, in files of a world's own; or, where nothing is ever killed, nothing.
//!
//! The store's own writes wait until somebody wants to read them: a kill comes, and what had become durable by then is written in one
//! transaction before the next start reads it. That changes nothing that a start can see, for the journal holds everything since the
//! last start.

use std::path::PathBuf;

use switchboard::state::{Change, Journal, Number, Opened, Saved, Store, frame_change, open};

use super::dice::Dice;

#[derive(Debug)]
pub struct Disk {
    files: Option<Files>,
    /// What the disk has acknowledged.
    durable: Number,
}

#[derive(Debug)]
struct Files {
    directory: tempfile::TempDir,
    store: switchboard::state::Embedded,
    journal: Journal,
    /// Since the last start, in order.
    changes: Vec<(Number, Change)>,
    frames: Vec<u8>,
    /// Taken in since the journal was last written.
    fresh: Vec<(Number, Change)>,
}

impl Disk {
    /// Without files: whatever was changed is lost at a kill, of which there is none.
    pub fn none() -> (Disk, Saved) {
        (Disk { files: None, durable: Number(0) }, Saved { start: 1, ..Saved::default() })
    }

    /// With files.
    pub fn with_files() -> (Disk, Saved) {
        let memory = PathBuf::from("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory");
        std::fs::create_dir(directory.path().join("journal")).expect("a directory");
        let (files, saved) = Files::open(directory);
        let durable = saved.last;
        (Disk { files: Some(files), durable }, saved)
    }

    /// The last change the disk has acknowledged.
    pub fn durable(&self) -> Number {
        self.durable
    }

    /// Takes in a change that the engine wants kept.
    pub fn take(&mut self, number: Number, change: &Change) {
        if let Some(files) = &mut self.files {
            files.fresh.push((number, change.clone()));
        }
    }

    /// Writes what was taken in to the journal: before anything that came of it leaves.
    pub fn flush(&mut self) {
        let durable = self.durable;
        if let Some(files) = &mut self.files {
            files.flush(durable);
        }
    }

    /// The disk has written that far.
    pub fn acknowledge(&mut self, up_to: Number) {
        self.durable = self.durable.max(up_to);
    }

    /// `kill -9` between two outputs, and a start with what is there.
    pub fn restart(mut self) -> (Disk, Saved) {
        let files = self.files.take().expect("only worlds with files are killed");
        let (files, saved) = files.reopen(self.durable);
        let durable = saved.last;
        (Disk { files: Some(files), durable }, saved)
    }

    /// `kill -9` inside the write of what was taken in: some bytes of it are in the journal. Whether there was anything to write.
    pub fn tear(&mut self, dice: &mut Dice) -> bool {
        let durable = self.durable;
        self.files.as_mut().is_some_and(|files| files.tear(durable, dice))
    }
}

impl Files {
    fn open(directory: tempfile::TempDir) -> (Files, Saved) {
        let Opened { store, journal, saved, .. } =
            open(directory.path(), &directory.path().join("journal")).expect("what a killed daemon left can be read");
        let (journal, _) = journal.expect("a journal");
        let files = Files { directory, store, journal, changes: Vec::new(), frames: Vec::new(), fresh: Vec::new() };
        (files, saved)
    }

    fn flush(&mut self, durable: Number) {
        let Some((last, _)) = self.fresh.last() else { return };
        let last = *last;
        self.frames.clear();
        for (number, change) in &self.fresh {
            frame_change(&mut self.frames, self.journal.identity(), *number, change).expect("a change has a frame");
        }
        self.changes.append(&mut self.fresh);
        // The store has nothing yet of what the journal would drop: its own counting must not empty a file.
        let _ = durable;
        self.journal.append(&self.frames, last, Number(0)).expect("the journal takes it");
    }

    fn reopen(self, durable: Number) -> (Files, Saved) {
        let Files { directory, mut store, journal, changes, .. } = self;
        drop(journal);
        let written = changes.partition_point(|(number, _)| *number <= durable);
        store.write(&changes[..written]).expect("the store takes it");
        drop(store);
        Files::open(directory)
    }

    fn tear(&mut self, durable: Number, dice: &mut Dice) -> bool {
        if self.fresh.is_empty() {
            return false;
        }
        let path = |name: &str| self.directory.path().join("journal").join(name);
        let names = ["journal-a", "journal-b"].map(path);
        let lengths = || names.clone().map(|path| std::fs::metadata(path).map_or(0, |meta| meta.len()));
        let before = lengths();
        self.flush(durable);
        let after = lengths();
        let grown = (0..2).find(|at| after[*at] > before[*at]).expect("the journal has grown");
        let kept = before[grown] + dice.below(after[grown] - before[grown]);
        let file = std::fs::OpenOptions::new().write(true).open(&names[grown]).expect("the journal is there");
        file.set_len(kept).expect("it can be cut");
        true
    }
}
