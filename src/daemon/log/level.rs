//! How much is logged, and who decides it.
//!
//! At the start the first of these that is given: `--log-level`, `RUST_LOG`, `[log] level`, and `info`. `switchboard log-level`
//! outranks them all, until the next start; a reload that changes `[log] level` outranks that in turn, unless one of the
//! first two was given. Pure.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// `--log-level` or `RUST_LOG`.
    Start(&'static str),
    /// `[log] level`.
    File,
}

/// What is logged now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// As it was written.
    now: String,
    /// Who decided at the start.
    by: By,
    /// What the file says, or said last.
    file: String,
}

/// What a change of the file comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// The file says what it said before.
    Same,
    /// It decides.
    Changed,
    /// It does not: this was given at the start.
    Outranked(&'static str),
}

impl Level {
    /// At the start of a process.
    ///
    /// # Errors
    /// In words: what was given cannot be understood, and what could be.
    pub(super) fn at_start(option: Option<&str>, environment: Option<&str>, file: &str) -> Result<Level, String> {
        let (now, by) = match (option, environment) {
            (Some(level), _) => (level, By::Start("--log-level")),
            (None, Some(level)) => (level, By::Start("RUST_LOG")),
            (None, None) => (file, By::File),
        };
        filter(now)?;
        Ok(Level { now: now.to_owned(), by, file: file.to_owned() })
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.now
    }

    /// Somebody wants it so.
    pub(super) fn change(&mut self, level: &str) {
        level.clone_into(&mut self.now);
    }

    /// The file says so now.
    pub(super) fn follow(&mut self, file: &str) -> Followed {
        if self.file == file {
            return Followed::Same;
        }
        file.clone_into(&mut self.file);
        match self.by {
            By::File => {
                file.clone_into(&mut self.now);
                Followed::Changed
            }
            By::Start(name) => Followed::Outranked(name),
        }
    }

    /// Until when a change at run time holds, in words.
    pub(super) fn holds(&self) -> &'static str {
        match self.by {
            By::File => "until the next start, or until [log] level changes",
            By::Start(_) => "until the next start",
        }
    }
}

/// What `text` lets through: a level, or directives as in `RUST_LOG` (`info,switchboard::record=debug`).
///
/// # Errors
/// In words: it cannot be understood, and what could be.
pub(super) fn filter(text: &str) -> Result<EnvFilter, String> {
    let wrong = |why: &str| {
        format!(
            "cannot understand the log level {text:?}: {why}; give error, warn, info, debug or trace, \
             or more for one part: info,switchboard::record=debug"
        )
    };
    // A word alone that is no level would be read as the name of a part of the program, and silence all others.
    for word in text.split(',').map(str::trim).filter(|word| !word.contains(['=', '['])) {
        if word.parse::<LevelFilter>().is_err() || word.is_empty() {
            return Err(wrong("it is no level"));
        }
    }
    EnvFilter::try_new(text).map_err(|error| wrong(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused_with_what_would_be_right() {
        for wrong in ["loud", "", "info,loud", "loud=very=much", "switchboard=loud", "info,,debug"] {
            let error = filter(wrong).unwrap_err();
            assert!(error.contains(wrong) && error.contains("give error, warn, info"), "{error}");
        }
        for right in ["info", "TRACE", "off", "info,switchboard::record=debug"] {
            assert!(filter(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn the_option_outranks_the_environment_and_that_the_file() {
        let level = |option, environment| Level::at_start(option, environment, "warn").unwrap().now;
        assert_eq!(level(Some("debug"), Some("trace")), "debug");
        assert_eq!(level(None, Some("trace")), "trace");
        assert_eq!(level(None, None), "warn");
        assert!(Level::at_start(Some("loud"), None, "info").unwrap_err().contains("loud"));
    }

    #[test]
    fn a_change_at_run_time_holds_until_the_files_value_changes() {
        let mut level = Level::at_start(None, None, "info").unwrap();
        level.change("debug");
        assert_eq!(level.follow("info"), Followed::Same, "a reload for another reason");
        assert_eq!(level.as_str(), "debug");
        assert_eq!(level.follow("warn"), Followed::Changed);
        assert_eq!(level.as_str(), "warn");
        assert!(level.holds().contains("[log] level"));
    }

    #[test]
    fn what_was_given_at_the_start_outranks_every_change_of_the_file() {
        let mut level = Level::at_start(Some("error"), None, "info").unwrap();
        assert_eq!(level.follow("debug"), Followed::Outranked("--log-level"));
        assert_eq!(level.as_str(), "error");
        level.change("trace");
        assert_eq!(level.follow("info"), Followed::Outranked("--log-level"));
        assert_eq!(level.as_str(), "trace");
        assert!(!level.holds().contains("[log]"));
    }
}
