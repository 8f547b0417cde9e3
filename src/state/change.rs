//! One change of what is to survive, as a value. Times are wall times: no monotonic clock survives a restart.

use std::net::SocketAddr;

use bytes::Bytes;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::record::CallRecord;
use crate::id::{CallRef, CompanyId, DepartmentId, Extension, OfferId, PersonId, TrunkId, UserId};
use crate::routing::DecisionRecord;
use crate::time::WallTime;

/// A change's place in the order of all: 1, 2, 3 … since the store was made; it goes on over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(pub u64);

/// One thing to remember. Each says how something is now, not how it differs: to apply one twice is to apply it once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A user's devices, all of them; none: the user has gone.
    Bindings {
        /// Whose.
        user: UserId,
        /// In the order they ring.
        bindings: Vec<SavedBinding>,
    },
    /// A user's run-time switches. `None` and `false` is what a user has of whom nothing is known.
    Switches {
        /// Whose.
        user: UserId,
        /// The user's own; `None` while the configuration's value holds.
        takes_calls: Option<bool>,
        /// An admin's.
        paused: bool,
    },
    /// The claim on a person; `None`: there is none.
    Claim {
        /// On whom.
        person: PersonId,
        /// Whose, and for what.
        claim: Option<SavedClaim>,
    },
    /// Whoever a department offered a call last (`round-robin`).
    Pointer {
        /// The department's company.
        company: CompanyId,
        /// The department.
        department: DepartmentId,
        /// Whom.
        last_offered: Option<Extension>,
    },
    /// What a department remembers of a member (`longest-idle`, `fewest-calls`).
    Member {
        /// The department's company.
        company: CompanyId,
        /// The department.
        department: DepartmentId,
        /// The member.
        extension: Extension,
        /// The day `calls` counts, in the company's zone.
        day: NaiveDate,
        /// Calls answered on that day.
        calls: u32,
        /// When the last one was answered or ended.
        last_call: WallTime,
    },
    /// With whom in a department a caller spoke last (`sticky`).
    Caller {
        /// The department's company.
        company: CompanyId,
        /// The department.
        department: DepartmentId,
        /// Who called, as in call records.
        caller: String,
        /// With whom.
        extension: Extension,
        /// When.
        at: WallTime,
    },
    /// A call that goes on, as it is now.
    Call(Box<SavedCall>),
    /// A call is over: it goes on no more, and its record belongs to the call log, once.
    Over(Box<CallRecord>),
}

/// A device of a user: [`crate::registrar::Binding`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SavedBinding {
    pub contact: Bytes,
    /// In thousandths.
    pub q: u16,
    pub expires_at: WallTime,
    pub call_id: Bytes,
    pub cseq: u32,
    #[serde(default)]
    pub instance: Option<Bytes>,
    #[serde(default)]
    pub reg_id: Option<u32>,
    #[serde(default)]
    pub path: Vec<Bytes>,
    pub flow: SavedFlow,
    pub target: SocketAddr,
    #[serde(default)]
    pub user_agent: Option<String>,
    pub registered_at: WallTime,
    pub parameters: Bytes,
    pub request_uri_length: usize,
}

/// A way to a peer: a listener may have another number after a restart, but not another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFlow {
    /// Where our socket is bound.
    pub local: SocketAddr,
    /// Where the peer is.
    pub remote: SocketAddr,
}

/// A claim: [`crate::claim::Claim`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SavedClaim {
    pub call: CallRef,
    pub user: UserId,
    pub hold: SavedHold,
    pub since: WallTime,
    #[serde(default)]
    pub behind: Option<Box<SavedClaim>>,
}

/// What a claim is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum SavedHold {
    Ringing,
    OnCall,
    /// Until then.
    WrapUp(WallTime),
}

/// A call that goes on: what is needed to end it rightly, whoever ends it, and to complete its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedCall {
    /// The call.
    pub call: CallRef,
    /// Whose it is.
    pub company: Option<CompanyId>,
    /// The trunk it came by.
    pub trunk: Option<TrunkId>,
    /// The user who calls.
    pub from_user: Option<UserId>,
    /// Who calls, for listings.
    pub caller_label: String,
    /// What was decided so far.
    pub decision: DecisionRecord,
    /// When it arrived.
    pub started_at: WallTime,
    /// When it was answered first.
    pub answered_at: Option<WallTime>,
    /// The INVITE as it came: it may have to be answered.
    pub invite: Bytes,
    /// Where it came from.
    pub source: SavedFlow,
    /// What its Via and Record-Route may say of us.
    #[serde(default)]
    pub names: Vec<String>,
    /// Who sent it.
    pub caller: SavedPeer,
    /// The final status sent to the caller.
    pub final_sent: Option<u16>,
    /// Who has been offered it.
    pub offers: Vec<SavedOffer>,
    /// The copies of the INVITE.
    pub branches: Vec<SavedBranch>,
    /// Its dialogs, answered ones only. One answered by a phone under two tags has two.
    pub dialogs: Vec<SavedDialog>,
}

/// An offer of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedOffer {
    /// Its number in the call.
    pub id: OfferId,
    /// To which user; `None` for an outside number.
    pub user: Option<UserId>,
    /// Whose claim it holds.
    pub person: Option<PersonId>,
    /// The department that made it.
    pub department: Option<DepartmentId>,
    /// Extension or outside number, for listings.
    pub label: String,
    /// Somebody answered.
    pub answered: bool,
    /// The claim has been let go.
    pub settled: bool,
}

/// One copy of the INVITE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedBranch {
    /// Of which offer.
    pub offer: OfferId,
    /// The token of its branch parameter.
    pub token: u64,
    /// The loop key in it.
    #[serde(default)]
    pub loop_key: u32,
    /// What was sent: CANCEL and ACK are made of it. Empty once the branch has ended: then neither is.
    pub sent: Bytes,
    /// The way it went.
    pub flow: SavedFlow,
    /// Who is there.
    pub peer: SavedPeer,
    /// A final response came, or none will.
    pub ended: bool,
    /// The trunk whose limit it counts against.
    pub counted: Option<TrunkId>,
}

/// Who is behind one end of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum SavedPeer {
    Trunk(TrunkId),
    Phone {
        user: UserId,
        /// The contact of its binding.
        contact: Option<Bytes>,
    },
}

/// An answered dialog: [`crate::proxy::Dialog`]. Whether its ACK has passed, or a BYE was on its way, does not matter: whoever has
/// to repeat either does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SavedDialog {
    pub offer: OfferId,
    /// The place of its branch among the call's.
    pub branch: usize,
    pub caller_peer: SavedPeer,
    pub callee_peer: SavedPeer,
    pub call_id: Bytes,
    pub caller: SavedSide,
    pub callee: SavedSide,
    pub session_until: Option<WallTime>,
    pub longest_until: Option<WallTime>,
}

/// What is known of one end of a dialog: [`crate::proxy::Side`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SavedSide {
    pub flow: SavedFlow,
    pub tag: Bytes,
    pub identity: Bytes,
    pub target: Bytes,
    pub route_set: Vec<Bytes>,
    pub cseq: u32,
}
