//! Calls from the callees' side: an offer becomes branches, their responses go to the caller or to the hunt, and the claim is
//! let go when the last branch and dialog of its offer are over. RFC 3261 §16.6 – §16.10.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Engine;
use super::call::{Fork, Offer, Peer, Standing};
use super::event::Event;
use super::transactions::{ClientFailure, ClientId, ClientKind, ClientOwner, Reception};
use crate::flow::{Flow, ListenerId};
use crate::id::{CallRef, OfferId, TrunkId};
use crate::proxy::{self, Branch, DialogKey, Forward, Phase, Strip, fork_shares};
use crate::routing::{OfferEnd, Target, Unreachable, World};
use crate::sip::{self, Method, Name, Parsed, Request, Response};
use crate::time::Now;

/// RFC 3261 §16.6 item 11: Timer C "MUST be larger than 3 minutes".
const TIMER_C: Duration = Duration::from_secs(181);

///
const ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

/// One copy to be made.
struct Leg {
    uri: Bytes,
    addresses: SmallVec<[SocketAddr; 2]>,
    local: Option<ListenerId>,
    path: Vec<Bytes>,
    peer: Peer,
}

impl Leg {
    /// The Max-Breadth it is to have. A phone forks nothing; whoever stands in between may.
    fn breadth(&self) -> u32 {
        match self.peer {
            Peer::Phone { .. } if self.path.is_empty() => 1,
            Peer::Phone { .. } | Peer::Trunk(_) => 8,
        }
    }
}

impl Engine {
    pub(super) fn begin_offer(&mut self, now: Now, id: CallRef, offer: OfferId, target: Target) {
        let mut legs: Vec<Leg> = Vec::new();
        let mut trunk_legs: SmallVec<[(crate::number::E164, TrunkId); 1]> = SmallVec::new();
        let (person, label) = match &target {
            Target::User { user, devices, mobile } => {
                if *devices {
                    for binding in self.live.location.bindings_of(now.mono, &user.id) {
                        legs.push(Leg {
                            uri: Bytes::copy_from_slice(binding.request_uri()),
                            addresses: std::iter::once(binding.target).collect(),
                            local: Some(binding.flow.local),
                            path: binding.path.clone(),
                            peer: Peer::Phone { user: Arc::clone(user), contact: Some(binding.contact.clone()) },
                        });
                    }
                }
                trunk_legs.extend(mobile.clone());
                (Some(user.person.clone()), user.id.extension.to_string())
            }
            Target::External { number, trunk } => {
                trunk_legs.push((number.clone(), trunk.clone()));
                (None, number.to_string())
            }
        };
        let mut end = OfferEnd::NoAnswer;
        for (number, trunk) in trunk_legs {
            match self.trunk_destination(&trunk, &number) {
                Ok((uri, addresses)) => {
                    self.count_trunk_up(&trunk);
                    if let Some(call) = self.calls.get_mut(&id) {
                        call.outgoing.push(trunk.clone());
                    }
                    legs.push(Leg { uri, addresses, local: None, path: Vec::new(), peer: Peer::Trunk(trunk) });
                }
                Err(why) => end = OfferEnd::Unreachable(why),
            }
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let to = match &person {
            Some(_) => label.clone(),
            None => "an outside number".to_owned(),
        };
        call.offers.push(Offer { id: offer, person, label, closed: false, answered: false, settled: false, end });
        // RFC 5393 §5.3.3: what the branches that are out may still fork to is not ours to give away again.
        let spent: u32 =
            call.forks.iter().filter(|fork| fork.standing != Standing::Ended).map(|fork| fork.breadth).sum();
        let left = call.admitted.max_breadth.saturating_sub(spent);
        let wanted = legs.iter().map(|leg| leg.breadth());
        let shares: SmallVec<[u32; 4]> = fork_shares(left, wanted).collect();
        if let Some(offer) = call.offers.last_mut().filter(|_| shares.len() < legs.len()) {
            offer.end = OfferEnd::Failed(440);
        }
        self.emit(Event::CallOffered { call: id, to });
        for (leg, breadth) in legs.into_iter().zip(shares) {
            let Some(address) = leg.addresses.first().copied() else { continue };
            let alternatives = leg.addresses.iter().skip(1).copied().collect();
            self.fork(now, id, offer, leg.uri, leg.local, address, alternatives, &leg.path, leg.peer, breadth);
        }
        let none = self.calls.get(&id).is_some_and(|call| !call.forks.iter().any(|fork| fork.offer == offer));
        if none {
            self.close_offer(now, id, offer);
            self.settle(now, id, offer);
        }
    }

    #[allow(clippy::too_many_arguments)] // a branch is what these are
    fn fork(
        &mut self,
        now: Now,
        id: CallRef,
        offer: OfferId,
        uri: Bytes,
        local: Option<ListenerId>,
        address: SocketAddr,
        alternatives: SmallVec<[SocketAddr; 2]>,
        path: &[Bytes],
        peer: Peer,
        breadth: u32,
    ) {
        let Some(source) = self.calls.get(&id).map(|call| call.source) else { return };
        let local = local.filter(|local| self.listener(*local).is_some());
        let Some(local) = local.or_else(|| self.listener_towards(address, source.local)) else { return };
        let token = self.draw();
        let flow = Flow { local, remote: address };
        let record_route = self.record_route(source.local, local);
        let Some(sent_by) = self.listener(local).map(|listener| listener.advertised.clone()) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let mut branch = String::with_capacity(32);
        Branch { token, loop_key: call.admitted.loop_key }.write(&mut branch);
        let realm = call.from_user.as_ref().and_then(|user| call.config.plan.companies.get(&user.id.company));
        let forward = Forward {
            uri: Some(&uri),
            routes: &call.routes,
            path,
            max_forwards: call.admitted.max_forwards,
            max_breadth: (call.request.value(Name::MaxBreadth).is_some() || breadth < call.admitted.max_breadth)
                .then_some(breadth),
            sent_by: &sent_by,
            branch: &branch,
            record_route: &record_route,
            source: source.remote,
            strip: realm.map_or(Strip::Nothing, |company| Strip::User { realm: &company.domain }),
        };
        let sent = forward.write(&call.request, &mut self.scratch);
        let client = ClientId { token, kind: ClientKind::Request };
        let index = call.forks.len();
        call.forks.push(Fork {
            offer,
            client,
            sent: sent.clone(),
            flow,
            peer,
            standing: Standing::Calling,
            withdrawn: false,
            breadth,
            alternatives,
            uri,
        });
        self.open_client(now, client, Method::Invite, flow, sent, ClientOwner::Branch(id, index));
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
        fork.standing = Standing::Cancelling { until };
        let (flow, token) = (fork.flow, fork.client.token);
        let Some(invite) = own_request(&fork.sent) else { return };
        let cancel = proxy::cancel_for(&invite, reason.as_deref());
        let client = ClientId { token, kind: ClientKind::Cancel };
        self.open_client(now, client, Method::Cancel, flow, cancel, ClientOwner::Cancel);
    }

    /// A response of a branch.
    pub(super) fn on_branch_response(&mut self, now: Now, id: CallRef, index: usize, response: &Response) {
        let Some(fork) = self.calls.get(&id).and_then(|call| call.forks.get(index)) else { return };
        let (client, sent) = (fork.client, fork.sent.clone());
        let status = response.status();
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
        let Some(fork) = call.forks.get_mut(index) else { return };
        match fork.standing {
            Standing::Calling => fork.standing = Standing::Proceeding { timer_c: now.mono + TIMER_C },
            // RFC 3261 §16.7 item 2: Timer C is reset by 101 to 199.
            Standing::Proceeding { .. } if response.status() > 100 => {
                fork.standing = Standing::Proceeding { timer_c: now.mono + TIMER_C };
            }
            Standing::Proceeding { .. } | Standing::Cancelling { .. } | Standing::Ended => {}
        }
        if fork.withdrawn {
            if matches!(fork.standing, Standing::Proceeding { .. }) {
                self.send_cancel(now, id, index);
            }
        } else if response.status() > 100 && !final_sent {
            if !response.to_tag().is_empty() {
                self.note_dialog(id, index, response);
            }
            let bytes = proxy::backward(response, &mut self.scratch);
            self.pass_response(now, server, response.status(), bytes);
        }
        self.rearm_call(id);
    }

    fn on_branch_success(&mut self, now: Now, id: CallRef, index: usize, response: &Response) {
        // RFC 3261 §16.7 items 5 and 10: every 2xx goes up at once; the first decides the call.
        let bytes = proxy::backward(response, &mut self.scratch);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let server = call.server;
        let late = match call.final_sent {
            None => false,
            Some(status) => !(200..300).contains(&status),
        };
        let gone = !self.servers.contains_key(&server);
        if late || gone {
            let (request, source) = (Arc::clone(&call.request), call.source);
            self.pass_late_success(&request, source, bytes);
        } else {
            call.final_sent = Some(response.status());
            self.pass_response(now, server, response.status(), bytes);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.past.contains(&DialogKey::new(response.call_id(), response.from_tag(), response.to_tag())) {
            return;
        }
        call.pending = None;
        let longest = call.config.sip.max_call;
        let Some(fork) = call.forks.get_mut(index) else { return };
        let offer_id = fork.offer;
        let first_of_fork = fork.standing != Standing::Ended;
        fork.standing = Standing::Ended;
        let key = self.note_dialog(id, index, response);
        let patience = self.timing.patience();
        let Some(call) = self.calls.get_mut(&id) else { return };
        let mut new_dialog = false;
        if let Some(entry) = call.dialogs.iter_mut().find(|entry| entry.key == key) {
            new_dialog = entry.dialog.phase == Phase::Early;
            entry.dialog.on_answer(now.mono, response, patience, longest);
        }
        // A second dialog on a branch whose call is over (its phone answered under another tag) is only passed through: the
        // record is written, and the claim may be another call's.
        if !call.over && (new_dialog || first_of_fork) {
            // Early dialogs of this branch that were not answered are over.
            let stale: SmallVec<[DialogKey; 2]> = call
                .dialogs
                .iter()
                .filter(|entry| entry.fork == index && entry.dialog.phase == Phase::Early)
                .map(|entry| entry.key.clone())
                .collect();
            call.dialogs.retain(|entry| !stale.contains(&entry.key));
            call.answered_at.get_or_insert(now.wall);
            let mut answered = None;
            if let Some(offer) = call.offer_mut(offer_id) {
                offer.closed = true;
                if !offer.answered {
                    offer.answered = true;
                    answered = Some((offer.person.clone(), offer.label.clone()));
                }
            }
            let caller_person = call.from_user.as_ref().map(|user| user.person.clone());
            let external = call.offer(offer_id).is_some_and(|offer| offer.person.is_none());
            for key in stale {
                self.dialogs.remove(&key);
            }
            if let Some(person) = caller_person {
                self.claims.answered(now, &person, id);
            }
            if let Some((person, label)) = answered {
                if let Some(person) = &person {
                    self.claims.answered(now, person, id);
                }
                let by = if external { "an outside number".to_owned() } else { label };
                self.emit(Event::CallAnswered { call: id, by });
                self.with_hunt(now, id, |hunt, world| hunt.on_answered(now, offer_id, world));
                // the first to answer wins; the other devices of the same offer stop ringing too.
                self.cancel_forks(now, id, |fork| fork.offer == offer_id);
            }
        }
        self.sweep(now, id);
        self.rearm_call(id);
    }

    /// A branch ended without a response.
    pub(super) fn on_branch_failed(&mut self, now: Now, id: CallRef, index: usize, failure: ClientFailure) {
        if self.try_alternative(now, id, index) {
            return;
        }
        let to_trunk = self.calls.get(&id).and_then(|call| call.forks.get(index)).is_some_and(|fork| {
            matches!(fork.peer, Peer::Trunk(_)) // a phone that is gone has merely not answered
        });
        let end = if to_trunk { OfferEnd::Unreachable(Unreachable::Silent) } else { offer_end(failure.status()) };
        self.end_branch(now, id, index, end, Reach::Branch);
    }

    /// RFC 3263 §4.3: another address of the same target, while nobody there has said anything.
    fn try_alternative(&mut self, now: Now, id: CallRef, index: usize) -> bool {
        let Some(call) = self.calls.get_mut(&id) else { return false };
        let Some(fork) = call.forks.get_mut(index) else { return false };
        if fork.withdrawn || fork.alternatives.is_empty() || fork.standing == Standing::Ended {
            return false;
        }
        let mut alternatives = fork.alternatives.clone();
        let address = alternatives.remove(0);
        fork.standing = Standing::Ended;
        let (offer, uri, peer, breadth) = (fork.offer, fork.uri.clone(), fork.peer.clone(), fork.breadth);
        self.fork(now, id, offer, uri, None, address, alternatives, &[], peer, breadth);
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
        let gone: SmallVec<[DialogKey; 2]> = call
            .dialogs
            .iter()
            .filter(|entry| entry.fork == index && entry.dialog.phase == Phase::Early)
            .map(|entry| entry.key.clone())
            .collect();
        call.dialogs.retain(|entry| !gone.contains(&entry.key));
        let left = call.forks.iter().any(|fork| fork.offer == offer_id && fork.standing != Standing::Ended);
        let ends_offer = !left || reach == Reach::Offer;
        if let Some(offer) = call.offer_mut(offer_id) {
            offer.end = match reach {
                Reach::Branch => more_telling(offer.end, end),
                Reach::Offer => end,
            };
        }
        for key in gone {
            self.dialogs.remove(&key);
        }
        if ends_offer {
            self.cancel_forks(now, id, |fork| fork.offer == offer_id);
            // The claim goes first, so that the hunt's next step sees the person as it is.
            self.settle(now, id, offer_id);
            self.close_offer(now, id, offer_id);
        }
        self.settle(now, id, offer_id);
        // A hunt that held back for this claim goes on with it let go.
        self.look_again(now, id);
        self.rearm_call(id);
    }

    /// Tells the hunt, once, that an offer ended unanswered.
    fn close_offer(&mut self, now: Now, id: CallRef, offer_id: OfferId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(offer) = call.offer_mut(offer_id) else { return };
        if std::mem::replace(&mut offer.closed, true) {
            return;
        }
        let end = offer.end;
        self.with_hunt(now, id, |hunt, world| hunt.on_offer_ended(now, offer_id, end, world));
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
        if answered {
            //
            self.claims.wrap_up(now, &person, id, wrap_up);
            self.rearm_wrap_ups();
        } else {
            self.claims.release(&person, id);
        }
        self.freed.insert(person);
    }

    /// The Record-Route values of a copy (RFC 3261 §16.6 item 4): one, or two where it changes sockets, the outer on top.
    fn record_route(&self, from: ListenerId, to: ListenerId) -> SmallVec<[String; 2]> {
        let value =
            |listener: Option<&super::Listener>| listener.map(|listener| format!("<sip:{};lr>", listener.advertised));
        let mut values: SmallVec<[String; 2]> = value(self.listener(to)).into_iter().collect();
        if from != to {
            values.extend(value(self.listener(from)));
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

/// Reads back a request that we wrote ourselves.
pub(super) fn own_request(sent: &Bytes) -> Option<Request> {
    match sip::parse(sent.clone(), &sip::Limits::default()) {
        Ok(Parsed::Request(request)) => Some(request),
        Ok(Parsed::Response(_) | Parsed::KeepAlive) | Err(_) => None,
    }
}
