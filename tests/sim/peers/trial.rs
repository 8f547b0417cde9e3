//! A trial of the peers at the engine itself, over links without faults: they must get along with it, and come to rest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use switchboard::config;
use switchboard::engine::{Engine, Input, Listener, Output};
use switchboard::flow::{Flow, ListenerId};
use switchboard::state::Saved;
use switchboard::time::{Instant, Now, WallTime};

use super::super::faults::{Faults, PhoneFaults, TrunkFaults};
use super::super::history::{Datagram, MILLISECOND, Nanos, SECOND};
use super::super::text::Message;
use super::call::Outcome;
use super::phone::{Phone, PhoneSettings};
use super::trunk::{Trunk, TrunkSettings};
use super::{Caller, PlannedCall, Post};

const DAEMON: &str = "203.0.113.10:5060";
const MACHINE: &str = "[sip]\nlisten = [\"udp:203.0.113.10:5060\"]\n[control]\nsocket = \"/tmp/unused.sock\"\n\
    [trunks.first]\nsources = [\"192.0.2.1\"]\nproxy = \"sip:192.0.2.1:5060\"\ncountry-code = \"91\"\n";

fn company() -> String {
    let mut text = String::from(
        "name = \"Acme\"\ndomain = \"acme.example\"\ntimezone = \"Asia/Kolkata\"\noutbound-trunk = \"first\"\n\
         [numbers.\"+918041234567\"]\nroutes = [{ to = \"department:sales\" }]\n\
         [departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nring = \"15s\"\nwait = \"20s\"\n\
         overflow = { default = \"external:+919800000000\" }\n",
    );
    for extension in 221..=224 {
        text.push_str(&format!("[users.{extension}]\nname = \"U\"\npassword = \"secret-{extension}\"\n"));
    }
    text
}

struct Trial {
    engine: Engine,
    phones: Vec<Phone>,
    trunk: Trunk,
    now: Nanos,
    wire: BinaryHeap<Reverse<(Nanos, u64)>>,
    letters: BTreeMap<u64, (SocketAddr, SocketAddr, Bytes)>,
    sequence: u64,
    trace: Vec<String>,
}

fn daemon() -> SocketAddr {
    DAEMON.parse().unwrap()
}

impl Trial {
    fn new(seed: u64, phone_faults: &PhoneFaults, trunk_faults: &TrunkFaults) -> Trial {
        let files = [("switchboard.toml", MACHINE.to_owned()), ("companies/acme.toml", company())];
        let files: Vec<(PathBuf, Vec<u8>)> =
            files.into_iter().map(|(name, text)| (PathBuf::from(name), text.into_bytes())).collect();
        let config = config::load_texts(&files).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let listener = Listener { id: ListenerId(0), address: daemon(), advertised: DAEMON.to_owned() };
        let mut key = [7; 32];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        let phones = (0..4).map(|index| {
            Phone::new(PhoneSettings {
                index,
                address: format!("198.51.100.{}:5060", index + 1).parse().unwrap(),
                registrar: daemon(),
                domain: "acme.example".into(),
                extension: format!("22{}", index + 1),
                password: format!("secret-22{}", index + 1),
                seed,
                faults: phone_faults.clone(),
                link_rebind: 0,
            })
        });
        Trial {
            engine: Engine::restored(clocks(SECOND), key, Arc::new(config), vec![listener], Saved::default()),
            phones: phones.collect(),
            trunk: Trunk::new(TrunkSettings {
                index: 0,
                address: "192.0.2.1:5060".parse().unwrap(),
                registrar: daemon(),
                seed,
                faults: trunk_faults.clone(),
                phone_faults: phone_faults.clone(),
            }),
            now: SECOND,
            wire: BinaryHeap::new(),
            letters: BTreeMap::new(),
            sequence: 0,
            trace: Vec::new(),
        }
    }

    fn put(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        self.sequence += 1;
        self.wire.push(Reverse((self.now + 2 * MILLISECOND, self.sequence)));
        self.letters.insert(self.sequence, (from, to, bytes));
    }

    fn post(&mut self, act: impl FnOnce(&mut Trial, &mut Post)) {
        let mut post = Post::default();
        act(self, &mut post);
        for (from, to, bytes) in post.letters {
            self.put(from, to, Bytes::from(bytes));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Datagram { flow, bytes } => self.put(daemon(), flow.remote, bytes),
                Output::Change { number, .. } => {
                    self.engine.handle_input(clocks(self.now), Input::Durable { up_to: number });
                }
                Output::Event(event) => {
                    let text = format!("{event:?}");
                    assert!(!text.starts_with("Defect") && !text.starts_with("Malformed"), "{text}");
                }
                Output::Record(_) | Output::Reply { .. } => {}
            }
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let message = Message::read(&bytes);
        let label = message.as_ref().map(Message::label).unwrap_or_default();
        self.trace.push(format!("{:>9} {from} -> {to} {label}", self.now / MILLISECOND));
        if to == daemon() {
            let flow = Flow { local: ListenerId(0), remote: from };
            self.engine.handle_input(clocks(self.now), Input::Datagram { flow, bytes });
            self.drain();
            return;
        }
        let datagram = Datagram { id: 0, from, to, bytes, message };
        let now = self.now;
        self.post(|trial, post| {
            if to == trial.trunk.address() {
                trial.trunk.receive(now, &datagram, post);
            } else if let Some(phone) = trial.phones.iter_mut().find(|phone| phone.address() == to) {
                phone.receive(now, &datagram, post);
            }
        });
    }

    fn pass(&mut self, length: Nanos) {
        let end = self.now + length;
        loop {
            let wire = self.wire.peek().map(|Reverse((at, _))| *at);
            let engine = self.engine.poll_timeout().map(|at| at.as_nanos());
            let phones = self.phones.iter().filter_map(Phone::deadline).min();
            let Some(next) = [wire, engine, phones, self.trunk.deadline()].into_iter().flatten().min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            let now = self.now;
            if wire == Some(next) {
                let Reverse((_, sequence)) = self.wire.pop().unwrap();
                let (from, to, bytes) = self.letters.remove(&sequence).unwrap();
                self.deliver(from, to, bytes);
            } else if engine == Some(next) {
                self.engine.handle_timeout(clocks(now));
                self.drain();
            } else {
                self.post(|trial, post| {
                    trial.phones.iter_mut().for_each(|phone| phone.on_time(now, post));
                    trial.trunk.on_time(now, post);
                });
            }
        }
        self.now = end;
    }

    fn place(&mut self, call: &PlannedCall) {
        let now = self.now;
        self.post(|trial, post| match call.caller {
            Caller::Trunk(_) => trial.trunk.place(now, call, post),
            Caller::Phone(which) => trial.phones[which].call(now, call, post),
        });
    }

    /// Registers, makes calls, waits, and says how they went.
    fn run(&mut self, calls: u64, apart: Nanos) -> Vec<Outcome> {
        let now = self.now;
        self.post(|trial, post| trial.phones.iter_mut().for_each(|phone| phone.register(now, post)));
        self.pass(SECOND);
        for phone in &self.phones {
            assert!(phone.registered(self.now), "{:#?}", self.trace);
        }
        for number in 0..calls {
            let (caller, dialled) = match number % 4 {
                3 => (Caller::Phone(3), "221"),
                _ => (Caller::Trunk(0), "+918041234567"),
            };
            let shown = "+919811112222".to_owned();
            let (talk, patience) = (12 * SECOND, 60 * SECOND);
            self.place(&PlannedCall { number, at: 0, caller, dialled: dialled.into(), shown, talk, patience });
            self.pass(apart);
        }
        self.pass(1_000 * SECOND);
        self.phones.iter_mut().for_each(Phone::well);
        self.trunk.well();
        self.pass(1_000 * SECOND);
        let outcomes = (0..calls).map(|number| match number % 4 {
            3 => self.phones[3].outcome(number),
            _ => self.trunk.outcome(number),
        });
        outcomes.map(Option::unwrap).collect()
    }
}

fn clocks(now: Nanos) -> Now {
    let wall = WallTime::from_unix_millis(1_795_408_200_000 + (now / MILLISECOND) as i64);
    Now { mono: Instant::from_nanos(now), wall }
}

#[test]
fn without_faults_calls_are_answered_and_everybody_comes_to_rest() {
    let mut answered = 0;
    for seed in 0..12 {
        let mut trial = Trial::new(seed, &PhoneFaults::default(), &TrunkFaults::default());
        let outcomes = trial.run(8, 40 * SECOND);
        answered += outcomes.iter().filter(|outcome| **outcome == Outcome::Ended).count();
        let odd =
            |outcome: &&Outcome| !matches!(outcome, Outcome::Ended | Outcome::Cancelled | Outcome::Refused(480 | 486));
        assert_eq!(outcomes.iter().find(odd), None, "seed {seed}: {outcomes:?}\n{}", trial.trace.join("\n"));
        let rest = trial.phones.iter().all(Phone::is_at_rest) && trial.trunk.is_at_rest();
        assert!(rest, "seed {seed}\n{}", trial.trace.join("\n"));
        let audit = trial.engine.audit();
        assert_eq!((audit.calls, audit.dialogs, audit.claims), (0, 0, 0), "seed {seed}\n{}", trial.trace.join("\n"));
    }
    assert!(answered >= 80, "{answered} of 96");
}

#[test]
fn with_faults_everybody_comes_to_rest() {
    for seed in 0..60 {
        let faults = Faults::drawn(seed);
        let mut trial = Trial::new(seed, &faults.phone, &faults.trunk);
        let outcomes = trial.run(12, 7 * SECOND);
        let open = |outcome: &&Outcome| matches!(outcome, Outcome::Calling | Outcome::Ringing | Outcome::Answered);
        let dead = faults.phone.dies > 0;
        assert!(dead || outcomes.iter().find(open).is_none(), "seed {seed}: {outcomes:?}\n{}", trial.trace.join("\n"));
        let rest = trial.phones.iter().all(Phone::is_at_rest) && trial.trunk.is_at_rest();
        assert!(rest, "seed {seed}: {faults}\n{}", trial.trace.join("\n"));
    }
}

#[test]
fn equal_seeds_send_equal_bytes() {
    let faults = Faults::drawn(5);
    let traces = [(); 2].map(|()| {
        let mut trial = Trial::new(5, &faults.phone, &faults.trunk);
        trial.run(12, 3 * SECOND);
        trial.trace
    });
    assert_eq!(traces[0], traces[1]);
}
