//! `switchboard trace`: one call that is over, from its arrival to its end: what was decided, why, and what came of each offer.
//!
//! `explain` tells what would happen; this tells what did, so that it has its own words.

use std::io;

use chrono_tz::Tz;

use super::books::Books;
use super::local_time::{clock, length};
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Palette, Screen, Tone, harmless};
use super::table::{Align, Cell, Table};
use crate::id::CallRef;
use crate::routing::{DecisionRecord, MemberRecord, Mobile, OfferOutcome, OfferRecord, StepRecord};
use crate::state::{CallRecord, Companies, EndedBy, Filter, discreet, outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The call, as logs and listings name it (c17), or its SIP Call-ID
    #[arg(value_name = "CALL")]
    call: String,
    /// As this company may see it
    #[arg(long, value_name = "COMPANY")]
    company: Option<String>,
    /// The record for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let mut books = Books::open(place)?;
    let company = arguments.company.as_deref().map(|name| books.company(name)).transpose()?;
    let mut records = find(&books, arguments.call.trim())?;
    if let Some(company) = &company {
        records.retain(|record| record.company.as_ref() == Some(company));
        records = records.into_iter().map(discreet).collect();
    }
    if records.is_empty() {
        return Err(Failure::no(format!(
            "the log has no call {}; it may still go on (`switchboard calls`), or be older than `keep-calls`",
            harmless(&arguments.call)
        )));
    }
    if arguments.json {
        match records.as_slice() {
            [one] => screen.json(one)?,
            several => screen.json(&several)?,
        }
        return Ok(Outcome::Done);
    }
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            screen.line("")?;
        }
        let zone = books.zone(record.company.as_ref());
        tell(record, zone, screen)?;
    }
    Ok(Outcome::Done)
}

/// By our name, else by the caller's: two calls may have one Call-ID.
fn find(books: &Books, name: &str) -> Result<Vec<CallRecord>, Failure> {
    if let Some(record) = name.parse::<CallRef>().ok().map(|call| books.log.find(call)).transpose()?.flatten() {
        return Ok(vec![record]);
    }
    let page = books.log.query(&Filter {
        sip_call_id: Some(name.to_owned()),
        companies: Companies::All,
        ..Filter::default()
    })?;
    let mut records = Vec::new();
    for call in page.calls.iter().rev().filter_map(|row| row.call.parse().ok()) {
        records.extend(books.log.find(call)?);
    }
    Ok(records)
}

fn tell(record: &CallRecord, zone: Tz, screen: &mut Screen) -> io::Result<()> {
    let decision = &record.decision;
    let mut title = format!("{}  {}", record.call, decision.number);
    if let Some(label) = &decision.label {
        title.push_str(&format!(" ({label})"));
    }
    if let Some(company) = &record.company {
        title.push_str(&format!(" of {company}"));
    }
    let caller = record.from_user.as_ref().map_or_else(|| decision.caller.clone(), ToString::to_string);
    title.push_str(&format!(", called by {caller}"));
    screen.toned(Tone::Title, harmless(&title))?;
    // With its date: today's calls are looked at tomorrow.
    let arrived = clock(record.started_at.unix_millis(), zone.name(), i64::MIN);
    let by = record.trunk.as_ref().map_or_else(String::new, |trunk| format!(" by trunk {trunk}"));
    fact("", "arrived", &format!("{arrived}{by}, Call-ID {}", record.sip_call_id), screen)?;
    way_in(decision, screen)?;
    for (index, step) in decision.steps.iter().enumerate() {
        tell_step(index + 1, step, record, zone, screen)?;
    }
    screen.line("")?;
    let (tone, text) = end(record);
    screen.toned(tone, harmless(&text))?;
    if let Some(answer) = decision.answer.as_ref().filter(|_| record.answered_at.is_none()) {
        let q850 = answer.q850.map_or_else(String::new, |value| format!(" (Q.850 cause {value})"));
        fact("", "answer", &format!("{}{q850} {}: {}", record.status, answer.cause.as_str(), answer.text), screen)?;
    }
    Ok(())
}

fn way_in(decision: &DecisionRecord, screen: &mut Screen) -> io::Result<()> {
    if let Some(door) = &decision.door {
        fact("", "refused", &format!("{}: {}", door.refused.as_str(), door.evidence), screen)?;
    }
    for passed in &decision.passed {
        fact("", "passed", &format!("{}: {}", passed.to, passed.evidence), screen)?;
    }
    let route = match &decision.route {
        Some(route) => {
            let hours = route.hours.as_ref().map(|hours| format!("hours {hours} were open"));
            let callers = route.callers.as_ref().map(|callers| format!("callers {callers}"));
            let why: Vec<String> = [hours, callers].into_iter().flatten().collect();
            if why.is_empty() { route.to.clone() } else { format!("{} ({})", route.to, why.join(", ")) }
        }
        None => "none".to_owned(),
    };
    fact("", "route", &route, screen)
}

fn tell_step(place: usize, step: &StepRecord, record: &CallRecord, zone: Tz, screen: &mut Screen) -> io::Result<()> {
    let mut title = match (&step.department, &step.user, &step.external) {
        (Some(department), _, _) => department.clone(),
        (None, Some(user), _) => format!("user {user}"),
        (None, None, Some(number)) => format!("outside number {number}"),
        (None, None, None) => "directly".to_owned(),
    };
    if let Some(strategy) = &step.strategy {
        title.push_str(&format!(", {strategy}"));
    }
    screen.line("")?;
    let title = screen.palette().paint(Tone::Title, &harmless(&title));
    screen.line(format!("{place}. {title}"))?;
    if let Some(offer) = &step.offered {
        let (tone, text) = came_of(offer, record, zone);
        screen.toned(tone, format!("   {}", harmless(&text)))?;
    }
    tell_members(&step.members, record, zone, screen)?;
    if let Some(sticky) = &step.sticky {
        fact("   ", "sticky", &format!("the caller had spoken with {sticky} before"), screen)?;
    }
    if let Some(wait) = step.wait {
        fact("   ", "waited", &format!("{} in line", seconds(wait)), screen)?;
    }
    if let Some(evidence) = &step.evidence {
        fact("   ", "because", evidence, screen)?;
    }
    if let Some(left) = step.cause {
        let onward = match (&step.overflow, step.circle) {
            (Some(overflow), false) => format!(", on to {overflow}"),
            (Some(overflow), true) => format!(", and {overflow} had had the call already"),
            (None, _) => String::new(),
        };
        fact("   ", "left", &format!("{}{onward}", left.as_str()), screen)?;
    }
    Ok(())
}

/// Whoever was offered the call, in that order; then the others as they are written.
fn tell_members(members: &[MemberRecord], record: &CallRecord, zone: Tz, screen: &mut Screen) -> io::Result<()> {
    let (mut offered, others): (Vec<&MemberRecord>, Vec<&MemberRecord>) =
        members.iter().partition(|member| member.offered.is_some());
    offered.sort_by_key(|member| member.offered.as_ref().map(|offer| offer.offer));
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left), ("", Align::Left), ("", Align::Left)]);
    for member in offered.into_iter().chain(others) {
        let (tone, what, evidence) = match (&member.offered, member.skip) {
            (Some(offer), _) => {
                let (tone, what) = came_of(offer, record, zone);
                (tone, what, None)
            }
            (None, Some(skip)) => (Tone::Warning, format!("skipped: {}", skip.as_str()), member.evidence.as_deref()),
            (None, None) => (Tone::Faint, "not reached".to_owned(), None),
        };
        table.row([
            (&member.extension).into(),
            Cell::toned(Tone::Faint, &member.person),
            Cell::toned(tone, what),
            evidence.unwrap_or("").into(),
        ]);
    }
    let palette: Palette = screen.palette();
    for row in table.render(palette).lines().skip(1) {
        screen.line(format!("   {row}"))?;
    }
    Ok(())
}

/// `rang 25 s from 10:31:05 IST (offer 2): no answer`
fn came_of(offer: &OfferRecord, record: &CallRecord, zone: Tz) -> (Tone, String) {
    let mobile = match offer.mobile {
        Some(Mobile::Alone) => ", on the mobile alone",
        Some(Mobile::Too) => ", on the mobile too",
        None => "",
    };
    let at = chrono::DateTime::parse_from_rfc3339(&offer.at).map_or_else(
        |_| offer.at.clone(),
        |at| clock(at.timestamp_millis(), zone.name(), record.started_at.unix_millis()),
    );
    let status = offer.status.map_or_else(String::new, |status| format!(" ({status})"));
    let (tone, end) = match offer.outcome {
        Some(OfferOutcome::Answered) => (Tone::Good, "answered".to_owned()),
        Some(OfferOutcome::Busy) => (Tone::Warning, format!("refused as busy{status}")),
        Some(OfferOutcome::Declined) => (Tone::Warning, format!("declined{status}")),
        Some(OfferOutcome::NoAnswer) => (Tone::Warning, "no answer".to_owned()),
        Some(OfferOutcome::Failed) => (Tone::Bad, format!("failed{status}")),
        Some(OfferOutcome::Withdrawn) if record.ended_by == EndedBy::Cancelled => {
            (Tone::Faint, "the caller hung up".to_owned())
        }
        Some(OfferOutcome::Withdrawn) if record.ended_by == EndedBy::CutOff => {
            (Tone::Bad, "cut off: the daemon ended while it rang".to_owned())
        }
        Some(OfferOutcome::Withdrawn) => {
            (Tone::Faint, "withdrawn: somebody else answered, or the call went on".to_owned())
        }
        None => (Tone::Faint, "not known how it ended".to_owned()),
    };
    let rang = offer.ring.map_or_else(|| "rang".to_owned(), |ring| format!("rang {}", seconds(ring)));
    (tone, format!("{rang} from {at} (offer {}{mobile}): {end}", offer.offer))
}

/// How it ended, in words.
fn end(record: &CallRecord) -> (Tone, String) {
    let (started, ended) = (record.started_at.unix_millis(), record.ended_at.unix_millis());
    let Some(answered) = record.answered_at.map(|at| at.unix_millis()) else {
        let after = length(started, ended);
        return match record.ended_by {
            EndedBy::Cancelled => (Tone::Warning, format!("not answered: the caller hung up after {after}")),
            EndedBy::CutOff => (
                Tone::Bad,
                "cut off: the daemon ended while the call was not answered yet; what rang after what is told here is not known"
                    .to_owned(),
            ),
            EndedBy::Refused
            | EndedBy::Caller
            | EndedBy::Callee
            | EndedBy::SessionTimer
            | EndedBy::MaxCall
            | EndedBy::Unacknowledged
            | EndedBy::Restarted => (Tone::Bad, format!("not answered after {after}: {}", outcome(record))),
        };
    };
    let by = match record.ended_by {
        EndedBy::Caller => "the caller hung up",
        EndedBy::Callee => "whoever answered hung up",
        EndedBy::Cancelled => "the caller had hung up as it was answered",
        EndedBy::SessionTimer => "nobody refreshed the session: one end was gone",
        EndedBy::MaxCall => "it was longer than `max-call`",
        EndedBy::Unacknowledged => "the caller never acknowledged the answer",
        EndedBy::Restarted => "a phone said that it had restarted",
        EndedBy::CutOff => "the daemon ended meanwhile, and how the call ended is not known",
        EndedBy::Refused => "it was refused",
    };
    let with = if record.answered_by.is_empty() { "somebody".to_owned() } else { record.answered_by.join(" and ") };
    let (waited, talked) = (length(started, answered), length(answered, ended));
    (Tone::Good, format!("answered by {with} after {waited}, talked {talked}; {by}"))
}

/// One line: what it is about, and what there is to say.
fn fact(indent: &str, about: &str, text: &str, screen: &mut Screen) -> io::Result<()> {
    let about = screen.palette().paint(Tone::Faint, &format!("{about:8}"));
    screen.line(format!("{indent}{about} {}", harmless(text)))
}

/// `25 s`, `0.5 s`
fn seconds(length: f64) -> String {
    format!("{} s", (length * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::tests::Paper;
    use crate::routing::AnswerCause;
    use crate::state::samples;

    fn told(record: &CallRecord) -> String {
        let paper = Paper::default();
        tell(record, Tz::Asia__Kolkata, &mut paper.screen(Palette::Plain)).unwrap();
        paper.text()
    }

    #[test]
    fn an_answered_call_is_told_to_its_end() {
        let expected = "\
c7  +918041234567 (Sales) of acme, called by +919811112222
arrived  2026-11-22 10:31:00 IST by trunk airtel, Call-ID 7@trunk.example
route    department:sales (hours office were open)

1. sales, serial
   223  223@acme  rang 5 s from 10:31:00 IST (offer 1): no answer
   221  221@acme  rang 4 s from 10:31:00 IST (offer 2): answered
   222  222@acme  skipped: on-call                                 at globex since 10:31 IST
   waited   3.5 s in line

answered by 221 after 12 s, talked 1 min 00 s; whoever answered hung up
";
        assert_eq!(told(&samples::record(7, 0, AnswerCause::Answered)), expected);
    }

    #[test]
    fn a_refusal_is_told_with_its_cause() {
        let text = told(&samples::record(7, 0, AnswerCause::NoAnswer));
        assert!(text.contains("   left     no-answer\n"), "{text}");
        assert!(
            text.contains("not answered after 12 s: no-answer\nanswer   480 (Q.850 cause 19) no-answer: in words\n"),
            "{text}"
        );
    }

    #[test]
    fn a_call_that_a_crash_cut_off_says_so() {
        let mut record = samples::record(7, 0, AnswerCause::CutOff);
        record.ended_by = EndedBy::CutOff;
        assert!(
            told(&record).contains("cut off: the daemon ended while the call was not answered yet"),
            "{}",
            told(&record)
        );
        record.answered_at = Some(record.started_at);
        assert!(told(&record).contains("how the call ended is not known"));
    }

    #[test]
    fn a_caller_cannot_steer_the_terminal() {
        let mut record = samples::record(7, 0, AnswerCause::Answered);
        record.decision.caller = "\x1b[2Jx".to_owned();
        record.sip_call_id = "a\r\nanswered by nobody\x07".to_owned();
        let text = told(&record);
        assert!(!text.contains('\x1b') && !text.contains('\x07') && !text.contains('\r'), "{text:?}");
        assert_eq!(text.lines().count(), told(&samples::record(7, 0, AnswerCause::Answered)).lines().count());
    }
}
