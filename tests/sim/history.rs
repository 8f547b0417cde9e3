//! What happened in one world, in order: all that the oracle is given. Nothing of the engine's inside is in it but what it sends,
//! what it has the store keep, what it answers, and `audit()`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use switchboard::engine::{Audit, CallRecord};
use switchboard::state::{Change, Number, Saved};

use super::faults::Faults;
use super::model::Model;
use super::text::Message;

/// Monotonic time: nanoseconds since before the world began. It never jumps; the wall's clock may.
pub type Nanos = u64;

pub const MILLISECOND: Nanos = 1_000_000;
pub const SECOND: Nanos = 1_000 * MILLISECOND;
/// RFC 3261 §17.1.1.1.
pub const T1: Nanos = 500 * MILLISECOND;
pub const T2: Nanos = 4 * SECOND;

/// A datagram, read once by the simulator's own reader.
#[derive(Debug)]
pub struct Datagram {
    /// Unique in this world, in the order of sending; a copy the link made has its original's.
    pub id: u64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Bytes,
    /// `None`: no plainly written message (keep-alive, junk, broken on the way).
    pub message: Option<Message>,
}

/// Who is behind an address of the simulated network. A phone that moves has several addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The daemon: its sockets.
    Switchboard,
    /// The `n`th phone: `History::phones[n]`.
    Phone(usize),
    /// The `n`th trunk of the model.
    Trunk(usize),
    /// Has no right to anything.
    Attacker(usize),
}

/// Whose phone it is.
#[derive(Clone, Debug)]
pub struct PhoneOwner {
    /// Company's id, extension: they may be gone in some version of the model.
    pub company: String,
    pub extension: String,
}

/// Something that happened.
#[derive(Debug)]
pub enum What {
    /// A peer gave this to the network. It may be lost, doubled, cut …
    Put(Arc<Datagram>),
    /// This reached the engine: everything up to the next entry of this kind, `Fired`, `Durable`, `Adopted` or `Commanded` is its answer.
    Heard(Arc<Datagram>),
    /// The engine sent this. It may be lost.
    Sent(Arc<Datagram>),
    /// This reached a peer.
    Delivered(Arc<Datagram>),
    /// The engine was told that a datagram of its own could not be sent.
    Undeliverable(Arc<Datagram>),
    /// `handle_timeout` was called, at the time `poll_timeout` had named.
    Fired,
    /// What the engine has the store keep.
    Changed(Number, Box<Change>),
    /// What the disk has.
    Durable(Number),
    /// Version `n` of the model is in force from now on for new calls.
    Adopted(usize),
    /// A broken configuration was refused; the messages of the problems.
    Refused(Vec<String>),
    /// An admin's command as text (`pause 221@acme`), and the reply's `Debug`.
    Commanded(String, String),
    Recorded(Box<CallRecord>),
    /// `kill -9`; what the engine had not given out is lost, and what reaches its sockets until `Started` too.
    Killed,
    /// A new engine began with that, at that version of the model.
    Started(Box<Saved>, usize),
    /// The whole process stood still that long; then it took what had waited in its sockets, before any timer.
    Stood(Nanos),
    /// The wall's clock jumped by so many milliseconds.
    ClockJumped(i64),
    /// After a drain: what is in the tables, and when the engine wants to be called.
    Audited(Audit, Option<Nanos>),
    /// From here on links, disks and clocks are well and nobody attacks; peers still behave as they do.
    FaultsEnded,
    /// The engine said `Event::Defect`, panicked, or broke a rule of its interface: in words.
    Defect(String),
}

#[derive(Debug)]
pub struct Entry {
    pub at: Nanos,
    /// Milliseconds since 1970 on the daemon's wall clock.
    pub wall: i64,
    pub what: What,
}

/// The whole of it.
#[derive(Debug)]
pub struct History {
    pub seed: u64,
    pub faults: Faults,
    /// The versions of the configuration, the first in force at the beginning.
    pub models: Vec<Arc<Model>>,
    /// Who is where. Addresses not in it are nobody's.
    pub cast: BTreeMap<SocketAddr, Role>,
    pub phones: Vec<PhoneOwner>,
    pub entries: Vec<Entry>,
}

impl History {
    pub fn role(&self, address: SocketAddr) -> Option<Role> {
        self.cast.get(&address).copied()
    }

    /// Entries with their places, datagrams the engine heard or sent only, as (place, at, sent, datagram).
    pub fn wire(&self) -> impl Iterator<Item = (usize, Nanos, bool, &Arc<Datagram>)> {
        self.entries.iter().enumerate().filter_map(|(place, entry)| match &entry.what {
            What::Heard(datagram) => Some((place, entry.at, false, datagram)),
            What::Sent(datagram) => Some((place, entry.at, true, datagram)),
            _ => None,
        })
    }
}
