//! The network: what becomes of a datagram on its way. Every choice is drawn from the links' own dice.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use super::dice::Dice;
use super::faults::LinkFaults;
use super::history::{MILLISECOND, Nanos, SECOND};

/// How long a datagram takes at least.
const SHORTEST: Nanos = MILLISECOND;

/// A copy that arrives.
#[derive(Debug)]
pub struct Arrival {
    pub at: Nanos,
    /// Other bytes than were sent.
    pub bent: Option<Bytes>,
}

#[derive(Debug)]
pub struct Links {
    faults: LinkFaults,
    dice: Dice,
    /// From, until.
    black_hole: (Nanos, Nanos),
    /// Whoever hears nothing, from, until.
    one_way: Option<(SocketAddr, Nanos, Nanos)>,
    /// Links in their bad state, by the peer's address.
    bad: BTreeMap<SocketAddr, bool>,
}

impl Links {
    /// Of a seed, in a world whose calls begin within `span`; `deaf` is the phone that may hear nothing for a while.
    pub fn new(seed: u64, faults: LinkFaults, span: Nanos, deaf: Option<SocketAddr>) -> Links {
        let mut dice = Dice::of_their_own(seed, "links", 0);
        let mut within = |length: u64| {
            let from = 3 * SECOND + dice.below(span.max(1));
            (from, from + length * MILLISECOND)
        };
        let black_hole = within(faults.black_hole);
        let (from, until) = within(faults.one_way);
        let one_way = deaf.filter(|_| faults.one_way > 0).map(|deaf| (deaf, from, until));
        Links { faults, dice, black_hole, one_way, bad: BTreeMap::new() }
    }

    /// Nothing goes wrong from now on.
    pub fn mend(&mut self) {
        self.faults = LinkFaults::default();
        self.black_hole = (0, 0);
        self.one_way = None;
    }

    /// The copies that arrive of a datagram sent now; `peer` is its end that is not the daemon.
    pub fn carry(&mut self, now: Nanos, peer: SocketAddr, to: SocketAddr, bytes: &Bytes) -> Vec<Arrival> {
        let (from, until) = self.black_hole;
        if (from..until).contains(&now) {
            return Vec::new();
        }
        if let Some((deaf, from, until)) = self.one_way
            && to == deaf
            && (from..until).contains(&now)
        {
            return Vec::new();
        }
        if self.faults.longest > 0 && bytes.len() > self.faults.longest {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.chance(self.faults.duplicate));
        let mut arrivals = Vec::with_capacity(copies);
        for _ in 0..copies {
            if self.is_lost(peer) {
                continue;
            }
            let delay = SHORTEST + self.faults.delay * MILLISECOND + self.up_to(self.faults.jitter * MILLISECOND);
            let bent = self.bend(bytes);
            arrivals.push(Arrival { at: now + delay, bent });
        }
        arrivals
    }

    /// Whether a datagram of ours that was lost comes back as an error.
    pub fn says_unreachable(&mut self) -> bool {
        self.chance(self.faults.unreachable)
    }

    fn chance(&mut self, thousandths: u64) -> bool {
        thousandths > 0 && self.dice.thousandths(thousandths)
    }

    fn up_to(&mut self, most: Nanos) -> Nanos {
        if most == 0 { 0 } else { self.dice.below(most + 1) }
    }

    fn is_lost(&mut self, peer: SocketAddr) -> bool {
        if self.chance(self.faults.loss) {
            return true;
        }
        if self.faults.burst == 0 {
            return false;
        }
        let was_bad = self.bad.get(&peer).copied().unwrap_or_default();
        let turns = self.dice.thousandths(if was_bad { 100 } else { self.faults.burst });
        let is_bad = was_bad != turns;
        self.bad.insert(peer, is_bad);
        is_bad && self.dice.thousandths(800)
    }

    fn bend(&mut self, bytes: &Bytes) -> Option<Bytes> {
        if bytes.is_empty() {
            return None;
        }
        if self.chance(self.faults.truncate) {
            let length = self.dice.below(bytes.len() as u64) as usize;
            return Some(bytes.slice(..length));
        }
        if self.chance(self.faults.flip) {
            let mut bent = bytes.to_vec();
            let at = self.dice.below(bent.len() as u64) as usize;
            bent[at] ^= 1 << self.dice.below(8);
            return Some(Bytes::from(bent));
        }
        None
    }
}
