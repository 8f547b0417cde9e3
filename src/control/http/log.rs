//! The call log and its reports. They are read from the store's file on a few threads of their own, beside the daemon
//! that writes it: a slow disk holds up whoever asks, and nobody else.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Datelike as _, Days, Duration, Months, NaiveDate, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::access::{Act, Visitor};
use super::asked::{Asked, Named};
use super::decision::Decision;
use super::moment::{read, written};
use super::problem::Problem;
use crate::config::Config;
use crate::id::{CallRef, CompanyId, Extension, UserId};
use crate::state::{
    AgentSums, CallLog, CallRecord, CallRow, Companies, DepartmentSums, Filter, HourSums, MissedSums, PeriodSums,
    ReportQuestion, SkipSums, Spread, StoreError, Totals, Which,
};
use crate::time::WallTime;

/// How many read at once.
const READERS: usize = 4;

/// Readers of the log that are open and not in use, and whose turn it is.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<CallLog>>,
    turns: Arc<Semaphore>,
}

impl Default for Readers {
    fn default() -> Readers {
        Readers { idle: Mutex::default(), turns: Arc::new(Semaphore::new(READERS)) }
    }
}

impl Readers {
    /// Works on a thread that may wait, in turn. Whoever gives up while it waits is not worked for: the threads' own queue has no
    /// bound and forgets nobody, and would be full of questions that nobody asks any more.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|closed| Problem::defect(format!("reading the call log: {closed}")))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|error| Problem::defect(format!("reading the call log: {error}")))
    }

    /// Reads with one of them. On a thread that may wait.
    fn with<T>(
        &self,
        directory: &std::path::Path,
        work: impl FnOnce(&CallLog) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => CallLog::beside_the_store(directory)?,
        };
        // One that failed is not used again.
        let read = work(&reader)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        Ok(read)
    }
}

/// Reads the log.
async fn look<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&CallLog) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let directory: PathBuf =
        api.log_directory().ok_or_else(|| Problem::unavailable("no call log is kept: [state] names no `directory`"))?;
    let readers: Arc<Readers> = api.readers();
    let with = Arc::clone(&readers);
    readers.in_turn(move || with.with(&directory, work)).await?.map_err(|error| {
        tracing::error!("the call log cannot be read: {error}");
        Problem::unavailable("the call log cannot be read; the daemon's own log says why")
    })
}

/// Which calls of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// A company's id; absent: every company the token may see.
    company: Option<String>,
    /// That began at that time or later.
    #[param(format = DateTime)]
    since: Option<String>,
    /// That began before that time.
    #[param(format = DateTime)]
    until: Option<String>,
    /// Missed ones, answered ones, or all.
    #[serde(default)]
    #[param(inline)]
    which: WhichCalls,
    /// The number or extension that was called, as the log has it: `+918041234567`.
    number: Option<String>,
    /// Who called, likewise.
    caller: Option<String>,
    /// `EXT@COMPANY`: who called or was offered the call.
    user: Option<String>,
    /// The trunk it came by.
    trunk: Option<String>,
    /// What became of it: `answered`, `cancelled`, `cut-off`, or why it was refused.
    outcome: Option<String>,
    /// The caller's Call-ID.
    sip_call_id: Option<String>,
    /// At most so many on a page.
    #[serde(default = "hundred")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
    /// `next` of the page before.
    #[param(pattern = "^[0-9]{1,15}[.][0-9]{1,18}$")]
    after: Option<String>,
}

/// The longest page.
const LONGEST_PAGE: u32 = 1000;

fn hundred() -> u32 {
    100
}

/// Which calls.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WhichCalls {
    /// Every call.
    #[default]
    All,
    /// Missed ones.
    Missed,
    /// Answered ones.
    Answered,
}

/// A call that is over.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LoggedCall {
    /// Its id: `c17`.
    call: String,
    /// Whose it was; absent for a number that is nobody's, and for a company the token may not know of: of a call that an
    /// agent made to one, only what its own phone was told is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    /// When it arrived, on the company's clock.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    answered_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: String,
    /// The number or extension that was called.
    number: String,
    /// Who called.
    caller: String,
    /// The trunk it came by.
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk: Option<String>,
    /// The user of ours who called: `221@acme`.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_user: Option<String>,
    /// What the caller's side knows it by.
    sip_call_id: String,
    /// The route taken: `department:sales`.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// The last place it was in: a department, an extension, an outside number.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Who answered: extensions and outside numbers.
    answered_by: Vec<String>,
    /// `answered`, `cancelled`, `cut-off`, or why it was refused.
    outcome: String,
    /// How it ended, and by whom.
    ended_by: String,
    /// The final status sent to the caller.
    status: u16,
    /// Whether it counts as missed.
    missed: bool,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LogPage {
    /// Calls, the newest first.
    calls: Vec<LoggedCall>,
    /// What to give as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A user's name, for who may know of its company.
fn known_user(visitor: &Visitor, name: &str) -> bool {
    name.rsplit_once('@').is_some_and(|(_, company)| visitor.knows(company))
}

fn zone_of(config: &Config, company: Option<&str>) -> Tz {
    company.and_then(|company| config.plan.companies.get(company)).map_or(Tz::UTC, |company| company.timezone)
}

/// Whether what a company did with a call is hidden from the visitor, who made it: an agent that called another company.
fn hidden(visitor: &Visitor, company: Option<&str>) -> bool {
    company.is_some_and(|company| !visitor.knows(company))
}

fn logged(visitor: &Visitor, config: &Config, mut row: CallRow) -> LoggedCall {
    if hidden(visitor, row.company.as_deref()) {
        row = CallRow { company: None, trunk: None, route: None, place: None, answered_by: Vec::new(), ..row };
    }
    let zone = zone_of(config, row.company.as_deref());
    LoggedCall {
        call: row.call,
        started_at: written(row.started_at, zone),
        answered_at: row.answered_at.map(|at| written(at, zone)),
        ended_at: written(row.ended_at, zone),
        company: row.company,
        number: row.number,
        caller: row.caller,
        trunk: row.trunk,
        from_user: row.from_user.filter(|user| known_user(visitor, user)),
        sip_call_id: row.sip_call_id,
        route: row.route,
        place: row.place,
        answered_by: row.answered_by,
        outcome: row.outcome,
        ended_by: row.ended_by,
        status: row.status,
        missed: row.missed,
    }
}

/// Whose calls are looked at, when that company (or none) is asked for.
fn whose(visitor: &Visitor, company: Option<&str>) -> Companies {
    match (company, visitor.companies()) {
        (Some(company), _) => Companies::These(vec![CompanyId::new(company)]),
        (None, Some(companies)) => Companies::These(companies),
        (None, None) => Companies::All,
    }
}

/// Calls that are over.
#[utoipa::path(get, path = "/v1/log", tag = "log", params(Search),
    responses((status = OK, body = LogPage), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn log(
    State(api): State<Api>,
    visitor: Visitor,
    Asked(search): Asked<Search>,
) -> Result<Json<LogPage>, Problem> {
    visitor.may(Act::Look)?;
    let config = api.config();
    let company = visitor.asks_for(&config.plan, search.company.as_deref())?;
    if !(1..=LONGEST_PAGE).contains(&search.limit) {
        return Err(Problem::nonsense(format!("`limit` is at least 1 and at most {LONGEST_PAGE}")));
    }
    let asked_user = search.user.as_deref().map(|name| {
        let user = name.rsplit_once('@').filter(|(extension, company)| visitor.sees(company, extension));
        user.map(|(extension, company)| UserId::new(&CompanyId::new(company), &Extension::new(extension)))
            .ok_or_else(|| Problem::unknown("user"))
    });
    let moment = |name: &str, text: Option<&str>| -> Result<Option<WallTime>, Problem> {
        text.map(|text| read(name, text).map(WallTime::from_unix_millis)).transpose()
    };
    let after = search
        .after
        .as_deref()
        .map(|text| text.parse().map_err(|()| Problem::nonsense("`after` is not the `next` of another page")));
    let filter = Filter {
        companies: match visitor.own() {
            // Its own calls, also those it made to another company.
            Some(_) if company.is_none() => Companies::All,
            _ => whose(&visitor, company),
        },
        since: moment("since", search.since.as_deref())?,
        until: moment("until", search.until.as_deref())?,
        which: match search.which {
            WhichCalls::All => Which::All,
            WhichCalls::Missed => Which::Missed,
            WhichCalls::Answered => Which::Answered,
        },
        number: search.number,
        caller: search.caller,
        user: visitor.own().cloned().or(asked_user.transpose()?),
        trunk: search.trunk,
        outcome: search.outcome,
        sip_call_id: search.sip_call_id,
        limit: search.limit,
        after: after.transpose()?,
    };
    let page = look(&api, move |log| log.query(&filter)).await?;
    Ok(Json(LogPage {
        calls: page.calls.into_iter().map(|row| logged(&visitor, &config, row)).collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}

/// One call that is over, with what was decided for it and why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LoggedDecision {
    /// Its id.
    call: String,
    /// When it arrived, on the company's clock.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    answered_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: String,
    /// What the caller's side knows it by.
    sip_call_id: String,
    /// Who answered: extensions and outside numbers.
    answered_by: Vec<String>,
    /// How it ended, and by whom.
    ended_by: String,
    /// The final status sent to the caller.
    status: u16,
    /// Who rang, in what order, and why each of the others did not.
    decision: Decision,
}

/// Whether a record is that visitor's to read.
fn may_read(visitor: &Visitor, record: &CallRecord) -> bool {
    let company = record.company.as_ref();
    match visitor.own() {
        None => company.map_or_else(|| visitor.sees_all(), |company| visitor.covers(company.as_str())),
        Some(user) => {
            let steps = &record.decision.steps;
            let members = steps.iter().flat_map(|step| &step.members);
            let mut offered = members.filter(|member| member.offered.is_some());
            record.from_user.as_ref() == Some(user)
                || company == Some(&user.company) && offered.any(|member| member.extension == user.extension.as_str())
        }
    }
}

/// One call that is over, with what was decided for it and why.
#[utoipa::path(get, path = "/v1/log/{call}", tag = "log", params(("call" = String, Path, description = "A call's id: `c17`")),
    responses((status = OK, body = LoggedDecision), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn one_call(
    State(api): State<Api>,
    visitor: Visitor,
    Named(call): Named<String>,
) -> Result<Json<LoggedDecision>, Problem> {
    visitor.may(Act::Look)?;
    let unknown = || Problem::unknown("call");
    let call: CallRef = call.parse().map_err(|()| unknown())?;
    let record = look(&api, move |log| log.find(call)).await?;
    let mut record = record.filter(|record| may_read(&visitor, record)).ok_or_else(unknown)?;
    let decision = Decision::of(&visitor, &record.decision)?;
    if hidden(&visitor, record.company.as_ref().map(CompanyId::as_str)) {
        record.company = None;
        record.answered_by = Vec::new();
    }
    let zone = zone_of(&api.config(), record.company.as_ref().map(CompanyId::as_str));
    Ok(Json(LoggedDecision {
        call: record.call.to_string(),
        started_at: written(record.started_at.unix_millis(), zone),
        answered_at: record.answered_at.map(|at| written(at.unix_millis(), zone)),
        ended_at: written(record.ended_at.unix_millis(), zone),
        decision,
        sip_call_id: record.sip_call_id,
        answered_by: record.answered_by,
        ended_by: record.ended_by.as_str().to_owned(),
        status: record.status,
    }))
}

/// Of what a report is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// A company's id; absent: every company the token may see, together.
    company: Option<String>,
    /// How much of the calendar.
    #[serde(default)]
    #[param(inline)]
    period: Period,
    /// Any moment in it; absent: now.
    #[param(format = DateTime)]
    at: Option<String>,
}

/// A piece of the calendar, on the company's clock (UTC for several companies). Weeks begin on Mondays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Period {
    /// By hours.
    #[default]
    Day,
    /// By days.
    Week,
    /// By days.
    Month,
}

/// A report. Lengths are seconds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ReportBody {
    /// The beginning.
    #[schema(format = DateTime)]
    from: String,
    /// The end.
    #[schema(format = DateTime)]
    until: String,
    /// The zone of its days and hours.
    timezone: String,
    /// Within so many seconds an answer counts for the service level.
    service_level_within: u64,
    /// The whole span.
    totals: Totals,
    /// Missed calls by what became of them, the most frequent first.
    missed: Vec<MissedSums>,
    /// The span's days, or hours, that had calls.
    periods: Vec<PeriodSums>,
    /// The hours of the day that had calls, the busiest first.
    busiest: Vec<HourSums>,
    /// By department.
    departments: Vec<DepartmentSums>,
    /// By user.
    agents: Vec<AgentSums>,
    /// Why members were skipped, the most frequent first.
    skips: Vec<SkipSums>,
}

/// Totals, missed calls, service level, and sums by period, department, agent and skip reason.
#[utoipa::path(get, path = "/v1/report", tag = "log", params(Wanted),
    responses((status = OK, body = ReportBody), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn report(
    State(api): State<Api>,
    visitor: Visitor,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<ReportBody>, Problem> {
    visitor.may(Act::Oversee)?;
    let config = api.config();
    let company = visitor.asks_for(&config.plan, wanted.company.as_deref())?;
    let companies = whose(&visitor, company);
    let zone = match &companies {
        Companies::These(only) => match only.as_slice() {
            [only] => zone_of(&config, Some(only.as_str())),
            [] | [_, _, ..] => Tz::UTC,
        },
        Companies::All => Tz::UTC,
    };
    let at = match wanted.at.as_deref() {
        Some(text) => read("at", text)?,
        None => crate::daemon::wall().unix_millis(),
    };
    let (from, until) =
        span(wanted.period, at, zone).ok_or_else(|| Problem::nonsense("`at` is beyond the calendar"))?;
    let question = ReportQuestion {
        companies,
        from: WallTime::from_unix_millis(from),
        until: WallTime::from_unix_millis(until),
        zone,
        spread: if wanted.period == Period::Day { Spread::Hours } else { Spread::Days },
    };
    let report = look(&api, move |log| log.report(&question)).await?;
    Ok(Json(ReportBody {
        from: written(from, zone),
        until: written(until, zone),
        timezone: report.timezone,
        service_level_within: report.service_level_within,
        totals: report.totals,
        missed: report.missed,
        periods: report.periods,
        busiest: report.busiest,
        departments: report.departments,
        agents: report.agents,
        skips: report.skips,
    }))
}

/// The beginning and the end of the period that holds a moment, in milliseconds since 1970.
fn span(period: Period, at: i64, zone: Tz) -> Option<(i64, i64)> {
    let day = DateTime::from_timestamp_millis(at)?.with_timezone(&zone).date_naive();
    let (first, next) = match period {
        Period::Day => (day, day.checked_add_days(Days::new(1))?),
        Period::Week => {
            let first = day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))?;
            (first, first.checked_add_days(Days::new(7))?)
        }
        Period::Month => {
            let first = day.with_day(1)?;
            (first, first.checked_add_months(Months::new(1))?)
        }
    };
    Some((beginning(first, zone)?, beginning(next, zone)?))
}

/// When a day begins: midnight, or the first moment behind it where the clocks go forward over midnight.
fn beginning(day: NaiveDate, zone: Tz) -> Option<i64> {
    let midnight = day.and_hms_opt(0, 0, 0)?;
    let quarters = (0..16).filter_map(|quarter| midnight.checked_add_signed(Duration::minutes(15 * quarter)));
    quarters.filter_map(|local| zone.from_local_datetime(&local).earliest()).map(|at| at.timestamp_millis()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_of_the_companys_calendar() {
        let at = read("at", "2026-11-22T20:00:00Z").unwrap();
        let of = |period, zone| {
            let (from, until) = span(period, at, zone).unwrap();
            (written(from, zone), written(until, zone))
        };
        // It is Monday in Kolkata already.
        let kolkata = Tz::Asia__Kolkata;
        let midnight = |day: &str| format!("{day}T00:00:00.000+05:30");
        assert_eq!(of(Period::Day, kolkata), (midnight("2026-11-23"), midnight("2026-11-24")));
        assert_eq!(of(Period::Week, kolkata), (midnight("2026-11-23"), midnight("2026-11-30")));
        assert_eq!(of(Period::Month, kolkata), (midnight("2026-11-01"), midnight("2026-12-01")));
        assert_eq!(of(Period::Week, Tz::UTC).0, "2026-11-16T00:00:00.000+00:00");
    }

    #[test]
    fn a_day_without_a_midnight_begins_behind_the_gap() {
        // Santiago goes forward at midnight of 6 September 2026.
        let zone = Tz::America__Santiago;
        let day = NaiveDate::from_ymd_opt(2026, 9, 6).unwrap();
        assert_eq!(written(beginning(day, zone).unwrap(), zone), "2026-09-06T01:00:00.000-03:00");
    }

    #[test]
    fn questions_that_are_given_up_hold_up_nobody() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::sync::mpsc::channel;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (readers, worked) = (Arc::new(Readers::default()), Arc::new(AtomicUsize::new(0)));
            // Every turn is taken, until the disk answers.
            let mut slow = Vec::new();
            let mut answers = Vec::new();
            for _ in 0..READERS {
                let (answer, answered) = channel::<()>();
                let readers = Arc::clone(&readers);
                slow.push(tokio::spawn(async move { readers.in_turn(move || answered.recv().is_ok()).await.unwrap() }));
                answers.push(answer);
            }
            tokio::task::yield_now().await;
            assert_eq!(readers.turns.available_permits(), 0);
            for _ in 0..100 {
                let (readers, worked) = (Arc::clone(&readers), Arc::clone(&worked));
                let asked = tokio::spawn(async move {
                    readers.in_turn(move || worked.fetch_add(1, Ordering::Relaxed)).await.unwrap();
                });
                tokio::task::yield_now().await;
                asked.abort();
                assert!(asked.await.unwrap_err().is_cancelled());
            }
            answers.iter().for_each(|answer| answer.send(()).unwrap());
            for done in slow {
                assert!(done.await.unwrap());
            }
            assert_eq!(readers.in_turn(|| "read").await.unwrap(), "read");
            assert_eq!(worked.load(Ordering::Relaxed), 0, "nobody asks any more");
        });
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        for at in [i64::MIN, i64::MAX, -62_135_596_800_000, 253_402_300_799_999] {
            for period in [Period::Day, Period::Week, Period::Month] {
                let _ = span(period, at, Tz::Asia__Kolkata);
            }
        }
    }
}
