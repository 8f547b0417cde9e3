//! Marks of everything around the calls: kills, clocks, disks, reloads, strangers, what the records say.

use std::collections::{BTreeMap, BTreeSet};

use switchboard::engine::{CallRecord, EndedBy};
use switchboard::routing::{AnswerCause, SkipReason};
use switchboard::state::{Change, Number, SavedHold};

use crate::history::{History, Nanos, Role, SECOND, What};
use crate::text::{Message, Name};

pub const ALL: [&str; 30] = [
    "kill",
    "kill inside a write of the journal",
    "kill while a phone rings",
    "kill while somebody talks",
    "call ended after a restart",
    "call cut off by a kill",
    "the process stood still over a timer",
    "datagrams waited while the process stood",
    "the wall's clock went back while somebody talks",
    "the wall's clock went forward while somebody talks",
    "reload while somebody talks",
    "reload while a phone rings",
    "a user who talks is removed",
    "broken configuration refused",
    "REGISTER waited for a disk that hangs",
    "a phone came back from another address",
    "old nonce refused as stale",
    "older REGISTER refused",
    "spent count refused to its maker's host",
    "wrong password of an attacker refused",
    "attacker met with silence",
    "broken message refused",
    "datagram cut or bent on its way",
    "datagram came back as undeliverable",
    "busy at another company",
    "line full",
    "waited too long",
    "called the one spoken with last",
    "company or trunk at its limit",
    "ended by max-call or session timer",
];

#[derive(Default)]
struct Operation<'a> {
    ringing: bool,
    talking: bool,
    holds: BTreeMap<String, (SavedHold, String)>,
    last: Number,
    stood: Option<Nanos>,
    registers: BTreeMap<(&'a str, u32), Nanos>,
    killed: bool,
}

pub fn reached(history: &History, reached: &mut BTreeSet<&'static str>) {
    let mut operation = Operation::default();
    let mut put: BTreeMap<u64, &[u8]> = BTreeMap::new();
    for (place, entry) in history.entries.iter().enumerate() {
        match &entry.what {
            What::Put(datagram) => drop(put.insert(datagram.id, &datagram.bytes)),
            What::Heard(datagram) => {
                if put.get(&datagram.id).is_some_and(|bytes| *bytes != datagram.bytes) {
                    reached.insert("datagram cut or bent on its way");
                }
                if operation.stood == Some(entry.at) {
                    reached.insert("datagrams waited while the process stood");
                }
                let answer = match history.entries.get(place + 1).map(|next| &next.what) {
                    Some(What::Sent(answer)) if answer.to == datagram.from => Some(answer),
                    _ => None,
                };
                let status = answer.and_then(|answer| answer.message.as_ref()?.status());
                let is_echo = history.role(datagram.from).is_none()
                    && datagram.message.as_ref().is_some_and(|message| message.is("REGISTER"));
                if is_echo && status.is_some_and(|status| status >= 400) {
                    reached.insert("spent count refused to its maker's host");
                }
                if matches!(history.role(datagram.from), Some(Role::Attacker(_))) && answer.is_none() {
                    reached.insert("attacker met with silence");
                }
                if let Some(message) = &datagram.message {
                    operation.heard(history, entry.at, datagram.from, message, reached);
                }
            }
            What::Sent(datagram) => {
                if let Some(message) = &datagram.message {
                    let to_attacker = matches!(history.role(datagram.to), Some(Role::Attacker(_)));
                    operation.sent(entry.at, message, to_attacker, reached);
                }
            }
            What::Changed(number, change) => operation.changed(*number, change),
            What::Fired => {
                if operation.stood == Some(entry.at) {
                    reached.insert("the process stood still over a timer");
                }
            }
            What::Undeliverable(_) => drop(reached.insert("datagram came back as undeliverable")),
            What::Refused(_) => drop(reached.insert("broken configuration refused")),
            What::Adopted(version) => operation.adopted(history, *version, reached),
            What::Recorded(record) => operation.recorded(record, reached),
            What::Killed => {
                operation.killed = true;
                reached.insert("kill");
                if operation.ringing {
                    reached.insert("kill while a phone rings");
                }
                if operation.talking {
                    reached.insert("kill while somebody talks");
                }
            }
            What::Started(saved, _) => {
                if saved.last < operation.last {
                    reached.insert("kill inside a write of the journal");
                }
                operation.last = saved.last;
                operation.registers.clear();
            }
            What::Stood(_) => operation.stood = Some(entry.at),
            What::ClockJumped(millis) if operation.talking => {
                reached.insert(if *millis < 0 {
                    "the wall's clock went back while somebody talks"
                } else {
                    "the wall's clock went forward while somebody talks"
                });
            }
            What::ClockJumped(_)
            | What::Delivered(_)
            | What::Durable(_)
            | What::Commanded(..)
            | What::Audited(..)
            | What::FaultsEnded
            | What::Defect(_) => {}
        }
    }
}

impl<'a> Operation<'a> {
    fn heard(
        &mut self,
        history: &History,
        at: Nanos,
        from: std::net::SocketAddr,
        message: &'a Message,
        reached: &mut BTreeSet<&'static str>,
    ) {
        if !message.is("REGISTER") {
            return;
        }
        if let Some((number, _)) = message.cseq() {
            self.registers.entry((message.call_id(), number)).or_insert(at);
        }
        if matches!(history.role(from), Some(Role::Phone(_))) && from.port() >= 20_000 {
            reached.insert("a phone came back from another address");
        }
    }

    fn sent(&mut self, at: Nanos, message: &Message, to_attacker: bool, reached: &mut BTreeSet<&'static str>) {
        let Some(status) = message.status() else { return };
        let challenge = message.first(Name::WwwAuthenticate).unwrap_or_default();
        if challenge.to_ascii_lowercase().contains("stale=true") {
            reached.insert("old nonce refused as stale");
        }
        if status == 400 {
            reached.insert("broken message refused");
        }
        if status == 401 && to_attacker {
            reached.insert("wrong password of an attacker refused");
        }
        if let Some((number, "REGISTER")) = message.cseq() {
            let heard = self.registers.get(&(message.call_id(), number));
            if status == 200 && heard.is_some_and(|heard| at >= heard + SECOND / 10) {
                reached.insert("REGISTER waited for a disk that hangs");
            }
            if status == 500 {
                reached.insert("older REGISTER refused");
            }
        }
    }

    fn changed(&mut self, number: Number, change: &Change) {
        self.last = number;
        let Change::Claim { person, claim } = change else { return };
        match claim {
            Some(claim) => self.holds.insert(person.to_string(), (claim.hold, claim.user.to_string())),
            None => self.holds.remove(&person.to_string()),
        };
        self.ringing = self.holds.values().any(|(hold, _)| *hold == SavedHold::Ringing);
        self.talking = self.holds.values().any(|(hold, _)| *hold == SavedHold::OnCall);
    }

    fn adopted(&self, history: &History, version: usize, reached: &mut BTreeSet<&'static str>) {
        if self.talking {
            reached.insert("reload while somebody talks");
        }
        if self.ringing {
            reached.insert("reload while a phone rings");
        }
        let model = &history.models[version];
        let is_gone = |user: &str| {
            user.split_once('@').is_some_and(|(extension, company)| {
                model.company(company).is_none_or(|company| company.user(extension).is_none())
            })
        };
        if self.holds.values().any(|(hold, user)| *hold == SavedHold::OnCall && is_gone(user)) {
            reached.insert("a user who talks is removed");
        }
    }

    fn recorded(&self, record: &CallRecord, reached: &mut BTreeSet<&'static str>) {
        match record.ended_by {
            EndedBy::CutOff => drop(reached.insert("call cut off by a kill")),
            EndedBy::MaxCall | EndedBy::SessionTimer => drop(reached.insert("ended by max-call or session timer")),
            EndedBy::Caller | EndedBy::Callee if self.killed => drop(reached.insert("call ended after a restart")),
            EndedBy::Caller
            | EndedBy::Callee
            | EndedBy::Refused
            | EndedBy::Cancelled
            | EndedBy::Unacknowledged
            | EndedBy::Restarted => {}
        }
        if record
            .decision
            .answer
            .as_ref()
            .is_some_and(|answer| matches!(answer.cause, AnswerCause::CompanyLimit | AnswerCause::TrunkLimit))
        {
            reached.insert("company or trunk at its limit");
        }
        for step in &record.decision.steps {
            match step.cause {
                Some(AnswerCause::Full) => drop(reached.insert("line full")),
                Some(AnswerCause::Timeout) => drop(reached.insert("waited too long")),
                Some(_) | None => {}
            }
            if step.sticky.is_some() {
                reached.insert("called the one spoken with last");
            }
            for member in &step.members {
                let elsewhere = member.evidence.as_deref().is_some_and(|evidence| {
                    record
                        .company
                        .as_ref()
                        .is_some_and(|own| evidence.starts_with("at ") && !evidence.contains(&own.to_string()))
                });
                if matches!(member.skip, Some(SkipReason::OnCall | SkipReason::Ringing)) && elsewhere {
                    reached.insert("busy at another company");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::hand::{Hand, model};

    /// A REGISTER from a host's other port, and what the daemon says to it.
    fn echo_told(status: u16) -> BTreeSet<&'static str> {
        let fields = "Via: SIP/2.0/UDP 198.51.100.1:30000;branch=z9hG4bK1\nCall-ID: boot-201\n\
                      From: <sip:201@one.example>;tag=a\nTo: <sip:201@one.example>\nCSeq: 2 REGISTER\n\n";
        let mut hand = Hand::new(vec![model()]);
        hand.heard("198.51.100.1:30000", &format!("REGISTER sip:one.example SIP/2.0\n{fields}"));
        hand.sent("198.51.100.1:30000", &format!("SIP/2.0 {status} Words\n{fields}"));
        let mut found = BTreeSet::new();
        reached(&hand.history, &mut found);
        found
    }

    #[test]
    fn a_spent_count_is_refused_where_the_answer_refuses() {
        let mark = "spent count refused to its maker's host";
        assert!(echo_told(401).contains(mark));
        assert!(!echo_told(200).contains(mark), "it was let in");
    }
}
