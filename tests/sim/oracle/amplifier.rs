//! 20: to a source that has proved nothing goes at most one datagram for one received, of at most one and a half times its bytes, and
//! only to that packet's source address.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::super::history::{Role, What};
use super::super::text::Message;
use super::Violation;
use super::reading::Reading;

pub(super) fn no_amplifier(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 20, place, words });
    // Hosts from where somebody has shown to know a password: behind a NAT a phone's port may change under it.
    let mut proven: HashSet<IpAddr> = HashSet::new();
    // What was asked for by whom, as far as it can be read.
    let mut asked: HashMap<SocketAddr, HashSet<&str>> = HashMap::new();
    // What came from where bent, or can be read by nobody here: the daemon may have read it.
    let mut unread: HashMap<SocketAddr, Vec<&[u8]>> = HashMap::new();
    let mut said: HashSet<(SocketAddr, &Bytes)> = HashSet::new();
    for step in &reading.steps {
        let heard = reading.heard(step);
        if let Some(datagram) = heard {
            if step.prover.is_some() {
                proven.insert(datagram.from.ip());
            }
            let of = asked.entry(datagram.from).or_default();
            let is_text = std::str::from_utf8(&datagram.bytes).is_ok();
            of.extend(datagram.message.as_ref().filter(|_| is_text).and_then(Message::branch));
            if !is_text || datagram.message.is_none() || !reading.intact.is(step.cause) {
                unread.entry(datagram.from).or_default().push(&datagram.bytes);
            }
        }
        for (place, sent) in reading.sent(step) {
            let Some(message) = &sent.message else { continue };
            // Responses go to the host that asked, wherever Via, `received`, `rport` and `maddr` point; to the port of Via
            // where there is no `rport` (RFC 3261 §18.2.2).
            if message.status().is_some() {
                let answers = heard.is_some_and(|heard| heard.from.ip() == sent.to.ip());
                let branch = message.branch().unwrap_or_default();
                // Where the bit was bent in the branch, it has none that could be read: it is answered as it is.
                let name = if branch.is_empty() { message.call_id() } else { branch };
                let names = |bytes: &&[u8]| bytes.windows(name.len().max(1)).any(|part| part == name.as_bytes());
                let may_have_asked = || unread.get(&sent.to).is_some_and(|unread| unread.iter().any(names));
                // Whose phone was told another branch than the caller's repeats that one.
                let repeats = !reading.intact.is(step.cause);
                let asked = asked.get(&sent.to).is_some_and(|branches| repeats || branches.contains(branch));
                // A copy goes where the first went, which was judged.
                let is_copy = !said.insert((sent.to, &sent.bytes));
                if !answers && !asked && !is_copy && !may_have_asked() {
                    wrong(place, format!("{} to {}, from where nothing like it was asked", message.label(), sent.to));
                }
            }
            // To whom nobody is expected to be: never without being asked.
            let nobody = matches!(reading.history.role(sent.to), None | Some(Role::Attacker(_)));
            if nobody && heard.is_none_or(|heard| heard.from.ip() != sent.to.ip()) {
                let cause = cause_in_words(&reading.cause(step).what);
                wrong(
                    place,
                    format!("{} to {}, who has a right to nothing, because of {cause}", message.label(), sent.to),
                );
            }
        }
        let Some(datagram) = heard else { continue };
        // What a message that was sent under a phone's address earns is the same as from any unproven one.
        let known = proven.contains(&datagram.from.ip()) && !reading.is_of_stranger(datagram);
        if known || reading.is_of_trunk(step, datagram.from) {
            continue;
        }
        let (mut count, mut room) = (0, datagram.bytes.len() * 3 / 2);
        for (place, sent) in reading.sent(step).filter(|(_, sent)| sent.to.ip() == datagram.from.ip()) {
            count += 1;
            if count > 1 {
                wrong(place, format!("{count} datagrams to {} for one", sent.to));
            }
            if sent.bytes.len() > room {
                let (sent, heard) = (sent.bytes.len(), datagram.bytes.len());
                wrong(place, format!("{sent} bytes for {heard} of one that has proved nothing ({})", datagram.from));
            }
            room = room.saturating_sub(sent.bytes.len());
        }
    }
    violations
}

fn cause_in_words(what: &What) -> String {
    match what {
        What::Heard(datagram) => {
            let label = datagram.message.as_ref().map_or_else(|| "something unreadable".to_owned(), |m| m.label());
            format!("{label} from {}", datagram.from)
        }
        What::Fired => "a timer".to_owned(),
        What::Durable(_) => "the disk".to_owned(),
        What::Adopted(_) => "a configuration".to_owned(),
        What::Commanded(command, _) => format!("`{command}`"),
        What::Started(..) => "a start".to_owned(),
        _ => "something".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::staged::{DAEMON, PHONE, STRANGER, Stage, TRUNK, register, registered, request, response};
    use super::*;

    fn ask() -> String {
        request("OPTIONS", STRANGER, "z9hG4bKs", "a@b.example", "", "")
    }

    fn refusal(to: &str, more: &str) -> String {
        response("403 Forbidden", "OPTIONS", to, "z9hG4bKs", more)
    }

    #[test]
    fn one_small_answer_to_whoever_asked_is_right() {
        let mut stage = Stage::new();
        stage.heard(STRANGER, ask()).sent(STRANGER, &refusal(STRANGER, ""));
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).durable(1).sent(PHONE, &registered("z9hG4bK1", ""));
        assert_eq!(stage.judged(no_amplifier), [""; 0]);
    }

    #[test]
    fn an_answer_under_a_branch_that_nobody_used_is_wrong_unless_its_maker_was_misled() {
        let told = request("INVITE", DAEMON, "z9hG4bKo", "221@acme.example", "", "");
        let ringing = response("180 Ringing", "INVITE", TRUNK, "z9hG4bKbent", "");
        for (delivered, wrong) in [(told.clone(), 1), (told.replace("z9hG4bKo", "z9hG4bKp"), 0)] {
            let mut stage = Stage::new();
            stage.heard(TRUNK, request("INVITE", TRUNK, "z9hG4bKt", "221@acme.example", "", ""));
            stage.delivered_as(PHONE, &told, &delivered).heard(PHONE, &ringing).sent(TRUNK, &ringing);
            assert_eq!(stage.judged(no_amplifier).len(), wrong);
        }
    }

    #[test]
    fn a_branch_that_was_bent_beyond_reading_is_answered_where_it_came_from_only() {
        let told = request("BYE", TRUNK, "z9hG4bKo", "221@acme.example", "t", "");
        let bent = told.replace(";branch=", ";brangh=");
        let answer = response("200 OK", "BYE", TRUNK, "z9hG4bKo", "").replace(";branch=", ";brangh=");
        for (to, heard, wrong) in [(TRUNK, bent, 0), (TRUNK, told.clone(), 1), (STRANGER, told.clone(), 2)] {
            let mut stage = Stage::new();
            stage.heard_as(TRUNK, &told, &heard).what(What::Fired).sent(to, &answer);
            assert_eq!(stage.judged(no_amplifier).len(), wrong, "{to}");
        }
    }

    #[test]
    fn two_answers_or_a_large_one_are_caught() {
        let mut stage = Stage::new();
        let answer = response("403 No", "OPTIONS", STRANGER, "z9hG4bKs", "");
        stage.heard(STRANGER, ask().replace("Max-Forwards: 70", "Max-Forwards: 70\r\nSubject: so that there is room for all of it, and much more than that, several times over"));
        stage.sent(STRANGER, &answer).sent(STRANGER, &answer);
        assert!(stage.judged(no_amplifier).contains(&format!("2 datagrams to {STRANGER} for one")));
        let mut stage = Stage::new();
        let long = format!("Subject: {}\r\n", "x".repeat(400));
        stage.heard(STRANGER, ask()).sent(STRANGER, &refusal(STRANGER, &long));
        let found = stage.judged(no_amplifier);
        assert!(found.len() == 1 && found[0].contains("of one that has proved nothing"), "{found:?}");
    }

    #[test]
    fn an_answer_to_where_a_via_points_is_caught() {
        let mut stage = Stage::new();
        stage.heard(STRANGER, ask().replace(STRANGER, PHONE)).sent(PHONE, &refusal(PHONE, ""));
        let found = stage.judged(no_amplifier);
        assert_eq!(found, ["403 (OPTIONS) to 198.51.100.1:5060, from where nothing like it was asked"]);
    }

    #[test]
    fn a_repetition_by_timer_to_a_stranger_is_caught_and_to_a_trunk_is_not() {
        for (peer, found) in [(STRANGER, 1), (TRUNK, 0)] {
            let mut stage = Stage::new();
            stage.heard(peer, ask().replace(STRANGER, peer)).sent(peer, &refusal(peer, ""));
            stage.what(What::Fired).sent(peer, &refusal(peer, ""));
            assert_eq!(stage.judged(no_amplifier).len(), found, "{peer}");
        }
    }
}
