//! `switchboard log`, `trace` and `report` as they are typed, over a store that is open for writing or not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use switchboard::state::{CallRecord, Change, Embedded, Number, Store};

/// 2026-11-22T10:31:00+05:30
const MORNING: i64 = 1_795_323_660_000;

/// A configuration of two companies, and its state.
struct Books {
    directory: tempfile::TempDir,
    store: Option<Embedded>,
}

impl Books {
    fn new() -> Books {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("companies")).unwrap();
        fs::write(directory.path().join("switchboard.toml"), "[state]\ndirectory = \"state\"\n").unwrap();
        for (id, zone) in [("acme", "Asia/Kolkata"), ("globex", "Europe/London")] {
            let text = format!("name = \"{id}\"\ndomain = \"{id}.example\"\ntimezone = \"{zone}\"\n");
            fs::write(directory.path().join(format!("companies/{id}.toml")), text).unwrap();
        }
        let mut store = Embedded::open(&directory.path().join("state")).unwrap();
        let changes: Vec<(Number, Change)> =
            (1..).map(Number).zip(calls().into_iter().map(|record| Change::Over(Box::new(record)))).collect();
        store.write(&changes).unwrap();
        Books { directory, store: Some(store) }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run(&self, line: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        program.args(line).arg("--config").arg(self.path()).env("TZ", "UTC").stdin(Stdio::null());
        program.output().unwrap()
    }

    fn done(&self, line: &[&str]) -> String {
        let output = self.run(line);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn refused(&self, line: &[&str], status: i32) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(status), "{line:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// One call: the `number`th, so many minutes after MORNING.
fn call(number: u64, company: &str, caller: &str, minutes: i64, outcome: &str) -> CallRecord {
    let started = MORNING + minutes * 60_000;
    let answered = outcome == "answered";
    let member = match outcome {
        "answered" => json!({ "outcome": "answered", "ring": 8.0, "offer": 1, "at": "2026-11-22T10:31:01+05:30" }),
        _ => json!({ "outcome": "no-answer", "ring": 25.0, "offer": 1, "at": "2026-11-22T10:31:01+05:30" }),
    };
    let (cause, status) = match outcome {
        "answered" => ("answered", 200),
        "cut-off" => ("cut-off", 500),
        _ => ("no-answer", 480),
    };
    let mut asha = json!({ "extension": "221", "person": "asha" });
    asha.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "call": number, "company": company, "trunk": "airtel", "from_user": null,
        "sip_call_id": format!("id-{number}\u{1b}[2J@192.0.2.1"),
        "started_at": started, "answered_at": answered.then_some(started + 8000),
        "ended_at": started + if answered { 68_000 } else { 25_000 },
        "answered_by": if answered { vec!["221"] } else { vec![] },
        "ended_by": match outcome { "answered" => "callee", "cut-off" => "cut-off", _ => "refused" },
        "status": status,
        "decision": {
            "number": "+918041234567", "company": company, "caller": caller, "at": "2026-11-22T10:31:00+05:30",
            "label": "Sales", "route": { "to": "department:sales", "hours": "office" },
            "steps": [{ "department": "sales", "strategy": "serial", "cause": (!answered).then_some("no-answer"), "members": [
                asha,
                { "extension": "222", "person": "ravi", "skip": "on-call", "evidence": "at globex since 10:20 IST" }
            ] }],
            "answer": { "status": status, "q850": 19, "cause": cause, "text": "nobody in sales answered" }
        }
    }))
    .unwrap()
}

fn calls() -> Vec<CallRecord> {
    vec![
        call(1, "acme", "+919811112222", 0, "answered"),
        call(2, "acme", "=cmd|'/C calc'!A0", 5, "no-answer"),
        call(3, "acme", "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nx", 10, "no-answer"),
        call(4, "globex", "+447700900123", 15, "answered"),
        call(5, "acme", "+919811113333", 20, "cut-off"),
    ]
}

#[test]
fn the_log_is_shown_newest_first_on_each_companys_clock() {
    let books = Books::new();
    let text = books.done(&["log"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(lines[0].starts_with("CALL") && lines[1].starts_with("c5"), "{text}");
    assert!(lines[2].contains("05:16:00 GMT") && lines[2].contains("+447700900123"), "{text}");
    assert!(lines[5].contains("10:31:00 IST") && lines[5].contains("answered") && lines[5].contains("221"), "{text}");
    assert!(lines[5].contains("8 s") && lines[5].contains("1 min 00 s") && lines[5].contains("callee"), "{text}");
}

#[test]
fn a_company_sees_its_own_only_and_missed_are_the_missed() {
    let books = Books::new();
    let text = books.done(&["log", "--company", "acme"]);
    assert!(!text.contains("globex") && !text.contains("+447700900123"), "{text}");
    let missed = books.done(&["log", "--company", "acme.example", "--missed"]);
    let names: Vec<&str> = missed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["c5", "c3", "c2"], "{missed}");
    let since = books.done(&["log", "--company", "acme", "--since", "2026-11-22 10:40", "--until", "2026-11-22 10:45"]);
    assert_eq!(
        since.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect::<Vec<_>>(),
        ["c3"],
        "{since}"
    );
    let caller = books.done(&["log", "--caller", "+91 98111-12222"]);
    assert_eq!(caller.lines().count(), 2, "{caller}");
    let agent = books.done(&["log", "--agent", "221@globex"]);
    assert!(agent.lines().count() == 2 && agent.contains("c4"), "{agent}");
    assert_eq!(books.done(&["log", "--agent", "222@acme"]), "no calls\n");
    let limited = books.done(&["log", "--limit", "2"]);
    assert!(limited.contains("there are more than these 2"), "{limited}");
}

#[test]
fn nothing_that_a_caller_sends_steers_a_terminal_or_a_spreadsheet() {
    let books = Books::new();
    let trace = ["trace", "c3"];
    for line in [&["log"][..], &["log", "--csv"], &trace, &["log", "--json"], &["trace", "c3", "--json"]] {
        let output = books.run(line).stdout;
        let control = output.iter().filter(|byte| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r')).count();
        assert_eq!(control, 0, "{line:?}");
    }
    let csv = books.done(&["log", "--csv"]);
    assert!(csv.contains("'=cmd|'/C calc'!A0"), "{csv}");
    assert!(csv.contains(",+919811112222,"), "{csv}");
    assert_eq!(csv.lines().count(), 6, "a caller cannot begin a row: {csv}");
}

#[test]
fn programs_get_json() {
    let books = Books::new();
    let list: Value = serde_json::from_str(&books.done(&["log", "--company", "acme", "--json"])).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 4);
    assert_eq!(
        (&list[3]["call"], &list[3]["outcome"], &list[3]["missed"]),
        (&json!("c1"), &json!("answered"), &json!(false))
    );
    let record: CallRecord = serde_json::from_str(&books.done(&["trace", "c1", "--json"])).unwrap();
    assert_eq!(record, calls()[0]);
    let report: Value =
        serde_json::from_str(&books.done(&["report", "--week", "--at", "2026-11-22", "--json"])).unwrap();
    assert_eq!((&report["totals"]["calls"], &report["totals"]["missed"]), (&json!(5), &json!(3)));
}

#[test]
fn programs_get_every_call_or_are_told_of_the_rest() {
    let mut books = Books::new();
    let more: Vec<(Number, Change)> = (6..=150)
        .map(|number| (Number(number), Change::Over(Box::new(call(number, "acme", "+919811114444", 30, "answered")))))
        .collect();
    books.store.as_mut().unwrap().write(&more).unwrap();
    let every: Value = serde_json::from_str(&books.done(&["log", "--json"])).unwrap();
    let names: std::collections::BTreeSet<&str> =
        every.as_array().unwrap().iter().map(|call| call["call"].as_str().unwrap()).collect();
    assert_eq!((names.len(), every.as_array().unwrap().len()), (150, 150));
    assert_eq!(books.done(&["log", "--csv"]).lines().count(), 151);
    assert!(books.run(&["log", "--json"]).stderr.is_empty());
    for form in ["--json", "--csv"] {
        let said = String::from_utf8(books.run(&["log", form, "--limit", "120"]).stderr).unwrap();
        assert!(said.contains("more than these 120"), "{said}");
        assert!(books.run(&["log", form, "--limit", "150"]).stderr.is_empty());
    }
    assert!(books.done(&["log"]).contains("there are more than these 100"));
}

#[test]
fn a_call_is_traced_by_either_of_its_names() {
    let books = Books::new();
    let text = books.done(&["trace", "c1"]);
    for part in [
        "c1  +918041234567 (Sales) of acme, called by +919811112222",
        "arrived  2026-11-22 10:31:00 IST by trunk airtel",
        "221  asha  rang 8 s from 10:31:01 IST (offer 1): answered",
        "222  ravi  skipped: on-call",
        "at globex since 10:20 IST",
        "answered by 221 after 8 s, talked 1 min 00 s; whoever answered hung up",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(books.done(&["trace", "id-1\u{1b}[2J@192.0.2.1"]), text);
    let own = books.done(&["trace", "c1", "--company", "acme"]);
    assert!(own.contains("busy elsewhere since 10:20 IST") && !own.contains("globex"), "{own}");
    assert!(books.refused(&["trace", "c4", "--company", "acme"], 1).contains("no call c4"));
    assert!(books.refused(&["trace", "c99"], 1).contains("no call c99"));
    let cut = books.done(&["trace", "c5"]);
    assert!(cut.contains("cut off: the daemon ended"), "{cut}");
}

#[test]
fn a_report_tells_a_day_a_week_and_a_month() {
    let books = Books::new();
    for span in [&[][..], &["--day"], &["--week"], &["--month"]] {
        let mut line = vec!["report", "--company", "acme", "--at", "2026-11-22"];
        line.extend(span);
        let text = books.done(&line);
        assert!(text.starts_with("acme, "), "{text}");
        assert!(text.contains("calls    4: 1 answered, 3 missed"), "{text}");
        assert!(text.contains("in time  25 % of them answered within 20 s"), "{text}");
        assert!(text.contains("cut-off") && text.contains("no-answer"), "{text}");
        assert!(text.contains("on-call") && text.contains("222@acme 4×"), "{text}");
        assert!(text.contains("221@acme"), "{text}");
    }
    assert!(books.done(&["report", "--company", "acme", "--at", "2026-11-20"]).contains("calls    0: 0 answered"));
    let csv = books.done(&["report", "--week", "--at", "2026-11-22", "--csv"]);
    assert!(csv.contains("totals,,,missed,3") && csv.contains("agent,acme,221,offered,4"), "{csv}");
}

#[test]
fn the_log_is_read_with_no_daemon_and_beside_one() {
    let mut books = Books::new();
    let beside = books.done(&["log"]);
    books.store = None;
    assert_eq!(books.done(&["log"]), beside);
}

#[test]
fn what_stands_in_the_way_is_said() {
    let books = Books::new();
    assert!(books.refused(&["log", "--since", "soon"], 2).contains("`soon` is no time"));
    assert!(books.refused(&["log", "--since", "+262142-12-31 23:59"], 2).contains("is no time"));
    assert!(books.refused(&["log", "--company", "acmee"], 2).contains("acme, globex"));
    assert!(books.refused(&["log", "--json", "--csv"], 2).contains("cannot be used with"));
    assert!(books.refused(&["report", "--day", "--week"], 2).contains("cannot be used with"));
    let machine = books.path().join("switchboard.toml");
    fs::write(&machine, "[state]\ndirectory = \"elsewhere\"\n").unwrap();
    assert!(books.refused(&["log"], 1).contains("there is no store at"));
    fs::write(&machine, "").unwrap();
    assert!(books.refused(&["log"], 1).contains("has no `[state] directory`"));
    fs::write(&machine, "[state]\ndirectory = \"state\"\n").unwrap();
    fs::write(
        books.path().join("state/switchboard.db"),
        "not a store, but some text that is long enough to be looked at as one: it is no database of any kind",
    )
    .unwrap();
    assert!(books.refused(&["log"], 1).contains("is not a store of switchboard"));
}
