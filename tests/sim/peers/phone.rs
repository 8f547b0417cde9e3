//! A phone: registered, called, calling.

use std::net::SocketAddr;

use super::super::dice::Dice;
use super::super::faults::PhoneFaults;
use super::super::history::{Datagram, Nanos};
use super::agent::{Agent, Kind};
use super::call::Outcome;
use super::caller::Dialling;
use super::digest::{Algorithm, Login};
use super::plan::CallerPlan;
use super::registration::Registration;
use super::together::Together;
use super::{PlannedCall, Post};

#[derive(Clone, Debug)]
pub struct PhoneSettings {
    /// Its number among the phones of the world.
    pub index: usize,
    pub address: SocketAddr,
    /// Where the daemon listens.
    pub registrar: SocketAddr,
    pub domain: String,
    pub extension: String,
    pub password: String,
    /// The world's.
    pub seed: u64,
    pub faults: PhoneFaults,
    /// `LinkFaults::rebind`: where addresses change, every phone asks for `rport`.
    pub link_rebind: u64,
}

#[derive(Debug)]
pub struct Phone {
    agent: Agent,
    /// Behind a NAT its Contact names an address of the inside.
    is_inside: bool,
}

impl Phone {
    pub fn new(settings: PhoneSettings) -> Phone {
        let index = settings.index as u64;
        let mut dice = Dice::of_their_own(settings.seed, "registration", index);
        let instance = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            dice.roll() >> 32,
            dice.roll() >> 48,
            dice.roll() >> 52,
            dice.roll() >> 52,
            dice.roll() >> 16
        );
        // Without an instance a phone that boots again on another port is a second device until its old binding runs
        // out: nobody can know better.
        let has_instance = settings.faults.reboots > 0 || dice.thousandths(800);
        let mut parameters =
            if has_instance { format!(";+sip.instance=\"<urn:uuid:{instance}>\"") } else { String::new() };
        if has_instance && dice.thousandths(300) {
            parameters.push_str(";reg-id=1");
        }
        if dice.thousandths(200) {
            parameters.push_str(";q=0.7");
        }
        let asks = dice.of(&[60, 90, 300, 600, 1_800, 3_600]);
        let prefers = dice.of(&[Algorithm::Sha256, Algorithm::Md5]);
        let mut registration = Registration {
            domain: settings.domain,
            parameters,
            asks,
            as_parameter: dice.thousandths(500),
            eager: dice.thousandths(500),
            dice,
            ..Registration::none()
        };
        registration.begin();
        let is_inside = registration.dice.thousandths(500) && settings.address.is_ipv4();
        let asks_for_rport = is_inside || settings.link_rebind > 0 || registration.dice.thousandths(850);
        let mut agent = Agent::new(
            Kind::Phone,
            settings.index,
            settings.seed,
            settings.address,
            settings.registrar,
            settings.faults,
            registration,
        );
        agent.style.rport = asks_for_rport;
        agent.login = Some(Login::new(settings.extension.clone(), settings.password, prefers));
        agent.extension = settings.extension;
        let mut phone = Phone { agent, is_inside };
        phone.settle();
        phone
    }

    /// Writes its address as it sees it into Via and Contact.
    fn settle(&mut self) {
        let agent = &mut self.agent;
        let seen = match self.is_inside {
            true => format!("10.9.{}.{}:{}", agent.index >> 8, agent.index & 255, agent.address.port()),
            false => agent.address.to_string(),
        };
        agent.contact = format!("sip:{}@{seen}", agent.extension);
        agent.sent_by = seen;
    }

    pub fn address(&self) -> SocketAddr {
        self.agent.address
    }

    pub fn deadline(&self) -> Option<Nanos> {
        self.agent.deadline()
    }

    pub fn on_time(&mut self, now: Nanos, post: &mut Post) {
        self.agent.on_time(now, post);
    }

    pub fn receive(&mut self, now: Nanos, datagram: &Datagram, post: &mut Post) {
        self.agent.receive(now, datagram, post);
    }

    /// Registers, and stays registered.
    pub fn register(&mut self, now: Nanos, post: &mut Post) {
        self.agent.registration.wanted = true;
        self.agent.refresh_now(now, post);
    }

    pub fn unregister(&mut self, now: Nanos, post: &mut Post) {
        self.agent.registration.wanted = false;
        self.agent.registration.until = None;
        self.agent.send_register(now, 0, post);
    }

    pub fn call(&mut self, now: Nanos, planned: &PlannedCall, post: &mut Post) {
        let agent = &mut self.agent;
        let mut dice = Dice::of_their_own(agent.seed, agent.kind.caller(), planned.number);
        let call_id = format!("{:016x}@{}", dice.roll(), agent.sent_by);
        let plan = if agent.well {
            CallerPlan::polite(&mut dice)
        } else {
            CallerPlan::of_phone(&mut dice, &agent.faults, Together::of(agent.seed, &call_id))
        };
        let domain = &agent.registration.domain;
        let uri = format!("sip:{}@{domain}", planned.dialled);
        let dialling = Dialling {
            plan,
            call_id,
            from: format!("{}<sip:{}@{domain}>", agent.style.display, agent.extension),
            to: format!("<{uri}>"),
            uri,
            lines: String::new(),
            dice,
        };
        agent.dial(now, planned, dialling, post);
    }

    /// Its NAT gives it another address. It does not know: what it writes of itself stays. An impatient one sees its network change, and
    /// registers at once, whatever is still under way.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.agent.address = address;
        if self.agent.faults.impatient > 0 && !self.agent.well {
            self.agent.registration.hurries = Some(0);
        }
    }

    /// Forgets all calls and begins anew at another address, as the same device.
    pub fn reboot(&mut self, now: Nanos, address: SocketAddr, post: &mut Post) {
        let agent = &mut self.agent;
        agent.address = address;
        agent.clients.clear();
        agent.servers.clear();
        for call in std::mem::take(&mut agent.calls) {
            if call.number.is_some() && !call.is_over() {
                agent.conclude(&call, if call.answered { Outcome::Ended } else { Outcome::Cancelled });
            }
        }
        if let Some(login) = &mut agent.login {
            login.forget();
        }
        agent.registration.begin();
        self.settle();
        self.agent.refresh_now(now, post);
    }

    /// From now on it means well. Calls in which it is dead stay so.
    pub fn well(&mut self) {
        let agent = &mut self.agent;
        agent.well = true;
        agent.registration.failures = 0;
        agent.registration.hurries = None;
        if agent.registration.next.is_some() && agent.registration.until.is_none() {
            agent.registration.next = Some(0);
        }
    }

    pub fn is_ringing(&self) -> bool {
        self.agent.is_ringing()
    }

    pub fn is_talking(&self) -> bool {
        self.agent.is_talking()
    }

    pub fn is_at_rest(&self) -> bool {
        self.agent.is_at_rest()
    }

    /// Whether the daemon has promised to keep it until later than now.
    pub fn registered(&self, now: Nanos) -> bool {
        self.agent.registration.until.is_some_and(|until| until > now)
    }

    pub fn hang_up_all(&mut self, now: Nanos, post: &mut Post) {
        self.agent.hang_up_all(now, post);
    }

    pub fn outcome(&self, call: u64) -> Option<Outcome> {
        self.agent.outcomes.get(&call).copied()
    }
}
