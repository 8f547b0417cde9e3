//! The thread that owns the engine: datagrams, orders and time go in, one after the other; what comes out is done at once.
//!
//! Nothing here waits for anything but the next input: sends never block, log lines go to a thread of their own, and
//! whatever may take long (files, DNS, the control socket) happens on the supervisor's thread and arrives as an [`Order`].

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::clock::Clock;
use super::counters::Counters;
use super::hep::Tap;
use super::listeners::Numbered;
use super::run::message_of;
use super::store::{Keeper, StoreReport};
use super::udp::{self, Received, Sent};
use crate::config::Config;
use crate::engine::{Command, CommandId, Engine, Event, Input, Listener, Output, Reply};
use crate::flow::{Flow, ListenerId};
use crate::id::TrunkId;
use crate::state::Saved;
use crate::time::Instant;

/// The most datagrams read from one socket before the others, the orders and the timers get their turn.
const BATCH: usize = 64;

/// The largest datagram there is.
const DATAGRAM: usize = 65_535;

/// The most reports of undeliverable datagrams fed back in one turn: each may cause another datagram.
const REPORTS: usize = 256;

/// How long timers rest after one of them ran into a defect of ours, so that it cannot spin.
const REST: Duration = Duration::from_millis(100);

/// What the rest of the daemon asks of the engine's thread.
#[derive(Debug)]
pub(super) enum Order {
    /// An admin's command.
    Command { command: Command, answer: oneshot::Sender<Reply> },
    /// A new configuration with its sockets.
    Adopt(Box<Adoption>),
    /// Where a trunk's proxy is.
    TrunkAddresses { trunk: TrunkId, addresses: Vec<std::net::SocketAddr> },
    /// End the thread.
    Stop,
}

/// A configuration to be adopted whole.
#[derive(Debug)]
pub(super) struct Adoption {
    pub(super) config: Arc<Config>,
    pub(super) listeners: Vec<Listener>,
    pub(super) added: Vec<Numbered>,
    pub(super) removed: Vec<ListenerId>,
    /// Told once it is done, or why not.
    pub(super) done: oneshot::Sender<Result<(), String>>,
}

/// Called every so often, but only right after a turn of the loop in which everything was done (the watchdog, invariant 18).
pub(super) struct Heartbeat {
    pub(super) every: Duration,
    pub(super) beat: Box<dyn FnMut() + Send>,
}

/// What the loop begins with.
pub(super) struct Beginning {
    pub(super) clock: Clock,
    pub(super) seed: [u8; 32],
    pub(super) config: Arc<Config>,
    pub(super) listeners: Vec<Listener>,
    pub(super) sockets: Vec<Numbered>,
    /// What was saved, and who keeps what changes; `None`: nothing survives.
    pub(super) kept: Option<Kept>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) counters: Arc<Counters>,
    pub(super) tap: Tap,
    pub(super) heartbeat: Option<Heartbeat>,
    /// Told once the engine stands, or why it does not.
    pub(super) ready: std::sync::mpsc::SyncSender<Result<(), String>>,
}

/// What outlives the daemon.
pub(super) struct Kept {
    pub(super) saved: Saved,
    pub(super) keeper: Keeper,
    /// What the store's thread says.
    pub(super) reports: mpsc::UnboundedReceiver<StoreReport>,
}

/// How long the end of the daemon waits for the disk.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// Runs until it is told to stop or nobody can order anything any more.
pub(super) fn run(beginning: Beginning) {
    let ready = beginning.ready.clone();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Nobody listens any more only if the daemon gave up starting; then this does not matter either.
            let _ = ready.send(Err(format!("cannot start the engine's event loop: {error}")));
            return;
        }
    };
    runtime.block_on(turn(beginning));
}

async fn turn(beginning: Beginning) {
    let Beginning { clock, seed, config, listeners, sockets, kept, mut orders, counters, tap, heartbeat, ready } =
        beginning;
    let mut readers = match open(sockets.clone()) {
        Ok(readers) => readers,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let (saved, keeper, mut reports) = match kept {
        Some(Kept { saved, keeper, reports }) => (Some(saved), Some(keeper), Some(reports)),
        None => (None, None, None),
    };
    let made = catch_unwind(AssertUnwindSafe(|| match saved {
        Some(saved) => Engine::restored(clock.now(), seed, config, listeners, saved),
        None => Engine::new(clock.now(), seed, config, listeners),
    }));
    let Ok(engine) = made else {
        let _ = ready.send(Err("the engine could not be made from this configuration: a defect of switchboard".into()));
        return;
    };
    let next_beat = heartbeat.as_ref().map(|_| clock.mono());
    let mut core = Core {
        engine,
        clock,
        writers: sockets,
        waiting: HashMap::new(),
        next_command: 0,
        counters,
        tap,
        undeliverable: VecDeque::new(),
        keeper,
        resting_until: Instant::ORIGIN,
        heartbeat,
        next_beat,
    };
    core.drain();
    let _ = ready.send(Ok(()));

    let mut buffer = vec![0; DATAGRAM];
    let mut first = 0;
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    loop {
        let wake = core.next_wake();
        if let Some(wake) = wake {
            let wake = clock.on_runtime(wake);
            if sleep.deadline() != wake {
                sleep.as_mut().reset(wake);
            }
        }
        // Fairness: the socket after the one read last is looked at first.
        first = (first + 1) % readers.len().max(1);
        let happening = poll_fn(|context| {
            if let Poll::Ready(order) = orders.poll_recv(context) {
                return Poll::Ready(Happening::Order(order));
            }
            if let Some(told) = &mut reports
                && let Poll::Ready(report) = told.poll_recv(context)
            {
                return Poll::Ready(Happening::Stored(report));
            }
            let (before, after) = readers.split_at(first.min(readers.len()));
            for reader in after.iter().chain(before) {
                if reader.socket.poll_recv_ready(context).is_ready() {
                    return Poll::Ready(Happening::Readable(reader));
                }
            }
            if wake.is_some() && sleep.as_mut().poll(context).is_ready() {
                return Poll::Ready(Happening::Due);
            }
            Poll::Pending
        })
        .await;

        let mut more = More::No;
        match happening {
            Happening::Order(Some(Order::Stop) | None) => {
                core.close();
                return;
            }
            Happening::Order(Some(Order::Command { command, answer })) => core.on_command(command, answer),
            Happening::Order(Some(Order::Adopt(adoption))) => on_adoption(&mut core, &mut readers, *adoption),
            Happening::Order(Some(Order::TrunkAddresses { trunk, addresses })) => {
                core.feed(Input::TrunkAddresses { trunk, addresses });
            }
            Happening::Readable(reader) => more = core.on_readable(reader, &mut buffer),
            Happening::Stored(Some(StoreReport::Durable { up_to })) => drop(core.feed(Input::Durable { up_to })),
            // The store's thread has told the admin.
            Happening::Stored(Some(StoreReport::Failing { .. } | StoreReport::Recovered)) => {}
            Happening::Stored(None) => {
                tracing::error!("the store's thread has ended, a defect: nothing becomes durable until the next start");
                reports = None;
            }
            Happening::Due => {}
        }
        core.on_time();
        core.report_undeliverable();
        core.beat();
        if more == More::Yes {
            // There is more to read: let the runtime look at the other sockets and timers before.
            tokio::task::yield_now().await;
        }
    }
}

enum Happening<'a> {
    Order(Option<Order>),
    Readable(&'a Reader),
    Stored(Option<StoreReport>),
    Due,
}

/// Whether a socket was left before it was empty.
#[derive(PartialEq, Eq)]
enum More {
    Yes,
    No,
}

/// The reading end: a second descriptor of the same socket, watched by the runtime. (The runtime's own way of sending drops what
/// comes before it has once seen the socket writable, so that sending goes by the first descriptor.)
struct Reader {
    id: ListenerId,
    socket: UdpSocket,
}

fn open(sockets: Vec<Numbered>) -> Result<Vec<Reader>, String> {
    let open = |(id, socket): Numbered| match socket.try_clone().and_then(UdpSocket::from_std) {
        Ok(socket) => Ok(Reader { id, socket }),
        Err(error) => Err(format!("cannot wait for a socket: {error}")),
    };
    sockets.into_iter().map(open).collect()
}

/// New sockets first, then the engine's word, then the old sockets go: whatever fails, nothing was half done.
fn on_adoption(core: &mut Core, readers: &mut Vec<Reader>, adoption: Adoption) {
    let Adoption { config, listeners, added, removed, done } = adoption;
    // Whoever ordered this may have given up; the configuration is adopted all the same.
    let fresh = match open(added.clone()) {
        Ok(fresh) => fresh,
        Err(error) => {
            let _ = done.send(Err(error));
            return;
        }
    };
    readers.extend(fresh);
    core.writers.extend(added.clone());
    match core.feed(Input::Adopt { config, listeners }) {
        Fed::Taken => {
            readers.retain(|reader| !removed.contains(&reader.id));
            core.writers.retain(|(id, _)| !removed.contains(id));
            let _ = done.send(Ok(()));
        }
        Fed::Defect => {
            readers.retain(|reader| !added.iter().any(|(id, _)| *id == reader.id));
            core.writers.retain(|(id, _)| !added.iter().any(|(other, _)| other == id));
            let _ = done.send(Err("adopting the configuration ran into a defect of switchboard; see the log".into()));
        }
    }
}

/// Whether an input was handled whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fed {
    Taken,
    Defect,
}

/// The engine and everything it needs to be served, but the sockets' readiness.
struct Core {
    engine: Engine,
    clock: Clock,
    writers: Vec<Numbered>,
    waiting: HashMap<CommandId, oneshot::Sender<Reply>>,
    next_command: u64,
    counters: Arc<Counters>,
    tap: Tap,
    undeliverable: VecDeque<Bytes>,
    keeper: Option<Keeper>,
    resting_until: Instant,
    heartbeat: Option<Heartbeat>,
    next_beat: Option<Instant>,
}

impl Core {
    fn on_command(&mut self, command: Command, answer: oneshot::Sender<Reply>) {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        self.waiting.insert(id, answer);
        self.feed(Input::Command { id, command });
        // Exactly one reply answers a command; without it we are wrong, and the admin shall not wait for ever.
        if let Some(answer) = self.waiting.remove(&id) {
            let _ = answer.send(Reply::Refused("the command ran into a defect of switchboard; see the log".into()));
        }
    }

    fn on_readable(&mut self, reader: &Reader, buffer: &mut [u8]) -> More {
        for _ in 0..BATCH {
            match udp::receive(|| reader.socket.try_recv_from(buffer)) {
                Received::Datagram(length, remote) => {
                    let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                    self.counters.received.add();
                    let flow = Flow { local: reader.id, remote };
                    self.tap.received(flow, &bytes);
                    self.feed(Input::Datagram { flow, bytes });
                }
                Received::WouldBlock => return More::No,
                Received::Error(kind) => {
                    self.counters.receive_errors.add();
                    tracing::debug!(?kind, "a socket reported an error");
                }
            }
        }
        More::Yes
    }

    fn feed(&mut self, input: Input) -> Fed {
        let now = self.clock.now();
        let fed = self.guarded("an input", |engine| engine.handle_input(now, input));
        self.drain();
        self.counters.steps.observe(self.clock.mono().since(now.mono));
        if fed.is_some() { Fed::Taken } else { Fed::Defect }
    }

    fn on_time(&mut self) {
        let now = self.clock.now();
        if now.mono < self.resting_until || self.engine.poll_timeout().is_none_or(|deadline| deadline > now.mono) {
            return;
        }
        if self.guarded("a timer", |engine| engine.handle_timeout(now)).is_none() {
            self.resting_until = now.mono + REST;
        }
        self.drain();
        self.counters.steps.observe(self.clock.mono().since(now.mono));
    }

    /// Does everything the engine wants done. What is to be kept comes before what follows from it, and is in the journal
    /// before that leaves.
    fn drain(&mut self) {
        while let Some(Some(output)) = self.guarded("an output", Engine::poll_output) {
            match output {
                Output::Datagram { flow, bytes } => {
                    self.flush();
                    self.send(flow, bytes);
                }
                Output::Change { number, change } => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.put(number, change);
                    }
                }
                Output::Event(event) => {
                    self.tap.happened(&event);
                    log(&event);
                }
                Output::Record(record) => {
                    self.counters.tallying.add(&record);
                    if tracing::enabled!(target: "switchboard::record", tracing::Level::DEBUG) {
                        let json = serde_json::to_string(&record).unwrap_or_else(|error| error.to_string());
                        tracing::debug!(target: "switchboard::record", call = %record.call, "{json}");
                    }
                }
                Output::Reply { id, reply } => {
                    self.flush();
                    if let Some(answer) = self.waiting.remove(&id) {
                        // The client may have gone.
                        let _ = answer.send(reply);
                    }
                }
            }
        }
        self.flush();
        self.tap.step_over();
    }

    fn flush(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.flush();
        }
    }

    /// The end: what the disk has not yet is written now.
    fn close(&mut self) {
        if let Some(keeper) = self.keeper.take()
            && let Err(error) = keeper.close(LAST_WRITES)
        {
            tracing::warn!("{error}");
        }
    }

    fn send(&mut self, flow: Flow, bytes: Bytes) {
        let Some((_, socket)) = self.writers.iter().find(|(id, _)| *id == flow.local) else {
            // A reload closed that socket.
            self.undeliverable.push_back(bytes);
            return;
        };
        match udp::send(socket, &bytes, flow.remote) {
            Sent::Gone => {
                self.counters.sent.add();
                self.tap.sent(flow, &bytes);
            }
            Sent::Full => self.counters.send_buffer_full.add(),
            Sent::Undeliverable(kind) => {
                self.counters.undeliverable.add();
                tracing::debug!(?flow, ?kind, "undeliverable");
                self.undeliverable.push_back(bytes);
            }
        }
    }

    /// Tells the engine what could not be sent. Never within a drain, and bounded: what is left waits for the next turn.
    fn report_undeliverable(&mut self) {
        for _ in 0..REPORTS {
            let Some(bytes) = self.undeliverable.pop_front() else { return };
            self.feed(Input::Undeliverable { bytes });
        }
    }

    fn beat(&mut self) {
        let (Some(heartbeat), Some(next)) = (self.heartbeat.as_mut(), self.next_beat) else { return };
        let now = self.clock.mono();
        if now >= next {
            (heartbeat.beat)();
            self.next_beat = Some(now + heartbeat.every);
        }
    }

    /// When the loop must turn even if nothing happens.
    fn next_wake(&self) -> Option<Instant> {
        if !self.undeliverable.is_empty() {
            return Some(self.clock.mono());
        }
        let timer = self.engine.poll_timeout().map(|deadline| deadline.max(self.resting_until));
        [timer, self.next_beat].into_iter().flatten().min()
    }

    /// A defect of ours costs the input that met it, never the daemon. `AssertUnwindSafe` is an assertion indeed: the
    /// engine's tables may be left between two states by a panic; what hangs on that one call is lost, the rest
    /// is used as before, and the defect is counted and logged so that it is found.
    fn guarded<T>(&mut self, what: &str, work: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| work(&mut self.engine))) {
            Ok(done) => Some(done),
            Err(panic) => {
                self.counters.defects.add();
                tracing::error!("defect: {what} was dropped: {}", message_of(panic.as_ref()));
                None
            }
        }
    }
}

/// One line per event; the level is the event's own.
fn log(event: &Event) {
    macro_rules! line {
        ($level:ident) => {
            match event.call() {
                Some(call) => tracing::event!(target: "switchboard", tracing::Level::$level, call = %call, "{event}"),
                None => tracing::event!(target: "switchboard", tracing::Level::$level, "{event}"),
            }
        };
    }
    match event.level() {
        tracing::Level::ERROR => line!(ERROR),
        tracing::Level::WARN => line!(WARN),
        tracing::Level::INFO => line!(INFO),
        tracing::Level::DEBUG => line!(DEBUG),
        tracing::Level::TRACE => line!(TRACE),
    }
}
