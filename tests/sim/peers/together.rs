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
    /// Where one end holds the call and takes it up again, as people do: which, and both moments after the answer.
    pub holds: Option<(Side, [Nanos; 2])>,
}

/// An end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

impl Together {
    pub fn of(seed: u64, call_id: &str) -> Together {
        let mut dice = Dice::of_their_own(seed, "together", sum(call_id));
        let all = dice.thousandths(125);
        let answer = (300 + dice.below(3_000)) * MILLISECOND;
        let hang_up = (500 + 250 * dice.below(120)) * MILLISECOND;
        let reinvite = (200 + 100 * dice.below(60)) * MILLISECOND;
        let holds = dice.thousandths(60).then(|| {
            let held = (300 + dice.below(4_000)) * MILLISECOND;
            (dice.of(&[Side::Caller, Side::Callee]), [held, held + (500 + dice.below(6_000)) * MILLISECOND])
        });
        Together { answer: all.then_some(answer), hang_up, reinvite, holds }
    }
}

impl Together {
    /// When that end asks for another description of the media.
    pub fn of_side(&self, side: Side) -> impl Iterator<Item = Nanos> {
        self.holds.filter(|(who, _)| *who == side).into_iter().flat_map(|(_, moments)| moments)
    }
}

/// A number for a text: FNV-1a.
pub fn sum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
