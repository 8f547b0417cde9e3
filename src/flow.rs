//! Where a datagram came from and on which of our sockets: the two ends that make a path through a NAT
//! (RFC 5626 §3.3). The engine sends along flows and never opens one towards an address that only a header names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

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

/// Whom an address is counted with where sources are counted: an IPv4 address for itself, an IPv6 address with its /64, which
/// one customer of an access network has whole (RFC 6177 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// One address; also one that reached us as `::ffff:192.0.2.1`.
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u64),
}

impl Network {
    /// The one of that source.
    pub fn of(source: SocketAddr) -> Network {
        match source.ip().to_canonical() {
            IpAddr::V4(address) => Network::V4(address),
            IpAddr::V6(address) => Network::V6((u128::from(address) >> 64) as u64),
        }
    }
}
