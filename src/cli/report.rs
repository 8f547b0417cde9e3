//! `switchboard report`: a day, a week or a month in figures.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate};
use chrono_tz::Tz;

use super::books::Books;
use super::moment;
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Screen, Tone};
use super::spreadsheet::Spreadsheet;
use super::table::{Align, Table};
use crate::daemon::wall;
use crate::state::{Companies, Report, ReportQuestion, SkipSums, Spread};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this company only: its id or its domain
    #[arg(long, value_name = "COMPANY")]
    company: Option<String>,
    #[command(flatten)]
    span: Span,
    /// The day, week or month that this date is in: 2026-11-22, today, yesterday
    #[arg(long, value_name = "DATE", default_value = "today")]
    at: String,
    /// The report for programs
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// All figures, one a row, for spreadsheets
    #[arg(long)]
    csv: bool,
}

#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
struct Span {
    /// Of a day (this is what is shown where nothing is said)
    #[arg(long)]
    day: bool,
    /// Of a week, Monday to Sunday
    #[arg(long)]
    week: bool,
    /// Of a month
    #[arg(long)]
    month: bool,
}

impl Span {
    /// The first day, and the first one after the last.
    fn around(self, date: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        if self.week {
            let monday = date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))?;
            Some((monday, monday.checked_add_days(Days::new(7))?))
        } else if self.month {
            let first = date.with_day(1)?;
            Some((first, first.checked_add_months(Months::new(1))?))
        } else {
            Some((date, date.succ_opt()?))
        }
    }

    fn spread(self) -> Spread {
        if self.week || self.month { Spread::Days } else { Spread::Hours }
    }
}

pub(super) fn run(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let mut books = Books::open(place)?;
    let company = arguments.company.as_deref().map(|name| books.company(name)).transpose()?;
    let zone = books.clock(company.as_ref());
    let date = moment::date(&arguments.at, wall(), zone).map_err(Failure::usage)?;
    let (first, after) =
        arguments.span.around(date).ok_or_else(|| Failure::usage(format!("{date} is at the end of all calendars")))?;
    let report = books.log.report(&ReportQuestion {
        companies: company.clone().map_or(Companies::All, |company| Companies::These(vec![company])),
        from: moment::midnight(first, zone),
        until: moment::midnight(after, zone),
        zone,
        spread: arguments.span.spread(),
    })?;
    if arguments.json {
        screen.json(&report)?;
    } else if arguments.csv {
        spreadsheet(&report)?.print(screen)?;
    } else {
        let whose = company.map_or_else(|| "all companies".to_owned(), |company| company.to_string());
        show(&report, &whose, zone, screen)?;
    }
    Ok(Outcome::Done)
}

fn show(report: &Report, whose: &str, zone: Tz, screen: &mut Screen) -> Result<(), Failure> {
    let day = |millis: i64| {
        DateTime::from_timestamp_millis(millis)
            .unwrap_or_default()
            .with_timezone(&zone)
            .format("%a %Y-%m-%d")
            .to_string()
    };
    let (first, last) = (day(report.from), day(report.until - 1));
    let span = if first == last { first } else { format!("{first} to {last}") };
    screen.toned(Tone::Title, format!("{whose}, {span}, {zone}"))?;
    let totals = &report.totals;
    let length = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds} s"));
    let share = totals.service_level.map_or_else(|| "–".to_owned(), |share| format!("{share} %"));
    for (about, text) in [
        ("calls", format!("{}: {} answered, {} missed", totals.calls, totals.answered, totals.missed)),
        ("in time", format!("{share} of them answered within {} s", report.service_level_within)),
        (
            "waited",
            format!("{} on average, {} at most", length(totals.average_wait), length(Some(totals.longest_wait))),
        ),
        ("gave up", format!("{} on average until a missed call ended", length(totals.average_wait_missed))),
        ("talked", format!("{} on average", length(totals.average_talk))),
        (
            "besides",
            format!("{} turned away for the caller's own sake, {} between colleagues", totals.declined, totals.inside),
        ),
    ] {
        let about = screen.palette().paint(Tone::Faint, &format!("{about:8}"));
        screen.line(format!("{about} {text}"))?;
    }
    let tables = [missed(report), periods(report), busiest(report), departments(report), agents(report), skips(report)];
    for table in tables.into_iter().flatten() {
        screen.line("")?;
        table.print(screen, "")?;
    }
    Ok(())
}

const NUMBER: Align = Align::Right;
const TEXT: Align = Align::Left;

fn missed(report: &Report) -> Option<Table> {
    let mut table = Table::new(&[("MISSED", TEXT), ("CALLS", NUMBER)]);
    for missed in &report.missed {
        table.row([(&missed.cause).into(), missed.calls.to_string().into()]);
    }
    (!report.missed.is_empty()).then_some(table)
}

fn periods(report: &Report) -> Option<Table> {
    let mut table = Table::new(&[("WHEN", TEXT), ("CALLS", NUMBER), ("ANSWERED", NUMBER), ("MISSED", NUMBER)]);
    for period in &report.periods {
        let [calls, answered, missed] =
            [period.calls, period.answered, period.missed].map(|count| count.to_string().into());
        table.row([(&period.period).into(), calls, answered, missed]);
    }
    (!report.periods.is_empty()).then_some(table)
}

/// The busiest hours of the day; of a single day they are told already.
fn busiest(report: &Report) -> Option<Table> {
    let mut table = Table::new(&[("BUSIEST HOURS", TEXT), ("CALLS", NUMBER), ("MISSED", NUMBER)]);
    for hour in report.busiest.iter().take(5) {
        let name = format!("{:02}:00–{:02}:00", hour.hour, (hour.hour + 1) % 24);
        table.row([name.into(), hour.calls.to_string().into(), hour.missed.to_string().into()]);
    }
    let one_day = report.until - report.from <= 26 * 3_600_000;
    (!report.busiest.is_empty() && !one_day).then_some(table)
}

fn departments(report: &Report) -> Option<Table> {
    let columns = [
        ("COMPANY", TEXT),
        ("DEPARTMENT", TEXT),
        ("CALLS", NUMBER),
        ("ANSWERED", NUMBER),
        ("IN LINE", NUMBER),
        ("FOR", NUMBER),
    ];
    let mut table = Table::new(&columns);
    for department in &report.departments {
        table.row([
            (&department.company).into(),
            (&department.department).into(),
            department.calls.to_string().into(),
            department.answered.to_string().into(),
            department.in_line.to_string().into(),
            department.average_in_line.map_or_else(String::new, |wait| format!("{wait} s")).into(),
        ]);
    }
    (!report.departments.is_empty()).then_some(table)
}

fn agents(report: &Report) -> Option<Table> {
    let mut table = Table::new(&[
        ("USER", TEXT),
        ("OFFERED", NUMBER),
        ("ANSWERED", NUMBER),
        ("NO ANSWER", NUMBER),
        ("REFUSED", NUMBER),
        ("FAILED", NUMBER),
        ("WITHDRAWN", NUMBER),
        ("RANG", NUMBER),
        ("TALKED", NUMBER),
    ]);
    for agent in &report.agents {
        let counts = [agent.offered, agent.answered, agent.no_answer, agent.refused, agent.failed, agent.withdrawn];
        let [offered, answered, no_answer, refused, failed, withdrawn] = counts.map(|count| count.to_string().into());
        table.row([
            format!("{}@{}", agent.extension, agent.company).into(),
            offered,
            answered,
            no_answer,
            refused,
            failed,
            withdrawn,
            agent.average_ring.map_or_else(String::new, |ring| format!("{ring} s")).into(),
            format!("{:.0} min", agent.talk / 60.0).into(),
        ]);
    }
    (!report.agents.is_empty()).then_some(table)
}

/// How many names stand beside a reason.
const NAMES: usize = 5;

fn skips(report: &Report) -> Option<Table> {
    let mut reasons: BTreeMap<&str, Vec<&SkipSums>> = BTreeMap::new();
    for skip in &report.skips {
        reasons.entry(&skip.reason).or_default().push(skip);
    }
    let mut reasons: Vec<(u64, &str, Vec<&SkipSums>)> =
        reasons.into_iter().map(|(reason, skips)| (skips.iter().map(|skip| skip.times).sum(), reason, skips)).collect();
    reasons.sort_by_key(|(times, reason, _)| (std::cmp::Reverse(*times), *reason));
    let mut table = Table::new(&[("SKIPPED", TEXT), ("TIMES", NUMBER), ("MOST OFTEN", TEXT)]);
    for (times, reason, skips) in &reasons {
        let names = skips.iter().take(NAMES).map(|skip| format!("{}@{} {}×", skip.extension, skip.company, skip.times));
        table.row([(*reason).into(), times.to_string().into(), names.collect::<Vec<_>>().join(", ").into()]);
    }
    (!reasons.is_empty()).then_some(table)
}

/// Every figure in a row of its own: whatever it is about, a spreadsheet can turn it round.
fn spreadsheet(report: &Report) -> Result<Spreadsheet, Failure> {
    let mut sheet = Spreadsheet::new(&["about", "company", "name", "figure", "value"])?;
    let totals = &report.totals;
    let maybe = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for (figure, value) in [
        ("calls", totals.calls.to_string()),
        ("answered", totals.answered.to_string()),
        ("missed", totals.missed.to_string()),
        ("declined", totals.declined.to_string()),
        ("inside", totals.inside.to_string()),
        ("in-time", totals.in_time.to_string()),
        ("service-level-percent", maybe(totals.service_level)),
        ("average-wait-seconds", maybe(totals.average_wait)),
        ("average-wait-missed-seconds", maybe(totals.average_wait_missed)),
        ("longest-wait-seconds", totals.longest_wait.to_string()),
        ("average-talk-seconds", maybe(totals.average_talk)),
    ] {
        sheet.row(["totals", "", "", figure, &value])?;
    }
    for missed in &report.missed {
        sheet.row(["missed", "", &missed.cause, "calls", &missed.calls.to_string()])?;
    }
    for period in &report.periods {
        for (figure, value) in [("calls", period.calls), ("answered", period.answered), ("missed", period.missed)] {
            sheet.row(["period", "", &period.period, figure, &value.to_string()])?;
        }
    }
    for department in &report.departments {
        let named = |figure, value: String| {
            ["department", &department.company, &department.department, figure, &value].map(str::to_owned)
        };
        sheet.row(named("calls", department.calls.to_string()))?;
        sheet.row(named("answered", department.answered.to_string()))?;
        sheet.row(named("in-line", department.in_line.to_string()))?;
        sheet.row(named("average-in-line-seconds", maybe(department.average_in_line)))?;
    }
    for agent in &report.agents {
        let named =
            |figure, value: String| ["agent", &agent.company, &agent.extension, figure, &value].map(str::to_owned);
        for (figure, value) in [
            ("offered", agent.offered),
            ("answered", agent.answered),
            ("no-answer", agent.no_answer),
            ("refused", agent.refused),
            ("failed", agent.failed),
            ("withdrawn", agent.withdrawn),
        ] {
            sheet.row(named(figure, value.to_string()))?;
        }
        sheet.row(named("average-ring-seconds", maybe(agent.average_ring)))?;
        sheet.row(named("talk-seconds", agent.talk.to_string()))?;
    }
    for skip in &report.skips {
        sheet.row(["skip", &skip.company, &skip.extension, &skip.reason, &skip.times.to_string()])?;
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(week: bool, month: bool) -> Span {
        Span { day: false, week, month }
    }

    #[test]
    fn a_span_is_that_which_its_date_is_in() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (span, at, first, after) in [
            (span(false, false), "2026-11-22", "2026-11-22", "2026-11-23"),
            (span(true, false), "2026-11-22", "2026-11-16", "2026-11-23"),
            (span(true, false), "2026-11-23", "2026-11-23", "2026-11-30"),
            (span(false, true), "2026-12-31", "2026-12-01", "2027-01-01"),
            (span(false, true), "2028-02-10", "2028-02-01", "2028-03-01"),
        ] {
            assert_eq!(span.around(date(at)), Some((date(first), date(after))), "{at}");
        }
        assert_eq!(span(false, false).around(NaiveDate::MAX), None);
    }
}
