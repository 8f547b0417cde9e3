//! The capture: every SIP datagram, in and out, sent on to a collector (Homer) as a HEPv3 packet, with our call's id as its
//! correlation.
//!
//! Nothing of it happens on the engine's thread but noting what came and went: the [`Tap`] gathers what one step of the engine
//! took in and gave out, and hands it over whole where there is room, so that the INVITE that begins a call is sent
//! once the call's event is known. What finds no room is dropped and counted, never waited for. The [`Capture`] is the supervisor's
//! end: a reload turns it on and off.
//!
//! `packet` is the format, `calls` knows which call a datagram belongs to, `sender` is the thread.

mod calls;
mod packet;
mod sender;

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::clock::wall_micros;
use super::counters::Counters;
use crate::config::Hep;
use crate::engine::{Event, Listener};
use crate::flow::{Flow, ListenerId};
use crate::id::CallRef;

/// How many steps of the engine may wait to be sent.
const STEPS: usize = 1024;

/// How many beginnings and ends of calls are kept for later when there is no room for them now.
const KEPT: usize = 4096;

/// Which way a datagram went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

/// What one step of the engine took in or gave out.
#[derive(Debug)]
enum Noted {
    Datagram { direction: Direction, flow: Flow, at: u64, bytes: Bytes },
    Arrived { call: CallRef, call_id: Bytes },
    Answered { call: CallRef },
    Over { call: CallRef, at: u64 },
}

/// What the sending thread is told.
#[derive(Debug)]
enum Note {
    /// One step of the engine, in its order.
    Step(Vec<Noted>),
    /// Sockets that may be named from now on. Their numbers are never used again for others.
    Sockets(Vec<(ListenerId, SocketAddr)>),
    /// Send there from now on, or nowhere.
    Follow(Option<Hep>),
    /// End.
    End,
}

/// The engine's thread's end.
#[derive(Debug)]
pub(super) struct Tap {
    on: Arc<AtomicBool>,
    notes: SyncSender<Note>,
    step: Vec<Noted>,
    counters: Arc<Counters>,
}

impl Tap {
    /// A datagram came.
    pub(super) fn received(&mut self, flow: Flow, bytes: &Bytes) {
        if self.on.load(Ordering::Relaxed) {
            self.note_datagram(Direction::In, flow, bytes);
        }
    }

    /// A datagram went.
    pub(super) fn sent(&mut self, flow: Flow, bytes: &Bytes) {
        if self.on.load(Ordering::Relaxed) {
            self.note_datagram(Direction::Out, flow, bytes);
        }
    }

    /// Something happened, perhaps to a call.
    pub(super) fn happened(&mut self, event: &Event) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        self.step.push(match event {
            Event::CallArrived { call, call_id, .. } | Event::CallResumed { call, call_id, .. } => {
                Noted::Arrived { call: *call, call_id: call_id.clone() }
            }
            Event::CallAnswered { call, .. } => Noted::Answered { call: *call },
            Event::CallRefused { call, .. } | Event::CallCancelled { call } | Event::CallEnded { call, .. } => {
                Noted::Over { call: *call, at: wall_micros() }
            }
            Event::CallOffered { .. }
            | Event::CallQueued { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::Malformed { .. }
            | Event::Stranger { .. }
            | Event::PhoneRefused { .. }
            | Event::AuthenticationFailed { .. }
            | Event::TrailingBytes { .. }
            | Event::Defect { .. } => return,
        });
    }

    /// The engine has done everything that what was noted led to.
    pub(super) fn step_over(&mut self) {
        if self.step.is_empty() {
            return;
        }
        let Err(error) = self.notes.try_send(Note::Step(mem::take(&mut self.step))) else { return };
        let TrySendError::Full(Note::Step(mut step)) = error else { return };
        let before = step.len();
        step.retain(|noted| !matches!(noted, Noted::Datagram { .. }));
        self.counters.capture_dropped.add_many(before - step.len());
        // Beginnings and ends are small, and all later datagrams of a call need them.
        if step.len() <= KEPT {
            self.step = step;
        }
    }

    fn note_datagram(&mut self, direction: Direction, flow: Flow, bytes: &Bytes) {
        self.step.push(Noted::Datagram { direction, flow, at: wall_micros(), bytes: bytes.clone() });
    }
}

/// The supervisor's end. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Capture {
    on: Arc<AtomicBool>,
    notes: SyncSender<Note>,
    /// Until the thread is needed for the first time.
    unread: Option<Receiver<Note>>,
    thread: Option<JoinHandle<()>>,
    sockets: Vec<(ListenerId, SocketAddr)>,
    target: Option<Hep>,
    counters: Arc<Counters>,
}

impl Capture {
    /// Both ends; nothing is captured yet.
    pub(super) fn new(counters: &Arc<Counters>) -> (Capture, Tap) {
        let (notes, unread) = sync_channel(STEPS);
        let on = Arc::new(AtomicBool::new(false));
        let tap = Tap { on: Arc::clone(&on), notes: notes.clone(), step: Vec::new(), counters: Arc::clone(counters) };
        let capture = Capture {
            on,
            notes,
            unread: Some(unread),
            thread: None,
            sockets: Vec::new(),
            target: None,
            counters: Arc::clone(counters),
        };
        (capture, tap)
    }

    /// These sockets may be spoken through from now on. To be told before the engine is.
    pub(super) fn know(&mut self, listeners: &[Listener]) {
        self.sockets = listeners.iter().map(|listener| (listener.id, listener.address)).collect();
        self.tell(Note::Sockets(self.sockets.clone()));
    }

    /// Captures as `[hep]` says from now on.
    pub(super) fn follow(&mut self, hep: Option<&Hep>) {
        if self.target.as_ref() == hep {
            return;
        }
        if let Some(unread) = hep.and_then(|_| self.unread.take()) {
            let sender = sender::Sender::new(Arc::clone(&self.counters));
            match thread::Builder::new().name("capture".into()).spawn(move || sender.run(&unread)) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => {
                    tracing::warn!("no capture: the system gives no thread for it: {error}");
                    return;
                }
            }
            self.tell(Note::Sockets(self.sockets.clone()));
        }
        match hep {
            Some(hep) => tracing::info!("capturing for {} under the id {}", hep.collector, hep.capture_id),
            None => tracing::info!("no longer capturing"),
        }
        self.target = hep.cloned();
        self.tell(Note::Follow(hep.cloned()));
        self.on.store(hep.is_some(), Ordering::Relaxed);
    }

    /// The thread never waits for us, so that there is room in a moment.
    fn tell(&self, note: Note) {
        if self.thread.is_some() {
            // A thread that is gone has said why.
            let _ = self.notes.send(note);
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.on.store(false, Ordering::Relaxed);
        self.tell(Note::End);
        if let Some(thread) = self.thread.take() {
            // Likewise.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow { local: ListenerId(0), remote: "192.0.2.1:5060".parse().unwrap() }
    }

    #[test]
    fn nothing_is_noted_while_it_is_off() {
        let (capture, mut tap) = Capture::new(&Arc::default());
        tap.received(flow(), &Bytes::from_static(b"OPTIONS"));
        tap.happened(&Event::CallCancelled { call: CallRef(1) });
        tap.step_over();
        assert!(tap.step.is_empty());
        assert!(capture.unread.as_ref().unwrap().try_recv().is_err());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_calls_are_not_forgotten_by_it() {
        let counters = Arc::new(Counters::default());
        let (capture, mut tap) = Capture::new(&counters);
        capture.on.store(true, Ordering::Relaxed);
        let bytes = Bytes::from_static(b"INVITE");
        for _ in 0..STEPS {
            tap.received(flow(), &bytes);
            tap.step_over();
        }
        assert_eq!(counters.read()["capture-dropped"], 0);
        tap.received(flow(), &bytes);
        tap.happened(&Event::CallCancelled { call: CallRef(1) });
        tap.sent(flow(), &bytes);
        tap.step_over();
        assert_eq!(counters.read()["capture-dropped"], 2);
        assert!(matches!(tap.step.as_slice(), [Noted::Over { call: CallRef(1), .. }]), "{:?}", tap.step);
        // It goes with the next step that finds room.
        let unread = capture.unread.as_ref().unwrap();
        unread.recv().unwrap();
        tap.step_over();
        let last = unread.try_iter().last().unwrap();
        assert!(matches!(&last, Note::Step(step) if step.len() == 1), "{last:?}");
    }
}
