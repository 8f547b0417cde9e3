//! One world: the real engine and its store among simulated peers, links, clocks and disks. One thread, one queue of moments; everything
//! that happens is written into the [`History`].

mod ending;
mod fate;
mod network;
mod people;
mod process;
mod running;
mod steady;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use switchboard::config::{self, Config};
use switchboard::engine::{Command, CommandId, Engine, Event, Input, Listener, Output};
use switchboard::flow::{Flow, ListenerId};
use switchboard::state::Number;
use switchboard::time::{Instant, Now, WallTime};

use fate::listeners;
pub use steady::{Steady, steady};

use crate::case::Case;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::draw;
use crate::history::{Datagram, Entry, History, MILLISECOND, Nanos, PhoneOwner, Role, SECOND, T1, What};
use crate::link::Links;
use crate::model::Model;
use crate::peers::attacker::{Attacker, AttackerSettings, Known};
use crate::peers::phone::{Phone, PhoneSettings};
use crate::peers::trunk::{Trunk, TrunkSettings};
use crate::peers::{Caller, PlannedCall, Post};
use crate::script::{Act, BEGINNING, PROBE_COMPANY, PROBE_NUMBER, Script, with_probe};
use crate::text::Message;

/// How long a disk that is well takes.
const WRITING: Nanos = 2 * MILLISECOND;

/// Timer C and what may come after it: after that long without a call, nothing is left (invariant 11).
const QUIET: Nanos = 180 * SECOND + 3 * 64 * T1;

/// `max-call` of every model.
const LONGEST_CALL: Nanos = 600 * SECOND;

/// Something that is to happen.
#[derive(Debug)]
enum Moment {
    Arrives(Arc<Datagram>),
    /// The engine wants to be called.
    Engine,
    /// A peer does.
    Peer(usize),
    /// The disk has written that far.
    Written(Number),
    Act(usize),
    Place(usize),
    Register(usize),
    /// A dead engine's successor starts.
    Starts,
    /// The process goes on after standing still that long.
    GoesOn(Nanos),
    /// All is well from now on.
    Mend,
    Probe,
    /// Everybody hangs up and leaves.
    Leave,
    Look,
}

#[derive(Debug)]
struct Due {
    at: Nanos,
    sequence: u64,
    moment: Moment,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[derive(Debug)]
enum Peer {
    Phone(Box<Phone>),
    Trunk(Box<Trunk>),
    Attacker(Box<Attacker>),
}

/// How the process is.
#[derive(Debug, PartialEq, Eq)]
enum Process {
    Runs,
    /// What reaches its sockets waits, with everything else that would happen to it.
    Stands,
    /// Killed.
    Down,
}

struct World {
    now: Nanos,
    /// Milliseconds the wall's clock is ahead of the monotonic one.
    wall: i64,
    engine: Engine,
    process: Process,
    disk: Disk,
    kills_possible: bool,
    hangs_until: Nanos,
    /// The last change that the engine was not told is durable, if a `Written` is under way.
    writing: bool,
    last_change: Number,
    dies_after: Option<(usize, Nanos)>,
    tears: Option<Nanos>,
    starts: u8,
    configs: Vec<Arc<Config>>,
    in_force: usize,
    sockets: Vec<SocketAddr>,
    engine_wakes: Option<Nanos>,
    waiting: Vec<Arc<Datagram>>,

    peers: Vec<Peer>,
    wakes: Vec<Option<Nanos>>,
    by_address: BTreeMap<SocketAddr, usize>,
    moved: u16,
    links: Links,
    eavesdropping: Dice,
    tearing: Dice,

    script: Script,
    commands: u64,
    datagrams: u64,
    queue: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    well: bool,
    looks: u8,
    over: bool,
    history: History,
}

/// Lives a case through, from its beginning to the quiet after it.
pub fn live(case: &Case) -> History {
    let mut world = World::new(case);
    world.run();
    world.history
}

/// What the probe's call came to is judged by the oracle; this is its number.
pub const PROBE_CALL: u64 = 1_000_000;

fn compiled(model: &Model) -> Arc<Config> {
    let files: Vec<(PathBuf, Vec<u8>)> =
        model.files().into_iter().map(|(path, text)| (PathBuf::from(path), text.into_bytes())).collect();
    match config::load_texts(&files) {
        Ok(config) => Arc::new(config),
        Err(problems) => panic!("a drawn configuration is wrong:\n{}", problems.render(false)),
    }
}

impl World {
    fn new(case: &Case) -> World {
        let (seed, faults) = (case.seed, &case.faults);
        let model = with_probe(draw::drawn(seed, faults));
        let script = Script::drawn(seed, faults, &model);
        let mut world = World::of(case, model, script);
        world.schedule(case);
        world
    }

    /// A world of that model and script, in which nothing is about to happen yet.
    fn of(case: &Case, model: Model, script: Script) -> World {
        let (seed, faults) = (case.seed, &case.faults);
        let kills_possible = faults.process.kills > 0 || faults.process.torn > 0;
        let (disk, saved) = if kills_possible { Disk::with_files() } else { Disk::none() };
        let last_change = saved.last;
        let sockets = model.listen.clone();
        let config = compiled(&model);
        let now = BEGINNING;
        let wall = draw::begins(seed, faults) - (now / MILLISECOND) as i64;
        let listeners = listeners(&sockets, &model);
        let engine =
            Engine::restored(moment(now, wall), [seed as u8; 32], Arc::clone(&config), listeners, saved.clone());
        let deaf = script.phones.first().map(|phone| phone.address);
        let links = Links::new(seed, faults.link.clone(), script.span, deaf);
        let mut world = World {
            now,
            wall,
            engine,
            process: Process::Runs,
            disk,
            kills_possible,
            hangs_until: 0,
            writing: false,
            last_change,
            dies_after: None,
            tears: None,
            starts: 1,
            configs: vec![config],
            in_force: 0,
            sockets,
            engine_wakes: None,
            waiting: Vec::new(),
            peers: Vec::new(),
            wakes: Vec::new(),
            by_address: BTreeMap::new(),
            moved: 0,
            links,
            eavesdropping: Dice::of_their_own(seed, "eavesdropping", 0),
            tearing: Dice::of_their_own(seed, "tearing", 0),
            script,
            commands: 0,
            datagrams: 0,
            queue: BinaryHeap::new(),
            sequence: 0,
            well: false,
            looks: 0,
            over: false,
            history: History {
                seed,
                faults: faults.clone(),
                models: vec![Arc::new(model)],
                cast: BTreeMap::new(),
                phones: Vec::new(),
                entries: Vec::new(),
            },
        };
        world.note(What::Started(Box::new(saved), 0));
        world.people(case);
        world
    }

    pub(super) fn schedule(&mut self, case: &Case) {
        let registrations: Vec<(usize, Nanos)> = (self.script.phones.iter().enumerate())
            .filter_map(|(place, phone)| Some((place, phone.registers_at?)))
            .collect();
        for (place, at) in registrations {
            self.later(at, Moment::Register(place));
        }
        for place in 0..self.script.calls.len() {
            if !case.without.contains(&self.script.calls[place].number) {
                self.later(self.script.calls[place].at, Moment::Place(place));
            }
        }
        for place in 0..self.script.acts.len() {
            self.later(self.script.acts[place].0, Moment::Act(place));
        }
        let mend = BEGINNING + 3 * SECOND + self.script.span + 30 * SECOND;
        self.later(mend, Moment::Mend);
        let wake = self.engine.poll_timeout();
        self.rearm_engine(wake);
    }

    pub(super) fn run(&mut self) {
        while let Some(Reverse(due)) = self.queue.pop() {
            self.now = self.now.max(due.at);
            self.happen(due.moment);
            if self.over {
                break;
            }
        }
    }

    pub(super) fn happen(&mut self, moment: Moment) {
        match moment {
            Moment::Arrives(datagram) => self.arrives(datagram),
            Moment::Engine => {
                if self.engine_wakes != Some(self.now) {
                    return;
                }
                self.engine_wakes = None;
                match self.process {
                    Process::Runs => self.fire(),
                    Process::Stands | Process::Down => {}
                }
            }
            Moment::Peer(peer) => {
                if self.wakes[peer] == Some(self.now) {
                    self.wakes[peer] = None;
                    let now = self.now;
                    self.with_peer(peer, |peer, post| match peer {
                        Peer::Phone(phone) => phone.on_time(now, post),
                        Peer::Trunk(trunk) => trunk.on_time(now, post),
                        Peer::Attacker(attacker) => attacker.on_time(now, post),
                    });
                }
            }
            Moment::Written(up_to) => self.written(up_to),
            Moment::Act(place) => {
                let act = self.script.acts[place].1.clone();
                if !self.well {
                    self.act(act);
                }
            }
            Moment::Place(place) => {
                let call = self.script.calls[place].clone();
                self.place(&call);
            }
            Moment::Register(phone) => self.register(phone),
            Moment::Starts => {
                if self.process == Process::Down {
                    self.start();
                }
            }
            Moment::GoesOn(stood) => self.go_on(stood),
            Moment::Mend => self.mend(),
            Moment::Probe => self.probe(),
            Moment::Leave => self.leave(),
            Moment::Look => self.look(),
        }
    }

    pub(super) fn later(&mut self, at: Nanos, moment: Moment) {
        self.sequence += 1;
        self.queue.push(Reverse(Due { at: at.max(self.now), sequence: self.sequence, moment }));
    }

    pub(super) fn note(&mut self, what: What) {
        let wall = self.wall + (self.now / MILLISECOND) as i64;
        self.history.entries.push(Entry { at: self.now, wall, what });
    }

    pub(super) fn clock(&self) -> Now {
        moment(self.now, self.wall)
    }
}

fn moment(now: Nanos, wall: i64) -> Now {
    Now { mono: Instant::from_nanos(now), wall: WallTime::from_unix_millis(wall + (now / MILLISECOND) as i64) }
}
