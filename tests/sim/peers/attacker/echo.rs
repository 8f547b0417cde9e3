//! REGISTERs that were accepted, once more: from their maker's own host by another port, as anybody behind the same NAT can send them, with
//! everything that the digest does not cover drawn anew. Only such as were answered 200 are taken: their count is spent. Credentials that
//! never arrived would prove whoever brings them first.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::super::dice::Dice;
use super::super::super::history::Datagram;
use super::super::super::text::{Message, Name};
use super::ask::{branch, word};
use super::overheard::with_value;

/// The most it remembers of either.
const KEPT: usize = 16;

/// Who made it, as seen from here; and what.
type Proof = (SocketAddr, Arc<Message>);

#[derive(Debug, Default)]
pub(super) struct Echoes {
    open: VecDeque<Proof>,
    spent: VecDeque<Proof>,
}

impl Echoes {
    /// Looks at whatever passes.
    pub(super) fn follow(&mut self, datagram: &Datagram) {
        let Some(message) = &datagram.message else { return };
        if message.is("REGISTER") && message.first(Name::Authorization).is_some() {
            keep(&mut self.open, (datagram.from, Arc::new(message.clone())));
        } else if message.status() == Some(200) {
            let is_it = |open: &Proof| {
                open.0 == datagram.to && open.1.call_id() == message.call_id() && open.1.cseq() == message.cseq()
            };
            if let Some(place) = self.open.iter().position(is_it)
                && let Some(proof) = self.open.remove(place)
            {
                keep(&mut self.spent, proof);
            }
        }
    }

    /// Where one comes from this time, and how it reads.
    pub(super) fn echo(&self, dice: &mut Dice) -> Option<(SocketAddr, Vec<u8>)> {
        let (maker, message) = self.spent.back()?;
        let port = 30_000 + dice.below(10_000) as u16;
        let source = SocketAddr::new(maker.ip(), port);
        let text = message.text(0..message.bytes.len()).to_owned();
        let mut text = text.replacen(message.branch()?, &branch(dice), 1);
        // From the last field on to the first, so that places stay what they are.
        let (number, method) = message.cseq().map(|(number, method)| (number, method.to_owned()))?;
        let (again, other_call, other_contact) = (dice.below(4), dice.thousandths(500), dice.thousandths(500));
        let mut change = |name: Name, value: &str| {
            let Some(read) = Message::read(&bytes::Bytes::from(text.clone())) else { return };
            text = with_value(&text, &read, name, value);
        };
        change(Name::CSeq, &format!("{} {method}", number + again as u32));
        if other_call {
            change(Name::CallId, &word(dice, 16));
        }
        if other_contact {
            change(Name::Contact, &format!("<sip:thief@{source}>;expires=3600"));
        }
        Some((source, text.into_bytes()))
    }
}

fn keep(among: &mut VecDeque<Proof>, proof: Proof) {
    if among.len() == KEPT {
        among.pop_front();
    }
    among.push_back(proof);
}
