//! Answers to the caller.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a call was refused: one name per row of R-8's table.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerCause {
    UnknownNumber,
    Suspended,
    BlockedCaller,
    CompanyLimit,
    TrunkLimit,
    NoRoute,
    Closed,
    Unavailable,
    Busy,
    Full,
    NoAnswer,
    Timeout,
    RejectBusy,
    RejectUnavailable,
    RejectDecline,
    /// The caller hung up first: 487, no Q.850 cause of ours.
    Cancelled,
    /// Somebody answered: 200.
    Answered,
    /// The daemon is about to end and takes no new calls.
    Draining,
    /// The daemon ended before anybody answered: 500, told to the caller at the next start.
    CutOff,
}

impl AnswerCause {
    /// Its name in records, logs and metrics: `no-answer`.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerCause::UnknownNumber => "unknown-number",
            AnswerCause::Suspended => "suspended",
            AnswerCause::BlockedCaller => "blocked-caller",
            AnswerCause::CompanyLimit => "company-limit",
            AnswerCause::TrunkLimit => "trunk-limit",
            AnswerCause::NoRoute => "no-route",
            AnswerCause::Closed => "closed",
            AnswerCause::Unavailable => "unavailable",
            AnswerCause::Busy => "busy",
            AnswerCause::Full => "full",
            AnswerCause::NoAnswer => "no-answer",
            AnswerCause::Timeout => "timeout",
            AnswerCause::RejectBusy => "reject-busy",
            AnswerCause::RejectUnavailable => "reject-unavailable",
            AnswerCause::RejectDecline => "reject-decline",
            AnswerCause::Cancelled => "cancelled",
            AnswerCause::Answered => "answered",
            AnswerCause::CutOff => "cut-off",
            AnswerCause::Draining => "draining",
        }
    }
}

/// A final answer to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// SIP status code.
    pub status: u16,
    /// Q.850 cause value.
    pub q850: Option<u8>,
    /// Which row.
    pub cause: AnswerCause,
    /// In words, as in the Reason header: ASCII without quotes.
    pub text: String,
    /// Retry-After in seconds, where the row says so.
    #[serde(default, rename = "retry-after", skip_serializing_if = "Option::is_none", with = "whole_seconds")]
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// The row's answer, with the words for this case.
    pub fn new(cause: AnswerCause, text: impl Into<String>) -> Answer {
        let (status, q850) = match cause {
            AnswerCause::UnknownNumber => (404, Some(1)),
            AnswerCause::Suspended => (403, Some(21)),
            AnswerCause::BlockedCaller | AnswerCause::RejectDecline => (603, Some(21)),
            AnswerCause::TrunkLimit => (503, Some(42)),
            AnswerCause::CompanyLimit | AnswerCause::Busy | AnswerCause::Full | AnswerCause::RejectBusy => {
                (486, Some(17))
            }
            AnswerCause::NoRoute | AnswerCause::Closed | AnswerCause::RejectUnavailable => (480, Some(31)),
            AnswerCause::Unavailable => (480, Some(20)),
            AnswerCause::NoAnswer | AnswerCause::Timeout => (480, Some(19)),
            AnswerCause::Cancelled => (487, None),
            AnswerCause::Answered => (200, None),
            // Q.850: temporary failure.
            AnswerCause::Draining => (503, Some(41)),
            AnswerCause::CutOff => (500, Some(41)),
        };
        let retry_after = match cause {
            AnswerCause::TrunkLimit | AnswerCause::Draining => Some(RETRY_AFTER),
            AnswerCause::UnknownNumber
            | AnswerCause::Suspended
            | AnswerCause::BlockedCaller
            | AnswerCause::CompanyLimit
            | AnswerCause::NoRoute
            | AnswerCause::Closed
            | AnswerCause::Unavailable
            | AnswerCause::Busy
            | AnswerCause::Full
            | AnswerCause::NoAnswer
            | AnswerCause::Timeout
            | AnswerCause::RejectBusy
            | AnswerCause::RejectUnavailable
            | AnswerCause::RejectDecline
            | AnswerCause::Cancelled
            | AnswerCause::Answered
            | AnswerCause::CutOff => None,
        };
        let text = text.into().chars().map(quotable).collect();
        Answer { status, q850, cause, text, retry_after }
    }
}

mod whole_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(length: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        length.map(|length| length.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

/// After which a trunk at its limit may try again: calls end every few seconds there.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What may stand in the quoted text of a Reason header as it is.
fn quotable(letter: char) -> char {
    match letter {
        '"' | '\\' => '\'',
        ' '..='~' => letter,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_situation_has_its_row() {
        // R-8's table, line by line.
        for (cause, status, q850) in [
            (AnswerCause::UnknownNumber, 404, Some(1)),
            (AnswerCause::Suspended, 403, Some(21)),
            (AnswerCause::BlockedCaller, 603, Some(21)),
            (AnswerCause::CompanyLimit, 486, Some(17)),
            (AnswerCause::TrunkLimit, 503, Some(42)),
            (AnswerCause::NoRoute, 480, Some(31)),
            (AnswerCause::Closed, 480, Some(31)),
            (AnswerCause::Unavailable, 480, Some(20)),
            (AnswerCause::Busy, 486, Some(17)),
            (AnswerCause::Full, 486, Some(17)),
            (AnswerCause::NoAnswer, 480, Some(19)),
            (AnswerCause::Timeout, 480, Some(19)),
            (AnswerCause::RejectBusy, 486, Some(17)),
            (AnswerCause::RejectUnavailable, 480, Some(31)),
            (AnswerCause::RejectDecline, 603, Some(21)),
            (AnswerCause::Cancelled, 487, None),
            (AnswerCause::Answered, 200, None),
            (AnswerCause::CutOff, 500, Some(41)),
            (AnswerCause::Draining, 503, Some(41)),
        ] {
            let answer = Answer::new(cause, "words");
            assert_eq!((answer.status, answer.q850), (status, q850), "{cause:?}");
            assert_eq!(answer.retry_after.is_some(), status == 503, "{cause:?}");
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
    }

    #[test]
    fn the_words_can_be_quoted_in_a_header() {
        let answer = Answer::new(AnswerCause::Busy, "everybody in \"säles\" \\ is\r\nbusy");
        assert_eq!(answer.text, "everybody in 's?les' ' is??busy");
    }
}
