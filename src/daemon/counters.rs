//! What the daemon itself counts, beside the engine: datagrams, losses, defects.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::metrics::{StepTimes, Tally, Tallying};

/// A number that only grows. Written by one thread, read by another.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of them.
#[derive(Debug)]
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
}

impl Counters {
    /// All at zero, and where the tallies of calls arrive.
    pub(super) fn new() -> (Counters, mpsc::Receiver<Tally>) {
        let (tallying, tallies) = Tallying::new();
        let counters = Counters {
            received: Counter::default(),
            sent: Counter::default(),
            send_buffer_full: Counter::default(),
            undeliverable: Counter::default(),
            receive_errors: Counter::default(),
            defects: Counter::default(),
            steps: StepTimes::default(),
            tallying,
        };
        (counters, tallies)
    }

    /// By name.
    pub(super) fn read(&self) -> BTreeMap<String, u64> {
        let named = [
            ("datagrams-received", &self.received),
            ("datagrams-sent", &self.sent),
            ("send-buffer-full", &self.send_buffer_full),
            ("undeliverable", &self.undeliverable),
            ("receive-errors", &self.receive_errors),
            ("defects", &self.defects),
        ];
        named.into_iter().map(|(name, counter)| (name.to_owned(), counter.read())).collect()
    }
}
