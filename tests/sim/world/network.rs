//! What is on its way, and where it arrives.

use super::*;

impl World {
    pub(super) fn arrives(&mut self, datagram: Arc<Datagram>) {
        if self.is_ours(datagram.to) {
            match self.process {
                Process::Runs => self.hear(datagram),
                Process::Stands => self.waiting.push(datagram),
                Process::Down => {}
            }
            return;
        }
        let Some(peer) = self.by_address.get(&datagram.to).copied() else { return };
        self.note(What::Delivered(Arc::clone(&datagram)));
        let now = self.now;
        self.with_peer(peer, |peer, post| match peer {
            Peer::Phone(phone) => phone.receive(now, &datagram, post),
            Peer::Trunk(trunk) => trunk.receive(now, &datagram, post),
            Peer::Attacker(attacker) => attacker.receive(now, &datagram, post),
        });
    }

    pub(super) fn is_ours(&self, address: SocketAddr) -> bool {
        self.configs[self.in_force].sip.listen.contains(&address)
    }

    pub(super) fn put(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let datagram = self.datagram(from, to, Bytes::from(bytes));
        self.note(What::Put(Arc::clone(&datagram)));
        self.overhear(&datagram);
        self.carry(from, &datagram);
    }

    pub(super) fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) -> Arc<Datagram> {
        self.datagrams += 1;
        let message = Message::read(&bytes);
        Arc::new(Datagram { id: self.datagrams, from, to, bytes, message })
    }

    /// Takes a datagram to where it goes; whether any copy of it will arrive.
    pub(super) fn carry(&mut self, peer: SocketAddr, datagram: &Arc<Datagram>) -> bool {
        let arrivals = self.links.carry(self.now, peer, datagram.to, &datagram.bytes);
        let arrives = !arrivals.is_empty();
        for arrival in arrivals {
            let copy = match arrival.bent {
                None => Arc::clone(datagram),
                Some(bytes) => {
                    let message = Message::read(&bytes);
                    Arc::new(Datagram { id: datagram.id, from: datagram.from, to: datagram.to, bytes, message })
                }
            };
            self.later(arrival.at, Moment::Arrives(copy));
        }
        arrives
    }

    /// Attackers see some of what passes.
    pub(super) fn overhear(&mut self, datagram: &Arc<Datagram>) {
        if self.history.faults.attack == Default::default() || self.well {
            return;
        }
        let overheard = self.eavesdropping.thousandths(30);
        let now = self.now;
        for peer in &mut self.peers {
            if let Peer::Attacker(attacker) = peer {
                attacker.follows(datagram);
                if overheard {
                    attacker.overhears(now, datagram);
                }
            }
        }
    }
}
