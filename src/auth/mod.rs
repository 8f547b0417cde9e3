//! Who is asking: digest (RFC 7616, 8760), nonces, and [`Origin`], the proof that only this module makes.
//!
//! [`Trunks`] knows a trunk by where its requests come from, [`Digest`] a user by its password. It decides nothing
//! else: whether an origin may do what it asks is said where it is done (default: it may not).

mod digest;
mod hex;
mod nonce;
mod origin;
mod secret;
#[cfg(test)]
pub(crate) mod testing;
mod trunks;

use digest::Algorithm;

pub use digest::{Asker, Digest, Offer, Offered, Refusal, Staleness};
pub use origin::{Origin, TrunkProof, UserProof};
pub use secret::Secret;
pub use trunks::Trunks;
