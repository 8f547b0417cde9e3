//! Is the verdict that of cargo-mutants' own diff, applied to the tree?

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::list::Mutant;
use crate::process::{self, End};
use crate::report::{Outcomes, Verdict};
use crate::{Options, Stop, build, list, tree};

/// Building and all tests, for one mutant.
const LIMIT: Duration = Duration::from_secs(1200);

/// Applies that many of the mutants, drawn by the seed, one after the other. Whether all verdicts agree.
pub(crate) fn compare(options: &Options, size: usize) -> Result<bool, Stop> {
    let mutants = list::of(&options.repository)?;
    let outcomes = Outcomes::read(&options.work)?;
    let mut known: Vec<(&Mutant, Verdict)> = Vec::new();
    for mutant in &mutants {
        let place = (mutant.file.as_str(), mutant.span.start.line, mutant.description());
        let mut said =
            outcomes.lines().iter().filter(|line| (line.file.as_str(), line.line, line.description.as_str()) == place);
        // Two alike on one line cannot be told apart.
        if let (Some(line), None) = (said.next(), said.next())
            && line.verdict != Verdict::Untested
            && options.only.as_ref().is_none_or(|words| mutant.name.contains(words))
        {
            known.push((mutant, line.verdict));
        }
    }
    let mut agree = 0;
    let mut dice = options.seed;
    let size = size.min(known.len());
    for _ in 0..size {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = usize::try_from(dice >> 33)? % known.len();
        let (mutant, here) = known.swap_remove(index);
        let alone = verdict_alone(options, mutant)?;
        let same = match (here, alone) {
            (Verdict::Caught | Verdict::TimedOut, Verdict::Caught | Verdict::TimedOut) => true,
            (here, alone) => here == alone,
        };
        agree += usize::from(same);
        let word = if same { "agreed" } else { "DIFFERS" };
        println!("{word}: {}: {here:?} here, {alone:?} alone", mutant.name);
    }
    println!("{agree} of {size} verdicts agree");
    Ok(agree == size)
}

fn verdict_alone(options: &Options, mutant: &Mutant) -> Result<Verdict, Stop> {
    let copy = tree::copied(&options.repository, &options.work.join("alone"), |_| false)?;
    apply(&copy, mutant)?;
    let target = options.work.join("build-alone");
    let mut command = Command::new("cargo");
    command.current_dir(&copy).args(["check", "--quiet", "--lib"]).envs(build::environment(&target));
    if !command.stderr(Stdio::null()).status()?.success() {
        return Ok(Verdict::Unviable);
    }
    let mut command = Command::new("cargo");
    command.current_dir(&copy).args(["test", "--lib"]).envs(build::environment(&target));
    for target in &options.targets {
        command.args(["--test", target]);
    }
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").env("PROPTEST_RNG_SEED", "1");
    Ok(match process::run(&mut command, LIMIT)? {
        End::Passed => Verdict::Missed,
        End::Failed(_) => Verdict::Caught,
        End::TimedOut => Verdict::TimedOut,
    })
}

/// Applies cargo-mutants' diff. Its second file name is the mutant's description.
fn apply(copy: &Path, mutant: &Mutant) -> Result<(), Stop> {
    let mut patch = Command::new("patch")
        .current_dir(copy)
        .args(["--quiet", "--no-backup-if-mismatch", "--fuzz=0", &mutant.file])
        .stdin(Stdio::piped())
        .spawn()?;
    patch.stdin.take().ok_or("no input")?.write_all(mutant.diff.as_bytes())?;
    if patch.wait()?.success() { Ok(()) } else { Err(format!("the diff of {} does not apply", mutant.name).into()) }
}
