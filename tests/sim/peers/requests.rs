//! Requests that reach a peer: the first look at each, and the answers to what needs no thought.

use std::net::SocketAddr;

use super::super::history::Nanos;
use super::super::text::{Message, Name};
use super::agent::Agent;
use super::call::{Act, Call};
use super::style::Response;
use super::together::sum;
use super::transaction::{Purpose, Server};
use super::{Post, wire};

const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n";

impl Agent {
    pub fn on_request(&mut self, now: Nanos, source: SocketAddr, request: &Message, post: &mut Post) {
        let (Some(method), Some(branch)) = (request.method(), request.branch()) else { return };
        let sent_by = request.first(Name::Via).map_or("", wire::sent_by);
        if method == "ACK" {
            self.on_ack(now, request, sent_by);
            return;
        }
        let known = self
            .servers
            .iter_mut()
            .find(|one| one.branch == branch && one.sent_by == sent_by && one.asked.method() == Some(method));
        if let Some(server) = known {
            // RFC 3261 §17.2.1: a copy gets the latest response again; RFC 6026 §7.1: none after a 2xx to an INVITE.
            server.source = source;
            let latest = match server.finals.first() {
                Some(failure) if server.status >= 300 && !failure.acked => &failure.bytes,
                Some(_) => return,
                None => &server.latest,
            };
            if !latest.is_empty() {
                post.send(self.address, source, latest.clone());
            }
            return;
        }
        match (method, request.to_tag()) {
            ("CANCEL", _) => self.on_cancel(now, source, request, sent_by, post),
            ("INVITE", None) => self.on_new_call(now, source, request, sent_by, post),
            (_, Some(_)) => self.on_in_dialog(now, source, request, method, sent_by, post),
            (_, None) => {
                let mut server = Server::new(request.clone(), source, sent_by);
                let status = match method {
                    "OPTIONS" => 200,
                    "BYE" | "UPDATE" | "INFO" | "PRACK" => 481,
                    _ => 405,
                };
                self.respond_once(now, &mut server, status, &format!("{:x}", sum(branch)), ALLOW, post);
                self.servers.push(server);
            }
        }
    }

    /// A final response without a body.
    pub fn respond_once(&self, now: Nanos, server: &mut Server, status: u16, tag: &str, lines: &str, post: &mut Post) {
        let response = Response { status, tag: Some(tag), contact: None, lines, body: "", bend: None };
        let bytes = self.style.response(&server.asked, server.source, &response);
        post.send(self.address, server.source, bytes.clone());
        server.on_sent(now, status, tag, bytes);
    }

    fn on_in_dialog(
        &mut self,
        now: Nanos,
        source: SocketAddr,
        request: &Message,
        method: &str,
        sent_by: &str,
        post: &mut Post,
    ) {
        let mut server = Server::new(request.clone(), source, sent_by);
        let (local, remote) = (request.to_tag(), request.from_tag());
        let is_it = |call: &Call| call.call_id == request.call_id() && call.dialog_named(local, remote).is_some();
        let Some(place) = self.calls.iter().position(is_it) else {
            self.respond_once(now, &mut server, 481, "", "", post);
            self.servers.push(server);
            return;
        };
        let mut call = self.calls.swap_remove(place);
        let at = call.dialog_named(local, remote).unwrap_or_default();
        if call.dead {
            return self.put(call);
        }
        let number = request.cseq().map_or(0, |(number, _)| number);
        if call.dialogs[at].over {
            // A BYE that crossed ours is answered like any other.
            let status = if method == "BYE" { 200 } else { 481 };
            self.respond_once(now, &mut server, status, "", "", post);
        } else if number <= call.dialogs[at].remote_cseq {
            // RFC 3261 §12.2.2.
            self.respond_once(now, &mut server, 500, "", "", post);
        } else {
            call.dialogs[at].remote_cseq = number;
            match method {
                "BYE" => {
                    self.respond_once(now, &mut server, 200, "", "", post);
                    self.on_dialog_over(&mut call, at);
                    let is_left = |act: &Act| matches!(act, Act::Answer(_));
                    if call.live().is_none() {
                        call.drop_acts(|act| !is_left(act) && *act != Act::RepeatInvite);
                    }
                }
                "INVITE" | "UPDATE" => self.on_offer(now, &mut call, at, &mut server, post),
                "INFO" | "OPTIONS" => self.respond_once(now, &mut server, 200, "", ALLOW, post),
                _ => self.respond_once(now, &mut server, 405, "", ALLOW, post),
            }
        }
        self.servers.push(server);
        self.put(call);
    }

    /// A re-INVITE or UPDATE.
    fn on_offer(&mut self, now: Nanos, call: &mut Call, at: usize, server: &mut Server, post: &mut Post) {
        server.call = Some(call.key);
        server.dialog = Some(at);
        let tag = call.dialogs[at].tag.clone();
        // RFC 3261 §14.2: 491 while an INVITE of this end is open in the dialog.
        let crossed = self.clients.iter().any(|client| {
            let asks = matches!(client.purpose, Purpose::Reinvite | Purpose::Update) && client.is_open();
            asks && client.call == Some(call.key) && client.dialog == at
        });
        if crossed {
            self.respond_once(now, server, 491, &tag, "", post);
            return;
        }
        if let Some(target) = wire::contact(&server.asked) {
            call.dialogs[at].target = target;
        }
        let mut lines = String::from(ALLOW);
        let had = call.dialogs[at].session.is_some();
        call.dialogs[at].session = self.agree(&server.asked, None, had, &mut lines);
        self.watch_session(now, call, at);
        let body = match server.is_invite {
            true => super::style::description(&mut call.dice, self.address),
            false => String::new(),
        };
        let contact = format!("<{}>", self.contact);
        let response =
            Response { status: 200, tag: None, contact: Some(&contact), lines: &lines, body: &body, bend: None };
        let bytes = self.style.response(&server.asked, server.source, &response);
        post.send(self.address, server.source, bytes.clone());
        server.on_sent(now, 200, &tag, bytes);
    }

    /// Whether a re-INVITE of the other end waits for its ACK.
    pub fn answers_invite(&self, call: &Call, at: usize) -> bool {
        self.servers.iter().any(|server| {
            let waits = server.is_invite && server.finals.iter().any(|answer| !answer.acked);
            waits && server.call == Some(call.key) && server.dialog == Some(at)
        })
    }
}
