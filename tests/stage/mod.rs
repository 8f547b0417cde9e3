//! Phones and a trunk on real sockets before a real daemon, for the tests of what the daemon tells others: its log, its capture.
//! Each peer has an address of loopback of its own.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use switchboard::daemon::Clock;
use switchboard::peer::{Behaviour, CallEvent, CallKey, Phone, PhoneEvent, PhoneSettings, Trunk, TrunkSettings};
use switchboard::time::Instant;

use crate::children::run;

/// How long anything that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One datagram as it was on the wire, and which way it went, seen from the daemon.
#[derive(Clone, Debug)]
pub struct Wire {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

enum Peer {
    Phone(Box<Phone>),
    Trunk(Box<Trunk>),
    /// Says what the test says.
    Raw,
}

struct Actor {
    name: &'static str,
    peer: Peer,
    socket: UdpSocket,
    address: SocketAddr,
}

/// All of them.
pub struct Stage {
    clock: Clock,
    daemon: SocketAddr,
    actors: Vec<Actor>,
    pub wire: Vec<Wire>,
    pub phone_events: Vec<(&'static str, PhoneEvent)>,
    pub trunk_events: Vec<(CallKey, CallEvent)>,
}

impl Stage {
    /// Before the daemon on that port of loopback.
    pub fn new(port: u16) -> Stage {
        Stage {
            clock: Clock::start(),
            daemon: ([127, 0, 0, 1], port).into(),
            actors: Vec::new(),
            wire: Vec::new(),
            phone_events: Vec::new(),
            trunk_events: Vec::new(),
        }
    }

    /// A phone of acme.example at that address, which registers.
    pub fn phone(&mut self, name: &'static str, extension: &str, password: &str, address: &str, behaviour: Behaviour) {
        let (socket, address) = socket(address);
        let mut phone = Phone::new(PhoneSettings {
            extension: extension.into(),
            domain: "acme.example".into(),
            password: password.into(),
            address,
            registrar: self.daemon,
            behaviour,
            seed: 100 + self.actors.len() as u64,
        });
        phone.register(self.clock.mono(), 3600);
        self.actors.push(Actor { name, peer: Peer::Phone(Box::new(phone)), socket, address });
    }

    /// The trunk, at that address.
    pub fn trunk(&mut self, address: &str, behaviour: Behaviour) -> SocketAddr {
        let (socket, address) = socket(address);
        let settings = TrunkSettings { behaviour, ..TrunkSettings::new(address, self.daemon, 900) };
        self.actors.push(Actor { name: "trunk", peer: Peer::Trunk(Box::new(Trunk::new(settings))), socket, address });
        address
    }

    /// Whoever says these bytes from that address, and hears what comes.
    pub fn say(&mut self, from: &str, bytes: &[u8]) {
        self.say_with(from, |_| bytes.to_vec());
    }

    /// Likewise, with the whole address known.
    pub fn say_with(&mut self, from: &str, bytes: impl FnOnce(SocketAddr) -> Vec<u8>) {
        let (socket, address) = socket(from);
        send(&mut self.wire, &socket, address, self.daemon, &bytes(address));
        self.actors.push(Actor { name: "raw", peer: Peer::Raw, socket, address });
    }

    /// The phone does something.
    pub fn with_phone<T>(&mut self, name: &str, act: impl FnOnce(&mut Phone, Instant) -> T) -> T {
        let now = self.clock.mono();
        let actor = self.actors.iter_mut().find(|actor| actor.name == name).unwrap();
        let Peer::Phone(phone) = &mut actor.peer else { panic!("{name} is no phone") };
        act(phone, now)
    }

    /// The trunk does something.
    pub fn with_trunk<T>(&mut self, act: impl FnOnce(&mut Trunk, Instant) -> T) -> T {
        let now = self.clock.mono();
        let trunk = self.actors.iter_mut().find_map(|actor| match &mut actor.peer {
            Peer::Trunk(trunk) => Some(trunk),
            Peer::Phone(_) | Peer::Raw => None,
        });
        act(trunk.unwrap(), now)
    }

    /// Whether this happened to that call of the trunk.
    pub fn trunk_saw(&self, call: CallKey, is_it: impl Fn(&CallEvent) -> bool) -> bool {
        self.trunk_events.iter().any(|(of, event)| *of == call && is_it(event))
    }

    /// Whether this happened to that phone.
    pub fn phone_saw(&self, name: &str, is_it: impl Fn(&PhoneEvent) -> bool) -> bool {
        self.phone_events.iter().any(|(of, event)| *of == name && is_it(event))
    }

    /// How many datagrams that begin so were heard or said.
    pub fn count(&self, start: &str) -> usize {
        self.wire.iter().filter(|wire| wire.bytes.starts_with(start.as_bytes())).count()
    }

    /// Plays on until it is so.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Stage) -> bool) {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            self.turn();
            if is_so(self) {
                return;
            }
            assert!(
                std::time::Instant::now() < end,
                "not so: {what}; trunk {:?}, phones {:?}",
                self.trunk_events,
                self.phone_events
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What is due and what has come, once; the peers' drain rule is kept.
    fn turn(&mut self) {
        let now = self.clock.mono();
        let mut buffer = vec![0; 65_535];
        for actor in &mut self.actors {
            while let Ok((length, from)) = actor.socket.recv_from(&mut buffer) {
                let bytes = buffer[..length].to_vec();
                match &mut actor.peer {
                    Peer::Phone(phone) => phone.receive(now, from, &bytes),
                    Peer::Trunk(trunk) => trunk.receive(now, from, &bytes),
                    Peer::Raw => {}
                }
                self.wire.push(Wire { from, to: actor.address, bytes });
            }
            match &mut actor.peer {
                Peer::Phone(phone) => {
                    if phone.deadline().is_some_and(|deadline| deadline <= now) {
                        phone.on_timeout(now);
                    }
                    while let Some(datagram) = phone.poll_output() {
                        send(&mut self.wire, &actor.socket, actor.address, datagram.to, &datagram.bytes);
                    }
                    let name = actor.name;
                    self.phone_events.extend(std::iter::from_fn(|| phone.poll_event()).map(|event| (name, event)));
                }
                Peer::Trunk(trunk) => {
                    if trunk.deadline().is_some_and(|deadline| deadline <= now) {
                        trunk.on_timeout(now);
                    }
                    while let Some(datagram) = trunk.poll_output() {
                        send(&mut self.wire, &actor.socket, actor.address, datagram.to, &datagram.bytes);
                    }
                    self.trunk_events.extend(std::iter::from_fn(|| trunk.poll_event()));
                }
                Peer::Raw => {}
            }
        }
    }
}

fn send(wire: &mut Vec<Wire>, socket: &UdpSocket, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    socket.send_to(bytes, to).unwrap();
    wire.push(Wire { from, to, bytes: bytes.to_vec() });
}

/// At any port of that address.
fn socket(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Asks the daemon of that directory something.
pub fn switchboard(directory: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    let program = program.arg("--config").arg(directory).args(arguments).env_remove("RUST_LOG");
    run(program)
}
