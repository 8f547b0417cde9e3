//! `switchboard status`

use super::ask::unexpected;
use super::local_time::{clock, length, local_zone};
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Screen, Tone};
use crate::config::counted;
use crate::control::{self, Answer, Request};
use crate::daemon::{ReloadOutcome, Report, wall};
use crate::engine::{Command, Reply, Status};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Everything, for programs
    #[arg(long)]
    json: bool,
    /// The counters too
    #[arg(long, short)]
    verbose: bool,
}

pub(super) fn run(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let (status, report) = match control::ask(&place.socket(), &Request::Engine(Command::Status))? {
        Answer::Status(status, report) => (status, report),
        Answer::Engine(Reply::Refused(why)) => return Err(Failure::no(why)),
        other @ (Answer::Engine(_) | Answer::Reloaded(_)) => return Err(unexpected(&other)),
    };
    if arguments.json {
        screen.json(&serde_json::json!({ "engine": *status, "daemon": *report }))?;
        return Ok(Outcome::Done);
    }
    let zone = local_zone().map_or("UTC", |zone| zone.name());
    show(&status, &report, Moment { now: wall().unix_millis(), zone }, screen)?;
    if arguments.verbose {
        let counters = report.counters.iter().chain(&status.counters);
        let width = counters.clone().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, count) in counters {
            screen.line(format!("  {name:width$}  {count}"))?;
        }
    }
    Ok(Outcome::Done)
}

/// When and where it is looked at.
#[derive(Clone, Copy)]
struct Moment<'a> {
    now: i64,
    zone: &'a str,
}

fn show(status: &Status, report: &Report, moment: Moment<'_>, screen: &mut Screen) -> std::io::Result<()> {
    let Moment { now, zone } = moment;
    let since = |at: i64| format!("{} ({} ago)", clock(at, zone, now), length(at, now));
    if status.draining {
        screen.toned(Tone::Warning, "draining: no new calls; ends when the running ones do")?;
    } else {
        screen.toned(Tone::Good, "serving")?;
    }
    let version = format!("{}, process {}", report.version, report.pid);
    let directory = report.directory.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    let rows = [
        ("version", version),
        ("started", since(report.started_at)),
        ("listening", report.listening.join(" ")),
        ("configuration", format!("{directory}, adopted {}", since(status.configured_at))),
        (
            "",
            [
                counted(status.companies, "company", "companies"),
                counted(status.numbers, "number", "numbers"),
                counted(status.users, "user", "users"),
            ]
            .join(", "),
        ),
        ("calls", format!("{}: {} talking, {} waiting", status.calls, status.talking, status.waiting)),
        ("registrations", status.registrations.to_string()),
    ];
    for (title, text) in rows {
        screen.line(format!("  {title:13}  {text}"))?;
    }
    for (name, trunk) in &status.trunks {
        let proxy = if trunk.proxy.is_empty() { String::new() } else { format!(", proxy {}", trunk.proxy.join(" ")) };
        let calls = counted(trunk.calls as usize, "call", "calls");
        screen.line(format!("  {:13}  {calls}{proxy}", format!("trunk {name}")))?;
    }
    match &report.last_reload {
        None => {}
        Some(ReloadOutcome::Adopted { at, changes, .. }) => {
            screen.line(format!("  {:13}  {}: {changes}", "last reload", since(*at)))?;
        }
        Some(ReloadOutcome::Refused { at, count, text, .. }) => {
            let refused = format!(
                "  {:13}  {}: refused, {}; the old configuration serves on",
                "last reload",
                since(*at),
                counted(*count, "problem", "problems")
            );
            screen.toned(Tone::Bad, refused)?;
            for line in text.trim_end().lines() {
                screen.line(format!("    {line}"))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::screen::Palette;
    use super::super::screen::tests::Paper;
    use super::*;

    fn shown(status: &Status, report: &Report) -> String {
        let paper = Paper::default();
        let moment = Moment { now: 1_795_323_660_000, zone: "Asia/Kolkata" };
        show(status, report, moment, &mut paper.screen(Palette::Plain)).unwrap();
        paper.text()
    }

    #[test]
    fn a_refused_reload_is_seen_until_the_next_one() {
        let report = Report {
            last_reload: Some(ReloadOutcome::Refused {
                at: 1_795_323_600_000,
                count: 1,
                text: "acme.toml:3: unknown zone".into(),
                problems: serde_json::Value::Null,
            }),
            ..Report::default()
        };
        let text = shown(&Status::default(), &report);
        assert!(text.contains("10:30:00 IST (1 min 00 s ago): refused, 1 problem;"), "{text}");
        assert!(text.contains("acme.toml:3: unknown zone"), "{text}");
    }

    #[test]
    fn draining_is_said_first() {
        let text = shown(&Status { draining: true, ..Status::default() }, &Report::default());
        assert!(text.starts_with("draining"), "{text}");
    }
}
