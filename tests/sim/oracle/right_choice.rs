//! Invariant 5: the right failure goes up. For requests inside a dialog, which have one branch, RFC 3261 §16.7 leaves one choice: the
//! final response received; 500 for a 503 or what could not be sent (item 6, §16.9); 408 for an INVITE that nobody answered (§16.8), and
//! nothing for another request (RFC 4320 §4.2).
//!
//! For a hunt the choice is R-8's (invariants 4 and 10). Of §16.7 this remains: no failure while a branch may still answer, but for the
//! 487 of a caller that hung up, and none once a 2xx came.

use super::Violation;
use super::answers::is_passed_on;
use super::wire::{Ending, Line, Server, Wire};

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, server) in wire.servers.iter().enumerate() {
        if server.doubtful || server.stateless || server.revived.is_some() || server.request.is_none() {
            continue;
        }
        let wrongs = if wire.is_initial(server) { hunt(wire, server) } else { relay(wire, index, server) };
        let wrongs = wrongs.into_iter().map(|(place, words)| Violation { invariant: 5, place, words });
        violations.extend(wrongs);
    }
    violations
}

fn hunt(wire: &Wire<'_>, server: &Server) -> Vec<(usize, String)> {
    let mut wrongs = Vec::new();
    let last = server.responses.iter().map(|line| wire.line(*line)).find(|line| line.status >= 300 && server.invite);
    let Some(last) = last.filter(|last| last.status != 487) else { return wrongs };
    for client in &server.clients {
        let (life, first) = (&wire.lives[*client], wire.line(wire.clients[*client].first));
        if first.place < last.place && life.is_waiting(last.place) {
            wrongs.push((last.place, format!("{} while branch {} may still answer", last.status, first.branch)));
        }
        // Behind what nobody can tell the meaning of, the branch may have ended otherwise.
        let answered = |success: &usize| {
            let place = wire.line(*success).place;
            place < last.place && life.is_sure(place)
        };
        if life.successes.first().is_some_and(answered) {
            wrongs.push((last.place, format!("{} although branch {} answered", last.status, first.branch)));
        }
    }
    wrongs
}

fn relay(wire: &Wire<'_>, index: usize, server: &Server) -> Vec<(usize, String)> {
    let mut wrongs = Vec::new();
    if let [_, second, ..] = server.clients.as_slice() {
        let second = wire.line(wire.clients[*second].first);
        wrongs.push((second.place, "a request inside a dialog was sent on twice".to_owned()));
        return wrongs;
    }
    let finals = || server.responses.iter().map(|line| wire.line(*line)).filter(|line| line.status >= 200);
    let Some(client) = server.clients.first() else { return wrongs };
    let life = &wire.lives[*client];
    let Some((place, ending)) = life.end else {
        if let Some(early) = finals().next().filter(|line| life.is_sure(line.place)) {
            wrongs.push((early.place, format!("{} before its branch has any final response", early.status)));
        }
        return wrongs;
    };
    if !life.is_sure(place) || ending == Ending::Killed {
        return wrongs;
    }
    let step = wire.step_at(place);
    if wire.steps[step].cut {
        return wrongs;
    }
    let first = finals().next();
    if let Some(early) = first.filter(|line| line.place < place) {
        wrongs.push((early.place, format!("{} before its branch has any final response", early.status)));
        return wrongs;
    }
    let own = |status: u16| {
        move |line: &Line<'_>| line.status == status && line.step == step && !is_passed_on(wire, index, line)
    };
    let (right, expected) = match ending {
        Ending::Final(503) | Ending::Undeliverable => (first.is_some_and(own(500)), "500".to_owned()),
        Ending::Final(408) if !server.invite => (first.is_none(), "nothing".to_owned()),
        Ending::Final(status) => {
            let passed =
                first.is_some_and(|line| line.step == step && line.status == status && is_passed_on(wire, index, line));
            (passed, status.to_string())
        }
        Ending::Silence | Ending::GivenUp if server.invite => (first.is_some_and(own(408)), "408".to_owned()),
        Ending::Silence | Ending::GivenUp => (first.is_none(), "nothing".to_owned()),
        Ending::Killed => return wrongs,
    };
    if !right {
        let said = first.map_or("nothing".to_owned(), |line| line.status.to_string());
        let method = wire.line(server.request.expect("asked before")).method;
        wrongs.push((place, format!("{method} ended with {ending:?}: {expected} is to go up then, not {said}")));
    }
    wrongs
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, REFUSED, REINVITE, caught, right};

    #[test]
    fn what_came_is_what_goes_up() {
        for story in [ANSWERED, CANCELLED, REFUSED, REINVITE] {
            right(super::judge, story);
        }
    }

    #[test]
    fn a_refused_reinvite_goes_up_as_it_came_but_503() {
        let refused = |down: u16, up: u16| {
            REINVITE
                .replace("5100 phone0 > 200 b3/t3", &format!("5100 phone0 > {down} b3/t3"))
                .replace("5100 trunk < 200 t3", &format!("5100 phone0 < ACK b3 n=2 to=p\n5100 trunk < {up} t3"))
        };
        right(super::judge, &refused(488, 488));
        caught(super::judge, 5, &refused(488, 500));
        right(super::judge, &refused(503, 500));
        caught(super::judge, 5, &refused(503, 503));
    }

    #[test]
    fn a_reinvite_that_nobody_answers_is_408_and_a_bye_nothing() {
        let open = REINVITE.split("5100").next().unwrap();
        right(super::judge, &format!("{open}37000 fired\n37000 trunk < 408 t3 n=2 to=p\n"));
        caught(super::judge, 5, &format!("{open}37000 fired\n37000 trunk < 480 t3 n=2 to=p\n"));
        caught(super::judge, 5, &format!("{open}37000 fired\n37002 fired\n37002 trunk < 408 t3 n=2 to=p\n"));
        let bye = ANSWERED.split("6010").next().unwrap();
        right(super::judge, &format!("{bye}38000 fired\n"));
        caught(super::judge, 5, &format!("{bye}38000 fired\n38000 trunk < 408 t2 BYE n=2 to=p\n"));
    }

    #[test]
    fn a_refusal_after_an_answer_is_caught_unless_it_is_not_sure_that_the_branch_went_on() {
        let story = |rings: &str| {
            format!(
                "0 trunk > INVITE t1\n0 trunk < 100 t1\n0 phone0 < INVITE b1/t1\n10 phone0 > 180 {rings} to=p\n\
                 1000 phone0 > 200 b1/t1 to=p\n32000 fired\n32000 trunk < 480 t1 q850=19\n"
            )
        };
        caught(super::judge, 5, &story("b1/t1"));
        // Without a Via for the caller, which the engine need not heed.
        right(super::judge, &story("b1"));
    }

    #[test]
    fn a_refusal_while_a_phone_rings_is_caught() {
        let early = "20000 fired\n20000 phone0 < CANCEL b1\n20000 trunk < 480 t1 q850=19\n";
        let open = REFUSED.split("20000").next().unwrap();
        caught(super::judge, 5, &format!("{open}{early}"));
        let silent = "0 trunk > INVITE t1\n0 trunk < 100 t1\n0 phone0 < INVITE b1/t1\n";
        caught(super::judge, 5, &format!("{silent}20000 fired\n20000 trunk < 480 t1 q850=19\n"));
        right(super::judge, &format!("{silent}32000 fired\n32000 trunk < 480 t1 q850=19\n"));
    }
}
