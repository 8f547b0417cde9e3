//! Invariant 1, R-7.1: nobody is rung or talks in two calls at a time, in whichever companies.
//!
//! Who is one person is read from the version of the model that the later of two calls began with: a reload cannot make two calls of what
//! was allowed when the first began, and the second must know better.

use ahash::AHashMap;

use super::Violation;
use super::engaged::{UserName, engagements};
use super::wire::Wire;

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let all = engagements(wire);
    let mut names: AHashMap<(usize, &UserName), String> = AHashMap::new();
    for one in &all {
        for user in &one.users {
            for model in all.iter().map(|one| one.model).collect::<std::collections::BTreeSet<usize>>() {
                names.entry((model, user)).or_insert_with(|| person(wire, model, one.model, user));
            }
        }
    }
    let mut violations = Vec::new();
    // Those that are not over yet.
    let mut open: Vec<usize> = Vec::new();
    for (index, later) in all.iter().enumerate() {
        open.retain(|earlier| all[*earlier].to > later.from);
        for earlier in open.iter().map(|earlier| &all[*earlier]) {
            if earlier.call == later.call {
                continue;
            }
            let same = earlier
                .users
                .iter()
                .any(|one| later.users.iter().any(|other| names[&(later.model, one)] == names[&(later.model, other)]));
            if same {
                let (_, extension) = &later.users[0];
                let (one, other) = (wire.line(earlier.call).call_id, wire.line(later.call).call_id);
                violations.push(Violation {
                    invariant: 1,
                    place: later.from,
                    words: format!(
                        "{extension} {} in {other} while the same person {} in {one} (since entry {})",
                        later.what, earlier.what, earlier.from
                    ),
                });
            }
        }
        open.push(index);
    }
    violations
}

/// The person behind a user in a version of the model; in the version its call began with, where it has none there.
fn person(wire: &Wire<'_>, model: usize, own: usize, (company, extension): &UserName) -> String {
    let named = |model: usize| {
        let company = wire.history.models[model].company(company)?;
        company.user(extension)?;
        Some(company.person(extension))
    };
    named(model).or_else(|| named(own)).unwrap_or_else(|| format!("{extension}@{company}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, CUT_OFF, REFUSED, TWO_PHONES, caught, right};

    /// The same person, in another company, by another call.
    fn second(at: u64) -> String {
        format!(
            "{at} trunk > INVITE t7 call=c7 from=g\n{at} trunk < 100 t7 call=c7 from=g\n{at} phone2 < INVITE b7/t7 call=c7 from=g\n"
        )
    }

    #[test]
    fn one_call_after_the_other_passes() {
        for story in [ANSWERED, CANCELLED, REFUSED, TWO_PHONES, CUT_OFF] {
            right(super::judge, story);
        }
        right(super::judge, &ANSWERED.replace("6020 end", &second(6020)));
        right(super::judge, &CANCELLED.replace("1500 end", &second(1500)));
        right(super::judge, &format!("{REFUSED}{}", second(33000)));
    }

    #[test]
    fn a_person_rung_twice_is_caught() {
        caught(
            super::judge,
            1,
            &CANCELLED.replace("1000 trunk > CANCEL", &format!("{}1000 trunk > CANCEL", second(900))),
        );
        caught(super::judge, 1, &CANCELLED.replace("1200 phone0 > 200", &format!("{}1200 phone0 > 200", second(1150))));
    }

    #[test]
    fn a_person_rung_while_talking_is_caught() {
        caught(super::judge, 1, &ANSWERED.replace("6000 trunk > BYE", &format!("{}6000 trunk > BYE", second(5000))));
        caught(super::judge, 1, &ANSWERED.replace("6010 phone0 > 200", &format!("{}6010 phone0 > 200", second(6005))));
    }

    #[test]
    fn a_restart_frees_nobody() {
        let talking = ANSWERED.split("6000").next().unwrap();
        let story = |at: u64| format!("{talking}3000 killed\n4000 started\n{}", second(at));
        caught(super::judge, 1, &story(5000));
        let rings = CUT_OFF.split("3100").next().unwrap();
        caught(super::judge, 1, &format!("{rings}{}", second(9000)));
        right(super::judge, &format!("{rings}35000 fired\n{}", second(35000)));
    }

    #[test]
    fn a_person_who_calls_is_not_rung() {
        let calls = "0 phone2 > INVITE p1 uri=sip:302@globex.example fu=sip:301@globex.example\n0 phone2 < 100 p1 fu=sip:301@globex.example\n";
        let rung = "10 trunk > INVITE t1 call=c2\n10 trunk < 100 t1 call=c2\n10 phone0 < INVITE b1/t1 call=c2\n";
        caught(super::judge, 1, &format!("{calls}{rung}"));
        let over = "5 fired\n5 phone2 < 486 p1 q850=17 fu=sip:301@globex.example\n";
        right(super::judge, &format!("{calls}{over}{rung}"));
    }

    #[test]
    fn a_mobile_is_its_user() {
        let mobile = "10 trunk > INVITE t7 call=c7\n10 trunk < 100 t7 call=c7\n10 trunk < INVITE b7/t7 call=c7 uri=sip:+919810000001@198.51.100.1\n";
        let other = mobile.replace("0001@", "0002@");
        let rings = CANCELLED.split("1000").next().unwrap();
        caught(super::judge, 1, &format!("{rings}{mobile}"));
        right(super::judge, &format!("{rings}{other}"));
    }
}
