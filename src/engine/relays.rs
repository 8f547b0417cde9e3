//! Requests inside dialogs, both ways (RFC 3261 §12.2, §16): BYE, re-INVITE, UPDATE, INFO, PRACK … and the ACK of a 2xx.
//!
//! A request inside a dialog of ours is forwarded to that dialog's other end and nowhere else; whoever is neither end is
//! refused (checklists §2 class 14).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::branches::own_request;
use super::call::Peer;
use super::transactions::{
    Armed, ClientFailure, ClientId, ClientKind, ClientOwner, Reception, RelayId, ServerId, ServerOwner, TimerKey,
};
use super::{Engine, Event};
use crate::auth::Asker;
use crate::flow::Flow;
use crate::id::CallRef;
use crate::proxy::{self, Branch, DialogKey, Forward, LoopKey, Phase, Strip, Toward};
use crate::sip::{self, Host, Method, Name, Request, Response, Uri};
use crate::time::{Instant, Now};

/// RFC 3261 §16.6 item 11.
const TIMER_C: Duration = Duration::from_secs(181);

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
    /// A final response went up.
    answered: bool,
    provisional: bool,
    cancelled: bool,
    timer_c: Option<Instant>,
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
        let Some(id) = self.dialogs.get(&key).copied() else {
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
            Standing::Proven => {}
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
                let same = self.trunks.identify(flow.remote).is_some_and(|origin| match origin {
                    crate::auth::Origin::Trunk(proof) => proof.trunk().id == *trunk,
                    crate::auth::Origin::User(_) => false,
                });
                if same || self.is_trunk_address(trunk, flow.remote) { Standing::Proven } else { Standing::Refused }
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
        let Some(company) = self.config.plan.companies.get(&user.id.company).map(Arc::clone) else { return false };
        let offer = self.offered_algorithms();
        match self.digest.verify(now, &company, offer, Asker::Proxy, flow.remote, request) {
            Ok(proof) if proof.user().id == user.id => {
                if let Some(entry) = self.dialog_entry_mut(id, key) {
                    entry.dialog.side_mut(from).flow = flow;
                }
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
                answered: false,
                provisional: false,
                cancelled: false,
                timer_c: None,
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
            proxy::route(request, |uri| addresses.is_ours(uri))
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
                let remote = std::net::SocketAddr::new(address, uri.port.unwrap_or(5060));
                let known = self.is_trunk_address(trunk, remote)
                    || self.trunks.identify(remote).is_some_and(|origin| match origin {
                        crate::auth::Origin::Trunk(proof) => proof.trunk().id == *trunk,
                        crate::auth::Origin::User(_) => false,
                    });
                known.then_some(Flow { local: flow.local, remote })
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
        let (client, sent) = (relay.client, relay.sent.clone());
        let status = response.status();
        let reception = self.on_client_response(now, client, status, || {
            own_request(&sent).map_or_else(Bytes::new, |invite| proxy::ack_for(&invite, response))
        });
        if reception == Reception::Absorbed {
            return;
        }
        let Some(relay) = self.relays.get_mut(&id) else { return };
        let (server, method) = (relay.server, relay.method);
        if status < 200 {
            if method == Method::Invite {
                relay.provisional = true;
                relay.timer_c = Some(now.mono + TIMER_C);
                let cancel = relay.cancelled;
                if cancel {
                    self.send_relay_cancel(now, id);
                } else if status > 100 {
                    let bytes = proxy::backward(response, &mut self.scratch);
                    self.pass_response(now, server, status, bytes);
                }
                self.rearm_relay(id);
            }
            // RFC 4320 §4.1: no provisional response but 100 to anything else, and that hop by hop.
            return;
        }
        relay.answered = true;
        relay.timer_c = None;
        let (call, key, from, contact) = (relay.call, relay.key.clone(), relay.from, relay.contact.clone());
        if status == 503 {
            // RFC 3261 §16.7 item 6: a 503 says that we cannot serve, and we can.
            self.answer(now, server, 500, "Server Internal Error", &[]);
        } else {
            let bytes = proxy::backward(response, &mut self.scratch);
            self.pass_response(now, server, status, bytes);
        }
        self.rearm_relay(id);
        match method {
            Method::Bye => match status {
                401 | 407 => {
                    if let Some(entry) = self.dialog_entry_mut(call, &key) {
                        entry.dialog.on_bye_challenged();
                    }
                }
                _ => self.end_dialog(now, call, &key, ended_by(from)),
            },
            Method::Invite | Method::Update if (200..300).contains(&status) => {
                if let Some(entry) = self.dialog_entry_mut(call, &key)
                    && matches!(entry.dialog.phase, Phase::Confirmed { .. })
                {
                    entry.dialog.on_refresh(now.mono, from, contact, response);
                }
                self.rearm_call(call);
            }
            _ => {}
        }
    }

    /// A relayed request got no final response.
    pub(super) fn on_relay_failed(&mut self, now: Now, id: RelayId, failure: ClientFailure) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        if std::mem::replace(&mut relay.answered, true) {
            return;
        }
        let (server, method, call, key, from) = (relay.server, relay.method, relay.call, relay.key.clone(), relay.from);
        match (method, failure) {
            (Method::Invite, ClientFailure::TimedOut) => self.answer(now, server, 408, "Request Timeout", &[]),
            // RFC 3261 §16.9 with §16.7 item 6: a transport error counts as a 503, which goes up as a 500.
            (_, ClientFailure::TransportError) => self.answer(now, server, 500, "Server Internal Error", &[]),
            // RFC 4320 §4.2: a non-INVITE times out in silence.
            (_, ClientFailure::TimedOut) => self.abandon_server(now, server),
        }
        if method == Method::Bye {
            // answered or timed out.
            self.end_dialog(now, call, &key, ended_by(from));
        }
    }

    /// The asker cancels a re-INVITE.
    pub(super) fn cancel_relay(&mut self, now: Now, id: RelayId) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        if relay.answered || relay.method != Method::Invite || std::mem::replace(&mut relay.cancelled, true) {
            return;
        }
        if relay.provisional {
            self.send_relay_cancel(now, id);
        }
    }

    fn send_relay_cancel(&mut self, now: Now, id: RelayId) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        let cancel = ClientId { token: relay.client.token, kind: ClientKind::Cancel };
        if self.clients.contains_key(&cancel) {
            return;
        }
        // RFC 3261 §9.1: given up 64·T1 after the CANCEL.
        relay.timer_c = Some(now.mono + self.timing.patience());
        let (flow, sent) = (relay.flow, relay.sent.clone());
        let Some(invite) = own_request(&sent) else { return };
        let bytes = proxy::cancel_for(&invite, None);
        self.open_client(now, cancel, Method::Cancel, flow, bytes, ClientOwner::Cancel);
        self.rearm_relay(id);
    }

    pub(super) fn on_relay_timer(&mut self, now: Now, id: RelayId) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        relay.armed = Armed::default();
        if relay.timer_c.is_some_and(|at| at <= now.mono) {
            if std::mem::replace(&mut relay.cancelled, true) {
                let client = relay.client;
                self.on_relay_failed(now, id, ClientFailure::TimedOut);
                self.abandon_client(now, client);
            } else {
                self.send_relay_cancel(now, id);
            }
        }
        self.rearm_relay(id);
    }

    fn rearm_relay(&mut self, id: RelayId) {
        let Some(relay) = self.relays.get_mut(&id) else { return };
        let deadline = relay.timer_c;
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
        if !relay.answered {
            self.abandon_server(now, relay.server);
        }
    }

    /// Refuses what `proxy::validate` refused.
    pub(super) fn refuse(&mut self, now: Now, server: ServerId, refusal: &proxy::Refusal) {
        let (status, reason) = refusal.status();
        match refusal {
            proxy::Refusal::BadExtension(tags) => self.answer(now, server, status, reason, &[("Unsupported", tags)]),
            proxy::Refusal::UnsupportedScheme | proxy::Refusal::TooManyHops | proxy::Refusal::Loop => {
                self.answer(now, server, status, reason, &[]);
            }
        }
    }

    /// Answers without a transaction: the same request gets the same answer, and nothing is remembered.
    pub(super) fn refuse_statelessly(
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

fn ended_by(from: Toward) -> &'static str {
    match from {
        Toward::Caller => "caller",
        Toward::Callee => "callee",
    }
}
