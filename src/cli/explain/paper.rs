//! A decision record told to people: the way of the call, every member of every step, and the answer at the end.

use std::io;

use super::shape::{Decision, Member, Step};
use crate::cli::screen::{Palette, Screen, Tone, harmless};
use crate::cli::table::{Align, Cell, Table};

/// What was taken as given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Assumption {
    /// The running daemon's registrations, switches and calls.
    Running,
    /// Files alone: every phone there, switches as written, nobody on a call.
    EverybodyThere,
}

/// Prints it.
pub(in crate::cli) fn show(decision: &Decision, assumption: Assumption, screen: &mut Screen) -> io::Result<()> {
    let mut title = decision.number.clone();
    if let Some(company) = &decision.company {
        title.push_str(&format!(" of {company}"));
    }
    if let Some(caller) = &decision.caller {
        title.push_str(&format!(", called by {caller}"));
    }
    if let Some(at) = &decision.at {
        title.push_str(&format!(", at {at}"));
    }
    screen.toned(Tone::Title, harmless(&title))?;
    screen.toned(
        Tone::Faint,
        match assumption {
            Assumption::Running => "as things stand in the running daemon",
            Assumption::EverybodyThere => {
                "from the files alone: as if every phone were registered, every switch as written, and nobody on a call"
            }
        },
    )?;
    match &decision.route {
        Some(route) => match &route.hours {
            Some(hours) => screen.line(format!("route: {} (hours {hours} are open)", route.to))?,
            None => screen.line(format!("route: {}", route.to))?,
        },
        None => screen.toned(Tone::Warning, "route: none")?,
    }
    let mut because: Option<&str> = None;
    for (index, step) in decision.steps.iter().enumerate() {
        show_step(index + 1, step, because, screen)?;
        because = step.cause.as_deref();
    }
    if let Some(answer) = &decision.answer {
        let lead = match (answer.status, decision.steps.is_empty()) {
            (200..=299, _) => "answered",
            (_, true) => "answer",
            (_, false) => "if nobody answers",
        };
        let q850 = answer.q850.map_or(String::new(), |cause| format!(" (Q.850 cause {cause})"));
        let words = [answer.cause.as_deref(), answer.text.as_deref()].into_iter().flatten();
        let words = harmless(&words.collect::<Vec<_>>().join(": "));
        let tone = if (200..=299).contains(&answer.status) { Tone::Good } else { Tone::Bad };
        screen.toned(tone, format!("{lead}: {}{q850} {words}", answer.status))?;
    }
    Ok(())
}

fn show_step(place: usize, step: &Step, because: Option<&str>, screen: &mut Screen) -> io::Result<()> {
    let mut title = match (&step.department, &step.user, &step.external) {
        (Some(department), _, _) => department.clone(),
        (None, Some(user), _) => format!("user {user}"),
        (None, None, Some(number)) => format!("outside number {number}"),
        (None, None, None) => "directly".to_owned(),
    };
    if let Some(strategy) = &step.strategy {
        title.push_str(&format!(", {strategy}"));
    }
    if let Some(because) = because {
        title.push_str(&format!(" (overflow: {because})"));
    }
    screen.line("")?;
    let title = screen.palette().paint(Tone::Title, &title);
    screen.line(format!("{place}. {title}"))?;
    let (offered, skipped): (Vec<&Member>, Vec<&Member>) =
        step.members.iter().partition(|member| member.offer.is_some());
    let mut offered = offered;
    offered.sort_by_key(|member| member.offer);
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left), ("", Align::Left), ("", Align::Left)]);
    for member in offered.iter().chain(&skipped) {
        let (what, tone) = match (member.offer, &member.skip) {
            (Some(offer), _) => (format!("rings, offer {offer}"), Tone::Good),
            (None, Some(skip)) => (format!("skipped: {skip}"), Tone::Warning),
            (None, None) => ("not reached".to_owned(), Tone::Faint),
        };
        table.row([
            member.extension.as_deref().unwrap_or("").into(),
            Cell::toned(Tone::Faint, member.person.as_deref().unwrap_or("")),
            Cell::toned(tone, what),
            member.evidence.as_deref().unwrap_or("").into(),
        ]);
    }
    print_indented(&table, screen)?;
    if step.members.is_empty() && step.department.is_some() {
        screen.toned(Tone::Faint, "   nobody was looked at")?;
    }
    if let Some(cause) = &step.cause {
        screen.toned(Tone::Faint, format!("   left because: {cause}"))?;
    }
    Ok(())
}

/// The rows without the (empty) titles.
fn print_indented(table: &Table, screen: &mut Screen) -> io::Result<()> {
    let palette: Palette = screen.palette();
    for row in table.render(palette).lines().skip(1) {
        screen.line(format!("   {row}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::screen::tests::Paper;

    fn told(json: &str, assumption: Assumption) -> String {
        let decision: Decision = serde_json::from_str(json).unwrap();
        let paper = Paper::default();
        show(&decision, assumption, &mut paper.screen(Palette::Plain)).unwrap();
        paper.text()
    }

    /// The example of product.md §4.
    const EXAMPLE: &str = r#"{ "number": "+918041234567", "company": "acme", "caller": "+919811112222", "at": "2026-11-22T10:00:00+05:30",
        "route": { "to": "department:sales", "hours": "office" },
        "steps": [
          { "department": "sales", "strategy": "simultaneous", "cause": "busy",
            "members": [ { "extension": "221", "person": "asha", "skip": "on-call", "evidence": "at globex since 10:31" },
                         { "extension": "222", "person": "ravi@acme.example", "offer": 1 } ] },
          { "department": "support", "strategy": "serial", "cause": "no-answer", "members": [
                         { "extension": "230", "person": "meena", "offer": 2 }, { "extension": "231", "person": "dev", "offer": 1 } ] } ],
        "answer": { "status": 480, "q850": 19, "cause": "no-answer", "text": "nobody in support answered" } }"#;

    #[test]
    fn the_whole_way_is_told() {
        let text = told(EXAMPLE, Assumption::Running);
        let expected = "\
+918041234567 of acme, called by +919811112222, at 2026-11-22T10:00:00+05:30
as things stand in the running daemon
route: department:sales (hours office are open)

1. sales, simultaneous
   222  ravi@acme.example  rings, offer 1
   221  asha               skipped: on-call  at globex since 10:31
   left because: busy

2. support, serial (overflow: busy)
   231  dev    rings, offer 1
   230  meena  rings, offer 2
   left because: no-answer
if nobody answers: 480 (Q.850 cause 19) no-answer: nobody in support answered
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_offline_answer_says_what_it_assumed() {
        assert!(told(EXAMPLE, Assumption::EverybodyThere).contains("as if every phone were registered"));
    }

    #[test]
    fn a_number_of_nobody_has_no_route_and_an_answer() {
        let json = r#"{ "number": "+15550100", "company": null, "route": null, "steps": [],
                        "answer": { "status": 404, "q850": 1, "cause": "unknown-number", "text": "number not ours" } }"#;
        let text = told(json, Assumption::Running);
        assert!(text.contains("route: none"), "{text}");
        assert!(text.contains("answer: 404 (Q.850 cause 1) unknown-number: number not ours"), "{text}");
    }

    #[test]
    fn fields_of_later_versions_are_passed_over() {
        let text = told(
            r#"{ "number": "+1", "weather": "fine", "steps": [ { "department": "x", "moon": 1 } ] }"#,
            Assumption::Running,
        );
        assert!(text.contains("1. x"), "{text}");
    }
}
