//! The calls a peer makes: INVITE, its retries with credentials, giving up, answers of all kinds.

use std::fmt::Write as _;

use super::super::dice::Dice;
use super::super::history::{MILLISECOND, Nanos};
use super::super::text::Message;
use super::agent::Agent;
use super::call::{Act, Call, Caller, Cancel, Outcome, Part};
use super::dialog::Dialog;
use super::plan::{CallerPlan, LATE_ZERO};
use super::style::{Request, description};
use super::together::{Side, Together};
use super::transaction::{Client, Purpose};
use super::{PlannedCall, Post, wire};

/// A call about to be made.
pub struct Dialling {
    pub plan: CallerPlan,
    pub dice: Dice,
    pub call_id: String,
    pub uri: String,
    /// Without the tag.
    pub from: String,
    pub to: String,
    /// More header lines.
    pub lines: String,
}

impl Agent {
    pub fn dial(&mut self, now: Nanos, planned: &PlannedCall, dialling: Dialling, post: &mut Post) {
        let Dialling { plan, mut dice, call_id, uri, from, to, mut lines } = dialling;
        let body = description(&mut dice, self.address);
        let from = format!("{from};tag={:x}", dice.roll());
        lines.push_str("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n");
        if plan.timer {
            lines.push_str("Supported: timer, replaces\r\n");
        }
        if let Some(seconds) = plan.session {
            let refresher = dice.of(&["", ";refresher=uac", ";refresher=uas"]);
            let _ = write!(lines, "Session-Expires: {seconds}{refresher}\r\nMin-SE: 90\r\n");
        }
        let mut agenda = vec![(now + planned.patience, Act::GiveUp)];
        agenda.extend(plan.cancel.map(|after| (now + after, Act::GiveUp)));
        agenda.extend(plan.merged.map(|after| (now + after, Act::Merged)));
        let cseq = 1 + dice.below(40_000) as u32;
        let caller = Caller {
            plan,
            uri,
            from,
            to,
            lines,
            body,
            cseq,
            branch: String::new(),
            began: now,
            round_trip: None,
            rings: false,
            cancel: Cancel::No,
            talk: planned.talk,
        };
        let mut call = Call {
            key: self.key(),
            number: Some(planned.number),
            dice,
            call_id,
            part: Part::Caller(caller),
            agenda,
            dialogs: Vec::new(),
            answered: false,
            decided: false,
            dead: false,
        };
        self.conclude(&call, Outcome::Calling);
        self.invite(now, &mut call, 0, post);
        self.put(call);
    }

    /// Sends the INVITE; with credentials where it was challenged, or where this peer has a nonce from before.
    pub fn invite(&mut self, now: Nanos, call: &mut Call, attempt: u8, post: &mut Post) {
        let (branch, cnonce) = (format!("z9hG4bK{}", call.name()), call.name());
        let Part::Caller(caller) = &mut call.part else { return };
        if attempt > 0 {
            caller.cseq += 1;
            // Given up between the challenge and this: the call ends here.
            if caller.cancel != Cancel::No {
                call.decided = true;
                call.agenda.clear();
                self.conclude(call, Outcome::Cancelled);
                return;
            }
        }
        let proof =
            if attempt > 0 || self.login.as_ref().is_some_and(|login| login.has_nonce() && self.registration.eager) {
                self.credentials(407, "INVITE", &caller.uri, &cnonce)
            } else {
                String::new()
            };
        let lines = format!("{proof}{}", caller.lines);
        let bytes = self.style.request(&Request {
            method: "INVITE",
            uri: &caller.uri,
            sent_by: &self.sent_by,
            branch: &branch,
            routes: &[],
            from: &caller.from,
            to: &caller.to,
            call_id: &call.call_id,
            cseq: caller.cseq,
            contact: Some(&format!("<{}>", self.contact)),
            lines: &lines,
            body: &caller.body,
        });
        caller.branch = branch;
        let mut client = Client::new(now, Purpose::Invite, self.registrar, bytes);
        client.call = Some(call.key);
        client.attempt = attempt;
        self.ask(now, client, post);
    }

    /// The same INVITE by another way (RFC 3261 §8.2.2.2).
    pub fn merge(&mut self, now: Nanos, call: &mut Call, post: &mut Post) {
        let other = format!("z9hG4bK{}", call.name());
        let Part::Caller(caller) = &call.part else { return };
        let Some(client) = self.clients.iter().find(|client| client.branch == caller.branch) else { return };
        let text = String::from_utf8_lossy(&client.sent.bytes).replacen(&caller.branch, &other, 1);
        let mut copy = Client::new(now, Purpose::Merged, client.to, text.into_bytes());
        copy.call = Some(call.key);
        self.ask(now, copy, post);
    }

    /// The INVITE leaves once more although its final response has come.
    pub fn repeat_invite(&self, call: &Call, post: &mut Post) {
        let Part::Caller(caller) = &call.part else { return };
        if let Some(client) = self.clients.iter().find(|client| client.branch == caller.branch) {
            post.send(self.address, client.to, client.sent.bytes.to_vec());
        }
    }

    pub fn on_progress(&mut self, now: Nanos, key: Option<u32>, status: u16, message: &Message, post: &mut Post) {
        let Some(mut call) = key.and_then(|key| self.take(key)) else { return };
        let Part::Caller(caller) = &mut call.part else { return self.put(call) };
        let is_current = message.branch() == Some(caller.branch.as_str());
        if call.dead || call.decided || !is_current {
            return self.put(call);
        }
        let round_trip = *caller.round_trip.get_or_insert(now - caller.began);
        let rings_now = status > 100 && status != 182 && !caller.rings;
        if rings_now {
            caller.rings = true;
        }
        let (wanted, late, rings) = (caller.cancel == Cancel::Wanted, caller.plan.cancel_late, caller.rings);
        if rings_now && let Some(late) = late {
            // A 180 took half the round trip from the daemon; a CANCEL takes as long. What is answered `answer` after its
            // 180 is answered at the daemon when a CANCEL that leaves now + answer - round_trip comes there.
            let thought = Together::of(self.seed, &call.call_id).answer;
            let answer = thought.unwrap_or_else(|| (300 + call.dice.below(5_700)) * MILLISECOND);
            let at = (now + answer + late).saturating_sub(round_trip + LATE_ZERO);
            call.plan(at.max(now), Act::GiveUp);
        }
        if rings {
            self.conclude(&call, Outcome::Ringing);
        }
        if wanted {
            self.send_cancel(now, &mut call, post);
        }
        self.put(call);
    }

    /// The caller wants its call no more: CANCEL, now or as soon as there is a provisional response.
    pub fn give_up(&mut self, now: Nanos, call: &mut Call, post: &mut Post) {
        let Part::Caller(caller) = &mut call.part else { return };
        if call.decided || caller.cancel != Cancel::No {
            return;
        }
        caller.cancel = Cancel::Wanted;
        let branch = &caller.branch;
        let open = self.clients.iter().find(|client| client.branch == *branch && client.purpose == Purpose::Invite);
        if open.is_some_and(|client| client.standing == super::transaction::Standing::Proceeding) {
            self.send_cancel(now, call, post);
        }
    }

    fn send_cancel(&mut self, now: Nanos, call: &mut Call, post: &mut Post) {
        let Part::Caller(caller) = &mut call.part else { return };
        let branch = &caller.branch;
        let found = self.clients.iter_mut().find(|one| one.branch == *branch && one.purpose == Purpose::Invite);
        let Some(invite) = found.filter(|invite| invite.is_open()) else { return };
        caller.cancel = Cancel::Sent;
        invite.on_cancelled(now);
        let (bytes, to) = (self.style.cancel(&invite.sent), invite.to);
        let mut client = Client::new(now, Purpose::Cancel, to, bytes);
        client.call = Some(call.key);
        self.ask(now, client, post);
    }

    pub fn on_invite_timed_out(&mut self, call: &mut Call) {
        if call.decided {
            return;
        }
        call.decided = true;
        call.agenda.clear();
        let outcome = if Agent::is_cancelled(call) { Outcome::Cancelled } else { Outcome::TimedOut };
        self.conclude(call, outcome);
    }

    pub fn on_invite_final(
        &mut self,
        now: Nanos,
        call: &mut Call,
        purpose: Purpose,
        status: u16,
        message: &Message,
        post: &mut Post,
    ) {
        if status < 300 {
            self.on_answer(now, call, message, post);
            return;
        }
        if purpose == Purpose::Merged || call.decided {
            return;
        }
        call.decided = true;
        call.agenda.clear();
        let Part::Caller(caller) = &call.part else { return };
        if let Some(after) = caller.plan.repeats_invite {
            call.plan(now + after, Act::RepeatInvite);
        }
        let outcome = match status {
            487 if Agent::is_cancelled(call) => Outcome::Cancelled,
            _ => Outcome::Refused(status),
        };
        self.conclude(call, outcome);
    }

    /// A 2xx: the first, a copy, or one under another tag.
    fn on_answer(&mut self, now: Nanos, call: &mut Call, message: &Message, post: &mut Post) {
        if let Some(known) = call.dialog_named(message.from_tag(), message.to_tag()) {
            self.send_ack(&call.dialogs[known], post);
            return;
        }
        let mut dialog = Dialog::calling(message);
        dialog.session = session(message);
        let (ack_branch, at) = (call.name(), call.dialogs.len());
        let Part::Caller(caller) = &mut call.part else { return };
        let (plan, talk) = (caller.plan.clone(), caller.talk);
        let is_wanted = caller.cancel == Cancel::No && !call.answered;
        call.dialogs.push(dialog);
        if !plan.no_ack {
            self.make_ack(&call.call_id, &mut call.dialogs[at], &ack_branch);
            self.send_ack(&call.dialogs[at], post);
        }
        if !is_wanted {
            // RFC 3261 §13.2.2.4: an answer nobody waits for any more is acknowledged and ended. A CANCEL that it
            // crossed has lost; the call counts as answered.
            if !call.answered && !call.decided {
                self.conclude(call, Outcome::Answered);
            }
            call.answered = true;
            call.decided = true;
            self.ask_in_dialog(now, call, at, Purpose::Bye, 0, post);
            return;
        }
        call.answered = true;
        call.decided = true;
        call.drop_acts(|act| matches!(act, Act::GiveUp | Act::Merged));
        self.conclude(call, Outcome::Answered);
        let together = Together::of(self.seed, &call.call_id);
        let hang_up = if plan.bye_together { together.hang_up.min(talk) } else { talk };
        call.plan(now + hang_up, Act::HangUp);
        if let Some(after) = plan.repeats_invite {
            call.plan(now + after, Act::RepeatInvite);
        }
        if let Some(after) = plan.reinvite {
            call.plan(now + after, Act::Reinvite(at));
        }
        call.agenda.extend(together.of_side(Side::Caller).map(|after| (now + after, Act::Reinvite(at))));
        if let Some(after) = plan.dies {
            call.plan(now + after, Act::Die);
        }
        self.watch_session(now, call, at);
    }

    /// A 2xx that no transaction knows any more.
    pub fn acknowledge_again(&mut self, message: &Message, post: &mut Post) {
        let found = self.calls.iter().filter(|call| !call.dead && call.call_id == message.call_id());
        let dialogs = found.flat_map(|call| &call.dialogs);
        let (local, remote) = (message.from_tag(), message.to_tag());
        if let Some(dialog) = dialogs.into_iter().find(|dialog| dialog.is_named(local, remote)) {
            self.send_ack(dialog, post);
        }
    }
}

/// RFC 4028 §7.2: what an answer says to who asked.
pub fn session(answer: &Message) -> Option<super::dialog::Session> {
    let (seconds, refresher) = wire::session(answer)?;
    Some(super::dialog::Session { seconds: seconds.max(90), mine: refresher != Some("uas") })
}
