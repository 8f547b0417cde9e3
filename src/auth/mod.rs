//! Who is asking: digest (RFC 7616, 8760), nonces, and [`Origin`], the proof that only this module makes.
//!
//! [`Trunks`] knows a trunk by where its requests come from, [`Digest`] a user by its password, and [`Patience`] how much
//! whoever is neither is answered. It decides nothing
//! else: whether an origin may do what it asks is said where it is done (default: it may not).

mod bucket;
mod digest;
mod guesses;
mod hex;
mod nonce;
mod origin;
mod patience;
mod recent;
mod secret;
#[cfg(test)]
pub(crate) mod testing;
mod trunks;

use digest::Algorithm;

pub(crate) use nonce::LIFETIME as NONCE_LIFETIME;

pub use digest::{Asker, Digest, Offer, Offered, Refusal, Staleness};
pub use origin::{Origin, TrunkProof, UserProof};
pub use patience::{Patience, Silence, Standing};
pub use secret::Secret;
pub use trunks::Trunks;
