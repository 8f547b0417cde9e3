use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::id::{CompanyId, DepartmentId, Extension};
use crate::routing::AnswerCause;
use crate::state::samples::{self, at};
use crate::state::{CallRecord, encoding, open};

fn numbered(from: u64, changes: &[Change]) -> Vec<(Number, Change)> {
    (from..).map(Number).zip(changes.iter().cloned()).collect()
}

/// What a store should give back, by the plainest of means.
fn expected(changes: &[Change]) -> Saved {
    let mut saved = Saved { start: 1, last: Number(u64::try_from(changes.len()).unwrap()), ..Saved::default() };
    let (mut bindings, mut switches, mut claims) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut pointers, mut members, mut calls) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for change in changes {
        match change.clone() {
            Change::Bindings { user, bindings: all } => drop(bindings.insert(user, all)),
            Change::Switches { user, takes_calls, paused } => drop(switches.insert(user, (takes_calls, paused))),
            Change::Claim { person, claim } => drop(claims.insert(person, claim)),
            Change::Pointer { company, department, last_offered } => {
                pointers.insert((company, department), last_offered);
            }
            Change::Member { company, department, extension, day, calls, last_call } => {
                members.insert((company, department, extension), (day, calls, last_call));
            }
            Change::Caller { company, department, caller, extension, at } => {
                saved.callers.retain(|(_, _, other, _, _)| *other != caller);
                saved.callers.push((company, department, caller, extension, at));
            }
            Change::Call(call) => drop(calls.insert(call.call, *call)),
            Change::Over(record) => drop(calls.remove(&record.call)),
        }
    }
    saved.bindings = bindings.into_iter().filter(|(_, all)| !all.is_empty()).collect();
    saved.switches = (switches.into_iter())
        .filter(|(_, switches)| *switches != (None, false))
        .map(|(user, (takes, paused))| (user, takes, paused))
        .collect();
    saved.claims = claims.into_iter().filter_map(|(person, claim)| Some((person, claim?))).collect();
    saved.pointers = pointers.into_iter().filter_map(|((c, d), e)| Some((c, d, e?))).collect();
    saved.members = members.into_iter().map(|((c, d, e), (day, calls, last))| (c, d, e, day, calls, last)).collect();
    saved.calls = calls.into_values().collect();
    saved
}

fn records(store: &Embedded) -> Vec<CallRecord> {
    let mut statement = store.connection.prepare("SELECT record FROM records ORDER BY call").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(|bytes| encoding::decode(&bytes.unwrap()).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_sum_of_all_changes_comes_back(changes in samples::history(60), split in any::<prop::sample::Index>()) {
        let directory = tempfile::tempdir().unwrap();
        let split = split.index(changes.len() + 1);
        let all = numbered(1, &changes);
        let mut store = Embedded::open(directory.path()).unwrap();
        store.write(&all[..split]).unwrap();
        store.write(&all).unwrap();
        store.write(&all[..split]).unwrap();
        prop_assert_eq!(store.last().0, u64::try_from(changes.len()).unwrap());
        let mut expected = expected(&changes);
        prop_assert_eq!(store.begin().unwrap(), expected.clone());
        drop(store);
        expected.start = 2;
        let mut store = Embedded::open(directory.path()).unwrap();
        prop_assert_eq!(store.begin().unwrap(), expected);
        let calls: std::collections::BTreeSet<_> = changes.iter().filter_map(|change| match change {
            Change::Over(record) => Some(record.call),
            _ => None,
        }).collect();
        prop_assert_eq!(records(&store).into_iter().map(|record| record.call).collect::<Vec<_>>(), Vec::from_iter(calls));
    }

    #[test]
    fn a_start_takes_up_what_the_journal_has_beyond_the_store(changes in samples::history(30), durable in any::<prop::sample::Index>()) {
        let (directory, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all = numbered(1, &changes);
        let durable = durable.index(all.len() + 1);
        {
            let mut opened = open(directory.path(), memory.path()).unwrap();
            let (mut journal, _) = opened.journal.unwrap();
            for (number, change) in &all {
                let mut frames = Vec::new();
                crate::state::frame_change(&mut frames, opened.store.identity(), *number, change).unwrap();
                journal.append(&frames, *number, Number(0)).unwrap();
            }
            opened.store.write(&all[..durable]).unwrap();
        }
        let opened = open(directory.path(), memory.path()).unwrap();
        prop_assert_eq!(opened.found.replayed, all.len() - durable);
        let expected = Saved { start: 2, ..expected(&changes) };
        prop_assert_eq!(opened.saved, expected);
        drop(opened.store);
        prop_assert_eq!(open(directory.path(), memory.path()).unwrap().found.replayed, 0);
    }
}

#[test]
fn a_call_is_logged_once_and_goes_on_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(directory.path()).unwrap();
    let first = samples::record(7, 0, AnswerCause::Answered);
    let second = CallRecord { status: 500, ..first.clone() };
    let over = |record: &CallRecord| Change::Over(Box::new(record.clone()));
    let changes = [Change::Call(Box::new(samples::call(7))), over(&first), over(&second)];
    store.write(&numbered(1, &changes)).unwrap();
    assert_eq!(records(&store), [first]);
    assert!(store.begin().unwrap().calls.is_empty());
}

#[test]
fn callers_are_remembered_up_to_a_bound_and_the_oldest_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(directory.path()).unwrap();
    let caller = |number: u64, department: &str| Change::Caller {
        company: CompanyId::new("acme"),
        department: DepartmentId::new(department),
        caller: number.to_string(),
        extension: Extension::new("221"),
        at: at(0),
    };
    let mut changes: Vec<Change> = (0..10_000).map(|number| caller(number, "sales")).collect();
    changes.extend([caller(0, "sales"), caller(10_000, "sales"), caller(5, "support")]);
    let all = numbered(1, &changes);
    store.write(&all[..9000]).unwrap();
    store.write(&all).unwrap();
    let saved = store.begin().unwrap();
    let names: Vec<&str> = saved.callers.iter().map(|(_, _, caller, _, _)| caller.as_str()).collect();
    assert_eq!((names.len(), names[0], names[9998], names[9999], names[10_000]), (10_001, "2", "0", "10000", "5"));
}

#[test]
fn one_daemon_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    let error = Embedded::open(directory.path()).unwrap_err();
    assert_eq!(error, StoreError::InUse { path: directory.path().to_owned() });
    let reader = open_file(&directory.path().join(FILE), Writing::No).unwrap();
    let count: u32 = reader.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0, "readers are let in");
    assert!(reader.execute("DELETE FROM store", []).is_err(), "to read");
    drop(store);
    Embedded::open(directory.path()).unwrap();
}

#[test]
fn what_is_not_ours_is_named_and_left_as_it_is() {
    let sound = {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Embedded::open(directory.path()).unwrap();
        let changes: Vec<Change> = (0..400)
            .map(|number| Change::Bindings { user: samples::user(number), bindings: vec![samples::binding(5060)] })
            .collect();
        store.write(&numbered(1, &changes)).unwrap();
        drop(store);
        fs::read(directory.path().join(FILE)).unwrap()
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[at] = byte;
        bytes
    };
    // A page of bindings, overwritten.
    let mut torn = sound.clone();
    let binding = sound.windows(8).rposition(|bytes| bytes == b"sip:221@").unwrap();
    let page = binding / 8192 * 8192;
    torn[page..page + 8192].fill(0xa5);
    let foreign = {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        fs::read(path).unwrap()
    };
    for (what, bytes, name) in [
        ("empty", Vec::new(), "foreign"),
        ("text", b"registrations: none\n".repeat(20), "foreign"),
        ("short", b"SQLite format 3\0".to_vec(), "foreign"),
        ("another program's", foreign, "foreign"),
        ("another application", changed(68, b'X'), "foreign"),
        ("later", changed(63, 200), "newer"),
        ("cut off", sound[..sound.len() - 8192].to_vec(), "damaged"),
        ("overwritten in the middle", torn, "damaged"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, &bytes).unwrap();
        let error = Embedded::open(directory.path()).map(|_| ()).unwrap_err();
        assert_eq!(error.name(), name, "{what}: {error}");
        assert!(error.to_string().contains(FILE), "{what}: {error}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: it was changed");
    }
}

#[test]
fn a_log_without_its_file_is_no_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("switchboard.db-wal"), b"changes").unwrap();
    let error = Embedded::open(directory.path()).unwrap_err();
    assert_eq!(error.name(), "damaged", "{error}");
    assert!(!directory.path().join(FILE).exists());
}

#[test]
fn counts_below_zero_are_damage() {
    for column in ["last", "starts"] {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Embedded::open(directory.path()).unwrap();
        store.connection.execute(&format!("UPDATE store SET {column} = -2"), []).unwrap();
        assert_eq!(store.begin().unwrap_err().name(), "damaged", "{column}");
        drop(store);
        let again = Embedded::open(directory.path()).and_then(|mut store| store.begin());
        assert_eq!(again.unwrap_err().name(), "damaged", "{column}");
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    for path in ["file", "not/there", "file/inside"] {
        let error = Embedded::open(&directory.path().join(path)).unwrap_err();
        assert_eq!(error.name(), "directory", "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
    Embedded::open(&directory.path().join("new")).unwrap();
}

#[test]
fn a_full_disk_is_an_error_and_what_was_refused_can_be_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Embedded::open(directory.path()).unwrap();
    store.connection.pragma_update_and_check(None, "max_page_count", 40, |_| Ok(())).unwrap();
    let changes: Vec<Change> = (0..2000)
        .map(|number| Change::Bindings { user: samples::user(number), bindings: vec![samples::binding(5060)] })
        .collect();
    let all = numbered(1, &changes);
    store.write(&all[..10]).unwrap();
    let error = store.write(&all).unwrap_err();
    assert_eq!(error.name(), "failed");
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(store.last(), Number(10));
    store.connection.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
    store.write(&all).unwrap();
    assert_eq!(store.begin().unwrap().bindings.len(), 2000);
}

/// `cargo test --release --lib state::embedded::tests::opening -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stderr)]
fn opening_fifty_thousand_bindings_takes_well_under_a_second() {
    let (directory, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = Embedded::open(directory.path()).unwrap();
    let mut changes: Vec<Change> = (0..50_000)
        .map(|number| Change::Bindings { user: samples::user(number), bindings: vec![samples::binding(5060)] })
        .collect();
    changes.extend((0..2000).map(|number| Change::Call(Box::new(samples::call(number)))));
    let begun = std::time::Instant::now();
    store.write(&numbered(1, &changes)).unwrap();
    eprintln!("written in {:?}", begun.elapsed());
    drop(store);
    let begun = std::time::Instant::now();
    let store = Embedded::open(directory.path()).unwrap();
    eprintln!("opened and checked in {:?}", begun.elapsed());
    drop(store);
    let begun = std::time::Instant::now();
    let opened = open(directory.path(), memory.path()).unwrap();
    eprintln!("opened, checked and loaded in {:?}", begun.elapsed());
    assert_eq!((opened.saved.bindings.len(), opened.saved.calls.len()), (50_000, 2000));
}

#[test]
fn a_store_of_version_one_becomes_one_of_today_with_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let record = samples::record(7, 0, AnswerCause::NoAnswer);
    {
        let old = schema::of_version(&path, 1);
        let value = encoding::encode(&vec![samples::binding(5060)]).unwrap();
        old.execute("INSERT INTO bindings VALUES ('acme', '221', ?1)", [value]).unwrap();
        old.execute("INSERT INTO records VALUES (7, ?1)", [encoding::encode(&record).unwrap()]).unwrap();
    }
    let log = crate::state::CallLog::open(directory.path());
    assert_eq!(log.unwrap_err().name(), "older", "nobody who only reads changes it");
    let mut store = Embedded::open(directory.path()).unwrap();
    let saved = store.begin().unwrap();
    assert_eq!((saved.start, saved.last, saved.bindings.len()), (5, Number(9), 1));
    drop(store);
    let log = crate::state::CallLog::open(directory.path()).unwrap();
    assert_eq!(log.find(record.call).unwrap(), Some(record));
    let page = log.query(&crate::state::Filter { which: crate::state::Which::Missed, ..Default::default() }).unwrap();
    assert_eq!(page.calls.len(), 1);
}
