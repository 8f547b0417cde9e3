//! Figures that need very many calls: how many are set up over links that lose (invariant 25), and what memory many calls leave behind
//! (invariant 14).
//!
//! | variable | does |
//! |---|---|
//! | `SIM_LOSS_CALLS=20000` | how many calls are made under each loss, 1,000 in a world |
//! | `SIM_LONG_CALLS=50000` | how many calls one engine lives through, 20,000 or more; then its memory is looked at too |

use switchboard::engine::Audit;

use super::run::say;
use super::variable;
use super::world::{Steady, steady};

/// In a world.
const EACH: u64 = 1_000;

/// The fewest calls between whose 10,000th and last a leak would show.
const LONG: u64 = 20_000;

/// Invariant 25.
#[test]
fn calls_are_set_up_under_loss() {
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

/// Invariant 14: after many calls the tables are empty. With `SIM_LONG_CALLS` the process also holds no more in the end than after 10,000,
/// which can be compared where no other test runs beside this one.
#[test]
fn many_calls_are_answered_and_leave_the_tables_empty() {
    let long = variable("SIM_LONG_CALLS");
    if let Some(long) = long.filter(|long| *long < LONG) {
        panic!(
            "SIM_LONG_CALLS={long}: memory after 10,000 calls is compared with memory in the end; give {LONG} or more"
        );
    }
    let mut held: Vec<(u64, u64)> = Vec::new();
    let (sum, left) = steady(7, 0, long.unwrap_or(3_000), |so_far| {
        held.extend(resident().map(|resident| (so_far.calls, resident)));
    });
    assert_eq!((sum.answered, left), (sum.calls, Audit::default()));
    if long.is_some() {
        no_more_is_held_than_after_ten_thousand(&held);
    }
}

/// Calls so far, and KiB that were held then.
fn no_more_is_held_than_after_ten_thousand(held: &[(u64, u64)]) {
    let early = held.iter().find(|(calls, _)| *calls >= 10_000);
    let (Some((early, first)), Some((calls, last))) = (early, held.last()) else {
        say("memory is not compared: nobody says here what a process holds");
        return;
    };
    assert!(early < calls, "memory was looked at only once after 10,000 calls: {held:?}");
    say(&format!("{calls} calls; {first} KiB resident after {early}, {last} KiB in the end"));
    assert!(last * 100 <= first * 102, "{first} KiB have become {last} KiB");
}

/// KiB; `None` where nobody says.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}
