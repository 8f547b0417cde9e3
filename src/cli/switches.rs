//! `switchboard take-calls`, `pause`, `resume`: who may be rung.

use super::ask::{self, unexpected};
use super::outcome::{Failure, Outcome};
use super::place::Place;
use super::screen::Screen;
use crate::engine::{Command, Reply};

#[derive(Debug, clap::Args)]
pub(super) struct TakeCalls {
    /// Whether the user takes calls from now on
    switch: Switch,
    /// The user: 221@acme
    #[arg(value_name = "EXT@COMPANY", value_parser = user)]
    user: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, clap::Args)]
pub(super) struct User {
    /// The user: 221@acme
    #[arg(value_name = "EXT@COMPANY", value_parser = user)]
    user: String,
}

pub(super) fn take_calls(place: &Place, arguments: TakeCalls, screen: &mut Screen) -> Result<Outcome, Failure> {
    let takes = match arguments.switch {
        Switch::On => true,
        Switch::Off => false,
    };
    tell(place, Command::TakeCalls { user: arguments.user, takes }, screen)
}

pub(super) fn pause(place: &Place, arguments: User, screen: &mut Screen) -> Result<Outcome, Failure> {
    tell(place, Command::Pause { user: arguments.user }, screen)
}

pub(super) fn resume(place: &Place, arguments: User, screen: &mut Screen) -> Result<Outcome, Failure> {
    tell(place, Command::Resume { user: arguments.user }, screen)
}

fn tell(place: &Place, command: Command, screen: &mut Screen) -> Result<Outcome, Failure> {
    match ask::engine(place, command)? {
        Reply::Done(what) => {
            screen.line(what)?;
            Ok(Outcome::Done)
        }
        other => Err(unexpected(&other)),
    }
}

/// `EXT@COMPANY`, both parts there. Whether it exists is for the daemon to say.
pub(super) fn user(text: &str) -> Result<String, String> {
    match text.split_once('@') {
        Some((extension, company)) if !extension.is_empty() && !company.is_empty() && !company.contains('@') => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err("write the extension and the company: 221@acme".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_an_extension_and_a_company() {
        assert_eq!(user("221@acme"), Ok("221@acme".to_owned()));
        for wrong in ["221", "@acme", "221@", "a@b@c", ""] {
            assert!(user(wrong).unwrap_err().contains("221@acme"), "{wrong}");
        }
    }
}
