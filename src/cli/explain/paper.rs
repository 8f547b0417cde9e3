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

/// When that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Moment {
    /// The moment asked about is now.
    Now,
    /// It is another.
    Another,
}

/// Everything taken as given.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Premise {
    pub(super) assumption: Assumption,
    pub(super) moment: Moment,
    supposed: Vec<String>,
}

impl Premise {
    /// Nothing but that, now.
    pub(in crate::cli) fn of(assumption: Assumption) -> Premise {
        Premise { assumption, moment: Moment::Now, supposed: Vec::new() }
    }

    /// Those too are in that state.
    pub(super) fn suppose(&mut self, names: &[String], state: &str) {
        self.supposed.extend(names.iter().map(|name| format!("{name} {state}")));
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![match (self.assumption, self.moment) {
            (Assumption::Running, Moment::Now) => "as things stand in the running daemon".to_owned(),
            (Assumption::Running, Moment::Another) => {
                "in the running daemon: hours are those of then; calls, registrations and switches are those of now"
                    .to_owned()
            }
            (Assumption::EverybodyThere, Moment::Now | Moment::Another) => {
                "from the files alone: as if every phone were registered, every switch as written, and nobody on a call"
                    .to_owned()
            }
        }];
        if !self.supposed.is_empty() {
            lines.push(format!("supposed besides: {}", self.supposed.join(", ")));
        }
        lines
    }
}

/// Prints it.
pub(in crate::cli) fn show(decision: &Decision, premise: &Premise, screen: &mut Screen) -> io::Result<()> {
    let mut title = decision.number.clone();
    if let Some(label) = &decision.label {
        title.push_str(&format!(" ({label})"));
    }
    if let Some(company) = &decision.company {
        title.push_str(&format!(" of {company}"));
    }
    if let Some(caller) = decision.from_user.as_ref().or(decision.caller.as_ref()) {
        title.push_str(&format!(", called by {caller}"));
    }
    if let Some(at) = &decision.at {
        title.push_str(&format!(", {}", day_and_time(at)));
    }
    screen.toned(Tone::Title, harmless(&title))?;
    for line in premise.lines() {
        screen.toned(Tone::Faint, harmless(&line))?;
    }
    if let Some(verdict) = &decision.user_verdict {
        let tone = if verdict.verdict == "rings" { Tone::Good } else { Tone::Warning };
        screen.line("")?;
        screen.toned(tone, harmless(&verdict.text))?;
        screen.line("")?;
    }
    if decision.trunk.is_some() || decision.form.is_some() {
        let trunk = decision.trunk.as_ref().map(|trunk| format!("trunk {trunk}"));
        let form = decision.form.as_deref().map(|form| format!("written {}", in_words(form)));
        fact("", "by", &[trunk, form].into_iter().flatten().collect::<Vec<_>>().join(", "), screen)?;
    }
    if let Some(door) = &decision.door {
        fact("", "refused", &format!("{}: {}", door.refused, door.evidence), screen)?;
    }
    if let Some(hours) = &decision.number_hours {
        fact("", "number", &format!("open in {hours}"), screen)?;
    }
    for passed in &decision.passed {
        fact("", "passed", &format!("{}: {}", passed.to, passed.evidence), screen)?;
    }
    match &decision.route {
        Some(route) => {
            let hours = route.hours.as_ref().map(|hours| match &route.rule {
                Some(rule) => format!("open in {rule}"),
                None => format!("hours {hours} are open"),
            });
            let callers = route.callers.as_ref().map(|callers| format!("for callers {callers}"));
            let why = [hours, callers].into_iter().flatten().fold(String::new(), |said, why| said + ", " + &why);
            fact("", "route", &format!("{}{why}", route.to), screen)?;
        }
        None => fact("", "route", "none", screen)?,
    }
    let mut because: Option<&str> = None;
    for (index, step) in decision.steps.iter().enumerate() {
        show_step(index + 1, step, because, screen)?;
        because = step.cause.as_deref();
    }
    if let Some(answer) = &decision.answer {
        let rings = decision.steps.iter().any(Step::rings);
        let lead = match (answer.status, decision.answer_after.filter(|after| *after > 0.0)) {
            (200..=299, _) => "answered".to_owned(),
            (_, Some(after)) if rings => format!("if nobody answers, after {}", seconds(after)),
            (_, Some(after)) => format!("answer after {}", seconds(after)),
            (_, None) if rings => "if nobody answers".to_owned(),
            (_, None) => "answer".to_owned(),
        };
        let q850 = answer.q850.map_or(String::new(), |cause| format!(" (Q.850 cause {cause})"));
        let words = [answer.cause.as_deref(), answer.text.as_deref()].into_iter().flatten();
        let words = harmless(&words.collect::<Vec<_>>().join(": "));
        let tone = if (200..=299).contains(&answer.status) { Tone::Good } else { Tone::Bad };
        if !decision.steps.is_empty() {
            screen.line("")?;
        }
        screen.toned(tone, format!("{lead}: {}{q850} {words}", answer.status))?;
    }
    Ok(())
}

/// One line: what it is about, and what there is to say.
fn fact(indent: &str, about: &str, text: &str, screen: &mut Screen) -> io::Result<()> {
    let about = screen.palette().paint(Tone::Faint, &format!("{about:8}"));
    screen.line(format!("{indent}{about} {}", harmless(text)))
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
    let title = screen.palette().paint(Tone::Title, &harmless(&title));
    let when = step.entered_after.map_or_else(String::new, |after| format!(", +{}", seconds(after)));
    let when = screen.palette().paint(Tone::Faint, &when);
    screen.line(format!("{place}. {title}{when}"))?;
    if let Some(hours) = &step.hours {
        fact("   ", "open", &format!("in {hours}"), screen)?;
    }
    if let Some(offer) = step.offer {
        screen.toned(Tone::Good, format!("   {}", rings(offer, step.after, step.ring)))?;
    }
    show_members(&step.members, screen)?;
    if step.members.is_empty() && step.department.is_some() {
        screen.toned(Tone::Warning, "   it has no members")?;
    }
    if step.strategy.as_deref() == Some("random") {
        fact("   ", "order", "drawn anew for each call", screen)?;
    }
    if let Some(sticky) = &step.sticky {
        fact("   ", "sticky", &format!("the caller spoke with {sticky} before"), screen)?;
    }
    if let Some(wait) = step.wait {
        fact("   ", "wait", &format!("{} in line, while somebody is busy", seconds(wait)), screen)?;
    }
    if let Some(evidence) = &step.evidence {
        fact("   ", "because", evidence, screen)?;
    }
    if let Some(cause) = &step.cause {
        let onward = match (&step.overflow, step.circle) {
            (Some(overflow), false) => format!(", on to {overflow}{}", by_key(step.overflow_by.as_deref())),
            (Some(overflow), true) => {
                format!(", and {overflow}{} has had the call already", by_key(step.overflow_by.as_deref()))
            }
            (None, _) => String::new(),
        };
        fact("   ", "left", &format!("{cause}{onward}"), screen)?;
    }
    Ok(())
}

/// The form of R-1.2 that matched; one of later versions by its name.
fn in_words(form: &str) -> String {
    match form {
        "plus" => "with its +".to_owned(),
        "international" => "with the international prefix".to_owned(),
        "national" => "with the national prefix".to_owned(),
        "bare-international" => "with its country code and no +".to_owned(),
        "bare-national" => "without country code or prefix".to_owned(),
        other => format!("in the form {other}"),
    }
}

/// The key of the configuration that leads on.
fn by_key(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!(" (overflow.{key})"))
}

/// RFC 3339 as people write it: `Sun 2026-11-22 10:00:00 +05:30`.
fn day_and_time(at: &str) -> String {
    match chrono::DateTime::parse_from_rfc3339(at) {
        Ok(moment) => moment.format("%a %Y-%m-%d %H:%M:%S %:z").to_string(),
        Err(_) => at.to_owned(),
    }
}

/// Who rings, in the order of the offers; then the others as they are written.
fn show_members(members: &[Member], screen: &mut Screen) -> io::Result<()> {
    let (mut offered, others): (Vec<&Member>, Vec<&Member>) = members.iter().partition(|member| member.offer.is_some());
    offered.sort_by_key(|member| member.offer);
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left), ("", Align::Left), ("", Align::Left)]);
    for member in offered.iter().chain(&others) {
        let (what, tone, evidence) = match (member.offer, &member.skip) {
            // Why it is not rung again is no reason why it is not rung.
            (Some(offer), _) => (rings(offer, member.after, member.ring), Tone::Good, mobile(member.mobile.as_deref())),
            (None, Some(skip)) => (format!("skipped: {skip}"), Tone::Warning, member.evidence.as_deref()),
            (None, None) => ("not looked at".to_owned(), Tone::Faint, None),
        };
        table.row([
            member.extension.as_deref().unwrap_or("").into(),
            Cell::toned(Tone::Faint, member.person.as_deref().unwrap_or("")),
            Cell::toned(tone, what),
            evidence.unwrap_or("").into(),
        ]);
    }
    print_indented(&table, screen)
}

/// An outside call is made, and paid for.
fn mobile(mobile: Option<&str>) -> Option<&'static str> {
    match mobile {
        Some("alone") => Some("on the mobile alone"),
        Some(_) => Some("on the mobile too"),
        None => None,
    }
}

/// `+25 s  rings 25 s, offer 2`
fn rings(offer: u32, after: Option<f64>, ring: Option<f64>) -> String {
    let after = after.map_or_else(String::new, |after| format!("+{}  ", seconds(after)));
    match ring {
        Some(ring) => format!("{after}rings {}, offer {offer}", seconds(ring)),
        None => format!("{after}rings, offer {offer}"),
    }
}

/// `25 s`, `0.5 s`
fn seconds(length: f64) -> String {
    format!("{length} s")
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
        told_under(json, &Premise::of(assumption))
    }

    fn told_under(json: &str, premise: &Premise) -> String {
        let decision: Decision = serde_json::from_str(json).unwrap();
        let paper = Paper::default();
        show(&decision, premise, &mut paper.screen(Palette::Plain)).unwrap();
        paper.text()
    }

    /// The example of product.md §4.
    const EXAMPLE: &str = r#"{ "number": "+918041234567", "company": "acme", "caller": "+919811112222", "at": "2026-11-22T10:00:00+05:30",
        "route": { "to": "department:sales", "hours": "office" },
        "steps": [
          { "department": "sales", "strategy": "simultaneous", "cause": "busy",
            "members": [ { "extension": "221", "person": "asha", "skip": "on-call", "evidence": "at globex since 10:31 IST" },
                         { "extension": "222", "person": "ravi@acme.example", "offer": 1 } ] },
          { "department": "support", "strategy": "serial", "cause": "no-answer", "members": [
                         { "extension": "230", "person": "meena", "offer": 2 }, { "extension": "231", "person": "dev", "offer": 1 } ] } ],
        "answer": { "status": 480, "q850": 19, "cause": "no-answer", "text": "nobody in support answered" } }"#;

    #[test]
    fn the_whole_way_is_told() {
        let text = told(EXAMPLE, Assumption::Running);
        let expected = "\
+918041234567 of acme, called by +919811112222, Sun 2026-11-22 10:00:00 +05:30
as things stand in the running daemon
route    department:sales, hours office are open

1. sales, simultaneous
   222  ravi@acme.example  rings, offer 1
   221  asha               skipped: on-call  at globex since 10:31 IST
   left     busy

2. support, serial (overflow: busy)
   231  dev    rings, offer 1
   230  meena  rings, offer 2
   left     no-answer

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
        assert!(text.contains("route    none"), "{text}");
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

    /// Everything a record may say besides.
    const WHOLE: &str = r#"{ "number": "+918041234567", "label": "Sales", "company": "acme", "caller": "+919811112222",
        "trunk": "airtel", "form": "national",
        "passed": [ { "to": "user:224", "evidence": "not for this caller" } ],
        "number-hours": "day until Sun 22:00 IST (it is Sun 10:00; sun 08:00-22:00)",
        "route": { "to": "department:sales", "hours": "office", "callers": "+9198*",
                   "rule": "office until Sun 13:00 IST (it is Sun 10:00; sun 09:30-13:00)" },
        "steps": [
          { "department": "sales", "strategy": "random", "cause": "timeout", "sticky": "221", "wait": 60.0,
            "entered-after": 0.0, "hours": "day until Sun 22:00 IST (it is Sun 10:00; sun 08:00-22:00)",
            "overflow": "department:night", "overflow-by": "default",
            "members": [ { "extension": "221", "person": "asha", "offer": 1, "after": 0.0, "ring": 25.0, "skip": "already-offered", "evidence": "offer 1" } ] },
          { "department": "night", "strategy": "serial", "cause": "closed", "evidence": "outside night until Mon 20:00 IST", "entered-after": 85.0,
            "members": [ { "extension": "223", "person": "mina" } ], "overflow": "external:+919800000000", "overflow-by": "closed" },
          { "external": "+919800000000", "cause": "no-answer", "overflow": "department:sales", "circle": true,
            "entered-after": 85.0, "offer": 2, "after": 85.0, "ring": 60.0 } ],
        "answer": { "status": 480, "q850": 19, "cause": "no-answer", "text": "nobody answered at the outside number" },
        "answer-after": 145.0,
        "user-verdict": { "user": "223@acme", "verdict": "passed-over", "text": "223@acme does not ring: night is closed" } }"#;

    #[test]
    fn everything_the_record_knows_has_its_line() {
        let text = told(WHOLE, Assumption::Running);
        let expected = "\
+918041234567 (Sales) of acme, called by +919811112222
as things stand in the running daemon

223@acme does not ring: night is closed

by       trunk airtel, written with the national prefix
number   open in day until Sun 22:00 IST (it is Sun 10:00; sun 08:00-22:00)
passed   user:224: not for this caller
route    department:sales, open in office until Sun 13:00 IST (it is Sun 10:00; sun 09:30-13:00), for callers +9198*

1. sales, random, +0 s
   open     in day until Sun 22:00 IST (it is Sun 10:00; sun 08:00-22:00)
   221  asha  +0 s  rings 25 s, offer 1
   order    drawn anew for each call
   sticky   the caller spoke with 221 before
   wait     60 s in line, while somebody is busy
   left     timeout, on to department:night (overflow.default)

2. night, serial (overflow: timeout), +85 s
   223  mina  not looked at
   because  outside night until Mon 20:00 IST
   left     closed, on to external:+919800000000 (overflow.closed)

3. outside number +919800000000 (overflow: closed), +85 s
   +85 s  rings 60 s, offer 2
   left     no-answer, and department:sales has had the call already

if nobody answers, after 145 s: 480 (Q.850 cause 19) no-answer: nobody answered at the outside number
";
        assert_eq!(text, expected);
    }

    #[test]
    fn where_nobody_rings_there_is_simply_an_answer() {
        let json = r#"{ "number": "+918041234567", "door": { "refused": "blocked-caller", "evidence": "+9114012*" }, "route": null,
                        "steps": [], "answer": { "status": 603, "q850": 21, "cause": "blocked-caller", "text": "the caller is blocked" } }"#;
        let text = told(json, Assumption::Running);
        assert!(text.contains("refused  blocked-caller: +9114012*\n"), "{text}");
        let json = r#"{ "number": "+918041234567", "route": { "to": "department:sales" }, "steps": [ { "department": "sales",
                        "members": [ { "extension": "221", "skip": "away" } ] } ],
                        "answer": { "status": 480, "q850": 20, "cause": "unavailable", "text": "nobody in sales is available" } }"#;
        let text = told(json, Assumption::Running);
        assert!(text.contains("\nanswer: 480") && !text.contains("if nobody answers"), "{text}");
    }

    #[test]
    fn what_is_supposed_is_said() {
        let mut premise = Premise::of(Assumption::Running);
        premise.suppose(&["asha".to_owned()], "on a call");
        premise.suppose(&["222@acme".to_owned()], "away");
        premise.moment = Moment::Another;
        let text = told_under(EXAMPLE, &premise);
        assert!(text.contains("calls, registrations and switches are those of now\n"), "{text}");
        assert!(text.contains("supposed besides: asha on a call, 222@acme away\n"), "{text}");
    }
}
