//! What the coming seven days bring: numbers without a route at some hours, departments and members whom no call can reach.
//! Pure: it is told what time it is.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Weekday};
use chrono_tz::Tz;

use super::super::tree::{At, Finding, Findings, Value};
use super::lines::{From, Lines, Spot};
use super::spans::Spans;
use super::written::Written;
use crate::id::{DepartmentId, HoursId};
use crate::routing::{Cause, Company, Department, NamedHours, User, UserStatus};
use crate::time::WallTime;

/// When the hours of a company are open, from its last midnight for eight days: the rest of today and seven more.
pub(super) struct Week {
    zone: Tz,
    /// Its last midnight, and those of the days that follow, to the eighth.
    midnights: Vec<WallTime>,
    now: WallTime,
    hours: BTreeMap<HoursId, Spans>,
    whole: Spans,
}

impl Week {
    /// `None` at a moment out of all calendars.
    pub(super) fn of(company: &Company, now: WallTime) -> Option<Week> {
        let zone = company.timezone;
        let today =
            zone.from_utc_datetime(&DateTime::from_timestamp_millis(now.unix_millis())?.naive_utc()).date_naive();
        let midnights: Option<Vec<WallTime>> =
            (0..=DAYS + 1).map(|days| midnight(zone, today.checked_add_days(Days::new(days))?)).collect();
        let midnights = midnights?;
        let (from, to) = (*midnights.first()?, *midnights.last()?);
        let hours = company.hours.iter().map(|(id, schedule)| (id.clone(), Spans::of(schedule, from, to))).collect();
        Some(Week { zone, midnights, now, hours, whole: Spans::between(from, to) })
    }

    /// When these hours are open; without any, always.
    fn open(&self, hours: Option<&NamedHours>) -> Spans {
        hours.map_or_else(|| self.whole.clone(), |hours| self.hours.get(&hours.id).cloned().unwrap_or_default())
    }

    /// The next seven days, to the minute.
    fn ahead(&self) -> Spans {
        let week = TimeDelta::days(i64::try_from(DAYS).unwrap_or(7)).num_milliseconds();
        Spans::between(self.now, WallTime::from_unix_millis(self.now.unix_millis().saturating_add(week)))
    }

    /// Seven whole days, today among them.
    fn days(&self) -> impl Iterator<Item = (WallTime, WallTime)> {
        let pairs = self.midnights.windows(2).take(usize::try_from(DAYS).unwrap_or(7));
        pairs.filter_map(|pair| Some((*pair.first()?, *pair.last()?)))
    }

    /// `Mon–Fri 00:00–09:30, 18:30–24:00; Sun 00:00–24:00`, on the company's clock.
    fn words(&self, spans: &Spans) -> String {
        let mut days: Vec<(Weekday, String)> = Vec::new();
        for (start, end) in self.days() {
            let within = spans.and(&Spans::between(start, end));
            let clock = |millis: i64| {
                // A day has its ends, also where the clock skips its midnight.
                if millis == start.unix_millis() {
                    return "00:00".to_owned();
                }
                if millis == end.unix_millis() {
                    return "24:00".to_owned();
                }
                self.local(millis).map(|local| local.format("%H:%M").to_string()).unwrap_or_default()
            };
            let times: Vec<String> = within.iter().map(|(from, to)| format!("{}–{}", clock(from), clock(to))).collect();
            if let (Some(local), false) = (self.local(start.unix_millis()), times.is_empty()) {
                days.push((local.weekday(), times.join(", ")));
            }
        }
        days.sort_by_key(|(weekday, _)| weekday.num_days_from_monday());
        let mut groups: Vec<(Weekday, Weekday, String)> = Vec::new();
        for (weekday, times) in days {
            match groups.last_mut() {
                Some((_, last, same)) if last.succ() == weekday && *same == times => *last = weekday,
                Some(_) | None => groups.push((weekday, weekday, times)),
            }
        }
        let words = groups.into_iter().map(|(first, last, times)| match (first == last, first.succ() == last) {
            (true, _) => format!("{first} {times}"),
            (false, true) => format!("{first}, {last} {times}"),
            (false, false) => format!("{first}–{last} {times}"),
        });
        words.collect::<Vec<_>>().join("; ")
    }

    fn local(&self, millis: i64) -> Option<DateTime<Tz>> {
        Some(self.zone.from_utc_datetime(&DateTime::from_timestamp_millis(millis)?.naive_utc()))
    }

    /// The most of a department's members that may be rung at one moment while it is open, by their hours alone.
    pub(super) fn most_at_once(&self, department: &Department) -> usize {
        let open = self.open(department.hours.as_ref());
        let (mut always, mut by_hours): (usize, BTreeMap<&HoursId, usize>) = (0, BTreeMap::new());
        for member in department.members.iter().filter(|member| member.status == UserStatus::Active) {
            match &member.hours {
                None => always += 1,
                Some(hours) => *by_hours.entry(&hours.id).or_default() += 1,
            }
        }
        let shifts: Vec<(Spans, usize)> = by_hours
            .into_iter()
            .map(|(id, count)| (self.hours.get(id).map(|spans| spans.and(&open)).unwrap_or_default(), count))
            .collect();
        // The most are there when some shift begins.
        let begins = shifts.iter().flat_map(|(spans, _)| spans.iter().map(|(start, _)| start));
        let at = |moment: i64| -> usize {
            shifts.iter().filter(|(spans, _)| spans.contain(moment)).map(|(_, count)| count).sum()
        };
        always + begins.map(at).max().unwrap_or_default()
    }
}

const DAYS: u64 = 7;

/// The first moment of a date.
fn midnight(zone: Tz, date: NaiveDate) -> Option<WallTime> {
    // Where the clock skips midnight, the day begins when it goes on.
    let begins = |minutes: i64| {
        let local = date.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::minutes(minutes))?;
        zone.from_local_datetime(&local).earliest()
    };
    let first = (0..=96).find_map(|quarters| begins(quarters * 15))?;
    Some(WallTime::from_unix_millis(first.timestamp_millis()))
}

/// Numbers at which a call finds no route at some hours, though their own hours, if any, are open.
pub(super) fn numbers(written: &Written<'_>, company: &Company, week: &Week, findings: &mut Findings) {
    let days = week.days().fold(Spans::default(), |days, (start, end)| days.or(&Spans::between(start, end)));
    for entry in &written.numbers {
        let Some(number) = super::super::words::number(entry.name).ok().and_then(|number| company.numbers.get(&number))
        else {
            continue;
        };
        let mut left = week.open(number.hours.as_ref()).and(&days);
        for route in number.routes.iter().filter(|route| route.callers.is_none()) {
            left = left.without(&week.open(route.hours.as_ref()));
        }
        if left.is_empty() {
            continue;
        }
        let whose = if number.routes.iter().any(|route| route.callers.is_some()) { "for some callers " } else { "" };
        findings.report(
            Finding::warning(
                &entry.at,
                format!(
                    "{} has no route {whose}at some hours of the coming week: {} ({})",
                    number.number,
                    week.words(&left),
                    week.zone.name()
                ),
            )
            .label("calls are refused then")
            .help(
                "let a last route without `hours` take the rest, like `{ to = \"department:night\" }` or `{ to = \"reject:unavailable\" }`; where the number is meant to be closed then, say so with `hours` of its own",
            ),
        );
    }
}

/// When calls can come to each department.
struct Arrivals(BTreeMap<DepartmentId, Spans>);

impl Arrivals {
    fn of(company: &Company, lines: &Lines, week: &Week) -> Arrivals {
        let mut arrivals = Arrivals(BTreeMap::new());
        let mut next: Vec<DepartmentId> = Vec::new();
        for line in lines.iter() {
            let when = match &line.from {
                From::Route(number, position) => company
                    .numbers
                    .get(number)
                    .map(|number| {
                        let own = number.routes.get(*position);
                        let mut when = week.open(number.hours.as_ref());
                        when = when.and(&week.open(own.and_then(|route| route.hours.as_ref())));
                        // what an earlier route takes from everybody does not come this far.
                        for route in number.routes.iter().take(*position).filter(|route| route.callers.is_none()) {
                            when = when.without(&week.open(route.hours.as_ref()));
                        }
                        when
                    })
                    .unwrap_or_default(),
                // A colleague may dial a user at any hour.
                From::Overflow(Spot::User(_), _) => week.whole.clone(),
                From::Overflow(Spot::Department(_), _) => continue,
            };
            arrivals.add(&line.to, &when, &mut next);
        }
        while let Some(id) = next.pop() {
            let Some(department) = company.departments.get(&id) else { continue };
            let come = arrivals.0.get(&id).cloned().unwrap_or_default();
            let hours = week.open(department.hours.as_ref());
            let (open, closed) = (come.and(&hours), come.without(&hours));
            let spot = Spot::Department(id);
            let has_closed = lines.leaving(&spot).any(|(cause, _)| cause == Some(Cause::Closed));
            for (cause, line) in lines.leaving(&spot) {
                let when = match cause {
                    Some(Cause::Closed) => &closed,
                    None if !has_closed => &come,
                    Some(_) | None => &open,
                };
                arrivals.add(&line.to, when, &mut next);
            }
        }
        arrivals
    }

    fn add(&mut self, to: &crate::routing::Destination, when: &Spans, next: &mut Vec<DepartmentId>) {
        let Some(Spot::Department(id)) = Spot::of(to) else { return };
        let known = self.0.get(&id);
        let all = known.map_or_else(|| when.clone(), |known| known.or(when));
        if known != Some(&all) {
            self.0.insert(id.clone(), all);
            next.push(id);
        }
    }
}

/// Departments that no call can reach, and members of the others who can never be rung there.
pub(super) fn departments(
    written: &Written<'_>,
    company: &Company,
    lines: &Lines,
    week: &Week,
    findings: &mut Findings,
) {
    let arrivals = Arrivals::of(company, lines, week);
    let ahead = week.ahead();
    for entry in &written.departments {
        let Some(department) = company.departments.get(entry.name) else { continue };
        // That no call ever comes, or that there are no members, is told elsewhere.
        let Some(come) = arrivals.0.get(&department.id).filter(|_| !department.members.is_empty()) else { continue };
        let come = come.and(&ahead);
        let open = come.and(&week.open(department.hours.as_ref()));
        let can = |user: &User| match user.status {
            UserStatus::Active => week.open(user.hours.as_ref()),
            UserStatus::Pending | UserStatus::Disabled => Spans::default(),
        };
        let someone = department.members.iter().any(|member| !open.and(&can(member)).is_empty());
        let at = |key: &str| entry.value(key).map_or_else(|| entry.at.clone(), |value| value.at.clone());
        let id = &department.id;
        if come.is_empty() {
            findings.report(
                Finding::warning(&entry.at, format!("no call can come to department `{id}` in the next seven days"))
                    .label("no route leads here then")
                    .help("look at the `hours` of the routes and numbers, and at the hours of the departments, that lead here"),
            );
        } else if open.is_empty() {
            findings.report(
                Finding::warning(
                    &at("hours"),
                    format!("department `{id}` is not open in the next seven days at any hour a call can come to it"),
                )
                .label("closed whenever a call comes")
                .help("look at these hours and at those of the routes and numbers that lead here"),
            );
        } else if !someone {
            findings.report(
                Finding::warning(
                    &at("members"),
                    format!("nobody in department `{id}` can be rung in the next seven days at any hour it is open"),
                )
                .label("none of them, by `status` and `hours`")
                .help("look at the `status` and the `hours` of its members, or add somebody who is there then"),
            );
        } else {
            let written = entry.value("members").map(Value::peek_list);
            members(department, &written.unwrap_or_default(), &open, week, findings);
        }
    }
}

fn members(department: &Department, written: &[Value<'_>], open: &Spans, week: &Week, findings: &mut Findings) {
    for (member, value) in department.members.iter().zip(written) {
        let Some(hours) = member.hours.as_ref().filter(|_| member.status == UserStatus::Active) else { continue };
        let there = week.open(Some(hours)).and(&week.ahead());
        // Somebody with no hours at all in these days is on leave, perhaps.
        if !there.is_empty() && there.and(open).is_empty() {
            let at: &At = &value.at;
            findings.report(
                Finding::warning(
                    at,
                    format!(
                        "`{}` is never rung in department `{}`: the hours `{}` are not open at any hour a call can come to it",
                        member.id.extension, department.id, hours.id
                    ),
                )
                .label("never rung here")
                .help("look at the hours of this user, of the department and of the routes that lead here; or take the member away"),
            );
        }
    }
}
