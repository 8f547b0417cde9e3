//! Our reader against rsip 0.4, which shares no code with it: where both take a message, both read the same of it. Two
//! readers of one message who disagree are how requests are smuggled past the one that judges (checklists §2 class 5).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::HasHeaders;
use rsip::{Header, SipMessage};
use switchboard::sip::{Host, Limits, Message, Name, NameAddr, Parsed, Scheme, Uri, Via, parse};

/// A difference that was looked at and left: rsip is wrong, or says less, and the reason is written here. Everything
/// else that differs is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// rsip takes methods in any case. They are case-sensitive (RFC 3261 §7.1): `invite` is another method to us.
    MethodCase,
    /// rsip ends the search for a user part at the first `.`, so that `sip:a.b@host` has a host `a.b@host` to it.
    DotInUser,
    /// rsip leaves what follows `?` in a URI with the last thing before it: the host, a parameter.
    UriHeaders,
    /// rsip takes what is behind a `:` up to the end for a port, and splits IPv6 addresses at their first colon.
    Ipv6,
    /// rsip knows one kind of parameters; those of a user part (`sip:+358;phone-context=x@host`) are the URI's to it.
    ParametersInUser,
    /// rsip takes any scheme, and none, for the beginning of a host; but where a `://` stands anywhere behind the method,
    /// also lines later, all in front of it is the Request-URI's scheme to it.
    Scheme,
    /// rsip does not unfold lines and ends a value at its first CRLF: it takes no message with a fold in its fields,
    /// except where the rest of it looks like a field.
    Fold,
    /// rsip looks for `<` first, also in a quoted display name or in a parameter's quoted value.
    Quotes,
    /// rsip reads a parameter's value up to the first byte that a token cannot have, leaves what follows, and reads no
    /// parameter behind it. Here a value is all that stands up to the next `;`.
    ValueNotToken,
    /// rsip gives the last of several `tag` or `branch` parameters where the first counts here; a message with two is
    /// somebody's mistake, and no reader of ours takes another one than the engine's.
    TwoOfOne,
    /// rsip reads no parameter behind white space, which may stand around each `;` and `=` (RFC 3261 §25.1), and in a Via
    /// around more.
    Space,
}

/// Whether the other reader is at work: a panic of its own is not ours to report.
static OTHER: AtomicBool = AtomicBool::new(false);

/// See above.
pub fn other_reader_runs() -> bool {
    OTHER.load(Ordering::Relaxed)
}

fn other<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    OTHER.store(true, Ordering::Relaxed);
    let read = catch_unwind(AssertUnwindSafe(read)).ok().flatten();
    OTHER.store(false, Ordering::Relaxed);
    read
}

pub fn run(bytes: &[u8]) {
    let Ok(read) = parse(Bytes::copy_from_slice(bytes), &Limits::default()) else { return };
    let message: &Message = match &read {
        Parsed::Request(request) => request,
        Parsed::Response(response) => response,
        Parsed::KeepAlive => return,
    };
    // rsip does not skip the CRLFs in front (RFC 3261 §7.5): it is given what is left when they are.
    let Some(theirs) = other(|| SipMessage::try_from(&bytes[bytes.len() - rest(bytes)..]).ok()) else { return };
    compare(&read, message, &theirs);
}

/// How many bytes are left behind the CRLFs in front.
fn rest(bytes: &[u8]) -> usize {
    bytes.len() - bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

fn compare(read: &Parsed, ours: &Message, theirs: &SipMessage) {
    if folded(ours) {
        return known(Known::Fold);
    }
    if let SipMessage::Request(rsip::Request { uri: rsip::Uri { scheme: Some(rsip::Scheme::Other(text)), .. }, .. }) =
        theirs
        && text.contains("\r\n")
    {
        return known(Known::Scheme);
    }
    match (read, theirs) {
        (Parsed::Request(request), SipMessage::Request(other)) => {
            same_text("method", request.method_bytes(), &other.method.to_string(), Known::MethodCase);
            same_uri("Request-URI", &request.uri(), &other.uri);
        }
        (Parsed::Response(response), SipMessage::Response(other)) => {
            assert_eq!(response.status(), other.status_code.code(), "status");
        }
        (ours, theirs) => panic!("one reads a request, one a response: {ours:?} {theirs:?}"),
    }
    same_fields(ours, theirs);
    let (call_id, cseq, from, to, via) = match read {
        Parsed::Request(it) => (it.call_id(), it.cseq(), it.from(), it.to(), it.top_via()),
        Parsed::Response(it) => (it.call_id(), it.cseq(), it.from(), it.to(), it.top_via()),
        Parsed::KeepAlive => return,
    };
    for header in theirs.headers().iter() {
        match header {
            Header::CallId(value) => assert_eq!(trimmed(value.value()), call_id, "Call-ID"),
            Header::CSeq(value) => {
                if let Some(typed) = other(|| value.typed().ok()) {
                    assert_eq!(typed.seq, cseq.number, "CSeq");
                    let method = ours.value(Name::Cseq).unwrap_or_default();
                    let method = method.rsplit(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
                    same_text("CSeq", method, &typed.method.to_string(), Known::MethodCase);
                }
            }
            Header::From(value) => {
                if let Some(typed) = other(|| value.typed().ok()) {
                    same_address("From", &from, &typed.uri, &typed.params);
                }
            }
            Header::To(value) => {
                if let Some(typed) = other(|| value.typed().ok()) {
                    same_address("To", &to, &typed.uri, &typed.params);
                }
            }
            Header::ContentLength(value) => {
                if let Some(length) = other(|| value.length().ok()) {
                    assert_eq!(usize::try_from(length).ok(), Some(ours.body().len()), "Content-Length");
                }
            }
            Header::MaxForwards(value) => {
                if let Some(hops) = other(|| value.num().ok()) {
                    assert_eq!(Some(hops), ours.number(Name::MaxForwards), "Max-Forwards");
                }
            }
            _ => {}
        }
    }
    first_contact(ours, theirs);
    top_via(ours, &via, theirs);
    let body = theirs.body();
    assert_eq!(body.get(..ours.body().len()), Some(ours.body()), "body");
    assert_eq!(body.len(), ours.body().len() + ours.trailing(), "what is behind the body");
}

/// Both see the same lines of every field that anything is decided by. rsip knows no compact names.
fn same_fields(ours: &Message, theirs: &SipMessage) {
    type Which = fn(&Header) -> Option<&str>;
    let fields: [(Name, Which); 11] = [
        (Name::Via, |header| if let Header::Via(value) = header { Some(value.value()) } else { None }),
        (Name::From, |header| if let Header::From(value) = header { Some(value.value()) } else { None }),
        (Name::To, |header| if let Header::To(value) = header { Some(value.value()) } else { None }),
        (Name::CallId, |header| if let Header::CallId(value) = header { Some(value.value()) } else { None }),
        (Name::Cseq, |header| if let Header::CSeq(value) = header { Some(value.value()) } else { None }),
        (Name::Contact, |header| if let Header::Contact(value) = header { Some(value.value()) } else { None }),
        (Name::Route, |header| if let Header::Route(value) = header { Some(value.value()) } else { None }),
        (Name::RecordRoute, |header| if let Header::RecordRoute(value) = header { Some(value.value()) } else { None }),
        (Name::Expires, |header| if let Header::Expires(value) = header { Some(value.value()) } else { None }),
        (
            Name::ContentLength,
            |header| {
                if let Header::ContentLength(value) = header { Some(value.value()) } else { None }
            },
        ),
        (
            Name::Authorization,
            |header| {
                if let Header::Authorization(value) = header { Some(value.value()) } else { None }
            },
        ),
    ];
    for (name, which) in fields {
        let long = |header: &&switchboard::sip::Header| {
            header.name == name && ours.span(&header.written).eq_ignore_ascii_case(name.as_str().as_bytes())
        };
        let our_lines: Vec<&[u8]> = ours.headers().iter().filter(long).map(|header| ours.span(&header.value)).collect();
        let their_lines: Vec<&[u8]> = theirs.headers().iter().filter_map(which).map(trimmed).collect();
        assert_eq!(our_lines, their_lines, "{name:?}");
    }
    assert_eq!(ours.headers().len(), theirs.headers().iter().count(), "how many fields there are");
}

fn first_contact(ours: &Message, theirs: &SipMessage) {
    let Some(line) = ours.headers().iter().find(|header| header.name == Name::Contact) else { return };
    let value = ours.span(&line.value);
    // rsip reads no lists: what is behind the first comma would be a part of the first value.
    if value.contains(&b',') || !ours.span(&line.written).eq_ignore_ascii_case(b"Contact") {
        return;
    }
    let Ok(address) = NameAddr::parse(value) else { return };
    let contact = theirs.headers().iter().find_map(|header| match header {
        Header::Contact(value) => Some(value),
        _ => None,
    });
    if let Some(typed) = contact.and_then(|value| other(|| value.typed().ok())) {
        same_address("Contact", &address, &typed.uri, &typed.params);
    }
}

fn top_via(ours: &Message, via: &Via<'_>, theirs: &SipMessage) {
    let Some(line) = ours.headers().iter().find(|header| header.name == Name::Via) else { return };
    if ours.span(&line.value).contains(&b',') || !ours.span(&line.written).eq_ignore_ascii_case(b"Via") {
        return;
    }
    let found = theirs.headers().iter().find_map(|header| match header {
        Header::Via(value) => Some(value),
        _ => None,
    });
    let Some(typed) = found.and_then(|value| other(|| value.typed().ok())) else { return };
    if via.text.contains(&b'"') {
        return known(Known::ValueNotToken);
    }
    let spaced = via.text.iter().filter(|byte| byte.is_ascii_whitespace()).count() > 1;
    if spaced {
        return known(Known::Space);
    }
    if via.text.contains(&b'[') || via.params.value("received").is_some_and(|text| text.contains(&b':')) {
        return known(Known::Ipv6);
    }
    assert!(via.transport.eq_ignore_ascii_case(typed.transport.to_string().as_bytes()), "{typed:?}");
    same_host("sent-by", Some(via.host), via.port, &typed.uri);
    if twice(via.params.iter().map(|(name, _)| name), b"branch") {
        return known(Known::TwoOfOne);
    }
    if !via.params.iter().all(|(_, value)| value.is_none_or(is_token)) {
        return known(Known::ValueNotToken);
    }
    let branch = typed.branch().map(|branch| branch.to_string());
    let branch = branch.as_deref().map(|text| text.trim_start_matches(";branch="));
    assert_eq!(via.branch().unwrap_or_default(), branch.unwrap_or_default().as_bytes(), "branch: {typed:?}");
}

fn same_address(what: &str, ours: &NameAddr<'_>, uri: &rsip::Uri, params: &[rsip::Param]) {
    if ours.text.contains(&b'"') {
        return known(Known::Quotes);
    }
    let spaced = ours.text.iter().any(u8::is_ascii_whitespace);
    // Without angle brackets what stands in front of a `;` is the host's, or the port's, to rsip.
    if spaced && !ours.text.contains(&b'<') {
        return known(Known::Space);
    }
    same_uri(what, &ours.uri, uri);
    if spaced {
        return known(Known::Space);
    }
    if twice(ours.params.iter().map(|(name, _)| name), b"tag") {
        return known(Known::TwoOfOne);
    }
    if !ours.params.iter().all(|(_, value)| value.is_none_or(is_token)) {
        return known(Known::ValueNotToken);
    }
    let tag = params.iter().find_map(|param| match param {
        rsip::Param::Tag(tag) => Some(tag.to_string()),
        _ => None,
    });
    let tag = tag.as_deref().map(|text| text.trim_start_matches(";tag=").trim());
    assert_eq!(ours.tag(), tag.map(str::as_bytes), "{what}: tag");
}

fn same_uri(what: &str, ours: &Uri<'_>, theirs: &rsip::Uri) {
    match ours.scheme {
        Scheme::Sip => assert_eq!(theirs.scheme, Some(rsip::Scheme::Sip), "{what}: scheme"),
        Scheme::Sips => assert_eq!(theirs.scheme, Some(rsip::Scheme::Sips), "{what}: scheme"),
        Scheme::Tel | Scheme::Other(_) => return known(Known::Scheme),
    }
    if ours.headers.is_some() {
        return known(Known::UriHeaders);
    }
    if ours.user.is_some_and(|user| user.contains(&b';') || user.contains(&b'?'))
        || ours.password.is_some_and(|password| password.contains(&b';'))
    {
        return known(Known::ParametersInUser);
    }
    let has_dot = |part: Option<&[u8]>| part.is_some_and(|part| part.contains(&b'.'));
    if has_dot(ours.user) || has_dot(ours.password) {
        return known(Known::DotInUser);
    }
    let user = theirs.auth.as_ref().map(|auth| auth.user.as_bytes());
    assert_eq!(ours.user, user, "{what}: user");
    same_host(what, ours.host, ours.port, theirs);
}

fn same_host(what: &str, host: Option<Host<'_>>, port: Option<u16>, theirs: &rsip::Uri) {
    let their_host = theirs.host_with_port.host.to_string();
    match host {
        Some(Host::V6(_)) => return known(Known::Ipv6),
        Some(Host::V4(address)) => assert_eq!(their_host, address.to_string(), "{what}: host"),
        Some(Host::Name(name)) => assert!(name.eq_ignore_ascii_case(their_host.as_bytes()), "{what}: {their_host}"),
        None => panic!("{what}: no host"),
    }
    assert_eq!(port, theirs.host_with_port.port.as_ref().map(|port| *port.value()), "{what}: port");
}

fn same_text(what: &str, ours: &[u8], theirs: &str, known_difference: Known) {
    if ours != theirs.as_bytes() {
        assert!(ours.eq_ignore_ascii_case(theirs.as_bytes()), "{what}: {} {theirs}", ours.escape_ascii());
        known(known_difference);
    }
}

/// Whether a field goes on in the next line.
fn folded(message: &Message) -> bool {
    let mut lines = message.headers().iter().map(|header| message.span(&header.line));
    lines.any(|line| line.windows(2).filter(|two| *two == b"\r\n").count() > 1)
}

fn twice<'a>(mut names: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> bool {
    let is_it = |written: &&[u8]| written.eq_ignore_ascii_case(name);
    names.by_ref().filter(is_it).count() > 1
}

/// RFC 3261 §25.1.
fn is_token(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte))
}

fn trimmed(text: &str) -> &[u8] {
    // A form feed is no white space here.
    text.trim_matches([' ', '\t']).as_bytes()
}

/// A difference on the list: nothing to say. (It has a place of its own so that a debugger, or a reader, finds each.)
fn known(_: Known) {}
