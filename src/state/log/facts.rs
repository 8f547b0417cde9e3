//! What of a record is counted and searched: one place that says what missed, answered and waited mean.
//!
//! - *Inside*: a call between users of one company. It is logged and searched, and counts for none of the figures below.
//! - *Answered*: somebody picked up.
//! - *Missed*: not answered, and not turned away for the caller's own sake. A caller who hangs up while it rings or waits is missed;
//!   so is one who comes while the company is closed, suspended, full or without a route, and one whom a crash cut off. Not missed are
//!   callers who are blocked, numbers that are nobody's, callers whom a route itself rejects (`reject:…` with nobody tried before),
//!   and users who call while their own person is busy.
//! - *Waited*: from the arrival to the answer, or to the end.

use crate::routing::{AnswerCause, OfferOutcome, OfferRecord, StepRecord};
use crate::state::record::{CallRecord, EndedBy};

/// What became of a call, in one word: `answered`, `cancelled`, `cut-off`, or the cause of R-8 it was refused for.
pub fn outcome(record: &CallRecord) -> &'static str {
    if record.answered_at.is_some() {
        return "answered";
    }
    match record.ended_by {
        EndedBy::Cancelled => "cancelled",
        EndedBy::CutOff => "cut-off",
        EndedBy::Refused
        | EndedBy::Caller
        | EndedBy::Callee
        | EndedBy::SessionTimer
        | EndedBy::MaxCall
        | EndedBy::Unacknowledged
        | EndedBy::Restarted => record.decision.answer.as_ref().map_or("refused", |answer| answer.cause.as_str()),
    }
}

/// Who called whom, as far as the figures care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::state) enum Kind {
    /// Between users of one company.
    Inside,
    /// Somebody picked up.
    Answered,
    /// See above.
    Missed,
    /// Turned away for the caller's own sake.
    Declined,
}

pub(in crate::state) fn kind(record: &CallRecord) -> Kind {
    let Some(company) = &record.company else { return Kind::Declined };
    if record.from_user.as_ref().is_some_and(|user| user.company == *company) {
        return Kind::Inside;
    }
    if record.answered_at.is_some() {
        return Kind::Answered;
    }
    if matches!(record.ended_by, EndedBy::Cancelled | EndedBy::CutOff) {
        return Kind::Missed;
    }
    let nobody_tried = record.decision.steps.is_empty();
    match record.decision.answer.as_ref().map(|answer| answer.cause) {
        Some(AnswerCause::BlockedCaller | AnswerCause::UnknownNumber) => Kind::Declined,
        Some(AnswerCause::RejectBusy | AnswerCause::RejectUnavailable | AnswerCause::RejectDecline) if nobody_tried => {
            Kind::Declined
        }
        // the caller's own person holds another call.
        Some(AnswerCause::Busy) if nobody_tried && record.from_user.is_some() => Kind::Declined,
        Some(_) | None => Kind::Missed,
    }
}

/// Milliseconds from the arrival to the answer, or to the end.
pub(in crate::state) fn waited(record: &CallRecord) -> i64 {
    let until = record.answered_at.unwrap_or(record.ended_at).unix_millis();
    until.saturating_sub(record.started_at.unix_millis()).max(0)
}

/// Milliseconds from the answer to the end.
pub(in crate::state) fn talked(record: &CallRecord) -> i64 {
    let Some(answered) = record.answered_at else { return 0 };
    record.ended_at.unix_millis().saturating_sub(answered.unix_millis()).max(0)
}

/// An offer made to a user of the company.
pub(in crate::state) struct Offered<'a> {
    pub(in crate::state) extension: &'a str,
    pub(in crate::state) offer: &'a OfferRecord,
}

/// All offers to users, in the order of the steps.
pub(in crate::state) fn offers(record: &CallRecord) -> impl Iterator<Item = Offered<'_>> {
    record.decision.steps.iter().flat_map(|step| {
        let members = (step.members.iter())
            .filter_map(|member| Some(Offered { extension: &member.extension, offer: member.offered.as_ref()? }));
        let direct = step.user.as_deref().zip(step.offered.as_ref());
        members.chain(direct.map(|(extension, offer)| Offered { extension: extension_of(extension), offer }))
    })
}

/// `221` of `221` and of `221@acme`.
fn extension_of(user: &str) -> &str {
    user.split('@').next().unwrap_or(user)
}

/// Whether somebody answered in that step.
pub(in crate::state) fn answered_in(step: &StepRecord) -> bool {
    let answered =
        |offer: &Option<OfferRecord>| offer.as_ref().is_some_and(|offer| offer.outcome == Some(OfferOutcome::Answered));
    answered(&step.offered) || step.members.iter().any(|member| answered(&member.offered))
}

/// The record as its own company may see it: where a shared person was busy elsewhere, not at whose. Only whoever sees all
/// companies sees the record as it is.
#[must_use]
pub fn discreet(mut record: CallRecord) -> CallRecord {
    let own = record.company.as_ref().map(|company| company.as_str().to_owned()).unwrap_or_default();
    for member in record.decision.steps.iter_mut().flat_map(|step| &mut step.members) {
        let Some(rest) = member.evidence.as_deref().and_then(|evidence| evidence.strip_prefix("at ")) else { continue };
        let (company, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if company != own {
            member.evidence = Some(format!("busy elsewhere {rest}").trim_end().to_owned());
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CompanyId, Extension, UserId};
    use crate::state::samples;

    #[test]
    fn missed_is_what_the_company_could_have_taken() {
        for (cause, kind_of) in [
            (AnswerCause::Answered, Kind::Answered),
            (AnswerCause::NoAnswer, Kind::Missed),
            (AnswerCause::Busy, Kind::Missed),
            (AnswerCause::Closed, Kind::Missed),
            (AnswerCause::Cancelled, Kind::Missed),
            (AnswerCause::BlockedCaller, Kind::Declined),
            (AnswerCause::RejectDecline, Kind::Missed),
        ] {
            let mut record = samples::record(1, 0, cause);
            assert_eq!(kind(&record), kind_of, "{cause:?}");
            record.from_user = Some(UserId::new(&CompanyId::new("acme"), &Extension::new("224")));
            assert_eq!(kind(&record), Kind::Inside, "{cause:?}");
            record.company = None;
            assert_eq!(kind(&record), Kind::Declined, "{cause:?}");
        }
        let mut record = samples::record(1, 0, AnswerCause::RejectDecline);
        record.decision.steps.clear();
        assert_eq!(kind(&record), Kind::Declined, "a route that says no");
        let mut record = samples::record(1, 0, AnswerCause::Busy);
        record.decision.steps.clear();
        assert_eq!(kind(&record), Kind::Missed);
        record.from_user = Some(UserId::new(&CompanyId::new("globex"), &Extension::new("305")));
        assert_eq!(kind(&record), Kind::Declined, "who calls with a call on hand");
    }

    #[test]
    fn a_company_does_not_see_where_a_shared_person_is_busy() {
        let record = discreet(samples::record(1, 0, AnswerCause::NoAnswer));
        let evidence = record.decision.steps[0].members[2].evidence.as_deref();
        assert_eq!(evidence, Some("busy elsewhere since 10:31 IST"));
        let mut own = samples::record(1, 0, AnswerCause::NoAnswer);
        own.decision.steps[0].members[2].evidence = Some("at acme since 10:31 IST".to_owned());
        assert_eq!(discreet(own.clone()), own);
    }
}
