//! The hunt of a call that outlived the daemon: it is over, but for the answers that may still come, and its record
//! goes on. Made under today's plan: the one it began with is gone.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::DateTime;

use super::{Arrival, Called, Hunt, Phase};
use crate::id::{CallRef, CompanyId, OfferId};
use crate::number::{Caller, E164};
use crate::routing::step::{Offer, OfferState, Whom};
use crate::routing::{Answer, AnswerCause, DecisionRecord, OfferOutcome, OfferRecord, Plan, User};
use crate::state::SavedOffer;
use crate::time::{Instant, Now, WallTime};

impl Hunt {
    /// The hunt as it was saved. `user_of` finds the user of an offer; an offer whose user is found no more belongs to
    /// nobody but the record.
    pub fn restored(
        now: Now,
        plan: Arc<Plan>,
        call: CallRef,
        company: Option<&CompanyId>,
        record: DecisionRecord,
        offers: &[SavedOffer],
        user_of: impl Fn(&SavedOffer) -> Option<Arc<User>>,
    ) -> Hunt {
        let company = company.and_then(|company| plan.companies.get(company)).map(Arc::clone);
        let offer = |saved: &SavedOffer| -> Option<Offer> {
            let (step, position, began, ended) = place(&record, saved.id)?;
            let department = saved.department.as_ref().zip(company.as_ref());
            let department = department.and_then(|(id, company)| company.departments.get(id));
            let whom = match (&saved.user, E164::parse(&saved.label)) {
                (Some(_), _) => {
                    let member = department.map(|department| (Arc::clone(department), position));
                    Whom::User { user: user_of(saved)?, member }
                }
                (None, Ok(number)) => Whom::External(number),
                (None, Err(_)) => return None,
            };
            let state = if saved.answered {
                OfferState::Answered
            } else if saved.settled {
                OfferState::Ended
            } else if ended {
                // What it came to is written; its phones may still be ending.
                OfferState::Withdrawn
            } else {
                OfferState::Ringing
            };
            Some(Offer { id: saved.id, whom, step, began: before(now, began), state })
        };
        let offers = offers.iter().filter_map(offer).collect();
        let arrival = Arrival {
            call,
            called: Called::Unknown(record.number.clone()),
            form: record.form,
            caller: Caller::from_record(&record.caller),
            trunk: None,
            from_user: None,
            shuffle: 0,
        };
        let mut hunt = Hunt {
            plan,
            arrival,
            company,
            phase: Phase::Over,
            began: now.mono,
            offers,
            departments: Vec::new(),
            users: Vec::new(),
            fallback: None,
            settle_until: now.mono,
            waits_for: Vec::new(),
            effects: VecDeque::new(),
            record,
        };
        hunt.take_back(now, OfferState::Withdrawn, OfferOutcome::Withdrawn);
        hunt.effects.clear();
        hunt
    }

    /// The call had not been answered when the daemon ended: what the caller is told now.
    pub fn cut_off(&mut self) -> Answer {
        let answer = Answer::new(AnswerCause::CutOff, "the daemon ended while the call was being offered");
        self.record.answer = Some(answer.clone());
        answer
    }
}

/// Where an offer stands in the record: its step, its member's position, when it was made, whether it is over.
fn place(record: &DecisionRecord, offer: OfferId) -> Option<(usize, usize, WallTime, bool)> {
    let is_it = |record: &&OfferRecord| record.offer == offer.0;
    let at = |record: &OfferRecord| {
        let at = DateTime::parse_from_rfc3339(&record.at).map(|at| at.timestamp_millis());
        WallTime::from_unix_millis(at.unwrap_or_default())
    };
    record.steps.iter().enumerate().find_map(|(step, tried)| {
        if let Some(found) = tried.offered.as_ref().filter(is_it) {
            return Some((step, 0, at(found), found.outcome.is_some()));
        }
        tried.members.iter().enumerate().find_map(|(position, member)| {
            let found = member.offered.as_ref().filter(is_it)?;
            Some((step, position, at(found), found.outcome.is_some()))
        })
    })
}

/// That moment, on both clocks.
fn before(now: Now, at: WallTime) -> Now {
    let passed = u64::try_from(now.wall.since(at).as_nanos()).unwrap_or(u64::MAX);
    Now { mono: Instant::from_nanos(now.mono.as_nanos().saturating_sub(passed)), wall: at }
}
