//! What a peer does in a dialog of its own accord: ACK, BYE, re-INVITE, session refresh, dying. And everything on a call's agenda.

use std::fmt::Write as _;

use super::super::history::{MILLISECOND, Nanos, SECOND};
use super::super::text::Message;
use super::Post;
use super::agent::Agent;
use super::call::{Act, Call, Outcome, Part};
use super::caller::session;
use super::dialog::{Dialog, given_up};
use super::style::{Request, description};
use super::transaction::{Client, Purpose};

impl Agent {
    /// Does what a call's agenda says.
    pub fn act(&mut self, now: Nanos, call: &mut Call, act: Act, post: &mut Post) {
        match act {
            Act::Ring => self.ring(now, call, post),
            Act::RingAgain => self.ring(now, call, post),
            Act::Answer(which) => self.answer(now, call, which, post),
            Act::Refuse(status) => self.refuse(now, call, status, post),
            Act::GiveUp => self.give_up(now, call, post),
            Act::RepeatInvite => self.repeat_invite(call, post),
            Act::Merged => self.merge(now, call, post),
            Act::HangUp => self.hang_up(now, call, post),
            Act::SecondBye(dialog) => self.send_bye(now, call, dialog, 0, post),
            Act::Reinvite(dialog) if !call.dialogs[dialog].over => {
                self.ask_in_dialog(now, call, dialog, Purpose::Reinvite, 0, post);
            }
            Act::Refresh(dialog) if !call.dialogs[dialog].over => {
                let purpose = if call.dice.thousandths(500) { Purpose::Reinvite } else { Purpose::Update };
                self.ask_in_dialog(now, call, dialog, purpose, 0, post);
            }
            Act::SessionOut(dialog) if !call.dialogs[dialog].over => {
                self.ask_in_dialog(now, call, dialog, Purpose::Bye, 0, post);
            }
            Act::Reinvite(_) | Act::Refresh(_) | Act::SessionOut(_) => {}
            Act::Die if !self.well => self.die(call),
            Act::Die => {}
            Act::RegisterAgain => self.refresh_now(now, post),
            Act::RepeatAnswer(times, apart) => self.repeat_answer(now, call, times, apart, post),
        }
    }

    /// Falls silent in this call for ever: the dialog stays as it is, and nothing in it is answered.
    fn die(&mut self, call: &mut Call) {
        call.dead = true;
        call.agenda.clear();
        for server in self.servers.iter_mut().filter(|server| server.call == Some(call.key)) {
            for dialog in &call.dialogs {
                server.still(&dialog.tag);
                server.still(&dialog.remote_tag);
            }
        }
        self.clients.retain(|client| client.call != Some(call.key));
    }

    pub fn hang_up(&mut self, now: Nanos, call: &mut Call, post: &mut Post) {
        for dialog in 0..call.dialogs.len() {
            if !call.dialogs[dialog].over {
                self.ask_in_dialog(now, call, dialog, Purpose::Bye, 0, post);
                let second = match &call.part {
                    Part::Caller(caller) => caller.plan.second_bye.filter(|_| !self.well),
                    Part::Callee(_) => None,
                };
                call.agenda.extend(second.map(|after| (now + after, Act::SecondBye(dialog))));
            }
        }
    }

    /// A request inside a dialog. A BYE ends the dialog for this end at once (RFC 3261 §15.1.1).
    pub fn ask_in_dialog(
        &mut self,
        now: Nanos,
        call: &mut Call,
        dialog: usize,
        purpose: Purpose,
        attempt: u8,
        post: &mut Post,
    ) {
        if purpose == Purpose::Bye {
            self.on_dialog_over(call, dialog);
            self.send_bye(now, call, dialog, attempt, post);
            return;
        }
        let is_busy = self.clients.iter().any(|client| {
            let asks = matches!(client.purpose, Purpose::Reinvite | Purpose::Update) && client.is_open();
            asks && client.call == Some(call.key) && client.dialog == dialog
        });
        // RFC 3261 §14.1, RFC 3311 §5.1: one at a time, and no INVITE while another's is open. A little later then.
        if is_busy || self.answers_invite(call, dialog) {
            call.plan(now + SECOND, Act::Reinvite(dialog));
            return;
        }
        let mut lines = String::from("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n");
        if let Some(session) = call.dialogs[dialog].session {
            // Roles are those of this transaction: `uac` is who asks (RFC 4028 §7.4).
            let refresher = if session.mine { "uac" } else { "uas" };
            let seconds = session.seconds;
            let _ = write!(lines, "Supported: timer\r\nSession-Expires: {seconds};refresher={refresher}\r\n");
        }
        let body = match purpose {
            Purpose::Reinvite => description(&mut call.dice, self.address),
            _ => String::new(),
        };
        self.send_in_dialog(now, call, dialog, purpose, attempt, &lines, &body, post);
    }

    fn send_bye(&mut self, now: Nanos, call: &mut Call, dialog: usize, attempt: u8, post: &mut Post) {
        self.send_in_dialog(now, call, dialog, Purpose::Bye, attempt, "", "", post);
    }

    #[allow(clippy::too_many_arguments)] // the parts of the message
    fn send_in_dialog(
        &mut self,
        now: Nanos,
        call: &mut Call,
        at: usize,
        purpose: Purpose,
        attempt: u8,
        lines: &str,
        body: &str,
        post: &mut Post,
    ) {
        let (branch, cnonce) = (format!("z9hG4bK{}", call.name()), call.name());
        let dialog = &mut call.dialogs[at];
        dialog.cseq += 1;
        let method = purpose.method();
        let mut lines = lines.to_owned();
        if attempt > 0 {
            let proof = self.credentials(407, method, &dialog.target, &cnonce);
            lines.insert_str(0, &proof);
        }
        let contact = format!("<{}>", self.contact);
        let bytes = self.style.request(&Request {
            method,
            uri: &dialog.target,
            sent_by: &self.sent_by,
            branch: &branch,
            routes: &dialog.routes,
            from: &dialog.local,
            to: &dialog.remote,
            call_id: &call.call_id,
            cseq: dialog.cseq,
            contact: (purpose != Purpose::Bye).then_some(contact.as_str()),
            lines: &lines,
            body,
        });
        let mut client = Client::new(now, purpose, dialog.next(self.registrar), bytes);
        client.call = Some(call.key);
        client.dialog = at;
        client.attempt = attempt;
        self.ask(now, client, post);
    }

    /// Writes the ACK of the latest INVITE in a dialog, to be sent for every copy of its 2xx.
    pub fn make_ack(&self, call_id: &str, dialog: &mut Dialog, branch: &str) {
        let bytes = self.style.request(&Request {
            method: "ACK",
            uri: &dialog.target,
            sent_by: &self.sent_by,
            branch: &format!("z9hG4bK{branch}"),
            routes: &dialog.routes,
            from: &dialog.local,
            to: &dialog.remote,
            call_id,
            cseq: dialog.cseq,
            contact: None,
            lines: "",
            body: "",
        });
        dialog.ack = Some((dialog.cseq, bytes, dialog.next(self.registrar)));
    }

    pub fn send_ack(&self, dialog: &Dialog, post: &mut Post) {
        if let Some((_, bytes, to)) = &dialog.ack {
            post.send(self.address, *to, bytes.clone());
        }
    }

    /// Puts refreshing, or giving up on the other end, on the agenda.
    pub fn watch_session(&mut self, now: Nanos, call: &mut Call, at: usize) {
        call.drop_acts(|act| *act == Act::Refresh(at) || *act == Act::SessionOut(at));
        let Some(session) = call.dialogs[at].session else { return };
        if session.mine {
            call.plan(now + session.seconds * SECOND / 2, Act::Refresh(at));
        } else {
            call.plan(given_up(now, session), Act::SessionOut(at));
        }
    }

    /// A final response to a request inside a dialog.
    #[allow(clippy::too_many_arguments)] // what it is about, and what it says
    pub fn on_dialog_final(
        &mut self,
        now: Nanos,
        call: &mut Call,
        at: usize,
        purpose: Purpose,
        status: u16,
        message: &Message,
        post: &mut Post,
    ) {
        let is_over = call.dialogs[at].over;
        match (purpose, status) {
            (Purpose::Reinvite | Purpose::Update, 200..300) => {
                let is_copy = purpose == Purpose::Reinvite
                    && call.dialogs[at].ack.as_ref().map(|(number, ..)| *number)
                        == message.cseq().map(|(number, _)| number);
                if is_copy {
                    self.send_ack(&call.dialogs[at], post);
                    return;
                }
                if let Some(target) = super::wire::contact(message) {
                    call.dialogs[at].target = target;
                }
                if purpose == Purpose::Reinvite {
                    let branch = call.name();
                    // A later request may have used a higher number by now: the ACK has its INVITE's.
                    let number = message.cseq().map_or(call.dialogs[at].cseq, |(number, _)| number);
                    let latest = std::mem::replace(&mut call.dialogs[at].cseq, number);
                    self.make_ack(&call.call_id, &mut call.dialogs[at], &branch);
                    call.dialogs[at].cseq = latest;
                    self.send_ack(&call.dialogs[at], post);
                }
                if !is_over {
                    call.dialogs[at].session = session(message);
                    self.watch_session(now, call, at);
                }
            }
            // RFC 3261 §14.1: again after a while that depends on who owns the Call-ID.
            (Purpose::Reinvite | Purpose::Update, 491) if !is_over => {
                let least = if matches!(call.part, Part::Caller(_)) { 210 } else { 0 };
                let wait = (least + call.dice.below(200)) * 10 * MILLISECOND;
                call.plan(now + wait, Act::Reinvite(at));
            }
            // RFC 3261 §12.2.1.2.
            (Purpose::Reinvite | Purpose::Update, 408 | 481) if !is_over => {
                self.ask_in_dialog(now, call, at, Purpose::Bye, 0, post);
            }
            (_, _) => {}
        }
    }

    /// A dialog is over for this end.
    pub fn on_dialog_over(&mut self, call: &mut Call, at: usize) {
        if std::mem::replace(&mut call.dialogs[at].over, true) {
            return;
        }
        let tag = call.dialogs[at].tag.clone();
        for server in self.servers.iter_mut().filter(|server| server.call == Some(call.key)) {
            server.still(&tag);
        }
        call.drop_acts(|act| match act {
            Act::Reinvite(which) | Act::Refresh(which) | Act::SessionOut(which) => *which == at,
            _ => false,
        });
        if call.is_over() {
            call.drop_acts(|act| {
                !matches!(act, Act::RepeatInvite | Act::SecondBye(_) | Act::RepeatAnswer(..) | Act::Answer(_))
            });
            self.conclude(call, Outcome::Ended);
        }
    }
}
