//! A case: a seed, with some of its calls and faults left out. What fails is made smaller until nothing more can be left out.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::faults::Faults;
use super::history::{History, What};
use super::oracle::{Violation, judge};
use super::script::CALLS;
use super::world::live;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub seed: u64,
    pub faults: Faults,
    /// Numbers of the calls that are not made.
    pub without: BTreeSet<u64>,
}

impl Case {
    /// All of a seed.
    pub fn of_seed(seed: u64) -> Case {
        Case { seed, faults: Faults::drawn(seed), without: BTreeSet::new() }
    }

    /// Lives it through and judges it.
    pub fn run(&self) -> (History, Vec<Violation>) {
        let history = live(self);
        let violations = judge(&history);
        (history, violations)
    }

    fn breaks(&self, invariant: u8) -> bool {
        self.run().1.iter().any(|violation| violation.invariant == invariant)
    }

    /// The smallest case found that breaks the same invariant.
    pub fn smaller(&self, invariant: u8) -> Case {
        let mut best = self.clone();
        // Halves of the calls, then quarters …
        let mut part = CALLS / 2;
        while part > 0 {
            let mut first = 0;
            while first < CALLS {
                let mut candidate = best.clone();
                candidate.without.extend(first..(first + part).min(CALLS));
                if candidate.without.len() > best.without.len() && candidate.breaks(invariant) {
                    best = candidate;
                }
                first += part;
            }
            part /= 2;
        }
        for leave_out in Faults::KNOBS {
            let mut candidate = best.clone();
            leave_out(&mut candidate.faults);
            if candidate != best && candidate.breaks(invariant) {
                best = candidate;
            }
        }
        best
    }
}

impl fmt::Display for Case {
    /// As a call of `replay`, to be pasted into `cases.rs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: Vec<u64> = (0..CALLS).filter(|number| !self.without.contains(number)).collect();
        let drawn = Faults::drawn(self.seed);
        let off: Vec<&str> = (Faults::KNOBS.iter().zip(&Faults::KNOB_NAMES))
            .filter(|(leave_out, _)| {
                let mut without = drawn.clone();
                leave_out(&mut without);
                without != drawn && {
                    let mut now = self.faults.clone();
                    leave_out(&mut now);
                    now == self.faults
                }
            })
            .map(|(_, name)| *name)
            .collect();
        write!(f, "replay({}, &{kept:?}, &{off:?})", self.seed)
    }
}

/// A number that stands for every byte and event of a history.
pub fn hash(history: &History) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entry in &history.entries {
        (entry.at, entry.wall).hash(&mut hasher);
        match &entry.what {
            What::Put(datagram)
            | What::Heard(datagram)
            | What::Sent(datagram)
            | What::Delivered(datagram)
            | What::Undeliverable(datagram) => {
                std::mem::discriminant(&entry.what).hash(&mut hasher);
                (datagram.id, datagram.from, datagram.to, &datagram.bytes).hash(&mut hasher);
            }
            What::Fired
            | What::Changed(..)
            | What::Durable(_)
            | What::Adopted(_)
            | What::Refused(_)
            | What::Commanded(..)
            | What::Recorded(_)
            | What::Killed
            | What::Started(..)
            | What::Stood(_)
            | What::ClockJumped(_)
            | What::Audited(..)
            | What::FaultsEnded
            | What::Defect(_) => format!("{:?}", entry.what).hash(&mut hasher),
        }
    }
    hasher.finish()
}
