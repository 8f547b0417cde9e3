//! The store's thread, and what the engine's thread has of it: the [`Keeper`].
//!
//! ```text
//!   engine's thread                                        store's thread
//!   put(change) … flush ──▶ journal (memory, at once)
//!                    └────▶ queue ───────────────────────▶ a group, one transaction ──▶ Report::Durable
//! ```
//!
//! `flush` never waits for a disk. What has been flushed is in the journal, so that a killed process loses nothing; what is durable
//! is in the store, so that a machine that loses its power does not either. The queue is bounded: what does not fit while the
//! disk hangs stays in the journal alone and is read from there later. If the disk refuses, the same group is tried again until
//! it takes it. Calls go on whatever happens here; the admin is told.

mod queue;
mod status;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use status::{StoreStatus, StoreWatch};

use crate::state::{Change, Identity, Journal, JournalReader, Number, Saved, Store, StoreError, frame_change, open};
use queue::{InJournal, Shared, Urgency};
use writer::{PAUSE, Writer};

/// Between two tries to write a journal that cannot be written.
const JOURNAL_PAUSE: Duration = Duration::from_millis(200);

/// How often a trouble that lasts is told again.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What the engine's loop is told, from the store's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreReport {
    /// All changes up to that one are durable.
    Durable {
        /// The last of them.
        up_to: Number,
    },
    /// The disk refuses: nothing becomes durable for now. Told once.
    Failing {
        /// In words.
        why: String,
    },
    /// It takes what it is given again.
    Recovered,
}

/// Where reports go.
pub type Tell = Box<dyn FnMut(StoreReport) + Send>;

/// The engine's thread's end: takes changes, and never waits.
pub struct Keeper {
    /// Changes since the last flush.
    fresh: Vec<(Number, Change)>,
    urgency: Urgency,
    journal: Option<Journal>,
    /// Where it is to be made, and for which store; `None`: nowhere.
    journal_place: Option<(PathBuf, Identity)>,
    frames: Vec<u8>,
    /// When the journal may be tried again, and when its trouble was told.
    journal_trouble: Option<(Instant, Instant)>,
    shared: Arc<Shared>,
    /// Without a store everything counts as durable at once.
    volatile: Option<Tell>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Opens the store of `directory` with its journal in the directory `journal`, in a memory file system, and starts its thread.
    /// Calls are kept in the log for `keep_calls`, or for ever. `tell` is called on the store's thread.
    ///
    /// # Errors
    /// What is wrong with a file, where, and what to do; or the system gives no thread.
    pub fn open(
        directory: &Path,
        journal: &Path,
        keep_calls: Option<Duration>,
        tell: Tell,
    ) -> Result<(Keeper, Saved), StoreError> {
        let opened = open(directory, journal)?;
        for torn in &opened.found.torn {
            tracing::warn!("{torn}; nothing that came of it had been sent");
        }
        if opened.found.replayed > 0 {
            tracing::info!(changes = opened.found.replayed, "took up what the journal had beyond the store");
        }
        let place = (journal.to_owned(), *opened.store.identity());
        let journal = opened.journal.map_err(|error| error.to_string());
        let status = StoreStatus {
            directory: Some(directory.to_owned()),
            last_number: opened.saved.last.0,
            durable: opened.saved.last.0,
            ..StoreStatus::default()
        };
        let mut keeper = Keeper::start(Box::new(opened.store), status, keep_calls, tell).map_err(|error| {
            StoreError::Failed { path: directory.to_owned(), why: format!("the system gives no thread: {error}") }
        })?;
        keeper.journal_place = Some(place);
        keeper.take_journal(journal);
        Ok((keeper, opened.saved))
    }

    /// Remembers nothing: everything counts as durable at once. `tell` is called on the engine's thread, in `flush`.
    pub fn without_store(tell: Tell) -> Keeper {
        Keeper {
            fresh: Vec::new(),
            urgency: Urgency::Whenever,
            journal: None,
            journal_place: None,
            frames: Vec::new(),
            journal_trouble: None,
            shared: Arc::new(Shared::new(StoreStatus::default(), None)),
            volatile: Some(tell),
            thread: None,
        }
    }

    fn start(
        store: Box<dyn Store>,
        status: StoreStatus,
        keep_calls: Option<Duration>,
        tell: Tell,
    ) -> std::io::Result<Keeper> {
        let shared = Arc::new(Shared::new(status, keep_calls));
        let writer = Writer { store, shared: Arc::clone(&shared), tell, refused: None };
        let thread = thread::Builder::new().name("store".into()).spawn(move || writer.run())?;
        Ok(Keeper {
            fresh: Vec::new(),
            urgency: Urgency::Whenever,
            journal: None,
            journal_place: None,
            frames: Vec::new(),
            journal_trouble: None,
            shared,
            volatile: None,
            thread: Some(thread),
        })
    }

    /// Reads how the store is.
    pub fn watch(&self) -> StoreWatch {
        StoreWatch(Arc::clone(&self.shared))
    }

    /// Takes in the engine's next change. It is safe once it is flushed, and durable once that is reported: soon where it is devices,
    /// since a phone waits for the answer to its REGISTER.
    pub fn put(&mut self, number: Number, change: Change) {
        let urgency = match change {
            Change::Bindings { .. } => Urgency::Awaited,
            Change::Switches { .. }
            | Change::Claim { .. }
            | Change::Pointer { .. }
            | Change::Member { .. }
            | Change::Caller { .. }
            | Change::Call(_)
            | Change::Over(_) => Urgency::Whenever,
        };
        self.urgency = self.urgency.max(urgency);
        self.fresh.push((number, change));
    }

    /// Puts what was taken in into the journal and hands it to the store's thread. To be called before the first datagram leaves
    /// that came of a change.
    pub fn flush(&mut self) {
        let Some((last, _)) = self.fresh.last() else { return };
        let last = *last;
        let fresh = std::mem::take(&mut self.fresh);
        let urgency = std::mem::replace(&mut self.urgency, Urgency::Whenever);
        if let Some(tell) = &mut self.volatile {
            let mut state = self.shared.lock();
            (state.status.last_number, state.status.durable) = (last.0, last.0);
            drop(state);
            tell(StoreReport::Durable { up_to: last });
            return;
        }
        let in_journal = self.write_journal(&fresh, last);
        let mut state = self.shared.lock();
        state.status.last_number = last.0;
        state.status.journal_bytes = self.journal.as_ref().map_or(0, Journal::length);
        state.take_in(fresh, in_journal);
        state.urgency = state.urgency.max(urgency);
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Whether they are in the journal.
    fn write_journal(&mut self, changes: &[(Number, Change)], last: Number) -> InJournal {
        let now = Instant::now();
        if self.journal_trouble.is_some_and(|(again, _)| now < again) {
            return InJournal::No;
        }
        if let (None, Some((place, identity))) = (&self.journal, &self.journal_place) {
            // Nothing that is in an old one is missing in the store, and none was made since.
            let made = Journal::begin(place, *identity).map_err(|error| error.to_string());
            self.take_journal(made);
        }
        let Some(journal) = &mut self.journal else { return InJournal::No };
        self.frames.clear();
        // One large burst does not keep its memory for ever.
        self.frames.shrink_to(1 << 20);
        for (number, change) in changes {
            if let Err(error) = frame_change(&mut self.frames, journal.identity(), *number, change) {
                tracing::error!("defect: change {} cannot be kept: {error}", number.0);
            }
        }
        let durable = Number(self.shared.lock().status.durable);
        match journal.append(&self.frames, last, durable) {
            Ok(()) => {
                if self.journal_trouble.take().is_some() {
                    self.shared.lock().status.journal_failing = None;
                    tracing::info!("the journal can be written again");
                }
                InJournal::Yes
            }
            Err(error) => {
                self.on_journal_trouble(&error.to_string());
                InJournal::No
            }
        }
    }

    fn take_journal(&mut self, made: Result<(Journal, JournalReader), String>) {
        match made {
            Ok((journal, reader)) => {
                self.journal = Some(journal);
                self.shared.lock().reader = Some(Arc::new(reader));
            }
            Err(error) => self.on_journal_trouble(&error),
        }
    }

    fn on_journal_trouble(&mut self, error: &str) {
        let now = Instant::now();
        let told = self.journal_trouble.map(|(_, told)| told).filter(|told| now.duration_since(*told) < TELL_AGAIN);
        if told.is_none() {
            tracing::warn!(
                "the journal takes nothing: {error}; calls go on, but if the daemon is killed now, what is not on the disk yet is lost"
            );
        }
        self.shared.lock().status.journal_failing = Some(error.to_owned());
        self.journal_trouble = Some((now + JOURNAL_PAUSE, told.unwrap_or(now)));
    }

    /// Makes durable what was flushed and ends the store's thread, waiting no longer than `within`; with that done the journal is
    /// emptied.
    ///
    /// # Errors
    /// In words: how much is in the journal alone. The next start takes it from there.
    pub fn close(mut self, within: Duration) -> Result<(), String> {
        self.flush();
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.shared.lock().stop = Some(Instant::now() + within);
        self.shared.wake.notify_one();
        let deadline = Instant::now() + within + PAUSE;
        while !thread.is_finished() && Instant::now() < deadline {
            let state = self.shared.lock();
            // Woken as the thread ends; the timeout is for one that hangs in the disk.
            let _ = self.shared.wake.wait_timeout(state, Duration::from_millis(20));
        }
        let status = self.watch().status();
        let left = || {
            format!(
                "{} changes are not on the disk: {}",
                status.pending,
                status.failing.clone().unwrap_or("it does not answer".to_owned())
            )
        };
        if !thread.is_finished() || thread.join().is_ok_and(|ended| ended.is_err()) || status.pending > 0 {
            return Err(left());
        }
        match self.journal.as_mut().map_or(Ok(()), Journal::empty) {
            Ok(()) => Ok(()),
            Err(error) => Err(format!("everything is on the disk, but the journal cannot be emptied: {error}")),
        }
    }
}

impl Drop for Keeper {
    /// Ends the thread, which is not waited for: what was flushed is in the journal.
    fn drop(&mut self) {
        self.shared.lock().stop.get_or_insert_with(Instant::now);
        self.shared.wake.notify_one();
    }
}

#[cfg(test)]
mod tests;
