//! Configuration: text to a whole [`Config`], or every [`Problem`] with its place (R-9, product.md §2).
//!
//! A directory holds `switchboard.toml` and `companies/*.toml`. Each file becomes a tree of values that know where they stand
//! (`tree`); readers walk the trees and report whatever is wrong with them, without stopping (`machine`, `log`, `hep`, `tokens`,
//! `company`, `schedule`, `credentials`, over the texts of `words`); what must hold across companies is checked last (`whole`),
//! and what is probably not meant is told where nothing is wrong (`warnings`). `peek` finds single values in files that need not
//! be right. Only [`load`], [`load_at`], [`default_directory`] and `peek` touch the disk; nothing here reads a clock.

mod company;
mod credentials;
mod diff;
mod hep;
mod log;
mod machine;
mod passwords;
mod peek;
mod persons;
mod problem;
mod schedule;
mod source;
pub(crate) mod suggest;
mod tokens;
mod tree;
mod warnings;
mod whole;
mod words;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

pub use diff::diff;
pub use hep::{Hep, HepPassword};
pub use log::{Log, LogFormat, LogLevel};
pub(crate) use peek::{Domains, control_socket, domains};
pub use problem::{Place, Problem, Problems, Related, Severity, counted};
pub use tokens::{Access, Token, TokenRole, hash as token_hash};

use crate::auth::Offer;
use crate::id::{CompanyId, Extension};
use crate::routing::Plan;
use crate::time::WallTime;
use company::{ReadFile, Surroundings};
use machine::Machine;
use source::FileId;
use tree::{At, Finding, Findings, Table};

/// One version of the whole configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[sip]`
    pub sip: Sip,
    /// `[control]`
    pub control: Control,
    /// `[state]`
    pub state: State,
    /// `[log]`
    pub log: Log,
    /// `[hep]`
    pub hep: Option<Hep>,
    /// Companies and trunks.
    pub plan: std::sync::Arc<Plan>,
    /// `[plan]` of each company: what it has bought, and keeps to.
    pub limits: BTreeMap<CompanyId, Limits>,
    /// What can be served and is probably not meant; no errors.
    pub warnings: Problems,
}

/// `[sip]`
#[derive(Clone, Debug, PartialEq)]
pub struct Sip {
    /// `listen`: UDP sockets to bind, at least one.
    pub listen: Vec<SocketAddr>,
    /// `advertise`: host put in Via and Record-Route instead of the bound address; an IPv6 address without brackets.
    pub advertise: Option<String>,
    /// `max-call`, default 4 h.
    pub max_call: Duration,
    /// `sha-256` and `md5`: which digest algorithms are offered, by default both.
    pub algorithms: Offer,
    /// `registration-default`, default 3600 s.
    pub registration_default: Duration,
    /// `registration-max`, default 7200 s.
    pub registration_max: Duration,
    /// `registration-min`, default 60 s.
    pub registration_min: Duration,
}

/// `[control]`
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// `socket`, default `/run/switchboard/control.sock`; a relative path is relative to the directory of `switchboard.toml`.
    pub socket: PathBuf,
    /// `http`.
    pub http: Option<SocketAddr>,
    /// `[control.tokens.NAME]`, in the order written; no two with one hash.
    pub tokens: Vec<Token>,
}

/// `[state]`
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// `directory`; a relative path is relative to the directory of `switchboard.toml`.
    pub directory: Option<PathBuf>,
    /// `journal`: the directory of the journal; `None` is beside the control socket. Relative as `directory` is.
    pub journal: Option<PathBuf>,
    /// `keep-calls`: how long call records are kept; default 400 days.
    pub keep_calls: Duration,
}

/// `[plan]` of a company: what it has bought. A configuration that exceeds it is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `users`
    pub users: Option<u32>,
    /// `panel-seats`
    pub panel_seats: Option<u32>,
    /// `extensions`: the lowest and the highest, with equally many digits.
    pub extensions: Option<(String, String)>,
}

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// Where a configuration is looked for when nobody says, in this order.
pub const DEFAULT_DIRECTORIES: [&str; 2] = ["/etc/switchboard", "config"];

/// Where a configuration is when nobody says: `/etc/switchboard` if `switchboard.toml` is there, else `config`.
pub fn default_directory() -> PathBuf {
    let [system, local] = DEFAULT_DIRECTORIES.map(Path::new);
    if holds_configuration(system) { system.to_owned() } else { local.to_owned() }
}

/// Whether a directory holds a `switchboard.toml`. Where that cannot be told (it may not be read) it counts as there: to take another
/// configuration in its place would be worse than to say that it cannot be read.
pub fn holds_configuration(directory: &Path) -> bool {
    directory.join("switchboard.toml").try_exists().unwrap_or(true)
}

/// Reads an extension as a company's file would have it.
///
/// # Errors
/// What is wrong with it and what would be right.
pub fn extension(text: &str) -> Result<Extension, String> {
    words::extension(text).map_err(|wrong| format!("{}; {}", wrong.message, wrong.help))
}

/// Reads a SIP domain as a company's file would have it, to lower case.
///
/// # Errors
/// What is wrong with it and what would be right.
pub fn domain(text: &str) -> Result<String, String> {
    words::domain(text).map_err(|wrong| format!("{}; {}", wrong.message, wrong.help))
}

/// Reads a whole directory: `switchboard.toml` and `companies/*.toml`. Other files are left alone, and so are those
/// whose names begin with a dot, which editors make. A directory `companies` without files is a configuration without companies; there must
/// be one, so that a directory that is just being replaced is not taken for the end of every company.
///
/// # Errors
/// Every problem at once.
pub fn load(directory: &Path) -> Result<Config, Problems> {
    load_noting(directory).0
}

/// As [`load`]; warns also of what the seven days from `now` on will bring: hours without a route, departments that nobody can
/// reach, calls that ring too long for a caller to listen.
///
/// # Errors
/// Every problem at once.
pub fn load_at(now: WallTime, directory: &Path) -> Result<Config, Problems> {
    noting(Some(now), directory).0
}

/// As [`load`]; also the `password-file`s it read or tried to read.
pub(crate) fn load_noting(directory: &Path) -> (Result<Config, Problems>, BTreeSet<PathBuf>) {
    noting(None, directory)
}

fn noting(moment: Option<WallTime>, directory: &Path) -> (Result<Config, Problems>, BTreeSet<PathBuf>) {
    let main = directory.join("switchboard.toml");
    let mut files = vec![File { role: Role::Machine, content: read_whole(&main), path: main }];
    let companies = directory.join("companies");
    let unlisted = |error| File { role: Role::Listing, path: companies.clone(), content: Err(error) };
    match std::fs::read_dir(&companies) {
        Ok(entries) => {
            for entry in entries {
                match entry.map(|entry| entry.path()) {
                    Ok(path) if is_company_file(&path) => {
                        files.push(File { role: Role::Company, content: read_whole(&path), path });
                    }
                    Ok(_) => {}
                    Err(error) => files.push(unlisted(error)),
                }
            }
        }
        // Where there is no configuration at all, that is said already.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !holds_configuration(directory) => {}
        Err(error) => files.push(unlisted(error)),
    }
    let noted = RefCell::new(BTreeSet::new());
    let read_file = |path: &Path| {
        noted.borrow_mut().insert(path.to_owned());
        read_whole(path)
    };
    let config = read_files(moment, files, &read_file);
    (config, noted.into_inner())
}

/// Reads a configuration from the texts of its files: `…/switchboard.toml` and `…/companies/*.toml`. Touches no disk: a `password-file`
/// is a problem here.
///
/// # Errors
/// Every problem at once.
pub fn load_texts(files: &[(PathBuf, Vec<u8>)]) -> Result<Config, Problems> {
    load_texts_with(files, &nothing)
}

/// As [`load_texts`], with the warnings of [`load_at`].
///
/// # Errors
/// Every problem at once.
pub fn load_texts_at(now: WallTime, files: &[(PathBuf, Vec<u8>)]) -> Result<Config, Problems> {
    of_texts(Some(now), files, &nothing)
}

fn nothing(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::NotFound, "no files are read here"))
}

/// As [`load_texts`], with `read_file` to read what a `password-file` names.
///
/// # Errors
/// Every problem at once.
pub fn load_texts_with(
    files: &[(PathBuf, Vec<u8>)],
    read_file: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Config, Problems> {
    of_texts(None, files, read_file)
}

fn of_texts(
    moment: Option<WallTime>,
    files: &[(PathBuf, Vec<u8>)],
    read_file: ReadFile<'_>,
) -> Result<Config, Problems> {
    let is_main = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "switchboard.toml");
    let main = files.iter().map(|(path, _)| path).filter(is_main).min_by_key(|path| path.components().count());
    let mut chosen: Vec<File> = Vec::new();
    if main.is_none() {
        let missing = io::Error::new(io::ErrorKind::NotFound, "there is no such file");
        chosen.push(File { role: Role::Machine, path: PathBuf::from("switchboard.toml"), content: Err(missing) });
    }
    let companies = main.and_then(|path| path.parent()).unwrap_or(Path::new("")).join("companies");
    for (path, text) in files {
        let role = if Some(path) == main {
            Role::Machine
        } else if path.parent() == Some(&companies) && is_company_file(path) {
            Role::Company
        } else {
            continue;
        };
        chosen.push(File { role, path: path.clone(), content: Ok(text.clone()) });
    }
    read_files(moment, chosen, read_file)
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// `switchboard.toml`
    Machine,
    /// One of `companies/*.toml`.
    Company,
    /// The directory of companies, where it could not be listed.
    Listing,
}

/// A file of a configuration, as far as it could be read.
struct File {
    role: Role,
    path: PathBuf,
    content: io::Result<Vec<u8>>,
}

fn is_company_file(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    path.extension().is_some_and(|extension| extension == "toml") && !hidden
}

/// A regular file's content, if it is not too large to be meant.
fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if about.len() > LARGEST_FILE {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    std::fs::read(path)
}

/// A file's text and whose it is.
struct Text {
    id: FileId,
    role: Role,
    path: PathBuf,
    text: String,
}

fn read_files(moment: Option<WallTime>, mut files: Vec<File>, read_file: ReadFile<'_>) -> Result<Config, Problems> {
    files.sort_by(|a, b| (a.role, &a.path).cmp(&(b.role, &b.path)));
    let mut findings = Findings::default();
    let mut texts = Vec::new();
    for File { role, path, content } in files {
        let (id, text) = match content {
            Ok(bytes) => take_text(&path, bytes, &mut findings),
            Err(error) => {
                let help = match role {
                    Role::Machine => "a configuration directory holds switchboard.toml and companies/*.toml",
                    Role::Company => "make it a file that can be read, or take it away",
                    Role::Listing => {
                        "it is the directory of the companies' files; where there are none yet, make it and leave it empty"
                    }
                };
                findings.unreadable(path.clone(), format!("`{}` cannot be read: {error}", path.display()), help);
                let id = findings.add_source(path.clone(), String::new());
                findings.distrust(id, 0);
                (id, String::new())
            }
        };
        texts.push(Text { id, role, path, text });
    }
    let trees: Vec<(&Text, DeTable<'_>)> =
        texts.iter().map(|text| (text, parse(text.id, &text.text, &mut findings))).collect();
    let mut roots: Vec<(&Text, Table<'_>)> = Vec::new();
    for (text, tree) in &trees {
        let root = Table::root(text.id, tree);
        tree::hide_secrets(&root, &mut findings);
        roots.push((text, root));
    }
    let config = assemble(moment, &roots, read_file, &mut findings);
    let problems = findings.into_problems();
    match (problems.errors(), config) {
        (0, Some(config)) => Ok(Config { warnings: problems, ..config }),
        (0, None) => unreachable!("switchboard.toml is among the files, if only as a problem"),
        (_, _) => Err(problems),
    }
}

/// Takes a file's text in; bytes that are not UTF-8 are a problem and leave it without any text to read.
fn take_text(path: &Path, bytes: Vec<u8>, findings: &mut Findings) -> (FileId, String) {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return (findings.add_source(path.to_owned(), text.clone()), text),
        Err(error) => error,
    };
    let start = error.utf8_error().valid_up_to();
    let id = findings.add_source(path.to_owned(), String::from_utf8_lossy(error.as_bytes()).into_owned());
    let at = At { file: id, span: start..start + 1, key: String::new() };
    findings.distrust(id, 0);
    findings.report(
        Finding::new(&at, "this file is not UTF-8")
            .of_syntax()
            .label("the first byte that is not")
            .help("save it as UTF-8: another encoding was used, perhaps Windows-1252 or Latin-1"),
    );
    (id, String::new())
}

fn parse<'t>(id: FileId, text: &'t str, findings: &mut Findings) -> DeTable<'t> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut last_line = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let at = At { file: id, span: span.clone(), key: String::new() };
        let mut message = error.message().lines();
        let first = message.next().unwrap_or("it cannot be understood");
        // The keys of a table written twice are not each a fault of their own; nor is what follows on the line of a fault.
        let line = text.get(..span.start).map(|before| before.matches('\n').count());
        let duplicate = first == "duplicate key";
        let follows = line == last_line || (duplicate && findings.is_doubtful(id, span.start));
        last_line = line;
        findings.distrust(id, span.start);
        if follows {
            continue;
        }
        let rest: Vec<&str> = message.collect();
        let help = if duplicate { "write it once: take one of the two away".to_owned() } else { rest.join("; ") };
        let mut finding = Finding::new(&at, format!("this is not TOML: {first}")).of_syntax();
        if !help.is_empty() {
            finding = finding.help(help);
        }
        findings.report(finding);
    }
    tree.into_inner()
}

fn assemble(
    moment: Option<WallTime>,
    roots: &[(&Text, Table<'_>)],
    read_file: ReadFile<'_>,
    findings: &mut Findings,
) -> Option<Config> {
    let of_role = |role: Role| roots.iter().filter(move |(text, _)| text.role == role);
    let (text, root) = of_role(Role::Machine).next()?;
    let mut machine = machine::read(root, text.path.parent().unwrap_or(Path::new("")), read_file, findings);
    let persons = persons::Persons::gather(of_role(Role::Company).map(|(_, root)| root));
    let mut read = Vec::new();
    let none = of_role(Role::Company).chain(of_role(Role::Listing)).next().is_none();
    if none && !findings.has_errors_in(text.id) {
        findings.questionable(
            text.path.parent().unwrap_or(Path::new("")).join("companies"),
            "there are no companies: every call is refused and no phone can register".to_owned(),
            "one file per company: companies/acme.toml",
        );
    }
    for (text, root) in of_role(Role::Company) {
        let stem = text.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if let Err(wrong) = words::identifier(&stem, "company") {
            findings.unreadable(
                text.path.clone(),
                wrong.message,
                "rename the file: its name is the company's id, of letters, digits, `-` and `_`",
            );
        }
        let around = Surroundings {
            machine: &machine,
            persons: &persons,
            read_file,
            directory: text.path.parent().unwrap_or(Path::new("")).to_owned(),
        };
        read.push(company::read(&CompanyId::new(&stem), root, &around, findings));
    }
    machine.control.tokens = tokens::read(&root.table("control", &mut Findings::default()), &known(roots), findings);
    let plan = std::sync::Arc::new(whole::plan(&machine, &read, findings));
    let mut mobiles = warnings::Mobiles::default();
    for ((_, root), read) in of_role(Role::Company).zip(&read) {
        warnings::of_company(root, read, &plan, moment, &mut mobiles, findings);
    }
    warnings::of_machine(root, findings);
    let limits = read.into_iter().map(|read| (read.company.id, read.limits)).collect();
    let warnings = Problems::default();
    let Machine { sip, control, state, log, hep, .. } = machine;
    Some(Config { sip, control, state, log, hep, plan, limits, warnings })
}

/// The companies and users that a token may name.
fn known<'t>(roots: &[(&Text, Table<'t>)]) -> tokens::Known<'t> {
    let mut known = tokens::Known { companies: BTreeMap::new(), unlisted: Vec::new() };
    for (text, root) in roots {
        match text.role {
            Role::Machine => {}
            Role::Listing => known.unlisted.push(text.id),
            Role::Company => {
                let stem = text.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
                let users = root.value("users").and_then(tree::Value::peek_table);
                let names = users.map(|users| users.names()).unwrap_or_default();
                known.companies.insert(CompanyId::new(stem), (text.id, names));
            }
        }
    }
    known
}
