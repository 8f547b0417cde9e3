//! Broken versions of a configuration. Each planted problem carries a mark that says how many there are (`planted-2-of-3`), so that
//! whoever sees only the problems reported knows whether they are all.

use switchboard::config::Problems;

use crate::dice::Dice;
use crate::model::Model;

/// Files that must be refused.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Path, text.
    pub files: Vec<(String, String)>,
    /// Where a problem is at least: file, line.
    pub planted: Vec<(String, usize)>,
}

/// The texts, of which at least one is in the words of the `number`th of `count` planted problems.
pub fn marks(number: usize, count: usize) -> [String; 2] {
    [format!("planted-{number}-of-{count}"), format!("+99900{number}0{count}")]
}

/// The problems as `What::Refused` has them: file, line, key and message.
pub fn worded(problems: &Problems) -> Vec<String> {
    let words = problems.iter().map(|problem| {
        let line = problem.place.as_ref().map_or(0, |place| place.line);
        format!("{}:{line}: {}: {}", problem.file.display(), problem.key, problem.message)
    });
    words.collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    UnknownKey,
    NoSuchMember,
    NoSuchDepartment,
    NoSuchStrategy,
    NoSuchZone,
    NoDuration,
    NumberTwice,
    NoToml,
    UnknownTrunkKey,
}

const KINDS: [Kind; 9] = [
    Kind::UnknownKey,
    Kind::NoSuchMember,
    Kind::NoSuchDepartment,
    Kind::NoSuchStrategy,
    Kind::NoSuchZone,
    Kind::NoDuration,
    Kind::NumberTwice,
    Kind::NoToml,
    Kind::UnknownTrunkKey,
];

/// This version with one to three mistakes in it.
pub fn broken(model: &Model, dice: &mut Dice) -> Broken {
    let mut broken = Broken { files: model.files(), planted: Vec::new() };
    let mut kinds = KINDS.to_vec();
    let count = 1 + dice.below(3) as usize;
    for number in 1..=count {
        let kind = kinds.remove(dice.below(kinds.len() as u64) as usize);
        let [mark, twice] = marks(number, count);
        let company = 1 + dice.below(model.companies.len() as u64) as usize;
        match kind {
            Kind::UnknownKey => {
                broken.append(company, &["[departments.extra]", "members = []", &format!("{mark} = 1")], 3);
            }
            Kind::NoSuchMember => {
                broken.append(company, &["[departments.crew]", &format!("members = [\"{mark}\"]")], 2);
            }
            Kind::NoSuchDepartment => broken.append(
                company,
                &["[numbers.\"+918000000001\"]", "routes = [", &format!("  {{ to = \"department:{mark}\" }},"), "]"],
                3,
            ),
            Kind::NoSuchStrategy => broken.replace(company, "strategy = ", &format!("strategy = \"{mark}\"")),
            Kind::NoSuchZone => broken.replace(company, "timezone = ", &format!("timezone = \"{mark}\"")),
            Kind::NoDuration => broken.replace(company, "ring = ", &format!("ring = \"{mark}\"")),
            Kind::NumberTwice => {
                let spaced = twice.replace("+999", "+999 ");
                let routes = "routes = [ { to = \"reject:busy\" } ]";
                let lines = [&format!("[numbers.\"{twice}\"]"), routes, &format!("[numbers.\"{spaced}\"]"), routes];
                broken.append(company, &lines, 3);
            }
            Kind::NoToml => {
                let path = format!("companies/{mark}.toml");
                broken.files.push((path.clone(), "name = \"Broken\"\ndomain = = \"broken.example\"\n".to_owned()));
                broken.planted.push((path, 2));
            }
            Kind::UnknownTrunkKey => broken.append(0, &["[trunks.extra]", &format!("{mark} = true")], 2),
        }
    }
    broken
}

impl Broken {
    /// Adds lines at a file's end, the `wrong`th of which is.
    fn append(&mut self, file: usize, lines: &[&str], wrong: usize) {
        let (path, text) = &mut self.files[file];
        self.planted.push((path.clone(), text.lines().count() + wrong));
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
    }

    /// Puts a line in the place of the first that begins so.
    fn replace(&mut self, file: usize, begins: &str, line: &str) {
        let (path, text) = &mut self.files[file];
        let mut lines: Vec<&str> = text.lines().collect();
        let place = lines.iter().position(|line| line.starts_with(begins)).unwrap();
        lines[place] = line;
        self.planted.push((path.clone(), place + 1));
        *text = lines.join("\n") + "\n";
    }
}
