//! The phones and the trunk on real sockets: moves their datagrams, notes what happens and draws it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::daemon::Clock;
use crate::peer::{CallEvent, CallKey, Datagram, Ladder, Phone, PhoneEvent, Trunk};
use crate::time::Instant;

/// The name of the daemon's column.
pub(super) const SWITCHBOARD: &str = "switchboard";
/// The name of the trunk's column.
pub(super) const TRUNK: &str = "trunk";

/// Something that happened to somebody.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Whose.
    pub(super) who: String,
    /// What.
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The registrar took a phone's registration.
    Registered,
    /// It refused.
    NotRegistered(u16),
    /// To a call.
    Call(CallKey, CallEvent),
}

enum Peer {
    Phone(Box<Phone>),
    Trunk(Box<Trunk>),
}

struct Actor {
    name: String,
    peer: Peer,
    socket: UdpSocket,
}

/// All of them.
pub(super) struct Stage {
    clock: Clock,
    actors: Vec<Actor>,
    seen: Vec<Seen>,
    ladder: Ladder,
}

impl Stage {
    /// An empty stage.
    pub(super) fn new(clock: Clock) -> Stage {
        Stage { clock, actors: Vec::new(), seen: Vec::new(), ladder: Ladder::default() }
    }

    /// A phone joins, and registers.
    pub(super) fn add_phone(&mut self, name: &str, mut phone: Phone, socket: UdpSocket) {
        phone.register(self.clock.mono(), 600);
        self.actors.push(Actor { name: name.to_owned(), peer: Peer::Phone(Box::new(phone)), socket });
    }

    /// The trunk joins.
    pub(super) fn add_trunk(&mut self, trunk: Trunk, socket: UdpSocket) {
        self.actors.push(Actor { name: TRUNK.to_owned(), peer: Peer::Trunk(Box::new(trunk)), socket });
    }

    /// A new story begins: an empty ladder with these columns, and nothing seen.
    pub(super) fn begin(&mut self, parties: &[&str]) {
        self.seen.clear();
        self.ladder = Ladder::new(parties.iter().copied());
    }

    /// What was drawn so far.
    pub(super) fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// A remark across the ladder.
    pub(super) fn note(&mut self, text: &str) {
        self.ladder.note(self.clock.mono(), text);
    }

    /// The trunk does something.
    pub(super) fn trunk<T>(&mut self, act: impl FnOnce(&mut Trunk, Instant) -> T) -> Option<T> {
        let now = self.clock.mono();
        self.actors
            .iter_mut()
            .find_map(|actor| match &mut actor.peer {
                Peer::Trunk(trunk) => Some(trunk),
                Peer::Phone(_) => None,
            })
            .map(|trunk| act(trunk, now))
    }

    /// What has happened since the story began.
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Whether this happened to somebody's call.
    pub(super) fn saw(&self, who: &str, is_it: impl Fn(&CallEvent) -> bool) -> bool {
        self.seen.iter().any(|seen| match &seen.what {
            What::Call(_, event) => seen.who == who && is_it(event),
            What::Registered | What::NotRegistered(_) => false,
        })
    }

    /// Whether this happened to that call of the trunk.
    pub(super) fn trunk_saw(&self, call: CallKey, is_it: impl Fn(&CallEvent) -> bool) -> bool {
        self.seen.iter().any(|seen| match &seen.what {
            What::Call(key, event) => seen.who == TRUNK && *key == call && is_it(event),
            What::Registered | What::NotRegistered(_) => false,
        })
    }

    /// Plays on until it is so, or for so long; whether it is so.
    pub(super) async fn until(&mut self, limit: Duration, is_so: impl Fn(&Stage) -> bool) -> io::Result<bool> {
        let end = self.clock.mono() + limit;
        loop {
            self.settle().await?;
            if is_so(self) {
                return Ok(true);
            }
            if self.clock.mono() >= end {
                return Ok(false);
            }
            self.wait(end).await?;
        }
    }

    /// Plays on for so long.
    pub(super) async fn play(&mut self, length: Duration) -> io::Result<()> {
        self.until(length, |_| false).await.map(drop)
    }

    /// Timers, datagrams out and events, until there are none (the peers' drain rule).
    async fn settle(&mut self) -> io::Result<()> {
        let now = self.clock.mono();
        for actor in &mut self.actors {
            if actor.peer.deadline().is_some_and(|deadline| deadline <= now) {
                actor.peer.on_timeout(now);
            }
            while let Some(datagram) = actor.peer.poll_output() {
                self.ladder.record(now, &actor.name, SWITCHBOARD, &datagram.bytes);
                actor.socket.send_to(&datagram.bytes, datagram.to).await?;
            }
            while let Some(what) = actor.peer.poll_event() {
                self.seen.push(Seen { who: actor.name.clone(), what });
            }
        }
        Ok(())
    }

    /// Until a datagram comes, a timer is due or `end`; takes the datagram.
    async fn wait(&mut self, end: Instant) -> io::Result<()> {
        let due = self.actors.iter().filter_map(|actor| actor.peer.deadline()).chain([end]).min().unwrap_or(end);
        let mut sleep = pin!(tokio::time::sleep_until(self.clock.on_runtime(due)));
        let mut buffer = vec![0; 65_535];
        let came = poll_fn(|context| {
            for (index, actor) in self.actors.iter().enumerate() {
                let mut space = ReadBuf::new(&mut buffer);
                if let Poll::Ready(received) = actor.socket.poll_recv_from(context, &mut space) {
                    let length = space.filled().len();
                    return Poll::Ready(Some(received.map(|from| (index, from, length))));
                }
            }
            sleep.as_mut().poll(context).map(|()| None)
        })
        .await;
        let Some(came) = came else { return Ok(()) };
        let (index, from, length) = came?;
        let now = self.clock.mono();
        let bytes = buffer.get(..length).unwrap_or_default();
        if let Some(actor) = self.actors.get_mut(index) {
            self.ladder.record(now, SWITCHBOARD, &actor.name, bytes);
            actor.peer.receive(now, from, bytes);
        }
        Ok(())
    }
}

impl Peer {
    fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        match self {
            Peer::Phone(phone) => phone.receive(now, from, bytes),
            Peer::Trunk(trunk) => trunk.receive(now, from, bytes),
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        match self {
            Peer::Phone(phone) => phone.on_timeout(now),
            Peer::Trunk(trunk) => trunk.on_timeout(now),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Peer::Phone(phone) => phone.deadline(),
            Peer::Trunk(trunk) => trunk.deadline(),
        }
    }

    fn poll_output(&mut self) -> Option<Datagram> {
        match self {
            Peer::Phone(phone) => phone.poll_output(),
            Peer::Trunk(trunk) => trunk.poll_output(),
        }
    }

    fn poll_event(&mut self) -> Option<What> {
        match self {
            Peer::Phone(phone) => loop {
                match phone.poll_event()? {
                    PhoneEvent::Registered { .. } => return Some(What::Registered),
                    PhoneEvent::RegistrationFailed { status } => return Some(What::NotRegistered(status)),
                    PhoneEvent::Call(call, event) => return Some(What::Call(call, event)),
                    PhoneEvent::Unregistered => {}
                }
            },
            Peer::Trunk(trunk) => trunk.poll_event().map(|(call, event)| What::Call(call, event)),
        }
    }
}
