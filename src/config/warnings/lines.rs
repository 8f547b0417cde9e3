//! Where a company's calls can go: every destination that is written, as lines from spot to spot, and the circles among them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::tree::{At, Finding, Findings, Value};
use super::super::words::{self, CAUSES};
use super::written::{Thing, Written};
use crate::id::{DepartmentId, Extension};
use crate::number::E164;
use crate::routing::{Cause, Company, Destination, Overflow};

/// Where a call can be in a company.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    Department(DepartmentId),
    User(Extension),
}

impl Spot {
    pub(super) fn of(destination: &Destination) -> Option<Spot> {
        match destination {
            Destination::Department(id) => Some(Spot::Department(id.clone())),
            Destination::User(extension) => Some(Spot::User(extension.clone())),
            Destination::External(_) | Destination::Reject(_) => None,
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Spot::Department(id) => format!("department `{id}`"),
            Spot::User(extension) => format!("user `{extension}`"),
        }
    }
}

/// From where a line leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A number's route, by its position.
    Route(E164, usize),
    /// The overflow of a spot, for one cause or (`None`) for the rest.
    Overflow(Spot, Option<Cause>),
}

/// One route or `overflow` entry: from where, where to, and where that is written.
pub(super) struct Line {
    pub(super) from: From,
    pub(super) to: Destination,
    pub(super) at: At,
}

/// Every destination in a company's file: routes, then departments, then users, each in the order written.
pub(super) struct Lines {
    list: Vec<Line>,
    /// The lines that leave each spot.
    leaving: BTreeMap<Spot, Vec<usize>>,
}

impl Lines {
    pub(super) fn of(written: &Written<'_>, company: &Company) -> Lines {
        let mut lines = Lines { list: Vec::new(), leaving: BTreeMap::new() };
        for entry in &written.numbers {
            let Ok(number) = words::number(entry.name) else { continue };
            let routes = entry.value("routes").map(Value::peek_list).unwrap_or_default().into_iter();
            for (position, route) in routes.enumerate() {
                if let Some(value) = route.peek_table().and_then(|route| route.value("to").cloned()) {
                    lines.take(From::Route(number.clone(), position), &value);
                }
            }
        }
        for entry in &written.departments {
            if let Some(department) = company.departments.get(entry.name) {
                lines.overflow(&Spot::Department(department.id.clone()), entry, &department.overflow);
            }
        }
        for entry in &written.users {
            if let Some(user) = company.users.get(entry.name) {
                lines.overflow(&Spot::User(user.id.extension.clone()), entry, &user.overflow);
            }
        }
        lines
    }

    fn overflow(&mut self, from: &Spot, entry: &Thing<'_>, overflow: &Overflow) {
        if overflow.by_cause.is_empty() && overflow.default.is_none() {
            return;
        }
        let written = entry.value("overflow").cloned();
        for entry in written.iter().filter_map(Value::peek_table).flat_map(|table| table.entries().to_vec()) {
            let cause = CAUSES.iter().find(|(name, _)| *name == entry.name).map(|(_, cause)| *cause);
            self.take(From::Overflow(from.clone(), cause), &entry.value);
        }
    }

    fn take(&mut self, from: From, value: &Value<'_>) {
        // A company without errors has no destination that cannot be read.
        if let Some(Ok(to)) = value.peek_text().map(words::destination) {
            if let From::Overflow(spot, _) = &from {
                self.leaving.entry(spot.clone()).or_default().push(self.list.len());
            }
            self.list.push(Line { from, to, at: value.at.clone() });
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.list.iter()
    }

    /// Those that leave a spot, with the cause each is for, in the order written.
    pub(super) fn leaving(&self, spot: &Spot) -> impl Iterator<Item = (Option<Cause>, &Line)> {
        let numbers = self.leaving.get(spot).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(|number| self.list.get(*number)).filter_map(|line| match &line.from {
            From::Overflow(_, cause) => Some((*cause, line)),
            From::Route(..) => None,
        })
    }

    /// The line that serves a cause: its own, else the default.
    pub(super) fn serving(&self, spot: &Spot, cause: Cause) -> Option<&Line> {
        let of = |wanted: Option<Cause>| self.leaving(spot).find(|(cause, _)| *cause == wanted).map(|(_, line)| line);
        of(Some(cause)).or_else(|| of(None))
    }

    /// Where calls can get: from a number, or from somebody who dials an extension.
    pub(super) fn reachable(&self, company: &Company) -> BTreeSet<Spot> {
        let dialled = company.users.keys().cloned().map(Spot::User);
        let routed =
            self.iter().filter(|line| matches!(line.from, From::Route(..))).filter_map(|line| Spot::of(&line.to));
        let mut next: Vec<Spot> = dialled.chain(routed).collect();
        let mut reached = BTreeSet::new();
        while let Some(spot) = next.pop() {
            next.extend(self.leaving(&spot).filter_map(|(_, line)| Spot::of(&line.to)));
            reached.insert(spot);
            while next.last().is_some_and(|spot| reached.contains(spot)) {
                next.pop();
            }
        }
        reached
    }
}

/// How far the search for circles is at a spot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// The way leads over it.
    OnTheWay,
    /// Everything behind it has been looked at.
    Done,
}

/// a chain that would return to a department ends there. A search in depth: each line that leads back to where the way came
/// by closes a circle, and there is no circle without such a line.
pub(super) fn circles(lines: &Lines, findings: &mut Findings) {
    let mut seen: BTreeMap<&Spot, Seen> = BTreeMap::new();
    for start in lines.in_order() {
        if seen.contains_key(start) {
            continue;
        }
        // The spots on the way, the lines that leave each and are still to be followed, and the line that led to it.
        let mut way: Vec<(&Spot, Vec<&Line>, Option<&Line>)> = vec![(start, lines.to_follow(start), None)];
        seen.insert(start, Seen::OnTheWay);
        while let Some((spot, left, _)) = way.last_mut() {
            let Some(line) = left.pop() else {
                seen.insert(spot, Seen::Done);
                way.pop();
                continue;
            };
            let Some((to, _)) = Spot::of(&line.to).and_then(|to| lines.leaving.get_key_value(&to)) else { continue };
            match seen.get(to) {
                Some(Seen::Done) => {}
                Some(Seen::OnTheWay) => {
                    let from = way.iter().position(|(spot, _, _)| *spot == to).unwrap_or_default();
                    tell(way.get(from..).unwrap_or_default(), to, line, findings);
                }
                None => {
                    seen.insert(to, Seen::OnTheWay);
                    way.push((to, lines.to_follow(to), Some(line)));
                }
            }
        }
    }
}

impl Lines {
    /// The spots that lines leave, in the order written.
    fn in_order(&self) -> Vec<&Spot> {
        let first = |lines: &Vec<usize>| lines.first().copied().unwrap_or_default();
        let mut spots: Vec<(usize, &Spot)> = self.leaving.iter().map(|(spot, lines)| (first(lines), spot)).collect();
        spots.sort_unstable();
        spots.into_iter().map(|(_, spot)| spot).collect()
    }

    /// The lines that leave a spot, one for each spot they lead to; the first written is the last.
    fn to_follow(&self, spot: &Spot) -> Vec<&Line> {
        let mut targets = BTreeSet::new();
        let mut list: Vec<&Line> = self.leaving(spot).map(|(_, line)| line).collect();
        list.retain(|line| Spot::of(&line.to).is_some_and(|to| targets.insert(to)));
        list.reverse();
        list
    }
}

fn tell(way: &[(&Spot, Vec<&Line>, Option<&Line>)], back: &Spot, last: &Line, findings: &mut Findings) {
    /// More than these say no more.
    const SHOWN: usize = 20;
    let mut words: Vec<String> = way.iter().take(SHOWN).map(|(spot, _, _)| spot.words()).collect();
    if way.len() > SHOWN {
        words.push(format!("{} more", way.len() - SHOWN));
    }
    words.push(back.words());
    let mut finding =
        Finding::warning(&last.at, format!("overflow goes in a circle: {}", words.join(" → "))).label("back again");
    for line in way.iter().skip(1).take(SHOWN).filter_map(|(_, _, line)| *line) {
        finding = finding.related(&line.at, "by way of this");
    }
    findings.report(finding.help(
        "a call enters each of them once, and ends here with the cause it has; let it lead elsewhere, like \"external:+919800000000\" or \"reject:unavailable\"",
    ));
}
