//! One call: an INVITE from its arrival to the end of the last dialog it made, as a value. What happens to it is in `calls`
//! (the caller's side), `branches` (the callees') and `dialogs`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::transactions::{Armed, ClientId, ServerId};
use crate::config::Config;
use crate::flow::{Flow, ListenerId};
use crate::id::{CompanyId, OfferId, PersonId, TrunkId};
use crate::proxy::{Admitted, Dialog, DialogKey, Phase, Routes, Toward};
use crate::routing::{Answer, Hunt, OfferEnd, User};
use crate::sip::Request;
use crate::state::EndedBy;
use crate::time::{Instant, WallTime};

/// Who is behind one end of a call.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// A trunk.
    Trunk(TrunkId),
    /// A user's phone; `contact` names the binding it is known by.
    Phone {
        /// Whose.
        user: Arc<User>,
        /// The contact URI of the binding the call went to or came from.
        contact: Option<Bytes>,
    },
}

/// One copy of the INVITE that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    /// Its Request-URI.
    pub(super) uri: Bytes,
    /// Where it may go, best first: the next is tried when one fails (RFC 3263 §4.3).
    pub(super) addresses: SmallVec<[SocketAddr; 2]>,
    /// The socket to send it from, where that matters.
    pub(super) local: Option<ListenerId>,
    /// The binding's Path (RFC 3327 §5.3).
    pub(super) path: Vec<Bytes>,
    /// Who is there.
    pub(super) peer: Peer,
}

/// Where a branch stands.
///
/// ```text
///             1xx                      withdrawn, or Timer C: CANCEL
///  Calling --------> Proceeding -------------------------------------> Cancelling
///     |                  |  |_ 101-199 sets Timer C anew                    |
///     |                  |                                                  |
///     |   final response, Timer B, transport error      final response, or 64*T1 after CANCEL
///     +------------------+--------------------> Ended <--------------------+
/// ```
///
/// A branch that is withdrawn while Calling waits for its first 1xx (RFC 3261 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Sent; no response yet.
    Calling,
    /// A provisional response came; Timer C runs.
    Proceeding { timer_c: Instant },
    /// CANCEL sent; given up 64·T1 later (RFC 3261 §9.1).
    Cancelling { until: Instant },
    /// A final response, or none will come.
    Ended,
}

/// One copy of the INVITE.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) offer: OfferId,
    pub(super) client: ClientId,
    /// What was sent: CANCEL and ACK are made of it.
    pub(super) sent: Bytes,
    pub(super) flow: Flow,
    pub(super) standing: Standing,
    /// It is to be cancelled as soon as that is allowed (RFC 3261 §9.1: not before a provisional response).
    pub(super) withdrawn: bool,
    /// What it is a copy for, with the addresses not tried yet.
    pub(super) leg: Leg,
    /// The trunk whose limit it counts against, until it and its dialogs are over.
    pub(super) counted: Option<TrunkId>,
}

/// One offer of the hunt's.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) id: OfferId,
    /// Whose claim is held; `None` for an outside number.
    pub(super) person: Option<PersonId>,
    /// `221` or `+919800000000`.
    pub(super) label: String,
    /// The hunt was told how it ended, or ended it itself.
    pub(super) closed: bool,
    /// Somebody answered.
    pub(super) answered: bool,
    /// The claim has been let go.
    pub(super) settled: bool,
    /// What its branches ended with, the most telling so far.
    pub(super) end: OfferEnd,
}

/// A dialog of a call.
#[derive(Debug)]
pub(super) struct CallDialog {
    pub(super) key: DialogKey,
    pub(super) dialog: Dialog,
    pub(super) offer: OfferId,
    pub(super) fork: usize,
    pub(super) caller: Peer,
    pub(super) callee: Peer,
    /// BYEs of ours that wait for their answer.
    pub(super) byes: u8,
}

impl CallDialog {
    pub(super) fn peer(&self, side: Toward) -> &Peer {
        match side {
            Toward::Caller => &self.caller,
            Toward::Callee => &self.callee,
        }
    }

    pub(super) fn peer_mut(&mut self, side: Toward) -> &mut Peer {
        match side {
            Toward::Caller => &mut self.caller,
            Toward::Callee => &mut self.callee,
        }
    }
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) config: Arc<Config>,
    pub(super) company: Option<CompanyId>,
    pub(super) trunk: Option<TrunkId>,
    /// The user who calls, and the person whose claim that holds (R-7.2).
    pub(super) from_user: Option<Arc<User>>,
    pub(super) caller_label: String,
    pub(super) hunt: Hunt,
    pub(super) request: Arc<Request>,
    pub(super) source: Flow,
    pub(super) caller: Peer,
    pub(super) admitted: Admitted,
    pub(super) routes: Routes,
    pub(super) server: ServerId,
    pub(super) offers: Vec<Offer>,
    pub(super) forks: Vec<Fork>,
    pub(super) dialogs: Vec<CallDialog>,
    /// Dialogs that are over: a late copy of their 2xx must not bring them back.
    pub(super) past: SmallVec<[DialogKey; 1]>,
    /// The hunt's last word, kept back until every branch has ended.
    pub(super) pending: Option<Answer>,
    /// The final status sent to the caller.
    pub(super) final_sent: Option<u16>,
    /// What the caller's CANCEL gave as its reason.
    pub(super) cancel_reason: Option<Bytes>,
    pub(super) started_at: WallTime,
    pub(super) answered_at: Option<WallTime>,
    pub(super) ended_by: EndedBy,
    /// The record was written: only transactions linger.
    pub(super) over: bool,
    pub(super) armed: Armed,
}

impl Call {
    /// `ringing`, `waiting`, `talking` or `ending`.
    pub(super) fn state(&self) -> &'static str {
        if self.over {
            "ending"
        } else if self.dialogs.iter().any(|dialog| matches!(dialog.dialog.phase, Phase::Confirmed { .. })) {
            "talking"
        } else if self.final_sent.is_some() {
            "ending"
        } else if self.hunt.waiting_since().is_some() {
            "waiting"
        } else {
            "ringing"
        }
    }

    /// Extensions and outside numbers that ring or talk.
    pub(super) fn with(&self) -> Vec<String> {
        self.offers.iter().filter(|offer| self.is_live(offer.id)).map(|offer| offer.label.clone()).collect()
    }

    pub(super) fn caller_label(&self) -> &str {
        &self.caller_label
    }

    pub(super) fn is_live(&self, offer: OfferId) -> bool {
        self.forks.iter().any(|fork| fork.offer == offer && fork.standing != Standing::Ended)
            || self.dialogs.iter().any(|dialog| dialog.offer == offer && !dialog.dialog.phase.is_early())
    }

    pub(super) fn all_forks_ended(&self) -> bool {
        self.forks.iter().all(|fork| fork.standing == Standing::Ended)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let forks = self.forks.iter().filter_map(|fork| match fork.standing {
            Standing::Proceeding { timer_c } => Some(timer_c),
            Standing::Cancelling { until } => Some(until),
            Standing::Calling | Standing::Ended => None,
        });
        let dialogs = self.dialogs.iter().filter_map(|dialog| dialog.dialog.deadline().map(|(at, _)| at));
        let hunt = if self.final_sent.is_none() { self.hunt.deadline() } else { None };
        forks.chain(dialogs).chain(hunt).min()
    }

    pub(super) fn offer_mut(&mut self, id: OfferId) -> Option<&mut Offer> {
        self.offers.iter_mut().find(|offer| offer.id == id)
    }
}
