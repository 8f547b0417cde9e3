//! The engine: what it is told, what it wants done.

use super::*;

impl World {
    pub(super) fn hear(&mut self, datagram: Arc<Datagram>) {
        let Some(local) = self.sockets.iter().position(|address| *address == datagram.to) else { return };
        let flow = Flow { local: ListenerId(local as u16), remote: datagram.from };
        let bytes = datagram.bytes.clone();
        self.note(What::Heard(datagram));
        self.feed(Input::Datagram { flow, bytes });
    }

    pub(super) fn feed(&mut self, input: Input) {
        let now = self.clock();
        let engine = &mut self.engine;
        let done = catch_unwind(AssertUnwindSafe(|| engine.handle_input(now, input)));
        self.after_step(done.is_ok());
    }

    pub(super) fn fire(&mut self) {
        let fired = self.history.entries.len();
        self.note(What::Fired);
        let now = self.clock();
        let engine = &mut self.engine;
        let done = catch_unwind(AssertUnwindSafe(|| engine.handle_timeout(now)));
        self.after_step(done.is_ok());
        // A datagram that could not be sent is an input of its own: after it, something may be due again.
        let alone = !self.history.entries[fired..].iter().any(|entry| matches!(entry.what, What::Undeliverable(_)));
        if alone
            && self.process == Process::Runs
            && self.engine.poll_timeout().is_some_and(|at| at.as_nanos() <= self.now)
        {
            self.note(What::Defect(format!(
                "13: time has passed, and the engine wants to be called again at {}",
                self.now
            )));
            self.over = true;
        }
    }

    pub(super) fn after_step(&mut self, whole: bool) {
        if !whole {
            self.note(What::Defect("the engine panicked".to_owned()));
            self.over = true;
            return;
        }
        self.drain();
        if self.process != Process::Runs {
            return;
        }
        let wake = self.engine.poll_timeout();
        self.rearm_engine(wake);
    }

    pub(super) fn rearm_engine(&mut self, wake: Option<Instant>) {
        // What is due already is done at once.
        let wake = wake.map(|at| at.as_nanos().max(self.now));
        if self.engine_wakes != wake {
            self.engine_wakes = wake;
            if let Some(at) = wake {
                self.later(at, Moment::Engine);
            }
        }
    }

    /// Does what the engine wants done. Changes are in the journal before anything that follows them leaves.
    pub(super) fn drain(&mut self) {
        let mut undeliverable = Vec::new();
        let mut fresh = false;
        while let Some(output) = self.engine.poll_output() {
            if let Some((left, down)) = &mut self.dies_after {
                let down = *down;
                match left.checked_sub(1) {
                    Some(less) => *left = less,
                    None => return self.die(down),
                }
            }
            if fresh && !matches!(output, Output::Change { .. }) {
                if let Some(down) = self.tears
                    && self.disk.tear(&mut self.tearing)
                {
                    return self.die(down);
                }
                self.disk.flush();
                fresh = false;
            }
            match output {
                Output::Change { number, change } => {
                    self.disk.take(number, &change);
                    fresh = true;
                    self.last_change = number;
                    self.note(What::Changed(number, Box::new(change)));
                }
                Output::Datagram { flow, bytes } => {
                    let Some(from) = self.sockets.get(usize::from(flow.local.0)).copied() else {
                        self.note(What::Defect(format!("sent by a socket there is not: {flow:?}")));
                        continue;
                    };
                    let datagram = self.datagram(from, flow.remote, bytes);
                    self.note(What::Sent(Arc::clone(&datagram)));
                    self.overhear(&datagram);
                    if !self.carry(flow.remote, &datagram) && self.links.says_unreachable() {
                        undeliverable.push(datagram);
                    }
                }
                Output::Event(Event::Defect { what }) => self.note(What::Defect(what.to_owned())),
                Output::Event(_) => {}
                Output::Record(record) => self.note(What::Recorded(record)),
                Output::Reply { reply, .. } => {
                    if let Some(Entry { what: What::Commanded(_, answer), .. }) = self
                        .history
                        .entries
                        .iter_mut()
                        .rev()
                        .find(|entry| matches!(&entry.what, What::Commanded(_, answer) if answer.is_empty()))
                    {
                        *answer = format!("{reply:?}");
                    }
                }
            }
        }
        if fresh {
            self.disk.flush();
        }
        if !self.writing && self.process == Process::Runs && self.disk_is_behind() {
            self.write_later();
        }
        for datagram in undeliverable {
            if self.process != Process::Runs {
                return;
            }
            let bytes = datagram.bytes.clone();
            self.note(What::Undeliverable(datagram));
            let now = self.clock();
            self.engine.handle_input(now, Input::Undeliverable { bytes });
            self.drain();
        }
    }
}
