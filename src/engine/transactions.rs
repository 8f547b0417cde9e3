//! The transaction tables: which machine a message belongs to, and what its effects do.
//!
//! Server transactions are found by RFC 3261 §17.2.3's key; client transactions by the branch we
//! wrote, all of it (§17.1.3).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::branches::own_request;
use super::timers::TimerId;
use super::{Engine, Output};
use crate::flow::Flow;
use crate::id::CallRef;
use crate::proxy::{Branch, DialogKey};
use crate::sip::{self, Extra, Method, Request};
use crate::time::{Instant, Now};
use crate::transaction::{
    Client, InviteClient, InviteServer, MergeKey, Reliability, Server, ServerKey, Timing, client, invite_client,
    invite_server, server,
};

/// A server transaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct ServerId(pub(super) u64);

/// A client transaction: the token of its branch; a CANCEL shares its INVITE's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct ClientId {
    pub(super) branch: Branch,
    pub(super) kind: ClientKind,
}

/// Tells a CANCEL from the request whose branch it shares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) enum ClientKind {
    Request,
    Cancel,
}

/// A relayed in-dialog request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct RelayId(pub(super) u64);

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimerKey {
    Server(ServerId),
    Client(ClientId),
    Call(CallRef),
    Relay(RelayId),
    WrapUps,
    Bindings,
    Ledger,
}

/// The one timer an entity has armed.
#[derive(Debug, Default)]
pub(super) struct Armed(Option<(Instant, TimerId)>);

impl Armed {
    pub(super) fn is_armed(&self) -> bool {
        self.0.is_some()
    }
}

/// Who gets what a server transaction has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerOwner {
    /// Answered on the spot.
    Engine,
    Call(CallRef),
    Relay(RelayId),
}

#[derive(Debug)]
enum ServerMachine {
    Invite(InviteServer),
    Other(Server),
}

/// A request that came in and is being answered.
#[derive(Debug)]
pub(super) struct ServerTransaction {
    machine: ServerMachine,
    key: ServerKey,
    merge: Option<MergeKey>,
    pub(super) request: Arc<Request>,
    /// Where the request came from.
    pub(super) source: Flow,
    /// Where responses go.
    reply: Flow,
    pub(super) owner: ServerOwner,
    /// The To tag of responses of our own.
    tag: u64,
    armed: Armed,
}

/// Who gets what a client transaction has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientOwner {
    /// A branch of a call.
    Branch(CallRef, usize),
    Relay(RelayId),
    /// A CANCEL: its answer changes nothing.
    Cancel,
    /// A BYE of ours.
    Bye(CallRef, DialogKey),
}

#[derive(Debug)]
enum ClientMachine {
    Invite(InviteClient),
    Other(Client),
}

/// A request of ours that is waiting for its answer.
#[derive(Debug)]
pub(super) struct ClientTransaction {
    machine: ClientMachine,
    flow: Flow,
    pub(super) owner: ClientOwner,
    armed: Armed,
}

/// What a response did to its client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    /// The owner shall see it.
    PassUp,
    /// The transaction kept it to itself.
    Absorbed,
}

/// Why a client transaction ended without a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientFailure {
    TimedOut,
    TransportError,
}

impl ClientFailure {
    /// The status it counts as (RFC 3261 §16.7, §16.9).
    pub(super) fn status(self) -> u16 {
        match self {
            ClientFailure::TimedOut => 408,
            ClientFailure::TransportError => 503,
        }
    }
}

const UNRELIABLE: Reliability = Reliability::Unreliable;

impl Engine {
    pub(super) fn send(&mut self, mut flow: Flow, bytes: Bytes) {
        // A socket that a reload took away leaves its peers to another of the same family.
        if self.listener(flow.local).is_none() {
            match self.listener_towards(flow.remote, flow.local) {
                Some(local) => flow.local = local,
                None => return self.count("no-socket"),
            }
        }
        self.counts.datagrams_out += 1;
        self.outputs.push_back(Output::Datagram { flow, bytes });
    }

    /// Keeps an entity's one timer at its deadline.
    pub(super) fn arm(&mut self, mut armed: Armed, key: TimerKey, deadline: Option<Instant>) -> Armed {
        if armed.0.map(|(at, _)| at) != deadline {
            if let Some((_, id)) = armed.0.take() {
                self.timers.disarm(id);
            }
            armed.0 = deadline.map(|at| (at, self.timers.arm(at, key)));
        }
        armed
    }

    // ---- server side ------------------------------------------------------------------------------------------------

    /// Opens the transaction of a request that matched none.
    pub(super) fn open_server(
        &mut self,
        now: Now,
        request: Arc<Request>,
        source: Flow,
        owner: ServerOwner,
    ) -> ServerId {
        let id = ServerId(self.next_id());
        let machine = match request.method() {
            Method::Invite => ServerMachine::Invite(InviteServer::new(now.mono, self.timing, UNRELIABLE)),
            _ => ServerMachine::Other(Server::new(now.mono, self.timing, UNRELIABLE)),
        };
        let key = ServerKey::of(&request);
        let merge = (request.method() == Method::Invite && request.to_tag().is_empty()).then(|| MergeKey::of(&request));
        if let Some(merge) = &merge {
            self.merges.entry(merge.clone()).or_insert(id);
        }
        self.server_keys.insert(key.clone(), id);
        let reply = reply_flow(&request, source);
        let tag = self.draw();
        let transaction =
            ServerTransaction { machine, key, merge, request, source, reply, owner, tag, armed: Armed::default() };
        self.servers.insert(id, transaction);
        self.rearm_server(id);
        id
    }

    /// The INVITE was answered with 2xx before the daemon's last start: the transaction absorbs copies of it (RFC 6026 §7.1).
    pub(super) fn suppose_answered(&mut self, now: Now, id: ServerId) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        if let ServerMachine::Invite(machine) = &mut transaction.machine {
            // The answer itself went before.
            drop(machine.respond_success(now.mono, Bytes::new()));
        }
        self.rearm_server(id);
    }

    /// An INVITE was sent before the daemon's last start: its responses are heard from now on.
    pub(super) fn suppose_proceeding(&mut self, now: Now, id: ClientId, flow: Flow, owner: ClientOwner) {
        let (mut machine, _) = InviteClient::new(now.mono, self.timing, UNRELIABLE, Bytes::new());
        drop(machine.on_provisional(now.mono));
        let machine = ClientMachine::Invite(machine);
        self.clients.insert(id, ClientTransaction { machine, flow, owner, armed: Armed::default() });
        self.rearm_client(id);
    }

    /// A copy of a request that a transaction has seen already.
    pub(super) fn on_server_copy(&mut self, now: Now, id: ServerId) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                let effects = machine.on_copy(now.mono);
                self.apply_invite_server(now, id, effects);
            }
            ServerMachine::Other(machine) => {
                let effects = machine.on_copy(now.mono);
                self.apply_server(now, id, effects);
            }
        }
    }

    /// Whether an ACK bears the To tag of the failure that this transaction has sent, which is always one of our own: what an
    /// ACK without a unique branch is told by (RFC 3261 §17.2.3).
    pub(super) fn acknowledges(&self, id: ServerId, ack: &Request) -> bool {
        self.servers.get(&id).is_some_and(|transaction| {
            let asked = transaction.request.to_tag();
            let own = format!("{:016x}", transaction.tag);
            let sent = if asked.is_empty() { own.as_bytes() } else { asked };
            ack.to_tag().eq_ignore_ascii_case(sent)
        })
    }

    /// An ACK that matched a transaction; says whether it is for a 2xx and goes on.
    pub(super) fn on_server_ack(&mut self, now: Now, id: ServerId) -> crate::transaction::AckFate {
        use crate::transaction::AckFate;
        let Some(transaction) = self.servers.get_mut(&id) else { return AckFate::Absorbed };
        let fate = match &mut transaction.machine {
            ServerMachine::Invite(machine) => machine.on_ack(now.mono),
            ServerMachine::Other(_) => AckFate::Absorbed,
        };
        self.rearm_server(id);
        fate
    }

    /// Answers with a response of our own.
    pub(super) fn answer(&mut self, now: Now, id: ServerId, status: u16, reason: &str, extras: &[Extra<'_>]) {
        let Some(transaction) = self.servers.get(&id) else { return };
        let request = Arc::clone(&transaction.request);
        let source = transaction.source.remote;
        let response = if status == 100 {
            sip::trying(&request, source)
        } else {
            let tag = format!("{:016x}", transaction.tag);
            sip::respond(&request, source, status, reason, Some(&tag), extras)
        };
        self.pass_response(now, id, status, response);
    }

    /// Sends a response, ours or another's, through its transaction.
    pub(super) fn pass_response(&mut self, now: Now, id: ServerId, status: u16, response: Bytes) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                let effects = match status {
                    0..200 => machine.respond_provisional(now.mono, response),
                    200..300 => machine.respond_success(now.mono, response),
                    300.. => machine.respond_failure(now.mono, response),
                };
                self.apply_invite_server(now, id, effects);
            }
            ServerMachine::Other(machine) => {
                let effects = match status {
                    0..200 => machine.respond_trying(now.mono, response),
                    200.. => machine.respond_final(now.mono, response),
                };
                self.apply_server(now, id, effects);
            }
        }
    }

    /// Sends a 2xx past a transaction that has ended or refused (RFC 3261 §16.7 item 5: any 2xx is forwarded, whatever was
    /// sent before).
    pub(super) fn pass_late_success(&mut self, request: &Request, source: Flow, response: Bytes) {
        let reply = reply_flow(request, source);
        self.send(reply, response);
    }

    /// The transaction ends without an answer (RFC 4320 §4.2: a proxy lets a non-INVITE time out silently).
    pub(super) fn abandon_server(&mut self, now: Now, id: ServerId) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        if let ServerMachine::Other(machine) = &mut transaction.machine {
            let effects = machine.abandon(now.mono);
            self.apply_server(now, id, effects);
        }
    }

    pub(super) fn on_server_timer(&mut self, now: Now, id: ServerId) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        transaction.armed = Armed::default();
        match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                let effects = machine.on_timer(now.mono);
                self.apply_invite_server(now, id, effects);
            }
            ServerMachine::Other(machine) => {
                let effects = machine.on_timer(now.mono);
                self.apply_server(now, id, effects);
            }
        }
    }

    fn apply_invite_server(&mut self, now: Now, id: ServerId, effects: invite_server::Effects) {
        self.rearm_server(id);
        for effect in effects {
            match effect {
                invite_server::Effect::Send(bytes) => self.send_reply(id, bytes),
                invite_server::Effect::TryingDue => self.answer(now, id, 100, "Trying", &[]),
                invite_server::Effect::Expired => self.counts.unacknowledged_failures += 1,
                invite_server::Effect::TransportError => self.counts.transport_errors += 1,
                invite_server::Effect::Terminated => self.close_server(now, id),
            }
        }
    }

    fn apply_server(&mut self, now: Now, id: ServerId, effects: server::Effects) {
        self.rearm_server(id);
        for effect in effects {
            match effect {
                server::Effect::Send(bytes) => self.send_reply(id, bytes),
                server::Effect::TryingDue => self.answer(now, id, 100, "Trying", &[]),
                server::Effect::TransportError => self.counts.transport_errors += 1,
                server::Effect::Terminated => self.close_server(now, id),
            }
        }
    }

    fn send_reply(&mut self, id: ServerId, bytes: Bytes) {
        if let Some(transaction) = self.servers.get(&id) {
            let reply = transaction.reply;
            self.send(reply, bytes);
        }
    }

    fn close_server(&mut self, now: Now, id: ServerId) {
        let Some(mut transaction) = self.servers.remove(&id) else { return };
        let armed = std::mem::take(&mut transaction.armed);
        self.arm(armed, TimerKey::Server(id), None);
        self.server_keys.remove(&transaction.key);
        if let Some(merge) = transaction.merge
            && self.merges.get(&merge) == Some(&id)
        {
            self.merges.remove(&merge);
        }
        match transaction.owner {
            ServerOwner::Call(call) => self.sweep(now, call),
            ServerOwner::Relay(_) | ServerOwner::Engine => {}
        }
    }

    fn rearm_server(&mut self, id: ServerId) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        let deadline = match &transaction.machine {
            ServerMachine::Invite(machine) => machine.deadline(),
            ServerMachine::Other(machine) => machine.deadline(),
        };
        let armed = std::mem::take(&mut transaction.armed);
        let armed = self.arm(armed, TimerKey::Server(id), deadline);
        if let Some(transaction) = self.servers.get_mut(&id) {
            transaction.armed = armed;
        }
    }

    // ---- client side ------------------------------------------------------------------------------------------------

    /// Sends a request in a transaction of its own.
    pub(super) fn open_client(
        &mut self,
        now: Now,
        id: ClientId,
        method: Method,
        flow: Flow,
        request: Bytes,
        owner: ClientOwner,
    ) {
        let timing: Timing = self.timing;
        if method == Method::Invite {
            let (machine, effects) = InviteClient::new(now.mono, timing, UNRELIABLE, request);
            let machine = ClientMachine::Invite(machine);
            self.clients.insert(id, ClientTransaction { machine, flow, owner, armed: Armed::default() });
            self.apply_invite_client(now, id, effects);
        } else {
            let (machine, effects) = Client::new(now.mono, timing, UNRELIABLE, request);
            let machine = ClientMachine::Other(machine);
            self.clients.insert(id, ClientTransaction { machine, flow, owner, armed: Armed::default() });
            self.apply_client(now, id, effects);
        }
    }

    /// A response matched the transaction. `ack` makes the ACK of a failure to INVITE.
    pub(super) fn on_client_response(
        &mut self,
        now: Now,
        id: ClientId,
        status: u16,
        ack: impl FnOnce() -> Bytes,
    ) -> Reception {
        let Some(transaction) = self.clients.get_mut(&id) else { return Reception::Absorbed };
        match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let effects = match status {
                    0..200 => machine.on_provisional(now.mono),
                    200..300 => machine.on_success(now.mono),
                    300.. => machine.on_failure(now.mono, ack),
                };
                self.apply_invite_client(now, id, effects)
            }
            ClientMachine::Other(machine) => {
                let effects = match status {
                    0..200 => machine.on_provisional(now.mono),
                    200.. => machine.on_final(now.mono),
                };
                self.apply_client(now, id, effects)
            }
        }
    }

    /// The owner gives the transaction up.
    pub(super) fn abandon_client(&mut self, now: Now, id: ClientId) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let effects = machine.abandon(now.mono);
                self.apply_invite_client(now, id, effects);
            }
            ClientMachine::Other(machine) => {
                let effects = machine.abandon(now.mono);
                self.apply_client(now, id, effects);
            }
        }
    }

    pub(super) fn on_client_timer(&mut self, now: Now, id: ClientId) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        transaction.armed = Armed::default();
        match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let effects = machine.on_timer(now.mono);
                self.apply_invite_client(now, id, effects);
            }
            ClientMachine::Other(machine) => {
                let effects = machine.on_timer(now.mono);
                self.apply_client(now, id, effects);
            }
        }
    }

    /// A datagram of ours could not be sent (RFC 3261 §16.9). Only its own transaction hears of it: the next datagram to
    /// the same place may be a shorter one.
    pub(super) fn on_undeliverable(&mut self, now: Now, bytes: &Bytes) {
        let Some(request) = own_request(bytes) else { return };
        let Some(branch) = request.top_via().branch().and_then(Branch::read) else { return };
        let kind = match request.method() {
            Method::Cancel => ClientKind::Cancel,
            _ => ClientKind::Request,
        };
        let id = ClientId { branch, kind };
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let effects = machine.on_transport_error(now.mono);
                self.apply_invite_client(now, id, effects);
            }
            ClientMachine::Other(machine) => {
                let effects = machine.on_transport_error(now.mono);
                self.apply_client(now, id, effects);
            }
        }
    }

    fn apply_invite_client(&mut self, now: Now, id: ClientId, effects: invite_client::Effects) -> Reception {
        self.rearm_client(id);
        let mut reception = Reception::Absorbed;
        for effect in effects {
            match effect {
                invite_client::Effect::Send(bytes) => self.send_request(id, bytes),
                invite_client::Effect::PassUp => reception = Reception::PassUp,
                invite_client::Effect::TimedOut => self.on_client_failed(now, id, ClientFailure::TimedOut),
                invite_client::Effect::TransportError => self.on_client_failed(now, id, ClientFailure::TransportError),
                invite_client::Effect::Terminated => self.close_client(now, id),
            }
        }
        reception
    }

    fn apply_client(&mut self, now: Now, id: ClientId, effects: client::Effects) -> Reception {
        self.rearm_client(id);
        let mut reception = Reception::Absorbed;
        for effect in effects {
            match effect {
                client::Effect::Send(bytes) => self.send_request(id, bytes),
                client::Effect::PassUp => reception = Reception::PassUp,
                client::Effect::TimedOut => self.on_client_failed(now, id, ClientFailure::TimedOut),
                client::Effect::TransportError => self.on_client_failed(now, id, ClientFailure::TransportError),
                client::Effect::Terminated => self.close_client(now, id),
            }
        }
        reception
    }

    fn send_request(&mut self, id: ClientId, bytes: Bytes) {
        if let Some(transaction) = self.clients.get(&id) {
            let flow = transaction.flow;
            self.send(flow, bytes);
        }
    }

    fn on_client_failed(&mut self, now: Now, id: ClientId, failure: ClientFailure) {
        let Some(transaction) = self.clients.get(&id) else { return };
        if failure == ClientFailure::TransportError {
            self.counts.transport_errors += 1;
        }
        match transaction.owner.clone() {
            ClientOwner::Branch(call, branch) => self.on_branch_failed(now, call, branch, failure),
            ClientOwner::Relay(relay) => self.on_relay_failed(now, relay, failure),
            ClientOwner::Bye(call, dialog) => self.on_our_bye_done(now, call, &dialog),
            ClientOwner::Cancel => {}
        }
    }

    fn close_client(&mut self, now: Now, id: ClientId) {
        let Some(mut transaction) = self.clients.remove(&id) else { return };
        let armed = std::mem::take(&mut transaction.armed);
        self.arm(armed, TimerKey::Client(id), None);
        match transaction.owner {
            ClientOwner::Branch(call, _) => self.sweep(now, call),
            ClientOwner::Relay(relay) => self.close_relay(now, relay),
            ClientOwner::Cancel | ClientOwner::Bye(..) => {}
        }
    }

    fn rearm_client(&mut self, id: ClientId) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        let deadline = match &transaction.machine {
            ClientMachine::Invite(machine) => machine.deadline(),
            ClientMachine::Other(machine) => machine.deadline(),
        };
        let armed = std::mem::take(&mut transaction.armed);
        let armed = self.arm(armed, TimerKey::Client(id), deadline);
        if let Some(transaction) = self.clients.get_mut(&id) {
            transaction.armed = armed;
        }
    }
}

/// Where responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4): the address the packet came from; the port it came
/// from where `rport` asks for that, else the one in sent-by.
pub(super) fn reply_flow(request: &Request, source: Flow) -> Flow {
    let via = request.top_via();
    if via.rport().is_some() {
        return source;
    }
    let port = via.port.unwrap_or(5060);
    Flow { local: source.local, remote: SocketAddr::new(source.remote.ip(), port) }
}
