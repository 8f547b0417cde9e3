//! The store's files, whole, damaged and hostile: opening them never panics, what is whole is read, a torn end is cut
//! off, and damage in the middle is never taken for anything else (invariant 15). SQLite itself is not ours to fuzz: its
//! file is changed through SQL, value by value, and now and then by a few bytes.
//!
//! An input is a script: changes, which of the journal's two files each is in, and what happens to the files then.

mod history;
mod home;

use switchboard::state::{CallLog, Change, Filter, Number, Opened, ReportQuestion, Spread, StoreError};
use switchboard::time::WallTime;

use super::choices::Choices;
use home::{Home, IDENTITY, KNOWN};

/// The first byte behind a journal's header.
const HEADER: usize = 32;

pub fn run(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    match choices.below(8) {
        0 => any_bytes(&mut choices),
        1 | 2 => foreign_frames(&mut choices),
        3 => values_changed(&mut choices),
        4 => database_damaged(&mut choices),
        _ => journal_damaged(&mut choices),
    }
}

/// One of the journal's files.
#[derive(Clone, Default)]
struct Tape {
    bytes: Vec<u8>,
    /// Each change's number and where its frame ends.
    frames: Vec<(Number, Change, usize)>,
}

/// Two files as a daemon writes them: it changes from one to the other, and a file begins behind what the other holds.
fn tapes(choices: &mut Choices<'_>) -> [Tape; 2] {
    let mut tapes = [Tape::default(), Tape::default()];
    for tape in &mut tapes {
        tape.bytes = home::header();
    }
    let (mut active, mut number) = (choices.below(2), KNOWN - choices.below(3) as u64);
    for _ in 0..choices.below(12) {
        if choices.below(4) == 3 {
            active = 1 - active;
        }
        number += 1;
        let change = history::change(choices, number);
        let tape = &mut tapes[active];
        switchboard::state::frame_change(&mut tape.bytes, &IDENTITY, Number(number), &change).expect("it has a form");
        tape.frames.push((Number(number), change, tape.bytes.len()));
    }
    tapes
}

/// What opening it has to give, in the order of the numbers.
fn expected(tapes: &[Tape; 2]) -> Vec<(Number, Change)> {
    let frames = tapes.iter().flat_map(|tape| &tape.frames);
    let mut changes: Vec<_> = frames.map(|(number, change, _)| (*number, change.clone())).collect();
    changes.sort_by_key(|(number, _)| *number);
    changes.retain(|(number, _)| number.0 > KNOWN);
    changes
}

/// What happens to one file between the kill and the next start, and what must come of it.
fn journal_damaged(choices: &mut Choices<'_>) {
    let mut tapes = tapes(choices);
    let which = choices.below(2);
    let tape = &mut tapes[which];
    let before = tape.clone();
    let at = usize::from(choices.word()) % (tape.bytes.len() + 1);
    let mut one_byte = false;
    match choices.below(4) {
        0 => {}
        1 => tape.bytes.truncate(at),
        2 => {
            let goes = (at + choices.below(8)).min(tape.bytes.len());
            let comes = choices.some(16);
            tape.bytes.splice(at..goes, comes.iter().copied());
        }
        _ => {
            if let Some(byte) = tape.bytes.get_mut(at) {
                *byte ^= choices.byte() | 1;
                one_byte = true;
            }
        }
    }
    let first = first_difference(&before.bytes, &tape.bytes);
    let cut_off = before.bytes.starts_with(&tape.bytes);
    // Frames in front of the first byte that differs are as they were.
    let whole = |end: usize| first.is_none_or(|first| end <= first);
    tape.frames.retain(|(_, _, end)| whole(*end));
    let lost = before.frames.len() - tape.frames.len();
    let home = Home::new();
    home.put(&tapes.each_ref().map(|tape| Some(tape.bytes.clone())));
    let opened = home.open();
    match opened {
        Ok(opened) => {
            let header_is_whole = first.is_none_or(|first| first >= HEADER);
            // Of a file shorter than a header nobody can say more than that it holds nothing.
            let is_short = tapes[which].bytes.len() < HEADER;
            assert!(header_is_whole || cut_off || is_short, "a header that is wrong is damage");
            assert!(!one_byte, "a file as long as it was, in which one byte is another, was not torn");
            assert!(lost <= 1 || cut_off, "{lost} changes are gone, and nobody says so");
            is_sum_of(&opened, &expected(&tapes));
            assert!(opened.found.torn.len() <= 1);
            if lost > 0 && !cut_off {
                assert_eq!(opened.found.torn.len(), 1, "what was cut off is said");
            }
            usable(&home, opened);
        }
        Err(error) => {
            assert!(first.is_some() && !cut_off, "what is whole, or torn at its end, can be read: {error}");
            home.is_as_it_was(&tapes.map(|tape| tape.bytes));
            assert!(!error.to_string().is_empty() && !error.name().is_empty());
        }
    }
}

fn first_difference(before: &[u8], after: &[u8]) -> Option<usize> {
    let differs = before.iter().zip(after).position(|(one, other)| one != other);
    differs.or_else(|| (before.len() != after.len()).then(|| before.len().min(after.len())))
}

/// The store holds what it had and these changes, as another store does that was given them in one piece.
fn is_sum_of(opened: &Opened, changes: &[(Number, Change)]) {
    assert_eq!(opened.found.replayed, changes.len());
    let last = changes.last().map_or(Number(KNOWN), |(number, _)| *number);
    assert_eq!(opened.saved.last, last);
    let mut shelf = history::Sum::default();
    changes.iter().for_each(|(_, change)| shelf.add(change));
    shelf.stands_in(&opened.saved);
}

/// Both files hold anything at all.
fn any_bytes(choices: &mut Choices<'_>) {
    let with_header = choices.below(2) == 0;
    let file = |choices: &mut Choices<'_>| {
        let mut bytes = if with_header { home::header() } else { Vec::new() };
        bytes.extend_from_slice(choices.some(255));
        bytes
    };
    let files = [file(choices), file(choices)];
    let home = Home::new();
    home.put(&files.each_ref().map(|bytes| Some(bytes.clone())));
    match home.open() {
        // A frame needs a checksum over the store's identity: bytes at random are none.
        Ok(opened) if opened.found.replayed == 0 => usable(&home, opened),
        Ok(_) => {}
        Err(_) => home.is_as_it_was(&files),
    }
}

/// Whole frames of changes that nobody of ours wrote: they are understood, or said to be damage.
fn foreign_frames(choices: &mut Choices<'_>) {
    let mut bytes = home::header();
    for place in 0..1 + choices.below(4) as u64 {
        let change = history::change(choices, KNOWN + 1 + place);
        let mut encoded = home::encoded(&change);
        for _ in 0..choices.below(4) {
            let at = usize::from(choices.word()) % (encoded.len() + 1);
            let goes = (at + choices.below(12)).min(encoded.len());
            encoded.splice(at..goes, choices.some(12).iter().copied());
        }
        home::frame(&mut bytes, KNOWN + 1 + place, &encoded);
    }
    let home = Home::new();
    home.put(&[Some(bytes.clone()), None]);
    match home.open() {
        Ok(opened) => usable(&home, opened),
        Err(error) => {
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            home.is_as_it_was(&[bytes]);
        }
    }
}

/// A value in a table is another one.
fn values_changed(choices: &mut Choices<'_>) {
    let home = Home::with(&changes(choices));
    for _ in 0..=choices.below(3) {
        home.change_a_value(choices);
    }
    if let Ok(opened) = home.open() {
        usable(&home, opened);
    }
    read(&home);
}

/// A few bytes of the file are others.
fn database_damaged(choices: &mut Choices<'_>) {
    let home = Home::with(&changes(choices));
    home.damage(choices);
    if let Ok(opened) = home.open() {
        usable(&home, opened);
    }
    read(&home);
}

fn changes(choices: &mut Choices<'_>) -> Vec<(Number, Change)> {
    (0..choices.below(8) as u64).map(|place| (Number(KNOWN + 1 + place), history::change(choices, place))).collect()
}

/// What was opened can be served from, and opened again without a loss.
fn usable(home: &Home, opened: Opened) {
    let Opened { saved, store, journal, .. } = opened;
    drop((store, journal));
    history::restored(&saved);
    let again = home.open().expect("what was opened once can be opened again");
    assert_eq!(again.found.replayed, 0, "what was taken over is taken over once");
    assert_eq!(again.saved.start, saved.start.wrapping_add(1));
    let as_before = switchboard::state::Saved { start: saved.start, ..again.saved };
    assert_eq!(as_before, saved);
}

/// The call log says what it has, or what is wrong.
fn read(home: &Home) {
    let Ok(log) = CallLog::open(&home.directory()) else { return };
    for user in [None, Some(history::user(1))] {
        if let Ok(page) = log.query(&Filter { user, ..Filter::default() }) {
            page.calls.iter().for_each(|row| assert!(serde_json::to_string(row).is_ok()));
        }
    }
    for number in 0..8 {
        let _ = log.find(switchboard::id::CallRef(number));
    }
    let question = ReportQuestion {
        companies: switchboard::state::Companies::All,
        from: WallTime::from_unix_millis(0),
        until: WallTime::from_unix_millis(1_895_323_660_000),
        zone: chrono_tz::Asia::Kolkata,
        spread: Spread::Days,
    };
    let _ = log.report(&question);
}
