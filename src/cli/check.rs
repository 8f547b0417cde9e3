//! `switchboard check`

use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Palette, Screen, Tone};
use crate::config::{self, Config, Problems, counted};
use crate::daemon::Clock;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A list of problems and warnings for programs
    #[arg(long)]
    json: bool,
    /// What makes the answer no beside errors: any warning
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
}

/// What is as bad as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Deny {
    /// Any warning
    Warnings,
}

/// Prints every problem and warning; the answer is no only where something stands in the way, or with a warning where that is denied.
pub(super) fn run(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let directory = place.configuration()?;
    let loaded = config::load_at(Clock::start().now().wall, &directory);
    let problems = match &loaded {
        Ok(config) => &config.warnings,
        Err(problems) => problems,
    };
    if arguments.json {
        screen.json(problems)?;
    } else {
        show(problems, screen)?;
        match &loaded {
            Ok(config) => {
                let tone = if problems.is_empty() { Tone::Good } else { Tone::Warning };
                screen
                    .toned(tone, format!("{}: {} ({})", directory.display(), problems.summary(), contents(config)))?;
            }
            Err(problems) => screen.toned(Tone::Bad, format!("{}: {}", directory.display(), problems.summary()))?,
        }
    }
    Ok(outcome(&loaded, arguments.deny))
}

fn outcome(loaded: &Result<Config, Problems>, deny: Option<Deny>) -> Outcome {
    match (loaded, deny) {
        (Ok(_), None) => Outcome::Done,
        (Ok(config), Some(Deny::Warnings)) if config.warnings.is_empty() => Outcome::Done,
        (Ok(_), Some(Deny::Warnings)) | (Err(_), _) => Outcome::No,
    }
}

fn show(problems: &Problems, screen: &mut Screen) -> std::io::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    screen.line(problems.render(screen.palette() == Palette::Colour).trim_end())?;
    screen.line("")
}

fn contents(config: &Config) -> String {
    let plan = &config.plan;
    let users = plan.companies.values().map(|company| company.users.len()).sum();
    let parts = [
        counted(plan.companies.len(), "company", "companies"),
        counted(plan.numbers.len(), "number", "numbers"),
        counted(users, "user", "users"),
        counted(plan.trunks.len(), "trunk", "trunks"),
    ];
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn warnings_are_a_no_only_where_they_are_denied() {
        let loaded = |company: &str| {
            let machine = "[sip]\nlisten = [\"udp:127.0.0.1:5060\"]\n";
            config::load_texts(&[
                (PathBuf::from("switchboard.toml"), machine.as_bytes().to_vec()),
                (PathBuf::from("companies/a.toml"), company.as_bytes().to_vec()),
            ])
        };
        let right = "domain = \"a.example\"\ntimezone = \"UTC\"\n";
        let warned = format!("{right}[hours.unused]\nweek = {{ mon = [\"09:00-17:00\"] }}\n");
        for (company, deny, expected) in [
            (right, None, Outcome::Done),
            (right, Some(Deny::Warnings), Outcome::Done),
            (warned.as_str(), None, Outcome::Done),
            (warned.as_str(), Some(Deny::Warnings), Outcome::No),
            ("domain = 7", None, Outcome::No),
            ("domain = 7", Some(Deny::Warnings), Outcome::No),
        ] {
            assert_eq!(outcome(&loaded(company), deny), expected, "{company} {deny:?}");
        }
    }
}
