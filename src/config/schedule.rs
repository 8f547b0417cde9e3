//! `[hours.X]`: weeks and dates to a [`Schedule`].

use std::ops::RangeInclusive;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::suggest::nearest;
use super::tree::{At, Entry, Finding, Findings, Table, Value, Wrong};
use super::words;
use crate::hours::{Schedule, Window};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Reads one schedule; `zone` is the company's.
pub(super) fn read(table: &Table<'_>, zone: Tz, findings: &mut Findings) -> Schedule {
    table.allow(&["timezone", "week", "dates"], findings);
    let zone = table.value("timezone").and_then(|value| value.read(findings, words::zone)).unwrap_or(zone);
    if table.value("week").is_none() && table.value("dates").is_none() {
        findings.report(
            Finding::new(&table.at, "these hours are never open: they have neither `week` nor `dates`")
                .label("never open")
                .help("like `week = { mon-fri = [\"09:30-13:00\", \"14:00-18:30\"] }`")
                .absent_from(table.at.file),
        );
    }
    Schedule::new(
        zone,
        week(&table.table("week", findings), findings),
        dates(&table.table("dates", findings), findings),
    )
}

fn week(table: &Table<'_>, findings: &mut Findings) -> [Vec<Window>; 7] {
    let mut week: [Vec<Window>; 7] = Default::default();
    let mut written: [Option<At>; 7] = Default::default();
    for entry in table.entries() {
        let windows = windows(&entry.value, findings);
        let days = match weekdays(entry.name) {
            Ok(days) => days,
            Err(wrong) => {
                findings.wrong(&entry.at, wrong);
                continue;
            }
        };
        for day in days {
            let (Some(place), Some(slot)) = (written.get_mut(day), week.get_mut(day)) else { continue };
            match place {
                Some(first) => {
                    let name = DAYS.get(day).copied().unwrap_or_default();
                    findings.report(
                        Finding::new(&entry.at, format!("`{name}` is written twice"))
                            .label("again here")
                            .related(first, "first here")
                            .help(format!("put all windows of `{name}` under one key")),
                    );
                    break;
                }
                None => {
                    *place = Some(entry.at.clone());
                    slot.clone_from(&windows);
                }
            }
        }
    }
    week
}

/// `mon`, `mon-fri`, `fri-mon`: positions in the week.
fn weekdays(text: &str) -> Result<Vec<usize>, Wrong> {
    let day = |name: &str| {
        DAYS.iter().position(|day| *day == name).ok_or_else(|| {
            let lower = name.to_lowercase();
            let long = DAY_NAMES.iter().position(|day| *day == lower).and_then(|at| DAYS.get(at).copied());
            let all = "mon, tue, wed, thu, fri, sat, sun, or a range like mon-fri";
            let help = match long.or_else(|| nearest(name, DAYS)) {
                Some(near) => format!("did you mean `{near}`? {all}"),
                None => all.to_owned(),
            };
            Wrong::new(format!("`{name}` is not a weekday"), help)
        })
    };
    let Some((first, last)) = text.split_once('-') else { return Ok(vec![day(text)?]) };
    let (first, last) = (day(first)?, day(last)?);
    if first == last {
        let help = "one day is written alone, like `mon`; the whole week is mon-sun";
        return Err(Wrong::new(format!("`{text}` begins and ends on the same day"), help));
    }
    let length = (last + 7 - first) % 7;
    Ok((0..=length).map(|after| (first + after) % 7).collect())
}

fn dates(table: &Table<'_>, findings: &mut Findings) -> Vec<(RangeInclusive<NaiveDate>, Vec<Window>)> {
    let mut read: Vec<(RangeInclusive<NaiveDate>, Vec<Window>, &Entry<'_>)> = Vec::new();
    for entry in table.entries() {
        let windows = windows(&entry.value, findings);
        match date_range(entry.name) {
            Ok(range) => read.push((range, windows, entry)),
            Err(wrong) => findings.wrong(&entry.at, wrong),
        }
    }
    read.sort_by_key(|(range, _, entry)| (*range.start(), entry.at.span.start));
    let mut latest: Option<(NaiveDate, &Entry<'_>)> = None;
    for (range, _, entry) in &read {
        if let Some((_, other)) = latest.filter(|(end, _)| end >= range.start()) {
            let (first, again) =
                if other.at.span.start <= entry.at.span.start { (other, *entry) } else { (*entry, other) };
            findings.report(
                Finding::new(&again.at, format!("{} is in `{}` and in `{}`", range.start(), first.name, again.name))
                    .label("again here")
                    .related(&first.at, "first here")
                    .help("each date may stand under one key only"),
            );
        }
        if latest.is_none_or(|(end, _)| end < *range.end()) {
            latest = Some((*range.end(), entry));
        }
    }
    read.into_iter().map(|(range, windows, _)| (range, windows)).collect()
}

/// `2026-01-26`, `2026-12-24..2026-12-26`.
fn date_range(text: &str) -> Result<RangeInclusive<NaiveDate>, Wrong> {
    let Some((first, last)) = text.split_once("..") else {
        let date = date(text)?;
        return Ok(date..=date);
    };
    let (start, end) = (date(first)?, date(last)?);
    if end < start {
        let message = format!("`{text}` ends before it begins");
        return Err(Wrong::new(message, format!("the earlier date first: \"{last}..{first}\"")));
    }
    Ok(start..=end)
}

fn date(text: &str) -> Result<NaiveDate, Wrong> {
    let help = "a date as \"2026-01-26\", or dates from and to as \"2026-12-24..2026-12-26\"";
    let shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| shaped);
    parsed.ok_or_else(|| Wrong::new(format!("`{text}` is not a date"), help))
}

fn windows(value: &Value<'_>, findings: &mut Findings) -> Vec<Window> {
    let Some(list) = value.list(findings) else { return Vec::new() };
    list.iter().filter_map(|value| value.read(findings, window)).collect()
}

fn window(text: &str) -> Result<Window, Wrong> {
    Window::parse(text).map_err(|error| {
        Wrong::new(
            format!("`{text}` is not a window: {error}"),
            "like \"09:30-13:00\"; \"22:00-06:00\" runs over midnight, \"24:00\" may end one",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekday_ranges_may_wrap_around() {
        assert_eq!(weekdays("mon-fri"), Ok(vec![0, 1, 2, 3, 4]));
        assert_eq!(weekdays("fri-mon"), Ok(vec![4, 5, 6, 0]));
        assert_eq!(weekdays("sun"), Ok(vec![6]));
        assert_eq!(weekdays("sun-sat").map(|days| days.len()), Ok(7));
        assert!(weekdays("Monday").unwrap_err().help.contains("`mon`"));
        for text in ["", "mon-", "-fri", "mon-mon", "mon-fri-sat", "mon,tue", "Mon"] {
            assert!(weekdays(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_are_whole_and_in_order() {
        assert!(date_range("2026-12-24..2026-12-26").is_ok());
        for text in ["2026-02-29", "2026-1-26", "26-01-2026", "2026-01-26..", "2026-01-26...2026-01-27", "+026-01-01"] {
            assert!(date_range(text).is_err(), "{text}");
        }
        assert!(date_range("2026-12-26..2026-12-24").unwrap_err().help.contains("2026-12-24..2026-12-26"));
    }
}
