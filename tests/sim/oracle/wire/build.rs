//! Reads a history once, entry by entry: which line belongs to which transaction, as each side tells them apart.

use std::hash::{BuildHasher, Hasher};

use ahash::{AHashMap, RandomState};
use switchboard::state::Saved;

use super::super::super::history::{Datagram, History, Nanos, What};
use super::super::super::text::{Message, parameter};
use super::super::intact::Intact;
use super::fields::{is_plain, sent_by, vias};
use super::{Cause, Client, Line, PATIENCE, Server, Step, T4, Wire, tick};

/// Statuses that the engine gives without a transaction.
const STATELESS: [u16; 7] = [400, 401, 403, 407, 481, 505, 513];

/// Those of them that say that a request cannot be read.
const UNREADABLE: [u16; 3] = [400, 505, 513];

struct Builder<'h> {
    wire: Wire<'h>,
    hashing: RandomState,
    intact: Intact,
    servers: AHashMap<u64, usize>,
    /// By branch and method.
    clients: AHashMap<u64, usize>,
    /// Of responses whose Via a peer bent: whose they are.
    aliases: AHashMap<u64, usize>,
    epoch: usize,
    model: usize,
    last_fired: Nanos,
}

/// Everything but what became of the requests.
pub(super) fn built(history: &History) -> Wire<'_> {
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
    builder.wire
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
                        self.clients.get(&self.client_key(message.branch()?, method)).copied()
                    });
                    if let Some(client) = known {
                        self.wire.clients[client].undeliverable.push(place);
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

    /// RFC 3261 §17.1.3: branch and method; sent-by is ours.
    fn client_key(&self, branch: &str, method: &str) -> u64 {
        self.key(branch, "", method)
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
            if let Some(client) = self.clients.get(&self.client_key(line.branch, line.method)).copied() {
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
            owes: None,
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
        // So is what nobody can read here, whichever request it names.
        let to_something = cause == Some(Cause::Heard(None)) && UNREADABLE.contains(&line.status);
        if known.responses.is_empty() && (on_the_spot && STATELESS.contains(&line.status) || to_something) {
            known.stateless = true;
        }
        known.responses.push(index);
        self.wire.server_of[index] = Some(server);
    }

    /// Whether it is said on the spot about something bent, which no transaction sees, whatever branch it names: where the transaction of
    /// that branch has said its last word, it is not its answer. One that has not yet would end by it, for whoever made the request.
    fn is_of_what_cannot_be_read(&self, index: usize, line: &Line<'h>) -> bool {
        let unsure = match self.wire.steps.last().map(|step| step.cause) {
            Some(Cause::Heard(heard)) => heard.is_none_or(|heard| !self.wire.lines[heard].sure),
            _ => false,
        };
        let server = &self.wire.servers[index];
        let taken = !server.responses.is_empty() || !server.clients.is_empty();
        let mut said = server.responses.iter().map(|said| &self.wire.lines[*said]);
        let is_answered = server.absorbs_from.is_some() || said.clone().any(|said| said.status >= 200);
        // Where the Via itself is none any more, no transaction can be found by it.
        let is_nobodys = vias(line.message).next().is_some_and(|via| !via.starts_with("SIP/2.0/"));
        unsure
            && taken
            && (is_answered || is_nobodys || self.is_over(index))
            && UNREADABLE.contains(&line.status)
            && !said.any(|said| said.datagram.bytes == line.datagram.bytes)
    }

    fn send_request(&mut self, index: usize, line: &Line<'h>) {
        if line.method == "ACK" {
            match self.clients.get(&self.client_key(line.branch, "INVITE")).copied() {
                Some(client) => {
                    self.wire.clients[client].acks.push(index);
                    self.wire.client_of[index] = Some(client);
                }
                None => self.wire.relayed_acks.push(index),
            }
            return;
        }
        let known = self.clients.get(&self.client_key(line.branch, line.method)).copied();
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
            && let Some(invite) = self.clients.get(&self.client_key(line.branch, "INVITE")).copied()
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
        self.clients.insert(self.client_key(line.branch, line.method), client);
        self.wire.client_of[index] = Some(client);
    }

    /// Transactions that go on in an engine made of what was saved: those of calls that rang, and of just answered ones.
    fn revive(&mut self, place: usize, at: Nanos, saved: &'h Saved) {
        for call in &saved.calls {
            let Some(message) = Message::read(&call.invite) else { continue };
            let via = vias(&message).next().unwrap_or_default();
            let key = self.key(parameter(via, "branch").unwrap_or_default(), sent_by(via), "INVITE");
            let before = self.wire.servers.iter().rposition(|server| server.key == key);
            let request = before.and_then(|before| self.wire.servers[before].request);
            let server = self.open(request, key, true);
            self.wire.servers[server].revived = Some((place, at));
            // Its branches may ring or talk still, and a copy of the INVITE is no new call. Whether a refusal ever left is not known: it is
            // said again.
            match call.answered_at {
                Some(_) => self.wire.servers[server].absorbs_from = Some(at),
                None => self.wire.servers[server].owes = Some(call.final_sent.unwrap_or(500)),
            }
            for branch in call.branches.iter().filter(|branch| !branch.ended) {
                let known = Message::read(&branch.sent)
                    .and_then(|sent| self.clients.get(&self.client_key(sent.branch()?, "INVITE")).copied());
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
                self.clients.insert(self.client_key(line, "INVITE"), client);
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
