//! What can be served and is probably not what was meant: circles, and what no call could ever reach or use.
//!
//! Only companies without an error are looked at: where something is misspelt, what it should have named seems unused. Never
//! refuses anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::tree::{At, Entry, Finding, Findings, Table, Value};
use super::words::CAUSES;
use crate::id::{DepartmentId, Extension, HoursId};
use crate::routing::{Cause, Company, Destination, Overflow, Plan, User};

/// Warns of one company; `root` is its file, `plan` everybody's.
pub(super) fn of_company(root: &Table<'_>, company: &Company, plan: &Plan, findings: &mut Findings) {
    if findings.has_errors_in(root.at.file) {
        return;
    }
    let lines = Lines::of(root, company);
    circles(&lines, findings);
    own_numbers(&lines, company, plan, findings);
    routes(root, company, findings);
    departments(root, company, &lines, findings);
    hours(root, company, findings);
    users(root, company, &lines, findings);
    shared_mailboxes(root, company, findings);
}

/// Where a call can be in a company.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    Department(DepartmentId),
    User(Extension),
}

impl Spot {
    fn of(destination: &Destination) -> Option<Spot> {
        match destination {
            Destination::Department(id) => Some(Spot::Department(id.clone())),
            Destination::User(extension) => Some(Spot::User(extension.clone())),
            Destination::External(_) | Destination::Reject(_) => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Spot::Department(id) => format!("department `{id}`"),
            Spot::User(extension) => format!("user `{extension}`"),
        }
    }
}

/// One `overflow` entry or route: from where (`None`: from a number), where to and where that is written.
struct Line {
    from: Option<Spot>,
    to: Destination,
    at: At,
}

/// Every destination in a company's file: routes, then departments, then users, each in the order written.
struct Lines {
    list: Vec<Line>,
}

impl Lines {
    fn of(root: &Table<'_>, company: &Company) -> Lines {
        let mut lines = Lines { list: Vec::new() };
        for entry in entries(root, "numbers") {
            let number = entry.value.peek_table();
            for route in number.iter().filter_map(|number| number.value("routes")).flat_map(Value::peek_list) {
                if let Some(value) = route.peek_table().and_then(|route| route.value("to").cloned()) {
                    lines.take(None, &value);
                }
            }
        }
        for entry in entries(root, "departments") {
            if let Some(department) = company.departments.get(entry.name) {
                lines.overflow(&Spot::Department(department.id.clone()), &entry, &department.overflow);
            }
        }
        for entry in entries(root, "users") {
            if let Some(user) = company.users.get(entry.name) {
                lines.overflow(&Spot::User(user.id.extension.clone()), &entry, &user.overflow);
            }
        }
        lines
    }

    fn overflow(&mut self, from: &Spot, entry: &Entry<'_>, overflow: &Overflow) {
        if overflow.by_cause.is_empty() && overflow.default.is_none() {
            return;
        }
        let written = entry.value.peek_table().and_then(|table| table.value("overflow").cloned());
        for entry in written.iter().filter_map(Value::peek_table).flat_map(|table| table.entries().to_vec()) {
            self.take(Some(from.clone()), &entry.value);
        }
    }

    fn take(&mut self, from: Option<Spot>, value: &Value<'_>) {
        // A company without errors has no destination that cannot be read.
        if let Some(Ok(to)) = value.peek_text().map(super::words::destination) {
            self.list.push(Line { from, to, at: value.at.clone() });
        }
    }

    fn from<'a>(&'a self, spot: &'a Spot) -> impl Iterator<Item = (&'a Line, Spot)> {
        self.list
            .iter()
            .filter(move |line| line.from.as_ref() == Some(spot))
            .filter_map(|line| Some((line, Spot::of(&line.to)?)))
    }

    /// The shortest way from a spot back to itself.
    fn circle<'a>(&'a self, start: &'a Spot) -> Option<Vec<&'a Line>> {
        let mut came_by: BTreeMap<Spot, &Line> = BTreeMap::new();
        let mut next = VecDeque::from([start.clone()]);
        while let Some(spot) = next.pop_front() {
            for line in self.list.iter().filter(|line| line.from.as_ref() == Some(&spot)) {
                let Some(to) = Spot::of(&line.to) else { continue };
                if to == *start {
                    let mut way = vec![line];
                    let mut at = spot.clone();
                    while let Some(line) = came_by.get(&at) {
                        way.push(line);
                        let Some(from) = &line.from else { break };
                        at = from.clone();
                    }
                    way.reverse();
                    return Some(way);
                }
                if !came_by.contains_key(&to) {
                    came_by.insert(to.clone(), line);
                    next.push_back(to);
                }
            }
        }
        None
    }

    /// Where calls can get: from a number, or from somebody who dials an extension.
    fn reachable(&self, company: &Company) -> BTreeSet<Spot> {
        let dialled = company.users.keys().cloned().map(Spot::User);
        let routed = self.list.iter().filter(|line| line.from.is_none()).filter_map(|line| Spot::of(&line.to));
        let mut next: Vec<Spot> = dialled.chain(routed).collect();
        let mut reached = BTreeSet::new();
        while let Some(spot) = next.pop() {
            if reached.insert(spot.clone()) {
                next.extend(self.from(&spot).map(|(_, to)| to));
            }
        }
        reached
    }
}

/// a chain that would return to a department ends there.
fn circles(lines: &Lines, findings: &mut Findings) {
    let mut told: BTreeSet<Spot> = BTreeSet::new();
    for start in lines.list.iter().filter_map(|line| line.from.as_ref()) {
        if told.contains(start) {
            continue;
        }
        let Some(way) = lines.circle(start) else { continue };
        let Some((last, others)) = way.split_last() else { continue };
        told.extend(way.iter().filter_map(|line| line.from.clone()));
        let mut words: Vec<String> = way.iter().filter_map(|line| line.from.as_ref()).map(Spot::words).collect();
        words.push(start.words());
        let mut finding =
            Finding::warning(&last.at, format!("overflow goes in a circle: {}", words.join(" → "))).label("back again");
        for line in others {
            finding = finding.related(&line.at, "by way of this");
        }
        findings.report(finding.help(
            "a call enters each of them once, and ends here with the cause it has; let it lead elsewhere, like \"external:+919800000000\" or \"reject:unavailable\"",
        ));
    }
}

fn own_numbers(lines: &Lines, company: &Company, plan: &Plan, findings: &mut Findings) {
    for line in &lines.list {
        let Destination::External(number) = &line.to else { continue };
        let Some((owner, _)) = plan.numbers.get(number) else { continue };
        let whose =
            if owner.id == company.id { "this company's own".to_owned() } else { format!("company `{}`'s", owner.id) };
        findings.report(
            Finding::warning(&line.at, format!("{number} is {whose} number: the call would go out and come in again"))
                .label("not outside")
                .help("lead the call where that number leads, like \"department:ID\" or \"user:EXTENSION\""),
        );
    }
}

/// the first route that is open and matches is taken.
fn routes(root: &Table<'_>, company: &Company, findings: &mut Findings) {
    for entry in entries(root, "numbers") {
        let Some(number) = super::words::number(entry.name).ok().and_then(|number| company.numbers.get(&number)) else {
            continue;
        };
        let written = entry.value.peek_table().and_then(|table| table.value("routes").map(Value::peek_list));
        let mut always: Option<At> = None;
        for (route, value) in number.routes.iter().zip(written.unwrap_or_default()) {
            if let Some(first) = &always {
                findings.report(
                    Finding::warning(&value.at, "this route is never taken: one before it takes every call")
                        .related(first, "always open, for every caller")
                        .help("the first route that is open and matches is taken: put it before that one, or take it away"),
                );
            } else if route.hours.is_none() && route.callers.is_none() {
                always = Some(value.at.clone());
            }
        }
    }
}

fn departments(root: &Table<'_>, company: &Company, lines: &Lines, findings: &mut Findings) {
    let reachable = lines.reachable(company);
    for entry in entries(root, "departments") {
        let Some(department) = company.departments.get(entry.name) else { continue };
        if let (true, Some(value)) =
            (department.members.is_empty(), entry.value.peek_table().and_then(|table| table.value("members").cloned()))
        {
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

fn hours(root: &Table<'_>, company: &Company, findings: &mut Findings) {
    let named = (company.departments.values().filter_map(|department| department.hours.as_ref()))
        .chain(company.users.values().filter_map(|user| user.hours.as_ref()))
        .chain(company.numbers.values().filter_map(|number| number.hours.as_ref()))
        .chain(company.numbers.values().flat_map(|number| &number.routes).filter_map(|route| route.hours.as_ref()));
    let used: BTreeSet<&HoursId> = named.map(|hours| &hours.id).collect();
    for entry in entries(root, "hours") {
        if never_open(&entry) {
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
fn never_open(entry: &Entry<'_>) -> bool {
    let table = entry.value.peek_table();
    let days = |name: &str| table.as_ref().and_then(|table| table.value(name)).and_then(Value::peek_table);
    let windows =
        |days: Option<Table<'_>>| days.is_some_and(|days| days.entries().iter().any(|day| !day.value.is_empty_list()));
    !windows(days("week")) && !windows(days("dates"))
}

fn users(root: &Table<'_>, company: &Company, lines: &Lines, findings: &mut Findings) {
    let members = company.departments.values().flat_map(|department| &department.members);
    let mut used: BTreeSet<&Extension> = members.map(|user| &user.id.extension).collect();
    used.extend(lines.list.iter().filter_map(|line| match &line.to {
        Destination::User(extension) => Some(extension),
        Destination::Department(_) | Destination::External(_) | Destination::Reject(_) => None,
    }));
    for entry in entries(root, "users") {
        let Some(user) = company.users.get(entry.name) else { continue };
        if !used.contains(&user.id.extension) {
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
        impossible_causes(&entry, user, findings);
    }
}

/// a call straight to a user does not wait, and knows no department's hours.
fn impossible_causes(entry: &Entry<'_>, user: &User, findings: &mut Findings) {
    let written = entry.value.peek_table().and_then(|table| table.value("overflow").cloned());
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
fn shared_mailboxes(root: &Table<'_>, company: &Company, findings: &mut Findings) {
    let mut first: BTreeMap<&str, (&User, At)> = BTreeMap::new();
    for entry in entries(root, "users") {
        let Some(user) = company.users.get(entry.name) else { continue };
        let Some(table) = entry.value.peek_table() else { continue };
        let at = table.value("email").map_or_else(|| entry.at.clone(), |value| value.at.clone());
        let Some((other, other_at)) = first.get(user.person.as_str()) else {
            first.insert(user.person.as_str(), (user, at));
            continue;
        };
        let named = |extension: &Extension| {
            let user = root
                .value("users")
                .and_then(Value::peek_table)
                .and_then(|users| users.value(extension.as_str()).cloned());
            user.and_then(|user| user.peek_table()).is_some_and(|user| user.value("person").is_some())
        };
        // Whoever writes the same `person` twice means it.
        if named(&user.id.extension) && named(&other.id.extension) {
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

/// What stands in a table of the file, in the order written.
fn entries<'t>(root: &Table<'t>, name: &str) -> Vec<Entry<'t>> {
    root.value(name).and_then(Value::peek_table).map(|table| table.entries().to_vec()).unwrap_or_default()
}
