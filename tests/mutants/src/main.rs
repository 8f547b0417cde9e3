//! Mutation testing of the rooms that decide: are there tests that fail when the code is wrong?
//!
//! ```text
//! cargo install cargo-mutants --locked          # once
//! tests/mutants/run                             # all of it: some minutes
//! tests/mutants/run --again                     # only those the last run missed, after new tests were written
//! tests/mutants/run --only 'src/claim'          # only those whose line has these words
//! tests/mutants/run --sample 15                 # afterwards: is the verdict that of cargo-mutants' own diff?
//! ```
//!
//! cargo-mutants makes the list of mutants: each a place in a function and what to write there instead. It would build the
//! package once for each of some thousand. This tool builds all of them at once: in a copy of the tree, the body of every
//! function that has mutants becomes
//!
//! ```text
//! match crate::mutant_switch::at(FUNCTION) {
//!     MUTANT => return { the body, with that mutant's change and no other },
//!     …
//!     _ => return { the body as it is },
//! }
//! ```
//!
//! and `MUTANT=…` in the environment says which one a process is. A body with a change is cargo-mutants' text to the letter.
//! Alternatives of functions that return `impl Iterator` are boxed.
//!
//! 1. `list`: cargo-mutants' list.
//! 2. `tree`, `schema`: the copy, and the bodies rewritten.
//! 3. `build`: `cargo check` until it passes; a mutant that an error is in is *unviable* and leaves. What cannot be
//!    written like this though it may well compile alone is *untested*, and counts as not caught.
//! 4. `trials`: every test once, by itself: how long it takes and which functions it reaches. Then, for every mutant,
//!    the tests that reach its function, the quickest first, until one fails: *caught*. One that hangs for 20 times what
//!    it takes (at least 10 s), twice, is *caught by time-out*, as cargo-mutants has it. Else *missed*.
//! 5. `--extra COMMAND` (any number): run for each mutant no test has caught, by `sh` in the copy, with `MUTANT`,
//!    `CARGO_TARGET_DIR` and the profile set; a status other than 0 catches. For what is not a test of the usual kind.
//!
//! The tests are the package's own unit tests and the targets in [`TARGETS`], all without network and processes of their own;
//! `--test NAME` adds one. Properties draw from one seed, and nothing is written into the tree. All results stand in `outcomes.json` of the work directory (`target/mutants`, or `--work DIR`), and `--json`
//! prints them. The exit status is 0 when at least `--least PERCENT` (90) of the viable mutants were caught.
//!
//! Between runs two things are kept in the work directory: the outcomes, which `--again` and `--sample` go by, and in
//! `unviable.json` which diffs did not compile; `--fresh` finds that out anew.

mod build;
mod list;
mod process;
mod report;
mod sample;
mod schema;
mod tree;
mod trials;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Outcomes;

/// The rooms whose mutants are tried.
const ROOMS: [&str; 5] = ["transaction", "proxy", "claim", "routing", "registrar"];

/// Integration tests that are run besides the unit tests: those that begin no processes and open no sockets.
const TARGETS: [&str; 3] = ["suite", "torture", "config"];

/// Why there is no result.
type Stop = Box<dyn std::error::Error>;

/// What the command line asks for.
struct Options {
    repository: PathBuf,
    work: PathBuf,
    targets: Vec<String>,
    extra: Vec<String>,
    only: Option<String>,
    again: bool,
    fresh: bool,
    sample: Option<usize>,
    seed: u64,
    jobs: usize,
    least: f64,
    json: bool,
}

fn main() -> ExitCode {
    let options = match read_options() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}; --help says more");
            return ExitCode::from(2);
        }
    };
    let done = match options.sample {
        Some(size) => sample::compare(&options, size),
        None => run(&options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(stop) => {
            eprintln!("stopped: {stop}");
            ExitCode::from(2)
        }
    }
}

/// Everything, from the list to the report. Whether enough mutants were caught.
fn run(options: &Options) -> Result<bool, Stop> {
    let mut mutants = list::of(&options.repository)?;
    eprintln!("{} mutants listed by cargo-mutants", mutants.len());
    let before = options.again.then(|| Outcomes::read(&options.work)).transpose()?;
    let before = before.map(|before| before.among(&mutants));
    mutants.retain(|mutant| {
        options.only.as_ref().is_none_or(|words| mutant.name.contains(words))
            && before.as_ref().is_none_or(|before| before.was_not_caught(mutant))
    });
    eprintln!("{} of them are tried", mutants.len());
    let built = build::all_at_once(options, &mutants)?;
    let tests = trials::reaches(&built, &options.work, options.jobs)?;
    let outcomes = trials::outcomes(&mutants, &built, &tests, options)?;
    let outcomes = Outcomes::new(&mutants, outcomes);
    match before {
        Some(before) => before.with(outcomes).write(&options.work, options.json, options.least),
        None if options.only.is_some() => outcomes.print(options.json, options.least),
        None => outcomes.write(&options.work, options.json, options.least),
    }
}

fn read_options() -> Result<Option<Options>, String> {
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let repository = repository.canonicalize().map_err(|error| format!("{}: {error}", repository.display()))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    let mut options = Options {
        work: target.join("mutants"),
        repository,
        targets: TARGETS.map(str::to_owned).to_vec(),
        extra: Vec::new(),
        only: None,
        again: false,
        fresh: false,
        sample: None,
        seed: 1,
        jobs: std::thread::available_parallelism().map_or(2, usize::from),
        least: 90.0,
        json: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        let number = |text: String| text.parse::<u32>().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            "--work" => options.work = PathBuf::from(value()?),
            "--test" => options.targets.push(value()?),
            "--extra" => options.extra.push(value()?),
            "--only" => options.only = Some(value()?),
            "--again" => options.again = true,
            "--fresh" => options.fresh = true,
            "--sample" => options.sample = Some(number(value()?)? as usize),
            "--seed" => options.seed = number(value()?)?.into(),
            "--jobs" => options.jobs = (number(value()?)? as usize).max(1),
            "--least" => options.least = number(value()?)?.into(),
            "--json" => options.json = true,
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(None);
            }
            _ => return Err(format!("{argument:?} means nothing here")),
        }
    }
    std::fs::create_dir_all(&options.work).map_err(|error| format!("{}: {error}", options.work.display()))?;
    options.work = options.work.canonicalize().map_err(|error| format!("{}: {error}", options.work.display()))?;
    Ok(Some(options))
}

const HELP: &str = "\
Counts the mutants of the deciding rooms that the tests catch.

    tests/mutants/run [OPTION]…

    --only WORDS      only mutants whose line contains WORDS
    --again           only mutants the last run did not catch
    --fresh           trust no earlier run about what does not compile
    --test NAME       a test target more
    --extra COMMAND   a command that is to catch what no test has (sh, in the copy, with MUTANT set)
    --sample N        apply N of cargo-mutants' own diffs, one by one, and compare with the last run's verdicts
    --seed N          which sample (1)
    --jobs N          so many processes at once (all cores)
    --least PERCENT   the share of viable mutants that must be caught (90)
    --work DIR        where to build (target/mutants)
    --json            print every mutant's outcome as JSON";
