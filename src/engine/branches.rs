//! Calls from the callees' side: an offer becomes branches, their responses go to the caller or to the hunt, and the claim is
//! let go when the last branch and dialog of its offer are over. RFC 3261 §16.6 – §16.10.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Engine;
use super::call::{CallDialog, Fork, Leg, Offer, Peer, Standing};
use super::dialogs::call_of;
use super::event::Event;
use super::transactions::{ClientFailure, ClientId, ClientKind, ClientOwner, Reception};
use crate::flow::{Flow, ListenerId};
use crate::id::{CallRef, OfferId};
use crate::proxy::{self, Branch, DialogKey, Forward, Strip};
use crate::routing::{OfferEnd, Target, Unreachable, World};
use crate::sip::{self, Method, Parsed, Request, Response};
use crate::time::Now;

/// RFC 3261 §16.6 item 11: Timer C "MUST be larger than 3 minutes".
pub(super) const TIMER_C: Duration = Duration::from_secs(181);

/// How much longer than an offer Timer C is at least.
const MARGIN: Duration = Duration::from_secs(5);

///
const ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

impl Engine {
    /// Rings an offer's target. `false`: nothing could be sent.
    pub(super) fn begin_offer(&mut self, now: Now, id: CallRef, offer: OfferId, target: Target) -> bool {
        let (person, label) = match &target {
            Target::User { user, .. } => (Some(user.person.clone()), user.id.extension.to_string()),
            Target::External { number, .. } => (None, number.to_string()),
        };
        let to = match &target {
            Target::User { devices: true, mobile: Some(_), .. } => format!("{label} and a mobile"),
            Target::User { devices: false, mobile: Some(_), .. } => format!("the mobile of {label}"),
            Target::User { mobile: None, .. } => label.clone(),
            Target::External { .. } => "an outside number".to_owned(),
        };
        let (legs, end) = self.legs_of(now, id, &target);
        let Some(call) = self.calls.get_mut(&id) else { return false };
        call.offers.push(Offer { id: offer, person, label, closed: false, answered: false, settled: false, end });
        // RFC 5393 §5.3.3: the branches that are out at once share the Max-Breadth the request came with. Each gets one:
        // a phone forks no further, and more members may be offered the call a moment later.
        let out = call.forks.iter().filter(|fork| fork.standing != Standing::Ended).count();
        let left = usize::try_from(call.admitted.max_breadth).unwrap_or(usize::MAX).saturating_sub(out);
        if let Some(offer) = call.offers.last_mut().filter(|_| left < legs.len()) {
            offer.end = OfferEnd::Failed(440);
        }
        self.emit(Event::CallOffered { call: id, to });
        let mut rings = false;
        for leg in legs.into_iter().take(left) {
            rings |= self.fork(now, id, offer, leg);
        }
        rings
    }

    /// What an offer is to ring, and how it ends where there is nothing.
    fn legs_of(&self, now: Now, id: CallRef, target: &Target) -> (Vec<Leg>, OfferEnd) {
        let mut legs: Vec<Leg> = Vec::new();
        let outside = match target {
            Target::User { user, devices, mobile } => {
                if *devices {
                    legs.extend(self.live.location.bindings_of(now.mono, &user.id).map(|binding| Leg {
                        uri: Bytes::copy_from_slice(binding.request_uri()),
                        addresses: std::iter::once(binding.target).collect(),
                        local: Some(binding.flow.local),
                        path: binding.path.clone(),
                        peer: Peer::Phone { user: Arc::clone(user), contact: Some(binding.contact.clone()) },
                    }));
                }
                mobile.clone()
            }
            Target::External { number, trunk } => Some((number.clone(), trunk.clone())),
        };
        let mut end = OfferEnd::NoAnswer;
        if let (Some((number, trunk)), Some(call)) = (outside, self.calls.get(&id)) {
            match self.trunk_destination(&call.config, &trunk, &number) {
                Ok((uri, addresses)) => {
                    legs.push(Leg { uri, addresses, local: None, path: Vec::new(), peer: Peer::Trunk(trunk) });
                }
                Err(why) => end = OfferEnd::Unreachable(why),
            }
        }
        (legs, end)
    }

    /// Sends one copy, to the first of its addresses that we have a socket for. `false`: there is none.
    fn fork(&mut self, now: Now, id: CallRef, offer: OfferId, mut leg: Leg) -> bool {
        let Some(source) = self.calls.get(&id).map(|call| call.source) else { return false };
        let (flow, sent_by) = loop {
            if leg.addresses.is_empty() {
                return false;
            }
            let remote = leg.addresses.remove(0);
            let local = leg.local.filter(|local| self.listener(*local).is_some());
            let local = local.or_else(|| self.listener_towards(remote, source.local));
            if let Some(listener) = local.and_then(|local| self.listener(local)) {
                break (Flow { local: listener.id, remote }, listener.advertised.clone());
            }
        };
        let token = self.draw();
        let record_route = self.record_route(id, source.local, flow.local);
        let Some(call) = self.calls.get_mut(&id) else { return false };
        let client = ClientId { branch: Branch { token, loop_key: call.admitted.loop_key }, kind: ClientKind::Request };
        let mut branch = String::with_capacity(32);
        client.branch.write(&mut branch);
        let realm = call.from_user.as_ref().and_then(|user| call.config.plan.companies.get(&user.id.company));
        let forward = Forward {
            uri: Some(&leg.uri),
            routes: &call.routes,
            path: &leg.path,
            max_forwards: call.admitted.max_forwards,
            max_breadth: Some(1),
            sent_by: &sent_by,
            branch: &branch,
            record_route: &record_route,
            source: source.remote,
            strip: realm.map_or(Strip::Nothing, |company| Strip::User { realm: &company.domain }),
        };
        let sent = forward.write(&call.request, &mut self.scratch);
        let index = call.forks.len();
        let counted = match &leg.peer {
            Peer::Trunk(trunk) => Some(trunk.clone()),
            Peer::Phone { .. } => None,
        };
        let standing = Standing::Calling;
        call.forks.push(Fork {
            offer,
            client,
            sent: sent.clone(),
            flow,
            standing,
            withdrawn: false,
            leg,
            counted: counted.clone(),
        });
        if let Some(trunk) = counted {
            self.count_trunk_up(&trunk);
        }
        self.open_client(now, client, Method::Invite, flow, sent, ClientOwner::Branch(id, index));
        true
    }

    /// Lets go of the trunk that a branch used, once it and its dialogs are over.
    pub(super) fn let_trunk_go(&mut self, id: CallRef, index: usize) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let talks = call.dialogs.iter().any(|entry| entry.fork == index && !entry.dialog.phase.is_early());
        let Some(fork) = call.forks.get_mut(index) else { return };
        if fork.standing == Standing::Ended
            && !talks
            && let Some(trunk) = fork.counted.take()
        {
            self.count_trunk_down(&trunk);
        }
    }

    /// Forgets the early dialogs of a branch that has a final response.
    fn forget_early(&mut self, id: CallRef, index: usize) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let early = |entry: &CallDialog| entry.fork == index && entry.dialog.phase.is_early();
        let gone: SmallVec<[DialogKey; 2]> =
            call.dialogs.iter().filter(|entry| early(entry)).map(|entry| entry.key.clone()).collect();
        call.dialogs.retain(|entry| !early(entry));
        for key in gone {
            self.unname_dialog(&key, id);
        }
    }

    /// The hunt is done with an offer: what still rings is cancelled.
    pub(super) fn withdraw(&mut self, now: Now, id: CallRef, offer: OfferId) {
        if let Some(offer) = self.calls.get_mut(&id).and_then(|call| call.offer_mut(offer)) {
            offer.closed = true;
        }
        self.cancel_forks(now, id, |fork| fork.offer == offer);
    }

    pub(super) fn cancel_forks(&mut self, now: Now, id: CallRef, which: impl Fn(&Fork) -> bool) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let mut due: SmallVec<[usize; 8]> = SmallVec::new();
        for (index, fork) in call.forks.iter_mut().enumerate() {
            if !which(fork) || fork.withdrawn {
                continue;
            }
            fork.withdrawn = true;
            if matches!(fork.standing, Standing::Proceeding { .. }) {
                due.push(index);
            }
        }
        for index in due {
            self.send_cancel(now, id, index);
        }
    }

    /// RFC 3261 §9.1, §16.10.
    pub(super) fn send_cancel(&mut self, now: Now, id: CallRef, index: usize) {
        let until = now.mono + self.timing.patience();
        let Some(call) = self.calls.get_mut(&id) else { return };
        let answered = call.final_sent.is_some_and(|status| (200..300).contains(&status));
        let reason: Option<Bytes> =
            if answered { Some(Bytes::from_static(ELSEWHERE)) } else { call.cancel_reason.clone() };
        let Some(fork) = call.forks.get_mut(index) else { return };
        // First of all: whatever happens below, the branch has an end.
        fork.standing = Standing::Cancelling { until };
        let Some(invite) = own_request(&fork.sent) else { return self.count("own-request-unreadable") };
        let (flow, client) = (fork.flow, ClientId { kind: ClientKind::Cancel, ..fork.client });
        let cancel = proxy::cancel_for(&invite, reason.as_deref());
        self.open_client(now, client, Method::Cancel, flow, cancel, ClientOwner::Cancel);
    }

    /// A response of a branch.
    pub(super) fn on_branch_response(&mut self, now: Now, id: CallRef, index: usize, response: &Response) {
        let Some(call) = self.calls.get(&id) else { return };
        let Some(fork) = call.forks.get(index) else { return };
        let status = response.status();
        // Of a failure nothing goes back to the caller: it ends the branch and is acknowledged hop by hop (§17.1.1.2),
        // also where a phone forgot who stands behind us.
        let ours = if status < 300 { answers(response, &call.request) } else { belongs(response, &call.request) };
        if !ours {
            self.count("response-not-ours");
            return;
        }
        let (client, sent) = (fork.client, fork.sent.clone());
        let reception = self.on_client_response(now, client, status, || {
            own_request(&sent).map_or_else(Bytes::new, |invite| proxy::ack_for(&invite, response))
        });
        if reception == Reception::Absorbed {
            return;
        }
        match status {
            0..200 => self.on_branch_provisional(now, id, index, response),
            200..300 => self.on_branch_success(now, id, index, response),
            300.. => {
                if status == 503 && self.try_alternative(now, id, index) {
                    return;
                }
                self.end_fork(now, id, index, status);
            }
        }
    }

    fn on_branch_provisional(&mut self, now: Now, id: CallRef, index: usize, response: &Response) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let final_sent = call.final_sent.is_some();
        let server = call.server;
        let Some(offer) = call.forks.get(index).map(|fork| fork.offer) else { return };
        // an offer lasts `ring`, on our own clock. Timer C only ends what nobody else would.
        let timer_c = now.mono + TIMER_C.max(call.hunt.ring_of(offer) + MARGIN);
        let Some(fork) = call.forks.get_mut(index) else { return };
        match fork.standing {
            Standing::Calling => fork.standing = Standing::Proceeding { timer_c },
            // RFC 3261 §16.7 item 2: Timer C is reset by 101 to 199.
            Standing::Proceeding { .. } if response.status() > 100 => {
                fork.standing = Standing::Proceeding { timer_c };
            }
            Standing::Proceeding { .. } | Standing::Cancelling { .. } | Standing::Ended => {}
        }
        if fork.withdrawn {
            if matches!(fork.standing, Standing::Proceeding { .. }) {
                self.send_cancel(now, id, index);
            }
        } else if response.status() > 100 && !final_sent {
            // Beyond the bound, a phone that makes one early dialog after the other is heard, but not followed.
            if !response.to_tag().is_empty() && self.may_note_dialog(id, index) {
                self.note_dialog(id, index, response);
            }
            let bytes = proxy::backward(response, &mut self.scratch);
            self.pass_response(now, server, response.status(), bytes);
        }
        self.rearm_call(id);
    }

    fn on_branch_success(&mut self, now: Now, id: CallRef, index: usize, response: &Response) {
        let key = DialogKey::new(response.call_id(), response.from_tag(), response.to_tag());
        let known =
            self.dialog_entry(id, &key).is_some() || self.calls.get(&id).is_some_and(|call| call.past.contains(&key));
        let decided = self.calls.get(&id).is_some_and(|call| call.answered_at.is_some());
        if decided && !known && !self.may_note_dialog(id, index) {
            self.count("too-many-dialogs");
            return;
        }
        self.pass_success(now, id, response);
        let patience = self.timing.patience();
        let Some(call) = self.calls.get_mut(&id) else { return };
        let longest = call.config.sip.max_call;
        let Some(fork) = call.forks.get_mut(index) else { return };
        let offer_id = fork.offer;
        let first_of_fork = fork.standing != Standing::Ended;
        fork.standing = Standing::Ended;
        // A dialog that is over already is not made again: by a late copy of its answer, or where a BYE ended it while it
        // was early (RFC 3261 §15) and crossed the answer.
        let past = call.past.contains(&key);
        if past && !first_of_fork {
            return;
        }
        call.pending = None;
        let mut new_dialog = false;
        if !past {
            self.note_dialog(id, index, response);
            let ours = &self.addresses;
            let entries = self.calls.get_mut(&id).map(|call| call.dialogs.iter_mut());
            if let Some(entry) = entries.and_then(|mut entries| entries.find(|entry| entry.key == key)) {
                new_dialog = entry.dialog.phase.is_early();
                entry.dialog.on_answer(now.mono, response, patience, longest, |uri| {
                    ours.is_ours(uri) && call_of(uri) == Some(id)
                });
            }
        }
        self.forget_early(id, index);
        let Some(call) = self.calls.get_mut(&id) else { return };
        // A second dialog on a branch whose call is over (its phone answered under another tag) is only passed through: the
        // record is written, and the claim may be another call's.
        if !call.over && (new_dialog || first_of_fork) {
            call.answered_at.get_or_insert(now.wall);
            let caller_person = call.from_user.as_ref().map(|user| user.person.clone());
            let mut answered = None;
            if let Some(offer) = call.offer_mut(offer_id) {
                offer.closed = true;
                if !offer.answered {
                    offer.answered = true;
                    answered = Some((offer.person.clone(), offer.label.clone()));
                }
            }
            if let Some(person) = caller_person {
                self.claims.answered(now, &person, id);
            }
            if let Some((person, label)) = answered {
                let by = match &person {
                    Some(person) => {
                        self.claims.answered(now, person, id);
                        label
                    }
                    None => "an outside number".to_owned(),
                };
                self.emit(Event::CallAnswered { call: id, by });
                self.with_hunt(now, id, |hunt, world| hunt.on_answered(now, offer_id, world));
                // the first to answer wins; the other devices of the same offer stop ringing too.
                self.cancel_forks(now, id, |fork| fork.offer == offer_id);
            }
        }
        self.note_call(id);
        self.let_trunk_go(id, index);
        self.settle(now, id, offer_id);
        self.sweep(now, id);
        self.rearm_call(id);
    }

    /// RFC 3261 §16.7 items 5 and 10: every 2xx goes up at once; the first is the call's final answer.
    fn pass_success(&mut self, now: Now, id: CallRef, response: &Response) {
        let bytes = proxy::backward(response, &mut self.scratch);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let server = call.server;
        let refused = call.final_sent.is_some_and(|status| !(200..300).contains(&status));
        if refused || !self.servers.contains_key(&server) {
            let (request, source) = (Arc::clone(&call.request), call.source);
            self.pass_late_success(&request, source, bytes);
        } else {
            call.final_sent = Some(response.status());
            self.pass_response(now, server, response.status(), bytes);
        }
    }

    /// A branch ended without a response.
    pub(super) fn on_branch_failed(&mut self, now: Now, id: CallRef, index: usize, failure: ClientFailure) {
        if self.try_alternative(now, id, index) {
            return;
        }
        let to_trunk = self.calls.get(&id).and_then(|call| call.forks.get(index)).is_some_and(|fork| {
            matches!(fork.leg.peer, Peer::Trunk(_)) // a phone that is gone has merely not answered
        });
        let end = if to_trunk { OfferEnd::Unreachable(Unreachable::Silent) } else { offer_end(failure.status()) };
        self.end_branch(now, id, index, end, Reach::Branch);
    }

    /// RFC 3263 §4.3: another address of the same target, while nobody there has said more than 100.
    fn try_alternative(&mut self, now: Now, id: CallRef, index: usize) -> bool {
        let Some(call) = self.calls.get(&id) else { return false };
        let Some(fork) = call.forks.get(index) else { return false };
        let heard = call.dialogs.iter().any(|entry| entry.fork == index);
        if heard || fork.withdrawn || fork.standing == Standing::Ended {
            return false;
        }
        let (offer, leg) = (fork.offer, fork.leg.clone());
        if !self.fork(now, id, offer, leg) {
            return false;
        }
        if let Some(fork) = self.calls.get_mut(&id).and_then(|call| call.forks.get_mut(index)) {
            fork.standing = Standing::Ended;
        }
        self.note_call(id);
        self.let_trunk_go(id, index);
        self.rearm_call(id);
        true
    }

    /// A branch is over with that status.
    pub(super) fn end_fork(&mut self, now: Now, id: CallRef, index: usize, status: u16) {
        // of several devices, a 6xx from one ends the offer.
        let reach = if status >= 600 { Reach::Offer } else { Reach::Branch };
        self.end_branch(now, id, index, offer_end(status), reach);
    }

    fn end_branch(&mut self, now: Now, id: CallRef, index: usize, end: OfferEnd, reach: Reach) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(fork) = call.forks.get_mut(index) else { return };
        if fork.standing == Standing::Ended {
            return;
        }
        fork.standing = Standing::Ended;
        let offer_id = fork.offer;
        let left = call.forks.iter().any(|fork| fork.offer == offer_id && fork.standing != Standing::Ended);
        let ends_offer = !left || reach == Reach::Offer;
        if let Some(offer) = call.offer_mut(offer_id) {
            offer.end = match reach {
                Reach::Branch => more_telling(offer.end, end),
                Reach::Offer => end,
            };
        }
        self.note_call(id);
        self.forget_early(id, index);
        self.let_trunk_go(id, index);
        // The claim goes first, so that the hunt's next step sees the person as it is.
        self.settle(now, id, offer_id);
        if ends_offer {
            self.cancel_forks(now, id, |fork| fork.offer == offer_id);
            self.close_offer(now, id, offer_id);
        }
        // A hunt that held back for this claim goes on with it let go.
        self.look_again(now, id);
        self.rearm_call(id);
    }

    /// Tells the hunt, once, that an offer ended unanswered.
    pub(super) fn close_offer(&mut self, now: Now, id: CallRef, offer_id: OfferId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(offer) = call.offer_mut(offer_id) else { return };
        if std::mem::replace(&mut offer.closed, true) {
            return;
        }
        let end = offer.end;
        self.tell_hunt(id, |hunt, world| hunt.on_offer_ended(now, offer_id, end, world));
    }

    /// lets the claim of an offer go when nobody rings or talks under it any more.
    pub(super) fn settle(&mut self, now: Now, id: CallRef, offer_id: OfferId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.is_live(offer_id) {
            return;
        }
        let wrap_up = call.hunt.wrap_up_of(offer_id);
        let Some(offer) = call.offer_mut(offer_id) else { return };
        if std::mem::replace(&mut offer.settled, true) {
            return;
        }
        let answered = offer.answered;
        let person = offer.person.clone();
        if answered {
            let mut world = World {
                claims: &mut self.claims,
                presence: &self.live,
                memories: &mut self.memories,
                line: &mut self.line,
            };
            call.hunt.on_call_ended(now, offer_id, &mut world);
        }
        let Some(person) = person else { return };
        let freed = if answered {
            //
            self.claims.wrap_up(now, &person, id, wrap_up)
        } else {
            self.claims.release(&person, id)
        };
        self.freed.extend(freed);
        self.rearm_wrap_ups();
    }

    /// The Record-Route values of a copy (RFC 3261 §16.6 item 4): one, or two where it changes sockets, the outer on top.
    /// Each names the call: a call that comes back to us by a spiral has the same Call-ID and tags as itself.
    fn record_route(&self, id: CallRef, from: ListenerId, to: ListenerId) -> SmallVec<[String; 2]> {
        let value = |listener: &super::Listener| format!("<sip:{};lr;call={}>", listener.advertised, id.0);
        let mut values: SmallVec<[String; 2]> = self.listener(to).map(value).into_iter().collect();
        if from != to {
            values.extend(self.listener(from).map(value));
        }
        values
    }
}

/// What a branch's end ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The ringing of that device alone.
    Branch,
    /// The whole offer.
    Offer,
}

/// What an end of one device says, as the hunt's words.
fn offer_end(status: u16) -> OfferEnd {
    match status {
        486 | 600 => OfferEnd::Busy,
        601..=699 => OfferEnd::Declined,
        408 | 480 | 487 => OfferEnd::NoAnswer,
        other => OfferEnd::Failed(other),
    }
}

/// Of what several devices said, the one that tells most.
fn more_telling(one: OfferEnd, other: OfferEnd) -> OfferEnd {
    let weight = |end: OfferEnd| match end {
        OfferEnd::Busy => 3,
        OfferEnd::Declined => 2,
        OfferEnd::Failed(_) | OfferEnd::Unreachable(_) => 1,
        OfferEnd::NoAnswer => 0,
    };
    if weight(other) > weight(one) { other } else { one }
}

/// Whether a response is one to that request, and has somebody behind us to go to (RFC 3261 §16.7 item 3).
fn answers(response: &Response, request: &Request) -> bool {
    belongs(response, request) && response.vias().nth(1).is_some()
}

/// Whether a response is one to that request, as far as both say (the branch has been looked at).
pub(super) fn belongs(response: &Response, request: &Request) -> bool {
    response.call_id() == request.call_id()
        && response.from_tag() == request.from_tag()
        && response.cseq() == request.cseq()
}

/// Reads back a request that we wrote ourselves: what was within the limits when it came may exceed them with our fields.
pub(super) fn own_request(sent: &Bytes) -> Option<Request> {
    let boundless = sip::Limits { message: usize::MAX, headers: usize::MAX, header: usize::MAX, values: usize::MAX };
    match sip::parse(sent.clone(), &boundless) {
        Ok(Parsed::Request(request)) => Some(request),
        Ok(Parsed::Response(_) | Parsed::KeepAlive) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_wrote_can_be_read_back_however_long_it_became() {
        let mut text = String::from(
            "INVITE sip:222@198.51.100.2 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@b.example>;tag=1\r\nTo: <sip:222@acme.example>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n",
        );
        for hop in 0..300 {
            text.push_str(&format!("Route: <sip:hop{hop}.example;lr>\r\n"));
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        let invite = own_request(&Bytes::from(text)).expect("our own request is read");
        assert_eq!(proxy::cancel_for(&invite, None).windows(7).filter(|part| part == b"Route: ").count(), 300);
    }
}
