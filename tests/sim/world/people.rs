//! Who is in a world, and how they are called upon.

use super::*;

impl World {
    /// Makes the peers.
    pub(super) fn people(&mut self, case: &Case) {
        let model = Arc::clone(&self.history.models[0]);
        let registrar = model.listen[0];
        self.history.cast.extend(model.listen.iter().map(|address| (*address, Role::Switchboard)));
        for (index, planned) in self.script.phones.iter().enumerate() {
            let is_probe = planned.company == PROBE_COMPANY;
            let settings = PhoneSettings {
                index,
                address: planned.address,
                registrar,
                domain: planned.domain.clone(),
                extension: planned.extension.clone(),
                password: planned.password.clone(),
                seed: case.seed,
                faults: if is_probe { Default::default() } else { case.faults.phone.clone() },
                link_rebind: case.faults.link.rebind,
            };
            self.peers.push(Peer::Phone(Box::new(Phone::new(settings))));
            self.by_address.insert(planned.address, self.peers.len() - 1);
            self.history.cast.insert(planned.address, Role::Phone(index));
            self.history
                .phones
                .push(PhoneOwner { company: planned.company.clone(), extension: planned.extension.clone() });
        }
        for (index, trunk) in model.trunks.iter().enumerate() {
            let is_probe = trunk.id == PROBE_COMPANY;
            let settings = TrunkSettings {
                index,
                address: trunk.address,
                registrar,
                seed: case.seed,
                faults: if is_probe { Default::default() } else { case.faults.trunk.clone() },
                phone_faults: if is_probe { Default::default() } else { case.faults.phone.clone() },
            };
            self.peers.push(Peer::Trunk(Box::new(Trunk::new(settings))));
            self.by_address.insert(trunk.address, self.peers.len() - 1);
            self.history.cast.insert(trunk.address, Role::Trunk(index));
        }
        if case.faults.attack != Default::default() {
            let known = Known {
                domains: model.companies.iter().map(|company| company.domain.clone()).collect(),
                extensions: (self.script.phones.iter())
                    .map(|phone| (phone.extension.clone(), phone.domain.clone()))
                    .collect(),
                numbers: (model.companies.iter().flat_map(|company| &company.numbers))
                    .map(|number| number.number.clone())
                    .collect(),
                phones: self.script.phones.iter().map(|phone| phone.address).collect(),
                trunks: model.trunks.iter().map(|trunk| trunk.address).collect(),
            };
            let address = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 66), 5060));
            let settings = AttackerSettings {
                index: 0,
                address,
                target: registrar,
                seed: case.seed,
                faults: case.faults.attack.clone(),
                known,
            };
            let attacker = Attacker::new(settings);
            for address in attacker.addresses() {
                self.by_address.insert(address, self.peers.len());
                self.history.cast.insert(address, Role::Attacker(0));
            }
            self.peers.push(Peer::Attacker(Box::new(attacker)));
        }
        self.wakes = vec![None; self.peers.len()];
        for peer in 0..self.peers.len() {
            self.rearm(peer);
        }
    }

    /// Puts everything that is known beforehand into the queue.
    pub(super) fn with_peer(&mut self, peer: usize, act: impl FnOnce(&mut Peer, &mut Post)) {
        let mut post = Post::default();
        act(&mut self.peers[peer], &mut post);
        for (from, to, bytes) in post.letters {
            self.put(from, to, bytes);
        }
        self.rearm(peer);
    }

    pub(super) fn rearm(&mut self, peer: usize) {
        let deadline = match &self.peers[peer] {
            Peer::Phone(phone) => phone.deadline(),
            Peer::Trunk(trunk) => trunk.deadline(),
            Peer::Attacker(attacker) => attacker.deadline(),
        };
        let deadline = deadline.map(|at| at.max(self.now));
        if self.wakes[peer] != deadline {
            self.wakes[peer] = deadline;
            if let Some(at) = deadline {
                self.later(at, Moment::Peer(peer));
            }
        }
    }

    pub(super) fn place(&mut self, call: &PlannedCall) {
        let now = self.now;
        match call.caller {
            // Phones are the first peers, trunks follow.
            Caller::Phone(place) => self.with_peer(place, |peer, post| {
                if let Peer::Phone(phone) = peer {
                    phone.call(now, call, post);
                }
            }),
            Caller::Trunk(place) => self.with_peer(self.script.phones.len() + place, |peer, post| {
                if let Peer::Trunk(trunk) = peer {
                    trunk.place(now, call, post);
                }
            }),
        }
    }

    pub(super) fn register(&mut self, phone: usize) {
        let now = self.now;
        self.with_peer(phone, |peer, post| {
            if let Peer::Phone(phone) = peer {
                phone.register(now, post);
            }
        });
    }
}
