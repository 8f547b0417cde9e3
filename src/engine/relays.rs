//! Requests inside dialogs, both ways (RFC 3261 §12.2, §16): BYE, re-INVITE, UPDATE, INFO, PRACK … and the ACK of a 2xx.
//!
//! A request inside a dialog of ours is forwarded to that dialog's other end and nowhere else; whoever is neither end is
//! refused (checklists §2 class 14).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::branches::{TIMER_C, belongs, own_request};
use super::call::Peer;
use super::dialogs::call_of;
use super::transactions::{
    Armed, ClientFailure, ClientId, ClientKind, ClientOwner, Reception, RelayId, ServerId, ServerOwner, TimerKey,
};
use super::{Engine, Event};
use crate::auth::Asker;
use crate::flow::Flow;
use crate::id::{CallRef, TrunkId};
use crate::proxy::{self, Branch, DialogKey, Forward, LoopKey, Strip, Toward};
use crate::sip::{self, Host, Method, Name, Request, Response, Uri};
use crate::time::{Instant, Now};

/// Where a relayed request stands. Timer C is an INVITE's alone.
///
/// ```text
///             1xx                     CANCEL of the asker, or Timer C: CANCEL
///  Calling --------> Proceeding ----------------------------------------------> Cancelling
///     |                  |                                                          |
///     |  final response, Timer B or F, transport error      final, or 64*T1 after the CANCEL
///     +------------------+---------------------> Answered <-------------------------+
/// ```
///
/// A request whose asker cancels it while Calling waits for its first 1xx (RFC 3261 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RelayStanding {
    /// Sent; no response yet.
    Calling {
        /// What to do with the first 1xx.
        then: Then,
    },
    /// A provisional response came.
    Proceeding { timer_c: Instant },
    /// CANCEL sent.
    Cancelling { until: Instant },
    /// A final response went up, or none will.
    Answered,
}

/// What to do with the first provisional response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Nothing.
    Proceed,
    /// CANCEL.
    Cancel,
}

/// A request inside a dialog on its way to the other end.
#[derive(Debug)]
pub(super) struct Relay {
    call: CallRef,
    key: DialogKey,
    from: Toward,
    server: ServerId,
    client: ClientId,
    flow: Flow,
    method: Method,
    sent: Bytes,
    /// The asker's Contact, which a 2xx makes its target.
    contact: Option<Bytes>,
    standing: RelayStanding,
    armed: Armed,
}

/// Whether a message may act inside a dialog.
enum Standing {
    /// It comes from that end.
    Proven,
    /// It says it does, from elsewhere: the user behind that end may still prove it.
    Unproven,
    /// It cannot be proven.
    Refused,
}

impl Engine {
    /// A request with a To tag that matched no transaction.
    pub(super) fn on_in_dialog_request(&mut self, now: Now, flow: Flow, request: Request) {
        let key = DialogKey::new(request.call_id(), request.from_tag(), request.to_tag());
        let Some(id) = self.call_of_dialog(&key, &request) else {
            // RFC 3261 §12.2.2: no such dialog: 481. An ACK is never answered (§17).
            if request.method() != Method::Ack {
                self.count("unknown-dialog");
                self.refuse_statelessly(flow, &request, 481, "Call/Transaction Does Not Exist", &[]);
            }
            return;
        };
        let Some(from) = self.dialog_entry(id, &key).and_then(|entry| entry.dialog.sender(request.from_tag())) else {
            return;
        };
        match self.standing(now, id, &key, from, flow) {
            Standing::Proven => self.follow(now, id, &key, from, flow),
            Standing::Unproven if request.method() != Method::Ack => {
                if !self.prove_in_dialog(now, id, &key, from, flow, &request) {
                    return;
                }
            }
            Standing::Unproven | Standing::Refused => {
                self.count("stranger-in-dialog");
                if request.method() != Method::Ack {
                    self.refuse_statelessly(flow, &request, 403, "Forbidden", &[]);
                }
                return;
            }
        }
        match request.method() {
            Method::Ack => self.relay_ack(now, id, &key, from, flow, &request),
            _ => self.relay(now, id, &key, from, flow, request),
        }
    }

    /// Whether a flow is that of one end of a dialog.
    fn standing(&self, now: Now, id: CallRef, key: &DialogKey, from: Toward, flow: Flow) -> Standing {
        let Some(entry) = self.dialog_entry(id, key) else { return Standing::Refused };
        if entry.dialog.side(from).flow.remote == flow.remote {
            return Standing::Proven;
        }
        match entry.peer(from) {
            Peer::Trunk(trunk) => {
                if self.is_partner(id, trunk, flow.remote) {
                    Standing::Proven
                } else {
                    Standing::Refused
                }
            }
            Peer::Phone { user, .. } => {
                let bound = self
                    .live
                    .location
                    .bindings_of(now.mono, &user.id)
                    .any(|binding| binding.target == flow.remote || binding.flow.remote == flow.remote);
                if bound { Standing::Proven } else { Standing::Unproven }
            }
        }
    }

    /// Whether an address is a trunk's: by the version of the configuration the call began with (R-9), or by today's.
    fn is_partner(&self, id: CallRef, trunk: &TrunkId, address: SocketAddr) -> bool {
        let then = self.calls.get(&id).is_some_and(|call| self.is_of_trunk(&call.config, trunk, address));
        then || self.is_of_trunk(&self.config, trunk, address)
    }

    /// One end speaks from another address than before: that is where it is found from now on.
    fn follow(&mut self, now: Now, id: CallRef, key: &DialogKey, from: Toward, flow: Flow) {
        let Some(entry) = self.dialog_entry(id, key) else { return };
        if entry.dialog.side(from).flow == flow {
            return;
        }
        let bound = match entry.peer(from) {
            Peer::Phone { user, .. } => Some(self.binding_of_flow(now, &user.id, flow)),
            Peer::Trunk(_) => None,
        };
        let Some(entry) = self.dialog_entry_mut(id, key) else { return };
        entry.dialog.side_mut(from).flow = flow;
        if let (Peer::Phone { contact, .. }, Some(bound)) = (entry.peer_mut(from), bound) {
            *contact = bound;
        }
        self.note_call(id);
    }

    /// A phone speaks from a new address (its NAT forgot it): it may prove to be the user, and is found there from now on.
    fn prove_in_dialog(
        &mut self,
        now: Now,
        id: CallRef,
        key: &DialogKey,
        from: Toward,
        flow: Flow,
        request: &Request,
    ) -> bool {
        let Some(Peer::Phone { user, .. }) = self.dialog_entry(id, key).map(|entry| entry.peer(from).clone()) else {
            return false;
        };
        let Some(company) = self.config.plan.companies.get(&user.id.company).map(Arc::clone) else {
            self.refuse_statelessly(flow, request, 403, "Forbidden", &[]);
            return false;
        };
        match self.verify(now, flow, &company, Asker::Proxy, request) {
            Ok(proof) if proof.user().id == user.id => {
                self.follow(now, id, key, from, flow);
                true
            }
            Ok(_) => {
                self.refuse_statelessly(flow, request, 403, "Forbidden", &[]);
                false
            }
            Err(refusal) => {
                self.challenge(now, flow, request, &company, Asker::Proxy, refusal);
                false
            }
        }
    }

    fn relay(&mut self, now: Now, id: CallRef, key: &DialogKey, from: Toward, flow: Flow, request: Request) {
        let request = Arc::new(request);
        let admitted = {
            let addresses = &self.addresses;
            proxy::validate(&request, &self.hashing, |host, port| addresses.is_sent_by(host, port))
        };
        let server = self.open_server(now, Arc::clone(&request), flow, ServerOwner::Engine);
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                self.refuse(now, server, &refusal);
                return;
            }
        };
        if request.method() == Method::Invite {
            self.answer(now, server, 100, "Trying", &[]);
        }
        let token = self.draw();
        let Some((sent, to)) =
            self.write_in_dialog(now, id, key, from, flow, &request, token, admitted.loop_key, admitted.max_forwards)
        else {
            self.answer(now, server, 500, "Server Internal Error", &[]);
            return;
        };
        if let Some(entry) = self.dialog_entry_mut(id, key) {
            entry.dialog.on_request(from, &request);
        }
        let relay = RelayId(self.next_id());
        let client = ClientId { token, kind: ClientKind::Request };
        let contact = request.name_addrs(Name::Contact).next().map(|contact| Bytes::copy_from_slice(contact.uri.text));
        self.relays.insert(
            relay,
            Relay {
                call: id,
                key: key.clone(),
                from,
                server,
                client,
                flow: to,
                method: request.method(),
                sent: sent.clone(),
                contact,
                standing: RelayStanding::Calling { then: Then::Proceed },
                armed: Armed::default(),
            },
        );
        if let Some(transaction) = self.servers.get_mut(&server) {
            transaction.owner = ServerOwner::Relay(relay);
        }
        self.open_client(now, client, request.method(), to, sent, ClientOwner::Relay(relay));
        self.rearm_call(id);
    }

    /// RFC 3261 §16.11 for the one request a stateful proxy forwards without a transaction: the ACK of a 2xx.
    fn relay_ack(&mut self, now: Now, id: CallRef, key: &DialogKey, from: Toward, flow: Flow, ack: &Request) {
        let max_forwards = match ack.max_forwards() {
            Some(0) => return,
            Some(hops) => hops - 1,
            None => 70,
        };
        // §16.11: a copy of the same ACK leaves with the same branch.
        let token = {
            use std::hash::{BuildHasher, Hasher};
            let mut hasher = self.hashing.build_hasher();
            hasher.write(ack.top_via().text);
            hasher.write(ack.call_id());
            hasher.write(ack.to_tag());
            hasher.write_u32(ack.cseq().number);
            hasher.finish()
        };
        let loop_key = LoopKey::of(ack, &self.hashing);
        let Some((sent, to)) = self.write_in_dialog(now, id, key, from, flow, ack, token, loop_key, max_forwards)
        else {
            return;
        };
        if let Some(entry) = self.dialog_entry_mut(id, key) {
            entry.dialog.on_ack();
        }
        self.send(to, sent);
        self.rearm_call(id);
    }

    /// The copy of a request for the other end, and where it goes.
    #[allow(clippy::too_many_arguments)] // what the copy depends on
    fn write_in_dialog(
        &mut self,
        now: Now,
        id: CallRef,
        key: &DialogKey,
        from: Toward,
        flow: Flow,
        request: &Request,
        token: u64,
        loop_key: LoopKey,
        max_forwards: u8,
    ) -> Option<(Bytes, Flow)> {
        let routing = {
            let addresses = &self.addresses;
            proxy::route(request, |uri| addresses.is_ours(uri) && call_of(uri).is_none_or(|call| call == id))
        };
        let to = self.next_hop(now, id, key, from.other(), routing.next.uri())?;
        let sent_by = self.listener(to.local)?.advertised.clone();
        let mut branch = String::with_capacity(32);
        Branch { token, loop_key }.write(&mut branch);
        let entry = self.dialog_entry(id, key)?;
        let domain = match entry.peer(from) {
            Peer::Trunk(_) => None,
            Peer::Phone { user, .. } => {
                self.calls.get(&id).and_then(|call| call.config.plan.companies.get(&user.id.company)).map(Arc::clone)
            }
        };
        let forward = Forward {
            uri: routing.uri.as_deref(),
            routes: &routing.routes,
            path: &[],
            max_forwards,
            max_breadth: None,
            sent_by: &sent_by,
            branch: &branch,
            record_route: &[],
            source: flow.remote,
            strip: domain.as_ref().map_or(Strip::Nothing, |company| Strip::User { realm: &company.domain }),
        };
        Some((forward.write(request, &mut self.scratch), to))
    }

    /// Where a request for one end of a dialog goes. A phone is reached where it is registered now, else by the flow it
    /// came from. A trunk is reached where Route or its Contact says, if that is an address of that trunk's; else by its
    /// flow: no header of anybody's sends a datagram to a stranger (checklists §2 classes 16, 20).
    pub(super) fn next_hop(&self, now: Now, id: CallRef, key: &DialogKey, side: Toward, uri: &[u8]) -> Option<Flow> {
        let entry = self.dialog_entry(id, key)?;
        let flow = entry.dialog.side(side).flow;
        let better = match entry.peer(side) {
            Peer::Phone { user, contact: Some(contact) } => self
                .live
                .location
                .bindings_of(now.mono, &user.id)
                .find(|binding| binding.contact == *contact)
                .map(|binding| Flow { local: binding.flow.local, remote: binding.target }),
            Peer::Phone { contact: None, .. } => None,
            Peer::Trunk(trunk) => Uri::parse(uri).ok().and_then(|uri| {
                let address = uri.host.and_then(Host::ip)?;
                let remote = SocketAddr::new(address, uri.port.unwrap_or(5060));
                // Its Contact may be of the other address family than what it sent from.
                let local = self.listener_towards(remote, flow.local)?;
                self.is_partner(id, trunk, remote).then_some(Flow { local, remote })
            }),
        };
        let flow = better.unwrap_or(flow);
        if self.listener(flow.local).is_some() {
            return Some(flow);
        }
        // The socket it used is gone since a reload.
        self.listener_towards(flow.remote, flow.local).map(|local| Flow { local, remote: flow.remote })
    }

    /// A response to a relayed request.
    pub(super) fn on_relay_response(&mut self, now: Now, id: RelayId, response: &Response) {
        let Some(relay) = self.relays.get(&id) else { return };
        let (client, sent, server) = (relay.client, relay.sent.clone(), relay.server);
        let asked = self.servers.get(&server).map(|transaction| Arc::clone(&transaction.request));
        if asked.is_some_and(|request| !belongs(response, &request)) {
            self.count("response-not-ours");
            return;
        }
        let status = response.status();
        // RFC 3261 §16.7 item 3: a response with no Via but ours goes to nobody. It ends the relay all the same.
        let goes_on = response.vias().nth(1).is_some();
        let reception = self.on_client_response(now, client, status, || {
            own_request(&sent).map_or_else(Bytes::new, |invite| proxy::ack_for(&invite, response))
        });
        match (reception, status) {
            (Reception::Absorbed, _) => {}
            (Reception::PassUp, 0..200) if !goes_on => self.count("response-not-ours"),
            (Reception::PassUp, 200..) if !goes_on => self.on_relay_failed(now, id, ClientFailure::TransportError),
            (Reception::PassUp, 0..200) => self.on_relay_provisional(now, id, response),
            (Reception::PassUp, 200..) => self.on_relay_final(now, id, response),
        }
    }

    fn on_relay_provisional(&mut self, now: Now, id: RelayId, response: &Response) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        if relay.method != Method::Invite {
            // RFC 4320 §4.1: no provisional response but 100 to anything else, and that hop by hop.
            return;
        }
        let server = relay.server;
        match relay.standing {
            RelayStanding::Calling { then: Then::Cancel } => {
                self.send_relay_cancel(now, id);
                return;
            }
            RelayStanding::Calling { then: Then::Proceed } => {
                relay.standing = RelayStanding::Proceeding { timer_c: now.mono + TIMER_C };
            }
            RelayStanding::Proceeding { .. } => {
                // RFC 3261 §16.7 item 2: Timer C is reset by 101 to 199.
                if response.status() > 100 {
                    relay.standing = RelayStanding::Proceeding { timer_c: now.mono + TIMER_C };
                }
            }
            RelayStanding::Cancelling { .. } | RelayStanding::Answered => return,
        }
        if response.status() > 100 {
            let bytes = proxy::backward(response, &mut self.scratch);
            self.pass_response(now, server, response.status(), bytes);
        }
        self.rearm_relay(id);
    }

    fn on_relay_final(&mut self, now: Now, id: RelayId, response: &Response) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        relay.standing = RelayStanding::Answered;
        let (server, method) = (relay.server, relay.method);
        let (call, key, from, contact) = (relay.call, relay.key.clone(), relay.from, relay.contact.clone());
        let status = response.status();
        match status {
            // RFC 3261 §16.7 item 6: a 503 says that we cannot serve, and we can.
            503 => self.answer(now, server, 500, "Server Internal Error", &[]),
            // RFC 4320 §4.2: no 408 to a non-INVITE, whoever made it.
            408 if method != Method::Invite => self.abandon_server(now, server),
            _ => {
                let bytes = proxy::backward(response, &mut self.scratch);
                self.pass_response(now, server, status, bytes);
            }
        }
        self.rearm_relay(id);
        if method == Method::Bye {
            if matches!(status, 401 | 407) {
                if let Some(entry) = self.dialog_entry_mut(call, &key) {
                    entry.dialog.on_bye_challenged();
                }
                self.rearm_call(call);
            } else {
                self.end_dialog(now, call, &key, from.into());
            }
        } else if matches!(method, Method::Invite | Method::Update) && (200..300).contains(&status) {
            // An early dialog too: RFC 3311 §5.1.
            if let Some(entry) = self.dialog_entry_mut(call, &key) {
                entry.dialog.on_refresh(now.mono, from, contact, response);
            }
            self.note_call(call);
            self.rearm_call(call);
        }
    }

    /// A relayed request got no final response.
    pub(super) fn on_relay_failed(&mut self, now: Now, id: RelayId, failure: ClientFailure) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        if relay.standing == RelayStanding::Answered {
            return;
        }
        relay.standing = RelayStanding::Answered;
        let (server, method, call, key, from) = (relay.server, relay.method, relay.call, relay.key.clone(), relay.from);
        match (method, failure) {
            (Method::Invite, ClientFailure::TimedOut) => self.answer(now, server, 408, "Request Timeout", &[]),
            // RFC 3261 §16.9 with §16.7 item 6: a transport error counts as a 503, which goes up as a 500.
            (_, ClientFailure::TransportError) => self.answer(now, server, 500, "Server Internal Error", &[]),
            // RFC 4320 §4.2: a non-INVITE times out in silence.
            (_, ClientFailure::TimedOut) => self.abandon_server(now, server),
        }
        if method == Method::Bye {
            // R-7.3: answered or timed out.
            self.end_dialog(now, call, &key, from.into());
        }
    }

    /// The asker cancels a re-INVITE.
    pub(super) fn cancel_relay(&mut self, now: Now, id: RelayId) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        if relay.method != Method::Invite {
            return;
        }
        match relay.standing {
            RelayStanding::Calling { .. } => relay.standing = RelayStanding::Calling { then: Then::Cancel },
            RelayStanding::Proceeding { .. } => self.send_relay_cancel(now, id),
            RelayStanding::Cancelling { .. } | RelayStanding::Answered => {}
        }
    }

    fn send_relay_cancel(&mut self, now: Now, id: RelayId) {
        // RFC 3261 §9.1: given up 64·T1 after the CANCEL.
        let until = now.mono + self.timing.patience();
        let Some(relay) = self.relays.get_mut(&id) else { return };
        relay.standing = RelayStanding::Cancelling { until };
        let Some(invite) = own_request(&relay.sent) else { return self.count("own-request-unreadable") };
        let (flow, token) = (relay.flow, relay.client.token);
        let bytes = proxy::cancel_for(&invite, None);
        let cancel = ClientId { token, kind: ClientKind::Cancel };
        self.open_client(now, cancel, Method::Cancel, flow, bytes, ClientOwner::Cancel);
        self.rearm_relay(id);
    }

    pub(super) fn on_relay_timer(&mut self, now: Now, id: RelayId) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        relay.armed = Armed::default();
        match relay.standing {
            RelayStanding::Proceeding { timer_c } if timer_c <= now.mono => self.send_relay_cancel(now, id),
            RelayStanding::Cancelling { until } if until <= now.mono => {
                let client = relay.client;
                self.on_relay_failed(now, id, ClientFailure::TimedOut);
                self.abandon_client(now, client);
            }
            RelayStanding::Calling { .. }
            | RelayStanding::Proceeding { .. }
            | RelayStanding::Cancelling { .. }
            | RelayStanding::Answered => {}
        }
        self.rearm_relay(id);
    }

    fn rearm_relay(&mut self, id: RelayId) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        let deadline = match relay.standing {
            RelayStanding::Proceeding { timer_c } => Some(timer_c),
            RelayStanding::Cancelling { until } => Some(until),
            RelayStanding::Calling { .. } | RelayStanding::Answered => None,
        };
        let armed = std::mem::take(&mut relay.armed);
        let armed = self.arm(armed, TimerKey::Relay(id), deadline);
        if let Some(relay) = self.relays.get_mut(&id) {
            relay.armed = armed;
        }
    }

    /// The transaction of a relay has ended.
    pub(super) fn close_relay(&mut self, now: Now, id: RelayId) {
        let Some(mut relay) = self.relays.remove(&id) else { return };
        let armed = std::mem::take(&mut relay.armed);
        self.arm(armed, TimerKey::Relay(id), None);
        if relay.standing != RelayStanding::Answered {
            self.abandon_server(now, relay.server);
        }
    }

    /// Refuses what `proxy::validate` refused.
    pub(super) fn refuse(&mut self, now: Now, server: ServerId, refusal: &proxy::Refusal) {
        let (status, reason) = refusal.status();
        // RFC 3398 §8.2.6.1 maps all of these to 127, interworking; the words say which it was.
        let cause = format!("Q.850;cause=127;text=\"{reason}\"");
        let mut extras: SmallVec<[sip::Extra<'_>; 2]> = SmallVec::new();
        extras.push(("Reason", cause.as_bytes()));
        match refusal {
            proxy::Refusal::BadExtension(tags) => extras.push(("Unsupported", tags)),
            proxy::Refusal::UnsupportedScheme | proxy::Refusal::TooManyHops | proxy::Refusal::Loop => {}
        }
        self.answer(now, server, status, reason, &extras);
    }

    /// Refuses without a transaction, where that is earned.
    pub(super) fn refuse_statelessly(
        &mut self,
        flow: Flow,
        request: &Request,
        status: u16,
        reason: &str,
        extras: &[sip::Extra<'_>],
    ) {
        if self.earns_answer(flow, request) {
            self.answer_statelessly(flow, request, status, reason, extras);
        }
    }

    /// Answers without a transaction: the same request gets the same answer, and nothing is remembered.
    pub(super) fn answer_statelessly(
        &mut self,
        flow: Flow,
        request: &Request,
        status: u16,
        reason: &str,
        extras: &[sip::Extra<'_>],
    ) {
        let tag = self.stateless_tag(request);
        let Some(bytes) = self.measured(flow, request, status, reason, &tag, extras) else { return };
        let reply = super::transactions::reply_flow(request, flow);
        self.send(reply, bytes);
    }

    /// RFC 3261 §8.2.7: a stateless UAS gives the same To tag to every copy of a request.
    fn stateless_tag(&self, request: &Request) -> String {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = self.hashing.build_hasher();
        hasher.write(request.call_id());
        hasher.write(request.top_via().text);
        hasher.write_u32(request.cseq().number);
        format!("{:016x}", hasher.finish())
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.outputs.push_back(super::Output::Event(event));
    }
}
