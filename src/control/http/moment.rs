//! Times as the API writes and reads them: RFC 3339 with a zone.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;

use super::problem::Problem;

/// Milliseconds since 1970 on a zone's clock: `2026-11-22T10:00:00.250+05:30`. The end of all calendars shows the epoch.
pub(super) fn written(millis: i64, zone: Tz) -> String {
    let utc: DateTime<Utc> = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    utc.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Millis, false)
}

/// A zone by its name; the engine's views name zones of the configuration.
pub(super) fn zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

/// Milliseconds since 1970 of a parameter.
///
/// # Errors
/// 400, naming the parameter and what would be right.
pub(super) fn read(name: &str, text: &str) -> Result<i64, Problem> {
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| {
        Problem::nonsense(format!(
            "`{name}` is no time: write 2026-11-22T10:00:00+05:30 (in a query a + is written %2B) or 2026-11-22T04:30:00Z"
        ))
    })?;
    Ok(at.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_zone() {
        assert_eq!(written(1_795_322_400_250, Tz::Asia__Kolkata), "2026-11-22T10:10:00.250+05:30");
        assert_eq!(written(1_795_322_400_000, Tz::UTC), "2026-11-22T04:40:00.000+00:00");
        assert_eq!(read("since", "2026-11-22T10:10:00.250+05:30").unwrap(), 1_795_322_400_250);
        for wrong in ["", "yesterday", "2026-11-22T10:10:00", "2026-11-22T10:10:00 05:30"] {
            assert!(read("since", wrong).is_err(), "{wrong}");
        }
    }
}
