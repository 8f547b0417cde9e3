//! Invariant 7: ACK (RFC 3261 §17.1.1.3, §16.11, §17). Each failure on a branch is acknowledged, copy by copy, in the step that hears it;
//! a 2xx never by us; and no ACK is answered.

use super::super::text::Name;
use super::Violation;
use super::wire::{Cause, Line, Wire, vias};

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 7, place, words });
    for (index, client) in wire.clients.iter().enumerate() {
        let (life, invite) = (&wire.lives[index], wire.line(client.first));
        for failure in &life.failures {
            let line = wire.line(*failure);
            if !life.is_sure(line.place) || wire.step_of(*failure).cut {
                continue;
            }
            let acks = client.acks.iter().filter(|ack| wire.line(**ack).step == line.step).count();
            if acks != 1 {
                wrong(
                    line.place,
                    format!("the {} of branch {} is acknowledged {acks} times", line.status, line.branch),
                );
            }
        }
        let mut first: Option<&Line<'_>> = None;
        for ack in &client.acks {
            let line = wire.line(*ack);
            let heard = match wire.step_of(*ack).cause {
                Cause::Heard(Some(heard)) => Some(wire.line(heard)),
                _ => None,
            };
            let heard = heard.filter(|heard| heard.branch == line.branch && heard.method == "INVITE");
            match heard.map(|heard| heard.status) {
                Some(300..) => {}
                Some(200..=299) => wrong(line.place, format!("a 2xx of branch {} is acknowledged by us", line.branch)),
                _ => wrong(line.place, format!("ACK on {} for nothing", line.branch)),
            }
            match first {
                None => {
                    if !is_written_for(line, invite, heard) {
                        wrong(line.place, format!("the ACK on {} is not as RFC 3261 §17.1.1.3 has it", line.branch));
                    }
                    first = Some(line);
                }
                Some(first) => {
                    if first.datagram.bytes != line.datagram.bytes {
                        wrong(line.place, format!("two ACKs on {} differ", line.branch));
                    }
                }
            }
        }
    }
    for ack in &wire.relayed_acks {
        let line = wire.line(*ack);
        let passed = match wire.step_of(*ack).cause {
            Cause::Heard(Some(heard)) => {
                let heard = wire.line(heard);
                let same = heard.call_id == line.call_id && heard.cseq == line.cseq;
                heard.is_request() && heard.method == "ACK" && same && heard.to_tag == line.to_tag
            }
            _ => false,
        };
        if !passed {
            wrong(line.place, format!("ACK {} of our own making", line.call_id));
        }
    }
    for step in &wire.steps {
        let ack = match step.cause {
            Cause::Heard(Some(heard)) => {
                Some(wire.line(heard)).filter(|heard| heard.is_request() && heard.method == "ACK")
            }
            _ => None,
        };
        for line in &wire.lines[step.lines.clone()] {
            let of_this = ack.is_some_and(|ack| ack.call_id == line.call_id && ack.branch == line.branch);
            if !line.is_request() && (line.method == "ACK" || of_this) {
                wrong(line.place, format!("{} to an ACK", line.status));
            }
        }
    }
    violations
}

fn is_written_for(ack: &Line<'_>, invite: &Line<'_>, response: Option<&Line<'_>>) -> bool {
    let equal = |name: Name| ack.message.first(name) == invite.message.first(name);
    let mut own = vias(ack.message);
    ack.message.request_uri() == invite.message.request_uri()
        && equal(Name::CallId)
        && equal(Name::From)
        && response.is_none_or(|response| response.message.first(Name::To) == ack.message.first(Name::To))
        && ack.cseq == invite.cseq
        && ack.message.cseq().is_some_and(|(_, method)| method == "ACK")
        && own.next() == vias(invite.message).next()
        && own.next().is_none()
        && ack.message.all(Name::Route).eq(invite.message.all(Name::Route))
        && ack.datagram.to == invite.datagram.to
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, REFUSED, caught, right, without};

    #[test]
    fn acks_in_order_pass() {
        for story in [ANSWERED, CANCELLED, REFUSED] {
            right(super::judge, story);
        }
        let copy = "33000 phone0 > 487 b1/t1 to=p\n33000 phone0 < ACK b1 to=p\n";
        right(super::judge, &format!("{REFUSED}{copy}"));
    }

    #[test]
    fn a_failure_that_is_not_acknowledged_is_caught() {
        caught(super::judge, 7, &without(CANCELLED, "phone0 < ACK"));
        caught(super::judge, 7, &format!("{REFUSED}33000 phone0 > 487 b1/t1 to=p\n"));
        caught(
            super::judge,
            7,
            &CANCELLED.replace("1200 phone0 < ACK b1 to=p", "1200 phone0 < ACK b1 to=p\n1200 phone0 < ACK b1 to=p"),
        );
    }

    #[test]
    fn an_ack_of_ours_to_a_2xx_is_caught() {
        caught(
            super::judge,
            7,
            &ANSWERED.replace("1000 trunk < 200 t1 to=p", "1000 phone0 < ACK b1 to=p\n1000 trunk < 200 t1 to=p"),
        );
        caught(super::judge, 7, &without(ANSWERED, "trunk > ACK"));
    }

    #[test]
    fn an_ack_that_differs_is_caught() {
        caught(super::judge, 7, &CANCELLED.replace("phone0 < ACK b1 to=p", "phone0 < ACK b1 to=q"));
        caught(super::judge, 7, &CANCELLED.replace("phone0 < ACK b1 to=p", "phone1 < ACK b1 to=p"));
    }

    #[test]
    fn an_answer_to_an_ack_is_caught() {
        let answered = ANSWERED.replace("2000 phone0 < ACK", "2000 trunk < 481 t1a ACK to=p\n2000 phone0 < ACK");
        caught(super::judge, 7, &answered);
        caught(super::judge, 7, &REFUSED.replace("32600 trunk > ACK t1", "32600 trunk > ACK t1\n32600 trunk < 481 t1"));
    }
}
