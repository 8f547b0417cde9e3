//! Reports: the sums of a span of time on a company's clock.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Timelike};
use chrono_tz::Tz;
use rusqlite::{Params, Row, params_from_iter};
use serde::{Deserialize, Serialize};

use super::tables::QUARTER;
use super::{CallLog, Companies, SERVICE_LEVEL};
use crate::state::fault::StoreError;
use crate::time::WallTime;

/// What a report is wanted of.
#[derive(Clone, Debug)]
pub struct ReportQuestion {
    /// Whose calls.
    pub companies: Companies,
    /// From that moment on, to the quarter of an hour.
    pub from: WallTime,
    /// Before that one, likewise.
    pub until: WallTime,
    /// On whose clock days and hours are.
    pub zone: Tz,
    /// What the span is divided into.
    pub spread: Spread,
}

/// What a report's span is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// For a day.
    Hours,
    /// For a week or a month.
    Days,
}

/// A report. Lengths are seconds, times milliseconds since 1970. Calls between users of one company are counted as `inside` and
/// in no other figure but those of agents and departments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The beginning.
    pub from: i64,
    /// The end.
    pub until: i64,
    /// The zone of its days and hours.
    pub timezone: String,
    /// Seconds within which an answer counts for the service level.
    pub service_level_within: u64,
    /// The whole span.
    pub totals: Totals,
    /// Missed calls by what became of them, the most frequent first.
    pub missed: Vec<MissedSums>,
    /// The span's days, or hours, that had calls.
    pub periods: Vec<PeriodSums>,
    /// The hours of the day that had calls, over the whole span: the busiest first.
    pub busiest: Vec<HourSums>,
    /// By department.
    pub departments: Vec<DepartmentSums>,
    /// By user.
    pub agents: Vec<AgentSums>,
    /// Why members were skipped, the most frequent first.
    pub skips: Vec<SkipSums>,
}

/// The figures of a span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Totals {
    /// Answered and missed.
    pub calls: u64,
    /// Answered.
    pub answered: u64,
    /// Missed.
    pub missed: u64,
    /// Turned away for the caller's own sake: not among `calls`.
    pub declined: u64,
    /// Between users of one company: not among `calls`.
    pub inside: u64,
    /// Answered in time (see `service-level-within`).
    pub in_time: u64,
    /// In time among all calls, 0 … 100; absent without calls.
    pub service_level: Option<f64>,
    /// Of answered calls.
    pub average_wait: Option<f64>,
    /// Of missed calls, until the caller gave up or was refused.
    pub average_wait_missed: Option<f64>,
    /// Of all calls.
    pub longest_wait: f64,
    /// Of answered calls.
    pub average_talk: Option<f64>,
}

/// Missed calls of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs)]
pub struct MissedSums {
    pub cause: String,
    pub calls: u64,
}

/// A day or an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PeriodSums {
    /// `2026-11-22`, or `2026-11-22 10:00`, in the report's zone.
    pub period: String,
    /// Answered and missed.
    pub calls: u64,
    /// Answered.
    pub answered: u64,
    /// Missed.
    pub missed: u64,
}

/// An hour of the day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HourSums {
    /// 0 … 23, in the report's zone.
    pub hour: u32,
    /// Answered and missed.
    pub calls: u64,
    /// Missed.
    pub missed: u64,
}

/// A department.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DepartmentSums {
    /// Whose.
    pub company: String,
    /// The department.
    pub department: String,
    /// That came to it.
    pub calls: u64,
    /// That somebody in it answered; the others were missed or went on.
    pub answered: u64,
    /// That stood in its line.
    pub in_line: u64,
    /// How long those stood there, on average.
    pub average_in_line: Option<f64>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AgentSums {
    /// Whose.
    pub company: String,
    /// The user.
    pub extension: String,
    /// Offers made.
    pub offered: u64,
    /// Offers answered.
    pub answered: u64,
    /// That rang in vain.
    pub no_answer: u64,
    /// That the user refused: busy or declined.
    pub refused: u64,
    /// That ended with an error.
    pub failed: u64,
    /// That somebody else answered, or whose caller hung up.
    pub withdrawn: u64,
    /// How long an offer rang, on average.
    pub average_ring: Option<f64>,
    /// Seconds in all.
    pub talk: f64,
}

/// How often a member was skipped for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs)]
pub struct SkipSums {
    pub reason: String,
    pub company: String,
    pub extension: String,
    pub times: u64,
}

impl CallLog {
    /// Adds it all up.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn report(&self, question: &ReportQuestion) -> Result<Report, StoreError> {
        self.add_up(question).map_err(|error| self.failed(&error))
    }

    fn add_up(&self, question: &ReportQuestion) -> rusqlite::Result<Report> {
        let span = Span::of(question);
        let mut report = Report {
            from: span.from * QUARTER,
            until: span.until * QUARTER,
            timezone: question.zone.name().to_owned(),
            service_level_within: SERVICE_LEVEL.as_secs(),
            ..Report::default()
        };
        self.quarters(question, &span, &mut report)?;
        let sums = |columns: &str, table: &str, behind: &str| {
            format!("SELECT {columns} FROM {table} WHERE {} {behind}", span.condition)
        };
        report.missed = self.all(
            &sums("cause, sum(calls)", "quarter_missed", "GROUP BY 1 ORDER BY 2 DESC, 1"),
            span.values(),
            |row| Ok(MissedSums { cause: row.get(0)?, calls: sum(row, 1)? }),
        )?;
        let columns = "company, department, sum(calls), sum(answered), sum(in_line), sum(line_wait)";
        report.departments =
            self.all(&sums(columns, "quarter_departments", "GROUP BY 1, 2 ORDER BY 1, 2"), span.values(), |row| {
                let in_line = sum(row, 4)?;
                Ok(DepartmentSums {
                    company: row.get(0)?,
                    department: row.get(1)?,
                    calls: sum(row, 2)?,
                    answered: sum(row, 3)?,
                    in_line,
                    average_in_line: average(sum(row, 5)?, in_line),
                })
            })?;
        let columns = "company, extension, offered, answered, no_answer, refused, failed, withdrawn, ring, talk";
        for ([company, extension], [offered, answered, no_answer, refused, failed, withdrawn, ring, talk]) in
            self.gathered(&sums(columns, "quarter_agents", ""), &span)?
        {
            let (average_ring, talk) = (average(ring, offered), seconds(talk));
            let agent = AgentSums {
                company,
                extension,
                offered,
                answered,
                no_answer,
                refused,
                failed,
                withdrawn,
                average_ring,
                talk,
            };
            report.agents.push(agent);
        }
        for ([reason, company, extension], [times]) in
            self.gathered(&sums("reason, company, extension, times", "quarter_skips", ""), &span)?
        {
            report.skips.push(SkipSums { reason, company, extension, times });
        }
        // Stable: those of the same number stay in the order of their names.
        report.skips.sort_by_key(|skip| std::cmp::Reverse(skip.times));
        Ok(report)
    }

    /// Totals, periods and hours: the quarters one by one, since only the zone knows which hour and day each is in.
    fn quarters(&self, question: &ReportQuestion, span: &Span, report: &mut Report) -> rusqlite::Result<()> {
        let columns = "quarter, sum(inside), sum(answered), sum(missed), sum(declined), sum(in_time), sum(answer_wait), \
                       sum(missed_wait), max(longest_wait), sum(talk)";
        let text = format!("SELECT {columns} FROM quarter_calls WHERE {} GROUP BY 1 ORDER BY 1", span.condition);
        let rows = self.all(&text, span.values(), |row| {
            let numbers: rusqlite::Result<Vec<u64>> = (1..10).map(|column| sum(row, column)).collect();
            Ok((row.get::<_, i64>(0)?, numbers?))
        })?;
        let mut periods: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut hours: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let (totals, mut answer_wait, mut missed_wait, mut talk, mut longest) = (&mut report.totals, 0, 0, 0, 0);
        for (quarter, numbers) in rows {
            let [inside, answered, missed, declined, in_time, waited, waited_missed, waited_longest, talked] =
                numbers.as_slice()
            else {
                continue;
            };
            totals.inside += inside;
            totals.answered += answered;
            totals.missed += missed;
            totals.declined += declined;
            totals.in_time += in_time;
            answer_wait += waited;
            missed_wait += waited_missed;
            talk += talked;
            longest = longest.max(*waited_longest);
            if answered + missed > 0 {
                let at = local(quarter * QUARTER, question.zone);
                let name = match question.spread {
                    Spread::Days => at.format("%Y-%m-%d").to_string(),
                    Spread::Hours => at.format("%Y-%m-%d %H:00").to_string(),
                };
                for sums in [periods.entry(name).or_default(), hours.entry(at.hour()).or_default()] {
                    sums.0 += answered;
                    sums.1 += missed;
                }
            }
        }
        totals.calls = totals.answered + totals.missed;
        totals.service_level = average(totals.in_time * 100_000, totals.calls);
        totals.average_wait = average(answer_wait, totals.answered);
        totals.average_wait_missed = average(missed_wait, totals.missed);
        totals.average_talk = average(talk, totals.answered);
        totals.longest_wait = seconds(longest);
        report.periods = (periods.into_iter())
            .map(|(period, (answered, missed))| PeriodSums { period, calls: answered + missed, answered, missed })
            .collect();
        report.busiest = hours
            .into_iter()
            .map(|(hour, (answered, missed))| HourSums { hour, calls: answered + missed, missed })
            .collect();
        report.busiest.sort_by_key(|hour| (std::cmp::Reverse(hour.calls), hour.hour));
        Ok(())
    }

    /// The sums of the rows that have the same names, by these. SQLite would sort a million rows for it; their names are few.
    fn gathered<const NAMES: usize, const SUMS: usize>(
        &self,
        text: &str,
        span: &Span,
    ) -> rusqlite::Result<BTreeMap<[String; NAMES], [u64; SUMS]>> {
        let mut statement = self.connection.prepare_cached(text)?;
        let mut rows = statement.query(span.values())?;
        let mut found: HashMap<String, [u64; SUMS]> = HashMap::new();
        let mut key = String::new();
        while let Some(row) = rows.next()? {
            key.clear();
            for column in 0..NAMES {
                // No name of ours has a line end in it.
                key.push_str(row.get_ref(column)?.as_str()?);
                key.push('\n');
            }
            let mut numbers = [0; SUMS];
            for (number, column) in numbers.iter_mut().zip(NAMES..) {
                *number = sum(row, column)?;
            }
            match found.get_mut(&key) {
                Some(sums) => sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number),
                None => drop(found.insert(key.clone(), numbers)),
            }
        }
        let named = |(key, sums): (String, [u64; SUMS])| {
            let mut names = key.split('\n').map(str::to_owned);
            (std::array::from_fn(|_| names.next().unwrap_or_default()), sums)
        };
        Ok(found.into_iter().map(named).collect())
    }

    fn all<T>(
        &self,
        text: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(text)?;
        statement.query_map(values, read)?.collect()
    }
}

/// The rows of a question, in every table of sums.
struct Span {
    from: i64,
    until: i64,
    condition: String,
    companies: Vec<String>,
}

impl Span {
    fn of(question: &ReportQuestion) -> Span {
        let from = question.from.unix_millis().div_euclid(QUARTER);
        let until = question.until.unix_millis().saturating_add(QUARTER - 1).div_euclid(QUARTER);
        let companies: Vec<String> = match &question.companies {
            Companies::All => Vec::new(),
            Companies::These(companies) => companies.iter().map(|company| company.as_str().to_owned()).collect(),
        };
        let names: Vec<String> = (1..=companies.len()).map(|number| format!("?{number}")).collect();
        let whose = match &question.companies {
            // Named, so that each table is searched by its key.
            Companies::All => "company IN (SELECT DISTINCT company FROM quarter_calls)".to_owned(),
            Companies::These(_) => format!("company IN ({})", names.join(", ")),
        };
        Span { from, until, condition: format!("{whose} AND quarter >= {from} AND quarter < {until}"), companies }
    }

    fn values(&self) -> impl Params + use<> {
        params_from_iter(self.companies.clone())
    }
}

/// A sum: none of ours is negative.
fn sum(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|sum| u64::try_from(sum).unwrap_or(0))
}

fn local(millis: i64, zone: Tz) -> DateTime<Tz> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default().with_timezone(&zone)
}

/// Of milliseconds, in seconds.
#[allow(clippy::cast_precision_loss)] // a sum of milliseconds beyond 2^53 is 285,000 years
fn average(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| round(sum as f64 / count as f64 / 1000.0))
}

#[allow(clippy::cast_precision_loss)]
fn seconds(millis: u64) -> f64 {
    round(millis as f64 / 1000.0)
}

/// To a tenth: nobody reads more.
fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
