//! Which addresses are ours: the sockets, and what Via and Record-Route say of them.

use std::net::{IpAddr, SocketAddr};

use super::input::Listener;
use crate::flow::ListenerId;
use crate::sip::{Host, Uri};

/// A host and port that mean us.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Own {
    Address(SocketAddr),
    /// In lower case.
    Name(String, u16),
}

/// How many names of old are kept, the latest first.
const REMEMBERED: usize = 64;

/// All our sockets.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    listeners: Vec<Listener>,
    own: Vec<Own>,
}

impl Addresses {
    pub(super) fn new(listeners: Vec<Listener>) -> Addresses {
        let mut addresses = Addresses { listeners: Vec::new(), own: Vec::new() };
        addresses.replace(listeners);
        addresses
    }

    /// Other sockets from now on. What the old ones said of us still means us: calls in progress carry it.
    pub(super) fn replace(&mut self, listeners: Vec<Listener>) {
        let mut own = Vec::new();
        for listener in &listeners {
            own.push(Own::Address(listener.address));
            own.push(advertised(&listener.advertised));
        }
        let mut before = std::mem::replace(&mut self.own, own);
        before.retain(|name| !self.own.contains(name));
        before.truncate(REMEMBERED);
        self.own.extend(before);
        self.listeners = listeners;
    }

    /// Names of old, from before a restart: `192.0.2.1:5060`, `sip.example.com:5060`.
    pub(super) fn remember<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let most = self.listeners.len() * 2 + REMEMBERED;
        for name in names.map(advertised) {
            if self.own.len() < most && !self.own.contains(&name) {
                self.own.push(name);
            }
        }
    }

    /// All that means us, today's names first.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(self.own.len());
        for own in &self.own {
            let name = match own {
                Own::Address(address) => address.to_string(),
                Own::Name(name, port) => format!("{name}:{port}"),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    pub(super) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.id == id)
    }

    /// The socket that is bound there, else one of that family on that port.
    pub(super) fn bound_like(&self, address: SocketAddr) -> Option<ListenerId> {
        let same = self.listeners.iter().find(|listener| listener.address == address);
        let alike = |listener: &&Listener| {
            listener.address.is_ipv4() == address.is_ipv4() && listener.address.port() == address.port()
        };
        same.or_else(|| self.listeners.iter().find(alike)).map(|listener| listener.id)
    }

    /// The socket to reach an address by: the preferred one where its family fits, else the first of that family.
    pub(super) fn towards(&self, address: SocketAddr, preferred: ListenerId) -> Option<ListenerId> {
        let fits = |listener: &Listener| listener.address.is_ipv4() == address.ip().to_canonical().is_ipv4();
        self.listener(preferred)
            .filter(|listener| fits(listener))
            .or_else(|| self.listeners.iter().find(|listener| fits(listener)))
            .map(|listener| listener.id)
    }

    /// Whether a URI's host and port mean us.
    pub(super) fn is_ours(&self, uri: &Uri<'_>) -> bool {
        match uri.host {
            Some(host) => self.means_us(host, uri.port),
            None => false,
        }
    }

    /// Whether a Via's sent-by, as written, means us.
    pub(super) fn is_sent_by(&self, host: &[u8], port: Option<u16>) -> bool {
        let Ok(text) = std::str::from_utf8(host) else { return false };
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => self.means_us(Host::V4(address), port),
            Ok(IpAddr::V6(address)) => self.means_us(Host::V6(address), port),
            Err(_) => self.means_us(Host::Name(host), port),
        }
    }

    fn means_us(&self, host: Host<'_>, port: Option<u16>) -> bool {
        let port = port.unwrap_or(5060);
        self.own.iter().any(|own| match (own, host) {
            (Own::Address(address), Host::V4(host)) => address.ip() == IpAddr::V4(host) && address.port() == port,
            (Own::Address(address), Host::V6(host)) => address.ip() == IpAddr::V6(host) && address.port() == port,
            (Own::Name(name, own_port), Host::Name(host)) => {
                *own_port == port && name.as_bytes().eq_ignore_ascii_case(host)
            }
            (Own::Address(_), Host::Name(_)) | (Own::Name(..), Host::V4(_) | Host::V6(_)) => false,
        })
    }
}

/// What `192.0.2.1:5060` or `sip.example.com:5060` names.
fn advertised(text: &str) -> Own {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Own::Address(address);
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Own::Name(host.to_ascii_lowercase(), port.parse().unwrap_or(5060)),
        None => Own::Name(text.to_ascii_lowercase(), 5060),
    }
}
