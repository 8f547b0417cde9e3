//! 15: what a REGISTER was answered 200 for is on the disk by then, and every later start is given it, unless it was replaced or removed
//! since; a start is given nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use bytes::Bytes;
use switchboard::id::UserId;
use switchboard::state::{Change, Saved, SavedBinding};

use super::super::history::What;
use super::super::text::Name;
use super::Violation;
use super::reading::{Reading, about};

/// What a proven REGISTER came to.
struct Told<'h> {
    /// The change that has to be durable; 0: none.
    number: u64,
    bindings: &'h [SavedBinding],
}

pub(super) fn registrations_are_durable(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 15, place, words });
    // All changes of bindings the store was told, those of a start's own first.
    let mut changes: Vec<(u64, &UserId, &[SavedBinding])> = Vec::new();
    let mut now: HashMap<&UserId, &[SavedBinding]> = HashMap::new();
    let mut durable = 0;
    let mut told: HashMap<(IpAddr, &str), Told<'_>> = HashMap::new();
    let mut answered: HashSet<&Bytes> = HashSet::new();
    for step in &reading.steps {
        match &reading.cause(step).what {
            What::Durable(number) => durable = durable.max(number.0),
            What::Started(saved, _) => {
                for words in lost_or_invented(&changes, durable, saved) {
                    wrong(step.cause, words);
                }
                durable = saved.last.0;
                changes = saved.bindings.iter().map(|(user, bindings)| (0, user, bindings.as_slice())).collect();
                now = changes.iter().map(|(_, user, bindings)| (*user, *bindings)).collect();
                told.clear();
            }
            _ => {}
        }
        let mut changed = 0;
        for (place, entry) in reading.answer(step) {
            match &entry.what {
                What::Durable(_) | What::Started(..) => {}
                What::Changed(number, change) => {
                    if let Change::Bindings { user, bindings } = &**change {
                        changes.push((number.0, user, bindings));
                        now.insert(user, bindings);
                        changed = number.0;
                    }
                }
                What::Sent(sent) => {
                    let Some(message) = &sent.message else { continue };
                    if message.status() != Some(200) || about(message) != "REGISTER" || !answered.insert(&sent.bytes) {
                        continue;
                    }
                    let own = own_register(reading, step, sent.to.ip(), message.branch(), changed, &now);
                    let branch = message.branch().unwrap_or_default();
                    let told = told.get(&(sent.to.ip(), branch)).filter(|_| changed == 0).or(own.as_ref());
                    let Some(told) = told else { continue };
                    if told.number > durable {
                        let words =
                            format!("200 to a REGISTER whose change {} is not durable (up to {durable})", told.number);
                        wrong(place, words);
                    }
                    for contact in message.all(Name::Contact).filter_map(listed) {
                        if !told.bindings.iter().any(|binding| binding.contact == contact.as_bytes()) {
                            wrong(place, format!("the 200 lists {contact}, which the store was not told"));
                        }
                    }
                }
                _ => {}
            }
        }
        if let Some(datagram) = reading.heard(step)
            && let Some(message) = datagram.message.as_ref().filter(|message| message.is("REGISTER"))
            && let Some(own) = own_register(reading, step, datagram.from.ip(), message.branch(), changed, &now)
        {
            // A copy is absorbed or answered again, and comes to nothing new.
            let known = told.entry((datagram.from.ip(), message.branch().unwrap_or_default()));
            if changed == 0 {
                known.or_insert(own)
            } else {
                known.insert_entry(own).into_mut()
            };
        }
    }
    violations
}

/// What the REGISTER heard in this very step came to, if it has that branch and comes from there.
fn own_register<'h>(
    reading: &Reading<'h>,
    step: &super::reading::Step,
    asker: IpAddr,
    branch: Option<&str>,
    number: u64,
    now: &HashMap<&'h UserId, &'h [SavedBinding]>,
) -> Option<Told<'h>> {
    let (company, extension) = step.prover.as_ref()?;
    let datagram = reading.heard(step).filter(|datagram| datagram.from.ip() == asker)?;
    let message = datagram.message.as_ref().filter(|message| message.is("REGISTER") && message.branch() == branch)?;
    let _ = message;
    let of = |user: &&&UserId| user.company.as_str() == company && user.extension.as_str() == extension;
    let bindings = now.keys().find(of).and_then(|user| now.get(*user)).copied().unwrap_or_default();
    Some(Told { number, bindings })
}

/// What a start was given, against all that was told up to the last change it has.
fn lost_or_invented(changes: &[(u64, &UserId, &[SavedBinding])], durable: u64, saved: &Saved) -> Vec<String> {
    let mut words = Vec::new();
    if saved.last.0 < durable {
        words.push(format!("the start has changes up to {}, but {durable} was durable", saved.last.0));
    }
    let known = changes.iter().filter(|(number, ..)| *number <= saved.last.0);
    let known: BTreeMap<&UserId, &[SavedBinding]> = known.map(|(_, user, bindings)| (*user, *bindings)).collect();
    let given: BTreeMap<&UserId, &[SavedBinding]> =
        saved.bindings.iter().map(|(user, bindings)| (user, bindings.as_slice())).collect();
    for user in known.keys().chain(given.keys()).collect::<BTreeSet<_>>() {
        let (known, given) =
            (known.get(user).copied().unwrap_or_default(), given.get(user).copied().unwrap_or_default());
        for binding in known.iter().filter(|binding| !given.contains(binding)) {
            words.push(format!("the start was not given {} of {user}", shown(binding)));
        }
        for binding in given.iter().filter(|binding| !known.contains(binding)) {
            words.push(format!("the start was given {} of {user}, which was removed or never there", shown(binding)));
        }
    }
    words
}

/// The URI in a Contact value: up to the first `>`, since an instance behind it has angle brackets of its own.
fn listed(contact: &str) -> Option<&str> {
    contact.split_once('<')?.1.split('>').next()
}

fn shown(binding: &SavedBinding) -> String {
    format!("{} (CSeq {})", String::from_utf8_lossy(&binding.contact), binding.cseq)
}

#[cfg(test)]
mod tests {
    use super::super::staged::{PHONE, Stage, register, registered};
    use super::*;

    /// Registered, durable, answered.
    fn stage() -> Stage {
        let mut stage = Stage::new();
        let binding = stage.binding(3600);
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).bindings(1, vec![binding]);
        stage.durable(1).sent(PHONE, &registered("z9hG4bK1", ""));
        stage
    }

    #[test]
    fn what_was_answered_and_given_back_is_right() {
        let mut stage = stage();
        let binding = stage.binding(3600);
        stage.started(1, vec![binding], 0);
        assert_eq!(stage.judged(registrations_are_durable), [""; 0]);
    }

    #[test]
    fn a_change_that_never_became_durable_may_be_lost_or_kept() {
        for (last, kept) in [(1, true), (2, false)] {
            let mut stage = stage();
            let binding = stage.binding(3600);
            stage.heard(PHONE, register("z9hG4bK2", "n", 2)).bindings(2, vec![]);
            stage.started(last, if kept { vec![binding] } else { vec![] }, 0);
            assert_eq!(stage.judged(registrations_are_durable), [""; 0]);
        }
    }

    #[test]
    fn a_200_before_the_disk_has_it_is_caught() {
        let mut stage = Stage::new();
        let binding = stage.binding(3600);
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).bindings(1, vec![binding]);
        stage.sent(PHONE, &registered("z9hG4bK1", ""));
        assert_eq!(
            stage.judged(registrations_are_durable),
            ["200 to a REGISTER whose change 1 is not durable (up to 0)"]
        );
    }

    #[test]
    fn a_200_after_another_change_became_durable_is_caught() {
        let mut stage = stage();
        let binding = stage.binding(3600);
        stage.heard(PHONE, register("z9hG4bK2", "n", 2)).bindings(2, vec![binding]);
        stage.durable(1).sent(PHONE, &registered("z9hG4bK2", "X: 2\r\n"));
        assert_eq!(stage.judged(registrations_are_durable).len(), 1);
    }

    #[test]
    fn a_copy_is_answered_with_what_the_first_came_to() {
        let mut stage = Stage::new();
        let (binding, first) = (stage.binding(3600), register("z9hG4bK1", "n", 1));
        stage.heard(PHONE, &first).bindings(1, vec![binding]);
        stage.heard(PHONE, register("z9hG4bK2", "n", 2)).bindings(2, vec![]);
        stage.heard(PHONE, &first).durable(2).sent(PHONE, &registered("z9hG4bK1", ""));
        assert_eq!(stage.judged(registrations_are_durable), [""; 0]);
        let other = registered("z9hG4bK1", "Contact: <sip:mallory@198.51.100.1:5060>\r\n");
        stage.sent(PHONE, &other);
        assert_eq!(
            stage.judged(registrations_are_durable),
            ["the 200 lists sip:mallory@198.51.100.1:5060, which the store was not told"]
        );
    }

    #[test]
    fn a_binding_that_a_start_does_not_know_is_caught() {
        let mut stage = stage();
        stage.started(1, vec![], 0);
        assert_eq!(
            stage.judged(registrations_are_durable),
            ["the start was not given sip:221@198.51.100.1:5060 (CSeq 2) of 221@acme"]
        );
        let mut stage = self::stage();
        stage.started(0, vec![], 0);
        assert_eq!(stage.judged(registrations_are_durable), ["the start has changes up to 0, but 1 was durable"]);
    }

    #[test]
    fn a_removed_binding_that_returns_is_caught() {
        let mut stage = stage();
        let binding = stage.binding(3600);
        stage.heard(PHONE, register("z9hG4bK2", "n", 2)).bindings(2, vec![]).durable(2);
        stage.started(2, vec![binding], 0);
        assert_eq!(
            stage.judged(registrations_are_durable),
            ["the start was given sip:221@198.51.100.1:5060 (CSeq 2) of 221@acme, which was removed or never there"]
        );
    }

    #[test]
    fn a_listed_contact_that_was_never_stored_is_caught() {
        let mut stage = Stage::new();
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).sent(PHONE, &registered("z9hG4bK1", ""));
        assert_eq!(
            stage.judged(registrations_are_durable),
            ["the 200 lists sip:221@198.51.100.1:5060, which the store was not told"]
        );
    }
}
