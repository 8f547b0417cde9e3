//! Figures that need very many calls: how many are set up over links that lose (invariant 25), and what memory many calls leave behind
//! (invariant 14).
//!
//! | variable | does |
//! |---|---|
//! | `SIM_LOSS_CALLS=20000` | how many calls are made under each loss, 1,000 in a world |
//! | `SIM_LONG_CALLS=50000` | how many calls one engine lives through (more than 10,000) |

use switchboard::engine::Audit;

use super::run::say;
use super::variable;
use super::world::{Steady, steady};

/// In a world.
const EACH: u64 = 1_000;

/// Invariant 25.
#[test]
fn worlds_under_loss_set_calls_up() {
    let calls = variable("SIM_LOSS_CALLS").unwrap_or(EACH);
    for (loss, least) in [(100, 999), (300, 980)] {
        let mut sum = Steady::default();
        for seed in 0..calls.div_ceil(EACH) {
            let (one, left) = steady(seed, loss, EACH, |_| {});
            assert_eq!(left, Audit::default(), "seed {seed}, {loss} thousandths are lost");
            sum.calls += one.calls;
            sum.answered += one.answered;
        }
        say(&format!("{loss} thousandths lost each way: {} of {} calls were set up", sum.answered, sum.calls));
        assert!(sum.calls * 10 >= calls * 9, "hardly anybody was registered: {sum:?}");
        assert!(sum.answered * 1000 >= sum.calls * least, "{loss} thousandths are lost, and {sum:?}");
    }
}

/// Invariant 14: after many calls the tables are empty, and the process holds no more than after 10,000. What it holds can be compared where
/// no other test runs beside this one: with `SIM_LONG_CALLS` alone.
#[test]
fn many_calls_leave_no_memory_behind() {
    let long = variable("SIM_LONG_CALLS");
    let mut held: Vec<u64> = Vec::new();
    let (sum, left) = steady(7, 0, long.unwrap_or(3_000), |_| held.extend(resident()));
    assert_eq!((sum.answered, left), (sum.calls, Audit::default()));
    if long.is_none() {
        return;
    }
    let (first, last) = (held[9], held[held.len() - 1]);
    say(&format!("{} calls; {first} KiB resident after 10,000, {last} KiB in the end", sum.calls));
    assert!(last * 100 <= first * 102, "{first} KiB have become {last} KiB");
}

/// KiB; `None` where nobody says.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
