//! The invariants of registrations and security (15, 17 to 23), over one reading of the history.

use super::super::history::History;
use super::reading::Reading;
use super::{Violation, amplifier, durable, no_proof_no_ring, nonces, strangers, tells_nothing, timely, unstoppable};

pub(super) fn judge(history: &History) -> Vec<Violation> {
    let reading = Reading::new(history);
    let judges: [fn(&Reading<'_>) -> Vec<Violation>; 8] = [
        durable::registrations_are_durable,
        timely::registrations_are_timely,
        unstoppable::nothing_delays,
        nonces::nonce_once,
        amplifier::no_amplifier,
        no_proof_no_ring::no_proof_no_ring,
        tells_nothing::tells_nothing,
        strangers::strangers_touch_no_call,
    ];
    judges.iter().flat_map(|judge| judge(&reading)).collect()
}
