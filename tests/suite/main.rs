//! The engine with peers in memory: one story a test, ending with an empty audit.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    unreachable_pub
)]

mod calls;
mod chaos;
mod classes;
mod companies;
mod corners;
mod dialogs;
mod door;
mod explain_agrees;
mod log_lines;
mod proxy;
mod races;
mod raw;
mod registrations;
mod reloads;
mod restarts;
mod script;
mod shelf;
mod strangers;
mod torture;
mod world;
