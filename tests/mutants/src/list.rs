//! cargo-mutants' list: which mutants there are.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::{ROOMS, Stop};

/// One change of the source.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mutant {
    /// `src/claim/mod.rs`
    pub(crate) file: String,
    /// `src/claim/mod.rs:67:9: replace Claim::stands -> bool with true`
    pub(crate) name: String,
    /// What is replaced.
    pub(crate) span: Span,
    /// By what; without cargo-mutants' comment.
    pub(crate) replacement: String,
    /// As it would be applied to the tree.
    pub(crate) diff: String,
}

/// A stretch of a file; the end is behind it. Lines and columns count from one, columns in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Place,
    pub(crate) end: Place,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Mutant {
    /// Without line and column: what it is called as long as its function does not change.
    pub(crate) fn description(&self) -> &str {
        self.name.splitn(4, ':').nth(3).unwrap_or_default().trim_start()
    }
}

/// All mutants of the rooms.
pub(crate) fn of(repository: &Path) -> Result<Vec<Mutant>, Stop> {
    let mut command = Command::new("cargo");
    command.current_dir(repository).args(["mutants", "--list", "--json", "--diff"]);
    for room in ROOMS {
        command.args(["--file", &format!("src/{room}/**")]);
    }
    let output = command.output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("cargo mutants --list failed (cargo install cargo-mutants --locked?):\n{told}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
