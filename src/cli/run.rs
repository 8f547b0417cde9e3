//! `switchboard run`

use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::Palette;
use crate::daemon::{self, LogFormat, LogSettings, RunError, RunSettings, StartError};

/// SIGHUP loads the configuration again. SIGTERM and SIGINT drain: no new calls are taken and running ones are kept for up to five minutes; a
/// second signal ends them at once.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How a line of the log looks [default: what the configuration says, else text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// error, warn, info, debug or trace, or a filter as in RUST_LOG [default: RUST_LOG, else what the configuration says, else info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Runs until told to end.
pub(super) fn run(place: &Place, arguments: Arguments) -> Result<Outcome, Failure> {
    let Arguments { log_format: format, log_level: level } = arguments;
    let settings = RunSettings { directory: place.configuration()?, log: LogSettings { format, level } };
    match daemon::run(settings) {
        Ok(()) => Ok(Outcome::Done),
        Err(RunError::Log(error)) => Err(Failure::usage(error)),
        Err(RunError::Start(StartError::Configuration(problems))) => {
            let directory = place.directory();
            let text = problems.render(Palette::of_errors() == Palette::Colour);
            Err(Failure::no(format!("{}: {}\n{}", directory.display(), problems.summary(), text.trim_end())))
        }
        Err(error @ (RunError::Start(_) | RunError::Signals(_))) => Err(Failure::no(error.to_string())),
    }
}
