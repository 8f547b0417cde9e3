//! Dialogs as a proxy sees them (RFC 3261 §12, RFC 4028 §8): who is at each end, how each is reached, and when it is over.
//!
//! ```text
//!            1xx with a tag              2xx                BYE of either side, or ours
//!  (none) ------------------> Early ------------> Confirmed ---------------------------> Ending
//!    |                          |      2xx            ^                                     |
//!    +--------------------------|---------------------+                                    | answered, or timed out
//!                               | its branch ended without 2xx                              v
//!                               +-----------------------------------------------------> (forgotten)
//! ```

use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::flow::Flow;
use crate::sip::{Method, Name, Request, Response, Uri};
use crate::time::Instant;

/// A dialog's name: Call-ID and both tags, the same whichever side a message comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DialogKey(SmallVec<[u8; 112]>);

impl DialogKey {
    /// The name of the dialog with that Call-ID between the holders of two tags.
    pub fn new(call_id: &[u8], one_tag: &[u8], other_tag: &[u8]) -> DialogKey {
        let (first, second) = if one_tag <= other_tag { (one_tag, other_tag) } else { (other_tag, one_tag) };
        let mut key = SmallVec::new();
        for part in [first, second] {
            // Every part stands behind its length, so that no two triples run together to one key.
            key.extend_from_slice(&part.len().to_be_bytes());
            key.extend_from_slice(part);
        }
        key.extend_from_slice(call_id);
        DialogKey(key)
    }
}

/// One end of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toward {
    /// Who sent the INVITE.
    Caller,
    /// Who answered it.
    Callee,
}

impl Toward {
    /// The other end.
    pub fn other(self) -> Toward {
        match self {
            Toward::Caller => Toward::Callee,
            Toward::Callee => Toward::Caller,
        }
    }
}

/// What is known of one end.
#[derive(Clone, Debug)]
pub struct Side {
    /// Where its messages come from and ours go, where nothing better is known.
    pub flow: Flow,
    /// Its tag.
    pub tag: Bytes,
    /// From or To as this side writes itself, with its tag.
    pub identity: Bytes,
    /// Its Contact URI: the Request-URI of what is sent to it.
    pub target: Bytes,
    /// Route values between us and it, nearest to us first.
    pub route_set: SmallVec<[Bytes; 1]>,
    /// The highest CSeq number it has used.
    pub cseq: u32,
}

/// Where a dialog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A provisional response made it.
    Early,
    /// Answered; `unacknowledged_until` is set while no ACK has passed.
    Confirmed {
        /// When a caller that never acknowledges is given up.
        unacknowledged_until: Option<Instant>,
    },
    /// A BYE is on its way.
    Ending {
        /// What the dialog was before, and is again if the BYE is challenged.
        before: Before,
    },
}

/// What a dialog was when a BYE was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Early: a caller may end one of several early dialogs (RFC 3261 §15).
    Early,
    /// Answered.
    Confirmed,
}

impl Phase {
    /// Whether the dialog was never answered.
    pub fn is_early(self) -> bool {
        matches!(self, Phase::Early | Phase::Ending { before: Before::Early })
    }

    /// With a BYE on its way.
    fn ending(self) -> Phase {
        match self {
            Phase::Early => Phase::Ending { before: Before::Early },
            Phase::Confirmed { .. } => Phase::Ending { before: Before::Confirmed },
            Phase::Ending { before } => Phase::Ending { before },
        }
    }
}

/// Why we end a dialog ourselves (R-7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// RFC 4028: nobody refreshed the session.
    SessionExpired,
    /// `max-call`.
    TooLong,
    /// The 2xx was never acknowledged.
    Unacknowledged,
    /// The phone says it has restarted.
    Restarted,
}

/// A dialog that runs through us.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Its Call-ID.
    pub call_id: Bytes,
    /// Who sent the INVITE.
    pub caller: Side,
    /// Who answered it.
    pub callee: Side,
    /// Where it stands.
    pub phase: Phase,
    /// RFC 4028: when the session ends unless refreshed.
    pub session_until: Option<Instant>,
    /// `max-call`.
    pub longest_until: Option<Instant>,
}

impl Dialog {
    /// The dialog that a response with a To tag makes (RFC 3261 §12.1). `is_own` says whether a Record-Route value is
    /// the one this call put there.
    pub fn new(
        invite: &Request,
        caller: Flow,
        response: &Response,
        callee: Flow,
        is_own: impl Fn(&Uri<'_>) -> bool,
    ) -> Dialog {
        // Towards the caller: what stood in Record-Route before we added ours, in its order (§12.1.1).
        let caller_routes = invite.name_addrs(Name::RecordRoute).map(|route| copy(route.text)).collect();
        let callee_routes = routes_behind(response, is_own);
        Dialog {
            call_id: copy(response.call_id()),
            caller: Side {
                flow: caller,
                tag: copy(invite.from_tag()),
                identity: copy(invite.from().text),
                target: contact(invite.name_addrs(Name::Contact).next().map(|contact| contact.uri.text)),
                route_set: caller_routes,
                cseq: invite.cseq().number,
            },
            callee: Side {
                flow: callee,
                tag: copy(response.to_tag()),
                identity: copy(response.to().text),
                target: contact(response.name_addrs(Name::Contact).next().map(|contact| contact.uri.text)),
                route_set: callee_routes,
                // Its first request may use any number; one that is high enough for a phone that begins at 1.
                cseq: 0,
            },
            phase: Phase::Early,
            session_until: None,
            longest_until: None,
        }
    }

    /// Its name.
    pub fn key(&self) -> DialogKey {
        DialogKey::new(&self.call_id, &self.caller.tag, &self.callee.tag)
    }

    /// One end.
    pub fn side(&self, side: Toward) -> &Side {
        match side {
            Toward::Caller => &self.caller,
            Toward::Callee => &self.callee,
        }
    }

    /// One end.
    pub fn side_mut(&mut self, side: Toward) -> &mut Side {
        match side {
            Toward::Caller => &mut self.caller,
            Toward::Callee => &mut self.callee,
        }
    }

    /// Which end a request with that From tag comes from.
    pub fn sender(&self, from_tag: &[u8]) -> Option<Toward> {
        if from_tag == self.caller.tag {
            Some(Toward::Caller)
        } else if from_tag == self.callee.tag {
            Some(Toward::Callee)
        } else {
            None
        }
    }

    /// The INVITE was answered.
    ///
    /// `is_own` says whether a Record-Route value is the one this call put there.
    pub fn on_answer(
        &mut self,
        now: Instant,
        response: &Response,
        patience: Duration,
        longest: Duration,
        is_own: impl Fn(&Uri<'_>) -> bool,
    ) {
        // RFC 3261 §13.2.2.4: the route set is that of the 2xx, whatever the provisional response said.
        self.callee.route_set = routes_behind(response, is_own);
        if let Some(contact) = response.name_addrs(Name::Contact).next() {
            self.callee.target = copy(contact.uri.text);
        }
        self.session_until = session(now, response);
        self.longest_until.get_or_insert(now + longest);
        match self.phase {
            Phase::Early => self.phase = Phase::Confirmed { unacknowledged_until: Some(now + patience) },
            Phase::Ending { before: Before::Early } => self.phase = Phase::Ending { before: Before::Confirmed },
            Phase::Confirmed { .. } | Phase::Ending { before: Before::Confirmed } => {}
        }
    }

    /// An ACK of the caller's passed.
    pub fn on_ack(&mut self) {
        match &mut self.phase {
            Phase::Confirmed { unacknowledged_until } => *unacknowledged_until = None,
            Phase::Early | Phase::Ending { .. } => {}
        }
    }

    /// A request of one end passed.
    pub fn on_request(&mut self, from: Toward, request: &Request) {
        let side = self.side_mut(from);
        side.cseq = side.cseq.max(request.cseq().number);
        if request.method() == Method::Bye {
            self.phase = self.phase.ending();
        }
    }

    /// A 2xx to a re-INVITE or UPDATE passed (target refresh: RFC 3261 §12.2, RFC 3311; session timer: RFC 4028 §8.2).
    pub fn on_refresh(&mut self, now: Instant, asker: Toward, asker_contact: Option<Bytes>, response: &Response) {
        if let Some(contact) = asker_contact {
            self.side_mut(asker).target = contact;
        }
        if let Some(contact) = response.name_addrs(Name::Contact).next() {
            self.side_mut(asker.other()).target = copy(contact.uri.text);
        }
        self.session_until = session(now, response);
    }

    /// A BYE that was refused as unauthorized changed nothing.
    pub fn on_bye_challenged(&mut self) {
        match self.phase {
            Phase::Ending { before: Before::Early } => self.phase = Phase::Early,
            Phase::Ending { before: Before::Confirmed } => {
                self.phase = Phase::Confirmed { unacknowledged_until: None };
            }
            Phase::Early | Phase::Confirmed { .. } => {}
        }
    }

    /// When, and why, we end it ourselves.
    pub fn deadline(&self) -> Option<(Instant, End)> {
        let unacknowledged_until = match self.phase {
            Phase::Confirmed { unacknowledged_until } => unacknowledged_until,
            Phase::Early | Phase::Ending { .. } => return None,
        };
        [
            self.session_until.map(|at| (at, End::SessionExpired)),
            self.longest_until.map(|at| (at, End::TooLong)),
            unacknowledged_until.map(|at| (at, End::Unacknowledged)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// The URI that a request of ours to one end is sent to next: its first route, else its target.
    pub fn next_uri(&self, to: Toward) -> Bytes {
        let receiver = self.side(to);
        let first = receiver.route_set.first().and_then(|route| crate::sip::NameAddr::parse(route).ok());
        first.map_or_else(|| receiver.target.clone(), |route| copy(route.uri.text))
    }

    /// A BYE to one end, in the name of the other (RFC 3261 §15.1.1, §12.2.1.1).
    pub fn bye(&mut self, to: Toward, sent_by: &str, branch: &str) -> Bytes {
        self.phase = self.phase.ending();
        let sender = self.side_mut(to.other());
        sender.cseq = sender.cseq.saturating_add(1);
        let (from, cseq) = (sender.identity.clone(), sender.cseq);
        let receiver = self.side(to);
        let mut out = Vec::with_capacity(500);
        let mut line = |parts: &[&[u8]]| {
            for part in parts {
                out.extend_from_slice(part);
            }
            out.extend_from_slice(b"\r\n");
        };
        line(&[b"BYE ", &receiver.target, b" SIP/2.0"]);
        line(&[b"Via: SIP/2.0/UDP ", sent_by.as_bytes(), b";branch=", branch.as_bytes(), b";rport"]);
        for route in &receiver.route_set {
            line(&[b"Route: ", route]);
        }
        line(&[b"Max-Forwards: 70"]);
        line(&[b"From: ", &from]);
        line(&[b"To: ", &receiver.identity]);
        line(&[b"Call-ID: ", &self.call_id]);
        line(&[b"CSeq: ", cseq.to_string().as_bytes(), b" BYE"]);
        line(&[b"Content-Length: 0"]);
        line(&[]);
        Bytes::from(out)
    }
}

/// What was added to Record-Route behind us, nearest first: the order of a response read backwards (RFC 3261 §12.1.2).
fn routes_behind(response: &Response, is_own: impl Fn(&Uri<'_>) -> bool) -> SmallVec<[Bytes; 1]> {
    let mut routes: SmallVec<[Bytes; 1]> = response
        .name_addrs(Name::RecordRoute)
        .take_while(|route| !is_own(&route.uri))
        .map(|route| copy(route.text))
        .collect();
    routes.reverse();
    routes
}

fn copy(text: &[u8]) -> Bytes {
    Bytes::copy_from_slice(text)
}

/// A side that gave no Contact (RFC 2543) is reached by its flow; the URI only has to be one.
fn contact(uri: Option<&[u8]>) -> Bytes {
    uri.map_or_else(|| Bytes::from_static(b"sip:unknown.invalid"), copy)
}

/// RFC 4028 §8.2: "the session expiration is the time of reception of the 2xx plus Session-Expires"; without that field
/// there is none. §4: no session is shorter than 90 seconds, whatever a peer writes.
fn session(now: Instant, response: &Response) -> Option<Instant> {
    let seconds = response.number(Name::SessionExpires)?.max(SHORTEST_SESSION);
    Some(now + Duration::from_secs(u64::from(seconds)))
}

/// In seconds.
const SHORTEST_SESSION: u32 = 90;

#[cfg(test)]
mod tests;
