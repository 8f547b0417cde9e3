//! Attackers: they have a right to nothing, know no password, and try what is tried on SIP servers every day (checklists §2).
//!
//! An attacker sends from addresses of its own, and under others' addresses only what it can have guessed: over UDP nobody tells a
//! forged datagram with every identifier right from the peer's own. What is forged says so in a header field, for the oracle alone.

mod ask;
mod echo;
mod guesses;
mod overheard;
mod smuggles;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use self::ask::{Ask, branch, hexadecimal, offer, word};
use self::echo::Echoes;
use self::guesses::{Challenge, Guess};
use self::overheard::Overheard;
use super::super::dice::Dice;
use super::super::faults::AttackFaults;
use super::super::history::{Datagram, MILLISECOND, Nanos, SECOND};
use super::super::text::Message;
use super::Post;

/// Stands in every message that was sent under an address that is not its sender's.
const FORGED: &str = "X-Forged: yes";

/// Over how long the acts are spread.
const SPREAD: Nanos = 60 * SECOND;

/// From how many addresses an attacker floods.
const FLOOD_SOURCES: u8 = 24;

/// How often one attempt to be somebody tries again.
const TRIES: u64 = 3;

/// Whether a message was sent by an attacker under somebody else's address.
pub fn is_forged(message: &Message) -> bool {
    let behind = |start: usize| message.bytes[start..].starts_with(FORGED.as_bytes());
    message.fields.iter().any(|field| behind(field.line.start))
}

/// What can be known of a world without any right in it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub domains: Vec<String>,
    /// Extension, domain.
    pub extensions: Vec<(String, String)>,
    /// With `+`.
    pub numbers: Vec<String>,
    pub phones: Vec<SocketAddr>,
    pub trunks: Vec<SocketAddr>,
}

#[derive(Clone, Debug)]
pub struct AttackerSettings {
    pub index: usize,
    /// Its first address; others are its own too ([`Attacker::addresses`]).
    pub address: SocketAddr,
    /// Where the daemon listens.
    pub target: SocketAddr,
    pub seed: u64,
    pub faults: AttackFaults,
    pub known: Known,
}

/// One thing it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scan,
    Guess,
    Replay,
    Echo,
    Spoof,
    Forge,
    Flood,
    Smuggle,
    Hostile,
}

#[derive(Clone, Copy, Debug)]
struct Act {
    kind: Kind,
    number: u64,
    /// How often it has waited for something to be overheard.
    waited: u8,
}

#[derive(Debug)]
pub struct Attacker {
    settings: AttackerSettings,
    own: Vec<SocketAddr>,
    due: BTreeMap<(Nanos, u64), Act>,
    begun: bool,
    stopped: bool,
    order: u64,
    /// Attempts to be somebody, by Call-ID.
    guesses: BTreeMap<String, Guess>,
    /// Challenges of all kinds: their nonces may be of use elsewhere.
    harvested: Vec<Challenge>,
    overheard: Overheard,
    echoes: Echoes,
}

impl Attacker {
    /// It begins with the first `on_time`, which is due at once.
    pub fn new(settings: AttackerSettings) -> Attacker {
        let own = own_addresses(settings.index, settings.address, settings.target);
        Attacker {
            settings,
            own,
            due: BTreeMap::new(),
            begun: false,
            stopped: false,
            order: 0,
            guesses: BTreeMap::new(),
            harvested: Vec::new(),
            overheard: Overheard::default(),
            echoes: Echoes::default(),
        }
    }

    /// Everything it sends from under its own name.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.own.clone()
    }

    pub fn deadline(&self) -> Option<Nanos> {
        if self.stopped {
            return None;
        }
        if !self.begun {
            return Some(0);
        }
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn on_time(&mut self, now: Nanos, post: &mut Post) {
        if self.stopped {
            return;
        }
        if !self.begun {
            self.begun = true;
            self.plan(now);
        }
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            let act = entry.remove();
            self.act(now, act, post);
        }
    }

    /// An answer to it.
    pub fn receive(&mut self, _now: Nanos, datagram: &Datagram, post: &mut Post) {
        let Some(message) = datagram.message.as_ref().filter(|_| !self.stopped) else { return };
        if !matches!(message.status(), Some(401 | 407)) {
            return;
        }
        let challenges = Challenge::all(message);
        self.harvested.extend(challenges.iter().take(8_usize.saturating_sub(self.harvested.len())).cloned());
        let Some(guess) = self.guesses.get_mut(message.call_id()) else { return };
        match guess.next(&challenges) {
            Some(ask) => post.send(datagram.to, self.settings.target, ask.bytes()),
            None => {
                self.guesses.remove(message.call_id());
            }
        }
    }

    /// A datagram of others that came by.
    pub fn overhears(&mut self, _now: Nanos, datagram: &Datagram) {
        if !self.stopped {
            self.overheard.take(datagram);
        }
    }

    /// REGISTERs and their answers it listens to closely.
    pub fn follows(&mut self, datagram: &Datagram) {
        if !self.stopped && self.settings.faults.replays > 0 {
            self.echoes.follow(datagram);
        }
    }

    pub fn stop(&mut self) {
        self.stopped = true;
        self.due.clear();
        self.guesses.clear();
    }

    fn dice(&self, name: &str, number: u64) -> Dice {
        Dice::of_their_own(self.settings.seed, &format!("attacker {} {name}", self.settings.index), number)
    }

    /// When it does what.
    fn plan(&mut self, now: Nanos) {
        let faults = self.settings.faults.clone();
        let counts = [
            (Kind::Scan, faults.scans),
            (Kind::Guess, faults.guesses),
            (Kind::Replay, faults.replays),
            (Kind::Echo, faults.replays.div_ceil(3)),
            (Kind::Spoof, faults.spoofs),
            (Kind::Forge, faults.spoofs.div_ceil(2)),
            (Kind::Smuggle, faults.smuggles),
            (Kind::Hostile, faults.hostile_contacts),
        ];
        for (kind, count) in counts {
            for number in 0..count {
                let mut dice = self.dice(kind.name(), number);
                self.at(now + dice.below(SPREAD), Act { kind, number, waited: 0 });
            }
        }
        // A flood is bursts of at most a few milliseconds.
        let mut dice = self.dice("bursts", 0);
        let bursts: Vec<Nanos> = (0..1 + dice.below(3)).map(|_| now + dice.below(SPREAD)).collect();
        for number in 0..faults.floods {
            let burst = dice.of(&bursts);
            self.at(burst + dice.below(5 * MILLISECOND), Act { kind: Kind::Flood, number, waited: 0 });
        }
    }

    fn at(&mut self, at: Nanos, act: Act) {
        self.order += 1;
        self.due.insert((at, self.order), act);
    }

    fn act(&mut self, now: Nanos, act: Act, post: &mut Post) {
        // Its second roll and all behind it: the first was its time.
        let mut dice = self.dice(act.kind.name(), act.number);
        dice.roll();
        let dice = &mut dice;
        let (own, target) = (self.source(dice), self.settings.target);
        let bytes = match act.kind {
            Kind::Scan => Some(self.scan(dice, own)),
            Kind::Guess => {
                self.guess(dice, own, post);
                None
            }
            Kind::Replay => self.overheard.replay(dice, &own.to_string()),
            Kind::Echo => match self.echoes.echo(dice) {
                Some((source, bytes)) => {
                    post.send(source, target, bytes);
                    return;
                }
                None => None,
            },
            Kind::Spoof => self.overheard.spoof(dice, &own.to_string()),
            Kind::Forge => {
                self.forge(dice, post);
                None
            }
            Kind::Flood => {
                let own = self.own[self.own.len() - 1 - dice.below(u64::from(FLOOD_SOURCES)) as usize];
                let bytes = self.flood(dice, own);
                post.send(own, target, bytes);
                None
            }
            Kind::Smuggle => {
                let ask = self.any_request(dice, own);
                let kind = dice.below(smuggles::KINDS);
                Some(smuggles::bend(dice, kind, &ask))
            }
            Kind::Hostile => Some(self.hostile(dice, own)),
        };
        match (bytes, act.kind) {
            (Some(bytes), _) => post.send(own, target, bytes),
            // Nothing overheard yet.
            (None, Kind::Replay | Kind::Echo | Kind::Spoof) if act.waited < 3 => {
                self.at(now + 5 * SECOND + dice.below(10 * SECOND), Act { waited: act.waited + 1, ..act });
            }
            (None, _) => {}
        }
    }

    /// One of the first addresses: the last ones are for floods.
    fn source(&self, dice: &mut Dice) -> SocketAddr {
        dice.of(&self.own[..self.own.len() - usize::from(FLOOD_SOURCES)])
    }

    fn domain(&self, dice: &mut Dice) -> String {
        match self.settings.known.domains.as_slice() {
            [] => "example.net".to_owned(),
            domains => dice.of(domains),
        }
    }

    /// Domain and extension of somebody who exists, where anybody does.
    fn user(&self, dice: &mut Dice) -> (String, String) {
        match self.settings.known.extensions.as_slice() {
            [] => (self.domain(dice), "100".to_owned()),
            extensions => {
                let (extension, domain) = dice.of(extensions);
                (domain, extension)
            }
        }
    }

    /// An extension of that length that nobody has at that domain.
    fn nobody(&self, dice: &mut Dice, domain: &str, length: usize) -> String {
        loop {
            let name: String = (0..length.max(3)).map(|_| char::from(dice.of(b"0123456789"))).collect();
            let taken = |(extension, other): &(String, String)| other == domain && *extension == name;
            if !self.settings.known.extensions.iter().any(taken) {
                return name;
            }
        }
    }

    fn number(&self, dice: &mut Dice) -> String {
        match self.settings.known.numbers.as_slice() {
            [] => "+900000".to_owned(),
            numbers => dice.of(numbers),
        }
    }

    fn phone(&self, dice: &mut Dice) -> Option<SocketAddr> {
        let phones = &self.settings.known.phones;
        (!phones.is_empty()).then(|| dice.of(phones))
    }

    fn trunk(&self, dice: &mut Dice) -> Option<SocketAddr> {
        let trunks = &self.settings.known.trunks;
        (!trunks.is_empty()).then(|| dice.of(trunks))
    }

    /// A request that would be right if it were somebody's.
    fn any_request(&self, dice: &mut Dice, own: SocketAddr) -> Ask {
        let (domain, extension) = self.user(dice);
        let me = format!("{extension}@{domain}");
        match dice.below(5) {
            0 | 1 => {
                let ask = Ask::new(dice, own, "REGISTER", &format!("sip:{domain}"), &me, &me);
                ask.line(format!("Contact: <sip:{extension}@{own}>")).line("Expires: 3600").dressed(dice)
            }
            2 => {
                let to = self.number(dice);
                let ask = Ask::new(dice, own, "INVITE", &format!("sip:{to}@{domain}"), &me, &format!("{to}@{domain}"));
                self.with_offer(ask, own).dressed(dice)
            }
            3 => Ask::new(dice, own, "OPTIONS", &format!("sip:{domain}"), &me, &me).dressed(dice),
            _ => {
                let mut ask = Ask::new(dice, own, "BYE", &format!("sip:{me}"), &me, &me);
                ask.to.push_str(";tag=1");
                ask.dressed(dice)
            }
        }
    }

    fn with_offer(&self, ask: Ask, own: SocketAddr) -> Ask {
        let mut ask = ask.line(format!("Contact: <sip:me@{own}>")).line("Content-Type: application/sdp");
        ask.body = offer(own);
        ask
    }

    /// What looks for servers and extensions.
    fn scan(&self, dice: &mut Dice, own: SocketAddr) -> Vec<u8> {
        let method = dice.of(&["OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE", "MESSAGE"]);
        let (domain, extension) = self.user(dice);
        let extension = if dice.thousandths(500) { extension } else { self.nobody(dice, &domain, 4) };
        let host = if dice.thousandths(600) { domain } else { self.settings.target.to_string() };
        let me = if dice.thousandths(500) { format!("{extension}@{host}") } else { "100@1.1.1.1".to_owned() };
        let ask = Ask::new(dice, own, method, &format!("sip:{extension}@{host}"), &me, &format!("{extension}@{host}"));
        let agent =
            dice.of(&["friendly-scanner", "sipvicious", "sipcli/v1.8", "Cisco-SIPGateway/IOS-12.x", "VOIP", "pplsip"]);
        let ask = ask.line(format!("Contact: <sip:{me}>")).line(format!("User-Agent: {agent}"));
        if method == "INVITE" { self.with_offer(ask, own).bytes() } else { ask.bytes() }
    }

    /// Two attempts that differ in nothing but who exists.
    fn guess(&mut self, dice: &mut Dice, own: SocketAddr, post: &mut Post) {
        let (domain, existing) = self.user(dice);
        let missing = self.nobody(dice, &domain, existing.len());
        let method = dice.of(&["REGISTER", "REGISTER", "INVITE"]);
        let left = 1 + dice.below(TRIES) as u32;
        let number = self.number(dice);
        // Of the short ones only one challenge has room in the answer.
        let dressed = dice.thousandths(800);
        let known = (dice.thousandths(200) && !self.harvested.is_empty()).then(|| dice.of(&self.harvested));
        let shape = dice.clone();
        for user in [existing, missing] {
            let mut dice = shape.clone();
            let me = format!("{user}@{domain}");
            let ask = if method == "REGISTER" {
                let ask = Ask::new(&mut dice, own, method, &format!("sip:{domain}"), &me, &me);
                ask.line(format!("Contact: <sip:{user}@{own}>")).line("Expires: 3600")
            } else {
                let to = format!("{number}@{domain}");
                let ask = Ask::new(&mut dice, own, method, &format!("sip:{to}"), &me, &to);
                self.with_offer(ask, own)
            };
            let mut ask = if dressed { ask.dressed(&mut dice) } else { ask };
            // Equal dice give equal identifiers; the calls must differ.
            ask.call_id = format!("{user}-{}", ask.call_id);
            ask.via = ask.via.replacen("branch=z9hG4bK", &format!("branch=z9hG4bK{user}"), 1);
            let mut guess = Guess { ask: ask.clone(), user, left, dice, counted: 0 };
            let first = match &known {
                // A nonce that was somebody else's, at once.
                Some(challenge) => guess.next(std::slice::from_ref(challenge)).unwrap_or(ask),
                None => ask,
            };
            self.guesses.insert(first.call_id.clone(), guess);
            post.send(own, self.settings.target, first.bytes());
        }
    }

    /// One of very many in a few milliseconds.
    fn flood(&self, dice: &mut Dice, own: SocketAddr) -> Vec<u8> {
        let (domain, extension) = self.user(dice);
        let me = format!("{extension}@{domain}");
        let method = dice.of(&["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "BYE", "CANCEL", "ACK"]);
        let uri = if method == "REGISTER" { format!("sip:{domain}") } else { format!("sip:{me}") };
        let ask = Ask::new(dice, own, method, &uri, &me, &me).line(format!("Contact: <sip:{extension}@{own}>"));
        if dice.thousandths(500) { ask.dressed(dice).bytes() } else { ask.bytes() }
    }

    /// Under the address of a phone or trunk, with identifiers that are guessed: the Call-ID alone may be right.
    fn forge(&self, dice: &mut Dice, post: &mut Post) {
        let victim = if dice.thousandths(500) { self.phone(dice) } else { self.trunk(dice) };
        let Some(victim) = victim else { return };
        let is_trunk = self.settings.known.trunks.contains(&victim);
        let target = self.settings.target;
        let (domain, extension) = self.user(dice);
        let me = format!("{extension}@{domain}");
        let call_id = self.overheard.call_id(dice).filter(|_| dice.thousandths(700));
        // A trunk's INVITE needs no more than the trunk's address, so nobody forges one here.
        let methods: &[&str] = if is_trunk {
            &["BYE", "CANCEL", "ACK", "200"]
        } else {
            &["BYE", "CANCEL", "ACK", "200", "REGISTER", "INVITE"]
        };
        let method = dice.of(methods);
        if method == "200" {
            let status = dice.of(&["200 OK", "486 Busy Here", "603 Decline", "180 Ringing"]);
            let text = format!(
                "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP {target};branch=z9hG4bK{}\r\nFrom: <sip:{me}>;tag={}\r\n\
                 To: <sip:{me}>;tag={}\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n{FORGED}\r\nContent-Length: 0\r\n\r\n",
                hexadecimal(dice, 24),
                word(dice, 8),
                word(dice, 8),
                call_id.unwrap_or_else(|| word(dice, 16))
            );
            post.send(victim, target, text.into_bytes());
            return;
        }
        let uri = if method == "REGISTER" { format!("sip:{domain}") } else { format!("sip:{me}") };
        let mut ask = Ask::new(dice, victim, method, &uri, &me, &me).line(FORGED);
        // REGISTERs and INVITEs of a phone's own address stay calls of their own: they are only not proven.
        if let Some(call_id) = call_id.filter(|_| matches!(method, "BYE" | "CANCEL" | "ACK")) {
            ask.call_id = call_id;
        }
        if matches!(method, "BYE" | "ACK") {
            ask.to = format!("{};tag={}", ask.to, word(dice, 10));
        }
        if method == "REGISTER" {
            let away = dice.of(&["*", "<sip:thief@198.51.100.66:5060>"]);
            ask = ask.line(format!("Contact: {away}")).line(format!("Expires: {}", if away == "*" { 0 } else { 3600 }));
        }
        post.send(victim, target, ask.bytes());
    }

    /// REGISTERs and INVITEs that would aim the daemon at somebody, if it believed them.
    fn hostile(&self, dice: &mut Dice, own: SocketAddr) -> Vec<u8> {
        let target = self.settings.target;
        let mut victims =
            vec!["127.0.0.1:5060".to_owned(), "0.0.0.0".to_owned(), "[::1]:5060".to_owned(), target.to_string()];
        victims.extend(self.phone(dice).map(|phone| phone.to_string()));
        victims.extend(self.trunk(dice).map(|trunk| trunk.to_string()));
        victims.extend(self.trunk(dice).map(|trunk| trunk.to_string()));
        let victim = dice.of(&victims);
        let (domain, extension) = self.user(dice);
        let me = format!("{extension}@{domain}");
        let number = self.number(dice);
        let host =
            victim.rsplit_once(':').filter(|_| !victim.starts_with('[')).map_or(victim.as_str(), |(host, _)| host);
        let register = dice.thousandths(400);
        let mut ask = if register {
            let ask = Ask::new(dice, own, "REGISTER", &format!("sip:{domain}"), &me, &me);
            ask.line(format!("Contact: <sip:{extension}@{victim}>")).line("Expires: 3600")
        } else {
            let uri = dice.of(&[
                format!("sip:{number}@{domain}"),
                format!("sip:{number}@{victim}"),
                format!("sip:{me}"),
                format!("sip:{me};maddr={host}"),
            ]);
            let ask = Ask::new(dice, own, "INVITE", &uri, &me, &format!("{number}@{domain}"));
            let mut ask =
                ask.line(format!("Contact: <sip:{extension}@{victim}>")).line("Content-Type: application/sdp");
            ask.body = offer(own);
            ask
        };
        match dice.below(6) {
            0 => ask.via = format!("SIP/2.0/UDP {victim};branch={}", branch(dice)),
            1 => ask.via = format!("SIP/2.0/UDP {own};received={host};rport=5060;branch={}", branch(dice)),
            2 => ask.via = format!("SIP/2.0/UDP {own};maddr={host};branch={}", branch(dice)),
            3 => ask.lines.push(format!("Route: <sip:{target};lr>, <sip:{victim};lr>")),
            4 => ask.lines.push(format!("Route: <sip:{victim};lr>")),
            _ => {
                ask.via = format!(
                    "SIP/2.0/UDP {own};branch={}\r\nVia: SIP/2.0/UDP {victim};branch={}",
                    branch(dice),
                    branch(dice)
                )
            }
        }
        if dice.thousandths(300) {
            ask.lines.push(format!("Path: <sip:{victim};lr>"));
            ask.lines.push(format!("Record-Route: <sip:{victim};lr>"));
        }
        if dice.thousandths(300) {
            ask.lines.push(format!("P-Asserted-Identity: <sip:{number}@{domain}>"));
        }
        ask.dressed(dice).bytes()
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Scan => "scan",
            Kind::Guess => "guess",
            Kind::Replay => "replay",
            Kind::Echo => "echo",
            Kind::Spoof => "spoof",
            Kind::Forge => "forge",
            Kind::Flood => "flood",
            Kind::Smuggle => "smuggle",
            Kind::Hostile => "hostile",
        }
    }
}

/// The first address under three ports, and many others in a network that nobody else is in (RFC 2544's, RFC 3849's).
fn own_addresses(index: usize, first: SocketAddr, target: SocketAddr) -> Vec<SocketAddr> {
    let mut own: Vec<SocketAddr> =
        (0..3).map(|more| SocketAddr::new(first.ip(), first.port().wrapping_add(more))).collect();
    let index = index as u8;
    own.extend((1..=FLOOD_SOURCES).map(|number| {
        let ip = match target {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(198, 18, index, number)),
            SocketAddr::V6(_) => {
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xbad, u16::from(index), 0, 0, 0, u16::from(number)))
            }
        };
        SocketAddr::new(ip, 5060)
    }));
    own
}
