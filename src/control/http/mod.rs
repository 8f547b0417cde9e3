//! The HTTP interface of `[control] http`: health, metrics and the JSON API, for programs that hold a token.
//!
//! A thread of its own speaks to the daemon as every other client does. Nothing here is waited for by anybody who
//! routes calls, and nothing here decides: what may be asked is in `access`, what may be seen of it in `access` and
//! `decision`, and everything else is the engine's, asked through `listings`. `docs/api.md` is for those who use it.
//!
//! | file | owns |
//! |---|---|
//! | `connections` | the address, the bound on connections, and on slow clients |
//! | `routes` | the list of routes, and the OpenAPI document made of it |
//! | `access` | tokens, roles, who may see whom |
//! | `problem`, `asked`, `moment` | refusals, what requests say, times |
//! | `listings` | the engine's answers, kept for a moment |
//! | `live`, `switches`, `explain`, `log`, `machine` | the routes |
//! | `decision` | the decision record, and what is taken out of it for whom (R-10) |

mod access;
mod asked;
mod connections;
mod decision;
mod explain;
mod listings;
#[allow(unused_qualifications)] // the paths that the macros of the document write
mod live;
#[allow(unused_qualifications)] // likewise
mod log;
mod machine;
mod moment;
mod problem;
mod routes;
mod switches;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::config::{Config, Control};
use crate::daemon::metrics::{Meters, StoreHealth, Tally};
use crate::daemon::{Client, StoreWatch};
use connections::{CONNECTIONS, Door};
use listings::Listings;
use log::Readers;
use machine::StoreState;

pub use connections::HttpError;

/// The OpenAPI document, as `/openapi.json` gives it.
pub fn openapi() -> String {
    routes::document().to_json().unwrap_or_default()
}

/// What every request is answered from. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: watch::Receiver<Arc<Config>>,
    client: Client,
    listings: Listings,
    meters: Meters,
    store: Option<StoreWatch>,
    readers: Arc<Readers>,
    document: String,
}

impl Api {
    /// The running configuration.
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.0.config.borrow())
    }

    fn client(&self) -> &Client {
        &self.0.client
    }

    fn listings(&self) -> &Listings {
        &self.0.listings
    }

    fn meters(&self) -> &Meters {
        &self.0.meters
    }

    fn document(&self) -> String {
        self.0.document.clone()
    }

    fn store_state(&self) -> StoreState {
        match self.0.store.as_ref().map(StoreWatch::status) {
            None => StoreState::Absent,
            Some(status) if status.failing.is_some() || status.journal_failing.is_some() => StoreState::Failing,
            Some(_) => StoreState::Writing,
        }
    }

    fn store_health(&self) -> Option<StoreHealth> {
        self.0.store.as_ref().map(|store| {
            let status = store.status();
            StoreHealth {
                lag: status.lag.as_secs_f64(),
                pending: status.pending,
                failing: status.failing.is_some() || status.journal_failing.is_some(),
                lost: status.lost,
            }
        })
    }

    /// Where the call log is.
    fn log_directory(&self) -> Option<PathBuf> {
        self.0.store.as_ref().and_then(|store| store.status().directory)
    }

    fn readers(&self) -> Arc<Readers> {
        Arc::clone(&self.0.readers)
    }
}

/// What a change of the configuration means for the address.
#[derive(Debug)]
enum Move {
    /// Serve here from now on, and nowhere else.
    To(TcpListener),
    /// Serve nowhere.
    Away,
}

/// The daemon's hold on its HTTP interface: it moves with the configuration, as the SIP sockets do. Dropping it ends the
/// interface.
#[derive(Debug)]
pub(crate) struct Http {
    /// The address as configured; `None` while nothing is served.
    asked: Option<SocketAddr>,
    config: watch::Sender<Arc<Config>>,
    moves: mpsc::UnboundedSender<Move>,
    presence: Presence,
}

/// Whether there is an interface at all, whatever the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Where the configuration says.
    AsConfigured,
    /// Nowhere: this daemon is inside another program.
    Never,
}

/// A new address, bound already; dropping it undoes that.
#[derive(Debug)]
pub(crate) struct Change {
    asked: Option<SocketAddr>,
    change: Option<Move>,
}

/// What the thread begins with.
pub(crate) struct Beginning {
    config: watch::Receiver<Arc<Config>>,
    moves: mpsc::UnboundedReceiver<Move>,
    /// The store and its call log, where there is one.
    pub(crate) store: Option<StoreWatch>,
}

impl Http {
    /// Serves nowhere yet: see [`Http::change_to`].
    pub(crate) fn new(config: Arc<Config>, presence: Presence) -> (Http, Beginning) {
        let (sender, receiver) = watch::channel(config);
        let (moves, moved) = mpsc::unbounded_channel();
        (
            Http { asked: None, config: sender, moves, presence },
            Beginning { config: receiver, moves: moved, store: None },
        )
    }

    /// Binds what is asked for and not bound yet. Changes nothing.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(crate) fn change_to(&self, control: &Control) -> Result<Change, HttpError> {
        let asked = match self.presence {
            Presence::AsConfigured => control.http,
            Presence::Never => None,
        };
        let change = match asked {
            // Port 0 is another one each time it is asked for; the first is kept.
            _ if asked == self.asked => None,
            Some(address) => Some(Move::To(connections::bind(address)?)),
            None => Some(Move::Away),
        };
        Ok(Change { asked, change })
    }

    /// Makes it so: from now on requests are answered under that configuration and its tokens.
    pub(crate) fn adopt(&mut self, change: Change, config: Arc<Config>) {
        self.config.send_replace(config);
        self.asked = change.asked;
        if let Some(change) = change.change {
            // Without the thread nobody serves anything any more.
            let _ = self.moves.send(change);
        }
    }
}

impl Change {
    /// Whether the address is another one from now on.
    pub(crate) fn moves(&self) -> bool {
        self.change.is_some()
    }

    /// Where the new address is bound, a port chosen by the system filled in; `None` where nothing is newly bound.
    pub(crate) fn bound(&self) -> Option<SocketAddr> {
        match &self.change {
            Some(Move::To(listener)) => listener.local_addr().ok(),
            Some(Move::Away) | None => None,
        }
    }
}

/// Serves until its [`Http`] is dropped. On a thread of its own.
pub(crate) fn run(beginning: Beginning, client: Client, meters: Meters, tallies: mpsc::Receiver<Tally>) {
    let Beginning { config, moves, store } = beginning;
    match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build() {
        Ok(runtime) => {
            let api = Api(Arc::new(Inner {
                config: config.clone(),
                listings: Listings::new(client.clone()),
                client,
                meters: meters.clone(),
                store,
                readers: Arc::default(),
                document: openapi(),
            }));
            runtime.block_on(serve(config, moves, api, meters, tallies));
            // What reads the store now, nobody waits for.
            runtime.shutdown_background();
        }
        Err(error) => tracing::error!("cannot start the HTTP interface's event loop: {error}; no HTTP, no metrics"),
    }
}

/// The most threads that read the store at once.
const BLOCKING: usize = 4;

async fn serve(
    mut config: watch::Receiver<Arc<Config>>,
    mut moves: mpsc::UnboundedReceiver<Move>,
    api: Api,
    meters: Meters,
    tallies: mpsc::Receiver<Tally>,
) {
    tokio::spawn(meters.clone().count(tallies));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropping it ends the accepting; connections finish what they are at.
    let mut serving: Option<oneshot::Sender<()>> = None;
    loop {
        tokio::select! {
            moved = moves.recv() => match moved {
                Some(Move::To(listener)) => serving = accept(listener, Arc::clone(&room), api.clone()),
                Some(Move::Away) => serving = None,
                None => break,
            },
            Ok(()) = config.changed() => meters.retain(&config.borrow_and_update().plan),
        }
    }
    drop(serving);
}

/// Begins to serve there; `None` if that cannot be.
fn accept(listener: TcpListener, room: Arc<Semaphore>, api: Api) -> Option<oneshot::Sender<()>> {
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let door = match Door::new(listener, room) {
        Ok(door) => door,
        Err(error) => {
            tracing::error!("cannot serve HTTP on {address}: {error}");
            return None;
        }
    };
    tracing::info!("HTTP on http://{address}");
    let (serving, ended) = oneshot::channel::<()>();
    let served = axum::serve(door, routes::router(api)).with_graceful_shutdown(async {
        let _ = ended.await;
    });
    tokio::spawn(async move { served.await });
    Some(serving)
}
