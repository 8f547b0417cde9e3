//! `switchboard run`: the daemon as a service: signals, systemd, the log.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};

use super::log::{self, LogSettings};
use super::notify_systemd::Announce;
use super::reload::Warnings;
use super::start::{Client, ControlSocket, Daemon, StartError, Watching};
use crate::engine::{Command, Reply};

/// How long running calls are kept after the first SIGTERM or SIGINT. `TimeoutStopSec` of the unit must be longer.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(300);

/// How often a draining daemon looks whether the calls are over.
const DRAIN_LOOK: Duration = Duration::from_millis(250);

/// How to run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The configuration directory.
    pub directory: PathBuf,
    /// The log.
    pub log: LogSettings,
}

/// Why the daemon did not run.
#[derive(Debug)]
pub enum RunError {
    /// It did not start.
    Start(StartError),
    /// The log cannot be written as wanted.
    Log(String),
    /// The system does not let us wait for signals.
    Signals(std::io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Start(error) => error.fmt(f),
            RunError::Log(error) => f.write_str(error),
            RunError::Signals(error) => write!(f, "cannot wait for signals: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

/// Runs until SIGTERM or SIGINT. The first drains: no new calls, running ones are kept for up to five minutes; the second ends it at once.
/// SIGHUP loads the configuration again.
///
/// # Errors
/// Why it did not start.
pub fn run(settings: RunSettings) -> Result<(), RunError> {
    // The command line is wrong before the configuration is.
    log::check(&settings.log).map_err(RunError::Log)?;
    let daemon = Daemon::from_directory(settings.directory.clone()).map_err(RunError::Start)?;
    let flush = log::start(&settings.log, &daemon.config().log).map_err(RunError::Log)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!("panicked at {place}: {}", message_of(panic.payload()));
        if let Some(text) = panic.payload().downcast_ref::<String>() {
            tracing::debug!("panicked at {place}: {text}");
        }
    }));
    let announce = Announce::ToSystemd;
    let socket = daemon.config().control.socket.clone();
    Warnings::of(&daemon.config().warnings).log();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Signals)?;
    // Signals are ours before the daemon is ready: a SIGTERM that comes early is not lost.
    let mut signals = runtime.block_on(async { Signals::open() }).map_err(RunError::Signals)?;
    let handle = daemon
        .with_control(ControlSocket::Open)
        .with_watching(Watching::Files)
        .with_announce(announce)
        .start()
        .map_err(RunError::Start)?;
    for address in handle.addresses() {
        tracing::info!("listening on udp:{address}");
    }
    tracing::info!("control socket {}", socket.display());
    announce.ready("serving");

    let client = handle.client();
    runtime.block_on(serve(&mut signals, &client, announce));
    handle.shut_down();
    tracing::info!("ended");
    drop(flush);
    Ok(())
}

/// What a panic says of itself, as far as it stands in the program. What was put together as it ran may hold what somebody
/// sent, such as the text that was cut in the middle of a letter: only `debug` has it, from the hook.
pub(super) fn message_of(payload: &(dyn std::any::Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(what it says is logged at debug)")
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

enum Told {
    End,
    Reload,
}

impl Signals {
    fn open() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}

async fn serve(signals: &mut Signals, client: &Client, announce: Announce) {
    while let Told::Reload = signals.next().await {
        // The outcome is in the log.
        drop(client.reload().await);
    }
    tracing::info!(
        "draining: no new calls; running ones are kept for up to {} s, a second signal ends them now",
        DRAIN_LIMIT.as_secs()
    );
    announce.stopping("draining: no new calls");
    let drained = async {
        while let Some(calls) = drain(client).await {
            announce.status(&format!("draining: {calls} calls left"));
            sleep(DRAIN_LOOK).await;
        }
    };
    let again = async {
        // What is loaded now would serve no call.
        while let Told::Reload = signals.next().await {}
    };
    tokio::select! {
        ended = timeout_at(Instant::now() + DRAIN_LIMIT, drained) => match ended {
            Ok(()) => tracing::info!("drained"),
            Err(_) => tracing::warn!("calls were still running at the end of the drain"),
        },
        () = again => tracing::warn!("ended at once, calls or not"),
    }
}

/// Tells the engine (again; it does no harm) and gives the number of calls left, `None` when there are none.
async fn drain(client: &Client) -> Option<usize> {
    client.command(Command::Drain).await.ok()?;
    match client.command(Command::Status).await {
        Ok(Reply::Status(status)) => Some(status.calls).filter(|calls| *calls > 0),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of the unit in seconds, written as `NAME=…s`.
    fn unit_seconds(name: &str) -> Duration {
        let unit = include_str!("../../systemd/switchboard.service");
        let values: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect();
        let [value] = values.as_slice() else { panic!("{name} stands {} times in the unit", values.len()) };
        let seconds = value.strip_suffix('s').and_then(|number| number.parse().ok());
        Duration::from_secs(seconds.unwrap_or_else(|| panic!("{name}={value} is not in seconds")))
    }

    #[test]
    fn a_panic_says_only_what_stands_in_the_program() {
        let said = |panic: fn()| message_of(std::panic::catch_unwind(panic).unwrap_err().as_ref());
        assert_eq!(said(|| panic!("this cannot be")), "this cannot be");
        let cut = || assert!("+9198100\u{e9}".split_at(9).0.is_empty());
        assert!(!said(cut).contains("9198100"));
    }

    #[test]
    fn systemd_waits_longer_than_calls_are_kept() {
        // Not much longer: what is stuck after the drain has nothing left to lose.
        let margin =
            unit_seconds("TimeoutStopSec").checked_sub(DRAIN_LIMIT).expect("systemd must not kill what drains");
        assert!((Duration::from_secs(5)..=Duration::from_secs(60)).contains(&margin), "{margin:?}");
    }
}
