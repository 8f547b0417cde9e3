//! A token bucket as one moment: when it will be full again. Knows nothing of whom it is for.

use std::time::Duration;

use crate::time::Instant;

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Tokens in a full bucket.
    pub(super) burst: u32,
    /// How long one token takes to come back.
    pub(super) every: Duration,
}

/// A bucket; the default one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// Whether no token is left.
    pub(super) fn is_empty(self, now: Instant, rate: Rate) -> bool {
        self.full_at.since(now) + rate.every > rate.every * rate.burst
    }

    /// The bucket with one token less (an empty one stays empty).
    pub(super) fn less(self, now: Instant, rate: Rate) -> Bucket {
        if self.is_empty(now, rate) {
            return self;
        }
        Bucket { full_at: self.full_at.max(now) + rate.every }
    }

    /// The bucket with one token more.
    pub(super) fn more(self, rate: Rate) -> Bucket {
        let every = u64::try_from(rate.every.as_nanos()).unwrap_or(u64::MAX);
        Bucket { full_at: Instant::from_nanos(self.full_at.as_nanos().saturating_sub(every)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, every: Duration::from_secs(1) };

    #[test]
    fn it_gives_its_burst_then_one_at_a_time() {
        let mut now = Instant::from_nanos(5_000_000_000);
        let mut bucket = Bucket::default();
        let mut given = 0;
        for _ in 0..10 {
            given += u32::from(!bucket.is_empty(now, RATE));
            bucket = bucket.less(now, RATE);
        }
        assert_eq!(given, 3);
        now += Duration::from_millis(999);
        assert!(bucket.is_empty(now, RATE));
        now += Duration::from_millis(1);
        assert!(!bucket.is_empty(now, RATE));
        bucket = bucket.less(now, RATE);
        assert!(bucket.is_empty(now, RATE));
        assert!(!bucket.more(RATE).is_empty(now, RATE));
        now += Duration::from_secs(100);
        for left in [3, 2, 1] {
            assert!(!bucket.is_empty(now, RATE), "{left}: no more than its burst comes back");
            bucket = bucket.less(now, RATE);
        }
        assert!(bucket.is_empty(now, RATE));
    }
}
