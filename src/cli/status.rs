//! `switchboard status`

use std::time::Duration;

use super::ask::unexpected;
use super::local_time::{clock, length, local_zone};
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Screen, Tone};
use crate::config::counted;
use crate::control::{self, Answer, Request};
use crate::daemon::{ReloadOutcome, Report, StoreStatus, wall};
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
    show_store(&report.store, screen)?;
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

/// What survives a restart, and what stands in its way.
fn show_store(store: &StoreStatus, screen: &mut Screen) -> std::io::Result<()> {
    let Some(directory) = &store.directory else {
        return screen.toned(Tone::Warning, format!("  {:13}  kept nowhere: a restart forgets everything", "state"));
    };
    let directory = directory.display();
    let waiting = counted(usize::try_from(store.pending).unwrap_or(usize::MAX), "change waits", "changes wait");
    match &store.failing {
        Some(why) => {
            screen.toned(Tone::Bad, format!("  {:13}  {directory}: {why}; {waiting} for the disk", "state"))?
        }
        // A group is written within a moment; whatever waits longer than that is worth a word.
        None if store.lag >= SLOW => {
            let slow = format!("  {:13}  {directory}: the disk is slow; {waiting} for it", "state");
            screen.toned(Tone::Warning, slow)?;
        }
        None => screen.line(format!("  {:13}  {directory}", "state"))?,
    }
    if let Some(why) = &store.journal_failing {
        let line = format!("  {:13}  {why}; a crash now forgets what is not on the disk", "journal");
        screen.toned(Tone::Bad, line)?;
    }
    if store.lost > 0 {
        let lost = counted(usize::try_from(store.lost).unwrap_or(usize::MAX), "change", "changes");
        screen.toned(Tone::Bad, format!("  {:13}  {lost} found no room and would be missing after a restart", ""))?;
    }
    Ok(())
}

/// From then on the disk is slow.
const SLOW: Duration = Duration::from_secs(1);

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
    fn a_disk_that_refuses_is_seen() {
        let store = StoreStatus { directory: Some("/var/lib/switchboard".into()), ..StoreStatus::default() };
        let of = |store: &StoreStatus| shown(&Status::default(), &Report { store: store.clone(), ..Report::default() });
        assert!(of(&store).contains("  state          /var/lib/switchboard\n"), "{}", of(&store));
        let slow = StoreStatus { lag: Duration::from_secs(3), pending: 1, ..store.clone() };
        assert!(of(&slow).contains("the disk is slow; 1 change waits for it"), "{}", of(&slow));
        let full = StoreStatus { failing: Some("the disk is full".into()), pending: 7, ..store };
        assert!(of(&full).contains("the disk is full; 7 changes wait for the disk"), "{}", of(&full));
        assert!(of(&StoreStatus::default()).contains("a restart forgets everything"));
    }

    #[test]
    fn draining_is_said_first() {
        let text = shown(&Status { draining: true, ..Status::default() }, &Report::default());
        assert!(text.starts_with("draining"), "{text}");
    }
}
