//! Records of calls that are refused before any hunt: the trunk has its calls, the caller's own person is busy, the daemon is about
//! to end. They belong to the company that was called like any other.

use super::hunt::{Arrival, blank_record};
use super::{Answer, Company, DecisionRecord, DoorRecord, eligibility, words};
use crate::claim::Claim;
use crate::time::Now;

/// The record of a call that is refused at once; `evidence` shows why: `60 of 60 calls`.
pub fn refused_early(
    now: Now,
    arrival: &Arrival,
    company: Option<&Company>,
    answer: Answer,
    evidence: String,
) -> DecisionRecord {
    let mut record = blank_record(now, arrival);
    if let Some(company) = company {
        record.company = Some(company.id.to_string());
        record.at = words::stamp(now.wall, company.timezone);
    }
    record.door = Some(DoorRecord { refused: answer.cause, evidence });
    record.answer = Some(answer);
    record
}

/// the record of a call whose caller's own person is on another one.
pub fn caller_is_busy(now: Now, arrival: &Arrival, company: &Company, claim: &Claim, answer: Answer) -> DecisionRecord {
    let evidence = eligibility::held(claim, now, None, company.timezone).evidence;
    refused_early(now, arrival, Some(company), answer, evidence)
}
