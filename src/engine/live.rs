//! What is known of users now: bindings, switches, calls. This is what routing asks ([`Presence`]).

use crate::id::{CompanyId, Map, UserId};
use crate::registrar::Location;
use crate::routing::Presence;
use crate::time::Instant;

/// A user's run-time switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    /// The user's own; `None` while the configuration's value holds.
    pub(super) takes_calls: Option<bool>,
    /// An admin's.
    pub(super) paused: bool,
}

/// What is known of users now.
#[derive(Debug)]
pub(super) struct Live {
    /// The monotonic time of the input being handled: bindings end by it.
    pub(super) now: Instant,
    pub(super) location: Location,
    pub(super) switches: Map<UserId, Switches>,
    pub(super) company_calls: Map<CompanyId, u32>,
}

impl Live {
    /// A call of a company began.
    pub(super) fn count_up(&mut self, company: &CompanyId) {
        *self.company_calls.entry(company.clone()).or_default() += 1;
    }

    /// A call of a company is over.
    pub(super) fn count_down(&mut self, company: &CompanyId) {
        if let Some(calls) = self.company_calls.get_mut(company) {
            *calls = calls.saturating_sub(1);
            if *calls == 0 {
                self.company_calls.remove(company);
            }
        }
    }
}

impl Presence for Live {
    fn is_registered(&self, user: &UserId) -> bool {
        self.location.is_registered(self.now, user)
    }

    fn takes_calls(&self, user: &UserId) -> Option<bool> {
        self.switches.get(user).and_then(|switches| switches.takes_calls)
    }

    fn is_paused(&self, user: &UserId) -> bool {
        self.switches.get(user).is_some_and(|switches| switches.paused)
    }

    fn calls_of(&self, company: &CompanyId) -> u32 {
        self.company_calls.get(company).copied().unwrap_or_default()
    }
}
