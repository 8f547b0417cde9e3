//! `switchboard log-level`

use super::ask::{self, unexpected};
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::Screen;
use crate::control::Request;
use crate::engine::Reply;

/// Holds until the daemon starts again, or until `[log] level` changes in the configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// error, warn, info, debug or trace, or more for one part: info,switchboard::record=debug. Absent: print the present one
    level: Option<String>,
}

pub(super) fn run(place: &Place, arguments: Arguments, screen: &mut Screen) -> Result<Outcome, Failure> {
    match ask::daemon(place, &Request::LogLevel(arguments.level))? {
        Reply::Done(words) => {
            screen.line(words)?;
            Ok(Outcome::Done)
        }
        other => Err(unexpected(&other)),
    }
}
