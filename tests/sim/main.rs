//! The simulator: the whole engine and its store among phones, trunks, attackers, links, clocks, disks and configurations that one seed draws,
//! judged by an oracle that sees only datagrams, what was stored, and `audit()`.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    unreachable_pub
)]

mod dice;
mod draw;
mod faults;
mod history;
mod model;
mod oracle;
mod peers;
mod text;
