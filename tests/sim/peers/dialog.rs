//! One end of a dialog (RFC 3261 §12), and what its owner means to do in it.

use std::net::SocketAddr;

use super::super::history::Nanos;
use super::super::text::{Message, Name};
use super::wire;

/// RFC 4028, as one end has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub seconds: u64,
    /// Whether this end refreshes.
    pub mine: bool,
}

#[derive(Debug)]
pub struct Dialog {
    pub tag: String,
    pub remote_tag: String,
    /// From and To of what this end sends.
    pub local: String,
    pub remote: String,
    pub target: String,
    pub routes: Vec<String>,
    pub cseq: u32,
    pub remote_cseq: u32,
    pub over: bool,
    /// The CSeq of the latest INVITE of this end, with the ACK of its 2xx.
    pub ack: Option<(u32, Vec<u8>, SocketAddr)>,
    pub session: Option<Session>,
}

impl Dialog {
    /// The end of who answers `invite` with `tag` (RFC 3261 §12.1.1).
    pub fn answering(invite: &Message, tag: &str, cseq: u32) -> Dialog {
        Dialog {
            tag: tag.to_owned(),
            remote_tag: invite.from_tag().unwrap_or_default().to_owned(),
            local: format!("{};tag={tag}", invite.first(Name::To).unwrap_or_default()),
            remote: invite.first(Name::From).unwrap_or_default().to_owned(),
            target: wire::contact(invite).unwrap_or_default(),
            routes: wire::record_routes(invite),
            cseq,
            remote_cseq: invite.cseq().map_or(0, |(number, _)| number),
            over: false,
            ack: None,
            session: None,
        }
    }

    /// The end of who called and got this answer (RFC 3261 §12.1.2).
    pub fn calling(answer: &Message) -> Dialog {
        let mut routes = wire::record_routes(answer);
        routes.reverse();
        Dialog {
            tag: answer.from_tag().unwrap_or_default().to_owned(),
            remote_tag: answer.to_tag().unwrap_or_default().to_owned(),
            local: answer.first(Name::From).unwrap_or_default().to_owned(),
            remote: answer.first(Name::To).unwrap_or_default().to_owned(),
            target: wire::contact(answer).unwrap_or_default(),
            routes,
            cseq: answer.cseq().map_or(1, |(number, _)| number),
            remote_cseq: 0,
            over: false,
            ack: None,
            session: None,
        }
    }

    /// Where a request goes: to the first route, else to the target.
    pub fn next(&self, otherwise: SocketAddr) -> SocketAddr {
        let uri = self.routes.first().map_or(self.target.as_str(), |route| super::super::text::uri(route));
        wire::address(uri).unwrap_or(otherwise)
    }

    pub fn is_named(&self, local_tag: Option<&str>, remote_tag: Option<&str>) -> bool {
        local_tag == Some(self.tag.as_str()) && remote_tag == Some(self.remote_tag.as_str())
    }
}

/// When a session that nobody refreshes is ended by this end (RFC 4028 §10).
pub fn given_up(now: Nanos, session: Session) -> Nanos {
    use super::super::history::SECOND;
    now + (session.seconds - (session.seconds / 3).min(32)) * SECOND
}
