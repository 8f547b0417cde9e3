//! The registrar (RFC 3261 §10, RFC 3327, instances of RFC 5626): which devices a user has, and where they are.
//!
//! [`Location`] owns every binding. It changes by [`Location::register`] (one REGISTER, whole or not at all), by time
//! ([`Location::expire`]) and by a reload that removes users ([`Location::retain`]); nothing else. It sends nothing and
//! writes no response: it says what belongs into one.
//!
//! Requests for a device go where its REGISTER came from, never to an address that only its Contact names: see
//! [`Binding::target`].

mod address_of_record;
mod binding;
mod departed;
mod location;
mod refusal;
mod register;
mod request;
#[cfg(test)]
mod tests;

pub use address_of_record::AddressOfRecord;
pub use binding::{Binding, Preference};
pub use location::{CONTACTS_PER_USER, Expired, Location};
pub use refusal::RegisterRefusal;
pub use register::{Change, Registered};
pub use request::Expiries;
