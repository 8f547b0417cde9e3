//! The files of a configuration as text: places in them, and which parts of them must never be shown.

use std::ops::Range;
use std::path::PathBuf;

use super::problem::{Place, unprintable};
use super::suggest::distance;

/// A file of the configuration, by its position among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId(pub(super) usize);

/// A file's text.
pub(super) struct Source {
    /// As it was given.
    pub(super) path: PathBuf,
    /// Its text; bytes that are not UTF-8 replaced.
    pub(super) text: String,
    /// It could not be read whole: what seems absent from it may be there.
    pub(super) broken: bool,
    /// Where each line begins, the first at 0.
    line_starts: Vec<usize>,
    /// Parts that are never shown, in bytes of `text`: in order and apart.
    secrets: Vec<Range<usize>>,
    /// Parts that a fault of syntax makes unreliable.
    doubtful: Vec<Range<usize>>,
}

impl Source {
    pub(super) fn new(path: PathBuf, text: String) -> Source {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Source { path, text, broken: false, line_starts, secrets: Vec::new(), doubtful: Vec::new() }
    }

    /// Never show this part.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        // Whatever it overlaps becomes one with it; most often it is behind all others.
        let first = self.secrets.partition_point(|secret| secret.end < span.start);
        let last = self.secrets.partition_point(|secret| secret.start <= span.end);
        let met = self.secrets.get(first..last).unwrap_or_default();
        let start = met.first().map_or(span.start, |secret| secret.start.min(span.start));
        let end = met.last().map_or(span.end, |secret| secret.end.max(span.end));
        self.secrets.splice(first..last, std::iter::once(start..end));
    }

    /// The syntax is wrong at `at`. What was recovered from there to the next table's header is not judged, and what may be a
    /// secret is found by looking at the text, for there is no tree to trust.
    pub(super) fn distrust(&mut self, at: usize) {
        if !self.broken {
            self.broken = true;
            let found = suspected_secrets(&self.text);
            found.into_iter().for_each(|span| self.hide(span));
        }
        let start = self.line_around(at).start;
        let end = self
            .lines()
            .find(|line| line.start > at && self.slice(line).trim_start().starts_with('['))
            .map_or(self.text.len(), |line| line.start);
        self.doubtful.push(start..end);
    }

    /// Whether what was read at `at` may be an echo of a fault of syntax.
    pub(super) fn is_doubtful(&self, at: usize) -> bool {
        self.doubtful.iter().any(|range| range.contains(&at) || range.start == at)
    }

    /// The place of these bytes. A span over several lines is shown as its first.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end.max(start));
        let whole = self.line_around(start);
        let line = self.line_starts.partition_point(|line_start| *line_start <= start);
        let column = 1 + self.slice(&(whole.start..start)).chars().count();
        let mut excerpt = String::new();
        let mut mark: Option<Range<usize>> = None;
        let mut hidden = false;
        for (offset, c) in self.slice(&whole).char_indices() {
            let at = whole.start + offset;
            let before = excerpt.len();
            let next = self.secrets.partition_point(|secret| secret.end <= at);
            let secret = self.secrets.get(next).is_some_and(|range| range.contains(&at));
            match (secret, hidden) {
                (true, false) => excerpt.push_str("\"•••\""),
                (true, true) => {}
                (false, _) if c == '\t' => excerpt.push(c),
                (false, _) if c == '\r' => {}
                (false, _) if unprintable(c) => excerpt.push('\u{fffd}'),
                (false, _) => excerpt.push(c),
            }
            hidden = secret;
            if at >= start && (at < end || at == start) {
                // Inside a mask the whole of it is marked: where in a secret something is says something about it.
                let from = if secret && before == excerpt.len() {
                    before.saturating_sub("\"•••\"".len())
                } else {
                    before
                };
                let range = mark.get_or_insert(from..excerpt.len());
                range.end = excerpt.len();
            }
        }
        let mark = mark.unwrap_or(excerpt.len()..excerpt.len());
        Place { line, column, span: start..end, excerpt, mark }
    }

    fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The nearest start of a character at or before `at`.
    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn line_around(&self, at: usize) -> Range<usize> {
        let at = self.boundary(at);
        let start = self.slice(&(0..at)).rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.slice(&(at..self.text.len())).find('\n').map_or(self.text.len(), |newline| at + newline);
        start..end
    }

    fn lines(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.text.split_inclusive('\n').scan(0, |offset, line| {
            let start = *offset;
            *offset += line.len();
            Some(start..*offset)
        })
    }
}

/// Whether a value under this key is never shown.
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    ["password", "passwd", "pass", "pwd", "secret", "digest", "sha-256", "sha256", "md5", "ha1"].contains(&key.as_str())
        || (key != "password-file" && distance(&key, "password") <= 3)
}

/// In a text that could not be parsed: everything behind a key that may be a secret's.
fn suspected_secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut offset = 0;
    // The delimiter of a multi-line secret that has not ended, or a value that must follow on the next line.
    let mut until: Option<&str> = None;
    let mut next_line = false;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let end = start + content.len();
        if let Some(delimiter) = until {
            found.push(start..end);
            if content.contains(delimiter) {
                until = None;
            }
            continue;
        }
        if next_line {
            found.push(start..end);
            next_line = content.trim().is_empty();
            continue;
        }
        if let Some(at) = unknown_value(content) {
            found.push(start + at..end);
        }
        let Some(value_at) = secret_value(content) else { continue };
        let value = content.get(value_at..).unwrap_or_default();
        found.push(start + value_at..end);
        for delimiter in ["\"\"\"", "'''"] {
            if value.matches(delimiter).count() == 1 {
                until = Some(delimiter);
            }
        }
        next_line = value.trim().is_empty();
    }
    found
}

/// Keys whose values may be shown where there is no tree to tell what is a key: everything known but secrets, and a few words.
const PUBLIC: &[&str] = &[
    "sip",
    "control",
    "state",
    "trunks",
    "listen",
    "advertise",
    "max-call",
    "registration-default",
    "registration-max",
    "registration-min",
    "socket",
    "http",
    "directory",
    "journal",
    "keep-calls",
    "tokens",
    "companies",
    "user",
    "log",
    "level",
    "format",
    "hep",
    "collector",
    "capture-id",
    "sources",
    "proxy",
    "country-code",
    "national-prefix",
    "international-prefix",
    "max-calls",
    "max-calls-per-second",
    "name",
    "domain",
    "timezone",
    "status",
    "blocked-callers",
    "outbound-trunk",
    "plan",
    "users",
    "panel-seats",
    "extensions",
    "hours",
    "week",
    "dates",
    "numbers",
    "label",
    "routes",
    "callers",
    "to",
    "departments",
    "members",
    "strategy",
    "ring",
    "max-ring",
    "wait",
    "max-waiting",
    "wrap-up",
    "sticky",
    "mode",
    "window",
    "overflow",
    "email",
    "mobile",
    "person",
    "role",
    "panel",
    "take-calls",
    "ring-on",
    "mon-fri",
    "sat",
    "sun",
    "default",
];

/// Where on this line begins what stands under no key that is known to be public, be it a secret's key that a slip has cut in two or a
/// secret broken over lines.
fn unknown_value(line: &str) -> Option<usize> {
    let public = |text: &str| {
        let word = text.rsplit([',', '{', '.', ' ', '\t']).next().unwrap_or_default();
        PUBLIC.contains(&word.trim_matches(['"', '\'']))
    };
    let mut from = 0;
    for (at, _) in line.match_indices('=') {
        let before = line.get(from..at).unwrap_or_default();
        let key = before.rsplit([',', '{', '[']).next().unwrap_or_default().trim();
        if !public(key) || (from == 0 && key.contains([' ', '\t'])) {
            return Some(at + 1);
        }
        from = at + 1;
    }
    let start = line.trim_start();
    let structure = start.is_empty() || start.starts_with(['[', ']', '{', '}', '#']);
    let word = start.split([' ', '\t']).next().unwrap_or_default();
    (from == 0 && !structure && !public(word)).then_some(0)
}

/// Where on this line what may be a secret begins: behind the `=` of a suspicious key.
fn secret_value(line: &str) -> Option<usize> {
    let mut word = 0..0;
    for (at, c) in line.char_indices() {
        if c.is_alphanumeric() || c == '-' || c == '_' {
            if word.end != at {
                word = at..at;
            }
            word.end = at + c.len_utf8();
        } else if word.end == at && !word.is_empty() && is_secret_key(line.get(word.clone()).unwrap_or_default()) {
            let rest = line.get(at..).unwrap_or_default();
            let skipped = rest.find(|c: char| !matches!(c, '"' | '\'' | ' ' | '\t' | '=' | ':'));
            // The opening quote belongs to the value.
            return Some(rest.find(['=', ':']).map_or(at, |sign| match skipped {
                Some(first) if first < sign => at,
                _ => at + sign + 1 + blanks(rest.get(sign + 1..).unwrap_or_default()),
            }));
        }
    }
    is_secret_key(line.get(word.clone()).unwrap_or_default()).then_some(line.len())
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_in_text_that_is_no_toml() {
        for text in [
            "password = hunter2",
            "password = \"hunter2",
            "pasword = hunter2",
            "password \"hunter2\"",
            "\"password\" = hunter2'",
            "password =\n hunter2",
            "password = \"\"\"\nab\nhunter2\n",
            "users = { name = \"x\", password = \"hunter2\"",
            "digest = { sha-256 = hunter2 }",
            "users.221.passwd: hunter2",
        ] {
            let mut source = Source::new(PathBuf::from("x"), text.to_owned());
            source.distrust(0);
            let at = text.find("hunter2").unwrap();
            let place = source.place(&(at..at + 7));
            assert!(!place.excerpt.contains("hunter"), "{text}: {}", place.excerpt);
        }
    }

    #[test]
    fn places_count_characters_and_survive_any_span() {
        let source = Source::new(PathBuf::from("x"), "é = 1\r\n\tü\u{1b} = \"x\"\n".to_owned());
        let place = source.place(&(9..11));
        assert_eq!((place.line, place.column), (2, 2));
        assert_eq!(place.excerpt, "\tü\u{fffd} = \"x\"");
        for start in 0..40 {
            for end in 0..40 {
                let place = source.place(&(start..end));
                assert!(place.excerpt.get(place.mark.clone()).is_some());
            }
        }
    }
}
