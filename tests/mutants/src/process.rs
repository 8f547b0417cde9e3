//! Programs that are run with a limit of time and memory.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::Stop;

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With status 0.
    Passed,
    /// With another status, or by a signal; the test that had failed first, where one was named.
    Failed(Option<String>),
    /// It was still running.
    TimedOut,
}

/// A mutant may allocate for ever: kilobytes of address space, before it fails.
const MEMORY: &str = "6000000";

/// A program that may use so much memory. Rewritten functions have large frames in test builds.
pub(crate) fn limited(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")]).arg(program);
    command.env("RUST_MIN_STACK", "67108864").env("RUST_BACKTRACE", "0");
    command
}

/// Runs it to its end, its first failed test or the limit.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<End, Stop> {
    let deadline = Instant::now() + limit;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(test) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
                && sender.send(test.to_owned()).is_err()
            {
                return;
            }
        }
    });
    let end = match lines.recv_timeout(limit) {
        Ok(test) => {
            kill(&mut child)?;
            End::Failed(Some(test))
        }
        Err(RecvTimeoutError::Timeout) => {
            kill(&mut child)?;
            End::TimedOut
        }
        // Its output is closed: it has ended, or is about to.
        Err(RecvTimeoutError::Disconnected) => loop {
            if let Some(status) = child.try_wait()? {
                break if status.success() { End::Passed } else { End::Failed(None) };
            }
            if Instant::now() > deadline {
                kill(&mut child)?;
                break End::TimedOut;
            }
            std::thread::sleep(Duration::from_millis(1));
        },
    };
    let _ = reader.join();
    Ok(end)
}

/// With all it has started.
fn kill(child: &mut Child) -> Result<(), Stop> {
    Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).stderr(Stdio::null()).status()?;
    child.wait()?;
    Ok(())
}
