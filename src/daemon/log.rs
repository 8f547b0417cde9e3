//! The log: to standard error, for people or as JSON, written by a thread of its own so that a slow reader (a paused terminal, a
//! busy journal) never holds up a call.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use super::clock::wall;

/// How many lines may wait to be written; what comes then is dropped and counted.
const LINES: usize = 8192;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, Default)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as in `RUST_LOG`; absent: `RUST_LOG`, else `info`.
    pub level: Option<String>,
}

/// Writes what is left when it is dropped.
#[derive(Debug)]
pub(super) struct Flush {
    lines: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

/// Begins to log. At most once in a process.
///
/// # Errors
/// In words: the filter cannot be understood, or something logs already.
pub(super) fn start(settings: &LogSettings) -> Result<Flush, String> {
    let filter = filter(settings)?;
    let (lines, written) = sync_channel(LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = Lines { lines: lines.clone(), lost: Arc::clone(&lost) };
    let thread = thread::Builder::new()
        .name("log".into())
        .spawn(move || write_lines(&written, &lost))
        .map_err(|error| format!("the system gives no thread for the log: {error}"))?;

    let stamp = stamp();
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    let started = match settings.format {
        LogFormat::Json => tracing::subscriber::set_global_default(
            base.json().flatten_event(true).with_target(true).with_timer(Stamp::Utc).finish(),
        ),
        LogFormat::Text => {
            let colour =
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            tracing::subscriber::set_global_default(base.with_ansi(colour).with_timer(stamp).finish())
        }
    };
    started.map_err(|error| error.to_string())?;
    Ok(Flush { lines: Some(lines), thread: Some(thread) })
}

fn filter(settings: &LogSettings) -> Result<EnvFilter, String> {
    let written = settings.level.clone().or_else(|| std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()));
    let text = written.as_deref().unwrap_or("info");
    let wrong = |why: String| {
        format!("cannot understand the log level {text:?}: {why}; give error, warn, info, debug or trace")
    };
    // A word alone that is no level would be read as the name of a part of the program, and silence all others.
    if !text.contains(['=', ',', '[']) && text.parse::<LevelFilter>().is_err() {
        return Err(wrong("it is no level".to_owned()));
    }
    EnvFilter::try_new(text).map_err(|error| wrong(error.to_string()))
}

impl Drop for Flush {
    fn drop(&mut self) {
        // The subscriber keeps a sender for ever; an empty line ends the thread.
        if let Some(lines) = self.lines.take() {
            let _ = lines.send(Vec::new());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_lines(lines: &Receiver<Vec<u8>>, lost: &AtomicU64) {
    let stderr = io::stderr();
    while let Ok(line) = lines.recv() {
        if line.is_empty() {
            return;
        }
        // Nobody can be told that the log cannot be written.
        let _ = stderr.lock().write_all(&line);
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let _ = writeln!(stderr.lock(), "{count} log lines were lost: they came faster than they could be written");
        }
    }
}

#[derive(Clone)]
struct Lines {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

/// The subscriber writes each line whole.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !line.is_empty() && self.lines.try_send(line.to_vec()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands before a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    /// The journal has its own.
    Nothing,
    /// RFC 3339 in UTC.
    Utc,
    /// The machine's zone.
    Local(Tz),
}

fn stamp() -> Stamp {
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        return Stamp::Nothing;
    }
    crate::cli::local_zone().map_or(Stamp::Utc, Stamp::Local)
}

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now: DateTime<Utc> = DateTime::from_timestamp_millis(wall().unix_millis()).unwrap_or_default();
        match self {
            Stamp::Nothing => Ok(()),
            Stamp::Utc => write!(writer, "{}", now.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
            Stamp::Local(zone) => write!(writer, "{}", now.with_timezone(zone).format("%Y-%m-%d %H:%M:%S%.3f %Z")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused_with_what_would_be_right() {
        let settings = LogSettings { level: Some("loud=very=much".into()), ..LogSettings::default() };
        let error = filter(&settings).unwrap_err();
        assert!(error.contains("loud") && error.contains("info"), "{error}");
        assert!(filter(&LogSettings { level: Some("debug".into()), ..settings }).is_ok());
    }

    #[test]
    fn lines_beyond_what_can_wait_are_counted_not_waited_for() {
        let (lines, held) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let mut writer = Lines { lines, lost: Arc::clone(&lost) };
        for _ in 0..3 {
            writer.write_all(b"line\n").unwrap();
        }
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        assert_eq!(held.recv().unwrap(), b"line\n");
    }
}
