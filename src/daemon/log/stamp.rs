//! What time a line bears. Its seconds are written once a second, for they are the dearest part of a line.

use std::cell::RefCell;
use std::fmt;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::daemon::clock::wall;

/// What stands before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// The journal has its own.
    Nothing,
    /// RFC 3339 in UTC.
    Utc,
    /// The machine's zone.
    Local(Tz),
}

/// The second that was written last, and how: what stands before the milliseconds and behind them.
#[derive(Default)]
struct Second {
    unix: Option<i64>,
    before: String,
    behind: String,
}

thread_local! {
    static LAST: RefCell<Second> = RefCell::default();
}

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        self.write(wall().unix_millis(), writer)
    }
}

impl Stamp {
    fn write(self, millis: i64, writer: &mut impl fmt::Write) -> fmt::Result {
        if self == Stamp::Nothing {
            return Ok(());
        }
        let unix = millis.div_euclid(1000);
        // A process has one stamp, and each thread its last second.
        LAST.with_borrow_mut(|last| {
            if last.unix != Some(unix) {
                *last = self.second(unix);
            }
            write!(writer, "{}.{:03}{}", last.before, millis.rem_euclid(1000), last.behind)
        })
    }

    fn second(self, unix: i64) -> Second {
        let now: DateTime<Utc> = DateTime::from_timestamp(unix, 0).unwrap_or_default();
        let (before, behind) = match self {
            Stamp::Nothing => (String::new(), String::new()),
            Stamp::Utc => (now.format("%Y-%m-%dT%H:%M:%S").to_string(), "Z".to_owned()),
            Stamp::Local(zone) => {
                let here = now.with_timezone(&zone);
                (here.format("%Y-%m-%d %H:%M:%S").to_string(), here.format(" %Z").to_string())
            }
        };
        Second { unix: Some(unix), before, behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own: a process has one stamp, a test has several.
    fn written(stamp: Stamp, millis: Vec<i64>) -> Vec<String> {
        let write = move || {
            let one = |millis| {
                let mut text = String::new();
                stamp.write(millis, &mut text).unwrap();
                text
            };
            millis.into_iter().map(one).collect()
        };
        std::thread::spawn(write).join().unwrap()
    }

    #[test]
    fn each_line_has_its_own_time() {
        let millis = vec![1_795_323_660_007, 1_795_323_660_999, 1_795_323_661_000];
        let utc = ["2026-11-22T05:01:00.007Z", "2026-11-22T05:01:00.999Z", "2026-11-22T05:01:01.000Z"];
        assert_eq!(written(Stamp::Utc, millis.clone()), utc);
        let kolkata = ["2026-11-22 10:31:00.007 IST", "2026-11-22 10:31:00.999 IST", "2026-11-22 10:31:01.000 IST"];
        assert_eq!(written(Stamp::Local(Tz::Asia__Kolkata), millis.clone()), kolkata);
        assert_eq!(written(Stamp::Nothing, millis), ["", "", ""]);
    }
}
