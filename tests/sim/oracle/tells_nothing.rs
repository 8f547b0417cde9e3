//! 22: whoever does not know a password is told the same of users who exist and of users who do not: two requests that differ in the
//! user alone are answered with the same words, lengths and number of datagrams, but for nonces, tags and what they said themselves.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::super::history::{Role, What};
use super::super::text::{Message, Name, Start};
use super::Violation;
use super::proofs::user_and_host;
use super::reading::Reading;

/// What was answered to requests of one shape, and whether the first such user existed.
struct Answered {
    existed: bool,
    place: usize,
    words: String,
}

pub(super) fn tells_nothing(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut by_shape: HashMap<String, Vec<Answered>> = HashMap::new();
    let mut put: HashMap<u64, &bytes::Bytes> = HashMap::new();
    for entry in &reading.history.entries {
        if let What::Put(datagram) = &entry.what
            && matches!(reading.history.role(datagram.from), Some(Role::Attacker(_)))
        {
            put.insert(datagram.id, &datagram.bytes);
        }
    }
    for step in reading.steps.iter().filter(|step| !step.cut && step.prover.is_none()) {
        let Some(datagram) = reading.heard(step) else { continue };
        let Some(message) = datagram.message.as_ref() else { continue };
        if !message.is("REGISTER") && !message.is("INVITE") || message.to_tag().is_some() {
            continue;
        }
        if !matches!(reading.history.role(datagram.from), Some(Role::Attacker(_))) {
            continue;
        }
        // What the link broke is another request than its maker's.
        if put.get(&datagram.id).is_some_and(|bytes| **bytes != datagram.bytes) {
            continue;
        }
        let Some((user, domain)) = message.first(Name::From).and_then(user_and_host) else { continue };
        let Some(company) = reading.model(step).by_domain(domain) else { continue };
        let existed = company.user(user).is_some();
        let shape = shape(message, step.version, user);
        let mut words = String::new();
        for (_, sent) in reading.sent(step).filter(|(_, sent)| sent.to == datagram.from) {
            let _ = write!(words, "{} ", sent.bytes.len());
            if let Some(answer) = &sent.message {
                told(answer, &mut words);
            }
        }
        let place = step.cause;
        let others = by_shape.entry(shape).or_default();
        if let Some(other) = others.iter().find(|other| other.existed != existed && other.words != words) {
            let words = format!(
                "{} is answered `{}` and the same for {user}, who {}, with `{}` (entry {})",
                message.label(),
                words.trim(),
                if existed { "exists" } else { "does not exist" },
                other.words.trim(),
                other.place
            );
            violations.push(Violation { invariant: 22, place, words });
        }
        if !others.iter().any(|other| other.existed == existed && other.words == words) {
            others.push(Answered { existed, place, words });
        }
    }
    violations
}

/// Everything about a request but who it is of: names and lengths of its lines, and what its credentials are in form.
fn shape(message: &Message, version: usize, user: &str) -> String {
    let mut shape = format!("{version} {} {} ", message.method().unwrap_or_default(), message.bytes.len());
    for field in &message.fields {
        let line = message.text(field.line.clone());
        let name = line.split(':').next().unwrap_or_default();
        let _ = write!(shape, "{name}:{};", line.len());
        let value = message.text(field.value.clone());
        let is_agent = name.eq_ignore_ascii_case("User-Agent");
        let is_answer = name.eq_ignore_ascii_case("Authorization") || name.eq_ignore_ascii_case("Proxy-Authorization");
        if is_agent {
            shape.push_str(value);
        } else if is_answer {
            // What decides before any user is looked at: the order, `qop`, `nc`, `algorithm`, the realm, the URI.
            for part in value.split(',').map(str::trim) {
                let said = match part.split('=').next().unwrap_or_default() {
                    "nonce" | "response" | "cnonce" | "Digest username" => part.split('=').next().unwrap_or_default(),
                    _ => part,
                };
                shape.push_str(&said.replace(user, "USER"));
            }
        } else if matches!(field.name, Name::CSeq | Name::Expires | Name::MaxForwards | Name::ContentLength) {
            shape.push_str(value);
        } else if matches!(field.name, Name::From | Name::To) {
            let (named, domain) = user_and_host(value).unwrap_or_default();
            let _ = write!(shape, "{}@{domain}", named == user);
        }
    }
    shape
}

/// An answer without what must differ: first line, names and lengths of its lines, and challenges without their nonces.
fn told(answer: &Message, words: &mut String) {
    if let Start::Response { status } = answer.start {
        let _ = write!(words, "{status}");
    }
    let first = answer.fields.first().map_or(answer.bytes.len(), |field| field.line.start);
    words.push_str(answer.text(0..first).trim_end());
    for field in &answer.fields {
        let line = answer.text(field.line.clone());
        match field.name {
            // What the request said itself, tags and branches.
            Name::Via | Name::From | Name::To | Name::CallId | Name::CSeq => {
                let _ = write!(words, "|{}", line.split(':').next().unwrap_or_default());
            }
            _ => {
                let masked = match line.split_once("nonce=\"") {
                    Some((before, behind)) => {
                        let (nonce, rest) = behind.split_once('"').unwrap_or((behind, ""));
                        format!("{before}nonce={}{rest}", nonce.len())
                    }
                    None => line.to_owned(),
                };
                let _ = write!(words, "|{masked}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::staged::{STRANGER, Stage, challenge, credentials, request, response};
    use super::*;

    fn ask(user: &str, branch: &str) -> String {
        let guess = credentials("REGISTER", "n", 1, "guessed").replace("\"221\"", &format!("\"{user}\""));
        request("REGISTER", STRANGER, branch, &format!("{user}@acme.example"), "", &guess)
    }

    fn refusal(status: &str, branch: &str, nonce: &str) -> String {
        response(status, "REGISTER", STRANGER, branch, &challenge(nonce))
    }

    /// 221 exists, 999 does not.
    fn judged(first: Option<String>, second: Option<String>) -> usize {
        let mut stage = Stage::new();
        for (user, branch, answer) in [("221", "z9hG4bK1", first), ("999", "z9hG4bK2", second)] {
            stage.heard(STRANGER, ask(user, branch));
            if let Some(answer) = answer {
                stage.sent(STRANGER, &answer);
            }
        }
        stage.judged(tells_nothing).len()
    }

    #[test]
    fn answers_that_differ_in_their_nonces_are_right() {
        let answers =
            [refusal("401 Unauthorized", "z9hG4bK1", "0123"), refusal("401 Unauthorized", "z9hG4bK2", "4567")];
        let [one, other] = answers;
        assert_eq!(judged(Some(one), Some(other)), 0);
        assert_eq!(judged(None, None), 0);
    }

    #[test]
    fn another_status_phrase_length_or_silence_is_caught() {
        let one = || Some(refusal("401 Unauthorized", "z9hG4bK1", "0123"));
        for (status, nonce) in [("404 Not Found", "4567"), ("401 Who", "4567"), ("401 Unauthorized", "456")] {
            assert_eq!(judged(one(), Some(refusal(status, "z9hG4bK2", nonce))), 1, "{status}");
        }
        assert_eq!(judged(one(), None), 1);
    }

    #[test]
    fn a_stale_that_only_one_hears_is_caught() {
        let stale = refusal("401 Unauthorized", "z9hG4bK2", "4567").replace("qop=\"auth\"", "qop=\"auth\", stale=true");
        assert_eq!(judged(Some(refusal("401 Unauthorized", "z9hG4bK1", "0123")), Some(stale)), 1);
    }
}
