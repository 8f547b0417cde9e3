//! The calls a peer takes: ringing, answering, refusing, and everything a phone gets wrong in that.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::super::dice::Dice;
use super::super::history::{Nanos, SECOND};
use super::super::text::Message;
use super::agent::Agent;
use super::call::{Act, Call, Callee, Part};
use super::dialog::{Dialog, Session};
use super::plan::{CalleePlan, Despite, End, Which};
use super::style::{Response, description};
use super::together::{Side, Together, sum};
use super::transaction::{PATIENCE, Purpose, Server};
use super::{Post, wire};

/// How long a phone rings at most.
const RINGS: Nanos = 300 * SECOND;

impl Agent {
    /// A new INVITE.
    pub fn on_new_call(&mut self, now: Nanos, source: SocketAddr, invite: &Message, sent_by: &str, post: &mut Post) {
        let mut server = Server::new(invite.clone(), source, sent_by);
        let call_id = invite.call_id();
        // RFC 3261 §8.2.2.2: the same request by another way, while the first is not decided.
        let merged = self.servers.iter().any(|one| {
            let same = one.is_invite && one.asked.call_id() == call_id && one.asked.from_tag() == invite.from_tag();
            same && one.asked.cseq() == invite.cseq() && !one.has_final() && one.dialog.is_none()
        });
        let name = sum(call_id) ^ sum(&self.extension).rotate_left(17) ^ (self.index as u64).rotate_left(41);
        let mut dice = Dice::of_their_own(self.seed, self.kind.callee(), name);
        if merged {
            let tag = format!("{:x}", dice.roll());
            self.respond_once(now, &mut server, 482, &tag, "", post);
            self.servers.push(server);
            return;
        }
        let plan = if self.well {
            CalleePlan::polite(&mut dice)
        } else {
            CalleePlan::drawn(&mut dice, &self.faults, Together::of(self.seed, call_id))
        };
        // What follows is named for this INVITE: the same phone may be offered the same call twice, and those are two dialogs.
        let mut dice = Dice::of_their_own(self.seed, "callee names", name ^ sum(&server.branch));
        let tags = (0..plan.tags.max(2)).map(|_| format!("{:x}", dice.roll() >> dice.below(40))).collect();
        let body = description(&mut dice, self.address);
        let mut call = Call {
            key: self.key(),
            number: None,
            dice,
            call_id: call_id.to_owned(),
            agenda: Vec::new(),
            dialogs: Vec::new(),
            answered: false,
            decided: false,
            dead: plan.silent,
            part: Part::Callee(Callee { tags, body, rings: false, acked: false, plan: plan.clone() }),
        };
        server.call = Some(call.key);
        if plan.silent {
            server.forget_at(now + PATIENCE);
        } else {
            let rings = plan.ring.unwrap_or_default();
            if plan.trying {
                self.provisional(now, &mut server, &call, 100, 0, post);
            }
            call.agenda.extend(plan.ring.map(|after| (now + after, Act::Ring)));
            match plan.end {
                End::Never => {}
                End::Answer(after) => call.plan(now + rings + after, Act::Answer(0)),
                End::Refuse(status, after) => call.plan(now + rings + after, Act::Refuse(status)),
            }
            call.plan(now + RINGS, Act::Refuse(480));
            call.agenda.extend(plan.registers.map(|after| (now + rings + after, Act::RegisterAgain)));
        }
        self.servers.push(server);
        // What is due at once (`at_once`) happens now.
        while call.deadline().is_some_and(|at| at <= now) {
            if let Some(act) = call.due(now) {
                self.act(now, &mut call, act, post);
            }
        }
        self.put(call);
    }

    /// The place of a call's INVITE.
    fn invite_of(&self, call: &Call) -> Option<usize> {
        self.servers
            .iter()
            .position(|server| server.call == Some(call.key) && server.is_invite && server.dialog.is_none())
    }

    fn provisional(&self, now: Nanos, server: &mut Server, call: &Call, status: u16, tag: usize, post: &mut Post) {
        let Part::Callee(callee) = &call.part else { return };
        let bend = callee.plan.bent.filter(|(which, _)| *which != Which::Final).map(|(_, bend)| bend);
        let tag = callee.tags[tag].as_str();
        let contact = format!("<{}>", self.contact);
        let bytes = self.style.response(
            &server.asked,
            server.source,
            &Response {
                status,
                tag: (status > 100).then_some(tag),
                contact: (status > 100).then_some(contact.as_str()),
                lines: "",
                body: if status == 183 { &callee.body } else { "" },
                bend: bend.filter(|_| status > 100),
            },
        );
        post.send(self.address, server.source, bytes.clone());
        server.on_sent(now, status, tag, bytes);
    }

    pub fn ring(&mut self, now: Nanos, call: &mut Call, post: &mut Post) {
        let Some(place) = self.invite_of(call) else { return };
        let Part::Callee(callee) = &mut call.part else { return };
        if call.decided {
            return;
        }
        callee.rings = true;
        let status = if callee.plan.early_media { 183 } else { 180 };
        let tags = callee.plan.tags;
        call.plan(now + 60 * SECOND, Act::RingAgain);
        let mut server = self.servers.swap_remove(place);
        for tag in 0..tags {
            self.provisional(now, &mut server, call, status, tag as usize, post);
        }
        self.servers.push(server);
    }

    /// 200 under one of its tags.
    pub fn answer(&mut self, now: Nanos, call: &mut Call, which: usize, post: &mut Post) {
        let Some(place) = self.invite_of(call) else { return };
        let Part::Callee(callee) = &call.part else { return };
        if call.decided && (which == 0 || !call.answered) {
            return;
        }
        let (plan, tag, body) = (callee.plan.clone(), callee.tags[which].clone(), callee.body.clone());
        let mut server = self.servers.swap_remove(place);
        let mut dialog = Dialog::answering(&server.asked, &tag, 1 + call.dice.below(10_000) as u32);
        let mut lines = String::from("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n");
        dialog.session = self.agree(&server.asked, plan.session, plan.timer, &mut lines);
        let bend = plan.bent.filter(|(which, _)| *which != Which::Provisional).map(|(_, bend)| bend);
        let contact = format!("<{}>", self.contact);
        let bytes = self.style.response(
            &server.asked,
            server.source,
            &Response { status: 200, tag: Some(&tag), contact: Some(&contact), lines: &lines, body: &body, bend },
        );
        post.send(self.address, server.source, bytes.clone());
        server.on_sent(now, 200, &tag, bytes);
        self.servers.push(server);
        let at = call.dialogs.len();
        call.dialogs.push(dialog);
        self.watch_session(now, call, at);
        if call.answered {
            return;
        }
        call.answered = true;
        call.decided = true;
        call.drop_acts(|act| matches!(act, Act::Ring | Act::RingAgain | Act::Refuse(_) | Act::Answer(_)));
        call.agenda.extend(plan.second.map(|after| (now + after, Act::Answer(1))));
        call.plan(now + plan.leaves, Act::HangUp);
        call.agenda.extend(plan.dies.map(|after| (now + after, Act::Die)));
        call.agenda.extend(plan.reinvite.map(|after| (now + after, Act::Reinvite(at))));
        let holds = Together::of(self.seed, &call.call_id);
        call.agenda.extend(holds.of_side(Side::Callee).map(|after| (now + after, Act::Reinvite(at))));
    }

    /// RFC 4028 §9: what is said of a session timer to who asks.
    pub fn agree(&self, asked: &Message, own: Option<u64>, timer: bool, lines: &mut String) -> Option<Session> {
        match wire::session(asked) {
            Some((seconds, refresher)) if timer => {
                let refresher = refresher.unwrap_or("uac");
                let require = if refresher == "uac" { "Require: timer\r\n" } else { "" };
                let _ = write!(lines, "{require}Session-Expires: {seconds};refresher={refresher}\r\n");
                Some(Session { seconds: seconds.max(90), mine: refresher == "uas" })
            }
            Some(_) => None,
            None => {
                let seconds = own?;
                let _ = write!(lines, "Session-Expires: {seconds};refresher=uas\r\n");
                Some(Session { seconds: seconds.max(90), mine: true })
            }
        }
    }

    pub fn refuse(&mut self, now: Nanos, call: &mut Call, status: u16, post: &mut Post) {
        let Some(place) = self.invite_of(call) else { return };
        let Part::Callee(callee) = &call.part else { return };
        if call.decided {
            return;
        }
        let tag = callee.tags[0].clone();
        let bend = callee.plan.bent.filter(|(which, _)| *which != Which::Provisional).map(|(_, bend)| bend);
        let contact = "<sip:elsewhere@192.0.2.99>";
        let lines = if status == 503 { "Retry-After: 5\r\n" } else { "" };
        let server = &mut self.servers[place];
        let contact = (status == 302).then_some(contact);
        let bytes = self.style.response(
            &server.asked,
            server.source,
            &Response { status, tag: Some(&tag), contact, lines, body: "", bend },
        );
        post.send(self.address, server.source, bytes.clone());
        server.on_sent(now, status, &tag, bytes);
        call.decided = true;
        call.agenda.clear();
    }

    /// CANCEL of an INVITE that is here.
    pub fn on_cancel(&mut self, now: Nanos, source: SocketAddr, cancel: &Message, sent_by: &str, post: &mut Post) {
        let branch = cancel.branch().unwrap_or_default();
        let found = self.servers.iter().find(|one| one.is_invite && one.branch == branch && one.sent_by == sent_by);
        let mut server = Server::new(cancel.clone(), source, sent_by);
        let Some(key) = found.map(|invite| invite.call) else {
            let tag = format!("{:x}", sum(branch));
            self.respond_once(now, &mut server, 481, &tag, "", post);
            self.servers.push(server);
            return;
        };
        let Some(mut call) = key.and_then(|key| self.take(key)) else {
            // A merged copy, refused already.
            let tag = format!("{:x}", sum(branch));
            self.respond_once(now, &mut server, 200, &tag, "", post);
            self.servers.push(server);
            return;
        };
        if call.dead {
            return self.put(call);
        }
        let (tag, despite) = match &call.part {
            Part::Callee(callee) => (callee.tags[0].clone(), callee.plan.despite),
            Part::Caller(_) => (format!("{:x}", sum(branch)), Despite::No),
        };
        let despite = if self.well { Despite::No } else { despite };
        if despite == Despite::Before {
            self.answer(now, &mut call, 0, post);
        }
        self.respond_once(now, &mut server, 200, &tag, "", post);
        self.servers.push(server);
        match despite {
            Despite::No => self.refuse(now, &mut call, 487, post),
            Despite::Before => {}
            Despite::After(after) if !call.decided => {
                call.drop_acts(|act| matches!(act, Act::Answer(_) | Act::Refuse(_)));
                call.plan(now + after, Act::Answer(0));
            }
            Despite::After(_) => {}
        }
        self.put(call);
    }

    /// An ACK: of a failure by its branch, of a 2xx by its dialog.
    pub fn on_ack(&mut self, now: Nanos, ack: &Message, sent_by: &str) {
        let branch = ack.branch();
        let by_branch = |one: &Server| one.is_invite && Some(one.branch.as_str()) == branch && one.sent_by == sent_by;
        if let Some(server) = self.servers.iter_mut().find(|one| by_branch(one) && one.status >= 300) {
            server.on_ack(now, None);
            return;
        }
        let number = ack.cseq().map(|(number, _)| number);
        let found = self.servers.iter_mut().find(|one| {
            one.is_invite
                && (200..300).contains(&one.status)
                && one.asked.call_id() == ack.call_id()
                && one.asked.from_tag() == ack.from_tag()
                && one.asked.cseq().map(|(number, _)| number) == number
                && one.finals.iter().any(|answer| Some(answer.tag.as_str()) == ack.to_tag())
        });
        let Some(server) = found else { return };
        let (is_first, key) = (server.on_ack(now, ack.to_tag()), server.call);
        let Some(mut call) = key.filter(|_| is_first).and_then(|key| self.take(key)) else { return };
        if let Part::Callee(callee) = &mut call.part
            && !std::mem::replace(&mut callee.acked, true)
            && !call.dead
        {
            let plan = callee.plan.clone();
            call.agenda.extend(plan.hangs_up.map(|after| (now + after, Act::HangUp)));
            call.agenda.extend(plan.repeats.map(|(times, apart)| (now + apart, Act::RepeatAnswer(times, apart))));
        }
        self.put(call);
    }

    /// The 200 again although its ACK came.
    pub fn repeat_answer(&mut self, now: Nanos, call: &mut Call, times: u64, apart: Nanos, post: &mut Post) {
        let Some(place) = self.invite_of(call) else { return };
        let server = &self.servers[place];
        if let Some(answer) = server.finals.first() {
            post.send(self.address, server.source, answer.bytes.clone());
        }
        if times > 1 && !self.well {
            call.plan(now + apart, Act::RepeatAnswer(times - 1, apart));
        }
    }

    /// RFC 3261 §13.3.1.4: 2xx that nobody acknowledged: BYE.
    pub fn on_unacknowledged(&mut self, now: Nanos, server: &Server, tags: &[String], post: &mut Post) {
        let Some(mut call) = server.call.and_then(|key| self.take(key)) else { return };
        if !call.dead {
            for tag in tags {
                let found = call.dialogs.iter().position(|dialog| !dialog.over && dialog.tag == *tag);
                // In a dialog this peer began the tag of its answer is not its own; the dialog is known by its place.
                if let Some(dialog) = found.or(server.dialog).filter(|dialog| !call.dialogs[*dialog].over) {
                    self.ask_in_dialog(now, &mut call, dialog, Purpose::Bye, 0, post);
                }
            }
        }
        self.put(call);
    }
}
