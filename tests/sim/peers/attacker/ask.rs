//! A request as an attacker writes it, and what it needs to write one: fresh identifiers, names, User-Agents.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::super::super::dice::Dice;

/// A request from parts, each of which may be a lie.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: String,
    pub(super) uri: String,
    /// `SIP/2.0/UDP host:port;rport;branch=…`, as it will stand.
    pub(super) via: String,
    /// `<sip:…>;tag=…`
    pub(super) from: String,
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// Further header lines.
    pub(super) lines: Vec<String>,
    pub(super) body: String,
}

impl Ask {
    /// A request of its own, from `source`.
    pub(super) fn new(dice: &mut Dice, source: SocketAddr, method: &str, uri: &str, from: &str, to: &str) -> Ask {
        let tag = word(dice, 10);
        Ask {
            method: method.to_owned(),
            uri: uri.to_owned(),
            via: format!("SIP/2.0/UDP {source};rport;branch={}", branch(dice)),
            from: format!("<sip:{from}>;tag={tag}"),
            to: format!("<sip:{to}>"),
            call_id: format!("{}@{}", word(dice, 20), source.ip()),
            cseq: 1 + u32::try_from(dice.below(100)).unwrap_or_default(),
            lines: Vec::new(),
            body: String::new(),
        }
    }

    pub(super) fn line(mut self, line: impl Into<String>) -> Ask {
        self.lines.push(line.into());
        self
    }

    /// With what a phone of the shops writes: as long as those that get two challenges.
    pub(super) fn dressed(self, dice: &mut Dice) -> Ask {
        let agent = dice.of(&[
            "Zoiper rv2.10.20",
            "Yealink SIP-T46U 108.86.0.45",
            "Linphone/5.2 (belle-sip/5.3)",
            "MicroSIP/3.21",
        ]);
        self.line(format!("User-Agent: {agent}"))
            .line("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, INFO, UPDATE, MESSAGE")
            .line("Supported: path, outbound, gruu")
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} {} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n",
            self.method, self.uri, self.via, self.from, self.to, self.call_id, self.cseq, self.method
        );
        for line in &self.lines {
            let _ = write!(text, "{line}\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.text().into_bytes()
    }
}

/// So many letters and digits.
pub(super) fn word(dice: &mut Dice, length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(dice.of(LETTERS))).collect()
}

pub(super) fn hexadecimal(dice: &mut Dice, length: usize) -> String {
    (0..length).map(|_| char::from(dice.of(b"0123456789abcdef"))).collect()
}

pub(super) fn branch(dice: &mut Dice) -> String {
    format!("z9hG4bK{}", word(dice, 16))
}

/// Media nobody will send.
pub(super) fn offer(source: SocketAddr) -> String {
    let ip = source.ip();
    let family = if source.is_ipv6() { "IP6" } else { "IP4" };
    format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n")
}
