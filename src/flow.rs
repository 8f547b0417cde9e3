//! Where a datagram came from and on which of our sockets: the two ends that make a path through a NAT
//! (RFC 5626 §3.3). The engine sends along flows and never opens one towards an address that only a header names.

use std::net::SocketAddr;

/// One of our sockets: its position in `[sip] listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// A peer's address as we see it, and the socket of ours it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// Our end.
    pub local: ListenerId,
    /// Their end: the source address of their datagrams.
    pub remote: SocketAddr,
}
