//! Asking the running daemon.

use super::outcome::Failure;
use super::place::Place;
use crate::control::{self, Answer, Request};
use crate::engine::{Command, Reply};

/// The engine's reply to a command. A refusal is a failure: the answer is no.
pub(super) fn engine(place: &Place, command: Command) -> Result<Reply, Failure> {
    match control::ask(&place.socket(), &Request::Engine(command))? {
        Answer::Engine(Reply::Refused(why)) => Err(Failure::no(why)),
        Answer::Engine(reply) => Ok(reply),
        other @ (Answer::Status(..) | Answer::Reloaded(_)) => Err(unexpected(&other)),
    }
}

/// The daemon answered something else than what was asked.
pub(super) fn unexpected(answer: &impl std::fmt::Debug) -> Failure {
    Failure::no(format!("the daemon answered something else than was asked: {answer:?}"))
}
