//! `switchboard explain`: who would ring, in what order, and why each of the others would not.
//!
//! Without `--config` the running daemon is asked, with its registrations, switches and calls. With it the files are read here and
//! nothing is running: a candidate is judged as if every phone were there.

mod paper;
mod shape;

use super::ask::{self, unexpected};
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::{Palette, Screen, Tone};
use crate::config::{self, Config};
use crate::daemon::Clock;
use crate::engine::{self, Command, Question, Reply};
use crate::routing::DecisionRecord;

pub(super) use paper::{Assumption, Moment, Premise, show};
pub(super) use shape::Decision;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The called number in any form the trunk writes, or EXT@COMPANY
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// The caller, or EXT@COMPANY for a user's call [default: anonymous]
    #[arg(long, value_name = "CALLER")]
    from: Option<String>,
    /// The trunk the call comes by [default: any, where all read the number alike]
    #[arg(long, value_name = "TRUNK")]
    trunk: Option<String>,
    /// When: RFC 3339, or "2026-11-22 10:00" on the company's clock [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As if this person were on a call; may be repeated
    #[arg(long, value_name = "PERSON")]
    busy: Vec<String>,
    /// As if this user took no calls; may be repeated
    #[arg(long, value_name = "EXT@COMPANY", value_parser = super::switches::user)]
    away: Vec<String>,
    /// Say in one sentence whether this user rings, and why not
    #[arg(long, value_name = "EXT@COMPANY", value_parser = super::switches::user)]
    user: Option<String>,
    /// The decision record for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, arguments: Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    let Arguments { to, from, trunk, at, busy, away, user, json } = arguments;
    let mut premise = Premise::of(Assumption::Running);
    premise.suppose(&busy, "on a call");
    premise.suppose(&away, "away");
    if at.is_some() {
        premise.moment = Moment::Another;
    }
    let question = Question { to, from, trunk, at, busy, away, user };
    let record = match place.given() {
        None => ask_daemon(place, question)?,
        Some(directory) => match config::load(directory) {
            Ok(config) => {
                premise.assumption = Assumption::EverybodyThere;
                ask_files(&config, &question)?
            }
            Err(problems) => {
                let text = problems.render(Palette::of_errors() == Palette::Colour);
                let summary = problems.summary();
                return Err(Failure::no(format!("{}: {summary}\n{}", directory.display(), text.trim_end())));
            }
        },
    };
    if json {
        screen.json(&record)?;
        return Ok(Outcome::Done);
    }
    print(&record, &premise, screen)?;
    Ok(Outcome::Done)
}

/// Prints a decision record for people.
pub(super) fn print(record: &DecisionRecord, premise: &Premise, screen: &mut Screen) -> Result<(), Failure> {
    let value = serde_json::to_value(record).unwrap_or_default();
    match serde_json::from_value::<Decision>(value) {
        Ok(decision) => show(&decision, premise, screen)?,
        Err(error) => {
            screen.toned(Tone::Bad, format!("the decision record is not of the known shape: {error}"))?;
            screen.json(record)?;
        }
    }
    Ok(())
}

fn ask_daemon(place: &Place, question: Question) -> Result<DecisionRecord, Failure> {
    let elsewhere =
        "if its control socket is elsewhere, give --socket PATH; to ask the files instead, give --config DIR";
    match ask::engine_or(place, Command::Explain(question), elsewhere)? {
        Reply::Explained(record) => Ok(*record),
        other => Err(unexpected(&other)),
    }
}

fn ask_files(config: &Config, question: &Question) -> Result<DecisionRecord, Failure> {
    engine::explain(Clock::start().now(), question, config, None).map_err(Failure::usage)
}
