//! A softphone: one extension that registers, rings, answers and calls.

use std::net::SocketAddr;

use super::agent::{Agent, Identity};
use super::{Behaviour, CallKey, Datagram, PhoneEvent};
use crate::time::Instant;

/// Who a phone is and where it sits.
#[derive(Clone, Debug)]
pub struct PhoneSettings {
    /// The extension it registers, also the user name of its credentials.
    pub extension: String,
    /// The company's SIP domain.
    pub domain: String,
    /// The password, in the clear.
    pub password: String,
    /// Its own address, IPv4 (rsip reads no IPv6): in Via and Contact.
    pub address: SocketAddr,
    /// Where it registers; also its outbound proxy.
    pub registrar: SocketAddr,
    /// What it does when rung.
    pub behaviour: Behaviour,
    /// Where its tags, branches and Call-IDs come from: two phones want two seeds.
    pub seed: u64,
}

/// A phone, without a socket. See the module's drain rule.
#[derive(Debug)]
pub struct Phone {
    agent: Agent,
}

impl Phone {
    /// A phone that is switched on and does nothing yet.
    pub fn new(settings: PhoneSettings) -> Phone {
        let PhoneSettings { extension, domain, password, address, registrar, behaviour, seed } = settings;
        let identity = Identity { user: extension, domain, password: Some(password), address, proxy: registrar };
        Phone { agent: Agent::new(identity, behaviour, seed) }
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.agent.address()
    }

    /// Its address-of-record: `sip:221@acme.example`.
    pub fn address_of_record(&self) -> String {
        self.agent.address_of_record()
    }

    /// Takes one datagram off the network.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.agent.receive(now, from, bytes);
    }

    /// Does what is due at `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        self.agent.on_timeout(now);
    }

    /// When `on_timeout` should next be called. A call too many does no harm.
    pub fn deadline(&self) -> Option<Instant> {
        self.agent.deadline()
    }

    /// The next datagram to send.
    pub fn poll_output(&mut self) -> Option<Datagram> {
        self.agent.poll_output()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<PhoneEvent> {
        self.agent.poll_event()
    }

    /// Registers for `expires` seconds, and again when half of what was granted has passed.
    pub fn register(&mut self, now: Instant, expires: u32) {
        self.agent.register(now, expires);
    }

    /// Removes the registration.
    pub fn unregister(&mut self, now: Instant) {
        self.agent.register(now, 0);
    }

    /// Stops refreshing the registration, without a word to the registrar: a phone out of reach.
    pub fn stop_refreshing(&mut self) {
        self.agent.stop_refreshing();
    }

    /// Calls a URI (`sip:305@acme.example`) through the outbound proxy.
    pub fn call(&mut self, now: Instant, uri: &str) -> CallKey {
        self.agent.call_as_self(now, uri)
    }

    /// Answers the call that has rung longest; `None` where none rings.
    pub fn answer(&mut self, now: Instant) -> Option<CallKey> {
        let call = self.agent.first_ringing()?;
        self.agent.answer(now, call);
        Some(call)
    }

    /// Refuses the call that has rung longest.
    pub fn reject(&mut self, now: Instant, status: u16) -> Option<CallKey> {
        let call = self.agent.first_ringing()?;
        self.agent.refuse(now, call, status);
        Some(call)
    }

    /// Ends the call talked on longest.
    pub fn hang_up(&mut self, now: Instant) -> Option<CallKey> {
        let call = self.agent.first_talking()?;
        self.agent.hang_up(now, call);
        Some(call)
    }

    /// Gives up the oldest call of its own that nobody answered yet; the CANCEL waits for a provisional response.
    pub fn cancel(&mut self, now: Instant) -> Option<CallKey> {
        let call = self.agent.first_calling()?;
        self.agent.cancel(now, call);
        Some(call)
    }

    /// Puts the call talked on longest on hold, with a re-INVITE.
    pub fn reinvite(&mut self, now: Instant) -> Option<CallKey> {
        let call = self.agent.first_talking()?;
        self.agent.reinvite(now, call);
        Some(call)
    }

    /// What it does with the next INVITE; calls already ringing keep to what they began with.
    pub fn behave(&mut self, behaviour: Behaviour) {
        self.agent.behave(behaviour);
    }

    /// Whether the registrar has it, as far as the phone knows.
    pub fn is_registered(&self) -> bool {
        self.agent.is_registered()
    }

    /// Whether a call rings here.
    pub fn is_ringing(&self) -> bool {
        self.agent.first_ringing().is_some()
    }

    /// Whether a call is answered here, or answered there and not yet ended.
    pub fn is_talking(&self) -> bool {
        self.agent.first_talking().is_some()
    }

    /// INVITEs that started a call here; retransmissions and re-INVITEs not counted.
    pub fn times_rung(&self) -> u64 {
        self.agent.counts().rung
    }

    /// The most calls that ever rang, were dialled or were talked on here at one moment (R-7: must not pass 1).
    pub fn most_calls_at_once(&self) -> usize {
        self.agent.counts().most_at_once
    }

    /// Datagrams rsip could not read.
    pub fn unreadable(&self) -> u64 {
        self.agent.counts().unreadable
    }
}
