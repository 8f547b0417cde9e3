//! How a world ends: all is well, one more call, everybody leaves, and a look at what is left.

use super::*;

impl World {
    pub(super) fn mend(&mut self) {
        if self.process == Process::Stands {
            // It goes on first.
            self.later(self.now + SECOND, Moment::Mend);
            return;
        }
        self.well = true;
        self.links.mend();
        self.hangs_until = 0;
        self.dies_after = None;
        self.tears = None;
        if self.process == Process::Down {
            self.start();
        }
        let first = self.history.models[0].listen.clone();
        if self.history.models[self.in_force].listen != first {
            let mut model = Model::clone(&self.history.models[self.in_force]);
            model.listen = first;
            self.adopt(model);
        }
        self.note(What::FaultsEnded);
        for peer in 0..self.peers.len() {
            self.with_peer(peer, |peer, _| match peer {
                Peer::Phone(phone) => phone.well(),
                Peer::Trunk(trunk) => trunk.well(),
                Peer::Attacker(attacker) => attacker.stop(),
            });
        }
        let probe = self.script.phones.len() - 1;
        self.later(self.now + 64 * T1 + SECOND, Moment::Register(probe));
        self.later(self.now + 64 * T1 + 4 * SECOND, Moment::Probe);
        self.later(self.now + 64 * T1 + 20 * SECOND, Moment::Leave);
    }

    pub(super) fn probe(&mut self) {
        let trunk = self.history.models[0].trunks.len() - 1;
        let call = PlannedCall {
            number: PROBE_CALL,
            at: self.now,
            caller: Caller::Trunk(trunk),
            dialled: PROBE_NUMBER.to_owned(),
            shown: "+442071230000".to_owned(),
            talk: 2 * SECOND,
            patience: 12 * SECOND,
        };
        self.place(&call);
    }

    pub(super) fn leave(&mut self) {
        let now = self.now;
        for peer in 0..self.peers.len() {
            self.with_peer(peer, |peer, post| match peer {
                Peer::Phone(phone) => {
                    phone.hang_up_all(now, post);
                    phone.unregister(now, post);
                }
                Peer::Trunk(trunk) => trunk.hang_up_all(now, post),
                Peer::Attacker(_) => {}
            });
        }
        self.later(self.now + QUIET, Moment::Look);
        self.later(self.now + QUIET + LONGEST_CALL, Moment::Look);
    }

    pub(super) fn look(&mut self) {
        let audit = self.engine.audit();
        let wake = self.engine.poll_timeout().map(Instant::as_nanos);
        self.note(What::Audited(audit, wake));
        self.looks += 1;
        // What a phone that vanished in the middle of a call has left behind ends with `max-call`.
        if audit.is_empty() || self.looks > 1 {
            self.over = true;
        }
    }
}
