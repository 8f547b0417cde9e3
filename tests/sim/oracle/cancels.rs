//! Invariant 6: CANCEL (RFC 3261 §9.1, §16.10). Only on a branch with a provisional and no final response; one for each branch; each
//! branch that has lost gets it in the step that decides, or with its first provisional; it is written as §9.1 says, and says
//! "completed elsewhere" when, and only when, somebody else answered. And a caller's own CANCEL is obeyed at once.
//!
//! After a restart nobody knows whether a provisional came: each branch that is taken up again is cancelled at the start, whatever it said
//! (docs/operating.md).

use super::super::history::Role;
use super::super::text::Name;
use super::Violation;
use super::wire::{Cause, Client, Ending, Line, Server, Wire, vias};

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 6, place, words });
    for client in &wire.clients {
        let line = wire.line(client.first);
        if line.method == "CANCEL" && client.revived.is_none() {
            allowed(wire, client, line, &mut wrong);
        }
    }
    for server in wire.servers.iter().filter(|server| server.invite && !server.stateless) {
        for cancel in &server.cancels {
            obeyed(wire, server, *cancel, &mut wrong);
        }
        losers(wire, server, &mut wrong);
    }
    revived(wire, &mut wrong);
    violations
}

fn allowed(wire: &Wire<'_>, cancel: &Client, line: &Line<'_>, wrong: &mut impl FnMut(usize, String)) {
    let branch = line.branch;
    let Some(index) = cancel.other else {
        return wrong(line.place, format!("CANCEL on {branch}, which is no INVITE's branch"));
    };
    let (client, life) = (&wire.clients[index], &wire.lives[index]);
    let invite = wire.line(client.first);
    for copy in &cancel.copies[1..] {
        let copy = wire.line(*copy);
        if copy.datagram.bytes != line.datagram.bytes {
            wrong(copy.place, format!("a second CANCEL on {branch}"));
        }
    }
    if !is_written_for(line, invite) {
        wrong(line.place, format!("the CANCEL on {branch} is not written as its INVITE (RFC 3261 §9.1)"));
    }
    if client.revived.is_some() {
        if wire.steps[line.step].cause != Cause::Started {
            wrong(line.place, format!("CANCEL on {branch} long after the start"));
        }
        return;
    }
    if client.epoch != cancel.epoch {
        return wrong(line.place, format!("CANCEL on {branch}, which ended before the start"));
    }
    let rang =
        client.heard.iter().map(|heard| wire.line(*heard)).any(|heard| heard.place < line.place && heard.status < 200);
    if !rang {
        wrong(line.place, format!("CANCEL on {branch} without a provisional response"));
    }
    if let Some((end, ending)) = life.end.filter(|(end, _)| *end < line.place && life.is_sure(*end)) {
        wrong(line.place, format!("CANCEL on {branch}, which had ended with {ending:?} at entry {end}"));
    }
    let elsewhere =
        line.message.all(Name::Reason).any(|reason| reason.starts_with("SIP") && reason.contains("cause=200"));
    if let Some(server) = client.server.map(|server| &wire.servers[server]) {
        let mut finals = server.responses.iter().map(|line| wire.line(*line)).filter(|line| line.status >= 200);
        let answered = finals.next().is_some_and(|last| last.is_success() && last.place < line.place);
        if answered != elsewhere && wire.is_initial(server) {
            let words = if answered { "does not say that the call was" } else { "says the call was" };
            wrong(line.place, format!("the CANCEL on {branch} {words} completed elsewhere"));
        }
    }
}

/// RFC 3261 §9.1, and to the same place (§17.1.2).
fn is_written_for(cancel: &Line<'_>, invite: &Line<'_>) -> bool {
    let equal = |name: Name| cancel.message.first(name) == invite.message.first(name);
    let mut own = vias(cancel.message);
    cancel.message.request_uri() == invite.message.request_uri()
        && [Name::CallId, Name::To, Name::From].into_iter().all(equal)
        && cancel.cseq == invite.cseq
        && own.next() == vias(invite.message).next()
        && own.next().is_none()
        && cancel.message.all(Name::Route).eq(invite.message.all(Name::Route))
        && cancel.datagram.to == invite.datagram.to
}

/// RFC 3261 §9.2, §16.10.
fn obeyed(wire: &Wire<'_>, server: &Server, cancel: usize, wrong: &mut impl FnMut(usize, String)) {
    let line = wire.line(cancel);
    let Some(request) = server.request.map(|request| wire.line(request)) else { return };
    let first = server.cancels.first() == Some(&cancel);
    let decided = |line: &Line<'_>| line.status >= 200;
    let open =
        !server.responses.iter().map(|line| wire.line(*line)).any(|said| decided(said) && said.place < line.place);
    let taken = !server.responses.is_empty() && !server.doubtful && server.revived.is_none();
    let same = line.datagram.from == request.datagram.from;
    if !first || !line.sure || !taken || !same || wire.steps[line.step].cut || !open {
        return;
    }
    let said = |method: &str, status: u16| {
        wire.sent_in(line.step)
            .any(|(_, sent)| sent.method == method && sent.status == status && sent.branch == line.branch)
    };
    if !said("CANCEL", 200) {
        wrong(line.place, "a caller's CANCEL is not answered 200".to_owned());
    }
    if wire.is_initial(server) && !said("INVITE", 487) {
        wrong(line.place, "a caller that cancelled is not told 487 at once".to_owned());
    }
}

/// Branches that can no longer win.
fn losers(wire: &Wire<'_>, server: &Server, wrong: &mut impl FnMut(usize, String)) {
    let initial = wire.is_initial(server);
    // The step that decides the whole call: an answer goes up, or the caller is told 487.
    let decision =
        server.responses.iter().map(|line| wire.line(*line)).find(|line| line.is_success() || line.status == 487);
    let passed = |line: &&Line<'_>| initial || line.status != 487;
    let decision = decision.filter(|line| initial && passed(line)).map(|line| line.step);
    // Inside a dialog: the asker's CANCEL.
    let asked = server.cancels.iter().map(|cancel| wire.line(*cancel)).find(|cancel| {
        let request = server.request.map(|request| wire.line(request));
        !initial && cancel.sure && request.is_some_and(|request| request.datagram.from == cancel.datagram.from)
    });
    let decision = decision.or(asked.map(|cancel| cancel.step));
    for index in &server.clients {
        let (client, life) = (&wire.clients[*index], &wire.lives[*index]);
        if client.revived.is_some() || server.revived.is_some() {
            continue;
        }
        let branch = wire.line(client.first).branch;
        let cancel = client.other.map(|cancel| wire.line(wire.clients[cancel].first));
        let lost = [decision, declined(wire, server, *index)].into_iter().flatten().min();
        let Some(step) = lost.filter(|step| wire.line(client.first).step <= *step) else { continue };
        let place = wire.steps[step].place;
        if !life.is_waiting(place) || cancel.is_some_and(|cancel| cancel.place < place) {
            continue;
        }
        let Some(provisional) = life.provisional.map(|line| wire.line(line)) else { continue };
        // Held back until it may go.
        let due = step.max(provisional.step);
        let place = wire.steps[due].place;
        let ended = life.end.is_some_and(|(end, _)| end <= place);
        if ended || wire.steps[due].cut || !life.is_sure(place) {
            continue;
        }
        if cancel.is_none_or(|cancel| cancel.step != due) {
            wrong(place, format!("branch {branch} has lost and is not cancelled"));
        }
    }
}

/// a 6xx from one device ends the offer; the others of the same user stop ringing in that step.
fn declined(wire: &Wire<'_>, server: &Server, index: usize) -> Option<usize> {
    let owner = |client: &Client| match wire.history.role(wire.line(client.first).datagram.to) {
        Some(Role::Phone(phone)) => {
            let owner = &wire.history.phones[phone];
            Some((&owner.company, &owner.extension))
        }
        _ => None,
    };
    let own = &wire.clients[index];
    let (mine, begun) = (owner(own)?, wire.line(own.first).step);
    let others = server.clients.iter().filter(|other| **other != index);
    let declines = others.filter_map(|other| {
        let (client, life) = (&wire.clients[*other], &wire.lives[*other]);
        let same = owner(client) == Some(mine) && wire.line(client.first).step == begun;
        match life.end {
            Some((place, Ending::Final(600..=699))) if same && life.is_sure(place) => Some(wire.step_at(place)),
            _ => None,
        }
    });
    declines.min()
}

/// Each branch that a start takes up again is cancelled there.
fn revived(wire: &Wire<'_>, wrong: &mut impl FnMut(usize, String)) {
    for client in &wire.clients {
        let Some((place, _)) = client.revived else { continue };
        let step = wire.step_at(place);
        let told = client.other.is_some_and(|cancel| wire.line(wire.clients[cancel].first).step == step);
        if !told && !wire.steps[step].cut {
            wrong(
                place,
                format!(
                    "branch {} rang when the daemon was killed and is not cancelled",
                    wire.line(client.first).branch
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, CUT_OFF, REFUSED, TWO_PHONES, caught, right, without};

    #[test]
    fn cancels_in_order_pass() {
        for story in [ANSWERED, CANCELLED, CUT_OFF, REFUSED, TWO_PHONES] {
            right(super::judge, story);
        }
    }

    #[test]
    fn a_cancel_too_early_or_too_late_is_caught() {
        caught(super::judge, 6, &without(CANCELLED, "phone0 > 180"));
        caught(
            super::judge,
            6,
            &ANSWERED.replace("2000 trunk > ACK", "1999 fired\n1999 phone0 < CANCEL b1 elsewhere\n2000 trunk > ACK"),
        );
    }

    #[test]
    fn a_loser_that_rings_on_is_caught() {
        caught(super::judge, 6, &without(TWO_PHONES, "phone1 < CANCEL"));
        caught(super::judge, 6, &without(CANCELLED, "phone0 < CANCEL"));
        caught(super::judge, 6, &without(CUT_OFF, "phone0 < CANCEL"));
        let step_later = TWO_PHONES.replace("1000 phone1 < CANCEL", "1001 fired\n1001 phone1 < CANCEL");
        caught(super::judge, 6, &step_later);
    }

    #[test]
    fn a_cancel_held_back_goes_with_the_first_provisional() {
        let held = without(&without(TWO_PHONES, "phone1 > 180"), "trunk < 180 t1 to=q");
        let held = held.replace(
            "1000 phone1 < CANCEL b2 elsewhere\n",
            "1040 phone1 > 180 b2/t1 to=q\n1040 phone1 < CANCEL b2 elsewhere\n",
        );
        right(super::judge, &held);
        caught(super::judge, 6, &without(&held, "phone1 < CANCEL"));
    }

    #[test]
    fn only_an_answer_elsewhere_is_called_so() {
        caught(super::judge, 6, &TWO_PHONES.replace(" elsewhere", ""));
        caught(super::judge, 6, &CANCELLED.replace("phone0 < CANCEL b1", "phone0 < CANCEL b1 elsewhere"));
    }

    #[test]
    fn a_cancel_that_is_not_its_invites_is_caught() {
        caught(super::judge, 6, &CANCELLED.replace("phone0 < CANCEL b1", "phone0 < CANCEL b1 n=2"));
        caught(super::judge, 6, &CANCELLED.replace("phone0 < CANCEL b1", "phone1 < CANCEL b1"));
        caught(super::judge, 6, &CANCELLED.replace("phone0 < CANCEL b1", "phone0 < CANCEL b1/t1"));
    }

    #[test]
    fn a_caller_that_cancels_and_is_not_told_is_caught() {
        caught(super::judge, 6, &without(CANCELLED, "trunk < 200 t1 CANCEL"));
        caught(super::judge, 6, &CANCELLED.replace("1000 trunk < 487", "1001 fired\n1001 trunk < 487"));
    }

    #[test]
    fn the_other_device_of_one_who_declines_stops_ringing() {
        let declined = TWO_PHONES
            .replace("phone1", "phone0b")
            .replace(
                "1000 phone0 > 200 b1/t1 to=p\n1000 trunk < 200 t1 to=p\n",
                "1000 phone0 > 603 b1/t1 to=p\n1000 phone0 < ACK b1 to=p\n",
            )
            .replace(" elsewhere", "");
        let declined = declined.split("2000").next().unwrap();
        right(super::judge, declined);
        caught(super::judge, 6, &without(declined, "phone0b < CANCEL"));
    }
}
