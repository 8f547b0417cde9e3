//! What the two ends of a call can both know of it without having spoken: instants that follow from its Call-ID alone. Without them
//! a CANCEL would cross an answer, a BYE a BYE and a re-INVITE a re-INVITE once in a thousand worlds.

use super::super::dice::Dice;
use super::super::history::{MILLISECOND, Nanos};

/// Instants of one call.
#[derive(Clone, Copy, Debug)]
pub struct Together {
    /// Where the call is one of those that everybody answers at the same moment: so long after the first 180 of each.
    pub answer: Option<Nanos>,
    /// When a callee that hangs up does so, after its ACK.
    pub hang_up: Nanos,
    /// When one that sends a re-INVITE does so, after the answer.
    pub reinvite: Nanos,
}

impl Together {
    pub fn of(seed: u64, call_id: &str) -> Together {
        let mut dice = Dice::of_their_own(seed, "together", sum(call_id));
        let all = dice.thousandths(125);
        let answer = (300 + dice.below(3_000)) * MILLISECOND;
        Together {
            answer: all.then_some(answer),
            hang_up: (500 + 250 * dice.below(120)) * MILLISECOND,
            reinvite: (200 + 100 * dice.below(60)) * MILLISECOND,
        }
    }
}

/// A number for a text: FNV-1a.
pub fn sum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
