//! How a command ends.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use crate::control::AskError;

/// The exit status, by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 0
    Done,
    /// 1: the answer is no.
    No,
    /// 2: the command line is wrong.
    Usage,
    /// 3: the daemon cannot be reached.
    Unreachable,
}

impl Outcome {
    /// The number the shell sees.
    pub(super) fn code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::No => 1,
            Outcome::Usage => 2,
            Outcome::Unreachable => 3,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(outcome.code())
    }
}

/// Why a command ended early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Whoever read our output (`| head`) has seen enough.
    ReaderGone,
    /// With something to say on standard error.
    Said {
        /// The exit status.
        outcome: Outcome,
        /// What to say.
        message: String,
    },
}

impl Failure {
    /// The answer is no, and why.
    pub(super) fn no(message: impl Into<String>) -> Failure {
        Failure::Said { outcome: Outcome::No, message: message.into() }
    }

    /// The command line is wrong, and how.
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::Said { outcome: Outcome::Usage, message: message.into() }
    }
}

impl Failure {
    /// The daemon could not be asked; where it cannot be reached, what to try on this command line.
    pub(super) fn unasked(error: &AskError, elsewhere: &str) -> Failure {
        match error {
            AskError::Unreachable(..) => {
                Failure::Said { outcome: Outcome::Unreachable, message: format!("{error}\n{elsewhere}") }
            }
            AskError::Misunderstood(..) => Failure::no(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    /// Errors of writing to standard output.
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::no(format!("cannot write the output: {error}")),
        }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Failure {
        Failure::unasked(
            &error,
            "if it runs with another configuration, give that with --config DIR, or its socket with --socket PATH",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_has_seen_enough_is_no_error() {
        assert_eq!(Failure::from(io::Error::from(ErrorKind::BrokenPipe)), Failure::ReaderGone);
        assert!(matches!(Failure::from(io::Error::from(ErrorKind::StorageFull)), Failure::Said { .. }));
    }

    #[test]
    fn an_unreachable_daemon_is_status_three() {
        let error = AskError::Unreachable("/run/x.sock".into(), io::Error::from(ErrorKind::NotFound));
        let Failure::Said { outcome, message } = Failure::from(error) else { panic!("said nothing") };
        assert_eq!(outcome.code(), 3);
        assert!(message.contains("/run/x.sock"));
    }
}
