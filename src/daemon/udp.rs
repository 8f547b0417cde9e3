//! UDP sockets: bound, read until they would block, written without ever waiting. Knows nothing of SIP.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// What the kernel may keep for us while we think: some 3,000 datagrams of 1,300 bytes. Linux grants what `net.core.rmem_max`
/// allows and says nothing about the rest, so less is not an error.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What the kernel may keep on its way out.
const SEND_BUFFER: usize = 4 << 20;

/// Why an address could not be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The address as configured.
    pub address: SocketAddr,
    /// What the system said.
    pub cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, cause } = self;
        write!(f, "cannot listen on udp:{address}: ")?;
        match cause.kind() {
            ErrorKind::AddrInUse => write!(
                f,
                "the address is in use; another program (perhaps another switchboard) has port {port}: see `ss -lunp sport = :{port}`, stop it or \
                 choose another port in [sip] listen",
                port = address.port()
            ),
            ErrorKind::AddrNotAvailable => {
                let any = if address.is_ipv4() { "0.0.0.0" } else { "[::]" };
                write!(
                    f,
                    "this machine has no address {}; use one that `ip address` shows, or udp:{any}:{} for all of them",
                    address.ip(),
                    address.port()
                )
            }
            ErrorKind::PermissionDenied => {
                write!(f, "not permitted; ports below 1024 want CAP_NET_BIND_SERVICE, SIP's own port is 5060")
            }
            _ => write!(f, "{cause}"),
        }
    }
}

impl std::error::Error for BindError {}

/// Binds a socket that never blocks. An IPv6 socket takes IPv6 only, so that `0.0.0.0` and `[::]` can stand side by side.
///
/// # Errors
/// The address, what the system said and what would be right.
pub(super) fn bind(address: SocketAddr) -> Result<UdpSocket, BindError> {
    open(address).map_err(|cause| BindError { address, cause })
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What came of asking a socket for a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// One is in the buffer: that many bytes, from there.
    Datagram(usize, SocketAddr),
    /// There is none now.
    WouldBlock,
    /// The system reported an error that belongs to no datagram of this turn (an ICMP message on a datagram sent earlier).
    Error(ErrorKind),
}

/// Takes one datagram, if there is one; `take` asks the socket.
pub(super) fn receive(mut take: impl FnMut() -> io::Result<(usize, SocketAddr)>) -> Received {
    loop {
        match take() {
            Ok((length, from)) => return Received::Datagram(length, from),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => return Received::WouldBlock,
                kind => return Received::Error(kind),
            },
        }
    }
}

/// What came of sending a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It left.
    Gone,
    /// The socket's buffer is full: over UDP that is a loss like any other, and timers repair it.
    Full,
    /// It cannot be sent there: no route, not permitted, too long, an address of the wrong family.
    Undeliverable(ErrorKind),
}

/// Sends one datagram, without waiting.
pub(super) fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> Sent {
    loop {
        match socket.send_to(bytes, to) {
            Ok(_) => return Sent::Gone,
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => return Sent::Full,
                kind => return Sent::Undeliverable(kind),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn an_address_in_use_says_which_and_what_to_do() {
        let first = bind(loopback()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).unwrap_err().to_string();
        assert!(error.contains(&format!("udp:{address}")), "{error}");
        assert!(error.contains("in use"), "{error}");
        assert!(error.contains("[sip] listen"), "{error}");
    }

    #[test]
    fn an_address_that_is_not_ours_says_so() {
        // 203.0.113.0/24 is for documentation (RFC 5737): no machine has it.
        let error = bind(SocketAddr::from(([203, 0, 113, 77], 0))).unwrap_err().to_string();
        assert!(error.contains("no address 203.0.113.77"), "{error}");
        assert!(error.contains("0.0.0.0"), "{error}");
    }

    #[test]
    fn an_empty_socket_would_block_and_a_full_one_gives_its_datagram() {
        let (here, there) = (bind(loopback()).unwrap(), bind(loopback()).unwrap());
        let mut buffer = [0; 16];
        assert_eq!(receive(|| here.recv_from(&mut buffer)), Received::WouldBlock);
        assert_eq!(send(&there, b"hello", here.local_addr().unwrap()), Sent::Gone);
        let from = there.local_addr().unwrap();
        assert_eq!(receive(|| here.recv_from(&mut buffer)), Received::Datagram(5, from));
        assert_eq!(&buffer[..5], b"hello");
    }

    #[test]
    fn a_datagram_that_cannot_leave_is_undeliverable() {
        let socket = bind(loopback()).unwrap();
        let there = SocketAddr::from(([127, 0, 0, 1], 9));
        assert!(matches!(send(&socket, &[0; 70_000], there), Sent::Undeliverable(_)), "longer than UDP can carry");
        let wrong_family = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 9));
        assert!(matches!(send(&socket, b"x", wrong_family), Sent::Undeliverable(_)));
    }
}
