//! The process and its disk: killed, standing still, starting again.

use super::*;

impl World {
    pub(super) fn disk_is_behind(&self) -> bool {
        self.disk.durable() < self.last_change
    }

    pub(super) fn write_later(&mut self) {
        self.writing = true;
        let at = (self.now + WRITING).max(self.hangs_until);
        self.later(at, Moment::Written(self.last_change));
    }

    pub(super) fn written(&mut self, up_to: Number) {
        // A dead engine's disk may still finish; a hanging one does not.
        if self.process == Process::Down || up_to > self.last_change {
            return;
        }
        if self.now < self.hangs_until {
            self.later(self.hangs_until, Moment::Written(up_to));
            return;
        }
        if self.process == Process::Stands {
            self.later(self.now + MILLISECOND, Moment::Written(up_to));
            return;
        }
        self.writing = false;
        self.disk.acknowledge(up_to);
        self.note(What::Durable(up_to));
        self.feed(Input::Durable { up_to });
    }

    pub(super) fn die(&mut self, down: Nanos) {
        self.dies_after = None;
        self.tears = None;
        self.process = Process::Down;
        self.writing = false;
        self.engine_wakes = None;
        self.note(What::Killed);
        self.later(self.now + down, Moment::Starts);
    }

    pub(super) fn start(&mut self) {
        let (none, _) = Disk::none();
        let (disk, saved) = std::mem::replace(&mut self.disk, none).restart();
        self.disk = disk;
        self.starts = self.starts.wrapping_add(1);
        self.last_change = saved.last;
        self.process = Process::Runs;
        // What was chosen at random before is not chosen again.
        let mut seed = [self.history.seed as u8; 32];
        seed[0] = self.starts;
        seed[1] = 1;
        let model = Arc::clone(&self.history.models[self.in_force]);
        self.note(What::Started(Box::new(saved.clone()), self.in_force));
        let config = Arc::clone(&self.configs[self.in_force]);
        let (now, listeners) = (self.clock(), listeners(&self.sockets, &model));
        let made = catch_unwind(AssertUnwindSafe(|| Engine::restored(now, seed, config, listeners, saved)));
        match made {
            Ok(engine) => {
                self.engine = engine;
                self.after_step(true);
            }
            Err(_) => self.after_step(false),
        }
    }

    pub(super) fn go_on(&mut self, stood: Nanos) {
        self.process = Process::Runs;
        self.note(What::Stood(stood));
        for datagram in std::mem::take(&mut self.waiting) {
            if self.process == Process::Runs && !self.over {
                self.hear(datagram);
            }
        }
        if self.process == Process::Runs && !self.over {
            let wake = self.engine.poll_timeout();
            if wake.is_some_and(|at| at.as_nanos() <= self.now) {
                self.fire();
            } else {
                self.rearm_engine(wake);
            }
        }
    }
}
