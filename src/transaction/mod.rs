//! Transactions: RFC 3261 §17 as corrected by RFC 6026 (INVITE) and RFC 4320 (all others). Four machines, one file and
//! one figure each, and the keys they are found by.
//!
//! The machines are pure. They are told what happened (`on_*`) or what their user wants sent (`respond_*`), always with
//! the time first, and answer with a short list of effects in the order they are to be carried out. They hold the bytes
//! they may have to send again, and no sockets, addresses, tables or messages: who sends, where to, and which machine a
//! message belongs to is the engine's business.
//!
//! The rules of use:
//! - After every call, [`deadline`](InviteServer::deadline) says when `on_timer` is next wanted (or that it is not).
//! - `on_timer` before that does nothing. Called late, it does what is due once: there is never a burst of copies.
//! - A timer of length zero (D, I, J and K over a reliable transport) is due at the instant it is set: a machine ends only
//!   in `on_timer`, by a transport error, or by being abandoned. One that has ended says [`is_terminated`] and ignores
//!   everything.
//! - An input that a state has no use for is discarded there; the tables above the machines say which.
//! - `PassUp` means the message just given: the machine keeps none.
//! - A process that was paused must hand in the datagrams that arrived meanwhile before it asks for timers, or answered
//!   requests would time out.
//!
//! [`is_terminated`]: InviteServer::is_terminated

pub mod client;
pub mod invite_client;
pub mod invite_server;
mod key;
pub mod server;
#[cfg(test)]
mod testing;
mod timing;

pub use client::Client;
pub use invite_client::InviteClient;
pub use invite_server::{AckFate, InviteServer};
pub use key::{MergeKey, ServerKey};
pub use server::Server;
pub use timing::{Reliability, Timing};
