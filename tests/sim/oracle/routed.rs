//! Invariant 10. **Routed as written.** The set and order of agents tried equals a naive interpreter of the plan *version in force at the
//! INVITE*, its wall time and the availability seen; no agent twice in a step, no step skipped.
//!
//! The daemon stores each call's decision record with every step it takes in it. What is new in a record was decided in the step that
//! stored it: there and then it is held against the wire and against the interpreter. Between two steps of the daemon nothing
//! happens; within one, several calls may move, and a person may have been free for a moment: either is right then.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use switchboard::id::CallRef;
use switchboard::routing::{DecisionRecord, OfferOutcome, StepRecord};
use switchboard::state::{CallRecord, Change, Saved};

use super::Violation;
use super::interpreter::{self, Colleague, Door};
use super::kept::{State, steps};
use crate::history::{Entry, History, Nanos, SECOND, What};
use crate::model::{Company, Destination, Model};
use crate::text::{Message, Name, parameter};

mod line;
mod look;
mod memory;

use look::{Look, Seen};
use memory::Memories;

pub fn routed_as_written(history: &History) -> Vec<Violation> {
    let mut judge = Judge {
        history,
        state: State::default(),
        memories: Memories::default(),
        calls: BTreeMap::new(),
        branches: BTreeSet::new(),
        violations: Vec::new(),
        place: 0,
        cut_short: false,
    };
    for step in steps(history) {
        judge.cut_short = history.entries.get(step.end).is_some_and(|next| matches!(next.what, What::Killed));
        judge.step(step.start, &history.entries[step]);
    }
    judge.violations
}

/// Names an INVITE on both sides of the daemon: Call-ID, From tag, CSeq.
type Key = (String, String, u32);

fn key(message: &Message) -> Option<Key> {
    let (cseq, _) = message.cseq()?;
    Some((message.call_id().to_owned(), message.from_tag().unwrap_or_default().to_owned(), cseq))
}

/// A call that goes on.
#[derive(Clone, Debug)]
struct Call {
    version: usize,
    company: Option<String>,
    trunk: Option<String>,
    from_user: Option<String>,
    decision: DecisionRecord,
    key: Option<Key>,
    /// The branch of the caller's own INVITE.
    branch: Option<String>,
    /// In which step it was told that it waits, and since when.
    queued: Option<(usize, Nanos)>,
    /// When each offer was made, by its number, and when the last one ended.
    offered_at: BTreeMap<u32, Nanos>,
    ended_at: Nanos,
    /// The daemon was killed before it was answered.
    cut_off: bool,
}

struct Judge<'h> {
    history: &'h History,
    state: State,
    memories: Memories,
    calls: BTreeMap<CallRef, Call>,
    /// Of INVITEs sent.
    branches: BTreeSet<String>,
    violations: Vec<Violation>,
    place: usize,
    /// The daemon was killed within the step that is looked at.
    cut_short: bool,
}

/// What a step says of a call.
struct Word<'h> {
    call: CallRef,
    decision: &'h DecisionRecord,
    company: Option<String>,
    trunk: Option<String>,
    from_user: Option<String>,
    invite: Option<Message>,
    over: Option<&'h CallRecord>,
}

impl<'h> Judge<'h> {
    fn say(&mut self, words: String) {
        self.violations.push(Violation { invariant: 10, place: self.place, words });
    }

    fn step(&mut self, start: usize, entries: &'h [Entry]) {
        let first = &entries[0];
        self.place = start;
        let mut seen = Seen::new(first);
        for entry in entries {
            seen.before(&self.state, entry);
            self.state.take(entry);
        }
        if let What::Started(saved, _) = &first.what {
            self.restart(saved);
        }
        if let What::Adopted(version) = &first.what {
            self.memories.retain(&self.history.models[*version]);
        }
        let words = words(entries);
        let mut invites = self.invites(entries);
        seen.moved = words.iter().map(|word| word.call).collect();
        seen.told_to_wait = told_to_wait(entries).filter_map(Message::branch).map(str::to_owned).collect();
        // What a member's call did is remembered before anybody is chosen by it.
        self.note_ends(&seen, first);
        let mut offers = Vec::new();
        for (count, word) in words.iter().enumerate() {
            let alone = words.len() == 1;
            offers.extend(self.word(word, first, &seen, alone && count == 0, &mut invites));
        }
        if !self.cut_short {
            self.out_of_turn(&offers, first);
        }
        self.answers(entries);
        self.queue(entries, first.at);
        // What a step that a kill cut short has ended is not stored.
        if matches!(first.what, What::Fired) && !self.cut_short {
            self.overdue(first.at);
        }
        // Of a step that a kill cut short it is not known whom else it would have rung.
        if seen.something() && !self.cut_short {
            self.waiting(first, &seen.moved);
        }
        for word in &words {
            if word.over.is_some() {
                self.calls.remove(&word.call);
            }
        }
    }

    fn restart(&mut self, saved: &Saved) {
        self.memories = Memories::restored(saved);
        // Of whom the version in force knows nothing, nothing is remembered.
        self.memories.retain(&self.history.models[self.state.version]);
        let known: BTreeMap<CallRef, bool> =
            saved.calls.iter().map(|call| (call.call, call.answered_at.is_some())).collect();
        self.calls.retain(|call, _| known.contains_key(call));
        for saved in &saved.calls {
            if let Some(call) = self.calls.get_mut(&saved.call) {
                call.decision = saved.decision.clone();
            }
        }
        for (call, goes_on) in known {
            if let Some(call) = self.calls.get_mut(&call) {
                call.cut_off = !goes_on;
                call.queued = None;
            }
        }
    }

    /// The first copies of INVITEs that go to somebody in a step, by call.
    fn invites(&mut self, entries: &[Entry]) -> BTreeMap<Key, Vec<SocketAddr>> {
        let mut invites: BTreeMap<Key, Vec<SocketAddr>> = BTreeMap::new();
        for entry in entries {
            let What::Sent(datagram) = &entry.what else { continue };
            let Some(message) = datagram.message.as_ref().filter(|it| it.is("INVITE") && it.to_tag().is_none()) else {
                continue;
            };
            let Some(branch) = message.branch() else { continue };
            if self.branches.insert(branch.to_owned())
                && let Some(key) = key(message)
            {
                invites.entry(key).or_default().push(datagram.to);
            }
        }
        invites
    }

    /// A member's call is over: idle from now on.
    fn note_ends(&mut self, seen: &Seen, first: &Entry) {
        for (person, before) in &seen.claims {
            let Some(before) = before.as_ref().filter(|kept| kept.claim.hold == switchboard::state::SavedHold::OnCall)
            else {
                continue;
            };
            let goes_on =
                self.state.claims.get(person).is_some_and(|after| {
                    after.claim.hold == before.claim.hold && after.claim.call == before.claim.call
                });
            if goes_on {
                continue;
            }
            let Some(call) = self.calls.get(&before.claim.call) else { continue };
            let company = before.claim.user.company.to_string();
            let extension = before.claim.user.extension.to_string();
            for step in &call.decision.steps {
                let answered = step.members.iter().any(|member| {
                    let offered = member.offered.as_ref();
                    member.extension == extension
                        && offered.is_some_and(|offer| offer.outcome == Some(OfferOutcome::Answered))
                });
                if let Some(department) = step.department.as_ref().filter(|_| answered) {
                    self.memories.ended(&company, department, &extension, first.wall);
                }
            }
        }
    }

    fn word(
        &mut self,
        word: &Word<'h>,
        first: &Entry,
        seen: &Seen,
        alone: bool,
        invites: &mut BTreeMap<Key, Vec<SocketAddr>>,
    ) -> Vec<line::Offered> {
        let is_new = !self.calls.contains_key(&word.call);
        if is_new {
            let heard = match &first.what {
                What::Heard(datagram) => datagram.message.as_ref().filter(|message| message.is("INVITE")),
                _ => None,
            };
            let message = word.invite.as_ref().or(heard);
            let call = Call {
                version: self.state.version,
                company: word.company.clone(),
                trunk: word.trunk.clone(),
                from_user: word.from_user.clone(),
                decision: word.decision.clone(),
                key: message.and_then(key),
                branch: message.and_then(Message::branch).map(str::to_owned),
                queued: None,
                offered_at: BTreeMap::new(),
                ended_at: 0,
                cut_off: heard.is_none(),
            };
            self.calls.insert(word.call, call);
            if let Some(message) = heard {
                self.arrival(word, message, first, seen);
            }
        }
        let Some(mut call) = self.calls.get(&word.call).cloned() else { return Vec::new() };
        let mut offered = Vec::new();
        let cut_off = word.over.is_some_and(|record| record.ended_by == switchboard::state::EndedBy::CutOff);
        let targets = call.key.as_ref().and_then(|key| invites.remove(key)).unwrap_or_default();
        if !call.cut_off && !cut_off {
            let old = (!is_new).then_some(&call.decision);
            let look = Look {
                history: self.history,
                model: &self.history.models[call.version],
                state: &self.state,
                seen,
                memories: &self.memories,
                calls: &self.calls,
                me: word.call,
                at: first.at,
                wall: first.wall,
                alone,
                cut_short: self.cut_short,
                queued: call.queued,
                first: &first.what,
                offered_at: &call.offered_at,
            };
            let mut said = look.judge(old, word.decision, &targets);
            said.into_iter().for_each(|words| self.say(format!("call {}: {words}", word.call)));
            let version = &self.history.models[call.version];
            if let Some(company) = call.company.as_deref().and_then(|id| version.company(id)) {
                offered = line::offered(word.call, &call, company, old, word.decision);
            }
            said = self.finish(&call, word.decision, old, &first.what);
            said.into_iter().for_each(|words| self.say(format!("call {}: {words}", word.call)));
        }
        self.remember(&mut call, word.decision, is_new, first);
        call.decision = word.decision.clone();
        self.calls.insert(word.call, call);
        offered
    }

    ///
    fn arrival(&mut self, word: &Word<'h>, message: &Message, first: &Entry, seen: &Seen) {
        let model = &self.history.models[self.state.version];
        let decision = word.decision;
        let text = message.request_uri().unwrap_or_default();
        let text = text.split_once(':').map_or(text, |(_, rest)| rest);
        let text = text.split('@').next().unwrap_or_default().split(';').next().unwrap_or_default();
        let shown = if let Some(door) = &decision.door { Err(door.refused.as_str()) } else { Ok(()) };
        let calls = |company: &str| {
            self.calls
                .iter()
                .filter(|(call, known)| **call != word.call && known.company.as_deref() == Some(company))
                .count()
        };
        if shown == Err("trunk-limit") {
            let trunk = model.trunks.iter().find(|trunk| Some(&trunk.id) == word.trunk.as_ref());
            let most = trunk.and_then(|trunk| trunk.max_calls);
            // Calls out through it count too; how long each of those does is its dialog's to say.
            let through = |call: &Call| {
                let out = call
                    .decision
                    .steps
                    .iter()
                    .flat_map(|step| &step.members)
                    .filter(|member| member.offered.as_ref().is_some_and(|offer| offer.mobile.is_some()));
                let outside = call.decision.steps.iter().filter(|step| step.offered.is_some());
                let out = out.count() + outside.count();
                let first = word.trunk.as_deref() == Some("first");
                usize::from(call.trunk == word.trunk) + if first { out } else { 0 }
            };
            let most_there =
                self.calls.iter().filter(|(id, _)| **id != word.call).map(|(_, call)| through(call)).sum::<usize>();
            if most.is_none_or(|most| most_there < most as usize) {
                self.say(format!("refused for the trunk's limit of {most:?}, and at most {most_there} calls go on"));
            }
            return;
        }
        let from = word.from_user.as_deref().and_then(|name| name.split_once('@'));
        if let (Err("busy"), Some((extension, company))) = (shown, from) {
            let person = model.company(company).map(|company| person(company, extension));
            let busy =
                person.is_some_and(|person| seen.claims_of(&self.state, &person, first.at).iter().any(Option::is_some));
            if !busy {
                self.say(format!("refused because {extension}@{company} is on a call, which it is not"));
            }
            return;
        }
        let expected = self.expected(model, word, text, from, first.wall, &calls);
        let is = match shown {
            Err(cause) => format!("refused as {cause}"),
            Ok(()) => decision.route.as_ref().map_or("no route".to_owned(), |route| format!("sent to {}", route.to)),
        };
        let should: Vec<String> = expected
            .iter()
            .map(|door| match door {
                Door::Refused(cause) => format!("refused as {cause}"),
                Door::Open(to) => format!("sent to {}", to.text()),
            })
            .collect();
        if !should.contains(&is) {
            self.say(format!("call {} for {text} by {} was {is}; right is {should:?}", word.call, decision.caller));
        }
    }

    /// Usually one. Two where calls of the company end in the same step.
    fn expected(
        &self,
        model: &Model,
        word: &Word<'h>,
        text: &str,
        from: Option<(&str, &str)>,
        wall: i64,
        calls: &dyn Fn(&str) -> usize,
    ) -> Vec<Door> {
        let caller = &word.decision.caller;
        let count = |company: &Company| u32::try_from(calls(&company.id)).unwrap_or(u32::MAX);
        if let Some((_, own)) = from
            && let Some(company) = model.company(own)
            && company.user(text).is_some()
        {
            let refused = interpreter::refused(company, caller, count(company), Colleague::Yes);
            return vec![refused.unwrap_or(Door::Open(Destination::User(text.to_owned())))];
        }
        let trunk = match &word.trunk {
            Some(trunk) => model.trunks.iter().find(|known| known.id == *trunk),
            None => model.trunks.first(),
        };
        let called = trunk.and_then(|trunk| interpreter::called(model, trunk, text));
        let Some((company, number)) = called else {
            // An extension of nobody, dialled within its company, comes to that company's door first.
            let own = from.and_then(|(_, own)| model.company(own));
            let refused = own.and_then(|own| interpreter::refused(own, caller, count(own), Colleague::Yes));
            return [Some(Door::Refused("unknown-number")), refused].into_iter().flatten().collect();
        };
        let colleague = if from.is_some_and(|(_, own)| own == company.id) { Colleague::Yes } else { Colleague::No };
        vec![interpreter::door(company, &number, caller, count(company), wall, colleague)]
    }

    /// The answer of R-8, as the last step has it.
    fn finish(&self, call: &Call, new: &DecisionRecord, old: Option<&DecisionRecord>, first: &What) -> Vec<String> {
        let Some(answer) = &new.answer else { return Vec::new() };
        if old.is_some_and(|old| old.answer.is_some()) {
            return Vec::new();
        }
        let cause = answer.cause.as_str();
        let heard = match first {
            What::Heard(datagram) => datagram.message.as_ref(),
            _ => None,
        };
        let mut wrong = Vec::new();
        match cause {
            "answered" => {
                // What this reader cannot read the daemon perhaps can.
                if heard.is_some_and(|message| message.status().is_none_or(|status| status / 100 != 2)) {
                    wrong.push("answered, and nobody said 2xx just now".to_owned());
                }
                return wrong;
            }
            "cancelled" => {
                // By the branch of the INVITE, whatever else is bent (RFC 3261 §9.2, §17.2.3).
                let ours = |message: &Message| {
                    let branches = call.branch.as_deref().zip(message.branch());
                    let same = branches.map_or_else(
                        || key(message).map(|key| key.0) == call.key.clone().map(|key| key.0),
                        |(one, other)| one.eq_ignore_ascii_case(other),
                    );
                    message.is("CANCEL") && same
                };
                if !heard.is_some_and(ours) {
                    wrong.push("cancelled, and nobody sent CANCEL just now".to_owned());
                }
                return wrong;
            }
            "cut-off" | "draining" => return wrong,
            _ => {}
        }
        let right = match (&new.door, new.steps.last()) {
            (Some(door), _) => Some(door.refused.as_str().to_owned()),
            (None, None) => reject(new.route.as_ref().map(|route| route.to.as_str())),
            (None, Some(step)) => {
                reject(step.overflow.as_deref()).or_else(|| step.cause.map(|cause| cause.as_str().to_owned()))
            }
        };
        if right.as_deref() != Some(cause) {
            wrong.push(format!("answered as {cause}; right is {right:?}"));
        }
        if interpreter::answer(cause) != Some((answer.status, answer.q850.map(u16::from).unwrap_or_default())) {
            wrong.push(format!("{cause} is answered {} and {:?} (R-8)", answer.status, answer.q850));
        }
        let onward = new.steps.last().filter(|step| step.cause.is_some()).and_then(|step| step.overflow.as_deref());
        if let Some(onward) = onward.filter(|onward| reject(Some(onward)).is_none()) {
            let was_there = new.steps.iter().any(|step| look::place_of(step) == *onward);
            if !was_there {
                wrong.push(format!("ended although its overflow leads to {onward}"));
            }
        }
        wrong
    }

    /// What departments remember of what is new in a call.
    fn remember(&mut self, call: &mut Call, new: &DecisionRecord, is_new: bool, first: &Entry) {
        if is_new && call.cut_off {
            // Not seen from its beginning: what it did was remembered when it did it.
            return;
        }
        let old = if is_new { None } else { Some(&call.decision) };
        let version = &self.history.models[call.version];
        let company = call.company.as_deref().and_then(|id| version.company(id));
        let mut offers: Vec<(u32, &StepRecord, &str)> = Vec::new();
        for (index, step) in new.steps.iter().enumerate() {
            let before = old.and_then(|old| old.steps.get(index));
            for (position, member) in step.members.iter().enumerate() {
                let was =
                    before.and_then(|before| before.members.get(position)).and_then(|member| member.offered.as_ref());
                let Some(offer) = &member.offered else { continue };
                if was.is_none() {
                    offers.push((offer.offer, step, &member.extension));
                    call.offered_at.insert(offer.offer, first.at);
                }
                if offer.outcome != was.and_then(|was| was.outcome) {
                    call.ended_at = first.at;
                }
                let answered = |outcome: Option<OfferOutcome>| outcome == Some(OfferOutcome::Answered);
                if answered(offer.outcome)
                    && !answered(was.and_then(|was| was.outcome))
                    && let (Some(company), Some(department)) = (company, &step.department)
                {
                    let today = interpreter::today(company, first.wall);
                    self.memories.answered(&company.id, department, &member.extension, today, first.wall);
                    let is_first = new.answered_by.as_ref().is_some_and(|by| by.offer == offer.offer);
                    let sticky = company.department(department).is_some_and(|known| known.sticky.is_some());
                    if is_first && sticky && new.caller != "anonymous" {
                        self.memories.spoke(&company.id, department, &new.caller, &member.extension, first.wall);
                    }
                }
            }
            if let Some(offer) = &step.offered
                && before.is_none_or(|before| before.offered.is_none())
            {
                call.offered_at.insert(offer.offer, first.at);
            }
        }
        offers.sort_by_key(|(number, ..)| *number);
        for (_, step, extension) in offers {
            if let (Some(company), Some(department)) = (company, &step.department) {
                self.memories.offered(&company.id, department, extension);
            }
        }
    }

    /// The final answers that leave for callers are those that were decided.
    fn answers(&mut self, entries: &[Entry]) {
        // What a link broke on the way is answered without state, under the branch that is still to be read in it.
        let broken_copy = match &entries[0].what {
            What::Heard(datagram) => datagram.message.as_ref().is_none_or(|message| message.is("INVITE")),
            _ => false,
        };
        for entry in entries {
            let What::Sent(datagram) = &entry.what else { continue };
            let Some(message) = datagram.message.as_ref() else { continue };
            let Some(status) = message.status().filter(|status| *status >= 300) else { continue };
            if message.cseq().is_none_or(|(_, method)| method != "INVITE") || message.branch().is_none() {
                continue;
            }
            let wanted = key(message);
            let found = self
                .calls
                .iter()
                .find(|(_, call)| call.key == wanted && call.branch.as_deref() == message.branch() && !call.cut_off);
            let Some((id, call)) = found else { continue };
            if broken_copy && matches!(status, 400 | 403 | 416 | 420 | 440 | 482 | 483 | 505 | 513) {
                continue;
            }
            let Some(answer) = &call.decision.answer else {
                let words = format!("call {id}: {status} was sent before an answer was decided");
                self.say(words);
                continue;
            };
            let right = match answer.cause.as_str() {
                "cut-off" | "draining" => continue,
                // what crossed the CANCEL is a call; the transaction had its 487.
                "answered" | "cancelled" => status == 487,
                cause => {
                    let reason = message.all(Name::Reason).find(|reason| reason.starts_with("Q.850"));
                    let said = reason.and_then(|reason| parameter(reason, "cause")).and_then(|text| text.parse().ok());
                    interpreter::answer(cause).is_some_and(|(code, q850)| status == code && said == Some(q850))
                }
            };
            if !right {
                let words = format!(
                    "call {id}: {status} with {:?} was sent for {}",
                    message.first(Name::Reason),
                    answer.cause.as_str()
                );
                self.say(words);
            }
        }
    }

    /// Who was told 182 waits from then on, in the step the call is in.
    fn queue(&mut self, entries: &[Entry], at: Nanos) {
        for message in told_to_wait(entries) {
            let wanted = key(message);
            let branch = message.branch();
            for call in self.calls.values_mut() {
                if call.key != wanted || call.branch.as_deref() != branch {
                    continue;
                }
                let index = call.decision.steps.len().saturating_sub(1);
                if call.queued.is_none_or(|(step, _)| step != index) {
                    call.queued = Some((index, at));
                }
            }
        }
    }

    /// no offer lasts longer than `ring`, on our own clock.
    fn overdue(&mut self, at: Nanos) {
        let mut late = Vec::new();
        for (id, call) in self.calls.iter().filter(|(_, call)| !call.cut_off && call.decision.answer.is_none()) {
            let model = &self.history.models[call.version];
            let Some(company) = call.company.as_deref().and_then(|company| model.company(company)) else { continue };
            let Some(step) = call.decision.steps.last() else { continue };
            if look::look_is_due(step) && at >= call.ended_at + 2 * SECOND + SECOND / 1000 {
                late.push(format!("call {id}: nobody looks at {}", look::place_of(step)));
            }
            let Some(ring) = look::ring(company, step) else { continue };
            for member in &step.members {
                let Some(offer) = member.offered.as_ref().filter(|offer| offer.outcome.is_none()) else { continue };
                let since = call.offered_at.get(&offer.offer).copied().unwrap_or(at);
                if at >= since + ring * SECOND + SECOND / 1000 {
                    late.push(format!("call {id}: {} rings longer than {ring} s", member.extension));
                }
            }
        }
        late.into_iter().for_each(|words| self.say(words));
    }

    /// whoever becomes free is offered at once to who waits.
    fn waiting(&mut self, first: &Entry, moved: &BTreeSet<CallRef>) {
        let mut missed = Vec::new();
        for (id, call) in self.calls.iter().filter(|(_, call)| call.queued.is_some()) {
            let Some(step) = call.decision.steps.last().filter(|step| step.cause.is_none()) else { continue };
            let in_line = call.queued.is_some_and(|(index, _)| index + 1 == call.decision.steps.len())
                && call.decision.answer.is_none()
                && !step
                    .members
                    .iter()
                    .any(|member| member.offered.as_ref().is_some_and(|offer| offer.outcome.is_none()));
            // Phones this call rang a moment ago may be waited for; one that was just told to wait has just been looked at.
            if !in_line || call.cut_off || moved.contains(id) || first.at < call.ended_at + 2 * SECOND {
                continue;
            }
            let model = &self.history.models[call.version];
            let Some(company) = call.company.as_deref().and_then(|company| model.company(company)) else { continue };
            for member in step.members.iter().filter(|member| member.offered.is_none()) {
                let strict = step.sticky.as_ref().is_some_and(|sticky| {
                    *sticky != member.extension
                        && step
                            .department
                            .as_ref()
                            .and_then(|id| company.department(id))
                            .and_then(|department| department.sticky)
                            .is_some_and(|sticky| sticky.strict)
                });
                let Some(user) = company.user(&member.extension).filter(|user| user.hours.is_none() && !strict) else {
                    continue;
                };
                let name = format!("{}@{}", member.extension, company.id);
                let registered = look::registered(user, self.state.live(&name, first.at).next().is_some());
                let switches = self.state.switches.get(&name).copied().unwrap_or_default();
                let free = interpreter::against(company, user, switches, registered, first.wall).is_none()
                    && !self.state.claims.contains_key(&person(company, &member.extension));
                if free {
                    missed.push(format!("call {id} waits, and {name} is free and was not offered it"));
                }
            }
        }
        missed.into_iter().for_each(|words| self.say(words));
    }
}

/// The person behind a user, as claims name it.
pub(super) fn person(company: &Company, extension: &str) -> String {
    look::person(company, extension)
}

/// `reject-busy` for `reject:busy`.
fn reject(to: Option<&str>) -> Option<String> {
    to?.strip_prefix("reject:").map(|how| format!("reject-{how}"))
}

fn over(record: &CallRecord) -> Word<'_> {
    Word {
        call: record.call,
        decision: &record.decision,
        company: record.company.as_ref().map(ToString::to_string),
        trunk: record.trunk.as_ref().map(ToString::to_string),
        from_user: record.from_user.as_ref().map(ToString::to_string),
        invite: None,
        over: Some(record),
    }
}

/// The callers' 182s that a step sent.
fn told_to_wait(entries: &[Entry]) -> impl Iterator<Item = &Message> {
    let sent = entries.iter().filter_map(|entry| match &entry.what {
        What::Sent(datagram) => datagram.message.as_ref(),
        _ => None,
    });
    sent.filter(|message| message.status() == Some(182))
}

/// What a step stored or recorded of calls: of each the last.
fn words(entries: &[Entry]) -> Vec<Word<'_>> {
    let mut words: Vec<Word<'_>> = Vec::new();
    for entry in entries {
        let word = match &entry.what {
            What::Changed(_, change) => match &**change {
                Change::Call(call) => Word {
                    call: call.call,
                    decision: &call.decision,
                    company: call.company.as_ref().map(ToString::to_string),
                    trunk: call.trunk.as_ref().map(ToString::to_string),
                    from_user: call.from_user.as_ref().map(ToString::to_string),
                    invite: Message::read(&call.invite),
                    over: None,
                },
                // The record itself may be lost where the daemon is killed in between.
                Change::Over(record) => over(record),
                _ => continue,
            },
            What::Recorded(record) => over(record),
            _ => continue,
        };
        match words.iter_mut().find(|known| known.call == word.call) {
            Some(known) => {
                if known.over.is_none() {
                    *known = word;
                }
            }
            None => words.push(word),
        }
    }
    words
}

#[cfg(test)]
mod tests;
