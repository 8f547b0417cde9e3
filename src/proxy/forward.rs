//! Writing the copy of a request that goes on (RFC 3261 §16.6 items 1–4, 6, 8), and of a response that goes back (§16.7
//! item 3). Everything not named here leaves byte for byte.

use std::net::SocketAddr;

use bytes::Bytes;

use super::Routes;
use crate::sip::{Edit, Name, Request, Response};

/// The changes that make the copy.
#[derive(Debug)]
pub struct Forward<'a> {
    /// Another Request-URI (item 2).
    pub uri: Option<&'a [u8]>,
    /// What becomes of Route (item 6).
    pub routes: &'a Routes,
    /// Route values put on top: a binding's Path (RFC 3327 §5.3).
    pub path: &'a [Bytes],
    /// Max-Forwards (item 3).
    pub max_forwards: u8,
    /// Max-Breadth (RFC 5393 §5.3.3), where the request forks or had one.
    pub max_breadth: Option<u32>,
    /// Our Via's sent-by.
    pub sent_by: &'a str,
    /// Our Via's branch.
    pub branch: &'a str,
    /// Record-Route values put on top, topmost first (item 4); two where the request changes sockets.
    pub record_route: &'a [String],
    /// Where the request came from: goes into the topmost Via (RFC 3261 §18.2.1, RFC 3581 §4).
    pub source: SocketAddr,
    /// Header fields that must not go on: credentials for our realm (RFC 3261 §22.3), assertions of the untrusted (RFC 3325 §5).
    pub strip: Strip<'a>,
}

/// What a copy must not carry on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strip<'a> {
    /// Nothing: the request came from a trunk.
    Nothing,
    /// A user's credentials for this realm, and whatever identity it asserts.
    User {
        /// The realm.
        realm: &'a str,
    },
}

impl Forward<'_> {
    /// Writes the copy.
    pub fn write(&self, request: &Request, scratch: &mut Vec<u8>) -> Bytes {
        let mut edit = Edit::new(request);
        if let Some(uri) = self.uri {
            edit.set_uri(uri);
        }
        mark_source(&mut edit, request, self.source);
        let mut via = Vec::with_capacity(80);
        via.extend_from_slice(b"SIP/2.0/UDP ");
        via.extend_from_slice(self.sent_by.as_bytes());
        via.extend_from_slice(b";branch=");
        via.extend_from_slice(self.branch.as_bytes());
        via.extend_from_slice(b";rport");
        edit.prepend(Name::Via, &via);
        for value in self.record_route {
            edit.prepend(Name::RecordRoute, value.as_bytes());
        }
        edit.set(Name::MaxForwards, self.max_forwards.to_string().as_bytes());
        if let Some(breadth) = self.max_breadth {
            edit.set(Name::MaxBreadth, breadth.to_string().as_bytes());
        }
        match self.routes {
            Routes::Pop(0) => {}
            Routes::Pop(count) => edit.remove_values(Name::Route, *count),
            Routes::Replace(_) => edit.remove_lines(Name::Route, |_| true),
        }
        for value in self.path {
            edit.prepend(Name::Route, value);
        }
        if let Routes::Replace(values) = self.routes {
            for value in values {
                edit.prepend(Name::Route, value);
            }
        }
        match self.strip {
            Strip::Nothing => {}
            Strip::User { realm } => {
                // RFC 3261 §22.3: a proxy removes the credentials it has consumed.
                edit.remove_lines(Name::ProxyAuthorization, |value| {
                    crate::sip::DigestCredentials::parse(value)
                        .is_some_and(|credentials| credentials.realm.as_ref() == realm.as_bytes())
                });
                // RFC 3325 §5: an assertion from outside the trust domain is removed.
                edit.remove_lines(Name::PAssertedIdentity, |_| true);
            }
        }
        edit.write(scratch);
        Bytes::copy_from_slice(scratch)
    }
}

/// RFC 3261 §18.2.1: `received` where the sent-by host is not where the packet came from; RFC 3581 §4: both where `rport`
/// was asked for.
fn mark_source(edit: &mut Edit<'_>, request: &Request, source: SocketAddr) {
    let via = request.top_via();
    let asked = via.rport().is_some();
    let differs = via.host.ip() != Some(source.ip());
    if asked || differs {
        edit.set_received(Some(source.ip()), asked.then_some(source.port()));
    }
}

/// The copy of a response that goes back: without our Via, else as it came.
pub fn backward(response: &Response, scratch: &mut Vec<u8>) -> Bytes {
    let mut edit = Edit::new(response);
    edit.remove_values(Name::Via, 1);
    edit.write(scratch);
    Bytes::copy_from_slice(scratch)
}
