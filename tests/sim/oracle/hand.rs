//! Histories made by hand, for the oracle's own tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use switchboard::id::{CallRef, CompanyId, Extension, PersonId, TrunkId, UserId};
use switchboard::routing::DecisionRecord;
use switchboard::state::{
    CallRecord, Change, EndedBy, Number, SavedBinding, SavedCall, SavedClaim, SavedFlow, SavedHold, SavedPeer,
};
use switchboard::time::WallTime;

use crate::faults::Faults;
use crate::history::{Datagram, Entry, History, Nanos, SECOND, What};
use crate::model::{Company, CompanyNumber, Department, Destination, Model, Route, Strategy, Trunk, User};
use crate::text::Message;

pub const US: &str = "203.0.113.10:5060";
pub const TRUNK: &str = "192.0.2.1:5060";
/// Monday 2026-11-23 10:00 in Kolkata.
pub const WALL: i64 = 1_795_408_200_000;

/// One company, `one`: users 201 and 202, the department `sales` of both, one number that leads there.
pub fn model() -> Model {
    let user = |extension: &str| User {
        extension: extension.into(),
        person: None,
        status: "active",
        take_calls: true,
        hours: None,
        mobile: None,
        devices: true,
        ring: 5,
        overflow: Vec::new(),
        password: format!("secret-{extension}"),
    };
    let sales = Department {
        id: "sales".into(),
        members: vec!["201".into(), "202".into()],
        strategy: Strategy::Serial,
        ring: 5,
        wait: 0,
        wrap_up: 0,
        max_ring: 5,
        max_waiting: 2,
        sticky: None,
        hours: None,
        overflow: Vec::new(),
    };
    let to = Destination::Department("sales".into());
    let company = Company {
        id: "one".into(),
        domain: "one.example".into(),
        zone: "Asia/Kolkata",
        suspended: false,
        blocked: Vec::new(),
        max_calls: None,
        hours: Vec::new(),
        numbers: vec![CompanyNumber {
            number: "+918041234500".into(),
            routes: vec![Route { hours: None, callers: Vec::new(), to }],
        }],
        departments: vec![sales],
        users: vec![user("201"), user("202")],
    };
    let trunk = Trunk { id: "first".into(), address: TRUNK.parse().unwrap(), country: "91", max_calls: None };
    Model { listen: vec![US.parse().unwrap()], trunks: vec![trunk], companies: vec![company] }
}

/// A history that grows by the second.
pub struct Hand {
    pub history: History,
    pub at: Nanos,
    changes: u64,
}

impl Hand {
    pub fn new(models: Vec<Model>) -> Hand {
        let history = History {
            seed: 0,
            faults: Faults::default(),
            models: models.into_iter().map(Arc::new).collect(),
            cast: BTreeMap::new(),
            phones: Vec::new(),
            entries: Vec::new(),
        };
        Hand { history, at: 0, changes: 0 }
    }

    pub fn later(&mut self, seconds: u64) {
        self.at += seconds * SECOND;
    }

    pub fn entry(&mut self, what: What) {
        let wall = WALL + i64::try_from(self.at / 1_000_000).unwrap();
        self.history.entries.push(Entry { at: self.at, wall, what });
    }

    fn datagram(&self, from: &str, to: &str, text: &str) -> Arc<Datagram> {
        let bytes = Bytes::from(text.replace('\n', "\r\n"));
        let message = Message::read(&bytes);
        assert!(message.is_some(), "{text}");
        let id = self.history.entries.len() as u64;
        Arc::new(Datagram { id, from: from.parse().unwrap(), to: to.parse().unwrap(), bytes, message })
    }

    pub fn heard(&mut self, from: &str, text: &str) {
        let datagram = self.datagram(from, US, text);
        self.entry(What::Heard(datagram));
    }

    /// The network bends what the peer gave it.
    pub fn heard_as(&mut self, from: &str, given: &str, heard: &str) {
        let given = self.datagram(from, US, given);
        let heard = Arc::into_inner(self.datagram(from, US, heard)).expect("just made");
        let heard = Arc::new(Datagram { id: given.id, ..heard });
        self.entry(What::Put(given));
        self.entry(What::Heard(heard));
    }

    pub fn sent(&mut self, to: &str, text: &str) {
        let datagram = self.datagram(US, to, text);
        self.entry(What::Sent(datagram));
    }

    /// The network bends what the engine sent.
    pub fn sent_as(&mut self, to: &str, sent: &str, delivered: &str) {
        let sent = self.datagram(US, to, sent);
        let told = Arc::into_inner(self.datagram(US, to, delivered)).expect("just made");
        let told = Arc::new(Datagram { id: sent.id, ..told });
        self.entry(What::Sent(sent));
        self.entry(What::Delivered(told));
    }

    pub fn changed(&mut self, change: Change) {
        self.changes += 1;
        self.entry(What::Changed(Number(self.changes), Box::new(change)));
    }

    /// A user's only device is there.
    pub fn registered(&mut self, extension: &str, target: &str) {
        let bindings = vec![self.binding(extension, target, 1)];
        self.changed(Change::Bindings { user: user(extension), bindings });
    }

    pub fn binding(&self, extension: &str, target: &str, cseq: u32) -> SavedBinding {
        let (local, remote) = (US.parse().unwrap(), target.parse().unwrap());
        let contact = Bytes::from(format!("sip:{extension}@{target}"));
        SavedBinding {
            request_uri_length: contact.len(),
            contact,
            q: 1000,
            expires_at: WallTime::from_unix_millis(WALL + i64::try_from(self.at / 1_000_000).unwrap() + 3_600_000),
            call_id: Bytes::from(format!("boot-{extension}")),
            cseq,
            instance: None,
            reg_id: None,
            path: Vec::new(),
            flow: SavedFlow { local, remote },
            target: remote,
            user_agent: None,
            registered_at: WallTime::from_unix_millis(WALL),
            parameters: Bytes::new(),
        }
    }

    pub fn claimed(&mut self, extension: &str, call: u64, hold: Option<SavedHold>) {
        let since = WallTime::from_unix_millis(WALL);
        let claim =
            hold.map(|hold| SavedClaim { call: CallRef(call), user: user(extension), hold, since, behind: None });
        self.changed(Change::Claim { person: PersonId::new(format!("{extension}@one")), claim });
    }

    /// The call by the trunk, as the store knows it now.
    pub fn stored(&mut self, decision: &DecisionRecord) {
        self.stored_as(7, &invite("+918041234500"), decision);
    }

    pub fn stored_as(&mut self, call: u64, invite: &str, decision: &DecisionRecord) {
        let invite = Bytes::from(invite.replace('\n', "\r\n"));
        let (local, remote) = (US.parse().unwrap(), TRUNK.parse().unwrap());
        self.changed(Change::Call(Box::new(SavedCall {
            call: CallRef(call),
            company: Some(CompanyId::new("one")),
            trunk: Some(TrunkId::new("first")),
            from_user: None,
            caller_label: String::new(),
            decision: decision.clone(),
            started_at: WallTime::from_unix_millis(WALL),
            answered_at: None,
            invite,
            source: SavedFlow { local, remote },
            names: Vec::new(),
            caller: SavedPeer::Trunk(TrunkId::new("first")),
            final_sent: None,
            offers: Vec::new(),
            branches: Vec::new(),
            dialogs: Vec::new(),
        })));
    }

    /// It is over.
    pub fn recorded(&mut self, decision: &DecisionRecord) {
        self.entry(What::Recorded(Box::new(CallRecord {
            call: CallRef(7),
            company: decision.company.as_deref().map(CompanyId::new),
            trunk: Some(TrunkId::new("first")),
            from_user: None,
            sip_call_id: "call".into(),
            decision: decision.clone(),
            started_at: WallTime::from_unix_millis(WALL),
            answered_at: None,
            ended_at: WallTime::from_unix_millis(WALL),
            answered_by: Vec::new(),
            ended_by: EndedBy::Refused,
            status: 480,
        })));
    }
}

pub fn user(extension: &str) -> UserId {
    UserId::new(&CompanyId::new("one"), &Extension::new(extension))
}

/// The trunk's INVITE.
pub fn invite(number: &str) -> String {
    format!(
        "INVITE sip:{number}@203.0.113.10 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtrunk\nCall-ID: call\n\
         From: <sip:+919811112220@192.0.2.1>;tag=caller\nTo: <sip:{number}@203.0.113.10>\nCSeq: 1 INVITE\n\n"
    )
}

/// A copy of it to a phone.
pub fn copy(branch: &str) -> String {
    format!(
        "INVITE sip:somebody@phone SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK{branch}\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtrunk\nCall-ID: call\nFrom: <sip:+919811112220@192.0.2.1>;tag=caller\n\
         To: <sip:+918041234500@203.0.113.10>\nCSeq: 1 INVITE\n\n"
    )
}

/// The daemon's final answer to the trunk.
pub fn refusal(status: u16, q850: u16) -> String {
    format!(
        "SIP/2.0 {status} No\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtrunk\nCall-ID: call\n\
         From: <sip:+919811112220@192.0.2.1>;tag=caller\nTo: <sip:+918041234500@203.0.113.10>;tag=us\nCSeq: 1 INVITE\n\
         Reason: Q.850;cause={q850};text=\"no\"\n\n"
    )
}
