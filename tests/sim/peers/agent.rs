//! What phones and trunks have in common: transactions, calls, and how a message finds its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::super::dice::Dice;
use super::super::faults::PhoneFaults;
use super::super::history::{Datagram, Nanos};
use super::super::text::{Message, Name, Start};
use super::call::{Call, Cancel, Outcome, Part};
use super::digest::{Login, Verdict};
use super::registration::Registration;
use super::style::Style;
use super::transaction::{Answer, Client, Due, Heard, Purpose, Server};
use super::{Post, wire};

/// What a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Phone,
    Trunk,
}

impl Kind {
    /// The name of the dice of the calls it takes.
    pub fn callee(self) -> &'static str {
        match self {
            Kind::Phone => "phone callee",
            Kind::Trunk => "trunk callee",
        }
    }

    pub fn caller(self) -> &'static str {
        match self {
            Kind::Phone => "phone caller",
            Kind::Trunk => "trunk caller",
        }
    }
}

#[derive(Debug)]
pub struct Agent {
    pub kind: Kind,
    pub index: usize,
    pub seed: u64,
    /// Where its datagrams come from now.
    pub address: SocketAddr,
    /// Where it thinks it is.
    pub sent_by: String,
    pub contact: String,
    /// Where the daemon is.
    pub registrar: SocketAddr,
    /// Its extension; empty for a trunk.
    pub extension: String,
    pub style: Style,
    pub faults: PhoneFaults,
    /// Whether the faults of its own end are over.
    pub well: bool,
    pub login: Option<Login>,
    pub registration: Registration,
    pub clients: Vec<Client>,
    pub servers: Vec<Server>,
    pub calls: Vec<Call>,
    pub outcomes: BTreeMap<u64, Outcome>,
    next_key: u32,
}

impl Agent {
    pub fn new(
        kind: Kind,
        index: usize,
        seed: u64,
        address: SocketAddr,
        registrar: SocketAddr,
        faults: PhoneFaults,
        registration: Registration,
    ) -> Agent {
        let mut dice = Dice::of_their_own(seed, if kind == Kind::Phone { "phone" } else { "trunk" }, index as u64);
        Agent {
            kind,
            index,
            seed,
            address,
            sent_by: address.to_string(),
            contact: format!("sip:{address}"),
            registrar,
            extension: String::new(),
            style: Style::drawn(&mut dice),
            faults,
            well: false,
            login: None,
            registration,
            clients: Vec::new(),
            servers: Vec::new(),
            calls: Vec::new(),
            outcomes: BTreeMap::new(),
            next_key: 0,
        }
    }

    pub fn key(&mut self) -> u32 {
        self.next_key += 1;
        self.next_key
    }

    /// Takes a call out to work on it; it goes back with [`Agent::put`].
    pub fn take(&mut self, key: u32) -> Option<Call> {
        let place = self.calls.iter().position(|call| call.key == key)?;
        Some(self.calls.swap_remove(place))
    }

    pub fn put(&mut self, call: Call) {
        self.calls.push(call);
    }

    /// Notes how a planned call stands.
    pub fn conclude(&mut self, call: &Call, outcome: Outcome) {
        if let Some(number) = call.number {
            self.outcomes.insert(number, outcome);
        }
    }

    pub fn deadline(&self) -> Option<Nanos> {
        let clients = self.clients.iter().map(Client::deadline);
        let servers = self.servers.iter().filter_map(Server::deadline);
        let calls = self.calls.iter().filter_map(Call::deadline);
        clients.chain(servers).chain(calls).chain(self.registration.deadline()).min()
    }

    pub fn on_time(&mut self, now: Nanos, post: &mut Post) {
        // What is due at the same instant happens in this order: transactions, calls, the registration.
        let mut place = 0;
        while place < self.clients.len() {
            match self.clients[place].on_time(now) {
                Due::Nothing => place += 1,
                Due::Send => {
                    let client = &self.clients[place];
                    post.send(self.address, client.to, client.sent.bytes.to_vec());
                    place += 1;
                }
                Due::TimedOut => {
                    let client = self.clients.remove(place);
                    self.on_timed_out(now, &client, post);
                }
                Due::Over => drop(self.clients.remove(place)),
            }
        }
        let mut place = 0;
        while place < self.servers.len() {
            match self.servers[place].on_time(now) {
                Answer::Nothing => place += 1,
                Answer::Send(which) => {
                    let server = &self.servers[place];
                    post.send(self.address, server.source, server.finals[which].bytes.clone());
                    place += 1;
                }
                Answer::Over(unheard) => {
                    let server = self.servers.remove(place);
                    self.on_unacknowledged(now, &server, &unheard, post);
                }
            }
        }
        while let Some(place) = self.calls.iter().position(|call| call.deadline().is_some_and(|at| at <= now)) {
            let mut call = self.calls.swap_remove(place);
            if let Some(act) = call.due(now) {
                self.act(now, &mut call, act, post);
            }
            self.put(call);
        }
        self.on_registration_due(now, post);
        self.sweep();
    }

    /// Forgets calls that are over and have no transaction any more. A dead one is kept: it stays dead.
    fn sweep(&mut self) {
        let (clients, servers) = (&self.clients, &self.servers);
        self.calls.retain(|call| {
            let key = Some(call.key);
            call.dead
                || !call.is_over()
                || clients.iter().any(|client| client.call == key)
                || servers.iter().any(|server| server.call == key)
        });
    }

    pub fn receive(&mut self, now: Nanos, datagram: &Datagram, post: &mut Post) {
        let Some(message) = &datagram.message else { return };
        match message.start {
            Start::Response { status } => self.on_response(now, status, message, post),
            Start::Request { .. } => self.on_request(now, datagram.from, message, post),
        }
    }

    /// Sends a request and keeps it until it is answered.
    pub fn ask(&mut self, now: Nanos, client: Client, post: &mut Post) {
        debug_assert!(client.deadline() > now);
        post.send(self.address, client.to, client.sent.bytes.to_vec());
        self.clients.push(client);
    }

    fn on_response(&mut self, now: Nanos, status: u16, message: &Message, post: &mut Post) {
        let (Some(branch), Some((_, method))) = (message.branch(), message.cseq()) else { return };
        let found = self.clients.iter().position(|one| one.branch == branch && one.purpose.method() == method);
        let Some(place) = found else {
            // RFC 6026 has M end after 64·T1; an answer under a dialog that lives is acknowledged after it too.
            if method == "INVITE" && (200..300).contains(&status) {
                self.acknowledge_again(message, post);
            }
            return;
        };
        match self.clients[place].on_response(now, status) {
            Heard::Nothing => {}
            Heard::Again => {
                let client = &self.clients[place];
                if !client.ack.is_empty() {
                    post.send(self.address, client.to, client.ack.clone());
                }
            }
            Heard::Provisional => {
                let (purpose, key) = (self.clients[place].purpose, self.clients[place].call);
                if purpose == Purpose::Invite {
                    self.on_progress(now, key, status, message, post);
                }
            }
            Heard::Final => self.on_final(now, place, status, message, post),
        }
    }

    fn on_final(&mut self, now: Nanos, place: usize, status: u16, message: &Message, post: &mut Post) {
        let client = &mut self.clients[place];
        let (purpose, attempt, dialog, key) = (client.purpose, client.attempt, client.dialog, client.call);
        let is_invite = purpose.method() == "INVITE";
        let keeps_quiet = match key.and_then(|key| self.calls.iter().find(|call| call.key == key)) {
            Some(call) => call.dead || matches!(&call.part, Part::Caller(caller) if caller.plan.no_ack),
            None => false,
        };
        if is_invite && status >= 300 && !keeps_quiet {
            client.ack = self.style.ack_of_failure(&client.sent, message);
            post.send(self.address, client.to, client.ack.clone());
        }
        let again = matches!(status, 401 | 407) && self.may_answer(attempt, status, message);
        if purpose == Purpose::Register {
            self.on_registered(now, status, again, attempt, message, post);
            return;
        }
        let Some(mut call) = key.and_then(|key| self.take(key)) else { return };
        if !call.dead {
            match purpose {
                Purpose::Invite if again => self.invite(now, &mut call, attempt + 1, post),
                Purpose::Bye | Purpose::Reinvite | Purpose::Update if again => {
                    self.ask_in_dialog(now, &mut call, dialog, purpose, attempt + 1, post);
                }
                Purpose::Invite | Purpose::Merged => {
                    self.on_invite_final(now, &mut call, purpose, status, message, post)
                }
                Purpose::Bye | Purpose::Reinvite | Purpose::Update => {
                    self.on_dialog_final(now, &mut call, dialog, purpose, status, message, post);
                }
                Purpose::Cancel | Purpose::Register => {}
            }
        }
        self.put(call);
    }

    /// Whether a challenge is one to answer: the first, or one that says that only the nonce was at fault.
    fn may_answer(&mut self, attempt: u8, status: u16, message: &Message) -> bool {
        let Some(login) = &mut self.login else { return false };
        let verdict = match status {
            401 => login.take(message.all(Name::WwwAuthenticate)),
            _ => login.take(wire::all(message, "Proxy-Authenticate", "")),
        };
        match verdict {
            Verdict::Stale => attempt < 3,
            Verdict::Asked => attempt == 0,
            Verdict::Foreign => false,
        }
    }

    /// The line with credentials for a request, where this peer has been asked for some.
    pub fn credentials(&mut self, status: u16, method: &str, uri: &str, cnonce: &str) -> String {
        let value = self.login.as_mut().and_then(|login| login.answer(method, uri, cnonce));
        let name = if status == 401 { "Authorization" } else { "Proxy-Authorization" };
        value.map_or_else(String::new, |value| format!("{name}: {value}\r\n"))
    }

    fn on_timed_out(&mut self, now: Nanos, client: &Client, post: &mut Post) {
        if client.purpose == Purpose::Register {
            self.on_registration_failed(now, None);
            return;
        }
        let Some(mut call) = client.call.and_then(|key| self.take(key)) else { return };
        if !call.dead {
            match client.purpose {
                Purpose::Invite => self.on_invite_timed_out(&mut call),
                Purpose::Bye => self.on_dialog_over(&mut call, client.dialog),
                // RFC 3261 §12.2.1.2: no answer at all ends the dialog.
                Purpose::Reinvite | Purpose::Update => {
                    self.ask_in_dialog(now, &mut call, client.dialog, Purpose::Bye, 0, post);
                }
                Purpose::Merged | Purpose::Cancel | Purpose::Register => {}
            }
        }
        self.put(call);
    }

    /// BYE for what is answered, CANCEL for what was dialled.
    pub fn hang_up_all(&mut self, now: Nanos, post: &mut Post) {
        let mut keys: Vec<u32> = self.calls.iter().filter(|call| !call.dead).map(|call| call.key).collect();
        keys.sort_unstable();
        for key in keys {
            let Some(mut call) = self.take(key) else { continue };
            self.hang_up(now, &mut call, post);
            if !call.decided {
                self.give_up(now, &mut call, post);
            }
            self.put(call);
        }
    }

    pub fn is_ringing(&self) -> bool {
        let rings = |call: &Call| match &call.part {
            Part::Callee(callee) => callee.rings && !call.decided && !call.dead,
            Part::Caller(_) => false,
        };
        self.calls.iter().any(rings)
    }

    pub fn is_talking(&self) -> bool {
        self.calls.iter().any(Call::is_talking)
    }

    /// Whether nothing goes on here but the registration: no transaction, no call that is not dead.
    pub fn is_at_rest(&self) -> bool {
        let registers = |client: &Client| client.purpose == Purpose::Register;
        self.clients.iter().all(registers) && self.servers.is_empty() && self.calls.iter().all(|call| call.dead)
    }

    /// Whether a caller's INVITE was withdrawn.
    pub fn is_cancelled(call: &Call) -> bool {
        matches!(&call.part, Part::Caller(caller) if caller.cancel != Cancel::No)
    }
}
