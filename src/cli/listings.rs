//! `switchboard calls`, `agents`, `registrations`, `queue`: what is going on now.

use super::ask::{self, unexpected};
use super::local_time::{clock, length};
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Screen, Tone};
use super::table::{Align, Cell, Table};
use crate::daemon::wall;
use crate::engine::{AgentView, CallView, Command, QueueView, RegistrationView, Reply};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of this company only
    #[arg(long, value_name = "COMPANY")]
    company: Option<String>,
    /// A list for programs
    #[arg(long)]
    json: bool,
}

/// The companies whose rows are wanted.
enum Wanted {
    All,
    One(String),
}

impl Wanted {
    /// What `--company` says. The daemon knows whether there is such a company.
    fn of(place: &Place, arguments: &Arguments) -> Result<Wanted, Failure> {
        match &arguments.company {
            None => Ok(Wanted::All),
            Some(name) => ask::company(place, name).map(Wanted::One),
        }
    }

    fn has(&self, company: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::One(wanted) => wanted == company,
        }
    }
}

pub(super) fn calls(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let wanted = Wanted::of(place, arguments)?;
    let Reply::Calls(mut calls) =
        expect(ask::engine(place, Command::Calls)?, |reply| matches!(reply, Reply::Calls(_)))?
    else {
        return Ok(Outcome::No);
    };
    calls.retain(|call| wanted.has(&call.company));
    show(arguments, &calls, &calls_table(&calls, wall().unix_millis()), "no calls", screen)
}

pub(super) fn agents(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let wanted = Wanted::of(place, arguments)?;
    let Reply::Agents(mut agents) =
        expect(ask::engine(place, Command::Agents)?, |reply| matches!(reply, Reply::Agents(_)))?
    else {
        return Ok(Outcome::No);
    };
    agents.retain(|agent| wanted.has(&agent.company));
    show(arguments, &agents, &agents_table(&agents), "no users", screen)
}

pub(super) fn registrations(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let wanted = Wanted::of(place, arguments)?;
    let Reply::Registrations(mut registrations) =
        expect(ask::engine(place, Command::Registrations)?, |reply| matches!(reply, Reply::Registrations(_)))?
    else {
        return Ok(Outcome::No);
    };
    registrations.retain(|registration| wanted.has(&registration.company));
    show(arguments, &registrations, &registrations_table(&registrations), "no registrations", screen)
}

pub(super) fn queue(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let wanted = Wanted::of(place, arguments)?;
    let Reply::Queue(mut queue) =
        expect(ask::engine(place, Command::Queue)?, |reply| matches!(reply, Reply::Queue(_)))?
    else {
        return Ok(Outcome::No);
    };
    queue.retain(|waiting| wanted.has(&waiting.company));
    show(arguments, &queue, &queue_table(&queue, wall().unix_millis()), "nobody waits", screen)
}

fn expect(reply: Reply, is_it: impl Fn(&Reply) -> bool) -> Result<Reply, Failure> {
    if is_it(&reply) { Ok(reply) } else { Err(unexpected(&reply)) }
}

fn show<T: serde::Serialize>(
    arguments: &Arguments,
    values: &[T],
    table: &Table,
    nothing: &str,
    screen: &mut Screen,
) -> Result<Outcome, Failure> {
    if arguments.json {
        screen.json(&values)?;
    } else {
        table.print(screen, nothing)?;
    }
    Ok(Outcome::Done)
}

fn calls_table(calls: &[CallView], now: i64) -> Table {
    let left = |title| (title, Align::Left);
    let mut table = Table::new(&[
        left("CALL"),
        left("COMPANY"),
        left("STATE"),
        ("FOR", Align::Right),
        left("CALLER"),
        left("NUMBER"),
        left("TRUNK"),
        left("IN"),
        left("WITH"),
        left("SINCE"),
    ]);
    for call in calls {
        let tone = match call.state.as_str() {
            "talking" => Tone::Good,
            "waiting" => Tone::Warning,
            _ => Tone::Plain,
        };
        let state_since = call.answered_at.filter(|_| call.state == "talking").unwrap_or(call.started_at);
        table.row([
            (&call.call).into(),
            (&call.company).into(),
            Cell::toned(tone, &call.state),
            length(state_since, now).into(),
            (&call.caller).into(),
            (&call.number).into(),
            call.trunk.as_deref().unwrap_or("").into(),
            call.place.as_deref().unwrap_or("").into(),
            call.with.join(" ").into(),
            clock(call.started_at, &call.timezone, now).into(),
        ]);
    }
    table
}

fn agents_table(agents: &[AgentView]) -> Table {
    let left = |title| (title, Align::Left);
    let mut table = Table::new(&[
        left("USER"),
        left("NAME"),
        left("STATE"),
        left("WHY"),
        left("TAKES CALLS"),
        ("DEVICES", Align::Right),
        left("DEPARTMENTS"),
        left("PERSON"),
    ]);
    for agent in agents {
        let tone = match agent.state.as_str() {
            "free" => Tone::Good,
            "on-call" | "ringing" | "wrap-up" => Tone::Warning,
            _ => Tone::Faint,
        };
        let takes = match (agent.paused, agent.takes_calls) {
            (true, true) => "paused",
            (true, false) => "paused, off",
            (false, true) => "on",
            (false, false) => "off",
        };
        table.row([
            format!("{}@{}", agent.extension, agent.company).into(),
            (&agent.name).into(),
            Cell::toned(tone, &agent.state),
            agent.evidence.as_deref().unwrap_or("").into(),
            takes.into(),
            agent.devices.to_string().into(),
            agent.departments.join(" ").into(),
            (&agent.person).into(),
        ]);
    }
    table
}

fn registrations_table(registrations: &[RegistrationView]) -> Table {
    let left = |title| (title, Align::Left);
    let mut table =
        Table::new(&[left("USER"), left("CONTACT"), left("SENT TO"), ("EXPIRES IN", Align::Right), left("DEVICE")]);
    for registration in registrations {
        let expires = i64::try_from(registration.expires_in).unwrap_or(i64::MAX).saturating_mul(1000);
        table.row([
            format!("{}@{}", registration.extension, registration.company).into(),
            (&registration.contact).into(),
            (&registration.target).into(),
            length(0, expires).into(),
            registration.user_agent.as_deref().unwrap_or("").into(),
        ]);
    }
    table
}

fn queue_table(queue: &[QueueView], now: i64) -> Table {
    let left = |title| (title, Align::Left);
    let mut table = Table::new(&[
        left("COMPANY"),
        left("DEPARTMENT"),
        ("PLACE", Align::Right),
        ("WAITING", Align::Right),
        left("CALLER"),
        left("CALL"),
        left("SINCE"),
    ]);
    for waiting in queue {
        table.row([
            (&waiting.company).into(),
            (&waiting.department).into(),
            waiting.place.to_string().into(),
            length(waiting.waiting_since, now).into(),
            (&waiting.caller).into(),
            (&waiting.call).into(),
            clock(waiting.waiting_since, &waiting.timezone, now).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::screen::Palette;
    use super::super::screen::tests::Paper;
    use super::*;

    // 2026-11-22T05:01:00Z
    const NOW: i64 = 1_795_323_660_000;

    fn call(state: &str) -> CallView {
        CallView {
            call: "c17".into(),
            company: "acme".into(),
            timezone: "Asia/Kolkata".into(),
            number: "+918041234567".into(),
            caller: "+919811112222".into(),
            trunk: Some("airtel".into()),
            state: state.into(),
            started_at: NOW - 90_000,
            answered_at: (state == "talking").then_some(NOW - 4000),
            place: Some("sales".into()),
            with: vec!["221".into(), "222".into()],
        }
    }

    #[test]
    fn calls_are_shown_on_their_companys_clock() {
        let text = calls_table(&[call("talking")], NOW).render(Palette::Plain);
        let row = text.lines().nth(1).unwrap();
        assert!(row.contains("10:29:30 IST"), "{text}");
        assert!(row.contains(" 4 s "), "talking since the answer: {text}");
        assert!(row.contains("221 222"), "{text}");
        let text = calls_table(&[call("ringing")], NOW).render(Palette::Plain);
        assert!(text.contains("1 min 30 s"), "ringing since the arrival: {text}");
    }

    #[test]
    fn an_agent_shows_state_reason_and_switch() {
        let agent = AgentView {
            company: "globex".into(),
            timezone: "Europe/London".into(),
            extension: "305".into(),
            name: "Asha Rao".into(),
            person: "asha".into(),
            state: "on-call".into(),
            evidence: Some("at acme since 10:31 IST".into()),
            takes_calls: true,
            paused: true,
            devices: 2,
            departments: vec!["support".into()],
        };
        let text = agents_table(&[agent]).render(Palette::Plain);
        for part in ["305@globex", "on-call", "at acme since 10:31 IST", "paused", "support"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_queue_shows_places_and_how_long() {
        let waiting = QueueView {
            company: "acme".into(),
            timezone: "Asia/Kolkata".into(),
            department: "sales".into(),
            call: "c3".into(),
            caller: "anonymous".into(),
            waiting_since: NOW - 12_000,
            place: 2,
        };
        let text = queue_table(&[waiting], NOW).render(Palette::Plain);
        assert!(text.contains("12 s") && text.contains("anonymous"), "{text}");
    }

    #[test]
    fn a_registration_shows_when_it_expires_and_no_stranger_steers_the_terminal() {
        let registration = RegistrationView {
            company: "acme".into(),
            extension: "221".into(),
            contact: "sip:221@192.0.2.9:5062".into(),
            target: "198.51.100.7:40312".into(),
            expires_in: 3540,
            registered_at: NOW,
            user_agent: Some("phone\x1b[2J".into()),
        };
        let text = registrations_table(&[registration]).render(Palette::Plain);
        assert!(text.contains("59 min 00 s") && !text.contains('\x1b'), "{text}");
    }

    #[test]
    fn json_is_a_list_whatever_there_is() {
        let paper = Paper::default();
        let arguments = Arguments { company: None, json: true };
        let calls: [CallView; 0] = [];
        show(&arguments, &calls, &calls_table(&calls, NOW), "no calls", &mut paper.screen(Palette::Plain)).unwrap();
        assert_eq!(paper.text(), "[]\n");
    }

    #[test]
    fn a_company_narrows_the_list() {
        let wanted = Wanted::One("acme".into());
        assert!(wanted.has("acme") && !wanted.has("globex"));
        assert!(Wanted::All.has("globex"));
    }
}
