//! `switchboard log`: calls that are over, the newest first.

use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;

use super::books::Books;
use super::local_time::{clock, length};
use super::moment;
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Screen, Tone, complain};
use super::spreadsheet::Spreadsheet;
use super::table::{Align, Cell, Table};
use crate::daemon::wall;
use crate::id::{CompanyId, Extension, UserId};
use crate::state::{CallLog, CallRow, Companies, Filter, Page, StoreError, Which};
use crate::time::WallTime;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this company only: its id or its domain
    #[arg(long, value_name = "COMPANY")]
    company: Option<String>,
    /// From then on: a time, a date, today, yesterday, or how long ago (2h, 7d)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before then, likewise
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Missed calls only: not answered, and not turned away for the caller's own sake
    #[arg(long)]
    missed: bool,
    /// To this number or extension, as the log shows it
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// From this caller, as the log shows it
    #[arg(long, value_name = "CALLER")]
    caller: Option<String>,
    /// Offered to this user, or made by it
    #[arg(long, value_name = "EXT@COMPANY", value_parser = super::switches::user)]
    agent: Option<String>,
    /// By this trunk
    #[arg(long, value_name = "TRUNK")]
    trunk: Option<String>,
    /// With this outcome: answered, cancelled, no-answer, busy, closed …
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// At most so many [default: 100; with --json and --csv every one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(Filter::HIGHEST_LIMIT)))]
    limit: Option<u32>,
    /// A list for programs
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// A table for spreadsheets
    #[arg(long)]
    csv: bool,
}

pub(super) fn run(place: &Place, arguments: Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let mut books = Books::open(place)?;
    let company = arguments.company.as_deref().map(|name| books.company(name)).transpose()?;
    let user = match arguments.agent.as_deref().and_then(|text| text.split_once('@')) {
        Some((extension, name)) => Some(UserId::new(&books.company(name)?, &Extension::new(extension))),
        None => None,
    };
    let zone = books.clock(company.as_ref().or(user.as_ref().map(|user| &user.company)));
    let now = wall();
    let at = |text: Option<String>| -> Result<Option<WallTime>, Failure> {
        text.map(|text| moment::read(&text, now, zone)).transpose().map_err(Failure::usage)
    };
    let filter = Filter {
        companies: company.clone().map_or(Companies::All, |company| Companies::These(vec![company])),
        since: at(arguments.since)?,
        until: at(arguments.until)?,
        which: if arguments.missed { Which::Missed } else { Which::All },
        number: arguments.number.as_deref().map(without_separators),
        caller: arguments.caller.as_deref().map(without_separators),
        user,
        trunk: arguments.trunk,
        outcome: arguments.outcome,
        sip_call_id: None,
        limit: arguments.limit.unwrap_or(Filter::DEFAULT_LIMIT),
        after: None,
    };
    let for_programs = arguments.json || arguments.csv;
    let page = match arguments.limit {
        // A program has nobody who would see that the list was cut.
        None if for_programs => every_page(&books.log, filter)?,
        None | Some(_) => books.log.query(&filter)?,
    };
    if arguments.json {
        screen.json(&page.calls)?;
    } else if arguments.csv {
        spreadsheet(&page.calls, &mut books)?.print(screen)?;
    } else {
        table(&page.calls, &mut books, now).print(screen, "no calls")?;
        if page.next.is_some() {
            screen.toned(
                Tone::Faint,
                format!("there are more than these {}: --limit N, --until WHEN", page.calls.len()),
            )?;
        }
    }
    if for_programs && page.next.is_some() {
        complain(&format!("there are more than these {}: --limit cut them off", page.calls.len()))?;
    }
    Ok(Outcome::Done)
}

/// Every call, as one page.
fn every_page(log: &CallLog, mut filter: Filter) -> Result<Page, StoreError> {
    filter.limit = Filter::HIGHEST_LIMIT;
    let mut calls = Vec::new();
    loop {
        let page = log.query(&filter)?;
        calls.extend(page.calls);
        filter.after = page.next;
        if filter.after.is_none() {
            return Ok(Page { calls, next: None });
        }
    }
}

/// A number as people write it; a name as it is.
fn without_separators(text: &str) -> String {
    let bare: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-' | '(' | ')' | '.')).collect();
    let digits = bare.strip_prefix('+').unwrap_or(&bare);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { bare } else { text.to_owned() }
}

fn zone(row: &CallRow, books: &mut Books) -> Tz {
    books.zone(row.company.as_ref().map(CompanyId::new).as_ref())
}

fn table(rows: &[CallRow], books: &mut Books, now: WallTime) -> Table {
    let left = |title| (title, Align::Left);
    let mut table = Table::new(&[
        left("CALL"),
        left("STARTED"),
        left("COMPANY"),
        left("CALLER"),
        left("NUMBER"),
        left("LAST IN"),
        left("OUTCOME"),
        left("WITH"),
        ("WAITED", Align::Right),
        ("TALKED", Align::Right),
        left("ENDED BY"),
    ]);
    for row in rows {
        let tone = match (row.missed, row.answered_at) {
            (true, _) => Tone::Warning,
            (false, Some(_)) => Tone::Good,
            (false, None) => Tone::Faint,
        };
        let zone = zone(row, books);
        table.row([
            (&row.call).into(),
            clock(row.started_at, zone.name(), now.unix_millis()).into(),
            row.company.as_deref().unwrap_or("").into(),
            (&row.caller).into(),
            (&row.number).into(),
            row.place.as_deref().unwrap_or("").into(),
            Cell::toned(tone, &row.outcome),
            row.answered_by.join(" ").into(),
            length(row.started_at, row.answered_at.unwrap_or(row.ended_at)).into(),
            row.answered_at.map_or_else(String::new, |answered| length(answered, row.ended_at)).into(),
            (&row.ended_by).into(),
        ]);
    }
    table
}

fn spreadsheet(rows: &[CallRow], books: &mut Books) -> Result<Spreadsheet, Failure> {
    let mut sheet = Spreadsheet::new(&[
        "call",
        "company",
        "started",
        "answered",
        "ended",
        "caller",
        "number",
        "trunk",
        "from-user",
        "route",
        "place",
        "answered-by",
        "outcome",
        "missed",
        "ended-by",
        "status",
        "waited-seconds",
        "talked-seconds",
        "sip-call-id",
    ])?;
    for row in rows {
        let zone = zone(row, books);
        let stamp = |millis: i64| {
            let at = DateTime::from_timestamp_millis(millis).unwrap_or_default().with_timezone(&zone);
            at.to_rfc3339_opts(SecondsFormat::Secs, false)
        };
        let seconds = |from: i64, to: i64| (to.saturating_sub(from).max(0) / 1000).to_string();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        sheet.row([
            row.call.clone(),
            text(&row.company),
            stamp(row.started_at),
            row.answered_at.map(stamp).unwrap_or_default(),
            stamp(row.ended_at),
            row.caller.clone(),
            row.number.clone(),
            text(&row.trunk),
            text(&row.from_user),
            text(&row.route),
            text(&row.place),
            row.answered_by.join(" "),
            row.outcome.clone(),
            if row.missed { "yes" } else { "no" }.to_owned(),
            row.ended_by.clone(),
            row.status.to_string(),
            seconds(row.started_at, row.answered_at.unwrap_or(row.ended_at)),
            row.answered_at.map(|answered| seconds(answered, row.ended_at)).unwrap_or_default(),
            row.sip_call_id.clone(),
        ])?;
    }
    Ok(sheet)
}
