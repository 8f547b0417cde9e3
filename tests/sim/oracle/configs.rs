//! 24. **A bad config never replaces a good one**; a good one is adopted as a whole; calls in progress finish under the version they began
//! with; all problems are reported at once. (Whom a call rings under its version is invariant 10's.)

use super::Violation;
use super::kept::{State, steps, users};
use crate::history::{History, What};
use crate::text::Message;

pub fn configs_whole_or_not_at_all(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut state = State::default();
    for step in steps(history) {
        let entries = &history.entries[step.clone()];
        let before = state.clone_if(matches!(entries[0].what, What::Adopted(_)));
        entries.iter().for_each(|entry| state.take(entry));
        let mut say = |offset: usize, words: String| {
            violations.push(Violation { invariant: 24, place: step.start + offset, words });
        };
        match &entries[0].what {
            What::Refused(problems) => {
                if let Some(words) = unreported(problems) {
                    say(0, words);
                }
                let acts = |what: &What| matches!(what, What::Sent(_) | What::Changed(..));
                if let Some(offset) = entries.iter().position(|entry| acts(&entry.what)) {
                    say(offset, "a refused configuration made the daemon do something".to_owned());
                }
            }
            What::Adopted(version) => {
                let there = users(history, *version);
                let left = state.bindings.iter().filter(|(_, kept)| !kept.is_empty()).map(|(user, _)| user);
                for user in left.filter(|user| !there.contains(*user)) {
                    say(0, format!("{user} is gone in version {version} and still registered"));
                }
                for (user, kept) in before.iter().flat_map(|before| &before.bindings) {
                    let is = state.bindings.get(user).map_or(0, Vec::len);
                    let ran_out = kept.iter().filter(|kept| kept.until <= entries[0].at).count();
                    if there.contains(user) && is + ran_out < kept.len() {
                        say(0, format!("{user} remains in version {version} and lost a registration"));
                    }
                }
                for (user, switches) in before.iter().flat_map(|before| &before.switches) {
                    if there.contains(user) && state.switches.get(user) != Some(switches) {
                        say(0, format!("{user} remains in version {version} and has other switches"));
                    }
                }
                for (offset, entry) in entries.iter().enumerate() {
                    let What::Sent(datagram) = &entry.what else { continue };
                    let ends = |message: &Message| message.is("BYE") || message.is("CANCEL");
                    if datagram.message.as_ref().is_some_and(ends) {
                        say(offset, "a reload ended a call or an offer that was in progress".to_owned());
                    }
                }
            }
            _ => {}
        }
        // What is sent leaves by the sockets of the version in force.
        let listen = &history.models[state.version].listen;
        for (offset, entry) in entries.iter().enumerate() {
            if let What::Sent(datagram) = &entry.what
                && !listen.contains(&datagram.from)
            {
                say(offset, format!("sent from {}, where version {} does not listen", datagram.from, state.version));
            }
        }
    }
    violations
}

impl State {
    fn clone_if(&self, wanted: bool) -> Option<State> {
        wanted.then(|| self.clone())
    }
}

/// Each planted problem says which of how many it is: `planted-2-of-3`, or `+999002003` for a number.
fn unreported(problems: &[String]) -> Option<String> {
    let marked: Vec<(usize, usize)> = problems.iter().flat_map(|words| marks(words)).collect();
    let Some((_, count)) = marked.first().copied() else {
        return Some("a broken configuration was refused without naming any problem planted in it".to_owned());
    };
    let missing: Vec<usize> = (1..=count).filter(|number| !marked.contains(&(*number, count))).collect();
    (!missing.is_empty()).then(|| format!("of {count} planted problems {missing:?} were not reported"))
}

fn marks(words: &str) -> Vec<(usize, usize)> {
    let read = |text: &str, between: &str| {
        let (number, rest) = text.split_once(between)?;
        Some((number.parse().ok()?, rest.get(..1)?.parse().ok()?))
    };
    let named = words.split("planted-").skip(1).filter_map(|rest| read(rest, "-of-"));
    let numbered = words.split("+99900").skip(1).filter_map(|rest| read(rest.get(..3)?, "0"));
    named.chain(numbered).collect()
}
