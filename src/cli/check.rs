//! `switchboard check`

use super::count::counted;
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Palette, Screen, Tone};
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A list of problems for programs
    #[arg(long)]
    json: bool,
}

/// Prints every problem; the answer is no unless there is none.
pub(super) fn run(place: &Place, arguments: &Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let directory = place.directory();
    match config::load(&directory) {
        Ok(config) => {
            if arguments.json {
                screen.json(&serde_json::Value::Array(Vec::new()))?;
            } else {
                let plan = &config.plan;
                let users: usize = plan.companies.values().map(|company| company.users.len()).sum();
                screen.toned(
                    Tone::Good,
                    format!(
                        "{}: no problem ({}, {}, {}, {})",
                        directory.display(),
                        counted(plan.companies.len(), "company", "companies"),
                        counted(plan.numbers.len(), "number", "numbers"),
                        counted(users, "user", "users"),
                        counted(plan.trunks.len(), "trunk", "trunks")
                    ),
                )?;
            }
            Ok(Outcome::Done)
        }
        Err(problems) => {
            if arguments.json {
                screen.json(&problems)?;
            } else {
                screen.line(problems.render(screen.palette() == Palette::Colour).trim_end())?;
                let count = counted(problems.count(), "problem", "problems");
                screen.toned(Tone::Bad, format!("{}: {count}", directory.display()))?;
            }
            Ok(Outcome::No)
        }
    }
}
