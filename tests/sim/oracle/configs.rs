//! Invariant 24. **A bad config never replaces a good one**; a good one is adopted as a whole; calls in progress finish under the version
//! they began with; all problems are reported at once. (Whom a call rings under its version is invariant 10's.)

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
            // What a killed daemon had not said yet is no matter: the next one says it when it starts.
            What::Adopted(_) if history.entries.get(step.end).is_some_and(|next| matches!(next.what, What::Killed)) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::hand::{Hand, TRUNK, invite, model};

    fn refused(problems: &[&str]) -> Vec<String> {
        let mut hand = Hand::new(vec![model()]);
        hand.entry(What::Refused(problems.iter().map(|text| (*text).to_owned()).collect()));
        words(&hand)
    }

    fn words(hand: &Hand) -> Vec<String> {
        configs_whole_or_not_at_all(&hand.history).into_iter().map(|violation| violation.words).collect()
    }

    #[test]
    fn all_problems_have_to_be_reported() {
        let all = ["a:3: k: `planted-1-of-2` is not known", "b:9: k: number +99900202 is written twice"];
        assert_eq!(refused(&all), Vec::<String>::new());
        assert_eq!(refused(&all[..1]), ["of 2 planted problems [2] were not reported"]);
        assert_eq!(refused(&all[1..]), ["of 2 planted problems [1] were not reported"]);
        assert_eq!(refused(&["something else"]).len(), 1);
    }

    #[test]
    fn a_reload_takes_away_what_is_gone_and_nothing_else() {
        let mut fewer = model();
        fewer.companies[0].users.remove(0);
        fewer.companies[0].departments[0].members.remove(0);
        let reloaded = |left: [bool; 2]| {
            let mut hand = Hand::new(vec![model(), fewer.clone()]);
            hand.entry(What::Fired);
            hand.registered("201", "198.51.100.1:5060");
            hand.registered("202", "198.51.100.2:5060");
            hand.entry(What::Adopted(1));
            for (extension, _) in ["201", "202"].into_iter().zip(left).filter(|(_, left)| !left) {
                let user = crate::oracle::hand::user(extension);
                hand.changed(switchboard::state::Change::Bindings { user, bindings: Vec::new() });
            }
            words(&hand)
        };
        assert_eq!(reloaded([false, true]), Vec::<String>::new());
        assert_eq!(reloaded([true, true]), ["201@one is gone in version 1 and still registered"]);
        assert_eq!(reloaded([false, false]), ["202@one remains in version 1 and lost a registration"]);
    }

    #[test]
    fn a_reload_ends_no_call_and_takes_its_sockets() {
        let mut elsewhere = model();
        elsewhere.listen = vec!["203.0.113.11:5060".parse().unwrap()];
        let mut hand = Hand::new(vec![model(), elsewhere]);
        hand.entry(What::Adopted(1));
        hand.sent(TRUNK, &invite("+918041234500").replace("INVITE", "BYE"));
        let words = words(&hand);
        assert!(words.iter().any(|words| words.contains("ended a call")), "{words:?}");
        assert!(words.iter().any(|words| words.contains("does not listen")), "{words:?}");
    }
}
