//! How much somebody who has proved nothing is answered: a bucket for each network that asks, and one for all of them
//! together (checklists §2 classes 3 and 17). Says nothing of who they are, or of what they ask.
//!
//! What is counted is answers that refuse or challenge. Whoever then proves to be a user has its token back, so that
//! thousands of phones behind one address may register at once; what a phone, a trunk or a call in progress is
//! served costs nothing.

use std::time::Duration;

use crate::flow::{Flow, Network};
use crate::time::Instant;

use super::bucket::{Bucket, Rate};
use super::recent::Recent;

/// One network, or one registered phone: 50 refusals a second, 500 at once.
const EACH: Rate = Rate { burst: 500, every: Duration::from_millis(20) };

/// Everybody who has proved nothing, together: 10,000 refusals a second.
const ALL: Rate = Rate { burst: 10_000, every: Duration::from_micros(100) };

/// The most networks and phones whose buckets are remembered: about 6 MB. A forgotten one is full again; the bucket for all
/// bounds what that is good for.
const REMEMBERED: usize = 65_536;

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Network(Network),
    /// Of its own, so that a neighbour behind the same address cannot empty it.
    Phone(Flow),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A user is registered along this very flow.
    Registered,
    /// Nobody we know of.
    Unproven,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// This source has had as many as it gets for now.
    Source,
    /// All that have proved nothing have, together.
    Everybody,
}

impl Silence {
    /// A stable name for counters.
    pub fn name(self) -> &'static str {
        match self {
            Silence::Source => "source-over-its-limit",
            Silence::Everybody => "strangers-over-their-limit",
        }
    }
}

/// The buckets.
#[derive(Clone, Debug)]
pub struct Patience {
    each: Recent<Whose, Bucket>,
    all: Bucket,
}

impl Patience {
    /// With everybody. `hashing` keys the table.
    pub fn new(hashing: &ahash::RandomState) -> Patience {
        Patience { each: Recent::new(REMEMBERED, hashing), all: Bucket::default() }
    }

    /// Takes one token for an answer that refuses or challenges.
    ///
    /// # Errors
    /// There is none left: nothing is to be answered.
    pub fn spend(&mut self, now: Instant, flow: Flow, standing: Standing) -> Result<(), Silence> {
        let whose = whose(flow, standing);
        let bucket = self.each.seen(&whose).unwrap_or_default();
        if bucket.is_empty(now, EACH) {
            return Err(Silence::Source);
        }
        match standing {
            Standing::Registered => {}
            Standing::Unproven if self.all.is_empty(now, ALL) => return Err(Silence::Everybody),
            Standing::Unproven => self.all = self.all.less(now, ALL),
        }
        self.each.put(whose, bucket.less(now, EACH));
        Ok(())
    }

    /// Somebody there has proved to be a user: what its challenge cost comes back.
    pub fn proven(&mut self, flow: Flow, standing: Standing) {
        let whose = whose(flow, standing);
        if let Some(bucket) = self.each.seen(&whose) {
            self.each.put(whose, bucket.more(EACH));
        }
        match standing {
            Standing::Registered => {}
            Standing::Unproven => self.all = self.all.more(ALL),
        }
    }

    /// How many buckets are remembered.
    pub fn remembered(&self) -> usize {
        self.each.len()
    }
}

fn whose(flow: Flow, standing: Standing) -> Whose {
    match standing {
        Standing::Registered => Whose::Phone(flow),
        Standing::Unproven => Whose::Network(Network::of(flow.remote)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ListenerId;

    fn flow(address: &str) -> Flow {
        Flow { local: ListenerId(0), remote: address.parse().unwrap() }
    }

    fn patience() -> Patience {
        Patience::new(&ahash::RandomState::with_seeds(1, 2, 3, 4))
    }

    const NOON: Instant = Instant::from_nanos(3_600_000_000_000);

    fn answers(patience: &mut Patience, now: Instant, from: impl Fn(usize) -> Flow, asked: usize) -> usize {
        (0..asked).filter(|n| patience.spend(now, from(*n), Standing::Unproven).is_ok()).count()
    }

    #[test]
    fn an_address_has_its_burst_then_fifty_a_second_whatever_its_ports() {
        let mut patience = patience();
        let from = |n: usize| flow(&format!("192.0.2.1:{}", 1_024 + n));
        assert_eq!(answers(&mut patience, NOON, from, 2_000), 500);
        assert_eq!(answers(&mut patience, NOON, |_| flow("192.0.2.2:5060"), 10), 10, "its neighbour has its own");
        assert_eq!(answers(&mut patience, NOON + Duration::from_secs(1), from, 2_000), 50);
    }

    #[test]
    fn a_network_of_sixty_four_bits_is_one_source() {
        let mut patience = patience();
        assert_eq!(answers(&mut patience, NOON, |n| flow(&format!("[2001:db8::{n:x}]:5060")), 2_000), 500);
        assert_eq!(answers(&mut patience, NOON, |_| flow("[2001:db8:0:1::1]:5060"), 10), 10);
    }

    #[test]
    fn all_strangers_together_have_a_ceiling_that_registered_phones_do_not_share() {
        let mut patience = patience();
        let from = |n: usize| flow(&format!("10.{}.{}.{}:5060", n >> 16, (n >> 8) & 255, n & 255));
        assert_eq!(answers(&mut patience, NOON, from, 50_000), 10_000);
        assert_eq!(patience.spend(NOON, flow("192.0.2.1:5060"), Standing::Unproven), Err(Silence::Everybody));
        assert_eq!(patience.spend(NOON, flow("192.0.2.1:5060"), Standing::Registered), Ok(()));
        assert!(patience.remembered() <= REMEMBERED);
    }

    #[test]
    fn whoever_proves_itself_costs_nothing() {
        let mut patience = patience();
        for port in 1_024..60_000 {
            let phone = flow(&format!("192.0.2.1:{port}"));
            assert_eq!(patience.spend(NOON, phone, Standing::Unproven), Ok(()), "the phone at {port}");
            patience.proven(phone, Standing::Unproven);
        }
    }

    #[test]
    fn a_million_sources_are_not_remembered() {
        let mut patience = patience();
        for n in 0..1_000_000_u64 {
            let from = flow(&format!("10.{}.{}.{}:5060", n >> 16, (n >> 8) & 255, n & 255));
            let _ = patience.spend(NOON + Duration::from_millis(n), from, Standing::Unproven);
        }
        assert!(patience.remembered() <= REMEMBERED);
    }
}
