//! `docs/security.md` against the tests there are, and class 23: the unit that is shipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sections `## N. Title` of the chapter.
fn sections() -> BTreeMap<u32, String> {
    let text = read("docs/security.md");
    text.split("\n## ")
        .skip(1)
        .filter_map(|section| {
            let number = section.split('.').next()?.parse().ok()?;
            Some((number, section.to_owned()))
        })
        .collect()
}

/// What stands between backticks on the lines that begin with `Tests:`.
fn named(section: &str) -> Vec<String> {
    let lines = section.lines().skip_while(|line| !line.starts_with("Tests:")).take_while(|line| !line.is_empty());
    lines.flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Every function of every Rust file, by name.
fn functions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![root().join("src"), root().join("tests"), root().join("fuzz")];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let names = text.lines().filter_map(|line| line.trim().strip_prefix("fn ")?.split('(').next());
                found.extend(names.map(|name| name.split('<').next().unwrap_or(name).trim().to_owned()));
            }
        }
    }
    found
}

/// The Python files beside a program.
fn scenarios(program: &str) -> String {
    let mut text = String::new();
    let mut left: Vec<PathBuf> = root().join(program).parent().map(Path::to_owned).into_iter().collect();
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "py") {
                text.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    text
}

#[test]
fn every_class_has_its_section_and_every_test_it_names_is_there() {
    let (sections, functions) = (sections(), functions());
    assert_eq!(sections.keys().copied().collect::<Vec<_>>(), (1..=24).collect::<Vec<_>>());
    for (number, section) in &sections {
        assert!(section.contains("Seen in:"), "class {number} says where it was seen");
        let tests = named(section);
        assert!(
            !tests.is_empty() || section.contains("Does not apply yet:"),
            "class {number} names no test and no reason"
        );
        for test in tests {
            let is_there = if test.contains('/') {
                // `tests/hostile/run flood`: a program, and perhaps one of its scenarios.
                let mut words = test.split(' ');
                let program = words.next().unwrap_or_default();
                let text = read(program) + &scenarios(program);
                words.all(|word| text.contains(word))
            } else {
                functions.contains(&test)
            };
            assert!(is_there, "class {number} names `{test}`, which is nowhere");
        }
    }
    // And the other way: a class's test that the chapter does not name would be forgotten.
    for test in functions.iter().filter(|name| name.starts_with("class_")) {
        let number: u32 = test.get(6..8).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{test}"));
        assert!(
            named(&sections[&number]).contains(test),
            "docs/security.md does not name `{test}` under class {number}"
        );
    }
}

#[test]
fn class_23_the_unit_takes_away_what_the_daemon_does_not_need() {
    // `.ci/run unit` has systemd score it; this holds the lines that the score rests on.
    let unit = read("systemd/switchboard.service");
    let lines: BTreeSet<&str> = unit.lines().map(str::trim).collect();
    for line in [
        "DynamicUser=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateDevices=yes",
        "MemoryDenyWriteExecute=yes",
        "RestrictNamespaces=yes",
        "LimitCORE=0",
        "UMask=0077",
    ] {
        assert!(lines.contains(line), "{line} is missing");
    }
    assert!(lines.iter().any(|line| line.starts_with("SystemCallFilter=")));
    assert!(read("Cargo.toml").contains("unsafe_code = \"forbid\""));
}
