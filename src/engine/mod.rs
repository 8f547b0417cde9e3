//! The composition: one value that decides everything, and nothing that touches the world.
//!
//! The drain rule: after every call of `handle_input` or `handle_timeout`, call `poll_output` until it gives `None`, then
//! ask `poll_timeout` when to come back. After a pause, hand in the datagrams that waited before the time that passed.
//!
//! | file | owns |
//! |---|---|
//! | `input`, `output`, `command`, `event`, `record` | the values that go in and out |
//! | `ingress` | from a datagram to whatever it is for |
//! | `transactions`, `timers` | the tables of machines, and time |
//! | `call`, `calls`, `branches`, `dialogs` | a call as a value; its caller's side, its callees' side, its dialogs |
//! | `relays` | requests inside dialogs |
//! | `ledger`, `restore` | what the store is told, and an engine made of what it kept |
//! | `registrations` | REGISTER |
//! | `caller`, `names` | a user who calls; users, companies and trunks by the names people type |
//! | `trunk_use`, `live`, `addresses` | what is in use, who is there, which addresses are ours |
//! | `commands`, `question`, `audit` | what an admin, or a test, may ask |

mod addresses;
mod answers;
mod audit;
mod branches;
mod call;
mod caller;
mod calls;
mod command;
mod commands;
mod dialogs;
mod event;
mod ingress;
mod input;
mod ledger;
mod live;
mod names;
mod output;
mod question;
mod registrations;
mod relays;
mod restore;
mod timers;
mod transactions;
mod trunk_use;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use smallvec::SmallVec;

use addresses::Addresses;
use call::Call;
use ledger::Ledger;
use live::Live;
use relays::Relay;
use timers::Timers;
use transactions::{Armed, ClientId, ClientTransaction, RelayId, ServerId, ServerTransaction, TimerKey};
use trunk_use::TrunkUse;

pub use crate::state::{CallRecord, EndedBy};
pub use audit::Audit;
pub use command::{
    AgentView, CallView, Command, CommandId, Question, QueueView, Refusal, RegistrationView, Reply, Status, TrunkView,
    WhyNot,
};
pub use event::Event;
pub use input::{Input, Listener};
pub use output::Output;
pub use question::{LiveState, TrunkState, explain};

use crate::auth::{Digest, Patience, Trunks};
use crate::claim::Claims;
use crate::config::Config;
use crate::flow::ListenerId;
use crate::id::{CallRef, Map, PersonId, TrunkId, UserId};
use crate::proxy::DialogKey;
use crate::registrar::Location;
use crate::routing::{Line, Memories, Plan};
use crate::sip::Limits;
use crate::time::{Instant, Now, WallTime};
use crate::transaction::{MergeKey, ServerKey, Timing};

/// Counters on the path of every message.
#[derive(Debug, Default)]
struct Counts {
    datagrams_in: u64,
    datagrams_out: u64,
    keep_alives: u64,
    transport_errors: u64,
    unacknowledged_failures: u64,
    /// Everything rarer, by name.
    named: BTreeMap<&'static str, u64>,
}

/// Everything that decides.
#[derive(Debug)]
pub struct Engine {
    config: Arc<Config>,
    started_at: WallTime,
    configured_at: WallTime,
    draining: bool,
    timing: Timing,
    limits: Limits,
    addresses: Addresses,
    trunks: Trunks,
    trunk_use: BTreeMap<TrunkId, TrunkUse>,
    digest: Digest,
    patience: Patience,
    hashing: ahash::RandomState,
    random: ChaCha8Rng,
    serial: u64,

    live: Live,
    claims: Claims,
    memories: Memories,
    line: Line,
    /// When the log last said that a phone of theirs is refused; configured users only.
    refusals_told: Map<UserId, Instant>,
    /// Persons who may have become free since the waiting calls last looked.
    freed: BTreeSet<PersonId>,

    servers: Map<ServerId, ServerTransaction>,
    server_keys: Map<ServerKey, ServerId>,
    merges: Map<MergeKey, ServerId>,
    clients: Map<ClientId, ClientTransaction>,
    calls: Map<CallRef, Box<Call>>,
    relays: Map<RelayId, Relay>,
    dialogs: Map<DialogKey, SmallVec<[CallRef; 1]>>,

    timers: Timers<TimerKey>,
    wrap_ups: Armed,
    bindings: Armed,

    ledger: Ledger,
    outputs: VecDeque<Output>,
    scratch: Vec<u8>,
    counts: Counts,
}

impl Engine {
    /// An engine without calls or registrations. Equal seeds and equal inputs give equal outputs.
    pub fn new(now: Now, seed: [u8; 32], config: Arc<Config>, listeners: Vec<Listener>) -> Engine {
        let mut random = ChaCha8Rng::from_seed(seed);
        let hashing =
            ahash::RandomState::with_seeds(random.next_u64(), random.next_u64(), random.next_u64(), random.next_u64());
        let mut nonce_key = [0; 32];
        random.fill_bytes(&mut nonce_key);
        Engine {
            started_at: now.wall,
            configured_at: now.wall,
            draining: false,
            timing: Timing::default(),
            limits: Limits::default(),
            addresses: Addresses::new(listeners),
            trunks: Trunks::new(&config.plan),
            trunk_use: BTreeMap::new(),
            digest: Digest::new(nonce_key),
            patience: Patience::new(&hashing),
            random,
            serial: 0,
            live: Live {
                now: now.mono,
                location: Location::new(hashing.clone()),
                switches: Map::with_hasher(hashing.clone()),
                company_calls: Map::with_hasher(hashing.clone()),
            },
            claims: Claims::new(hashing.clone()),
            memories: Memories::default(),
            line: Line::default(),
            refusals_told: Map::with_hasher(hashing.clone()),
            freed: BTreeSet::new(),
            servers: Map::with_hasher(hashing.clone()),
            server_keys: Map::with_hasher(hashing.clone()),
            merges: Map::with_hasher(hashing.clone()),
            clients: Map::with_hasher(hashing.clone()),
            calls: Map::with_hasher(hashing.clone()),
            relays: Map::with_hasher(hashing.clone()),
            dialogs: Map::with_hasher(hashing.clone()),
            hashing,
            timers: Timers::new(),
            wrap_ups: Armed::default(),
            bindings: Armed::default(),
            ledger: Ledger::nothing(),
            outputs: VecDeque::new(),
            scratch: Vec::with_capacity(2048),
            counts: Counts::default(),
            config,
        }
    }

    /// Something happened.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        self.live.now = now.mono;
        match input {
            Input::Datagram { flow, bytes } => self.on_datagram(now, flow, bytes),
            Input::Undeliverable { bytes } => self.on_undeliverable(now, &bytes),
            Input::Adopt { config, listeners } => self.adopt(now, config, listeners),
            Input::TrunkAddresses { trunk, addresses } => {
                self.trunk_use.entry(trunk).or_default().addresses = addresses;
            }
            Input::Command { id, command } => {
                let reply = self.command(now, command);
                self.outputs.push_back(Output::Reply { id, reply });
            }
            Input::Durable { up_to } => self.on_durable(now, up_to),
        }
        self.serve_waiting(now);
        self.close_step(now);
    }

    /// Time passed; does nothing before `poll_timeout`.
    pub fn handle_timeout(&mut self, now: Now) {
        self.live.now = now.mono;
        while let Some(key) = self.timers.expire(now.mono) {
            match key {
                TimerKey::Server(id) => self.on_server_timer(now, id),
                TimerKey::Client(id) => self.on_client_timer(now, id),
                TimerKey::Call(id) => self.on_call_timer(now, id),
                TimerKey::Relay(id) => self.on_relay_timer(now, id),
                TimerKey::WrapUps => {
                    self.wrap_ups = Armed::default();
                    self.freed.extend(self.claims.expire(now.mono));
                    self.rearm_wrap_ups();
                }
                TimerKey::Bindings => {
                    self.bindings = Armed::default();
                    self.on_bindings_timer(now);
                }
                TimerKey::Ledger => self.on_ledger_timer(now),
            }
            self.serve_waiting(now);
        }
        self.close_step(now);
    }

    /// The next thing to do. What a step changed comes before what it sends.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some((number, change)) = self.ledger.pop() {
            return Some(Output::Change { number, change });
        }
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// What is still in the tables.
    pub fn audit(&self) -> Audit {
        let housekeeping = [self.wrap_ups.is_armed(), self.bindings.is_armed(), self.ledger.is_armed()];
        let housekeeping = housekeeping.into_iter().filter(|armed| *armed).count();
        Audit {
            server_transactions: self.servers.len().max(self.server_keys.len()).max(self.merges.len()),
            client_transactions: self.clients.len(),
            contexts: self.relays.len(),
            calls: self.calls.len(),
            hunts: self.live.company_calls.values().map(|calls| *calls as usize).sum(),
            dialogs: self.dialogs.len(),
            claims: self.claims.held(),
            waiting: self.line.len(),
            unsaved: self.ledger.pending(),
            timers: self.timers.len() - housekeeping,
        }
    }

    /// Offers those who became free to those who wait, in the order of their arrival.
    fn serve_waiting(&mut self, now: Now) {
        while !self.freed.is_empty() {
            let freed = std::mem::take(&mut self.freed);
            let waiting: Vec<CallRef> = self.line.calls().collect();
            for call in waiting {
                let wants = self
                    .calls
                    .get(&call)
                    .is_some_and(|call| call.hunt.waits_for().iter().any(|person| freed.contains(person)));
                if wants {
                    self.look_again(now, call);
                }
            }
        }
    }

    /// a new version of the configuration, as a whole. Calls keep the one they began with.
    fn adopt(&mut self, now: Now, config: Arc<Config>, listeners: Vec<Listener>) {
        self.addresses.replace(listeners);
        self.trunks = Trunks::new(&config.plan);
        let plan = Arc::clone(&config.plan);
        let exists = |user: &UserId| {
            plan.companies.get(&user.company).is_some_and(|company| company.users.contains_key(&user.extension))
        };
        for user in self.live.location.retain(&exists) {
            self.note_bindings(now, &user);
        }
        let before = Arc::clone(&self.config.plan);
        let person_in = |plan: &Plan, user: &UserId| {
            let company = plan.companies.get(&user.company)?;
            company.users.get(&user.extension).map(|user| user.person.clone())
        };
        let users = plan.companies.values().flat_map(|company| company.users.values());
        let changed = users
            .filter(|user| person_in(&before, &user.id).is_some_and(|person| person != user.person))
            .map(|user| (user.id.clone(), user.person.clone()));
        self.freed.extend(self.claims.rename(|user| person_in(&plan, user), changed));
        let mut gone: Vec<UserId> = self.live.switches.keys().filter(|user| !exists(user)).cloned().collect();
        gone.sort();
        for user in gone {
            self.live.switches.remove(&user);
            self.note_switches(&user);
        }
        self.refusals_told.retain(|user, _| exists(user));
        self.memories.retain(&plan);
        self.trunk_use.retain(|trunk, usage| usage.calls > 0 || plan.trunks.contains_key(trunk));
        self.config = config;
        self.configured_at = now.wall;
        self.rearm_bindings();
        // Whoever waits may find somebody now: a user's switch, hours or devices may count differently.
        let waited_for: Vec<PersonId> = self
            .line
            .calls()
            .filter_map(|call| self.calls.get(&call))
            .flat_map(|call| call.hunt.waits_for().to_vec())
            .collect();
        self.freed.extend(waited_for);
    }

    fn rearm_wrap_ups(&mut self) {
        let deadline = self.claims.deadline();
        let armed = std::mem::take(&mut self.wrap_ups);
        self.wrap_ups = self.arm(armed, TimerKey::WrapUps, deadline);
    }

    fn rearm_bindings(&mut self) {
        let deadline = self.live.location.deadline();
        let armed = std::mem::take(&mut self.bindings);
        self.bindings = self.arm(armed, TimerKey::Bindings, deadline);
    }

    fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.addresses.listener(id)
    }

    fn listener_towards(&self, address: std::net::SocketAddr, preferred: ListenerId) -> Option<ListenerId> {
        self.addresses.towards(address, preferred)
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.named.entry(name).or_default() += 1;
    }

    /// A number that was never drawn before, for our own tables.
    fn next_id(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A number that nobody can guess, for branches and tags.
    fn draw(&mut self) -> u64 {
        self.random.next_u64()
    }
}
