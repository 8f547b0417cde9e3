//! The real daemon, killed with `kill -9` again and again while phones register and calls come in, over loopback.
//!
//! Whatever the phones and the trunk were told must hold after the next start: whoever was told 200 for a REGISTER is
//! registered (and whoever was told 200 for leaving is not), nobody is on two calls at once, every call the trunk got
//! any answer for is in the call log exactly once, and nothing is left of any of them.
//!
//! A few rounds in `cargo test`; more with `CRASH_ROUNDS=200 CRASH_BINARY=target/release/switchboard cargo test --test crash`,
//! and with `CRASH_BINDINGS=50000 CRASH_SECONDS=2` a large restart in little time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::print_stdout
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchboard::control::{self, Answer, Request};
use switchboard::daemon::{Clock, wall};
use switchboard::engine::{Command, EndedBy, Reply};
use switchboard::id::{CompanyId, Extension, UserId};
use switchboard::peer::{Behaviour, CallEvent, CallKey, Phone, PhoneEvent, PhoneSettings, Trunk, TrunkSettings};
use switchboard::state::{CallRecord, Change, Embedded, Number, SavedBinding, SavedFlow, Store as _};
use tempfile::TempDir;

/// Persons who are an agent of both companies; as many more work for one alone.
const SHARED: usize = 8;
const COMPANIES: [(&str, &str); 2] = [("acme", "+918041234567"), ("globex", "+493012345678")];

/// The patience of this test with anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, below: u64) -> u64 {
        self.roll() % below
    }

    fn millis(&mut self, from: u64, below: u64) -> Duration {
        Duration::from_millis(from + self.below(below - from))
    }
}

/// What a phone knows of its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// A 200 said so, and nothing has been asked since.
    Registered,
    /// Likewise.
    Gone,
    /// Something was asked, and not answered yet: either may be.
    Asked,
}

struct Desk {
    phone: Phone,
    socket: UdpSocket,
    user: String,
    person: String,
    known: Known,
    /// What it asked for last.
    wants: Known,
}

struct World {
    directory: TempDir,
    binary: PathBuf,
    daemon: Option<Child>,
    clock: Clock,
    desks: Vec<Desk>,
    trunk: Trunk,
    trunk_socket: UdpSocket,
    address: SocketAddr,
    dice: Dice,
    calls: Vec<CallKey>,
    /// Call-IDs the trunk has used, and those it got any answer for.
    asked: BTreeSet<String>,
    heard: BTreeSet<String>,
    answered: usize,
    /// When a phone may say something again, and the trunk.
    next_call: Instant,
    next_move: Instant,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// The value of a field in a message as text.
fn field(bytes: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

fn write_configuration(directory: &Path, port: u16, trunk: SocketAddr) -> Vec<(String, String, String)> {
    let machine = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{port}\"]\n[control]\nsocket = \"control.sock\"\n[state]\ndirectory = \"state\"\n\
         [trunks.airtel]\nsources = [\"{trunk}\"]\nproxy = \"sip:{trunk}\"\ncountry-code = \"91\"\n"
    );
    fs::create_dir(directory.join("companies")).unwrap();
    fs::write(directory.join("switchboard.toml"), machine).unwrap();
    let mut users = Vec::new();
    for (place, (company, number)) in COMPANIES.iter().enumerate() {
        let mut text = format!(
            "name = \"{company}\"\ndomain = \"{company}.example\"\ntimezone = \"Asia/Kolkata\"\n\
             [numbers.\"{number}\"]\nroutes = [{{ to = \"department:sales\" }}]\n"
        );
        let mut members = Vec::new();
        for agent in 0..2 * SHARED {
            let extension = format!("{}{agent:02}", place + 2);
            let person = if agent < SHARED { format!("shared-{agent}") } else { format!("{company}-{agent}") };
            text.push_str(&format!(
                "[users.{extension}]\nname = \"Agent {extension}\"\nperson = \"{person}\"\npassword = \"secret-{extension}\"\n"
            ));
            members.push(format!("\"{extension}\""));
            users.push(((*company).to_owned(), extension, person));
        }
        text.push_str(&format!(
            "[departments.sales]\nmembers = [{}]\nstrategy = \"random\"\nring = \"2s\"\nwait = \"5s\"\nmax-waiting = 50\n\
             wrap-up = \"1s\"\n",
            members.join(", ")
        ));
        fs::write(directory.join(format!("companies/{company}.toml")), text).unwrap();
    }
    users
}

impl World {
    fn new(seed: u64) -> World {
        let directory = tempfile::tempdir().unwrap();
        let trunk_socket = socket();
        // The daemon's port must be free at every start: it is one that the system gives to nobody who asks for any.
        static WORLDS: AtomicU16 = AtomicU16::new(0);
        let port = 25_500 + (std::process::id() % 2_000) as u16 + 2_000 * WORLDS.fetch_add(1, Ordering::Relaxed);
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let users = write_configuration(directory.path(), address.port(), trunk_socket.local_addr().unwrap());
        let mut dice = Dice(seed);
        let desks = users
            .into_iter()
            .map(|(company, extension, person)| {
                let socket = socket();
                let settings = PhoneSettings {
                    domain: format!("{company}.example"),
                    password: format!("secret-{extension}"),
                    address: socket.local_addr().unwrap(),
                    registrar: address,
                    behaviour: Behaviour::answer_after(dice.millis(0, 400)).hang_up_after(dice.millis(100, 4_000)),
                    seed: dice.roll(),
                    extension: extension.clone(),
                };
                let user = format!("{extension}@{company}");
                Desk { phone: Phone::new(settings), socket, user, person, known: Known::Gone, wants: Known::Gone }
            })
            .collect();
        let trunk = Trunk::new(TrunkSettings::new(trunk_socket.local_addr().unwrap(), address, dice.roll()));
        let binary =
            std::env::var_os("CRASH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_switchboard").into(), PathBuf::from);
        let mut world = World {
            directory,
            binary,
            daemon: None,
            clock: Clock::start(),
            desks,
            trunk,
            trunk_socket,
            address,
            dice,
            calls: Vec::new(),
            asked: BTreeSet::new(),
            heard: BTreeSet::new(),
            answered: 0,
            next_call: Instant::now(),
            next_move: Instant::now(),
        };
        world.start();
        world
    }

    /// Starts the daemon and waits until it serves; how long that took.
    fn start(&mut self) -> Duration {
        let began = Instant::now();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut program = Program::new(&self.binary);
        program.arg("run").arg("--config").arg(self.directory.path());
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = program.spawn().unwrap();
        while self.ask(Command::Status).is_none() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the daemon ended: {status}\n{}", self.log());
            }
            assert!(began.elapsed() < PATIENCE, "the daemon does not serve\n{}", self.log());
            self.turn();
        }
        self.daemon = Some(child);
        began.elapsed()
    }

    fn kill(&mut self) {
        let mut child = self.daemon.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn ask(&self, command: Command) -> Option<Reply> {
        match control::ask(&self.directory.path().join("control.sock"), &Request::Engine(command)).ok()? {
            Answer::Engine(reply) => Some(reply),
            Answer::Status(status, _) => Some(Reply::Status(status)),
            other => panic!("{other:?}"),
        }
    }

    /// Everything that is due or has come, once; then a moment for the others.
    fn turn(&mut self) {
        let now = self.clock.mono();
        let mut buffer = [0; 8192];
        for desk in &mut self.desks {
            if desk.phone.deadline().is_some_and(|at| at <= now) {
                desk.phone.on_timeout(now);
            }
            while let Ok((length, from)) = desk.socket.recv_from(&mut buffer) {
                desk.phone.receive(now, from, &buffer[..length]);
            }
            while let Some(datagram) = desk.phone.poll_output() {
                // While no daemon runs the system says so; the phone will repeat itself.
                let _ = desk.socket.send_to(&datagram.bytes, datagram.to);
            }
            while let Some(event) = desk.phone.poll_event() {
                match event {
                    PhoneEvent::Registered { .. } => desk.known = desk.wants,
                    PhoneEvent::Unregistered => desk.known = Known::Gone,
                    _ => {}
                }
            }
        }
        if self.trunk.deadline().is_some_and(|at| at <= now) {
            self.trunk.on_timeout(now);
        }
        while let Ok((length, from)) = self.trunk_socket.recv_from(&mut buffer) {
            let bytes = &buffer[..length];
            if bytes.starts_with(b"SIP/2.0") && field(bytes, "CSeq").is_some_and(|cseq| cseq.ends_with("INVITE")) {
                self.heard.insert(field(bytes, "Call-ID").unwrap());
            }
            self.trunk.receive(now, from, bytes);
        }
        while let Some(datagram) = self.trunk.poll_output() {
            if datagram.bytes.starts_with(b"INVITE") {
                self.asked.insert(field(&datagram.bytes, "Call-ID").unwrap());
            }
            let _ = self.trunk_socket.send_to(&datagram.bytes, datagram.to);
        }
        while let Some((_, event)) = self.trunk.poll_event() {
            self.answered += usize::from(matches!(event, CallEvent::Answered { .. }));
        }
        self.nobody_is_on_two_calls();
        std::thread::sleep(Duration::from_micros(300));
    }

    /// R-7, as the phones see it.
    fn nobody_is_on_two_calls(&self) {
        let mut busy: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for desk in &self.desks {
            for is_busy in [desk.phone.is_ringing(), desk.phone.is_talking()] {
                if is_busy {
                    busy.entry(&desk.person).or_default().push(&desk.user);
                }
            }
        }
        if let Some((person, phones)) = busy.iter().find(|(_, phones)| phones.len() > 1) {
            panic!("{person} is on two calls at once, on {phones:?}\n{}", self.log());
        }
    }

    /// Calls and registrations for that long.
    fn load(&mut self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let now = Instant::now();
            if now >= self.next_call {
                self.next_call = now + self.dice.millis(5, 40);
                let number = COMPANIES[self.dice.below(2) as usize].1;
                let caller = format!("+9198111{:05}", self.dice.below(100_000));
                let at = self.clock.mono();
                let call = self.trunk.call(at, number, &caller);
                self.calls.push(call);
                if self.dice.below(8) == 0 {
                    let given_up = self.dice.below(self.calls.len() as u64) as usize;
                    let call = self.calls[given_up];
                    self.trunk.cancel(at, call);
                }
            }
            if now >= self.next_move {
                self.next_move = now + self.dice.millis(1, 30);
                let at = self.clock.mono();
                let place = self.dice.below(self.desks.len() as u64) as usize;
                let leaves = self.dice.below(4) == 0;
                let desk = &mut self.desks[place];
                // One question at a time, as phones have it.
                if desk.known != Known::Asked {
                    desk.known = Known::Asked;
                    desk.wants = if leaves { Known::Gone } else { Known::Registered };
                    if leaves { desk.phone.unregister(at) } else { desk.phone.register(at, 3600) }
                }
            }
            self.turn();
        }
    }

    /// What the phones were told of their registrations holds.
    fn check_registrations(&mut self, round: usize) -> usize {
        // What was asked before the start may be answered only now; it counts from then on.
        let known: Vec<(String, Known)> = self.desks.iter().map(|desk| (desk.user.clone(), desk.known)).collect();
        let Some(Reply::Registrations(all)) = self.ask(Command::Registrations) else { panic!("no registrations") };
        let there: BTreeSet<String> = all.into_iter().map(|one| format!("{}@{}", one.extension, one.company)).collect();
        for (user, known) in &known {
            match known {
                Known::Registered => assert!(there.contains(user), "round {round}: {user} was lost\n{}", self.log()),
                Known::Gone => assert!(!there.contains(user), "round {round}: {user} came back\n{}", self.log()),
                Known::Asked => {}
            }
        }
        known.iter().filter(|(_, known)| *known == Known::Registered).count()
    }

    /// Whoever talks is held by a call.
    fn check_busy(&mut self, round: usize) -> usize {
        let talking: Vec<String> =
            self.desks.iter().filter(|desk| desk.phone.is_talking()).map(|desk| desk.user.clone()).collect();
        let Some(Reply::Agents(agents)) = self.ask(Command::Agents) else { panic!("no agents") };
        for user in &talking {
            let agent = agents.iter().find(|one| format!("{}@{}", one.extension, one.company) == *user).unwrap();
            // A phone that has left is skipped for that first.
            let held = ["on-call", "ringing", "not-registered"].contains(&agent.state.as_str());
            assert!(held, "round {round}: {user} talks and is {}\n{}", agent.state, self.log());
        }
        talking.len()
    }

    /// Everybody goes home.
    fn quiet(&mut self) {
        let began = Instant::now();
        loop {
            let now = self.clock.mono();
            for call in std::mem::take(&mut self.calls) {
                self.trunk.cancel(now, call);
                self.trunk.hang_up(now, call);
            }
            for desk in &mut self.desks {
                desk.phone.behave(Behaviour::refuse(486, Duration::ZERO));
                desk.phone.cancel(now);
                desk.phone.reject(now, 486);
                desk.phone.hang_up(now);
            }
            self.turn();
            if let Some(Reply::Status(status)) = self.ask(Command::Status)
                && (status.calls, status.claims) == (0, 0)
            {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(90), "calls are left: {:?}", self.ask(Command::Calls));
        }
    }

    /// The whole call log.
    fn records(&self) -> Vec<CallRecord> {
        logged(&self.directory.path().join("state"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn logged(state: &Path) -> Vec<CallRecord> {
    let database = rusqlite::Connection::open(state.join("switchboard.db")).unwrap();
    let mut query = database.prepare("SELECT record FROM records ORDER BY call").unwrap();
    let rows = query.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(|row| {
        let bytes = row.unwrap();
        let mut reader = rmp_serde::Deserializer::from_read_ref(&bytes).with_human_readable();
        serde::Deserialize::deserialize(&mut reader).unwrap()
    })
    .collect()
}

#[test]
fn nothing_that_anybody_was_told_is_lost_by_kill_9() {
    let rounds: usize = std::env::var("CRASH_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let mut world = World::new(17);
    let (mut registered, mut talking, mut slowest) = (0, 0, Duration::ZERO);
    for round in 0..rounds {
        let length = world.dice.millis(200, 1_500);
        world.load(length);
        world.kill();
        slowest = slowest.max(world.start());
        registered += world.check_registrations(round);
        talking += world.check_busy(round);
    }
    world.load(Duration::from_secs(1));
    world.quiet();
    // What was in the journal alone is in the log after the next start.
    world.kill();
    world.start();

    let records = world.records();
    let mut once: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &records {
        *once.entry(&record.sip_call_id).or_default() += 1;
    }
    let twice: Vec<_> = once.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "in the log more than once: {twice:?}\n{}", world.log());
    let missing: Vec<_> = world.heard.iter().filter(|call| !once.contains_key(call.as_str())).collect();
    assert!(missing.is_empty(), "not in the log: {missing:?}\n{}", world.log());
    assert!(once.keys().all(|call| world.asked.contains(*call)), "the log has calls that nobody made");
    let cut_off = records.iter().filter(|record| record.ended_by == EndedBy::CutOff).count();
    println!(
        "{rounds} rounds: {} calls, {} answered, {cut_off} cut off; {registered} registrations and {talking} talking phones \
         looked for and found; the slowest start took {slowest:?}",
        records.len(),
        world.answered,
    );
    // The rounds were what they are meant to be.
    assert!(registered > rounds && talking > 0 && cut_off > 0 && world.answered > rounds);
}

/// That many users of many companies, each with a device at `device`, as a daemon that was killed leaves them.
fn registered_users(directory: &Path, count: usize, device: SocketAddr, local: SocketAddr) {
    const EACH: usize = 100;
    let now = wall();
    let mut changes = Vec::new();
    for company in 0..count.div_ceil(EACH) {
        let id = format!("company{company}");
        let mut text = format!("name = \"{id}\"\ndomain = \"{id}.example\"\ntimezone = \"Asia/Kolkata\"\n");
        text.push_str(&format!("[numbers.\"+9180{company:08}\"]\nroutes = [{{ to = \"user:100\" }}]\n"));
        for extension in 100..100 + EACH.min(count - company * EACH) {
            text.push_str(&format!(
                "[users.{extension}]\nname = \"{extension}\"\ndigest = {{ md5 = \"{:032x}\" }}\n",
                company * EACH + extension
            ));
            let contact = Bytes::from(format!("sip:{extension}@{device}"));
            let binding = SavedBinding {
                q: 1000,
                expires_at: now + Duration::from_secs(3600),
                call_id: Bytes::from(format!("{extension}@{id}")),
                cseq: 2,
                instance: None,
                reg_id: None,
                path: Vec::new(),
                flow: SavedFlow { local, remote: device },
                target: device,
                user_agent: Some("a desk phone".into()),
                registered_at: now,
                parameters: Bytes::new(),
                request_uri_length: contact.len(),
                contact,
            };
            let user = UserId::new(&CompanyId::new(&id), &Extension::new(extension.to_string()));
            changes.push(Change::Bindings { user, bindings: vec![binding] });
        }
        fs::write(directory.join(format!("companies/{id}.toml")), text).unwrap();
    }
    let mut store = Embedded::open(&directory.join("state")).unwrap();
    let changes: Vec<(Number, Change)> = (1..).map(Number).zip(changes).collect();
    store.write(&changes).unwrap();
}

#[test]
fn a_daemon_with_many_bindings_serves_them_as_soon_as_it_has_started() {
    // In a release build on a quiet machine: CRASH_BINDINGS=50000 CRASH_SECONDS=2.
    let within =
        std::env::var("CRASH_SECONDS").map_or(PATIENCE, |seconds| Duration::from_secs_f64(seconds.parse().unwrap()));
    let count: usize = std::env::var("CRASH_BINDINGS").map_or(2_000, |count| count.parse().unwrap());
    let mut world = World::new(18);
    world.kill();
    let (device, directory) = (socket(), world.directory.path().to_owned());
    fs::remove_dir_all(directory.join("state")).unwrap();
    registered_users(&directory, count, device.local_addr().unwrap(), world.address);
    let started = world.start();
    let Some(Reply::Status(status)) = world.ask(Command::Status) else { panic!("no status") };
    assert_eq!(status.registrations, count);
    let began = Instant::now();
    let now = world.clock.mono();
    let company = count.div_ceil(100) - 1;
    world.trunk.call(now, &format!("+9180{company:08}"), "+919811112222");
    let mut buffer = [0; 8192];
    let invite = loop {
        world.turn();
        if let Ok((length, _)) = device.recv_from(&mut buffer) {
            break String::from_utf8_lossy(&buffer[..length]).into_owned();
        }
        assert!(began.elapsed() < PATIENCE, "the phone does not ring\n{}", world.log());
    };
    assert!(invite.starts_with("INVITE sip:100@"), "{invite}");
    println!("{count} bindings: serving after {started:?}, the first call rang {:?} later", began.elapsed());
    assert!(started < within, "{started:?}");
}
