//! What was on the wire, in order, and what belongs together: transactions of both sides, the copies of their messages, and which
//! INVITE each branch is for. Built once for a history; judges nothing.
//!
//! Server transactions are told apart by RFC 3261 §17.2.3 (branch, sent-by, method; ACK's is INVITE's), client ones by branch and method
//! (§17.1.3). A kill ends all of them; those that a start takes up again are entries of their own, marked `revived`.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use ahash::{AHashMap, RandomState};
use switchboard::state::Saved;

use super::super::history::{Datagram, History, MILLISECOND, Nanos, SECOND, T1, What};
use super::super::text::{Message, Name, parameter};
use super::intact::Intact;

/// RFC 3261's 64·T1.
pub const PATIENCE: Nanos = 64 * T1;
pub const T4: Nanos = 5 * SECOND;

/// A message that the engine heard or sent.
#[derive(Clone, Debug)]
pub struct Line<'h> {
    pub place: usize,
    pub at: Nanos,
    pub sent: bool,
    pub datagram: &'h Datagram,
    pub message: &'h Message,
    /// In `Wire::steps`.
    pub step: usize,
    pub branch: &'h str,
    pub sent_by: &'h str,
    /// A request's, or the one in a response's CSeq.
    pub method: &'h str,
    /// 0 for requests.
    pub status: u16,
    pub cseq: u32,
    pub call_id: &'h str,
    pub from_tag: &'h str,
    pub to_tag: &'h str,
    /// Of the server transaction (ACK: its INVITE's).
    pub key: u64,
    /// It arrived as its sender meant it ([`Intact`]), and is written so that nobody can read it otherwise: an engine that does not obey it is wrong. Of any other message it is not known here what the engine made of it.
    pub sure: bool,
}

impl Line<'_> {
    pub fn is_request(&self) -> bool {
        self.status == 0
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What made the engine act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This line; `None`: something that is no message.
    Heard(Option<usize>),
    Fired,
    Started,
    Undeliverable,
    Other,
}

/// One input and all that the engine did because of it.
#[derive(Clone, Debug)]
pub struct Step {
    pub place: usize,
    pub cause: Cause,
    /// What it sent.
    pub lines: Range<usize>,
    /// Killed before all of it was out, perhaps.
    pub cut: bool,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Server {
    pub key: u64,
    pub epoch: usize,
    /// The first copy heard, also in an epoch before; `None` where nobody here could read it.
    pub request: Option<usize>,
    pub invite: bool,
    /// A start took it up again, at that place and time.
    pub revived: Option<(usize, Nanos)>,
    /// A copy of an INVITE that was answered finally before the start is absorbed there, until 64·T1 after it.
    pub absorbs_from: Option<Nanos>,
    /// Answered on the spot without a transaction (RFC 3261 §8.2.7): each copy is a request of its own.
    pub stateless: bool,
    /// Some copy of it was damaged: what the engine made of that is not known.
    pub doubtful: bool,
    /// Further copies heard.
    pub copies: Vec<usize>,
    pub responses: Vec<usize>,
    pub acks: Vec<usize>,
    pub cancels: Vec<usize>,
    /// Its branches, in the order they were opened.
    pub clients: Vec<usize>,
    /// The version of the model in force.
    pub model: usize,
}

/// A request that the engine sent.
#[derive(Clone, Debug)]
pub struct Client {
    pub epoch: usize,
    pub first: usize,
    /// All of them, the first too (none of a revived one's were sent in its epoch).
    pub copies: Vec<usize>,
    pub acks: Vec<usize>,
    /// Its CANCEL, or what it cancels.
    pub other: Option<usize>,
    /// The INVITE that the CANCEL's branch is of, and the reverse.
    pub heard: Vec<usize>,
    pub server: Option<usize>,
    /// Since when a start has it, in place and time.
    pub revived: Option<(usize, Nanos)>,
    /// A datagram of it could not be sent: the place.
    pub undeliverable: Vec<usize>,
}

/// How it ended that a request waited for a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Final(u16),
    /// Timer B or F.
    Silence,
    /// 64·T1 after its CANCEL.
    GivenUp,
    Undeliverable,
    Killed,
}

/// What became of a request that the engine sent.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The first provisional response, if it came in time.
    pub provisional: Option<usize>,
    /// The first final response.
    pub last: Option<usize>,
    /// All 2xx to an INVITE that had to be passed on.
    pub successes: Vec<usize>,
    /// Copies of a failure that had to be acknowledged.
    pub failures: Vec<usize>,
    /// Where it no longer waited, and why.
    pub end: Option<(usize, Ending)>,
    /// From here on nothing is sure.
    pub doubtful: Option<usize>,
}

impl Life {
    /// Whether it was surely waiting for its final response when that happened.
    pub fn is_waiting(&self, place: usize) -> bool {
        self.is_sure(place) && self.end.is_none_or(|(end, _)| end > place)
    }

    pub fn is_sure(&self, place: usize) -> bool {
        self.doubtful.is_none_or(|doubtful| doubtful > place)
    }
}

#[derive(Debug)]
pub struct Wire<'h> {
    pub history: &'h History,
    pub lines: Vec<Line<'h>>,
    pub steps: Vec<Step>,
    pub servers: Vec<Server>,
    pub clients: Vec<Client>,
    /// Of each client.
    pub lives: Vec<Life>,
    /// ACKs that are no branch's: those of a 2xx, passed on.
    pub relayed_acks: Vec<usize>,
    /// Responses sent to requests that are not known.
    pub orphans: Vec<usize>,
    /// The server transaction of each response sent, the client of each response heard and each request sent; by line.
    pub server_of: Vec<Option<usize>>,
    pub client_of: Vec<Option<usize>>,
    /// When `handle_timeout` was called: time, place.
    fired: Vec<(Nanos, usize)>,
    /// Where the process was killed.
    pub kills: Vec<(usize, Nanos)>,
    pub starts: Vec<(usize, Nanos, &'h Saved)>,
    /// When the process stood still, in order.
    pauses: Vec<(Nanos, Nanos)>,
    pub end: Nanos,
}

/// Statuses that the engine gives without a transaction.
const STATELESS: [u16; 7] = [400, 401, 403, 407, 481, 505, 513];

/// Those of them that say that a request cannot be read.
const UNREADABLE: [u16; 3] = [400, 505, 513];

struct Builder<'h> {
    wire: Wire<'h>,
    hashing: RandomState,
    intact: Intact,
    servers: AHashMap<u64, usize>,
    clients: AHashMap<(&'h str, &'h str), usize>,
    /// Of responses whose Via a peer bent: whose they are.
    aliases: AHashMap<u64, usize>,
    epoch: usize,
    model: usize,
    last_fired: Nanos,
}

impl<'h> Wire<'h> {
    /// Whether two are the same request, heard before and after a restart.
    pub fn is_one_request(&self, one: usize, other: usize) -> bool {
        one == other || self.servers[one].key == self.servers[other].key
    }

    pub fn read(history: &'h History) -> Wire<'h> {
        let wire = Wire {
            history,
            lines: Vec::with_capacity(history.entries.len() / 2),
            steps: Vec::with_capacity(history.entries.len() / 3),
            servers: Vec::new(),
            clients: Vec::new(),
            lives: Vec::new(),
            relayed_acks: Vec::new(),
            orphans: Vec::new(),
            server_of: Vec::new(),
            client_of: Vec::new(),
            fired: Vec::new(),
            kills: Vec::new(),
            starts: Vec::new(),
            pauses: pauses(history),
            end: history.entries.last().map_or(0, |entry| entry.at),
        };
        let mut builder = Builder {
            wire,
            hashing: RandomState::with_seeds(1, 2, 3, 4),
            intact: Intact::of(history),
            servers: AHashMap::new(),
            clients: AHashMap::new(),
            aliases: AHashMap::new(),
            epoch: 0,
            model: 0,
            last_fired: 0,
        };
        builder.run(history);
        let mut wire = builder.wire;
        wire.lives = (0..wire.clients.len()).map(|client| wire.live(client)).collect();
        wire
    }

    pub fn line(&self, line: usize) -> &Line<'h> {
        &self.lines[line]
    }

    pub fn step_of(&self, line: usize) -> &Step {
        &self.steps[self.lines[line].step]
    }

    /// What a step sent.
    pub fn sent_in(&self, step: usize) -> impl Iterator<Item = (usize, &Line<'h>)> {
        let lines = self.steps[step].lines.clone();
        lines.clone().zip(&self.lines[lines])
    }

    /// The place of the first call of `handle_timeout` at which something due at that time is done.
    pub fn fired_from(&self, due: Nanos) -> Option<usize> {
        let due = tick(due);
        let next = self.fired.partition_point(|(at, _)| *at < due);
        self.fired.get(next).map(|(_, place)| *place)
    }

    /// The first moment from then on at which the process is awake.
    pub fn awake(&self, at: Nanos) -> Nanos {
        self.pauses.iter().find(|(from, to)| *from <= at && at < *to).map_or(at, |(_, to)| *to)
    }

    /// That much time after a moment, pauses not counted.
    pub fn later(&self, from: Nanos, length: Nanos) -> Nanos {
        let mut until = from + length;
        for (begin, end) in &self.pauses {
            if *end > from && *begin <= until {
                until += end - (*begin).max(from);
            }
        }
        until
    }

    /// The kill that ends an epoch.
    pub fn kill_of(&self, epoch: usize) -> Option<(usize, Nanos)> {
        self.kills.get(epoch).copied()
    }

    /// The step of a place of the history.
    pub fn step_at(&self, place: usize) -> usize {
        self.steps.partition_point(|step| step.place <= place).saturating_sub(1)
    }

    /// The request that a client is a copy of was one that starts a call or is without a dialog (no To tag).
    pub fn is_initial(&self, server: &Server) -> bool {
        server.request.is_some_and(|request| self.lines[request].to_tag.is_empty())
    }

    /// Whether a response is surely one to that request, surely none, or who knows.
    fn judged(&self, line: &Line<'_>, client: &Client) -> Belonging {
        let request = &self.lines[client.first];
        if !line.sure || line.sent_by != request.sent_by {
            return Belonging::Doubtful;
        }
        let same = line.call_id == request.call_id && line.from_tag == request.from_tag && line.cseq == request.cseq;
        let has_next = vias(line.message).nth(1).is_some();
        let own = client.server.is_none();
        match (same, own, has_next || own) {
            (true, _, true) => Belonging::Sure,
            (false, true, _) => Belonging::Doubtful,
            (false, false, _) => Belonging::None,
            // Without a Via for the caller there is nobody to pass it on to (RFC 3261 §16.7 item 3); a failure ends the branch.
            (true, _, false)
                if line.status >= 300
                    && self
                        .servers
                        .get(client.server.unwrap_or(usize::MAX))
                        .is_some_and(|server| self.is_initial(server)) =>
            {
                Belonging::Sure
            }
            (true, _, false) => Belonging::Doubtful,
        }
    }

    fn live(&self, index: usize) -> Life {
        let client = &self.clients[index];
        let invite = self.lines[client.first].method == "INVITE";
        let begun = client.revived.map_or(self.lines[client.first].at, |(_, at)| at);
        let mut life = Life::default();
        let kill = self.kill_of(client.epoch).map_or(usize::MAX, |(place, _)| place);
        let silence = self.fired_from(begun + PATIENCE).unwrap_or(usize::MAX);
        let cancel = client.other.map(|other| self.lines[self.clients[other].first].place);
        let given_up = client
            .other
            .filter(|_| invite)
            .and_then(|other| self.fired_from(self.lines[self.clients[other].first].at + PATIENCE));
        let mut proceeding = client.revived.is_some();
        // The places at which it ends by itself, as things stand.
        let ends = |proceeding: bool| {
            let alone = match (invite, proceeding) {
                (true, true) => match (cancel, given_up) {
                    (Some(_), Some(place)) => (place, Ending::GivenUp),
                    _ => (usize::MAX, Ending::GivenUp),
                },
                (true, false) | (false, _) => (silence, Ending::Silence),
            };
            let broken = client.undeliverable.first().copied().filter(|_| !(invite && proceeding));
            let broken = (broken.unwrap_or(usize::MAX), Ending::Undeliverable);
            [alone, broken, (kill, Ending::Killed)].into_iter().min_by_key(|(place, _)| *place)
        };
        let mut lingers = usize::MAX;
        for heard in &client.heard {
            let line = &self.lines[*heard];
            if life.end.is_none()
                && let Some((place, ending)) = ends(proceeding).filter(|(place, _)| *place < line.place)
            {
                life.end = Some((place, ending));
            }
            match life.end {
                Some((_, Ending::Final(_))) if line.place < lingers.min(kill) => {}
                None => {}
                Some(_) => break,
            }
            match self.judged(line, client) {
                Belonging::None => continue,
                Belonging::Doubtful => {
                    life.doubtful.get_or_insert(line.place);
                    if line.status >= 200 {
                        life.end.get_or_insert((line.place, Ending::Final(line.status)));
                    }
                    proceeding = true;
                    continue;
                }
                Belonging::Sure => {}
            }
            if line.status < 200 {
                proceeding = true;
                if life.end.is_none() {
                    life.provisional.get_or_insert(*heard);
                }
                continue;
            }
            if life.end.is_none() {
                life.last = Some(*heard);
                life.end = Some((line.place, Ending::Final(line.status)));
                // Timers D and M; K matters to nobody.
                lingers = self.fired_from(line.at + PATIENCE).unwrap_or(usize::MAX);
                let broken = client.undeliverable.iter().copied().find(|place| *place > line.place);
                if invite && !line.is_success() {
                    lingers = lingers.min(broken.unwrap_or(usize::MAX));
                }
            }
            if invite {
                let accepted = life.last.is_some_and(|last| self.lines[last].is_success());
                match (accepted, line.is_success()) {
                    (true, true) => life.successes.push(*heard),
                    (false, false) => life.failures.push(*heard),
                    (true, false) | (false, true) => {}
                }
            }
        }
        if life.end.is_none() {
            life.end = ends(proceeding).filter(|(place, _)| *place != usize::MAX);
        }
        life
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belonging {
    Sure,
    None,
    Doubtful,
}

impl<'h> Builder<'h> {
    fn run(&mut self, history: &'h History) {
        for (place, entry) in history.entries.iter().enumerate() {
            match &entry.what {
                What::Heard(datagram) => {
                    let next = self.wire.lines.len();
                    let read = datagram.message.is_some();
                    self.begin(place, Cause::Heard(read.then_some(next)));
                    self.hear(place, entry.at, datagram);
                    // What it sends stands behind what it heard.
                    let from = self.wire.lines.len();
                    self.wire.steps.last_mut().expect("just begun").lines = from..from;
                }
                What::Sent(datagram) => self.send(place, entry.at, datagram),
                What::Fired => {
                    self.last_fired = entry.at;
                    self.wire.fired.push((entry.at, place));
                    self.begin(place, Cause::Fired);
                }
                What::Undeliverable(datagram) => {
                    self.begin(place, Cause::Undeliverable);
                    let message = datagram.message.as_ref();
                    let known = message.and_then(|message| {
                        let method = message.method()?;
                        let method = if method == "ACK" { "INVITE" } else { method };
                        self.clients.get(&(message.branch()?, method))
                    });
                    if let Some(client) = known {
                        self.wire.clients[*client].undeliverable.push(place);
                    }
                }
                What::Started(saved, model) => {
                    self.model = *model;
                    self.wire.starts.push((place, entry.at, saved));
                    self.begin(place, Cause::Started);
                    self.revive(place, entry.at, saved);
                }
                What::Adopted(model) => {
                    self.model = *model;
                    self.begin(place, Cause::Other);
                }
                What::Durable(_) | What::Commanded(..) => self.begin(place, Cause::Other),
                What::Killed => {
                    self.wire.kills.push((place, entry.at));
                    if let Some(step) = self.wire.steps.last_mut() {
                        step.cut = true;
                    }
                    self.epoch += 1;
                    self.servers.clear();
                    self.aliases.clear();
                }
                What::Put(_)
                | What::Delivered(_)
                | What::Changed(..)
                | What::Refused(_)
                | What::Recorded(_)
                | What::Stood(_)
                | What::ClockJumped(_)
                | What::Audited(..)
                | What::FaultsEnded
                | What::Defect(_) => {}
            }
        }
    }

    fn begin(&mut self, place: usize, cause: Cause) {
        let from = self.wire.lines.len();
        self.wire.steps.push(Step { place, cause, lines: from..from, cut: false });
    }

    /// Upper and lower case are one in branch and host (RFC 3261 §7.3.1): a bit that bends `g` to `G` changes neither.
    fn key(&self, branch: &str, sent_by: &str, method: &str) -> u64 {
        let method = if method == "ACK" { "INVITE" } else { method };
        let mut hasher = self.hashing.build_hasher();
        for part in [branch, sent_by] {
            part.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
            hasher.write_u8(0);
        }
        hasher.write(method.as_bytes());
        hasher.finish()
    }

    fn line(&mut self, place: usize, at: Nanos, sent: bool, datagram: &'h Datagram) -> Option<usize> {
        let message = datagram.message.as_ref()?;
        let via = vias(message).next().unwrap_or_default();
        let (cseq, named) = message.cseq().unwrap_or((0, ""));
        let method = message.method().unwrap_or(named);
        let (branch, sent_by) = (parameter(via, "branch").unwrap_or_default(), sent_by(via));
        let whole = self.intact.is(place);
        self.wire.lines.push(Line {
            place,
            at,
            sent,
            datagram,
            message,
            step: self.wire.steps.len().saturating_sub(1),
            branch,
            sent_by,
            method,
            status: message.status().unwrap_or_default(),
            cseq,
            call_id: message.call_id(),
            from_tag: message.from_tag().unwrap_or_default(),
            to_tag: message.to_tag().unwrap_or_default(),
            key: self.key(branch, sent_by, method),
            sure: sent || (whole && std::str::from_utf8(&datagram.bytes).is_ok() && is_plain(message)),
        });
        self.wire.server_of.push(None);
        self.wire.client_of.push(None);
        Some(self.wire.lines.len() - 1)
    }

    fn hear(&mut self, place: usize, at: Nanos, datagram: &'h Datagram) {
        let Some(index) = self.line(place, at, false, datagram) else { return };
        let line = self.wire.lines[index].clone();
        if !line.is_request() {
            if let Some(client) = self.clients.get(&(line.branch, line.method)).copied() {
                self.wire.clients[client].heard.push(index);
                self.wire.client_of[index] = Some(client);
            }
            return;
        }
        let current = self.servers.get(&line.key).copied();
        if line.method == "ACK" {
            if let Some(server) = current {
                self.wire.servers[server].acks.push(index);
                self.wire.server_of[index] = Some(server);
            }
            return;
        }
        if line.method == "CANCEL" {
            let invite = self.key(line.branch, line.sent_by, "INVITE");
            if let Some(server) = self.servers.get(&invite).copied() {
                self.wire.servers[server].cancels.push(index);
            }
        }
        match current.filter(|server| !self.is_over(*server)) {
            Some(server) => {
                let known = &mut self.wire.servers[server];
                known.copies.push(index);
                known.doubtful |= !line.sure;
                self.wire.server_of[index] = Some(server);
            }
            None => {
                let server = self.open(Some(index), line.key, line.method == "INVITE");
                self.wire.servers[server].doubtful = !line.sure;
                self.wire.server_of[index] = Some(server);
            }
        }
    }

    fn open(&mut self, request: Option<usize>, key: u64, invite: bool) -> usize {
        self.wire.servers.push(Server {
            key,
            epoch: self.epoch,
            request,
            invite,
            revived: None,
            absorbs_from: None,
            stateless: false,
            doubtful: request.is_none(),
            copies: Vec::new(),
            responses: Vec::new(),
            acks: Vec::new(),
            cancels: Vec::new(),
            clients: Vec::new(),
            model: self.model,
        });
        self.servers.insert(key, self.wire.servers.len() - 1);
        self.wire.servers.len() - 1
    }

    /// Whether its transaction has ended, so that the same request again begins another.
    fn is_over(&self, server: usize) -> bool {
        let server = &self.wire.servers[server];
        if server.stateless {
            return true;
        }
        if let Some(at) = server.absorbs_from {
            return self.last_fired >= tick(at + PATIENCE);
        }
        let last = server.responses.iter().map(|line| &self.wire.lines[*line]).find(|line| line.status >= 200);
        let Some(last) = last else {
            // Nothing was ever said: it was not taken. A request other than INVITE may be given up in silence (RFC 4320 §4.2).
            let untouched = server.responses.is_empty() && server.clients.is_empty();
            let first = server.clients.first().map(|client| self.wire.lines[self.wire.clients[*client].first].at);
            let silent = !server.invite && first.is_some_and(|at| self.last_fired >= tick(at + PATIENCE));
            return (untouched && server.doubtful) || silent;
        };
        // Behind Timer H, which may have gone off late, it is nobody's.
        let given_up = self.wire.fired_from(last.at + PATIENCE).unwrap_or(usize::MAX);
        let ack = server.acks.iter().map(|line| &self.wire.lines[*line]);
        let ack = ack.filter(|line| line.place < given_up).find(|line| line.place > last.place);
        let due = match ack {
            Some(ack) if server.invite && !last.is_success() => ack.at + T4,
            Some(_) | None => last.at + PATIENCE,
        };
        self.last_fired >= tick(due)
    }

    fn send(&mut self, place: usize, at: Nanos, datagram: &'h Datagram) {
        if self.wire.steps.is_empty() {
            self.begin(place, Cause::Other);
        }
        let Some(index) = self.line(place, at, true, datagram) else { return };
        if let Some(step) = self.wire.steps.last_mut() {
            step.lines.end = index + 1;
        }
        let line = self.wire.lines[index].clone();
        if line.is_request() {
            self.send_request(index, &line);
        } else {
            self.send_response(index, &line);
        }
    }

    fn send_response(&mut self, index: usize, line: &Line<'h>) {
        let cause = self.wire.steps.last().map(|step| step.cause);
        let heard = match cause {
            Some(Cause::Heard(Some(heard))) => Some(heard),
            _ => None,
        };
        // A phone may have bent the Via below ours: the response is its caller's all the same.
        let passed = || {
            let client = &self.wire.clients[self.wire.client_of[heard?]?];
            let same = self.wire.lines[heard?].status == line.status && self.wire.lines[heard?].method == line.method;
            client.server.filter(|_| same)
        };
        let server = self.servers.get(&line.key).or_else(|| self.aliases.get(&line.key)).copied();
        let Some(server) = server.or_else(passed) else {
            self.wire.orphans.push(index);
            return;
        };
        if self.is_of_what_cannot_be_read(server, line) {
            self.wire.orphans.push(index);
            return;
        }
        // Copies of it have that Via too.
        if self.wire.servers[server].key != line.key {
            self.aliases.insert(line.key, server);
        }
        let known = &mut self.wire.servers[server];
        let on_the_spot = heard.is_some() && (heard == known.request || known.copies.last() == heard.as_ref());
        if known.responses.is_empty() && on_the_spot && STATELESS.contains(&line.status) {
            known.stateless = true;
        }
        known.responses.push(index);
        self.wire.server_of[index] = Some(server);
    }

    /// Whether it is said on the spot about something bent, which no transaction sees, whatever branch it names: where there is a
    /// transaction of that branch, it is not its answer.
    fn is_of_what_cannot_be_read(&self, server: usize, line: &Line<'h>) -> bool {
        let unsure = match self.wire.steps.last().map(|step| step.cause) {
            Some(Cause::Heard(heard)) => heard.is_none_or(|heard| !self.wire.lines[heard].sure),
            _ => false,
        };
        let server = &self.wire.servers[server];
        let lives = !server.responses.is_empty() || !server.clients.is_empty();
        let mut said = server.responses.iter().map(|said| &self.wire.lines[*said]);
        unsure
            && lives
            && UNREADABLE.contains(&line.status)
            && !said.any(|said| said.datagram.bytes == line.datagram.bytes)
    }

    fn send_request(&mut self, index: usize, line: &Line<'h>) {
        if line.method == "ACK" {
            match self.clients.get(&(line.branch, "INVITE")).copied() {
                Some(client) => {
                    self.wire.clients[client].acks.push(index);
                    self.wire.client_of[index] = Some(client);
                }
                None => self.wire.relayed_acks.push(index),
            }
            return;
        }
        let known = self.clients.get(&(line.branch, line.method)).copied();
        // The CANCEL that follows a start is another than the one before it.
        let anew = |client: &usize| line.method == "CANCEL" && self.wire.clients[*client].epoch != self.epoch;
        if let Some(client) = known.filter(|client| !anew(client)) {
            self.wire.clients[client].copies.push(index);
            self.wire.client_of[index] = Some(client);
            return;
        }
        let next = vias(line.message).nth(1);
        let server = next.and_then(|via| {
            let key = self.key(parameter(via, "branch").unwrap_or_default(), sent_by(via), line.method);
            self.servers.get(&key).copied()
        });
        let client = self.wire.clients.len();
        let mut other = None;
        if line.method == "CANCEL"
            && let Some(invite) = self.clients.get(&(line.branch, "INVITE")).copied()
        {
            other = Some(invite);
            self.wire.clients[invite].other.get_or_insert(client);
        }
        if let Some(server) = server {
            self.wire.servers[server].clients.push(client);
        }
        self.wire.clients.push(Client {
            epoch: self.epoch,
            first: index,
            copies: vec![index],
            acks: Vec::new(),
            other,
            heard: Vec::new(),
            server,
            revived: None,
            undeliverable: Vec::new(),
        });
        self.clients.insert((line.branch, line.method), client);
        self.wire.client_of[index] = Some(client);
    }

    /// Transactions that go on in an engine made of what was saved: those of calls that rang, and of just answered ones.
    fn revive(&mut self, place: usize, at: Nanos, saved: &'h Saved) {
        for call in &saved.calls {
            let Some(message) = Message::read(&call.invite) else { continue };
            let via = vias(&message).next().unwrap_or_default();
            let key = self.key(parameter(via, "branch").unwrap_or_default(), sent_by(via), "INVITE");
            let before = self.wire.servers.iter().rposition(|server| server.key == key);
            let unanswered = call.final_sent.is_none() && call.answered_at.is_none();
            let request = before.and_then(|before| self.wire.servers[before].request);
            let server = self.open(request, key, true);
            self.wire.servers[server].revived = Some((place, at));
            // Said finally already: its branches may ring or talk still, and a copy of the INVITE is no new call.
            self.wire.servers[server].absorbs_from = (!unanswered).then_some(at);
            for branch in call.branches.iter().filter(|branch| !branch.ended) {
                let known =
                    Message::read(&branch.sent).and_then(|sent| self.clients.get(&(sent.branch()?, "INVITE")).copied());
                let Some(known) = known else { continue };
                let first = self.wire.clients[known].first;
                let line = self.wire.lines[first].branch;
                self.wire.clients.push(Client {
                    epoch: self.epoch,
                    first,
                    copies: Vec::new(),
                    acks: Vec::new(),
                    other: None,
                    heard: Vec::new(),
                    server: Some(server),
                    revived: Some((place, at)),
                    undeliverable: Vec::new(),
                });
                let client = self.wire.clients.len() - 1;
                self.wire.servers[server].clients.push(client);
                self.clients.insert((line, "INVITE"), client);
            }
        }
    }
}

/// When the process stood still, in order. An entry may stand at either end of its pause: the engine did nothing within.
fn pauses(history: &History) -> Vec<(Nanos, Nanos)> {
    let acts = |what: &What| matches!(what, What::Heard(_) | What::Sent(_) | What::Fired | What::Changed(..));
    let mut pauses = Vec::new();
    for (place, entry) in history.entries.iter().enumerate() {
        let What::Stood(length) = entry.what else { continue };
        let before = history.entries[..place].iter().rev().find(|entry| acts(&entry.what)).map_or(0, |entry| entry.at);
        let after =
            history.entries[place..].iter().find(|entry| acts(&entry.what)).map_or(Nanos::MAX, |entry| entry.at);
        let from = if before <= entry.at.saturating_sub(length) { entry.at.saturating_sub(length) } else { entry.at };
        let to = if after >= entry.at + length { entry.at + length } else { entry.at };
        if from < to {
            pauses.push((from, to));
        }
    }
    pauses
}

/// Timers go off at whole milliseconds, never early.
pub fn tick(at: Nanos) -> Nanos {
    at.div_ceil(MILLISECOND) * MILLISECOND
}

/// The Via values, topmost first.
pub fn vias(message: &Message) -> impl Iterator<Item = &str> {
    values(message, Name::Via)
}

/// The values of a header field that is a list.
pub fn values(message: &Message, name: Name) -> impl Iterator<Item = &str> {
    message.all(name).flat_map(split)
}

/// Commas stand between values where they are neither quoted nor within `<>`.
fn split(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut enclosed) = (false, false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'<' if !quoted => enclosed = true,
                b'>' if !quoted => enclosed = false,
                b',' if !quoted && !enclosed => {
                    rest = Some(&text[at + 1..]);
                    return Some(text[..at].trim());
                }
                _ => {}
            }
        }
        rest = None;
        Some(text.trim())
    })
}

/// Host and port of a Via, as written.
pub fn sent_by(via: &str) -> &str {
    let behind = via.split_once(' ').map_or("", |(_, behind)| behind);
    behind.split(';').next().unwrap_or_default().trim()
}

/// Whether every reader must read it alike: each field that may be there once is there once, lengths agree, nothing is odd.
fn is_plain(message: &Message) -> bool {
    let head = &message.bytes[..message.body];
    let breaks = head.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
    // A CRLF behind the first line, behind each field, and the empty one.
    if breaks != 2 * (message.fields.len() + 2) {
        return false;
    }
    let once = |name: Name| message.all(name).count() == 1;
    if ![Name::From, Name::To, Name::CallId, Name::CSeq].into_iter().all(once) {
        return false;
    }
    let Some((number, method)) = message.cseq() else { return false };
    let odd = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte));
    let names_fit = message.fields.iter().all(|field| {
        let line = &message.bytes[field.line.clone()];
        // RFC 3261 §25.1 HCOLON: there may be room in front of the colon.
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii_end();
        !name.is_empty() && !name.iter().any(odd)
    });
    let length = match message.all(Name::ContentLength).count() {
        0 => true,
        1 => {
            let length = message.first(Name::ContentLength).and_then(|length| length.parse::<usize>().ok());
            length.is_some_and(|length| length <= message.body().len())
        }
        _ => false,
    };
    let forwards = match message.all(Name::MaxForwards).count() {
        0 => true,
        1 => message.first(Name::MaxForwards).is_some_and(|hops| hops.parse::<u8>().is_ok()),
        _ => false,
    };
    let status = message.status().is_none_or(|status| (100..700).contains(&status));
    let via = vias(message).next().is_some();
    let vias = vias(message)
        .all(|via| via.starts_with("SIP/2.0/UDP ") && !sent_by(via).is_empty() && parameter(via, "branch").is_some());
    // What a peer was told bent, and repeats, is no token perhaps.
    let token = |value: Option<&str>| value.is_none_or(|value| !value.is_empty() && !value.as_bytes().iter().any(odd));
    let written = |name: Name| message.first(name).and_then(|value| value.rsplit_once(";tag=")).map(|(_, tag)| tag);
    let ends = |tag: Option<&str>| tag.map(|tag| tag.split(';').next().unwrap_or_default().trim().to_owned());
    let (from, to) = (ends(written(Name::From)), ends(written(Name::To)));
    let tokens = token(message.branch()) && token(from.as_deref()) && token(to.as_deref());
    let tag = tokens && message.from_tag().is_some_and(|tag| !tag.is_empty());
    let to = message.first(Name::To).is_some_and(|to| to.contains("sip:"));
    let same = message.method().is_none_or(|own| own == method);
    number < 1 << 31
        && names_fit
        && length
        && forwards
        && status
        && via
        && vias
        && tag
        && to
        && same
        && !message.call_id().is_empty()
}
