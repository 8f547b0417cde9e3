//! Changes of every kind, for tests.

use std::net::SocketAddr;

use bytes::Bytes;
use chrono::NaiveDate;
use proptest::prelude::*;

use super::change::*;
use super::record::{CallRecord, EndedBy};
use crate::id::{CallRef, CompanyId, DepartmentId, Extension, OfferId, PersonId, TrunkId, UserId};
use crate::routing::{
    Answer, AnswerCause, AnsweredRecord, DecisionRecord, MemberRecord, OfferOutcome, OfferRecord, RouteRecord,
    SkipReason, StepRecord,
};
use crate::time::WallTime;

pub(crate) fn user(number: u64) -> UserId {
    let company = if number.is_multiple_of(2) { "acme" } else { "globex" };
    UserId::new(&CompanyId::new(company), &Extension::new((200 + number).to_string()))
}

pub(crate) fn at(millis: i64) -> WallTime {
    WallTime::from_unix_millis(1_795_323_660_000 + millis)
}

fn flow(port: u16) -> SavedFlow {
    SavedFlow { local: SocketAddr::from(([192, 0, 2, 10], 5060)), remote: SocketAddr::from(([198, 51, 100, 7], port)) }
}

pub(crate) fn pointer(number: u64) -> Change {
    Change::Pointer {
        company: CompanyId::new("acme"),
        department: DepartmentId::new("sales"),
        last_offered: Some(Extension::new(number.to_string())),
    }
}

pub(crate) fn binding(number: u16) -> SavedBinding {
    SavedBinding {
        contact: Bytes::from(format!("sip:221@198.51.100.7:{number}")),
        q: 700,
        expires_at: at(3_600_000),
        call_id: Bytes::from_static(b"\xff\x00not utf-8"),
        cseq: u32::from(number),
        instance: number.is_multiple_of(2).then(|| Bytes::from_static(b"<urn:uuid:1>")),
        reg_id: Some(1),
        path: vec![Bytes::from_static(b"<sip:edge.example;lr>")],
        flow: SavedFlow { local: "[2001:db8::1]:5060".parse().unwrap(), ..flow(number) },
        target: SocketAddr::from(([198, 51, 100, 7], number)),
        user_agent: Some("Phone \u{1b}[2J".to_owned()),
        registered_at: at(0),
        parameters: Bytes::from_static(b"ob"),
        request_uri_length: 24,
    }
}

/// A decision with everything in it that the log counts: 221 answered, 222 was on a call, 223 did not answer.
pub(crate) fn decision(cause: AnswerCause) -> DecisionRecord {
    let offered = |offer, outcome, ring| OfferRecord {
        offer,
        at: "2026-11-22T10:31:00+05:30".to_owned(),
        after: 0.0,
        mobile: None,
        outcome: Some(outcome),
        status: None,
        ring: Some(ring),
    };
    let answered = cause == AnswerCause::Answered;
    let member = |extension: &str, skip: Option<SkipReason>, offered| MemberRecord {
        extension: extension.to_owned(),
        person: format!("{extension}@acme"),
        skip,
        evidence: skip.map(|_| "at globex since 10:31 IST".to_owned()),
        offered,
    };
    let first = if answered { OfferOutcome::Answered } else { OfferOutcome::NoAnswer };
    DecisionRecord {
        number: "+918041234567".to_owned(),
        company: Some("acme".to_owned()),
        caller: "+919811112222".to_owned(),
        at: "2026-11-22T10:31:00+05:30".to_owned(),
        trunk: Some("airtel".to_owned()),
        from_user: None,
        form: None,
        label: Some("Sales".to_owned()),
        door: None,
        number_hours: None,
        passed: Vec::new(),
        route: Some(RouteRecord {
            to: "department:sales".to_owned(),
            hours: Some("office".to_owned()),
            rule: None,
            callers: None,
        }),
        steps: vec![StepRecord {
            department: Some("sales".to_owned()),
            strategy: Some("serial".to_owned()),
            cause: (!answered).then_some(cause),
            members: vec![
                member("223", None, Some(offered(1, OfferOutcome::NoAnswer, 5.0))),
                member("221", None, Some(offered(2, first, 4.0))),
                member("222", Some(SkipReason::OnCall), None),
            ],
            wait: Some(3.5),
            ..StepRecord::default()
        }],
        answered_by: answered.then(|| AnsweredRecord {
            offer: 2,
            extension: Some("221".to_owned()),
            person: Some("221@acme".to_owned()),
            external: None,
        }),
        answer: Some(Answer::new(cause, "in words")),
        answer_after: None,
        user_verdict: None,
    }
}

/// A call that began at so many milliseconds, rang 12.5 s and, if it was answered, lasted a minute.
pub(crate) fn record(call: u64, millis: i64, cause: AnswerCause) -> CallRecord {
    let answered = cause == AnswerCause::Answered;
    let decision = decision(cause);
    CallRecord {
        call: CallRef(call),
        company: Some(CompanyId::new("acme")),
        trunk: Some(TrunkId::new("airtel")),
        from_user: None,
        sip_call_id: format!("{call}@trunk.example"),
        started_at: at(millis),
        answered_at: answered.then(|| at(millis + 12_500)),
        ended_at: at(millis + if answered { 72_500 } else { 12_500 }),
        answered_by: if answered { vec!["221".to_owned()] } else { Vec::new() },
        ended_by: match cause {
            AnswerCause::Answered => EndedBy::Callee,
            AnswerCause::Cancelled => EndedBy::Cancelled,
            _ => EndedBy::Refused,
        },
        status: decision.answer.as_ref().map_or(487, |answer| answer.status),
        decision,
    }
}

pub(crate) fn call(number: u64) -> SavedCall {
    let peer = SavedPeer::Phone { user: user(number), contact: Some(Bytes::from_static(b"sip:221@198.51.100.7")) };
    let side = |port| SavedSide {
        flow: flow(port),
        tag: Bytes::from_static(b"tag"),
        identity: Bytes::from_static(b"<sip:221@acme.example>"),
        target: Bytes::from_static(b"sip:221@198.51.100.7"),
        route_set: vec![Bytes::from_static(b"<sip:edge.example;lr>")],
        cseq: 7,
    };
    SavedCall {
        call: CallRef(number),
        company: Some(CompanyId::new("acme")),
        trunk: Some(TrunkId::new("airtel")),
        from_user: None,
        caller_label: "+919811112222".to_owned(),
        decision: decision(AnswerCause::Answered),
        started_at: at(0),
        answered_at: Some(at(5)),
        invite: Bytes::from(vec![b'x'; 900]),
        source: flow(5060),
        names: vec!["203.0.113.10:5060".to_owned(), "sip.example.com:5060".to_owned()],
        caller: SavedPeer::Trunk(TrunkId::new("airtel")),
        final_sent: Some(200),
        offers: vec![SavedOffer {
            id: OfferId(1),
            user: Some(user(number)),
            person: Some(PersonId::new("asha")),
            department: Some(DepartmentId::new("sales")),
            label: "221".to_owned(),
            answered: true,
            settled: false,
        }],
        branches: vec![SavedBranch {
            offer: OfferId(1),
            token: u64::MAX - number,
            loop_key: 7,
            sent: Bytes::from(vec![b'y'; 700]),
            flow: flow(5062),
            peer: peer.clone(),
            ended: true,
            counted: None,
        }],
        dialogs: vec![SavedDialog {
            offer: OfferId(1),
            branch: 0,
            caller_peer: SavedPeer::Trunk(TrunkId::new("airtel")),
            callee_peer: peer,
            call_id: Bytes::from_static(b"abc"),
            caller: side(5060),
            callee: side(5062),
            session_until: None,
            longest_until: Some(at(14_400_000)),
        }],
    }
}

fn change() -> impl Strategy<Value = Change> {
    let few = 0_u64..6;
    let bindings = (few.clone(), prop::collection::vec(1024_u16..1030, 0..3)).prop_map(|(who, ports)| {
        Change::Bindings { user: user(who), bindings: ports.into_iter().map(binding).collect() }
    });
    let switches = (few.clone(), any::<Option<bool>>(), any::<bool>())
        .prop_map(|(who, takes_calls, paused)| Change::Switches { user: user(who), takes_calls, paused });
    let hold = prop_oneof![
        Just(SavedHold::Ringing),
        Just(SavedHold::OnCall),
        (0_i64..9).prop_map(|millis| SavedHold::WrapUp(at(millis)))
    ];
    let claims = (few.clone(), prop::option::of((few.clone(), hold))).prop_map(|(who, claim)| Change::Claim {
        person: PersonId::new(format!("person {who}")),
        claim: claim.map(|(call, hold)| {
            let claim = SavedClaim { call: CallRef(call), user: user(who), hold, since: at(1), behind: None };
            let behind =
                (call % 2 == 1).then(|| Box::new(SavedClaim { hold: SavedHold::WrapUp(at(2)), ..claim.clone() }));
            SavedClaim { behind, ..claim }
        }),
    });
    let pointers = (few.clone(), any::<bool>()).prop_map(|(who, there)| match pointer(who) {
        Change::Pointer { company, department, last_offered } => {
            Change::Pointer { company, department, last_offered: last_offered.filter(|_| there) }
        }
        other => other,
    });
    let members = (few.clone(), 0_u32..9).prop_map(|(who, calls)| Change::Member {
        company: CompanyId::new("acme"),
        department: DepartmentId::new("sales"),
        extension: user(who).extension,
        day: NaiveDate::from_ymd_opt(2026, 11, 22).unwrap(),
        calls,
        last_call: at(i64::from(calls)),
    });
    let callers = (few.clone(), few.clone()).prop_map(|(caller, with)| Change::Caller {
        company: CompanyId::new("acme"),
        department: DepartmentId::new("sales"),
        caller: format!("+9198111{caller:05}"),
        extension: user(with).extension,
        at: at(2),
    });
    let calls = few.clone().prop_map(|number| Change::Call(Box::new(call(number))));
    let over = few.prop_map(|number| Change::Over(Box::new(record(number, 0, AnswerCause::NoAnswer))));
    prop_oneof![bindings, switches, claims, pointers, members, callers, calls, over]
}

/// What might have happened, at most so many changes.
pub(crate) fn history(most: usize) -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 0..=most)
}
