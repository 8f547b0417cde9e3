//! Worlds that once failed, each named for what was wrong.

use std::collections::BTreeSet;

use super::case::Case;
use super::faults::Faults;
use super::script::CALLS;

/// The world of a seed with these calls alone and without these faults: nothing in it is wrong.
fn replay(seed: u64, calls: &[u64], off: &[&str]) {
    let mut faults = Faults::drawn(seed);
    for name in off {
        let place = Faults::KNOB_NAMES.iter().position(|known| known == name);
        Faults::KNOBS[place.unwrap_or_else(|| panic!("no fault is called {name}"))](&mut faults);
    }
    let without: BTreeSet<u64> = (0..CALLS).filter(|number| !calls.contains(number)).collect();
    let (_, violations) = Case { seed, faults, without }.run();
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_world_without_calls_and_faults_is_quiet() {
    replay(0, &[], &Faults::KNOB_NAMES);
}
