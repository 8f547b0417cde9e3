//! Transactions over UDP as a peer keeps them (RFC 3261 §17, RFC 6026): what is sent again, until when, and what a copy is.
//!
//! ```text
//!  INVITE client   Calling ──1xx──▶ Proceeding ──300+──▶ Completed (D)        A and B stop with any response
//!                     └──────────────┴──────────2xx───▶ Accepted (M)
//!  other client    Calling ──1xx──▶ Proceeding ──final─▶ Completed (K)        E goes on with T2 after 1xx
//!  server          Proceeding ──final──▶ Completed (G, H; J) ──ACK──▶ Confirmed (I)
//!                     └──────────2xx───▶ Accepted (copies of each 2xx until its ACK; L)
//! ```

use std::net::SocketAddr;

use bytes::Bytes;

use super::super::history::{Nanos, SECOND, T1, T2};
use super::super::text::Message;

/// 64·T1: timers B, D, F, H, J, L and M.
pub const PATIENCE: Nanos = 64 * T1;
/// RFC 3261 §17.1.2.2: timers I and K.
pub const T4: Nanos = 5 * SECOND;

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Invite,
    /// A second INVITE with the names of the first, on another branch.
    Merged,
    Cancel,
    Bye,
    Reinvite,
    Update,
    Register,
}

impl Purpose {
    pub fn method(self) -> &'static str {
        match self {
            Purpose::Invite | Purpose::Merged | Purpose::Reinvite => "INVITE",
            Purpose::Cancel => "CANCEL",
            Purpose::Bye => "BYE",
            Purpose::Update => "UPDATE",
            Purpose::Register => "REGISTER",
        }
    }

    fn is_invite(self) -> bool {
        self.method() == "INVITE"
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

/// What became due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Send,
    /// No final response came.
    TimedOut,
    /// It is over.
    Over,
}

/// What a response is to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Provisional,
    /// The first final response, or any 2xx to an INVITE.
    Final,
    /// A failure again: its ACK leaves again.
    Again,
    Nothing,
}

#[derive(Debug)]
pub struct Client {
    pub purpose: Purpose,
    pub branch: String,
    pub to: SocketAddr,
    pub sent: Message,
    pub standing: Standing,
    /// The call it belongs to, and the dialog in it.
    pub call: Option<u32>,
    pub dialog: usize,
    /// How many challenges it has answered.
    pub attempt: u8,
    /// The ACK of a failure.
    pub ack: Vec<u8>,
    send_at: Option<Nanos>,
    interval: Nanos,
    ends_at: Nanos,
}

impl Client {
    pub fn new(now: Nanos, purpose: Purpose, to: SocketAddr, bytes: Vec<u8>) -> Client {
        let sent = Message::read(&Bytes::from(bytes)).expect("what a peer writes it can read");
        Client {
            purpose,
            branch: sent.branch().unwrap_or_default().to_owned(),
            to,
            sent,
            standing: Standing::Calling,
            call: None,
            dialog: 0,
            attempt: 0,
            ack: Vec::new(),
            send_at: Some(now + T1),
            interval: T1,
            ends_at: now + PATIENCE,
        }
    }

    pub fn deadline(&self) -> Nanos {
        self.send_at.map_or(self.ends_at, |at| at.min(self.ends_at))
    }

    /// Whether no final response has come.
    pub fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Calling | Standing::Proceeding)
    }

    pub fn on_time(&mut self, now: Nanos) -> Due {
        if self.ends_at <= now {
            return if self.is_open() { Due::TimedOut } else { Due::Over };
        }
        if self.send_at.is_some_and(|at| at <= now) {
            // A doubles without end, E up to T2 (§17.1.1.2, §17.1.2.2).
            let doubled = self.interval * 2;
            self.interval = match self.standing {
                _ if self.purpose.is_invite() => doubled,
                Standing::Proceeding => T2,
                Standing::Calling | Standing::Completed | Standing::Accepted => doubled.min(T2),
            };
            self.send_at = Some(now + self.interval);
            return Due::Send;
        }
        Due::Nothing
    }

    pub fn on_response(&mut self, now: Nanos, status: u16) -> Heard {
        let is_invite = self.purpose.is_invite();
        match (self.standing, status) {
            (Standing::Calling | Standing::Proceeding, ..200) => {
                self.standing = Standing::Proceeding;
                if is_invite {
                    self.send_at = None;
                    // Proceeding has no timer of its own. A caller's patience ends a call; this only bounds one whose proxy is gone.
                    self.ends_at = self.ends_at.max(now + 400 * SECOND);
                }
                Heard::Provisional
            }
            (Standing::Calling | Standing::Proceeding, _) => {
                self.send_at = None;
                self.standing = if is_invite && status < 300 { Standing::Accepted } else { Standing::Completed };
                self.ends_at = now + if is_invite { PATIENCE } else { T4 };
                Heard::Final
            }
            (Standing::Accepted, 200..300) => Heard::Final,
            (Standing::Completed, 300..) if is_invite => Heard::Again,
            (Standing::Accepted | Standing::Completed, _) => Heard::Nothing,
        }
    }

    /// RFC 3261 §9.1: given up 64·T1 after its CANCEL.
    pub fn on_cancelled(&mut self, now: Nanos) {
        self.ends_at = now + PATIENCE;
    }
}

/// A final response that leaves again until its ACK comes.
#[derive(Debug)]
pub struct Final {
    pub bytes: Vec<u8>,
    /// Its To tag.
    pub tag: String,
    pub acked: bool,
    send_at: Option<Nanos>,
    interval: Nanos,
}

#[derive(Debug)]
pub struct Server {
    pub branch: String,
    pub sent_by: String,
    pub asked: Message,
    /// Where responses go.
    pub source: SocketAddr,
    pub is_invite: bool,
    pub status: u16,
    /// The latest provisional response, or the final one to anything but an INVITE.
    pub latest: Vec<u8>,
    pub finals: Vec<Final>,
    pub call: Option<u32>,
    /// An INVITE inside that dialog of the call.
    pub dialog: Option<usize>,
    ends_at: Option<Nanos>,
}

/// What became due at a server transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The final response with that place leaves again.
    Send(usize),
    /// Over; the tags of 2xx that nobody acknowledged.
    Over(Vec<String>),
    Nothing,
}

impl Server {
    pub fn new(asked: Message, source: SocketAddr, sent_by: &str) -> Server {
        Server {
            branch: asked.branch().unwrap_or_default().to_owned(),
            sent_by: sent_by.to_owned(),
            is_invite: asked.is("INVITE"),
            asked,
            source,
            status: 0,
            latest: Vec::new(),
            finals: Vec::new(),
            call: None,
            dialog: None,
            ends_at: None,
        }
    }

    pub fn has_final(&self) -> bool {
        self.status >= 200
    }

    pub fn deadline(&self) -> Option<Nanos> {
        self.finals.iter().filter_map(|one| one.send_at).chain(self.ends_at).min()
    }

    /// Nobody will ever answer it; it only absorbs copies until then.
    pub fn forget_at(&mut self, at: Nanos) {
        self.ends_at = Some(at);
    }

    /// A response was sent.
    pub fn on_sent(&mut self, now: Nanos, status: u16, tag: &str, bytes: Vec<u8>) {
        if status < 200 {
            if !self.has_final() {
                self.status = status;
                self.latest = bytes;
            }
            return;
        }
        self.status = status;
        self.ends_at = Some(now + PATIENCE);
        if self.is_invite {
            let send_at = Some(now + T1);
            self.finals.push(Final { bytes, tag: tag.to_owned(), acked: false, send_at, interval: T1 });
        } else {
            self.latest = bytes;
        }
    }

    pub fn on_time(&mut self, now: Nanos) -> Answer {
        if self.ends_at.is_some_and(|at| at <= now) {
            let unheard = self.finals.iter().filter(|one| !one.acked && self.status < 300);
            return Answer::Over(unheard.map(|one| one.tag.clone()).collect());
        }
        for (place, one) in self.finals.iter_mut().enumerate() {
            if one.send_at.is_some_and(|at| at <= now) {
                one.interval = (one.interval * 2).min(T2);
                one.send_at = Some(now + one.interval);
                return Answer::Send(place);
            }
        }
        Answer::Nothing
    }

    /// An ACK came for that tag. Whether it is the first.
    pub fn on_ack(&mut self, now: Nanos, tag: Option<&str>) -> bool {
        let is_failure = self.status >= 300;
        let found = self.finals.iter_mut().find(|one| is_failure || Some(one.tag.as_str()) == tag);
        let Some(one) = found.filter(|one| !one.acked) else { return false };
        one.acked = true;
        one.send_at = None;
        if is_failure {
            self.ends_at = Some(now + T4);
        }
        true
    }

    /// Nothing leaves again: the dialog is over, or the peer plays dead.
    pub fn still(&mut self, tag: &str) {
        for one in self.finals.iter_mut().filter(|one| one.tag == tag) {
            one.acked = true;
            one.send_at = None;
        }
    }
}
