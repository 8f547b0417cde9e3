//! Request validation (RFC 3261 §16.3): what may be forwarded at all.

use super::branch::{Branch, LoopKey};
use crate::sip::{Name, Request, Scheme};

/// What forwarding a validated request needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Max-Forwards of the copy.
    pub max_forwards: u8,
    /// Max-Breadth the request arrived with (RFC 5393 §5.3.3).
    pub max_breadth: u32,
    /// Recognises the request should it come back.
    pub loop_key: LoopKey,
}

/// Why a request is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 416: we route no such scheme.
    UnsupportedScheme,
    /// 483.
    TooManyHops,
    /// 482: it has been here before, unchanged.
    Loop,
    /// 420: option tags of Proxy-Require that we do not know.
    BadExtension(Vec<u8>),
}

impl Refusal {
    /// The status and reason phrase of the answer.
    pub fn status(&self) -> (u16, &'static str) {
        match self {
            Refusal::UnsupportedScheme => (416, "Unsupported URI Scheme"),
            Refusal::TooManyHops => (483, "Too Many Hops"),
            Refusal::Loop => (482, "Loop Detected"),
            Refusal::BadExtension(_) => (420, "Bad Extension"),
        }
    }
}

/// RFC 5393 §5.3.3.1: "If no Max-Breadth header field is present, the proxy adds one with … 60".
const DEFAULT_BREADTH: u32 = 60;

/// Judges a request. `is_ours` says whether a Via's sent-by (as written, `host` and port) is one of our addresses.
///
/// # Errors
/// What the request is refused with.
pub fn validate(
    request: &Request,
    hashing: &ahash::RandomState,
    is_ours: impl Fn(&[u8], Option<u16>) -> bool,
) -> Result<Admitted, Refusal> {
    match request.uri().scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
        // RFC 3261 §16.3 item 2: "the proxy SHOULD reject the request with a 416".
        Scheme::Other(_) => return Err(Refusal::UnsupportedScheme),
    }
    let max_forwards = match request.max_forwards() {
        // RFC 3261 §16.3 item 3: with zero "the element MUST NOT forward the request"; §16.6 item 3: absent becomes 70.
        Some(0) => return Err(Refusal::TooManyHops),
        Some(hops) => hops - 1,
        None => 70,
    };
    let loop_key = LoopKey::of(request, hashing);
    // RFC 5393 §4.2: a branch of ours whose second part equals what we would compute now is a loop.
    for via in request.vias() {
        if is_ours(via.host_text, via.port)
            && via.branch().and_then(Branch::read).is_some_and(|branch| branch.loop_key == loop_key)
        {
            return Err(Refusal::Loop);
        }
    }
    // RFC 3261 §16.3 item 5: we know no option tag that a proxy would have to support.
    let mut unknown = Vec::new();
    for tag in request.list(Name::ProxyRequire) {
        if !unknown.is_empty() {
            unknown.extend_from_slice(b", ");
        }
        unknown.extend_from_slice(tag);
    }
    if !unknown.is_empty() {
        return Err(Refusal::BadExtension(unknown));
    }
    let max_breadth = request.number(Name::MaxBreadth).map_or(DEFAULT_BREADTH, |breadth| breadth.min(DEFAULT_BREADTH));
    Ok(Admitted { max_forwards, max_breadth, loop_key })
}
