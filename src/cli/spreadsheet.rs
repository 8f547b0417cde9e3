//! Comma-separated values for spreadsheets, without anything a spreadsheet would take for a formula.

use super::outcome::Failure;
use super::screen::{Screen, harmless};

/// Rows under headings (RFC 4180).
pub(super) struct Spreadsheet(csv::Writer<Vec<u8>>);

impl Spreadsheet {
    /// One with these headings.
    pub(super) fn new(headings: &[&str]) -> Result<Spreadsheet, Failure> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(headings).map_err(failed)?;
        Ok(Spreadsheet(writer))
    }

    /// One more row.
    pub(super) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<(), Failure> {
        self.0.write_record(cells.into_iter().map(|cell| plain(cell.as_ref()))).map_err(failed)
    }

    /// Prints it.
    pub(super) fn print(self, screen: &mut Screen) -> Result<(), Failure> {
        let bytes = self.0.into_inner().map_err(|error| Failure::from(error.into_error()))?;
        Ok(screen.raw(&bytes)?)
    }
}

fn failed(error: csv::Error) -> Failure {
    Failure::no(format!("cannot write the output: {error}"))
}

/// A cell that is text to every spreadsheet: what begins like a formula gets an apostrophe before it, which they do not show. A phone
/// number is left as it is.
fn plain(cell: &str) -> String {
    let cell = harmless(cell);
    let number = cell.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match cell.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '|' | '%') if !number => format!("'{cell}"),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::Palette;
    use super::super::screen::tests::Paper;
    use super::*;

    #[test]
    fn no_callers_name_is_a_formula() {
        let paper = Paper::default();
        let mut sheet = Spreadsheet::new(&["a", "b"]).unwrap();
        sheet.row(["=cmd()", "+919811112222"]).unwrap();
        sheet.row(["+1+cmd|' /C calc'!A0", " @SUM(1)"]).unwrap();
        sheet.row(["-1", "a, \"b\"\r\n=c"]).unwrap();
        sheet.row(["\t=1", "\x1b[2J"]).unwrap();
        sheet.print(&mut paper.screen(Palette::Plain)).unwrap();
        let expected = "a,b\r\n'=cmd(),+919811112222\r\n'+1+cmd|' /C calc'!A0,' @SUM(1)\r\n'-1,\"a, \"\"b\"\"\u{fffd}\u{fffd}=c\"\r\n\
                        \u{fffd}=1,\u{fffd}[2J\r\n";
        assert_eq!(paper.text(), expected);
    }
}
