//! `switchboard reload`

use super::ask::unexpected;
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Screen, Tone};
use crate::config::counted;
use crate::control::{self, Answer, Request};
use crate::daemon::ReloadOutcome;
use crate::engine::Reply;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The outcome for programs
    #[arg(long)]
    json: bool,
}

/// Asks the daemon to load its configuration again; the answer is no where that was refused.
pub(super) fn run(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let outcome = match control::ask(&place.socket(), &Request::Reload)? {
        Answer::Reloaded(outcome) => outcome,
        Answer::Engine(Reply::Refused(why)) => return Err(Failure::no(why)),
        other @ (Answer::Engine(_) | Answer::Status(..)) => return Err(unexpected(&other)),
    };
    if arguments.json {
        screen.json(&outcome)?;
    } else {
        show(&outcome, screen)?;
    }
    Ok(if outcome.is_adopted() { Outcome::Done } else { Outcome::No })
}

fn show(outcome: &ReloadOutcome, screen: &mut Screen) -> std::io::Result<()> {
    match outcome {
        ReloadOutcome::Adopted { changes, warnings, .. } => {
            if warnings.count > 0 {
                screen.line(warnings.text.trim_end())?;
                screen.line("")?;
                screen.toned(Tone::Warning, counted(warnings.count, "warning", "warnings"))?;
            }
            screen.toned(Tone::Good, format!("adopted: {changes}"))
        }
        ReloadOutcome::Refused { text, count, .. } => {
            screen.line(text.trim_end())?;
            let problems = counted(*count, "problem", "problems");
            screen.toned(Tone::Bad, format!("refused: {problems}; the running configuration serves on"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::Palette;
    use super::super::screen::tests::Paper;
    use super::*;
    use crate::daemon::Warnings;

    fn shown(outcome: &ReloadOutcome) -> String {
        let paper = Paper::default();
        show(outcome, &mut paper.screen(Palette::Plain)).unwrap();
        paper.text()
    }

    #[test]
    fn an_adopted_change_is_told_in_words() {
        let adopted = |warnings| ReloadOutcome::Adopted { at: 0, changes: "+2 users".into(), warnings };
        assert_eq!(shown(&adopted(Warnings::default())), "adopted: +2 users\n");
        let one = Warnings { count: 1, text: "warning: a circle\n\n".into(), problems: serde_json::Value::Null };
        assert_eq!(shown(&adopted(one)), "warning: a circle\n\n1 warning\nadopted: +2 users\n");
    }

    #[test]
    fn a_refusal_shows_every_problem_and_that_the_old_one_serves_on() {
        let refused = ReloadOutcome::Refused {
            at: 0,
            count: 2,
            text: "acme.toml:3: one\nacme.toml:9: two\n".into(),
            problems: serde_json::Value::Null,
        };
        let text = shown(&refused);
        assert!(text.starts_with("acme.toml:3: one\nacme.toml:9: two\nrefused: 2 problems"), "{text}");
        assert!(text.contains("serves on"));
    }
}
