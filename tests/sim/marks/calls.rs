//! Marks of calls: what crosses what on the wire.

use std::collections::{BTreeSet, HashMap};

use crate::history::{Datagram, History, Nanos, Role, T1, What};
use crate::text::Message;

pub const ALL: [&str; 25] = [
    "2xx crossed our CANCEL",
    "2xx crossed the caller's CANCEL",
    "two branches of a call answered",
    "two answers on one branch",
    "CANCEL held back until a provisional",
    "ring ran out with a failure in hand",
    "INVITE never answered at all",
    "CANCEL never answered by a final",
    "2xx after the branch was dead",
    "several early dialogs on a branch",
    "INVITE repeated before the final",
    "INVITE repeated after the final",
    "final repeated until its ACK",
    "final never acknowledged",
    "2xx repeated to the caller",
    "2xx never acknowledged",
    "BYE from both sides at once",
    "BYE never answered",
    "re-INVITE from both sides at once",
    "loop or merged request refused",
    "response of nobody's branch dropped",
    "waited in the line, then answered",
    "call went out by a trunk",
    "redirect ended an offer",
    "6xx ended an offer",
];

/// A copy of an INVITE.
#[derive(Default)]
struct Branch<'a> {
    /// Which call's: its Call-ID and From tag.
    call: (&'a str, &'a str),
    in_dialog: bool,
    copies: u32,
    provisional: bool,
    tags: BTreeSet<&'a str>,
    answers: BTreeSet<&'a str>,
    failed: Option<u16>,
    final_at: Option<Nanos>,
    cancelled: Option<Nanos>,
}

/// An INVITE as it came, outside a dialog or in one.
#[derive(Default)]
struct Server<'a> {
    call: (&'a str, &'a str),
    cancelled: bool,
    queued: bool,
    status: Option<u16>,
    /// The time and number of copies of the final.
    final_at: Nanos,
    copies: u32,
    acknowledged: bool,
}

/// A BYE or re-INVITE in a dialog: from whom it came first.
type Asked<'a> = HashMap<(&'a str, &'static str), BTreeSet<&'a str>>;

struct Calls<'a> {
    branches: HashMap<&'a str, Branch<'a>>,
    servers: HashMap<(&'a str, &'a str), Server<'a>>,
    asked: Asked<'a>,
    byes: HashMap<&'a str, (u32, bool)>,
    /// The last thing that caused something.
    provisional_for: Option<&'a str>,
    fired: bool,
}

pub fn reached(history: &History, reached: &mut BTreeSet<&'static str>) {
    let mut calls = Calls {
        branches: HashMap::new(),
        servers: HashMap::new(),
        asked: HashMap::new(),
        byes: HashMap::new(),
        provisional_for: None,
        fired: false,
    };
    for entry in &history.entries {
        match &entry.what {
            What::Heard(datagram) => {
                (calls.provisional_for, calls.fired) = (None, false);
                if let Some(message) = &datagram.message {
                    calls.heard(entry.at, message, reached);
                }
            }
            What::Sent(datagram) => {
                if let Some(message) = &datagram.message {
                    calls.sent(history, entry.at, datagram, message, reached);
                }
            }
            What::Fired => (calls.provisional_for, calls.fired) = (None, true),
            What::Killed => calls.branches.clear(),
            _ => {}
        }
    }
    calls.look_back(reached);
}

fn call_of(message: &Message) -> (&str, &str) {
    (message.call_id(), message.from_tag().unwrap_or_default())
}

impl<'a> Calls<'a> {
    fn heard(&mut self, at: Nanos, message: &'a Message, reached: &mut BTreeSet<&'static str>) {
        match (message.method(), message.status()) {
            (Some(method), _) => self.request_heard(method, message, reached),
            (None, Some(status)) => self.response_heard(at, status, message, reached),
            (None, None) => {}
        }
    }

    fn request_heard(&mut self, method: &str, message: &'a Message, reached: &mut BTreeSet<&'static str>) {
        let Some(branch) = message.branch() else { return };
        let key = (message.call_id(), branch);
        let tag = message.from_tag().unwrap_or_default();
        match method {
            "INVITE" => {
                if let Some(server) = self.servers.get(&key) {
                    reached.insert(match server.status {
                        Some(_) => "INVITE repeated after the final",
                        None => "INVITE repeated before the final",
                    });
                } else {
                    self.servers.insert(key, Server { call: call_of(message), ..Server::default() });
                    if message.to_tag().is_some() {
                        let sides = self.asked.entry((message.call_id(), "INVITE")).or_default();
                        sides.insert(tag);
                        if sides.len() > 1 {
                            reached.insert("re-INVITE from both sides at once");
                        }
                    }
                }
            }
            "CANCEL" => {
                if let Some(server) = self.servers.get_mut(&key) {
                    server.cancelled = true;
                }
            }
            "ACK" => {
                let call = call_of(message);
                for server in self.servers.values_mut().filter(|server| server.call == call) {
                    server.acknowledged = true;
                }
            }
            "BYE" => {
                let sides = self.asked.entry((message.call_id(), "BYE")).or_default();
                sides.insert(tag);
                if sides.len() > 1 {
                    reached.insert("BYE from both sides at once");
                }
            }
            _ => {}
        }
    }

    fn response_heard(&mut self, at: Nanos, status: u16, message: &'a Message, reached: &mut BTreeSet<&'static str>) {
        let (Some(branch), Some((_, method))) = (message.branch(), message.cseq()) else { return };
        if method == "BYE" {
            self.asked.remove(&(message.call_id(), "BYE"));
            if let Some((_, answered)) = self.byes.get_mut(branch) {
                *answered |= status >= 200;
            }
            return;
        }
        if method != "INVITE" {
            return;
        }
        let Some(known) = self.branches.get_mut(branch) else {
            reached.insert("response of nobody's branch dropped");
            return;
        };
        let tag = message.to_tag().unwrap_or_default();
        match status {
            100..=199 => {
                if known.cancelled.is_none() && known.final_at.is_none() {
                    self.provisional_for = Some(branch);
                }
                known.provisional = true;
                known.tags.insert(tag);
                if status > 100 && known.tags.len() > 2 {
                    reached.insert("several early dialogs on a branch");
                }
            }
            200..=299 => {
                known.answers.insert(tag);
                if known.answers.len() > 1 {
                    reached.insert("two answers on one branch");
                }
                if let Some(cancelled) = known.cancelled {
                    reached.insert("2xx crossed our CANCEL");
                    if at > cancelled + 64 * T1 {
                        reached.insert("2xx after the branch was dead");
                    }
                }
                known.final_at.get_or_insert(at);
                let (call, in_dialog) = (known.call, known.in_dialog);
                if in_dialog {
                    self.asked.remove(&(message.call_id(), "INVITE"));
                } else if self.branches.values().filter(|b| b.call == call && !b.answers.is_empty()).count() > 1 {
                    reached.insert("two branches of a call answered");
                }
            }
            _ => {
                if known.in_dialog {
                    self.asked.remove(&(message.call_id(), "INVITE"));
                } else if known.final_at.is_none() {
                    if (300..400).contains(&status) {
                        reached.insert("redirect ended an offer");
                    }
                    if status >= 600 {
                        reached.insert("6xx ended an offer");
                    }
                }
                known.failed = Some(status);
                known.final_at.get_or_insert(at);
            }
        }
    }

    fn sent(
        &mut self,
        history: &History,
        at: Nanos,
        datagram: &Datagram,
        message: &'a Message,
        reached: &mut BTreeSet<&'static str>,
    ) {
        let Some(branch) = message.branch() else { return };
        match (message.method(), message.status()) {
            (Some("INVITE"), _) => {
                let known = self.branches.entry(branch).or_insert_with(|| Branch {
                    call: call_of(message),
                    in_dialog: message.to_tag().is_some(),
                    ..Branch::default()
                });
                known.copies += 1;
                if !known.in_dialog && matches!(history.role(datagram.to), Some(Role::Trunk(_))) {
                    reached.insert("call went out by a trunk");
                }
            }
            (Some("CANCEL"), _) => {
                if self.provisional_for == Some(branch) {
                    reached.insert("CANCEL held back until a provisional");
                }
                let call = self.branches.get(branch).map(|known| known.call);
                let failed = |other: &Branch<'_>| Some(other.call) == call && other.failed.is_some();
                if self.fired && self.branches.values().any(failed) {
                    reached.insert("ring ran out with a failure in hand");
                }
                if let Some(known) = self.branches.get_mut(branch) {
                    known.cancelled.get_or_insert(at);
                }
            }
            (Some("BYE"), _) => self.byes.entry(branch).or_default().0 += 1,
            (None, Some(status)) => self.response_sent(at, status, branch, message, reached),
            _ => {}
        }
    }

    fn response_sent(
        &mut self,
        at: Nanos,
        status: u16,
        branch: &'a str,
        message: &'a Message,
        reached: &mut BTreeSet<&'static str>,
    ) {
        if status == 482 {
            reached.insert("loop or merged request refused");
        }
        if message.cseq().is_none_or(|(_, method)| method != "INVITE") {
            return;
        }
        let Some(server) = self.servers.get_mut(&(message.call_id(), branch)) else { return };
        if status == 182 {
            server.queued = true;
        }
        if status < 200 {
            return;
        }
        if status < 300 && server.cancelled {
            reached.insert("2xx crossed the caller's CANCEL");
        }
        if status < 300 && server.queued {
            reached.insert("waited in the line, then answered");
        }
        if server.status == Some(status) {
            server.copies += 1;
            reached.insert(if status < 300 { "2xx repeated to the caller" } else { "final repeated until its ACK" });
        } else {
            (server.status, server.final_at) = (Some(status), at);
        }
    }

    /// What shows in the end only: nothing came.
    fn look_back(&self, reached: &mut BTreeSet<&'static str>) {
        for branch in self.branches.values() {
            if branch.final_at.is_none() && !branch.provisional && branch.copies >= 7 {
                reached.insert("INVITE never answered at all");
            }
            if branch.cancelled.is_some() && branch.final_at.is_none() {
                reached.insert("CANCEL never answered by a final");
            }
        }
        for server in self.servers.values() {
            match server.status {
                Some(status) if status >= 300 && !server.acknowledged && server.copies >= 7 => {
                    reached.insert("final never acknowledged");
                }
                Some(status) if status < 300 && !server.acknowledged => {
                    reached.insert("2xx never acknowledged");
                }
                Some(_) | None => {}
            }
        }
        if self.byes.values().any(|(copies, answered)| *copies >= 11 && !answered) {
            reached.insert("BYE never answered");
        }
    }
}
