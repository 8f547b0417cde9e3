//! What a daemon would have written: changes of every kind, their sum, and a daemon that starts with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use chrono::NaiveDate;
use switchboard::config::{self, Config};
use switchboard::engine::{Engine, Listener};
use switchboard::flow::ListenerId;
use switchboard::id::{CallRef, CompanyId, DepartmentId, Extension, OfferId, PersonId, TrunkId, UserId};
use switchboard::routing::DecisionRecord;
use switchboard::state::{
    CallRecord, Change, EndedBy, Saved, SavedBinding, SavedBranch, SavedCall, SavedClaim, SavedDialog, SavedFlow,
    SavedHold, SavedOffer, SavedPeer, SavedSide,
};
use switchboard::time::{Instant, Now, WallTime};

use crate::targets::choices::Choices;

const START: i64 = 1_795_408_200_000;

pub fn user(number: u8) -> UserId {
    let (company, extension) = if number.is_multiple_of(2) { ("acme", 220) } else { ("globex", 300) };
    UserId::new(&CompanyId::new(company), &Extension::new((extension + u32::from(number % 4)).to_string()))
}

fn at(choices: &mut Choices<'_>) -> WallTime {
    WallTime::from_unix_millis(START + i64::from(choices.word()) * 100 - 3_000_000)
}

fn flow(choices: &mut Choices<'_>) -> SavedFlow {
    let last = choices.byte();
    SavedFlow {
        local: SocketAddr::from(([203, 0, 113, 10], 5060)),
        remote: SocketAddr::from(([198, 51, 100, last], 5060)),
    }
}

/// What the store has before anything: there is something in every table.
pub fn first(choices: &mut Choices<'_>) -> Change {
    Change::Over(Box::new(record(choices, 1)))
}

/// A change of any kind; calls have the numbers of their changes, so that none is over twice.
pub fn change(choices: &mut Choices<'_>, number: u64) -> Change {
    let who = choices.byte();
    let UserId { company, extension } = user(who);
    let department = DepartmentId::new(choices.of(&["sales", "support", "gone"]));
    match choices.below(9) {
        0 => Change::Bindings { user: user(who), bindings: (0..choices.below(3)).map(|_| binding(choices)).collect() },
        1 => Change::Switches {
            user: user(who),
            takes_calls: choices.of(&[None, Some(true), Some(false)]),
            paused: choices.below(2) == 1,
        },
        2 => {
            let hold = match choices.below(3) {
                0 => SavedHold::Ringing,
                1 => SavedHold::OnCall,
                _ => SavedHold::WrapUp(at(choices)),
            };
            let call = CallRef(u64::from(choices.byte() % 16));
            let claim = SavedClaim { call, user: user(who), hold, since: at(choices), behind: None };
            Change::Claim {
                person: PersonId::new(choices.of(&["asha", "ravi", ""])),
                claim: (choices.below(3) > 0).then_some(claim),
            }
        }
        3 => Change::Pointer { company, department, last_offered: (choices.below(3) > 0).then_some(extension) },
        4 => Change::Member {
            company,
            department,
            extension,
            day: NaiveDate::from_num_days_from_ce_opt(739_000 + i32::from(choices.byte())).expect("a day"),
            calls: u32::from(choices.byte()),
            last_call: at(choices),
        },
        5 => Change::Caller {
            company,
            department,
            caller: String::from_utf8_lossy(choices.some(12)).into_owned(),
            extension,
            at: at(choices),
        },
        6 | 7 => Change::Call(Box::new(call(choices, number))),
        _ => Change::Over(Box::new(record(choices, number))),
    }
}

fn binding(choices: &mut Choices<'_>) -> SavedBinding {
    let contact = choices.of(&["sip:221@198.51.100.7:5060;ob", "sip:198.51.100.7", "tel:+1", ""]);
    SavedBinding {
        contact: Bytes::from_static(contact.as_bytes()),
        q: u16::from(choices.byte()) * 5,
        expires_at: at(choices),
        call_id: Bytes::copy_from_slice(choices.some(8)),
        cseq: u32::from(choices.word()),
        instance: choices.of(&[None, Some("<urn:uuid:1>")]).map(|text| Bytes::from_static(text.as_bytes())),
        reg_id: choices.of(&[None, Some(1)]),
        path: (0..choices.below(2)).map(|_| Bytes::from_static(b"<sip:192.0.2.77;lr>")).collect(),
        flow: flow(choices),
        target: SocketAddr::from(([198, 51, 100, 7], 5060)),
        user_agent: choices.of(&[None, Some("Phone")]).map(str::to_owned),
        registered_at: at(choices),
        parameters: Bytes::from_static(b"ob"),
        request_uri_length: choices.of(&[contact.len(), 0, contact.len() + 1, usize::MAX]),
    }
}

fn decision(choices: &mut Choices<'_>) -> DecisionRecord {
    // As a record of an older version may be: with nothing that was added since.
    let text = format!(
        "{{\"number\":\"+918041234567\",\"company\":{},\"caller\":\"+919811112222\",\"at\":\"2026-11-23T10:00:00+05:30\",\
         \"route\":null,\"steps\":{},\"answer\":null}}",
        choices.of(&["\"acme\"", "null", "\"gone\""]),
        choices.of(&["[]", "[{\"department\":\"sales\",\"strategy\":\"serial\",\"cause\":null,\"members\":[]}]"]),
    );
    serde_json::from_str(&text).expect("a decision of an older version")
}

fn record(choices: &mut Choices<'_>, number: u64) -> CallRecord {
    CallRecord {
        call: CallRef(number),
        company: choices.of(&[Some("acme"), Some("globex"), None]).map(CompanyId::new),
        trunk: choices.of(&[Some("airtel"), None]).map(TrunkId::new),
        from_user: None,
        sip_call_id: String::from_utf8_lossy(choices.some(8)).into_owned(),
        decision: decision(choices),
        started_at: at(choices),
        answered_at: (choices.below(2) == 0).then(|| at(choices)),
        ended_at: at(choices),
        answered_by: vec!["221".to_owned()],
        ended_by: choices.of(&[EndedBy::Refused, EndedBy::Cancelled, EndedBy::Caller, EndedBy::CutOff]),
        status: choices.of(&[200, 486, 0, u16::MAX]),
    }
}

const INVITE: &str = "INVITE sip:+918041234567@203.0.113.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKi\r\n\
    Max-Forwards: 70\r\nFrom: <sip:+919811112222@192.0.2.1>;tag=f\r\nTo: <sip:+918041234567@203.0.113.10>\r\nCall-ID: c\r\n\
    CSeq: 1 INVITE\r\nContact: <sip:c@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";

fn peer(choices: &mut Choices<'_>) -> SavedPeer {
    match choices.below(3) {
        0 => SavedPeer::Trunk(TrunkId::new(choices.of(&["airtel", "gone"]))),
        _ => SavedPeer::Phone {
            user: user(choices.byte()),
            contact: choices.of(&[None, Some("sip:221@198.51.100.7")]).map(|text| Bytes::from_static(text.as_bytes())),
        },
    }
}

fn letter(choices: &mut Choices<'_>) -> Bytes {
    Bytes::from_static(choices.of(&[INVITE, "", INVITE, "INVITE sip:x SIP/2.0\r\n\r\n"]).as_bytes())
}

fn side(choices: &mut Choices<'_>) -> SavedSide {
    SavedSide {
        flow: flow(choices),
        tag: Bytes::from_static(choices.of(&["tag", "", "other"]).as_bytes()),
        identity: Bytes::from_static(choices.of(&["<sip:221@acme.example>", ""]).as_bytes()),
        target: Bytes::from_static(choices.of(&["sip:221@198.51.100.7", "", "\r\n"]).as_bytes()),
        route_set: vec![Bytes::from_static(b"<sip:edge.example;lr>")],
        cseq: choices.of(&[7, 0, u32::MAX, 1 << 31]),
    }
}

fn call(choices: &mut Choices<'_>, number: u64) -> SavedCall {
    let offers = choices.below(3) as u32;
    let branches = choices.below(3);
    let dialogs = choices.below(3);
    SavedCall {
        call: CallRef(number),
        company: choices.of(&[Some("acme"), Some("globex"), Some("gone"), None]).map(CompanyId::new),
        trunk: choices.of(&[Some("airtel"), Some("gone"), None]).map(TrunkId::new),
        from_user: choices.of(&[None, Some(1)]).map(user),
        caller_label: "+919811112222".to_owned(),
        decision: decision(choices),
        started_at: at(choices),
        answered_at: (choices.below(2) == 0).then(|| at(choices)),
        invite: letter(choices),
        source: flow(choices),
        names: vec!["sip.example.com:5060".to_owned()],
        caller: peer(choices),
        final_sent: choices.of(&[None, Some(200), Some(486)]),
        offers: (0..offers)
            .map(|_| SavedOffer {
                id: OfferId(u32::from(choices.byte() % 3)),
                user: choices.of(&[None, Some(0), Some(1)]).map(user),
                person: choices.of(&[None, Some("asha"), Some("ravi")]).map(PersonId::new),
                department: choices.of(&[None, Some("sales"), Some("gone")]).map(DepartmentId::new),
                label: "221".to_owned(),
                answered: choices.below(2) == 0,
                settled: choices.below(2) == 0,
            })
            .collect(),
        branches: (0..branches)
            .map(|_| SavedBranch {
                offer: OfferId(u32::from(choices.byte() % 4)),
                token: u64::from(choices.byte()),
                loop_key: 0,
                sent: letter(choices),
                flow: flow(choices),
                peer: peer(choices),
                ended: choices.below(2) == 0,
                counted: choices.of(&[None, Some("airtel")]).map(TrunkId::new),
            })
            .collect(),
        dialogs: (0..dialogs)
            .map(|_| SavedDialog {
                offer: OfferId(u32::from(choices.byte() % 4)),
                branch: choices.of(&[0, 1, 2, usize::MAX]),
                caller_peer: peer(choices),
                callee_peer: peer(choices),
                call_id: Bytes::from_static(b"c"),
                caller: side(choices),
                callee: side(choices),
                session_until: (choices.below(2) == 0).then(|| at(choices)),
                longest_until: (choices.below(2) == 0).then(|| at(choices)),
            })
            .collect(),
    }
}

/// The sum of some changes, of the tables that are sums of nothing else.
#[derive(Default)]
pub struct Sum {
    switches: BTreeMap<UserId, (Option<bool>, bool)>,
    bindings: BTreeMap<UserId, Vec<SavedBinding>>,
    claims: BTreeMap<PersonId, SavedClaim>,
    calls: BTreeMap<CallRef, SavedCall>,
}

impl Sum {
    pub fn add(&mut self, change: &Change) {
        match change.clone() {
            Change::Switches { user, takes_calls: None, paused: false } => drop(self.switches.remove(&user)),
            Change::Switches { user, takes_calls, paused } => {
                self.switches.insert(user, (takes_calls, paused));
            }
            Change::Bindings { user, bindings } if bindings.is_empty() => drop(self.bindings.remove(&user)),
            Change::Bindings { user, bindings } => drop(self.bindings.insert(user, bindings)),
            Change::Claim { person, claim: Some(claim) } => drop(self.claims.insert(person, claim)),
            Change::Claim { person, claim: None } => drop(self.claims.remove(&person)),
            Change::Call(call) => drop(self.calls.insert(call.call, *call)),
            Change::Over(record) => drop(self.calls.remove(&record.call)),
            Change::Pointer { .. } | Change::Member { .. } | Change::Caller { .. } => {}
        }
    }

    pub fn stands_in(self, saved: &Saved) {
        assert_eq!(self.bindings.into_iter().collect::<Vec<_>>(), saved.bindings);
        let switches = self.switches.into_iter().map(|(user, (own, paused))| (user, own, paused));
        assert_eq!(switches.collect::<Vec<_>>(), saved.switches);
        assert_eq!(self.claims.into_iter().collect::<Vec<_>>(), saved.claims);
        assert_eq!(self.calls.into_values().collect::<Vec<_>>(), saved.calls);
    }
}

fn config() -> Arc<Config> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    let load = || {
        let machine = "[sip]\nlisten = [\"udp:203.0.113.10:5060\"]\n[control]\nsocket = \"c\"\n[trunks.airtel]\n\
            sources = [\"192.0.2.0/28\"]\nproxy = \"sip:192.0.2.1:5060\"\n";
        let company = |name: &str, extension: u32| {
            format!(
                "name = \"{name}\"\ndomain = \"{name}.example\"\ntimezone = \"Asia/Kolkata\"\n[departments.sales]\n\
                 members = [\"{extension}\"]\n[users.{extension}]\nname = \"U\"\npassword = \"secret-of-{extension}\"\n\
                 person = \"asha\"\n"
            )
        };
        let files = [
            (PathBuf::from("switchboard.toml"), machine.as_bytes().to_vec()),
            (PathBuf::from("companies/acme.toml"), company("acme", 220).into_bytes()),
            (PathBuf::from("companies/globex.toml"), company("globex", 301).into_bytes()),
        ];
        match config::load_texts(&files) {
            Ok(config) => Arc::new(config),
            Err(problems) => panic!("the target's configuration is wrong:\n{}", problems.render(false)),
        }
    };
    Arc::clone(CONFIG.get_or_init(load))
}

/// A daemon starts with what was saved: it runs for an hour, and lets go of all that was going on.
pub fn restored(saved: &Saved) {
    let mut now = Now { mono: Instant::from_nanos(1_000_000_000), wall: WallTime::from_unix_millis(START) };
    let address = SocketAddr::from(([203, 0, 113, 10], 5060));
    let listener = Listener { id: ListenerId(0), address, advertised: address.to_string() };
    let mut engine = Engine::restored(now, [3; 32], config(), vec![listener], saved.clone());
    while engine.poll_output().is_some() {}
    for _ in 0..2000 {
        let Some(at) = engine.poll_timeout() else { return };
        let passed = at.since(now.mono);
        if passed.as_secs() > 3600 {
            return;
        }
        now = now + passed;
        engine.handle_timeout(now);
        while engine.poll_output().is_some() {}
        assert!(
            engine.poll_timeout().is_none_or(|at| at > now.mono),
            "after a drain the next timeout is in the future"
        );
    }
    panic!("it does not come to rest");
}
