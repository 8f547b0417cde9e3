//! What a call would meet now, if nobody answered: the hunt itself, on copies and a clock of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Arrival, DecisionRecord, Effect, Hunt, Line, Memories, OfferEnd, Plan, Presence, Target, World};
use crate::claim::Claims;
use crate::id::{OfferId, PersonId};
use crate::time::Now;

/// Runs a call through the very machine that serves live calls, from `now` on, and returns its record. Every offer
/// rings in vain for as long as it lasts; phones let go at once; nothing else happens meanwhile but that hours
/// change and wrap-ups end. Nothing that is passed in changes.
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
    let call = arrival.call;
    let mut rung: BTreeMap<OfferId, PersonId> = BTreeMap::new();
    let mut now = now;
    let mut hunt = Hunt::begin(now, plan, arrival, &mut world);
    // A hunt ends by itself; the bound is against a caller's patience of years, told 182 every minute.
    for _ in 0..EVENTS {
        while let Some(effect) = hunt.poll() {
            match effect {
                Effect::Offer { id, target: Target::User { user, .. } } => {
                    rung.insert(id, user.person.clone());
                }
                Effect::Withdraw { id } => {
                    if let Some(person) = rung.remove(&id) {
                        world.claims.release(&person, call);
                    }
                    hunt.on_offer_ended(now, id, OfferEnd::NoAnswer, &mut world);
                }
                Effect::Offer { target: Target::External { .. }, .. } | Effect::Queued { .. } => {}
                Effect::Finish(_) => return hunt.record().clone(),
            }
        }
        let Some(deadline) = hunt.deadline() else { break };
        now = now + deadline.since(now.mono);
        world.claims.expire(now.mono);
        hunt.on_deadline(now, &mut world);
    }
    hunt.record().clone()
}

/// More than any hunt of a sensible plan takes.
const EVENTS: usize = 100_000;
