//! A history in steps: what the engine was told, and all it said to that. Read once for the judges of this room.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use super::super::history::{Datagram, Entry, History, Nanos, Role, What};
use super::super::model::Model;
use super::super::peers::attacker::is_forged;
use super::super::text::Message;
use super::intact::Intact;
use super::proofs;

/// One input of the engine and its answer.
#[derive(Debug)]
pub(super) struct Step {
    /// The entry of the input.
    pub(super) cause: usize,
    /// The entries of the answer; others than the engine's may stand among them.
    pub(super) answer: Range<usize>,
    /// The version of the model in force when the input came.
    pub(super) version: usize,
    /// How often an engine had begun.
    pub(super) start: usize,
    /// The engine was killed in the middle of it.
    pub(super) cut: bool,
    /// Who knows the password that a REGISTER or INVITE was made with: company's id, extension.
    pub(super) prover: Option<(String, String)>,
}

/// All steps of a history.
#[derive(Debug)]
pub(super) struct Reading<'h> {
    pub(super) history: &'h History,
    pub(super) steps: Vec<Step>,
    pub(super) intact: Intact,
}

impl<'h> Reading<'h> {
    pub(super) fn new(history: &'h History) -> Reading<'h> {
        let mut steps: Vec<Step> = Vec::new();
        let (mut version, mut start, mut running) = (0, 0, false);
        for (place, entry) in history.entries.iter().enumerate() {
            let mut begins = false;
            let before = version;
            match &entry.what {
                What::Heard(_) | What::Undeliverable(_) | What::Fired | What::Durable(_) | What::Commanded(..) => {
                    begins = true;
                }
                What::Adopted(number) => {
                    version = *number;
                    begins = true;
                }
                What::Started(_, number) => {
                    version = *number;
                    start += 1;
                    begins = true;
                }
                What::Killed => {
                    if let Some(step) = steps.last_mut().filter(|_| running) {
                        step.cut = true;
                    }
                    running = false;
                }
                _ => {}
            }
            if begins {
                running = true;
                let version = if matches!(entry.what, What::Started(..)) { version } else { before };
                let prover = match &entry.what {
                    What::Heard(datagram) => prover(history.models.get(version), datagram),
                    _ => None,
                };
                steps.push(Step { cause: place, answer: place + 1..place + 1, version, start, cut: false, prover });
            } else if running && let Some(step) = steps.last_mut() {
                step.answer.end = place + 1;
            }
        }
        Reading { history, steps, intact: Intact::of(history) }
    }

    pub(super) fn cause(&self, step: &Step) -> &'h Entry {
        &self.history.entries[step.cause]
    }

    /// The datagram a step answers.
    pub(super) fn heard(&self, step: &Step) -> Option<&'h Arc<Datagram>> {
        match &self.cause(step).what {
            What::Heard(datagram) => Some(datagram),
            _ => None,
        }
    }

    pub(super) fn at(&self, step: &Step) -> Nanos {
        self.cause(step).at
    }

    pub(super) fn model(&self, step: &Step) -> &'h Model {
        &self.history.models[step.version]
    }

    pub(super) fn answer(&self, step: &Step) -> impl Iterator<Item = (usize, &'h Entry)> {
        let from = step.answer.start;
        self.history.entries[step.answer.clone()].iter().enumerate().map(move |(more, entry)| (from + more, entry))
    }

    /// What was sent in a step.
    pub(super) fn sent(&self, step: &Step) -> impl Iterator<Item = (usize, &'h Arc<Datagram>)> {
        self.answer(step).filter_map(|(place, entry)| match &entry.what {
            What::Sent(datagram) => Some((place, datagram)),
            _ => None,
        })
    }

    /// Whether whoever sent it is neither a phone nor a trunk, whatever address it is from.
    pub(super) fn is_of_stranger(&self, datagram: &Datagram) -> bool {
        match self.history.role(datagram.from) {
            Some(Role::Phone(_) | Role::Trunk(_)) => datagram.message.as_ref().is_some_and(is_forged),
            Some(Role::Switchboard) => false,
            Some(Role::Attacker(_)) | None => true,
        }
    }

    /// Whether it is a trunk's, of that version of the model.
    pub(super) fn is_of_trunk(&self, step: &Step, address: SocketAddr) -> bool {
        proofs::trunk(self.model(step), address).is_some()
    }
}

fn prover(model: Option<&Arc<Model>>, datagram: &Datagram) -> Option<(String, String)> {
    let message = datagram.message.as_ref()?;
    if !message.is("REGISTER") && !message.is("INVITE") {
        return None;
    }
    let (company, user) = proofs::prover(model?, message)?;
    Some((company.id.clone(), user.extension.clone()))
}

/// The method that a response is about.
pub(super) fn about(message: &Message) -> &str {
    message.cseq().map_or("", |(_, method)| method)
}
