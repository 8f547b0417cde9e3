//! The store and its journal under `kill -9`: another process writes, is killed in the middle of it, and what it had said is looked
//! for in what it left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use switchboard::daemon::{Keeper, StoreReport};
use switchboard::id::{CompanyId, Extension, UserId};
use switchboard::state::{self, Change, FILE, Number, Saved, SavedBinding, SavedFlow};
use switchboard::time::WallTime;

const USERS: u64 = 40;

/// The `number`th change: each user in turn registers anew.
fn change(number: u64) -> Change {
    let address: SocketAddr = "192.0.2.10:5060".parse().unwrap();
    let binding = SavedBinding {
        contact: Bytes::from(vec![b'c'; usize::try_from(number % 97).unwrap()]),
        q: 1000,
        expires_at: WallTime::from_unix_millis(i64::try_from(number).unwrap()),
        call_id: Bytes::from_static(b"call"),
        cseq: u32::try_from(number).unwrap(),
        instance: None,
        reg_id: None,
        path: Vec::new(),
        flow: SavedFlow { local: address, remote: address },
        target: address,
        user_agent: None,
        registered_at: WallTime::default(),
        parameters: Bytes::new(),
        request_uri_length: 3,
    };
    Change::Bindings { user: user(number % USERS), bindings: vec![binding] }
}

fn user(number: u64) -> UserId {
    UserId::new(&CompanyId::new("acme"), &Extension::new(format!("{number:03}")))
}

/// Exactly the changes up to the last one it says are in it.
fn assert_whole(saved: &Saved) {
    let mut expected = BTreeMap::new();
    for number in 1..=saved.last.0 {
        if let Change::Bindings { user, bindings } = change(number) {
            expected.insert(user, bindings);
        }
    }
    assert!(saved.bindings == Vec::from_iter(expected), "not the sum of {} changes", saved.last.0);
}

const PLACE: &str = "SWITCHBOARD_TEST_STORE";

/// Not a test: the process that is killed. It says what is safe (`f`lushed) and what is on the disk (`d`urable).
#[test]
#[ignore = "run by the other tests, as a process of its own"]
fn the_process_that_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let place = Path::new(&place);
    let say = |what: char, number: u64| {
        let mut out = std::io::stdout().lock();
        // The parent is gone when the test is over.
        let _ = writeln!(out, "{what}{number}").and_then(|()| out.flush());
    };
    let tell = move |report| {
        if let StoreReport::Durable { up_to } = report {
            say('d', up_to.0);
        }
    };
    let (mut keeper, saved) = Keeper::open(&place.join("disk"), &place.join("memory"), None, Box::new(tell)).unwrap();
    for number in saved.last.0 + 1.. {
        keeper.put(Number(number), change(number));
        if number % 3 == 0 {
            keeper.flush();
            say('f', number);
        }
    }
}

/// What a process had said when it was killed.
#[derive(Debug, Default)]
struct Said {
    flushed: u64,
    durable: u64,
    lines: usize,
    /// How often something became durable.
    groups: usize,
}

impl Said {
    fn hear(&mut self, line: &str) {
        self.lines += 1;
        let (what, number) = line.split_at(line.len().min(1));
        match (what, number.parse()) {
            ("f", Ok(number)) => self.flushed = self.flushed.max(number),
            ("d", Ok(number)) => {
                self.durable = self.durable.max(number);
                self.groups += 1;
            }
            _ => {}
        }
    }
}

/// Lets a process write until it has said so many things, and kills it.
fn write_and_die(place: &Path, lines: usize) -> Said {
    write_until(place, |said| said.lines >= lines)
}

/// Lets a process write until what it has said is enough, and kills it.
fn write_until(place: &Path, is_enough: impl Fn(&Said) -> bool) -> Said {
    fs::create_dir_all(place.join("disk")).unwrap();
    fs::create_dir_all(place.join("memory")).unwrap();
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--ignored", "--exact", "the_process_that_is_killed", "--nocapture", "--test-threads=1"]);
    let mut child: Child =
        program.env(PLACE, place).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = Said::default();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    while !is_enough(&said) {
        said.hear(&output.next().expect("it goes on until it is killed"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts too.
    output.for_each(|line| said.hear(&line));
    assert!(said.flushed > 0, "it wrote nothing");
    said
}

#[test]
fn a_killed_process_loses_nothing_that_was_flushed() {
    let place = tempfile::tempdir().unwrap();
    for round in 1..=8 {
        let said = write_and_die(place.path(), 50 + 211 * round);
        let opened = state::open(&place.path().join("disk"), &place.path().join("memory")).unwrap();
        assert!(opened.saved.last.0 >= said.flushed, "{said:?}, found {}", opened.saved.last.0);
        assert_whole(&opened.saved);
    }
}

#[test]
fn a_machine_that_loses_its_power_keeps_what_was_durable() {
    for round in 1..=4 {
        let place = tempfile::tempdir().unwrap();
        let said = write_and_die(place.path(), 100 + 301 * round);
        fs::remove_dir_all(place.path().join("memory")).unwrap();
        let opened = state::open(&place.path().join("disk"), &place.path().join("memory")).unwrap();
        assert!(opened.saved.last.0 >= said.durable, "{said:?}, found {}", opened.saved.last.0);
        assert_whole(&opened.saved);
    }
}

#[test]
fn a_log_of_sqlite_that_is_cut_anywhere_gives_what_was_whole() {
    let place = tempfile::tempdir().unwrap();
    let said = write_until(place.path(), |said| said.groups >= 3);
    let disk = place.path().join("disk");
    let log = fs::read(disk.join("switchboard.db-wal")).unwrap();
    assert!(!log.is_empty());
    let mut seen = Vec::new();
    for part in 0..=24 {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(disk.join(FILE), copy.path().join(FILE)).unwrap();
        // In the midst of things, but the last time.
        let cut = if part == 24 { log.len() } else { (log.len() * part / 24).saturating_sub(part * 7 % 31) };
        fs::write(copy.path().join("switchboard.db-wal"), &log[..cut]).unwrap();
        let opened = state::open(copy.path(), &copy.path().join("memory")).unwrap();
        assert_whole(&opened.saved);
        seen.push(opened.saved.last);
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(seen[24].0 >= said.durable && seen[24] > seen[0], "{said:?} {seen:?}");
}

#[test]
fn a_journal_of_another_store_stops_the_start_and_is_left_as_it_is() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_and_die(one.path(), 200);
    let journal = one.path().join("memory/journal-a");
    let before = fs::read(&journal).unwrap();
    let error = state::open(&other.path().join("disk"), &one.path().join("memory")).map(|_| ()).unwrap_err();
    assert_eq!(error.name(), "journal-of-another");
    assert!(error.to_string().contains("journal-a"), "{error}");
    assert!(fs::read(&journal).unwrap() == before);
    state::open(&one.path().join("disk"), &one.path().join("memory")).unwrap();
}

#[test]
fn an_end_in_order_leaves_an_empty_journal() {
    let place = tempfile::tempdir().unwrap();
    let (disk, memory) = (place.path().join("disk"), place.path().join("memory"));
    let (mut keeper, _) = Keeper::open(&disk, &memory, None, Box::new(|_| {})).unwrap();
    for number in 1..=500 {
        keeper.put(Number(number), change(number));
    }
    keeper.close(Duration::from_secs(20)).unwrap();
    let opened = state::open(&disk, &memory).unwrap();
    assert_eq!((opened.found.replayed, opened.saved.last.0), (0, 500));
    assert_whole(&opened.saved);
}
