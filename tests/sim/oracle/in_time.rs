//! Invariant 3: every INVITE is answered in time: with something within 200 ms, with a final response within the bounds of the plan,
//! of RFC 3261's Timer C and of the 64·T1 that a branch may take to end.
//!
//! A hunt's steps are seen by what they send: a new branch, or 182 while the caller waits. Time the process stood still does not count.

use super::super::history::{Nanos, Role, SECOND};
use super::super::model::{Company, Model};
use super::super::text::Name;
use super::Violation;
use super::wire::{PATIENCE, Server, Wire, tick};

const TRYING: Nanos = SECOND / 5;
/// RFC 3261 §16.6 item 11: "MUST be larger than 3 minutes"; a second larger is taken for enough.
const TIMER_C: Nanos = 181 * SECOND;
/// How long an outside number is rung, in seconds.
const OUTSIDE: u64 = 60;

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 3, place, words });
    for server in wire.servers.iter().filter(|server| server.invite && !server.doubtful) {
        let Some(request) = server.request.map(|request| wire.line(request)) else { continue };
        let kill = wire.kill_of(server.epoch).map_or(Nanos::MAX, |(_, at)| at);
        // Whether that time has come, in this epoch and in this history.
        let is_past = |due: Nanos| due < kill && due < wire.end;
        if let Some((start, at)) = server.revived {
            let step = wire.step_at(start);
            if let Some(owed) = server.owes.filter(|_| !wire.steps[step].cut && is_past(at)) {
                let told = server
                    .responses
                    .iter()
                    .any(|line| wire.line(*line).step == step && wire.line(*line).status == owed);
                if !told {
                    wrong(
                        start,
                        format!(
                            "the call {} was not answered when the daemon was killed, and its caller is not told {owed}",
                            request.call_id
                        ),
                    );
                }
            }
            continue;
        }
        let first = server.responses.first().map(|line| wire.line(*line));
        let due = tick(wire.later(request.at, TRYING));
        let late = match first {
            // What is said without a transaction is said to the copy that drew it.
            Some(first) => first.at > due && (!server.stateless || owes_an_answer(wire, server)),
            None => is_past(due) && owes_an_answer(wire, server),
        };
        if late {
            wrong(request.place, format!("INVITE {}: no response within 200 ms", request.call_id));
        }
        if server.stateless || first.is_none() {
            continue;
        }
        let model = &wire.history.models[server.model];
        let last = server.responses.iter().map(|line| wire.line(*line)).find(|line| line.status >= 200);
        let place = last.map_or(usize::MAX, |line| line.place);
        let due =
            if wire.is_initial(server) { hunt_due(wire, server, model, place) } else { relay_due(wire, server, place) };
        let late = match last {
            Some(last) => last.at > due,
            None => is_past(due),
        };
        if late {
            let at = due as f64 / SECOND as f64;
            wrong(request.place, format!("INVITE {}: no final response by {at:.3} s", request.call_id));
        }
    }
    violations
}

/// A stranger may be met with silence; a trunk may not.
fn owes_an_answer(wire: &Wire<'_>, server: &Server) -> bool {
    let Some(request) = server.request.map(|request| wire.line(request)) else { return false };
    let from = request.datagram.from;
    let known = wire.history.models[server.model].trunks.iter().any(|trunk| trunk.address.ip() == from.ip());
    known && matches!(wire.history.role(from), Some(Role::Trunk(_)))
}

/// The latest end of a hunt whose last sign of life before `place` was what it was.
fn hunt_due(wire: &Wire<'_>, server: &Server, model: &Model, place: usize) -> Nanos {
    let request = wire.line(server.request.expect("asked before"));
    let mut step = request.at;
    for client in &server.clients {
        let line = wire.line(wire.clients[*client].first);
        if line.place < place {
            step = step.max(line.at);
        }
    }
    let queued = server.responses.iter().map(|line| wire.line(*line)).filter(|line| line.status == 182);
    let mut waits = request.message.all(Name::Require).any(|tags| tags.contains("100rel"));
    for line in queued.filter(|line| line.place < place) {
        step = step.max(line.at);
        waits = true;
    }
    let companies = &model.companies;
    let departments = || companies.iter().flat_map(|company| &company.departments);
    let rings = departments().map(|department| department.ring);
    let rings = rings.chain(companies.iter().flat_map(|company| &company.users).map(|user| user.ring));
    let ring = rings.max().unwrap_or_default().max(OUTSIDE) * SECOND;
    let wait =
        if waits { departments().map(|department| department.wait).max().unwrap_or_default() * SECOND } else { 0 };
    // An offer rings; then a branch that said nothing ends by Timer B, or is cancelled at the last moment before it and given up.
    let by_step = wire.later(step, ring.max(PATIENCE) + PATIENCE + wait + SECOND);
    let whole = companies.iter().map(whole_plan).max().unwrap_or_default();
    let by_plan = wire.later(request.at, whole + PATIENCE + SECOND);
    tick(by_step.min(by_plan))
}

/// The longest that a company's plan can take: every department once, every member of it one after the other.
fn whole_plan(company: &Company) -> Nanos {
    let department =
        |members: usize, ring: u64, wait: u64| members as u64 * (ring * SECOND).max(PATIENCE) + wait * SECOND;
    let departments: Nanos =
        company.departments.iter().map(|one| department(one.members.len(), one.ring, one.wait) + PATIENCE).sum();
    let users: Nanos = company.users.iter().map(|user| (user.ring * SECOND).max(PATIENCE) + PATIENCE).sum();
    departments + users + (company.departments.len() + company.users.len() + 1) as u64 * OUTSIDE * SECOND
}

/// RFC 3261 §16.8 and §9.1, for a request inside a dialog.
fn relay_due(wire: &Wire<'_>, server: &Server, place: usize) -> Nanos {
    let request = wire.line(server.request.expect("asked before"));
    let mut due = wire.later(request.at, PATIENCE);
    for client in &server.clients {
        let client = &wire.clients[*client];
        for heard in client.heard.iter().map(|line| wire.line(*line)) {
            if heard.status < 200 && heard.place < place {
                due = due.max(wire.later(heard.at, TIMER_C + PATIENCE));
            }
        }
    }
    tick(due + SECOND)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CUT_OFF, REFUSED, REINVITE, caught, right};

    #[test]
    fn a_copy_whose_branch_has_another_case_is_a_copy() {
        let copy = "10 trunk < 180 t1 to=p\n40 trunk > INVITE T1\n40 trunk < 180 t1 to=p";
        right(super::judge, &REFUSED.replacen("10 trunk < 180 t1 to=p", copy, 1));
        let other = "10 trunk < 180 t1 to=p\n40 trunk > INVITE t2\n40 trunk < 180 t1 to=p";
        caught(super::judge, 3, &REFUSED.replacen("10 trunk < 180 t1 to=p", other, 1));
    }

    #[test]
    fn a_stranger_met_with_silence_may_be_told_400_for_a_bent_copy() {
        let story = |who: &str, via: &str, then: &str| {
            format!("0 {who} > INVITE {via}\n5000 {then}\n5000 {who} < 400 {via}\n5500 fired\n6000 end\n")
        };
        for judge in [super::judge, super::super::retransmissions::judge] {
            right(judge, &story("phone2", "p1", "phone2 > INVITE p1 cut"));
        }
        caught(super::judge, 3, &story("phone2", "p1", "fired"));
        caught(super::judge, 3, &story("trunk", "t1", "trunk > INVITE t1 cut"));
    }

    #[test]
    fn prompt_answers_pass() {
        for story in [ANSWERED, REFUSED, CUT_OFF, REINVITE] {
            right(super::judge, story);
        }
    }

    #[test]
    fn an_invite_that_nobody_minds_is_caught() {
        caught(super::judge, 3, "0 trunk > INVITE t1\n900 end\n");
        caught(super::judge, 3, "0 trunk > INVITE t1\n201 fired\n201 trunk < 100 t1\n900 end\n");
        right(super::judge, "0 trunk > INVITE t1\n200 fired\n200 trunk < 100 t1\n900 end\n");
    }

    #[test]
    fn a_pause_excuses_its_own_length_only() {
        right(super::judge, "0 trunk > INVITE t1\n600 stood 500\n600 fired\n600 trunk < 100 t1\n900 end\n");
        caught(super::judge, 3, "0 trunk > INVITE t1\n600 stood 300\n600 fired\n600 trunk < 100 t1\n900 end\n");
    }

    #[test]
    fn a_call_without_an_end_is_caught() {
        let open = "0 trunk > INVITE t1\n0 trunk < 100 t1\n0 phone0 < INVITE b1/t1\n10 phone0 > 180 b1/t1 to=p\n10 trunk < 180 t1 to=p\n";
        right(super::judge, &format!("{open}92000 end\n"));
        caught(super::judge, 3, &format!("{open}94000 end\n"));
    }

    #[test]
    fn a_caller_of_a_cut_off_call_who_is_not_told_is_caught() {
        let told = "trunk < 500 t1 q850=41";
        let silent: String =
            CUT_OFF.lines().filter(|line| !line.contains(told)).map(|line| format!("{line}\n")).collect();
        caught(super::judge, 3, &silent);
    }

    #[test]
    fn a_reinvite_that_is_forgotten_is_caught() {
        let forgotten = REINVITE.split("5100").next().unwrap();
        right(super::judge, &format!("{forgotten}37900 end\n"));
        caught(super::judge, 3, &format!("{forgotten}38500 end\n"));
    }
}
