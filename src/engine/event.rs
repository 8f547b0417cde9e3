//! Events for the log: what happened, by name, without anybody's number or address (those are in the call record).

use bytes::Bytes;

use crate::flow::Flow;
use crate::id::{CallRef, CompanyId, TrunkId, UserId};
use crate::state::EndedBy;

/// Something worth a line in the log. `Display` gives the line (without the call's id, which is a field of its own) and
/// holds no number, name or address of a person: companies, extensions and trunks only, at every level but debug.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    CallArrived {
        call: CallRef,
        company: Option<CompanyId>,
        trunk: Option<TrunkId>,
        /// The peers' name for it, which all its legs share: for the capture, never for a line (it may hold an address).
        call_id: Bytes,
    },
    /// It began before the daemon's last start.
    CallResumed {
        call: CallRef,
        company: Option<CompanyId>,
        /// Not displayed: whose call it is in a capture.
        call_id: Bytes,
    },
    CallOffered {
        call: CallRef,
        to: String,
    },
    CallQueued {
        call: CallRef,
        place: u32,
    },
    CallAnswered {
        call: CallRef,
        by: String,
    },
    CallRefused {
        call: CallRef,
        status: u16,
        cause: &'static str,
    },
    CallCancelled {
        call: CallRef,
    },
    CallEnded {
        call: CallRef,
        by: EndedBy,
    },
    Registered {
        user: UserId,
        devices: usize,
    },
    Unregistered {
        user: UserId,
        devices: usize,
    },
    /// Debug: a message was refused or dropped by the wire.
    Malformed {
        flow: Flow,
        fault: &'static str,
    },
    /// Debug: a source that is neither a trunk nor an authenticated user.
    Stranger {
        flow: Flow,
        answered: Option<u16>,
    },
    /// A user's phone cannot prove itself, or cannot register: said once a minute at most.
    PhoneRefused {
        user: UserId,
        why: &'static str,
    },
    /// Debug: somebody failed to prove to be a user.
    AuthenticationFailed {
        flow: Flow,
        realm: String,
    },
    /// Debug: bytes behind a message's end.
    TrailingBytes {
        flow: Flow,
        count: usize,
    },
    /// Warning: an invariant of ours did not hold; the input was dropped.
    Defect {
        /// Words of ours: nothing that came from outside.
        what: &'static str,
    },
}

impl Event {
    /// The call it belongs to.
    pub fn call(&self) -> Option<CallRef> {
        match self {
            Event::CallArrived { call, .. }
            | Event::CallResumed { call, .. }
            | Event::CallOffered { call, .. }
            | Event::CallQueued { call, .. }
            | Event::CallAnswered { call, .. }
            | Event::CallRefused { call, .. }
            | Event::CallCancelled { call }
            | Event::CallEnded { call, .. } => Some(*call),
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::Malformed { .. }
            | Event::Stranger { .. }
            | Event::PhoneRefused { .. }
            | Event::AuthenticationFailed { .. }
            | Event::TrailingBytes { .. }
            | Event::Defect { .. } => None,
        }
    }

    /// Info for what happens to calls and registrations, debug for what strangers do, warn for our own defects.
    pub fn level(&self) -> tracing::Level {
        match self {
            Event::CallArrived { .. }
            | Event::CallResumed { .. }
            | Event::CallOffered { .. }
            | Event::CallQueued { .. }
            | Event::CallAnswered { .. }
            | Event::CallRefused { .. }
            | Event::CallCancelled { .. }
            | Event::CallEnded { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::PhoneRefused { .. } => tracing::Level::INFO,
            Event::Malformed { .. }
            | Event::Stranger { .. }
            | Event::AuthenticationFailed { .. }
            | Event::TrailingBytes { .. } => tracing::Level::DEBUG,
            Event::Defect { .. } => tracing::Level::WARN,
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Event::CallArrived { company, trunk, .. } => {
                f.write_str("call arrived")?;
                if let Some(trunk) = trunk {
                    write!(f, " by trunk {trunk}")?;
                }
                match company {
                    Some(company) => write!(f, " for {company}"),
                    None => f.write_str(" for nobody"),
                }
            }
            Event::CallResumed { company: Some(company), .. } => write!(f, "goes on after a restart, for {company}"),
            Event::CallResumed { company: None, .. } => f.write_str("goes on after a restart, for nobody"),
            Event::CallOffered { to, .. } => write!(f, "offered to {to}"),
            Event::CallQueued { place, .. } => write!(f, "waiting, place {place}"),
            Event::CallAnswered { by, .. } => write!(f, "answered by {by}"),
            Event::CallRefused { status, cause, .. } => write!(f, "refused: {status} {cause}"),
            Event::CallCancelled { .. } => f.write_str("caller hung up before an answer"),
            Event::CallEnded { by, .. } => write!(f, "ended: {}", by.as_str()),
            Event::Registered { user, devices } => write!(f, "{user} registered, {}", devices_of(*devices)),
            Event::Unregistered { user, devices } => write!(f, "{user} unregistered, {} left", devices_of(*devices)),
            Event::Malformed { flow, fault } => write!(f, "malformed message from {flow:?}: {fault}"),
            Event::Stranger { flow, answered: Some(status) } => write!(f, "stranger {flow:?} answered {status}"),
            Event::Stranger { flow, answered: None } => write!(f, "stranger {flow:?} ignored"),
            Event::PhoneRefused { user, why } => write!(f, "a phone of {user} is refused: {why}"),
            Event::AuthenticationFailed { flow, realm } => write!(f, "{flow:?} failed to prove itself to {realm}"),
            Event::TrailingBytes { flow, count } => write!(f, "{count} bytes behind a message from {flow:?} ignored"),
            Event::Defect { what } => write!(f, "defect: {what}"),
        }
    }
}

fn devices_of(count: usize) -> String {
    format!("{count} {}", if count == 1 { "device" } else { "devices" })
}
