//! The thread that writes lines to standard error, so that a slow reader (a paused terminal, a busy journal) never holds up a
//! call. Lines wait for each other a moment and are written together: waking a thread costs more than a line does.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait to be written; what comes then is dropped and counted.
const LINES: usize = 8192;

/// How long the first line waits for others. Nobody reads faster.
const GATHER: Duration = Duration::from_millis(20);

/// Writes what is left when it is dropped.
#[derive(Debug)]
pub(in crate::daemon) struct Flush {
    lines: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The journal: it has its own times, and takes a line's severity from a number in front of it (sd-daemon(3)).
    Journal,
    /// Anybody else.
    Anybody,
}

impl Reader {
    /// Of this process. `JOURNAL_STREAM` alone does not tell: it is inherited by what has its standard error elsewhere.
    pub(super) fn of_standard_error() -> Reader {
        let here = || {
            let told = std::env::var("JOURNAL_STREAM").ok()?;
            let file = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
            (told == format!("{}:{}", file.dev(), file.ino())).then_some(Reader::Journal)
        };
        here().unwrap_or(Reader::Anybody)
    }
}

/// Begins the thread.
///
/// # Errors
/// In words: the system gives none.
pub(super) fn start(reader: Reader) -> Result<(Lines, Flush), String> {
    let (lines, written) = sync_channel(LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = Lines { lines: lines.clone(), lost: Arc::clone(&lost), reader, level: Level::INFO };
    let thread = thread::Builder::new()
        .name("log".into())
        .spawn(move || write_lines(&written, &lost, &mut io::stderr(), GATHER))
        .map_err(|error| format!("the system gives no thread for the log: {error}"))?;
    Ok((writer, Flush { lines: Some(lines), thread: Some(thread) }))
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

fn write_lines(lines: &Receiver<Vec<u8>>, lost: &AtomicU64, out: &mut impl Write, gather: Duration) {
    let mut batch = Vec::new();
    let mut ended = false;
    while !ended {
        let Ok(first) = lines.recv() else { return };
        if !first.is_empty() {
            thread::sleep(gather);
        }
        batch.clear();
        for line in std::iter::once(first).chain(lines.try_iter()) {
            // What comes after the empty line was said too late.
            if line.is_empty() {
                ended = true;
                break;
            }
            batch.extend_from_slice(&line);
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            batch.extend_from_slice(
                format!("{count} log lines were lost: they came faster than they could be written\n").as_bytes(),
            );
        }
        // Nobody can be told that the log cannot be written.
        let _ = out.write_all(&batch);
    }
}

/// Where the subscriber puts lines.
#[derive(Clone)]
pub(super) struct Lines {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
    reader: Reader,
    /// Of the line that is being written.
    level: Level,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Lines {
        Lines { level: *meta.level(), ..self.clone() }
    }
}

/// The subscriber writes each line whole.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let whole = match self.reader {
            Reader::Journal => prefixed(line, self.level),
            Reader::Anybody => line.to_vec(),
        };
        if !whole.is_empty() && self.lines.try_send(whole).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// With the severity in front of each of its lines: the journal reads them one by one.
fn prefixed(text: &[u8], level: Level) -> Vec<u8> {
    let severity: &[u8] = match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    };
    let mut whole = Vec::with_capacity(text.len() + severity.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        whole.extend_from_slice(severity);
        whole.extend_from_slice(line);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(room: usize) -> (Lines, Receiver<Vec<u8>>) {
        let (lines, held) = sync_channel(room);
        (Lines { lines, lost: Arc::default(), reader: Reader::Anybody, level: Level::INFO }, held)
    }

    #[test]
    fn lines_beyond_what_can_wait_are_counted_not_waited_for() {
        let (mut writer, held) = lines(1);
        for _ in 0..3 {
            writer.write_all(b"line\n").unwrap();
        }
        assert_eq!(writer.lost.load(Ordering::Relaxed), 2);
        writer.lines = sync_channel(1).0;
        let mut out = Vec::new();
        write_lines(&held, &writer.lost, &mut out, Duration::ZERO);
        assert_eq!(out, b"line\n2 log lines were lost: they came faster than they could be written\n");
    }

    #[test]
    fn the_end_writes_what_came_before_it() {
        let (mut writer, held) = lines(8);
        for line in ["one\n", "two\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        writer.lines.send(Vec::new()).unwrap();
        writer.write_all(b"too late\n").unwrap();
        let mut out = Vec::new();
        write_lines(&held, &writer.lost, &mut out, Duration::ZERO);
        assert_eq!(out, b"one\ntwo\n");
    }

    #[test]
    fn the_journal_is_told_how_grave_each_line_is() {
        assert_eq!(prefixed(b"one\n", Level::INFO), b"<6>one\n");
        assert_eq!(prefixed(b"one\ntwo\n", Level::ERROR), b"<3>one\n<3>two\n");
        assert_eq!(prefixed(b"", Level::WARN), b"");
    }
}
