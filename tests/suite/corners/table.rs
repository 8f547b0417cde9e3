//! `docs/corners.md` and the tests hold each other: every number has its row, every row its tests or its reason, and
//! every test its row.

use std::collections::{BTreeMap, BTreeSet};

const TABLE: &str = include_str!("../../../docs/corners.md");

/// Where tests named in the table may be: this folder.
const SOURCES: [&str; 12] = [
    include_str!("auth.rs"),
    include_str!("cancels.rs"),
    include_str!("copies.rs"),
    include_str!("dialogs.rs"),
    include_str!("etsi.rs"),
    include_str!("forks.rs"),
    include_str!("refusals.rs"),
    include_str!("registrar.rs"),
    include_str!("responses.rs"),
    include_str!("timers.rs"),
    include_str!("transactions.rs"),
    include_str!("wire.rs"),
];

/// What stands for a test where there can be none.
const NONE: &str = "does not apply: ";

/// The names of the tests: functions right below `#[test]`.
fn tests() -> BTreeSet<String> {
    let lines = SOURCES.iter().flat_map(|source| source.lines().zip(source.lines().skip(1)));
    let below = lines.filter(|(above, _)| above.trim() == "#[test]");
    below.filter_map(|(_, line)| Some(line.trim().strip_prefix("fn ")?.split('(').next()?.to_owned())).collect()
}

/// The rows whose first cell, as it is written, passes: that cell, and the last.
fn rows(is_row: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let cells = TABLE.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        Some(((*cells.first()?).to_owned(), (*cells.last()?).to_owned()))
    });
    cells.filter(|(first, _)| is_row(first)).collect()
}

/// The names between backquotes that begin so.
fn named(cell: &str, start: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).filter(|name| name.starts_with(start)).map(str::to_owned).collect()
}

#[test]
fn every_corner_is_in_the_table() {
    let tests = tests();
    let mut found: BTreeMap<usize, String> = BTreeMap::new();
    for (number, cell) in rows(|first| first.parse::<usize>().is_ok()) {
        assert!(found.insert(number.parse().unwrap(), cell).is_none(), "{number} is there twice");
    }
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), (1..=61).collect::<Vec<_>>());
    let mut listed = BTreeSet::new();
    for (number, cell) in found {
        let names = named(&cell, "corner_");
        let reason = cell.split(NONE).nth(1).is_some_and(|reason| reason.len() > 20);
        assert!(!names.is_empty() || (cell.starts_with(NONE) && reason), "{number}: no test and no reason: {cell}");
        for name in names {
            assert!(tests.contains(&name), "{number}: there is no test {name}");
            assert!(name.starts_with(&format!("corner_{number:02}_")), "{number}: {name} is another's");
            listed.insert(name);
        }
    }
    let corners = tests.into_iter().filter(|name| name.starts_with("corner_")).collect();
    assert_eq!(listed, corners, "every test has its row");
}

#[test]
fn every_known_test_purpose_of_etsi_is_in_the_table() {
    let tests = tests();
    let purposes = rows(|first| first.starts_with("`SIP_"));
    assert!(!purposes.is_empty());
    let mut listed = BTreeSet::new();
    for (id, cell) in &purposes {
        let id = id.trim_matches('`');
        let names = named(cell, "etsi_");
        assert!(!names.is_empty(), "{id} has no test: it belongs under those that are not known");
        for name in names {
            assert!(tests.contains(&name), "{id}: there is no test {name}");
            assert!(name.starts_with(&format!("etsi_{}_", id.to_ascii_lowercase())), "{id}: {name} is another's");
            listed.insert(name);
        }
    }
    let own = tests.into_iter().filter(|name| name.starts_with("etsi_")).collect();
    assert_eq!(listed, own, "every test has its row");
}
