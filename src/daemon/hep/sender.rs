//! The thread that writes the packets and sends them.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bytes::Bytes;

use super::calls::Calls;
use super::packet::{self, Agent, Captured};
use super::{Direction, Note, Noted};
use crate::config::{Hep, HepPassword};
use crate::daemon::counters::Counters;
use crate::flow::{Flow, ListenerId};
use crate::id::CallRef;
use crate::sip::{self, Parsed};

/// How often the log is told that packets cannot be sent, in microseconds.
const COMPLAIN_EVERY: u64 = 60_000_000;

/// Everything the thread has.
pub(super) struct Sender {
    counters: Arc<Counters>,
    sockets: HashMap<ListenerId, SocketAddr>,
    target: Option<(Hep, UdpSocket)>,
    calls: Calls,
    limits: sip::Limits,
    packet: Vec<u8>,
    /// When it was last told.
    complained: Option<u64>,
}

impl Sender {
    /// Sends nowhere yet.
    pub(super) fn new(counters: Arc<Counters>) -> Sender {
        Sender {
            counters,
            sockets: HashMap::new(),
            target: None,
            calls: Calls::default(),
            limits: sip::Limits::default(),
            packet: Vec::new(),
            complained: None,
        }
    }

    /// Until it is told to end, or nobody can tell it anything.
    pub(super) fn run(mut self, notes: &Receiver<Note>) {
        while let Ok(note) = notes.recv() {
            match note {
                Note::Step(step) => self.on_step(&step),
                Note::Sockets(sockets) => self.sockets.extend(sockets),
                Note::Follow(hep) => self.follow(hep),
                Note::End => return,
            }
        }
    }

    fn follow(&mut self, hep: Option<Hep>) {
        self.complained = None;
        self.target = None;
        let Some(hep) = hep else {
            // What happens to calls meanwhile, nobody tells.
            self.calls = Calls::default();
            return;
        };
        match open(hep.collector) {
            Ok(socket) => self.target = Some((hep, socket)),
            Err(error) => tracing::warn!("no capture: {} cannot be sent to: {error}", hep.collector),
        }
    }

    /// The events first: the INVITE that begins a call stands before its event.
    fn on_step(&mut self, step: &[Noted]) {
        for noted in step {
            match noted {
                Noted::Datagram { at, .. } => self.calls.on_time(*at),
                Noted::Arrived { call, call_id } => self.calls.on_arrived(*call, call_id),
                Noted::Answered { call } => self.calls.on_answered(*call),
                Noted::Over { call, at } => self.calls.on_over(*call, *at),
            }
        }
        for noted in step {
            match noted {
                Noted::Datagram { direction, flow, at, bytes } => self.on_datagram(*direction, *flow, *at, bytes),
                Noted::Arrived { .. } | Noted::Answered { .. } | Noted::Over { .. } => {}
            }
        }
    }

    fn on_datagram(&mut self, direction: Direction, flow: Flow, at: u64, bytes: &Bytes) {
        let Some(call) = self.call_of(bytes) else { return };
        let (Some((hep, socket)), Some(ours)) = (&self.target, self.sockets.get(&flow.local)) else { return };
        let (from, to) = match direction {
            Direction::In => (flow.remote, *ours),
            Direction::Out => (*ours, flow.remote),
        };
        let correlation = call.map(|call| call.to_string());
        let captured = Captured { from, to, at, payload: bytes, correlation: correlation.as_deref() };
        let agent = Agent { id: hep.capture_id, password: hep.password.as_ref().map(HepPassword::reveal) };
        let sent = match packet::write(&mut self.packet, agent, &captured) {
            Some(()) => send(socket, &self.packet),
            None => Err(io::Error::from(ErrorKind::FileTooLarge)),
        };
        match sent {
            Ok(()) => self.counters.capture_sent.add(),
            Err(error) => {
                self.counters.capture_errors.add();
                if self.complained.is_none_or(|last| at.saturating_sub(last) >= COMPLAIN_EVERY) {
                    self.complained = Some(at);
                    tracing::warn!("the capture cannot be sent to {}: {error}", hep.collector);
                }
            }
        }
    }

    /// The call a datagram belongs to, if it belongs to one; `None` for what holds no message at all.
    fn call_of(&self, bytes: &Bytes) -> Option<Option<CallRef>> {
        match sip::parse(bytes.clone(), &self.limits) {
            Ok(Parsed::Request(request)) => Some(self.calls.call_of(request.call_id())),
            Ok(Parsed::Response(response)) => Some(self.calls.call_of(response.call_id())),
            Ok(Parsed::KeepAlive) => None,
            // It reached no call; what it looked like may be just what somebody wants to see.
            Err(_) => Some(None),
        }
    }
}

/// Connected, so that a collector that is not there is heard of.
fn open(collector: SocketAddr) -> io::Result<UdpSocket> {
    let any = match collector {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    // What a full buffer does not take is dropped: nothing of the daemon ever waits for the collector.
    socket.set_nonblocking(true)?;
    socket.connect(collector)?;
    Ok(socket)
}

fn send(socket: &UdpSocket, packet: &[u8]) -> io::Result<()> {
    match socket.send(packet) {
        // That is what came of the packet before; it is counted there and this one is not sent yet.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            let _ = socket.send(packet);
            Err(error)
        }
        other => other.map(drop),
    }
}
