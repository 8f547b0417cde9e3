//! What a run came to, on the screen and in `outcomes.json`.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Stop;
use crate::list::Mutant;

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// A test failed.
    Caught,
    /// A test did not end.
    TimedOut,
    /// No test noticed.
    Missed,
    /// It does not compile.
    Unviable,
    /// It could not be built with the others.
    Untested,
}

/// And how.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// The test that failed.
    pub(crate) by: Option<String>,
    /// How many tests reach its function.
    pub(crate) tests: usize,
    pub(crate) took: Duration,
}

impl Outcome {
    /// One for which nothing was run.
    pub(crate) fn of(verdict: Verdict) -> Outcome {
        Outcome { verdict, by: None, tests: 0, took: Duration::ZERO }
    }
}

/// All of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcomes(Vec<Line>);

/// One mutant's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) description: String,
    pub(crate) verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    by: Option<String>,
    tests: usize,
    milliseconds: u64,
}

impl Outcomes {
    pub(crate) fn new(mutants: &[Mutant], outcomes: Vec<Outcome>) -> Outcomes {
        let line = |(mutant, outcome): (&Mutant, Outcome)| Line {
            file: mutant.file.clone(),
            line: mutant.span.start.line,
            description: mutant.description().to_owned(),
            verdict: outcome.verdict,
            by: outcome.by,
            tests: outcome.tests,
            milliseconds: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
        };
        Outcomes(mutants.iter().zip(outcomes).map(line).collect())
    }

    /// What the last run said.
    pub(crate) fn read(work: &Path) -> Result<Outcomes, Stop> {
        let path = work.join("outcomes.json");
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}: no earlier run", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.0
    }

    /// Whether it is a mutant that was not caught. (Several of one function may have one description; if one was not, all
    /// are.)
    pub(crate) fn was_not_caught(&self, mutant: &Mutant) -> bool {
        self.0.iter().any(|line| line.is(mutant) && matches!(line.verdict, Verdict::Missed | Verdict::Untested))
            || !self.0.iter().any(|line| line.is(mutant))
    }

    /// With what a later run says of some.
    pub(crate) fn with(mut self, later: Outcomes) -> Outcomes {
        let again =
            |line: &Line| later.0.iter().any(|new| new.file == line.file && new.description == line.description);
        self.0.retain(|line| !again(line));
        self.0.extend(later.0);
        self.0.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        self
    }

    /// Without those that are listed no more.
    pub(crate) fn among(mut self, mutants: &[Mutant]) -> Outcomes {
        self.0.retain(|line| mutants.iter().any(|mutant| line.is(mutant)));
        self
    }

    /// Keeps and prints them.
    pub(crate) fn write(&self, work: &Path, json: bool, least: f64) -> Result<bool, Stop> {
        std::fs::write(work.join("outcomes.json"), serde_json::to_vec_pretty(&self)?)?;
        self.print(json, least)
    }

    /// Prints them. Whether enough were caught.
    pub(crate) fn print(&self, json: bool, least: f64) -> Result<bool, Stop> {
        let of = |verdict| self.0.iter().filter(move |line| line.verdict == verdict);
        let [caught, timed_out, missed, unviable, untested] =
            [Verdict::Caught, Verdict::TimedOut, Verdict::Missed, Verdict::Unviable, Verdict::Untested]
                .map(|verdict| of(verdict).count());
        let viable = caught + timed_out + missed + untested;
        let share = if viable == 0 { 100.0 } else { 100.0 * (caught + timed_out) as f64 / viable as f64 };
        if json {
            println!("{}", serde_json::to_string_pretty(&self)?);
            return Ok(share >= least);
        }
        for verdict in [Verdict::Missed, Verdict::Untested] {
            for line in of(verdict) {
                let word = if verdict == Verdict::Missed { "missed" } else { "untested" };
                println!("{word} {}:{}: {}", line.file, line.line, line.description);
            }
        }
        let mut files: Vec<&str> = self.0.iter().map(|line| room(&line.file)).collect();
        files.dedup();
        for file in files {
            let here = |wanted: &[Verdict]| {
                self.0.iter().filter(|line| room(&line.file) == file && wanted.contains(&line.verdict)).count()
            };
            let caught = here(&[Verdict::Caught, Verdict::TimedOut]);
            let viable = caught + here(&[Verdict::Missed, Verdict::Untested]);
            println!("{file}: {caught} of {viable}");
        }
        println!(
            "caught {caught}, missed {missed}, unviable {unviable}, timeout {timed_out}, untested {untested}: \
             {share:.1} % of {viable} viable"
        );
        Ok(share >= least)
    }
}

impl Line {
    fn is(&self, mutant: &Mutant) -> bool {
        self.file == mutant.file && self.description == mutant.description()
    }
}

/// `src/claim`
fn room(file: &str) -> &str {
    file.match_indices('/').nth(1).map_or(file, |(at, _)| &file[..at])
}
