//! Every input that the fuzzers begin with, and every one that has ever found something, through the very functions that
//! are fuzzed (`fuzz/README.md`).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    unreachable_pub
)]

// The product's library is not made public for this: what is fuzzed is what anybody can call.
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};

use targets::TARGETS;

fn of_the_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a directory, in the order of their names; none where there is no directory.
fn files(directory: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(of_the_repository(directory)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Runs a target over the files of some directories; how many there were.
fn replay(target: &str, directories: &[&str]) -> usize {
    let target = TARGETS.into_iter().find(|known| known.name == target).expect("a target");
    let own = [format!("fuzz/corpus/{}", target.name), format!("fuzz/regressions/{}", target.name)];
    let directories = own.iter().map(String::as_str).chain(directories.iter().copied());
    let mut count = 0;
    for path in directories.flat_map(files) {
        let bytes = std::fs::read(&path).unwrap();
        // The file's name, where it does not pass: the panic's own words say the rest.
        let name = path.display().to_string();
        let passed = std::panic::catch_unwind(|| (target.run)(&bytes));
        assert!(passed.is_ok(), "{}: {name}", target.name);
        count += 1;
    }
    count
}

const MESSAGES: [&str; 3] = ["fuzz/corpus/messages", "tests/corpora/rfc4475", "tests/corpora/rfc5118"];

#[test]
fn parse() {
    assert!(replay("parse", &MESSAGES) >= 70);
}

#[test]
fn rewrite() {
    assert!(replay("rewrite", &MESSAGES) >= 70);
}

#[test]
fn differential() {
    assert!(replay("differential", &MESSAGES) >= 70);
    assert!(!targets::differential::other_reader_runs());
}

#[test]
fn engine() {
    assert!(replay("engine", &[]) >= 10);
}

#[test]
fn config() {
    assert!(replay("config", &["config"]) >= 8);
}

#[test]
fn store() {
    assert!(replay("store", &[]) >= 7);
}

#[test]
fn every_target_is_replayed_and_fuzzed() {
    let here = include_str!("fuzz_cases.rs");
    let run = std::fs::read_to_string(of_the_repository("fuzz/run")).unwrap();
    for target in TARGETS {
        assert!(here.contains(&format!("replay(\"{}\"", target.name)), "{}", target.name);
        let all = run.lines().find(|line| line.starts_with("all=(")).unwrap();
        assert!(all.split(['(', ' ', ')']).any(|name| name == target.name), "{}", target.name);
    }
}

#[test]
fn the_dictionaries_are_what_libfuzzer_reads() {
    for path in files("fuzz/dictionaries") {
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let quoted = line.len() >= 3 && line.starts_with('"') && line.ends_with('"');
            assert!(line.is_empty() || line.starts_with('#') || quoted, "{}: {line}", path.display());
        }
    }
}
