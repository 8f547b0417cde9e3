//! Invariant 4: no answer is lost and none is invented. Every 2xx of a live branch goes up once a copy, at once; what is sent up was
//! received, or is something that is ours to say: R-8's answers to a caller, and what the RFCs have a proxy or a server say itself.

use super::super::history::What;
use super::super::text::{Name, parameter};
use super::Violation;
use super::wire::{Cause, Line, Server, Wire, sent_by, vias};

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    lost(wire, &mut violations);
    for (index, server) in wire.servers.iter().enumerate() {
        for (nth, response) in server.responses.iter().enumerate() {
            let line = wire.line(*response);
            if let Some(words) = misdirected(wire, server, line) {
                violations.push(Violation { invariant: 4, place: line.place, words });
            }
            let earlier = server.responses[..nth].iter().map(|line| wire.line(*line));
            if earlier.into_iter().any(|earlier| earlier.datagram.bytes == line.datagram.bytes)
                || is_passed_on(wire, index, line)
            {
                continue;
            }
            let unsure = match wire.steps[line.step].cause {
                Cause::Heard(Some(heard)) => !wire.line(heard).sure,
                Cause::Heard(None) => true,
                Cause::Fired | Cause::Started | Cause::Undeliverable | Cause::Other => false,
            };
            if unsure {
                continue;
            }
            if let Some(words) = invented(wire, server, line) {
                violations.push(Violation { invariant: 4, place: line.place, words });
            }
        }
    }
    for orphan in &wire.orphans {
        let line = wire.line(*orphan);
        if asked_in_a_damaged_request(wire, line) {
            continue;
        }
        // What a damaged request said to the engine is not known here.
        let excused = match wire.step_of(*orphan).cause {
            Cause::Heard(Some(heard)) => !wire.line(heard).sure,
            Cause::Heard(None) => true,
            Cause::Fired | Cause::Started | Cause::Undeliverable | Cause::Other => false,
        };
        if !excused {
            let words = format!("{} ({}) to a request that nobody sent", line.status, line.method);
            violations.push(Violation { invariant: 4, place: line.place, words });
        }
    }
    violations
}

/// Whether a datagram that nobody here can read, for it was damaged on its way, names that branch: the daemon may have read it.
fn asked_in_a_damaged_request(wire: &Wire<'_>, line: &Line<'_>) -> bool {
    !line.branch.is_empty()
        && wire.history.entries[..line.place].iter().any(|entry| match &entry.what {
            What::Heard(heard) if heard.message.is_none() => {
                heard.bytes.windows(line.branch.len()).any(|part| part == line.branch.as_bytes())
            }
            _ => false,
        })
}

/// RFC 3261 §16.7 items 5 and 10, RFC 6026 §8.
fn lost(wire: &Wire<'_>, violations: &mut Vec<Violation>) {
    for (index, client) in wire.clients.iter().enumerate() {
        let life = &wire.lives[index];
        let Some(server) = client.server else { continue };
        for (nth, success) in life.successes.iter().enumerate() {
            let line = wire.line(*success);
            // A phone that answers under ever new tags is bounded.
            if !life.is_sure(line.place) || nth >= 8 || wire.step_of(*success).cut {
                continue;
            }
            let copies = wire.sent_in(line.step).filter(|(sent, up)| {
                wire.server_of[*sent].is_some_and(|other| wire.is_one_request(other, server))
                    && up.is_success()
                    && up.to_tag == line.to_tag
            });
            match copies.count() {
                1 => {}
                0 => violations.push(Violation {
                    invariant: 4,
                    place: line.place,
                    words: format!("the {} of branch {} did not go up", line.status, line.branch),
                }),
                count => violations.push(Violation {
                    invariant: 4,
                    place: line.place,
                    words: format!("the {} of branch {} went up {count} times", line.status, line.branch),
                }),
            }
        }
    }
}

/// Whether it is the response that was heard just before.
pub fn is_passed_on(wire: &Wire<'_>, server: usize, line: &Line<'_>) -> bool {
    let Cause::Heard(Some(heard)) = wire.steps[line.step].cause else { return false };
    let client = wire.client_of[heard].map(|client| &wire.clients[client]);
    let heard = wire.line(heard);
    client.and_then(|client| client.server).is_some_and(|own| wire.is_one_request(own, server))
        && heard.status == line.status
        && heard.method == line.method
        && heard.to_tag == line.to_tag
}

/// RFC 3261 §18.2.2, RFC 3581 §4: to where the request came from; to the port it names where it does not ask for the one it came from.
fn misdirected(wire: &Wire<'_>, server: &Server, line: &Line<'_>) -> Option<String> {
    let request = wire.line(server.request.filter(|_| !server.doubtful)?);
    let via = vias(request.message).next()?;
    let mut right = request.datagram.from;
    if let (400 | 505 | 513, Cause::Heard(heard)) = (line.status, &wire.steps[line.step].cause) {
        // Of a request that cannot be read no Via is obeyed: it is answered where it came from.
        if heard.is_none_or(|heard| wire.line(heard).datagram.from == line.datagram.to) {
            return None;
        }
    }
    if parameter(via, "rport").is_none() {
        right.set_port(sent_by(via).rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(5060));
    }
    // Answered on the spot: each copy where that copy came from.
    let copies = server.copies.iter().map(|copy| wire.line(*copy).datagram.from);
    // A stranger may have repeated it, after a restart perhaps before the one whose it is.
    let same = wire.servers.iter().filter(|other| other.key == server.key).filter_map(|other| other.request);
    let mut askers = copies.chain(same.map(|request| wire.line(request).datagram.from));
    let wrong = line.datagram.to != right && !askers.any(|from| from == line.datagram.to);
    wrong.then(|| format!("{} went to {} and not to {right}", line.status, line.datagram.to))
}

/// Why that may not be said, where it may not.
fn invented(wire: &Wire<'_>, server: &Server, line: &Line<'_>) -> Option<String> {
    let method = line.method;
    if method == "ACK" {
        // Invariant 7 says so.
        return None;
    }
    let request = wire.line(server.request?);
    let inside = !request.to_tag.is_empty();
    let ours = match (method, inside, line.status) {
        (_, _, 100) => true,
        // What is wrong with a request, and who may ask (RFC 3261 §8.2, §16.3, §22).
        (_, _, 400 | 401 | 403 | 407 | 413 | 416 | 420 | 481..=483 | 505 | 513) => true,
        ("INVITE", false, 440) => true,
        //
        ("INVITE", false, 182) => true,
        ("INVITE", false, 404 | 480 | 486 | 503 | 603) => return answer_of_ours(line),
        ("INVITE", false, 487) => {
            // A start says again what was stored of it.
            let again = server.owes == Some(487);
            let cancelled = again || server.cancels.iter().any(|cancel| wire.line(*cancel).place < line.place);
            return (!cancelled).then(|| "487 to a caller that did not cancel".to_owned());
        }
        ("INVITE", false, 500) => {
            let restarted = matches!(wire.steps[line.step].cause, Cause::Started);
            return if restarted { answer_of_ours(line) } else { Some("500 to a caller".to_owned()) };
        }
        // What became of a request inside a dialog that nobody answered: invariant 5 looks closer.
        ("INVITE", true, 408 | 500) => true,
        ("INVITE", ..) => false,
        ("CANCEL", _, 200) => true,
        (_, true, 500) => true,
        (_, true, _) => false,
        ("BYE" | "PRACK" | "UPDATE" | "INFO" | "REFER" | "NOTIFY" | "MESSAGE", _, 200..300) => false,
        (_, false, _) => true,
    };
    (!ours).then(|| format!("{} ({method}) is nobody's answer", line.status))
}

/// R-8's table.
fn answer_of_ours(line: &Line<'_>) -> Option<String> {
    let reasons: Vec<&str> = line.message.all(Name::Reason).collect();
    let cause = reasons.iter().find(|reason| reason.starts_with("Q.850")).and_then(|reason| parameter(reason, "cause"));
    let cause = cause.and_then(|cause| cause.parse::<u8>().ok());
    let causes: &[u8] = match line.status {
        404 => &[1],
        603 => &[21],
        486 => &[17],
        480 => &[31, 20, 19],
        503 => &[42, 41],
        500 => &[41],
        _ => &[],
    };
    if !cause.is_some_and(|cause| causes.contains(&cause)) {
        return Some(format!("{} with {reasons:?}: R-8 says Q.850 {causes:?}", line.status));
    }
    let words = reasons.iter().any(|reason| parameter(reason, "text").is_some_and(|text| text.len() > 2));
    if !words {
        return Some(format!("{} names no cause in words", line.status));
    }
    if line.status == 503 && line.message.first(Name::RetryAfter).is_none() {
        return Some("503 without Retry-After".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, CUT_OFF, REFUSED, REINVITE, caught, right, without};

    #[test]
    fn answers_that_were_given_pass() {
        for story in [ANSWERED, CANCELLED, REFUSED, CUT_OFF, REINVITE] {
            right(super::judge, story);
        }
    }

    #[test]
    fn a_lost_answer_is_caught() {
        caught(super::judge, 4, &without(ANSWERED, "trunk < 200 t1"));
        // A second one too, under another tag (RFC 3261 §16.7 item 10), and a copy.
        let second = "1500 phone0 > 200 b1/t1 to=q\n";
        caught(super::judge, 4, &ANSWERED.replace("2000 trunk > ACK", &format!("{second}2000 trunk > ACK")));
        let passed = format!("{second}1500 trunk < 200 t1 to=q\n");
        right(super::judge, &ANSWERED.replace("2000 trunk > ACK", &format!("{passed}2000 trunk > ACK")));
        let twice = format!("{passed}1500 trunk < 200 t1 to=q\n");
        caught(super::judge, 4, &ANSWERED.replace("2000 trunk > ACK", &format!("{twice}2000 trunk > ACK")));
    }

    #[test]
    fn an_answer_after_the_transaction_is_nobodys() {
        let late = "40000 fired\n40000 phone0 > 200 b1/t1 to=q\n";
        right(super::judge, &format!("{ANSWERED}{late}"));
        caught(super::judge, 4, &format!("{ANSWERED}40000 fired\n40001 trunk < 200 t1 to=z\n"));
    }

    #[test]
    fn invented_answers_are_caught() {
        let queue = "5 fired\n5 trunk < 182 t1 to=us\n";
        right(super::judge, &ANSWERED.replace("\n10 phone0", &format!("\n{queue}10 phone0")));
        let ringing = "5 fired\n5 trunk < 180 t1 to=us\n";
        caught(super::judge, 4, &ANSWERED.replace("\n10 phone0", &format!("\n{ringing}10 phone0")));
        caught(super::judge, 4, &REFUSED.replace("< 480 t1 q850=19", "< 486 t1 q850=19"));
        caught(super::judge, 4, &REFUSED.replace("< 480 t1 q850=19", "< 480 t1"));
        caught(super::judge, 4, &REFUSED.replace("< 480 t1 q850=19", "< 503 t1 q850=42"));
        caught(super::judge, 4, &REFUSED.replace("< 480 t1 q850=19", "< 487 t1"));
        caught(super::judge, 4, &REINVITE.replace("5100 phone0 > 200 b3/t3 n=2 to=p", "5100 fired"));
    }

    #[test]
    fn a_response_whose_lower_via_came_back_bent_is_repeated_as_it_came() {
        let bye = ANSWERED.split("6010").next().unwrap();
        let bent = "6010 phone0 > 200 b2/t9 BYE n=2 to=p\n6010 trunk < 200 t9 BYE n=2 to=p\n";
        let copy = "6500 trunk > BYE t2 n=2 to=p\n6500 trunk < 200 t9 BYE n=2 to=p\n";
        right(super::judge, &format!("{bye}{bent}{copy}"));
        caught(
            super::judge,
            4,
            &format!("{bye}{bent}6500 trunk > BYE t2 n=2 to=p\n6500 trunk < 200 t8 BYE n=2 to=p\n"),
        );
    }

    #[test]
    fn a_response_to_nobody_or_to_another_address_is_caught() {
        caught(super::judge, 4, "0 trunk > OPTIONS t1\n0 trunk < 200 t2 OPTIONS\n");
        caught(super::judge, 4, "0 trunk > OPTIONS t1\n0 phone0 < 200 t1 OPTIONS\n");
        right(super::judge, "0 trunk > OPTIONS t1\n0 trunk < 200 t1 OPTIONS\n");
    }
}
