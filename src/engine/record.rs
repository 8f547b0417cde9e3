//! The record of one call, made when it is over.

use serde::Serialize;

use crate::id::{CallRef, CompanyId, TrunkId, UserId};
use crate::proxy::{End, Toward};
use crate::routing::DecisionRecord;
use crate::time::WallTime;

/// One call, from its first INVITE to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecord {
    /// The call.
    pub call: CallRef,
    /// Whose it was; `None` for a number that is nobody's.
    pub company: Option<CompanyId>,
    /// The trunk it came by.
    pub trunk: Option<TrunkId>,
    /// The user who called.
    pub from_user: Option<UserId>,
    /// What was decided and why.
    pub decision: DecisionRecord,
    /// Milliseconds since 1970.
    #[serde(serialize_with = "millis")]
    pub started_at: WallTime,
    /// When it was answered first.
    #[serde(serialize_with = "optional_millis")]
    pub answered_at: Option<WallTime>,
    /// When it ended.
    #[serde(serialize_with = "millis")]
    pub ended_at: WallTime,
    /// Who answered: extensions, or outside numbers.
    pub answered_by: Vec<String>,
    /// How it ended, and by whom.
    pub ended_by: EndedBy,
    /// The final status sent to the caller.
    pub status: u16,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// It was never answered: the caller got a refusal.
    Refused,
    /// It was never answered: the caller hung up.
    Cancelled,
    /// The caller hung up.
    Caller,
    /// Whoever answered hung up.
    Callee,
    /// Nobody refreshed the session (RFC 4028).
    SessionTimer,
    /// It was longer than `max-call`.
    MaxCall,
    /// The caller never acknowledged the answer.
    Unacknowledged,
    /// The phone said that it had restarted.
    Restarted,
}

impl EndedBy {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            EndedBy::Refused => "refused",
            EndedBy::Cancelled => "cancelled",
            EndedBy::Caller => "caller",
            EndedBy::Callee => "callee",
            EndedBy::SessionTimer => "session-timer",
            EndedBy::MaxCall => "max-call",
            EndedBy::Unacknowledged => "unacknowledged",
            EndedBy::Restarted => "restarted",
        }
    }
}

impl From<End> for EndedBy {
    fn from(end: End) -> EndedBy {
        match end {
            End::SessionExpired => EndedBy::SessionTimer,
            End::TooLong => EndedBy::MaxCall,
            End::Unacknowledged => EndedBy::Unacknowledged,
            End::Restarted => EndedBy::Restarted,
        }
    }
}

impl From<Toward> for EndedBy {
    fn from(side: Toward) -> EndedBy {
        match side {
            Toward::Caller => EndedBy::Caller,
            Toward::Callee => EndedBy::Callee,
        }
    }
}

fn millis<S: serde::Serializer>(at: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(at.unix_millis())
}

fn optional_millis<S: serde::Serializer>(at: &Option<WallTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_some(&at.unix_millis()),
        None => serializer.serialize_none(),
    }
}
