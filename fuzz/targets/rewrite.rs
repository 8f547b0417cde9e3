//! A message that is read, changed as a proxy changes it, written and read again: what was asked for is there, and
//! every other line leaves as it came, in its place (RFC 3261 §16.6 item 1; invariant 9).

use std::net::IpAddr;

use bytes::Bytes;
use switchboard::sip::{Edit, Fault, Limits, Malformed, Message, Name, Parsed, parse};

pub fn run(bytes: &[u8]) {
    let read = match parse(Bytes::copy_from_slice(bytes), &Limits::default()) {
        Ok(read) => read,
        // Also what is refused can be edited: an answer to it is made of it.
        Err(Malformed { request: Some(message), .. }) => {
            unchanged(&message);
            written(&message, |edit| everything(edit, 7));
            return;
        }
        Err(Malformed { request: None, .. }) => return,
    };
    let (Parsed::Request(_) | Parsed::Response(_)) = read else { return };
    let message = message(&read);
    // Which changes, from the message itself: whoever changes a byte of it changes these too.
    let dice = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    unchanged(message);
    via_on_top(message);
    received(message, dice);
    uri(&read);
    for name in [Name::Route, Name::RecordRoute, Name::Contact, Name::Path, Name::Supported] {
        values_removed(message, name, (dice % 4) as usize);
    }
    via_removed(&read);
    lines_removed(message, [Name::PAssertedIdentity, Name::ProxyAuthorization, Name::Contact, Name::Reason], dice);
    set(message, [Name::MaxForwards, Name::Expires, Name::UserAgent], dice);
    appended(message, dice);
    forwarded(&read, dice);
}

fn message(read: &Parsed) -> &Message {
    match read {
        Parsed::Request(request) => request,
        Parsed::Response(response) => response,
        Parsed::KeepAlive => unreachable!("asked for messages only"),
    }
}

/// Limits that what was added cannot pass.
const WIDE: Limits = Limits { message: 1 << 20, headers: 400, header: 1 << 16, values: 400 };

fn again(bytes: &[u8]) -> Parsed {
    match parse(Bytes::copy_from_slice(bytes), &WIDE) {
        Ok(read @ (Parsed::Request(_) | Parsed::Response(_))) => read,
        other => panic!("{other:?}: {}", bytes.escape_ascii()),
    }
}

fn written(message: &Message, change: impl FnOnce(&mut Edit<'_>)) -> Vec<u8> {
    let mut edit = Edit::new(message);
    change(&mut edit);
    let mut out = b"of before".to_vec();
    edit.write(&mut out);
    out
}

/// The lines of all fields but that one, in order.
fn others(message: &Message, name: Name) -> Vec<&[u8]> {
    message.headers().iter().filter(|header| header.name != name).map(|header| message.span(&header.line)).collect()
}

fn lines(message: &Message) -> Vec<&[u8]> {
    message.headers().iter().map(|header| message.span(&header.line)).collect()
}

fn values(message: &Message, name: Name) -> Vec<&[u8]> {
    message.list(name).collect()
}

fn unchanged(message: &Message) {
    assert_eq!(written(message, |_| {}), &message.bytes()[..]);
}

/// All but `name`'s lines, the start line and the body are the same.
fn same_but(before: &Message, after: &Message, name: Name) {
    assert_eq!(before.start_line(), after.start_line());
    assert_eq!(others(before, name), others(after, name));
    assert_eq!(before.body(), after.body());
    assert_eq!(after.trailing(), 0);
}

fn via_on_top(message: &Message) {
    let via = b"SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bKours";
    let out = written(message, |edit| edit.prepend(Name::Via, via));
    let read = again(&out);
    let after = self::message(&read);
    same_but(message, after, Name::Via);
    let (old, new) = (values(message, Name::Via), values(after, Name::Via));
    assert_eq!(new[0], via);
    assert_eq!(new[1..], old[..]);
    // Taken off again, the message is what it was.
    let back = written(after, |edit| edit.remove_values(Name::Via, 1));
    assert_eq!(back, &message.bytes()[..]);
}

fn received(message: &Message, dice: u64) {
    let address: IpAddr =
        if dice & 1 == 0 { [198, 51, 100, 7].into() } else { [0x2001, 0xdb8, 0, 0, 0, 0, 0, 9].into() };
    let (address, port) = match dice >> 1 & 3 {
        0 => (Some(address), None),
        1 => (None, Some(5099)),
        _ => (Some(address), Some(5099)),
    };
    let out = written(message, |edit| edit.set_received(address, port));
    let read = again(&out);
    same_but(message, self::message(&read), Name::Via);
    let via = match &read {
        Parsed::Request(request) => request.top_via(),
        Parsed::Response(response) => response.top_via(),
        Parsed::KeepAlive => unreachable!("`again` gives messages only"),
    };
    if address.is_some() {
        assert_eq!(via.received(), address, "{}", out.escape_ascii());
    }
    if port.is_some() {
        assert_eq!(via.rport(), Some(port), "{}", out.escape_ascii());
    }
    let before = values(message, Name::Via);
    let old = switchboard::sip::Via::parse(before[0]).expect("the topmost was read");
    assert_eq!((via.branch(), via.host_text, via.port), (old.branch(), old.host_text, old.port));
    assert_eq!(values(self::message(&read), Name::Via)[1..], before[1..]);
}

fn uri(read: &Parsed) {
    let message = message(read);
    let out = written(message, |edit| edit.set_uri(b"sip:221@198.51.100.1:5062;ob"));
    match (read, again(&out)) {
        (Parsed::Request(before), Parsed::Request(after)) => {
            assert_eq!(after.uri().text, b"sip:221@198.51.100.1:5062;ob");
            assert_eq!((after.method_bytes(), lines(&after)), (before.method_bytes(), lines(before)));
            assert_eq!(after.body(), before.body());
        }
        (_, Parsed::Response(after)) => assert_eq!(after.bytes(), message.bytes(), "a response has none"),
        (_, after) => panic!("{after:?}"),
    }
}

fn values_removed(message: &Message, name: Name, count: usize) {
    let out = written(message, |edit| edit.remove_values(name, count));
    let read = again(&out);
    let after = self::message(&read);
    same_but(message, after, name);
    let old = values(message, name);
    assert_eq!(values(after, name)[..], old[count.min(old.len())..], "{}", out.escape_ascii());
}

/// As a response goes on: the topmost Via goes, and what is left is a message unless that was wrong already.
fn via_removed(read: &Parsed) {
    let message = message(read);
    let out = written(message, |edit| edit.remove_values(Name::Via, 1));
    let left = values(message, Name::Via);
    match parse(Bytes::from(out), &WIDE) {
        Ok(read) => {
            let after = self::message(&read);
            same_but(message, after, Name::Via);
            assert_eq!(values(after, Name::Via)[..], left[1..]);
        }
        Err(malformed) if left.len() == 1 => assert_eq!(malformed.fault, Fault::MissingVia),
        Err(malformed) => assert_eq!(malformed.fault, Fault::BadVia),
    }
}

fn lines_removed(message: &Message, names: [Name; 4], dice: u64) {
    for name in names {
        let goes = |value: &[u8]| value.len() as u64 % 2 == dice % 2;
        let out = written(message, |edit| edit.remove_lines(name, goes));
        let read = again(&out);
        let after = self::message(&read);
        same_but(message, after, name);
        let left: Vec<&[u8]> = message.lines(name).filter(|value| !goes(value)).collect();
        assert_eq!(after.lines(name).collect::<Vec<_>>(), left);
    }
}

fn set(message: &Message, names: [Name; 3], dice: u64) {
    let value = (dice % 70).to_string();
    for name in names {
        let out = written(message, |edit| edit.set(name, value.as_bytes()));
        let read = again(&out);
        let after = self::message(&read);
        same_but(message, after, name);
        assert_eq!(after.value(name), Some(value.as_bytes()));
        assert_eq!(after.lines(name).count(), message.lines(name).count().max(1));
        assert_eq!(after.lines(name).skip(1).collect::<Vec<_>>(), message.lines(name).skip(1).collect::<Vec<_>>());
    }
}

/// Whatever is added stays in its line.
fn appended(message: &Message, dice: u64) {
    let start = (dice % message.bytes().len() as u64) as usize;
    let stolen = &message.bytes()[start..(start + 40).min(message.bytes().len())];
    let out = written(message, |edit| edit.append("X-Fuzz", stolen));
    let read = match parse(Bytes::copy_from_slice(&out), &WIDE) {
        Ok(read) => read,
        other => panic!("{other:?}: {}", out.escape_ascii()),
    };
    let after = self::message(&read);
    assert_eq!(lines(after)[..lines(message).len()], lines(message)[..]);
    assert_eq!(after.headers().len(), message.headers().len() + 1);
    let last = after.headers().last().expect("just added");
    assert_eq!(after.span(&last.written), b"X-Fuzz");
    assert_eq!(after.body(), message.body());
}

/// All changes of a forwarded request at once.
fn everything(edit: &mut Edit<'_>, hops: u8) {
    edit.set_uri(b"sip:221@198.51.100.1");
    edit.prepend(Name::Via, b"SIP/2.0/UDP 203.0.113.10;branch=z9hG4bKours");
    edit.prepend(Name::RecordRoute, b"<sip:203.0.113.10;lr>");
    edit.prepend(Name::RecordRoute, b"<sip:203.0.113.11;lr>");
    edit.set(Name::MaxForwards, hops.to_string().as_bytes());
    edit.remove_values(Name::Route, 2);
    edit.remove_lines(Name::ProxyAuthorization, |_| true);
    edit.set_received(Some([198, 51, 100, 7].into()), Some(5099));
    edit.append("Max-Breadth", b"1");
}

fn forwarded(read: &Parsed, dice: u64) {
    let message = message(read);
    let hops = (dice >> 32) as u8;
    let out = written(message, |edit| everything(edit, hops));
    let read = again(&out);
    let after = self::message(&read);
    assert_eq!(after.body(), message.body());
    assert_eq!(after.value(Name::MaxForwards), Some(hops.to_string().as_bytes()));
    assert_eq!(after.lines(Name::ProxyAuthorization).count(), 0);
    let (vias, old_vias) = (values(after, Name::Via), values(message, Name::Via));
    assert_eq!((vias[0], vias.len()), (&b"SIP/2.0/UDP 203.0.113.10;branch=z9hG4bKours"[..], old_vias.len() + 1));
    assert_eq!(vias[2..], old_vias[1..]);
    let (recorded, before) = (values(after, Name::RecordRoute), values(message, Name::RecordRoute));
    assert_eq!(recorded[..2], [&b"<sip:203.0.113.10;lr>"[..], b"<sip:203.0.113.11;lr>"]);
    assert_eq!(recorded[2..], before[..]);
    let routes = values(message, Name::Route);
    assert_eq!(values(after, Name::Route)[..], routes[routes.len().min(2)..]);
    let touched = |name: Name| {
        let names = [Name::Via, Name::RecordRoute, Name::MaxForwards, Name::Route, Name::ProxyAuthorization];
        names.contains(&name) || name == Name::MaxBreadth
    };
    let rest = |message: &Message| -> Vec<Vec<u8>> {
        let headers = message.headers().iter().filter(|header| !touched(header.name));
        headers.map(|header| message.span(&header.line).to_vec()).collect()
    };
    assert_eq!(rest(after), rest(message), "what is not named leaves as it came, in order");
}
