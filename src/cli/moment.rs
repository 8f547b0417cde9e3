//! Moments as people type them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::time::WallTime;

/// A moment: RFC 3339; `2026-11-22 10:00` or `2026-11-22` on that clock; `now`, `today`, `yesterday`; `30m`, `2h`, `7d` ago.
///
/// # Errors
/// In words, what would be right.
pub(super) fn read(text: &str, now: WallTime, zone: Tz) -> Result<WallTime, String> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(WallTime::from_unix_millis(at.timestamp_millis()));
    }
    if text == "now" {
        return Ok(now);
    }
    if let Some(ago) = ago(text) {
        return Ok(WallTime::from_unix_millis(now.unix_millis().saturating_sub(ago)));
    }
    let forms = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    if let Some(local) = local.filter(|_| begins_with_a_year(text)) {
        return Ok(on_clock(local, zone));
    }
    date(text, now, zone).map(|date| midnight(date, zone)).map_err(|_| {
        format!(
            "`{text}` is no time: write 2026-11-22T10:00:00+05:30, \"2026-11-22 10:00\" or 2026-11-22 on the company's clock, today, \
             yesterday, or how long ago: 30m, 2h, 7d"
        )
    })
}

/// A date: `2026-11-22`, `today`, `yesterday`.
///
/// # Errors
/// In words, what would be right.
pub(super) fn date(text: &str, now: WallTime, zone: Tz) -> Result<NaiveDate, String> {
    let today =
        DateTime::from_timestamp_millis(now.unix_millis()).unwrap_or_default().with_timezone(&zone).date_naive();
    match text.trim() {
        "today" => Ok(today),
        "yesterday" => Ok(today.pred_opt().unwrap_or(today)),
        other => NaiveDate::parse_from_str(other, "%Y-%m-%d")
            .ok()
            .filter(|_| begins_with_a_year(other))
            .ok_or_else(|| format!("`{text}` is no date: write 2026-11-22, today or yesterday")),
    }
}

/// Four digits, as RFC 3339 has them: the calendar goes on to where the clock ends, and what is computed from its days would not.
fn begins_with_a_year(text: &str) -> bool {
    text.split_once('-').is_some_and(|(year, _)| year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()))
}

/// When that day begins on that clock.
pub(super) fn midnight(date: NaiveDate, zone: Tz) -> WallTime {
    on_clock(date.and_time(NaiveTime::MIN), zone)
}

/// A local time that occurs twice is its first; one that does not exist the first moment after the gap (as ).
fn on_clock(local: NaiveDateTime, zone: Tz) -> WallTime {
    let minutes = (0..24 * 60).filter_map(|minutes| local.checked_add_signed(TimeDelta::minutes(minutes)));
    let at = minutes.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    WallTime::from_unix_millis(at.map_or(0, |at| at.timestamp_millis()))
}

/// Milliseconds.
fn ago(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 7 * 86_400_000,
        _ => return None,
    };
    let number = text.get(..text.len() - 1).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.parse::<i64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-11-22T05:01:00Z, 10:31 in Kolkata.
    const NOW: WallTime = WallTime::from_unix_millis(1_795_323_660_000);

    fn utc(text: &str, zone: Tz) -> String {
        let at = read(text, NOW, zone).unwrap();
        DateTime::from_timestamp_millis(at.unix_millis()).unwrap().to_rfc3339()
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2026-11-22T10:00:00+05:30", "2026-11-22T04:30:00+00:00"),
            ("2026-11-22 10:00", "2026-11-22T04:30:00+00:00"),
            ("2026-11-22", "2026-11-21T18:30:00+00:00"),
            ("today", "2026-11-21T18:30:00+00:00"),
            ("yesterday", "2026-11-20T18:30:00+00:00"),
            ("now", "2026-11-22T05:01:00+00:00"),
            ("2h", "2026-11-22T03:01:00+00:00"),
            ("30m", "2026-11-22T04:31:00+00:00"),
            ("7d", "2026-11-15T05:01:00+00:00"),
        ] {
            assert_eq!(utc(text, Tz::Asia__Kolkata), expected, "{text}");
        }
        for text in ["", "h", "-2h", "tomorrow", "2026-13-01", "10:00", "99999999999999999999d", "2 d", "é"] {
            assert!(read(text, NOW, Tz::Asia__Kolkata).is_err(), "{text}");
        }
    }

    #[test]
    fn years_have_four_digits_and_none_is_too_far() {
        for text in
            ["+262142-12-31 23:59", "+262142-12-31", "-262143-01-01", "12026-11-22", "26-11-22", "026-11-22 10:00"]
        {
            assert!(read(text, NOW, Tz::Asia__Kolkata).is_err(), "{text}");
            assert!(date(text, NOW, Tz::Asia__Kolkata).is_err(), "{text}");
        }
        assert_eq!(utc("9999-12-31 23:59", Tz::UTC), "9999-12-31T23:59:00+00:00");
        assert_eq!(utc("0001-01-01", Tz::UTC), "0001-01-01T00:00:00+00:00");
    }

    #[test]
    fn clocks_that_jump_over_midnight_begin_the_day_after_the_gap() {
        // Beirut's clocks went from 23:59 on 30 March 2024 to 01:00.
        assert_eq!(utc("2024-03-31", Tz::Asia__Beirut), "2024-03-30T22:00:00+00:00");
        // Two o'clock comes twice in Berlin on 26 October 2025.
        assert_eq!(utc("2025-10-26 02:30", Tz::Europe__Berlin), "2025-10-26T00:30:00+00:00");
    }
}
