//! Writing a message that differs from a given one only where it is told to.
//!
//! Owns the splices: what is removed of the original and what is put there instead. Everything else is copied byte for
//! byte (RFC 3261 §16.6 item 1: fields a proxy does not know MUST NOT be changed). Knows no policy.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Range;

use smallvec::SmallVec;

use super::message::place;
use super::{Header, Message, Name, Via, scan};

/// A message and the changes to it. Changes are splices; everything else is copied byte for byte.
///
/// Every kind of change may be used at most once per place; changes are all relative to the original message. A change
/// inside of what another one removes is lost with it.
#[derive(Debug)]
pub struct Edit<'m> {
    message: &'m Message,
    splices: SmallVec<[Splice; 16]>,
    text: SmallVec<[u8; 512]>,
}

/// `removed` of the original goes, `inserted` of the edit's text comes in its place.
#[derive(Clone, Debug)]
struct Splice {
    removed: Range<u32>,
    inserted: Range<usize>,
}

impl<'m> Edit<'m> {
    /// No changes yet.
    pub fn new(message: &'m Message) -> Edit<'m> {
        Edit { message, splices: SmallVec::new(), text: SmallVec::new() }
    }

    /// Puts another Request-URI into the start line. Does nothing to a response.
    pub fn set_uri(&mut self, uri: &[u8]) {
        let line = self.message.start_line();
        if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
            return;
        }
        let (Some(first), Some(last)) = (memchr::memchr(b' ', line), memchr::memrchr(b' ', line)) else { return };
        if let Some(span) = line.get(first + 1..last).and_then(|old| place(self.message.bytes(), old)) {
            self.splice(span, |text| push_clean(text, uri));
        }
    }

    /// Inserts a line `Name: value` before the first line of that name, or, where there is none, before the first
    /// header line. Several for one name stay in the order they were given (the first given is topmost).
    ///
    /// `Name::Other` has no name to write and is ignored, here and in [`Edit::set`]; [`Edit::append`] takes any name.
    pub fn prepend(&mut self, name: Name, value: &[u8]) {
        let first = self.first(name).or_else(|| self.message.headers().first());
        let at = first.map_or_else(|| self.end_of_headers(), |header| header.line.start);
        self.line(at..at, name.as_str(), value);
    }

    /// Inserts a line `Name: value` behind the last header line. `name` is text so that any field can be added.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        let at = self.end_of_headers();
        self.line(at..at, name, value);
    }

    /// Replaces the first line of that name by `Name: value`; appends where there is none.
    pub fn set(&mut self, name: Name, value: &[u8]) {
        match self.first(name).map(|header| header.line.clone()) {
            Some(line) => self.line(line, name.as_str(), value),
            None => self.append(name.as_str(), value),
        }
    }

    /// Removes the first `count` values of a list field (a line whose values are all gone goes whole).
    pub fn remove_values(&mut self, name: Name, count: usize) {
        let message = self.message;
        let mut left = count;
        for header in message.headers().iter().filter(|header| header.name == name) {
            if left == 0 {
                return;
            }
            // Empty values count for nothing, as in `Message::list`; they go with the value behind them.
            let kept = scan::split_list(message.span(&header.value)).find(|value| {
                let keep = left == 0 && !value.is_empty();
                left -= usize::from(!value.is_empty() && left > 0);
                keep
            });
            let removed = match kept.and_then(|value| place(message.bytes(), value)) {
                Some(kept) => header.value.start..kept.start,
                None => header.line.clone(),
            };
            self.splice(removed, |_| {});
        }
    }

    /// Removes every line of that name for which `which` says so (it is given the line's value).
    pub fn remove_lines(&mut self, name: Name, mut which: impl FnMut(&[u8]) -> bool) {
        let message = self.message;
        for header in message.headers().iter().filter(|header| header.name == name) {
            if which(message.span(&header.value)) {
                self.splice(header.line.clone(), |_| {});
            }
        }
    }

    /// Adds text directly behind the topmost Via's value: `;received=192.0.2.1;rport=5060`. An `rport` without value
    /// that stands there already is filled in by passing `rport`, not doubled; a `received` already there is replaced,
    /// and so is the value of an `rport` that has one. A Via that cannot be read stays as it is.
    pub fn set_received(&mut self, received: Option<IpAddr>, rport: Option<u16>) {
        let message = self.message;
        let Some(via) = message.list(Name::Via).next().and_then(|value| Via::parse(value).ok()) else { return };
        for (span, stamp) in stamps(message, &via, received, rport) {
            self.splice(span, |text| stamp.push(text));
        }
    }

    /// Writes the result into `out` (which is cleared first).
    pub fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        let bytes = self.message.bytes();
        out.reserve(bytes.len() + self.text.len());
        let mut splices: SmallVec<[&Splice; 16]> = self.splices.iter().collect();
        // A stable sort: what is put into one place stays in the order it was given, before what is removed there.
        splices.sort_by_key(|splice| (splice.removed.start, splice.removed.start != splice.removed.end));
        let mut copied = 0;
        for splice in splices {
            let start = splice.removed.start as usize;
            let end = splice.removed.end as usize;
            // What lies in a part that is gone already is gone with it.
            if start >= copied {
                out.extend_from_slice(bytes.get(copied..start).unwrap_or_default());
                out.extend_from_slice(self.text.get(splice.inserted.clone()).unwrap_or_default());
            }
            copied = copied.max(end);
        }
        out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    }

    fn first(&self, name: Name) -> Option<&'m Header> {
        self.message.headers().iter().find(|header| header.name == name)
    }

    /// Behind the last header line; behind the start line where there is none.
    fn end_of_headers(&self) -> u32 {
        match self.message.headers().last() {
            Some(header) => header.line.end,
            None => self.message.start_line.end.saturating_add(2).min(self.message.body.end),
        }
    }

    fn line(&mut self, removed: Range<u32>, name: &str, value: &[u8]) {
        if name.is_empty() {
            return;
        }
        self.splice(removed, |text| {
            push_clean(text, name.as_bytes());
            text.extend_from_slice(b": ");
            push_clean(text, value);
            text.extend_from_slice(b"\r\n");
        });
    }

    fn splice(&mut self, removed: Range<u32>, insert: impl FnOnce(&mut SmallVec<[u8; 512]>)) {
        let start = self.text.len();
        insert(&mut self.text);
        self.splices.push(Splice { removed, inserted: start..self.text.len() });
    }
}

/// Where written text goes: a vector in memory.
pub(super) trait Sink {
    /// Adds bytes as they are.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for SmallVec<[u8; 512]> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Adds text that must stay within its line: what could end the line becomes a space.
pub(super) fn push_clean(out: &mut impl Sink, text: &[u8]) {
    let mut rest = text;
    while let Some((before, behind)) = memchr::memchr3(b'\r', b'\n', 0, rest).and_then(|at| rest.split_at_checked(at)) {
        out.put(before);
        out.put(b" ");
        rest = behind.get(1..).unwrap_or_default();
    }
    out.put(rest);
}

/// Formats into a sink.
struct Text<'s, S>(&'s mut S);

impl<S: Sink> fmt::Write for Text<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text.as_bytes());
        Ok(())
    }
}

/// What is written into a Via when its request comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    lead: &'static str,
    value: StampValue,
}

#[derive(Clone, Copy, Debug)]
enum StampValue {
    Received(IpAddr),
    Rport(u16),
}

impl Stamp {
    /// Adds its text.
    pub(super) fn push(self, out: &mut impl Sink) {
        let mut out = Text(out);
        // A sink takes every write.
        let _ = match self.value {
            // RFC 3261 §25.1: via-received is an IPv6address, which has no brackets.
            StampValue::Received(address) => write!(out, "{}{address}", self.lead),
            StampValue::Rport(port) => write!(out, "{}{port}", self.lead),
        };
    }
}

/// Where in the message `received` and `rport` go into the topmost Via (RFC 3261 §18.2.1, RFC 3581 §4): over the value
/// that stands there, behind the name that has none, or behind the whole Via. In the order of their places.
pub(super) fn stamps(
    message: &Message,
    via: &Via<'_>,
    received: Option<IpAddr>,
    rport: Option<u16>,
) -> SmallVec<[(Range<u32>, Stamp); 2]> {
    let bytes = message.bytes();
    let wanted = [
        received.map(|address| ("received", ";received=", StampValue::Received(address))),
        rport.map(|port| ("rport", ";rport=", StampValue::Rport(port))),
    ];
    let mut stamps: SmallVec<[(Range<u32>, Stamp); 2]> = SmallVec::new();
    for (name, parameter, value) in wanted.into_iter().flatten() {
        let found = via.params.iter().find(|(written, _)| written.eq_ignore_ascii_case(name.as_bytes()));
        let (part, over, lead) = match found {
            Some((_, Some(old))) if !old.is_empty() => (old, Over::Whole, ""),
            Some((written, _)) => (written, Over::Behind, "="),
            None => (via.text, Over::Behind, parameter),
        };
        if let Some(span) = place(bytes, part) {
            let span = match over {
                Over::Whole => span,
                Over::Behind => span.end..span.end,
            };
            stamps.push((span, Stamp { lead, value }));
        }
    }
    // A value goes behind its name before a parameter goes behind the Via, where that name is the Via's last.
    stamps.sort_by_key(|(span, stamp)| (span.start, stamp.lead.starts_with(';')));
    stamps
}

/// Where new text goes.
enum Over {
    Whole,
    Behind,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::sip::{Limits, Parsed, Request, parse};

    const INVITE: &str = "INVITE sip:1@a.example SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bKtop, SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKlow\r\n\
        m: <sip:c@d>\r\n\
        Max-Forwards : 70\r\n\
        Route: <sip:r1;lr> , <sip:r2;lr>,\r\n  <sip:r3;lr>\r\n\
        X: y\r\n\
        Route: <sip:r4;lr>\r\n\
        From: sip:2@a.example;tag=1\r\n\
        To: sip:1@a.example\r\n\
        Call-ID: abc\r\n\
        CSeq: 1\r\n INVITE\r\n\
        Proxy-Authorization: Digest realm=\"ours\"\r\n\
        Proxy-Authorization: Digest realm=\"theirs\"\r\n\
        Content-Length: 4\r\n\r\nbody";

    fn request(text: &str) -> Request {
        match parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default()) {
            Ok(Parsed::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    /// What becomes of `INVITE`.
    fn edited(change: impl FnOnce(&mut Edit<'_>)) -> String {
        edited_of(INVITE, change)
    }

    fn edited_of(text: &str, change: impl FnOnce(&mut Edit<'_>)) -> String {
        let request = request(text);
        let mut edit = Edit::new(&request);
        change(&mut edit);
        let mut out = Vec::new();
        edit.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_changes_without_a_change() {
        assert_eq!(edited(|_| {}), INVITE);
    }

    #[test]
    fn all_that_forwarding_does_composes() {
        let out = edited(|edit| {
            edit.remove_lines(Name::ProxyAuthorization, |value| value.ends_with(b"\"ours\""));
            edit.prepend(Name::RecordRoute, b"<sip:p1;lr>");
            edit.set(Name::MaxBreadth, b"30");
            edit.remove_values(Name::Route, 2);
            edit.prepend(Name::Via, b"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnew");
            edit.set_received(Some("198.51.100.7".parse().unwrap()), Some(5099));
            edit.set_uri(b"sip:4@e.example");
            edit.prepend(Name::RecordRoute, b"<sip:p2;lr>");
            edit.prepend(Name::Route, b"<sip:r0;lr>");
            edit.set(Name::MaxForwards, b"69");
        });
        assert_eq!(
            out,
            "INVITE sip:4@e.example SIP/2.0\r\n\
             Record-Route: <sip:p1;lr>\r\n\
             Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnew\r\n\
             Record-Route: <sip:p2;lr>\r\n\
             Via: SIP/2.0/UDP 192.0.2.9;rport=5099;branch=z9hG4bKtop;received=198.51.100.7, \
             SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKlow\r\n\
             m: <sip:c@d>\r\n\
             Max-Forwards: 69\r\n\
             Route: <sip:r0;lr>\r\n\
             Route: <sip:r3;lr>\r\n\
             X: y\r\n\
             Route: <sip:r4;lr>\r\n\
             From: sip:2@a.example;tag=1\r\n\
             To: sip:1@a.example\r\n\
             Call-ID: abc\r\n\
             CSeq: 1\r\n INVITE\r\n\
             Proxy-Authorization: Digest realm=\"theirs\"\r\n\
             Content-Length: 4\r\n\
             Max-Breadth: 30\r\n\r\nbody"
        );
    }

    #[test]
    fn values_go_from_the_front_over_all_lines() {
        let routes = |count| {
            let out = edited(|edit| edit.remove_values(Name::Route, count));
            out.split("\r\nRoute: ")
                .skip(1)
                .map(|rest| rest.split(">\r\n").next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(routes(0), ["<sip:r1;lr> , <sip:r2;lr>,\r\n  <sip:r3;lr", "<sip:r4;lr"]);
        assert_eq!(routes(1), ["<sip:r2;lr>,\r\n  <sip:r3;lr", "<sip:r4;lr"]);
        assert_eq!(routes(2), ["<sip:r3;lr", "<sip:r4;lr"]);
        assert_eq!(routes(3), ["<sip:r4;lr"]);
        assert_eq!(routes(4), Vec::<String>::new());
        assert_eq!(routes(5), Vec::<String>::new());
    }

    #[test]
    fn a_field_that_is_compact_or_folded_is_set_by_its_long_name() {
        assert!(edited(|edit| edit.set(Name::Contact, b"<sip:x>")).contains("low\r\nContact: <sip:x>\r\nMax-F"));
        assert!(edited(|edit| edit.set(Name::Cseq, b"2 INVITE")).contains("abc\r\nCSeq: 2 INVITE\r\nProxy"));
    }

    #[test]
    fn a_value_cannot_bring_lines_with_it() {
        let out = edited(|edit| {
            edit.append("X-A\r\nX-B", b"1\r\nX-C: 2\n\0\r");
            edit.prepend(Name::Route, b"<sip:a>\r\n\r\n");
            edit.set_uri(b"sip:a\r\nb");
        });
        assert!(out.contains("X-A  X-B: 1  X-C: 2   \r\n\r\nbody"), "{out}");
        assert!(out.contains("Route: <sip:a>    \r\nRoute: <sip:r1"), "{out}");
        assert!(out.starts_with("INVITE sip:a  b SIP/2.0\r\n"), "{out}");
    }

    #[test]
    fn a_change_in_what_is_removed_is_lost_with_it() {
        let out = edited(|edit| {
            edit.set_received(Some("198.51.100.7".parse().unwrap()), Some(1));
            edit.remove_values(Name::Via, 1);
        });
        assert!(out.contains("\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKlow\r\n"), "{out}");
        assert!(!out.contains("198.51.100.7"), "{out}");
    }

    /// The topmost Via line of a request that came with `via`.
    fn stamped(via: &str) -> String {
        let text = INVITE.replace("SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bKtop", via);
        let out = edited_of(&text, |edit| edit.set_received(Some("2001:db8::7".parse().unwrap()), Some(5099)));
        out.split("\r\nVia: ").nth(1).unwrap().split(", SIP/").next().unwrap().to_owned()
    }

    #[test]
    fn received_and_rport_are_filled_in_replaced_or_added() {
        assert_eq!(stamped("SIP/2.0/UDP h;branch=z"), "SIP/2.0/UDP h;branch=z;received=2001:db8::7;rport=5099");
        assert_eq!(
            stamped("SIP/2.0/UDP h;received=1.2.3.4;rport=7;branch=z"),
            "SIP/2.0/UDP h;received=2001:db8::7;rport=5099;branch=z"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP h ; RPORT ;branch=z"),
            "SIP/2.0/UDP h ; RPORT=5099 ;branch=z;received=2001:db8::7"
        );
    }

    #[test]
    fn an_rport_at_the_very_end_gets_its_value_before_received_follows() {
        assert_eq!(stamped("SIP/2.0/UDP h;branch=z;rport"), "SIP/2.0/UDP h;branch=z;rport=5099;received=2001:db8::7");
        assert_eq!(
            stamped("SIP/2.0/UDP h;branch=z;received"),
            "SIP/2.0/UDP h;branch=z;received=2001:db8::7;rport=5099"
        );
    }
}
