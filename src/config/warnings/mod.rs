//! What can be served and is probably not what was meant: tomorrow's support tickets.
//!
//! Only files without an error are looked at: where something is misspelt, what it should have named seems unused. Never refuses
//! anything. What depends on the day (`week`, `patience`) is looked for only where somebody says what time it is: a reload is
//! not to find other warnings in the same files.

mod across;
mod lines;
mod machine;
mod patience;
mod spans;
mod unused;
mod week;
mod written;

use std::collections::{BTreeMap, BTreeSet};

use super::company::ReadCompany;
use super::passwords::Weakness;
use super::tree::{At, Finding, Findings, Table, Value};
use super::words::CAUSES;
use crate::id::{Extension, HoursId};
use crate::number::{CallerPattern, E164};
use crate::routing::{Cause, Company, Destination, Plan, RingOn, Route, User, UserStatus};
use crate::time::WallTime;
pub(super) use across::Mobiles;
use lines::{Lines, Spot};
pub(super) use machine::of_machine;
use week::Week;
use written::{Thing, Written};

/// Warns of one company; `root` is its file, `plan` everybody's. With a moment, also of what the seven days after it bring.
pub(super) fn of_company(
    root: &Table<'_>,
    read: &ReadCompany,
    plan: &Plan,
    moment: Option<WallTime>,
    mobiles: &mut Mobiles,
    findings: &mut Findings,
) {
    if findings.has_errors_in(root.at.file) {
        return;
    }
    let company = &read.company;
    let written = &Written::of(root);
    let lines = Lines::of(written, company);
    lines::circles(&lines, findings);
    own_numbers(written, &lines, company, plan, findings);
    routes(written, company, findings);
    departments(written, company, &lines, findings);
    unused::keys(written, company, findings);
    hours(written, company, findings);
    users(written, company, &lines, findings);
    shared_mailboxes(written, company, findings);
    passwords(read, findings);
    mobiles.of_company(written, company, findings);
    if let Some(week) = moment.and_then(|now| Week::of(company, now)) {
        week::numbers(written, company, &week, findings);
        week::departments(written, company, &lines, &week, findings);
        patience::warn(written, company, &lines, &week, findings);
    }
}

/// Outside numbers and mobiles that are numbers of this machine: the call would come in again.
fn own_numbers(written: &Written<'_>, lines: &Lines, company: &Company, plan: &Plan, findings: &mut Findings) {
    let outside = lines.iter().filter_map(|line| match &line.to {
        Destination::External(number) => Some((number.clone(), line.at.clone())),
        Destination::Department(_) | Destination::User(_) | Destination::Reject(_) => None,
    });
    let mobiles = written.users.iter().filter_map(|entry| {
        let user = company.users.get(entry.name).filter(|user| user.ring_on != RingOn::Extension)?;
        Some((user.mobile.clone()?, entry.value("mobile")?.at.clone()))
    });
    let all: Vec<(E164, At)> = outside.chain(mobiles).collect();
    for (number, at) in all {
        let Some((owner, _)) = plan.numbers.get(&number) else { continue };
        let whose =
            if owner.id == company.id { "this company's own".to_owned() } else { format!("company `{}`'s", owner.id) };
        findings.report(
            Finding::warning(&at, format!("{number} is {whose} number: the call would go out and come in again"))
                .label("not outside")
                .help("lead the call where that number leads, like \"department:ID\" or \"user:EXTENSION\""),
        );
    }
}

/// the first route that is open and matches is taken.
fn routes(written: &Written<'_>, company: &Company, findings: &mut Findings) {
    for entry in &written.numbers {
        let Some(number) = super::words::number(entry.name).ok().and_then(|number| company.numbers.get(&number)) else {
            continue;
        };
        let written = entry.value("routes").map(Value::peek_list);
        let mut before: Vec<(&Route, At)> = Vec::new();
        for (route, value) in number.routes.iter().zip(written.unwrap_or_default()) {
            let Some((first, at)) = before.iter().find(|(first, _)| takes_all(first, route)) else {
                before.push((route, value.at.clone()));
                continue;
            };
            let (message, label) = match (&first.hours, &first.callers) {
                (None, None) => {
                    ("this route is never taken: one before it takes every call", "always open, for every caller")
                }
                _ => ("this route is never taken: one before it takes all of its calls", "takes them first"),
            };
            findings.report(
                Finding::warning(&value.at, message)
                    .related(at, label)
                    .help("the first route that is open and matches is taken: put it before that one, or take it away"),
            );
        }
    }
}

/// Whether whatever the second route would take, the first does, by their names for hours and callers alone.
fn takes_all(first: &Route, second: &Route) -> bool {
    let hours = match (&first.hours, &second.hours) {
        (None, _) => true,
        (Some(first), Some(second)) => first.id == second.id,
        (Some(_), None) => false,
    };
    let holds = |pattern: &CallerPattern, inner: &CallerPattern| match (pattern, inner) {
        (CallerPattern::Prefix(prefix), CallerPattern::Prefix(inner)) => inner.starts_with(prefix),
        (CallerPattern::Prefix(prefix), CallerPattern::Exact(number)) => number.as_str().starts_with(prefix),
        (a, b) => a == b,
    };
    let callers = match (&first.callers, &second.callers) {
        (None, _) => true,
        (Some(first), Some(second)) => second.iter().all(|inner| first.iter().any(|pattern| holds(pattern, inner))),
        (Some(_), None) => false,
    };
    hours && callers
}

fn departments(written: &Written<'_>, company: &Company, lines: &Lines, findings: &mut Findings) {
    let reachable = lines.reachable(company);
    for entry in &written.departments {
        let Some(department) = company.departments.get(entry.name) else { continue };
        if let (true, Some(value)) = (department.members.is_empty(), entry.value("members").cloned()) {
            findings.report(
                Finding::warning(&value.at, format!("department `{}` has no members: nobody is ever rung", department.id))
                    .label("empty")
                    .help("name some: `members = [\"221\", \"222\"]`; a destination alone can stand in the route or overflow that leads here"),
            );
        }
        if !reachable.contains(&Spot::Department(department.id.clone())) {
            findings.report(
                Finding::warning(&entry.at, format!("no call ever comes to department `{}`", department.id))
                    .label("not used")
                    .help(format!(
                        "lead to it with \"department:{}\" from a number or an overflow, or take it away",
                        department.id
                    )),
            );
        }
    }
}

fn hours(written: &Written<'_>, company: &Company, findings: &mut Findings) {
    let named = (company.departments.values().filter_map(|department| department.hours.as_ref()))
        .chain(company.users.values().filter_map(|user| user.hours.as_ref()))
        .chain(company.numbers.values().filter_map(|number| number.hours.as_ref()))
        .chain(company.numbers.values().flat_map(|number| &number.routes).filter_map(|route| route.hours.as_ref()));
    let used: BTreeSet<&HoursId> = named.map(|hours| &hours.id).collect();
    for entry in &written.hours {
        if never_open(entry) {
            findings.report(
                Finding::warning(&entry.at, format!("hours `{}` are never open", entry.name))
                    .label("never open")
                    .help("like `week = { mon-fri = [\"09:30-13:00\", \"14:00-18:30\"] }`; what is closed for good needs no hours"),
            );
        }
        if !used.contains(&HoursId::new(entry.name)) {
            findings.report(
                Finding::warning(&entry.at, format!("hours `{}` are used nowhere", entry.name)).label("not used").help(
                    format!(
                        "`hours = \"{}\"` in a number, route, department or user uses them; or take them away",
                        entry.name
                    ),
                ),
            );
        }
    }
}

/// Whether there is no window in them, on any day or date.
fn never_open(entry: &Thing<'_>) -> bool {
    let days = |name: &str| entry.value(name).and_then(Value::peek_table);
    let windows =
        |days: Option<Table<'_>>| days.is_some_and(|days| days.entries().iter().any(|day| !day.value.is_empty_list()));
    !windows(days("week")) && !windows(days("dates"))
}

fn users(written: &Written<'_>, company: &Company, lines: &Lines, findings: &mut Findings) {
    let members = company.departments.values().flat_map(|department| &department.members);
    let mut used: BTreeSet<&Extension> = members.map(|user| &user.id.extension).collect();
    used.extend(lines.iter().filter_map(|line| match &line.to {
        Destination::User(extension) => Some(extension),
        Destination::Department(_) | Destination::External(_) | Destination::Reject(_) => None,
    }));
    for entry in &written.users {
        let Some(user) = company.users.get(entry.name) else { continue };
        // Who is disabled is meant to be out of reach.
        if !used.contains(&user.id.extension) && user.status != UserStatus::Disabled {
            let extension = &user.id.extension;
            findings.report(
                Finding::warning(
                    &entry.at,
                    format!(
                        "no number leads to user `{extension}`: only colleagues who dial {extension} reach this user"
                    ),
                )
                .label("in no department")
                .help(format!("add \"{extension}\" to the `members` of a department, or lead to \"user:{extension}\"")),
            );
        }
        impossible_causes(entry, user, findings);
    }
}

/// a call straight to a user does not wait, and knows no department's hours.
fn impossible_causes(entry: &Thing<'_>, user: &User, findings: &mut Findings) {
    let written = entry.value("overflow").cloned();
    let Some(overflow) = written.and_then(|overflow| overflow.peek_table()) else { return };
    for (name, cause) in CAUSES {
        let why = match cause {
            Cause::Closed => "a user outside its hours is `unavailable`",
            Cause::Full | Cause::Timeout => "nobody waits for a user",
            Cause::Unavailable | Cause::Busy | Cause::NoAnswer => continue,
        };
        if let (true, Some(entry)) = (user.overflow.by_cause.contains_key(&cause), overflow.entry(name)) {
            findings.report(
                Finding::warning(&entry.at, format!("`{name}` never happens to a call straight to a user: {why}"))
                    .label("never happens")
                    .help("a user's causes are `unavailable`, `busy` and `no-answer`; `default` serves all of them"),
            );
        }
    }
}

/// Users who became one person only by having the same address: one call at a time for all of them.
fn shared_mailboxes(written: &Written<'_>, company: &Company, findings: &mut Findings) {
    /// Whether a user says who it is.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Person {
        Named,
        Unnamed,
    }
    let mut first: BTreeMap<&str, (&User, Person, At)> = BTreeMap::new();
    for entry in &written.users {
        let Some(user) = company.users.get(entry.name) else { continue };
        let at = entry.value("email").map_or_else(|| entry.at.clone(), |value| value.at.clone());
        let named = entry.value("person").map_or(Person::Unnamed, |_| Person::Named);
        let Some((other, other_named, other_at)) = first.get(user.person.as_str()) else {
            first.insert(user.person.as_str(), (user, named, at));
            continue;
        };
        // Whoever writes the same `person` twice means it.
        if (named, *other_named) == (Person::Named, Person::Named) {
            continue;
        }
        findings.report(
            Finding::warning(
                &at,
                format!(
                    "users `{}` and `{}` have one address, so they are one person: while one talks the other is not rung",
                    other.id.extension, user.id.extension
                ),
            )
            .label("the same address")
            .related(other_at, format!("user `{}`", other.id.extension))
            .help("where they are two people, give each a `person` of its own; where they are one, give both the same `person`"),
        );
    }
}

/// Weak passwords: one warning for each kind of weakness, at the first.
fn passwords(read: &ReadCompany, findings: &mut Findings) {
    /// More places than these are only counted.
    const SHOWN: usize = 20;
    let mut by_weakness: BTreeMap<Weakness, Vec<(&Extension, &At)>> = BTreeMap::new();
    for weak in &read.weak {
        by_weakness.entry(weak.weakness).or_default().push((&weak.extension, &weak.at));
    }
    for (weakness, whose) in by_weakness {
        let Some(((extension, at), others)) = whose.split_first() else { continue };
        let message = match others.len() {
            0 => format!("the password of user `{extension}` is weak: {}", weakness.words()),
            count => format!("the passwords of {} users are weak, as `{extension}`'s: {}", count + 1, weakness.words()),
        };
        let mut finding = Finding::warning(at, message).label(format!("user `{extension}`'s"));
        for (extension, at) in others.iter().take(SHOWN) {
            finding = finding.related(at, format!("user `{extension}`'s"));
        }
        findings.report(finding.help(
            "`switchboard passwd --user EXT@COMPANY --generate` makes a strong one and prints the `digest` to write in its place",
        ));
    }
}
