//! with invariant 12: when a call that a department's member answered is over, its person stays unavailable for the department's
//! `wrap-up`, in every company. How long is read from the configuration the call began with and from which offer was answered, never from
//! the daemon's own claim: that has to say the same. And whatever the claim says, nobody rings that person meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use switchboard::id::CallRef;
use switchboard::routing::{DecisionRecord, OfferOutcome};
use switchboard::state::{CallRecord, Change, SavedClaim, SavedHold};

use super::Violation;
use super::kept::{State, steps};
use super::routed::person;
use crate::history::{Entry, History, MILLISECOND, Nanos, Role, SECOND, What};

/// Between the two clocks, which are read in whole milliseconds.
const SLACK: Nanos = 5 * MILLISECOND;

pub(super) fn judge(history: &History) -> Vec<Violation> {
    let mut judge = Judge {
        history,
        state: State::default(),
        calls: BTreeMap::new(),
        owed: BTreeMap::new(),
        branches: BTreeSet::new(),
        violations: Vec::new(),
    };
    for step in steps(history) {
        let cut_short = history.entries.get(step.end).is_some_and(|next| matches!(next.what, What::Killed));
        judge.step(step.start, &history.entries[step], cut_short);
    }
    judge.violations
}

struct Call {
    /// Those under which it may have been decided: that of its INVITE, and those it was taken up again under.
    versions: BTreeSet<usize>,
    company: Option<String>,
    from_user: Option<String>,
    decision: DecisionRecord,
}

struct Judge<'h> {
    history: &'h History,
    state: State,
    calls: BTreeMap<CallRef, Call>,
    /// Until when a person is to be left alone.
    owed: BTreeMap<String, Nanos>,
    branches: BTreeSet<&'h str>,
    violations: Vec<Violation>,
}

impl<'h> Judge<'h> {
    fn wrong(&mut self, place: usize, words: String) {
        self.violations.push(Violation { invariant: 12, place, words });
    }

    fn step(&mut self, place: usize, entries: &'h [Entry], cut_short: bool) {
        let first = &entries[0];
        let before = self.state.claims.clone();
        for entry in entries {
            self.state.take(entry);
            self.hear_of_calls(entry);
        }
        match &first.what {
            // What a clock was meanwhile decides what is left of a wrap-up; and whoever is renamed has claims under other names.
            What::Started(saved, version) => {
                self.owed.clear();
                for saved in &saved.calls {
                    if let Some(call) = self.calls.get_mut(&saved.call) {
                        call.versions.insert(*version);
                    }
                }
                return;
            }
            What::Adopted(_) | What::Killed => return self.owed.clear(),
            _ if cut_short => return self.owed.clear(),
            _ => {}
        }
        self.owed.retain(|_, until| *until > first.at + SLACK);
        self.rung(place, entries);
        for (person, kept) in &before {
            if kept.claim.hold == SavedHold::OnCall {
                self.let_go(place, person, &kept.claim, first);
            }
        }
        self.still_owed(place);
    }

    fn hear_of_calls(&mut self, entry: &Entry) {
        let record = |record: &CallRecord| {
            let company = record.company.as_ref().map(ToString::to_string);
            (record.call, company, record.from_user.as_ref().map(ToString::to_string), record.decision.clone())
        };
        let (call, company, from_user, decision) = match &entry.what {
            What::Changed(_, change) => match &**change {
                Change::Call(call) => (
                    call.call,
                    call.company.as_ref().map(ToString::to_string),
                    call.from_user.as_ref().map(ToString::to_string),
                    call.decision.clone(),
                ),
                Change::Over(over) => record(over),
                _ => return,
            },
            What::Recorded(recorded) => record(recorded),
            _ => return,
        };
        match self.calls.get_mut(&call) {
            Some(known) => known.decision = decision,
            None => {
                let versions = BTreeSet::from([self.state.version]);
                self.calls.insert(call, Call { versions, company, from_user, decision });
            }
        }
    }

    /// How long the answered offer of a call to a user is followed by wrap-up, in seconds: by each version that may hold.
    fn wrap_ups(&self, call: &Call, extension: &str) -> Vec<u64> {
        let answered = call.decision.steps.iter().filter(|step| {
            step.members.iter().any(|member| {
                let offer = member.offered.as_ref();
                member.extension == extension
                    && offer.is_some_and(|offer| offer.outcome == Some(OfferOutcome::Answered))
            })
        });
        let departments: Vec<&String> = answered.filter_map(|step| step.department.as_ref()).collect();
        // After a restart there is only today's configuration, which may know the department no more.
        let wrap_up = |version: usize, id: &str| {
            let company = call.company.as_deref().and_then(|company| self.history.models[version].company(company));
            company.and_then(|company| company.department(id)).map_or(0, |department| department.wrap_up)
        };
        let of_version = |version: &usize| departments.iter().map(|id| wrap_up(*version, id)).collect::<Vec<u64>>();
        call.versions.iter().flat_map(of_version).collect()
    }

    /// A claim was held for an answered call before this step.
    fn let_go(&mut self, place: usize, person: &str, before: &SavedClaim, first: &Entry) {
        let after = self.state.claims.get(person);
        if after.is_some_and(|after| after.claim.hold == SavedHold::OnCall && after.claim.call == before.call) {
            return;
        }
        let Some(call) = self.calls.get(&before.call) else { return };
        if call.company.as_deref() != Some(&before.user.company.to_string()) {
            return;
        }
        let lengths = self.wrap_ups(call, &before.user.extension.to_string());
        let Some(least) = lengths.iter().min().copied().filter(|least| *least > 0) else { return };
        let (from, most) = (first.at, lengths.iter().max().copied().unwrap_or_default());
        let due = from + least * SECOND;
        self.owed.insert(person.to_owned(), due);
        // What is left of a wrap-up in which the call began may be longer.
        let left = before.behind.as_deref().and_then(|behind| match behind.hold {
            SavedHold::WrapUp(until) => Some(until.unix_millis()),
            SavedHold::Ringing | SavedHold::OnCall => None,
        });
        let end = |length: u64| first.wall + i64::try_from(length * 1000).unwrap_or(i64::MAX);
        let latest = left.unwrap_or(i64::MIN).max(end(most)) + 5;
        let said = after.map(|after| after.claim.hold);
        let right = matches!(said, Some(SavedHold::WrapUp(until))
            if until.unix_millis() + 5 >= end(least) && until.unix_millis() <= latest);
        if !right {
            let words =
                format!("the call of {} is over and {person} is {said:?}: {least} s of wrap-up are owed", before.user);
            self.wrong(place, words);
            self.owed.remove(person);
        }
    }

    /// Nobody takes a claim that is owed to a wrap-up, but the person's own call.
    fn still_owed(&mut self, place: usize) {
        let mut early = Vec::new();
        for (person, until) in &self.owed {
            let claim = self.state.claims.get(person).map(|kept| &kept.claim);
            let holds = claim.is_some_and(|claim| match claim.hold {
                SavedHold::WrapUp(_) => true,
                SavedHold::Ringing | SavedHold::OnCall => self.is_own(claim.call, person),
            });
            if !holds {
                early.push((person.clone(), *until, claim.map(|claim| claim.hold)));
            }
        }
        for (person, until, hold) in early {
            self.owed.remove(&person);
            let until = until as f64 / SECOND as f64;
            self.wrong(place, format!("{person} is owed wrap-up until {until:.3} s and is {hold:?}"));
        }
    }

    /// Whether it is that person who makes the call.
    fn is_own(&self, call: CallRef, who: &str) -> bool {
        let Some(call) = self.calls.get(&call) else { return false };
        let from = call.from_user.as_deref().and_then(|name| name.split_once('@'));
        from.is_some_and(|(extension, company)| {
            let company = self.history.models[self.state.version].company(company);
            company.is_some_and(|company| person(company, extension) == who)
        })
    }

    /// As the wire tells it: no new branch goes to a phone of whoever is owed wrap-up.
    fn rung(&mut self, place: usize, entries: &'h [Entry]) {
        for (offset, entry) in entries.iter().enumerate() {
            let What::Sent(datagram) = &entry.what else { continue };
            let Some(message) = datagram.message.as_ref().filter(|it| it.is("INVITE") && it.to_tag().is_none()) else {
                continue;
            };
            if !message.branch().is_some_and(|branch| self.branches.insert(branch)) {
                continue;
            }
            let Some(Role::Phone(phone)) = self.history.role(datagram.to) else { continue };
            let owner = &self.history.phones[phone];
            let company = self.history.models[self.state.version].company(&owner.company);
            let Some(company) = company.filter(|company| company.user(&owner.extension).is_some()) else { continue };
            let person = person(company, &owner.extension);
            if self.owed.contains_key(&person) {
                let name = format!("{}@{}", owner.extension, owner.company);
                self.wrong(place + offset, format!("{name} is rung, and {person} is owed wrap-up"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oracle::hand::{Hand, TRUNK, copy, invite, model};

    const PHONE: &str = "198.51.100.1:5060";

    /// 201 answers a call of `sales`, which wraps up for 4 s; the call ends; so long after it the claim is as it should be, or not.
    fn found(tell: impl Fn(&mut Hand)) -> Vec<String> {
        let mut model = model();
        model.companies[0].departments[0].wrap_up = 4;
        let mut hand = Hand::new(vec![model]);
        hand.history.cast.insert(PHONE.parse().unwrap(), Role::Phone(0));
        hand.history.phones.push(crate::history::PhoneOwner { company: "one".into(), extension: "201".into() });
        hand.entry(What::Fired);
        hand.registered("201", PHONE);
        hand.heard(TRUNK, &invite("+918041234500"));
        hand.claimed("201", 7, Some(SavedHold::Ringing));
        hand.sent(PHONE, &copy("a"));
        hand.later(1);
        hand.entry(What::Fired);
        hand.claimed("201", 7, Some(SavedHold::OnCall));
        let record = serde_json::from_value(json!({
            "number": "+918041234500", "company": "one", "caller": "+919811112220", "at": "2026-11-23T10:00:00+05:30",
            "route": { "to": "department:sales", "hours": null },
            "steps": [{ "department": "sales", "strategy": "serial", "cause": null, "members": [{
                "extension": "201", "person": "201@one", "offer": 1, "at": "", "after": 0.0, "outcome": "answered",
            }] }],
            "answer": null
        }));
        hand.stored(&record.unwrap());
        hand.later(5);
        hand.entry(What::Fired);
        tell(&mut hand);
        judge(&hand.history).into_iter().map(|violation| violation.words).collect()
    }

    fn until(hand: &Hand, seconds: i64) -> Option<SavedHold> {
        let wall = hand.history.entries.last().map_or(0, |entry| entry.wall);
        Some(SavedHold::WrapUp(switchboard::time::WallTime::from_unix_millis(wall + seconds * 1000)))
    }

    #[test]
    fn wrap_up_that_is_held_is_right() {
        let words = found(|hand| {
            hand.claimed("201", 7, until(hand, 4));
            hand.later(4);
            hand.entry(What::Fired);
            hand.claimed("201", 7, None);
            hand.later(1);
            hand.entry(What::Fired);
            hand.sent(PHONE, &copy("b"));
        });
        assert_eq!(words, Vec::<String>::new());
    }

    #[test]
    fn wrap_up_never_or_too_shortly_held_is_found_out() {
        assert!(found(|hand| hand.claimed("201", 7, None))[0].contains("4 s of wrap-up are owed"));
        assert!(found(|hand| hand.claimed("201", 7, until(hand, 2)))[0].contains("4 s of wrap-up are owed"));
        let words = found(|hand| {
            hand.claimed("201", 7, until(hand, 4));
            hand.later(2);
            hand.entry(What::Fired);
            hand.claimed("201", 7, None);
        });
        assert!(words[0].contains("is owed wrap-up until"), "{words:?}");
    }

    #[test]
    fn ringing_somebody_in_wrap_up_is_found_out_whatever_the_claim_says() {
        let words = found(|hand| {
            hand.claimed("201", 7, until(hand, 4));
            hand.later(2);
            hand.entry(What::Fired);
            hand.sent(PHONE, &copy("b"));
        });
        assert!(words[0].contains("201@one is rung"), "{words:?}");
    }
}
