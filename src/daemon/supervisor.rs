//! The thread that does what may take long: loading and watching the configuration, looking up trunks, serving the control
//! socket. What it finds reaches the engine as orders.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use super::clock::wall;
use super::counters::Counters;
use super::engine_loop::{Adoption, Order};
use super::hep::Capture;
use super::listeners::Listeners;
use super::log;
use super::notify_systemd::Announce;
use super::reload::{ReloadOutcome, Warnings};
use super::start::{Client, Report, Watching};
use super::store::StoreWatch;
use super::trunks::{Found, Known, Lookups};
use super::watch::Watch;
use crate::config::{self, Config, Problems, counted};
use crate::control;
use crate::control::http::{self, Http};
use crate::id::TrunkId;
use crate::time::WallTime;

/// What the rest of the daemon asks of this thread.
#[derive(Debug)]
pub(super) enum Ask {
    /// Load the files again.
    Reload(oneshot::Sender<ReloadOutcome>),
    /// Serve this configuration.
    Adopt(Arc<Config>, oneshot::Sender<ReloadOutcome>),
    /// How the daemon is.
    Report(oneshot::Sender<Report>),
    /// End the thread.
    Stop,
}

/// What the thread is put in charge of.
pub(super) struct Charge {
    pub(super) directory: Option<PathBuf>,
    pub(super) config: Arc<Config>,
    /// The `password-file`s it was made of.
    pub(super) password_files: BTreeSet<PathBuf>,
    pub(super) listeners: Listeners,
    pub(super) addresses: Arc<Mutex<Vec<SocketAddr>>>,
    pub(super) http: Http,
    pub(super) http_address: Arc<Mutex<Option<SocketAddr>>>,
    pub(super) order: mpsc::Sender<Order>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) client: Client,
    pub(super) server: Option<control::Server>,
    pub(super) watching: Watching,
    pub(super) announce: Announce,
    pub(super) counters: Arc<Counters>,
    pub(super) capture: Capture,
    pub(super) store: Option<StoreWatch>,
    pub(super) started_at: WallTime,
}

/// Runs until told to stop.
pub(super) fn run(charge: Charge) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(supervise(charge)),
        Err(error) => {
            tracing::error!("cannot start the supervisor's event loop: {error}; no reloads, no control socket")
        }
    }
}

async fn supervise(charge: Charge) {
    let Charge {
        directory,
        config,
        password_files,
        listeners,
        addresses,
        http,
        http_address,
        order,
        mut asks,
        client,
        server,
        watching,
        announce,
        counters,
        capture,
        store,
        started_at,
    } = charge;
    let changed = Arc::new(Notify::new());
    let watch = match (watching, &directory) {
        (Watching::Files, Some(directory)) => match Watch::start(directory, &password_files, Arc::clone(&changed)) {
            Ok(watch) => {
                look_again(directory.clone(), Arc::clone(&config), Arc::clone(&changed));
                Some(watch)
            }
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        },
        (Watching::Files | Watching::Nothing, _) => None,
    };
    let (found, mut finds) = mpsc::channel(16);
    let mut lookups = Lookups::new(found);
    lookups.follow(&config.plan);
    let serving = server.map(|server| tokio::spawn(server.serve(client)));

    let mut supervisor = Supervisor {
        directory,
        config,
        listeners,
        addresses,
        http,
        http_address,
        order,
        announce,
        counters,
        capture,
        store,
        started_at,
        watch,
        lookups,
        proxies: Known::default(),
        last_reload: None,
        last_refusal: None,
    };
    loop {
        tokio::select! {
            ask = asks.recv() => match ask {
                Some(Ask::Reload(answer)) => {
                    let outcome = supervisor.reload(Because::Asked).await;
                    // Whoever asked may have gone.
                    let _ = answer.send(outcome);
                }
                Some(Ask::Adopt(config, answer)) => {
                    let outcome = supervisor.adopt(config).await;
                    supervisor.keep(&outcome, Because::Asked);
                    let _ = answer.send(outcome);
                }
                Some(Ask::Report(answer)) => drop(answer.send(supervisor.report())),
                Some(Ask::Stop) | None => break,
            },
            () = changed.notified() => drop(supervisor.reload(Because::FilesChanged).await),
            Some(found) = finds.recv() => supervisor.found(found).await,
        }
    }
    if let Some(serving) = serving {
        // Ending the task drops the server, which removes its socket's file.
        serving.abort();
        let _ = serving.await;
    }
}

/// What was changed since the configuration was loaded, nobody saw: it is read once more, beside what the daemon does.
fn look_again(directory: PathBuf, config: Arc<Config>, changed: Arc<Notify>) {
    tokio::task::spawn_blocking(move || {
        if config::load(&directory).ok().as_ref() != Some(&*config) {
            changed.notify_one();
        }
    });
}

/// Why the configuration is loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Because {
    /// Somebody wants an answer.
    Asked,
    /// The files changed; editors touch them more than once for one change.
    FilesChanged,
}

struct Supervisor {
    directory: Option<PathBuf>,
    config: Arc<Config>,
    listeners: Listeners,
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    http: Http,
    http_address: Arc<Mutex<Option<SocketAddr>>>,
    order: mpsc::Sender<Order>,
    announce: Announce,
    counters: Arc<Counters>,
    capture: Capture,
    store: Option<StoreWatch>,
    started_at: WallTime,
    watch: Option<Watch>,
    lookups: Lookups,
    proxies: Known,
    last_reload: Option<ReloadOutcome>,
    /// The refusal last logged, so that a file being edited does not fill the log.
    last_refusal: Option<String>,
}

impl Supervisor {
    /// the whole directory, checked, and adopted in one step or not at all.
    async fn reload(&mut self, because: Because) -> ReloadOutcome {
        let now = || wall().unix_millis();
        let outcome = match self.directory.clone() {
            None => ReloadOutcome::failed(now(), "this daemon was not started from a directory".into()),
            Some(directory) => {
                self.announce.reloading();
                let outcome = match self.load(&directory) {
                    Ok(config) => self.adopt(Arc::new(config)).await,
                    Err(problems) => ReloadOutcome::problems(now(), &problems),
                };
                self.announce.ready(&match &outcome {
                    ReloadOutcome::Adopted { .. } => "serving".to_owned(),
                    ReloadOutcome::Refused { count, .. } => {
                        let problems = counted(*count, "problem", "problems");
                        format!("serving; the last change of the configuration was refused: {problems}")
                    }
                });
                outcome
            }
        };
        self.keep(&outcome, because);
        outcome
    }

    /// Loads the directory. It is watched from before that, so that what changes meanwhile is loaded next.
    fn load(&mut self, directory: &Path) -> Result<Config, Problems> {
        if let Some(watch) = &mut self.watch {
            watch.renew();
        }
        let (config, password_files) = config::load_noting(directory);
        let fresh = self.watch.as_mut().is_some_and(|watch| watch.follow(&password_files));
        // A password file that was not watched may have changed between the reading and the watching.
        if fresh { config::load(directory) } else { config }
    }

    async fn adopt(&mut self, config: Arc<Config>) -> ReloadOutcome {
        let at = wall().unix_millis();
        let change = match self.listeners.change_to(&config.sip) {
            Ok(change) => change,
            Err(error) => return ReloadOutcome::no_socket(at, &error),
        };
        let http = match self.http.change_to(&config.control) {
            Ok(http) => http,
            Err(error) => return ReloadOutcome::failed(at, error.to_string()),
        };
        self.capture.know(&change.listeners);
        let (done, adopted) = oneshot::channel();
        let adoption = Adoption {
            config: Arc::clone(&config),
            listeners: change.listeners.clone(),
            added: change.added.clone(),
            removed: change.removed.clone(),
            done,
        };
        if self.order.send(Order::Adopt(Box::new(adoption))).await.is_err() {
            return ReloadOutcome::failed(at, "the engine's thread has ended".into());
        }
        match adopted.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return ReloadOutcome::failed(at, error),
            Err(_) => return ReloadOutcome::failed(at, "the engine's thread has ended".into()),
        }
        self.listeners.adopt(change);
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = self.listeners.addresses();
        self.move_http(http, &config);
        self.capture.follow(config.hep.as_ref());
        log::follow(&config.log);
        let changes = changes(&self.config, &config);
        if let Some(store) = &self.store {
            store.keep_calls(Some(config.state.keep_calls));
        }
        self.lookups.follow(&config.plan);
        self.config = config;
        // No call goes to where the old proxy was while the new one is looked for.
        for trunk in self.proxies.follow(&self.config.plan) {
            self.tell(trunk, Vec::new()).await;
        }
        for (trunk, addresses) in self.proxies.all() {
            self.tell(trunk.clone(), addresses.clone()).await;
        }
        ReloadOutcome::Adopted { at, changes, warnings: Warnings::of(&self.config.warnings) }
    }

    /// From now on HTTP is served where the configuration says, under its tokens.
    fn move_http(&mut self, change: http::Change, config: &Arc<Config>) {
        let mut address = self.http_address.lock().unwrap_or_else(PoisonError::into_inner);
        if change.moves() {
            *address = change.bound();
        }
        self.http.adopt(change, Arc::clone(config));
    }

    fn keep(&mut self, outcome: &ReloadOutcome, because: Because) {
        let refusal = match outcome {
            ReloadOutcome::Adopted { .. } => None,
            ReloadOutcome::Refused { text, .. } => Some(text.clone()),
        };
        let news = because == Because::Asked || refusal.is_none() || refusal != self.last_refusal;
        if news {
            outcome.log();
        }
        self.last_refusal = refusal;
        self.last_reload = Some(outcome.clone());
    }

    async fn found(&mut self, found: Found) {
        let (trunk, addresses) = (found.trunk.clone(), found.addresses.clone());
        if self.proxies.learn(&self.config.plan, found) {
            self.tell(trunk, addresses).await;
        }
    }

    async fn tell(&self, trunk: TrunkId, addresses: Vec<SocketAddr>) {
        // Without an engine there is nobody to tell.
        let _ = self.order.send(Order::TrunkAddresses { trunk, addresses }).await;
    }

    fn report(&self) -> Report {
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at.unix_millis(),
            directory: self.directory.clone(),
            listening: self.listeners.addresses().iter().map(|address| format!("udp:{address}")).collect(),
            last_reload: self.last_reload.clone(),
            counters: self.counters.read(),
            store: self.store.as_ref().map(StoreWatch::status).unwrap_or_default(),
        }
    }
}

fn changes(old: &Config, new: &Config) -> String {
    let mut changes = config::diff(old, new);
    if old.log.format != new.log.format {
        changes.push_str("; [log] format takes effect at the next start");
    }
    if old.control.socket != new.control.socket {
        changes.push_str("; the control socket moves at the next start");
    }
    if (&old.state.directory, &old.state.journal) != (&new.state.directory, &new.state.journal) {
        changes.push_str("; the directories of [state] take effect at the next start");
    }
    changes
}
