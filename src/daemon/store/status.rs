//! How the store is, for whoever asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::queue::Shared;

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
pub struct StoreWatch(pub(super) Arc<Shared>);

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
            self.0.wake.notify_all();
        }
    }
}
