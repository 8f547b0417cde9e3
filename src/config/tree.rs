//! TOML values that know where they stand, and readers that report what is wrong with them and go on.
//!
//! A reader never stops at a problem: it reports it, answers with nothing (or with what the caller takes in its place), and the whole
//! configuration is refused in the end. So every problem is found at once.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::{Problem, Problems, Related, Severity};
use super::source::{FileId, Source, is_secret_key};
use super::suggest::one_of;

/// Where something stands: file, bytes and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: FileId,
    pub(super) span: Range<usize>,
    /// The key's path.
    pub(super) key: String,
}

/// What is wrong with a text, said by the function that tried to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: String,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Wrong {
        Wrong { message: message.into(), help: help.into() }
    }
}

/// A problem in the making.
pub(super) struct Finding {
    severity: Severity,
    at: At,
    message: String,
    label: Option<String>,
    help: Option<String>,
    related: Vec<(At, String)>,
    needs: Vec<FileId>,
    of_syntax: bool,
}

impl Finding {
    /// A problem at that place.
    pub(super) fn new(at: &At, message: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Error,
            at: at.clone(),
            message: message.into(),
            label: None,
            help: None,
            related: Vec::new(),
            needs: Vec::new(),
            of_syntax: false,
        }
    }

    /// Something at that place that is served, and probably not what was meant.
    pub(super) fn warning(at: &At, message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::new(at, message) }
    }

    /// The text is no TOML there.
    pub(super) fn of_syntax(mut self) -> Finding {
        self.of_syntax = true;
        self
    }

    /// A few words for the underlined text.
    pub(super) fn label(mut self, label: impl Into<String>) -> Finding {
        self.label = Some(label.into());
        self
    }

    /// What would be right.
    pub(super) fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    /// Another place that has to do with it.
    pub(super) fn related(mut self, at: &At, label: impl Into<String>) -> Finding {
        self.related.push((at.clone(), label.into()));
        self
    }

    /// It is about something absent from that file, which means nothing if that file could not be read whole.
    pub(super) fn absent_from(mut self, file: FileId) -> Finding {
        self.needs.push(file);
        self
    }
}

/// What has been found so far, and the texts it was found in.
#[derive(Default)]
pub(super) struct Findings {
    sources: Vec<Source>,
    findings: Vec<Finding>,
    /// Problems with a file as a whole.
    files: Vec<Problem>,
    /// Files in which an error was found.
    erroneous: BTreeSet<FileId>,
}

impl Findings {
    /// Takes a file in.
    pub(super) fn add_source(&mut self, path: PathBuf, text: String) -> FileId {
        self.sources.push(Source::new(path, text));
        FileId(self.sources.len() - 1)
    }

    /// Reports a file that could not be read at all.
    pub(super) fn unreadable(&mut self, path: PathBuf, message: String, help: &str) {
        self.of_file(Severity::Error, path, message, help);
    }

    /// Warns of a file or directory as a whole.
    pub(super) fn questionable(&mut self, path: PathBuf, message: String, help: &str) {
        self.of_file(Severity::Warning, path, message, help);
    }

    fn of_file(&mut self, severity: Severity, path: PathBuf, message: String, help: &str) {
        self.files.push(Problem {
            severity,
            file: path,
            place: None,
            key: String::new(),
            message,
            label: None,
            help: Some(help.to_owned()),
            related: Vec::new(),
        });
    }

    /// Reports a problem.
    pub(super) fn report(&mut self, finding: Finding) {
        if finding.severity == Severity::Error {
            self.erroneous.insert(finding.at.file);
        }
        self.findings.push(finding);
    }

    /// Reports what a reading function said of a text.
    pub(super) fn wrong(&mut self, at: &At, wrong: Wrong) {
        self.report(Finding::new(at, wrong.message).help(wrong.help));
    }

    /// Never show these bytes.
    pub(super) fn hide(&mut self, at: &At) {
        if let Some(source) = self.sources.get_mut(at.file.0) {
            source.hide(at.span.clone());
        }
    }

    /// Whether the syntax was found wrong before, so close that this may follow from it.
    pub(super) fn is_doubtful(&self, file: FileId, at: usize) -> bool {
        self.sources.get(file.0).is_some_and(|source| source.is_doubtful(at))
    }

    /// The syntax of that file is wrong at that byte.
    pub(super) fn distrust(&mut self, file: FileId, at: usize) {
        if let Some(source) = self.sources.get_mut(file.0) {
            source.distrust(at);
        }
    }

    /// Whether there is an error in that file: then what it leaves out, or leaves unused, says nothing.
    pub(super) fn has_errors_in(&self, file: FileId) -> bool {
        let broken = self.sources.get(file.0).is_none_or(|source| source.broken);
        broken || self.erroneous.contains(&file)
    }

    /// Everything that was found, without what only echoes a fault of syntax.
    pub(super) fn into_problems(self) -> Problems {
        let mut list = self.files;
        for finding in self.findings {
            let Some(source) = self.sources.get(finding.at.file.0) else { continue };
            // An echo of a fault of syntax that is reported anyway.
            let doubtful = source.is_doubtful(finding.at.span.start) || (source.broken && finding.at.span.is_empty());
            let echo = !finding.of_syntax && doubtful;
            let moot = finding.needs.iter().any(|file| self.sources.get(file.0).is_some_and(|needed| needed.broken));
            if echo || moot {
                continue;
            }
            let related = finding
                .related
                .iter()
                .filter_map(|(at, label)| {
                    let other = self.sources.get(at.file.0)?;
                    Some(Related { file: other.path.clone(), place: other.place(&at.span), label: label.clone() })
                })
                .collect();
            list.push(Problem {
                severity: finding.severity,
                file: source.path.clone(),
                place: Some(source.place(&finding.at.span)),
                key: finding.at.key,
                message: finding.message,
                label: finding.label,
                help: finding.help,
                related,
            });
        }
        Problems::from_list(list)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value<'t> {
    pub(super) at: At,
    value: &'t DeValue<'t>,
}

/// A table and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Table<'t> {
    /// The table's own place: its key, or the `{` of an inline one.
    pub(super) at: At,
    entries: Vec<Entry<'t>>,
}

/// A key of a table with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry<'t> {
    pub(super) name: &'t str,
    /// Where the key stands.
    pub(super) at: At,
    pub(super) value: Value<'t>,
}

impl<'t> Table<'t> {
    /// The table of a whole file.
    pub(super) fn root(file: FileId, table: &'t DeTable<'t>) -> Table<'t> {
        Table::new(At { file, span: 0..0, key: String::new() }, table)
    }

    fn new(at: At, table: &'t DeTable<'t>) -> Table<'t> {
        let mut entries: Vec<Entry<'t>> = table.iter().map(|(name, value)| entry(&at, name, value)).collect();
        entries.sort_by_key(|entry| entry.at.span.start);
        Table { at, entries }
    }

    /// The value under a key.
    pub(super) fn value(&self, name: &str) -> Option<&Value<'t>> {
        self.entry(name).map(|entry| &entry.value)
    }

    /// The key with its value.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry<'t>> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Everything in it, in the order written.
    pub(super) fn entries(&self) -> &[Entry<'t>] {
        &self.entries
    }

    /// The names in it.
    pub(super) fn names(&self) -> BTreeSet<&'t str> {
        self.entries.iter().map(|entry| entry.name).collect()
    }

    /// A table under a key; an empty one where there is none.
    pub(super) fn table(&self, name: &str, findings: &mut Findings) -> Table<'t> {
        let found = self.entry(name).and_then(|entry| entry.value.table(findings));
        found.unwrap_or_else(|| Table {
            at: At { file: self.at.file, span: self.at.span.clone(), key: join(&self.at.key, name) },
            entries: Vec::new(),
        })
    }

    /// Reports every key that is none of these. What stands under one is never shown: it may be a misspelt `password`.
    pub(super) fn allow(&self, allowed: &[&str], findings: &mut Findings) {
        for entry in self.entries.iter().filter(|entry| !allowed.contains(&entry.name)) {
            if !matches!(entry.value.value, DeValue::Table(_)) {
                findings.hide(&entry.value.at);
            }
            findings.report(
                Finding::new(&entry.at, format!("unknown key `{}`", entry.name)).label("not known here").help(one_of(
                    entry.name,
                    "keys allowed here",
                    allowed.iter().copied(),
                )),
            );
        }
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&self, name: &str, help: &str, findings: &mut Findings) {
        let whose = if self.at.key.is_empty() { String::new() } else { format!(" in `{}`", self.at.key) };
        let at = At { key: join(&self.at.key, name), ..self.at.clone() };
        findings.report(Finding::new(&at, format!("`{name}` is missing{whose}")).help(help).absent_from(self.at.file));
    }
}

fn entry<'t>(table: &At, name: &'t Spanned<std::borrow::Cow<'t, str>>, value: &'t Spanned<DeValue<'t>>) -> Entry<'t> {
    let text: &'t str = name.get_ref();
    let key = join(&table.key, text);
    let at = At { file: table.file, span: name.span(), key: key.clone() };
    let mut value = Value { at: At { file: table.file, span: value.span(), key }, value: value.get_ref() };
    // A table under a header is best shown by its name; an inline one by itself is long, so by its name too.
    if matches!(value.value, DeValue::Table(_)) {
        value.at.span = at.span.clone();
    }
    Entry { name: text, at, value }
}

fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let name = if bare { name.to_owned() } else { format!("\"{}\"", name.escape_debug()) };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

impl<'t> Value<'t> {
    /// A string.
    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'t str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.mistyped("a string in quotes", findings),
        }
    }

    /// The string, if it is one: for looking ahead without reporting anything.
    pub(super) fn peek_text(&self) -> Option<&'t str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// A string that `read` makes something of.
    pub(super) fn read<T>(&self, findings: &mut Findings, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let text = self.text(findings)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                findings.wrong(&self.at, wrong);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, findings: &mut Findings) -> Option<bool> {
        match self.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.mistyped("`true` or `false`", findings),
        }
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, bounds: RangeInclusive<u32>, findings: &mut Findings) -> Option<u32> {
        let DeValue::Integer(integer) = self.value else { return self.mistyped("a whole number", findings) };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            let message = format!("`{integer}` is out of bounds");
            let help = format!("a whole number from {} to {}", bounds.start(), bounds.end());
            findings.wrong(&self.at, Wrong::new(message, help));
        }
        number
    }

    /// An array.
    pub(super) fn list(&self, findings: &mut Findings) -> Option<Vec<Value<'t>>> {
        match self.value {
            DeValue::Array(array) => Some(self.elements(array)),
            _ => self.mistyped("a list in brackets", findings),
        }
    }

    /// What is in the list, if it is one: for looking again at what was read already.
    pub(super) fn peek_list(&self) -> Vec<Value<'t>> {
        match self.value {
            DeValue::Array(array) => self.elements(array),
            _ => Vec::new(),
        }
    }

    /// Whether it is a list with nothing in it.
    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self.value, DeValue::Array(array) if array.is_empty())
    }

    /// A table.
    pub(super) fn table(&self, findings: &mut Findings) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(self.at.clone(), table)),
            _ => self.mistyped("a table", findings),
        }
    }

    /// The table, if it is one: for looking ahead without reporting anything.
    pub(super) fn peek_table(&self) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(self.at.clone(), table)),
            _ => None,
        }
    }

    fn elements(&self, array: &'t DeArray<'t>) -> Vec<Value<'t>> {
        let element = |(index, value): (usize, &'t Spanned<DeValue<'t>>)| Value {
            at: At { file: self.at.file, span: value.span(), key: format!("{}[{index}]", self.at.key) },
            value: value.get_ref(),
        };
        array.iter().enumerate().map(element).collect()
    }

    fn mistyped<T>(&self, expected: &str, findings: &mut Findings) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date or time without quotes",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        findings.report(
            Finding::new(&self.at, format!("expected {expected}, found {found}"))
                .label(found)
                .help(format!("`{}` takes {expected}", self.at.key)),
        );
        None
    }
}

/// Hides everything under a key that holds a secret, wherever it stands.
pub(super) fn hide_secrets(table: &Table<'_>, findings: &mut Findings) {
    for entry in table.entries() {
        hide_secrets_in(&entry.value, is_secret_key(entry.name), findings);
    }
}

fn hide_secrets_in(value: &Value<'_>, secret: bool, findings: &mut Findings) {
    match value.value {
        DeValue::Table(table) => {
            for entry in Table::new(value.at.clone(), table).entries() {
                hide_secrets_in(&entry.value, secret || is_secret_key(entry.name), findings);
            }
        }
        DeValue::Array(array) => {
            for element in value.elements(array) {
                hide_secrets_in(&element, secret, findings);
            }
        }
        DeValue::Boolean(_) => {}
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) if secret => {
            findings.hide(&value.at);
        }
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {}
    }
}
