//! Which line of a schedule decides about a moment, as an admin wrote it: what `explain` and the records quote.

use chrono::{Datelike, NaiveDate, Weekday};

use super::{DAYS_AFTER, DAYS_BEFORE, Edge, Schedule, Window};
use crate::time::WallTime;

impl Schedule {
    /// The line that opens a moment (`mon 09:30-13:00`, `fri 22:00-06:00` for the night after it), or else the one that was
    /// valid for the day and holds no such time: `mon 09:30-13:00, 14:00-18:30`, `sun closed`, `2026-12-24..2026-12-26 closed`.
    pub fn line_at(&self, at: WallTime) -> String {
        let Some(today) = self.local_date(at) else { return "closed".to_owned() };
        let first = today.checked_sub_days(chrono::Days::new(DAYS_BEFORE)).unwrap_or(today);
        for days in (0..=DAYS_BEFORE + DAYS_AFTER).rev() {
            let Some(day) = first.checked_add_days(chrono::Days::new(days)) else { continue };
            for window in self.windows(day) {
                let start = self.moment(day, window.start, Edge::Start);
                let end = self.moment(day, window.end, Edge::End);
                if start.zip(end).is_some_and(|(start, end)| start <= at && at < end) {
                    return format!("{} {window}", self.name_of(day));
                }
            }
        }
        let windows: Vec<String> = self.windows(today).iter().map(Window::to_string).collect();
        let windows = if windows.is_empty() { "closed".to_owned() } else { windows.join(", ") };
        format!("{} {windows}", self.name_of(today))
    }

    /// a day is known by the entry of `dates` that holds it, else by its weekday.
    fn name_of(&self, day: NaiveDate) -> String {
        match self.dates.iter().find(|(dates, _)| dates.contains(&day)) {
            Some((dates, _)) if dates.start() == dates.end() => day.to_string(),
            Some((dates, _)) => format!("{}..{}", dates.start(), dates.end()),
            None => weekday(day.weekday()).to_owned(),
        }
    }
}

/// As the configuration writes it.
fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "mon",
        Weekday::Tue => "tue",
        Weekday::Wed => "wed",
        Weekday::Thu => "thu",
        Weekday::Fri => "fri",
        Weekday::Sat => "sat",
        Weekday::Sun => "sun",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use chrono_tz::Tz;

    fn windows(texts: &[&str]) -> Vec<Window> {
        texts.iter().map(|text| Window::parse(text).unwrap()).collect()
    }

    #[test]
    fn the_line_that_decides_is_named_as_it_is_written() {
        let day = || windows(&["09:30-13:00", "14:00-18:30"]);
        let week = [day(), day(), day(), day(), windows(&["22:00-06:00"]), vec![], vec![]];
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let dates = vec![
            (date("2026-11-24")..=date("2026-11-24"), windows(&["18:00-21:00"])),
            (date("2026-12-24")..=date("2026-12-26"), vec![]),
        ];
        let schedule = Schedule::new(Tz::Asia__Kolkata, week, dates);
        for (time, line) in [
            ("2026-11-23T10:00:00+05:30", "mon 09:30-13:00"),
            ("2026-11-23T13:00:00+05:30", "mon 09:30-13:00, 14:00-18:30"),
            ("2026-11-23T14:00:00+05:30", "mon 14:00-18:30"),
            ("2026-11-24T10:00:00+05:30", "2026-11-24 18:00-21:00"),
            ("2026-11-24T18:00:00+05:30", "2026-11-24 18:00-21:00"),
            ("2026-11-28T05:00:00+05:30", "fri 22:00-06:00"),
            ("2026-11-28T06:00:00+05:30", "sat closed"),
            ("2026-12-25T10:00:00+05:30", "2026-12-24..2026-12-26 closed"),
        ] {
            let at = WallTime::from_unix_millis(DateTime::parse_from_rfc3339(time).unwrap().timestamp_millis());
            assert_eq!(schedule.line_at(at), line, "{time}");
        }
        assert_eq!(schedule.line_at(WallTime::from_unix_millis(i64::MAX)), "closed");
    }
}
