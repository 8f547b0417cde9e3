//! What a user agent does with requests: it rings, answers, is cancelled, and hears BYE (RFC 3261 §8.2, §9.2, §13.3,
//! §14.2, §15.1.2).

use std::net::SocketAddr;
use std::time::Duration;

use rsip::{Header, Method};

use super::Datagram;
use super::agent::{Agent, Timer};
use super::behaviour::{Progress, WhenRung};
use super::call::{Call, CallState, Unacked};
use super::caller::ALLOW;
use super::dialog::{self, Dialog};
use super::event::{CallEvent, CallKey, EndedBy};
use super::text::{self, Reading};
use super::transaction::{ServerKey, ServerState, ServerTransaction};
use crate::time::Instant;

/// How long after 183 the 180 follows.
const SECOND_PROGRESS: Duration = Duration::from_millis(200);

impl Agent {
    pub(super) fn on_request(&mut self, now: Instant, from: SocketAddr, request: Reading) {
        if request.method == Method::Ack {
            self.on_ack(now, &request);
            return;
        }
        let key = ServerKey::new(&request, request.method);
        if let Some(transaction) = self.servers.get(&key) {
            if let Some(again) = transaction.on_repeated() {
                self.send(again);
            }
            return;
        }
        let transaction =
            ServerTransaction { method: request.method, call: None, last: None, state: ServerState::Proceeding };
        self.servers.insert(key.clone(), transaction);
        // RFC 3261 §8.2.2.3: whatever is required of us, we cannot do it. (CANCEL may not require anything.)
        let required: Option<String> = request.headers().iter().find_map(|header| match header {
            Header::Require(value) => Some(rsip::headers::UntypedHeader::value(value).to_owned()),
            _ => None,
        });
        if let Some(required) = required.filter(|_| request.method != Method::Cancel) {
            let fields = [rsip::headers::Unsupported::from(required).into()];
            self.respond(now, from, &key, &request, 420, &fields, &[]);
            return;
        }
        match (request.method, &request.to_tag) {
            (Method::Cancel, _) => self.on_cancel(now, from, &key, &request),
            (Method::Invite, None) => self.on_invite(now, from, key, request),
            (Method::Options, None) => {
                let fields = [rsip::headers::Allow::from(ALLOW).into()];
                self.respond(now, from, &key, &request, 200, &fields, &[]);
            }
            (_, Some(_)) => self.on_request_in_dialog(now, from, &key, &request),
            (Method::Bye | Method::Update | Method::Info | Method::PRack, None) => {
                self.respond(now, from, &key, &request, 481, &[], &[]);
            }
            (_, None) => {
                let fields = [rsip::headers::Allow::from(ALLOW).into()];
                self.respond(now, from, &key, &request, 405, &fields, &[]);
            }
        }
    }

    fn on_invite(&mut self, now: Instant, from: SocketAddr, server: ServerKey, invite: Reading) {
        let ringing = CallEvent::Ringing {
            call_id: invite.call_id.clone(),
            from: text::uri_of(&invite.from),
            request_uri: invite.request_uri.clone(),
            asserted: invite.other("P-Asserted-Identity"),
        };
        let behaviour = self.behaviour.clone();
        self.counts.rung += 1;
        let silent = behaviour.when_rung == WhenRung::Silent;
        let state = if silent {
            CallState::Over
        } else {
            CallState::Ringing { server: server.clone(), invite: Box::new(invite.clone()), from }
        };
        let local_tag = self.naming.tag();
        let call_id = invite.call_id.clone();
        let call = self.open_call(Call { call_id, local_tag, state, dialogs: vec![], behaviour: behaviour.clone() });
        if let Some(transaction) = self.servers.get_mut(&server) {
            transaction.call = Some(call);
            if silent {
                transaction.state = ServerState::Mute;
            }
        }
        self.tell(call, ringing);
        if silent {
            return;
        }
        match behaviour.progress {
            Progress::Nothing => {}
            Progress::Trying => self.progress(now, call, 100),
            Progress::Ringing => self.progress(now, call, 180),
            Progress::EarlyMediaThenRinging => {
                self.progress(now, call, 183);
                self.set_timer(now + SECOND_PROGRESS, Timer::SecondProgress(call));
            }
        }
        match behaviour.when_rung {
            WhenRung::Answer(after) | WhenRung::Refuse(_, after) | WhenRung::Redirect(_, after) => {
                if after.is_zero() {
                    self.on_final_answer(now, call);
                } else {
                    self.set_timer(now + after, Timer::FinalAnswer(call));
                }
            }
            WhenRung::RingOnly | WhenRung::Silent | WhenRung::AnswerDespiteCancel => {}
        }
    }

    pub(super) fn on_second_progress(&mut self, now: Instant, call: CallKey) {
        self.progress(now, call, 180);
    }

    /// The answer the behaviour gives by itself is due.
    pub(super) fn on_final_answer(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get(&key) else { return };
        match call.behaviour.when_rung.clone() {
            WhenRung::Answer(_) => self.answer(now, key),
            WhenRung::Refuse(status, _) => self.refuse(now, key, status),
            WhenRung::Redirect(uri, _) => self.redirect(now, key, &uri),
            WhenRung::RingOnly | WhenRung::Silent | WhenRung::AnswerDespiteCancel => {}
        }
    }

    pub(super) fn answer(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let CallState::Ringing { server, invite, from } = &call.state else { return };
        let (server, invite, from) = (server.clone(), invite.clone(), *from);
        call.dialogs.push(Dialog::of_callee(&invite, &call.local_tag));
        let to_tag = call.local_tag.clone();
        let body = text::session_description(self.identity.address, 1, "sendrecv");
        let fields = [self.own_contact(), rsip::headers::Allow::from(ALLOW).into()];
        let response = self.respond(now, from, &server, &invite, 200, &fields, &body);
        self.await_ack(now, key, response);
        self.tell(key, CallEvent::Answered { to_tag });
    }

    pub(super) fn refuse(&mut self, now: Instant, key: CallKey, status: u16) {
        self.decline(now, key, status, &[]);
    }

    fn redirect(&mut self, now: Instant, key: CallKey, uri: &str) {
        self.decline(now, key, 302, &[rsip::headers::Contact::from(format!("<{uri}>")).into()]);
    }

    fn decline(&mut self, now: Instant, key: CallKey, status: u16, fields: &[Header]) {
        let Some((server, invite, from)) = self.ringing(key) else { return };
        self.respond(now, from, &server, &invite, status, fields, &[]);
        self.close_call(now, key);
        self.tell(key, CallEvent::Declined { status });
    }

    fn progress(&mut self, now: Instant, key: CallKey, status: u16) {
        let Some((server, invite, from)) = self.ringing(key) else { return };
        let body = match status {
            183 => text::session_description(self.identity.address, 1, "sendrecv"),
            _ => vec![],
        };
        let contact: Vec<Header> = if status > 100 { vec![self.own_contact()] } else { vec![] };
        self.respond(now, from, &server, &invite, status, &contact, &body);
    }

    fn on_cancel(&mut self, now: Instant, from: SocketAddr, key: &ServerKey, cancel: &Reading) {
        let invite_key = ServerKey::new(cancel, Method::Invite);
        let reason = cancel.other("Reason");
        let Some(transaction) = self.servers.get_mut(&invite_key) else {
            // RFC 3261 §9.2: nothing to cancel.
            self.respond(now, from, key, cancel, 481, &[], &[]);
            return;
        };
        let call = transaction.call;
        if let ServerState::Mute = transaction.state {
            if let Some(transaction) = self.servers.get_mut(key) {
                transaction.state = ServerState::Mute;
            }
            if let Some(call) = call {
                self.tell(call, CallEvent::Cancelled { reason });
            }
            return;
        }
        let ringing = call.and_then(|call| self.ringing(call).map(|parts| (call, parts)));
        if let Some((call, _)) = &ringing
            && self.calls.get(call).is_some_and(|call| call.behaviour.when_rung == WhenRung::AnswerDespiteCancel)
        {
            self.answer(now, *call);
            self.respond(now, from, key, cancel, 200, &[], &[]);
            return;
        }
        self.respond(now, from, key, cancel, 200, &[], &[]);
        if let Some((call, (server, invite, source))) = ringing {
            self.respond(now, source, &server, &invite, 487, &[], &[]);
            self.close_call(now, call);
            self.tell(call, CallEvent::Cancelled { reason });
        }
    }

    fn on_ack(&mut self, now: Instant, ack: &Reading) {
        let key = ServerKey::new(ack, Method::Ack);
        if let Some(transaction) = self.servers.get_mut(&key) {
            transaction.on_ack(now);
            if let Some(at) = transaction.deadline() {
                self.set_timer(at, Timer::Server(key));
            }
            return;
        }
        let Some(key) = self.call_of(ack) else { return };
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(sequence) = call.dialogs.first().and_then(|dialog| dialog.remote_sequence) else { return };
        let CallState::Talking { unacked } = &mut call.state else { return };
        if ack.sequence != sequence {
            return;
        }
        let Some(acknowledged) = unacked.take() else { return };
        let talk = call.behaviour.hang_up_after;
        self.tell(key, CallEvent::AckReceived);
        if acknowledged.hang_up_wanted {
            self.hang_up(now, key);
        } else if let Some(talk) = talk {
            self.set_timer(now + talk, Timer::HangUp(key));
        }
    }

    /// Our 200 may have to be sent again, or given up.
    pub(super) fn on_unacked(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let CallState::Talking { unacked: Some(unacked) } = &mut call.state else { return };
        if unacked.give_up_at <= now {
            // RFC 3261 §13.3.1.4: the dialog is confirmed, but the session should be ended with a BYE.
            call.state = CallState::Talking { unacked: None };
            self.end_call(now, key, EndedBy::NoAck);
        } else if unacked.resend_at <= now {
            let again = unacked.on_resend(now);
            let at = unacked.deadline();
            self.send(again);
            self.set_timer(at, Timer::Unacked(key));
        }
    }

    fn on_request_in_dialog(&mut self, now: Instant, from: SocketAddr, key: &ServerKey, request: &Reading) {
        let call_key = self.call_of(request);
        let known = call_key.and_then(|call| self.calls.get_mut(&call).map(|entry| (call, entry)));
        let Some((call_key, call)) = known else {
            self.respond(now, from, key, request, 481, &[], &[]);
            return;
        };
        let state = call.state.clone();
        let Some(dialog) = call.dialogs.iter_mut().find(|dialog| dialog.remote_tag == request.from_tag) else {
            self.respond(now, from, key, request, 481, &[], &[]);
            return;
        };
        // RFC 3261 §12.2.2: out of order.
        if dialog.remote_sequence.is_some_and(|last| request.sequence <= last) {
            self.respond(now, from, key, request, 500, &[], &[]);
            return;
        }
        dialog.remote_sequence = Some(request.sequence);
        match request.method {
            Method::Bye => {
                let tag = request.from_tag.clone();
                self.respond(now, from, key, request, 200, &[], &[]);
                self.end_dialog(now, call_key, &tag, EndedBy::Remote);
            }
            Method::Invite => {
                // RFC 3261 §14.2: not while our own is out, nor before our last 200 is acknowledged.
                let pending = matches!(state, CallState::Talking { unacked: Some(_) }) || self.reinvites(call_key);
                if pending {
                    self.respond(now, from, key, request, 491, &[], &[]);
                    return;
                }
                self.refresh_target(call_key, request);
                let body = text::session_description(self.identity.address, request.sequence + 1, "recvonly");
                let fields = [self.own_contact(), rsip::headers::Allow::from(ALLOW).into()];
                let response = self.respond(now, from, key, request, 200, &fields, &body);
                self.await_ack(now, call_key, response);
                self.tell(call_key, CallEvent::ReinviteReceived);
            }
            Method::Update => {
                self.refresh_target(call_key, request);
                let fields = [self.own_contact()];
                self.respond(now, from, key, request, 200, &fields, &[]);
            }
            Method::Options | Method::Info => {
                self.respond(now, from, key, request, 200, &[], &[]);
            }
            Method::Ack
            | Method::Cancel
            | Method::Message
            | Method::Notify
            | Method::PRack
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe => {
                let fields = [rsip::headers::Allow::from(ALLOW).into()];
                self.respond(now, from, key, request, 405, &fields, &[]);
            }
        }
    }

    fn refresh_target(&mut self, call: CallKey, request: &Reading) {
        let Some(call) = self.calls.get_mut(&call) else { return };
        for dialog in call.dialogs.iter_mut().filter(|dialog| dialog.remote_tag == request.from_tag) {
            if let Some(contact) = &request.contact {
                dialog.target.clone_from(contact);
            }
        }
    }

    /// Whether a re-INVITE of ours in this call has no final response yet.
    fn reinvites(&self, key: CallKey) -> bool {
        use super::transaction::{ClientState, Purpose};
        self.clients.values().any(|transaction| {
            matches!(&transaction.purpose, Purpose::Reinvite { call, .. } if *call == key)
                && matches!(transaction.state, ClientState::Calling { .. } | ClientState::Proceeding { .. })
        })
    }

    fn await_ack(&mut self, now: Instant, key: CallKey, response: Datagram) {
        let unacked = Unacked::new(now, response);
        self.set_timer(unacked.deadline(), Timer::Unacked(key));
        if let Some(call) = self.calls.get_mut(&key) {
            call.state = CallState::Talking { unacked: Some(unacked) };
        }
    }

    fn ringing(&self, key: CallKey) -> Option<(ServerKey, Reading, SocketAddr)> {
        match &self.calls.get(&key)?.state {
            CallState::Ringing { server, invite, from } => Some((server.clone(), (**invite).clone(), *from)),
            CallState::Calling { .. } | CallState::Talking { .. } | CallState::Ending | CallState::Over => None,
        }
    }

    /// The call a request with a To tag belongs to.
    fn call_of(&self, request: &Reading) -> Option<CallKey> {
        let tag = request.to_tag.clone()?;
        self.dialogs.get(&(request.call_id.clone(), tag)).copied()
    }

    /// Sends a response in its transaction.
    #[allow(clippy::too_many_arguments)] // a response is exactly these: when, where, to what, and what it says
    fn respond(
        &mut self,
        now: Instant,
        from: SocketAddr,
        key: &ServerKey,
        request: &Reading,
        status: u16,
        fields: &[Header],
        body: &[u8],
    ) -> Datagram {
        // RFC 3261 §8.2.6.2: the same tag in every response to a request; §9.2: and in that to its CANCEL.
        let call = self.servers.get(key).and_then(|transaction| transaction.call);
        let tag = match call.and_then(|call| self.calls.get(&call)) {
            Some(call) => call.local_tag.clone(),
            None => self.naming.tag(),
        };
        let bytes = dialog::write_response(request, from, status, &tag, fields, body);
        let datagram = Datagram { to: request.reply_to(from), bytes };
        self.send(datagram.clone());
        if let Some(transaction) = self.servers.get_mut(key) {
            transaction.on_response(now, status, datagram.clone());
            if let Some(at) = transaction.deadline() {
                self.set_timer(at, Timer::Server(key.clone()));
            }
        }
        datagram
    }
}
