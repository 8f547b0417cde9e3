//! The user agent that phones and trunks share: its tables, its timers, and where each datagram goes.
//!
//! What it does as a caller stands in `caller`, as a callee in `callee`, as a registrant in `registration`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use rsip::headers::UntypedHeader;
use rsip::{Header, Method, SipMessage};

use super::call::{Call, CallState};
use super::dialog::Draft;
use super::digest::{self, Challenge, Question};
use super::event::{CallEvent, CallKey, PhoneEvent};
use super::naming::Naming;
use super::registration::Registration;
use super::text::{self, Reading};
use super::transaction::{
    ClientState, ClientTransaction, Heard, PATIENCE, Purpose, ServerKey, ServerTransaction, Step,
};
use super::trunk::Forks;
use super::{Behaviour, Datagram};
use crate::time::Instant;

/// Who a user agent is.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) domain: String,
    pub(super) password: Option<String>,
    pub(super) address: SocketAddr,
    /// Its outbound proxy.
    pub(super) proxy: SocketAddr,
}

/// An INVITE to be sent.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    pub(super) uri: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) fields: Vec<(String, String)>,
}

/// What a user agent counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) rung: u64,
    pub(super) most_at_once: usize,
    pub(super) unreadable: u64,
    pub(super) pongs: u64,
}

/// Who challenged: credentials for one are no use to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Door {
    Registrar,
    Server,
    Proxy,
}

/// Something due at a time. What it is about may be gone by then: whoever handles it looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Client(String),
    Server(ServerKey),
    SecondProgress(CallKey),
    FinalAnswer(CallKey),
    Unacked(CallKey),
    HangUp(CallKey),
    Forget(CallKey),
    Refresh(u64),
}

/// A user agent.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) identity: Identity,
    pub(super) naming: Naming,
    pub(super) behaviour: Behaviour,
    pub(super) forks: Forks,
    pub(super) clients: BTreeMap<String, ClientTransaction>,
    pub(super) servers: BTreeMap<ServerKey, ServerTransaction>,
    pub(super) calls: BTreeMap<CallKey, Call>,
    /// Call-ID and local tag to call.
    pub(super) dialogs: BTreeMap<(String, String), CallKey>,
    pub(super) registration: Registration,
    pub(super) counts: Counts,
    last_call: u64,
    wallet: BTreeMap<Door, (Challenge, u32)>,
    timers: BTreeSet<(Instant, Timer)>,
    outputs: VecDeque<Datagram>,
    events: VecDeque<PhoneEvent>,
}

impl Agent {
    pub(super) fn new(identity: Identity, behaviour: Behaviour, seed: u64) -> Agent {
        let mut naming = Naming::new(seed);
        let registration = Registration::new(naming.call_id(&identity.address.ip().to_string()), naming.tag());
        Agent {
            identity,
            naming,
            behaviour,
            forks: Forks::HangUp,
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            calls: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            registration,
            counts: Counts::default(),
            last_call: 0,
            wallet: BTreeMap::new(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.identity.address
    }

    pub(super) fn address_of_record(&self) -> String {
        format!("sip:{}@{}", self.identity.user, self.identity.domain)
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn behave(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
    }

    pub(super) fn set_forks(&mut self, forks: Forks) {
        self.forks = forks;
    }

    pub(super) fn first_ringing(&self) -> Option<CallKey> {
        self.first(|call| matches!(call.state, CallState::Ringing { .. }))
    }

    pub(super) fn first_talking(&self) -> Option<CallKey> {
        self.first(Call::is_talking)
    }

    pub(super) fn first_calling(&self) -> Option<CallKey> {
        self.first(|call| matches!(call.state, CallState::Calling { .. }))
    }

    pub(super) fn is_talking(&self, call: CallKey) -> bool {
        self.calls.get(&call).is_some_and(Call::is_talking)
    }

    pub(super) fn is_ringing(&self, call: CallKey) -> bool {
        self.calls.get(&call).is_some_and(|call| matches!(call.state, CallState::Ringing { .. }))
    }

    pub(super) fn calls_alive(&self) -> usize {
        self.calls.values().filter(|call| call.is_alive()).count()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    pub(super) fn poll_output(&mut self) -> Option<Datagram> {
        self.outputs.pop_front()
    }

    pub(super) fn poll_event(&mut self) -> Option<PhoneEvent> {
        self.events.pop_front()
    }

    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        // RFC 5626 §3.5.1: a keep-alive is no message.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        let Some(reading) = text::read(bytes) else {
            self.counts.unreadable += 1;
            return;
        };
        match &reading.message {
            SipMessage::Request(_) => self.on_request(now, from, reading),
            SipMessage::Response(response) => {
                let status = response.status_code.code();
                self.on_response(now, status, reading);
            }
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, timer)) = self.timers.pop_first() else { return };
            match timer {
                Timer::Client(key) => self.on_client_timer(now, &key),
                Timer::Server(key) => self.on_server_timer(now, &key),
                Timer::SecondProgress(call) => self.on_second_progress(now, call),
                Timer::FinalAnswer(call) => self.on_final_answer(now, call),
                Timer::Unacked(call) => self.on_unacked(now, call),
                Timer::HangUp(call) => self.hang_up(now, call),
                Timer::Forget(call) => self.forget(call),
                Timer::Refresh(generation) => self.on_refresh(now, generation),
            }
        }
    }

    pub(super) fn set_timer(&mut self, at: Instant, timer: Timer) {
        self.timers.insert((at, timer));
    }

    pub(super) fn send(&mut self, datagram: Datagram) {
        self.outputs.push_back(datagram);
    }

    pub(super) fn tell(&mut self, call: CallKey, event: CallEvent) {
        self.events.push_back(PhoneEvent::Call(call, event));
    }

    pub(super) fn tell_owner(&mut self, event: PhoneEvent) {
        self.events.push_back(event);
    }

    /// A new call, alive from now on.
    pub(super) fn open_call(&mut self, call: Call) -> CallKey {
        self.last_call += 1;
        let key = CallKey(self.last_call);
        self.dialogs.insert((call.call_id.clone(), call.local_tag.clone()), key);
        self.calls.insert(key, call);
        self.counts.most_at_once = self.counts.most_at_once.max(self.calls_alive());
        key
    }

    /// A call that is over is kept for as long as the other side might repeat itself.
    pub(super) fn close_call(&mut self, now: Instant, key: CallKey) {
        if let Some(call) = self.calls.get_mut(&key) {
            call.state = CallState::Over;
            self.set_timer(now + PATIENCE + PATIENCE, Timer::Forget(key));
        }
    }

    /// Sends a request in a transaction of its own; the branch.
    pub(super) fn send_request(&mut self, now: Instant, draft: Draft, purpose: Purpose) -> String {
        let branch = self.naming.branch();
        self.send_request_as(now, draft, purpose, branch.clone(), 0);
        branch
    }

    /// The same under a given branch (CANCEL takes its INVITE's).
    pub(super) fn send_request_as(
        &mut self,
        now: Instant,
        draft: Draft,
        purpose: Purpose,
        branch: String,
        answered_challenges: u32,
    ) {
        let credentials = self.credentials_for(&draft);
        let datagram = Datagram { to: draft.hop, bytes: draft.write(&self.via(&branch), &credentials) };
        self.send(datagram.clone());
        let key = client_key(&branch, draft.method);
        let state = ClientState::begin(now);
        let transaction =
            ClientTransaction { draft, branch, datagram, credentials, answered_challenges, purpose, state };
        self.watch_client(key.clone(), &transaction);
        self.clients.insert(key, transaction);
    }

    /// Our Via, asking for the port the other side sees (RFC 3581).
    pub(super) fn via(&self, branch: &str) -> String {
        format!("SIP/2.0/UDP {};branch={branch};rport", self.identity.address)
    }

    /// Our Contact.
    pub(super) fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.identity.user, self.identity.address)
    }

    fn first(&self, wanted: impl Fn(&Call) -> bool) -> Option<CallKey> {
        self.calls.iter().find(|(_, call)| wanted(call)).map(|(key, _)| *key)
    }

    fn forget(&mut self, key: CallKey) {
        if let Some(call) = self.calls.remove(&key) {
            self.dialogs.remove(&(call.call_id, call.local_tag));
        }
    }

    fn watch_client(&mut self, key: String, transaction: &ClientTransaction) {
        if let Some(at) = transaction.deadline() {
            self.set_timer(at, Timer::Client(key));
        }
    }

    /// Sets the timer of a client transaction whose state has changed.
    pub(super) fn rewatch_client(&mut self, key: &str) {
        if let Some(at) = self.clients.get(key).and_then(ClientTransaction::deadline) {
            self.set_timer(at, Timer::Client(key.to_owned()));
        }
    }

    fn on_client_timer(&mut self, now: Instant, key: &str) {
        let Some(transaction) = self.clients.get_mut(key) else { return };
        match transaction.on_timeout(now) {
            Step::Wait => {}
            Step::Resend => {
                let datagram = transaction.datagram.clone();
                self.send(datagram);
                self.rewatch_client(key);
            }
            Step::TimedOut => {
                let purpose = transaction.purpose.clone();
                self.clients.remove(key);
                self.on_no_answer(now, purpose);
            }
            Step::Gone => {
                self.clients.remove(key);
            }
        }
    }

    fn on_server_timer(&mut self, now: Instant, key: &ServerKey) {
        let Some(transaction) = self.servers.get_mut(key) else { return };
        match transaction.on_timeout(now) {
            Step::Wait => {}
            Step::Resend => {
                let again = transaction.last.clone();
                let at = transaction.deadline();
                if let Some(datagram) = again {
                    self.send(datagram);
                }
                if let Some(at) = at {
                    self.set_timer(at, Timer::Server(key.clone()));
                }
            }
            Step::TimedOut | Step::Gone => {
                self.servers.remove(key);
            }
        }
    }

    fn on_response(&mut self, now: Instant, status: u16, reading: Reading) {
        let key = client_key(&reading.branch, reading.method);
        // A response to nothing we know is a stray; RFC 3261 §18.1.2 leaves it to the core, which has no use for it.
        let Some(transaction) = self.clients.get_mut(&key) else { return };
        let purpose = transaction.purpose.clone();
        if status < 200 {
            transaction.on_provisional(now);
            self.rewatch_client(&key);
            if let Purpose::Invite(call) = purpose {
                self.on_progress(now, call, status, &reading);
            }
            return;
        }
        if transaction.draft.method == Method::Invite && status < 300 {
            self.on_accepted(now, &key, &reading);
            return;
        }
        let heard = transaction.on_final(now);
        if transaction.draft.method == Method::Invite {
            let (to, draft, branch) = (transaction.datagram.to, transaction.draft.clone(), transaction.branch.clone());
            let bytes = draft.acknowledge(&reading.to, &self.via(&branch));
            self.send(Datagram { to, bytes });
        }
        self.rewatch_client(&key);
        if heard == Heard::Again || self.retry_with_credentials(now, &key, status, &reading) {
            return;
        }
        match purpose {
            Purpose::Register => self.on_register_answered(now, status, &reading),
            Purpose::Invite(call) => self.on_refused(now, call, status, &reading),
            Purpose::Reinvite { call, .. } => self.tell(call, CallEvent::Reinvited { status }),
            Purpose::Bye { call, remote_tag, by } => self.on_bye_answered(now, call, &remote_tag, by, status),
            Purpose::Cancel => {}
            Purpose::Options => self.counts.pongs += u64::from(status == 200),
        }
    }

    fn on_no_answer(&mut self, now: Instant, purpose: Purpose) {
        match purpose {
            Purpose::Register => self.on_register_unanswered(),
            Purpose::Invite(call) => self.on_invite_unanswered(now, call),
            Purpose::Reinvite { call, .. } => self.tell(call, CallEvent::Reinvited { status: 408 }),
            Purpose::Bye { call, remote_tag, by } => self.on_bye_answered(now, call, &remote_tag, by, 408),
            Purpose::Cancel | Purpose::Options => {}
        }
    }

    /// Sends the request again with credentials, if that can help; whether it did.
    fn retry_with_credentials(&mut self, now: Instant, key: &str, status: u16, reading: &Reading) -> bool {
        let Some(transaction) = self.clients.get(key) else { return false };
        let door = match (status, transaction.draft.method) {
            (401, Method::Register) => Door::Registrar,
            (401, _) => Door::Server,
            (407, _) => Door::Proxy,
            _ => return false,
        };
        if self.identity.password.is_none() {
            return false;
        }
        let values = reading.headers().iter().filter_map(|header| match header {
            Header::WwwAuthenticate(value) if status == 401 => Some(value.value()),
            Header::ProxyAuthenticate(value) if status == 407 => Some(value.value()),
            _ => None,
        });
        let Some(challenge) = digest::best(values) else { return false };
        // RFC 7616 §3.3: refused credentials are not tried again, unless only the nonce was too old.
        let answered = transaction.answered_challenges;
        if answered > 3 || (answered > 0 && !challenge.stale) {
            return false;
        }
        self.wallet.insert(door, (challenge, 0));
        let (mut draft, purpose) = (transaction.draft.clone(), transaction.purpose.clone());
        // RFC 3261 §22.2: the CSeq number goes up.
        draft.sequence = self.next_sequence(&purpose, draft.sequence);
        let branch = self.naming.branch();
        if let Purpose::Invite(call) = purpose {
            self.on_invite_moved(call, &branch);
        }
        self.send_request_as(now, draft, purpose, branch, answered + 1);
        true
    }

    fn next_sequence(&mut self, purpose: &Purpose, used: u32) -> u32 {
        match purpose {
            Purpose::Register => self.registration.next_sequence(),
            Purpose::Reinvite { call, remote_tag } | Purpose::Bye { call, remote_tag, .. } => {
                let dialogs = self.calls.get_mut(call).map(|call| call.dialogs.as_mut_slice()).unwrap_or_default();
                match dialogs.iter_mut().find(|dialog| dialog.remote_tag == *remote_tag) {
                    Some(dialog) => {
                        dialog.local_sequence += 1;
                        dialog.local_sequence
                    }
                    None => used + 1,
                }
            }
            Purpose::Invite(_) | Purpose::Cancel | Purpose::Options => used + 1,
        }
    }

    /// Credentials for every challenge this request might meet again.
    fn credentials_for(&mut self, draft: &Draft) -> Vec<Header> {
        // RFC 3261 §22.1: ACK and CANCEL cannot be challenged.
        let doors: &[Door] = match draft.method {
            Method::Register => &[Door::Registrar],
            Method::Ack | Method::Cancel => &[],
            _ => &[Door::Server, Door::Proxy],
        };
        let Some(password) = &self.identity.password else { return vec![] };
        let mut credentials = Vec::new();
        for door in doors {
            let Some((challenge, count)) = self.wallet.get_mut(door) else { continue };
            *count += 1;
            let cnonce = self.naming.cnonce();
            let value = challenge.credentials(Question {
                user: &self.identity.user,
                password,
                method: text::method_name(draft.method),
                uri: &draft.uri,
                cnonce: &cnonce,
                count: *count,
            });
            credentials.push(match door {
                Door::Registrar | Door::Server => rsip::headers::Authorization::from(value).into(),
                Door::Proxy => rsip::headers::ProxyAuthorization::from(value).into(),
            });
        }
        credentials
    }
}

/// Responses find their request by branch and method (RFC 3261 §17.1.3).
pub(super) fn client_key(branch: &str, method: Method) -> String {
    format!("{branch} {}", text::method_name(method))
}
