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

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::clock::wall;
use crate::state::{Change, Identity, Journal, JournalReader, Number, Saved, Store, StoreError, frame_change, open};
use crate::time::WallTime;

/// How long changes that nobody waits for gather into one transaction.
const GATHER: Duration = Duration::from_millis(50);

/// The most changes of one transaction.
const GROUP: usize = 4096;

/// The most changes that wait in memory while the journal has them too. Some kilobytes each: tens of megabytes.
const IN_MEMORY: usize = 16_384;

/// The most that wait in memory where the journal cannot take them. Those beyond are lost if nothing newer replaces them.
const IN_MEMORY_AT_MOST: usize = 131_072;

/// Between two tries to write what the disk refused.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two tries to write a journal that cannot be written.
const JOURNAL_PAUSE: Duration = Duration::from_millis(200);

/// How often a trouble that lasts is told again.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// How often records that are too old are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// The most records taken out at once, between two groups of changes.
const PRUNE_AT_ONCE: u32 = 500;

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

/// How the store is, for `status` and metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct StoreStatus {
    /// The state directory; `None`: there is no store, and nothing survives a restart.
    pub directory: Option<PathBuf>,
    /// How long the oldest change that is not durable has waited for it.
    pub lag: Duration,
    /// How many changes are not durable.
    pub pending: u64,
    /// The last change there was.
    pub last_number: u64,
    /// The last one that is durable.
    pub durable: u64,
    /// Why the store refuses, while it does.
    pub failing: Option<String>,
    /// Why the journal does, while it does: until it ends a kill loses what is not durable.
    pub journal_failing: Option<String>,
    /// Bytes in the journal.
    pub journal_bytes: u64,
    /// Changes that neither the journal nor memory could take.
    pub lost: u64,
    /// Records of calls that were taken out of the log because of their age, since the start.
    pub pruned: u64,
}

/// Reads [`StoreStatus`] from anywhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreWatch(Arc<Shared>);

impl StoreWatch {
    /// How it is now.
    pub fn status(&self) -> StoreStatus {
        let state = self.0.lock();
        let mut status = state.status.clone();
        status.lag = state.waiting_since.map_or(Duration::ZERO, |since| since.elapsed());
        status.pending = status.last_number.saturating_sub(status.durable);
        status
    }

    /// How long records are kept from now on; `None`: for ever. After a reload.
    pub fn keep_calls(&self, keep: Option<Duration>) {
        let mut state = self.0.lock();
        if state.keep_calls != keep {
            state.keep_calls = keep;
            state.prune_now = true;
            self.0.wake.notify_one();
        }
    }
}

/// The engine's thread's end: takes changes, numbers them, and never waits.
pub struct Keeper {
    next: u64,
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
        f.debug_struct("Keeper").field("next", &self.next).field("journal", &self.journal).finish_non_exhaustive()
    }
}

/// Whether somebody waits for what is put to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nobody.
    Whenever,
    /// A phone, for the answer to its REGISTER.
    Awaited,
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
            next: 1,
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
        let next = status.last_number + 1;
        let shared = Arc::new(Shared::new(status, keep_calls));
        let writer = Writer { store, shared: Arc::clone(&shared), tell, refused: None };
        let thread = thread::Builder::new().name("store".into()).spawn(move || writer.run())?;
        Ok(Keeper {
            next,
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

    /// Takes a change in; its number. It is safe once it is flushed, and durable once that is reported.
    pub fn put(&mut self, change: Change, urgency: Urgency) -> Number {
        let number = Number(self.next);
        self.next += 1;
        self.urgency = self.urgency.max(urgency);
        self.fresh.push((number, change));
        number
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum InJournal {
    Yes,
    No,
}

/// What both threads have.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Waiting>,
    /// Changes in the queue's memory.
    in_memory: usize,
    urgency: Urgency,
    /// When the oldest change that is not durable was taken in.
    waiting_since: Option<Instant>,
    /// Until when to write what is left, and then end.
    stop: Option<Instant>,
    keep_calls: Option<Duration>,
    prune_now: bool,
    /// Of the journal, once there is one.
    reader: Option<Arc<JournalReader>>,
    status: StoreStatus,
}

/// Changes that are not durable, in order.
#[derive(Debug)]
enum Waiting {
    /// In memory.
    Here { since: Instant, changes: Vec<(Number, Change)> },
    /// In the journal alone.
    Journal { since: Instant, from: Number, to: Number },
}

impl Shared {
    fn new(status: StoreStatus, keep_calls: Option<Duration>) -> Shared {
        let state = State {
            queue: VecDeque::new(),
            in_memory: 0,
            urgency: Urgency::Whenever,
            waiting_since: None,
            stop: None,
            keep_calls,
            prune_now: true,
            reader: None,
            status,
        };
        Shared { state: Mutex::new(state), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and half a change of it would be no worse than none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_in(&mut self, changes: Vec<(Number, Change)>, in_journal: InJournal) {
        let (Some((from, _)), Some((to, _))) = (changes.first(), changes.last()) else { return };
        let (from, to, since) = (*from, *to, Instant::now());
        self.waiting_since.get_or_insert(since);
        let room = match in_journal {
            InJournal::Yes => IN_MEMORY,
            InJournal::No => IN_MEMORY_AT_MOST,
        };
        if self.in_memory + changes.len() <= room {
            self.in_memory += changes.len();
            self.queue.push_back(Waiting::Here { since, changes });
        } else if in_journal == InJournal::No {
            self.status.lost += u64::try_from(changes.len()).unwrap_or(u64::MAX);
        } else if let Some(Waiting::Journal { to: end, .. }) = self.queue.back_mut() {
            *end = to;
        } else {
            self.queue.push_back(Waiting::Journal { since, from, to });
        }
    }

    fn waiting_since(&self) -> Option<Instant> {
        self.queue.front().map(|waiting| match waiting {
            Waiting::Here { since, .. } | Waiting::Journal { since, .. } => *since,
        })
    }
}

/// The store's thread.
struct Writer {
    store: Box<dyn Store>,
    shared: Arc<Shared>,
    tell: Tell,
    /// When a refusal was told last, while it lasts.
    refused: Option<Instant>,
}

/// What there is to do.
enum Turn {
    Write(Vec<(Number, Change)>),
    Prune(Duration),
    End,
}

impl Writer {
    fn run(mut self) -> Result<(), StoreError> {
        let mut next_prune = Instant::now();
        loop {
            match self.wait(next_prune) {
                Turn::Write(group) => self.write(&group)?,
                Turn::Prune(keep) => {
                    next_prune = if self.prune(keep) { Instant::now() } else { Instant::now() + PRUNE_EVERY };
                }
                Turn::End => {
                    drop(self.store);
                    self.shared.wake.notify_one();
                    return Ok(());
                }
            }
        }
    }

    /// Waits until there is something to do. Changes go before old records.
    fn wait(&mut self, next_prune: Instant) -> Turn {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            if let Some(since) = state.waiting_since() {
                // Whoever comes within GATHER goes along, unless somebody waits.
                let rest = GATHER.saturating_sub(since.elapsed());
                let awaited = state.urgency == Urgency::Awaited || state.stop.is_some() || state.in_memory >= GROUP;
                if awaited || rest.is_zero() {
                    state.urgency = Urgency::Whenever;
                    let group = self.group(state);
                    return Turn::Write(group);
                }
                state = shared.wake.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if state.stop.is_some() {
                return Turn::End;
            }
            let Some(keep) = state.keep_calls else {
                state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = next_prune.saturating_duration_since(Instant::now());
            if rest.is_zero() || state.prune_now {
                state.prune_now = false;
                return Turn::Prune(keep);
            }
            state = shared.wake.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The oldest changes: from memory, or from the journal, read without holding anybody up.
    fn group(&self, mut state: MutexGuard<'_, State>) -> Vec<(Number, Change)> {
        let mut group = Vec::new();
        while group.len() < GROUP {
            match state.queue.pop_front() {
                Some(Waiting::Here { mut changes, .. }) => {
                    state.in_memory = state.in_memory.saturating_sub(changes.len());
                    group.append(&mut changes);
                }
                Some(journal @ Waiting::Journal { .. }) if !group.is_empty() => {
                    state.queue.push_front(journal);
                    break;
                }
                Some(Waiting::Journal { from, to, since }) => {
                    drop(state);
                    return self.from_journal(from, to, since);
                }
                None => break,
            }
        }
        group
    }

    fn from_journal(&self, from: Number, to: Number, since: Instant) -> Vec<(Number, Change)> {
        let reader = self.shared.lock().reader.clone();
        let read = match reader {
            Some(reader) => reader.changes(from, to, GROUP),
            None => Err("there is none".to_owned()),
        };
        let group = read.unwrap_or_else(|error| {
            tracing::error!("changes {} to {} cannot be read from the journal: {error}", from.0, to.0);
            Vec::new()
        });
        let mut state = self.shared.lock();
        match group.last() {
            Some((last, _)) if *last < to => {
                let from = Number(last.0 + 1);
                // New ones may have come behind meanwhile: this still is the front, and they may have been added to it.
                state.queue.push_front(Waiting::Journal { since, from, to });
            }
            Some(_) => {}
            None => state.status.lost += to.0 - from.0 + 1,
        }
        group
    }

    /// Until the disk takes it, or the end has come and it does not.
    fn write(&mut self, group: &[(Number, Change)]) -> Result<(), StoreError> {
        loop {
            let Err(error) = self.store.write(group) else { break };
            self.on_refusal(&error);
            let state = self.shared.lock();
            if state.stop.is_some_and(|until| Instant::now() >= until) {
                return Err(error);
            }
            let _ = self
                .shared
                .wake
                .wait_timeout_while(state, PAUSE, |state| state.stop.is_none_or(|until| Instant::now() < until));
        }
        let durable = self.store.last();
        let mut state = self.shared.lock();
        state.status.durable = durable.0.max(state.status.durable);
        state.status.failing = None;
        state.waiting_since = state.waiting_since();
        drop(state);
        if self.refused.take().is_some() {
            tracing::info!("the store can be written again");
            (self.tell)(StoreReport::Recovered);
        }
        if !group.is_empty() {
            (self.tell)(StoreReport::Durable { up_to: durable });
        }
        Ok(())
    }

    fn on_refusal(&mut self, error: &StoreError) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        state.status.failing = Some(error.to_string());
        drop(state);
        if self.refused.is_none_or(|told| now.duration_since(told) >= TELL_AGAIN) {
            tracing::warn!("the store cannot be written: {error}; calls go on, and it is tried again every second");
            if self.refused.is_none() {
                (self.tell)(StoreReport::Failing { why: error.to_string() });
            }
            self.refused = Some(now);
        }
    }

    /// Takes some old records out; whether there are more.
    fn prune(&mut self, keep: Duration) -> bool {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = WallTime::from_unix_millis(wall().unix_millis().saturating_sub(keep));
        match self.store.prune(before, PRUNE_AT_ONCE) {
            Ok(taken) => {
                let mut state = self.shared.lock();
                state.status.pruned += u64::from(taken);
                let (more, pruned) = (taken == PRUNE_AT_ONCE, state.status.pruned);
                drop(state);
                if taken > 0 && !more {
                    tracing::info!(
                        records = pruned,
                        "took records older than `keep-calls` out of the call log since the start"
                    );
                }
                more
            }
            Err(error) => {
                tracing::warn!("old records cannot be taken out of the call log: {error}");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
