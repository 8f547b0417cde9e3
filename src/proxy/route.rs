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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{self, Parsed};

    /// A request within a dialog, routed by us, of which `192.0.2.9` is the address.
    fn routed(uri: &str, routes: &[&str]) -> Routing {
        let lines: String = routes.iter().map(|route| format!("Route: <{route}>\r\n")).collect();
        let text = format!(
            "BYE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n{lines}\
             From: <sip:a@x.example>;tag=1\r\nTo: <sip:b@x.example>;tag=2\r\nCall-ID: c\r\nCSeq: 2 BYE\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let Ok(Parsed::Request(request)) = sip::parse(Bytes::from(text), &sip::Limits::default()) else {
            panic!("the test's request is wrong: {uri} {routes:?}")
        };
        route(&request, |uri| uri.host.and_then(sip::Host::ip) == "192.0.2.9".parse().ok())
    }

    const OURS: &str = "sip:192.0.2.9;lr";

    /// RFC 3261 §16.4: "if the first value in the Route header field indicates this proxy, the proxy MUST remove that value".
    #[test]
    fn our_own_routes_leave_and_the_next_is_where_it_goes() {
        let found = routed("sip:b@198.51.100.7", &[OURS, OURS, "sip:p.example;lr"]);
        let next = NextHop::Route(Bytes::from_static(b"sip:p.example;lr"));
        assert_eq!(found, Routing { uri: None, routes: Routes::Pop(2), next });
        let last = routed("sip:b@198.51.100.7", &[OURS]);
        let next = NextHop::RequestUri(Bytes::from_static(b"sip:b@198.51.100.7"));
        assert_eq!(last, Routing { uri: None, routes: Routes::Pop(1), next });
    }

    /// RFC 3261 §16.4: a strict router before us wrote our address into the Request-URI and the target behind the last Route.
    #[test]
    fn what_a_strict_router_turned_around_is_turned_back() {
        let found = routed(OURS, &["sip:p.example;lr", "sip:b@198.51.100.7"]);
        assert_eq!(found.uri.as_deref(), Some(&b"sip:b@198.51.100.7"[..]));
        assert_eq!(found.routes, Routes::Replace(vec![Bytes::from_static(b"<sip:p.example;lr>")]));
        assert_eq!(found.next.uri(), "sip:p.example;lr");
        let alone = routed(OURS, &["sip:b@198.51.100.7"]);
        assert_eq!((alone.routes, alone.next.uri().as_ref()), (Routes::Replace(vec![]), &b"sip:b@198.51.100.7"[..]));
    }

    /// No target is left behind where every Route is ours: the last of them is not one.
    #[test]
    fn our_own_address_is_no_target() {
        let found = routed(OURS, &[OURS]);
        let next = NextHop::RequestUri(Bytes::from_static(OURS.as_bytes()));
        assert_eq!(found, Routing { uri: None, routes: Routes::Pop(1), next });
        assert_eq!(routed(OURS, &[]).routes, Routes::Pop(0));
    }
}
