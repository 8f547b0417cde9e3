//! Nonces that need no memory to be known again (RFC 7616 §3.3), and the memory of which counts were used on them.
//!
//! A nonce is the moment it was made and a truncated HMAC-SHA-256 over that moment, the algorithm, the source address
//! and the realm: whoever sends one back from elsewhere, for another realm or for another algorithm sends a foreign
//! one. Nothing is kept when a challenge leaves; only credentials that were right make an entry in [`Counts`].
//!
//! Time here is monotonic: a wall clock that jumps makes no nonce older or younger.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::time::Instant;

use super::{Algorithm, hex};

/// How long a nonce serves.
pub(super) const LIFETIME: Duration = Duration::from_secs(300);

/// The most nonces whose counts are remembered.
pub(super) const REMEMBERED: usize = 100_000;

/// How far behind the highest count an unused one is still taken: UDP reorders.
const WINDOW: u32 = 64;

/// Bytes of the HMAC that a nonce carries.
const TAG: usize = 16;

/// Bytes of a nonce before it is written as hexadecimal: the stamp and the tag.
const NONCE: usize = 8 + TAG;

/// When a nonce was made, in nanoseconds of the monotonic clock. Two nonces never share one, so that the stamp names
/// the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u64);

/// What a nonce is good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) realm: &'a str,
    pub(super) source: SocketAddr,
}

/// Makes nonces and knows them again.
#[derive(Clone)]
pub(super) struct Nonces {
    key: Hmac<Sha256>,
    last: Stamp,
}

impl Nonces {
    pub(super) fn new(key: Hmac<Sha256>) -> Nonces {
        Nonces { key, last: Stamp(0) }
    }

    /// A nonce that was never made before.
    pub(super) fn mint(&mut self, now: Instant, scope: Scope<'_>) -> String {
        // Many challenges may leave in one moment; each takes a nanosecond of its own. It would take a thousand
        // million of them a second for the stamps to run ahead of the clock.
        self.last = Stamp(now.as_nanos().max(self.last.0.saturating_add(1)));
        let mut text = hex::text(&self.last.0.to_be_bytes());
        text.push_str(&hex::text(&self.tag(self.last, scope)));
        text
    }

    /// The stamp of a nonce that was made here for that scope; `None` for any other text.
    pub(super) fn read(&self, nonce: &[u8], scope: Scope<'_>) -> Option<Stamp> {
        // Digits of another case are another text, and not what was given: it comes back as it is, or is foreign.
        if nonce.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let bytes: [u8; NONCE] = hex::read(nonce)?;
        let (stamp, tag) = bytes.split_first_chunk::<8>()?;
        let stamp = Stamp(u64::from_be_bytes(*stamp));
        bool::from(self.tag(stamp, scope).ct_eq(tag)).then_some(stamp)
    }

    fn tag(&self, stamp: Stamp, scope: Scope<'_>) -> [u8; TAG] {
        let address = match scope.source.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let mut mac = self.key.clone();
        // Everything before the realm has a fixed length: no two scopes give the same bytes.
        mac.update(b"nonce");
        mac.update(&stamp.0.to_be_bytes());
        mac.update(&[match scope.algorithm {
            Algorithm::Sha256 => 1,
            Algorithm::Md5 => 2,
        }]);
        mac.update(&address.octets());
        mac.update(scope.realm.as_bytes());
        let mut tag = [0; TAG];
        for (to, from) in tag.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
        tag
    }
}

/// What became of a nonce-count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    /// The first time; it is spent now.
    Now,
    /// Before, or so far behind that nobody remembers.
    Before,
    /// The nonce is too old, or older than one that had to be forgotten.
    TooOld,
}

/// Which counts were used on which nonces: at most [`REMEMBERED`] nonces, and only of credentials that were right.
///
/// Forgetting is safe because it is remembered as a moment. When the table is full the nonce made longest ago goes,
/// and with it every nonce made before it, used or not: all of them are stale from then on (their owners retry once,
/// RFC 7616 §3.3 `stale`). So a count can only be accepted on a nonce whose history is complete.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    seen: BTreeMap<Stamp, Seen>,
    /// The youngest nonce whose history was given up while it might still have served.
    forgotten: Option<Stamp>,
    most: usize,
}

/// The counts used on one nonce: the highest, and which of the [`WINDOW`] up to it (bit 0 is the highest itself).
#[derive(Clone, Copy, Debug)]
struct Seen {
    highest: u32,
    used: u64,
}

impl Counts {
    pub(super) fn new(most: usize) -> Counts {
        Counts { seen: BTreeMap::new(), forgotten: None, most }
    }

    /// Spends a count (1 or more) on a nonce of ours. Only for credentials that are right in everything else.
    pub(super) fn spend(&mut self, now: Instant, stamp: Stamp, count: u32) -> Used {
        if is_over(now, stamp) || self.forgotten.is_some_and(|forgotten| stamp <= forgotten) {
            return Used::TooOld;
        }
        if let Some(seen) = self.seen.get_mut(&stamp) {
            return seen.spend(count);
        }
        while self.seen.first_key_value().is_some_and(|(oldest, _)| is_over(now, *oldest)) {
            self.seen.pop_first();
        }
        self.seen.insert(stamp, Seen { highest: count, used: 1 });
        if self.seen.len() > self.most {
            // This may be the very nonce that was just accepted: then it has served for the last time.
            self.forgotten = self.seen.pop_first().map(|(oldest, _)| oldest);
        }
        Used::Now
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}

impl Seen {
    fn spend(&mut self, count: u32) -> Used {
        if count > self.highest {
            let ahead = count - self.highest;
            self.used = self.used.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return Used::Now;
        }
        let behind = self.highest - count;
        if behind >= WINDOW || self.used & (1 << behind) != 0 {
            return Used::Before;
        }
        self.used |= 1 << behind;
        Used::Now
    }
}

/// Whether a nonce has served its time.
fn is_over(now: Instant, stamp: Stamp) -> bool {
    now.since(Instant::from_nanos(stamp.0)) >= LIFETIME
}

#[cfg(test)]
mod tests {
    use hmac::KeyInit as _;

    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000_000);

    fn nonces() -> Nonces {
        Nonces::new(Hmac::new_from_slice(&[7; 32]).unwrap())
    }

    fn scope(source: &str) -> Scope<'_> {
        Scope { algorithm: Algorithm::Sha256, realm: "acme.example", source: source.parse().unwrap() }
    }

    #[test]
    fn no_two_nonces_of_one_moment_are_equal() {
        let mut nonces = nonces();
        let made: std::collections::BTreeSet<_> =
            (0..100).map(|_| nonces.mint(START, scope("192.0.2.1:5060"))).collect();
        assert_eq!(made.len(), 100);
    }

    #[test]
    fn a_nonce_is_known_again_only_in_its_scope() {
        let mut nonces = nonces();
        let here = scope("192.0.2.1:5060");
        let nonce = nonces.mint(START, here);
        assert!(nonces.read(nonce.as_bytes(), here).is_some());
        let moved_port = scope("192.0.2.1:1024");
        assert!(nonces.read(nonce.as_bytes(), moved_port).is_some(), "a NAT may choose another port");
        let mapped = scope("[::ffff:192.0.2.1]:5060");
        assert!(nonces.read(nonce.as_bytes(), mapped).is_some(), "the same address on an IPv6 socket");
        assert!(nonces.read(nonce.as_bytes(), scope("192.0.2.2:5060")).is_none());
        assert!(nonces.read(nonce.as_bytes(), Scope { realm: "globex.example", ..here }).is_none());
        assert!(nonces.read(nonce.as_bytes(), Scope { algorithm: Algorithm::Md5, ..here }).is_none());
        let elsewhere = Nonces::new(Hmac::new_from_slice(&[8; 32]).unwrap());
        assert!(elsewhere.read(nonce.as_bytes(), here).is_none(), "another key");
    }

    #[test]
    fn a_nonce_changed_in_any_digit_is_foreign() {
        let mut nonces = nonces();
        let here = scope("192.0.2.1:5060");
        let nonce = nonces.mint(START, here).into_bytes();
        for position in 0..nonce.len() {
            let mut changed = nonce.clone();
            changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
            assert!(nonces.read(&changed, here).is_none(), "digit {position}");
        }
        assert!(nonce.iter().any(u8::is_ascii_lowercase));
        assert!(nonces.read(&nonce.to_ascii_uppercase(), here).is_none(), "the same bytes, and another text");
        assert!(nonces.read(&nonce[..nonce.len() - 1], here).is_none());
        assert!(nonces.read(b"", here).is_none());
    }

    #[test]
    fn counts_may_come_out_of_order_inside_the_window_and_once_each() {
        let mut counts = Counts::new(10);
        let nonce = Stamp(START.as_nanos());
        for count in [1, 3, 2, 70, 8, 7] {
            assert_eq!(counts.spend(START, nonce, count), Used::Now, "{count}");
        }
        for count in [1, 2, 3, 70, 8, 7] {
            assert_eq!(counts.spend(START, nonce, count), Used::Before, "{count} again");
        }
        assert_eq!(counts.spend(START, nonce, 6), Used::Before, "64 behind the highest: nobody remembers");
    }

    #[test]
    fn a_leap_of_the_count_forgets_nothing_wrongly() {
        for ahead in [63, 64, 65, u32::MAX - 1] {
            let mut counts = Counts::new(10);
            let nonce = Stamp(START.as_nanos());
            assert_eq!(counts.spend(START, nonce, 1), Used::Now);
            assert_eq!(counts.spend(START, nonce, 1 + ahead), Used::Now);
            assert_eq!(counts.spend(START, nonce, 1), Used::Before, "{ahead} ahead");
            assert_eq!(counts.spend(START, nonce, ahead), Used::Now, "the one just below the highest is unused");
        }
    }

    #[test]
    fn every_count_of_every_order_is_accepted_once() {
        proptest::proptest!(|(order in proptest::collection::vec(1_u32..200, 1..300))| {
            let mut counts = Counts::new(10);
            let mut accepted = std::collections::BTreeSet::new();
            let mut highest = 0;
            for count in order {
                let fresh = !accepted.contains(&count) && count + WINDOW > highest;
                let used = counts.spend(START, Stamp(START.as_nanos()), count);
                proptest::prop_assert_eq!(used == Used::Now, fresh);
                accepted.insert(count);
                highest = highest.max(count);
            }
        });
    }

    #[test]
    fn a_nonce_serves_for_its_lifetime_and_no_longer() {
        let mut counts = Counts::new(10);
        let nonce = Stamp(START.as_nanos());
        let end = START + LIFETIME;
        assert_eq!(counts.spend(Instant::from_nanos(end.as_nanos() - 1), nonce, 1), Used::Now);
        assert_eq!(counts.spend(end, nonce, 2), Used::TooOld);
    }

    #[test]
    fn a_forgotten_nonce_is_too_old_and_so_is_every_older_one() {
        let mut counts = Counts::new(3);
        let stamp = |n: u64| Stamp(START.as_nanos() + n);
        for n in [1, 3, 5, 7] {
            assert_eq!(counts.spend(START, stamp(n), 1), Used::Now);
        }
        assert_eq!(counts.len(), 3);
        assert_eq!(counts.spend(START, stamp(1), 1), Used::TooOld, "a replay on the forgotten nonce");
        assert_eq!(counts.spend(START, stamp(1), 2), Used::TooOld, "a new count on it");
        assert_eq!(counts.spend(START, stamp(0), 1), Used::TooOld, "an older one that was never used");
        assert_eq!(counts.spend(START, stamp(2), 1), Used::Now, "a younger one that was never used");
        assert_eq!(counts.len(), 3, "which was the oldest, and is forgotten at once");
        assert_eq!(counts.spend(START, stamp(2), 1), Used::TooOld);
        assert_eq!(counts.spend(START, stamp(3), 1), Used::Before);
    }

    #[test]
    fn old_nonces_make_room_without_being_in_the_way() {
        let mut counts = Counts::new(2);
        counts.spend(START, Stamp(START.as_nanos()), 1);
        counts.spend(START, Stamp(START.as_nanos() + 1), 1);
        let later = START + LIFETIME + Duration::from_secs(1);
        assert_eq!(counts.spend(later, Stamp(later.as_nanos()), 1), Used::Now);
        assert_eq!(counts.len(), 1);
        let between = Stamp(later.as_nanos() - 1);
        assert_eq!(counts.spend(later, between, 1), Used::Now, "nothing was given up early");
    }
}
