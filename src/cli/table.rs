//! Aligned tables.

use super::screen::{Palette, Screen, Tone, harmless};

/// One cell: text and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in a tone. What a stranger could have written in it is made harmless.
    pub(super) fn toned(tone: Tone, text: impl AsRef<str>) -> Cell {
        Cell { text: harmless(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::toned(Tone::Plain, text)
    }
}

/// To which side a column's cells are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One more row; a cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text: columns two spaces apart, no blanks at the end of a line. A column that is empty in every row is left out.
    pub(super) fn render(&self, palette: Palette) -> String {
        let width = |cell: &Cell| cell.text.chars().count();
        let shown: Vec<(usize, Align, usize)> = (self.columns.iter().enumerate())
            .filter_map(|(index, (title, align))| {
                let widest = self.rows.iter().filter_map(|row| row.get(index)).map(width).max().unwrap_or(0);
                (widest > 0).then(|| (index, *align, widest.max(title.chars().count())))
            })
            .collect();
        let mut text = String::new();
        let titles: Vec<Cell> = self.columns.iter().map(|(title, _)| Cell::toned(Tone::Title, title)).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut pending = String::new();
            for (index, align, wide) in &shown {
                let empty = Cell::from("");
                let cell = row.get(*index).unwrap_or(&empty);
                let blanks = " ".repeat(wide.saturating_sub(width(cell)));
                let painted = if cell.text.is_empty() { String::new() } else { palette.paint(cell.tone, &cell.text) };
                match align {
                    Align::Left => {
                        if !painted.is_empty() {
                            text.push_str(&std::mem::take(&mut pending));
                            text.push_str(&painted);
                        }
                        pending.push_str(&blanks);
                    }
                    Align::Right => {
                        pending.push_str(&blanks);
                        if !painted.is_empty() {
                            text.push_str(&std::mem::take(&mut pending));
                            text.push_str(&painted);
                        }
                    }
                }
                pending.push_str("  ");
            }
            text.push('\n');
        }
        text
    }

    /// Prints it, or that there is nothing.
    pub(super) fn print(&self, screen: &mut Screen, nothing: &str) -> std::io::Result<()> {
        if self.rows.is_empty() {
            return screen.toned(Tone::Faint, nothing);
        }
        let text = self.render(screen.palette());
        screen.raw(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::Paper;
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(&[("EXT", Align::Left), ("NAME", Align::Left), ("N", Align::Right), ("WHY", Align::Left)]);
        table.row(["221".into(), "Åsa Rao".into(), "7".into(), Cell::toned(Tone::Good, "")]);
        table.row(["x".into(), "B".into(), "1234".into(), Cell::toned(Tone::Bad, "away")]);
        table
    }

    #[test]
    fn columns_stand_under_their_titles() {
        let expected = "EXT  NAME        N  WHY\n221  Åsa Rao     7\nx    B        1234  away\n";
        assert_eq!(table().render(Palette::Plain), expected);
    }

    #[test]
    fn colour_does_not_move_anything() {
        let coloured = table().render(Palette::Colour);
        let mut plain = String::new();
        let mut characters = coloured.chars();
        while let Some(character) = characters.next() {
            if character == '\x1b' {
                characters.by_ref().find(|character| *character == 'm');
            } else {
                plain.push(character);
            }
        }
        assert_eq!(plain, table().render(Palette::Plain));
        assert_ne!(plain, coloured);
    }

    #[test]
    fn an_empty_column_is_left_out() {
        let mut table = Table::new(&[("A", Align::Left), ("EMPTY", Align::Left), ("B", Align::Left)]);
        table.row(["1".into(), "".into(), "2".into()]);
        assert_eq!(table.render(Palette::Plain), "A  B\n1  2\n");
    }

    #[test]
    fn a_callers_name_cannot_break_a_row() {
        let mut table = Table::new(&[("CALLER", Align::Left)]);
        table.row([Cell::from("a\nb\x1b[2J")]);
        assert_eq!(table.render(Palette::Plain).lines().count(), 2);
        assert!(!table.render(Palette::Plain).contains('\x1b'));
    }

    #[test]
    fn nothing_is_said_in_words() {
        let paper = Paper::default();
        Table::new(&[("A", Align::Left)]).print(&mut paper.screen(Palette::Plain), "no calls").unwrap();
        assert_eq!(paper.text(), "no calls\n");
    }
}
