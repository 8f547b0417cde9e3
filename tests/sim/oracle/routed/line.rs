//! the callers who wait are served in the order they came, per department, and across departments where those share a person.
//! Whoever is offered a call is not wanted, then, by one who has waited longer.

use switchboard::id::CallRef;
use switchboard::routing::{DecisionRecord, StepRecord};

use super::interpreter;
use super::look::{person, place_of, registered};
use super::{Call, Judge};
use crate::history::{Entry, Nanos, SECOND};
use crate::model::Company;

/// An offer that was made just now.
pub(super) struct Offered {
    call: CallRef,
    /// Since when that call has waited there; `None` where it has just come.
    since: Option<Nanos>,
    person: String,
    words: String,
}

/// Whom a call was offered just now.
pub(super) fn offered(
    call: CallRef,
    known: &Call,
    company: &Company,
    old: Option<&DecisionRecord>,
    new: &DecisionRecord,
) -> Vec<Offered> {
    let mut all = Vec::new();
    for (index, step) in new.steps.iter().enumerate() {
        let before = old.and_then(|old| old.steps.get(index));
        let since = known.queued.filter(|(queued, _)| *queued == index).map(|(_, since)| since);
        for (position, member) in step.members.iter().enumerate() {
            let was = before.and_then(|before| before.members.get(position));
            if member.offered.is_some() && was.is_none_or(|was| was.offered.is_none()) {
                let person = person(company, &member.extension);
                let words = format!("call {call}: {}: {} was offered it", place_of(step), member.extension);
                all.push(Offered { call, since, person, words });
            }
        }
    }
    all
}

impl Judge<'_> {
    /// Looks at the offers of a step when all of it is known.
    pub(super) fn out_of_turn(&mut self, offers: &[Offered], first: &Entry) {
        let mut wrong = Vec::new();
        for offer in offers {
            let others = self.calls.iter().filter(|(id, _)| offers.iter().all(|offer| offer.call != **id));
            let earlier = others.filter(|(_, other)| self.wants(other, offer, first)).map(|(id, _)| id).next();
            if let Some(earlier) = earlier {
                wrong.push(format!(
                    "{} while call {earlier}, which has waited longer, wants {} (R-5.5)",
                    offer.words, offer.person
                ));
            }
        }
        wrong.into_iter().for_each(|words| self.say(words));
    }

    /// Whether a call waits since before that, and could be offered to the same person.
    fn wants(&self, other: &Call, offer: &Offered, first: &Entry) -> bool {
        let Some((queued, since)) = other.queued else { return false };
        let step = other.decision.steps.last().filter(|step| step.cause.is_none() && !rings(step));
        let company = other.company.as_deref().and_then(|id| self.history.models[other.version].company(id));
        let (Some(step), Some(company)) = (step, company) else { return false };
        let in_line = queued + 1 == other.decision.steps.len() && other.decision.answer.is_none() && !other.cut_off;
        // Phones that it rang a moment ago may be waited for.
        let settles = first.at < other.ended_at + 2 * SECOND;
        let comes_first = since < offer.since.unwrap_or(first.at);
        in_line && comes_first && !settles && self.may_take(company, step, &offer.person, first)
    }

    fn may_take(&self, company: &Company, step: &StepRecord, who: &str, first: &Entry) -> bool {
        let department = step.department.as_ref().and_then(|id| company.department(id));
        let strict = department.and_then(|department| department.sticky).is_some_and(|sticky| sticky.strict);
        step.members.iter().filter(|member| member.offered.is_none()).any(|member| {
            let barred = strict && step.sticky.as_ref().is_some_and(|own| *own != member.extension);
            let Some(user) = company.user(&member.extension).filter(|user| user.hours.is_none()) else { return false };
            if barred || person(company, &member.extension) != who {
                return false;
            }
            let name = format!("{}@{}", member.extension, company.id);
            let there = registered(user, self.state.live(&name, first.at).next().is_some());
            let switches = self.state.switches.get(&name).copied().unwrap_or_default();
            interpreter::against(company, user, switches, there, first.wall).is_none()
        })
    }
}

fn rings(step: &StepRecord) -> bool {
    step.members.iter().any(|member| member.offered.as_ref().is_some_and(|offer| offer.outcome.is_none()))
}
