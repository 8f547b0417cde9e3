//! Many seeds on several threads: what failed, what was reached, and one number for all that happened.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::case::{Case, hash};
use super::ladder;
use super::marks;
use super::oracle::Violation;
use super::script::CALLS;

/// What so many worlds came to.
#[derive(Debug, Default)]
pub struct Sum {
    pub worlds: u64,
    pub datagrams: u64,
    /// In how many worlds each mark was reached.
    pub marks: BTreeMap<&'static str, u64>,
    /// The hashes of all worlds, added up.
    pub hash: u64,
    /// The first few that failed.
    pub failures: Vec<(u64, Violation)>,
    pub failed: u64,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    GoOn,
    Stop,
}

/// How many failures are kept.
const KEPT: usize = 100;

/// Lives the worlds of `seeds` through, on as many threads as the machine has processors, and tells how far it is now and then.
pub fn run(seeds: std::ops::Range<u64>, after: After) -> Sum {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, sum, began) = (AtomicU64::new(seeds.start), Mutex::new(Sum::default()), Instant::now());
    let count = seeds.end - seeds.start;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let (history, violations) = Case::of_seed(seed).run();
                    let reached = marks::reached(&history);
                    let mut sum = sum.lock().unwrap();
                    sum.worlds += 1;
                    sum.datagrams += history.wire().count() as u64;
                    sum.hash = sum.hash.wrapping_add(hash(&history));
                    for name in reached {
                        *sum.marks.entry(name).or_default() += 1;
                    }
                    if let Some(first) = violations.into_iter().next() {
                        sum.failed += 1;
                        if after == After::Stop {
                            next.store(seeds.end, Ordering::Relaxed);
                        }
                        if sum.failures.len() < KEPT {
                            sum.failures.push((seed, first));
                        }
                    }
                    if sum.worlds.is_multiple_of(1000) {
                        let calls = sum.worlds * CALLS;
                        let seconds = began.elapsed().as_secs_f64();
                        say(&format!(
                            "{calls} of {} calls, {seconds:.0} s, {} seeds failed",
                            count * CALLS,
                            sum.failed
                        ));
                    }
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

#[allow(clippy::print_stderr)]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Everything about a seed that failed: its smallest case, what is wrong, and a drawing.
pub fn explain(seed: u64, invariant: u8) -> String {
    let whole = Case::of_seed(seed);
    let smaller = whole.smaller(invariant);
    let (history, violations) = smaller.run();
    let mut text = format!("seed {seed}: {smaller}\nfaults: {}\n", smaller.faults);
    for violation in violations.iter().take(5) {
        text.push_str(&format!(
            "invariant {} at entry {}: {}\n",
            violation.invariant, violation.place, violation.words
        ));
    }
    match violations.iter().find(|violation| violation.invariant == invariant) {
        Some(violation) => text.push_str(&ladder::draw(&history, violation.place)),
        None => text.push_str("it does not fail again: not deterministic\n"),
    }
    text
}
