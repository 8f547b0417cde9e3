//! Any bytes as a datagram: reading never panics, every span is where it says, nothing of a message is lost or read
//! twice, and what we answer to it is one whole message.

use bytes::Bytes;
use switchboard::sip::{
    DigestCredentials, Limits, Malformed, Message, Method, Name, NameAddr, Parsed, Request, Response, Uri, Via, parse,
    respond, trying,
};

/// Every field that has a name here.
pub const NAMES: [Name; 34] = [
    Name::Accept,
    Name::Allow,
    Name::Authorization,
    Name::CallId,
    Name::Contact,
    Name::ContentLength,
    Name::ContentType,
    Name::Cseq,
    Name::Date,
    Name::Expires,
    Name::From,
    Name::MaxBreadth,
    Name::MaxForwards,
    Name::MinExpires,
    Name::PAssertedIdentity,
    Name::PPreferredIdentity,
    Name::Path,
    Name::Privacy,
    Name::ProxyAuthenticate,
    Name::ProxyAuthorization,
    Name::ProxyRequire,
    Name::Reason,
    Name::RecordRoute,
    Name::Replaces,
    Name::Require,
    Name::RetryAfter,
    Name::Route,
    Name::SessionExpires,
    Name::Supported,
    Name::To,
    Name::Unsupported,
    Name::UserAgent,
    Name::Via,
    Name::WwwAuthenticate,
];

pub fn run(bytes: &[u8]) {
    parts(bytes);
    let tight = Limits { message: 600, headers: 12, header: 120, values: 4 };
    for limits in [Limits::default(), tight] {
        match parse(Bytes::copy_from_slice(bytes), &limits) {
            Ok(Parsed::KeepAlive) => assert!(bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))),
            Ok(Parsed::Request(request)) => {
                whole(bytes, &request);
                within(&request, &limits);
                read_request(&request);
                answered(&request);
            }
            Ok(Parsed::Response(response)) => {
                whole(bytes, &response);
                within(&response, &limits);
                read_response(&response);
            }
            Err(Malformed { fault, request }) => {
                assert!(matches!(fault.status(), 400 | 505 | 513));
                if let Some(message) = request {
                    spans(&message);
                    fields(&message);
                    one_message(&respond(&message, source(), fault.status(), fault.reason(), Some("tag"), &[]));
                }
            }
        }
    }
}

/// Where requests come from.
fn source() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([198, 51, 100, 7], 5099))
}

/// The readers of single values take anything.
fn parts(bytes: &[u8]) {
    let _ = (Name::from_bytes(bytes), Method::from_bytes(bytes), DigestCredentials::parse(bytes));
    if let Ok(uri) = Uri::parse(bytes) {
        read_uri(&uri);
    }
    if let Ok(address) = NameAddr::parse(bytes) {
        read_name_addr(&address);
    }
    if let Ok(via) = Via::parse(bytes) {
        read_via(&via);
    }
}

/// The message is the datagram from its start line on, and start line, fields and body are all of it.
fn whole(datagram: &[u8], message: &Message) {
    let bytes = message.bytes();
    let skipped = datagram.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    assert_eq!(&datagram[skipped..datagram.len() - message.trailing()], &bytes[..], "nothing is lost");
    spans(message);
    let mut joined = message.start_line().to_vec();
    joined.extend_from_slice(b"\r\n");
    for header in message.headers() {
        joined.extend_from_slice(message.span(&header.line));
    }
    joined.extend_from_slice(b"\r\n");
    joined.extend_from_slice(message.body());
    assert_eq!(joined, &bytes[..], "start line, fields and body are all there is");
    fields(message);
}

/// Spans lie in the message, in order and apart.
fn spans(message: &Message) {
    let end = u32::try_from(message.bytes().len()).unwrap();
    let mut last = u32::try_from(message.start_line().len()).unwrap();
    for header in message.headers() {
        assert!(last <= header.line.start && header.line.start < header.line.end && header.line.end <= end);
        assert!(header.line.start == header.written.start && header.written.start < header.written.end);
        assert!(header.written.end < header.value.start && header.value.start <= header.value.end);
        // An empty value may stand behind its line's end: all of the white space is in front of it.
        assert!(
            header.value.end + 2 <= header.line.end || header.value.is_empty() && header.value.end <= header.line.end
        );
        assert!(message.span(&header.line).ends_with(b"\r\n"));
        assert_eq!(Name::from_bytes(message.span(&header.written)), header.name);
        last = header.line.end;
    }
    assert!(message.body().len() <= message.bytes().len());
}

fn within(message: &Message, limits: &Limits) {
    assert!(message.bytes().len() <= limits.message && message.headers().len() <= limits.headers);
    for header in message.headers() {
        assert!(message.span(&header.line).len() <= limits.header);
    }
}

/// Every way of asking for a field.
fn fields(message: &Message) {
    for name in NAMES {
        let lines = message.lines(name).count();
        assert_eq!(lines, message.headers().iter().filter(|header| header.name == name).count());
        assert_eq!(message.value(name).is_some(), lines > 0);
        assert!(message.list(name).all(|value| !value.is_empty() && value.len() <= message.bytes().len()));
        if let Some(token) = message.list(name).next().and_then(|value| std::str::from_utf8(value).ok()) {
            assert!(message.has_token(name, token));
        }
        let _ = message.number(name);
    }
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        for value in message.lines(name) {
            let _ = DigestCredentials::parse(value);
        }
    }
}

macro_rules! common {
    ($message:expr) => {
        let message = $message;
        assert!(!message.call_id().is_empty() && message.cseq().number < 1 << 31);
        assert_eq!(message.from().tag().unwrap_or_default(), message.from_tag());
        assert_eq!(message.to().tag().unwrap_or_default(), message.to_tag());
        assert!(!message.from().text.is_empty() && !message.to().text.is_empty() && !message.top_via().text.is_empty());
        read_name_addr(&message.from());
        read_name_addr(&message.to());
        assert_eq!(message.vias().next().map(|via| via.text), Some(message.top_via().text));
        message.vias().for_each(|via| read_via(&via));
        for name in NAMES {
            message.name_addrs(name).for_each(|address| read_name_addr(&address));
        }
    };
}

fn read_request(request: &Request) {
    assert_eq!(Method::from_bytes(request.method_bytes()), request.method());
    assert_eq!(request.cseq().method, request.method());
    assert_eq!(request.max_forwards().map(u32::from), request.number(Name::MaxForwards));
    assert!(!request.uri().text.is_empty());
    read_uri(&request.uri());
    common!(request);
}

fn read_response(response: &Response) {
    assert!((100..700).contains(&response.status()) && response.reason().len() <= response.start_line().len());
    common!(response);
}

fn read_uri(uri: &Uri<'_>) {
    assert!(uri.text.iter().all(u8::is_ascii_graphic));
    let _ = (uri.user_text(), uri.host.and_then(|host| host.ip()));
    uri.params.iter().for_each(|(name, _)| assert!(name.len() <= uri.text.len()));
    assert!(uri.equivalent(uri), "a URI is itself");
    let again = Uri::parse(uri.text).expect("what was read can be read again");
    assert_eq!((again.user, again.port, again.headers), (uri.user, uri.port, uri.headers));
}

fn read_name_addr(address: &NameAddr<'_>) {
    read_uri(&address.uri);
    let tag = address.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"tag")).and_then(|(_, value)| value);
    assert_eq!(address.tag(), tag);
    let again = NameAddr::parse(address.text).expect("what was read can be read again");
    assert_eq!((again.display, again.uri.text, again.tag()), (address.display, address.uri.text, address.tag()));
}

fn read_via(via: &Via<'_>) {
    let _ = (via.rport(), via.received(), via.branch());
    let again = Via::parse(via.text).expect("what was read can be read again");
    assert_eq!((again.host_text, again.port, again.branch()), (via.host_text, via.port, via.branch()));
}

/// What a request that was read is answered with can be read, and has its fields.
fn answered(request: &Request) {
    for answer in [trying(request, source()), respond(request, source(), 404, "Not Found", Some("ours"), &[])] {
        one_message(&answer);
        let limits = Limits { message: usize::MAX, header: usize::MAX, ..Limits::default() };
        let response = match parse(answer.clone(), &limits) {
            Ok(Parsed::Response(response)) => response,
            other => panic!("{other:?}: {}", answer.escape_ascii()),
        };
        let asked = (request.call_id(), request.cseq(), request.from_tag());
        assert_eq!((response.call_id(), response.cseq(), response.from_tag()), asked);
        assert_eq!(response.top_via().branch(), request.top_via().branch());
        assert_eq!(response.list(Name::Via).count(), request.list(Name::Via).count());
        assert!(response.body().is_empty() && response.trailing() == 0);
        if !request.to_tag().is_empty() {
            assert_eq!(response.to_tag(), request.to_tag());
        } else if response.status() == 404 {
            assert_eq!(response.to_tag(), b"ours");
        }
    }
}

/// A start line, fields, an empty line at the very end: nothing that was copied breaks out of its line.
fn one_message(answer: &[u8]) {
    assert!(answer.starts_with(b"SIP/2.0 ") && answer.ends_with(b"\r\nContent-Length: 0\r\n\r\n"));
    let blank = answer.windows(4).position(|four| four == b"\r\n\r\n");
    assert_eq!(blank, Some(answer.len() - 4), "{}", answer.escape_ascii());
    for (at, byte) in answer.iter().enumerate() {
        match byte {
            b'\r' => assert_eq!(answer.get(at + 1), Some(&b'\n'), "{}", answer.escape_ascii()),
            b'\n' => assert_eq!(at.checked_sub(1).map(|before| answer[before]), Some(b'\r')),
            _ => {}
        }
    }
}
