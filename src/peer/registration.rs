//! What a user agent does as a registrant (RFC 3261 §10.2).

use std::net::SocketAddr;
use std::time::Duration;

use rsip::headers::UntypedHeader;
use rsip::{Header, Method};

use super::agent::{Agent, Timer};
use super::dialog::Draft;
use super::event::PhoneEvent;
use super::text::{self, Reading};
use super::transaction::Purpose;
use crate::time::Instant;

/// One Call-ID and one count for all REGISTERs of a phone (RFC 3261 §10.2.4).
#[derive(Debug)]
pub(super) struct Registration {
    call_id: String,
    tag: String,
    sequence: u32,
    /// Seconds asked for; 0 to be removed.
    wanted: u32,
    state: RegistrationState,
    /// Only the last refresh set counts.
    generation: u64,
    /// 423s obeyed for this REGISTER.
    lengthened: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegistrationState {
    Unregistered,
    Registered,
}

impl Registration {
    pub(super) fn new(call_id: String, tag: String) -> Registration {
        let state = RegistrationState::Unregistered;
        Registration { call_id, tag, sequence: 0, wanted: 0, state, generation: 0, lengthened: 0 }
    }

    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }
}

impl Agent {
    pub(super) fn is_registered(&self) -> bool {
        self.registration.state == RegistrationState::Registered
    }

    pub(super) fn stop_refreshing(&mut self) {
        self.registration.generation += 1;
    }

    pub(super) fn register(&mut self, now: Instant, expires: u32) {
        self.registration.lengthened = 0;
        self.send_register(now, expires);
    }

    pub(super) fn on_refresh(&mut self, now: Instant, generation: u64) {
        if generation == self.registration.generation {
            self.register(now, self.registration.wanted);
        }
    }

    pub(super) fn on_register_answered(&mut self, now: Instant, status: u16, reading: &Reading) {
        if status == 423
            && self.registration.lengthened == 0
            && let Some(seconds) = minimum(reading)
        {
            self.registration.lengthened += 1;
            self.send_register(now, seconds);
            return;
        }
        if status >= 300 {
            self.fail(status);
            return;
        }
        self.registration.generation += 1;
        if self.registration.wanted == 0 {
            self.registration.state = RegistrationState::Unregistered;
            self.tell_owner(PhoneEvent::Unregistered);
            return;
        }
        let expires = granted(reading, self.identity.address).unwrap_or(self.registration.wanted);
        self.registration.state = RegistrationState::Registered;
        self.set_timer(
            now + Duration::from_secs(u64::from(expires.max(2) / 2)),
            Timer::Refresh(self.registration.generation),
        );
        self.tell_owner(PhoneEvent::Registered { expires });
    }

    pub(super) fn on_register_unanswered(&mut self) {
        self.fail(408);
    }

    fn fail(&mut self, status: u16) {
        self.registration.generation += 1;
        self.registration.state = RegistrationState::Unregistered;
        self.tell_owner(PhoneEvent::RegistrationFailed { status });
    }

    fn send_register(&mut self, now: Instant, expires: u32) {
        self.registration.wanted = expires;
        let record = self.address_of_record();
        let contact = rsip::headers::Contact::from(format!("{};expires={expires}", self.contact()));
        let draft = Draft {
            method: Method::Register,
            uri: format!("sip:{}", self.identity.domain),
            call_id: self.registration.call_id.clone(),
            from: format!("<{record}>;tag={}", self.registration.tag),
            to: format!("<{record}>"),
            sequence: self.registration.next_sequence(),
            routes: vec![],
            fields: vec![contact.into(), rsip::headers::Expires::from(expires.to_string()).into()],
            body: vec![],
            hop: self.identity.proxy,
        };
        self.send_request(now, draft, Purpose::Register);
    }
}

/// RFC 3261 §10.2.8: Min-Expires.
fn minimum(reading: &Reading) -> Option<u32> {
    reading.headers().iter().find_map(|header| match header {
        Header::MinExpires(value) => value.value().trim().parse().ok(),
        _ => None,
    })
}

/// What the registrar granted to our contact among all it lists.
fn granted(reading: &Reading, address: SocketAddr) -> Option<u32> {
    let contacts = reading.headers().iter().filter_map(|header| match header {
        Header::Contact(value) => Some(text::list(value.value())),
        _ => None,
    });
    let ours = contacts.flatten().find(|contact| text::address_of(&text::uri_of(contact)) == Some(address));
    let general = reading.headers().iter().find_map(|header| match header {
        Header::Expires(value) => value.value().trim().parse().ok(),
        _ => None,
    });
    ours.and_then(|contact| text::param_of(&contact, "expires")?.parse().ok()).or(general)
}
