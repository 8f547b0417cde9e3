//! What comes over a world: reloads, kills, jumps of clocks, phones that move.

use super::*;

impl World {
    pub(super) fn act(&mut self, act: Act) {
        // What is done to a process that stands, or is not there, is done when it goes on.
        let needs_process = matches!(
            act,
            Act::Reload | Act::Break | Act::Switch(..) | Act::Kill { .. } | Act::Tear { .. } | Act::Stand(_)
        );
        if needs_process && self.process != Process::Runs {
            return;
        }
        match act {
            Act::Reload => {
                let mut dice = Dice::of_their_own(self.history.seed, "version", self.history.models.len() as u64);
                let without_probe = |model: &Model| {
                    let mut model = model.clone();
                    model.companies.retain(|company| company.id != PROBE_COMPANY);
                    model.trunks.retain(|trunk| trunk.id != PROBE_COMPANY);
                    model
                };
                let model = without_probe(&self.history.models[self.in_force]);
                let model = with_probe(draw::next(&model, &mut dice, &self.history.faults));
                self.adopt(model);
            }
            Act::Break => {
                let mut dice = Dice::of_their_own(self.history.seed, "broken", self.history.entries.len() as u64);
                let model = Arc::clone(&self.history.models[self.in_force]);
                let files = draw::broken(&model, &mut dice).files;
                let files: Vec<(PathBuf, Vec<u8>)> =
                    files.into_iter().map(|(path, text)| (PathBuf::from(path), text.into_bytes())).collect();
                match config::load_texts(&files) {
                    Ok(_) => self.note(What::Defect("24: a broken configuration was taken".to_owned())),
                    Err(problems) => {
                        self.note(What::Refused(draw::worded(&problems)));
                    }
                }
            }
            Act::Switch(how, user) => self.switch(how, user),
            Act::Kill { outputs, down } if self.kills_possible => self.dies_after = Some((outputs, down)),
            Act::Tear { down } if self.kills_possible => self.tears = Some(down),
            Act::Kill { .. } | Act::Tear { .. } => {}
            Act::Stand(length) => {
                self.process = Process::Stands;
                self.later(self.now + length, Moment::GoesOn(length));
            }
            Act::Jump(millis) => {
                self.wall += millis;
                self.note(What::ClockJumped(millis));
            }
            Act::Hang(length) => self.hangs_until = self.hangs_until.max(self.now + length),
            Act::Rebind(place) => {
                let address = self.another_address(place);
                self.with_peer(place, |peer, _| {
                    if let Peer::Phone(phone) = peer {
                        phone.move_to(address);
                    }
                });
            }
            Act::Reboot(place) => {
                let address = self.another_address(place);
                let now = self.now;
                self.with_peer(place, |peer, post| {
                    if let Peer::Phone(phone) = peer {
                        phone.reboot(now, address, post);
                    }
                });
            }
            Act::Leave(place) => {
                let now = self.now;
                self.with_peer(place, |peer, post| {
                    if let Peer::Phone(phone) = peer {
                        phone.unregister(now, post);
                    }
                });
                self.later(self.now + 15 * SECOND, Moment::Register(place));
            }
        }
    }

    /// Nobody answers at the old one from now on.
    pub(super) fn another_address(&mut self, place: usize) -> SocketAddr {
        self.moved += 1;
        let old = self.script.phones[place].address;
        let new = SocketAddr::new(old.ip(), 20_000 + self.moved);
        if let Peer::Phone(phone) = &self.peers[place] {
            self.by_address.remove(&phone.address());
        }
        self.by_address.insert(new, place);
        self.history.cast.insert(new, Role::Phone(place));
        new
    }

    pub(super) fn adopt(&mut self, model: Model) {
        let config = compiled(&model);
        for address in &model.listen {
            if !self.sockets.contains(address) {
                self.sockets.push(*address);
            }
            self.history.cast.insert(*address, Role::Switchboard);
        }
        let listeners = listeners(&self.sockets, &model);
        self.history.models.push(Arc::new(model));
        self.configs.push(Arc::clone(&config));
        self.in_force = self.configs.len() - 1;
        self.note(What::Adopted(self.in_force));
        if self.process == Process::Runs {
            self.feed(Input::Adopt { config, listeners });
        }
    }

    pub(super) fn switch(&mut self, how: &'static str, user: String) {
        let command = match how {
            "pause" => Command::Pause { user: user.clone() },
            "resume" => Command::Resume { user: user.clone() },
            "away" => Command::TakeCalls { user: user.clone(), takes: false },
            _ => Command::TakeCalls { user: user.clone(), takes: true },
        };
        self.commands += 1;
        self.note(What::Commanded(format!("{how} {user}"), String::new()));
        self.feed(Input::Command { id: CommandId(self.commands), command });
    }
}

/// Sockets by their numbers: those of the model in force only.
pub(super) fn listeners(sockets: &[SocketAddr], model: &Model) -> Vec<Listener> {
    let known = sockets.iter().enumerate().filter(|(_, address)| model.listen.contains(address));
    known
        .map(|(id, address)| Listener { id: ListenerId(id as u16), address: *address, advertised: address.to_string() })
        .collect()
}
