use std::sync::mpsc::{Receiver, channel};
use std::sync::{Condvar, Mutex};

use super::queue::{IN_MEMORY, IN_MEMORY_AT_MOST};
use super::writer::GATHER;
use super::*;
use crate::state::samples;
use crate::time::WallTime;

/// What a store does when it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Refuses,
    Hangs,
}

/// A store in memory that does what the test says.
#[derive(Clone, Debug)]
struct Moody(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Debug)]
struct Inside {
    mood: Mood,
    taken: Vec<(Number, Change)>,
    pruned: Vec<WallTime>,
}

impl Moody {
    fn new(mood: Mood) -> Moody {
        Moody(Arc::new((Mutex::new(Inside { mood, taken: Vec::new(), pruned: Vec::new() }), Condvar::new())))
    }

    fn be(&self, mood: Mood) {
        self.0.0.lock().unwrap().mood = mood;
        self.0.1.notify_all();
    }

    fn taken(&self) -> Vec<(Number, Change)> {
        self.0.0.lock().unwrap().taken.clone()
    }
}

impl Store for Moody {
    fn write(&mut self, changes: &[(Number, Change)]) -> Result<(), StoreError> {
        let inside = self.0.0.lock().unwrap();
        let mut inside = self.0.1.wait_while(inside, |inside| inside.mood == Mood::Hangs).unwrap();
        match inside.mood {
            Mood::Takes => inside.taken.extend_from_slice(changes),
            _ => return Err(StoreError::Failed { path: "disk".into(), why: "it is full".into() }),
        }
        Ok(())
    }

    fn last(&self) -> Number {
        self.0.0.lock().unwrap().taken.last().map_or(Number(0), |(number, _)| *number)
    }

    fn prune(&mut self, before: WallTime, most: u32) -> Result<u32, StoreError> {
        let mut inside = self.0.0.lock().unwrap();
        inside.pruned.push(before);
        // Two rounds full, then the rest.
        Ok(if inside.pruned.len() < 3 { most } else { 7 })
    }
}

const IDENTITY: Identity = *b"0123456789abcdef";

fn keeper(store: &Moody, journal: Option<&Path>) -> (Keeper, Receiver<StoreReport>) {
    let (tell, told) = channel();
    let tell = Box::new(move |report| drop(tell.send(report)));
    let mut keeper = Keeper::start(Box::new(store.clone()), StoreStatus::default(), None, tell).unwrap();
    if let Some(journal) = journal {
        keeper.journal_place = Some((journal.to_owned(), IDENTITY));
    }
    (keeper, told)
}

fn put(keeper: &mut Keeper, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        keeper.put(Number(number), samples::pointer(number));
    }
    keeper.flush();
}

fn next(told: &Receiver<StoreReport>) -> StoreReport {
    told.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn wait_until_durable(told: &Receiver<StoreReport>, number: u64) {
    while !matches!(next(told), StoreReport::Durable { up_to } if up_to.0 >= number) {}
}

fn all_up_to(number: u64) -> Vec<(Number, Change)> {
    (1..=number).map(|number| (Number(number), samples::pointer(number))).collect()
}

#[test]
fn what_is_put_becomes_durable_in_order_and_is_reported() {
    let (store, memory) = (Moody::new(Mood::Takes), tempfile::tempdir().unwrap());
    let (mut keeper, told) = keeper(&store, Some(memory.path()));
    put(&mut keeper, 1..=3);
    put(&mut keeper, 4..=4);
    wait_until_durable(&told, 4);
    assert_eq!(store.taken(), all_up_to(4));
    let status = keeper.watch().status();
    assert_eq!((status.last_number, status.durable, status.pending, status.lag), (4, 4, 0, Duration::ZERO));
    assert_eq!(status.journal_failing, None);
    keeper.close(Duration::from_secs(5)).unwrap();
}

#[test]
fn what_somebody_waits_for_does_not_gather() {
    let store = Moody::new(Mood::Takes);
    let (mut keeper, told) = keeper(&store, None);
    let begun = Instant::now();
    for number in 1..=20 {
        keeper.put(Number(number), Change::Bindings { user: samples::user(number), bindings: Vec::new() });
        keeper.flush();
        wait_until_durable(&told, number);
    }
    assert!(begun.elapsed() < 20 * GATHER, "{:?}", begun.elapsed());
}

#[test]
fn a_refusal_is_told_once_and_nothing_is_lost() {
    let store = Moody::new(Mood::Refuses);
    let (mut keeper, told) = keeper(&store, None);
    put(&mut keeper, 1..=3);
    assert!(matches!(next(&told), StoreReport::Failing { why } if why.contains("full")));
    put(&mut keeper, 4..=5);
    let status = keeper.watch().status();
    assert_eq!((status.pending, status.lag > Duration::ZERO), (5, true));
    assert!(status.failing.unwrap().contains("full"));
    store.be(Mood::Takes);
    assert_eq!(next(&told), StoreReport::Recovered);
    wait_until_durable(&told, 5);
    assert_eq!(store.taken(), all_up_to(5));
    assert_eq!(keeper.watch().status().failing, None);
}

#[test]
fn while_the_disk_hangs_what_memory_does_not_hold_stays_in_the_journal() {
    let (store, memory) = (Moody::new(Mood::Hangs), tempfile::tempdir().unwrap());
    let (mut keeper, told) = keeper(&store, Some(memory.path()));
    let most = u64::try_from(IN_MEMORY).unwrap() + 6000;
    let mut last = 0;
    while last < most {
        put(&mut keeper, last + 1..=last + 100);
        last += 100;
    }
    let in_memory = keeper.shared.lock().in_memory;
    assert!(in_memory <= IN_MEMORY, "{in_memory}");
    store.be(Mood::Takes);
    put(&mut keeper, last + 1..=last + 2);
    wait_until_durable(&told, last + 2);
    assert!(store.taken() == all_up_to(last + 2), "all of them, in order, once");
    assert_eq!(keeper.watch().status().lost, 0);
}

#[test]
fn without_a_journal_memory_holds_more_and_then_counts_what_it_cannot() {
    let (store, memory) = (Moody::new(Mood::Hangs), tempfile::tempdir().unwrap());
    let file = memory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (mut keeper, _told) = keeper(&store, Some(&file));
    let most = u64::try_from(IN_MEMORY_AT_MOST).unwrap();
    put(&mut keeper, 1..=1);
    let until = Instant::now() + Duration::from_secs(20);
    while keeper.shared.lock().in_memory > 0 {
        assert!(Instant::now() < until, "the thread holds it");
        thread::yield_now();
    }
    put(&mut keeper, 2..=most);
    assert_eq!(keeper.watch().status().lost, 0);
    assert!(keeper.watch().status().journal_failing.is_some());
    put(&mut keeper, most + 1..=most + 5);
    assert_eq!(keeper.watch().status().lost, 5);
    store.be(Mood::Takes);
}

#[test]
fn a_journal_that_cannot_be_made_is_made_when_it_can() {
    let (store, memory) = (Moody::new(Mood::Takes), tempfile::tempdir().unwrap());
    let place = memory.path().join("not/yet");
    let (mut keeper, _told) = keeper(&store, Some(&place));
    put(&mut keeper, 1..=1);
    assert!(keeper.watch().status().journal_failing.is_some());
    std::fs::create_dir_all(&place).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let mut number = 2;
    while keeper.watch().status().journal_failing.is_some() {
        assert!(Instant::now() < until);
        put(&mut keeper, number..=number);
        number += 1;
    }
}

#[test]
fn the_end_writes_what_is_left_and_a_hanging_disk_is_not_waited_for_longer_than_said() {
    let (store, memory) = (Moody::new(Mood::Takes), tempfile::tempdir().unwrap());
    let (mut ends, _told) = keeper(&store, Some(memory.path()));
    put(&mut ends, 1..=9);
    ends.close(Duration::from_secs(20)).unwrap();
    assert_eq!(store.taken(), all_up_to(9));

    let (store, memory) = (Moody::new(Mood::Hangs), tempfile::tempdir().unwrap());
    let (mut ends, _told) = keeper(&store, Some(memory.path()));
    put(&mut ends, 1..=9);
    let why = ends.close(Duration::from_millis(50)).unwrap_err();
    assert!(why.starts_with("9 changes"), "{why}");
    store.be(Mood::Takes);
}

#[test]
fn a_daemon_that_is_dropped_begins_again_where_it_was() {
    let (directory, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let silent = || -> Tell { Box::new(|_| {}) };
    let (mut keeper, saved) = Keeper::open(directory.path(), memory.path(), None, silent()).unwrap();
    assert_eq!((saved.start, saved.last), (1, Number(0)));
    put(&mut keeper, 1..=7);
    keeper.close(Duration::from_secs(20)).unwrap();
    let (mut keeper, saved) = Keeper::open(directory.path(), memory.path(), None, silent()).unwrap();
    assert_eq!((saved.start, saved.last), (2, Number(7)));
    assert_eq!(saved.pointers.len(), 1);
    put(&mut keeper, 8..=8);
    let error = Keeper::open(directory.path(), memory.path(), None, silent()).unwrap_err();
    assert_eq!(error.name(), "in-use");
    keeper.close(Duration::from_secs(20)).unwrap();
}

#[test]
fn without_a_store_everything_counts_as_durable_at_once() {
    let (tell, told) = channel();
    let mut keeper = Keeper::without_store(Box::new(move |report| drop(tell.send(report))));
    put(&mut keeper, 1..=2);
    assert_eq!(told.try_recv().unwrap(), StoreReport::Durable { up_to: Number(2) });
    assert_eq!(keeper.watch().status().directory, None);
    keeper.close(Duration::ZERO).unwrap();
}

#[test]
fn records_that_are_too_old_are_taken_out_in_small_rounds() {
    let store = Moody::new(Mood::Takes);
    let (mut keeper, told) = keeper(&store, None);
    keeper.watch().keep_calls(Some(Duration::from_secs(86_400)));
    let until = Instant::now() + Duration::from_secs(20);
    while keeper.watch().status().pruned < 1007 {
        assert!(Instant::now() < until);
        thread::yield_now();
    }
    assert_eq!(store.0.0.lock().unwrap().pruned.len(), 3, "and then not before an hour has passed");
    put(&mut keeper, 1..=1);
    wait_until_durable(&told, 1);
}
