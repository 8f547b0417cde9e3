//! Histograms: how often something took how long. One that the engine's thread writes without a lock, and one for everything
//! else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets of the engine's steps, in nanoseconds: 10 µs … 100 ms. A datagram takes some tens of
/// microseconds; what is beyond the last delays other calls.
const STEPS: [u64; 13] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
];

/// Upper ends of the buckets of what callers wait for, in seconds.
pub(super) const PATIENCE: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// How long the engine's steps took. Written by one thread, read by another.
#[derive(Debug, Default)]
pub(in crate::daemon) struct StepTimes {
    /// The last is for what is longer than all ends.
    buckets: [AtomicU64; STEPS.len() + 1],
    sum_nanos: AtomicU64,
}

impl StepTimes {
    /// One more step.
    pub(in crate::daemon) fn observe(&self, took: Duration) {
        // 584 years fit.
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let index = STEPS.iter().position(|end| nanos <= *end).unwrap_or(STEPS.len());
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// As it is now.
    pub(super) fn read(&self) -> Histogram {
        let ends = STEPS.iter().map(|nanos| seconds(*nanos)).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        Histogram { buckets: ends.zip(counts).collect(), sum: seconds(self.sum_nanos.load(Ordering::Relaxed)) }
    }
}

/// 2^53 nanoseconds are a hundred days of steps; beyond that the sum loses some nanoseconds.
#[allow(clippy::cast_precision_loss)]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// How often something took how long, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper ends and how many fell between the end before and this one; the last end is `f64::INFINITY`.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl Histogram {
    /// An empty one with those ends.
    pub(super) fn new(ends: &[f64]) -> Histogram {
        Histogram { buckets: ends.iter().copied().chain([f64::INFINITY]).map(|end| (end, 0)).collect(), sum: 0.0 }
    }

    pub(super) fn observe(&mut self, seconds: f64) {
        if let Some((_, count)) = self.buckets.iter_mut().find(|(end, _)| seconds <= *end) {
            *count += 1;
            self.sum += seconds;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_falls_into_the_first_bucket_that_holds_it() {
        let steps = StepTimes::default();
        for nanos in [1, 10_000, 10_001, 200_000_000] {
            steps.observe(Duration::from_nanos(nanos));
        }
        let read = steps.read();
        assert_eq!(read.count(), 4);
        assert_eq!((read.buckets[0].1, read.buckets[1].1, read.buckets[13].1), (2, 1, 1));
        assert!((read.sum - 0.200_020_002).abs() < 1e-12, "{}", read.sum);
    }

    #[test]
    fn every_wait_is_counted_once() {
        let mut waits = Histogram::new(&PATIENCE);
        for seconds in [0.0, 1.0, 1.5, 10_000.0] {
            waits.observe(seconds);
        }
        assert_eq!(waits.count(), 4);
        assert_eq!((waits.buckets[0].1, waits.buckets[1].1, waits.buckets[11].1), (2, 1, 1));
        waits.observe(f64::NAN);
        assert_eq!(waits.count(), 4, "what is no number is no wait");
    }
}
