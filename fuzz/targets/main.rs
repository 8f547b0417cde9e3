//! The fuzzers: one program for all targets, since the library is linked once. `FUZZ_TARGET` says which.
#![no_main]

// As in `tests/fuzz_cases.rs`: the same files, the same functions.
#[path = "mod.rs"]
mod targets;

use std::sync::OnceLock;

use targets::{TARGETS, Target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let Some(target) = TARGETS.into_iter().find(|target| target.name == name) else {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("FUZZ_TARGET has to be one of: {}", names.join(" "));
            std::process::exit(2);
        };
        let _ = CHOSEN.set(target);
        // libFuzzer's own hook ends the process at a panic. A panic of the other reader's is no finding.
        let end = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !targets::differential::other_reader_runs() {
                end(panic);
            }
        }));
    },
    |bytes: &[u8]| {
        if let Some(target) = CHOSEN.get() {
            (target.run)(bytes);
        }
    }
);
