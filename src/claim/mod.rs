//! Claims (R-7): the right to ring or talk to one person, owned by exactly one call. Knows no SIP.
//!
//! ```text
//!                 take, dial            answered
//!        (free) ─────────────▶ Ringing ──────────▶ OnCall
//!          ▲  ▲                   │ release          │ wrap_up
//!          │  └───────────────────┴──── release ─────┤
//!          └───────── expire ──────── WrapUp ◀───────┘
//! ```
//!
//! Whoever owns a claim lets it go; nobody else can. Wrap-up is owned by nobody any more and ends by the clock, or
//! when the person makes a call.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use crate::id::{CallRef, CompanyId, Map, PersonId, UserId};
use crate::time::{Instant, Now, WallTime};

/// What a claim is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The person is being rung (or is dialling, R-7.2).
    Ringing,
    /// The person is on an answered call.
    OnCall,
    /// The call is over, the person still unavailable until then (R-5.8).
    WrapUp {
        /// End of wrap-up.
        until: Instant,
        /// The same, for people.
        until_wall: WallTime,
    },
}

/// A claim that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The call that owns it (in wrap-up: the call that is over).
    pub call: CallRef,
    /// As which user, and so for which company, the person was claimed.
    pub user: UserId,
    /// What for.
    pub hold: Hold,
    /// Since when it is held for that.
    pub since: WallTime,
}

/// All claims.
#[derive(Clone, Debug)]
pub struct Claims {
    table: Map<PersonId, Claim>,
    /// Every wrap-up in the table, by its end.
    wrap_ups: BTreeSet<(Instant, PersonId)>,
    /// Other names under which a call holds a person, since a reload said that somebody it holds is (also) them.
    renamed: BTreeMap<(PersonId, CallRef), BTreeSet<PersonId>>,
    /// Who a user is now, where a reload has changed that: calls under an older plan still say who it was.
    known_as: BTreeMap<UserId, PersonId>,
    /// Whose claims have changed since [`Claims::changes`] was asked last.
    changed: BTreeSet<PersonId>,
}

impl Claim {
    /// Whether it stands in the way of an offer: a wrap-up that is over does not, even before it is cleared away.
    pub fn stands(&self, now: Instant) -> bool {
        match self.hold {
            Hold::Ringing | Hold::OnCall => true,
            Hold::WrapUp { until, .. } => now < until,
        }
    }
}

impl Claims {
    /// None held. `hashing` keys the table.
    pub fn new(hashing: ahash::RandomState) -> Claims {
        Claims {
            table: Map::with_hasher(hashing),
            wrap_ups: BTreeSet::new(),
            renamed: BTreeMap::new(),
            known_as: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// The persons whose claims have changed since this was asked last (sorted), each with its claim now.
    pub fn changes(&mut self) -> impl Iterator<Item = (PersonId, Option<&Claim>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|person| {
            let claim = self.table.get(&person);
            (person, claim)
        })
    }

    /// Has a person's claim told by [`Claims::changes`], whatever it is.
    pub fn touch(&mut self, person: &PersonId) {
        self.changed.insert(person.clone());
    }

    /// Puts a claim back that outlived a restart (R-7.4). `false`: another call holds the person already, and nothing has
    /// changed.
    pub fn restore(&mut self, person: &PersonId, claim: Claim) -> bool {
        let free = self.table.get(person).is_none_or(|held| !held.is_held() && claim.is_held());
        if free {
            self.put(person, claim);
        }
        free
    }

    /// Takes a free person's claim for ringing. (A person in wrap-up is not free but for a call of its own making: `dial`.)
    ///
    /// # Errors
    /// The claim that stands in the way; nothing has changed.
    pub fn take(&mut self, now: Now, person: &PersonId, call: CallRef, user: &UserId) -> Result<(), Claim> {
        if let Some(claim) = self.in_the_way(now.mono, person, user) {
            return Err(claim.clone());
        }
        self.hold(now, person, call, user);
        Ok(())
    }

    /// Takes the claim of a person who makes a call (R-7.2): like `take`, but wrap-up does not stand in the way.
    ///
    /// # Errors
    /// The claim that stands in the way; nothing has changed.
    pub fn dial(&mut self, now: Now, person: &PersonId, call: CallRef, user: &UserId) -> Result<(), Claim> {
        if let Some(claim) = self.in_the_way(now.mono, person, user).filter(|claim| claim.is_held()) {
            return Err(claim.clone());
        }
        self.hold(now, person, call, user);
        Ok(())
    }

    /// The call's claim on the person is now for talking. Ignored where the call does not hold it, or talks already.
    pub fn answered(&mut self, now: Now, person: &PersonId, call: CallRef) {
        for name in self.names(person, call) {
            if let Some(claim) = self.table.get_mut(&name)
                && claim.call == call
                && claim.hold == Hold::Ringing
            {
                claim.hold = Hold::OnCall;
                claim.since = now.wall;
                self.changed.insert(name);
            }
        }
    }

    /// The call lets go of the person without wrap-up. Ignored where the call does not hold it (a call in whose
    /// wrap-up the person is has let go already). The names under which the person may be free now.
    pub fn release(&mut self, person: &PersonId, call: CallRef) -> SmallVec<[PersonId; 1]> {
        let names = self.names(person, call);
        for name in &names {
            if self.is_held_by(name, call) {
                self.table.remove(name);
                self.changed.insert(name.clone());
            }
        }
        self.renamed.remove(&(person.clone(), call));
        names
    }

    /// Whether the call holds the person, ringing or talking.
    pub fn is_held_by(&self, person: &PersonId, call: CallRef) -> bool {
        self.table.get(person).is_some_and(|claim| claim.call == call && claim.is_held())
    }

    /// The call lets go of the person, who stays in wrap-up for that long (zero: is free at once).
    /// Ignored where the call does not hold the person. The names under which the person may be free now.
    pub fn wrap_up(
        &mut self,
        now: Now,
        person: &PersonId,
        call: CallRef,
        length: std::time::Duration,
    ) -> SmallVec<[PersonId; 1]> {
        let names = self.names(person, call);
        for name in &names {
            if !self.is_held_by(name, call) {
                continue;
            }
            self.changed.insert(name.clone());
            let Some(mut claim) = self.table.remove(name).filter(|_| !length.is_zero()) else { continue };
            claim.hold = Hold::WrapUp { until: now.mono + length, until_wall: now.wall + length };
            claim.since = now.wall;
            self.put(name, claim);
        }
        self.renamed.remove(&(person.clone(), call));
        names
    }

    /// What stands in the way of ringing a user, looked for under the name its call's plan has for the person and under
    /// today's.
    pub fn in_the_way(&self, now: Instant, person: &PersonId, user: &UserId) -> Option<&Claim> {
        let today = self.known_as.get(user).filter(|today| *today != person);
        [Some(person), today]
            .into_iter()
            .flatten()
            .filter_map(|name| self.table.get(name))
            .find(|claim| claim.stands(now))
    }

    fn hold(&mut self, now: Now, person: &PersonId, call: CallRef, user: &UserId) {
        let claim = Claim { call, user: user.clone(), hold: Hold::Ringing, since: now.wall };
        if let Some(today) = self.known_as.get(user).filter(|today| *today != person).cloned() {
            self.renamed.entry((person.clone(), call)).or_default().insert(today.clone());
            self.put(&today, claim.clone());
        }
        self.put(person, claim);
    }

    /// A reload may say that users are other persons than before (R-9: claims are kept). Whoever is held is then held under
    /// the new name too, as long as under the old one, and calls that began before take both. A person held by two calls
    /// already stays with the one that has the name. `person_of` says who a user is now, `changed` whose person is another
    /// than under the plan before. The names that nobody holds any more.
    pub fn rename(
        &mut self,
        person_of: impl Fn(&UserId) -> Option<PersonId>,
        changed: impl Iterator<Item = (UserId, PersonId)>,
    ) -> Vec<PersonId> {
        self.known_as.extend(changed);
        let freed = self.forget_mistaken_names(&person_of);
        let claims: Vec<(PersonId, Claim)> =
            self.all().into_iter().map(|(person, claim)| (person.clone(), claim.clone())).collect();
        for (person, claim) in claims {
            let Some(name) = person_of(&claim.user).filter(|name| *name != person) else { continue };
            if self.table.contains_key(&name) {
                continue;
            }
            if claim.is_held() {
                // The engine lets go under the name it took the claim by. That is this one: of the names given since, those are
                // left that are still right.
                self.renamed.entry((person, claim.call)).or_default().insert(name.clone());
            }
            self.put(&name, claim);
        }
        freed
    }

    /// Names that a reload gave a held person and the next took back (a typing error, corrected) hold nobody.
    fn forget_mistaken_names(&mut self, person_of: impl Fn(&UserId) -> Option<PersonId>) -> Vec<PersonId> {
        let mut freed = Vec::new();
        for ((_, call), names) in &mut self.renamed {
            names.retain(|name| {
                let Some(claim) = self.table.get(name).filter(|claim| claim.call == *call) else { return false };
                let still = person_of(&claim.user).as_ref() == Some(name);
                if !still {
                    freed.push(name.clone());
                }
                still
            });
        }
        self.renamed.retain(|_, names| !names.is_empty());
        for name in &freed {
            self.table.remove(name);
            self.changed.insert(name.clone());
        }
        freed
    }

    /// The name a claim was taken by, and all it has been given since.
    fn names(&self, person: &PersonId, call: CallRef) -> SmallVec<[PersonId; 1]> {
        let mut names: SmallVec<[PersonId; 1]> = std::iter::once(person.clone()).collect();
        if !self.renamed.is_empty()
            && let Some(others) = self.renamed.get(&(person.clone(), call))
        {
            names.extend(others.iter().cloned());
        }
        names
    }

    /// The claim on a person, if there is one (perhaps a wrap-up that is over: see [`Claim::stands`]).
    pub fn of(&self, person: &PersonId) -> Option<&Claim> {
        self.table.get(person)
    }

    /// When the next wrap-up ends.
    pub fn deadline(&self) -> Option<Instant> {
        self.wrap_ups.first().map(|(until, _)| *until)
    }

    /// Ends every wrap-up that is over; the persons who became free, in the order their wrap-ups ended.
    pub fn expire(&mut self, now: Instant) -> Vec<PersonId> {
        let mut freed = Vec::new();
        while let Some((until, person)) = self.wrap_ups.pop_first() {
            if now < until {
                self.wrap_ups.insert((until, person));
                break;
            }
            self.table.remove(&person);
            self.changed.insert(person.clone());
            freed.push(person);
        }
        freed
    }

    /// All claims held, by person (sorted).
    pub fn all(&self) -> Vec<(&PersonId, &Claim)> {
        let mut all: Vec<_> = self.table.iter().collect();
        all.sort_unstable_by_key(|(person, _)| *person);
        all
    }

    /// A copy that knows of those persons only, each under the name its plan has and today's: to ask what would be.
    pub fn copy_of<'a>(&self, who: impl Iterator<Item = (&'a PersonId, &'a UserId)>) -> Claims {
        let mut copy = Claims::new(self.table.hasher().clone());
        for (person, user) in who {
            let today = self.known_as.get(user);
            if let Some(today) = today {
                copy.known_as.insert(user.clone(), today.clone());
            }
            for name in [Some(person), today].into_iter().flatten() {
                // Of several users of one person, once: a claim put in its own place would lose its wrap-up.
                if let Some(claim) = self.table.get(name).filter(|_| !copy.table.contains_key(name)) {
                    copy.put(name, claim.clone());
                }
            }
        }
        copy
    }

    /// How many are held, wrap-ups not counted: for `audit()`.
    pub fn held(&self) -> usize {
        self.table.len().saturating_sub(self.wrap_ups.len())
    }

    /// Puts a claim in place of whatever was there.
    fn put(&mut self, person: &PersonId, claim: Claim) {
        if let Hold::WrapUp { until, .. } = claim.hold {
            self.wrap_ups.insert((until, person.clone()));
        }
        let before = self.table.insert(person.clone(), claim);
        self.changed.insert(person.clone());
        if let Some(Claim { hold: Hold::WrapUp { until, .. }, .. }) = before {
            self.wrap_ups.remove(&(until, person.clone()));
        }
    }
}

impl Claim {
    /// Whether its call still goes on.
    fn is_held(&self) -> bool {
        match self.hold {
            Hold::Ringing | Hold::OnCall => true,
            Hold::WrapUp { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::id::Extension;

    fn claims() -> Claims {
        Claims::new(ahash::RandomState::with_seeds(1, 2, 3, 4))
    }

    fn user(extension: &str, company: &str) -> UserId {
        UserId::new(&CompanyId::new(company), &Extension::new(extension))
    }

    fn second(seconds: u64) -> Now {
        Now::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn two_calls_never_hold_one_person() {
        let (mut claims, asha) = (claims(), PersonId::new("asha"));
        claims.take(second(1), &asha, CallRef(1), &user("221", "acme")).unwrap();
        let held = claims.take(second(2), &asha, CallRef(2), &user("305", "globex")).unwrap_err();
        assert_eq!((held.call, held.hold, held.user), (CallRef(1), Hold::Ringing, user("221", "acme")));
        assert!(claims.dial(second(2), &asha, CallRef(2), &user("305", "globex")).is_err());
        assert!(claims.take(second(2), &asha, CallRef(1), &user("305", "globex")).is_err(), "nor one call twice");
        claims.release(&asha, CallRef(2));
        claims.answered(second(3), &asha, CallRef(2));
        claims.wrap_up(second(3), &asha, CallRef(2), Duration::from_secs(5));
        assert_eq!(claims.of(&asha).unwrap().hold, Hold::Ringing, "a stranger to the claim changes nothing");
        assert_eq!(claims.of(&asha).unwrap().since, second(1).wall);
    }

    #[test]
    fn a_copy_knows_of_those_persons_only_and_when_their_wrap_ups_end() {
        let mut claims = claims();
        let (asha, ravi) = (PersonId::new("asha"), PersonId::new("ravi"));
        let (at_acme, at_globex) = (user("221", "acme"), user("305", "globex"));
        claims.take(second(1), &asha, CallRef(1), &at_acme).unwrap();
        claims.wrap_up(second(2), &asha, CallRef(1), Duration::from_secs(5));
        claims.take(second(1), &ravi, CallRef(2), &user("222", "acme")).unwrap();
        // Two users of one person.
        let mut copy = claims.copy_of([(&asha, &at_acme), (&asha, &at_globex)].into_iter());
        assert_eq!((copy.of(&asha), copy.of(&ravi)), (claims.of(&asha), None));
        assert_eq!(copy.deadline(), Some(second(7).mono));
        assert_eq!(copy.expire(second(7).mono), std::slice::from_ref(&asha));
        assert!(claims.of(&asha).is_some(), "a copy");
        // Who a user is since a reload, too.
        let renamed = PersonId::new("asha-rao");
        claims.rename(|id| (*id == at_acme).then(|| renamed.clone()), [(at_acme.clone(), renamed.clone())].into_iter());
        let copy = claims.copy_of([(&asha, &at_acme)].into_iter());
        assert!(copy.in_the_way(second(3).mono, &asha, &at_acme).is_some());
        assert!(copy.of(&renamed).is_some());
    }

    #[test]
    fn ringing_becomes_talking_then_wrap_up_then_free() {
        let (mut claims, asha) = (claims(), PersonId::new("asha"));
        claims.take(second(1), &asha, CallRef(1), &user("221", "acme")).unwrap();
        claims.answered(second(5), &asha, CallRef(1));
        claims.answered(second(6), &asha, CallRef(1));
        assert_eq!(claims.of(&asha).unwrap().since, second(5).wall, "a repeated answer changes nothing");
        assert_eq!((claims.held(), claims.deadline()), (1, None));
        claims.wrap_up(second(9), &asha, CallRef(1), Duration::from_secs(10));
        assert_eq!((claims.held(), claims.deadline()), (0, Some(second(19).mono)));
        claims.release(&asha, CallRef(1));
        assert!(claims.take(second(18), &asha, CallRef(2), &user("221", "acme")).is_err());
        assert_eq!(claims.expire(second(18).mono), []);
        assert_eq!(claims.expire(second(19).mono), std::slice::from_ref(&asha));
        assert_eq!(claims.of(&asha), None);
        claims.take(second(19), &asha, CallRef(2), &user("221", "acme")).unwrap();
    }

    /// R-9: a reload says that Asha is also known by another name, and a later one says nothing new.
    #[test]
    fn a_claim_under_two_names_ends_under_both_whatever_reloads_come_between() {
        let (mut claims, at_acme) = (claims(), user("221", "acme"));
        let (old, new) = (PersonId::new("asha"), PersonId::new("asha-rao"));
        let today = |id: &UserId| (*id == at_acme).then(|| new.clone());
        claims.take(second(1), &old, CallRef(1), &at_acme).unwrap();
        assert_eq!(claims.rename(today, [(at_acme.clone(), new.clone())].into_iter()), []);
        assert!(claims.is_held_by(&new, CallRef(1)) && claims.is_held_by(&old, CallRef(1)));
        assert_eq!(claims.rename(today, std::iter::empty()), []);
        assert_eq!(claims.release(&old, CallRef(1)).as_slice(), [old.clone(), new.clone()]);
        assert!(claims.all().is_empty(), "{claims:?}");

        // A call that keeps the plan from before the reload (R-9) knows the old name only, and claims both.
        claims.take(second(2), &old, CallRef(2), &at_acme).unwrap();
        assert!(claims.is_held_by(&new, CallRef(2)) && claims.is_held_by(&old, CallRef(2)));
        assert!(claims.take(second(2), &new, CallRef(3), &at_acme).is_err(), "R-7: one call a person");
        claims.release(&old, CallRef(2));
        // One with today's plan claims today's name.
        claims.take(second(3), &new, CallRef(3), &at_acme).unwrap();
        assert_eq!((claims.of(&old), claims.held()), (None, 1));
    }

    #[test]
    fn a_wrap_up_that_is_over_stands_in_nobodys_way() {
        let (mut claims, asha) = (claims(), PersonId::new("asha"));
        claims.take(second(1), &asha, CallRef(1), &user("221", "acme")).unwrap();
        claims.wrap_up(second(2), &asha, CallRef(1), Duration::from_secs(10));
        claims.take(second(12), &asha, CallRef(2), &user("221", "acme")).unwrap();
        assert_eq!(claims.expire(second(20).mono), [], "the wrap-up went with the new claim");
        assert_eq!(claims.of(&asha).unwrap().call, CallRef(2));
    }

    #[test]
    fn a_person_in_wrap_up_may_dial() {
        let (mut claims, asha) = (claims(), PersonId::new("asha"));
        claims.take(second(1), &asha, CallRef(1), &user("221", "acme")).unwrap();
        claims.wrap_up(second(2), &asha, CallRef(1), Duration::from_secs(10));
        claims.dial(second(3), &asha, CallRef(2), &user("221", "acme")).unwrap();
        assert_eq!((claims.held(), claims.deadline()), (1, None));
    }

    #[test]
    fn wrap_up_of_no_length_is_none() {
        let (mut claims, asha) = (claims(), PersonId::new("asha"));
        claims.take(second(1), &asha, CallRef(1), &user("221", "acme")).unwrap();
        claims.wrap_up(second(2), &asha, CallRef(1), Duration::ZERO);
        assert!(claims.all().is_empty());
    }

    #[test]
    fn persons_are_freed_in_the_order_their_wrap_ups_end() {
        let mut claims = claims();
        for (name, call, length) in [("asha", 1, 30), ("ravi", 2, 10), ("lena", 3, 20)] {
            let person = PersonId::new(name);
            claims.take(second(1), &person, CallRef(call), &user("221", "acme")).unwrap();
            claims.wrap_up(second(1), &person, CallRef(call), Duration::from_secs(length));
        }
        let freed: Vec<_> = claims.expire(second(60).mono).iter().map(ToString::to_string).collect();
        assert_eq!(freed, ["ravi", "lena", "asha"]);
    }

    #[test]
    fn every_change_is_told_once_as_it_is_in_the_end() {
        let (mut claims, asha) = (claims(), PersonId::new("asha"));
        let told = |claims: &mut Claims| -> Vec<(String, Option<Hold>)> {
            claims.changes().map(|(person, claim)| (person.to_string(), claim.map(|claim| claim.hold))).collect()
        };
        claims.take(second(1), &asha, CallRef(1), &user("221", "acme")).unwrap();
        claims.answered(second(2), &asha, CallRef(1));
        assert_eq!(told(&mut claims), [("asha".to_owned(), Some(Hold::OnCall))]);
        assert_eq!(told(&mut claims), []);
        claims.take(second(2), &asha, CallRef(2), &user("221", "acme")).unwrap_err();
        assert_eq!(told(&mut claims), [], "a refusal changes nothing");
        claims.wrap_up(second(3), &asha, CallRef(1), Duration::from_secs(5));
        assert!(matches!(told(&mut claims).as_slice(), [(_, Some(Hold::WrapUp { .. }))]));
        claims.expire(second(8).mono);
        assert_eq!(told(&mut claims), [("asha".to_owned(), None)]);
        claims.take(second(9), &asha, CallRef(3), &user("221", "acme")).unwrap();
        claims.release(&asha, CallRef(3));
        assert_eq!(told(&mut claims), [("asha".to_owned(), None)]);
    }

    #[test]
    fn a_restored_claim_never_pushes_out_one_that_is_held() {
        let (mut claims, asha) = (claims(), PersonId::new("asha"));
        let claim = |call, hold| Claim { call: CallRef(call), user: user("221", "acme"), hold, since: second(1).wall };
        let wrap_up = Hold::WrapUp { until: second(9).mono, until_wall: second(9).wall };
        assert!(claims.restore(&asha, claim(1, wrap_up)));
        assert!(claims.restore(&asha, claim(2, Hold::OnCall)), "a person in wrap-up may have dialled");
        assert!(!claims.restore(&asha, claim(3, Hold::Ringing)));
        assert!(!claims.restore(&asha, claim(3, wrap_up)));
        assert_eq!((claims.of(&asha).unwrap().call, claims.held(), claims.deadline()), (CallRef(2), 1, None));
    }

    proptest! {
        /// Against a list of who holds whom: one owner at most, and nothing left once everything was let go.
        #[test]
        fn a_claim_has_one_owner_and_none_is_left(steps in proptest::collection::vec((0u8..5, 0u8..3, 0u64..4, 0u64..6), 0..80)) {
            let mut claims = claims();
            let mut owners: BTreeMap<PersonId, CallRef> = Default::default();
            let mut now = second(0);
            for (step, person, call, seconds) in steps {
                now = now + Duration::from_secs(seconds);
                let (person, call) = (PersonId::new(person.to_string()), CallRef(call));
                match step {
                    0 => if claims.take(now, &person, call, &user("1", "a")).is_ok() {
                        prop_assert_eq!(owners.insert(person, call), None);
                    },
                    1 => if claims.dial(now, &person, call, &user("1", "a")).is_ok() {
                        prop_assert_eq!(owners.insert(person, call), None);
                    },
                    2 => claims.answered(now, &person, call),
                    3 => {
                        claims.release(&person, call);
                        if owners.get(&person) == Some(&call) { owners.remove(&person); }
                    }
                    _ => {
                        claims.wrap_up(now, &person, call, Duration::from_secs(seconds));
                        if owners.get(&person) == Some(&call) { owners.remove(&person); }
                    }
                }
                prop_assert_eq!(claims.held(), owners.len());
            }
            for (person, call) in owners {
                claims.release(&person, call);
            }
            while let Some(deadline) = claims.deadline() {
                prop_assert!(!claims.expire(deadline).is_empty());
            }
            prop_assert!(claims.all().is_empty());
        }
    }
}
