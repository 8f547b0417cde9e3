//! The one source of chance: everything a world does follows from its seed.

use std::time::Duration;

/// Sebastiano Vigna's SplitMix64: small, fast, and a child of it is independent of how much was drawn from its parent.
#[derive(Clone, Debug)]
pub struct Dice(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(mixed(seed.wrapping_add(STEP)))
    }

    /// Dice of their own for the `number`th thing called `name`: what is left out elsewhere does not change what they show.
    pub fn of_their_own(seed: u64, name: &str, number: u64) -> Dice {
        let named = name.bytes().fold(seed, |sum, byte| mixed(sum ^ u64::from(byte)).wrapping_add(STEP));
        Dice(mixed(named ^ mixed(number.wrapping_add(STEP))))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    /// 0 to `below - 1`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.roll() % below
    }

    /// True so many times in a thousand.
    pub fn thousandths(&mut self, count: u64) -> bool {
        self.below(1000) < count
    }

    /// One of them.
    pub fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// From `least` up to `most` milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }
}
