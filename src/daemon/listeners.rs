//! The sockets a configuration asks for, and what the engine must know of each.
//!
//! A reload binds what is new before it lets go of what is old, and changes nothing at all if one cannot be bound.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::udp::{self, BindError};
use crate::config::Sip;
use crate::engine::Listener;
use crate::flow::ListenerId;

/// The sockets that are open now.
#[derive(Debug, Default)]
pub struct Listeners {
    /// By the address as configured.
    open: BTreeMap<SocketAddr, Open>,
    /// The next socket's number. It only grows: a number is never given to another address.
    next: u32,
}

#[derive(Clone, Debug)]
struct Open {
    id: ListenerId,
    /// Where it is bound, port 0 already replaced by the system's choice.
    bound: SocketAddr,
    socket: Arc<UdpSocket>,
}

/// A socket that was opened, with its number.
pub type Numbered = (ListenerId, Arc<UdpSocket>);

/// What a new configuration makes of the sockets: everything is bound already, nothing is closed yet.
#[derive(Debug)]
pub struct Change {
    /// What the engine is told.
    pub listeners: Vec<Listener>,
    /// New sockets.
    pub added: Vec<Numbered>,
    /// Numbers of those no longer asked for.
    pub removed: Vec<ListenerId>,
    after: Listeners,
}

/// Why the sockets of a configuration cannot be had.
#[derive(Debug)]
pub enum ListenError {
    /// These cannot be bound; at least one.
    Bind(Vec<BindError>),
    /// `listen` is empty.
    NothingToListenOn,
    /// 65,536 sockets were opened in the life of this daemon.
    OutOfNumbers,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::Bind(errors) => {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            ListenError::NothingToListenOn => f.write_str("[sip] listen is empty; give at least \"udp:0.0.0.0:5060\""),
            ListenError::OutOfNumbers => {
                f.write_str("too many listening addresses were changed in the life of this daemon; restart it")
            }
        }
    }
}

impl std::error::Error for ListenError {}

impl Listeners {
    /// Opens what `sip` asks for and is not open yet. Dropping the [`Change`] undoes it.
    ///
    /// # Errors
    /// Every address that cannot be had; what is open stays.
    pub fn change_to(&self, sip: &Sip) -> Result<Change, ListenError> {
        if sip.listen.is_empty() {
            return Err(ListenError::NothingToListenOn);
        }
        let mut after = Listeners { open: BTreeMap::new(), next: self.next };
        let (mut listeners, mut added, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for &address in &sip.listen {
            if after.open.contains_key(&address) {
                continue;
            }
            let open = match self.open.get(&address) {
                Some(open) => open.clone(),
                None => {
                    let open = match after.bind(address)? {
                        Ok(open) => open,
                        Err(error) => {
                            failed.push(error);
                            continue;
                        }
                    };
                    added.push((open.id, Arc::clone(&open.socket)));
                    open
                }
            };
            listeners.push(describe(&open, sip.advertise.as_deref()));
            after.open.insert(address, open);
        }
        if !failed.is_empty() {
            return Err(ListenError::Bind(failed));
        }
        let gone = self.open.iter().filter(|(address, _)| !after.open.contains_key(*address));
        let removed = gone.map(|(_, open)| open.id).collect();
        Ok(Change { listeners, added, removed, after })
    }

    /// Makes a change so. What it removed is closed once the engine's thread has let go of it too.
    pub fn adopt(&mut self, change: Change) {
        *self = change.after;
    }

    /// Where the sockets are bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open.values().map(|open| open.bound).collect()
    }

    /// The inner error is this address's alone: the others can be tried still.
    fn bind(&mut self, address: SocketAddr) -> Result<Result<Open, BindError>, ListenError> {
        let id = ListenerId(u16::try_from(self.next).map_err(|_| ListenError::OutOfNumbers)?);
        let bound = udp::bind(address).and_then(|socket| match socket.local_addr() {
            Ok(bound) => Ok((socket, bound)),
            Err(cause) => Err(BindError { address, cause }),
        });
        let (socket, bound) = match bound {
            Ok(both) => both,
            Err(error) => return Ok(Err(error)),
        };
        self.next += 1;
        Ok(Ok(Open { id, bound, socket: Arc::new(socket) }))
    }
}

fn describe(open: &Open, advertise: Option<&str>) -> Listener {
    let port = open.bound.port();
    let family_of_host = advertise.and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    // An IPv4 address in the Via of an IPv6 datagram leads nowhere: what is advertised must be of the socket's family, or a name.
    let fits = family_of_host.is_none_or(|ip| ip.is_ipv4() == open.bound.is_ipv4());
    let ip = match family_of_host {
        Some(ip) if fits && open.bound.ip().is_unspecified() => ip,
        _ => reachable(open.bound.ip()),
    };
    let address = SocketAddr::new(ip, port);
    let advertised = match (advertise, family_of_host) {
        (Some(_), Some(ip)) if fits => SocketAddr::new(ip, port).to_string(),
        (Some(name), None) => format!("{name}:{port}"),
        (Some(_), Some(_)) | (None, _) => address.to_string(),
    };
    Listener { id: open.id, address, advertised }
}

/// The address a wildcard stands for when talking to the world: what the routing table would send from.
fn reachable(bound: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    // Addresses for documentation (RFC 5737, RFC 3849). Connecting a UDP socket sends nothing: it only asks for the route.
    let (any, towards, fallback): (SocketAddr, SocketAddr, IpAddr) = match bound {
        IpAddr::V4(_) => (
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::from(([192, 0, 2, 1], 5060)),
            Ipv4Addr::LOCALHOST.into(),
        ),
        IpAddr::V6(_) => (
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 5060)),
            Ipv6Addr::LOCALHOST.into(),
        ),
    };
    let found = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(towards)?;
        socket.local_addr()
    });
    match found {
        Ok(address) if !address.ip().is_unspecified() => address.ip(),
        Ok(_) | Err(_) => fallback,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sip(listen: &[SocketAddr], advertise: Option<&str>) -> Sip {
        Sip {
            listen: listen.to_vec(),
            advertise: advertise.map(str::to_owned),
            max_call: Duration::from_secs(3600),
            algorithms: crate::auth::Offer::Sha256AndMd5,
            registration_default: Duration::from_secs(3600),
            registration_max: Duration::from_secs(7200),
            registration_min: Duration::from_secs(60),
        }
    }

    fn free() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    }

    fn opened(sip: &Sip) -> (Listeners, Change) {
        let listeners = Listeners::default();
        let change = listeners.change_to(sip).unwrap();
        (listeners, change)
    }

    #[test]
    fn an_address_that_stays_keeps_its_socket_and_number() {
        let (stays, goes) = (free(), free());
        let (mut listeners, change) = opened(&sip(&[stays, goes], None));
        let kept = change.added[0].clone();
        listeners.adopt(change);

        let comes = free();
        let change = listeners.change_to(&sip(&[stays, comes], None)).unwrap();
        assert_eq!(change.added.len(), 1);
        assert_eq!(change.added[0].0, ListenerId(2), "a number is never used again");
        assert_eq!(change.removed, [ListenerId(1)]);
        assert_eq!(change.listeners[0].id, kept.0);
        listeners.adopt(change);
        assert_eq!(listeners.addresses().len(), 2);

        let change = listeners.change_to(&sip(&[stays, goes], None)).unwrap();
        assert_eq!(change.added[0].0, ListenerId(3), "not even by the address that had it");
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let first = free();
        let (mut listeners, change) = opened(&sip(&[first], None));
        listeners.adopt(change);
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken_address = taken.local_addr().unwrap();
        let fresh = free();
        let error = listeners.change_to(&sip(&[fresh, taken_address], None)).unwrap_err().to_string();
        assert!(error.contains(&taken_address.to_string()), "{error}");
        assert_eq!(listeners.addresses(), [first]);
        assert!(UdpSocket::bind(fresh).is_ok(), "what was bound for the change is free again");
    }

    #[test]
    fn every_address_that_cannot_be_had_is_named_at_once() {
        let taken = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let addresses = taken.each_ref().map(|socket| socket.local_addr().unwrap());
        let error = Listeners::default().change_to(&sip(&[addresses[0], free(), addresses[1]], None)).unwrap_err();
        let text = error.to_string();
        assert!(addresses.iter().all(|address| text.contains(&address.to_string())), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn a_wildcard_never_reaches_the_engine() {
        let (_, change) = opened(&sip(&[SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))], None));
        let listener = &change.listeners[0];
        assert!(!listener.address.ip().is_unspecified());
        assert_ne!(listener.address.port(), 0);
        assert_eq!(listener.advertised, listener.address.to_string());
    }

    #[test]
    fn what_is_advertised_is_a_name_or_of_the_sockets_family() {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let (_, change) = opened(&sip(&[any], Some("203.0.113.10")));
        let listener = &change.listeners[0];
        assert_eq!(listener.advertised, format!("203.0.113.10:{}", listener.address.port()));
        assert_eq!(listener.address.ip(), IpAddr::from([203, 0, 113, 10]));

        let (_, change) = opened(&sip(&[any], Some("sip.example.com")));
        let listener = &change.listeners[0];
        assert_eq!(listener.advertised, format!("sip.example.com:{}", listener.address.port()));

        let (_, change) = opened(&sip(&[SocketAddr::from(([127, 0, 0, 1], 0))], Some("2001:db8::1")));
        let listener = &change.listeners[0];
        assert_eq!(listener.advertised, listener.address.to_string(), "another family's address is of no use here");
    }

    #[test]
    fn an_empty_list_is_refused() {
        let error = Listeners::default().change_to(&sip(&[], None)).unwrap_err();
        assert!(matches!(error, ListenError::NothingToListenOn));
    }
}
