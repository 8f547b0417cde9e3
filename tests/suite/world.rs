//! A small world in memory: the real engine, peers that share no code with its wire layer, and a network that delivers
//! every datagram after a millisecond. Time passes only when a test says so, and jumps from one event to the next.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::shelf::Shelf;
use bytes::Bytes;
use switchboard::config::{self, Config};
use switchboard::engine::{CallRecord, Command, CommandId, Engine, Event, Input, Listener, Output, Reply};
use switchboard::flow::{Flow, ListenerId};
use switchboard::peer::{Behaviour, CallEvent, CallKey, Phone, PhoneEvent, PhoneSettings, Trunk, TrunkSettings};
use switchboard::state::{Number, SavedHold};
use switchboard::time::{Instant, Now, WallTime};

/// Where Switchboard listens.
pub const SWITCHBOARD: &str = "203.0.113.10:5060";

/// One datagram that was on the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Bytes,
}

impl Seen {
    /// The first line.
    pub fn first_line(&self) -> String {
        String::from_utf8_lossy(&self.bytes).lines().next().unwrap_or_default().to_owned()
    }

    /// The value of the first line that begins with `NAME:`.
    pub fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let prefix = format!("{}:", name.to_ascii_lowercase());
        text.lines()
            .find(|line| line.to_ascii_lowercase().starts_with(&prefix))
            .map(|line| line[prefix.len()..].trim().to_owned())
    }

    /// The values of all lines that begin with `NAME:`.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let prefix = format!("{}:", name.to_ascii_lowercase());
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .filter(|line| line.to_ascii_lowercase().starts_with(&prefix))
            .map(|line| line[prefix.len()..].trim().to_owned())
            .collect()
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Decides about a datagram on the wire: `false` loses it.
type Rule = Box<dyn FnMut(&Seen) -> bool>;

/// How long each copy of a datagram takes to arrive; none: it is lost.
type Weather = Box<dyn FnMut(&Seen) -> Vec<Duration>>;

/// The world.
pub struct World {
    pub engine: Engine,
    pub now: Now,
    phones: BTreeMap<&'static str, Phone>,
    trunks: BTreeMap<&'static str, Trunk>,
    by_address: BTreeMap<SocketAddr, &'static str>,
    wire: BTreeMap<(Instant, u64), Seen>,
    sequence: u64,
    pub seen: Vec<Seen>,
    rule: Option<Rule>,
    listeners: Vec<Listener>,
    heard: BTreeMap<SocketAddr, usize>,
    weather: Option<Weather>,
    pub phone_events: BTreeMap<&'static str, Vec<PhoneEvent>>,
    pub trunk_events: BTreeMap<&'static str, Vec<(CallKey, CallEvent)>>,
    pub records: Vec<CallRecord>,
    pub events: Vec<Event>,
    replies: BTreeMap<u64, Reply>,
    commands: u64,
    /// What outlives the engine.
    pub shelf: Shelf,
    /// When the disk will have written what was put on the shelf, and up to which change.
    written: Option<(Instant, Number)>,
    /// Whether the disk writes.
    pub disk: Disk,
    config: Arc<Config>,
    /// The engine dies after that many outputs more.
    dies_after: Option<usize>,
    /// How often it has died.
    pub kills: usize,
    /// No engine runs until then.
    down_until: Option<Instant>,
}

/// How the disk is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// What is put on the shelf is durable a millisecond later.
    Well,
    /// Nothing becomes durable.
    Stuck,
}

/// How long the disk takes.
const WRITING: Duration = Duration::from_millis(1);

/// A configuration from texts: the machine's, and the companies' by id.
pub fn configuration(machine: &str, companies: &[(&str, &str)]) -> Config {
    let mut files = vec![(PathBuf::from("switchboard.toml"), machine.as_bytes().to_vec())];
    for (id, text) in companies {
        files.push((PathBuf::from(format!("companies/{id}.toml")), text.as_bytes().to_vec()));
    }
    match config::load_texts(&files) {
        Ok(config) => config,
        Err(problems) => panic!("the test's configuration is wrong:\n{}", problems.render(false)),
    }
}

/// The socket that every test's Switchboard has.
pub fn listeners() -> Vec<Listener> {
    vec![Listener { id: ListenerId(0), address: SWITCHBOARD.parse().unwrap(), advertised: SWITCHBOARD.to_owned() }]
}

/// Sockets at these addresses, numbered from 0.
pub fn sockets(addresses: &[&str]) -> Vec<Listener> {
    let listener = |(id, address): (usize, &&str)| Listener {
        id: ListenerId(u16::try_from(id).unwrap()),
        address: address.parse().unwrap(),
        advertised: (*address).to_owned(),
    };
    addresses.iter().enumerate().map(listener).collect()
}

impl World {
    /// A world at 2026-11-23 10:00 in Kolkata, a Monday.
    pub fn new(config: Config) -> World {
        let now = Now { mono: Instant::from_nanos(1_000_000_000), wall: WallTime::from_unix_millis(1_795_408_200_000) };
        World::at(now, config)
    }

    pub fn at(now: Now, config: Config) -> World {
        World::build(now, config, listeners())
    }

    /// A world with these sockets, numbered from 0.
    pub fn with_listeners(config: Config, addresses: &[&str]) -> World {
        let now = Now { mono: Instant::from_nanos(1_000_000_000), wall: WallTime::from_unix_millis(1_795_408_200_000) };
        World::build(now, config, sockets(addresses))
    }

    fn build(now: Now, config: Config, listeners: Vec<Listener>) -> World {
        let (config, mut shelf) = (Arc::new(config), Shelf::default());
        World {
            engine: Engine::restored(now, [7; 32], Arc::clone(&config), listeners.clone(), shelf.open()),
            listeners,
            config,
            shelf,
            written: None,
            disk: Disk::Well,
            dies_after: None,
            kills: 0,
            down_until: None,
            heard: BTreeMap::new(),
            now,
            phones: BTreeMap::new(),
            trunks: BTreeMap::new(),
            by_address: BTreeMap::new(),
            wire: BTreeMap::new(),
            sequence: 0,
            seen: Vec::new(),
            rule: None,
            weather: None,
            phone_events: BTreeMap::new(),
            trunk_events: BTreeMap::new(),
            records: Vec::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            commands: 0,
        }
    }

    // ---- peers ------------------------------------------------------------------------------------------------------

    /// Adds a phone at `198.51.100.N:5060`, N counting up, and registers it.
    pub fn phone(&mut self, name: &'static str, extension: &str, domain: &str, behaviour: Behaviour) {
        self.unregistered_phone(name, extension, domain, behaviour);
        let now = self.now.mono;
        self.phone_mut(name).register(now, 3600);
        self.pass(Duration::from_millis(50));
        assert!(self.phone_mut(name).is_registered(), "{name} did not register: {:?}", self.phone_events[name]);
    }

    /// Adds a phone without registering it.
    pub fn unregistered_phone(&mut self, name: &'static str, extension: &str, domain: &str, behaviour: Behaviour) {
        let place = self.phones.len() + 1;
        let address: SocketAddr = format!("198.51.100.{place}:5060").parse().unwrap();
        self.phone_at(name, extension, domain, behaviour, address);
    }

    pub fn phone_at(
        &mut self,
        name: &'static str,
        extension: &str,
        domain: &str,
        behaviour: Behaviour,
        address: SocketAddr,
    ) {
        let settings = PhoneSettings {
            extension: extension.to_owned(),
            domain: domain.to_owned(),
            password: format!("secret-{extension}"),
            address,
            registrar: SWITCHBOARD.parse().unwrap(),
            behaviour,
            seed: 100 + self.phones.len() as u64,
        };
        self.phones.insert(name, Phone::new(settings));
        self.by_address.insert(address, name);
        self.phone_events.insert(name, Vec::new());
    }

    /// Adds a trunk at that address.
    pub fn trunk(&mut self, name: &'static str, address: &str) {
        let address: SocketAddr = address.parse().unwrap();
        let seed = 900 + self.trunks.len() as u64;
        self.trunks.insert(name, Trunk::new(TrunkSettings::new(address, SWITCHBOARD.parse().unwrap(), seed)));
        self.by_address.insert(address, name);
        self.trunk_events.insert(name, Vec::new());
    }

    pub fn phone_ref(&self, name: &str) -> &Phone {
        self.phones.get(name).unwrap_or_else(|| panic!("no phone {name}"))
    }

    pub fn phone_mut(&mut self, name: &str) -> &mut Phone {
        self.phones.get_mut(name).unwrap_or_else(|| panic!("no phone {name}"))
    }

    pub fn trunk_mut(&mut self, name: &str) -> &mut Trunk {
        self.trunks.get_mut(name).unwrap_or_else(|| panic!("no trunk {name}"))
    }

    /// The trunk calls a number.
    pub fn call(&mut self, trunk: &str, number: &str, caller: &str) -> CallKey {
        let now = self.now.mono;
        let key = self.trunk_mut(trunk).call(now, number, caller);
        self.flush();
        key
    }

    /// Lets a phone do something now.
    pub fn with_phone<T>(&mut self, name: &str, act: impl FnOnce(&mut Phone, Instant) -> T) -> T {
        let now = self.now.mono;
        let result = act(self.phone_mut(name), now);
        self.flush();
        result
    }

    /// Lets a trunk do something now.
    pub fn with_trunk<T>(&mut self, name: &str, act: impl FnOnce(&mut Trunk, Instant) -> T) -> T {
        let now = self.now.mono;
        let result = act(self.trunk_mut(name), now);
        self.flush();
        result
    }

    /// What a trunk was told of one of its calls.
    pub fn call_events(&self, trunk: &str, call: CallKey) -> Vec<CallEvent> {
        self.trunk_events[trunk].iter().filter(|(key, _)| *key == call).map(|(_, event)| event.clone()).collect()
    }

    /// The final refusal a trunk got for a call: status and Reason.
    pub fn refusal(&self, trunk: &str, call: CallKey) -> Option<(u16, String)> {
        self.call_events(trunk, call).into_iter().find_map(|event| match event {
            CallEvent::Refused { status, reason, .. } => Some((status, reason.unwrap_or_default())),
            _ => None,
        })
    }

    /// Whether a trunk's call was answered.
    pub fn answered(&self, trunk: &str, call: CallKey) -> bool {
        self.call_events(trunk, call).iter().any(|event| matches!(event, CallEvent::Answered { .. }))
    }

    /// The Reason fields of the CANCELs a phone got.
    pub fn cancel_reasons(&self, phone: &str) -> Vec<Option<String>> {
        self.phone_events[phone]
            .iter()
            .filter_map(|event| match event {
                PhoneEvent::Call(_, CallEvent::Cancelled { reason }) => Some(reason.clone()),
                _ => None,
            })
            .collect()
    }

    // ---- network ----------------------------------------------------------------------------------------------------

    /// From now on, `rule` decides which datagrams arrive.
    pub fn lose(&mut self, rule: impl FnMut(&Seen) -> bool + 'static) {
        self.rule = Some(Box::new(rule));
    }

    /// From now on, all arrive.
    pub fn lose_nothing(&mut self) {
        self.rule = None;
    }

    /// From now on, `weather` decides how often and how late each datagram arrives.
    pub fn disturb(&mut self, weather: impl FnMut(&Seen) -> Vec<Duration> + 'static) {
        self.weather = Some(Box::new(weather));
    }

    /// From now on, each arrives once and soon.
    pub fn calm(&mut self) {
        self.weather = None;
    }

    /// Puts a datagram of nobody's on the wire.
    pub fn inject(&mut self, from: &str, bytes: &[u8]) {
        let from = from.parse().unwrap();
        self.put(from, SWITCHBOARD.parse().unwrap(), Bytes::copy_from_slice(bytes));
    }

    /// The datagrams Switchboard sent to an address.
    pub fn sent_to(&self, to: &str) -> Vec<&Seen> {
        let to: SocketAddr = to.parse().unwrap();
        self.seen.iter().filter(|seen| seen.to == to).collect()
    }

    fn put(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let seen = Seen { from, to, bytes };
        self.seen.push(seen.clone());
        if let Some(rule) = &mut self.rule
            && !rule(&seen)
        {
            return;
        }
        let delays = match &mut self.weather {
            Some(weather) => weather(&seen),
            None => vec![Duration::from_millis(1)],
        };
        for delay in delays {
            self.sequence += 1;
            self.wire.insert((self.now.mono + delay, self.sequence), seen.clone());
        }
    }

    // ---- peers that the test itself plays ---------------------------------------------------------------------------

    /// From now on the test plays the peer at that address: what it registered stays, what it would say is not asked.
    pub fn take_over(&mut self, address: &str) {
        let address = address.parse().unwrap();
        self.by_address.remove(&address);
        self.heard.insert(address, self.seen.len());
    }

    /// A datagram from an address to the first socket; it has arrived, and so have the first answers.
    pub fn say(&mut self, from: &str, text: &str) {
        self.inject(from, text.as_bytes());
        self.pass(Duration::from_millis(3));
    }

    /// Likewise, to the socket at `to`.
    pub fn say_to(&mut self, to: &str, from: &str, text: &str) {
        self.put(from.parse().unwrap(), to.parse().unwrap(), Bytes::copy_from_slice(text.as_bytes()));
        self.pass(Duration::from_millis(3));
    }

    /// Whatever was sent to an address since it was last asked.
    pub fn heard(&mut self, at: &str) -> Vec<Seen> {
        let address: SocketAddr = at.parse().unwrap();
        let from = self.heard.insert(address, self.seen.len()).unwrap_or_default();
        self.seen[from..].iter().filter(|seen| seen.to == address).cloned().collect()
    }

    /// The next datagram to an address that begins so; whatever came before it is passed over.
    pub fn expect(&mut self, at: &str, start: &str) -> Seen {
        let address: SocketAddr = at.parse().unwrap();
        let from = self.heard.get(&address).copied().unwrap_or_default();
        let found = self.seen[from..]
            .iter()
            .position(|seen| seen.to == address && seen.first_line().starts_with(start))
            .map(|place| from + place);
        let Some(place) = found else {
            let lines: Vec<String> = self.heard(at).iter().map(Seen::first_line).collect();
            panic!("{at} expected {start:?} and heard {lines:?}");
        };
        self.heard.insert(address, place + 1);
        self.seen[place].clone()
    }

    /// The first lines of whatever was sent to an address since it was last asked.
    pub fn lines(&mut self, at: &str) -> Vec<String> {
        self.heard(at).iter().map(Seen::first_line).collect()
    }

    /// Nothing that begins so was sent to an address since it was last asked.
    pub fn expect_no(&mut self, at: &str, start: &str) {
        let lines = self.lines(at);
        assert!(!lines.iter().any(|line| line.starts_with(start)), "{at} heard {lines:?}");
    }

    /// Who is not free: `221@acme on-call`.
    pub fn busy(&mut self) -> Vec<String> {
        match self.command(Command::Agents) {
            Reply::Agents(agents) => agents
                .into_iter()
                .filter(|agent| ["on-call", "ringing", "wrap-up"].contains(&agent.state.as_str()))
                .map(|agent| format!("{}@{} {}", agent.extension, agent.company, agent.state))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    /// A new version of the configuration, and other sockets.
    pub fn adopt_with(&mut self, config: Config, listeners: Vec<Listener>) {
        self.listeners = listeners.clone();
        self.config = Arc::new(config);
        if self.down_until.is_none() {
            self.engine.handle_input(self.now, Input::Adopt { config: Arc::clone(&self.config), listeners });
        }
        self.flush();
    }

    /// The engine ends as by `kill -9`: what it has not given out is lost, what was on its way to it too. Another starts
    /// after that time with what is on the shelf.
    pub fn kill(&mut self, down: Duration) {
        self.dies_after = None;
        self.kills += 1;
        self.written = None;
        self.down_until = Some(self.now.mono + down);
    }

    /// Likewise, after that many outputs more.
    pub fn kill_after(&mut self, outputs: usize) {
        self.dies_after = Some(outputs);
    }

    /// It does not, if it still lives.
    pub fn spare(&mut self) {
        self.dies_after = None;
    }

    /// Other sockets at the next start.
    pub fn listen(&mut self, listeners: Vec<Listener>) {
        self.listeners = listeners;
    }

    /// Likewise at once, with that configuration at the next start.
    pub fn restart_with(&mut self, config: Config) {
        self.config = Arc::new(config);
        self.restart();
    }

    /// The engine ends as by `kill -9`, and another starts.
    pub fn restart(&mut self) {
        self.kill(Duration::ZERO);
        self.start();
        self.flush();
    }

    fn start(&mut self) {
        self.down_until = None;
        let saved = self.shelf.open();
        // Nonces, branches and tags are never those of the start before.
        let seed = [u8::try_from(saved.start % 251).unwrap(); 32];
        self.engine = Engine::restored(self.now, seed, Arc::clone(&self.config), self.listeners.clone(), saved);
    }

    /// The disk is done at once with what was put on the shelf.
    pub fn write(&mut self) {
        if let Some((_, up_to)) = self.written.take() {
            self.engine.handle_input(self.now, Input::Durable { up_to });
            self.flush();
        }
    }

    /// Anything else that can happen to the engine.
    pub fn happen(&mut self, input: Input) {
        self.engine.handle_input(self.now, input);
        self.flush();
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// Lets that much time pass.
    pub fn pass(&mut self, length: Duration) {
        self.pass_watched(length, |_| {});
    }

    /// Lets that much time pass, and shows the world after everything that happens.
    pub fn pass_watched(&mut self, length: Duration, mut watch: impl FnMut(&World)) {
        let end = self.now + length;
        self.flush();
        while let Some(at) = self.next_event().filter(|at| *at <= end.mono) {
            self.advance(at);
            self.step();
            watch(self);
        }
        self.advance(end.mono);
    }

    /// Lets time pass until nothing is left to happen but registrations' ends.
    pub fn settle(&mut self) {
        self.pass(Duration::from_secs(200));
    }

    fn advance(&mut self, to: Instant) {
        let length = to.since(self.now.mono);
        self.now = Now { mono: self.now.mono + length, wall: self.now.wall + length };
        // Whole milliseconds are enough for hours; what is lost here is less than one.
    }

    fn next_event(&self) -> Option<Instant> {
        let wire = self.wire.keys().next().map(|(at, _)| *at);
        let phones = self.phones.values().filter_map(Phone::deadline).min();
        let trunks = self.trunks.values().filter_map(Trunk::deadline).min();
        let engine = match self.down_until {
            Some(until) => Some(until),
            None => self.engine.poll_timeout(),
        };
        let disk = self.written.map(|(at, _)| at).filter(|_| self.disk == Disk::Well);
        [wire, phones, trunks, engine, disk].into_iter().flatten().min().map(|at| at.max(self.now.mono))
    }

    fn step(&mut self) {
        let now = self.now.mono;
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let seen = entry.remove();
            self.deliver(&seen);
        }
        if self.down_until.is_some_and(|until| until <= now) {
            self.start();
        }
        if let Some((_, up_to)) = self.written.take_if(|(at, _)| *at <= now && self.disk == Disk::Well) {
            self.engine.handle_input(self.now, Input::Durable { up_to });
            self.flush();
        }
        if self.down_until.is_none() && self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(self.now);
            let spins = self.engine.poll_timeout().is_some_and(|at| at <= now);
            assert!(!spins, "after a drain the next timeout is in the future");
        }
        for phone in self.phones.values_mut() {
            if phone.deadline().is_some_and(|at| at <= now) {
                phone.on_timeout(now);
            }
        }
        for trunk in self.trunks.values_mut() {
            if trunk.deadline().is_some_and(|at| at <= now) {
                trunk.on_timeout(now);
            }
        }
        self.flush();
    }

    fn deliver(&mut self, seen: &Seen) {
        let now = self.now.mono;
        let ours = self.listeners.iter().find(|listener| listener.address == seen.to).map(|listener| listener.id);
        if let Some(local) = ours {
            if self.down_until.is_some() {
                return;
            }
            let flow = Flow { local, remote: seen.from };
            self.engine.handle_input(self.now, Input::Datagram { flow, bytes: seen.bytes.clone() });
        } else if let Some(name) = self.by_address.get(&seen.to) {
            if let Some(phone) = self.phones.get_mut(name) {
                phone.receive(now, seen.from, &seen.bytes);
            } else if let Some(trunk) = self.trunks.get_mut(name) {
                trunk.receive(now, seen.from, &seen.bytes);
            }
        }
        self.flush();
    }

    /// Carries away whatever anybody wants to send or tell.
    pub fn flush(&mut self) {
        let mut outgoing = Vec::new();
        while let Some(output) = self.engine.poll_output().filter(|_| self.down_until.is_none()) {
            if let Some(left) = &mut self.dies_after {
                match left.checked_sub(1) {
                    Some(less) => *left = less,
                    None => {
                        self.kill(Duration::from_millis(700));
                        break;
                    }
                }
            }
            match output {
                Output::Change { number, change } => {
                    self.shelf.put(number, &change);
                    let at = self.written.map_or(self.now.mono + WRITING, |(at, _)| at);
                    self.written = Some((at, number));
                }
                Output::Datagram { flow, bytes } => {
                    let from = self.listeners.iter().find(|listener| listener.id == flow.local);
                    let from = from.expect("only sockets that are there are sent from").address;
                    assert_eq!(from.is_ipv4(), flow.remote.is_ipv4(), "a socket reaches addresses of its own family");
                    outgoing.push((from, flow.remote, bytes));
                }
                Output::Event(event) => {
                    assert!(!matches!(event, Event::Defect { .. }), "{event}");
                    crate::log_lines::hold_nobody(&event);
                    self.events.push(event);
                }
                Output::Record(record) => self.records.push(*record),
                Output::Reply { id, reply } => {
                    self.replies.insert(id.0, reply);
                }
            }
        }
        for (name, phone) in &mut self.phones {
            while let Some(datagram) = phone.poll_output() {
                outgoing.push((phone.address(), datagram.to, Bytes::from(datagram.bytes)));
            }
            while let Some(event) = phone.poll_event() {
                self.phone_events.get_mut(name).unwrap().push(event);
            }
        }
        for (name, trunk) in &mut self.trunks {
            while let Some(datagram) = trunk.poll_output() {
                outgoing.push((trunk.address(), datagram.to, Bytes::from(datagram.bytes)));
            }
            while let Some(event) = trunk.poll_event() {
                self.trunk_events.get_mut(name).unwrap().push(event);
            }
        }
        for (from, to, bytes) in outgoing {
            self.put(from, to, bytes);
        }
    }

    // ---- admin ------------------------------------------------------------------------------------------------------

    /// Gives the engine a command and takes its reply.
    pub fn command(&mut self, command: Command) -> Reply {
        self.commands += 1;
        let id = CommandId(self.commands);
        if self.down_until.is_some() {
            return Reply::Refused("no daemon runs".into());
        }
        self.engine.handle_input(self.now, Input::Command { id, command });
        self.flush();
        let reply = self.replies.remove(&id.0);
        if self.down_until.is_some() {
            return reply.unwrap_or_else(|| Reply::Refused("the daemon died".into()));
        }
        reply.expect("every command is answered")
    }

    /// A new version of the configuration.
    pub fn adopt(&mut self, config: Config) {
        self.adopt_with(config, self.listeners.clone());
    }

    /// A new version of the configuration that calls us something else in Via and Record-Route.
    pub fn adopt_as(&mut self, config: Config, advertised: &str) {
        let mut listeners = self.listeners.clone();
        listeners[0].advertised = advertised.to_owned();
        self.adopt_with(config, listeners);
    }

    /// Everything is over, and nothing is left of it (invariant 11). Every test ends with this.
    pub fn end(mut self) {
        self.settle();
        let audit = self.engine.audit();
        assert!(audit.is_empty(), "something outlived its call: {audit:?}");
        assert!(self.shelf.calls.is_empty(), "the store still has calls: {:?}", self.shelf.calls.keys());
        let held = self.shelf.claims.values().filter(|claim| !matches!(claim.hold, SavedHold::WrapUp(_))).count();
        assert_eq!(held, 0, "the store still has claims: {:?}", self.shelf.claims);
        let logged = |call| self.shelf.log.iter().any(|record| record.call == call);
        assert!(self.records.iter().all(|record| logged(record.call)), "every record is in the log");
        for (name, phone) in &self.phones {
            assert_eq!(phone.unreadable(), 0, "{name} could not read something we sent");
        }
        for (name, trunk) in &self.trunks {
            assert_eq!(trunk.unreadable(), 0, "{name} could not read something we sent");
        }
    }
}
