//! Starting a daemon inside this process, and holding it: what `run`, the demonstration and tests do.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::clock::{Clock, wall};
use super::counters::Counters;
use super::engine_loop::{self, Beginning, Heartbeat, Kept, Order};
use super::hep::Capture;
use super::listeners::{ListenError, Listeners};
use super::metrics::Meters;
use super::notify_systemd::{self, Announce};
use super::reload::ReloadOutcome;
use super::store::{Keeper, StoreStatus};
use super::supervisor::{self, Ask, Charge};
use crate::config::{self, Config, Problems};
use crate::control::http::{self, HttpError};
use crate::control::{self, SocketError};
use crate::engine::{Command, Reply};
use crate::state::StoreError;

/// How many orders may wait for the engine's thread. Clients wait for room: each has one at a time.
const ORDERS: usize = 256;

/// Whether what `[control]` names is opened: the control socket and the HTTP interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlSocket {
    /// It is.
    Open,
    /// It is not: commands come through [`Handle`] only, and nothing is served over HTTP.
    Absent,
}

/// Whether changes of the files are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// Within a second.
    Files,
    /// Only a reload that is asked for looks at them.
    Nothing,
}

/// A daemon about to be started.
#[derive(Debug)]
pub struct Daemon {
    directory: Option<PathBuf>,
    config: Arc<Config>,
    /// The `password-file`s it was made of.
    password_files: BTreeSet<PathBuf>,
    control: ControlSocket,
    watching: Watching,
    announce: Announce,
}

/// Why a daemon did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration has problems.
    Configuration(Problems),
    /// An address cannot be listened on.
    Listen(ListenError),
    /// The control socket cannot be had.
    Control(SocketError),
    /// The address of the HTTP interface cannot be had.
    Http(HttpError),
    /// What was saved cannot be read, or nothing can be saved.
    Store(StoreError),
    /// The system gave no thread or no randomness, or the engine met a defect; in words.
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Configuration(problems) => f.write_str(&problems.render(false)),
            StartError::Listen(error) => error.fmt(f),
            StartError::Control(error) => error.fmt(f),
            StartError::Http(error) => error.fmt(f),
            StartError::Store(error) => error.fmt(f),
            StartError::System(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for StartError {}

impl Daemon {
    /// Serves what the directory says; `reload` reads it again.
    ///
    /// # Errors
    /// Every problem in it.
    pub fn from_directory(directory: impl Into<PathBuf>) -> Result<Daemon, StartError> {
        let directory = directory.into();
        let (config, password_files) = config::load_noting(&directory);
        let config = config.map_err(StartError::Configuration)?;
        Ok(Daemon { directory: Some(directory), password_files, ..Daemon::from_config(config) })
    }

    /// Serves this configuration. There are no files to reload; [`Handle::adopt`] gives it another.
    pub fn from_config(config: impl Into<Arc<Config>>) -> Daemon {
        Daemon {
            directory: None,
            config: config.into(),
            password_files: BTreeSet::new(),
            control: ControlSocket::Absent,
            watching: Watching::Nothing,
            announce: Announce::ToNobody,
        }
    }

    /// With or without the control socket and the HTTP interface (without, unless said).
    #[must_use]
    pub fn with_control(self, control: ControlSocket) -> Daemon {
        Daemon { control, ..self }
    }

    /// With or without watching the files (without, unless said).
    #[must_use]
    pub fn with_watching(self, watching: Watching) -> Daemon {
        Daemon { watching, ..self }
    }

    /// Who is told about its life (nobody, unless said).
    #[must_use]
    pub fn with_announce(self, announce: Announce) -> Daemon {
        Daemon { announce, ..self }
    }

    /// The configuration it will begin with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Opens the sockets and begins to serve; returns when it does.
    ///
    /// # Errors
    /// What stands in the way; nothing is left behind.
    pub fn start(self) -> Result<Handle, StartError> {
        let Daemon { directory, config, password_files, control, watching, announce } = self;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| StartError::System(format!("the system gives no randomness: {error}")))?;

        let mut listeners = Listeners::default();
        let change = listeners.change_to(&config.sip).map_err(StartError::Listen)?;
        let server = match control {
            ControlSocket::Open => Some(control::Server::bind(&config.control.socket).map_err(StartError::Control)?),
            ControlSocket::Absent => None,
        };
        let presence = match control {
            ControlSocket::Open => http::Presence::AsConfigured,
            ControlSocket::Absent => http::Presence::Never,
        };
        let (mut http, mut http_beginning) = http::Http::new(Arc::clone(&config), presence);
        let http_change = http.change_to(&config.control).map_err(StartError::Http)?;

        // After the sockets: whoever has those is the one daemon that may write to the store.
        let kept = open_store(&config)?;
        let store = kept.as_ref().map(|kept| kept.keeper.watch());
        http_beginning.store = store.clone();
        let clock = Clock::start();
        let counters = Arc::new(Counters::default());
        let tallies = counters.tallying.open();
        let (mut capture, tap) = Capture::new(&counters);
        capture.know(&change.listeners);
        capture.follow(config.hep.as_ref());
        let (order, orders) = mpsc::channel(ORDERS);
        let (ready, engine_is_ready) = std::sync::mpsc::sync_channel(1);
        let heartbeat = match announce {
            Announce::ToSystemd => notify_systemd::watchdog_period()
                .map(|every| Heartbeat { every, beat: Box::new(notify_systemd::alive) }),
            Announce::ToNobody => None,
        };
        let beginning = Beginning {
            clock,
            seed,
            config: Arc::clone(&config),
            listeners: change.listeners.clone(),
            sockets: change.added.clone(),
            kept,
            orders,
            counters: Arc::clone(&counters),
            tap,
            heartbeat,
            ready,
        };
        listeners.adopt(change);
        let addresses = Arc::new(Mutex::new(listeners.addresses()));
        let engine = spawn("engine", move || engine_loop::run(beginning))?;
        match engine_is_ready.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(StartError::System(error)),
            Err(_) => return Err(StartError::System("the engine's thread ended before it began: a defect".into())),
        }

        let (ask, asks) = mpsc::channel(ORDERS);
        let client = Client { order: order.clone(), ask };
        let (meters, http_client) = (Meters::new(Arc::clone(&counters)), client.clone());
        let http_address = Arc::new(Mutex::new(http_change.bound()));
        http.adopt(http_change, Arc::clone(&config));
        let http_thread = spawn("http", move || http::run(http_beginning, http_client, meters, tallies))?;
        let charge = Charge {
            directory,
            config,
            password_files,
            listeners,
            addresses: Arc::clone(&addresses),
            http,
            http_address: Arc::clone(&http_address),
            order,
            asks,
            client: client.clone(),
            server,
            watching,
            announce,
            counters,
            capture,
            store,
            started_at: wall(),
        };
        let supervisor = match spawn("supervisor", move || supervisor::run(charge)) {
            Ok(supervisor) => supervisor,
            Err(error) => {
                // The engine's thread ends as the last of its orders' senders goes.
                drop(client);
                return Err(error);
            }
        };
        Ok(Handle { client, addresses, http_address, threads: vec![supervisor, http_thread, engine] })
    }
}

/// What was saved, and who keeps what changes.
fn open_store(config: &Config) -> Result<Option<Kept>, StartError> {
    let Some(directory) = &config.state.directory else {
        tracing::warn!("there is no [state] directory: registrations, calls and the call log do not survive a restart");
        return Ok(None);
    };
    let beside = || config.control.socket.parent().map_or_else(PathBuf::new, PathBuf::from);
    let journal = config.state.journal.clone().unwrap_or_else(beside);
    let (tell, reports) = mpsc::unbounded_channel();
    let tell = Box::new(move |report| {
        // A loop that has ended needs no reports.
        let _ = tell.send(report);
    });
    let (keeper, saved) =
        Keeper::open(directory, &journal, Some(config.state.keep_calls), tell).map_err(StartError::Store)?;
    Ok(Some(Kept { saved, keeper, reports }))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| StartError::System(format!("the system gives no thread: {error}")))
}

/// The daemon has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the daemon has ended")
    }
}

impl std::error::Error for Gone {}

/// How the daemon itself is, beside the engine's [`crate::engine::Status`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Report {
    /// Of the program.
    pub version: String,
    /// Of its process.
    pub pid: u32,
    /// Milliseconds since 1970: when it started.
    pub started_at: i64,
    /// The configuration directory.
    pub directory: Option<PathBuf>,
    /// Where it listens: `udp:192.0.2.10:5060`.
    pub listening: Vec<String>,
    /// What came of the last reload; `None` before the first.
    pub last_reload: Option<ReloadOutcome>,
    /// What the daemon counted: datagrams, losses, defects.
    pub counters: std::collections::BTreeMap<String, u64>,
    /// How the store is.
    pub store: StoreStatus,
}

/// Speaks to a running daemon from asynchronous code. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    order: mpsc::Sender<Order>,
    ask: mpsc::Sender<Ask>,
}

impl Client {
    /// Gives the engine a command.
    ///
    /// # Errors
    /// The daemon has ended.
    pub async fn command(&self, command: Command) -> Result<Reply, Gone> {
        let (answer, reply) = oneshot::channel();
        self.order.send(Order::Command { command, answer }).await.map_err(|_| Gone)?;
        reply.await.map_err(|_| Gone)
    }

    /// Loads the configuration again.
    ///
    /// # Errors
    /// The daemon has ended.
    pub async fn reload(&self) -> Result<ReloadOutcome, Gone> {
        self.ask(Ask::Reload).await
    }

    /// How the daemon itself is.
    ///
    /// # Errors
    /// The daemon has ended.
    pub async fn report(&self) -> Result<Report, Gone> {
        self.ask(Ask::Report).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Gone> {
        let (answer, reply) = oneshot::channel();
        self.ask.send(ask(answer)).await.map_err(|_| Gone)?;
        reply.await.map_err(|_| Gone)
    }
}

/// A running daemon. Dropping it ends the daemon.
#[derive(Debug)]
pub struct Handle {
    client: Client,
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    http_address: Arc<Mutex<Option<SocketAddr>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens now, ports chosen by the system filled in.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it serves HTTP now, a port chosen by the system filled in.
    pub fn http_address(&self) -> Option<SocketAddr> {
        *self.http_address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Speaks to it from asynchronous code.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Gives the engine a command and waits for its reply. Not for asynchronous code: see [`Handle::client`].
    ///
    /// # Errors
    /// The daemon has ended.
    pub fn command(&self, command: Command) -> Result<Reply, Gone> {
        let (answer, reply) = oneshot::channel();
        self.client.order.blocking_send(Order::Command { command, answer }).map_err(|_| Gone)?;
        reply.blocking_recv().map_err(|_| Gone)
    }

    /// Loads the configuration again and waits for what comes of it. Not for asynchronous code.
    ///
    /// # Errors
    /// The daemon has ended.
    pub fn reload(&self) -> Result<ReloadOutcome, Gone> {
        self.ask(Ask::Reload)
    }

    /// Gives it another configuration, as a reload would. Not for asynchronous code.
    ///
    /// # Errors
    /// The daemon has ended.
    pub fn adopt(&self, config: impl Into<Arc<Config>>) -> Result<ReloadOutcome, Gone> {
        let config = config.into();
        self.ask(|answer| Ask::Adopt(config, answer))
    }

    /// How the daemon itself is. Not for asynchronous code.
    ///
    /// # Errors
    /// The daemon has ended.
    pub fn report(&self) -> Result<Report, Gone> {
        self.ask(Ask::Report)
    }

    /// Ends it at once, whatever calls there are, and waits until it is gone. Not for asynchronous code.
    pub fn shut_down(mut self) {
        self.end();
    }

    fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Gone> {
        let (answer, reply) = oneshot::channel();
        self.client.ask.blocking_send(ask(answer)).map_err(|_| Gone)?;
        reply.blocking_recv().map_err(|_| Gone)
    }

    fn end(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        // Either may have ended already. `try_send` would do but for a full channel, and this may be called anywhere.
        let (order, ask) = (self.client.order.clone(), self.client.ask.clone());
        let ending = thread::spawn(move || {
            let _ = ask.blocking_send(Ask::Stop);
            let _ = order.blocking_send(Order::Stop);
        });
        let _ = ending.join();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}
