//! Routing's answers in SIP's words: reason phrases, Reason header fields and the names counters use.

use crate::routing::{Answer, AnswerCause};

/// The reason phrase of a status we send (RFC 3261 §21).
pub(super) fn phrase(status: u16) -> &'static str {
    match status {
        403 => "Forbidden",
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Refused",
    }
}

/// `Reason: Q.850;cause=…;text="…"` (RFC 3326, R-8).
pub(super) fn reason_header(answer: &Answer) -> Option<String> {
    answer.q850.map(|cause| format!("Q.850;cause={cause};text=\"{}\"", answer.text))
}

/// A stable name.
pub(super) fn cause_name(cause: AnswerCause) -> &'static str {
    match cause {
        AnswerCause::UnknownNumber => "unknown-number",
        AnswerCause::Suspended => "suspended",
        AnswerCause::BlockedCaller => "blocked-caller",
        AnswerCause::CompanyLimit => "company-limit",
        AnswerCause::TrunkLimit => "trunk-limit",
        AnswerCause::NoRoute => "no-route",
        AnswerCause::Closed => "closed",
        AnswerCause::Unavailable => "unavailable",
        AnswerCause::Busy => "busy",
        AnswerCause::Full => "full",
        AnswerCause::NoAnswer => "no-answer",
        AnswerCause::Timeout => "timeout",
        AnswerCause::RejectBusy => "reject-busy",
        AnswerCause::RejectUnavailable => "reject-unavailable",
        AnswerCause::RejectDecline => "reject-decline",
        AnswerCause::Cancelled => "cancelled",
        AnswerCause::Answered => "answered",
        AnswerCause::CutOff => "cut-off",
        AnswerCause::Draining => "draining",
    }
}
