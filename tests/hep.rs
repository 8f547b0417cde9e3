//! The capture, read by a reader that shares nothing with its writer: every datagram that was on the wire reaches the collector,
//! with the addresses it had there and the id of its call.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unreachable_pub, dead_code)]

mod children;
mod stage;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use children::{free_port, no_child_begins};
use stage::{PATIENCE, Stage};
use switchboard::config::{self, Config};
use switchboard::daemon::{Daemon, Handle};
use switchboard::engine::{Command, Reply};
use switchboard::peer::{Behaviour, CallEvent, PhoneEvent};

/// A packet, as the specification (network protocol, revision 37) says it is to be read.
#[derive(Clone, Debug, PartialEq)]
struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    /// Since 1970.
    at: Duration,
    capture_id: u32,
    key: Option<String>,
    correlation: Option<String>,
    payload: Vec<u8>,
}

/// Reads one; panics where it is none.
fn read(packet: &[u8]) -> Packet {
    assert_eq!(&packet[..4], b"HEP3");
    assert_eq!(
        usize::from(u16::from_be_bytes([packet[4], packet[5]])),
        packet.len(),
        "the length is that of the whole"
    );
    let mut chunks: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut rest = &packet[6..];
    while !rest.is_empty() {
        let word = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        let (vendor, kind, length) = (word(0), word(2), usize::from(word(4)));
        assert_eq!(vendor, 0, "generic chunks only");
        assert!(length >= 6, "a chunk's length holds its head");
        assert!(chunks.insert(kind, rest[6..length].to_vec()).is_none(), "chunk {kind:#06x} stands once");
        rest = &rest[length..];
    }
    let byte = |kind| <[u8; 1]>::try_from(chunks[&kind].as_slice()).unwrap()[0];
    let short = |kind| u16::from_be_bytes(chunks[&kind].as_slice().try_into().unwrap());
    let long = |kind| u32::from_be_bytes(chunks[&kind].as_slice().try_into().unwrap());
    let ip = |kind| Ipv4Addr::from(<[u8; 4]>::try_from(chunks[&kind].as_slice()).unwrap());
    let text = |kind| chunks.get(&kind).map(|text| String::from_utf8(text.clone()).unwrap());
    assert_eq!((byte(0x0001), byte(0x0002), byte(0x000b)), (2, 17, 1), "IPv4, UDP, SIP");
    assert!(long(0x000a) < 1_000_000, "microseconds beyond the second");
    Packet {
        from: (IpAddr::V4(ip(0x0003)), short(0x0007)).into(),
        to: (IpAddr::V4(ip(0x0004)), short(0x0008)).into(),
        at: Duration::new(u64::from(long(0x0009)), long(0x000a) * 1000),
        capture_id: long(0x000c),
        key: text(0x000e),
        correlation: text(0x0011),
        payload: chunks[&0x000f].clone(),
    }
}

/// A Homer that keeps what it gets.
struct Collector {
    socket: UdpSocket,
}

impl Collector {
    fn new() -> Collector {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Collector { socket }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn next(&self) -> Packet {
        let mut buffer = vec![0; 65_535];
        let length = self.socket.recv(&mut buffer).expect("the collector hears nothing");
        read(&buffer[..length])
    }

    /// The next so many.
    fn take(&self, count: usize) -> Vec<Packet> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn configuration(port: u16, hep: &str) -> Config {
    let machine = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:{port}\"]\n[trunks.airtel]\nsources = [\"127.8.8.0/24\"]\ncountry-code = \"91\"\n{hep}"
    );
    let company = r#"
name     = "Acme Traders"
domain   = "acme.example"
timezone = "Asia/Kolkata"
[numbers."+918041234567"]
routes = [{ to = "department:sales" }]
[departments.sales]
members = ["221"]
[users.221]
name     = "Asha Rao"
password = "a password of hers"
"#;
    let files = [
        (PathBuf::from("switchboard.toml"), machine.into_bytes()),
        (PathBuf::from("companies/acme.toml"), company.as_bytes().to_vec()),
    ];
    config::load_texts(&files).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

fn hep(collector: &Collector, more: &str) -> String {
    format!("[hep]\ncollector = \"{}\"\ncapture-id = 2002\n{more}", collector.address())
}

fn counter(handle: &Handle, name: &str) -> u64 {
    handle.report().unwrap().counters[name]
}

/// Asha registers; the trunk calls and is answered, and hangs up; then it calls a number that is nobody's. Gives the first
/// call's id.
fn a_day(stage: &mut Stage, handle: &Handle) -> String {
    stage.phone("asha", "221", "a password of hers", "127.8.9.2", Behaviour::answer_after(Duration::ZERO));
    stage.trunk("127.8.8.1", Behaviour::ring_only());
    stage.until("asha is registered", |stage| {
        stage.phone_saw("asha", |event| matches!(event, PhoneEvent::Registered { .. }))
    });
    let call = stage.with_trunk(|trunk, now| trunk.call(now, "+918041234567", "+919811112222"));
    stage.until("she answers", |stage| stage.trunk_saw(call, |event| matches!(event, CallEvent::Answered { .. })));
    stage.until("the ACK is there", |stage| {
        stage.phone_saw("asha", |event| matches!(event, PhoneEvent::Call(_, CallEvent::AckReceived)))
    });
    let Ok(Reply::Calls(calls)) = handle.command(Command::Calls) else { panic!("no calls") };
    let [ours] = calls.as_slice() else { panic!("{calls:?}") };
    let id = ours.call.clone();
    stage.with_trunk(|trunk, now| trunk.hang_up(now, call));
    stage.until("it is over", |stage| stage.trunk_saw(call, |event| matches!(event, CallEvent::Ended { .. })));
    let call = stage.with_trunk(|trunk, now| trunk.call(now, "+918049999999", "+919811112222"));
    stage.until("it is refused", |stage| stage.trunk_saw(call, |event| matches!(event, CallEvent::Refused { .. })));
    id
}

#[test]
fn every_datagram_reaches_the_collector_under_the_id_of_its_call() {
    let (port, collector) = (free_port(), Collector::new());
    let config = configuration(port, &hep(&collector, "password = \"homer's own\""));
    let handle = Daemon::from_config(config).start().unwrap();
    let mut stage = Stage::new(port);
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    // A keep-alive is no message.
    stage.say("127.8.9.9", b"\r\n\r\n");
    let call = a_day(&mut stage, &handle);
    // What the stage saw last may not have reached the daemon, or the capture, yet. Copies that were still under way when the stage
    // stopped looking are on both sides or on none.
    let deadline = std::time::Instant::now() + PATIENCE;
    let captured = |handle: &Handle| counter(handle, "capture-sent");
    let settled = |handle: &Handle| counter(handle, "datagrams-received") + counter(handle, "datagrams-sent") - 1;
    while captured(&handle) < settled(&handle).max(stage.wire.len() as u64 - 1) {
        assert!(std::time::Instant::now() < deadline, "{:?}", handle.report());
        std::thread::yield_now();
    }
    let packets = collector.take(usize::try_from(counter(&handle, "capture-sent")).unwrap());
    let after = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((counter(&handle, "capture-dropped"), counter(&handle, "capture-errors")), (0, 0));

    for wire in stage.wire.iter().filter(|wire| !wire.bytes.starts_with(b"\r\n")) {
        let found = packets
            .iter()
            .any(|packet| packet.payload == wire.bytes && (packet.from, packet.to) == (wire.from, wire.to));
        assert!(found, "not captured: {} → {}: {}", wire.from, wire.to, String::from_utf8_lossy(&wire.bytes));
    }
    let second = packets.iter().rfind(|packet| packet.payload.starts_with(b"INVITE")).unwrap();
    let refused = second.correlation.clone();
    assert!(refused.as_ref().is_some_and(|id| *id != call && id.starts_with('c')), "{refused:?}");
    let mut last = before - Duration::from_millis(1);
    for packet in &packets {
        let text = String::from_utf8_lossy(&packet.payload).into_owned();
        assert!(!text.trim().is_empty(), "a keep-alive was captured");
        assert_eq!((packet.capture_id, packet.key.as_deref()), (2002, Some("homer's own")));
        assert!((last..=after).contains(&packet.at), "{last:?} {:?} {after:?}", packet.at);
        last = packet.at;
        // The second call's number is in all of its messages' To.
        if text.contains("REGISTER") {
            assert_eq!(packet.correlation, None, "{text}");
        } else if text.contains("9999999") {
            assert_eq!(packet.correlation, refused, "{text}");
        } else {
            assert_eq!(packet.correlation.as_ref(), Some(&call), "{text}");
        }
    }
    let first = packets.iter().find(|packet| packet.payload.starts_with(b"INVITE")).unwrap();
    assert_eq!(first.correlation, Some(call), "also the INVITE that began the call");
    for start in
        ["INVITE", "SIP/2.0 100", "SIP/2.0 180", "SIP/2.0 200", "ACK", "BYE", "SIP/2.0 404", "REGISTER", "SIP/2.0 401"]
    {
        assert!(packets.iter().any(|packet| packet.payload.starts_with(start.as_bytes())), "no {start}");
    }
    handle.shut_down();
}

#[test]
fn a_reload_turns_it_on_and_off_and_elsewhere() {
    let (port, one, other) = (free_port(), Collector::new(), Collector::new());
    let handle = Daemon::from_config(configuration(port, "")).start().unwrap();
    let mut stage = Stage::new(port);
    let ask = |stage: &mut Stage, text: &str| {
        let count = stage.wire.len();
        stage.say("127.8.9.3", format!("OPTIONS sip:{text} SIP/2.0\r\n\r\n").as_bytes());
        // Nobody answers what is malformed so; the daemon has read it once it says so.
        assert_eq!(stage.wire.len(), count + 1);
        let deadline = std::time::Instant::now() + PATIENCE;
        while counter(&handle, "datagrams-received") < u64::try_from(count + 1).unwrap() {
            assert!(std::time::Instant::now() < deadline, "not received");
            std::thread::yield_now();
        }
    };
    ask(&mut stage, "unseen");
    assert!(handle.adopt(configuration(port, &hep(&one, ""))).unwrap().is_adopted());
    ask(&mut stage, "first");
    let packet = one.next();
    assert!(packet.payload.starts_with(b"OPTIONS sip:first"), "{packet:?}");
    assert_eq!((packet.key, packet.correlation), (None, None));
    assert!(handle.adopt(configuration(port, &hep(&other, ""))).unwrap().is_adopted());
    ask(&mut stage, "second");
    assert!(other.next().payload.starts_with(b"OPTIONS sip:second"));
    assert!(handle.adopt(configuration(port, "")).unwrap().is_adopted());
    ask(&mut stage, "unseen");
    assert!(handle.adopt(configuration(port, &hep(&one, ""))).unwrap().is_adopted());
    ask(&mut stage, "third");
    assert!(one.next().payload.starts_with(b"OPTIONS sip:third"), "and nothing that went elsewhere");
    assert_eq!(counter(&handle, "capture-sent"), 3);
    handle.shut_down();
}

#[test]
fn a_socket_that_a_reload_opens_is_captured_under_its_own_address() {
    let (first, second, collector) = (free_port(), free_port(), Collector::new());
    let hep = hep(&collector, "");
    let handle = Daemon::from_config(configuration(first, &hep)).start().unwrap();
    assert!(handle.adopt(configuration(second, &hep)).unwrap().is_adopted());
    let mut stage = Stage::new(second);
    stage.say("127.8.9.4", b"OPTIONS sip:here SIP/2.0\r\n\r\n");
    assert_eq!(collector.next().to.port(), second);
    handle.shut_down();
}

#[test]
fn a_collector_that_is_not_there_costs_no_call() {
    let alone = no_child_begins();
    let collector = Collector::new();
    let gone = hep(&collector, "");
    drop(collector);
    drop(alone);
    let port = free_port();
    let handle = Daemon::from_config(configuration(port, &gone)).start().unwrap();
    let mut stage = Stage::new(port);
    a_day(&mut stage, &handle);
    let Ok(Reply::Status(status)) = handle.command(Command::Status) else { panic!("no status") };
    assert_eq!(status.talking, 0);
    let deadline = std::time::Instant::now() + PATIENCE;
    while counter(&handle, "capture-errors") == 0 {
        assert!(std::time::Instant::now() < deadline, "its absence is counted");
        std::thread::yield_now();
    }
    handle.shut_down();
}
