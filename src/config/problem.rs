//! What is wrong with a configuration, and where: problems as values, and their rendering for people.
//!
//! A problem carries the one or two lines it points at, already masked, so that nothing that holds a [`Problem`] holds
//! a secret. Owns no rule of the configuration itself.

use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// Whether a configuration with this problem can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot: it is refused whole.
    Error,
    /// It can, and probably does not do what was meant.
    Warning,
}

/// One thing that is wrong, where it is, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// The file, as its path was given.
    pub file: PathBuf,
    /// Where in the file; `None` for a file that is missing or cannot be read.
    pub place: Option<Place>,
    /// The key's path: `departments.sales.ring`; empty where it is about the file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// A few words for the underlined text.
    pub label: Option<String>,
    /// What would be right.
    pub help: Option<String>,
    /// Other places that have to do with it ("first written here").
    pub related: Vec<Related>,
}

/// A place in a file, and the line to show for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The bytes meant, in the file's text.
    pub span: Range<usize>,
    /// The line, with secrets masked and control characters replaced.
    pub(super) excerpt: String,
    /// The bytes of `excerpt` to underline.
    pub(super) mark: Range<usize>,
}

/// Another place that has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is there.
    pub label: String,
}

/// What is wrong with a configuration: errors and warnings where it is refused, warnings alone (or nothing) where it is
/// served. Sorted by file, then by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Sorts them.
    pub(super) fn from_list(mut list: Vec<Problem>) -> Problems {
        list.sort_by(|a, b| {
            let place = |problem: &Problem| problem.place.as_ref().map(|place| (place.line, place.column));
            (&a.file, place(a), &a.key, &a.message).cmp(&(&b.file, place(b), &b.key, &b.message))
        });
        list.dedup();
        Problems { list }
    }

    /// For people: file, line, the offending text underlined, and what would be right.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.list {
            let group = group(problem);
            text.push_str(&renderer.render(&[group]));
            text.push_str("\n\n");
        }
        text
    }

    /// For a log: where each is, and under which key, one a line; nothing of what stands there, which may be a person's number or
    /// address.
    pub fn places(&self) -> String {
        let mut text = String::new();
        for problem in &self.list {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let place = problem.place.as_ref().map(|place| format!(":{}:{}", place.line, place.column));
            let file = problem.file.to_string_lossy();
            let line = format!("{severity}: {file}{} {}", place.unwrap_or_default(), problem.key);
            text.push_str(printable(line.trim_end()).as_str());
            text.push('\n');
        }
        text
    }

    /// How many, errors and warnings.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// How many stand in the way.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many do not.
    pub fn warnings(&self) -> usize {
        self.count() - self.errors()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many, in words: `2 problems and 1 warning`, `no problem`.
    pub fn summary(&self) -> String {
        let (errors, warnings) = (self.errors(), self.warnings());
        let errors_words = if errors == 0 { "no problem".to_owned() } else { counted(errors, "problem", "problems") };
        match warnings {
            0 => errors_words,
            warnings => format!("{errors_words} and {}", counted(warnings, "warning", "warnings")),
        }
    }

    /// Each of them, sorted by file and place.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for Problems {
    /// A list of `{severity, file, line, column, key, message, help, related}`, as [`Problem`] has it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.list)
    }
}

impl Serialize for Problem {
    /// `{severity, file, line, column, key, message, help, related: [{file, line, column, label}]}`; `severity` is `error` or `warning`;
    /// `line`, `column` and `help` are null where there is none.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Problem", 8)?;
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        object.serialize_field("severity", severity)?;
        object.serialize_field("file", &self.file.to_string_lossy())?;
        object.serialize_field("line", &self.place.as_ref().map(|place| place.line))?;
        object.serialize_field("column", &self.place.as_ref().map(|place| place.column))?;
        object.serialize_field("key", &self.key)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("help", &self.help)?;
        object.serialize_field("related", &self.related)?;
        object.end()
    }
}

impl Serialize for Related {
    /// `{file, line, column, label}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Related", 4)?;
        object.serialize_field("file", &self.file.to_string_lossy())?;
        object.serialize_field("line", &self.place.line)?;
        object.serialize_field("column", &self.place.column)?;
        object.serialize_field("label", &self.label)?;
        object.end()
    }
}

/// `1 problem`, `2 problems`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn group(problem: &Problem) -> Group<'_> {
    let path = printable(&problem.file.to_string_lossy());
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(printable(&problem.message));
    let mut group = match (&problem.place, problem.key.is_empty()) {
        (_, true) => Group::with_title(title),
        (_, false) => Group::with_title(title.id(printable(&problem.key))),
    };
    match &problem.place {
        Some(place) => {
            let label = problem.label.as_deref().map(printable);
            group = group.element(
                Snippet::source(place.excerpt.as_str())
                    .path(path)
                    .line_start(place.line)
                    .annotation(AnnotationKind::Primary.span(place.mark.clone()).label(label)),
            );
        }
        None => group = group.element(Origin::path(path)),
    }
    for related in &problem.related {
        group = group.element(
            Snippet::source(related.place.excerpt.as_str())
                .path(printable(&related.file.to_string_lossy()))
                .line_start(related.place.line)
                .annotation(AnnotationKind::Context.span(related.place.mark.clone()).label(printable(&related.label))),
        );
    }
    match &problem.help {
        Some(help) => group.element(Level::HELP.message(printable(help))),
        None => group,
    }
}

/// Text of an admin's file goes to a terminal: control characters must not act there.
fn printable(text: &str) -> String {
    text.chars().map(|c| if unprintable(c) { '\u{fffd}' } else { c }).collect()
}

/// Control characters, and those that reorder the text around them.
pub(super) fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
