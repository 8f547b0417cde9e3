//! What was on the wire, in order, and what belongs together: transactions of both sides, the copies of their messages, and which
//! INVITE each branch is for. Built once for a history; judges nothing.
//!
//! Server transactions are told apart by RFC 3261 §17.2.3 (branch, sent-by, method; ACK's is INVITE's), client ones by branch and method
//! (§17.1.3). A kill ends all of them; those that a start takes up again are entries of their own, marked `revived`.

use std::ops::Range;

use switchboard::state::Saved;

use super::super::history::{Datagram, History, MILLISECOND, Nanos, SECOND, T1};
use super::super::text::Message;

mod build;
mod fields;
mod life;

pub use fields::{sent_by, values, vias};

/// RFC 3261's 64·T1.
pub const PATIENCE: Nanos = 64 * T1;
pub const T4: Nanos = 5 * SECOND;

/// A message that the engine heard or sent.
#[derive(Clone, Debug)]
pub struct Line<'h> {
    pub place: usize,
    pub at: Nanos,
    pub sent: bool,
    pub datagram: &'h Datagram,
    pub message: &'h Message,
    /// In `Wire::steps`.
    pub step: usize,
    pub branch: &'h str,
    pub sent_by: &'h str,
    /// A request's, or the one in a response's CSeq.
    pub method: &'h str,
    /// 0 for requests.
    pub status: u16,
    pub cseq: u32,
    pub call_id: &'h str,
    pub from_tag: &'h str,
    pub to_tag: &'h str,
    /// Of the server transaction (ACK: its INVITE's).
    pub key: u64,
    /// It arrived as its sender meant it ([`super::intact`]), and is written so that nobody can read it otherwise: an engine that does not
    /// obey it is wrong. Of any other message it is not known here what the engine made of it.
    pub sure: bool,
}

impl Line<'_> {
    pub fn is_request(&self) -> bool {
        self.status == 0
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What made the engine act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This line; `None`: something that is no message.
    Heard(Option<usize>),
    Fired,
    Started,
    Undeliverable,
    Other,
}

/// One input and all that the engine did because of it.
#[derive(Clone, Debug)]
pub struct Step {
    pub place: usize,
    pub cause: Cause,
    /// What it sent.
    pub lines: Range<usize>,
    /// Killed before all of it was out, perhaps.
    pub cut: bool,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Server {
    pub key: u64,
    pub epoch: usize,
    /// The first copy heard, also in an epoch before; `None` where nobody here could read it.
    pub request: Option<usize>,
    pub invite: bool,
    /// A start took it up again, at that place and time.
    pub revived: Option<(usize, Nanos)>,
    /// What its caller has to be told at the start that took it up.
    pub owes: Option<u16>,
    /// A copy of an INVITE that was answered 2xx before the start is absorbed there, until 64·T1 after it.
    pub absorbs_from: Option<Nanos>,
    /// Answered on the spot without a transaction (RFC 3261 §8.2.7): each copy is a request of its own.
    pub stateless: bool,
    /// Some copy of it was damaged: what the engine made of that is not known.
    pub doubtful: bool,
    /// Further copies heard.
    pub copies: Vec<usize>,
    pub responses: Vec<usize>,
    pub acks: Vec<usize>,
    pub cancels: Vec<usize>,
    /// Its branches, in the order they were opened.
    pub clients: Vec<usize>,
    /// The version of the model in force.
    pub model: usize,
}

/// A request that the engine sent.
#[derive(Clone, Debug)]
pub struct Client {
    pub epoch: usize,
    pub first: usize,
    /// All of them, the first too (none of a revived one's were sent in its epoch).
    pub copies: Vec<usize>,
    pub acks: Vec<usize>,
    /// Its CANCEL, or what it cancels.
    pub other: Option<usize>,
    /// The INVITE that the CANCEL's branch is of, and the reverse.
    pub heard: Vec<usize>,
    pub server: Option<usize>,
    /// Since when a start has it, in place and time.
    pub revived: Option<(usize, Nanos)>,
    /// A datagram of it could not be sent: the place.
    pub undeliverable: Vec<usize>,
}

/// How it ended that a request waited for a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Final(u16),
    /// Timer B or F.
    Silence,
    /// 64·T1 after its CANCEL.
    GivenUp,
    Undeliverable,
    Killed,
}

/// What became of a request that the engine sent.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The first provisional response, if it came in time.
    pub provisional: Option<usize>,
    /// The first final response.
    pub last: Option<usize>,
    /// All 2xx to an INVITE that had to be passed on.
    pub successes: Vec<usize>,
    /// Copies of a failure that had to be acknowledged.
    pub failures: Vec<usize>,
    /// Where it no longer waited, and why.
    pub end: Option<(usize, Ending)>,
    /// From here on nothing is sure.
    pub doubtful: Option<usize>,
}

impl Life {
    /// Whether it was surely waiting for its final response when that happened.
    pub fn is_waiting(&self, place: usize) -> bool {
        self.is_sure(place) && self.end.is_none_or(|(end, _)| end > place)
    }

    pub fn is_sure(&self, place: usize) -> bool {
        self.doubtful.is_none_or(|doubtful| doubtful > place)
    }
}

#[derive(Debug)]
pub struct Wire<'h> {
    pub history: &'h History,
    pub lines: Vec<Line<'h>>,
    pub steps: Vec<Step>,
    pub servers: Vec<Server>,
    pub clients: Vec<Client>,
    /// Of each client.
    pub lives: Vec<Life>,
    /// ACKs that are no branch's: those of a 2xx, passed on.
    pub relayed_acks: Vec<usize>,
    /// Responses sent to requests that are not known.
    pub orphans: Vec<usize>,
    /// The server transaction of each response sent, the client of each response heard and each request sent; by line.
    pub server_of: Vec<Option<usize>>,
    pub client_of: Vec<Option<usize>>,
    /// When `handle_timeout` was called: time, place.
    fired: Vec<(Nanos, usize)>,
    /// Where the process was killed.
    pub kills: Vec<(usize, Nanos)>,
    pub starts: Vec<(usize, Nanos, &'h Saved)>,
    /// When the process stood still, in order.
    pauses: Vec<(Nanos, Nanos)>,
    pub end: Nanos,
}

impl<'h> Wire<'h> {
    /// Whether two are the same request, heard before and after a restart.
    pub fn is_one_request(&self, one: usize, other: usize) -> bool {
        one == other || self.servers[one].key == self.servers[other].key
    }
    pub fn read(history: &'h History) -> Wire<'h> {
        let mut wire = build::built(history);
        wire.lives = (0..wire.clients.len()).map(|client| wire.live(client)).collect();
        wire
    }

    pub fn line(&self, line: usize) -> &Line<'h> {
        &self.lines[line]
    }

    pub fn step_of(&self, line: usize) -> &Step {
        &self.steps[self.lines[line].step]
    }

    /// What a step sent.
    pub fn sent_in(&self, step: usize) -> impl Iterator<Item = (usize, &Line<'h>)> {
        let lines = self.steps[step].lines.clone();
        lines.clone().zip(&self.lines[lines])
    }

    /// The place of the first call of `handle_timeout` at which something due at that time is done.
    pub fn fired_from(&self, due: Nanos) -> Option<usize> {
        let due = tick(due);
        let next = self.fired.partition_point(|(at, _)| *at < due);
        self.fired.get(next).map(|(_, place)| *place)
    }

    /// The first moment from then on at which the process is awake.
    pub fn awake(&self, at: Nanos) -> Nanos {
        self.pauses.iter().find(|(from, to)| *from <= at && at < *to).map_or(at, |(_, to)| *to)
    }

    /// That much time after a moment, pauses not counted.
    pub fn later(&self, from: Nanos, length: Nanos) -> Nanos {
        let mut until = from + length;
        for (begin, end) in &self.pauses {
            if *end > from && *begin <= until {
                until += end - (*begin).max(from);
            }
        }
        until
    }

    /// The kill that ends an epoch.
    pub fn kill_of(&self, epoch: usize) -> Option<(usize, Nanos)> {
        self.kills.get(epoch).copied()
    }

    /// The step of a place of the history.
    pub fn step_at(&self, place: usize) -> usize {
        self.steps.partition_point(|step| step.place <= place).saturating_sub(1)
    }

    /// The request that a client is a copy of was one that starts a call or is without a dialog (no To tag).
    pub fn is_initial(&self, server: &Server) -> bool {
        server.request.is_some_and(|request| self.lines[request].to_tag.is_empty())
    }
}

/// Timers go off at whole milliseconds, never early.
pub fn tick(at: Nanos) -> Nanos {
    at.div_ceil(MILLISECOND) * MILLISECOND
}
