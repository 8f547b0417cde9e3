//! What is seen only by looking at all companies at once: one mobile under two persons.

use std::collections::BTreeMap;

use super::super::tree::{At, Finding, Findings};
use super::written::Written;
use crate::id::{PersonId, UserId};
use crate::number::E164;
use crate::routing::Company;

/// The mobiles met so far.
#[derive(Default)]
pub(in super::super) struct Mobiles {
    first: BTreeMap<E164, (PersonId, UserId, At)>,
}

impl Mobiles {
    /// Looks over one company. One-call-a-person does not keep two persons from being rung on one phone.
    pub(super) fn of_company(&mut self, written: &Written<'_>, company: &Company, findings: &mut Findings) {
        for entry in &written.users {
            let Some(user) = company.users.get(entry.name) else { continue };
            let Some(value) = entry.value("mobile").cloned() else {
                continue;
            };
            let Some(mobile) = &user.mobile else { continue };
            match self.first.get(mobile) {
                None => {
                    self.first.insert(mobile.clone(), (user.person.clone(), user.id.clone(), value.at.clone()));
                }
                Some((person, _, _)) if *person == user.person => {}
                Some((_, other, at)) => findings.report(
                    Finding::warning(
                        &value.at,
                        format!("users `{other}` and `{}` have the same mobile and are two persons: while one talks on it, it may ring for the other", user.id),
                    )
                    .label("the same mobile")
                    .related(at, format!("user `{other}`"))
                    .help("where they are one, give both the same `person`; where they are two, give each a mobile of its own"),
                ),
            }
        }
    }
}
