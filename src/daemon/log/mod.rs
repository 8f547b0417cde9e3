//! The log: to standard error, for people or as JSON. At `info` nobody's number, name or address, and no secret at any level
//! (`docs/operating.md` says what that means; `tests/logs.rs` holds us to it).
//!
//! `level` knows who decides how much is logged, `stamp` writes times, `writer` is the thread that writes lines. One process has
//! one log, so that what changes its level is one for the process, too.

mod level;
mod stamp;
mod writer;

use std::io::{self, IsTerminal};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config;
use level::{Followed, Level};
use stamp::Stamp;
pub(super) use writer::Flush;
use writer::Reader;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how, where the command line says so.
#[derive(Clone, Debug, Default)]
pub struct LogSettings {
    /// How a line looks; absent: as `[log] format` says.
    pub format: Option<LogFormat>,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as in `RUST_LOG`; absent: `RUST_LOG`, else `[log] level`.
    pub level: Option<String>,
}

/// What changes the level of this process's log.
struct Switch {
    level: Level,
    filter: reload::Handle<EnvFilter, Registry>,
}

static SWITCH: OnceLock<Mutex<Switch>> = OnceLock::new();

/// Whether the log can be begun so, whatever the configuration says.
///
/// # Errors
/// In words: the level of the command line or the environment cannot be understood.
pub(super) fn check(settings: &LogSettings) -> Result<(), String> {
    at_start(settings, "info").map(drop)
}

/// Begins to log. At most once in a process.
///
/// # Errors
/// In words: the level cannot be understood, or something logs already.
pub(super) fn start(settings: &LogSettings, file: &config::Log) -> Result<Flush, String> {
    let level = at_start(settings, file.level.as_str())?;
    let (filter, handle) = reload::Layer::new(level::filter(level.as_str())?);
    let reader = Reader::of_standard_error();
    let (lines, flush) = writer::start(reader)?;

    let base = tracing_subscriber::fmt::layer().with_writer(lines);
    let format = settings.format.unwrap_or(match file.format {
        config::LogFormat::Text => LogFormat::Text,
        config::LogFormat::Json => LogFormat::Json,
    });
    let lines = match format {
        LogFormat::Json => base.json().flatten_event(true).with_timer(Stamp::Utc).boxed(),
        LogFormat::Text => {
            let stamp = match reader {
                Reader::Journal => Stamp::Nothing,
                Reader::Anybody => crate::cli::local_zone().map_or(Stamp::Utc, Stamp::Local),
            };
            let colour =
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let base = base.with_target(false).with_ansi(colour);
            match stamp {
                Stamp::Nothing => base.without_time().boxed(),
                Stamp::Utc | Stamp::Local(_) => base.with_timer(stamp).boxed(),
            }
        }
    };
    tracing::subscriber::set_global_default(Registry::default().with(filter).with(lines))
        .map_err(|error| error.to_string())?;
    // Only whoever set the subscriber comes here, and that is one.
    let _ = SWITCH.set(Mutex::new(Switch { level, filter: handle }));
    Ok(flush)
}

fn at_start(settings: &LogSettings, file: &str) -> Result<Level, String> {
    let environment = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    Level::at_start(settings.level.as_deref(), environment.as_deref(), file)
}

/// What is logged now; `None` in a process whose log is not ours.
pub(crate) fn level() -> Option<String> {
    let switch = SWITCH.get()?.lock().unwrap_or_else(PoisonError::into_inner);
    Some(switch.level.as_str().to_owned())
}

/// Logs so much from now on: until the next start, or until the file says something new. Gives it in words.
///
/// # Errors
/// In words: it cannot be understood, and what could be; or the log is not ours.
pub(crate) fn change_level(text: &str) -> Result<String, String> {
    level::filter(text)?;
    let switch = SWITCH.get().ok_or("this daemon does not write its program's log")?;
    let mut switch = switch.lock().unwrap_or_else(PoisonError::into_inner);
    let before = switch.level.clone();
    switch.level.change(text);
    switch.apply(&before)?;
    Ok(format!("the log level is {text} now (was {}), {}", before.as_str(), switch.level.holds()))
}

/// The configuration says so from now on.
pub(super) fn follow(file: &config::Log) {
    let Some(switch) = SWITCH.get() else { return };
    let mut switch = switch.lock().unwrap_or_else(PoisonError::into_inner);
    let before = switch.level.clone();
    match switch.level.follow(file.level.as_str()) {
        Followed::Same => {}
        Followed::Changed => {
            if let Err(error) = switch.apply(&before) {
                tracing::error!("{error}");
            }
        }
        Followed::Outranked(by) => {
            tracing::warn!("[log] level is {} now; {by}, given at the start, outranks it", file.level.as_str());
        }
    }
}

impl Switch {
    fn apply(&mut self, before: &Level) -> Result<(), String> {
        let (old, new) = (before.as_str(), self.level.as_str().to_owned());
        let filter = level::filter(&new)?;
        // Told while somebody listens: before, or else behind.
        let told = tracing::enabled!(tracing::Level::INFO);
        if told {
            tracing::info!("log level {old} → {new}");
        }
        self.filter.reload(filter).map_err(|error| format!("the log level cannot be changed: {error}"))?;
        if !told {
            tracing::info!("log level {old} → {new}");
        }
        Ok(())
    }
}
