//! Writes a call log of a week, to measure with: `cargo run --release --example fill_log -- DIRECTORY [CALLS]`.
//!
//! DIRECTORY becomes a configuration of fifty companies whose state holds the log: by default a million calls, each offered to a few
//! members, some answered, some missed, as on a busy week. Then, for example:
//!
//! ```text
//! time switchboard log --config DIRECTORY --company company7 --missed
//! time switchboard report --config DIRECTORY --week
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use switchboard::id::{CallRef, CompanyId, TrunkId};
use switchboard::routing::{
    Answer, AnswerCause, AnsweredRecord, DecisionRecord, MemberRecord, OfferOutcome, OfferRecord, RouteRecord,
    SkipReason, StepRecord,
};
use switchboard::state::{CallRecord, Change, Embedded, EndedBy, Number, Store};
use switchboard::time::WallTime;

const COMPANIES: u64 = 50;
const USERS: u64 = 20;
const WEEK: u64 = 7 * 86_400_000;

/// Chance: the same every time.
struct Dice(u64);

impl Dice {
    /// A number below `limit` (SplitMix64).
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("DIRECTORY [CALLS]"));
    let calls: u64 = arguments.next().map_or(1_000_000, |calls| calls.parse().expect("a number of calls"));
    configuration(&directory);
    let begun = Instant::now();
    let mut store = Embedded::open(&directory.join("state")).unwrap();
    let (mut dice, first) = (Dice(7), store.last().0);
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let week = now - WEEK as i64;
    let mut group = Vec::new();
    for number in 1..=calls {
        // In order, as they end; more by day than by night.
        let day = (number - 1) * 7 / calls;
        let within = ((number - 1) * 7 % calls) * 86_400_000 / calls;
        let bent = within / 2 + 6 * 3_600_000;
        let started = week + (day * 86_400_000 + bent.min(86_399_999)) as i64;
        group.push((Number(first + number), Change::Over(Box::new(call(first + number, started, &mut dice)))));
        if group.len() == 2000 || number == calls {
            store.write(&group).unwrap();
            group.clear();
        }
    }
    drop(store);
    let size = std::fs::metadata(directory.join("state/switchboard.db")).unwrap().len();
    println!("{calls} calls in {:.1?}, {} MB", begun.elapsed(), size / 1_000_000);
}

fn configuration(directory: &std::path::Path) {
    std::fs::create_dir_all(directory.join("companies")).unwrap();
    std::fs::create_dir_all(directory.join("state")).unwrap();
    let machine = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:5070\"]\n[control]\nsocket = \"{0}/control.sock\"\n[state]\ndirectory = \"state\"\n",
        directory.display()
    );
    std::fs::write(directory.join("switchboard.toml"), machine).unwrap();
    for company in 0..COMPANIES {
        let text =
            format!("name = \"Company {company}\"\ndomain = \"c{company}.example\"\ntimezone = \"Asia/Kolkata\"\n");
        std::fs::write(directory.join(format!("companies/company{company}.toml")), text).unwrap();
    }
}

fn call(call: u64, started: i64, dice: &mut Dice) -> CallRecord {
    let company = format!("company{}", dice.below(COMPANIES));
    let stamp = "2026-11-22T10:31:00+05:30".to_owned();
    let cause = match dice.below(100) {
        0..70 => AnswerCause::Answered,
        70..80 => AnswerCause::Cancelled,
        80..90 => AnswerCause::NoAnswer,
        90..95 => AnswerCause::Busy,
        95..98 => AnswerCause::Closed,
        _ => AnswerCause::BlockedCaller,
    };
    let answered = cause == AnswerCause::Answered;
    let (members, winner) = (3 + dice.below(5), dice.below(3));
    let first = dice.below(USERS);
    let ring = 2 + dice.below(23);
    let members: Vec<MemberRecord> = (0..members)
        .map(|place| {
            let extension = (200 + (first + place) % USERS).to_string();
            let skip = (place >= 3)
                .then_some([SkipReason::OnCall, SkipReason::Away, SkipReason::NotRegistered][place as usize % 3]);
            let outcome = match cause {
                AnswerCause::Answered if place == winner => OfferOutcome::Answered,
                AnswerCause::NoAnswer => OfferOutcome::NoAnswer,
                _ => OfferOutcome::Withdrawn,
            };
            let offered = skip.is_none().then(|| OfferRecord {
                offer: place as u32 + 1,
                outcome: Some(outcome),
                ring: Some(ring as f64),
                ..serde_json::from_value(serde_json::json!({ "offer": 1, "at": stamp })).unwrap()
            });
            MemberRecord {
                person: format!("{extension}@{company}"),
                extension,
                skip,
                evidence: skip.map(|_| format!("at company{} since 10:31 IST", place)),
                offered,
            }
        })
        .collect();
    let step = StepRecord {
        department: Some(["sales", "support", "billing", "night"][dice.below(4) as usize].to_owned()),
        strategy: Some("simultaneous".to_owned()),
        cause: (!answered).then_some(cause),
        members,
        ..StepRecord::default()
    };
    let answer = Answer::new(cause, "nobody in sales answered");
    let at = WallTime::from_unix_millis;
    let rang = ring as i64 * 1000;
    let number = format!("+9180412{:05}", dice.below(COMPANIES * 4));
    let refused =
        DecisionRecord::refused(Default::default(), number, format!("+9198{:08}", dice.below(300_000)), answer);
    CallRecord {
        call: CallRef(call),
        company: Some(CompanyId::new(&company)),
        trunk: Some(TrunkId::new("airtel")),
        from_user: None,
        sip_call_id: format!("{:016x}@192.0.2.1", dice.below(u64::MAX)),
        started_at: at(started),
        answered_at: answered.then(|| at(started) + Duration::from_millis(rang as u64)),
        ended_at: at(started + rang + if answered { dice.below(400_000) as i64 } else { 0 }),
        answered_by: if answered { vec![(200 + (first + winner) % USERS).to_string()] } else { Vec::new() },
        ended_by: match cause {
            AnswerCause::Answered => EndedBy::Caller,
            AnswerCause::Cancelled => EndedBy::Cancelled,
            _ => EndedBy::Refused,
        },
        status: refused.answer.as_ref().map_or(487, |answer| answer.status),
        decision: DecisionRecord {
            company: Some(company),
            at: stamp,
            trunk: Some("airtel".to_owned()),
            label: Some("Sales".to_owned()),
            route: Some(
                serde_json::from_value::<RouteRecord>(
                    serde_json::json!({ "to": "department:sales", "hours": "office" }),
                )
                .unwrap(),
            ),
            steps: if cause == AnswerCause::BlockedCaller { Vec::new() } else { vec![step] },
            answered_by: answered.then(|| AnsweredRecord { offer: 1, extension: None, person: None, external: None }),
            ..refused
        },
    }
}
