//! What a call would meet now, if nobody answered: the hunt itself, on copies and a clock of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Arrival, DecisionRecord, Effect, Hunt, Line, Memories, OfferEnd, Plan, Presence, Target, Unreachable, World,
};
use crate::claim::Claims;
use crate::id::{CallRef, OfferId, PersonId, TrunkId};
use crate::time::Now;

/// Runs a call through the very machine that serves live calls, from `now` on, and returns its record. Every offer
/// rings in vain for as long as it lasts; phones let go at once; nothing else happens meanwhile but that hours
/// change and wrap-ups end. Other calls stay as they are: whoever talks, rings or waits goes on doing so. Nothing that is
/// passed in changes.
pub fn explain(
    now: Now,
    plan: Arc<Plan>,
    arrival: Arrival,
    claims: &Claims,
    presence: &dyn Presence,
    memories: &Memories,
    line: &Line,
) -> DecisionRecord {
    let (mut claims, mut memories, mut line) = (claims.clone(), memories.clone(), line.clone());
    let mut world = World { claims: &mut claims, presence, memories: &mut memories, line: &mut line };
    let mut offers = Offers::of(&arrival);
    let began = now;
    let mut now = now;
    let mut hunt = Hunt::begin(now, plan, arrival, &mut world);
    // A hunt ends by itself; the bound is against a caller's patience of years, told 182 every minute.
    for _ in 0..EVENTS {
        let mut withdrawn: Vec<OfferId> = Vec::new();
        while let Some(effect) = hunt.poll() {
            match effect {
                Effect::Offer { id, target } => {
                    if let Err(why) = offers.begin(id, &target, presence) {
                        offers.end(id, &mut world);
                        hunt.on_offer_ended(now, id, OfferEnd::Unreachable(why), &mut world);
                    }
                }
                Effect::Withdraw { id } => withdrawn.push(id),
                Effect::Queued { .. } => {}
                Effect::Finish(_) => {
                    let mut record = hunt.record().clone();
                    record.answer_after = Some(seconds(now.mono.since(began.mono)));
                    return record;
                }
            }
        }
        // A phone takes a moment to let go; by then the hunt has rung whoever is next and free.
        if !withdrawn.is_empty() {
            for id in withdrawn {
                offers.end(id, &mut world);
                hunt.on_offer_ended(now, id, OfferEnd::NoAnswer, &mut world);
            }
            continue;
        }
        // whoever waits is offered to a person the moment that person's wrap-up ends.
        let wrap_up = world.claims.deadline().filter(|_| hunt.waiting_since().is_some());
        let Some(deadline) = hunt.deadline().into_iter().chain(wrap_up).min() else { break };
        now = now + deadline.since(now.mono);
        let freed = world.claims.expire(now.mono);
        if hunt.waits_for().iter().any(|person| freed.contains(person)) {
            hunt.on_availability(now, &mut world);
        }
        hunt.on_deadline(now, &mut world);
    }
    hunt.record().clone()
}

/// More than any hunt of a sensible plan takes.
const EVENTS: usize = 100_000;

/// What rings for the call, and how many lines of which trunks it has.
struct Offers {
    call: CallRef,
    ringing: BTreeMap<OfferId, (Option<PersonId>, Option<TrunkId>)>,
    lines: BTreeMap<TrunkId, u32>,
}

impl Offers {
    /// None; the call itself has one line of the trunk it comes by.
    fn of(arrival: &Arrival) -> Offers {
        let lines = arrival.trunk.iter().map(|trunk| (trunk.clone(), 1)).collect();
        Offers { call: arrival.call, ringing: BTreeMap::new(), lines }
    }

    /// Rings, as the engine would: devices always, an outside number where its trunk has a line left.
    ///
    /// # Errors
    /// Nothing rings, and why.
    fn begin(&mut self, id: OfferId, target: &Target, presence: &dyn Presence) -> Result<(), Unreachable> {
        let (person, trunk, devices) = match target {
            Target::User { user, devices, mobile } => {
                (Some(user.person.clone()), mobile.as_ref().map(|(_, trunk)| trunk), *devices)
            }
            Target::External { trunk, .. } => (None, Some(trunk), false),
        };
        let line = trunk.map_or(Ok(()), |trunk| self.line_of(trunk, presence));
        let taken = trunk.filter(|_| line.is_ok()).cloned();
        if let Some(trunk) = &taken {
            *self.lines.entry(trunk.clone()).or_default() += 1;
        }
        self.ringing.insert(id, (person, taken));
        if devices { Ok(()) } else { line }
    }

    /// Whether a trunk has a line left beside those of this call.
    fn line_of(&self, trunk: &TrunkId, presence: &dyn Presence) -> Result<(), Unreachable> {
        let taken = self.lines.get(trunk).copied().unwrap_or_default();
        match presence.lines_left(trunk)? {
            Some(left) if left <= taken => Err(Unreachable::AtLimit),
            Some(_) | None => Ok(()),
        }
    }

    /// Lets go of everything the offer had.
    fn end(&mut self, id: OfferId, world: &mut World<'_>) {
        let Some((person, trunk)) = self.ringing.remove(&id) else { return };
        if let Some(person) = person {
            world.claims.release(&person, self.call);
        }
        if let Some(lines) = trunk.and_then(|trunk| self.lines.get_mut(&trunk)) {
            *lines = lines.saturating_sub(1);
        }
    }
}

/// To the millisecond, for records.
fn seconds(length: Duration) -> f64 {
    Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}
