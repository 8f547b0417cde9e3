//! Times for people: local, with their zone.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// The machine's zone: `TZ`, else what `/etc/localtime` points to; `None` where neither names one.
pub fn local_zone() -> Option<Tz> {
    let named = std::env::var("TZ").ok().and_then(|zone| zone.trim_start_matches(':').parse().ok());
    named.or_else(|| {
        let target = std::fs::read_link("/etc/localtime").ok()?;
        zone_in_path(target.to_str()?)
    })
}

fn zone_in_path(path: &str) -> Option<Tz> {
    path.split_once("zoneinfo/")?.1.parse().ok()
}

/// Milliseconds since 1970 as a clock in that zone shows them; the date too, unless it is `today`'s. An unknown zone is UTC, and
/// says so.
pub(super) fn clock(millis: i64, zone: &str, today: i64) -> String {
    let zone: Tz = zone.parse().unwrap_or(Tz::UTC);
    let (at, today) = (local(millis, zone), local(today, zone));
    if at.date_naive() == today.date_naive() {
        at.format("%H:%M:%S %Z").to_string()
    } else {
        at.format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}

/// How long between two moments: `4 s`, `3 min 05 s`, `2 h 07 min`, `3 d 4 h`.
pub(super) fn length(from: i64, to: i64) -> String {
    let seconds = to.saturating_sub(from).max(0) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if minutes == 0 {
        format!("{seconds} s")
    } else if hours == 0 {
        format!("{minutes} min {:02} s", seconds % 60)
    } else if days == 0 {
        format!("{hours} h {:02} min", minutes % 60)
    } else {
        format!("{days} d {} h", hours % 24)
    }
}

fn local(millis: i64, zone: Tz) -> DateTime<Tz> {
    DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or_default().with_timezone(&zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-11-22T05:01:00Z
    const MORNING: i64 = 1_795_323_660_000;

    #[test]
    fn a_time_is_on_the_companys_clock() {
        assert_eq!(clock(MORNING, "Asia/Kolkata", MORNING), "10:31:00 IST");
        assert_eq!(clock(MORNING, "Europe/London", MORNING), "05:01:00 GMT");
    }

    #[test]
    fn another_day_has_its_date() {
        let yesterday = MORNING - 86_400_000;
        assert_eq!(clock(yesterday, "Asia/Kolkata", MORNING), "2026-11-21 10:31:00 IST");
        // The same moment may be another day elsewhere: at 05:01 UTC it is still the 21st in Los Angeles.
        assert_eq!(clock(MORNING - 5 * 3_600_000, "America/Los_Angeles", MORNING), "16:01:00 PST");
    }

    #[test]
    fn an_unknown_zone_says_utc() {
        assert_eq!(clock(MORNING, "Mars/Olympus", MORNING), "05:01:00 UTC");
    }

    #[test]
    fn lengths_read_easily() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 00 s"),
            (185, "3 min 05 s"),
            (7620, "2 h 07 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(length(0, seconds * 1000), text);
        }
        assert_eq!(length(5000, 0), "0 s", "clocks may jump back");
    }

    #[test]
    fn the_zone_is_read_off_the_link() {
        assert_eq!(zone_in_path("/usr/share/zoneinfo/Asia/Kolkata"), Some(Tz::Asia__Kolkata));
        assert_eq!(zone_in_path("/etc/somewhere"), None);
    }
}
