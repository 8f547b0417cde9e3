//! The store's thread: groups of changes into the store, one transaction each, and old records out of it.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::queue::{Shared, State, Urgency, Waiting};
use super::{StoreReport, TELL_AGAIN, Tell};
use crate::daemon::clock::wall;
use crate::state::{Change, Number, Store, StoreError};
use crate::time::WallTime;

/// How long changes that nobody waits for gather into one transaction.
pub(super) const GATHER: Duration = Duration::from_millis(50);

/// Between two tries to write what the disk refused.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How often records that are too old are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// The most records taken out at once, between two groups of changes.
const PRUNE_AT_ONCE: u32 = 500;

/// The most changes of one transaction.
pub(super) const GROUP: usize = 4096;

/// The store's thread.
pub(super) struct Writer {
    pub(super) store: Box<dyn Store>,
    pub(super) shared: Arc<Shared>,
    pub(super) tell: Tell,
    /// When a refusal was told last, while it lasts.
    pub(super) refused: Option<Instant>,
}

/// What there is to do.
enum Turn {
    Write(Vec<(Number, Change)>),
    Prune(Duration),
    End,
}

impl Writer {
    pub(super) fn run(mut self) -> Result<(), StoreError> {
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
                    return self.read_journal(from, to, since);
                }
                None => break,
            }
        }
        group
    }

    fn read_journal(&self, from: Number, to: Number, since: Instant) -> Vec<(Number, Change)> {
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
        while let Err(error) = self.store.write(group) {
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
