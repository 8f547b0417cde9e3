//! Asking the running daemon.

use super::outcome::Failure;
use super::place::Place;
use crate::control::{self, Answer, Request};
use crate::engine::{Command, Refusal, Reply, WhyNot};

/// The engine's reply to a command. A refusal is a failure: the answer is no.
pub(super) fn engine(place: &Place, command: Command) -> Result<Reply, Failure> {
    replied(control::ask(&place.socket(), &Request::Engine(command))?)
}

/// Likewise, of a command that means something else by `--config`; `elsewhere` says what to try where the daemon cannot be
/// reached.
pub(super) fn engine_or(place: &Place, command: Command, elsewhere: &str) -> Result<Reply, Failure> {
    let answer = control::ask(&place.socket(), &Request::Engine(command));
    replied(answer.map_err(|error| Failure::unasked(&error, elsewhere))?)
}

/// The daemon's own reply to a request. A refusal is a failure here too.
pub(super) fn daemon(place: &Place, request: &Request) -> Result<Reply, Failure> {
    replied(control::ask(&place.socket(), request)?)
}

fn replied(answer: Answer) -> Result<Reply, Failure> {
    match answer {
        Answer::Engine(Reply::Refused(refusal)) => Err(refused(refusal)),
        Answer::Engine(reply) => Ok(reply),
        other @ (Answer::Status(..) | Answer::Reloaded(_)) => Err(unexpected(&other)),
    }
}

/// A company by the id or domain that was typed: its id.
pub(super) fn company(place: &Place, name: &str) -> Result<String, Failure> {
    match engine(place, Command::Company { name: name.to_owned() })? {
        Reply::Company(id) => Ok(id),
        other => Err(unexpected(&other)),
    }
}

fn refused(refusal: Refusal) -> Failure {
    match refusal.kind {
        WhyNot::No => Failure::no(refusal.why),
        WhyNot::WrongQuestion => Failure::usage(refusal.why),
    }
}

/// The daemon answered something else than what was asked.
pub(super) fn unexpected(answer: &impl std::fmt::Debug) -> Failure {
    Failure::no(format!("the daemon answered something else than was asked: {answer:?}"))
}
