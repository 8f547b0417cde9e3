//! Route information (RFC 3261 §16.4, §16.5, §16.6 items 6 and 7): our own Route values leave, strict routers are repaired,
//! and the next hop is found.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::sip::{Name, NameAddr, Request, Uri};

/// What preprocessing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Another Request-URI than the one written, where a strict router put our own address there (§16.4).
    pub uri: Option<Bytes>,
    /// What becomes of Route.
    pub routes: Routes,
    /// Where the request goes next, as written.
    pub next: NextHop,
}

/// What becomes of the Route header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routes {
    /// That many topmost values are ours and go; the others stay as written.
    Pop(usize),
    /// These values stay, after a repair.
    Replace(Vec<Bytes>),
}

/// Where a request goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// To this Route value's URI.
    Route(Bytes),
    /// To the Request-URI.
    RequestUri(Bytes),
}

impl NextHop {
    /// The URI.
    pub fn uri(&self) -> &Bytes {
        match self {
            NextHop::Route(uri) | NextHop::RequestUri(uri) => uri,
        }
    }
}

/// Preprocesses Route. `is_ours` says whether a URI is one that we put into Record-Route.
pub fn route(request: &Request, is_ours: impl Fn(&Uri<'_>) -> bool) -> Routing {
    let routes: SmallVec<[NameAddr<'_>; 4]> = request.name_addrs(Name::Route).collect();
    let pop = routes.iter().take_while(|route| is_ours(&route.uri)).count();
    let request_uri = request.uri();
    // RFC 3261 §16.4: "If the Request-URI of the request contains a value this proxy previously placed into a
    // Record-Route header field, the proxy MUST replace the Request-URI … with the last value from the Route header
    // field, and remove that value from the Route header field."
    if let Some((last, others)) = routes.split_last()
        && pop < routes.len()
        && request_uri.user.is_none()
        && is_ours(&request_uri)
    {
        let uri = Bytes::copy_from_slice(last.uri.text);
        let kept = others.get(pop..).unwrap_or_default();
        let next = match kept.first() {
            Some(route) => NextHop::Route(Bytes::copy_from_slice(route.uri.text)),
            None => NextHop::RequestUri(uri.clone()),
        };
        let kept = kept.iter().map(|route| Bytes::copy_from_slice(route.text)).collect();
        return Routing { uri: Some(uri), routes: Routes::Replace(kept), next };
    }
    let next = match routes.get(pop) {
        Some(route) => NextHop::Route(Bytes::copy_from_slice(route.uri.text)),
        None => NextHop::RequestUri(Bytes::copy_from_slice(request_uri.text)),
    };
    Routing { uri: None, routes: Routes::Pop(pop), next }
}
