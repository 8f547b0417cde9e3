//! How long the four machines wait: T1, T2 and T4, and the rule by which copies of a message are spaced.
//!
//! Owns no state but a retransmission's own. RFC 3261 §17 and its table of timers (appendix A).

use std::time::Duration;

use crate::time::Instant;

/// The three times every timer of RFC 3261 §17 is made of.
///
/// `t1` is at least a millisecond and at most `t2`: spacing falls back to a millisecond where `t1` is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The round trip guessed at: the first copy leaves after it.
    pub t1: Duration,
    /// The longest spacing of copies (all but those of an INVITE).
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
}

impl Default for Timing {
    /// RFC 3261's values: 500 ms, 4 s, 5 s.
    fn default() -> Timing {
        Timing { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timing {
    /// RFC 4320 §4.1: when a 100 for a non-INVITE request may leave over an unreliable transport, and must leave over
    /// any if there was no other response: as long as a client's Timer E takes to be reset to T2 (3.5 s by default).
    pub fn until_trying(self) -> Duration {
        let mut passed = Duration::ZERO;
        let mut interval = self.t1.max(SHORTEST);
        while interval < self.t2 {
            passed = passed.saturating_add(interval);
            interval = interval.saturating_mul(2);
        }
        passed
    }

    /// 64·T1: how long an unanswered request, or an unacknowledged final response, is kept alive. Timers B, F, H, J, L
    /// and M.
    pub fn patience(self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D over an unreliable transport: 64·T1, and at least 32 s.
    pub(super) fn timer_d(self) -> Duration {
        // RFC 3261 §17.1.1.2: the UAS may keep its Timer H at the default T1 whatever ours is.
        self.patience().max(Duration::from_secs(32))
    }
}

/// Whether the transport delivers what it accepted, in which case nothing is ever sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// TCP, TLS, WebSocket.
    Reliable,
    /// UDP.
    Unreliable,
}

impl Reliability {
    /// A timer that waits for stray copies: as long as that on an unreliable transport, zero on a reliable one.
    pub(super) fn linger(self, length: Duration) -> Duration {
        match self {
            Reliability::Reliable => Duration::ZERO,
            Reliability::Unreliable => length,
        }
    }
}

/// The least spacing of two copies, so that a T1 of zero cannot make a machine spin.
const SHORTEST: Duration = Duration::from_millis(1);

/// Timers A, E and G: when the next copy leaves, and how far behind it the one after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copies {
    next: Instant,
    interval: Duration,
    cap: Option<Duration>,
}

impl Copies {
    /// Copies of a message first sent at `now`: after T1, then after 2·T1 more, and so on, no two further apart than
    /// `cap`. None over a reliable transport.
    pub(super) fn armed(
        now: Instant,
        timing: Timing,
        reliability: Reliability,
        cap: Option<Duration>,
    ) -> Option<Copies> {
        let interval = timing.t1.max(SHORTEST);
        match reliability {
            Reliability::Reliable => None,
            Reliability::Unreliable => Some(Copies { next: now + interval, interval, cap }.doubled()),
        }
    }

    /// When the next copy leaves.
    pub(super) fn next(self) -> Instant {
        self.next
    }

    /// From the copy that is due on, copies are `interval` apart.
    pub(super) fn every(mut self, interval: Duration) -> Copies {
        self.interval = interval.max(SHORTEST);
        self.cap = Some(self.interval);
        self
    }

    /// What follows a copy that left at `now`.
    ///
    /// The next keeps to the schedule counted from the first message, T1·(2ⁿ−1), so that ticks rounded up do not add
    /// up; what fell due while the process was paused is skipped, so that there is no burst when it wakes.
    pub(super) fn after_copy(mut self, now: Instant) -> Copies {
        while self.next <= now && self.next < END_OF_TIME {
            self.next += self.interval;
            self = self.doubled();
        }
        self
    }

    fn doubled(mut self) -> Copies {
        self.interval = self.interval.saturating_mul(2);
        if let Some(cap) = self.cap {
            self.interval = self.interval.min(cap).max(SHORTEST);
        }
        self
    }
}

const END_OF_TIME: Instant = Instant::from_nanos(u64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_non_invite_100_waits_until_timer_e_would_reach_t2() {
        assert_eq!(Timing::default().until_trying(), Duration::from_millis(3500));
        let quick = Timing { t1: Duration::from_secs(4), ..Timing::default() };
        assert_eq!(quick.until_trying(), Duration::ZERO);
    }

    #[test]
    fn timers_of_a_t1_of_zero_still_advance() {
        let zero = Timing { t1: Duration::ZERO, ..Timing::default() };
        let copies = Copies::armed(Instant::ORIGIN, zero, Reliability::Unreliable, None).unwrap();
        let late = Instant::ORIGIN + Duration::from_secs(600);
        assert!(copies.after_copy(late).next() > late);
    }

    #[test]
    fn copies_end_with_the_clock() {
        let copies = Copies::armed(Instant::ORIGIN, Timing::default(), Reliability::Unreliable, None).unwrap();
        assert_eq!(copies.after_copy(END_OF_TIME).next(), END_OF_TIME);
    }
}
