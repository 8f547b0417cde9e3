//! The peers' own transactions: RFC 3261 §17 with RFC 6026's Accepted state, over UDP only.

use std::time::Duration;

use rsip::{Header, Method};

use super::Datagram;
use super::dialog::Draft;
use super::event::{CallKey, EndedBy};
use super::text::Reading;
use crate::time::Instant;

/// An estimate of the round trip (RFC 3261 §17.1.1.1).
pub(super) const T1: Duration = Duration::from_millis(500);
/// The longest pause between retransmissions of anything but an INVITE.
pub(super) const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network.
pub(super) const T4: Duration = Duration::from_secs(5);
/// How long anything is tried.
pub(super) const PATIENCE: Duration = Duration::from_secs(32);

/// What a client transaction was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Register,
    Invite(CallKey),
    Reinvite { call: CallKey, remote_tag: String },
    Bye { call: CallKey, remote_tag: String, by: EndedBy },
    Cancel,
    Options,
}

/// What a transaction asks for when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: a timer that no longer matters.
    Wait,
    /// Send the datagram again.
    Resend,
    /// Nothing final came in time.
    TimedOut,
    /// Forget the transaction.
    Gone,
}

/// A request of ours.
#[derive(Clone, Debug)]
pub(super) struct ClientTransaction {
    pub(super) draft: Draft,
    pub(super) branch: String,
    pub(super) datagram: Datagram,
    pub(super) credentials: Vec<Header>,
    /// How many challenges this request has answered.
    pub(super) answered_challenges: u32,
    pub(super) purpose: Purpose,
    pub(super) state: ClientState,
}

/// ```text
///            provisional            final (INVITE: 3xx–6xx)
///  Calling ──────────────► Proceeding ──────────────► Completed ─► gone
///     └───────────────────────┴── INVITE: 2xx ──────► Accepted  ─► gone
/// ```
#[derive(Clone, Debug)]
pub(super) enum ClientState {
    Calling {
        interval: Duration,
        resend_at: Instant,
        give_up_at: Instant,
    },
    /// `resend_at` for all but INVITE; `give_up_at` for all but an INVITE that was not cancelled.
    Proceeding {
        resend_at: Option<Instant>,
        give_up_at: Option<Instant>,
    },
    Completed {
        until: Instant,
    },
    /// The ACK for each To tag that answered.
    Accepted {
        until: Instant,
        acks: Vec<(String, Datagram)>,
    },
}

impl ClientState {
    pub(super) fn begin(now: Instant) -> ClientState {
        ClientState::Calling { interval: T1, resend_at: now + T1, give_up_at: now + PATIENCE }
    }
}

impl ClientTransaction {
    /// When `on_timeout` is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            ClientState::Calling { resend_at, give_up_at, .. } => Some(*resend_at.min(give_up_at)),
            ClientState::Proceeding { resend_at, give_up_at } => resend_at.iter().chain(give_up_at).min().copied(),
            ClientState::Completed { until } | ClientState::Accepted { until, .. } => Some(*until),
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) -> Step {
        match &mut self.state {
            ClientState::Calling { give_up_at, .. } if *give_up_at <= now => Step::TimedOut,
            ClientState::Calling { interval, resend_at, .. } => {
                if *resend_at > now {
                    return Step::Wait;
                }
                // RFC 3261 §17.1.1.2 Timer A doubles without bound; §17.1.2.2 Timer E stops at T2.
                let doubled = *interval * 2;
                *interval = if self.draft.method == Method::Invite { doubled } else { doubled.min(T2) };
                *resend_at = now + *interval;
                Step::Resend
            }
            ClientState::Proceeding { give_up_at: Some(give_up_at), .. } if *give_up_at <= now => Step::TimedOut,
            ClientState::Proceeding { resend_at, .. } => match resend_at {
                Some(at) if *at <= now => {
                    *at = now + T2;
                    Step::Resend
                }
                Some(_) | None => Step::Wait,
            },
            ClientState::Completed { until } | ClientState::Accepted { until, .. } => {
                if *until <= now {
                    Step::Gone
                } else {
                    Step::Wait
                }
            }
        }
    }

    pub(super) fn on_provisional(&mut self, now: Instant) {
        if let ClientState::Calling { give_up_at, .. } = self.state {
            self.state = if self.draft.method == Method::Invite {
                ClientState::Proceeding { resend_at: None, give_up_at: None }
            } else {
                ClientState::Proceeding { resend_at: Some(now + T2), give_up_at: Some(give_up_at) }
            };
        }
    }

    /// RFC 3261 §9.1: a cancelled INVITE that gets no final response is given up after 64·T1.
    pub(super) fn on_cancelled(&mut self, now: Instant) {
        if let ClientState::Proceeding { give_up_at, .. } = &mut self.state {
            *give_up_at = Some(now + PATIENCE);
        }
    }

    /// A final response that is no 2xx to an INVITE: whether it is the first.
    pub(super) fn on_final(&mut self, now: Instant) -> Heard {
        match self.state {
            ClientState::Calling { .. } | ClientState::Proceeding { .. } => {
                let linger = if self.draft.method == Method::Invite { PATIENCE } else { T4 };
                self.state = ClientState::Completed { until: now + linger };
                Heard::First
            }
            ClientState::Completed { .. } | ClientState::Accepted { .. } => Heard::Again,
        }
    }

    /// A 2xx to an INVITE: the ACK already sent for its To tag, if there is one.
    pub(super) fn on_accepted(&mut self, now: Instant, to_tag: &str) -> Option<Datagram> {
        match &self.state {
            ClientState::Accepted { acks, .. } => {
                acks.iter().find(|(tag, _)| tag == to_tag).map(|(_, ack)| ack.clone())
            }
            ClientState::Calling { .. } | ClientState::Proceeding { .. } | ClientState::Completed { .. } => {
                self.state = ClientState::Accepted { until: now + PATIENCE, acks: vec![] };
                None
            }
        }
    }

    /// Keeps the ACK sent for a 2xx, to be sent again whenever that 2xx comes again.
    pub(super) fn keep_ack(&mut self, to_tag: &str, ack: Datagram) {
        if let ClientState::Accepted { acks, .. } = &mut self.state {
            acks.push((to_tag.to_owned(), ack));
        }
    }
}

/// Whether a response is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    First,
    Again,
}

/// What identifies a request of theirs (RFC 3261 §17.2.3): branch, sent-by, and the method, ACK counting as INVITE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerKey {
    branch: String,
    sent_by: String,
    method: &'static str,
}

impl ServerKey {
    pub(super) fn new(request: &Reading, method: Method) -> ServerKey {
        let sent_by = request.via.split_whitespace().nth(1).unwrap_or_default();
        ServerKey {
            branch: request.branch.clone(),
            sent_by: sent_by.split(';').next().unwrap_or_default().to_owned(),
            method: super::text::method_name(if method == Method::Ack { Method::Invite } else { method }),
        }
    }
}

/// A request of theirs.
#[derive(Clone, Debug)]
pub(super) struct ServerTransaction {
    pub(super) method: Method,
    /// The call an INVITE started or belongs to.
    pub(super) call: Option<CallKey>,
    /// The last response sent.
    pub(super) last: Option<Datagram>,
    pub(super) state: ServerState,
}

/// ```text
///              INVITE: 3xx–6xx           ACK
///  Proceeding ───────────────► Completed ───► Finished ─► gone
///      ├─ Silent: stays Mute; INVITE: 2xx ──► Accepted ─► gone
///      └─ not INVITE: any final ────────────► Finished
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) enum ServerState {
    Proceeding,
    /// A peer that is out of reach: hears, says nothing.
    Mute,
    Completed {
        interval: Duration,
        resend_at: Instant,
        give_up_at: Instant,
    },
    /// RFC 6026 §7.1: retransmitted INVITEs are absorbed; the 2xx is the call's to repeat.
    Accepted {
        until: Instant,
    },
    /// Retransmissions of anything but an INVITE get the last response again.
    Finished {
        until: Instant,
    },
}

impl ServerTransaction {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            ServerState::Proceeding | ServerState::Mute => None,
            ServerState::Completed { resend_at, give_up_at, .. } => Some(resend_at.min(give_up_at)),
            ServerState::Accepted { until } | ServerState::Finished { until } => Some(until),
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) -> Step {
        match &mut self.state {
            ServerState::Proceeding | ServerState::Mute => Step::Wait,
            ServerState::Completed { give_up_at, .. } if *give_up_at <= now => Step::Gone,
            ServerState::Completed { interval, resend_at, .. } if *resend_at <= now => {
                // RFC 3261 §17.2.1 Timer G.
                *interval = (*interval * 2).min(T2);
                *resend_at = now + *interval;
                Step::Resend
            }
            ServerState::Completed { .. } => Step::Wait,
            ServerState::Accepted { until } | ServerState::Finished { until } if *until <= now => Step::Gone,
            ServerState::Accepted { .. } | ServerState::Finished { .. } => Step::Wait,
        }
    }

    /// The request again: what to send again, if anything.
    pub(super) fn on_repeated(&self) -> Option<Datagram> {
        match self.state {
            ServerState::Proceeding | ServerState::Completed { .. } => self.last.clone(),
            ServerState::Finished { .. } if self.method != Method::Invite => self.last.clone(),
            ServerState::Mute | ServerState::Accepted { .. } | ServerState::Finished { .. } => None,
        }
    }

    pub(super) fn on_ack(&mut self, now: Instant) {
        if let ServerState::Completed { .. } = self.state {
            self.state = ServerState::Finished { until: now + T4 };
        }
    }

    pub(super) fn on_response(&mut self, now: Instant, status: u16, datagram: Datagram) {
        self.last = Some(datagram);
        self.state = match (self.method == Method::Invite, status) {
            (_, ..200) => ServerState::Proceeding,
            (true, 200..300) => ServerState::Accepted { until: now + PATIENCE },
            (true, _) => ServerState::Completed { interval: T1, resend_at: now + T1, give_up_at: now + PATIENCE },
            (false, _) => ServerState::Finished { until: now + PATIENCE },
        };
    }
}
