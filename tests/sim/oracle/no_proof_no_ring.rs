//! 21: nothing is asked of a phone, a trunk or a contact because of a request that was not proven: every request that leaves belongs to
//! a call that began with an INVITE of a trunk's address, or of a user who proved to be the one in From.

use std::collections::HashMap;

use super::super::history::What;
use super::Violation;
use super::reading::Reading;

pub(super) fn no_proof_no_ring(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    // From tags of proven INVITEs, by Call-ID.
    let mut proven: HashMap<&str, Vec<&str>> = HashMap::new();
    for step in &reading.steps {
        if let Some(datagram) = reading.heard(step)
            && let Some(message) = datagram.message.as_ref().filter(|message| message.is("INVITE"))
            && message.to_tag().is_none()
            && (step.prover.is_some() || reading.is_of_trunk(step, datagram.from))
            && !reading.is_of_stranger(datagram)
        {
            proven.entry(message.call_id()).or_default().push(message.from_tag().unwrap_or_default());
        }
        for (place, sent) in reading.sent(step) {
            let Some(message) = sent.message.as_ref().filter(|message| message.method().is_some()) else { continue };
            let tags = [message.from_tag().unwrap_or_default(), message.to_tag().unwrap_or_default()];
            let known = proven.get(message.call_id());
            if known.is_some_and(|known| known.iter().any(|tag| tags.contains(tag))) {
                continue;
            }
            let because = match &reading.cause(step).what {
                What::Heard(datagram) => format!("because of a datagram from {}", datagram.from),
                _ => "later".to_owned(),
            };
            let words = format!("{} to {}, {because}: no proven INVITE began that call", message.label(), sent.to);
            violations.push(Violation { invariant: 21, place, words });
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::staged::{DAEMON, PHONE, STRANGER, Stage, TRUNK, credentials, request};
    use super::*;

    fn rung() -> String {
        request("INVITE", DAEMON, "z9hG4bKout", "221@acme.example", "", "")
    }

    #[test]
    fn calls_of_trunks_and_of_proven_users_are_right() {
        let proof = credentials("INVITE", "n", 1, "secret of 221");
        for (from, more) in [(TRUNK, ""), (PHONE, proof.as_str())] {
            let mut stage = Stage::new();
            stage.heard(from, request("INVITE", from, "z9hG4bKin", "221@acme.example", "", more));
            stage.sent(PHONE, &rung()).what(What::Fired).sent(PHONE, &rung());
            assert_eq!(stage.judged(no_proof_no_ring), [""; 0], "{from}");
        }
    }

    #[test]
    fn calls_of_strangers_and_of_users_with_a_wrong_password_are_caught() {
        let guess = credentials("INVITE", "n", 1, "guessed");
        for (from, more) in [(STRANGER, ""), (STRANGER, guess.as_str()), (PHONE, guess.as_str()), (PHONE, "")] {
            let mut stage = Stage::new();
            stage.heard(from, request("INVITE", from, "z9hG4bKin", "221@acme.example", "", more));
            stage.sent(PHONE, &rung());
            assert_eq!(stage.judged(no_proof_no_ring).len(), 1, "{from}");
        }
    }

    #[test]
    fn proven_as_one_and_calling_as_another_is_caught() {
        let proof = credentials("INVITE", "n", 1, "secret of 221");
        let mut stage = Stage::new();
        stage.heard(PHONE, request("INVITE", PHONE, "z9hG4bKin", "222@acme.example", "", &proof)).sent(PHONE, &rung());
        assert_eq!(stage.judged(no_proof_no_ring).len(), 1);
    }

    #[test]
    fn what_was_sent_under_a_trunks_address_by_somebody_else_proves_nothing() {
        let mut stage = Stage::new();
        stage.heard(TRUNK, request("INVITE", TRUNK, "z9hG4bKin", "221@acme.example", "", "X-Forged: yes\r\n"));
        stage.sent(PHONE, &rung());
        assert_eq!(stage.judged(no_proof_no_ring).len(), 1);
    }
}
