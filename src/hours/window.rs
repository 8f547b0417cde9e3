//! One window of local time: from a time of day to another, perhaps past midnight.

use std::fmt;

/// A half-open window `[start, end)` of one day; it may run into the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// Minutes after the day's midnight, 0–1439.
    pub(super) start: u16,
    /// Minutes after the same midnight; later than `start`, and by 24 hours at most.
    pub(super) end: u16,
}

/// Why a text is not a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// No `-` between two times.
    NoDash,
    /// The start is no time of day: `00:00` to `23:59`.
    Start,
    /// The end is no time of day: `00:00` to `24:00`.
    End,
}

impl Window {
    /// Reads `09:30-13:00`. `24:00` may end a window; an end that is not after the start is the next day's,
    /// so that `22:00-06:00` is the night and `08:00-08:00` is 24 hours.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Window, WindowError> {
        let (start, end) = text.split_once('-').ok_or(WindowError::NoDash)?;
        let start = minutes(start.trim()).filter(|&minutes| minutes < DAY).ok_or(WindowError::Start)?;
        let end = minutes(end.trim()).ok_or(WindowError::End)?;
        // a window whose end is not after its start runs over midnight.
        let end = if end > start { end } else { end + DAY };
        Ok(Window { start, end })
    }
}

impl fmt::Display for Window {
    /// As it is written: `22:00-06:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.end > DAY { self.end - DAY } else { self.end };
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.start / 60, self.start % 60, end / 60, end % 60)
    }
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            WindowError::NoDash => "a window is written START-END, for example 09:30-13:00",
            WindowError::Start => "a window starts at a time from 00:00 to 23:59",
            WindowError::End => "a window ends at a time from 00:00 to 24:00",
        })
    }
}

impl std::error::Error for WindowError {}

/// Minutes in a day by the clock on the wall.
const DAY: u16 = 24 * 60;

/// `9:30` or `09:30` in minutes after midnight; `24:00` is the last.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    if !(1..=2).contains(&hours.len()) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_written() {
        for text in ["09:30-13:00", "22:00-06:00", "00:00-24:00", "18:00-24:00", "08:00-08:00", "00:00-00:00"] {
            let written = Window::parse(text).unwrap().to_string();
            let expected = if text == "00:00-00:00" { "00:00-24:00" } else { text };
            assert_eq!(written, expected);
        }
        assert_eq!(Window::parse("9:30 - 13:00"), Window::parse("09:30-13:00"));
    }

    #[test]
    fn what_is_wrong_with_a_window_has_a_name() {
        for (text, error) in [
            ("", WindowError::NoDash),
            ("09:30", WindowError::NoDash),
            ("09:30–13:00", WindowError::NoDash),
            ("24:00-02:00", WindowError::Start),
            ("9-13", WindowError::Start),
            ("-1:00-13:00", WindowError::Start),
            ("09:60-13:00", WindowError::Start),
            ("09:30-24:01", WindowError::End),
            ("09:30-", WindowError::End),
            ("09:30-13:0", WindowError::End),
            ("09:30-13:00-14:00", WindowError::End),
            ("09:30-+1:00", WindowError::End),
        ] {
            assert_eq!(Window::parse(text), Err(error), "{text}");
        }
    }
}
