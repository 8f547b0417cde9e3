//! A message over the bytes it arrived in (RFC 3261 §7).
//!
//! Owns the bytes and the spans into them. Reads nothing by itself: parsing makes these values and
//! vouches for what the accessors of [`Request`] and [`Response`] rely on.

use std::ops::{Deref, Range};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Header, Host, Method, Name, NameAddr, Params, Scheme, Uri, Via, scan};

/// The lossless view: start line, header fields and body as spans over the datagram. Judges nothing.
#[derive(Clone, Debug)]
pub struct Message {
    pub(super) bytes: Bytes,
    pub(super) start_line: Range<u32>,
    pub(super) headers: SmallVec<[Header; 20]>,
    pub(super) body: Range<u32>,
    pub(super) trailing: usize,
}

impl Message {
    /// The datagram, from the first byte of the start line to the last of the body (what came after is cut off).
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The start line, without CRLF.
    pub fn start_line(&self) -> &[u8] {
        self.span(&self.start_line)
    }

    /// The header field lines, in order.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// A span's bytes; none where the span is not one of this message.
    pub fn span(&self, span: &Range<u32>) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.span(&self.body)
    }

    /// How many bytes of the datagram came after the end that Content-Length gives. They are ignored (RFC 3261 §18.3).
    pub fn trailing(&self) -> usize {
        self.trailing
    }

    /// The first field's value with that name, folds kept.
    pub fn value(&self, name: Name) -> Option<&[u8]> {
        self.lines(name).next()
    }

    /// Every field's value with that name, one item per header line, comma lists not split.
    pub fn lines(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |header| header.name == name).map(|header| self.span(&header.value))
    }

    /// Every value of a comma-separated list field, over all its lines, in order (quotes and `<>` respected). Empty
    /// ones are left out.
    pub fn list(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.lines(name).flat_map(scan::split_list).filter(|value| !value.is_empty())
    }

    /// Whether a token (any case) is in a list field: `has_token(Name::Supported, "timer")`.
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.list(name).any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// A field whose value begins with a number of seconds or a count (Expires, Session-Expires, Max-Breadth …): the
    /// number, saturated at `u32::MAX`; `None` where absent or not a number.
    pub fn number(&self, name: Name) -> Option<u32> {
        let (digits, rest) = scan::take_until(self.value(name)?, |byte| !byte.is_ascii_digit());
        if digits.is_empty() {
            return None;
        }
        // What may follow a number: parameters, a comment, white space.
        if rest.first().is_some_and(|&byte| !scan::is_space(byte) && !matches!(byte, b';' | b'(' | b',')) {
            return None;
        }
        let number = digits.iter().fold(0u32, |number, digit| {
            number.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
        });
        Some(number)
    }
}

/// Where `part`, a slice of `whole`, stands in it; `None` where it is not one.
pub(super) fn place(whole: &[u8], part: &[u8]) -> Option<Range<u32>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    if end > whole.len() {
        return None;
    }
    Some(u32::try_from(start).ok()?..u32::try_from(end).ok()?)
}

/// CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cseq {
    /// Less than 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method.
    pub method: Method,
}

/// What every request and response has, read once (spans only).
#[derive(Clone, Debug)]
pub(super) struct Core {
    pub(super) call_id: Range<u32>,
    pub(super) from: Range<u32>,
    pub(super) from_tag: Range<u32>,
    pub(super) to: Range<u32>,
    pub(super) to_tag: Range<u32>,
    pub(super) cseq: Cseq,
    pub(super) top_via: Range<u32>,
}

/// A request whose mandatory fields are right.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) message: Message,
    pub(super) core: Core,
    pub(super) method: Method,
    pub(super) method_text: Range<u32>,
    pub(super) uri: Range<u32>,
    pub(super) max_forwards: Option<u8>,
}

/// A response whose mandatory fields are right.
#[derive(Clone, Debug)]
pub struct Response {
    pub(super) message: Message,
    pub(super) core: Core,
    pub(super) status: u16,
    pub(super) reason: Range<u32>,
}

impl Deref for Request {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Deref for Response {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Request {
    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The method as written.
    pub fn method_bytes(&self) -> &[u8] {
        self.span(&self.method_text)
    }

    /// The Request-URI.
    pub fn uri(&self) -> Uri<'_> {
        // This span was read once before the Request was made, and reading depends on nothing but the bytes.
        Uri::parse(self.span(&self.uri)).unwrap_or(NO_URI)
    }

    /// Max-Forwards; `None` where absent.
    pub fn max_forwards(&self) -> Option<u8> {
        self.max_forwards
    }
}

impl Response {
    /// The status code, 100–699.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, as written.
    pub fn reason(&self) -> &[u8] {
        self.span(&self.reason)
    }
}

// What the accessors below would return if a span that was read once could not be read again. It cannot happen: the
// readers are functions of the bytes alone. It is here so that they need no way to fail.
const NO_URI: Uri<'static> = Uri {
    text: b"",
    scheme: Scheme::Other(b""),
    user: None,
    password: None,
    host: None,
    port: None,
    params: Params(b""),
    headers: None,
};
const NO_NAME_ADDR: NameAddr<'static> = NameAddr { text: b"", display: None, uri: NO_URI, params: Params(b"") };
const NO_VIA: Via<'static> =
    Via { text: b"", transport: b"", host_text: b"", host: Host::Name(b""), port: None, params: Params(b"") };

macro_rules! common {
    ($type:ident) => {
        impl $type {
            /// Call-ID.
            pub fn call_id(&self) -> &[u8] {
                self.span(&self.core.call_id)
            }

            /// From.
            pub fn from(&self) -> NameAddr<'_> {
                NameAddr::parse(self.span(&self.core.from)).unwrap_or(NO_NAME_ADDR)
            }

            /// To.
            pub fn to(&self) -> NameAddr<'_> {
                NameAddr::parse(self.span(&self.core.to)).unwrap_or(NO_NAME_ADDR)
            }

            /// The From tag; empty where absent (RFC 2543).
            pub fn from_tag(&self) -> &[u8] {
                self.span(&self.core.from_tag)
            }

            /// The To tag; empty where absent.
            pub fn to_tag(&self) -> &[u8] {
                self.span(&self.core.to_tag)
            }

            /// CSeq.
            pub fn cseq(&self) -> Cseq {
                self.core.cseq
            }

            /// The topmost Via.
            pub fn top_via(&self) -> Via<'_> {
                Via::parse(self.span(&self.core.top_via)).unwrap_or(NO_VIA)
            }

            /// All Vias, topmost first; one that cannot be read (only possible below the topmost) is skipped.
            pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
                self.list(Name::Via).filter_map(|value| Via::parse(value).ok())
            }

            /// The values of Route, Record-Route, Contact, Path … that can be read.
            pub fn name_addrs(&self, name: Name) -> impl Iterator<Item = NameAddr<'_>> {
                self.list(name).filter_map(|value| NameAddr::parse(value).ok())
            }
        }
    };
}

common!(Request);
common!(Response);
