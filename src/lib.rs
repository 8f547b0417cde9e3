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
//! The [`engine::Engine`] has no sockets, clocks, threads, files or randomness of its own. What happens is an
//! [`engine::Input`], what is to be done an [`engine::Output`], and equal inputs under equal seeds give equal bytes.
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
//! | [`number`], [`hours`] | R-1, R-3 | SIP |
//! | [`claim`] | who may be rung: one call a person (R-7) | SIP, companies' plans |
//! | [`routing`] | the compiled plan, the hunt, the decision record (R-2, R-4 … R-6) | SIP |
//! | [`auth`] | proof of who is asking: trunks, digest (RFC 7616, 8760) | what they may do with it |
//! | [`registrar`] | bindings (RFC 3261 §10) | calls |
//! | [`proxy`] | what may be forwarded, how a copy looks, dialogs (RFC 3261 §16) | companies, persons |
//! | [`config`] | TOML → one checked value, or every problem with its place (R-9) | the running daemon |
//! | [`state`] | what survives a restart, as values; the store and the call log (R-7.4, R-10) | decisions |
//! | [`engine`] | the composition: every table, and what a message does to them | the outside |
//! | [`daemon`], [`control`], [`cli`] | the outside | decisions |
//! | [`peer`] | phones and trunks written on another SIP reader, for the demo and the tests | [`sip`] |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod auth;
pub mod claim;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod engine;
pub mod flow;
pub mod hours;
pub mod id;
pub mod number;
pub mod peer;
pub mod proxy;
pub mod registrar;
pub mod routing;
pub mod sip;
pub mod state;
pub mod time;
pub mod transaction;
