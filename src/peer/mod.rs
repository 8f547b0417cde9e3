//! The independent second reader: phones and trunks that speak SIP as user agents, written on `rsip`.
//!
//! The daemon reads its traffic with [`crate::sip`]. If the phones it is tried against were written on the same
//! parser, an error in it would hide itself: both ends would misread alike. So this room shares no code with
//! `crate::sip`, `crate::transaction` or `crate::auth`; messages are read and written with `rsip`, digests are
//! computed here. Where rsip cannot read a message (folded fields, IPv6, extension methods) the peer counts it in
//! `unreadable()` and drops it, and nothing here writes such a message unless a test asks for it.
//!
//! [`Phone`] and [`Trunk`] are state machines without sockets, clocks or randomness: `receive` and the intents
//! (`call`, `answer`, …) go in, `poll_output` and `poll_event` come out, `deadline` says when `on_timeout` is due.
//! **Drain rule:** after every input, poll outputs and events until both are `None`.
//!
//! Obeys RFC 3261 §8, §9, §12–§15, §17, §22; RFC 3581 (rport), RFC 6026 (Accepted), RFC 7616 and 8760 (digest).

mod agent;
mod behaviour;
mod call;
mod callee;
mod caller;
mod dialog;
mod digest;
mod event;
pub mod ladder;
mod naming;
mod phone;
mod registration;
#[cfg(test)]
mod tests;
mod text;
mod transaction;
mod trunk;

use std::net::SocketAddr;

pub use behaviour::{Behaviour, Progress, WhenRung};
pub use event::{CallEvent, CallKey, EndedBy, PhoneEvent};
pub use ladder::Ladder;
pub use phone::{Phone, PhoneSettings};
pub use trunk::{Forks, OutgoingCall, Trunk, TrunkSettings};

/// One UDP datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where it goes.
    pub to: SocketAddr,
    /// Its payload: one whole SIP message.
    pub bytes: Vec<u8>,
}
