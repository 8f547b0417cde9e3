//! The record of one call, made when it is over.

use serde::Serialize;

use crate::id::{CallRef, CompanyId, TrunkId, UserId};
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
    /// How it ended, and by whom: `caller`, `callee`, `session-timer`, `max-call`, `restarted`, `refused`, `cancelled`, `unconfirmed`.
    pub ended_by: &'static str,
    /// The final status sent to the caller.
    pub status: u16,
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
