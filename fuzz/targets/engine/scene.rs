//! The engine and everybody around it, as one value: who there is, what was sent, and what must hold after every step.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use switchboard::config::{self, Config};
use switchboard::engine::{Command, CommandId, Engine, Event, Input, Listener, Output, Question};
use switchboard::flow::{Flow, ListenerId};
use switchboard::id::{CompanyId, Extension, TrunkId, UserId};
use switchboard::state::{Change, Number, SavedBinding, SavedFlow, SavedHold};
use switchboard::time::{Instant, Now, WallTime};

use super::letters::{self, End};
use super::shelf::Shelf;
use crate::targets::choices::Choices;

const OURS: [&str; 2] = ["203.0.113.10:5060", "[2001:db8::10]:5060"];
const TRUNKS: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];
/// Extension, domain, company, where the phone is.
const PHONES: [(&str, &str, &str, &str); 5] = [
    ("221", "acme.example", "acme", "198.51.100.1:5060"),
    ("222", "acme.example", "acme", "198.51.100.2:5060"),
    ("223", "acme.example", "acme", "[2001:db8::3]:5060"),
    ("305", "globex.example", "globex", "198.51.100.4:5060"),
    ("306", "globex.example", "globex", "198.51.100.5:5060"),
];
/// They prove nothing, ever.
const STRANGERS: [&str; 2] = ["198.51.100.250:5060", "[2001:db8::bad]:5060"];

/// How many letters are remembered for answers, copies and loops.
const REMEMBERED: usize = 24;

/// One datagram, and whose it was or who got it.
#[derive(Clone)]
struct Letter {
    peer: SocketAddr,
    bytes: Bytes,
}

pub struct Scene {
    engine: Engine,
    now: Now,
    version: usize,
    shelf: Shelf,
    /// Sent by us, newest last.
    out: VecDeque<Letter>,
    /// Sent to us, newest last.
    sent: VecDeque<Letter>,
    registers: u32,
    commands: u64,
    replies: u64,
    dies_after: Option<usize>,
    kills: u8,
    /// All that was said to the outside.
    pub said: Vec<u8>,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address of ours")
}

fn flow(peer: SocketAddr) -> Flow {
    Flow { local: ListenerId(u16::from(peer.is_ipv6())), remote: peer }
}

fn listeners() -> Vec<Listener> {
    let listener = |(id, text): (u16, &&str)| Listener {
        id: ListenerId(id),
        address: address(text),
        advertised: (*text).to_owned(),
    };
    (0..).zip(&OURS).map(listener).collect()
}

/// Four configurations: strategies, waiting, sticky memory, limits, and sometimes a user fewer.
fn versions() -> &'static [Arc<Config>] {
    static VERSIONS: OnceLock<Vec<Arc<Config>>> = OnceLock::new();
    VERSIONS.get_or_init(|| (0..4).map(|which| Arc::new(version(which))).collect())
}

fn version(which: usize) -> Config {
    let machine = "[sip]\nlisten = [\"udp:203.0.113.10:5060\", \"udp:[2001:db8::10]:5060\"]\nmax-call = \"1h\"\n\
        [control]\nsocket = \"c.sock\"\n[trunks.airtel]\nsources = [\"192.0.2.0/28\"]\nproxy = \"sip:192.0.2.1:5060\"\n\
        country-code = \"91\"\nnational-prefix = \"0\"\ninternational-prefix = \"00\"\nmax-calls = 6\n";
    let strategy = ["simultaneous", "serial", "round-robin", "longest-idle"][which];
    let sticky = ["", "sticky = { mode = \"loose\", window = \"1h\" }\n", "", ""][which];
    let user = |extension: &str, more: &str| {
        format!("[users.{extension}]\nname = \"U\"\npassword = \"secret-{extension}\"\n{more}\n")
    };
    let mut acme = format!(
        "name = \"Acme\"\ndomain = \"acme.example\"\ntimezone = \"Asia/Kolkata\"\noutbound-trunk = \"airtel\"\n\
         [numbers.\"+918041234567\"]\nroutes = [ {{ to = \"department:sales\" }} ]\n\
         [departments.sales]\nmembers = [\"221\", \"222\", \"223\"]\nstrategy = \"{strategy}\"\nring = \"8s\"\n\
         wait = \"20s\"\nwrap-up = \"2s\"\nmax-waiting = 3\n{sticky}overflow = {{ default = \"department:support\" }}\n\
         [departments.support]\nmembers = [\"223\", \"222\"]\nring = \"5s\"\n"
    );
    acme.push_str(&user("221", "person = \"asha\""));
    acme.push_str(&user("222", "person = \"ravi\"\nmobile = \"+919810000003\"\nring-on = [\"extension\", \"mobile\"]"));
    acme.push_str(&user("223", "take-calls = true\nring = \"30s\"\noverflow = { default = \"department:sales\" }"));
    let mut globex = format!(
        "name = \"Globex\"\ndomain = \"globex.example\"\ntimezone = \"Europe/Berlin\"\noutbound-trunk = \"airtel\"\n\
         [numbers.\"+493012345678\"]\nroutes = [ {{ to = \"department:desk\" }} ]\n\
         [numbers.\"+493012345679\"]\nroutes = [ {{ to = \"user:305\" }} ]\n\
         [departments.desk]\nmembers = [\"305\"{}]\nstrategy = \"{strategy}\"\nring = \"6s\"\n\
         overflow = {{ no-answer = \"external:+919800000000\" }}\n",
        if which == 3 { "" } else { ", \"306\"" }
    );
    globex.push_str(&user("305", "person = \"asha\""));
    if which != 3 {
        globex.push_str(&user("306", "person = \"otto\""));
    }
    let files = [("switchboard.toml", machine), ("companies/acme.toml", &acme), ("companies/globex.toml", &globex)];
    let files: Vec<_> = files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
    match config::load_texts(&files) {
        Ok(config) => config,
        Err(problems) => panic!("the target's configuration is wrong:\n{}", problems.render(false)),
    }
}

/// A phone that has registered, as the store keeps it.
fn registered(phone: (&str, &str, &str, &str), wall: WallTime) -> Change {
    let (extension, _, company, at) = phone;
    let target = address(at);
    let contact = format!("sip:{extension}@{at}");
    let binding = SavedBinding {
        request_uri_length: contact.len(),
        contact: Bytes::from(contact),
        q: 1000,
        expires_at: wall + Duration::from_secs(3600),
        call_id: Bytes::from_static(b"reg-0"),
        cseq: 1,
        instance: None,
        reg_id: None,
        path: Vec::new(),
        flow: SavedFlow { local: address(OURS[usize::from(target.is_ipv6())]), remote: target },
        target,
        user_agent: None,
        registered_at: wall,
        parameters: Bytes::new(),
    };
    Change::Bindings {
        user: UserId::new(&CompanyId::new(company), &Extension::new(extension)),
        bindings: vec![binding],
    }
}

impl Scene {
    /// A Monday morning; which phones are registered, the bytes say.
    pub fn new(choices: &mut Choices<'_>) -> Scene {
        let now = Now { mono: Instant::from_nanos(1_000_000_000), wall: WallTime::from_unix_millis(1_795_408_200_000) };
        let (phones, version) = (choices.byte(), choices.below(4));
        let mut shelf = Shelf::default();
        let mut number = 0;
        for (place, phone) in PHONES.into_iter().enumerate() {
            // Most are, if the bytes are zeros.
            if phones & (1 << place) == 0 {
                number += 1;
                shelf.put(Number(number), &registered(phone, now.wall));
            }
        }
        let engine = Engine::restored(now, [7; 32], Arc::clone(&versions()[version]), listeners(), shelf.open());
        let mut scene = Scene {
            engine,
            now,
            version,
            shelf,
            out: VecDeque::new(),
            sent: VecDeque::new(),
            registers: 10,
            commands: 0,
            replies: 0,
            dies_after: None,
            kills: 0,
            said: Vec::new(),
        };
        scene.drain(None);
        scene
    }

    /// Something happens.
    pub fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(32) {
            0..=4 => {
                let at = choices.of(&TRUNKS);
                let letter = letters::invite(choices, at);
                self.receive_damaged(choices, at, letter);
            }
            5..=11 => self.answer(choices),
            12 => self.cancel(choices),
            13 | 14 => self.acknowledge(choices),
            15..=17 => self.inside_dialog(choices),
            18 => self.register(choices),
            19 => self.prove(choices),
            20 => {
                let (user, domain, _, at) = choices.of(&PHONES);
                let at = choices.of(&[at, TRUNKS[0], STRANGERS[0]]);
                let letter = letters::request(choices, at, user, domain);
                self.receive_damaged(choices, at, letter);
            }
            21 => {
                let at = choices.of(&[STRANGERS[0], STRANGERS[1], TRUNKS[0], PHONES[0].3]);
                let raw = choices.some(255).to_vec();
                self.receive(address(at), Bytes::from(raw));
            }
            22 => self.copy(choices),
            23 => self.pass_to_next(),
            24 => self.pass(Duration::from_millis(u64::from(choices.word()))),
            25 => self.pass(Duration::from_secs(u64::from(choices.byte()) * 4)),
            26 => self.adopt(choices),
            27 => self.command(choices),
            28 => {
                let up_to = self.shelf.last;
                self.happen(Input::Durable { up_to });
            }
            29 => {
                if choices.below(2) == 0 {
                    self.restart();
                } else {
                    self.dies_after = Some(choices.below(12));
                }
            }
            30 => self.misfortune(choices),
            _ => {
                // The clock on the wall is set, at most by a day.
                let millis = i64::from(choices.word()) * 1000 - 32_768_000;
                self.now.wall = WallTime::from_unix_millis(self.now.wall.unix_millis() + millis);
            }
        }
    }

    // ---- what peers do ------------------------------------------------------------------------------------------------

    fn pick(letters: &VecDeque<Letter>, which: usize, wanted: impl Fn(&Letter) -> bool) -> Option<Letter> {
        let found: Vec<&Letter> = letters.iter().rev().filter(|letter| wanted(letter)).collect();
        found.get(which % found.len().max(1)).map(|letter| (*letter).clone())
    }

    fn answer(&mut self, choices: &mut Choices<'_>) {
        let which = choices.below(8);
        let Some(asked) = Self::pick(&self.out, which, |letter| letters::is_request(&letter.bytes)) else { return };
        let letter = letters::answer(choices, &asked.bytes, &asked.peer.to_string());
        let at = if choices.below(16) == 15 { STRANGERS[0].to_owned() } else { asked.peer.to_string() };
        self.receive_damaged(choices, &at, letter);
    }

    fn cancel(&mut self, choices: &mut Choices<'_>) {
        let which = choices.below(8);
        let is_invite = |letter: &Letter| letters::method(&letter.bytes) == b"INVITE";
        let Some(invite) = Self::pick(&self.sent, which, is_invite) else { return };
        let letter = letters::like(&invite.bytes, "CANCEL", None);
        let at = if choices.below(8) == 7 { STRANGERS[0].to_owned() } else { invite.peer.to_string() };
        self.receive_damaged(choices, &at, letter);
    }

    /// ACK of a failure.
    fn acknowledge(&mut self, choices: &mut Choices<'_>) {
        let which = choices.below(8);
        let is_failure = |letter: &Letter| letters::status(&letter.bytes).is_some_and(|status| status >= 300);
        let Some(failure) = Self::pick(&self.out, which, is_failure) else { return };
        let call_id = letters::field(&failure.bytes, "Call-ID");
        let is_it = |letter: &Letter| {
            letters::method(&letter.bytes) == b"INVITE" && letters::field(&letter.bytes, "Call-ID") == call_id
        };
        let Some(invite) = Self::pick(&self.sent, 0, is_it) else { return };
        let letter = letters::like(&invite.bytes, "ACK", letters::field(&failure.bytes, "To"));
        self.receive_damaged(choices, &failure.peer.to_string(), letter);
    }

    fn inside_dialog(&mut self, choices: &mut Choices<'_>) {
        let which = choices.below(8);
        let end = if choices.below(3) == 0 { End::Callee } else { End::Caller };
        let answers = |letter: &Letter| {
            letters::status(&letter.bytes).is_some_and(|status| (101..300).contains(&status))
                && letters::field(&letter.bytes, "CSeq").is_some_and(|cseq| cseq.ends_with(b"INVITE"))
        };
        let letters = if end == End::Caller { &self.out } else { &self.sent };
        let Some(response) = Self::pick(letters, which, answers) else { return };
        let at = response.peer.to_string();
        let letter = letters::inside_dialog(choices, &response.bytes, end, &at);
        let at = if choices.below(16) == 15 { STRANGERS[0].to_owned() } else { at };
        self.receive_damaged(choices, &at, letter);
    }

    fn register(&mut self, choices: &mut Choices<'_>) {
        let (user, domain, _, at) = choices.of(&PHONES);
        self.registers += 1;
        let letter = letters::register(choices, at, user, domain, self.registers);
        self.receive_damaged(choices, at, letter.clone());
        if choices.below(4) != 3 {
            self.prove_newest(choices);
        }
    }

    fn prove(&mut self, choices: &mut Choices<'_>) {
        self.prove_newest(choices);
    }

    /// Whoever was challenged last says who they are.
    fn prove_newest(&mut self, choices: &mut Choices<'_>) {
        let challenges = |letter: &Letter| matches!(letters::status(&letter.bytes), Some(401 | 407));
        let Some(challenge) = Self::pick(&self.out, 0, challenges) else { return };
        let Some((user, ..)) = PHONES.into_iter().find(|phone| address(phone.3) == challenge.peer) else { return };
        let call_id = letters::field(&challenge.bytes, "Call-ID");
        let is_it = |letter: &Letter| {
            letter.peer == challenge.peer
                && letters::is_request(&letter.bytes)
                && letters::field(&letter.bytes, "Call-ID") == call_id
        };
        let Some(request) = Self::pick(&self.sent, 0, is_it) else { return };
        let letter = letters::proven(&request.bytes, &challenge.bytes, user, 1 + u32::from(choices.byte() & 1));
        self.receive_damaged(choices, &challenge.peer.to_string(), letter);
    }

    /// A datagram comes once more, from where it came or from elsewhere; or one of ours comes back.
    fn copy(&mut self, choices: &mut Choices<'_>) {
        let (which, ours) = (choices.below(REMEMBERED), choices.below(3) == 0);
        let Some(letter) = Self::pick(if ours { &self.out } else { &self.sent }, which, |_| true) else { return };
        let peer = match choices.below(4) {
            0 => address(STRANGERS[0]),
            1 => address(TRUNKS[1]),
            _ => letter.peer,
        };
        self.receive(peer, letter.bytes);
    }

    fn misfortune(&mut self, choices: &mut Choices<'_>) {
        let trunk = TrunkId::new("airtel");
        match choices.below(3) {
            0 => {
                let which = choices.below(8);
                if let Some(letter) = Self::pick(&self.out, which, |_| true) {
                    self.happen(Input::Undeliverable { bytes: letter.bytes });
                }
            }
            1 => self.happen(Input::TrunkAddresses { trunk, addresses: Vec::new() }),
            _ => {
                let addresses = TRUNKS.into_iter().rev().map(address).collect();
                self.happen(Input::TrunkAddresses { trunk, addresses });
            }
        }
    }

    fn adopt(&mut self, choices: &mut Choices<'_>) {
        self.version = choices.below(4);
        let config = Arc::clone(&versions()[self.version]);
        self.happen(Input::Adopt { config, listeners: listeners() });
    }

    fn command(&mut self, choices: &mut Choices<'_>) {
        let user = choices.of(&["221@acme", "222@acme", "305@globex", "306@globex", "9@acme", ""]).to_owned();
        let text = |choices: &mut Choices<'_>| String::from_utf8_lossy(choices.some(24)).into_owned();
        let command = match choices.below(12) {
            0 => Command::Status,
            1 => Command::Calls,
            2 => Command::Agents,
            3 => Command::Agent { user },
            4 => Command::Registrations,
            5 => Command::Queue,
            6 => Command::TakeCalls { user, takes: choices.below(2) == 0 },
            7 => Command::Pause { user },
            8 => Command::Resume { user },
            9 => Command::Company { name: text(choices) },
            10 => Command::Drain,
            _ => Command::Explain(Question {
                to: choices.of(&["+918041234567", "+493012345678", "221@acme"]).to_owned(),
                from: (choices.below(2) == 0).then(|| text(choices)),
                trunk: (choices.below(2) == 0).then(|| "airtel".to_owned()),
                at: (choices.below(4) == 0).then(|| text(choices)),
                busy: Vec::new(),
                away: Vec::new(),
                user: (choices.below(2) == 0).then_some(user),
            }),
        };
        self.commands += 1;
        let (id, replies, kills) = (CommandId(self.commands), self.replies, self.kills);
        self.happen(Input::Command { id, command });
        assert!(self.replies == replies + 1 || self.kills > kills, "every command is answered once");
    }

    // ---- the engine ---------------------------------------------------------------------------------------------------

    fn receive_damaged(&mut self, choices: &mut Choices<'_>, at: &str, letter: Vec<u8>) {
        let letter = letters::damaged(choices, letter);
        self.receive(address(at), Bytes::from(letter));
    }

    fn receive(&mut self, peer: SocketAddr, bytes: Bytes) {
        let letter = Letter { peer, bytes };
        remember(&mut self.sent, letter.clone());
        self.engine.handle_input(self.now, Input::Datagram { flow: flow(peer), bytes: letter.bytes.clone() });
        self.drain(Some(&letter));
    }

    fn happen(&mut self, input: Input) {
        self.engine.handle_input(self.now, input);
        self.drain(None);
    }

    fn pass_to_next(&mut self) {
        if let Some(at) = self.engine.poll_timeout() {
            self.pass(at.since(self.now.mono));
        }
    }

    /// Lets that much time pass, and whatever is due happen when it is due.
    fn pass(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end.mono) {
            self.now = self.now + at.since(self.now.mono);
            self.engine.handle_timeout(self.now);
            self.drain(None);
        }
        self.now = self.now + end.mono.since(self.now.mono);
    }

    fn restart(&mut self) {
        self.kills += 1;
        self.dies_after = None;
        let saved = self.shelf.open();
        let config = Arc::clone(&versions()[self.version]);
        self.engine = Engine::restored(self.now, [self.kills; 32], config, listeners(), saved);
        self.take(None);
        // What came to its end while no daemon ran is due at once.
        if self.engine.poll_timeout().is_some_and(|at| at <= self.now.mono) {
            self.engine.handle_timeout(self.now);
            self.take(None);
        }
        self.is_at_rest();
    }

    /// As everybody who owns an engine has to.
    fn drain(&mut self, because: Option<&Letter>) {
        self.take(because);
        self.is_at_rest();
    }

    /// Invariant 13.
    fn is_at_rest(&self) {
        let next = self.engine.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now.mono), "after a drain the next timeout is in the future: {next:?}");
    }

    /// Takes all outputs, and looks at each; `because` of a datagram, or of something else.
    fn take(&mut self, because: Option<&Letter>) {
        let (mut datagrams, mut to_stranger) = (0, 0);
        while let Some(output) = self.engine.poll_output() {
            if let Some(left) = &mut self.dies_after {
                match left.checked_sub(1) {
                    Some(less) => *left = less,
                    None => return self.restart(),
                }
            }
            match output {
                Output::Datagram { flow, bytes } => {
                    let listener = usize::from(flow.local.0);
                    assert!(listener < OURS.len(), "only sockets that are there are sent from");
                    assert_eq!(flow.remote.is_ipv6(), listener == 1, "a socket reaches addresses of its own family");
                    if STRANGERS.iter().any(|stranger| address(stranger) == flow.remote) {
                        // Invariant 20.
                        let asked = because.filter(|asked| asked.peer == flow.remote);
                        let asked = asked.unwrap_or_else(|| panic!("a stranger gets {}", bytes.escape_ascii()));
                        to_stranger += 1;
                        assert!(to_stranger == 1 && bytes.len() * 2 <= asked.bytes.len() * 3, "no amplifier");
                    }
                    datagrams += 1;
                    self.said.extend_from_slice(&bytes);
                    remember(&mut self.out, Letter { peer: flow.remote, bytes });
                }
                Output::Change { number, change } => self.shelf.put(number, &change),
                Output::Event(event) => {
                    assert!(!matches!(event, Event::Defect { .. }), "{event}");
                    self.said.extend_from_slice(event.to_string().as_bytes());
                }
                Output::Record(record) => self.said.extend_from_slice(format!("{record:?}").as_bytes()),
                Output::Reply { id, .. } => {
                    assert_eq!(id.0, self.commands);
                    self.replies += 1;
                }
            }
        }
        if because.is_some() {
            // Invariant 14, with every phone's every device ringing.
            assert!(datagrams <= 4 + 3 * 16, "{datagrams} datagrams because of one");
        }
    }

    /// Nothing more happens: in the end nothing is left (invariant 11).
    pub fn end(&mut self) {
        self.dies_after = None;
        for _ in 0..2 {
            let up_to = self.shelf.last;
            self.happen(Input::Durable { up_to });
            // The longest call, and what its end may take.
            self.pass(Duration::from_secs(2 * 3600));
        }
        let audit = self.engine.audit();
        assert!(audit.is_empty(), "something outlived its call: {audit:?}");
        assert!(self.shelf.calls.is_empty(), "the store still has calls: {:?}", self.shelf.calls.keys());
        let held = self.shelf.claims.values().filter(|claim| !matches!(claim.hold, SavedHold::WrapUp(_))).count();
        assert_eq!(held, 0, "the store still has claims: {:?}", self.shelf.claims);
    }
}

fn remember(letters: &mut VecDeque<Letter>, letter: Letter) {
    if letters.len() == REMEMBERED {
        letters.pop_front();
    }
    letters.push_back(letter);
}
