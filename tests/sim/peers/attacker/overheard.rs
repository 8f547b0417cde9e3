//! What an attacker has seen of others' messages, and what it makes of it: copies of whole requests, and messages for calls that are
//! not its own.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::super::dice::Dice;
use super::super::super::history::Datagram;
use super::super::super::text::{Message, Name};
use super::ask::{branch, word};

/// The most it remembers.
const KEPT: usize = 64;

/// The latest of what it has overheard.
#[derive(Debug, Default)]
pub(super) struct Overheard {
    messages: VecDeque<Arc<Message>>,
}

impl Overheard {
    pub(super) fn take(&mut self, datagram: &Datagram) {
        let Some(message) = &datagram.message else { return };
        if self.messages.len() == KEPT {
            self.messages.pop_front();
        }
        self.messages.push_back(Arc::new(message.clone()));
    }

    fn one(&self, dice: &mut Dice, wanted: impl Fn(&Message) -> bool) -> Option<Arc<Message>> {
        let fit: Vec<&Arc<Message>> = self.messages.iter().filter(|message| wanted(message)).collect();
        (!fit.is_empty()).then(|| Arc::clone(fit[dice.below(fit.len() as u64) as usize]))
    }

    /// A request as it was, or with one thing changed; `None` while nothing was overheard.
    pub(super) fn replay(&self, dice: &mut Dice, own: &str) -> Option<Vec<u8>> {
        let message = self.one(dice, |message| {
            ["REGISTER", "INVITE", "BYE", "ACK", "CANCEL"].into_iter().any(|method| message.is(method))
        })?;
        let text = message.text(0..message.bytes.len()).to_owned();
        Some(
            match dice.below(6) {
                0 | 1 => text,
                2 => with_value(&text, &message, Name::Contact, &format!("<sip:{own}>")),
                3 => {
                    let old = message.branch().unwrap_or_default().to_owned();
                    if old.is_empty() { text } else { text.replacen(&old, &branch(dice), 1) }
                }
                4 => {
                    let (number, method) = message.cseq().map(|(n, method)| (n, method.to_owned()))?;
                    let next = number.wrapping_add(1 + dice.below(3) as u32) & 0x7fff_ffff;
                    let text = with_value(&text, &message, Name::CSeq, &format!("{next} {method}"));
                    match message.branch() {
                        Some(old) => text.replacen(old, &branch(dice), 1),
                        None => text,
                    }
                }
                _ => match text.find("nc=0000000") {
                    Some(at) => {
                        let mut text = text;
                        text.replace_range(at + 10..=at + 10, dice.of(&["1", "2", "3", "9"]));
                        text
                    }
                    None => text,
                },
            }
            .into_bytes(),
        )
    }

    /// A message for a call of others', with the right Call-ID and more or less of the rest. `sent_by` is where it is from.
    pub(super) fn spoof(&self, dice: &mut Dice, sent_by: &str) -> Option<Vec<u8>> {
        let message = self.one(dice, |message| !message.call_id().is_empty() && message.cseq().is_some())?;
        let (number, method) = message.cseq().map(|(n, method)| (n, method.to_owned()))?;
        let (from, to) = (message.first(Name::From)?.to_owned(), message.first(Name::To)?.to_owned());
        // The ends as they are, the other way round, or with guessed tags.
        let (from, to) = match dice.below(4) {
            0 | 1 => (from, to),
            2 => (to, from),
            _ => (retagged(dice, &from), retagged(dice, &to)),
        };
        let call_id = message.call_id();
        let uri = message.request_uri().map_or_else(|| format!("sip:{sent_by}"), str::to_owned);
        let known = message.branch().unwrap_or_default().to_owned();
        let request = |branch: &str, number: u32, method: &str, sent_by: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};rport;branch={branch}\r\nMax-Forwards: 70\r\n\
                 From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:{sent_by}>\r\n\
                 Content-Length: 0\r\n\r\n"
            )
        };
        let text = match dice.below(8) {
            0 | 1 => request(&branch(dice), number + 1 + dice.below(5) as u32, "BYE", sent_by),
            // With the INVITE's own Via where it was overheard.
            2 | 3 => {
                let via = message.first(Name::Via).unwrap_or_default();
                let theirs = via.split(' ').nth(1).and_then(|rest| rest.split(';').next()).unwrap_or(sent_by);
                let branch = if dice.thousandths(700) && !known.is_empty() { known } else { branch(dice) };
                request(&branch, number, "CANCEL", if dice.thousandths(700) { theirs } else { sent_by })
            }
            4 => request(&branch(dice), number, "ACK", sent_by),
            5 => {
                let method = dice.of(&["INVITE", "UPDATE", "INFO", "REFER", "NOTIFY"]);
                request(&branch(dice), number + 1, method, sent_by)
            }
            _ => self.spoofed_response(dice, &message, &from, &to, number, &method)?,
        };
        Some(text.into_bytes())
    }

    /// A response to a request of the daemon's, under a branch that is nearly right. An overheard branch itself makes a message the
    /// response: RFC 3261 §17.1.3 knows it by branch and CSeq method alone, wherever it comes from.
    fn spoofed_response(
        &self,
        dice: &mut Dice,
        message: &Message,
        from: &str,
        to: &str,
        number: u32,
        method: &str,
    ) -> Option<String> {
        let via = message.first(Name::Via)?;
        let via = match message.branch() {
            Some(known) if known.len() > 8 && known.is_ascii() => {
                let at = 7 + dice.below(known.len() as u64 - 7) as usize;
                let mut near = known.to_owned();
                near.replace_range(at..=at, if known[at..].starts_with('a') { "b" } else { "a" });
                via.replacen(known, &near, 1)
            }
            _ => format!("SIP/2.0/UDP 127.0.0.1;branch={}", branch(dice)),
        };
        let to = match super::super::super::text::tag(to) {
            Some(_) => to.to_owned(),
            None => format!("{to};tag={}", word(dice, 8)),
        };
        let status = dice.of(&["180 Ringing", "200 OK", "404 Not Found", "486 Busy Here", "487 Gone", "603 Decline"]);
        Some(format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            message.call_id()
        ))
    }

    /// A Call-ID that was overheard.
    pub(super) fn call_id(&self, dice: &mut Dice) -> Option<String> {
        let message = self.one(dice, |message| !message.call_id().is_empty())?;
        Some(message.call_id().to_owned())
    }
}

/// A From or To value with another tag.
fn retagged(dice: &mut Dice, value: &str) -> String {
    let bare = value.split(";tag=").next().unwrap_or_default();
    format!("{bare};tag={}", word(dice, 8))
}

/// The text with the value of the first line of that name replaced.
pub(super) fn with_value(text: &str, message: &Message, name: Name, value: &str) -> String {
    let mut text = text.to_owned();
    // Of what is no UTF-8 there is no text.
    if let Some(field) =
        message.fields.iter().find(|field| field.name == name && text.get(field.value.clone()).is_some())
    {
        text.replace_range(field.value.clone(), value);
    }
    text
}
