//! Invariant 5, its other half: what one end of an answered call asks of the other in it (re-INVITE, UPDATE, INFO, the first BYE) goes on
//! to that other end at once. RFC 3261 §16 knows no other duty of a proxy inside a dialog; whether there is room for one more call is not
//! asked.
//!
//! Held against only what is sure: an end that sends from where its INVITE came from or went to, a dialog that was answered under this
//! start of the daemon, and in which nobody has said BYE.

use std::net::SocketAddr;

use ahash::{AHashMap, AHashSet};

use super::super::history::Role;
use super::super::text::Name;
use super::Violation;
use super::wire::{Line, Wire};

/// Call-ID and both tags, the smaller first.
type Dialog<'h> = (&'h str, &'h str, &'h str);

/// Where a dialog's ends are, and since which place.
struct Ends {
    ends: [SocketAddr; 2],
    from: usize,
    epoch: usize,
}

const ASKED: [&str; 4] = ["INVITE", "UPDATE", "INFO", "BYE"];

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let dialogs = answered(wire);
    let byes = first_byes(wire);
    let mut violations = Vec::new();
    for server in &wire.servers {
        let Some(request) = server.request.map(|request| wire.line(request)) else { continue };
        if request.to_tag.is_empty() || server.doubtful || server.revived.is_some() || !request.sure {
            continue;
        }
        let Some(dialog) = dialogs.get(&dialog_of(request)).filter(|_| ASKED.contains(&request.method)) else {
            continue;
        };
        let over = byes.get(&dialog_of(request)).copied().unwrap_or(usize::MAX);
        if request.place < dialog.from || request.place > over || server.epoch != dialog.epoch {
            continue;
        }
        let step = &wire.steps[request.step];
        let [one, other] = dialog.ends;
        let other = match request.datagram.from {
            from if from == one => other,
            from if from == other => one,
            _ => continue,
        };
        let hops = request.message.first(Name::MaxForwards).and_then(|hops| hops.parse::<u32>().ok());
        // A peer that was given a damaged Contact writes one.
        let whole = request.message.request_uri().is_some_and(|uri| uri.starts_with("sip:") && uri.len() > 4);
        if step.cut || hops == Some(0) || !whole {
            continue;
        }
        let passed = wire.sent_in(request.step).any(|(_, sent)| {
            sent.is_request()
                && sent.method == request.method
                && dialog_of(sent) == dialog_of(request)
                && same(wire, sent.datagram.to, other)
        });
        if !passed {
            let said = wire.sent_in(request.step).next().map_or("nothing".to_owned(), |(_, sent)| sent.message.label());
            let words = format!(
                "{} of {} in a call did not go on to {other}; it said {said}",
                request.method, request.datagram.from
            );
            violations.push(Violation { invariant: 5, place: request.place, words });
        }
    }
    violations
}

fn dialog_of<'h>(line: &Line<'h>) -> Dialog<'h> {
    (line.call_id, line.from_tag.min(line.to_tag), line.from_tag.max(line.to_tag))
}

/// A phone may have moved meanwhile.
fn same(wire: &Wire<'_>, one: SocketAddr, other: SocketAddr) -> bool {
    one == other || matches!(wire.history.role(one), role @ Some(Role::Phone(_)) if role == wire.history.role(other))
}

/// All that were answered, but those of calls that came through here twice: they have the same names on both ways.
fn answered<'h>(wire: &Wire<'h>) -> AHashMap<Dialog<'h>, Ends> {
    let mut dialogs: AHashMap<Dialog<'h>, Ends> = AHashMap::new();
    let mut twice: AHashSet<Dialog<'h>> = AHashSet::new();
    for client in wire.clients.iter().filter(|client| client.revived.is_none()) {
        let first = wire.line(client.first);
        let Some(server) = client.server.map(|server| &wire.servers[server]) else { continue };
        let Some(request) = server.request.filter(|_| first.method == "INVITE" && wire.is_initial(server)) else {
            continue;
        };
        if server.doubtful {
            continue;
        }
        for heard in client.heard.iter().map(|line| wire.line(*line)).filter(|line| line.is_success() && line.sure) {
            let passed = wire.sent_in(heard.step).any(|(line, up)| {
                up.is_success() && up.to_tag == heard.to_tag && wire.server_of[line] == client.server
            });
            if !passed {
                continue;
            }
            let ends = [wire.line(request).datagram.from, first.datagram.to];
            match dialogs.get(&dialog_of(heard)) {
                Some(known) if known.ends != ends => drop(twice.insert(dialog_of(heard))),
                Some(_) => {}
                None => drop(dialogs.insert(dialog_of(heard), Ends { ends, from: heard.place, epoch: client.epoch })),
            }
        }
    }
    dialogs.retain(|dialog, _| !twice.contains(dialog));
    dialogs
}

/// Where somebody first said BYE in a dialog: an end, or we.
fn first_byes<'h>(wire: &Wire<'h>) -> AHashMap<Dialog<'h>, usize> {
    let mut byes: AHashMap<Dialog<'h>, usize> = AHashMap::new();
    for line in wire.lines.iter().filter(|line| line.is_request() && line.method == "BYE") {
        byes.entry(dialog_of(line)).or_insert(line.place);
    }
    byes
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, REINVITE, caught, right, without};

    #[test]
    fn what_is_asked_in_a_call_goes_on() {
        right(super::judge, ANSWERED);
        right(super::judge, REINVITE);
    }

    #[test]
    fn a_reinvite_that_is_refused_here_is_caught() {
        caught(super::judge, 5, &without(REINVITE, "phone0 < INVITE b3"));
    }
    #[test]
    fn a_bye_that_is_answered_here_is_caught() {
        for answer in ["200", "403", "481", "503"] {
            let here = format!("6000 trunk < {answer} t2 BYE n=2 to=p");
            let story = ANSWERED.replace("6000 phone0 < BYE b2/t2 n=2 to=p", &here);
            caught(super::judge, 5, &without(&without(&story, "6010 phone0 > 200"), "6010 trunk < 200"));
        }
        caught(super::judge, 5, &ANSWERED.replace("6000 phone0 < BYE", "6000 phone1 < BYE"));
    }

    #[test]
    fn a_second_bye_may_be_answered_here() {
        right(
            super::judge,
            &ANSWERED.replace("6020 end", "7000 trunk > BYE t9 n=3 to=p\n7000 trunk < 481 t9 BYE n=3 to=p\n7010 end"),
        );
    }
}
