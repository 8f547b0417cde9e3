//! 17: no new call goes to a binding that has expired, none vanishes before its time, and the wall's clock changes neither.

use std::collections::{HashMap, HashSet};

use switchboard::id::UserId;
use switchboard::state::{Change, SavedBinding};

use super::super::history::{MILLISECOND, Nanos, Role, SECOND, What};
use super::super::model::Model;
use super::Violation;
use super::reading::{Reading, Step};

/// Bindings are kept in whole milliseconds.
const ROUNDING: Nanos = 2 * MILLISECOND;

/// A binding, and when it is over on the clock that never jumps.
#[derive(Clone, Copy)]
struct Live<'h> {
    binding: &'h SavedBinding,
    until: Nanos,
}

type Users<'h> = HashMap<&'h UserId, Vec<Live<'h>>>;

pub(super) fn registrations_are_timely(reading: &Reading<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut users: Users<'_> = HashMap::new();
    let mut rung: HashSet<&str> = HashSet::new();
    for step in &reading.steps {
        let cause = reading.cause(step);
        if let What::Started(saved, _) = &cause.what {
            users = HashMap::new();
            for (user, bindings) in &saved.bindings {
                let live = bindings.iter().map(|binding| {
                    // Only the wall's clock is known across a start; but nothing lasts longer than it was granted.
                    let granted = binding.expires_at.since(binding.registered_at).as_nanos() as Nanos;
                    let left = left(binding, cause.wall).min(granted);
                    Live { binding, until: cause.at + left }
                });
                users.insert(user, live.collect());
            }
        }
        for (place, entry) in reading.answer(step) {
            match &entry.what {
                What::Changed(_, change) => {
                    let Change::Bindings { user, bindings } = &**change else { continue };
                    let live = bindings.iter();
                    let live: Vec<Live<'_>> =
                        live.map(|binding| Live { binding, until: entry.at + left(binding, entry.wall) }).collect();
                    let before = users.get(user).map_or(&[][..], Vec::as_slice);
                    for words in without_reason(reading, step, entry.at, user, before, &live) {
                        violations.push(Violation { invariant: 17, place, words });
                    }
                    users.insert(user, live);
                }
                What::Sent(sent) => {
                    let Some(message) = sent.message.as_ref().filter(|message| message.is("INVITE")) else { continue };
                    if message.to_tag().is_some() || !rung.insert(message.branch().unwrap_or_default()) {
                        continue;
                    }
                    if matches!(reading.history.role(sent.to), Some(Role::Trunk(_))) {
                        continue;
                    }
                    let mut there = users.values().flatten().filter(|live| live.binding.target == sent.to).peekable();
                    if there.peek().is_none() {
                        let words = format!("{} to {}, where nobody is registered", message.label(), sent.to);
                        violations.push(Violation { invariant: 17, place, words });
                    } else if let Some(until) = there.map(|live| live.until).max()
                        && until + ROUNDING < entry.at
                    {
                        let late = (entry.at - until) / MILLISECOND;
                        let words = format!("{} to {}, {late} ms after its binding expired", message.label(), sent.to);
                        violations.push(Violation { invariant: 17, place, words });
                    }
                }
                _ => {}
            }
        }
    }
    violations
}

fn left(binding: &SavedBinding, wall: i64) -> Nanos {
    u64::try_from(binding.expires_at.unix_millis() - wall).unwrap_or(0) * MILLISECOND
}

/// How a user's bindings have changed that neither a REGISTER, nor time, nor the configuration explains.
fn without_reason(
    reading: &Reading<'_>,
    step: &Step,
    at: Nanos,
    user: &UserId,
    before: &[Live<'_>],
    after: &[Live<'_>],
) -> Vec<String> {
    let mut words = Vec::new();
    let is_his = |(company, extension): &(String, String)| {
        user.company.as_str() == company && user.extension.as_str() == extension
    };
    let registers = reading.heard(step).is_some_and(|datagram| {
        let is_register = datagram.message.as_ref().is_some_and(|message| message.is("REGISTER"));
        is_register && step.prover.as_ref().is_some_and(is_his)
    });
    if registers {
        return words;
    }
    let remains = |version: usize| knows(&reading.history.models[version], user);
    let is_gone = match &reading.cause(step).what {
        What::Adopted(version) | What::Started(_, version) => !remains(*version),
        _ => false,
    };
    let same = |one: &SavedBinding, other: &SavedBinding| {
        one.contact == other.contact && one.call_id == other.call_id && one.cseq == other.cseq
    };
    for old in before {
        let contact = String::from_utf8_lossy(&old.binding.contact);
        match after.iter().find(|new| same(old.binding, new.binding)) {
            Some(new) if new.until.abs_diff(old.until) > ROUNDING => {
                let (new, old) = (new.until / MILLISECOND, old.until / MILLISECOND);
                words.push(format!("{contact} of {user} lasts until {new} ms, and until {old} ms before"));
            }
            Some(_) => {}
            None if is_gone || old.until <= at + ROUNDING => {}
            None => {
                words.push(format!("{contact} of {user} is gone {} s before its time", (old.until - at) / SECOND));
            }
        }
    }
    for new in after.iter().filter(|new| !before.iter().any(|old| same(old.binding, new.binding))) {
        let contact = String::from_utf8_lossy(&new.binding.contact);
        words.push(format!("{contact} of {user} appears without a REGISTER of that user"));
    }
    words
}

fn knows(model: &Model, user: &UserId) -> bool {
    model.company(user.company.as_str()).is_some_and(|company| company.user(user.extension.as_str()).is_some())
}

#[cfg(test)]
mod tests {
    use super::super::staged::{DAEMON, PHONE, STRANGER, Stage, register, request};
    use super::*;

    fn invite() -> String {
        request("INVITE", DAEMON, "z9hG4bKout", "+91@acme.example", "", "")
    }

    /// Registered for a minute.
    fn stage() -> Stage {
        let mut stage = Stage::new();
        let binding = stage.binding(60);
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).bindings(1, vec![binding]);
        stage
    }

    #[test]
    fn a_call_to_a_live_binding_and_its_end_in_time_are_right() {
        let mut stage = stage();
        stage.after(59 * SECOND).what(What::Fired).sent(PHONE, &invite());
        stage.after(SECOND).what(What::Fired).sent(PHONE, &invite()).bindings(2, vec![]);
        assert_eq!(stage.judged(registrations_are_timely), [""; 0]);
    }

    #[test]
    fn a_call_to_a_binding_that_is_over_is_caught() {
        let mut stage = stage();
        stage.after(61 * SECOND).what(What::Fired).sent(PHONE, &invite());
        assert_eq!(
            stage.judged(registrations_are_timely),
            ["INVITE sip:222@acme.example to 198.51.100.1:5060, 1000 ms after its binding expired"]
        );
    }

    #[test]
    fn a_call_to_where_nobody_registered_is_caught() {
        let mut stage = stage();
        stage.what(What::Fired).sent(STRANGER, &invite());
        assert_eq!(stage.judged(registrations_are_timely).len(), 1);
    }

    #[test]
    fn a_binding_that_goes_early_or_comes_by_itself_is_caught() {
        let mut stage = stage();
        stage.after(10 * SECOND).what(What::Fired).bindings(2, vec![]);
        assert_eq!(
            stage.judged(registrations_are_timely),
            ["sip:221@198.51.100.1:5060 of 221@acme is gone 50 s before its time"]
        );
        let mut stage = Stage::new();
        let binding = stage.binding(60);
        stage.heard(STRANGER, request("REGISTER", STRANGER, "z9hG4bK1", "221@acme.example", "", ""));
        stage.bindings(1, vec![binding]);
        assert_eq!(
            stage.judged(registrations_are_timely),
            ["sip:221@198.51.100.1:5060 of 221@acme appears without a REGISTER of that user"]
        );
    }

    #[test]
    fn a_reload_may_take_only_users_who_are_gone() {
        for (version, found) in [(1, 0), (0, 1)] {
            let mut stage = stage();
            stage.what(What::Adopted(version)).bindings(2, vec![]);
            assert_eq!(stage.judged(registrations_are_timely).len(), found);
        }
    }

    #[test]
    fn a_jump_of_the_wall_clock_that_changes_an_expiry_is_caught() {
        let mut stage = stage();
        let kept = stage.binding(60);
        stage.clock_jumps(30_000);
        let right = stage.binding(60);
        stage.what(What::Fired).bindings(2, vec![right]);
        assert_eq!(stage.judged(registrations_are_timely), [""; 0]);
        stage.what(What::Fired).bindings(3, vec![kept]);
        assert_eq!(
            stage.judged(registrations_are_timely),
            ["sip:221@198.51.100.1:5060 of 221@acme lasts until 31000 ms, and until 61000 ms before"]
        );
    }

    #[test]
    fn after_a_start_nothing_lasts_longer_than_it_was_granted() {
        let mut stage = Stage::new();
        let binding = stage.binding(3600);
        stage.heard(PHONE, register("z9hG4bK1", "n", 1)).bindings(1, vec![binding.clone()]).durable(1);
        stage.clock_jumps(-86_400_000).started(1, vec![binding], 0);
        stage.after(3500 * SECOND).what(What::Fired).sent(PHONE, &invite());
        assert_eq!(stage.judged(registrations_are_timely), [""; 0]);
        stage.after(101 * SECOND).what(What::Fired);
        stage.sent(PHONE, &invite().replace("z9hG4bKout", "z9hG4bKlate"));
        assert_eq!(stage.judged(registrations_are_timely).len(), 1);
    }
}
