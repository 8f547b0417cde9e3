//! Histories made by hand, for the tests of the judges: one company, one trunk, one phone, one stranger.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use md5::Md5;
use sha2::Digest as _;
use switchboard::id::{CompanyId, Extension, UserId};
use switchboard::state::{Change, Number, Saved, SavedBinding, SavedFlow};
use switchboard::time::WallTime;

use super::super::faults::Faults;
use super::super::history::{Datagram, Entry, History, Nanos, PhoneOwner, Role, SECOND, What};
use super::super::model::{Company, Model, Trunk, User};
use super::super::text::Message;
use super::Violation;
use super::reading::Reading;

pub(super) const DAEMON: &str = "203.0.113.10:5060";
pub(super) const TRUNK: &str = "192.0.2.1:5060";
pub(super) const PHONE: &str = "198.51.100.1:5060";
pub(super) const STRANGER: &str = "198.51.100.250:5060";

/// When every staged history begins.
const WALL: i64 = 1_800_000_000_000;

pub(super) struct Stage {
    history: History,
    at: Nanos,
    /// How far the wall's clock is from where it was, in milliseconds.
    jumped: i64,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let user = |extension: &str| User {
            extension: extension.to_owned(),
            person: None,
            status: "active",
            take_calls: true,
            hours: None,
            mobile: None,
            devices: true,
            ring: 30,
            overflow: Vec::new(),
            password: format!("secret of {extension}"),
        };
        let company = Company {
            id: "acme".to_owned(),
            domain: "acme.example".to_owned(),
            zone: "UTC",
            suspended: false,
            blocked: Vec::new(),
            max_calls: None,
            hours: Vec::new(),
            numbers: Vec::new(),
            departments: Vec::new(),
            users: vec![user("221"), user("222")],
        };
        let trunk = Trunk { id: "first".to_owned(), address: TRUNK.parse().unwrap(), country: "91", max_calls: None };
        let model = Model { listen: vec![DAEMON.parse().unwrap()], trunks: vec![trunk], companies: vec![company] };
        let mut fewer = model.clone();
        fewer.companies[0].users.truncate(0);
        let role = |address: &str, role| (address.parse::<SocketAddr>().unwrap(), role);
        let cast = [
            role(DAEMON, Role::Switchboard),
            role(TRUNK, Role::Trunk(0)),
            role(PHONE, Role::Phone(0)),
            role(STRANGER, Role::Attacker(0)),
        ];
        let owner = PhoneOwner { company: "acme".to_owned(), extension: "221".to_owned() };
        let history = History {
            seed: 0,
            faults: Faults::default(),
            models: vec![Arc::new(model), Arc::new(fewer)],
            cast: cast.into_iter().collect(),
            phones: vec![owner],
            entries: Vec::new(),
        };
        Stage { history, at: SECOND, jumped: 0 }
    }

    pub(super) fn what(&mut self, what: What) -> &mut Stage {
        let wall = WALL + (self.at / 1_000_000) as i64 + self.jumped;
        self.history.entries.push(Entry { at: self.at, wall, what });
        self
    }

    pub(super) fn after(&mut self, time: Nanos) -> &mut Stage {
        self.at += time;
        self
    }

    pub(super) fn clock_jumps(&mut self, millis: i64) -> &mut Stage {
        self.jumped += millis;
        self.what(What::ClockJumped(millis))
    }

    fn datagram(&self, from: &str, to: &str, text: impl AsRef<[u8]>) -> Arc<Datagram> {
        let bytes = Bytes::copy_from_slice(text.as_ref());
        let message = Message::read(&bytes);
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Arc::new(Datagram { id: self.history.entries.len() as u64, from, to, bytes, message })
    }

    pub(super) fn heard(&mut self, from: &str, text: impl AsRef<[u8]>) -> &mut Stage {
        let datagram = self.datagram(from, DAEMON, text);
        self.what(What::Put(Arc::clone(&datagram))).what(What::Heard(datagram))
    }

    /// The network bends what the peer gave it.
    pub(super) fn heard_as(&mut self, from: &str, given: &str, heard: impl AsRef<[u8]>) -> &mut Stage {
        let given = self.datagram(from, DAEMON, given);
        let heard = Arc::new(Datagram { id: given.id, ..Arc::into_inner(self.datagram(from, DAEMON, heard)).unwrap() });
        self.what(What::Put(given)).what(What::Heard(heard))
    }

    /// The network bends what the engine sent.
    pub(super) fn delivered_as(&mut self, to: &str, sent: &str, delivered: &str) -> &mut Stage {
        let sent = self.datagram(DAEMON, to, sent);
        let told = Arc::into_inner(self.datagram(DAEMON, to, delivered)).unwrap();
        let told = Arc::new(Datagram { id: sent.id, ..told });
        self.what(What::Sent(sent)).what(What::Delivered(told))
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn sent(&mut self, to: &str, text: &str) -> &mut Stage {
        let datagram = self.datagram(DAEMON, to, text);
        self.what(What::Sent(datagram))
    }

    pub(super) fn bindings(&mut self, number: u64, bindings: Vec<SavedBinding>) -> &mut Stage {
        self.what(What::Changed(Number(number), Box::new(Change::Bindings { user: user(), bindings })))
    }

    pub(super) fn durable(&mut self, number: u64) -> &mut Stage {
        self.what(What::Durable(Number(number)))
    }

    pub(super) fn started(&mut self, last: u64, bindings: Vec<SavedBinding>, version: usize) -> &mut Stage {
        let bindings = if bindings.is_empty() { Vec::new() } else { vec![(user(), bindings)] };
        let saved = Saved { last: Number(last), bindings, ..Saved::default() };
        self.what(What::Killed).what(What::Started(Box::new(saved), version))
    }

    /// The phone's binding as it would be saved now, with so many seconds left of an hour.
    pub(super) fn binding(&self, left: u64) -> SavedBinding {
        let now = WALL + (self.at / 1_000_000) as i64 + self.jumped;
        let expires = now + 1_000 * left as i64;
        let flow = SavedFlow { local: DAEMON.parse().unwrap(), remote: PHONE.parse().unwrap() };
        SavedBinding {
            contact: Bytes::from_static(b"sip:221@198.51.100.1:5060"),
            q: 1000,
            expires_at: WallTime::from_unix_millis(expires),
            call_id: Bytes::from_static(b"boot-1"),
            cseq: 2,
            instance: None,
            reg_id: None,
            path: Vec::new(),
            flow,
            target: PHONE.parse().unwrap(),
            user_agent: None,
            registered_at: WallTime::from_unix_millis(expires - 3_600_000),
            parameters: Bytes::new(),
            request_uri_length: 25,
        }
    }

    /// What a judge finds.
    pub(super) fn judged(&self, judge: fn(&Reading<'_>) -> Vec<Violation>) -> Vec<String> {
        judge(&Reading::new(&self.history)).into_iter().map(|violation| violation.words).collect()
    }
}

/// 221@acme.
pub(super) fn user() -> UserId {
    UserId::new(&CompanyId::new("acme"), &Extension::new("221"))
}

/// A request from `from`, in a call named after its branch unless a line says otherwise.
pub(super) fn request(method: &str, from: &str, branch: &str, who: &str, to_tag: &str, more: &str) -> String {
    let uri = if method == "REGISTER" { "sip:acme.example" } else { "sip:222@acme.example" };
    let to = if method == "REGISTER" { who } else { "222@acme.example" };
    let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:{who}>;tag=f\r\nTo: <sip:{to}>{to_tag}\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n{more}\
         Content-Length: 0\r\n\r\n"
    )
}

/// A response to [`request`].
pub(super) fn response(status: &str, method: &str, to: &str, branch: &str, more: &str) -> String {
    format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP {to};rport;branch={branch}\r\nFrom: <sip:221@acme.example>;tag=f\r\n\
         To: <sip:221@acme.example>;tag=t\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

pub(super) fn challenge(nonce: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"acme.example\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"\r\n")
}

/// 221's answer to a challenge, with that password.
pub(super) fn credentials(method: &str, nonce: &str, count: u32, password: &str) -> String {
    let hash = |text: String| -> String { Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect() };
    let (uri, field) = match method {
        "REGISTER" => ("sip:acme.example", "Authorization"),
        _ => ("sip:222@acme.example", "Proxy-Authorization"),
    };
    let (a1, a2) = (hash(format!("221:acme.example:{password}")), hash(format!("{method}:{uri}")));
    let response = hash(format!("{a1}:{nonce}:{count:08x}:abcd:auth:{a2}"));
    format!(
        "{field}: Digest username=\"221\", realm=\"acme.example\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=MD5, qop=auth, nc={count:08x}, cnonce=\"abcd\"\r\n"
    )
}

/// A REGISTER of 221's phone that is right.
pub(super) fn register(branch: &str, nonce: &str, count: u32) -> String {
    let proof = credentials("REGISTER", nonce, count, "secret of 221");
    request("REGISTER", PHONE, branch, "221@acme.example", "", &format!("Contact: <sip:221@{PHONE}>\r\n{proof}"))
}

/// The 200 to it, listing the phone's contact.
pub(super) fn registered(branch: &str, more: &str) -> String {
    response("200 OK", "REGISTER", PHONE, branch, &format!("Contact: <sip:221@{PHONE}>;expires=3600\r\n{more}"))
}
