//! A call drawn as a ladder: one column for each party, time running down, an arrow for each message.
//!
//! Owns only the drawing. It reads start lines and Reason fields as plain text, so that even a message no parser takes
//! can be shown. Retransmissions are recognised by their bytes: straight after each other they collapse into `×3`,
//! later ones are marked.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use anstyle::{AnsiColor, Style};

use crate::time::Instant;

/// What was seen on the wire, in order.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    parties: Vec<String>,
    entries: Vec<Entry>,
}

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    /// Columns of the terminal. Too few for the parties is overrun, never folded.
    pub width: usize,
    /// The characters to draw with.
    pub glyphs: Glyphs,
    /// Whether to colour.
    pub colour: Colour,
}

impl Default for Drawing {
    /// 100 columns, Unicode, no colour.
    fn default() -> Drawing {
        Drawing { width: 100, glyphs: Glyphs::Unicode, colour: Colour::Never }
    }
}

/// The characters of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// `│`, `─`, `►`, `×3`: for a UTF-8 terminal.
    Unicode,
    /// `|`, `-`, `>`, `x3`: for any other.
    Ascii,
}

/// The colours of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// None.
    Never,
    /// ANSI: requests blue, progress yellow, success green, failure red, notes and times dimmed.
    Always,
}

#[derive(Clone, Debug)]
enum Entry {
    Message { at: Instant, from: usize, to: usize, summary: Summary, print: u64, repeats: Repeats },
    Note { at: Instant, text: String },
}

#[derive(Clone, Copy, Debug)]
enum Repeats {
    /// Sent this often in a row.
    InARow(u32),
    /// A retransmission after something else had happened.
    Later,
}

/// A message in a few words.
#[derive(Clone, Debug)]
struct Summary {
    /// `INVITE`, `486 Busy Here`.
    title: String,
    /// The number called, or the words of Reason.
    detail: Option<String>,
    tone: Tone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Request,
    Progress,
    Success,
    Failure,
    Aside,
}

const TIME_WIDTH: usize = 10;
const LEAST_SPACING: usize = 18;
const MOST_SPACING: usize = 32;

impl Ladder {
    /// An empty ladder with these parties as columns, left to right.
    pub fn new<N: Into<String>>(parties: impl IntoIterator<Item = N>) -> Ladder {
        Ladder { parties: parties.into_iter().map(|name| plain(&name.into())).collect(), entries: vec![] }
    }

    /// Records a datagram. A party not named before becomes the rightmost column.
    pub fn record(&mut self, at: Instant, from: &str, to: &str, bytes: &[u8]) {
        let (from, to) = (self.column(from), self.column(to));
        let print = fingerprint(bytes);
        let same = |entry: &Entry| matches!(entry, Entry::Message { from: f, to: t, print: p, .. } if (*f, *t, *p) == (from, to, print));
        if let Some(last) = self.entries.last_mut()
            && same(last)
        {
            if let Entry::Message { repeats: Repeats::InARow(times), .. } = last {
                *times += 1;
            }
            return;
        }
        let repeats = if self.entries.iter().any(same) { Repeats::Later } else { Repeats::InARow(1) };
        self.entries.push(Entry::Message { at, from, to, summary: summary(bytes), print, repeats });
    }

    /// Records a remark, drawn across the ladder: `asha is on-call at globex`.
    pub fn note(&mut self, at: Instant, text: impl AsRef<str>) {
        self.entries.push(Entry::Note { at, text: plain(text.as_ref()) });
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The drawing, each line ending in a newline. Times are seconds since the first entry.
    pub fn draw(&self, drawing: Drawing) -> String {
        let sheet = Sheet::new(self, drawing);
        let mut text = sheet.heading(&self.parties);
        let origin = self.entries.first().map(Entry::at).unwrap_or_default();
        let mut shown = None;
        for entry in &self.entries {
            let time = format!("{:.3}", entry.at().since(origin).as_secs_f64());
            let label = if shown.as_ref() == Some(&time) { String::new() } else { time.clone() };
            shown = Some(time);
            match entry {
                Entry::Message { from, to, summary, repeats, .. } => {
                    text += &sheet.message(&label, *from, *to, summary, *repeats);
                }
                Entry::Note { text: words, .. } => text += &sheet.note(&label, words),
            }
        }
        text + &sheet.row("", &[])
    }

    fn column(&mut self, name: &str) -> usize {
        let name = plain(name);
        match self.parties.iter().position(|party| *party == name) {
            Some(column) => column,
            None => {
                self.parties.push(name);
                self.parties.len() - 1
            }
        }
    }
}

impl Entry {
    fn at(&self) -> Instant {
        match self {
            Entry::Message { at, .. } | Entry::Note { at, .. } => *at,
        }
    }
}

/// Where everything stands.
struct Sheet {
    drawing: Drawing,
    /// The column of each party's line.
    lines: Vec<usize>,
    width: usize,
    spacing: usize,
}

/// Text laid over a row of lifelines.
struct Span {
    start: usize,
    text: String,
    tone: Tone,
}

impl Sheet {
    fn new(ladder: &Ladder, drawing: Drawing) -> Sheet {
        let gaps = ladder.parties.len().saturating_sub(1).max(1);
        let half = |name: Option<&String>| name.map_or(2, |name| name.chars().count().div_ceil(2).clamp(2, 10));
        let start = TIME_WIDTH + half(ladder.parties.first());
        let room = drawing.width.saturating_sub(start + half(ladder.parties.last()));
        let spacing = (room / gaps).clamp(LEAST_SPACING, MOST_SPACING);
        let lines: Vec<usize> = (0..ladder.parties.len()).map(|column| start + column * spacing).collect();
        let width = lines.last().copied().unwrap_or(start) + half(ladder.parties.last()) + 1;
        Sheet { drawing, lines, width, spacing }
    }

    fn heading(&self, parties: &[String]) -> String {
        let names: Vec<Vec<String>> = parties.iter().map(|name| wrap(name, self.spacing.saturating_sub(2))).collect();
        let height = names.iter().map(Vec::len).max().unwrap_or(0);
        let mut text = String::new();
        for row in 0..height {
            let mut line = String::new();
            for (name, at) in names.iter().zip(&self.lines) {
                // Names of fewer lines stand at the bottom, on their lifelines.
                let part = (row + name.len()).checked_sub(height).and_then(|index| name.get(index));
                let Some(part) = part else { continue };
                let start = at.saturating_sub(part.chars().count() / 2);
                let padding = start.saturating_sub(line.chars().count());
                line.extend(std::iter::repeat_n(' ', padding));
                line += part;
            }
            text += &line;
            text.push('\n');
        }
        text + &self.row("", &[])
    }

    fn message(&self, time: &str, from: usize, to: usize, summary: &Summary, repeats: Repeats) -> String {
        let (unicode, ascii) = match repeats {
            Repeats::InARow(1) => (String::new(), String::new()),
            Repeats::InARow(times) => (format!(" ×{times}"), format!(" x{times}")),
            Repeats::Later => (" ↻".to_owned(), " (again)".to_owned()),
        };
        let mark = self.pick(&unicode, &ascii);
        let at = |party: usize| self.lines.get(party).copied().unwrap_or(TIME_WIDTH);
        let (left, right) = (at(from.min(to)), at(from.max(to)));
        let room = right.saturating_sub(left + 1);
        let short = format!("{}{mark}", summary.title);
        let whole = match &summary.detail {
            Some(detail) if summary.tone == Tone::Request => format!("{} {detail}{mark}", summary.title),
            Some(detail) => format!("{} ({detail}){mark}", summary.title),
            None => short.clone(),
        };
        // Two blanks, the arrow's head, and for the whole label at least one dash.
        let (label, below) = if whole.chars().count() + 4 <= room {
            (whole, None)
        } else {
            (shorten(&short, room.saturating_sub(3), self.pick("…", "~")), summary.detail.as_deref())
        };
        let arrow =
            if from == to { format!("{} {label}", self.pick("↺", "@")) } else { self.arrow(from < to, room, &label) };
        let span = Span { start: left + 1, text: arrow, tone: summary.tone };
        let mut text = self.row(time, &[span]);
        let indent = left + 3;
        for line in below.map(|words| wrap(words, self.width.saturating_sub(indent + 2).max(10))).unwrap_or_default() {
            text += &self.row("", &[Span { start: indent - 1, text: format!(" {line} "), tone: summary.tone }]);
        }
        text
    }

    fn arrow(&self, rightward: bool, room: usize, label: &str) -> String {
        let dash = self.pick("─", "-");
        let dashes = room.saturating_sub(label.chars().count() + 3);
        let before = dashes / 2;
        let (before, after) = (dash.repeat(before), dash.repeat(dashes - before));
        if rightward {
            format!("{before} {label} {after}{}", self.pick("►", ">"))
        } else {
            format!("{}{after} {label} {before}", self.pick("◄", "<"))
        }
    }

    fn note(&self, time: &str, words: &str) -> String {
        let start = self.lines.first().copied().unwrap_or(TIME_WIDTH);
        let end = self.lines.last().copied().unwrap_or(start).max(start + LEAST_SPACING);
        let mut text = String::new();
        for (index, line) in wrap(words, end.saturating_sub(start + 6)).iter().enumerate() {
            let line = format!(" {line} ");
            let middle = (start + end).saturating_sub(line.chars().count()) / 2;
            let time = if index == 0 { time } else { "" };
            text += &self.row(time, &[Span { start: middle, text: line, tone: Tone::Aside }]);
        }
        text
    }

    /// One line: the time, the lifelines, and what is laid over them.
    fn row(&self, time: &str, spans: &[Span]) -> String {
        let mut line = format!("{time:>width$}", width = TIME_WIDTH - 2);
        if !time.is_empty() {
            line = self.paint(&line, Tone::Aside);
        }
        let mut column = TIME_WIDTH - 2;
        let mut pending: Vec<&Span> = spans.iter().rev().collect();
        let mut blanks = 0;
        while column < self.width || !pending.is_empty() {
            match pending.last() {
                Some(span) if span.start <= column => {
                    line.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
                    line += &self.paint(&span.text, span.tone);
                    column += span.text.chars().count().max(1);
                    pending.pop();
                }
                Some(_) | None => {
                    if self.lines.contains(&column) {
                        line.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
                        line += self.pick("│", "|");
                    } else {
                        blanks += 1;
                    }
                    column += 1;
                }
            }
        }
        line.push('\n');
        line
    }

    fn pick<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        match self.drawing.glyphs {
            Glyphs::Unicode => unicode,
            Glyphs::Ascii => ascii,
        }
    }

    fn paint(&self, text: &str, tone: Tone) -> String {
        let style = match tone {
            Tone::Request => Style::new().fg_color(Some(AnsiColor::Blue.into())),
            Tone::Progress => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Tone::Success => Style::new().fg_color(Some(AnsiColor::Green.into())),
            Tone::Failure => Style::new().fg_color(Some(AnsiColor::Red.into())),
            Tone::Aside => Style::new().dimmed(),
        };
        match self.drawing.colour {
            Colour::Never => text.to_owned(),
            Colour::Always => format!("{style}{text}{style:#}"),
        }
    }
}

/// A message in a few words, whatever it holds.
fn summary(bytes: &[u8]) -> Summary {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
    let start = lines.next().unwrap_or_default();
    let reason = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("reason").then(|| reason_words(value))
    });
    if let Some(status) = start.strip_prefix("SIP/2.0 ") {
        let tone = match status.bytes().next() {
            Some(b'1') => Tone::Progress,
            Some(b'2') => Tone::Success,
            Some(_) | None => Tone::Failure,
        };
        return Summary { title: plain(status), detail: reason, tone };
    }
    let mut words = start.split(' ');
    let method = plain(words.next().unwrap_or_default());
    let called = words.next().and_then(user_of).filter(|_| method == "INVITE");
    Summary { title: method, detail: reason.or(called), tone: Tone::Request }
}

/// `Q.850;cause=17;text="everybody is busy"` as `everybody is busy`, or as `Q.850 17` where there is no text.
fn reason_words(value: &str) -> String {
    let mut parts = value.split(';').map(str::trim);
    let protocol = parts.next().unwrap_or_default();
    let param = |name: &str| value.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    match (param("text"), param("cause")) {
        (Some(text), _) => plain(text.trim().trim_matches('"')),
        (None, Some(cause)) => plain(&format!("{protocol} {cause}")),
        (None, None) => plain(protocol),
    }
}

/// The user part of a Request-URI, or a tel number.
fn user_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let user = match rest.split_once('@') {
        Some((user, _)) => user,
        None if scheme.eq_ignore_ascii_case("tel") => rest,
        None => return None,
    };
    Some(plain(user.split(';').next().unwrap_or_default()))
}

/// What came off a wire must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

fn shorten(text: &str, room: usize, ellipsis: &str) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).collect::<String>() + ellipsis
}

/// Words on lines of at most `room` characters; a longer word has a line to itself.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                *line += word;
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ladder() -> Ladder {
        let at = |millis: u64| Instant::ORIGIN + Duration::from_millis(5000 + millis);
        let mut ladder = Ladder::new(["airtel", "switchboard", "Asha 221"]);
        ladder.record(at(0), "airtel", "switchboard", b"INVITE sip:+918041234567@192.0.2.9 SIP/2.0\r\n\r\n");
        ladder.record(at(0), "switchboard", "airtel", b"SIP/2.0 100 Trying\r\n\r\n");
        ladder.note(at(1), "ravi is on-call at globex");
        for millis in [1, 501, 1501] {
            ladder.record(at(millis), "switchboard", "Asha 221", b"INVITE sip:221@192.0.2.7 SIP/2.0\r\n\r\n");
        }
        ladder.record(at(1502), "Asha 221", "switchboard", b"SIP/2.0 180 Ringing\r\n\r\n");
        ladder.record(at(1502), "switchboard", "airtel", b"SIP/2.0 180 Ringing\r\n\r\n");
        ladder.record(
            at(4000),
            "switchboard",
            "airtel",
            b"SIP/2.0 480 Temporarily Unavailable\r\nReason: Q.850;cause=19;text=\"nobody in sales answered\"\r\n\r\n",
        );
        ladder.record(at(4100), "airtel", "Asha 221", b"ACK sip:\x1b[2J SIP/2.0\r\n\r\n");
        ladder.record(at(4100), "switchboard", "airtel", b"SIP/2.0 180 Ringing\r\n\r\n");
        ladder
    }

    #[test]
    fn a_call_is_drawn() {
        let drawn = ladder().draw(Drawing { width: 80, ..Drawing::default() });
        assert_drawing(&drawn, include_str!("ladder_unicode.txt"));
    }

    #[test]
    fn a_call_is_drawn_without_unicode() {
        let drawn = ladder().draw(Drawing { width: 80, glyphs: Glyphs::Ascii, ..Drawing::default() });
        assert!(drawn.is_ascii());
        assert_drawing(&drawn, include_str!("ladder_ascii.txt"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_colour_changes_no_character() {
        for width in [60, 80, 100, 200] {
            let drawing = Drawing { width, ..Drawing::default() };
            let drawn = ladder().draw(drawing);
            assert!(drawn.lines().all(|line| line.chars().count() <= width), "{width}\n{drawn}");
            let coloured = ladder().draw(Drawing { colour: Colour::Always, ..drawing });
            assert_ne!(coloured, drawn);
            assert_eq!(without_escapes(&coloured), drawn);
        }
    }

    fn without_escapes(text: &str) -> String {
        let mut plain = String::new();
        let mut inside = false;
        for character in text.chars() {
            match character {
                '\x1b' => inside = true,
                'm' if inside => inside = false,
                _ if !inside => plain.push(character),
                _ => {}
            }
        }
        plain
    }

    #[track_caller]
    fn assert_drawing(drawn: &str, expected: &str) {
        assert!(drawn == expected, "drawn:\n{drawn}\nexpected:\n{expected}");
    }
}
