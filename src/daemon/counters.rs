//! What the daemon itself counts, beside the engine: datagrams, losses, defects, the capture.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::metrics::{StepTimes, Tallying};

/// A number that only grows. Written by one thread, read by another.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// That many more.
    pub(super) fn add_many(&self, count: usize) {
        self.0.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Datagrams read.
    pub(super) received: Counter,
    /// Datagrams sent.
    pub(super) sent: Counter,
    /// Datagrams dropped because the socket's buffer was full.
    pub(super) send_buffer_full: Counter,
    /// Datagrams that could not be sent where they should go.
    pub(super) undeliverable: Counter,
    /// Errors a socket reported on reading.
    pub(super) receive_errors: Counter,
    /// Inputs lost to defects of ours.
    pub(super) defects: Counter,
    /// How long the engine's steps take.
    pub(super) steps: StepTimes,
    /// What counts of calls that are over.
    pub(super) tallying: Tallying,
    /// Captured datagrams sent to the collector.
    pub(super) capture_sent: Counter,
    /// Datagrams that were not captured because they came faster than they could be sent on.
    pub(super) capture_dropped: Counter,
    /// Captured datagrams that could not be sent, or that the collector's machine refused.
    pub(super) capture_errors: Counter,
}

impl Counters {
    /// By name.
    pub(super) fn read(&self) -> BTreeMap<String, u64> {
        let named = [
            ("datagrams-received", &self.received),
            ("datagrams-sent", &self.sent),
            ("send-buffer-full", &self.send_buffer_full),
            ("undeliverable", &self.undeliverable),
            ("receive-errors", &self.receive_errors),
            ("defects", &self.defects),
            ("capture-sent", &self.capture_sent),
            ("capture-dropped", &self.capture_dropped),
            ("capture-errors", &self.capture_errors),
        ];
        named.into_iter().map(|(name, counter)| (name.to_owned(), counter.read())).collect()
    }
}
