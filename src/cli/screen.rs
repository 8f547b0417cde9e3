//! Where a command prints: buffered, in colour on a terminal only.

use std::io::{self, BufWriter, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

/// What something printed means; the screen chooses its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing special.
    Plain,
    /// A title.
    Title,
    /// Good: free, answered.
    Good,
    /// Worth a look: busy, waiting.
    Warning,
    /// Bad: refused.
    Bad,
    /// Less important than the rest.
    Faint,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Title => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
            Tone::Faint => Style::new().dimmed(),
        }
    }
}

/// Standard output, or a test's.
pub(super) struct Screen {
    out: Box<dyn Write>,
    palette: Palette,
}

/// Whether colours are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Palette {
    /// They are.
    Colour,
    /// Plain text.
    Plain,
}

impl Screen {
    /// Standard output; in colour if it is a terminal and `NO_COLOR` is not set.
    pub(super) fn stdout() -> Screen {
        let stdout = io::stdout();
        let palette = Palette::of(&stdout);
        Screen { out: Box::new(BufWriter::new(stdout)), palette }
    }

    /// Whether colours are shown.
    pub(super) fn palette(&self) -> Palette {
        self.palette
    }

    /// A line.
    pub(super) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", text.as_ref())
    }

    /// A line in a tone.
    pub(super) fn toned(&mut self, tone: Tone, text: impl AsRef<str>) -> io::Result<()> {
        let text = self.palette.paint(tone, text.as_ref());
        self.line(text)
    }

    /// Text as it is.
    pub(super) fn raw(&mut self, text: &[u8]) -> io::Result<()> {
        self.out.write_all(text)
    }

    /// A value as JSON, for programs.
    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.line(text)
    }

    /// Shows what is printed so far.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Palette {
    /// In colour if it is a terminal and `NO_COLOR` is not set.
    fn of(stream: &impl IsTerminal) -> Palette {
        let colour = stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if colour { Palette::Colour } else { Palette::Plain }
    }

    /// What is said on standard error.
    pub(super) fn of_errors() -> Palette {
        Palette::of(&io::stderr())
    }

    /// The text in its tone.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        match (self, tone) {
            (Palette::Plain, _) | (_, Tone::Plain) => text.to_owned(),
            (Palette::Colour, _) => {
                let style = tone.style();
                format!("{style}{text}{style:#}")
            }
        }
    }
}

/// How many columns the terminal has that standard output is; `None` where it is none or does not say.
pub(super) fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    // By way of `stty`, which POSIX has everywhere and which asks the terminal that its standard input is.
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    let mut stty = std::process::Command::new("stty");
    let said = stty.arg("size").stdin(terminal).stderr(std::process::Stdio::null()).output().ok()?;
    columns(&String::from_utf8_lossy(&said.stdout))
}

/// `24 80`: rows and columns. A terminal that does not know its size says 0.
fn columns(size: &str) -> Option<usize> {
    let (_, columns) = size.trim().split_once(' ')?;
    columns.parse().ok().filter(|columns| *columns > 0)
}

/// A message on standard error.
pub(super) fn complain(message: &str) -> io::Result<()> {
    writeln!(io::stderr(), "switchboard: {message}")
}

/// Text of strangers (callers' names, user agents) without anything that would steer a terminal.
pub(super) fn harmless(text: &str) -> String {
    let visible = |character: char| {
        // Characters that reorder or hide others can make one thing look like another.
        let steering = matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if character.is_control() || steering { '\u{fffd}' } else { character }
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A screen whose text can be looked at.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(in crate::cli) fn screen(&self, palette: Palette) -> Screen {
            Screen { out: Box::new(self.clone()), palette }
        }

        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn strangers_text_cannot_steer_the_terminal() {
        assert_eq!(harmless("\x1b[31mred\r\n\u{202e}"), "\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(harmless("Åsa Rao +91"), "Åsa Rao +91");
    }

    #[test]
    fn a_terminal_says_its_size_in_rows_and_columns() {
        assert_eq!(columns("24 80\n"), Some(80));
        for unknown in ["", "0 0\n", "24", "stty: no"] {
            assert_eq!(columns(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn plain_text_has_no_escapes() {
        let paper = Paper::default();
        paper.screen(Palette::Plain).toned(Tone::Bad, "no").unwrap();
        assert_eq!(paper.text(), "no\n");
        let paper = Paper::default();
        paper.screen(Palette::Colour).toned(Tone::Bad, "no").unwrap();
        assert!(paper.text().starts_with('\x1b') && paper.text().contains("no"));
    }
}
