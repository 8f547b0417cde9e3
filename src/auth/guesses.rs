//! Slows password guesses down (checklists §2 class 9), without anybody hearing of it and without locking the user out.
//!
//! Wrong answers are counted for each pair of an account and the network they come from. After a few, the pair's
//! answers are not looked at any more for a time that doubles with each further wrong one; what is answered
//! meanwhile is what a wrong password is answered. So a guesser learns a handful of words, then one a minute; the user,
//! elsewhere, is another pair and notices nothing. An account or a network from which very many wrong answers came
//! makes its new pairs wait after the first one: that is what guessing from many places, or many names, comes to.
//!
//! Who can forge a source address must not make its owner wait. A nonce is bound to the address it was sent to, so that
//! an answer with one of ours was made by somebody who receives there. Answers with other nonces are counted
//! apart, and only against others of their kind: they get a fresh challenge, which the owner can answer.
//!
//! An account is a name in a company, whether a user has it or not (invariant 22). Memory is bounded whatever comes.

use std::time::Duration;

use crate::flow::Network;
use crate::time::Instant;

use super::bucket::{Bucket, Rate};
use super::recent::Recent;

/// Wrong answers of one pair that cost nothing: somebody who types a password needs a few.
const FREE: u32 = 8;

/// The same where the account or the network is under attack.
const FREE_UNDER_ATTACK: u32 = 1;

/// The first wait; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(64);

/// The longest wait of another port than the last wrong answer came from: another device behind the same address, perhaps the user's.
const LONGEST_WAIT_OF_ANOTHER: Duration = Duration::from_secs(8);

/// Without a wrong answer for this long, a pair begins anew.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);

/// Beyond this an account, or a network, is under attack.
const ATTACK: Rate = Rate { burst: 60, every: Duration::from_secs(10) };

/// The most pairs remembered, and as many accounts and networks: about 6 MB in all.
const REMEMBERED: usize = 32_768;

/// Where a nonce comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Minted {
    /// We sent it to that address.
    Here,
    /// Made by nobody, or sent to another address, or before the last start.
    Elsewhere,
}

/// Somebody's answer to a challenge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    /// A hash of the company and the name.
    pub(super) account: u64,
    pub(super) network: Network,
    pub(super) port: u16,
    pub(super) minted: Minted,
}

/// Whether an answer is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Yes,
    NotNow,
}

/// The wrong answers of one pair.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    last: Instant,
    /// Where the last came from.
    port: u16,
}

/// Who has been wrong, and how often.
#[derive(Clone, Debug)]
pub(super) struct Guesses {
    pairs: Recent<(u64, Network, Minted), Wrong>,
    accounts: Recent<u64, Bucket>,
    networks: Recent<Network, Bucket>,
    hashing: ahash::RandomState,
}

impl Guesses {
    pub(super) fn new(hashing: ahash::RandomState) -> Guesses {
        Guesses {
            pairs: Recent::new(REMEMBERED, &hashing),
            accounts: Recent::new(REMEMBERED, &hashing),
            networks: Recent::new(REMEMBERED, &hashing),
            hashing,
        }
    }

    /// The account of that name.
    pub(super) fn account(&self, realm: &str, name: &[u8]) -> u64 {
        self.hashing.hash_one((realm, name))
    }

    /// Whether that answer is to be looked at now.
    pub(super) fn look(&self, now: Instant, guess: Guess) -> Look {
        let Some(wrong) = self.pairs.seen(&guess.pair()).filter(|wrong| now.since(wrong.last) < FORGIVEN) else {
            return Look::Yes;
        };
        let Some(over) = wrong.count.checked_sub(self.free(now, guess)) else { return Look::Yes };
        let longest = if guess.port == wrong.port { LONGEST_WAIT } else { LONGEST_WAIT_OF_ANOTHER };
        let wait = (FIRST_WAIT * 2_u32.saturating_pow(over.min(16))).min(longest);
        if now.since(wrong.last) < wait { Look::NotNow } else { Look::Yes }
    }

    /// It was looked at, and wrong.
    pub(super) fn wrong(&mut self, now: Instant, guess: Guess) {
        let before = self.pairs.seen(&guess.pair()).filter(|wrong| now.since(wrong.last) < FORGIVEN);
        let count = before.map_or(0, |wrong| wrong.count).saturating_add(1);
        self.pairs.put(guess.pair(), Wrong { count, last: now, port: guess.port });
        match guess.minted {
            Minted::Here => {
                let account = self.accounts.seen(&guess.account).unwrap_or_default();
                self.accounts.put(guess.account, account.less(now, ATTACK));
                let network = self.networks.seen(&guess.network).unwrap_or_default();
                self.networks.put(guess.network, network.less(now, ATTACK));
            }
            Minted::Elsewhere => {}
        }
    }

    fn free(&self, now: Instant, guess: Guess) -> u32 {
        let account = self.accounts.seen(&guess.account).is_some_and(|bucket| bucket.is_empty(now, ATTACK));
        let network = self.networks.seen(&guess.network).is_some_and(|bucket| bucket.is_empty(now, ATTACK));
        if account || network { FREE_UNDER_ATTACK } else { FREE }
    }

    /// How many entries there are.
    pub(super) fn remembered(&self) -> usize {
        self.pairs.len() + self.accounts.len() + self.networks.len()
    }
}

impl Guess {
    fn pair(self) -> (u64, Network, Minted) {
        (self.account, self.network, self.minted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Instant = Instant::from_nanos(43_200_000_000_000);

    fn guesses() -> Guesses {
        Guesses::new(ahash::RandomState::with_seeds(1, 2, 3, 4))
    }

    fn guess(account: u64, source: &str) -> Guess {
        let source: std::net::SocketAddr = source.parse().unwrap();
        Guess { account, network: Network::of(source), port: source.port(), minted: Minted::Here }
    }

    /// Guesses `rate` times a second for so long, all of them wrong: how many were looked at.
    fn attack(guesses: &mut Guesses, from: impl Fn(u64) -> Guess, rate: u64, seconds: u64) -> u64 {
        let mut looked_at = 0;
        for n in 0..rate * seconds {
            let now = NOON + Duration::from_nanos(n * 1_000_000_000 / rate);
            if guesses.look(now, from(n)) == Look::Yes {
                looked_at += 1;
                guesses.wrong(now, from(n));
            }
        }
        looked_at
    }

    #[test]
    fn one_guesser_gets_a_handful_then_one_a_minute() {
        let mut guesses = guesses();
        let looked_at = attack(&mut guesses, |_| guess(221, "192.0.2.1:5060"), 1_000, 1_000);
        assert!((20..=30).contains(&looked_at), "{looked_at} of a million");
    }

    #[test]
    fn many_ports_of_one_address_are_one_guesser() {
        let mut guesses = guesses();
        let from = |n: u64| Guess { port: (n % 60_000) as u16, ..guess(221, "192.0.2.1:0") };
        let looked_at = attack(&mut guesses, from, 1_000, 1_000);
        assert!(looked_at < 150, "{looked_at} of a million");
    }

    #[test]
    fn many_sources_get_one_guess_each_once_the_account_is_under_attack() {
        let mut guesses = guesses();
        let from = |n: u64| guess(221, &format!("10.0.{}.{}:5060", (n / 250) % 4, 1 + n % 250));
        let looked_at = attack(&mut guesses, from, 1_000, 60);
        // 1,000 sources, 60 seconds: the waits of 1, 2, 4, 8, 16 s, and what was free before it was noticed.
        assert!(looked_at < 1_000 * 7 + 100, "{looked_at}");
        let owner = guess(221, "192.0.2.99:5060");
        assert_eq!(guesses.look(NOON + Duration::from_secs(60), owner), Look::Yes, "the user is not locked out");
    }

    #[test]
    fn trying_one_word_on_many_names_is_noticed() {
        let mut guesses = guesses();
        attack(&mut guesses, |n| guess(n, "192.0.2.1:5060"), 100, 1);
        let now = NOON + Duration::from_secs(2);
        let next = guess(5_000, "192.0.2.1:5060");
        assert_eq!(guesses.look(now, next), Look::Yes, "a colleague behind the same address is not locked out");
        guesses.wrong(now, next);
        assert_eq!(guesses.look(now, next), Look::NotNow, "and has one free guess in place of eight");
    }

    #[test]
    fn a_phone_with_the_wrong_password_does_not_keep_its_neighbours_out() {
        let mut guesses = guesses();
        let wrong = guess(221, "192.0.2.1:5060");
        attack(&mut guesses, |_| wrong, 1, 3_600);
        let now = NOON + Duration::from_secs(3_600);
        assert_eq!(guesses.look(now, guess(222, "192.0.2.1:5061")), Look::Yes, "another user's phone");
        let other = guess(221, "192.0.2.1:5062");
        let waits = (0..60).find(|s| guesses.look(now + Duration::from_secs(*s), other) == Look::Yes);
        assert!(waits.is_some_and(|seconds| seconds <= 8), "another phone of the same user's: {waits:?}");
    }

    #[test]
    fn forged_answers_do_not_make_the_owner_wait() {
        let mut guesses = guesses();
        let forged = Guess { minted: Minted::Elsewhere, ..guess(221, "192.0.2.1:5060") };
        let looked_at = attack(&mut guesses, |_| forged, 1_000, 60);
        assert!(looked_at < 20, "{looked_at}");
        let owner = guess(221, "192.0.2.1:5060");
        assert_eq!(guesses.look(NOON + Duration::from_secs(60), owner), Look::Yes);
        assert_eq!(guesses.free(NOON + Duration::from_secs(60), owner), FREE);
    }

    #[test]
    fn the_wait_is_over_when_the_guessing_is() {
        let mut guesses = guesses();
        let one = guess(221, "192.0.2.1:5060");
        attack(&mut guesses, |_| one, 1_000, 600);
        let end = NOON + Duration::from_secs(600);
        assert_eq!(guesses.look(end + LONGEST_WAIT, one), Look::Yes);
        guesses.wrong(end + LONGEST_WAIT, one);
        assert_eq!(guesses.look(end + LONGEST_WAIT + FORGIVEN, one), Look::Yes);
        guesses.wrong(end + LONGEST_WAIT + FORGIVEN, one);
        assert_eq!(guesses.look(end + LONGEST_WAIT + FORGIVEN, one), Look::Yes, "a pair begins anew");
    }

    #[test]
    fn memory_is_bounded_by_any_number_of_names_and_sources() {
        let mut guesses = guesses();
        for n in 0..300_000_u64 {
            let source = format!("10.{}.{}.{}:5060", n >> 16, (n >> 8) & 255, n & 255);
            guesses.wrong(NOON + Duration::from_millis(n), guess(n, &source));
        }
        assert!(guesses.remembered() <= 3 * REMEMBERED);
    }
}
