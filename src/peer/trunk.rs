//! A trunk: a carrier's switch that sends many calls side by side and takes those that go out through it.

use std::net::SocketAddr;

use super::agent::{Agent, Identity, Invitation};
use super::{Behaviour, CallEvent, CallKey, Datagram, PhoneEvent};
use crate::time::Instant;

/// What a trunk is and where it sits.
#[derive(Clone, Debug)]
pub struct TrunkSettings {
    /// Its own address, IPv4: in Via and Contact.
    pub address: SocketAddr,
    /// Where it sends its calls.
    pub switchboard: SocketAddr,
    /// What it does with calls that come to it.
    pub behaviour: Behaviour,
    /// What it does when two phones answer one INVITE.
    pub forks: Forks,
    /// Where its tags, branches and Call-IDs come from.
    pub seed: u64,
}

impl TrunkSettings {
    /// A trunk that answers what comes to it at once and ends second dialogs.
    pub fn new(address: SocketAddr, switchboard: SocketAddr, seed: u64) -> TrunkSettings {
        let behaviour = Behaviour::answer_after(std::time::Duration::ZERO);
        TrunkSettings { address, switchboard, behaviour, forks: Forks::HangUp, seed }
    }
}

/// What a caller does with a second 2xx to one INVITE. It is acknowledged either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forks {
    /// Ends that dialog with a BYE at once.
    HangUp,
    /// Keeps it: `hang_up` ends all dialogs of the call.
    Keep,
}

/// One call to be made, where [`Trunk::call`] is not enough.
#[derive(Clone, Debug, Default)]
pub struct OutgoingCall {
    /// The user part of Request-URI and To, as the carrier writes numbers.
    pub number: String,
    /// The user part of From.
    pub caller: String,
    /// P-Asserted-Identity, whole: `<sip:+919811112222@192.0.2.1>`.
    pub asserted_identity: Option<String>,
    /// The Request-URI in place of `sip:NUMBER@SWITCHBOARD`, written into the message unread: `tel:+918041234567`.
    pub request_uri: Option<String>,
    /// The whole From value without its tag, in place of `<sip:CALLER@TRUNK>`.
    pub from: Option<String>,
    /// More fields, name and value.
    pub fields: Vec<(String, String)>,
}

/// A trunk, without a socket. See the module's drain rule.
#[derive(Debug)]
pub struct Trunk {
    agent: Agent,
    switchboard: SocketAddr,
}

impl Trunk {
    /// A trunk with no calls.
    pub fn new(settings: TrunkSettings) -> Trunk {
        let TrunkSettings { address, switchboard, behaviour, forks, seed } = settings;
        let domain = address.ip().to_string();
        let identity = Identity { user: "trunk".into(), domain, password: None, address, proxy: switchboard };
        let mut agent = Agent::new(identity, behaviour, seed);
        agent.set_forks(forks);
        Trunk { agent, switchboard }
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.agent.address()
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

    /// The next thing that happened, and to which call.
    pub fn poll_event(&mut self) -> Option<(CallKey, CallEvent)> {
        loop {
            match self.agent.poll_event()? {
                PhoneEvent::Call(call, event) => return Some((call, event)),
                PhoneEvent::Registered { .. } | PhoneEvent::Unregistered | PhoneEvent::RegistrationFailed { .. } => {}
            }
        }
    }

    /// Calls `number` (the user part of the Request-URI) as `caller` (the user part of From).
    pub fn call(&mut self, now: Instant, number: &str, caller: &str) -> CallKey {
        self.place(now, OutgoingCall { number: number.into(), caller: caller.into(), ..OutgoingCall::default() })
    }

    /// Calls as described.
    pub fn place(&mut self, now: Instant, call: OutgoingCall) -> CallKey {
        let OutgoingCall { number, caller, asserted_identity, request_uri, from, fields } = call;
        let address = self.agent.address();
        let to = format!("<sip:{number}@{}>", self.switchboard);
        let uri = request_uri.unwrap_or_else(|| format!("sip:{number}@{}", self.switchboard));
        let from = from.unwrap_or_else(|| format!("<sip:{caller}@{address}>"));
        let asserted = asserted_identity.map(|value| ("P-Asserted-Identity".to_owned(), value));
        let fields = asserted.into_iter().chain(fields).collect();
        self.agent.call(now, Invitation { uri, from, to, fields })
    }

    /// Gives up a call nobody answered yet; the CANCEL waits for a provisional response. A 2xx that crosses it is
    /// acknowledged, reported as `Answered` and ended with a BYE.
    pub fn cancel(&mut self, now: Instant, call: CallKey) {
        self.agent.cancel(now, call);
    }

    /// Ends every dialog of a call.
    pub fn hang_up(&mut self, now: Instant, call: CallKey) {
        self.agent.hang_up(now, call);
    }

    /// Answers a call that rings here.
    pub fn answer(&mut self, now: Instant, call: CallKey) {
        self.agent.answer(now, call);
    }

    /// Refuses a call that rings here.
    pub fn reject(&mut self, now: Instant, call: CallKey, status: u16) {
        self.agent.refuse(now, call, status);
    }

    /// Puts a call on hold, with a re-INVITE.
    pub fn reinvite(&mut self, now: Instant, call: CallKey) {
        self.agent.reinvite(now, call);
    }

    /// Asks the switchboard whether it is there, with OPTIONS.
    pub fn ping(&mut self, now: Instant) {
        self.agent.ping(now);
    }

    /// What it does with the next INVITE that comes.
    pub fn behave(&mut self, behaviour: Behaviour) {
        self.agent.behave(behaviour);
    }

    /// Whether a call is answered and not yet ended.
    pub fn is_talking(&self, call: CallKey) -> bool {
        self.agent.is_talking(call)
    }

    /// Whether a call rings here, unanswered.
    pub fn is_ringing(&self, call: CallKey) -> bool {
        self.agent.is_ringing(call)
    }

    /// Calls that are neither refused, cancelled nor ended.
    pub fn calls_alive(&self) -> usize {
        self.agent.calls_alive()
    }

    /// INVITEs that started a call here.
    pub fn times_rung(&self) -> u64 {
        self.agent.counts().rung
    }

    /// 200s received to OPTIONS.
    pub fn pongs(&self) -> u64 {
        self.agent.counts().pongs
    }

    /// Datagrams rsip could not read.
    pub fn unreadable(&self) -> u64 {
        self.agent.counts().unreadable
    }
}
