//! One call of a peer: its state, and the dialogs that came of it.

use std::net::SocketAddr;
use std::time::Duration;

use super::dialog::Dialog;
use super::text::Reading;
use super::transaction::{PATIENCE, ServerKey, T1, T2};
use super::{Behaviour, Datagram};
use crate::time::Instant;

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) call_id: String,
    pub(super) local_tag: String,
    pub(super) state: CallState,
    /// Confirmed dialogs, oldest first: more than one only where an INVITE of ours was answered twice.
    pub(super) dialogs: Vec<Dialog>,
    /// What this peer does with this call if it was rung.
    pub(super) behaviour: Behaviour,
}

/// ```text
///  Calling ─ 2xx ─► Talking ─ hang_up ─► Ending ─► Over
///  Ringing ─ 200 ─►    └──── BYE ─────────────────► ▲
///     └── refused, cancelled, timed out ────────────┘
/// ```
#[derive(Clone, Debug)]
pub(super) enum CallState {
    /// Our INVITE is out.
    Calling { branch: String, wish: Wish },
    /// Their INVITE is here.
    Ringing { server: ServerKey, invite: Box<Reading>, from: SocketAddr },
    /// Answered. `unacked` is our 200 until its ACK comes.
    Talking { unacked: Option<Unacked> },
    /// BYE is out for every dialog.
    Ending,
    /// Nothing more can happen.
    Over,
}

/// Whether a caller still wants its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It does.
    Keep,
    /// It does not, but RFC 3261 §9.1 forbids a CANCEL before a provisional response.
    CancelWhenHeard,
    /// CANCEL is out.
    Cancelled,
}

/// A 200 that waits for its ACK (RFC 3261 §13.3.1.4).
#[derive(Clone, Debug)]
pub(super) struct Unacked {
    pub(super) response: Datagram,
    pub(super) interval: Duration,
    pub(super) resend_at: Instant,
    pub(super) give_up_at: Instant,
    /// Hang up as soon as the ACK is here: RFC 3261 §15 forbids a BYE before.
    pub(super) hang_up_wanted: bool,
}

impl Unacked {
    pub(super) fn new(now: Instant, response: Datagram) -> Unacked {
        Unacked { response, interval: T1, resend_at: now + T1, give_up_at: now + PATIENCE, hang_up_wanted: false }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.resend_at.min(self.give_up_at)
    }

    /// The next retransmission.
    pub(super) fn on_resend(&mut self, now: Instant) -> Datagram {
        self.interval = (self.interval * 2).min(T2);
        self.resend_at = now + self.interval;
        self.response.clone()
    }
}

impl Call {
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, CallState::Over)
    }

    pub(super) fn is_talking(&self) -> bool {
        matches!(self.state, CallState::Talking { .. })
    }
}
