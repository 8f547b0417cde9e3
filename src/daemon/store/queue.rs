//! What waits to be made durable, between the engine's thread and the store's. Bounded: while a disk hangs, what memory does not hold
//! stays in the journal.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::status::StoreStatus;
use crate::state::{Change, JournalReader, Number};

/// The most changes that wait in memory while the journal has them too. Some kilobytes each: tens of megabytes.
pub(super) const IN_MEMORY: usize = 16_384;

/// The most that wait in memory where the journal cannot take them. Those beyond are lost if nothing newer replaces them.
pub(super) const IN_MEMORY_AT_MOST: usize = 32_768;

/// Whether somebody waits for what is put to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Nobody.
    Whenever,
    /// A phone, for the answer to its REGISTER.
    Awaited,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InJournal {
    Yes,
    No,
}

/// What both threads have.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) wake: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) queue: VecDeque<Waiting>,
    /// Changes in the queue's memory.
    pub(super) in_memory: usize,
    pub(super) urgency: Urgency,
    /// When the oldest change that is not durable was taken in.
    pub(super) waiting_since: Option<Instant>,
    /// Until when to write what is left, and then end.
    pub(super) stop: Option<Instant>,
    pub(super) keep_calls: Option<Duration>,
    pub(super) prune_now: bool,
    /// Of the journal, once there is one.
    pub(super) reader: Option<Arc<JournalReader>>,
    pub(super) status: StoreStatus,
}

/// Changes that are not durable, in order.
#[derive(Debug)]
pub(super) enum Waiting {
    /// In memory.
    Here { since: Instant, changes: Vec<(Number, Change)> },
    /// In the journal alone.
    Journal { since: Instant, from: Number, to: Number },
}

impl Shared {
    pub(super) fn new(status: StoreStatus, keep_calls: Option<Duration>) -> Shared {
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and half a change of it would be no worse than none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn take_in(&mut self, changes: Vec<(Number, Change)>, in_journal: InJournal) {
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

    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.queue.front().map(|waiting| match waiting {
            Waiting::Here { since, .. } | Waiting::Journal { since, .. } => *since,
        })
    }
}
