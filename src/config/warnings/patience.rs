//! How long a caller listens to ringing before somebody answers or the call is refused.
//!
//! Two bounds, both from what callers and networks are known to stand: after a minute of one phone ringing nobody comes to it any
//! more, and after three minutes of ringing all told a caller has hung up (RFC 3261 §16.6 Timer C gives a proxy about as long).
//! Waiting in line (`wait`) is not counted: that caller is told that it waits, and the admin chose how long.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::tree::{Finding, Findings};
use super::super::words::duration_words;
use super::lines::{From, Line, Lines, Spot};
use super::week::Week;
use super::written::{Thing, Written};
use crate::routing::{Cause, Company, Department, Strategy};

/// The longest one offer is likely to be of use.
const OFFER: Duration = Duration::from_secs(60);
/// The longest a caller is likely to listen to ringing, all told.
const CALL: Duration = Duration::from_secs(180);

/// Warns of every `ring`, department and chain of overflow that takes longer.
pub(super) fn warn(written: &Written<'_>, company: &Company, lines: &Lines, week: &Week, findings: &mut Findings) {
    let mut told: BTreeSet<Spot> = BTreeSet::new();
    for entry in &written.departments {
        let Some(department) = company.departments.get(entry.name) else { continue };
        let length = ringing(department, week);
        let offer = too_long(entry, department.ring, findings);
        if offer || length > CALL {
            told.insert(Spot::Department(department.id.clone()));
        }
        let members = entry.value("members").cloned();
        if let (false, true, Some(members)) = (offer, length > CALL, members) {
            findings.report(
                Finding::warning(
                    &members.at,
                    format!(
                        "department `{}` may ring for {} before the caller hears that nobody answers",
                        department.id,
                        words(length)
                    ),
                )
                .label(format!("{} × {}", offers(department, week), duration_words(department.ring)))
                .help(format!(
                    "few callers listen for more than {}: a shorter `ring`, `strategy = \"simultaneous\"` with a larger `max-ring`, or fewer members",
                    duration_words(CALL)
                )),
            );
        }
    }
    for entry in &written.users {
        let Some(user) = company.users.get(entry.name) else { continue };
        if too_long(entry, user.ring, findings) {
            told.insert(Spot::User(user.id.extension.clone()));
        }
    }
    chains(company, lines, week, &told, findings);
}

fn too_long(entry: &Thing<'_>, ring: Duration, findings: &mut Findings) -> bool {
    let value = entry.value("ring").cloned();
    let Some(value) = value.filter(|_| ring > OFFER) else { return false };
    findings.report(
        Finding::warning(&value.at, format!("one offer of {} is longer than callers wait", duration_words(ring)))
            .label(format!("more than {}", duration_words(OFFER)))
            .help("who has not come to the phone within a minute does not come: 20s to 30s is usual, then the next in turn"),
    );
    true
}

/// Overflow after overflow, where nobody answers anywhere.
fn chains(company: &Company, lines: &Lines, week: &Week, told: &BTreeSet<Spot>, findings: &mut Findings) {
    let mut begun: BTreeSet<Spot> = BTreeSet::new();
    for route in lines.iter().filter(|line| matches!(line.from, From::Route(..))) {
        let Some(start) = Spot::of(&route.to) else { continue };
        if !begun.insert(start.clone()) {
            continue;
        }
        let mut by: Vec<&Line> = Vec::new();
        let mut parts: Vec<String> = Vec::new();
        let mut visited: BTreeSet<Spot> = BTreeSet::new();
        let mut total = Duration::ZERO;
        let mut next = Some(start);
        while let Some(spot) = next.take() {
            if told.contains(&spot) || !visited.insert(spot.clone()) {
                break;
            }
            let length = match &spot {
                Spot::Department(id) => company.departments.get(id).map(|department| ringing(department, week)),
                Spot::User(extension) => company.users.get(extension).map(|user| user.ring),
            };
            let length = length.unwrap_or_default();
            total += length;
            parts.push(format!("{} {}", spot.words(), words(length)));
            let line = lines.serving(&spot, Cause::NoAnswer);
            next = line.and_then(|line| Spot::of(&line.to)).filter(|to| !visited.contains(to) && !told.contains(to));
            by.extend(line.filter(|_| next.is_some()));
        }
        if total > CALL {
            let message = format!("a call that nobody answers rings for {} here: {}", words(total), parts.join(" → "));
            let mut finding = Finding::warning(&route.at, message).label("from here on");
            for line in by {
                finding = finding.related(&line.at, "and on");
            }
            findings.report(finding.help(format!(
                "few callers listen for more than {}: shorten a `ring`, or end the chain earlier",
                duration_words(CALL)
            )));
        }
    }
}

/// How many offers follow one another where nobody answers: by the strategy and the members who can be there at one time.
fn offers(department: &Department, week: &Week) -> u32 {
    let members = u32::try_from(week.most_at_once(department)).unwrap_or(u32::MAX);
    match department.strategy {
        Strategy::Simultaneous => members.div_ceil(department.max_ring.max(1)),
        Strategy::Serial | Strategy::RoundRobin | Strategy::LongestIdle | Strategy::FewestCalls | Strategy::Random => {
            members
        }
    }
}

fn ringing(department: &Department, week: &Week) -> Duration {
    department.ring.saturating_mul(offers(department, week))
}

/// Minutes and seconds: `3m 20s`.
fn words(length: Duration) -> String {
    let (minutes, seconds) = (length.as_secs() / 60, length.as_secs() % 60);
    match (minutes, seconds) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, 0) => format!("{minutes}m"),
        (minutes, seconds) => format!("{minutes}m {seconds}s"),
    }
}
