//! REGISTER (RFC 3261 §10): proof first, then one pure step of the registrar's.

use std::sync::Arc;

use super::transactions::ServerOwner;
use super::{Engine, Event};
use crate::auth::Asker;
use crate::flow::Flow;
use crate::registrar::{Change, Expiries};
use crate::sip::{Extra, Request, Scheme};
use crate::time::Now;

impl Engine {
    pub(super) fn on_register(&mut self, now: Now, flow: Flow, request: Request) {
        // RFC 4475 §3.3.4: what is not a SIP address-of-record cannot be registered.
        if !matches!(request.to().uri.scheme, Scheme::Sip | Scheme::Sips) {
            self.refuse_statelessly(flow, &request, 400, "To Must Be A SIP URI", &[]);
            return;
        }
        let Some(company) = self.company_of(&request.to().uri) else {
            self.on_stranger(flow, &request);
            return;
        };
        let proof = match self.verify(now, flow, &company, Asker::Server, &request) {
            Ok(proof) => proof,
            Err(refusal) => {
                self.challenge(now, flow, &request, &company, Asker::Server, refusal);
                return;
            }
        };
        let user = Arc::clone(proof.user());
        let limits = Expiries {
            default: self.config.sip.registration_default,
            max: self.config.sip.registration_max,
            min: self.config.sip.registration_min,
        };
        match self.live.location.register(now, limits, &proof, &request, flow) {
            Ok(registered) => {
                if !registered.changes.is_empty() {
                    self.note_bindings(now, &user.id);
                }
                let contacts = registered.contacts.iter().map(|contact| ("Contact", contact.clone()));
                let headers = contacts.chain(registered.path.iter().map(|path| ("Path", path.clone()))).collect();
                let server = self.open_server(now, Arc::new(request), flow, ServerOwner::Engine);
                self.answer_when_durable(now, server, headers);
                self.rearm_bindings();
                let devices = registered.contacts.len();
                let mut added = false;
                for change in &registered.changes {
                    match change {
                        Change::Added { .. } => {
                            added = true;
                            self.emit(Event::Registered { user: user.id.clone(), devices });
                        }
                        Change::Refreshed { .. } => {}
                        Change::Removed { .. } => self.emit(Event::Unregistered { user: user.id.clone(), devices }),
                    }
                }
                for binding in &registered.restarted {
                    self.on_phone_restarted(now, &user.id, &binding.contact);
                }
                if added {
                    self.freed.insert(user.person.clone());
                }
            }
            Err(refusal) => {
                self.count(refusal.name());
                self.tell_refused(now, &user.id, refusal.name());
                let min = refusal.min_expires().map(|seconds| seconds.to_string());
                let extras: Vec<Extra<'_>> = min.iter().map(|min| ("Min-Expires", min.as_bytes())).collect();
                self.open_and_answer(now, flow, request, refusal.status(), refusal.reason(), &extras);
            }
        }
    }

    /// Bindings that have run out.
    pub(super) fn on_bindings_timer(&mut self, now: Now) {
        for expired in self.live.location.expire(now.mono) {
            self.note_bindings(now, &expired.user);
            let devices = self.live.location.bindings_of(now.mono, &expired.user).count();
            self.emit(Event::Unregistered { user: expired.user, devices });
        }
        self.rearm_bindings();
    }
}
