//! The hunt: one call's way through routes, offers, waiting and overflow, as a state machine (R-4, R-5, R-7.1).
//!
//! ```text
//!            door, route                          look: somebody eligible
//!   begin ────────────────▶ enter a step ──────────────────────────────────▶ Ringing
//!     │                      ▲    │  ▲                                        │  │
//!     │ refused     overflow │    │  └── all ended, or ring is over: look ◀───┘  │
//!     │                      │    │                                             │
//!     │                      │    ├─ look: held by ended offers ──────▶ Settling │ answered
//!     │                      │    ├─ look: all busy, patience ───────▶ Waiting  │
//!     │                      │    │                        (each of them looks  │
//!     │                      │    ▼                         again in its time)  │
//!     │                      └─ leave, for a cause                              │
//!     │                           │ no way on                                   │
//!     └───────────▶ Finish ◀──────┘                                 Over ◀──────┘
//! ```
//!
//! A *look* goes over the members of the step in the strategy's order, offers the call to whoever is eligible, as
//! many as the strategy rings at once, and writes down why the others were skipped. It is made anew after every offer,
//! so that it always goes by what is known then.

mod restored;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::eligibility::{self, Skip};
use super::line::{Line, Since, Ticket};
use super::order::order;
use super::step::{Offer, OfferState, Place, Queue, Step, Whom, outcome};
use super::{
    Answer, AnswerCause, AnsweredRecord, Cause, Company, DecisionRecord, Destination, MemberRecord, Memories, Mobile,
    OfferOutcome, OfferRecord, Plan, Presence, Rejection, SkipReason, StepRecord, User, door, words,
};
use crate::claim::{Claims, Hold};
use crate::id::{CallRef, DepartmentId, Extension, OfferId, PersonId, TrunkId, UserId};
use crate::number::{Caller, E164, Form};
use crate::time::{Instant, Now, WallTime};

/// What was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// A number (perhaps nobody's).
    Number(E164),
    /// A user's extension, dialled by a user of the same company (R-4.3).
    User(UserId),
    /// Something that is neither; as written.
    Unknown(String),
}

/// A call as it arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The call.
    pub call: CallRef,
    /// What was called.
    pub called: Called,
    /// The form the number was written in, for the record; `None` where it was not read from a trunk.
    pub form: Option<Form>,
    /// Who calls.
    pub caller: Caller,
    /// The trunk it came by; `None` for a user's call.
    pub trunk: Option<TrunkId>,
    /// The user who calls, where it is one of ours.
    pub from_user: Option<UserId>,
    /// For `random`: the engine draws it, so that equal seeds give equal runs.
    pub shuffle: u64,
}

/// Everything a hunt may look at and change outside itself.
pub struct World<'a> {
    /// Claims: taken by the hunt when it offers.
    pub claims: &'a mut Claims,
    /// Registrations, switches, calls.
    pub presence: &'a dyn Presence,
    /// Department memories.
    pub memories: &'a mut Memories,
    /// Who waits for whom.
    pub line: &'a mut Line,
}

/// Who or what is to be rung under one offer.
#[derive(Clone, Debug)]
pub enum Target {
    /// A user, whose claim this call now holds. `devices`: every registered device; `mobile`: that number through that trunk.
    User {
        /// The user.
        user: Arc<User>,
        /// Whether its devices ring.
        devices: bool,
        /// The mobile to ring and the trunk to ring it through.
        mobile: Option<(E164, TrunkId)>,
    },
    /// An outside number (R-4.2).
    External {
        /// The number.
        number: E164,
        /// The trunk.
        trunk: TrunkId,
    },
}

/// What the engine must do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ring. The person's claim is already this call's; the engine lets it go when every branch of the offer has ended.
    Offer {
        /// Names it from now on.
        id: OfferId,
        /// Whom.
        target: Target,
    },
    /// The offer is over for the hunt (ring time up, or the call is decided): cancel what still rings.
    Withdraw {
        /// Which.
        id: OfferId,
    },
    /// Tell the caller 182 Queued with this place in the line (1 = next).
    Queued {
        /// Place in line.
        place: u32,
    },
    /// The hunt is over without an answer by anybody: this is the final answer, to be sent when every branch has ended.
    Finish(Answer),
}

/// How an offer ended, told to the hunt once all its branches have (or it was answered).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferEnd {
    /// Busy: 486, 600.
    Busy,
    /// Declined: 603 and other 6xx.
    Declined,
    /// Silence or 408, 480, 487.
    NoAnswer,
    /// Any other failure or redirect, with its status.
    Failed(u16),
    /// It never reached the trunk it was to go out through.
    Unreachable(Unreachable),
}

/// Why a call could not go out through a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The configuration has it no more.
    Gone,
    /// It has as many calls as it may have.
    AtLimit,
    /// It is for incoming calls only.
    NoProxy,
    /// Its proxy's name has no address.
    NoAddress,
    /// Its proxy does not answer, or cannot be sent to.
    Silent,
}

/// One call's hunt.
#[derive(Debug)]
pub struct Hunt {
    plan: Arc<Plan>,
    arrival: Arrival,
    began: Instant,
    /// Whose door the call came through; `None` where it did not.
    company: Option<Arc<Company>>,
    phase: Phase,
    offers: Vec<Offer>,
    /// R-4.4: a call enters a department, and a user called directly, at most once.
    departments: Vec<DepartmentId>,
    users: Vec<Extension>,
    /// The answer of the step left last.
    fallback: Option<Answer>,
    /// Until then, persons held by ended offers of this call are waited for: see `must_settle`.
    settle_until: Instant,
    waits_for: Vec<PersonId>,
    effects: VecDeque<Effect>,
    record: DecisionRecord,
}

/// Where the hunt is.
#[derive(Debug)]
enum Phase {
    /// Offers ring, until then.
    Ringing(Step, Instant),
    /// In the department's line.
    Waiting(Step),
    /// Nobody rings, but persons this call rang a moment ago are about to be free.
    Settling(Step),
    /// Answered, given up or finished.
    Over,
}

/// What comes next in a hunt.
enum Turn {
    To(Destination),
    Leave(Step, Cause),
}

impl Hunt {
    /// The door (R-2), the route (R-4.1) and the first step. Effects are then waiting in `poll`.
    pub fn begin(now: Now, plan: Arc<Plan>, arrival: Arrival, world: &mut World<'_>) -> Hunt {
        let mut record = blank_record(now, &arrival);
        let admitted = door::enter(now, &plan, &arrival, world.presence, &mut record);
        let mut hunt = Hunt {
            plan,
            arrival,
            began: now.mono,
            company: None,
            phase: Phase::Over,
            offers: Vec::new(),
            departments: Vec::new(),
            users: Vec::new(),
            fallback: None,
            settle_until: now.mono,
            waits_for: Vec::new(),
            effects: VecDeque::new(),
            record,
        };
        match admitted {
            Ok((company, destination)) => {
                hunt.company = Some(company);
                hunt.proceed(now, Turn::To(destination), world);
            }
            Err(answer) => hunt.finish(answer),
        }
        hunt
    }

    /// The next thing to do; call until `None` after every other call.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When `on_deadline` wants to be called: the end of an offer's ring, of waiting, or the next 182.
    pub fn deadline(&self) -> Option<Instant> {
        let notice = |step: &Step| step.queue.map(|queue| queue.notice);
        match &self.phase {
            Phase::Ringing(step, until) => Some(notice(step).map_or(*until, |notice| notice.min(*until))),
            Phase::Waiting(step) => step.queue.as_ref().map(Queue::deadline),
            Phase::Settling(_) => Some(self.settle_until),
            Phase::Over => None,
        }
    }

    /// The deadline has come.
    pub fn on_deadline(&mut self, now: Now, world: &mut World<'_>) {
        match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Ringing(step, until) if until <= now.mono => {
                // R-5.2: our own clock, whatever provisional responses do.
                self.take_back(now, OfferState::RangOut, OfferOutcome::NoAnswer);
                self.settle_until = now.mono + SETTLE;
                self.look(now, step, world);
            }
            // At each notice too: clocks on walls may jump, and hours with them.
            Phase::Waiting(step) if step.queue.is_none_or(|queue| queue.deadline() <= now.mono) => {
                self.look(now, step, world)
            }
            Phase::Settling(step) if self.settle_until <= now.mono => self.look(now, step, world),
            phase @ (Phase::Ringing(..) | Phase::Waiting(_) | Phase::Settling(_) | Phase::Over) => self.phase = phase,
        }
        self.notify(now, world);
    }

    /// Every branch of an offer ended without an answer, and the engine has let go of its claim (first: what the hunt
    /// does next may need the person); or one device refused for all (R-5.4), and the others are being cancelled, with the
    /// claim held still. Ignored for an offer the hunt has left already, but for the record.
    pub fn on_offer_ended(&mut self, now: Now, offer: OfferId, end: OfferEnd, world: &mut World<'_>) {
        let Some(ended) = self.offers.iter_mut().find(|known| known.id == offer) else { return };
        let before = mem::replace(&mut ended.state, OfferState::Ended);
        match before {
            OfferState::Ringing => {
                let (outcome, status) = outcome(end);
                // Only who is held still is waited for: a phone that could not be reached has nothing to let go.
                let is_held = match &ended.whom {
                    Whom::User { user, .. } => world.claims.is_held_by(&user.person, self.arrival.call),
                    Whom::External(_) => false,
                };
                if is_held {
                    self.settle_until = now.mono + SETTLE;
                }
                self.write_outcome(now, offer, outcome, status);
            }
            OfferState::RangOut => {
                let (outcome, status) = outcome(end);
                self.rewrite_outcome(offer, outcome, status);
            }
            OfferState::Withdrawn => {}
            OfferState::Ended | OfferState::Answered => {
                ended.state = before;
                return;
            }
        }
        match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Ringing(step, _) if !self.is_ringing() => match &step.place {
                Place::Department(_) | Place::User(_) => self.look(now, step, world),
                Place::External(trunk) => {
                    // R-5.6: what was offered and not taken is no answer, whatever was said to it.
                    let cause = match end {
                        OfferEnd::Busy => Cause::Busy,
                        OfferEnd::NoAnswer | OfferEnd::Declined | OfferEnd::Failed(_) => Cause::NoAnswer,
                        OfferEnd::Unreachable(why) => {
                            if let Some(record) = self.record.steps.get_mut(step.index) {
                                record.evidence = Some(words::unreachable(trunk, why));
                            }
                            Cause::Unavailable
                        }
                    };
                    self.proceed(now, Turn::Leave(step, cause), world);
                }
            },
            Phase::Waiting(step) | Phase::Settling(step) => self.look(now, step, world),
            phase @ (Phase::Ringing(..) | Phase::Over) => self.phase = phase,
        }
    }

    /// Somebody answered an offer (perhaps one already withdrawn): the first time, the hunt is over and withdraws all
    /// others. The person's claim is for talking from now on.
    pub fn on_answered(&mut self, now: Now, offer: OfferId, world: &mut World<'_>) {
        let Some(answered) = self.offers.iter_mut().find(|known| known.id == offer) else { return };
        if answered.state == OfferState::Answered {
            return;
        }
        answered.state = OfferState::Answered;
        let mut by = AnsweredRecord { offer: offer.0, extension: None, person: None, external: None };
        let is_first = self.record.answered_by.is_none();
        match &answered.whom {
            Whom::User { user, member } => {
                world.claims.answered(now, &user.person, self.arrival.call);
                if let (Some((department, _)), Some(company)) = (member, &self.company) {
                    let memory = world.memories.of_mut(&company.id, &department.id);
                    let extension = &user.id.extension;
                    memory.answered(extension, now.wall, words::local(now.wall, company.timezone).date_naive());
                    if is_first && department.sticky.is_some() {
                        memory.spoke(&self.arrival.caller, extension, now.wall);
                    }
                }
                by.extension = Some(user.id.extension.to_string());
                by.person = Some(user.person.to_string());
            }
            Whom::External(number) => by.external = Some(number.to_string()),
        }
        self.write_outcome(now, offer, OfferOutcome::Answered, None);
        // R-7.5: a second 2xx is a call of its person too, but the first is the caller's.
        if is_first {
            self.record.answered_by = Some(by);
            self.record.answer = Some(Answer::new(AnswerCause::Answered, "answered"));
            self.stop(now, world);
            self.effects.retain(|effect| !matches!(effect, Effect::Finish(_)));
        }
    }

    /// The caller hung up: the hunt is over and withdraws everything. No `Finish` follows.
    pub fn on_cancelled(&mut self, now: Now, world: &mut World<'_>) {
        self.stop(now, world);
        self.effects.retain(|effect| !matches!(effect, Effect::Finish(_)));
        if self.record.answered_by.is_none() {
            self.record.answer = Some(Answer::new(AnswerCause::Cancelled, "the caller hung up"));
        }
    }

    /// Persons or users may have become free (a claim let go, a registration, a switch): a waiting call looks again.
    /// The engine calls the waiting hunts in the order of `waiting_since` (that of [`Line::calls`]).
    pub fn on_availability(&mut self, now: Now, world: &mut World<'_>) {
        match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Waiting(step) | Phase::Settling(step) => self.look(now, step, world),
            phase @ (Phase::Ringing(..) | Phase::Over) => self.phase = phase,
        }
    }

    /// The call that an answer to this offer began is over: its member is idle from now on (`longest-idle`).
    pub fn on_call_ended(&mut self, now: Now, offer: OfferId, world: &mut World<'_>) {
        let ended = self.offers.iter().find(|known| known.id == offer && known.state == OfferState::Answered);
        if let (Some(Whom::User { user, member: Some((department, _)) }), Some(company)) =
            (ended.map(|ended| &ended.whom), &self.company)
        {
            world.memories.of_mut(&company.id, &department.id).ended(&user.id.extension, now.wall);
        }
    }

    /// When this call began to wait in the line it is in; `None` while it does not wait.
    pub fn waiting_since(&self) -> Option<Now> {
        match &self.phase {
            Phase::Waiting(step) => step.queue.map(|queue| queue.since),
            Phase::Ringing(..) | Phase::Settling(_) | Phase::Over => None,
        }
    }

    /// The persons whose becoming free, or available, could end this call's waiting: on a change of any of them it wants
    /// `on_availability`.
    pub fn waits_for(&self) -> &[PersonId] {
        &self.waits_for
    }

    /// Whether the hours of somebody this call waits for are open from now on. Of that nobody tells but the clock, and each
    /// call only itself: the engine lets all who wait for the same persons look again, in the order of [`Line::calls`].
    pub fn is_opening(&self, now: Now) -> bool {
        match &self.phase {
            Phase::Waiting(step) => {
                step.queue.and_then(|queue| queue.opening).is_some_and(|opening| opening <= now.mono)
            }
            Phase::Ringing(..) | Phase::Settling(_) | Phase::Over => false,
        }
    }

    /// How long the person of that offer stays in wrap-up after its call.
    pub fn wrap_up_of(&self, offer: OfferId) -> Duration {
        match self.offers.iter().find(|known| known.id == offer).map(|known| &known.whom) {
            Some(Whom::User { member: Some((department, _)), .. }) => department.wrap_up,
            Some(Whom::User { member: None, .. } | Whom::External(_)) | None => Duration::ZERO,
        }
    }

    /// How long that offer may ring (R-5.2), or rang.
    pub fn ring_of(&self, offer: OfferId) -> Duration {
        match self.offers.iter().find(|known| known.id == offer).map(|known| &known.whom) {
            Some(Whom::User { member: Some((department, _)), .. }) => department.ring,
            Some(Whom::User { user, member: None }) => user.ring,
            Some(Whom::External(_)) | None => Duration::ZERO,
        }
    }

    /// To which user that offer was made, and by which department; `None` each for an outside number, or a user called
    /// directly.
    pub fn offered_to(&self, offer: OfferId) -> (Option<&UserId>, Option<&DepartmentId>) {
        match self.offers.iter().find(|known| known.id == offer).map(|known| &known.whom) {
            Some(Whom::User { user, member }) => {
                (Some(&user.id), member.as_ref().map(|(department, _)| &department.id))
            }
            Some(Whom::External(_)) | None => (None, None),
        }
    }

    /// What was decided so far, and why.
    pub fn record(&self) -> &DecisionRecord {
        &self.record
    }

    /// Goes on from step to step until something rings or waits, or nothing is left. Ends, since every destination but
    /// the last of a hunt is one it has not been to.
    fn proceed(&mut self, now: Now, first: Turn, world: &mut World<'_>) {
        let mut turn = Some(first);
        while let Some(current) = turn {
            turn = match current {
                Turn::To(destination) => self.enter(now, destination, world),
                Turn::Leave(step, cause) => self.leave(now, step, cause, world),
            };
        }
    }

    /// Looks at the step, and goes on from there.
    fn look(&mut self, now: Now, step: Step, world: &mut World<'_>) {
        if let Some(turn) = self.try_members(now, step, world) {
            self.proceed(now, turn, world);
        }
    }

    fn enter(&mut self, now: Now, destination: Destination, world: &mut World<'_>) -> Option<Turn> {
        let company = self.company.clone()?;
        let index = self.record.steps.len();
        match destination {
            Destination::Department(id) => {
                let department = company.departments.get(&id).filter(|_| !self.departments.contains(&id));
                let Some(department) = department else { return self.end_in_circle() };
                self.departments.push(id);
                let (step, mut record) =
                    Step::department(now, &company, department, &self.arrival.caller, world.memories, index);
                let shut = department.hours.as_ref().filter(|hours| !hours.schedule.is_open(now.wall));
                record.evidence = shut.map(|hours| words::outside(hours, now.wall));
                self.begin_step(now, record);
                match shut {
                    Some(_) => Some(Turn::Leave(step, Cause::Closed)),
                    None => self.try_members(now, step, world),
                }
            }
            Destination::User(extension) => {
                let user = company.users.get(&extension).filter(|_| !self.users.contains(&extension));
                let Some(user) = user else { return self.end_in_circle() };
                self.users.push(extension);
                let (step, record) = Step::user(user, index);
                self.begin_step(now, record);
                self.try_members(now, step, world)
            }
            Destination::External(number) => {
                let Some(trunk) = company.outbound_trunk.clone() else {
                    self.finish(Answer::new(AnswerCause::Unavailable, "the outside number cannot be reached"));
                    return None;
                };
                let (step, record) = Step::external(&number, &trunk, index);
                self.begin_step(now, record);
                let offered =
                    self.offer(now, Whom::External(number.clone()), index, Target::External { number, trunk });
                if let Some(record) = self.record.steps.get_mut(index) {
                    record.offered = Some(offered);
                }
                let until = now.mono + step.place.ring();
                self.phase = Phase::Ringing(step, until);
                None
            }
            Destination::Reject(rejection) => {
                self.finish(match rejection {
                    Rejection::Busy => Answer::new(AnswerCause::RejectBusy, "rejected as busy"),
                    Rejection::Unavailable => Answer::new(AnswerCause::RejectUnavailable, "rejected as unavailable"),
                    Rejection::Decline => Answer::new(AnswerCause::RejectDecline, "rejected"),
                });
                None
            }
        }
    }

    fn begin_step(&mut self, now: Now, mut record: StepRecord) {
        record.entered_after = Some(seconds(now.mono.since(self.began)));
        self.record.steps.push(record);
    }

    /// R-4.4: a chain that would return ends with the cause it has.
    fn end_in_circle(&mut self) -> Option<Turn> {
        if let Some(step) = self.record.steps.last_mut() {
            step.circle = true;
        }
        let answer = self.fallback.take();
        // Without a step before, the route leads to what its company does not have; a checked plan has no such route.
        self.finish(answer.unwrap_or_else(|| Answer::new(AnswerCause::Unavailable, "the route leads nowhere")));
        None
    }

    /// R-5.6: the step is left for a cause; its overflow says where to.
    fn leave(&mut self, now: Now, step: Step, cause: Cause, world: &mut World<'_>) -> Option<Turn> {
        self.leave_line(now, &step, world);
        let answer = Answer::new(words::answer_cause(cause), step.place.words(cause));
        let to = step.place.overflow(cause);
        if let Some(record) = self.record.steps.get_mut(step.index) {
            record.cause = Some(answer.cause);
            record.overflow = to.as_ref().map(words::destination);
            record.overflow_by = step.place.overflow_key(cause).map(str::to_owned);
        }
        match to {
            Some(destination) => {
                self.fallback = Some(answer);
                Some(Turn::To(destination))
            }
            None => {
                self.finish(answer);
                None
            }
        }
    }

    /// One look: offers the call to whoever is eligible, else waits or gives up.
    fn try_members(&mut self, now: Now, mut step: Step, world: &mut World<'_>) -> Option<Turn> {
        let company = self.company.clone()?;
        let place = step.place.clone();
        let ticket = step.queue.map(|queue| queue.ticket);
        let mut room = place.breadth();
        let mut rings = false;
        let mut wanted = Wanted::default();
        // Members who are passed over since this call was offered to them here.
        let mut refused: Vec<usize> = Vec::new();

        if self.must_settle(now, &company, &step, world) {
            self.phase = Phase::Settling(step);
            return None;
        }
        for (position, user) in self.sorted(now, &company, &step, world) {
            let user = &user;
            if step.was_offered(user) {
                refused.push(position);
                continue;
            }
            let target = match self.reason(now, &company, &step, user, ticket, world) {
                Ok(target) => target,
                Err(skip) => {
                    // The caller's own person cannot become free while the call goes on (R-7.2).
                    if !step.is_barred(user) && !self.is_caller(user) {
                        wanted.note(now, user, &skip);
                    }
                    self.write_skip(step.index, position, Some(skip));
                    continue;
                }
            };
            self.write_skip(step.index, position, None);
            if room == 0 {
                continue;
            }
            // R-7.1: the claim before the offer.
            if world.claims.take(now, &user.person, self.arrival.call, &user.id).is_err() {
                continue;
            }
            // R-5.7: the caller's own member first, and alone.
            room = if step.belongs_to(user) { 0 } else { room - 1 };
            rings = true;
            step.offered.push(user.id.extension.clone());
            let member = match &place {
                Place::Department(department) => {
                    world.memories.of_mut(&company.id, &department.id).offered(&user.id.extension);
                    Some((Arc::clone(department), position))
                }
                Place::User(_) | Place::External(_) => None,
            };
            let offered = self.offer(now, Whom::User { user: Arc::clone(user), member }, step.index, target);
            if let Some(record) = self.member_record(step.index, position) {
                record.offered = Some(offered);
            }
        }

        if rings {
            self.leave_line(now, &step, world);
            self.phase = Phase::Ringing(step, now.mono + place.ring());
            return None;
        }
        let index = step.index;
        let turn = self.wait(now, &company, step, &wanted, world);
        if turn.is_none() {
            self.waits_for = wanted.anyone;
            self.write_already_offered(index, &refused);
        }
        turn
    }

    /// Nobody could be offered the call: waits for those who are busy (R-5.5), or leaves the step.
    fn wait(
        &mut self,
        now: Now,
        company: &Company,
        mut step: Step,
        wanted: &Wanted,
        world: &mut World<'_>,
    ) -> Option<Turn> {
        let patience = step.patience();
        let in_vain = |cause| if step.offered.is_empty() { cause } else { Cause::NoAnswer };
        let department = match step.place.clone() {
            Place::Department(department) => department,
            Place::User(_) => {
                let cause = in_vain(if wanted.busy.is_empty() { Cause::Unavailable } else { Cause::Busy });
                return Some(Turn::Leave(step, cause));
            }
            // Its one offer was made when the step was entered, and is over.
            Place::External(_) => return Some(Turn::Leave(step, Cause::NoAnswer)),
        };
        if wanted.busy.is_empty() {
            let cause = in_vain(Cause::Unavailable);
            return Some(Turn::Leave(step, cause));
        }
        if patience.is_zero() {
            let cause = in_vain(Cause::Busy);
            return Some(Turn::Leave(step, cause));
        }
        let is_new = step.queue.is_none();
        let queue = match step.queue {
            Some(queue) if queue.until <= now.mono => return Some(Turn::Leave(step, Cause::Timeout)),
            Some(queue) => queue,
            None => {
                let waiting = world.line.length(&company.id, &department.id);
                if u32::try_from(waiting).is_ok_and(|waiting| waiting < department.max_waiting) {
                    let ticket = world.line.draw();
                    let (notice, until) = (now.mono + NOTICE, now.mono + patience);
                    Queue { ticket, since: now, notice, opening: None, until }
                } else {
                    let cause = in_vain(Cause::Full);
                    return Some(Turn::Leave(step, cause));
                }
            }
        };
        let opening = wanted.opening().map(|opening| now.mono + until(now.wall, opening));
        let queue = Queue { opening, ..queue };
        step.queue = Some(queue);
        world.line.join(queue.ticket, self.arrival.call, &company.id, &department.id, &wanted.persons());
        if is_new {
            self.effects.push_back(Effect::Queued { place: world.line.place(queue.ticket) });
        }
        self.phase = Phase::Waiting(step);
        None
    }

    /// The members in the order of the strategy, with their positions; the caller's own member (R-5.7) first.
    fn sorted(&self, now: Now, company: &Company, step: &Step, world: &World<'_>) -> Vec<(usize, Arc<User>)> {
        let members = step.place.members();
        let positions = match &step.place {
            Place::Department(department) => {
                let memory = world.memories.of(&company.id, &department.id);
                let today = words::local(now.wall, company.timezone).date_naive();
                order(department, memory, today, self.arrival.shuffle)
            }
            Place::User(_) | Place::External(_) => (0..members.len()).collect(),
        };
        let mut sorted: Vec<_> =
            positions.into_iter().filter_map(|position| Some((position, members.get(position)?.clone()))).collect();
        sorted.sort_by_key(|(_, user)| !step.belongs_to(user));
        sorted
    }

    /// What would ring, or the first of R-6's reasons that holds.
    fn reason(
        &self,
        now: Now,
        company: &Company,
        step: &Step,
        user: &Arc<User>,
        ticket: Option<Ticket>,
        world: &World<'_>,
    ) -> Result<Target, Skip> {
        let call = self.arrival.call;
        let target = eligibility::target(now, company, user, Some(call), world.claims, world.presence);
        let target = target.map_err(|skip| match skip.reason {
            SkipReason::Ringing if self.is_caller(user) => Skip { evidence: "is the caller".to_owned(), ..skip },
            SkipReason::Disabled
            | SkipReason::Paused
            | SkipReason::Away
            | SkipReason::OffHours
            | SkipReason::NotRegistered
            | SkipReason::OnCall
            | SkipReason::Ringing
            | SkipReason::WrapUp
            | SkipReason::AlreadyOffered
            | SkipReason::NotSticky => skip,
        })?;
        // R-5.5: first come, first served. Whoever is free belongs to the caller who has waited longest.
        if world.line.promised(now.wall, &user.person, ticket).is_some_and(|first| first != call) {
            let evidence = "next for a caller who has waited longer".to_owned();
            return Err(Skip { reason: SkipReason::Ringing, evidence });
        }
        if step.is_barred(user) {
            let whom = step.sticky.as_ref().map_or("", |(extension, _)| extension.as_str());
            return Err(Skip { reason: SkipReason::NotSticky, evidence: format!("the caller spoke with {whom}") });
        }
        Ok(target)
    }

    /// Whether one whose turn it is, is held by an offer of this call that is over: in the next moment, or in some seconds
    /// where a phone does not answer its CANCEL, nobody rings that person. Without this, a member of two
    /// departments would be `ringing` in the second just because the first has rung it, and the order in which members are
    /// offered the call would depend on how fast phones let go.
    fn must_settle(&self, now: Now, company: &Company, step: &Step, world: &World<'_>) -> bool {
        if self.settle_until <= now.mono {
            return false;
        }
        let ticket = step.queue.map(|queue| queue.ticket);
        let mut room = step.place.breadth();
        let mut reached: Vec<PersonId> = Vec::new();
        for (_, user) in self.sorted(now, company, step, world) {
            if step.was_offered(&user) || reached.contains(&user.person) {
                continue;
            }
            if room == 0 {
                return false;
            }
            match self.reason(now, company, step, &user, ticket, world) {
                Ok(_) => {
                    room = if step.belongs_to(&user) { 0 } else { room - 1 };
                    reached.push(user.person.clone());
                }
                Err(skip) => {
                    if skip.reason.is_busy() && !step.is_barred(&user) && self.is_settling(&user, world) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether it is the person who calls.
    fn is_caller(&self, user: &User) -> bool {
        self.caller_person().is_some_and(|person| *person == user.person)
    }

    fn caller_person(&self) -> Option<&PersonId> {
        let from = self.arrival.from_user.as_ref()?;
        self.plan.companies.get(&from.company)?.users.get(&from.extension).map(|user| &user.person)
    }

    /// Whether the person is held by an offer of this call that is over.
    fn is_settling(&self, user: &User, world: &World<'_>) -> bool {
        world
            .claims
            .of(&user.person)
            .is_some_and(|claim| claim.call == self.arrival.call && claim.hold == Hold::Ringing)
            && self.offers.iter().any(|offer| match (&offer.whom, offer.state) {
                (Whom::User { user: rung, .. }, OfferState::RangOut | OfferState::Ended) => rung.person == user.person,
                (Whom::User { .. }, OfferState::Ringing | OfferState::Withdrawn | OfferState::Answered)
                | (Whom::External(_), _) => false,
            })
    }

    /// Makes an offer; its record is the caller's to put where it belongs.
    fn offer(&mut self, now: Now, whom: Whom, step: usize, target: Target) -> OfferRecord {
        let number = u32::try_from(self.offers.len()).unwrap_or(u32::MAX).saturating_add(1);
        let id = OfferId(number);
        self.offers.push(Offer { id, whom, step, began: now, state: OfferState::Ringing });
        let mobile = match &target {
            Target::User { devices: true, mobile: Some(_), .. } => Some(Mobile::Too),
            Target::User { devices: false, mobile: Some(_), .. } => Some(Mobile::Alone),
            Target::User { mobile: None, .. } | Target::External { .. } => None,
        };
        self.effects.push_back(Effect::Offer { id, target });
        let zone = self.company.as_ref().map_or(chrono_tz::Tz::UTC, |company| company.timezone);
        OfferRecord {
            offer: number,
            at: words::stamp(now.wall, zone),
            after: seconds(now.mono.since(self.began)),
            mobile,
            outcome: None,
            status: None,
            ring: None,
        }
    }

    fn is_ringing(&self) -> bool {
        self.offers.iter().any(|offer| offer.state == OfferState::Ringing)
    }

    /// Withdraws every offer that rings.
    fn take_back(&mut self, now: Now, state: OfferState, outcome: OfferOutcome) {
        let mut taken = Vec::new();
        for offer in self.offers.iter_mut().filter(|offer| offer.state == OfferState::Ringing) {
            offer.state = state;
            taken.push(offer.id);
        }
        for id in taken {
            self.effects.push_back(Effect::Withdraw { id });
            self.write_outcome(now, id, outcome, None);
        }
    }

    /// Ends the hunt from outside.
    fn stop(&mut self, now: Now, world: &mut World<'_>) {
        match mem::replace(&mut self.phase, Phase::Over) {
            Phase::Ringing(step, _) | Phase::Waiting(step) | Phase::Settling(step) => {
                self.leave_line(now, &step, world)
            }
            Phase::Over => {}
        }
        self.take_back(now, OfferState::Withdrawn, OfferOutcome::Withdrawn);
    }

    fn finish(&mut self, answer: Answer) {
        self.record.answer = Some(answer.clone());
        self.effects.push_back(Effect::Finish(answer));
    }

    /// 182 again, where it is time (R-5.5): while the call waits, and while an offer made from the line rings, whose
    /// phones perhaps say nothing.
    fn notify(&mut self, now: Now, world: &World<'_>) {
        let queue = match &mut self.phase {
            Phase::Ringing(step, _) | Phase::Waiting(step) | Phase::Settling(step) => step.queue.as_mut(),
            Phase::Over => None,
        };
        if let Some(queue) = queue.filter(|queue| queue.notice <= now.mono) {
            queue.notice = now.mono + NOTICE;
            self.effects.push_back(Effect::Queued { place: world.line.place(queue.ticket) });
        }
    }

    /// Leaves the line, if the call is in it, and writes down how long it waited.
    fn leave_line(&mut self, now: Now, step: &Step, world: &mut World<'_>) {
        let Some(queue) = step.queue else { return };
        if !world.line.leave(queue.ticket) {
            return;
        }
        self.waits_for.clear();
        if let Some(record) = self.record.steps.get_mut(step.index) {
            record.wait = Some(seconds(now.mono.since(queue.since.mono)));
        }
    }

    fn member_record(&mut self, step: usize, position: usize) -> Option<&mut MemberRecord> {
        self.record.steps.get_mut(step)?.members.get_mut(position)
    }

    fn write_skip(&mut self, step: usize, position: usize, skip: Option<Skip>) {
        if let Some(record) = self.member_record(step, position) {
            (record.skip, record.evidence) = skip.map_or((None, None), |skip| (Some(skip.reason), Some(skip.evidence)));
        }
    }

    /// A caller who waits on is not offered again to who would not have it (R-5.2). That is written beside the offer, which
    /// alone stands for it while the hunt simply goes on to others.
    fn write_already_offered(&mut self, step: usize, positions: &[usize]) {
        for position in positions {
            let Some(record) = self.member_record(step, *position) else { continue };
            let Some(offered) = &record.offered else { continue };
            record.evidence = Some(format!("offer {}", offered.offer));
            record.skip = Some(SkipReason::AlreadyOffered);
        }
    }

    /// How an offer ended, and after how long.
    fn write_outcome(&mut self, now: Now, offer: OfferId, outcome: OfferOutcome, status: Option<u16>) {
        let began = self.offers.iter().find(|known| known.id == offer).map(|known| known.began);
        if let (Some(record), Some(began)) = (self.offer_record(offer), began) {
            record.outcome = Some(outcome);
            record.status = status;
            record.ring = Some(seconds(now.mono.since(began.mono)));
        }
    }

    /// What a phone said after its ring was over; it rang as long as it rang.
    fn rewrite_outcome(&mut self, offer: OfferId, outcome: OfferOutcome, status: Option<u16>) {
        if let Some(record) = self.offer_record(offer) {
            record.outcome = Some(outcome);
            record.status = status;
        }
    }

    fn offer_record(&mut self, offer: OfferId) -> Option<&mut OfferRecord> {
        let known = self.offers.iter().find(|known| known.id == offer)?;
        let step = self.record.steps.get_mut(known.step)?;
        match &known.whom {
            Whom::User { member, .. } => {
                let position = member.as_ref().map_or(0, |(_, position)| *position);
                step.members.get_mut(position)?.offered.as_mut()
            }
            Whom::External(_) => step.offered.as_mut(),
        }
        .filter(|record| record.offer == offer.0)
    }
}

/// Whom a look would have offered the call to, were they free.
#[derive(Default)]
struct Wanted {
    /// Persons who are busy now, and will become free (R-5.5).
    busy: Vec<PersonId>,
    /// Persons whose hours open, and when.
    off_hours: Vec<(PersonId, WallTime)>,
    /// All who may be offered the call: these, and who may register or take calls again.
    anyone: Vec<PersonId>,
}

impl Wanted {
    fn note(&mut self, now: Now, user: &User, skip: &Skip) {
        if skip.reason.is_busy() && !self.busy.contains(&user.person) {
            self.busy.push(user.person.clone());
        }
        if skip.reason == SkipReason::OffHours
            && let Some(opening) = user.hours.as_ref().and_then(|hours| hours.schedule.next_change(now.wall))
        {
            self.off_hours.push((user.person.clone(), opening));
        }
        if !self.anyone.contains(&user.person) {
            self.anyone.push(user.person.clone());
        }
    }

    /// When the first of their hours open.
    fn opening(&self) -> Option<WallTime> {
        self.off_hours.iter().map(|(_, opening)| *opening).min()
    }

    /// Whom the call waits for, each from when on: who is busy at once, who is off hours when they open.
    fn persons(&self) -> Vec<(PersonId, Since)> {
        let busy = self.busy.iter().map(|person| (person.clone(), Since::Always));
        let later = self.off_hours.iter().map(|(person, opening)| (person.clone(), Since::Moment(*opening)));
        busy.chain(later).collect()
    }
}

/// The time from one moment to a later one.
fn until(now: WallTime, then: WallTime) -> Duration {
    Duration::from_millis(u64::try_from(then.unix_millis().saturating_sub(now.unix_millis())).unwrap_or(0))
}

/// How often a caller who waits is told so: upstream timers are minutes long (RFC 3261 §16.6 item 11: Timer C, more
/// than three of them).
const NOTICE: Duration = Duration::from_secs(60);

/// How long a look waits for phones that were just rung by this call to let go. A phone that is there answers a CANCEL
/// within a round trip; one that is not is waited for no longer.
const SETTLE: Duration = Duration::from_secs(2);

/// To the millisecond, for records.
fn seconds(length: Duration) -> f64 {
    Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// What is known of a call before its company is.
pub(super) fn blank_record(now: Now, arrival: &Arrival) -> DecisionRecord {
    DecisionRecord {
        number: match &arrival.called {
            Called::Number(number) => number.to_string(),
            Called::User(user) => user.extension.to_string(),
            Called::Unknown(text) => text.clone(),
        },
        company: None,
        caller: arrival.caller.to_string(),
        at: words::stamp(now.wall, chrono_tz::Tz::UTC),
        trunk: arrival.trunk.as_ref().map(ToString::to_string),
        from_user: arrival.from_user.as_ref().map(ToString::to_string),
        form: arrival.form,
        label: None,
        door: None,
        number_hours: None,
        passed: Vec::new(),
        route: None,
        steps: Vec::new(),
        answered_by: None,
        answer: None,
        answer_after: None,
        user_verdict: None,
    }
}

#[cfg(test)]
mod tests;
