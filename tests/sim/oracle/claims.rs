//! Invariant 12, R-7.1: what the store was told of claims. Nobody is rung without the claim of the call that rings, held in that user's
//! name; no claim is let go while its user is still rung or talks; and none is held for a call that is over, or that nobody knows.
//!
//! A history without any stored change was not kept by a store, and says nothing here.

use std::collections::BTreeMap;

use ahash::{AHashMap, AHashSet};
use switchboard::id::CallRef;
use switchboard::state::{Change, SavedClaim, SavedHold};

use super::super::history::What;
use super::super::text::{Message, parameter};
use super::Violation;
use super::engaged::{Engagement, UserName, engagements};
use super::routed::person;
use super::wire::{Wire, sent_by, vias};

struct Books<'w, 'h> {
    wire: &'w Wire<'h>,
    engagements: Vec<Engagement>,
    /// Of each call, by the line of its INVITE.
    of_call: AHashMap<usize, Vec<usize>>,
    /// Whoever begins at a place.
    begins: AHashMap<usize, usize>,
    claims: BTreeMap<String, &'h SavedClaim>,
    /// All calls there were, and the line of their INVITE where it is known.
    calls: AHashMap<CallRef, Option<usize>>,
    /// Those that go on.
    live: AHashSet<CallRef>,
    /// The lines of all INVITEs by branch, if it can be read, sent-by and Call-ID, the last of each.
    invites: AHashMap<(&'h str, &'h str, &'h str), usize>,
    /// Claims that were let go in this step, and on whom.
    released: Vec<(String, &'h SavedClaim)>,
    changed: bool,
    /// The version of the model that a start is by, within its step.
    begun_with: Option<usize>,
    violations: Vec<Violation>,
}

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let kept = |what: &What| matches!(what, What::Changed(..));
    if !wire.history.entries.iter().any(|entry| kept(&entry.what)) {
        return Vec::new();
    }
    let engagements = engagements(wire);
    let mut of_call: AHashMap<usize, Vec<usize>> = AHashMap::new();
    let mut begins = AHashMap::new();
    for (index, one) in engagements.iter().enumerate() {
        of_call.entry(one.call).or_default().push(index);
        if one.what == "rings" {
            begins.insert(one.from, index);
        }
    }
    let mut books = Books {
        wire,
        engagements,
        of_call,
        begins,
        claims: BTreeMap::new(),
        calls: AHashMap::new(),
        live: AHashSet::new(),
        invites: AHashMap::new(),
        released: Vec::new(),
        changed: false,
        begun_with: None,
        violations: Vec::new(),
    };
    books.run();
    books.violations
}

fn is_held(claim: &SavedClaim) -> bool {
    matches!(claim.hold, SavedHold::Ringing | SavedHold::OnCall)
}

fn name_of(claim: &SavedClaim) -> UserName {
    (claim.user.company.to_string(), claim.user.extension.to_string())
}

impl<'h> Books<'_, 'h> {
    fn run(&mut self) {
        let mut lines = self.wire.lines.iter().enumerate().peekable();
        for (place, entry) in self.wire.history.entries.iter().enumerate() {
            if let Some((index, line)) = lines.next_if(|(_, line)| line.place == place)
                && line.method == "INVITE"
                && line.is_request()
                && !line.sent
            {
                // Copies too: what they began was the first of them.
                let request = self.wire.server_of[index].and_then(|server| self.wire.servers[server].request);
                self.invites.insert((line.branch, line.sent_by, line.call_id), request.unwrap_or(index));
            }
            match &entry.what {
                What::Heard(_)
                | What::Fired
                | What::Undeliverable(_)
                | What::Durable(_)
                | What::Adopted(_)
                | What::Commanded(..) => {
                    self.close_step(place);
                }
                What::Killed => {
                    // What the step would have said is not known.
                    self.released.clear();
                    self.changed = false;
                }
                What::Started(saved, version) => {
                    self.begun_with = Some(*version);
                    self.claims = saved.claims.iter().map(|(person, claim)| (person.to_string(), claim)).collect();
                    self.live = saved.calls.iter().map(|call| call.call).collect();
                    for call in &saved.calls {
                        self.know(call.call, &call.invite);
                    }
                    self.changed = true;
                }
                What::Changed(_, change) => self.take(change),
                What::Sent(_) => {
                    if let Some(index) = self.begins.get(&place).copied() {
                        self.begins_ringing(place, index);
                    }
                }
                _ => {}
            }
        }
        self.close_step(self.wire.history.entries.len());
    }

    fn invite_of(&self, bytes: &bytes::Bytes) -> Option<usize> {
        let message = Message::read(bytes)?;
        let via = vias(&message).next()?;
        let branch = parameter(via, "branch").unwrap_or_default();
        self.invites.get(&(branch, sent_by(via), message.call_id())).copied()
    }

    fn know(&mut self, call: CallRef, invite: &bytes::Bytes) {
        if !self.calls.contains_key(&call) {
            let line = self.invite_of(invite);
            self.calls.insert(call, line);
        }
    }

    fn take(&mut self, change: &'h Change) {
        match change {
            Change::Claim { person, claim } => {
                self.changed = true;
                let before = match claim {
                    Some(claim) => self.claims.insert(person.to_string(), claim),
                    None => self.claims.remove(person.as_str()),
                };
                let before = before.filter(|before| is_held(before));
                self.released.extend(before.map(|before| (person.to_string(), before)));
            }
            Change::Call(call) => {
                self.know(call.call, &call.invite);
                self.live.insert(call.call);
            }
            Change::Over(record) => {
                self.changed = true;
                self.live.remove(&record.call);
            }
            Change::Bindings { .. }
            | Change::Switches { .. }
            | Change::Pointer { .. }
            | Change::Member { .. }
            | Change::Caller { .. } => {}
        }
    }

    fn wrong(&mut self, place: usize, words: String) {
        self.violations.push(Violation { invariant: 12, place, words });
    }

    fn begins_ringing(&mut self, place: usize, index: usize) {
        let one = &self.engagements[index];
        let mut claims = self.claims.values().filter(|claim| is_held(claim) && one.users.contains(&name_of(claim)));
        let held = claims.any(|claim| self.calls.get(&claim.call).copied().flatten() == Some(one.call));
        if !held {
            let (company, extension) = one.users[0].clone();
            self.wrong(place, format!("{extension}@{company} is rung without a claim of that call"));
        }
    }

    /// All that an input changed has been told.
    fn close_step(&mut self, place: usize) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let last = place.saturating_sub(1);
        let begun_with = self.begun_with.take();
        let ownerless: Vec<String> = self
            .claims
            .iter()
            .filter(|(_, claim)| is_held(claim) && !self.live.contains(&claim.call))
            .map(|(person, claim)| format!("{person} is held for call {}, which is over or unknown", claim.call))
            .collect();
        for words in ownerless {
            self.wrong(last, words);
        }
        for (held_as, claim) in std::mem::take(&mut self.released) {
            let user = name_of(claim);
            let still =
                self.claims.values().any(|other| is_held(other) && other.call == claim.call && name_of(other) == user);
            // Two who are one person since the start have one claim, which another call holds then.
            let persons = begun_with.and_then(|version| self.wire.history.models.get(version));
            let company = persons.and_then(|model| model.company(&user.0));
            let now = company.filter(|company| company.user(&user.1).is_some());
            // Whom that version does not have is who it was.
            let one_with = now.map_or(held_as, |company| person(company, &user.1));
            let still = still || begun_with.is_some() && self.claims.get(&one_with).is_some_and(|claim| is_held(claim));
            let engaged =
                self.engagements_of(claim).find(|one| one.users.contains(&user) && one.from < last && one.to > last);
            if let Some(one) = engaged.filter(|_| !still) {
                let words = format!("the claim on {}@{} is let go while that phone {}", user.1, user.0, one.what);
                self.wrong(last, words);
            }
        }
    }

    fn engagements_of(&self, claim: &SavedClaim) -> impl Iterator<Item = &Engagement> {
        let call = self.calls.get(&claim.call).copied().flatten();
        let indexes = call.and_then(|call| self.of_call.get(&call)).map(Vec::as_slice).unwrap_or_default();
        indexes.iter().map(|index| &self.engagements[*index])
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CLAIMED, CUT_OFF, caught, right, without};

    #[test]
    fn claims_in_order_pass() {
        right(super::judge, CLAIMED);
        right(super::judge, CUT_OFF);
    }

    #[test]
    fn ringing_without_a_claim_is_caught() {
        caught(super::judge, 12, &without(CLAIMED, "0 claim asha 221@acme 1 ringing"));
        // Another call's, another user's.
        caught(
            super::judge,
            12,
            &CLAIMED.replace("0 claim asha 221@acme 1 ringing", "0 claim asha 221@acme 2 ringing"),
        );
        caught(
            super::judge,
            12,
            &CLAIMED.replace("0 claim asha 221@acme 1 ringing", "0 claim asha 301@globex 1 ringing"),
        );
    }

    #[test]
    fn a_claim_of_a_call_whose_branch_nobody_can_read_is_found() {
        let nameless = CLAIMED.replace("t1\n", "t1 nameless\n").replace("t1 to=", "t1 nameless to=");
        right(super::judge, &nameless);
        caught(super::judge, 12, &without(&nameless, "0 claim asha 221@acme 1 ringing"));
    }

    #[test]
    fn a_claim_let_go_too_early_is_caught() {
        let early = CLAIMED.replace("2000 trunk > ACK", "1500 fired\n1500 claim asha free\n2000 trunk > ACK");
        caught(super::judge, 12, &early);
        let early = CLAIMED.replace("1000 claim asha 221@acme 1 on-call", "1000 claim asha 221@acme 1 wrap-up");
        caught(super::judge, 12, &early);
    }

    #[test]
    fn a_claim_that_outlives_its_call_is_caught() {
        caught(super::judge, 12, &without(CLAIMED, "6010 claim asha free"));
        caught(super::judge, 12, &CLAIMED.replace("6010 claim asha free", "6010 fired\n6010 claim asha free"));
    }
}
