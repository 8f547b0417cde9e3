//! Builds the copy with all mutants that compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::list::Mutant;
use crate::schema::{Region, Source};
use crate::{Options, Stop, tree};

/// What was built.
pub(crate) struct Built {
    /// The copy.
    pub(crate) tree: PathBuf,
    /// Where cargo built it.
    pub(crate) target: PathBuf,
    /// Test programs.
    pub(crate) programs: Vec<PathBuf>,
    /// The number of each mutant's function.
    pub(crate) point_of: BTreeMap<usize, usize>,
    /// Mutants that do not compile.
    pub(crate) unviable: BTreeSet<usize>,
    /// Mutants that cannot be built together with others.
    pub(crate) untested: BTreeSet<usize>,
}

/// The switch, and where it is made known.
const SWITCH: [&str; 2] = ["src/mutant_switch.rs", "src/lib.rs"];

/// Rewrites the copy until it compiles, and builds the tests.
pub(crate) fn all_at_once(options: &Options, mutants: &[Mutant]) -> Result<Built, Stop> {
    let files: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.file.as_str()).collect();
    let repository = &options.repository;
    let is_rewritten = |name: &Path| name.to_str().is_some_and(|name| files.contains(name) || SWITCH.contains(&name));
    let copy = tree::copied(repository, &options.work.join("tree"), is_rewritten)?;
    let kept = options.work.join("unviable.json");
    let mut known: BTreeSet<String> = match std::fs::read(&kept) {
        Ok(text) if !options.fresh => serde_json::from_slice(&text)?,
        Ok(_) | Err(_) => BTreeSet::new(),
    };
    let is_known = |(_, mutant): &(usize, &Mutant)| known.contains(&mutant.diff);
    let mut built = Built {
        tree: copy.clone(),
        target: options.work.join("build"),
        programs: Vec::new(),
        point_of: BTreeMap::new(),
        unviable: mutants.iter().enumerate().filter(is_known).map(|(id, _)| id).collect(),
        untested: BTreeSet::new(),
    };
    let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
    let mut points = 0;
    for &file in &files {
        let here = mutants.iter().enumerate().filter(|(_, mutant)| mutant.file == file);
        let text = std::fs::read_to_string(repository.join(file))?;
        let source = Source::read(text, here, &mut points, |id, point| {
            built.point_of.insert(id, point);
        })?;
        sources.insert(file, source);
    }
    let switch = include_str!("switch.txt").replace("POINTS", &points.to_string());
    tree::write(&copy.join("src/mutant_switch.rs"), switch.as_bytes())?;
    let library = std::fs::read_to_string(repository.join("src/lib.rs"))?;
    tree::write(&copy.join("src/lib.rs"), format!("{library}\npub mod mutant_switch;\n").as_bytes())?;
    loop {
        let mut regions: BTreeMap<&str, Vec<Region>> = BTreeMap::new();
        for (file, source) in &sources {
            let (text, found) = source.rewritten(|id| !built.unviable.contains(&id) && !built.untested.contains(&id));
            tree::write(&copy.join(file), text.as_bytes())?;
            regions.insert(file, found);
        }
        let began = std::time::Instant::now();
        let errors = errors(cargo(&built, &["check", "--lib"]))?;
        eprintln!("checked in {} s, {} errors", began.elapsed().as_secs(), errors.len());
        if errors.is_empty() {
            break;
        }
        built.drop_faulty(&errors, &regions)?;
        let (unviable, untested) = (built.unviable.len(), built.untested.len());
        eprintln!("{unviable} mutants do not compile, {untested} not together with others");
    }
    eprintln!("building the tests");
    known.extend(built.unviable.iter().map(|id| mutants[*id].diff.clone()));
    std::fs::write(&kept, serde_json::to_vec(&known)?)?;
    built.programs = programs(&built, &options.targets)?;
    Ok(built)
}

impl Built {
    /// Mutants that errors are in leave.
    fn drop_faulty(&mut self, errors: &[Message], regions: &BTreeMap<&str, Vec<Region>>) -> Result<(), Stop> {
        let region_of = |place: &Place| {
            let found = regions.get(place.file_name.as_str())?;
            // The innermost: it is written before the function around it is.
            found.iter().find(|region| region.lines.0 <= place.line_start && place.line_end <= region.lines.1)
        };
        let mut functions = BTreeSet::new();
        let mut unviable = BTreeSet::new();
        for error in errors {
            let places = error.places();
            let known: Vec<&Region> = places.iter().filter_map(region_of).collect();
            if let Some(id) = known.iter().find_map(|region| region.mutant) {
                unviable.insert(id);
            } else if let Some(region) = known.first() {
                functions.insert(region.point);
            } else if !error.spans.is_empty() {
                return Err(format!("the copy does not compile:\n{}", error.rendered).into());
            }
        }
        if unviable.is_empty() && functions.is_empty() {
            return Err("the copy does not compile, and no mutant is why".into());
        }
        // An error in a function as it is may be one that a faulty mutant brought: those leave first.
        if unviable.is_empty() {
            self.untested.extend(self.point_of.iter().filter(|(_, point)| functions.contains(point)).map(|(id, _)| id));
        }
        self.unviable.extend(unviable);
        Ok(())
    }
}

/// Cargo in the copy, with a profile whose tests run quickly.
pub(crate) fn cargo(built: &Built, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&built.tree).args(arguments);
    for (name, value) in environment(&built.target) {
        command.env(name, value);
    }
    command
}

/// What cargo builds the copy with. Level 1 takes long to build and runs a thousand trials soon; for a few
/// `CARGO_PROFILE_DEV_OPT_LEVEL=0` is quicker.
pub(crate) fn environment(target: &Path) -> [(&'static str, String); 3] {
    let level = std::env::var("CARGO_PROFILE_DEV_OPT_LEVEL").unwrap_or_else(|_| "1".to_owned());
    [
        ("CARGO_TARGET_DIR", target.display().to_string()),
        ("CARGO_PROFILE_DEV_OPT_LEVEL", level),
        ("CARGO_PROFILE_DEV_DEBUG", "false".to_owned()),
    ]
}

/// Builds the unit tests and those targets.
fn programs(built: &Built, targets: &[String]) -> Result<Vec<PathBuf>, Stop> {
    let mut command = cargo(built, &["test", "--no-run", "--lib", "--message-format=json"]);
    for target in targets {
        command.args(["--test", target]);
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let programs = lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()?.executable).collect();
    if !output.status.success() {
        return Err("the tests of the copy do not compile".into());
    }
    Ok(programs)
}

/// What rustc refuses.
fn errors(mut command: Command) -> Result<Vec<Message>, Stop> {
    let output = command.args(["--message-format=json"]).stderr(Stdio::null()).output()?;
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let errors: Vec<Message> = lines
        .filter_map(|line| serde_json::from_slice::<Line>(line).ok()?.message)
        .filter(|message| message.level == "error")
        .collect();
    if errors.is_empty() && !output.status.success() {
        return Err("cargo check failed without saying why".into());
    }
    Ok(errors)
}

/// One line of cargo's.
#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
    executable: Option<PathBuf>,
}

/// One message of rustc's.
#[derive(Deserialize)]
struct Message {
    level: String,
    rendered: String,
    spans: Vec<Place>,
}

#[derive(Clone, Deserialize)]
struct Place {
    file_name: String,
    line_start: usize,
    line_end: usize,
    is_primary: bool,
    expansion: Option<Box<Expansion>>,
}

#[derive(Clone, Deserialize)]
struct Expansion {
    span: Place,
}

impl Message {
    /// The places it points at, the primary ones first; for one in a macro, also where that was called.
    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        let (primary, other): (Vec<_>, Vec<_>) = self.spans.iter().partition(|place| place.is_primary);
        for place in primary.into_iter().chain(other) {
            let mut next = Some(place);
            while let Some(place) = next {
                places.push(place.clone());
                next = place.expansion.as_ref().map(|expansion| &expansion.span);
            }
        }
        places
    }
}
