//! Opening hours: windows of local time, per weekday and per date, in a zone. Pure.
//!
//! A window belongs to the day it starts on. Whether a moment is inside it is decided on the line of moments, not on
//! the clock on the wall: both its ends are turned into moments first, which settles the clock changes.

mod rule;
mod window;

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

pub use window::{Window, WindowError};

use crate::time::WallTime;

/// A schedule in its own zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The zone its windows are written in.
    pub zone: Tz,
    /// Windows of each weekday, Monday first.
    week: [Vec<Window>; 7],
    /// Windows of dates, each in place of its weekday's.
    dates: Vec<(RangeInclusive<NaiveDate>, Vec<Window>)>,
}

impl Schedule {
    /// A schedule of a week (Monday first) in which each date of `dates` replaces its weekday whole; where
    /// two entries hold one date, the first does.
    pub fn new(zone: Tz, week: [Vec<Window>; 7], dates: Vec<(RangeInclusive<NaiveDate>, Vec<Window>)>) -> Schedule {
        Schedule { zone, week, dates }
    }

    /// Whether it is open at that moment.
    pub fn is_open(&self, at: WallTime) -> bool {
        let Some(today) = self.local_date(at) else { return false };
        self.openings(today, DAYS_AFTER).any(|(start, end)| start <= at && at < end)
    }

    /// The first moment after `at` (within the next 8 days) at which `is_open` changes.
    pub fn next_change(&self, at: WallTime) -> Option<WallTime> {
        let today = self.local_date(at)?;
        let limit = at.unix_millis().saturating_add(TimeDelta::days(HORIZON).num_milliseconds());
        let mut openings: Vec<_> =
            self.openings(today, HORIZON.unsigned_abs() + DAYS_AFTER).filter(|(_, end)| *end > at).collect();
        openings.sort_unstable();
        // While open: the end of the windows that touch one another. While shut: the first start.
        let mut open_until: Option<WallTime> = None;
        for (start, end) in openings {
            match open_until {
                None if start > at => return Some(start).filter(|start| start.unix_millis() <= limit),
                None => open_until = Some(end),
                Some(until) if start <= until => open_until = Some(until.max(end)),
                Some(_) => break,
            }
        }
        open_until.filter(|until| until.unix_millis() <= limit)
    }

    /// The windows, as moments, of the days around a date. Empty ones (both ends in one gap) are left out.
    fn openings(&self, today: NaiveDate, days_after: u64) -> impl Iterator<Item = (WallTime, WallTime)> {
        let first = today.checked_sub_days(Days::new(DAYS_BEFORE)).unwrap_or(today);
        (0..=DAYS_BEFORE + days_after).filter_map(move |days| first.checked_add_days(Days::new(days))).flat_map(
            move |day| {
                self.windows(day).iter().filter_map(move |window| {
                    let start = self.moment(day, window.start, Edge::Start)?;
                    let end = self.moment(day, window.end, Edge::End)?;
                    (start < end).then_some((start, end))
                })
            },
        )
    }

    /// The windows that start on a date, the date's own or its weekday's.
    fn windows(&self, day: NaiveDate) -> &[Window] {
        let weekday = day.weekday().num_days_from_monday();
        let of_date = self.dates.iter().find(|(dates, _)| dates.contains(&day)).map(|(_, windows)| windows);
        of_date.or_else(|| self.week.get(usize::try_from(weekday).ok()?)).map_or(&[], Vec::as_slice)
    }

    fn local_date(&self, at: WallTime) -> Option<NaiveDate> {
        let utc = DateTime::from_timestamp_millis(at.unix_millis())?;
        Some(self.zone.from_utc_datetime(&utc.naive_utc()).date_naive())
    }

    /// The moment of a local time, given in minutes after a date's midnight.
    fn moment(&self, day: NaiveDate, minutes: u16, edge: Edge) -> Option<WallTime> {
        let local = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::minutes(i64::from(minutes)))?;
        let moment = match (self.zone.from_local_datetime(&local), edge) {
            (MappedLocalTime::Single(moment), Edge::Start | Edge::End) => moment.timestamp_millis(),
            // a local time that occurs twice starts a window at its first occurrence …
            (MappedLocalTime::Ambiguous(first, _), Edge::Start) => first.timestamp_millis(),
            // … and ends one at its second.
            (MappedLocalTime::Ambiguous(_, second), Edge::End) => second.timestamp_millis(),
            // a local time that does not exist is the first instant after the gap.
            (MappedLocalTime::None, Edge::Start | Edge::End) => self.after_gap(local),
        };
        Some(WallTime::from_unix_millis(moment))
    }

    /// The first moment, in milliseconds, at which the clock on the wall shows more than a time it never shows.
    fn after_gap(&self, missing: NaiveDateTime) -> i64 {
        // No zone is a day away from UTC, so the clock shows less a day before and more a day after.
        let missing_as_utc = missing.and_utc().timestamp();
        let (mut before, mut after) = (missing_as_utc - 86_400, missing_as_utc + 86_400);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            let shown = DateTime::from_timestamp(middle, 0).map(|utc| self.zone.from_utc_datetime(&utc.naive_utc()));
            if shown.is_some_and(|shown| shown.naive_local() <= missing) {
                before = middle;
            } else {
                after = middle;
            }
        }
        after.saturating_mul(1000)
    }
}

/// Which end of a window a local time is.
#[derive(Clone, Copy)]
enum Edge {
    Start,
    End,
}

/// A window may last 24 hours and so begin on the day before; where a clock is put back over midnight, its second end
/// may come on a day after its own.
const DAYS_BEFORE: u64 = 2;

/// Where a clock is put back over midnight, the next day's window may have begun on a day that shows the date before.
const DAYS_AFTER: u64 = 1;

/// How far ahead `next_change` looks, in days.
const HORIZON: i64 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> WallTime {
        WallTime::from_unix_millis(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    fn windows(texts: &[&str]) -> Vec<Window> {
        texts.iter().map(|text| Window::parse(text).unwrap()).collect()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// Every day alike.
    fn daily(zone: Tz, texts: &[&str]) -> Schedule {
        Schedule::new(zone, std::array::from_fn(|_| windows(texts)), Vec::new())
    }

    /// Open, shut, …: the moments at which it changes, one after another.
    fn changes(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut moment = at(from);
        let mut shown = Vec::new();
        for _ in 0..count {
            let Some(next) = schedule.next_change(moment) else { break };
            let before = WallTime::from_unix_millis(next.unix_millis() - 1);
            assert_ne!(schedule.is_open(before), schedule.is_open(next), "a change is a change");
            let utc = DateTime::from_timestamp_millis(next.unix_millis()).unwrap();
            let local = schedule.zone.from_utc_datetime(&utc.naive_utc());
            shown.push(format!(
                "{} {}",
                local.format("%m-%d %H:%M%:z"),
                if schedule.is_open(next) { "open" } else { "shut" }
            ));
            moment = next;
        }
        shown
    }

    fn office() -> Schedule {
        let day = || windows(&["09:30-13:00", "14:00-18:30"]);
        let week = [day(), day(), day(), day(), day(), windows(&["10:00-14:00"]), vec![]];
        let dates = vec![
            (date("2026-01-26")..=date("2026-01-26"), vec![]),
            (date("2026-11-08")..=date("2026-11-08"), windows(&["18:00-21:00"])),
            (date("2026-12-24")..=date("2026-12-26"), vec![]),
        ];
        Schedule::new(Tz::Asia__Kolkata, week, dates)
    }

    #[test]
    fn windows_are_half_open() {
        // 2026-11-23 is a Monday.
        for (time, open) in [
            ("2026-11-23T09:29:59.999+05:30", false),
            ("2026-11-23T09:30:00+05:30", true),
            ("2026-11-23T12:59:59.999+05:30", true),
            ("2026-11-23T13:00:00+05:30", false),
            ("2026-11-23T14:00:00+05:30", true),
            ("2026-11-23T18:30:00+05:30", false),
            ("2026-11-28T10:00:00+05:30", true),
            ("2026-11-29T10:00:00+05:30", false),
        ] {
            assert_eq!(office().is_open(at(time)), open, "{time}");
        }
    }

    #[test]
    fn a_date_replaces_its_weekday_whole() {
        assert!(!office().is_open(at("2026-01-26T10:00:00+05:30")), "a Monday, closed");
        assert!(office().is_open(at("2026-11-08T18:00:00+05:30")), "a Sunday, open in the evening");
        for day in 24..=26 {
            assert!(!office().is_open(at(&format!("2026-12-{day}T10:30:00+05:30"))), "{day}");
        }
        assert!(office().is_open(at("2026-12-23T10:30:00+05:30")));
        assert!(office().is_open(at("2026-12-28T10:30:00+05:30")));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_starts_on() {
        let mut week: [Vec<Window>; 7] = Default::default();
        week[4] = windows(&["22:00-06:00"]); // Friday
        let dates = vec![(date("2026-11-27")..=date("2026-11-27"), vec![])]; // a Friday
        let schedule = Schedule::new(Tz::Asia__Kolkata, week, dates);
        assert!(schedule.is_open(at("2026-11-20T23:00:00+05:30")));
        assert!(schedule.is_open(at("2026-11-21T05:59:00+05:30")), "Saturday morning is Friday's night");
        assert!(!schedule.is_open(at("2026-11-21T06:00:00+05:30")));
        assert!(!schedule.is_open(at("2026-11-20T05:00:00+05:30")), "Friday morning is Thursday's");
        assert!(!schedule.is_open(at("2026-11-28T05:00:00+05:30")), "the closed Friday has no night");
    }

    #[test]
    fn a_closed_date_does_not_cut_the_night_of_the_day_before() {
        let dates = vec![(date("2026-11-27")..=date("2026-11-27"), vec![])];
        let schedule = Schedule::new(Tz::Asia__Kolkata, std::array::from_fn(|_| windows(&["22:00-06:00"])), dates);
        assert!(schedule.is_open(at("2026-11-27T05:00:00+05:30")), "Thursday's night");
        assert!(!schedule.is_open(at("2026-11-27T22:30:00+05:30")));
        assert!(!schedule.is_open(at("2026-11-28T05:00:00+05:30")));
    }

    #[test]
    fn a_window_that_ends_where_it_starts_is_24_hours() {
        let mut week: [Vec<Window>; 7] = Default::default();
        week[0] = windows(&["08:00-08:00"]);
        let schedule = Schedule::new(Tz::Europe__Berlin, week, vec![]);
        assert_eq!(changes(&schedule, "2026-11-22T12:00:00Z", 2), ["11-23 08:00+01:00 open", "11-24 08:00+01:00 shut"]);
    }

    #[test]
    fn all_day_every_day_never_changes() {
        for text in ["00:00-24:00", "00:00-00:00", "08:00-08:00"] {
            let schedule = daily(Tz::America__New_York, &[text]);
            assert!(schedule.is_open(at("2026-11-01T05:30:00Z")));
            assert_eq!(schedule.next_change(at("2026-11-01T05:30:00Z")), None, "{text}");
        }
        assert_eq!(daily(Tz::UTC, &[]).next_change(at("2026-11-01T05:30:00Z")), None);
    }

    #[test]
    fn a_missing_local_time_is_the_first_instant_after_the_gap() {
        // Berlin, 2026-03-29: 02:00 → 03:00.
        let schedule = daily(Tz::Europe__Berlin, &["02:30-06:00"]);
        assert_eq!(changes(&schedule, "2026-03-28T12:00:00Z", 2), ["03-29 03:00+02:00 open", "03-29 06:00+02:00 shut"]);
        let schedule = daily(Tz::Europe__Berlin, &["01:00-02:30"]);
        assert_eq!(changes(&schedule, "2026-03-28T12:00:00Z", 2), ["03-29 01:00+01:00 open", "03-29 03:00+02:00 shut"]);
        // Both ends in the gap: nothing is left of it that day.
        let schedule = daily(Tz::Europe__Berlin, &["02:10-02:50"]);
        assert_eq!(changes(&schedule, "2026-03-28T12:00:00Z", 1), ["03-30 02:10+02:00 open"]);
    }

    #[test]
    fn a_local_time_that_occurs_twice_starts_at_its_first_and_ends_at_its_second() {
        // New York, 2026-11-01: 02:00 EDT → 01:00 EST.
        let schedule = daily(Tz::America__New_York, &["01:30-05:00"]);
        assert_eq!(changes(&schedule, "2026-10-31T20:00:00Z", 2), ["11-01 01:30-04:00 open", "11-01 05:00-05:00 shut"]);
        let schedule = daily(Tz::America__New_York, &["00:00-01:30"]);
        assert_eq!(changes(&schedule, "2026-10-31T20:00:00Z", 2), ["11-01 00:00-04:00 open", "11-01 01:30-05:00 shut"]);
        let schedule = daily(Tz::America__New_York, &["01:10-01:20"]);
        assert_eq!(changes(&schedule, "2026-10-31T20:00:00Z", 2), ["11-01 01:10-04:00 open", "11-01 01:20-05:00 shut"]);
    }

    #[test]
    fn half_hour_clock_changes_are_exact() {
        // Lord Howe, 2026-10-04: 02:00 (+10:30) → 02:30 (+11); 2026-04-05: 02:00 (+11) → 01:30 (+10:30).
        let schedule = daily(Tz::Australia__Lord_Howe, &["02:15-03:00"]);
        assert_eq!(changes(&schedule, "2026-10-03T06:00:00Z", 2), ["10-04 02:30+11:00 open", "10-04 03:00+11:00 shut"]);
        let schedule = daily(Tz::Australia__Lord_Howe, &["01:45-01:50"]);
        assert_eq!(changes(&schedule, "2026-04-04T06:00:00Z", 2), ["04-05 01:45+11:00 open", "04-05 01:50+10:30 shut"]);
    }

    #[test]
    fn casablanca_leaves_and_enters_ramadan() {
        // 2026-02-15 03:00 +01 → 02:00 +00, and 2026-03-22 02:00 +00 → 03:00 +01.
        let schedule = daily(Tz::Africa__Casablanca, &["02:30-04:00"]);
        assert_eq!(changes(&schedule, "2026-02-14T12:00:00Z", 2), ["02-15 02:30+01:00 open", "02-15 04:00+00:00 shut"]);
        assert_eq!(changes(&schedule, "2026-03-21T12:00:00Z", 2), ["03-22 03:00+01:00 open", "03-22 04:00+01:00 shut"]);
    }

    #[test]
    fn a_day_that_never_was_has_no_windows() {
        // Apia went from the end of 2011-12-29 (-10) straight to 2011-12-31 (+14).
        let schedule = daily(Tz::Pacific__Apia, &["09:00-18:00"]);
        assert_eq!(
            changes(&schedule, "2011-12-29T19:00:00Z", 3),
            ["12-29 18:00-10:00 shut", "12-31 09:00+14:00 open", "12-31 18:00+14:00 shut"]
        );
        // The night of the 29th ends with the day; the night of the 30th begins there.
        let mut week: [Vec<Window>; 7] = Default::default();
        week[3] = windows(&["22:00-06:00"]); // Thursday the 29th
        let schedule = Schedule::new(Tz::Pacific__Apia, week.clone(), vec![]);
        assert_eq!(changes(&schedule, "2011-12-29T19:00:00Z", 2), ["12-29 22:00-10:00 open", "12-31 00:00+14:00 shut"]);
        week[3] = vec![];
        week[4] = windows(&["22:00-06:00"]); // Friday the 30th
        let schedule = Schedule::new(Tz::Pacific__Apia, week, vec![]);
        assert_eq!(changes(&schedule, "2011-12-29T19:00:00Z", 2), ["12-31 00:00+14:00 open", "12-31 06:00+14:00 shut"]);
    }

    #[test]
    fn a_clock_put_back_over_midnight_is_exact() {
        // Havana, 2026-11-01: 01:00 → 00:00. St. John's, 2010-11-07: 00:01 → 23:01 of the day before.
        let schedule = daily(Tz::America__Havana, &["20:00-24:00"]);
        assert_eq!(changes(&schedule, "2026-10-31T12:00:00Z", 2), ["10-31 20:00-04:00 open", "11-01 00:00-05:00 shut"]);
        let mut week: [Vec<Window>; 7] = Default::default();
        week[6] = windows(&["00:00-02:00"]); // Sunday the 7th
        let schedule = Schedule::new(Tz::America__St_Johns, week.clone(), vec![]);
        assert_eq!(changes(&schedule, "2010-11-06T12:00:00Z", 2), ["11-07 00:00-02:30 open", "11-07 02:00-03:30 shut"]);
        week[6] = vec![];
        week[4] = windows(&["23:30-23:30"]); // Friday the 5th
        let schedule = Schedule::new(Tz::America__St_Johns, week, vec![]);
        assert_eq!(changes(&schedule, "2010-11-05T12:00:00Z", 2), ["11-05 23:30-02:30 open", "11-06 23:30-03:30 shut"]);
    }

    #[test]
    fn windows_that_touch_or_overlap_are_one() {
        let schedule = daily(Tz::Asia__Kolkata, &["09:00-12:00", "12:00-15:00", "14:00-17:00", "16:00-16:30"]);
        assert_eq!(
            changes(&schedule, "2026-11-23T00:00:00+05:30", 2),
            ["11-23 09:00+05:30 open", "11-23 17:00+05:30 shut"]
        );
    }

    #[test]
    fn a_change_farther_than_eight_days_is_not_looked_for() {
        let dates = vec![(date("2026-12-10")..=date("2026-12-10"), windows(&["10:00-11:00"]))];
        let schedule = Schedule::new(Tz::UTC, Default::default(), dates);
        assert_eq!(schedule.next_change(at("2026-12-02T09:59:59Z")), None);
        assert_eq!(schedule.next_change(at("2026-12-02T10:00:00Z")), Some(at("2026-12-10T10:00:00Z")));
    }

    #[test]
    fn moments_out_of_all_calendars_are_shut() {
        for millis in [i64::MIN, i64::MAX] {
            let moment = WallTime::from_unix_millis(millis);
            assert!(!daily(Tz::UTC, &["00:00-24:00"]).is_open(moment));
            assert_eq!(daily(Tz::UTC, &["00:00-24:00"]).next_change(moment), None);
        }
    }

    proptest! {
        /// In a zone whose clock never changes, R-3 is arithmetic on minutes of the week.
        #[test]
        fn agrees_with_arithmetic_where_clocks_stand(
            week in proptest::array::uniform7(proptest::collection::vec((0u16..1440, 0u16..=1440), 0..4)),
            minute in 0i64..(7 * 1440),
        ) {
            let text = |(start, end): &(u16, u16)| format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
            let schedule = Schedule::new(
                Tz::Asia__Kolkata,
                std::array::from_fn(|day| week[day].iter().map(|window| Window::parse(&text(window)).unwrap()).collect()),
                vec![],
            );
            // 2026-11-23 is a Monday.
            let monday = at("2026-11-23T00:00:00+05:30").unix_millis();
            let open = (0i64..7).any(|day| week[day as usize].iter().any(|&(start, end)| {
                let length = if end > start { end - start } else { end + 1440 - start };
                let since = (minute - day * 1440 - i64::from(start)).rem_euclid(7 * 1440);
                since < i64::from(length)
            }));
            prop_assert_eq!(schedule.is_open(WallTime::from_unix_millis(monday + minute * 60_000)), open);
        }

        /// Between a moment and its next change nothing changes, in zones whose clocks do.
        #[test]
        fn nothing_changes_before_the_next_change(
            zone in proptest::sample::select(vec![Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Africa__Casablanca]),
            start in 0u16..1440, end in 0u16..=1440,
            hour in 0i64..(2 * 365 * 24), part in 0i64..1000,
        ) {
            let text = format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
            let schedule = daily(zone, &[&text]);
            let from = at("2025-01-01T00:00:00Z").unix_millis() + hour * 3_600_000;
            let open = schedule.is_open(WallTime::from_unix_millis(from));
            match schedule.next_change(WallTime::from_unix_millis(from)) {
                Some(next) => {
                    let between = from + (next.unix_millis() - 1 - from) * part / 1000;
                    prop_assert_eq!(schedule.is_open(WallTime::from_unix_millis(between)), open);
                    prop_assert_eq!(schedule.is_open(next), !open);
                }
                None => prop_assert!(open, "a day's window opens within 8 days"),
            }
        }
    }
}
