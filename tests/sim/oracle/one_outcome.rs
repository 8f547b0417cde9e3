//! Invariant 2: an INVITE server transaction has one outcome. One failure, whose copies are the same bytes, or 2xx only; and nothing
//! provisional after it.
//!
//! wins over "never a 2xx after a failure": an answer that crosses the caller's CANCEL goes up behind the 487, and so does one
//! that crosses the 500 of a call that a restart cut off. After any other failure there is none.

use super::Violation;
use super::wire::Wire;

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 2, place, words });
    for server in wire.servers.iter().filter(|server| server.invite && !server.stateless) {
        let (mut failure, mut success) = (None, None);
        for response in &server.responses {
            let line = wire.line(*response);
            let before = failure.or(success).map(|line: usize| wire.line(line));
            match line.status {
                0..200 => {
                    if let Some(before) = before {
                        wrong(line.place, format!("{} after the final {}", line.status, before.status));
                    }
                }
                200..300 => {
                    let refused = failure.map(|line: usize| wire.line(line).status);
                    let crossed = refused == Some(487) && !server.cancels.is_empty();
                    let cut_off = server.revived.is_some() && refused == server.owes;
                    match refused {
                        Some(refused) if !crossed && !cut_off => {
                            wrong(line.place, format!("{} after a final {refused}", line.status));
                        }
                        Some(_) | None => {}
                    }
                    success.get_or_insert(*response);
                }
                300.. => match failure {
                    Some(failure) => {
                        let first = wire.line(failure);
                        if first.datagram.bytes != line.datagram.bytes {
                            wrong(
                                line.place,
                                format!("a final {} that is no copy of the {} before it", line.status, first.status),
                            );
                        }
                    }
                    None => {
                        if let Some(success) = success {
                            wrong(line.place, format!("{} after {}", line.status, wire.line(success).status));
                        }
                        failure = Some(*response);
                    }
                },
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, REFUSED, caught, right};

    #[test]
    fn calls_with_one_outcome_pass() {
        right(super::judge, ANSWERED);
        right(super::judge, REFUSED);
        right(super::judge, CANCELLED);
    }

    #[test]
    fn a_400_to_a_copy_without_a_via_is_not_the_outcome_and_one_to_a_copy_with_it_is() {
        let with =
            |copy: &str| REFUSED.replacen("10 trunk < 180 t1 to=p", &format!("10 trunk < 180 t1 to=p\n{copy}"), 1);
        right(super::judge, &with("30 trunk > INVITE t1 garbled\n30 trunk < 400 t1 garbled"));
        caught(super::judge, 2, &with("30 trunk > INVITE t1 cut\n30 trunk < 400 t1"));
    }

    #[test]
    fn another_failure_is_caught() {
        caught(super::judge, 2, &REFUSED.replace("32500 trunk < 480 t1 q850=19", "32500 trunk < 480 t1 q850=20"));
        caught(super::judge, 2, &REFUSED.replace("32500 trunk < 480 t1 q850=19", "32500 trunk < 486 t1 q850=17"));
    }

    #[test]
    fn a_failure_after_an_answer_is_caught() {
        caught(
            super::judge,
            2,
            &ANSWERED.replace("2000 trunk > ACK", "1999 fired\n1999 trunk < 480 t1 q850=19\n2000 trunk > ACK"),
        );
    }

    #[test]
    fn an_answer_after_a_refusal_is_caught_but_behind_a_487() {
        caught(super::judge, 2, &format!("{REFUSED}33000 phone0 > 200 b1/t1 to=p\n33000 trunk < 200 t1 to=p\n"));
        right(super::judge, &format!("{CANCELLED}1600 phone0 > 200 b1/t1 to=p\n1600 trunk < 200 t1 to=p\n"));
    }

    #[test]
    fn what_is_said_about_something_that_cannot_be_read_is_no_outcome() {
        right(super::judge, &format!("{REFUSED}33000 trunk > INVITE t1 cut\n33000 trunk < 400 t1 to=q\n"));
        caught(super::judge, 2, &format!("{REFUSED}33000 fired\n33000 trunk < 400 t1 to=q\n"));
        caught(super::judge, 2, &format!("{REFUSED}33000 trunk > INVITE t1\n33000 trunk < 400 t1 to=q\n"));
        caught(super::judge, 2, &format!("{REFUSED}33000 trunk > INVITE t1 cut\n33000 trunk < 486 t1 to=q\n"));
    }

    #[test]
    fn what_is_said_about_something_that_cannot_be_read_ends_what_still_rings() {
        let bent = |status: &str| format!("10 trunk > INVITE t1 cut\n10 trunk < {status} t1 to=q\n1000 phone0 > 200");
        for status in ["400", "505", "513"] {
            caught(super::judge, 2, &ANSWERED.replace("1000 phone0 > 200", &bent(status)));
        }
        let silence = "10 trunk > INVITE t1 cut\n1000 phone0 > 200";
        right(super::judge, &ANSWERED.replace("1000 phone0 > 200", silence));
    }

    #[test]
    fn a_provisional_after_the_final_is_caught() {
        caught(super::judge, 2, &format!("{REFUSED}33000 fired\n33000 trunk < 180 t1 to=p\n"));
    }
}
