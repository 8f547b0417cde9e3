//! What the hostile tests send at a real daemon: `tests/hostile/run` starts it. Two parts, so that neither holds up the other:
//!
//! ```text
//! hostile good  --daemon ADDRESS --trunk ADDRESS --users N --rate CALLS-A-SECOND --seconds N
//! hostile flood --daemon ADDRESS --sources N --rate DATAGRAMS-A-SECOND --seconds N
//! hostile fields FILE…
//! ```
//!
//! `good` is a trunk and registered phones, written on `peer`: it registers extensions 1000 … of `acme.example`, then calls the
//! numbers `+91804000000` … one after the other, a second each. It waits for a line on standard input between the two.
//! `flood` is junk, scans and requests of nine methods from as many addresses of 127.0.0.0/8 as it is told. Each ends with one line of JSON.
//! `fields` prints what our parser reads in each file, a line of JSON for each: to be compared with another reader.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic
)]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard::daemon::Clock;
use switchboard::peer::{Behaviour, CallEvent, CallKey, Phone, PhoneEvent, PhoneSettings, Trunk, TrunkSettings};
use tokio::sync::mpsc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("fields", files)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        files.iter().for_each(|file| println!("{}", fields(&std::fs::read(file).unwrap())));
        return;
    }
    let text = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).unwrap_or_else(|| panic!("{name} is missing")).clone()
    };
    let number = |name: &str| -> u64 { text(name).parse().unwrap_or_else(|_| panic!("{name} wants a number")) };
    let address =
        |name: &str| -> SocketAddr { text(name).parse().unwrap_or_else(|_| panic!("{name} wants an address")) };
    let seconds = Duration::from_secs(number("--seconds"));
    match arguments.first().map(String::as_str) {
        Some("good") => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let good = Good {
                daemon: address("--daemon"),
                trunk: address("--trunk"),
                users: number("--users"),
                rate: number("--rate"),
                seconds,
            };
            runtime.block_on(good.run());
        }
        Some("flood") => flood(address("--daemon"), number("--sources"), number("--rate"), seconds),
        _ => panic!("good, flood or fields"),
    }
}

// ---- good traffic -----------------------------------------------------------------------------------------------------

struct Good {
    daemon: SocketAddr,
    trunk: SocketAddr,
    users: u64,
    rate: u64,
    seconds: Duration,
}

/// How long a call talks.
const TALK: Duration = Duration::from_secs(1);

/// A call that is not over by then has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// One call of the trunk's.
struct Placed {
    at: Instant,
    answered: Option<Duration>,
}

impl Good {
    async fn run(self) {
        let clock = Clock::start();
        let (told, mut registered) = mpsc::unbounded_channel();
        for user in 0..self.users {
            let at = SocketAddr::from(([127, 64, (user / 250) as u8, 1 + (user % 250) as u8], 5060));
            let socket = bind(at);
            let phone = Phone::new(PhoneSettings {
                extension: format!("{}", 1_000 + user),
                domain: "acme.example".into(),
                password: format!("secret-{}", 1_000 + user),
                address: at,
                registrar: self.daemon,
                behaviour: Behaviour::answer_after(Duration::from_millis(50)),
                seed: 1 + user,
            });
            tokio::spawn(phone_lives(clock, phone, tokio::net::UdpSocket::from_std(socket).unwrap(), told.clone()));
        }
        for _ in 0..self.users {
            tokio::time::timeout(Duration::from_secs(60), registered.recv())
                .await
                .expect("all phones register in a minute");
        }
        println!("registered");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        self.calls(clock).await;
    }

    async fn calls(&self, clock: Clock) {
        let socket = tokio::net::UdpSocket::from_std(bind(self.trunk)).unwrap();
        let mut trunk = Trunk::new(TrunkSettings::new(self.trunk, self.daemon, 900));
        let mut calls: BTreeMap<CallKey, Placed> = BTreeMap::new();
        let (mut placed, mut succeeded, mut failed, mut setups) = (0_u64, 0_u64, 0_u64, Vec::new());
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        let began = Instant::now();
        let mut hang_ups: std::collections::VecDeque<(Instant, CallKey)> = Default::default();
        let total = self.rate * self.seconds.as_secs();
        let mut buffer = vec![0; 65_535];
        while placed < total || !calls.is_empty() {
            let now = clock.mono();
            let due = (began.elapsed().as_secs_f64() * self.rate as f64) as u64;
            while placed < due.min(total) {
                let call = trunk.call(now, &format!("+91804{:07}", placed % self.users), "+919811112222");
                calls.insert(call, Placed { at: Instant::now(), answered: None });
                placed += 1;
            }
            while let Some((_, call)) = hang_ups.front().copied().filter(|(at, _)| *at <= Instant::now()) {
                hang_ups.pop_front();
                trunk.hang_up(now, call);
            }
            if trunk.deadline().is_some_and(|at| at <= now) {
                trunk.on_timeout(now);
            }
            while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
                trunk.receive(clock.mono(), from, &buffer[..length]);
            }
            while let Some(datagram) = trunk.poll_output() {
                let _ = socket.try_send_to(&datagram.bytes, datagram.to);
            }
            while let Some((call, event)) = trunk.poll_event() {
                let Some(of) = calls.get_mut(&call) else { continue };
                match event {
                    CallEvent::Answered { .. } if of.answered.is_none() => {
                        of.answered = Some(of.at.elapsed());
                        hang_ups.push_back((Instant::now() + TALK, call));
                    }
                    CallEvent::Ended { .. } => {
                        let of = calls.remove(&call).unwrap();
                        match of.answered {
                            Some(setup) => {
                                succeeded += 1;
                                setups.push(setup);
                            }
                            None => failed += 1,
                        }
                    }
                    CallEvent::Refused { status, reason, .. } => {
                        calls.remove(&call);
                        failed += 1;
                        *reasons.entry(format!("{status} {}", reason.unwrap_or_default())).or_default() += 1;
                    }
                    _ => {}
                }
            }
            let late: Vec<CallKey> =
                calls.iter().filter(|(_, of)| of.at.elapsed() > PATIENCE).map(|(call, _)| *call).collect();
            for call in late {
                let of = calls.remove(&call).unwrap();
                failed += 1;
                *reasons.entry(format!("not over in time, answered: {}", of.answered.is_some())).or_default() += 1;
            }
            let _ = tokio::time::timeout(Duration::from_millis(1), socket.readable()).await;
            // The phones' turn.
            tokio::task::yield_now().await;
        }
        setups.sort();
        let at =
            |share: f64| setups.get((setups.len() as f64 * share) as usize).map_or(0, |setup| setup.as_millis() as u64);
        println!(
            "{}",
            serde_json::json!({ "placed": placed, "succeeded": succeeded, "failed": failed, "reasons": reasons,
                "setup-ms-median": at(0.5), "setup-ms-99": at(0.99), "setup-ms-most": setups.last().map_or(0, |setup| setup.as_millis() as u64) })
        );
    }
}

async fn phone_lives(clock: Clock, mut phone: Phone, socket: tokio::net::UdpSocket, told: mpsc::UnboundedSender<()>) {
    phone.register(clock.mono(), 3600);
    let mut buffer = vec![0; 8_192];
    loop {
        let now = clock.mono();
        if phone.deadline().is_some_and(|at| at <= now) {
            phone.on_timeout(now);
        }
        while let Some(datagram) = phone.poll_output() {
            let _ = socket.try_send_to(&datagram.bytes, datagram.to);
        }
        while let Some(event) = phone.poll_event() {
            if matches!(event, PhoneEvent::Registered { .. }) {
                let _ = told.send(());
            }
        }
        let wait = phone.deadline().map_or(Duration::from_secs(3600), |at| at.since(clock.mono()));
        if let Ok(Ok((length, from))) = tokio::time::timeout(wait, socket.recv_from(&mut buffer)).await {
            phone.receive(clock.mono(), from, &buffer[..length]);
        }
    }
}

fn bind(at: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(at).unwrap_or_else(|error| panic!("{at}: {error}"));
    socket.set_nonblocking(true).unwrap();
    socket
}

// ---- the flood --------------------------------------------------------------------------------------------------------

const METHODS: [&str; 9] =
    ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "CANCEL", "ACK", "FROBNICATE"];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % below
    }
}

/// One datagram of the flood.
fn junk(dice: &mut Dice, source: SocketAddr, out: &mut Vec<u8>) {
    use std::io::Write as _;
    out.clear();
    let kind = dice.below(20);
    if kind == 0 {
        for _ in 0..dice.below(600) {
            out.push(dice.below(256) as u8);
        }
        return;
    }
    let method = METHODS[dice.below(9) as usize];
    let id = dice.below(u64::MAX);
    let user = 1_000 + dice.below(2_000);
    let (domain, tag) = match dice.below(4) {
        0 => ("elsewhere.example", ""),
        1 => ("acme.example", ";tag=guessed"),
        _ => ("acme.example", ""),
    };
    let agent = if kind == 1 { "friendly-scanner" } else { "Phone 1.0" };
    let uri = if method == "REGISTER" {
        "acme.example".to_owned()
    } else {
        format!("+91804{:07}@127.0.0.1", dice.below(600))
    };
    write!(
        out,
        "{method} sip:{uri} SIP/2.0\r\nVia: SIP/2.0/UDP {source};rport;branch=z9hG4bK{id:x}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@{domain}>;tag={id:x}\r\nTo: <sip:{user}@{domain}>{tag}\r\nCall-ID: {id:x}@{source}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:{user}@{source}>\r\nUser-Agent: {agent}\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY\r\n"
    )
    .unwrap();
    if kind < 6 {
        // A guess that cannot even be checked against a nonce of ours.
        write!(
            out,
            "Authorization: Digest username=\"{user}\", realm=\"acme.example\", nonce=\"{id:048x}\", uri=\"sip:acme.example\", \
             response=\"{id:032x}\", algorithm=MD5, cnonce=\"1\", qop=auth, nc=00000001\r\n"
        )
        .unwrap();
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    if kind == 2 {
        // Cut short.
        out.truncate(dice.below(out.len() as u64) as usize);
    }
}

/// What one source said and heard.
#[derive(Clone, Copy, Default)]
struct Tally {
    sent: u64,
    bytes_out: u64,
    heard: u64,
    bytes_in: u64,
}

fn flood(daemon: SocketAddr, sources: u64, rate: u64, length: Duration) {
    let mut dice = Dice(20_000);
    let sockets: Arc<[(SocketAddr, UdpSocket)]> = (0..sources)
        .map(|n| {
            let at =
                SocketAddr::from(([127, 100 + (n / 62_500) as u8, ((n / 250) % 250) as u8, 1 + (n % 250) as u8], 5061));
            (at, bind(at))
        })
        .collect();
    let mut tallies = vec![Tally::default(); sockets.len()];
    let began = Instant::now();
    let (mut sent, mut refused, mut next, mut listened) = (0_u64, 0_u64, 0_usize, 0_usize);
    let mut out = Vec::with_capacity(2_048);
    let mut buffer = vec![0; 65_535];
    while began.elapsed() < length {
        let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
        if sent >= due {
            std::thread::sleep(Duration::from_micros(500));
        }
        // At most 20 ms of it at once, however late it is.
        let until = due.min(sent + rate / 50);
        while sent < until {
            // Some sources are loud: every fourth datagram is of one of ten.
            let of = if dice.below(4) == 0 { dice.below(10) as usize % sockets.len() } else { next };
            next = (next + 1) % sockets.len();
            let (source, socket) = &sockets[of];
            junk(&mut dice, *source, &mut out);
            sent += 1;
            match socket.send_to(&out, daemon) {
                Ok(_) => {
                    tallies[of].sent += 1;
                    tallies[of].bytes_out += out.len() as u64;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
                    refused += 1
                }
                Err(error) => panic!("{source}: {error}"),
            }
            if sent % 4 == 0 {
                listened = (listened + 1) % sockets.len();
                listen(&sockets[listened].1, &mut tallies[listened], &mut buffer);
                let loud = (sent as usize / 4) % 10 % sockets.len();
                listen(&sockets[loud].1, &mut tallies[loud], &mut buffer);
            }
        }
    }
    let took = began.elapsed();
    std::thread::sleep(Duration::from_millis(1_500));
    for ((_, socket), tally) in sockets.iter().zip(&mut tallies) {
        listen(socket, tally, &mut buffer);
    }
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let worst = tallies
        .iter()
        .filter(|tally| tally.bytes_out > 0)
        .map(|tally| tally.bytes_in as f64 / tally.bytes_out as f64)
        .fold(0.0, f64::max);
    let louder = tallies.iter().filter(|tally| tally.heard > tally.sent).count();
    println!(
        "{}",
        serde_json::json!({ "seconds": took.as_secs_f64(), "rate": (sum(|tally| tally.sent) as f64 / took.as_secs_f64()) as u64,
            "sources": sockets.len(), "sent": sum(|tally| tally.sent), "not-sent": refused, "bytes-out": sum(|tally| tally.bytes_out),
            "answers": sum(|tally| tally.heard), "bytes-in": sum(|tally| tally.bytes_in), "worst-ratio-of-a-source": worst,
            "sources-that-heard-more-than-they-said": louder })
    );
}

fn listen(socket: &UdpSocket, tally: &mut Tally, buffer: &mut [u8]) {
    while let Ok((length, _)) = socket.recv_from(buffer) {
        tally.heard += 1;
        tally.bytes_in += length as u64;
    }
}

// ---- what is read -----------------------------------------------------------------------------------------------------

fn fields(datagram: &[u8]) -> serde_json::Value {
    use switchboard::sip::{self, Parsed};
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    macro_rules! shared {
        ($message:expr, $first:expr) => {
            serde_json::json!({ "first": $first, "call-id": text($message.call_id()), "cseq": $message.cseq().number,
                "from-tag": text($message.from_tag()), "to-tag": text($message.to_tag()), "vias": $message.vias().count() })
        };
    }
    match sip::parse(bytes::Bytes::copy_from_slice(datagram), &sip::Limits::default()) {
        Ok(Parsed::Request(message)) => shared!(message, text(message.method_bytes())),
        Ok(Parsed::Response(message)) => shared!(message, message.status().to_string()),
        Ok(Parsed::KeepAlive) => serde_json::json!({ "refused": "keep-alive" }),
        Err(malformed) => serde_json::json!({ "refused": malformed.fault.name() }),
    }
}
