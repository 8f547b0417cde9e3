//! What comes into the engine from outside.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::command::{Command, CommandId};
use crate::config::Config;
use crate::flow::{Flow, ListenerId};
use crate::id::TrunkId;
use crate::state::Number;

/// One of the daemon's sockets, as the engine needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its number.
    pub id: ListenerId,
    /// Where it is bound; tells the address family. Never a wildcard: the daemon puts the machine's address there.
    pub address: SocketAddr,
    /// What Via and Record-Route say: `192.0.2.1:5060`, `[2001:db8::1]:5060`, `sip.example.com:5060`.
    pub advertised: String,
}

/// Everything that can happen to the engine but the passing of time.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram arrived.
    Datagram {
        /// From where, on which socket.
        flow: Flow,
        /// All of it.
        bytes: Bytes,
    },
    /// A datagram of ours could not be sent.
    Undeliverable {
        /// All of it.
        bytes: Bytes,
    },
    /// A new version of the configuration, already checked, and the sockets that go with it.
    Adopt {
        /// The configuration.
        config: Arc<Config>,
        /// All sockets from now on.
        listeners: Vec<Listener>,
    },
    /// Where a trunk's proxy is: the answer to a look-up of its name, best first. (An address needs no look-up.)
    TrunkAddresses {
        /// Whose proxy.
        trunk: TrunkId,
        /// Where it is; empty if the name has no address now.
        addresses: Vec<SocketAddr>,
    },
    /// The store has written all changes up to that one to the disk.
    Durable {
        /// The last of them.
        up_to: Number,
    },
    /// An admin's command. Exactly one [`super::Output::Reply`] answers it.
    Command {
        /// Names the reply.
        id: CommandId,
        /// What to do.
        command: Command,
    },
}
