//! What is fuzzed, and what must hold of it: one file a target. Each is a function of bytes that panics when something
//! does not hold. `main.rs` gives them to libFuzzer, `tests/fuzz_cases.rs` runs them over the files that are kept.

pub mod choices;
pub mod config;
pub mod differential;
pub mod engine;
pub mod parse;
pub mod rewrite;
pub mod store;

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name on the command line and in the directories of corpora and regressions.
    pub name: &'static str,
    /// What is done with one input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target { name: "parse", run: parse::run },
    Target { name: "rewrite", run: rewrite::run },
    Target { name: "differential", run: differential::run },
    Target { name: "engine", run: engine::run },
    Target { name: "config", run: config::run },
    Target { name: "store", run: store::run },
];
