//! Every message of RFC 4475 and RFC 5118 has a verdict, and gets it.
//!
//! The files under `corpora` are the archives' own, byte for byte, each beside a list with the RFC's expectation. The
//! table says what we do with each; the tests here say that we do it, by reading and writing the messages as the
//! daemon does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::result_large_err, reason = "as parse")]

#[path = "torture/table.rs"]
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use proptest::prelude::*;
use switchboard::sip::{
    Edit, Fault, Limits, Malformed, Message, Method, Name, Parsed, Request, Response, Scheme, Via, parse, respond,
    trying,
};
use table::{RFC4475, RFC5118, Row, Verdict};

// ── Reading the corpus ─────────────────────────────────────────────────────────────────────────────────────────────

fn corpus(rfc: &str, file: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "corpora", rfc, file].iter().collect();
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rows() -> impl Iterator<Item = (&'static str, &'static Row)> {
    RFC4475.iter().map(|row| ("rfc4475", row)).chain(RFC5118.iter().map(|row| ("rfc5118", row)))
}

fn messages() -> Vec<Vec<u8>> {
    rows().map(|(rfc, (name, _))| corpus(rfc, &format!("{name}.dat"))).collect()
}

fn message(name: &str) -> Vec<u8> {
    let rfc = if RFC4475.iter().any(|row| row.0 == name) { "rfc4475" } else { "rfc5118" };
    corpus(rfc, &format!("{name}.dat"))
}

fn read(bytes: &[u8]) -> Result<Parsed, Malformed> {
    parse(Bytes::copy_from_slice(bytes), &Limits::default())
}

fn request(bytes: &[u8]) -> Request {
    match read(bytes) {
        Ok(Parsed::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn response(bytes: &[u8]) -> Response {
    match read(bytes) {
        Ok(Parsed::Response(response)) => response,
        other => panic!("no response: {other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

fn fault(bytes: &[u8]) -> Fault {
    read(bytes).expect_err("a fault").fault
}

/// The message with one text in it replaced; the text has to be there.
fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    let at = find(bytes, old.as_bytes()).unwrap_or_else(|| panic!("{old:?} is not there"));
    [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

fn written(edit: &Edit<'_>) -> Vec<u8> {
    let mut out = b"left over from before".to_vec();
    edit.write(&mut out);
    out
}

fn lines(message: &Message) -> Vec<&[u8]> {
    message.headers().iter().map(|header| message.span(&header.line)).collect()
}

fn source() -> SocketAddr {
    "198.51.100.7:5099".parse().unwrap()
}

// ── The table ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_table_has_every_message_of_the_lists() {
    for (rfc, table) in [("rfc4475", RFC4475), ("rfc5118", RFC5118)] {
        let list = String::from_utf8(corpus(rfc, "torture.tsv")).unwrap();
        let listed: Vec<&str> =
            list.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').next().unwrap()).collect();
        let tabled: Vec<&str> = table.iter().map(|row| row.0).collect();
        assert_eq!(listed, tabled, "{rfc}");
    }
    assert_eq!((RFC4475.len(), RFC5118.len()), (49, 12));
}

#[test]
fn no_verdict_contradicts_its_list() {
    for (rfc, table) in [("rfc4475", RFC4475), ("rfc5118", RFC5118)] {
        let list = String::from_utf8(corpus(rfc, "torture.tsv")).unwrap();
        for (line, (name, verdict)) in list.lines().filter(|line| !line.starts_with('#')).zip(table) {
            let fields: Vec<&str> = line.split('\t').collect();
            let (class, kind, expected) = (fields[3], fields[4], fields[5]);
            match verdict {
                Verdict::Forwarded => {
                    assert!(class != "invalid" || expected.contains("or ignore"), "{name}: {expected}")
                }
                Verdict::Core(status) => {
                    assert!(expected.starts_with("parses"), "{name}");
                    assert!(expected.contains(&status.to_string()) || *name == "unksm2", "{name}");
                }
                Verdict::Refused(status, _) => {
                    assert_ne!(class, "valid", "{name}");
                    assert!(expected.contains(&status.to_string()), "{name}: {expected}");
                }
                Verdict::Dropped(_) => assert!(kind == "response" && expected == "discard", "{name}"),
            }
        }
    }
}

#[test]
fn every_message_gets_its_verdict() {
    for (rfc, (name, verdict)) in rows() {
        let bytes = corpus(rfc, &format!("{name}.dat"));
        match (verdict, read(&bytes)) {
            (Verdict::Forwarded | Verdict::Core(_), Ok(Parsed::Request(request))) => {
                stays_the_same(name, &bytes, &request);
                is_forwarded(name, &request);
            }
            (Verdict::Forwarded, Ok(Parsed::Response(response))) => {
                stays_the_same(name, &bytes, &response);
                is_passed_up(name, &response);
            }
            (Verdict::Refused(status, fault), Err(malformed)) => {
                assert_eq!(malformed.fault, *fault, "{name}");
                assert_eq!(malformed.fault.status(), *status, "{name}");
                let request = malformed.request.unwrap_or_else(|| panic!("{name} cannot be answered"));
                is_answered(name, &request, *fault);
            }
            (Verdict::Dropped(fault), Err(malformed)) => {
                assert_eq!(malformed.fault, *fault, "{name}");
                assert!(malformed.request.is_none(), "{name} is a response and gets no answer");
            }
            (verdict, outcome) => panic!("{name}: {verdict:?}, but {outcome:?}"),
        }
    }
}

/// Without a change, what is written is what came, but for what came after its end.
fn stays_the_same(name: &str, bytes: &[u8], message: &Message) {
    let kept = &bytes[..bytes.len() - message.trailing()];
    assert_eq!(written(&Edit::new(message)), kept, "{name}");
    let (headers, body) = (lines(message).concat(), message.body());
    let rebuilt = [message.start_line(), b"\r\n", &headers, b"\r\n", body].concat();
    assert_eq!(rebuilt, kept, "{name}: the spans leave no byte out");
}

/// A request changed as a proxy changes it: what was meant is read back, and all other lines are as they were.
fn is_forwarded(name: &str, original: &Request) {
    let mut edit = Edit::new(original);
    edit.set_uri(b"sip:4711@203.0.113.5:5090;transport=udp");
    edit.set_received(Some(source().ip()), Some(source().port()));
    edit.prepend(Name::Via, b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours;rport");
    edit.set(Name::MaxForwards, b"69");
    edit.set(Name::MaxBreadth, b"30");
    edit.prepend(Name::RecordRoute, b"<sip:192.0.2.1;lr;side=a>");
    edit.prepend(Name::RecordRoute, b"<sip:10.0.0.1;lr;side=b>");
    edit.remove_lines(Name::Route, |_| true);
    edit.prepend(Name::Route, b"<sip:one.example;lr>");
    edit.prepend(Name::Route, b"<sip:two.example;lr>");
    edit.remove_lines(Name::ProxyAuthorization, |_| true);
    edit.remove_lines(Name::PAssertedIdentity, |_| true);
    let forwarded = request(&written(&edit));

    assert_eq!(forwarded.uri().text, b"sip:4711@203.0.113.5:5090;transport=udp", "{name}");
    assert_eq!(forwarded.method_bytes(), original.method_bytes(), "{name}");
    assert_eq!(forwarded.max_forwards(), Some(69), "{name}");
    assert_eq!(forwarded.number(Name::MaxBreadth), Some(30), "{name}");
    assert_eq!(forwarded.top_via().branch(), Some(&b"z9hG4bKours"[..]), "{name}");
    let below: Vec<_> = forwarded.vias().skip(1).collect();
    let before: Vec<_> = original.vias().collect();
    assert_eq!(below.len(), before.len(), "{name}");
    assert_eq!(below[0].received(), Some(source().ip()), "{name}");
    assert_eq!(below[0].rport(), Some(Some(source().port())), "{name}");
    assert_eq!(below[0].branch(), before[0].branch(), "{name}");
    assert_eq!(below[0].host_text, before[0].host_text, "{name}");
    for (now, then) in below.iter().zip(&before).skip(1) {
        assert_eq!(now.text, then.text, "{name}");
    }
    let routes: Vec<_> = forwarded.list(Name::Route).collect();
    assert_eq!(routes, [&b"<sip:one.example;lr>"[..], b"<sip:two.example;lr>"], "{name}");
    let ours = [&b"<sip:192.0.2.1;lr;side=a>"[..], b"<sip:10.0.0.1;lr;side=b>"];
    let recorded: Vec<_> = ours.into_iter().chain(original.list(Name::RecordRoute)).collect();
    assert_eq!(forwarded.list(Name::RecordRoute).collect::<Vec<_>>(), recorded, "{name}");
    assert_eq!((forwarded.from_tag(), forwarded.to_tag()), (original.from_tag(), original.to_tag()), "{name}");
    assert_eq!((forwarded.call_id(), forwarded.cseq()), (original.call_id(), original.cseq()), "{name}");

    assert_eq!(untouched(&forwarded), untouched(original), "{name}: every other line as it was, in order");
    assert_eq!(forwarded.body(), original.body(), "{name}");
}

/// The lines that forwarding as above has nothing to do with.
fn untouched(message: &Message) -> Vec<&[u8]> {
    let touched = [
        Name::Via,
        Name::MaxForwards,
        Name::MaxBreadth,
        Name::Route,
        Name::RecordRoute,
        Name::ProxyAuthorization,
        Name::PAssertedIdentity,
    ];
    let kept = message.headers().iter().filter(|header| !touched.contains(&header.name));
    kept.map(|header| message.span(&header.line)).collect()
}

/// A response with its topmost Via taken off.
fn is_passed_up(name: &str, original: &Response) {
    let mut edit = Edit::new(original);
    edit.remove_values(Name::Via, 1);
    let out = written(&edit);
    let before: Vec<&[u8]> = original.list(Name::Via).skip(1).collect();
    if before.is_empty() {
        assert_eq!(fault(&out), Fault::MissingVia, "{name}");
        return;
    }
    if Via::parse(before[0]).is_err() {
        assert_eq!(fault(&out), Fault::BadVia, "{name}");
        return;
    }
    let passed = response(&out);
    assert_eq!(passed.list(Name::Via).collect::<Vec<_>>(), before, "{name}");
    assert_eq!((passed.status(), passed.reason()), (original.status(), original.reason()), "{name}");
    assert_eq!(untouched(&passed), untouched(original), "{name}");
    assert_eq!(passed.body(), original.body(), "{name}");
}

/// A refused request gets a response that can be read, but for the field that is the reason (it is copied as it is).
fn is_answered(name: &str, request: &Message, fault: Fault) {
    let answer = respond(request, source(), fault.status(), fault.reason(), Some("ours"), &[]);
    let copied = [Fault::BadVia, Fault::BadFrom, Fault::BadTo, Fault::BadCseq, Fault::MissingFrom, Fault::Truncated];
    match read(&answer) {
        Ok(Parsed::Response(response)) => {
            assert_eq!(response.status(), fault.status(), "{name}");
            assert_eq!(response.reason(), fault.reason().as_bytes(), "{name}");
            assert!(!response.to_tag().is_empty(), "{name}");
            assert_eq!(response.list(Name::Via).count(), request.list(Name::Via).count(), "{name}");
            assert_eq!(response.top_via().received(), Some(source().ip()), "{name}");
            assert_eq!(Some(response.call_id()), request.value(Name::CallId), "{name}");
            assert_eq!(response.body(), b"", "{name}");
        }
        Err(malformed) => {
            assert!(copied.contains(&fault), "{name}: {malformed:?}");
            // What is cut short may have a field of its own that cannot be read.
            assert!(malformed.fault == fault || fault == Fault::Truncated, "{name}: {malformed:?}");
            let start = format!("SIP/2.0 {} {}\r\n", fault.status(), fault.reason());
            assert!(answer.starts_with(start.as_bytes()), "{name}");
        }
        Ok(other) => panic!("{name}: {other:?}"),
    }
}

// ── What single messages are about ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn wsinv_is_read_through_its_folds() {
    let request = request(&message("wsinv"));
    assert_eq!(request.method(), Method::Invite);
    assert_eq!(request.max_forwards(), Some(68));
    assert_eq!(request.cseq().number, 9);
    assert_eq!((request.from_tag(), request.to_tag()), (&b"98asjd8"[..], &b"1918181833n"[..]));
    let branches: Vec<_> = request.vias().map(|via| via.branch().unwrap()).collect();
    assert_eq!(branches, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    assert_eq!(request.name_addrs(Name::Contact).next().unwrap().params.value("newparam"), Some(&b"newvalue"[..]));
}

#[test]
fn intmeth_keeps_its_method_and_its_escaped_nul() {
    let request = request(&message("intmeth"));
    assert_eq!(request.method(), Method::Other);
    assert_eq!(request.method_bytes(), b"!interesting-Method0123456789_*+`.%indeed'~");
    assert!(request.to().display.unwrap().contains(&0));
}

#[test]
fn esc02_is_no_register_and_has_no_third_contact() {
    let request = request(&message("esc02"));
    assert_eq!(request.method(), Method::Other);
    let contacts: Vec<_> = request.name_addrs(Name::Contact).map(|contact| contact.uri.text).collect();
    assert_eq!(contacts, [&b"sip:alias1@host1.example.com"[..], b"sip:alias3@host3.example.com"]);
}

#[test]
fn dblreq_loses_what_came_after_it() {
    let bytes = message("dblreq");
    let request = request(&bytes);
    assert_eq!(request.method(), Method::Register);
    let second = find(&bytes, b"INVITE sip:joe").unwrap();
    assert_eq!(request.trailing(), bytes.len() - request.bytes().len());
    assert!(request.trailing() >= bytes.len() - second);
    assert_eq!(find(&written(&Edit::new(&request)), b"INVITE"), None);
}

#[test]
fn semiuri_has_its_parameter_in_the_user() {
    assert_eq!(request(&message("semiuri")).uri().user, Some(&b"user;par=u%40example.net"[..]));
}

#[test]
fn reasons_may_be_unusual_or_empty() {
    assert!(response(&message("unreason")).reason().len() > 20);
    assert!(!response(&message("unreason")).reason().is_ascii());
    assert_eq!(response(&message("noreason")).reason(), b"");
}

#[test]
fn unknown_schemes_are_read_as_such() {
    assert_eq!(request(&message("unkscm")).uri().scheme, Scheme::Other(b"nobodyKnowsThisScheme"));
    assert_eq!(request(&message("novelsc")).uri().scheme, Scheme::Other(b"soap.beep"));
    assert_eq!(request(&message("unksm2")).to().uri.scheme, Scheme::Other(b"isbn"));
}

#[test]
fn what_the_core_refuses_is_there_to_be_seen() {
    assert_eq!(request(&message("zeromf")).max_forwards(), Some(0));
    assert_eq!(request(&message("bext01")).list(Name::ProxyRequire).count(), 2);
    assert!(request(&message("regaut01")).value(Name::Authorization).unwrap().starts_with(b"NoOneKnowsThisScheme"));
}

#[test]
fn inv2543_has_neither_branch_nor_from_tag() {
    let request = request(&message("inv2543"));
    assert_eq!(request.top_via().branch(), None);
    assert_eq!((request.from_tag(), request.max_forwards()), (&b""[..], None));
    assert_eq!(request.body().len() + find(request.bytes(), b"\r\n\r\n").unwrap() + 4, request.bytes().len());
}

#[test]
fn each_overlarge_scalar_of_scalar02_is_a_fault() {
    let mut bytes = message("scalar02");
    for (found, old, new) in [
        (Fault::BadCseq, "36893488147419103232", "1"),
        (Fault::BadMaxForwards, "Max-Forwards: 300", "Max-Forwards: 70"),
        (Fault::BadExpires, "Expires: 1000000000000", "Expires: x"),
        (Fault::BadContact, "expires=280297596632815", "expires=4294967295"),
    ] {
        assert_eq!(fault(&bytes), found);
        bytes = replaced(&bytes, old, new);
    }
    request(&bytes);
}

#[test]
fn baddn_is_refused_for_its_names_where_it_is_whole() {
    let whole = [&message("baddn")[..], b"\r\n"].concat();
    assert_eq!(fault(&whole), Fault::BadFrom);
}

#[test]
fn insuf_is_answered_with_what_it_has() {
    let malformed = read(&message("insuf")).expect_err("From, To and Call-ID are missing");
    let answer = respond(&malformed.request.unwrap(), source(), 400, "Missing From", Some("ours"), &[]);
    assert_eq!(
        answer,
        "SIP/2.0 400 Missing From\r\n\
         Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf;received=198.51.100.7\r\n\
         CSeq: 193942 INVITE\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn multi01_is_answered_with_the_first_of_each() {
    let malformed = read(&message("multi01")).expect_err("fields are repeated");
    let answer = response(&respond(&malformed.request.unwrap(), source(), 400, "x", Some("ours"), &[]));
    assert_eq!(answer.call_id(), b"multi01.98asdh@192.0.2.1");
    assert_eq!((answer.cseq().number, answer.to().uri.text), (5, &b"sip:user@example.com"[..]));
}

// ── Properties ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// Does with a datagram all that the daemon does; for the sake of what must not happen.
fn exercise(bytes: &[u8]) {
    match read(bytes) {
        Ok(Parsed::Request(request)) => {
            let _ = (request.uri(), request.max_forwards(), request.method_bytes());
            assert!(!request.uri().text.is_empty() && !request.top_via().text.is_empty());
            assert!(!request.from().text.is_empty() && !request.to().text.is_empty());
            assert_eq!(request.from().tag().unwrap_or_default(), request.from_tag());
            assert_eq!(request.to().tag().unwrap_or_default(), request.to_tag());
            stays_the_same("request", &bytes[bytes.len() - request.bytes().len() - request.trailing()..], &request);
            is_forwarded("request", &request);
            read_all(&request);
            let answer = response(&respond(&request, source(), 486, "Busy Here", Some("ours"), &[("X-A", b"b\r\nc")]));
            assert_eq!((answer.status(), answer.cseq()), (486, request.cseq()));
            assert!(!answer.to_tag().is_empty());
            assert_eq!(response(&trying(&request, source())).to_tag(), request.to_tag());
        }
        Ok(Parsed::Response(response)) => {
            assert!((100..700).contains(&response.status()));
            is_passed_up("response", &response);
            read_all(&response);
        }
        Ok(Parsed::KeepAlive) => {}
        Err(Malformed { fault, request: Some(request) }) => {
            read_all(&request);
            let answer = respond(&request, source(), fault.status(), fault.reason(), Some("ours"), &[]);
            let head = &answer[..answer.len() - 4];
            assert!(answer.ends_with(b"\r\n\r\n") && find(head, b"\r\n\r\n").is_none());
            assert!(!head.contains(&0), "{:?}", String::from_utf8_lossy(head));
            for line in String::from_utf8_lossy(head).split("\r\n").skip(1) {
                assert!(!line.contains(['\r', '\n']) && !line.starts_with([' ', '\t']), "{line:?}");
                let name = line.split(':').next().unwrap();
                assert!(["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"].contains(&name), "{line:?}");
            }
            let _ = trying(&request, source());
            let mut edit = Edit::new(&request);
            edit.set_uri(b"sip:x@y");
            edit.set_received(Some(source().ip()), Some(1));
            edit.remove_values(Name::Via, 1);
            edit.set(Name::MaxForwards, b"1");
            edit.prepend(Name::Route, b"<sip:x>");
            let _ = written(&edit);
        }
        Err(Malformed { request: None, .. }) => {}
    }
}

fn read_all(message: &Message) {
    for name in [Name::Via, Name::Contact, Name::Route, Name::Supported, Name::Expires, Name::Other] {
        let _ = (message.value(name), message.number(name), message.has_token(name, "timer"));
        assert!(message.list(name).all(|value| !value.is_empty()));
    }
}

/// A message of the corpus with a few places of it overwritten, cut out or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(&b"\r\n\0\t :;,<>\"\\@=%?/SIP20"[..]),];
    let change = (any::<prop::sample::Index>(), 0u8..4, byte, 1usize..40);
    (prop::sample::select(messages()), prop::collection::vec(change, 1..6)).prop_map(|(mut bytes, changes)| {
        for (at, kind, byte, length) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.drain(at..end)),
                _ => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    #[test]
    fn any_text_in_the_shape_of_a_message_is_survived(
        text in prop::collection::vec(prop::sample::select(vec![
            "OPTIONS sip:a@b SIP/2.0\r\n", "SIP/2.0 200 OK\r\n", "Via: SIP/2.0/UDP h;branch=z9hG4bK1", "From: <sip:a@b>;tag=1",
            "To: \"x", "To: sip:b@c", "Call-ID: 1", "CSeq: 1 OPTIONS", "Contact: *", ",", ";", "\"", "<", ">", "\r\n", "\r\n",
            "\r\n", "\r", "\n", " ", "\0", "\\", "Route: <sip:a;lr>", "l: 5", ":", ";rport", ";received=1", "\r\n\r\n",
        ]), 0..40),
    ) {
        exercise(text.concat().as_bytes());
    }

    #[test]
    fn damaged_messages_are_survived(bytes in mutated()) {
        exercise(&bytes);
    }
}
