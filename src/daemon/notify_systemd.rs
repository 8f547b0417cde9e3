//! What systemd is told (sd_notify(3)); nothing, where it did not start us.

use std::time::Duration;

use sd_notify::NotifyState;

/// Who is told about the daemon's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// systemd, where it started us.
    ToSystemd,
    /// Nobody: a daemon inside another program (tests, the demonstration).
    ToNobody,
}

impl Announce {
    /// Sockets and control socket are up, or a reload is over.
    pub(super) fn ready(self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins. `Type=notify-reload` wants the time it began; `Type=notify` ignores it.
    pub(super) fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// No new calls; the daemon ends when the running ones do.
    pub(super) fn stopping(self, status: &str) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// One line for `systemctl status`.
    pub(super) fn status(self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    fn tell(self, what: &[NotifyState<'_>]) {
        match self {
            // Whether systemd listens is its business; a daemon without it works as well.
            Announce::ToSystemd => drop(sd_notify::notify(what)),
            Announce::ToNobody => {}
        }
    }
}

/// How often the watchdog wants to hear of us: half of `WatchdogSec`, `None` without one.
pub(super) fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|period| !period.is_zero())
}

/// All is well: told by the engine's thread alone, after a turn in which everything was done.
pub(super) fn alive() {
    let _ = sd_notify::notify(&[NotifyState::Watchdog]);
}
