//! The control socket: how the command line speaks to a running daemon. A Unix socket; one JSON object a line, one line back.
//!
//! `protocol` is the language, `server` the daemon's end, `client` the command line's. Knows no SIP and decides nothing.
//! `http` is the same for programs elsewhere, that hold a token.

mod client;
pub mod http;
mod protocol;
mod server;

pub use client::{AskError, ask};
pub use protocol::{Answer, Request};
pub use server::{Server, SocketError};
