//! A user of ours who calls: what was dialled, the arrival it makes, and the caller's claim. Shared by the
//! ingress and by `explain`.

use crate::claim::{Claim, Claims};
use crate::id::{CallRef, CompanyId, UserId};
use crate::number::{self, Caller, DialRules, E164, Form};
use crate::routing::{Answer, AnswerCause, Arrival, Called, Company, Plan, User};
use crate::time::Now;

/// Another extension of the company, where what was dialled is one.
pub(super) fn dialled_extension(company: &Company, dialled: &str) -> Option<UserId> {
    company.users.get(dialled).map(|user| user.id.clone())
}

/// A number, read by the rules of the trunk the company calls out through.
pub(super) fn dialled_number(plan: &Plan, company: &Company, dialled: &str) -> Option<(E164, Form)> {
    let trunk = company.outbound_trunk.as_ref().and_then(|trunk| plan.trunks.get(trunk));
    let dial = trunk.map_or_else(DialRules::default, |trunk| trunk.dial.clone());
    number::read_called(dialled, &dial, |number| plan.numbers.contains_key(number))
}

/// The arrival of a user's call, to something of that company's. In its own company an extension is known by itself; elsewhere
/// by its company too.
pub(super) fn arrival(
    call: CallRef,
    user: &User,
    company: Option<&CompanyId>,
    called: Called,
    form: Option<Form>,
    shuffle: u64,
) -> Arrival {
    let name = match company {
        Some(company) if *company != user.id.company => user.id.to_string(),
        Some(_) | None => user.id.extension.to_string(),
    };
    let caller = Caller::Name(name.into());
    Arrival { call, called, form, caller, trunk: None, from_user: Some(user.id.clone()), shuffle }
}

/// a user who calls holds the claim of the person behind it.
///
/// # Errors
/// The claim that stands in the way, and the answer for that.
pub(super) fn claim(now: Now, claims: &mut Claims, call: CallRef, user: &User) -> Result<(), Box<(Claim, Answer)>> {
    claims
        .dial(now, &user.person, call, &user.id)
        .map_err(|claim| Box::new((claim, Answer::new(AnswerCause::Busy, "the caller is on another call"))))
}
