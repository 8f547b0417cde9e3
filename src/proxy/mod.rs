//! The proxy core (RFC 3261 §16): what may be forwarded, what a forwarded message looks like, and dialogs.
//!
//! Pure functions and small values; the histories that use them (calls, relays) are the engine's. Must not know
//! companies, departments or persons.

mod branch;
mod cancel;
mod dialog;
mod forward;
mod route;
mod validate;

pub use branch::{Branch, LoopKey};
pub use cancel::{ack_for, cancel_for};
pub use dialog::{Before, Dialog, DialogKey, End, Phase, Side, Toward};
pub use forward::{Forward, Strip, backward};
pub use route::{NextHop, Routes, Routing, route};
pub use validate::{Admitted, Refusal, validate};
