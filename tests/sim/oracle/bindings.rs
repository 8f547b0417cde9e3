//! Invariant 16. **Atomic and ordered.** All contacts of one REGISTER or none; an older CSeq of the same Call-ID (late, duplicated or
//! replayed) changes nothing; the 200 lists exactly what is stored.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::intact::Intact;
use super::kept::{Kept, State, UserName, steps};
use super::wire::{PATIENCE, T4};
use crate::history::{History, Nanos, SECOND, What};
use crate::text::{Message, Name, parameter, uri};

/// What a REGISTER found and left: the bindings as stored, and what its 200 will have to say.
struct Asked {
    place: usize,
    at: Nanos,
    user: UserName,
    call_id: String,
    cseq: u32,
    /// Contact and seconds; `*` is a contact.
    contacts: Vec<(String, u64)>,
    /// The bindings right after it.
    after: Vec<Kept>,
    accepted: bool,
    /// The engine heard it as it was sent.
    whole: bool,
}

pub fn bindings_atomic_and_ordered(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut state = State::default();
    // `None`: what it left is not known here.
    let mut asked: BTreeMap<(String, String), Option<Asked>> = BTreeMap::new();
    // The highest CSeq that changed something, or asked for a change and was told 200, by user and Call-ID: a binding may be gone, or never
    // have been there, and its past is not. For as long as a client repeats itself, and the network holds a datagram: some devices count
    // anew when they boot (docs/choices.md).
    let mut newest: BTreeMap<(UserName, String), (u32, Nanos)> = BTreeMap::new();
    let intact = Intact::of(history);
    // Who has bindings of which a bent REGISTER said something: the instance of a device, perhaps, which tells two bindings with one
    // contact apart (RFC 5626 §6).
    let mut bent: BTreeSet<UserName> = BTreeSet::new();
    for step in steps(history) {
        let entries = &history.entries[step.clone()];
        let first = &entries[0];
        match &first.what {
            What::Killed => asked.clear(),
            What::Started(..) => newest.clear(),
            _ => {}
        }
        let register = match &first.what {
            What::Heard(datagram) => datagram.message.as_ref().filter(|message| message.is("REGISTER")),
            _ => None,
        };
        let user = register.and_then(|message| user_of(history, state.version, message));
        let before: Vec<Kept> = user.iter().flat_map(|user| state.live(user, first.at)).cloned().collect();
        let told = |user: &UserName| {
            entries.iter().any(|entry| match &entry.what {
                What::Changed(_, change) => {
                    matches!(&**change, switchboard::state::Change::Bindings { user: whose, .. } if whose.to_string() == *user)
                }
                _ => false,
            })
        };
        let changed = user.as_ref().is_some_and(told);
        entries.iter().for_each(|entry| state.take(entry));
        bent.retain(|user| state.live(user, first.at).next().is_some());
        if let Some(user) = user.as_ref().filter(|_| changed && !intact.is_whole(step.start)) {
            bent.insert(user.clone());
        }
        let unknown = user.as_ref().is_some_and(|user| changed && bent.contains(user));
        if let Some(key) = register.and_then(key).filter(|_| unknown) {
            asked.insert(key, None);
        }
        let user = user.filter(|user| !bent.contains(user));
        if let (Some(message), Some(user), Some((cseq, _)), Some(key)) =
            (register, user, register.and_then(Message::cseq), register.and_then(key))
        {
            let place = step.start;
            let now = Asked {
                place,
                at: first.at,
                user: user.clone(),
                call_id: message.call_id().to_owned(),
                cseq,
                contacts: contacts(message),
                after: state.live(&user, first.at).cloned().collect(),
                accepted: changed,
                whole: intact.is_whole(step.start),
            };
            if changed {
                let known = newest.get(&(user.clone(), now.call_id.clone())).copied();
                let stale = known.filter(|(known, at)| *known > cseq && first.at < at + PATIENCE + T4);
                let stale = stale.map(|(known, _)| known);
                let held = before
                    .iter()
                    .find(|kept| kept.binding.call_id == now.call_id.as_bytes() && kept.binding.cseq >= cseq);
                let touched = held.filter(|kept| !now.after.iter().any(|after| after.binding == kept.binding));
                if let Some(newer) = stale.or(touched.map(|kept| kept.binding.cseq)) {
                    let words =
                        format!("{user}: CSeq {cseq} of a Call-ID changed bindings after CSeq {newer} of it was taken");
                    violations.push(Violation { invariant: 16, place, words });
                }
                violations.extend(whole(&now, &before));
                newest.insert((user, now.call_id.clone()), known.unwrap_or_default().max((cseq, first.at)));
            }
            // A copy is absorbed or answered again, and asks nothing new.
            if changed || !asked.contains_key(&key) {
                asked.insert(key, Some(now));
            }
        }
        for (offset, entry) in entries.iter().enumerate() {
            let What::Sent(datagram) = &entry.what else { continue };
            let Some(message) = datagram.message.as_ref() else { continue };
            let Some(status) = message.status().filter(|_| message.cseq().is_some_and(|(_, of)| of == "REGISTER"))
            else {
                continue;
            };
            let Some(Some(asked)) = key(message).and_then(|key| asked.get(&key)) else { continue };
            violations.extend(answered(asked, status, message, step.start, offset));
            if status == 200 && asked.whole && !asked.contacts.is_empty() {
                let newest = newest.entry((asked.user.clone(), asked.call_id.clone())).or_default();
                *newest = (asked.cseq, asked.at).max(*newest);
            }
        }
    }
    violations
}

/// All contacts or none, and nothing beside them.
fn whole(now: &Asked, before: &[Kept]) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let every = now.contacts.iter().any(|(contact, _)| contact == "*");
    for (contact, seconds) in now.contacts.iter().filter(|(contact, _)| contact != "*") {
        let stored = now.after.iter().find(|kept| kept.binding.contact == contact.as_bytes());
        let again = now.contacts.iter().rev().find(|(other, _)| other == contact);
        if again.is_some_and(|(_, last)| last != seconds) {
            continue;
        }
        match stored {
            None if *seconds > 0 => wrong.push(format!("{contact} was asked for and is not stored")),
            Some(kept) if *seconds > 0 && kept.binding.cseq != now.cseq => {
                wrong.push(format!("{contact} is stored as CSeq {} left it", kept.binding.cseq));
            }
            Some(_) if *seconds == 0 => wrong.push(format!("{contact} was to go and is stored")),
            Some(_) | None => {}
        }
    }
    for kept in &now.after {
        let contact = String::from_utf8_lossy(&kept.binding.contact);
        let was = before.iter().any(|before| before.binding.contact == kept.binding.contact);
        if !was && !now.contacts.iter().any(|(asked, _)| *asked == contact) {
            wrong.push(format!("{contact} is stored and was not asked for"));
        }
    }
    if every && !now.after.is_empty() {
        wrong.push("`*` left something".to_owned());
    }
    let violation = |words| Violation {
        invariant: 16,
        place: now.place,
        words: format!("{} CSeq {}: {words}", now.user, now.cseq),
    };
    wrong.into_iter().map(violation).collect()
}

/// What the answer says against what is stored.
fn answered(asked: &Asked, status: u16, message: &Message, step: usize, offset: usize) -> Option<Violation> {
    let place = step + offset;
    let say = |words: String| Some(Violation { invariant: 16, place, words: format!("{}: {words}", asked.user) });
    match status {
        200 => {
            let mut listed: Vec<String> = contacts(message).into_iter().map(|(contact, _)| contact).collect();
            let mut stored: Vec<String> =
                asked.after.iter().map(|kept| String::from_utf8_lossy(&kept.binding.contact).into_owned()).collect();
            listed.sort();
            stored.sort();
            if listed != stored {
                return say(format!("the 200 lists {listed:?} and {stored:?} is stored"));
            }
            let late = contacts(message).into_iter().find(|(contact, seconds)| {
                let kept = asked.after.iter().find(|kept| kept.binding.contact == contact.as_bytes());
                kept.is_some_and(|kept| {
                    let left = kept.until.saturating_sub(asked.at);
                    // Rounded down, and never to nothing; wall times are whole milliseconds.
                    let seconds = seconds * SECOND;
                    seconds > left.max(SECOND) + SECOND || seconds + 2 * SECOND < left
                })
            });
            late.and_then(|(contact, seconds)| {
                say(format!("the 200 gives {contact} {seconds} s, and it is stored otherwise"))
            })
        }
        // Later answers are 503, where the disk is too slow, or for copies that were broken on the way.
        300.. if asked.accepted && asked.place == step => say(format!("{status}, and bindings changed")),
        _ => None,
    }
}

/// The transaction, as both its ends write it.
fn key(message: &Message) -> Option<(String, String)> {
    Some((message.branch()?.to_owned(), format!("{} {}", message.call_id(), message.cseq()?.0)))
}

/// Whose registration it is: by To, in the model in force.
fn user_of(history: &History, version: usize, message: &Message) -> Option<UserName> {
    let to = uri(message.first(Name::To)?);
    let rest = to.strip_prefix("sip:").or_else(|| to.strip_prefix("sips:"))?;
    let (extension, domain) = rest.split_once('@')?;
    let domain = domain.split([';', ':', '?']).next().unwrap_or_default().to_ascii_lowercase();
    let company = history.models[version].by_domain(&domain)?;
    Some(format!("{extension}@{}", company.id))
}

/// Each contact with the seconds it is to have; without any, one hour.
fn contacts(message: &Message) -> Vec<(String, u64)> {
    let header = message.first(Name::Expires).and_then(|text| text.parse().ok());
    let values = message.all(Name::Contact).flat_map(split);
    let read = |value: String| {
        // `+sip.instance` has angle brackets of its own, behind.
        let (contact, behind) = match value.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
            Some((contact, behind)) => (contact, behind),
            None => (uri(&value), value.as_str()),
        };
        let own = parameter(behind, "expires").and_then(|text| text.parse().ok());
        let seconds: u64 = own.or(header).unwrap_or(3600);
        (contact.to_owned(), seconds)
    };
    values.map(read).collect()
}

/// The values of one line, which commas part outside `<…>` and `"…"`.
fn split(line: &str) -> Vec<String> {
    let (mut values, mut quoted, mut angle) = (vec![String::new()], false, false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            ',' if !quoted && !angle => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = values.last_mut() {
            last.push(letter);
        }
    }
    values.iter().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use switchboard::state::Change;

    use super::*;
    use crate::oracle::hand::{Hand, model, user};

    const PHONE: &str = "198.51.100.1:5060";

    fn register(cseq: u32, contacts: &str) -> String {
        format!(
            "REGISTER sip:one.example SIP/2.0\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{cseq}\nCall-ID: boot-201\n\
             From: <sip:201@one.example>;tag=a\nTo: <sip:201@one.example>\nCSeq: {cseq} REGISTER\nContact: {contacts}\n\n"
        )
    }

    fn ok(cseq: u32, contacts: &str) -> String {
        format!(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{cseq}\nCall-ID: boot-201\n\
             From: <sip:201@one.example>;tag=a\nTo: <sip:201@one.example>;tag=b\nCSeq: {cseq} REGISTER\n{contacts}\n"
        )
    }

    /// REGISTERs by CSeq, each with what it asks, which targets are stored then and with which CSeq, and what the 200 lists.
    fn found(story: &[(u32, &str, &[&str], &str)]) -> Vec<String> {
        let mut hand = Hand::new(vec![model()]);
        for (cseq, asks, stored, lists) in story {
            hand.later(1);
            hand.heard(PHONE, &register(*cseq, asks));
            let bindings = stored.iter().map(|target| hand.binding("201", target, *cseq)).collect();
            hand.changed(Change::Bindings { user: user("201"), bindings });
            hand.entry(What::Durable(switchboard::state::Number(1)));
            hand.sent(PHONE, &ok(*cseq, lists));
        }
        bindings_atomic_and_ordered(&hand.history).into_iter().map(|violation| violation.words).collect()
    }

    const ONE: &str = "<sip:201@198.51.100.1:5060>";
    const TWO: &str = "<sip:201@198.51.100.1:5060>, <sip:201@198.51.100.9:5060>";
    const LISTED: &str = "Contact: <sip:201@198.51.100.1:5060>;expires=3600\n";

    #[test]
    fn a_registration_as_asked_is_right() {
        assert_eq!(found(&[(1, ONE, &[PHONE], LISTED), (2, ONE, &[PHONE], LISTED)]), Vec::<String>::new());
        assert_eq!(found(&[(1, ONE, &[PHONE], LISTED), (2, "*;expires=0", &[], "")]), Vec::<String>::new());
    }

    #[test]
    fn half_a_registration_is_found_out() {
        let words = found(&[(1, TWO, &[PHONE], LISTED)]);
        assert!(words.iter().any(|words| words.contains("198.51.100.9:5060 was asked for")), "{words:?}");
    }

    #[test]
    fn an_answer_that_lists_something_else_is_found_out() {
        let words = found(&[(1, ONE, &[PHONE], "")]);
        assert!(words.iter().any(|words| words.contains("the 200 lists []")), "{words:?}");
        let words = found(&[(1, ONE, &[PHONE], "Contact: <sip:201@198.51.100.1:5060>;expires=7200\n")]);
        assert!(words.iter().any(|words| words.contains("7200 s")), "{words:?}");
    }

    #[test]
    fn an_older_register_that_changes_something_is_found_out() {
        let words = found(&[(2, ONE, &[PHONE], LISTED), (1, ONE, &[PHONE], LISTED)]);
        assert!(
            words.iter().any(|words| words.contains("CSeq 1 of a Call-ID changed bindings after CSeq 2")),
            "{words:?}"
        );
    }

    #[test]
    fn an_older_register_behind_a_goodbye_that_found_nothing_is_found_out() {
        let goodbye = register(2, &format!("{ONE};expires=0"));
        let question = register(2, "").replace("Contact: \n", "");
        let refused = ok(2, "").replace("200 OK", "500 Server Internal Error");
        let cases = [
            (goodbye.clone(), ok(2, ""), 1),
            (register(2, "*;expires=0"), ok(2, ""), 1),
            (question, ok(2, ""), 0),
            (goodbye, refused, 0),
        ];
        for (asks, answer, found) in cases {
            let mut hand = Hand::new(vec![model()]);
            hand.heard(PHONE, &asks);
            hand.sent(PHONE, &answer);
            hand.later(1);
            hand.heard(PHONE, &register(1, ONE));
            let bindings = vec![hand.binding("201", PHONE, 1)];
            hand.changed(Change::Bindings { user: user("201"), bindings });
            hand.entry(What::Durable(switchboard::state::Number(1)));
            hand.sent(PHONE, &ok(1, LISTED));
            let words: Vec<String> =
                bindings_atomic_and_ordered(&hand.history).into_iter().map(|violation| violation.words).collect();
            assert_eq!(words.len(), found, "{asks}{answer}{words:?}");
            assert!(words.iter().all(|words| words.contains("CSeq 1 of a Call-ID changed bindings after CSeq 2")));
        }
    }

    #[test]
    fn a_bent_challenge_excuses_nothing_that_is_done_with_the_registers_behind_it() {
        let mut hand = Hand::new(vec![model()]);
        let challenge = ok(1, "").replace("200 OK", "401 Unauthorized");
        hand.heard(PHONE, &register(1, TWO));
        hand.sent_as(PHONE, &challenge, &challenge.replace("tag=b", "tag=c"));
        hand.heard(PHONE, &register(2, TWO));
        let bindings = vec![hand.binding("201", PHONE, 2)];
        hand.changed(Change::Bindings { user: user("201"), bindings });
        hand.entry(What::Durable(switchboard::state::Number(1)));
        hand.sent(PHONE, &ok(2, LISTED));
        let violations = bindings_atomic_and_ordered(&hand.history);
        let words: Vec<&str> = violations.iter().map(|violation| violation.words.as_str()).collect();
        assert_eq!(words, ["201@one CSeq 2: sip:201@198.51.100.9:5060 was asked for and is not stored"]);
    }

    #[test]
    fn what_a_register_left_that_was_bent_is_not_known_from_a_copy_of_it() {
        let meant = register(1, ONE);
        for (heard, listed, found) in
            [(meant.replace("tag=a", "tag=c"), LISTED, 0), (meant.clone(), LISTED, 0), (meant.clone(), "", 1)]
        {
            let mut hand = Hand::new(vec![model()]);
            hand.heard_as(PHONE, &meant, &heard);
            let bindings = vec![hand.binding("201", PHONE, 1)];
            hand.changed(Change::Bindings { user: user("201"), bindings });
            hand.heard(PHONE, &register(2, &format!("{ONE};expires=0")));
            hand.changed(Change::Bindings { user: user("201"), bindings: Vec::new() });
            hand.heard(PHONE, &meant);
            hand.entry(What::Durable(switchboard::state::Number(1)));
            hand.sent(PHONE, &ok(1, listed));
            assert_eq!(bindings_atomic_and_ordered(&hand.history).len(), found, "{heard}");
        }
    }
}
