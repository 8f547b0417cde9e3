//! What a user agent does as a caller, and to end a call from either side (RFC 3261 §9.1, §13.2, §14.1, §15.1.1).

use rsip::{Header, Method};

use super::Datagram;
use super::agent::{Agent, Invitation, client_key};
use super::call::{Call, CallState, Wish};
use super::dialog::{Dialog, Draft};
use super::event::{CallEvent, CallKey, EndedBy};
use super::text::{self, Reading};
use super::transaction::Purpose;
use super::trunk::Forks;
use crate::time::Instant;

/// What our INVITEs and 200s say we understand.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO";

impl Agent {
    /// Calls a URI from this agent's own address-of-record.
    pub(super) fn call_as_self(&mut self, now: Instant, uri: &str) -> CallKey {
        let from = format!("<{}>", self.address_of_record());
        self.call(now, Invitation { uri: uri.to_owned(), from, to: format!("<{uri}>"), fields: vec![] })
    }

    pub(super) fn call(&mut self, now: Instant, invitation: Invitation) -> CallKey {
        let Invitation { uri, from, to, fields } = invitation;
        let call_id = self.naming.call_id(&self.identity.address.ip().to_string());
        let local_tag = self.naming.tag();
        let mut all: Vec<Header> = vec![self.own_contact(), rsip::headers::Allow::from(ALLOW).into()];
        all.extend(fields.into_iter().map(|(name, value)| Header::Other(name, value)));
        let draft = Draft {
            method: Method::Invite,
            uri,
            call_id: call_id.clone(),
            from: format!("{from};tag={local_tag}"),
            to,
            sequence: 1,
            routes: vec![],
            fields: all,
            body: text::session_description(self.identity.address, 1, "sendrecv"),
            hop: self.identity.proxy,
        };
        let branch = self.naming.branch();
        let call = self.open_call(Call {
            call_id,
            local_tag,
            state: CallState::Calling { branch: branch.clone(), wish: Wish::Keep },
            dialogs: vec![],
            behaviour: self.behaviour.clone(),
        });
        self.send_request_as(now, draft, Purpose::Invite(call), branch, 0);
        call
    }

    /// Our INVITE was challenged and goes on under another branch.
    pub(super) fn on_invite_moved(&mut self, call: CallKey, branch: &str) {
        if let Some(Call { state: CallState::Calling { branch: known, .. }, .. }) = self.calls.get_mut(&call) {
            *known = branch.to_owned();
        }
    }

    pub(super) fn on_progress(&mut self, now: Instant, call: CallKey, status: u16, reading: &Reading) {
        let state = self.calls.get(&call).map(|call| &call.state);
        let Some(CallState::Calling { wish, .. }) = state else { return };
        let wish = *wish;
        self.tell(call, CallEvent::Progress { status, to_tag: reading.to_tag.clone() });
        if wish == Wish::CancelWhenHeard {
            self.send_cancel(now, call);
        }
    }

    /// A 2xx to an INVITE or re-INVITE of ours.
    pub(super) fn on_accepted(&mut self, now: Instant, key: &str, reading: &Reading) {
        let to_tag = reading.to_tag.clone().unwrap_or_default();
        let proxy = self.identity.proxy;
        let Some(transaction) = self.clients.get_mut(key) else { return };
        if let Some(ack) = transaction.on_accepted(now, &to_tag) {
            self.send(ack);
            return;
        }
        let (draft, credentials) = (transaction.draft.clone(), transaction.credentials.clone());
        let purpose = transaction.purpose.clone();
        self.rewatch_client(key);
        let (call, dialog) = match &purpose {
            Purpose::Invite(call) => (*call, Some(Dialog::of_caller(&draft, reading))),
            Purpose::Reinvite { call, remote_tag } => {
                let dialogs = self.calls.get_mut(call).map(|call| call.dialogs.as_mut_slice()).unwrap_or_default();
                let dialog = dialogs.iter_mut().find(|dialog| dialog.remote_tag == *remote_tag);
                // RFC 3261 §12.2.1.2: a target refresh.
                let refreshed = dialog.map(|dialog| {
                    dialog.target = reading.contact.clone().unwrap_or_else(|| dialog.target.clone());
                    dialog.clone()
                });
                (*call, refreshed)
            }
            Purpose::Register | Purpose::Bye { .. } | Purpose::Cancel | Purpose::Options => return,
        };
        let Some(dialog) = dialog else { return };
        let branch = self.naming.branch();
        // RFC 3261 §22.1: the ACK carries the credentials its INVITE was let in with.
        let ack = dialog.acknowledge(draft.sequence, proxy);
        let datagram = Datagram { to: ack.hop, bytes: ack.write(&self.via(&branch), &credentials) };
        self.send(datagram.clone());
        if let Some(transaction) = self.clients.get_mut(key) {
            transaction.keep_ack(&to_tag, datagram);
        }
        match purpose {
            Purpose::Reinvite { .. } => self.tell(call, CallEvent::Reinvited { status: 200 }),
            _ => self.on_dialog(now, call, dialog),
        }
    }

    /// An INVITE of ours made a dialog, already acknowledged.
    fn on_dialog(&mut self, now: Instant, key: CallKey, dialog: Dialog) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let to_tag = dialog.remote_tag.clone();
        call.dialogs.push(dialog);
        match &call.state {
            CallState::Calling { wish, .. } => {
                let wish = *wish;
                call.state = CallState::Talking { unacked: None };
                self.tell(key, CallEvent::Answered { to_tag });
                if wish != Wish::Keep {
                    self.hang_up(now, key);
                }
            }
            CallState::Talking { .. } => {
                self.tell(key, CallEvent::Forked { to_tag: to_tag.clone() });
                match self.forks {
                    Forks::HangUp => self.send_bye(now, key, &to_tag, EndedBy::Us),
                    Forks::Keep => {}
                }
            }
            CallState::Ending | CallState::Over => {
                self.tell(key, CallEvent::Forked { to_tag: to_tag.clone() });
                self.send_bye(now, key, &to_tag, EndedBy::Us);
            }
            CallState::Ringing { .. } => {}
        }
    }

    pub(super) fn on_refused(&mut self, now: Instant, call: CallKey, status: u16, reading: &Reading) {
        let reason = reading.other("Reason");
        let retry_after = reading.headers().iter().find_map(|header| match header {
            Header::RetryAfter(value) => {
                let text = rsip::headers::UntypedHeader::value(value);
                text.split([' ', ';', '(']).next()?.parse().ok()
            }
            _ => None,
        });
        if self.calls.get(&call).is_some_and(|call| matches!(call.state, CallState::Calling { .. })) {
            self.close_call(now, call);
            self.tell(call, CallEvent::Refused { status, reason, retry_after });
        }
    }

    pub(super) fn on_invite_unanswered(&mut self, now: Instant, call: CallKey) {
        if self.calls.get(&call).is_some_and(|call| matches!(call.state, CallState::Calling { .. })) {
            self.close_call(now, call);
            self.tell(call, CallEvent::TimedOut);
        }
    }

    pub(super) fn cancel(&mut self, now: Instant, key: CallKey) {
        let Some(Call { state: CallState::Calling { branch, wish }, .. }) = self.calls.get_mut(&key) else { return };
        if *wish != Wish::Keep {
            return;
        }
        *wish = Wish::CancelWhenHeard;
        let heard = self
            .clients
            .get(&client_key(branch, Method::Invite))
            .is_some_and(|transaction| matches!(transaction.state, super::transaction::ClientState::Proceeding { .. }));
        if heard {
            self.send_cancel(now, key);
        }
    }

    fn send_cancel(&mut self, now: Instant, key: CallKey) {
        let Some(Call { state: CallState::Calling { branch, wish }, .. }) = self.calls.get_mut(&key) else { return };
        *wish = Wish::Cancelled;
        let branch = branch.clone();
        let invite = client_key(&branch, Method::Invite);
        let Some(transaction) = self.clients.get_mut(&invite) else { return };
        transaction.on_cancelled(now);
        let draft = transaction.draft.cancel();
        self.rewatch_client(&invite);
        self.send_request_as(now, draft, Purpose::Cancel, branch, 0);
    }

    pub(super) fn hang_up(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let CallState::Talking { unacked } = &mut call.state else { return };
        if let Some(unacked) = unacked {
            unacked.hang_up_wanted = true;
            return;
        }
        self.end_call(now, key, EndedBy::Us);
    }

    /// BYE for every dialog.
    pub(super) fn end_call(&mut self, now: Instant, key: CallKey, by: EndedBy) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.state = CallState::Ending;
        let tags: Vec<String> = call.dialogs.iter().map(|dialog| dialog.remote_tag.clone()).collect();
        for tag in tags {
            self.send_bye(now, key, &tag, by);
        }
    }

    fn send_bye(&mut self, now: Instant, key: CallKey, remote_tag: &str, by: EndedBy) {
        let proxy = self.identity.proxy;
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(dialog) = call.dialogs.iter_mut().find(|dialog| dialog.remote_tag == remote_tag) else { return };
        let draft = dialog.request(Method::Bye, proxy);
        self.send_request(now, draft, Purpose::Bye { call: key, remote_tag: remote_tag.to_owned(), by });
    }

    pub(super) fn on_bye_answered(&mut self, now: Instant, key: CallKey, remote_tag: &str, by: EndedBy, status: u16) {
        // RFC 3261 §15: whatever the answer, the dialog is over for whoever sent the BYE.
        let by = if (200..300).contains(&status) || by == EndedBy::NoAck { by } else { EndedBy::NoAnswerToBye };
        self.end_dialog(now, key, remote_tag, by);
    }

    /// A dialog is over; with the last one, the call.
    pub(super) fn end_dialog(&mut self, now: Instant, key: CallKey, remote_tag: &str, by: EndedBy) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let before = call.dialogs.len();
        call.dialogs.retain(|dialog| dialog.remote_tag != remote_tag);
        if call.dialogs.len() == before {
            return;
        }
        let (last, alive) = (call.dialogs.is_empty(), call.is_alive());
        self.tell(key, CallEvent::Ended { by });
        if last && alive {
            self.close_call(now, key);
        }
    }

    /// A re-INVITE that puts the call on hold, in the first of its dialogs that is not being ended.
    pub(super) fn reinvite(&mut self, now: Instant, key: CallKey) {
        let (proxy, address, contact) = (self.identity.proxy, self.identity.address, self.own_contact());
        let ending: Vec<String> = self
            .clients
            .values()
            .filter_map(|transaction| match &transaction.purpose {
                Purpose::Bye { call, remote_tag, .. } if *call == key => Some(remote_tag.clone()),
                _ => None,
            })
            .collect();
        let Some(call) = self.calls.get_mut(&key) else { return };
        let CallState::Talking { .. } = call.state else { return };
        let Some(dialog) = call.dialogs.iter_mut().find(|dialog| !ending.contains(&dialog.remote_tag)) else { return };
        let mut draft = dialog.request(Method::Invite, proxy);
        draft.fields = vec![contact, rsip::headers::Allow::from(ALLOW).into()];
        draft.body = text::session_description(address, draft.sequence + 1, "sendonly");
        let remote_tag = dialog.remote_tag.clone();
        self.send_request(now, draft, Purpose::Reinvite { call: key, remote_tag });
    }

    /// An OPTIONS to the outbound proxy.
    pub(super) fn ping(&mut self, now: Instant) {
        let host = self.identity.address.ip().to_string();
        let draft = Draft {
            method: Method::Options,
            uri: format!("sip:{}", self.identity.proxy),
            call_id: self.naming.call_id(&host),
            from: format!("<{}>;tag={}", self.address_of_record(), self.naming.tag()),
            to: format!("<sip:{}>", self.identity.proxy),
            sequence: 1,
            routes: vec![],
            fields: vec![self.own_contact()],
            body: vec![],
            hop: self.identity.proxy,
        };
        self.send_request(now, draft, Purpose::Options);
    }

    pub(super) fn own_contact(&self) -> Header {
        rsip::headers::Contact::from(self.contact()).into()
    }
}
