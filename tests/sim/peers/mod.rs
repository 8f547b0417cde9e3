//! Phones, trunks and attackers: small SIP state machines written on nothing but `text` and string literals.
//!
//! A peer is told what reaches it and when its time has come, and puts what it sends into a [`Post`]. What it does in a call is
//! drawn from dice of that call's own (`Dice::of_their_own(seed, name of the peer, number of the call)`), so that leaving one call out
//! of a world changes nothing in the others.

pub mod agent;
pub mod attacker;
pub mod call;
pub mod callee;
pub mod caller;
pub mod dialog;
pub mod digest;
pub mod phone;
pub mod plan;
pub mod registration;
pub mod requests;
pub mod style;
pub mod talk;
pub mod together;
pub mod transaction;
pub mod trunk;
pub mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;

use std::net::SocketAddr;

use super::history::Nanos;

/// What a peer hands to the network.
#[derive(Debug, Default)]
pub struct Post {
    /// From, to, bytes.
    pub letters: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Post {
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.letters.push((from, to, bytes));
    }
}

/// One call of the script, as its caller will make it. Everything else about it the caller draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCall {
    /// Unique in the world.
    pub number: u64,
    pub at: Nanos,
    pub caller: Caller,
    /// What is dialled: a number in some form, or an extension where a phone calls.
    pub dialled: String,
    /// What the caller's From says: `+…`, another form, or `anonymous`. Phones say who they are.
    pub shown: String,
    /// How long the caller wants to talk once it is answered.
    pub talk: Nanos,
    /// When it gives up, counted from the INVITE, if nobody has answered.
    pub patience: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Trunk(usize),
    Phone(usize),
}
