//! Responses of our own to a request (RFC 3261 §8.2.6).
//!
//! Works on any [`Message`], also on one that was refused: what it copies is made to fit its line, and nothing it copies
//! needs to be readable.

use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;

use super::edit::{push_clean, stamps};
use super::{Message, Name, NameAddr, Via, scan};

/// A header field a response of ours carries beyond the mandatory ones: long name, value.
pub type Extra<'a> = (&'a str, &'a [u8]);

/// Writes a response: every Via of the request (the topmost with `received` and `rport` for `source`, RFC 3261
/// §18.2.1, RFC 3581 §4), From, To (with `to_tag` added where it has none), Call-ID, CSeq, the extras, an empty body.
///
/// Fields that the request has not are not there; of one that it has twice the first is copied.
pub fn respond(
    request: &Message,
    source: SocketAddr,
    status: u16,
    reason: &str,
    to_tag: Option<&str>,
    extras: &[Extra<'_>],
) -> Bytes {
    let mut out = Vec::with_capacity(512);
    // Writing to a vector cannot fail.
    let _ = write!(out, "SIP/2.0 {status} ");
    push_clean(&mut out, reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    push_vias(&mut out, request, source);
    push_copy(&mut out, request, Name::From);
    push_to(&mut out, request, to_tag);
    push_copy(&mut out, request, Name::CallId);
    push_copy(&mut out, request, Name::Cseq);
    for (name, value) in extras {
        push_clean(&mut out, name.as_bytes());
        out.extend_from_slice(b": ");
        push_clean(&mut out, value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    Bytes::from(out)
}

/// 100 Trying, with the request's Timestamp copied (RFC 3261 §8.2.6.1).
pub fn trying(request: &Message, source: SocketAddr) -> Bytes {
    let timestamp = request
        .headers()
        .iter()
        .find(|header| header.name == Name::Other && request.span(&header.written).eq_ignore_ascii_case(b"Timestamp"));
    match timestamp {
        Some(header) => {
            let mut value = Vec::new();
            push_flat(&mut value, request.span(&header.value));
            respond(request, source, 100, "Trying", None, &[("Timestamp", &value)])
        }
        None => respond(request, source, 100, "Trying", None, &[]),
    }
}

/// Adds a value on one line: a fold is one space (RFC 3261 §7.3.1), and so is what could end the line.
fn push_flat(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (before, fold) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        push_clean(out, scan::trim_end(before));
        out.push(b' ');
        rest = scan::trim_start(fold);
    }
    push_clean(out, rest);
}

fn push_line(out: &mut Vec<u8>, name: Name, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    push_flat(out, value);
    out.extend_from_slice(b"\r\n");
}

fn push_copy(out: &mut Vec<u8>, request: &Message, name: Name) {
    if let Some(value) = request.value(name) {
        push_line(out, name, value);
    }
}

/// Adds the Vias, line by line as the request has them.
fn push_vias(out: &mut Vec<u8>, request: &Message, source: SocketAddr) {
    let mut lines = request.lines(Name::Via);
    let Some(first) = lines.next() else { return };
    push_stamped(out, request, first, source);
    for line in lines {
        push_line(out, Name::Via, line);
    }
}

/// Adds the first Via line, with `received` and `rport` in its first value. One that cannot be read is copied.
fn push_stamped(out: &mut Vec<u8>, request: &Message, line: &[u8], source: SocketAddr) {
    let top = scan::split_list(line).next().and_then(|value| Via::parse(value).ok());
    let Some(via) = top else { return push_line(out, Name::Via, line) };
    let asked = via.rport().is_some();
    // RFC 3261 §18.2.1: `received` where sent-by is a name or another address; RFC 3581 §4: and wherever rport is asked
    // for.
    let received = (asked || via.host.ip() != Some(source.ip())).then(|| source.ip());
    let rport = asked.then(|| source.port());
    out.extend_from_slice(b"Via: ");
    let Some(span) = super::message::place(request.bytes(), line) else { return };
    let mut copied = span.start;
    for (place, stamp) in stamps(request, &via, received, rport) {
        push_flat(out, request.span(&(copied..place.start)));
        stamp.push(out);
        copied = place.end;
    }
    push_flat(out, request.span(&(copied..span.end)));
    out.extend_from_slice(b"\r\n");
}

fn push_to(out: &mut Vec<u8>, request: &Message, to_tag: Option<&str>) {
    let Some(value) = request.value(Name::To) else { return };
    out.extend_from_slice(b"To: ");
    push_flat(out, value);
    if let Some(tag) = to_tag
        && !has_tag(value)
    {
        out.extend_from_slice(b";tag=");
        push_clean(out, tag.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a To has a tag; where it cannot be read, whether it looks so.
fn has_tag(to: &[u8]) -> bool {
    match NameAddr::parse(to) {
        Ok(read) => read.tag().is_some(),
        Err(_) => to.windows(5).any(|five| five.eq_ignore_ascii_case(b";tag=")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Limits, Malformed, Parsed, parse};

    fn message(text: &str) -> Message {
        match parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default()) {
            Ok(Parsed::Request(request)) => (*request).clone(),
            Err(Malformed { request: Some(request), .. }) => request,
            other => panic!("{other:?}"),
        }
    }

    fn options(via: &str, to: &str, more: &str) -> Message {
        message(&format!(
            "OPTIONS sip:1@a.example SIP/2.0\r\nVia: {via}\r\nv: SIP/2.0/TCP low.example\r\nt: {to}\r\n\
             From: <sip:2@a.example>\r\n ;tag=f\r\nCall-ID: abc\r\nCSeq: 7 OPTIONS\r\n{more}Content-Length: 0\r\n\r\n"
        ))
    }

    fn source() -> SocketAddr {
        "192.0.2.9:5099".parse().unwrap()
    }

    fn text(response: &Bytes) -> &str {
        std::str::from_utf8(response).unwrap()
    }

    fn line<'t>(response: &'t Bytes, name: &str) -> &'t str {
        text(response).split("\r\n").find_map(|line| line.strip_prefix(name)).unwrap()
    }

    #[test]
    fn a_response_has_what_the_request_had() {
        let request = options("SIP/2.0/UDP 192.0.2.9;branch=z", "<sip:1@a.example>", "");
        let response = respond(&request, source(), 405, "Method Not Allowed", Some("t"), &[("Allow", b"INVITE, ACK")]);
        assert_eq!(
            text(&response),
            "SIP/2.0 405 Method Not Allowed\r\n\
             Via: SIP/2.0/UDP 192.0.2.9;branch=z\r\n\
             Via: SIP/2.0/TCP low.example\r\n\
             From: <sip:2@a.example> ;tag=f\r\n\
             To: <sip:1@a.example>;tag=t\r\n\
             Call-ID: abc\r\n\
             CSeq: 7 OPTIONS\r\n\
             Allow: INVITE, ACK\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn received_is_there_where_sent_by_does_not_tell_or_rport_asks() {
        for (via, stamped) in [
            ("SIP/2.0/UDP 192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.9:5060"),
            ("SIP/2.0/UDP 192.0.2.8;a=b", "SIP/2.0/UDP 192.0.2.8;a=b;received=192.0.2.9"),
            ("SIP/2.0/UDP pc.example", "SIP/2.0/UDP pc.example;received=192.0.2.9"),
            ("SIP/2.0/UDP 192.0.2.9;rport", "SIP/2.0/UDP 192.0.2.9;rport=5099;received=192.0.2.9"),
            ("SIP/2.0/UDP 192.0.2.9;rport;branch=z", "SIP/2.0/UDP 192.0.2.9;rport=5099;branch=z;received=192.0.2.9"),
            ("SIP/2.0/UDP h;received=6.6.6.6", "SIP/2.0/UDP h;received=192.0.2.9"),
            ("SIP/2.0/UDP h , SIP/2.0/UDP i", "SIP/2.0/UDP h;received=192.0.2.9 , SIP/2.0/UDP i"),
            ("SIP /2.0\r\n /UDP\r\n\th\r\n ;rport", "SIP /2.0 /UDP h ;rport=5099;received=192.0.2.9"),
        ] {
            let request = options(via, "sip:1@a.example", "");
            assert_eq!(line(&respond(&request, source(), 200, "OK", None, &[]), "Via: "), stamped);
        }
    }

    #[test]
    fn a_via_that_cannot_be_read_is_copied() {
        let request = options("SIP/2.0/UDP 192.0.2.15;;,;,,", "sip:1@a.example", "");
        assert_eq!(line(&respond(&request, source(), 400, "x", None, &[]), "Via: "), "SIP/2.0/UDP 192.0.2.15;;,;,,");
    }

    #[test]
    fn a_tag_is_added_only_where_there_is_none() {
        for (to, answered) in [
            ("sip:1@a.example", "sip:1@a.example;tag=new"),
            ("sip:1@a.example;tag=old", "sip:1@a.example;tag=old"),
            ("<sip:1@a.example;tag=uri>", "<sip:1@a.example;tag=uri>;tag=new"),
            ("\"open <sip:1@a.example>", "\"open <sip:1@a.example>;tag=new"),
            ("\"open <sip:1@a.example>;tag=old", "\"open <sip:1@a.example>;tag=old"),
        ] {
            let request = options("SIP/2.0/UDP h", to, "");
            assert_eq!(line(&respond(&request, source(), 404, "Not Found", Some("new"), &[]), "To: "), answered);
        }
    }

    #[test]
    fn trying_copies_the_timestamp_and_adds_no_tag() {
        let with = options("SIP/2.0/UDP h", "sip:1@a.example", "tImestamp:\r\n 54.2\r\n");
        let response = trying(&with, source());
        assert!(text(&response).starts_with("SIP/2.0 100 Trying\r\n"));
        assert_eq!(line(&response, "Timestamp: "), "54.2");
        assert_eq!(line(&response, "To: "), "sip:1@a.example");
        let without = options("SIP/2.0/UDP h", "sip:1@a.example", "");
        assert!(!text(&trying(&without, source())).contains("Timestamp"));
    }

    #[test]
    fn nothing_that_is_copied_or_given_can_end_its_line() {
        let request = options("SIP/2.0/UDP h", "\"a\nX: 1\rY\0\" <sip:1@a.example>", "");
        let response = respond(&request, source(), 400, "a\r\nb", None, &[("X\n", b"c\r\n\r\nd")]);
        assert_eq!(line(&response, "To: "), "\"a X: 1 Y \" <sip:1@a.example>");
        assert!(text(&response).starts_with("SIP/2.0 400 a  b\r\n"));
        assert_eq!(line(&response, "X : "), "c    d");
        assert_eq!(text(&response).matches("\r\n\r\n").count(), 1);
    }
}
