//! Runs tests against mutants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::build::{self, Built};
use crate::list::Mutant;
use crate::process::{self, End};
use crate::report::{Outcome, Verdict};
use crate::{Options, Stop};

/// A test, as it runs when nothing is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    program: PathBuf,
    name: String,
    length: Duration,
    /// The functions it reaches, by number.
    reaches: BTreeSet<usize>,
}

/// No test takes so long by itself.
const BASELINE: Duration = Duration::from_secs(300);

/// A trial that takes so many times as long as it should is over.
const PATIENCE: u32 = 20;

/// But not before this.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);

/// Tests are run in groups of at most this length together, then of eight times that, and so on: most mutants fall to the
/// first.
const FIRST_GROUP: Duration = Duration::from_millis(250);

/// Every test once, alone.
pub(crate) fn reaches(built: &Built, work: &Path, jobs: usize) -> Result<Vec<Test>, Stop> {
    let mut names = Vec::new();
    for program in &built.programs {
        let output = Command::new(program).current_dir(&built.tree).arg("--list").output()?;
        let listed = String::from_utf8(output.stdout)?;
        let tests = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        names.extend(tests.map(|name| (program.clone(), name.to_owned())));
    }
    eprintln!("{} tests are run alone", names.len());
    let directory = work.join("reached");
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir_all(&directory)?;
    in_parallel(jobs, &names, |index, (program, name)| {
        let file = directory.join(index.to_string());
        let mut command = test_command(built, program, [name.as_str()]);
        let began = Instant::now();
        match process::run(command.env("MUTANT_REACHED", &file), BASELINE)? {
            End::Passed => {}
            End::Failed(_) | End::TimedOut => return Err(format!("{name} fails without any mutant").into()),
        }
        let length = began.elapsed();
        let reached = if file.exists() { std::fs::read_to_string(&file)? } else { String::new() };
        let reaches = reached.lines().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Test { program: program.clone(), name: name.clone(), length, reaches })
    })
}

/// What becomes of every mutant.
pub(crate) fn outcomes(
    mutants: &[Mutant],
    built: &Built,
    tests: &[Test],
    options: &Options,
) -> Result<Vec<Outcome>, Stop> {
    let done = AtomicUsize::new(0);
    let tried = mutants.len() - built.unviable.len() - built.untested.len();
    in_parallel(options.jobs, mutants, |id, _| {
        if built.unviable.contains(&id) {
            return Ok(Outcome::of(Verdict::Unviable));
        }
        if built.untested.contains(&id) {
            return Ok(Outcome::of(Verdict::Untested));
        }
        let outcome = outcome(id, built, tests, options)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if outcome.verdict == Verdict::Missed {
            eprintln!("missed: {}", mutants[id].name);
        }
        if done.is_multiple_of(50) || done == tried {
            eprintln!("{done} of {tried}");
        }
        Ok(outcome)
    })
}

fn outcome(id: usize, built: &Built, tests: &[Test], options: &Options) -> Result<Outcome, Stop> {
    let began = Instant::now();
    let point = built.point_of.get(&id).ok_or("a mutant without a function")?;
    let mut reaching: Vec<&Test> = tests.iter().filter(|test| test.reaches.contains(point)).collect();
    reaching.sort_by_key(|test| test.length);
    let ended = |verdict, by: Option<String>| Outcome { verdict, by, tests: reaching.len(), took: began.elapsed() };
    for group in groups(&reaching) {
        let length: Duration = group.iter().map(|test| test.length).sum();
        let limit = (length * PATIENCE).max(LEAST_PATIENCE);
        let trial = |limit| {
            let names = group.iter().map(|test| test.name.as_str());
            process::run(test_command(built, &group[0].program, names).env("MUTANT", id.to_string()), limit)
        };
        let mut end = trial(limit)?;
        if end == End::TimedOut {
            // The machine may have had much else to do.
            end = trial(limit)?;
        }
        match end {
            End::Passed => {}
            End::Failed(test) => return Ok(ended(Verdict::Caught, test)),
            End::TimedOut => return Ok(ended(Verdict::TimedOut, None)),
        }
    }
    for command in &options.extra {
        let mut shell = Command::new("sh");
        shell.current_dir(&built.tree).args(["-c", command]).env("MUTANT", id.to_string());
        shell.envs(build::environment(&built.target)).env("RUST_MIN_STACK", "67108864");
        match process::run(&mut shell, BASELINE)? {
            End::Passed => {}
            End::Failed(_) => return Ok(ended(Verdict::Caught, Some(command.clone()))),
            End::TimedOut => return Ok(ended(Verdict::TimedOut, Some(command.clone()))),
        }
    }
    Ok(ended(Verdict::Missed, None))
}

/// Tests in the order given, in groups of one program each that become longer and longer.
fn groups<'a>(tests: &[&'a Test]) -> Vec<Vec<&'a Test>> {
    let mut groups = Vec::new();
    let mut room = FIRST_GROUP;
    let mut open: BTreeMap<&Path, Vec<&Test>> = BTreeMap::new();
    let mut length = Duration::ZERO;
    for test in tests {
        if length > Duration::ZERO && length + test.length > room {
            groups.extend(std::mem::take(&mut open).into_values());
            (length, room) = (Duration::ZERO, room * 8);
        }
        open.entry(&test.program).or_default().push(test);
        length += test.length;
    }
    groups.extend(open.into_values());
    groups
}

/// Those tests of a program, one after the other.
fn test_command<'a>(built: &Built, program: &Path, names: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = process::limited(program);
    command.current_dir(&built.tree).args(names).args(["--exact", "--test-threads=1"]);
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command.env("PROPTEST_RNG_SEED", "1").env("CARGO_MANIFEST_DIR", &built.tree);
    command
}

/// Does something with every item, several at once; results in the order of the items.
fn in_parallel<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(usize, &T) -> Result<R, Stop> + Sync,
) -> Result<Vec<R>, Stop> {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, R>> = Mutex::default();
    let stopped: Mutex<Option<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    match work(index, item) {
                        Ok(result) => drop(results.lock().expect("nobody panics").insert(index, result)),
                        Err(stop) => {
                            *stopped.lock().expect("nobody panics") = Some(stop.to_string());
                            next.store(items.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    match stopped.into_inner().expect("nobody panics") {
        Some(stop) => Err(stop.into()),
        None => Ok(results.into_inner().expect("nobody panics").into_values().collect()),
    }
}
