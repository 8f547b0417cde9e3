//! Calls from the caller's side: an INVITE begins a hunt, the hunt's word becomes an answer, and a call that is over leaves
//! its record and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Engine;
use super::answers::{phrase, reason_header};
use super::call::{Call, Peer, Standing};
use super::event::Event;
use super::transactions::{Armed, ClientId, ServerId, TimerKey};
use crate::auth::Origin;
use crate::flow::Flow;
use crate::id::{CallRef, CompanyId, UserId};
use crate::proxy::{Admitted, DialogKey, End, Routes};
use crate::routing::{Answer, Effect, Hunt, World};
use crate::sip::{Name, Request};
use crate::state::{CallRecord, EndedBy};
use crate::time::Now;

/// What the ingress knows of an INVITE that is to become a call.
pub(super) struct NewCall {
    pub(super) server: ServerId,
    pub(super) request: Arc<Request>,
    pub(super) source: Flow,
    pub(super) origin: Origin,
    pub(super) admitted: Admitted,
    pub(super) routes: Routes,
    pub(super) arrival: crate::routing::Arrival,
    pub(super) company: Option<CompanyId>,
}

impl Engine {
    /// An INVITE that may be served: begins the hunt.
    pub(super) fn begin_call(&mut self, now: Now, new: NewCall) {
        let NewCall { server, request, source, origin, admitted, routes, arrival, company } = new;
        let id = arrival.call;
        let (trunk, from_user, caller) = match &origin {
            Origin::Trunk(proof) => {
                let trunk = proof.trunk().id.clone();
                (Some(trunk.clone()), None, Peer::Trunk(trunk))
            }
            Origin::User(proof) => {
                let user = Arc::clone(proof.user());
                let contact = self.binding_of_flow(now, &user.id, source);
                (None, Some(Arc::clone(&user)), Peer::Phone { user, contact })
            }
        };
        let caller_label = arrival.caller.to_string();
        let call_id = Bytes::copy_from_slice(request.call_id());
        self.emit(Event::CallArrived { call: id, company: company.clone(), trunk: trunk.clone(), call_id });
        let config = Arc::clone(&self.config);
        let mut world = World {
            claims: &mut self.claims,
            presence: &self.live,
            memories: &mut self.memories,
            line: &mut self.line,
        };
        let hunt = Hunt::begin(now, Arc::clone(&config.plan), arrival, &mut world);
        if let Some(company) = &company {
            self.live.count_up(company);
        }
        if let Some(trunk) = &trunk {
            self.count_trunk_up(trunk);
        }
        let call = Call {
            config,
            company,
            trunk,
            from_user,
            caller_label,
            hunt,
            request,
            source,
            caller,
            admitted,
            routes,
            server,
            offers: Vec::new(),
            forks: Vec::new(),
            dialogs: Vec::new(),
            past: SmallVec::new(),
            pending: None,
            final_sent: None,
            cancel_reason: None,
            started_at: now.wall,
            answered_at: None,
            ended_by: EndedBy::Refused,
            over: false,
            armed: Armed::default(),
        };
        self.calls.insert(id, Box::new(call));
        self.drive(now, id);
    }

    /// Lets the hunt do something, then does what it says.
    pub(super) fn with_hunt(&mut self, now: Now, id: CallRef, step: impl FnOnce(&mut Hunt, &mut World<'_>)) {
        self.tell_hunt(id, step);
        self.drive(now, id);
    }

    /// Lets the hunt do something. What it says is done by `drive`.
    pub(super) fn tell_hunt(&mut self, id: CallRef, step: impl FnOnce(&mut Hunt, &mut World<'_>)) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let mut world = World {
            claims: &mut self.claims,
            presence: &self.live,
            memories: &mut self.memories,
            line: &mut self.line,
        };
        step(&mut call.hunt, &mut world);
    }

    /// Somebody a waiting call waits for may have become free.
    pub(super) fn look_again(&mut self, now: Now, id: CallRef) {
        self.with_hunt(now, id, |hunt, world| hunt.on_availability(now, world));
    }

    /// Does what the hunt says until it says no more.
    pub(super) fn drive(&mut self, now: Now, id: CallRef) {
        while let Some(effect) = self.calls.get_mut(&id).and_then(|call| call.hunt.poll()) {
            match effect {
                Effect::Offer { id: offer, target } => {
                    if !self.begin_offer(now, id, offer, target) {
                        // Nothing could be sent. Told here and not from within: a long department of such members must not
                        // go as deep as it is long.
                        self.settle(now, id, offer);
                        self.close_offer(now, id, offer);
                    }
                }
                Effect::Withdraw { id: offer } => self.withdraw(now, id, offer),
                Effect::Queued { place } => self.tell_queued(now, id, place),
                Effect::Finish(answer) => {
                    if let Some(call) = self.calls.get_mut(&id) {
                        call.pending = Some(answer);
                    }
                }
            }
        }
        self.note_call(id);
        self.finish(now, id);
        self.sweep(now, id);
    }

    ///
    fn tell_queued(&mut self, now: Now, id: CallRef, place: u32) {
        let Some(call) = self.calls.get(&id) else { return };
        if call.final_sent.is_some() {
            return;
        }
        self.emit(Event::CallQueued { call: id, place });
        let Some(call) = self.calls.get(&id) else { return };
        // RFC 3262 §3: to a caller that requires reliable provisional responses, none may be sent unreliably, and ours are
        // no dialog it could acknowledge them in.
        if call.request.has_token(Name::Require, "100rel") {
            return;
        }
        let server = call.server;
        self.answer(now, server, 182, "Queued", &[]);
    }

    /// Sends the final answer once the hunt is over and every branch has ended (RFC 3261 §16.7 item 6).
    pub(super) fn finish(&mut self, now: Now, id: CallRef) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.final_sent.is_some() || !call.all_forks_ended() {
            return;
        }
        let Some(answer) = call.pending.take() else { return };
        call.final_sent = Some(answer.status);
        call.ended_by = EndedBy::Refused;
        let server = call.server;
        self.emit(Event::CallRefused { call: id, status: answer.status, cause: answer.cause.as_str() });
        self.answer_with(now, server, &answer);
    }

    /// Sends an answer of R-8.
    pub(super) fn answer_with(&mut self, now: Now, server: ServerId, answer: &Answer) {
        let reason = reason_header(answer);
        let retry_after = answer.retry_after.map(|after| after.as_secs().max(1).to_string());
        let mut extras: SmallVec<[(&str, &[u8]); 2]> = SmallVec::new();
        if let Some(reason) = &reason {
            extras.push(("Reason", reason.as_bytes()));
        }
        if let Some(retry_after) = &retry_after {
            extras.push(("Retry-After", retry_after.as_bytes()));
        }
        self.answer(now, server, answer.status, phrase(answer.status), &extras);
    }

    /// the caller hung up before an answer.
    pub(super) fn cancel_call(&mut self, now: Now, id: CallRef, cancel: &Request) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.final_sent.is_some() {
            return;
        }
        call.final_sent = Some(487);
        call.pending = None;
        call.ended_by = EndedBy::Cancelled;
        // RFC 3326 §2: what the CANCEL says of itself is passed on; nothing is made up.
        call.cancel_reason = cancel.value(Name::Reason).map(Bytes::copy_from_slice);
        let server = call.server;
        self.emit(Event::CallCancelled { call: id });
        self.answer(now, server, 487, "Request Terminated", &[]);
        self.with_hunt(now, id, |hunt, world| hunt.on_cancelled(now, world));
        self.cancel_forks(now, id, |_| true);
        self.sweep(now, id);
        self.rearm_call(id);
    }

    pub(super) fn on_call_timer(&mut self, now: Now, id: CallRef) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.armed = Armed::default();
        if call.hunt.is_opening(now) {
            // whoever has waited longest is offered first; `serve_waiting` sees to it.
            self.freed.extend(call.hunt.waits_for().iter().cloned());
        }
        if call.final_sent.is_none() && call.hunt.deadline().is_some_and(|at| at <= now.mono) {
            self.with_hunt(now, id, |hunt, world| hunt.on_deadline(now, world));
        }
        let Some(call) = self.calls.get(&id) else { return };
        let mut cancel: SmallVec<[usize; 4]> = SmallVec::new();
        let mut dead: SmallVec<[(usize, ClientId); 4]> = SmallVec::new();
        for (index, fork) in call.forks.iter().enumerate() {
            match fork.standing {
                // RFC 3261 §16.8: Timer C with a provisional response in hand: CANCEL.
                Standing::Proceeding { timer_c } if timer_c <= now.mono => cancel.push(index),
                // RFC 3261 §9.1: no final response 64·T1 after CANCEL: "consider the original transaction cancelled".
                Standing::Cancelling { until } if until <= now.mono => dead.push((index, fork.client)),
                Standing::Proceeding { .. } | Standing::Cancelling { .. } | Standing::Calling | Standing::Ended => {}
            }
        }
        let ends: SmallVec<[(DialogKey, End); 2]> = call
            .dialogs
            .iter()
            .filter_map(|entry| {
                let (at, end) = entry.dialog.deadline()?;
                (at <= now.mono).then(|| (entry.key.clone(), end))
            })
            .collect();
        for index in cancel {
            if let Some(fork) = self.calls.get_mut(&id).and_then(|call| call.forks.get_mut(index)) {
                fork.withdrawn = true;
            }
            self.send_cancel(now, id, index);
        }
        for (index, client) in dead {
            self.abandon_client(now, client);
            self.end_fork(now, id, index, 408);
        }
        for (key, end) in ends {
            self.hang_up(now, id, &key, end);
        }
        self.rearm_call(id);
    }

    pub(super) fn rearm_call(&mut self, id: CallRef) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let deadline = call.deadline();
        let armed = std::mem::take(&mut call.armed);
        let armed = self.arm(armed, TimerKey::Call(id), deadline);
        if let Some(call) = self.calls.get_mut(&id) {
            call.armed = armed;
        }
    }

    /// Closes what is over: the record when nobody rings or talks any more, the entry when its transactions are gone too.
    pub(super) fn sweep(&mut self, now: Now, id: CallRef) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if !call.over && call.final_sent.is_some() && call.all_forks_ended() && call.dialogs.is_empty() {
            call.over = true;
            let record = CallRecord {
                call: id,
                company: call.company.clone(),
                trunk: call.trunk.clone(),
                from_user: call.from_user.as_ref().map(|user| user.id.clone()),
                sip_call_id: String::from_utf8_lossy(call.request.call_id()).into_owned(),
                decision: call.hunt.record().clone(),
                started_at: call.started_at,
                answered_at: call.answered_at,
                ended_at: now.wall,
                answered_by: call.offers.iter().filter(|offer| offer.answered).map(|o| o.label.clone()).collect(),
                ended_by: call.ended_by,
                // an answer that crossed the CANCEL counts as a call, whatever the transaction had said by then.
                status: if call.answered_at.is_some() { 200 } else { call.final_sent.unwrap_or_default() },
            };
            let (company, trunk) = (call.company.clone(), call.trunk.clone());
            let caller = call.from_user.as_ref().map(|user| user.person.clone());
            let (answered, ended_by) = (call.answered_at.is_some(), call.ended_by);
            if let Some(company) = company {
                self.live.count_down(&company);
            }
            if let Some(trunk) = trunk {
                self.count_trunk_down(&trunk);
            }
            if let Some(person) = caller {
                let freed = self.claims.release(&person, id);
                self.freed.extend(freed);
                // A wrap-up in which the caller began it stands again.
                self.rearm_wrap_ups();
            }
            if answered {
                self.emit(Event::CallEnded { call: id, by: ended_by });
            }
            self.note_over(record);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let lingering = self.servers.contains_key(&call.server)
            || call.forks.iter().any(|fork| self.clients.contains_key(&fork.client));
        if call.over && !lingering && call.dialogs.is_empty() {
            let armed = std::mem::take(&mut call.armed);
            self.arm(armed, TimerKey::Call(id), None);
            self.calls.remove(&id);
        } else {
            self.rearm_call(id);
        }
    }

    /// The contact of the user's binding that speaks from that flow.
    pub(super) fn binding_of_flow(&self, now: Now, user: &UserId, flow: Flow) -> Option<Bytes> {
        self.live
            .location
            .bindings_of(now.mono, user)
            .find(|binding| binding.flow == flow)
            .map(|binding| binding.contact.clone())
    }

    /// A refusal before any hunt: the caller's own person is busy, or the trunk or the daemon takes no more calls.
    pub(super) fn refuse_early(&mut self, now: Now, server: ServerId, record: CallRecord, answer: &Answer) {
        let request = self.servers.get(&server).map(|transaction| &transaction.request);
        let call_id = request.map(|request| Bytes::copy_from_slice(request.call_id())).unwrap_or_default();
        let (company, trunk) = (record.company.clone(), record.trunk.clone());
        self.emit(Event::CallArrived { call: record.call, company, trunk, call_id });
        self.emit(Event::CallRefused { call: record.call, status: answer.status, cause: answer.cause.as_str() });
        self.answer_with(now, server, answer);
        self.note_over(record);
    }
}
