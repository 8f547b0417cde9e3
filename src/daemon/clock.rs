//! The only place where clocks are read. Everything else is told what time it is.

use std::time::SystemTime;

use crate::time::{Instant, Now, WallTime};

/// The daemon's clock: monotonic time counted from when it was started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Clock {
        Clock { origin: std::time::Instant::now() }
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        Now { mono: self.mono(), wall: wall() }
    }

    /// The monotonic clock alone.
    pub fn mono(&self) -> Instant {
        // 584 years fit into 64 bits of nanoseconds.
        Instant::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)) + BEFORE
    }

    /// The same point as the runtime's timers count it.
    pub fn on_runtime(&self, at: Instant) -> tokio::time::Instant {
        let length = at.since(Instant::ORIGIN + BEFORE);
        // A deadline further away than the platform's clock can say is as good as none; an hour is soon enough to look again.
        let at = self.origin.checked_add(length).unwrap_or_else(|| std::time::Instant::now() + HOUR);
        tokio::time::Instant::from_std(at)
    }
}

/// How far before its start the clock reaches back: calls that a restart finds began before.
const BEFORE: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// What the clock on the wall shows. Before 1970 it counts as 1970.
pub fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_unix_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The same clock to the microsecond, for the capture: microseconds since 1970.
pub(super) fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn monotonic_time_does_not_run_backwards() {
        let clock = Clock::start();
        let first = clock.mono();
        assert!(clock.mono() >= first);
    }

    #[test]
    fn a_deadline_beyond_the_platform_clock_is_looked_at_again_within_hours() {
        let clock = Clock::start();
        let never = clock.on_runtime(Instant::from_nanos(u64::MAX));
        assert!(never > tokio::time::Instant::now());
    }

    #[test]
    fn runtime_deadlines_keep_their_distance() {
        let clock = Clock::start();
        let now = clock.mono();
        let apart = clock.on_runtime(now + Duration::from_secs(5)) - clock.on_runtime(now);
        assert_eq!(apart, Duration::from_secs(5));
    }
}
