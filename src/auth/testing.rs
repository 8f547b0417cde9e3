//! Companies and proofs for tests, here because nobody else can make a proof.

use std::sync::Arc;
use std::time::Duration;

use crate::id::{CompanyId, Extension, PersonId, UserId};
use crate::routing::{Company, CompanyStatus, Overflow, RingOn, Role, User, UserStatus};

use super::{Secret, UserProof};

/// A company with users: extension, status, secret.
pub(crate) fn company(id: &str, domain: &str, users: Vec<(&str, UserStatus, Secret)>) -> Arc<Company> {
    let company = CompanyId::new(id);
    let users = users.into_iter().map(|(extension, status, secret)| {
        let id = UserId::new(&company, &Extension::new(extension));
        let user = User {
            person: PersonId::new(id.to_string()),
            id,
            name: String::new(),
            email: None,
            mobile: None,
            role: Role::Agent,
            panel: false,
            status,
            hours: None,
            take_calls: true,
            ring_on: RingOn::Extension,
            ring: Duration::from_secs(30),
            overflow: Overflow::default(),
            secret,
        };
        (Extension::new(extension), Arc::new(user))
    });
    Arc::new(Company {
        id: company.clone(),
        name: id.into(),
        domain: domain.into(),
        timezone: chrono_tz::UTC,
        status: CompanyStatus::Active,
        blocked_callers: Vec::new(),
        max_calls: None,
        outbound_trunk: None,
        hours: Default::default(),
        numbers: Default::default(),
        departments: Default::default(),
        users: users.collect(),
    })
}

/// The proof that somebody is this user.
pub(crate) fn proof(company: &Arc<Company>, extension: &str) -> UserProof {
    let user = company.users.get(extension).expect("a user of the test's company");
    UserProof { company: Arc::clone(company), user: Arc::clone(user) }
}
