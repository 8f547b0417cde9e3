//! Routing's answers in SIP's words: reason phrases and Reason header fields.

use crate::routing::Answer;

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
