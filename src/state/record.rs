//! The record of one call, made when it is over.

use serde::{Deserialize, Serialize};

use crate::id::{CallRef, CompanyId, TrunkId, UserId};
use crate::proxy::{End, Toward};
use crate::routing::DecisionRecord;
use crate::time::WallTime;

/// One call, from its first INVITE to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call.
    pub call: CallRef,
    /// Whose it was; `None` for a number that is nobody's.
    pub company: Option<CompanyId>,
    /// The trunk it came by.
    pub trunk: Option<TrunkId>,
    /// The user who called.
    pub from_user: Option<UserId>,
    /// The Call-ID the caller gave it: what the trunk's own log knows it by.
    #[serde(default)]
    pub sip_call_id: String,
    /// What was decided and why.
    pub decision: DecisionRecord,
    /// Milliseconds since 1970.
    pub started_at: WallTime,
    /// When it was answered first.
    pub answered_at: Option<WallTime>,
    /// When it ended.
    pub ended_at: WallTime,
    /// Who answered: extensions, or outside numbers.
    pub answered_by: Vec<String>,
    /// How it ended, and by whom.
    pub ended_by: EndedBy,
    /// The final status sent to the caller.
    pub status: u16,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The daemon ended while the call went on and had not been answered: what was rung after that is not known.
    CutOff,
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
            EndedBy::CutOff => "cut-off",
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
