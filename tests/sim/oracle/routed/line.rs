//! the callers who wait are served in the order they came, per department, and across departments where those share a person. Whoever
//! is offered a call is not wanted, then, by one who has waited longer.

use std::collections::BTreeMap;

use switchboard::id::CallRef;
use switchboard::routing::{DecisionRecord, StepRecord};

use super::Call;
use super::interpreter;
use super::look::{Look, person, place_of, registered};
use crate::history::{Nanos, SECOND};
use crate::model::Company;

impl Look<'_, '_> {
    /// Whom this call was offered just now before the turn of another call.
    pub fn out_of_turn(&self, old: Option<&DecisionRecord>, new: &DecisionRecord) -> Vec<String> {
        let mut wrong = Vec::new();
        let me = &self.calls[&self.me];
        let Some(company) = me.company.as_deref().and_then(|id| self.model.company(id)) else { return wrong };
        for (index, step) in new.steps.iter().enumerate() {
            let before = old.and_then(|old| old.steps.get(index));
            let mine = self.queued.filter(|(queued, _)| *queued == index).map(|(_, since)| since);
            for (position, member) in step.members.iter().enumerate() {
                let was = before.and_then(|before| before.members.get(position));
                if member.offered.is_none() || was.is_some_and(|was| was.offered.is_some()) {
                    continue;
                }
                let who = person(company, &member.extension);
                wrong.extend(earlier(self, self.calls, mine, &who).map(|other| {
                    format!(
                        "{}: {} was offered the call while {other}, which has waited longer, wants {who} (R-5.5)",
                        place_of(step),
                        member.extension
                    )
                }));
            }
        }
        wrong
    }
}

/// A call that waits since before `mine`, that this step has not moved, and that could be offered to that person.
fn earlier(look: &Look<'_, '_>, calls: &BTreeMap<CallRef, Call>, mine: Option<Nanos>, who: &str) -> Option<CallRef> {
    let wants = |other: &Call| {
        let (queued, since) = other.queued?;
        let step = other.decision.steps.last().filter(|step| step.cause.is_none())?;
        let in_line = queued + 1 == other.decision.steps.len() && other.decision.answer.is_none() && !other.cut_off;
        let comes_first = mine.is_none_or(|mine| since < mine);
        // Phones that it rang a moment ago may be waited for.
        let settles = look.at < other.ended_at + 2 * SECOND;
        let model = &look.history.models[other.version];
        let company = other.company.as_deref().and_then(|id| model.company(id))?;
        (in_line && comes_first && !settles && !rings(step) && may_be_offered(look, company, step, who)).then_some(())
    };
    let others = calls.iter().filter(|(id, _)| **id != look.me && !look.seen.moved.contains(id));
    others.filter(|(_, other)| wants(other).is_some()).map(|(id, _)| *id).next()
}

fn rings(step: &StepRecord) -> bool {
    step.members.iter().any(|member| member.offered.as_ref().is_some_and(|offer| offer.outcome.is_none()))
}

fn may_be_offered(look: &Look<'_, '_>, company: &Company, step: &StepRecord, who: &str) -> bool {
    let department = step.department.as_ref().and_then(|id| company.department(id));
    let strict = department.and_then(|department| department.sticky).is_some_and(|sticky| sticky.strict);
    step.members.iter().filter(|member| member.offered.is_none()).any(|member| {
        let barred = strict && step.sticky.as_ref().is_some_and(|own| *own != member.extension);
        let Some(user) = company.user(&member.extension).filter(|user| user.hours.is_none()) else { return false };
        if barred || person(company, &member.extension) != who {
            return false;
        }
        let name = format!("{}@{}", member.extension, company.id);
        let there = registered(user, look.state.live(&name, look.at).next().is_some());
        let switches = look.state.switches.get(&name).copied().unwrap_or_default();
        interpreter::against(company, user, switches, there, look.wall).is_none()
    })
}
