//! The wire: bytes to values and back. No time, no state, no policy.
//!
//! Two levels, kept apart. [`Message`] is a lossless view: an index of start line, header fields and body over the
//! datagram, which judges nothing. [`Request`] and [`Response`] are messages whose mandatory fields have been read
//! and found right (RFC 3261 §7, §8.1.1, §20): every accessor of theirs is total. [`Edit`] writes a message that
//! differs from the one it was given only where it was told to; what is not edited leaves byte for byte.

mod credentials;
mod edit;
mod fault;
mod header;
mod message;
mod method;
mod name_addr;
mod params;
mod parse;
mod reply;
mod scan;
mod uri;
mod via;

pub use credentials::{DigestCredentials, Qop};
pub use edit::Edit;
pub use fault::Fault;
pub use header::{Header, Name};
pub use message::{Cseq, Message, Request, Response};
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub use parse::{Limits, Malformed, Parsed, parse};
pub use reply::{Extra, respond, trying};
pub use uri::{Host, Scheme, Uri};
pub use via::Via;
