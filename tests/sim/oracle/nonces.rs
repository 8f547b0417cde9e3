//! 19: each count of a nonce serves once, for the request it was made with; a nonce that is older than five minutes, of another start
//! of the daemon, given to another address, or that was never given, serves for nothing.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::super::history::{Datagram, Nanos, SECOND, What};
use super::super::text::{Message, Name};
use super::Violation;
use super::proofs::{Asked, Credentials, user_and_host};
use super::reading::{Reading, Step, about};

/// `docs/operating.md`, limits.
const LIFETIME: Nanos = 300 * SECOND;

struct Given {
    at: Nanos,
    to: IpAddr,
    start: usize,
}

pub(super) fn nonce_once(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut given: HashMap<&str, Given> = HashMap::new();
    // REGISTERs with right credentials that may still be answered 200: by the asker's host and branch
    // (without `rport` the answer's port is that of Via).
    let mut proven: HashMap<(IpAddr, &str), usize> = HashMap::new();
    let mut answered: HashSet<&Bytes> = HashSet::new();
    let mut spent: HashMap<(&str, &str), usize> = HashMap::new();
    for (number, step) in reading.steps.iter().enumerate() {
        let heard = reading.heard(step).and_then(|datagram| Some((datagram, datagram.message.as_ref()?)));
        if let Some((datagram, message)) = heard.filter(|_| step.prover.is_some())
            && message.is("REGISTER")
        {
            // A copy of one that is about to be answered asks nothing new.
            let key = (datagram.from.ip(), message.branch().unwrap_or_default());
            let answers =
                reading.sent(step).any(|(_, sent)| sent.message.as_ref().is_some_and(|it| it.status().is_some()));
            let changes = reading.answer(step).any(|(_, entry)| matches!(entry.what, What::Changed(..)));
            if answers || changes || !proven.contains_key(&key) {
                proven.insert(key, number);
            }
        }
        let mut accepted: Vec<(usize, usize)> = Vec::new();
        for (place, sent) in reading.sent(step) {
            let Some(message) = &sent.message else { continue };
            match message.status() {
                Some(401 | 407) => note_challenges(reading, step, sent, message, &mut given),
                Some(200) if about(message) == "REGISTER" && answered.insert(&sent.bytes) => {
                    match proven.get(&(sent.to.ip(), message.branch().unwrap_or_default())) {
                        Some(asker) => accepted.push((*asker, place)),
                        None => violations.push(Violation {
                            invariant: 19,
                            place,
                            words: format!("200 to a REGISTER of {} that nobody proved", sent.to),
                        }),
                    }
                }
                _ => {}
            }
        }
        // A copy of an INVITE is answered with what was sent already and changes nothing.
        if let Some((_, message)) = heard
            && message.is("INVITE")
            && message.to_tag().is_none()
            && step.prover.is_some()
            && begins_a_call(reading, step)
        {
            accepted.push((number, step.cause));
        }
        for (asker, place) in accepted {
            let step = &reading.steps[asker];
            let Some((datagram, credentials)) = credentials(reading, step) else { continue };
            let mut wrong = |words: String| {
                let message = datagram.message.as_ref().map(|message| message.label()).unwrap_or_default();
                violations.push(Violation { invariant: 19, place, words: format!("{message}: {words}") });
            };
            if let Some(before) = spent.insert((credentials.nonce, credentials.nc), asker) {
                let earlier = reading.steps[before].cause;
                wrong(format!("count {} of its nonce was accepted before, at entry {earlier}", credentials.nc));
            }
            let at = reading.at(step);
            match given.get(credentials.nonce) {
                None => wrong("its nonce was never given".to_owned()),
                Some(given) if given.start != step.start => wrong("its nonce is of an earlier start".to_owned()),
                Some(given) if given.to != datagram.from.ip() => wrong(format!("its nonce was given to {}", given.to)),
                Some(given) if at.saturating_sub(given.at) > LIFETIME => {
                    wrong(format!("its nonce is {} s old", at.saturating_sub(given.at) / SECOND));
                }
                Some(_) => {}
            }
        }
    }
    violations
}

fn note_challenges<'h>(
    reading: &Reading<'_>,
    step: &Step,
    sent: &Datagram,
    message: &'h Message,
    given: &mut HashMap<&'h str, Given>,
) {
    for field in &message.fields {
        let value = match field.name {
            Name::WwwAuthenticate | Name::Other => message.text(field.value.clone()),
            _ => continue,
        };
        let Some(nonce) = value.strip_prefix("Digest ").and_then(|value| value.split_once("nonce=\"")) else {
            continue;
        };
        let nonce = nonce.1.split('"').next().unwrap_or_default();
        given.insert(nonce, Given { at: reading.at(step), to: sent.to.ip(), start: step.start });
    }
}

/// Whether a step takes an INVITE up: it says 100, and does more than that.
fn begins_a_call(reading: &Reading<'_>, step: &Step) -> bool {
    let (mut trying, mut more) = (false, false);
    for (_, entry) in reading.answer(step) {
        match &entry.what {
            What::Sent(sent) => match sent.message.as_ref().and_then(Message::status) {
                Some(100) => trying = true,
                _ => more = true,
            },
            What::Changed(..) | What::Recorded(_) => more = true,
            _ => {}
        }
    }
    trying && more
}

fn credentials<'h>(reading: &Reading<'h>, step: &Step) -> Option<(&'h Arc<Datagram>, Credentials<'h>)> {
    let datagram = reading.heard(step)?;
    let message = datagram.message.as_ref()?;
    let (asked, name) = match message.method()? {
        "REGISTER" => (Asked::ByRegistrar, Name::To),
        _ => (Asked::ByProxy, Name::From),
    };
    let (_, domain) = user_and_host(message.first(name)?)?;
    Some((datagram, Credentials::of(message, asked, &domain.to_ascii_lowercase())?))
}

#[cfg(test)]
mod tests {
    use super::super::staged::{PHONE, Stage, challenge, credentials, register, registered, request, response};
    use super::*;

    /// The phone has been given a nonce and registered with its first count.
    fn stage() -> Stage {
        let mut stage = Stage::new();
        stage.heard(PHONE, request("REGISTER", PHONE, "z9hG4bK0", "221@acme.example", "", ""));
        stage.sent(PHONE, &response("401 Unauthorized", "REGISTER", PHONE, "z9hG4bK0", &challenge("n")));
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).durable(1).sent(PHONE, &registered("z9hG4bK1", ""));
        stage
    }

    #[test]
    fn each_count_once_and_copies_of_the_answer_are_right() {
        let mut stage = stage();
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).sent(PHONE, &registered("z9hG4bK1", ""));
        stage.heard(PHONE, register("z9hG4bK2", "n", 2)).sent(PHONE, &registered("z9hG4bK2", ""));
        assert_eq!(stage.judged(nonce_once), [""; 0]);
    }

    #[test]
    fn a_count_that_serves_twice_is_caught() {
        let mut stage = stage();
        stage.heard(PHONE, register("z9hG4bK2", "n", 1)).sent(PHONE, &registered("z9hG4bK2", ""));
        let found = stage.judged(nonce_once);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("count 00000001 of its nonce was accepted before"), "{found:?}");
    }

    #[test]
    fn a_nonce_too_old_or_of_an_earlier_start_or_of_nobody_is_caught() {
        let mut stage = stage();
        stage.after(301 * SECOND).heard(PHONE, register("z9hG4bK2", "n", 2));
        stage.sent(PHONE, &registered("z9hG4bK2", ""));
        assert_eq!(stage.judged(nonce_once), ["REGISTER sip:acme.example: its nonce is 301 s old"]);
        let mut stage = self::stage();
        stage.started(1, vec![], 0).heard(PHONE, register("z9hG4bK2", "n", 2));
        stage.sent(PHONE, &registered("z9hG4bK2", ""));
        assert_eq!(stage.judged(nonce_once), ["REGISTER sip:acme.example: its nonce is of an earlier start"]);
        let mut stage = self::stage();
        stage.heard(PHONE, register("z9hG4bK2", "m", 1)).sent(PHONE, &registered("z9hG4bK2", ""));
        assert_eq!(stage.judged(nonce_once), ["REGISTER sip:acme.example: its nonce was never given"]);
    }

    #[test]
    fn a_call_on_a_spent_count_is_caught_and_its_copy_is_not() {
        let mut stage = stage();
        let proof = credentials("INVITE", "n", 1, "secret of 221");
        let invite = request("INVITE", PHONE, "z9hG4bKi", "221@acme.example", "", &proof);
        let trying = response("100 Trying", "INVITE", PHONE, "z9hG4bKi", "");
        stage.heard(PHONE, &invite).sent(PHONE, &trying);
        assert_eq!(stage.judged(nonce_once), [""; 0]);
        stage.heard(PHONE, &invite).sent(PHONE, &trying).bindings(2, vec![]);
        assert_eq!(stage.judged(nonce_once).len(), 1);
    }

    #[test]
    fn a_200_to_a_wrong_password_is_caught() {
        let mut stage = Stage::new();
        let proof = credentials("REGISTER", "n", 1, "guessed");
        stage.heard(PHONE, request("REGISTER", PHONE, "z9hG4bK1", "221@acme.example", "", &proof));
        stage.sent(PHONE, &registered("z9hG4bK1", ""));
        assert_eq!(stage.judged(nonce_once), ["200 to a REGISTER of 198.51.100.1:5060 that nobody proved"]);
    }
}
