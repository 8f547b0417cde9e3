//! Any text as a configuration: it is refused with places that are inside of it, or it is taken and then can be used:
//! compared, explained, adopted.
//!
//! An input is `switchboard.toml`; a line `%% NAME` begins the file of a company.

use std::path::PathBuf;
use std::sync::Arc;

use switchboard::config::{self, Config, Problem, Problems, Severity};
use switchboard::engine::{Engine, Input, Listener, Question, explain};
use switchboard::flow::ListenerId;
use switchboard::id::UserId;
use switchboard::time::{Instant, Now, WallTime};

type File = (PathBuf, Vec<u8>);

pub fn run(bytes: &[u8]) {
    let files = files(bytes);
    let read = config::load_texts(&files);
    assert_eq!(read, config::load_texts(&files), "the same text is read in the same way");
    match &read {
        Ok(config) => {
            assert_eq!(config.warnings.errors(), 0);
            shown(&config.warnings, &files);
            used(config, &files);
        }
        Err(problems) => {
            assert!(problems.errors() > 0, "what is refused is refused for a reason");
            shown(problems, &files);
        }
    }
}

fn files(bytes: &[u8]) -> Vec<File> {
    let mut files = vec![(PathBuf::from("switchboard.toml"), Vec::new())];
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(name) = line.strip_prefix(b"%% ") {
            let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
            files.push((PathBuf::from(format!("companies/{name}.toml")), Vec::new()));
        } else if let Some((_, text)) = files.last_mut() {
            text.extend_from_slice(line);
        }
    }
    files
}

/// Wednesday, 2026-11-25 08:00 UTC.
fn now() -> Now {
    Now { mono: Instant::from_nanos(1_000_000_000), wall: WallTime::from_unix_millis(1_795_593_600_000) }
}

/// Every problem can be shown, in every way, and points into its file.
fn shown(problems: &Problems, files: &[File]) {
    assert_eq!(problems.iter().count(), problems.count());
    let rendered = problems.render(false);
    assert!(!rendered.chars().any(|c| c.is_control() && c != '\n'), "nothing in it acts on a terminal: {rendered:?}");
    let _ = (problems.render(true), problems.summary());
    assert_eq!(problems.places().lines().count(), problems.count());
    assert!(serde_json::to_string(problems).is_ok());
    for problem in problems {
        pointed(problem, files);
    }
}

fn pointed(problem: &Problem, files: &[File]) {
    assert!(!problem.message.is_empty());
    assert!(matches!(problem.severity, Severity::Error | Severity::Warning));
    let places = problem.related.iter().map(|related| (&related.file, &related.place));
    for (file, place) in problem.place.iter().map(|place| (&problem.file, place)).chain(places) {
        // Two files of one name: the place is in one of them.
        let holds = |(path, text): &File| {
            let Some(before) = text.get(..place.span.start).filter(|_| place.span.end <= text.len()) else {
                return false;
            };
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            path == file && place.span.start <= place.span.end && place.line == line && place.column > 0
        };
        assert!(files.iter().any(holds), "{problem:?}");
    }
}

/// What was taken can be used.
fn used(config: &Config, files: &[File]) {
    assert_eq!(config::diff(config, config), "no change");
    let at = config::load_texts_at(now().wall, files).expect("a time makes no errors");
    assert_eq!(at.plan, config.plan);
    shown(&at.warnings, files);
    questions(config);
    let listener = Listener {
        id: ListenerId(0),
        address: ([203, 0, 113, 10], 5060).into(),
        advertised: "203.0.113.10:5060".to_owned(),
    };
    let config = Arc::new(config.clone());
    let mut engine = Engine::new(now(), [1; 32], Arc::clone(&config), vec![listener.clone()]);
    engine.handle_input(now(), Input::Adopt { config, listeners: vec![listener] });
    while engine.poll_output().is_some() {}
    assert!(engine.audit().is_empty());
}

/// Each number is asked for on each trunk, each user by each other: few enough, where there are many.
fn questions(config: &Config) {
    for company in config.plan.companies.values() {
        for number in company.numbers.keys().take(8) {
            let trunks = config.plan.trunks.keys().take(3).map(|trunk| Some(trunk.to_string()));
            for trunk in trunks.chain([None]) {
                ask(config, Question { to: number.to_string(), trunk, ..Question::default() });
            }
        }
        for user in company.users.values().take(6) {
            let name = UserId::new(&company.id, &user.id.extension).to_string();
            let question = Question {
                to: name.clone(),
                from: Some(name.clone()),
                user: Some(name.clone()),
                busy: vec![name],
                ..Question::default()
            };
            ask(config, question);
        }
    }
}

fn ask(config: &Config, question: Question) {
    if let Ok(record) = explain(now(), &question, config, None) {
        assert!(serde_json::to_string(&record).is_ok());
        assert!(record.answer.is_some() || !record.steps.is_empty(), "it ends somewhere: {record:?}");
    }
}
