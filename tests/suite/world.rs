//! A small world in memory: the real engine, peers that share no code with its wire layer, and a network that delivers
//! every datagram after a millisecond. Time passes only when a test says so, and jumps from one event to the next.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchboard::config::{self, Config};
use switchboard::engine::{CallRecord, Command, CommandId, Engine, Event, Input, Listener, Output, Reply};
use switchboard::flow::{Flow, ListenerId};
use switchboard::peer::{Behaviour, CallEvent, CallKey, Phone, PhoneEvent, PhoneSettings, Trunk, TrunkSettings};
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
    weather: Option<Weather>,
    pub phone_events: BTreeMap<&'static str, Vec<PhoneEvent>>,
    pub trunk_events: BTreeMap<&'static str, Vec<(CallKey, CallEvent)>>,
    pub records: Vec<CallRecord>,
    pub events: Vec<Event>,
    replies: BTreeMap<u64, Reply>,
    commands: u64,
}

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

impl World {
    /// A world at 2026-11-23 10:00 in Kolkata, a Monday.
    pub fn new(config: Config) -> World {
        let now = Now { mono: Instant::from_nanos(1_000_000_000), wall: WallTime::from_unix_millis(1_795_408_200_000) };
        World::at(now, config)
    }

    pub fn at(now: Now, config: Config) -> World {
        World {
            engine: Engine::new(now, [7; 32], Arc::new(config), listeners()),
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
        [wire, phones, trunks, self.engine.poll_timeout()].into_iter().flatten().min().map(|at| at.max(self.now.mono))
    }

    fn step(&mut self) {
        let now = self.now.mono;
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let seen = entry.remove();
            self.deliver(&seen);
        }
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
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
        if seen.to == SWITCHBOARD.parse::<SocketAddr>().unwrap() {
            let flow = Flow { local: ListenerId(0), remote: seen.from };
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
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Datagram { flow, bytes } => {
                    outgoing.push((SWITCHBOARD.parse().unwrap(), flow.remote, bytes));
                }
                Output::Event(event) => {
                    assert!(!matches!(event, Event::Defect { .. }), "{event}");
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
        self.engine.handle_input(self.now, Input::Command { id, command });
        self.flush();
        self.replies.remove(&id.0).expect("every command is answered")
    }

    /// A new version of the configuration.
    pub fn adopt(&mut self, config: Config) {
        self.adopt_as(config, SWITCHBOARD);
    }

    /// A new version of the configuration that calls us something else in Via and Record-Route.
    pub fn adopt_as(&mut self, config: Config, advertised: &str) {
        let mut listeners = listeners();
        listeners[0].advertised = advertised.to_owned();
        let input = Input::Adopt { config: Arc::new(config), listeners };
        self.engine.handle_input(self.now, input);
        self.flush();
    }

    /// Everything is over, and nothing is left of it (invariant 11). Every test ends with this.
    pub fn end(mut self) {
        self.settle();
        let audit = self.engine.audit();
        assert!(audit.is_empty(), "something outlived its call: {audit:?}");
        for (name, phone) in &self.phones {
            assert_eq!(phone.unreadable(), 0, "{name} could not read something we sent");
        }
        for (name, trunk) in &self.trunks {
            assert_eq!(trunk.unreadable(), 0, "{name} could not read something we sent");
        }
    }
}
