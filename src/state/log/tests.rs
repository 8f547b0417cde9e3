use chrono_tz::Tz;

use super::*;
use crate::id::{CompanyId, Extension, UserId};
use crate::routing::AnswerCause;
use crate::state::samples::{at, record};
use crate::state::{Change, Embedded, Number, Store};
use crate::time::WallTime;

struct Logged {
    directory: tempfile::TempDir,
    store: Embedded,
    log: CallLog,
    next: u64,
}

impl Logged {
    fn new() -> Logged {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let log = CallLog::open(directory.path()).unwrap();
        Logged { directory, store, log, next: 1 }
    }

    fn put(&mut self, record: CallRecord) {
        self.store.write(&[(Number(self.next), Change::Over(Box::new(record)))]).unwrap();
        self.next += 1;
    }

    fn found(&self, filter: &Filter) -> Vec<String> {
        self.log.query(filter).unwrap().calls.into_iter().map(|row| row.call).collect()
    }
}

fn acme() -> Companies {
    Companies::These(vec![CompanyId::new("acme")])
}

const HOUR: i64 = 3_600_000;

/// Seven calls of three companies, an hour apart.
fn filled() -> Logged {
    let mut logged = Logged::new();
    let causes = [
        AnswerCause::Answered,
        AnswerCause::NoAnswer,
        AnswerCause::Cancelled,
        AnswerCause::BlockedCaller,
        AnswerCause::Answered,
        AnswerCause::Closed,
    ];
    for (number, cause) in (1..).zip(causes) {
        logged.put(record(number, i64::try_from(number).unwrap() * HOUR, cause));
    }
    let mut other = record(7, 7 * HOUR, AnswerCause::NoAnswer);
    (other.company, other.decision.caller) = (Some(CompanyId::new("globex")), "=cmd()".to_owned());
    other.from_user = Some(UserId::new(&CompanyId::new("acme"), &Extension::new("221")));
    logged.put(other);
    logged
}

#[test]
fn a_search_finds_what_all_that_is_said_holds_of() {
    let logged = filled();
    let any = Filter::default();
    let user = |text: &str| text.split_once('@').map(|(e, c)| UserId::new(&CompanyId::new(c), &Extension::new(e)));
    for (what, filter, expected) in [
        ("all", any.clone(), "c7 c6 c5 c4 c3 c2 c1"),
        ("a company's", Filter { companies: acme(), ..any.clone() }, "c6 c5 c4 c3 c2 c1"),
        ("nobody's", Filter { companies: Companies::These(Vec::new()), ..any.clone() }, ""),
        ("missed", Filter { which: Which::Missed, ..any.clone() }, "c7 c6 c3 c2"),
        ("a company's missed", Filter { which: Which::Missed, companies: acme(), ..any.clone() }, "c6 c3 c2"),
        ("answered", Filter { which: Which::Answered, ..any.clone() }, "c5 c1"),
        ("since", Filter { since: Some(at(5 * HOUR)), ..any.clone() }, "c7 c6 c5"),
        ("until", Filter { until: Some(at(3 * HOUR)), ..any.clone() }, "c2 c1"),
        ("caller", Filter { caller: Some("=cmd()".to_owned()), ..any.clone() }, "c7"),
        ("number", Filter { number: Some("+15550100".to_owned()), ..any.clone() }, ""),
        ("trunk", Filter { trunk: Some("airtel".to_owned()), limit: 2, ..any.clone() }, "c7 c6"),
        ("outcome", Filter { outcome: Some("closed".to_owned()), ..any.clone() }, "c6"),
        ("call-id", Filter { sip_call_id: Some("3@trunk.example".to_owned()), ..any.clone() }, "c3"),
        ("offered or calling", Filter { user: user("221@acme"), since: Some(at(5 * HOUR)), ..any.clone() }, "c7 c6 c5"),
        ("skipped only", Filter { user: user("222@acme"), ..any.clone() }, ""),
        ("a quote in it", Filter { caller: Some("' OR 1=1 --".to_owned()), ..any.clone() }, ""),
    ] {
        assert_eq!(logged.found(&filter).join(" "), expected, "{what}");
    }
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let mut logged = filled();
    // Two of the same moment.
    logged.put(record(8, 3 * HOUR, AnswerCause::Answered));
    for filter in [
        Filter { limit: 2, ..Filter::default() },
        Filter { limit: 2, companies: acme(), ..Filter::default() },
        Filter {
            limit: 1,
            user: Some(UserId::new(&CompanyId::new("acme"), &Extension::new("223"))),
            ..Filter::default()
        },
    ] {
        let whole = logged.found(&Filter { limit: 100, ..filter.clone() });
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = logged.log.query(&Filter { after, ..filter.clone() }).unwrap();
            all.extend(page.calls.into_iter().map(|row| row.call));
            let Some(next) = page.next else { break };
            after = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(all, whole);
    }
}

#[test]
fn a_record_comes_back_whole_and_another_process_may_read_it_meanwhile() {
    let logged = filled();
    assert_eq!(logged.log.find(CallRef(2)).unwrap(), Some(record(2, 2 * HOUR, AnswerCause::NoAnswer)));
    assert_eq!(logged.log.find(CallRef(99)).unwrap(), None);
    let Logged { directory, store, log, .. } = logged;
    drop((store, log));
    let log = CallLog::open(directory.path()).unwrap();
    assert!(log.find(CallRef(2)).unwrap().is_some(), "without a daemon too");
    let error = CallLog::open(&directory.path().join("nowhere")).unwrap_err();
    assert_eq!(error.name(), "absent");
}

fn question(companies: Companies) -> ReportQuestion {
    ReportQuestion {
        companies,
        from: at(-24 * HOUR),
        until: at(24 * HOUR),
        zone: Tz::Asia__Kolkata,
        spread: Spread::Days,
    }
}

#[test]
fn a_report_adds_up_what_its_calls_were() {
    let logged = filled();
    let report = logged.log.report(&question(acme())).unwrap();
    let totals = &report.totals;
    assert_eq!((totals.calls, totals.answered, totals.missed, totals.declined, totals.inside), (5, 2, 3, 1, 0));
    // 12.5 s is in time; three were missed.
    assert_eq!((totals.in_time, totals.service_level), (2, Some(40.0)));
    assert_eq!((totals.average_wait, totals.longest_wait, totals.average_talk), (Some(12.5), 12.5, Some(60.0)));
    let missed: Vec<(&str, u64)> = report.missed.iter().map(|missed| (missed.cause.as_str(), missed.calls)).collect();
    assert_eq!(missed, [("cancelled", 1), ("closed", 1), ("no-answer", 1)]);
    let asha = report.agents.iter().find(|agent| agent.extension == "221").unwrap();
    assert_eq!((asha.offered, asha.answered, asha.no_answer, asha.talk), (6, 2, 4, 120.0));
    assert_eq!(asha.average_ring, Some(4.0));
    assert_eq!((report.departments.len(), report.departments[0].calls, report.departments[0].answered), (1, 6, 2));
    assert_eq!(report.departments[0].average_in_line, Some(3.5));
    let skips: Vec<_> =
        report.skips.iter().map(|skip| (skip.reason.as_str(), skip.extension.as_str(), skip.times)).collect();
    assert_eq!(skips, [("on-call", "222", 6)]);
    // at(0) is 10:31 in Kolkata; the first call came at 11:31.
    assert_eq!(report.periods.len(), 1);
    assert_eq!((report.periods[0].period.as_str(), report.periods[0].calls), ("2026-11-22", 5));
    assert_eq!(report.busiest.iter().map(|hour| hour.hour).collect::<Vec<_>>(), [11, 12, 13, 15, 16]);
    let all = logged.log.report(&question(Companies::All)).unwrap();
    assert_eq!((all.totals.calls, all.totals.missed), (6, 4));
    let nobody = logged.log.report(&question(Companies::These(Vec::new()))).unwrap();
    assert_eq!((nobody.totals, nobody.agents.len()), (Totals::default(), 0));
}

#[test]
fn days_are_those_of_the_zone_also_where_it_is_a_quarter_off() {
    let mut logged = Logged::new();
    // 2026-11-22 18:20 UTC is five past midnight in Kathmandu (+05:45), and ten to in Kolkata.
    let evening = WallTime::from_unix_millis(1_795_371_600_000).unix_millis() - at(0).unix_millis();
    logged.put(record(1, evening, AnswerCause::Answered));
    for (zone, expected) in [(Tz::Asia__Kathmandu, "2026-11-23"), (Tz::Asia__Kolkata, "2026-11-22")] {
        let report = logged.log.report(&ReportQuestion { zone, ..question(acme()) }).unwrap();
        assert_eq!(report.periods[0].period, expected);
    }
}

#[test]
fn a_call_between_colleagues_is_logged_and_not_missed() {
    let mut logged = Logged::new();
    let mut inside = record(1, 0, AnswerCause::NoAnswer);
    inside.from_user = Some(UserId::new(&CompanyId::new("acme"), &Extension::new("224")));
    logged.put(inside);
    let report = logged.log.report(&question(acme())).unwrap();
    assert_eq!((report.totals.inside, report.totals.calls, report.missed.len()), (1, 0, 0));
    assert!(logged.found(&Filter { which: Which::Missed, ..Filter::default() }).is_empty());
}

#[test]
fn old_records_go_with_everything_that_was_made_of_them() {
    let mut logged = filled();
    assert_eq!(logged.store.prune(at(4 * HOUR), 2).unwrap(), 2);
    assert_eq!(logged.found(&Filter::default()).join(" "), "c7 c6 c5 c4 c3", "the oldest first");
    assert_eq!(logged.store.prune(at(4 * HOUR), 2).unwrap(), 1);
    assert_eq!(logged.store.prune(at(4 * HOUR), 2).unwrap(), 0);
    assert_eq!(logged.found(&Filter::default()).join(" "), "c7 c6 c5 c4");
    assert_eq!(logged.log.find(CallRef(1)).unwrap(), None);
    let report = logged.log.report(&question(acme())).unwrap();
    assert_eq!((report.totals.answered, report.totals.missed), (1, 1));
    let count = |table: &str| -> u32 {
        logged.log.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    logged.store.prune(at(24 * HOUR), 100).unwrap();
    for table in [
        "calls",
        "records",
        "offered",
        "quarter_calls",
        "quarter_missed",
        "quarter_departments",
        "quarter_agents",
        "quarter_skips",
    ] {
        assert_eq!(count(table), 0, "{table}");
    }
}
