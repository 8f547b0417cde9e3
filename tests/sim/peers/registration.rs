//! Registering, and staying registered (RFC 3261 §10.2).

use super::super::dice::Dice;
use super::super::history::{MILLISECOND, Nanos, SECOND};
use super::super::text::{Message, Name, parameter};
use super::agent::Agent;
use super::style::Request;
use super::transaction::{Client, Purpose};
use super::{Post, wire};

#[derive(Debug)]
pub struct Registration {
    /// Whether this peer wants to be registered.
    pub wanted: bool,
    pub domain: String,
    pub dice: Dice,
    pub call_id: String,
    pub tag: String,
    pub cseq: u32,
    /// `;+sip.instance=…` and the like.
    pub parameters: String,
    /// In seconds.
    pub asks: u64,
    /// As a parameter of Contact, else as the Expires header field.
    pub as_parameter: bool,
    /// Sends credentials before it is asked.
    pub eager: bool,
    /// Until when the daemon has promised to keep it.
    pub until: Option<Nanos>,
    /// When to register next, if nothing is in flight.
    pub next: Option<Nanos>,
    /// Failures in a row.
    pub failures: u32,
    pub in_flight: bool,
    /// When the next follows whether or not this one was answered.
    pub hurries: Option<Nanos>,
}

impl Registration {
    /// Of somebody who never registers.
    pub fn none() -> Registration {
        Registration {
            wanted: false,
            domain: String::new(),
            dice: Dice::new(0),
            call_id: String::new(),
            tag: String::new(),
            cseq: 0,
            parameters: String::new(),
            asks: 0,
            as_parameter: false,
            eager: false,
            until: None,
            next: None,
            failures: 0,
            in_flight: false,
            hurries: None,
        }
    }

    pub fn deadline(&self) -> Option<Nanos> {
        let next = self.next.filter(|_| !self.in_flight);
        next.into_iter().chain(self.hurries).min().filter(|_| self.wanted)
    }

    /// Begins anew, as after a restart.
    pub fn begin(&mut self) {
        self.call_id = format!("{:016x}{:08x}", self.dice.roll(), self.dice.roll() >> 32);
        self.tag = format!("{:x}", self.dice.roll());
        self.cseq = 1 + self.dice.below(1_000) as u32;
        self.until = None;
        self.next = None;
        self.failures = 0;
        self.in_flight = false;
        self.hurries = None;
    }
}

impl Agent {
    /// Registers now, if it wants to be registered and nothing is in flight.
    pub fn refresh_now(&mut self, now: Nanos, post: &mut Post) {
        // RFC 3261 §10.2: not before the one before is answered or has timed out.
        if self.registration.wanted && !self.registration.in_flight {
            self.send_register(now, 0, post);
        }
    }

    pub fn on_registration_due(&mut self, now: Nanos, post: &mut Post) {
        if self.registration.deadline().is_some_and(|at| at <= now) {
            self.send_register(now, 0, post);
            // One at a time is enough of impatience.
            self.registration.hurries = None;
        }
    }

    /// RFC 3261 §10.2 has a phone wait for the answer. On links that lose and reorder, one that does not is overtaken by itself.
    fn may_hurry(&mut self, now: Nanos) {
        let often = if self.well { 0 } else { self.faults.impatient };
        let registration = &mut self.registration;
        registration.hurries = None;
        if often > 0 && registration.dice.thousandths(often) {
            registration.hurries = Some(now + registration.dice.of(&[1, 3, 20, 100, 400]) * MILLISECOND);
        }
    }

    pub fn send_register(&mut self, now: Nanos, attempt: u8, post: &mut Post) {
        let eager = self.registration.eager && self.login.as_ref().is_some_and(super::digest::Login::has_nonce);
        let address = format!("sip:{}", self.registration.domain);
        let (branch, cnonce) =
            (format!("z9hG4bK{:016x}", self.registration.dice.roll()), format!("{:x}", self.registration.dice.roll()));
        let proof =
            if attempt > 0 || eager { self.credentials(401, "REGISTER", &address, &cnonce) } else { String::new() };
        let registration = &mut self.registration;
        registration.cseq += 1;
        registration.in_flight = true;
        registration.next = None;
        let expires = if registration.wanted { registration.asks } else { 0 };
        let who = format!("<sip:{}@{}>", self.extension, registration.domain);
        let (parameter, header) = match registration.as_parameter {
            true => (format!(";expires={expires}"), String::new()),
            false => (String::new(), format!("Expires: {expires}\r\n")),
        };
        let lines = format!("{proof}Supported: path, outbound\r\n{header}");
        let bytes = self.style.request(&Request {
            method: "REGISTER",
            uri: &address,
            sent_by: &self.sent_by,
            branch: &branch,
            routes: &[],
            from: &format!("{}{who};tag={}", self.style.display, registration.tag),
            to: &who,
            call_id: &registration.call_id,
            cseq: registration.cseq,
            contact: Some(&format!("<{}>{}{parameter}", self.contact, registration.parameters)),
            lines: &lines,
            body: "",
        });
        let mut client = Client::new(now, Purpose::Register, self.registrar, bytes);
        client.attempt = attempt;
        self.ask(now, client, post);
        // What carries no credentials changes nothing, however late.
        if !proof.is_empty() {
            self.may_hurry(now);
        }
    }

    /// A final response to a REGISTER.
    pub fn on_registered(
        &mut self,
        now: Nanos,
        status: u16,
        again: bool,
        attempt: u8,
        message: &Message,
        post: &mut Post,
    ) {
        self.registration.in_flight = false;
        match status {
            _ if again => self.send_register(now, attempt + 1, post),
            200..300 => {
                let contacts = message.all(Name::Contact).flat_map(wire::values).map(wire::parts);
                let own = contacts.into_iter().find(|(uri, _)| *uri == self.contact);
                let own = own.and_then(|(_, parameters)| parameter(parameters, "expires")?.parse().ok());
                let header = message.first(Name::Expires).and_then(|value| value.parse().ok());
                let registration = &mut self.registration;
                registration.failures = 0;
                if !registration.wanted {
                    registration.until = None;
                    return;
                }
                let seconds: u64 = own.or(header).unwrap_or(registration.asks);
                registration.until = Some(now + seconds * SECOND);
                // Well before it runs out: a REGISTER may take 64·T1 and must be able to fail once.
                let share = 500 + registration.dice.below(200);
                registration.next = Some(now + seconds * share * MILLISECOND);
            }
            423 => {
                let least = message.first(Name::MinExpires).and_then(|value| value.parse().ok());
                self.registration.asks = least.unwrap_or(3600).max(self.registration.asks);
                self.on_registration_failed(now, Some(status));
            }
            _ => self.on_registration_failed(now, Some(status)),
        }
    }

    /// Refused, or (`None`) not answered: again after a while that grows to 16 s, and to a minute where it was refused.
    pub fn on_registration_failed(&mut self, now: Nanos, status: Option<u16>) {
        let registration = &mut self.registration;
        registration.in_flight = false;
        registration.failures += 1;
        let most = match status {
            Some(401 | 403 | 404 | 407) => 60,
            Some(_) | None => 16,
        };
        let wait = (1_u64 << registration.failures.min(6)).min(most) * SECOND;
        registration.next = Some(now + wait + registration.dice.below(1_000) * MILLISECOND);
    }
}
