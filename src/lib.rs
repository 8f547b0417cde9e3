//! Switchboard answers the question a company number asks: *who should pick up, right now?*
//!
//! It is a SIP registrar for the softphones of many companies and a stateful forking SIP proxy for the calls that trunks
//! send to those companies' numbers. This is its library; `src/main.rs` is the command line.
//!
//! # The picture
//!
//! ```text
//!   sockets, clock, files, signals            everything that decides                      a person, or a program
//!  ┌───────────────────────────┐  Input   ┌──────────────────────────────┐  Output  ┌───────────────────────────┐
//!  │ daemon   (impure, thin)   │ ───────▶ │ engine   (pure, one owner)   │ ───────▶ │ datagrams, log, replies   │
//!  └───────────────────────────┘          │  sip → transaction → proxy   │          └───────────────────────────┘
//!                                         │   auth, registrar            │
//!                                         │   routing → claim            │
//!                                         └──────────────────────────────┘
//! ```
//!
//!
//! # The drain rule
//!
//! After every `handle_input` and `handle_timeout`: `poll_output` until it gives `None`, then `poll_timeout`.
//!
//! # The map
//!
//! Imports point one way, downwards in this table read from its end.
//!
//! | room | owns | must not know |
//! |---|---|---|
//! | [`time`], [`id`], [`flow`] | clocks as values, a type for every name, the two ends of a path | anything else |
//! | [`sip`] | bytes ⇄ messages, losslessly (RFC 3261 §7, §19, §20, §25) | state, policy, time |
//! | [`transaction`] | the four machines (RFC 3261 §17, 6026, 4320) | what a request is for |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod flow;
pub mod id;
pub mod sip;
pub mod time;
pub mod transaction;
