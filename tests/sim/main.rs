//! The simulator: the whole engine and its store among phones, trunks, attackers, links, clocks, disks and configurations that one seed
//! draws, judged by an oracle that sees only datagrams, what was stored, and `audit()`.
//!
//! | variable | does |
//! |---|---|
//! | `SIM_SEEDS=20000` | how many worlds `worlds_keep_every_invariant` lives through, of 50 calls each |
//! | `SIM_FIRST=7000` | the first of their seeds |
//! | `SIM_SEED=17` | that seed alone, with all that is known of a failure |
//! | `SIM_CALL=CALL-ID` | which call is drawn; else that in which the failure shows |
//! | `SIM_WHOLE=1` | messages and changes are shown whole |
//! | `SIM_STOP=1` | no more worlds once one has failed |
//! | `SIM_BRIEF=1` | failures in a line each, none made smaller |
//! | `SIM_LOSS_CALLS=20000` | how many calls `calls_are_set_up_under_loss` makes under each loss |
//! | `SIM_LONG_CALLS=50000` | how many calls `many_calls_are_answered_and_leave_the_tables_empty` makes; then memory is held too |
//! | `SIM_HASHES=FILE` | `equal_seeds_are_equal_worlds` compares with the file, or writes it where there is none |
//!
//! Worlds are cheap with optimisation: `SIM_SEEDS=20000 cargo test --release --test sim worlds -- --nocapture`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::wrong_self_convention,
    unreachable_pub
)]

mod case;
mod cases;
mod dice;
mod disk;
mod draw;
mod faults;
mod history;
mod ladder;
mod link;
mod loss;
mod marks;
mod model;
mod oracle;
mod peers;
mod run;
mod script;
mod text;
mod world;

use case::{Case, hash};
use run::say;
use script::CALLS;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} wants a number")))
}

#[test]
fn worlds_keep_every_invariant() {
    if let Some(seed) = variable("SIM_SEED") {
        let (history, violations) = Case::of_seed(seed).run();
        say(&format!("seed {seed}: {} entries, hash {:016x}", history.entries.len(), hash(&history)));
        say(&format!("faults: {}", history.faults));
        if let Some(first) = violations.first() {
            panic!("{}", run::explain(seed, first.invariant));
        }
        return;
    }
    let seeds = variable("SIM_SEEDS").unwrap_or(60);
    let first = variable("SIM_FIRST").unwrap_or_default();
    let began = std::time::Instant::now();
    let stop = if variable("SIM_STOP").is_some() { run::After::Stop } else { run::After::GoOn };
    let sum = run::run(first..first + seeds, stop);
    say(&format!(
        "{} worlds, {} calls, {} datagrams in {:.1} s; hash {:016x}",
        sum.worlds,
        sum.worlds * CALLS,
        sum.datagrams,
        began.elapsed().as_secs_f64(),
        sum.hash
    ));
    for (seed, violation) in &sum.failures {
        say(&format!("seed {seed}: invariant {}: {}", violation.invariant, violation.words));
    }
    // These worlds go where they are meant to go: fewer worlds reach less.
    for name in marks::all() {
        let count = sum.marks.get(name).copied().unwrap_or_default();
        say(&format!("{count:>8} {name}"));
    }
    if let (Some((seed, _)), Some(_)) = (sum.failures.first(), variable("SIM_BRIEF")) {
        panic!("{} of {seeds} seeds failed; see SIM_SEED={seed}", sum.failed);
    }
    if let Some((seed, violation)) = sum.failures.first() {
        panic!("{} of {seeds} seeds failed; the first:\n{}", sum.failed, run::explain(*seed, violation.invariant));
    }
}

/// Twice in one process; and, by `SIM_HASHES`, in another process or another build profile.
#[test]
fn equal_seeds_are_equal_worlds() {
    let seeds = variable("SIM_HASHED").unwrap_or(20);
    let hashes: Vec<String> = (0..seeds)
        .map(|seed| {
            let [one, other] = [0; 2].map(|_| hash(&Case::of_seed(seed).run().0));
            assert_eq!(one, other, "SIM_SEED={seed}");
            format!("{seed} {one:016x}\n")
        })
        .collect();
    let Some(path) = std::env::var_os("SIM_HASHES") else { return };
    match std::fs::read_to_string(&path) {
        Ok(known) => {
            let known: Vec<&str> = known.lines().collect();
            assert_eq!(known.len(), hashes.len(), "the file has as many seeds");
            for (known, hash) in known.iter().zip(&hashes) {
                assert_eq!(*known, hash.trim_end(), "as in the other run");
            }
        }
        Err(_) => std::fs::write(&path, hashes.concat()).unwrap(),
    }
}
