//! One call at one moment: what is new in its decision record, held against the interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use switchboard::id::CallRef;
use switchboard::routing::{DecisionRecord, MemberRecord, OfferOutcome, SkipReason, StepRecord};
use switchboard::state::{Change, SavedClaim, SavedHold};

use super::Call;
use super::interpreter::{self, Registered, Switches};
use super::memory::Memories;
use crate::history::{Entry, History, Nanos, SECOND, What};
use crate::model::{Company, Department, Destination, Model, User};
use crate::oracle::kept::{Kept, KeptClaim, State};

/// What a step of the daemon changed, as it was before.
pub struct Seen {
    at: Nanos,
    pub claims: BTreeMap<String, Option<KeptClaim>>,
    bindings: BTreeMap<String, Vec<Kept>>,
    switches: BTreeMap<String, Switches>,
    /// The calls that did something.
    pub moved: BTreeSet<CallRef>,
    /// The branches of the callers who were told to wait, one after another.
    pub told_to_wait: BTreeSet<String>,
}

impl Seen {
    pub fn new(first: &Entry) -> Seen {
        Seen {
            at: first.at,
            claims: BTreeMap::new(),
            bindings: BTreeMap::new(),
            switches: BTreeMap::new(),
            moved: BTreeSet::new(),
            told_to_wait: BTreeSet::new(),
        }
    }

    /// Notes what an entry is about to change.
    pub fn before(&mut self, state: &State, entry: &Entry) {
        let What::Changed(_, change) = &entry.what else { return };
        match &**change {
            Change::Claim { person, .. } => {
                let person = person.to_string();
                let before = state.claims.get(&person).cloned();
                self.claims.entry(person).or_insert(before);
            }
            Change::Bindings { user, .. } => {
                let user = user.to_string();
                let before = state.live(&user, self.at).cloned().collect();
                self.bindings.entry(user).or_insert(before);
            }
            Change::Switches { user, .. } => {
                let user = user.to_string();
                let before = state.switches.get(&user).copied().unwrap_or_default();
                self.switches.entry(user).or_insert(before);
            }
            Change::Pointer { .. }
            | Change::Member { .. }
            | Change::Caller { .. }
            | Change::Call(_)
            | Change::Over(_) => {}
        }
    }

    /// Whether somebody may have become free.
    pub fn something(&self) -> bool {
        !(self.claims.is_empty() && self.bindings.is_empty() && self.switches.is_empty())
    }

    /// What may have stood in a person's way at some moment of the step.
    pub fn claims_of(&self, state: &State, person: &str, at: Nanos) -> Vec<Option<SavedClaim>> {
        let mut claims = vec![state.claim(person, at).cloned()];
        if let Some(before) = self.claims.get(person) {
            let live = before.as_ref().filter(|kept| kept.until.is_none_or(|until| until > at));
            // In between the person was free, if the call that had the claim did something.
            if live.is_none_or(|kept| self.moved.contains(&kept.claim.call)) {
                claims.push(None);
            }
            claims.push(live.map(|kept| kept.claim.clone()));
        }
        claims
    }
}

/// Whether a user's devices are there, for who is rung on them.
pub fn registered(user: &User, there: bool) -> Registered {
    if there && user.devices { Registered::Yes } else { Registered::No }
}

/// The person behind a user, as claims name it.
pub fn person(company: &Company, extension: &str) -> String {
    let named = company.user(extension).and_then(|user| user.person.clone());
    named.unwrap_or_else(|| format!("{extension}@{}", company.id))
}

/// `department:sales`
pub fn place_of(step: &StepRecord) -> String {
    match (&step.department, &step.user, &step.external) {
        (Some(id), ..) => format!("department:{id}"),
        (None, Some(extension), _) => format!("user:{extension}"),
        (None, None, Some(number)) => format!("external:{number}"),
        (None, None, None) => "nothing".to_owned(),
    }
}

/// Whether a step that has members was entered, and none of them looked at yet.
pub fn look_is_due(step: &StepRecord) -> bool {
    let untouched = |member: &MemberRecord| member.skip.is_none() && member.offered.is_none();
    step.cause.is_none() && !step.members.is_empty() && step.members.iter().all(untouched)
}

/// How long an offer of a step lasts, in seconds; of an outside number the rules say nothing.
pub fn ring(company: &Company, step: &StepRecord) -> Option<u64> {
    match (&step.department, &step.user) {
        (Some(id), _) => company.department(id).map(|department| department.ring),
        (None, Some(extension)) => company.user(extension).map(|user| user.ring),
        (None, None) => None,
    }
}

/// Everything that is known at the moment.
pub struct Look<'j, 'h> {
    pub history: &'h History,
    pub model: &'j Model,
    pub state: &'j State,
    pub seen: &'j Seen,
    pub memories: &'j Memories,
    pub calls: &'j BTreeMap<CallRef, Call>,
    pub me: CallRef,
    pub at: Nanos,
    pub wall: i64,
    /// No other call moved in this step.
    pub alone: bool,
    /// The daemon was killed within this step.
    pub cut_short: bool,
    pub queued: Option<(usize, Nanos)>,
    pub first: &'j What,
    pub offered_at: &'j BTreeMap<u32, Nanos>,
}

impl Look<'_, '_> {
    fn call(&self) -> &Call {
        &self.calls[&self.me]
    }

    /// What is wrong with what is new.
    pub fn judge(&self, old: Option<&DecisionRecord>, new: &DecisionRecord, invited: &[SocketAddr]) -> Vec<String> {
        let company = self.call().company.as_deref().and_then(|id| self.model.company(id));
        let Some(company) = company else {
            return if new.steps.is_empty() {
                Vec::new()
            } else {
                vec!["nobody's call was sent to somebody".to_owned()]
            };
        };
        let mut wrong = Vec::new();
        let mut targets = Vec::new();
        for (index, step) in new.steps.iter().enumerate() {
            let before = old.and_then(|old| old.steps.get(index));
            if before == Some(step) {
                continue;
            }
            if before.is_none() {
                wrong.extend(self.entered(company, new, index));
            }
            wrong.extend(self.members(company, step, before));
            wrong.extend(self.outcomes(company, step, before));
            wrong.extend(self.left(company, new, index, before));
            targets.extend(self.targets(company, step, before));
        }
        targets.sort();
        let mut invited = invited.to_vec();
        invited.sort();
        let trunk = self.model.trunks.first().map(|trunk| trunk.address);
        let is_phone = |address: &&SocketAddr| Some(**address) != trunk;
        let unequal = || {
            let phones = |all: &[SocketAddr]| all.iter().filter(is_phone).copied().collect::<Vec<_>>();
            // A trunk may have no room for one more.
            phones(&targets) != phones(&invited) || invited.len() > targets.len()
        };
        if !self.cut_short && unequal() && !self.alike(&targets, &invited) {
            wrong.push(format!("INVITE went to {invited:?}; the offers are for {targets:?}"));
        }
        wrong
    }

    /// Max-Breadth may leave devices out (RFC 5393), never add any.
    fn alike(&self, targets: &[SocketAddr], invited: &[SocketAddr]) -> bool {
        invited.len() >= 50 && invited.iter().all(|address| targets.contains(address))
    }

    /// a step is where the one before leads, and new.
    fn entered(&self, company: &Company, new: &DecisionRecord, index: usize) -> Vec<String> {
        let step = &new.steps[index];
        let place = place_of(step);
        let led = match index.checked_sub(1).map(|before| &new.steps[before]) {
            None => new.route.as_ref().map(|route| route.to.clone()),
            Some(before) => before.overflow.clone(),
        };
        let mut wrong = Vec::new();
        if led.as_deref() != Some(place.as_str()) {
            wrong.push(format!("step {} is {place}; right is {led:?}", index + 1));
        }
        if !place.starts_with("external:") && new.steps[..index].iter().any(|step| place_of(step) == place) {
            wrong.push(format!("{place} was entered twice (R-4.4)"));
        }
        let Some(department) = step.department.as_ref().and_then(|id| company.department(id)) else { return wrong };
        let memory = self.memories.of(&company.id, &department.id);
        let spoke = department.sticky.zip(memory.and_then(|memory| memory.spoke.get(&new.caller)));
        let sticky = spoke.filter(|(sticky, (extension, at))| {
            self.wall < at + i64::try_from(sticky.window).unwrap_or(i64::MAX) * 1000
                && department.members.contains(extension)
        });
        let sticky = sticky.map(|(_, (extension, _))| extension.clone());
        if sticky != step.sticky && self.alone {
            wrong.push(format!("{place}: the caller is taken for {:?}'s; right is {sticky:?} (R-5.7)", step.sticky));
        }
        wrong
    }

    /// who was offered the call just now, and why the others were not.
    fn members(&self, company: &Company, step: &StepRecord, before: Option<&StepRecord>) -> Vec<String> {
        let mut wrong = Vec::new();
        let department = step.department.as_ref().and_then(|id| company.department(id));
        let place = place_of(step);
        let written: Vec<&str> = match (department, &step.user) {
            (Some(department), _) => department.members.iter().map(String::as_str).collect(),
            (None, Some(extension)) => vec![extension],
            (None, None) => return wrong,
        };
        if !step.members.iter().map(|member| member.extension.as_str()).eq(written.iter().copied()) {
            return vec![format!("{place} is said to have other members than {written:?}")];
        }
        let shut = department.and_then(|department| department.hours.as_ref());
        let shut = shut.is_some_and(|hours| !interpreter::is_open(company, hours, self.wall));
        if before.is_none() && shut {
            if step.cause.map(|cause| cause.as_str()) != Some("closed")
                || step.members.iter().any(|member| member.offered.is_some())
            {
                wrong.push(format!("{place} is closed and was not left for that"));
            }
            return wrong;
        }
        if look_is_due(step) {
            // Phones that this call has just rung may be given a moment to let go, so that their persons can be rung here.
            let mine = |member: &MemberRecord| {
                let claim = self.state.claim(&person(company, &member.extension), self.at);
                claim.is_some_and(|claim| claim.call == self.me && claim.hold == SavedHold::Ringing)
            };
            if !step.members.iter().any(mine) {
                wrong.push(format!("{place} was entered and nobody was looked at"));
            }
            return wrong;
        }
        let was = |position: usize| before.and_then(|before| before.members.get(position));
        let is_newly = |position: usize, member: &MemberRecord| {
            member.offered.is_some() && was(position).is_none_or(|was| was.offered.is_none())
        };
        let newly: Vec<usize> =
            (0..step.members.len()).filter(|position| is_newly(*position, &step.members[*position])).collect();
        // A look goes over all of them; without one only what is new was looked at.
        let looked = before.is_none()
            || !newly.is_empty()
            || (step.cause.is_some() && before.is_some_and(|it| it.cause.is_none()));
        for (position, member) in step.members.iter().enumerate() {
            if newly.contains(&position) {
                // Of a step that a kill cut short it is not known whom else it let go.
                if !self.cut_short && !self.reasons(company, step, department, member).contains(&"eligible") {
                    wrong.push(format!(
                        "{place}: {} was offered the call; right is {:?}",
                        member.extension,
                        self.reasons(company, step, department, member)
                    ));
                }
                continue;
            }
            let Some(skip) = member.skip else { continue };
            let is_fresh = was(position).is_none_or(|was| (was.skip, &was.evidence) != (member.skip, &member.evidence));
            if !looked && !is_fresh {
                continue;
            }
            if member.offered.is_some() {
                // R-6 `already-offered`, beside the offer.
                if skip != SkipReason::AlreadyOffered {
                    wrong.push(format!("{place}: {} was offered the call and is {}", member.extension, skip.as_str()));
                }
                continue;
            }
            let reasons = self.reasons(company, step, department, member);
            // Claims are stored behind the calls: of a step that a kill cut short it is not known whom it has just claimed.
            let is_held = matches!(skip, SkipReason::OnCall | SkipReason::Ringing | SkipReason::WrapUp);
            if !(reasons.contains(&skip.as_str()) || self.cut_short && is_held) {
                wrong.push(format!(
                    "{place}: {} was skipped as {}; right is {reasons:?}",
                    member.extension,
                    skip.as_str()
                ));
            }
        }
        if looked {
            wrong.extend(self.in_order(company, step, department, &newly, before));
        }
        let ringing =
            step.members.iter().filter(|member| member.offered.as_ref().is_some_and(|offer| offer.outcome.is_none()));
        let most = department.map_or(1, interpreter::breadth);
        if ringing.count() > most {
            wrong.push(format!("{place} rings more than {most} at once (R-5.1)"));
        }
        wrong
    }

    /// Nobody comes before their turn, and nobody whose turn it was is passed over.
    fn in_order(
        &self,
        company: &Company,
        step: &StepRecord,
        department: Option<&Department>,
        newly: &[usize],
        before: Option<&StepRecord>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let place = place_of(step);
        let was_offered = |position: usize| {
            before.and_then(|before| before.members.get(position)).is_some_and(|was| was.offered.is_some())
        };
        let own = step.members.iter().position(|member| step.sticky.as_ref() == Some(&member.extension));
        let mut order = match department {
            None => Some(vec![0]),
            // Another call that moved in this step may have moved the memory too.
            Some(_) if !self.alone => None,
            Some(department) => {
                let memory = self.memories.of(&company.id, &department.id);
                let last = memory.and_then(|memory| memory.last_offered.as_deref());
                let worked = |extension: &str| memory.and_then(|memory| memory.worked.get(extension));
                interpreter::order(department, last, worked, interpreter::today(company, self.wall))
            }
        };
        let any = order.is_none();
        if let Some(order) = order.as_mut() {
            order.sort_by_key(|position| Some(*position) != own);
        }
        let order = order.unwrap_or_else(|| {
            // Any order: as if those offered had come first, the caller's own before them.
            let mut order: Vec<usize> = (0..step.members.len()).collect();
            let number = |position: &usize| step.members[*position].offered.as_ref().map(|offer| offer.offer);
            order.sort_by_key(|position| (Some(*position) != own, !newly.contains(position), number(position)));
            order
        });
        // the first `max-ring`, then the next. An offer that could not be made (R-8: the trunk has no room) is over at once; of a
        // batch in which none rings the next takes the place.
        let breadth = department.map_or(1, interpreter::breadth);
        let (mut batch, mut ringing) = (0, 0);
        let mut last_offer = 0;
        for position in order.into_iter().filter(|position| !was_offered(*position)) {
            let member = &step.members[position];
            if newly.contains(&position) {
                if batch == breadth && ringing == 0 {
                    batch = 0;
                }
                if batch == breadth {
                    wrong.push(format!("{place}: {} was offered the call before its turn", member.extension));
                }
                let number = member.offered.as_ref().map_or(0, |offer| offer.offer);
                if number < last_offer && !any {
                    wrong.push(format!("{place}: {} was offered the call out of order", member.extension));
                }
                last_offer = number;
                ringing += usize::from(member.offered.as_ref().is_some_and(|offer| offer.outcome.is_none()));
                // to whom the caller has spoken is a batch of one.
                batch = if Some(position) == own { breadth } else { batch + 1 };
            } else if member.skip.is_none() && member.offered.is_none() && (batch < breadth || ringing == 0) {
                wrong.push(format!("{place}: {} was passed over without a reason", member.extension));
            }
        }
        wrong
    }

    fn is_barred(step: &StepRecord, department: Option<&Department>, extension: &str) -> bool {
        let strict = department.and_then(|department| department.sticky).is_some_and(|sticky| sticky.strict);
        strict && step.sticky.as_ref().is_some_and(|sticky| sticky != extension)
    }

    /// what may be said against ringing somebody now; `eligible` where nothing may.
    fn reasons(
        &self,
        company: &Company,
        step: &StepRecord,
        department: Option<&Department>,
        member: &MemberRecord,
    ) -> Vec<&'static str> {
        let Some(user) = company.user(&member.extension) else { return vec!["nobody"] };
        let name = format!("{}@{}", user.extension, company.id);
        let mut switches = vec![self.state.switches.get(&name).copied().unwrap_or_default()];
        switches.extend(self.seen.switches.get(&name));
        let mut there = vec![self.state.live(&name, self.at).next().is_some()];
        there.extend(self.seen.bindings.get(&name).map(|before| !before.is_empty()));
        let person = person(company, &user.extension);
        let mut reasons = Vec::new();
        // from its first moment on the call holds the claim of the person who makes it.
        let is_caller = self.caller().as_ref() == Some(&person);
        for switches in switches {
            for there in &there {
                let against = interpreter::against(company, user, switches, registered(user, *there), self.wall);
                if let Some(reason) = against {
                    reasons.push(reason);
                    continue;
                }
                if is_caller {
                    reasons.push("ringing");
                    continue;
                }
                for claim in self.seen.claims_of(self.state, &person, self.at) {
                    reasons.push(match claim.map(|claim| claim.hold) {
                        Some(SavedHold::OnCall) => "on-call",
                        Some(SavedHold::Ringing) => "ringing",
                        Some(SavedHold::WrapUp(_)) => "wrap-up",
                        None if Self::is_barred(step, department, &user.extension) => "not-sticky",
                        None => "eligible",
                    });
                    // whoever is free is the caller's who has waited longest.
                    if reasons.last().is_some_and(|reason| matches!(*reason, "eligible" | "not-sticky"))
                        && self.is_awaited(&person)
                    {
                        reasons.push("ringing");
                    }
                }
            }
        }
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    }

    /// The person who calls, where it is one of ours.
    fn caller(&self) -> Option<String> {
        let (extension, company) = self.call().from_user.as_deref()?.split_once('@')?;
        self.model.company(company).map(|company| person(company, extension))
    }

    /// Whether a call that has waited longer than this one waits for a person.
    fn is_awaited(&self, person: &str) -> bool {
        self.calls.iter().filter(|(id, _)| **id != self.me).any(|(_, other)| {
            let Some((index, since)) = other.queued else { return false };
            let earlier = self.queued.is_none_or(|(_, mine)| since <= mine);
            let model = &self.history.models[other.version];
            let company = other.company.as_deref().and_then(|id| model.company(id));
            let step = other.decision.steps.get(index);
            let wants = |company: &Company, step: &StepRecord| {
                step.members.iter().any(|member| self::person(company, &member.extension) == person)
            };
            earlier && company.zip(step).is_some_and(|(company, step)| wants(company, step))
        })
    }

    /// an offer that nobody ended lasts as long as it should.
    fn outcomes(&self, company: &Company, step: &StepRecord, before: Option<&StepRecord>) -> Vec<String> {
        let Some(ring) = ring(company, step) else { return Vec::new() };
        let ended_by_wire = matches!(self.first, What::Heard(_) | What::Undeliverable(_));
        let early = step.members.iter().enumerate().filter(|(position, member)| {
            let was = before.and_then(|before| before.members.get(*position)).and_then(|was| was.offered.as_ref());
            let (Some(was), Some(is)) = (was, &member.offered) else { return false };
            let since = self.offered_at.get(&is.offer).copied().unwrap_or(0);
            was.outcome.is_none()
                && is.outcome == Some(OfferOutcome::NoAnswer)
                && self.at + SECOND / 500 < since + ring * SECOND
        });
        let early = early.filter(|_| !ended_by_wire);
        early
            .map(|(_, member)| format!("{}: the offer to {} ended before {ring} s", place_of(step), member.extension))
            .collect()
    }

    /// why a step was left, and where to.
    fn left(&self, company: &Company, new: &DecisionRecord, index: usize, before: Option<&StepRecord>) -> Vec<String> {
        let step = &new.steps[index];
        let Some(cause) = step.cause.filter(|_| before.is_none_or(|before| before.cause.is_none())) else {
            return Vec::new();
        };
        let (cause, place) = (cause.as_str(), place_of(step));
        let mut wrong = Vec::new();
        let department = step.department.as_ref().and_then(|id| company.department(id));
        let user = step.user.as_ref().and_then(|extension| company.user(extension));
        let entries = department.map(|department| &department.overflow).or(user.map(|user| &user.overflow));
        let to = entries.and_then(|entries| interpreter::overflow(entries, cause)).map(Destination::text);
        if to != step.overflow {
            wrong.push(format!("{place} was left for {cause} to {:?}; right is {to:?}", step.overflow));
        }
        let right = self.causes(company, new, index, department);
        if !right.contains(&cause) {
            wrong.push(format!("{place} was left for {cause}; right is {right:?}"));
        }
        wrong
    }

    fn causes(
        &self,
        company: &Company,
        new: &DecisionRecord,
        index: usize,
        department: Option<&Department>,
    ) -> Vec<&'static str> {
        let step = &new.steps[index];
        let offered = step.members.iter().any(|member| member.offered.is_some());
        let in_vain = |cause: &'static str| vec![if offered { "no-answer" } else { cause }];
        if step.external.is_some() {
            return vec!["busy", "no-answer", "unavailable"];
        }
        let caller = self.caller();
        let busy = step.members.iter().any(|member| {
            let is_busy = matches!(member.skip, Some(SkipReason::OnCall | SkipReason::Ringing | SkipReason::WrapUp));
            // the caller's own person cannot become free while the call goes on.
            let is_caller = caller.as_ref() == Some(&person(company, &member.extension));
            is_busy && !is_caller && !Self::is_barred(step, department, &member.extension)
        });
        let Some(department) = department else { return in_vain(if busy { "busy" } else { "unavailable" }) };
        if department.hours.as_ref().is_some_and(|hours| !interpreter::is_open(company, hours, self.wall)) && !offered {
            let untouched = step.members.iter().all(|member| member.skip.is_none());
            if untouched {
                return vec!["closed"];
            }
        }
        if !busy {
            return in_vain("unavailable");
        }
        let strict = step.sticky.is_some() && department.sticky.is_some_and(|sticky| sticky.strict);
        if department.wait == 0 || strict {
            return in_vain("busy");
        }
        match self.queued.filter(|(queued, _)| *queued == index) {
            Some((_, since)) if self.at + SECOND / 500 >= since + department.wait * SECOND => {
                vec!["timeout", "no-answer"]
            }
            Some(_) => vec!["(wait on)"],
            None if self.line(company, department) >= department.max_waiting => in_vain("full"),
            None => vec!["(wait)"],
        }
    }

    /// How many others wait for a department, at most.
    fn line(&self, company: &Company, department: &Department) -> usize {
        let others =
            self.calls.iter().filter(|(id, call)| **id != self.me && call.company.as_ref() == Some(&company.id));
        let waits = |call: &Call| {
            call.branch.as_ref().is_some_and(|branch| self.seen.told_to_wait.contains(branch))
                || call.queued.is_some_and(|(index, _)| {
                    call.decision.steps.get(index).is_some_and(|step| step.department.as_ref() == Some(&department.id))
                })
        };
        others.filter(|(_, call)| waits(call)).count()
    }

    /// where the INVITEs of what was offered just now go.
    fn targets(&self, company: &Company, step: &StepRecord, before: Option<&StepRecord>) -> Vec<SocketAddr> {
        let outside = self.model.trunks.first().map(|trunk| trunk.address);
        let mut targets = Vec::new();
        if step.offered.is_some() && before.is_none_or(|before| before.offered.is_none()) {
            targets.extend(outside);
        }
        for (position, member) in step.members.iter().enumerate() {
            let was = before.and_then(|before| before.members.get(position)).is_some_and(|was| was.offered.is_some());
            let Some(user) = company.user(&member.extension).filter(|_| member.offered.is_some() && !was) else {
                continue;
            };
            let name = format!("{}@{}", user.extension, company.id);
            if user.devices {
                targets.extend(self.state.live(&name, self.at).map(|kept| kept.binding.target));
            }
            if user.mobile.is_some() {
                targets.extend(outside);
            }
        }
        targets
    }
}
