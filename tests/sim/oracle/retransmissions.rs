//! Invariant 8: the law of retransmissions (RFC 3261 §17, with RFC 6026 and 4320). Copies of a request leave at T1·(2ⁿ−1), those of other
//! requests than INVITE at most T2 apart, until a response or Timer B or F stops them; copies of a failure to INVITE likewise until its
//! ACK or Timer H. None is left out. A copy of an INVITE is answered with the last response. And what RFC 4320 forbids about other
//! requests: no 408, no provisional but 100, and that not before 3.5 s.
//!
//! What falls due while the process stands still leaves once, when it wakes.

use super::super::history::{MILLISECOND, Nanos, SECOND, T1, T2};
use super::Violation;
use super::wire::{Cause, Client, Ending, Line, PATIENCE, Server, Wire, tick};

/// RFC 4320 §4.1: when Timer E would be reset to T2.
const TRYING: Nanos = 3 * SECOND + 500 * MILLISECOND;

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 8, place, words });
    for (index, client) in wire.clients.iter().enumerate() {
        request(wire, index, client, &mut wrong);
    }
    for server in &wire.servers {
        if server.invite {
            failure(wire, server, &mut wrong);
            repeated(wire, server, &mut wrong);
        } else {
            other(wire, server, &mut wrong);
        }
    }
    violations
}

/// When copies are due.
struct Schedule {
    next: Nanos,
    interval: Nanos,
    cap: Nanos,
}

impl Schedule {
    fn of(begun: Nanos, cap: Nanos) -> Schedule {
        Schedule { next: begun + T1, interval: 2 * T1, cap }
    }

    /// Behind a copy that left then; what fell due meanwhile is left out.
    fn pass(&mut self, now: Nanos, slowed: bool) {
        while self.next <= now {
            self.next += if slowed { T2 } else { self.interval };
            self.interval = (2 * self.interval).min(self.cap);
        }
    }
}

/// Compares what left with the schedule. `stop` is the moment that ends it: a copy due at that very moment may leave or not. `slowed` says
/// whether Timer E was T2 by then.
fn compare(
    wire: &Wire<'_>,
    mut schedule: Schedule,
    copies: &[&Line<'_>],
    stop: Nanos,
    slowed: impl Fn(Nanos) -> bool,
    wrong: &mut impl FnMut(usize, String),
    of: &Line<'_>,
) {
    let name = |line: &Line<'_>| {
        if line.is_request() {
            format!("{} {}", line.method, line.branch)
        } else {
            format!("{} to {}", line.status, line.branch)
        }
    };
    let mut copies = copies.iter().peekable();
    loop {
        let due = wire.awake(tick(schedule.next));
        let Some(copy) = copies.peek() else {
            if due < stop {
                wrong(of.place, format!("a copy of {} was due at {:.3} s", name(of), seconds(due)));
            }
            return;
        };
        if copy.at < due {
            wrong(copy.place, format!("a copy of {} that is due at {:.3} s only", name(copy), seconds(due)));
            copies.next();
            continue;
        }
        if due > stop {
            wrong(copy.place, format!("a copy of {} after what stopped it", name(copy)));
            return;
        }
        if copy.at > due + MILLISECOND {
            wrong(copy.place, format!("a copy of {} was due at {:.3} s", name(copy), seconds(due)));
        }
        let left = copy.at;
        copies.next();
        schedule.pass(left, slowed(left));
    }
}

fn seconds(at: Nanos) -> f64 {
    at as f64 / SECOND as f64
}

fn request(wire: &Wire<'_>, index: usize, client: &Client, wrong: &mut impl FnMut(usize, String)) {
    let (life, first) = (&wire.lives[index], wire.line(client.first));
    let invite = first.method == "INVITE";
    if client.revived.is_some() {
        if let Some(copy) = client.copies.first().map(|copy| wire.line(*copy)) {
            wrong(copy.place, format!("a copy of {} after the start", first.branch));
        }
        return;
    }
    let provisional = life.provisional.map(|line| wire.line(line));
    // Where Timer A or E stops: a place, too, for what comes at the same moment.
    let mut stops: Vec<(usize, Nanos)> = Vec::new();
    stops.extend(provisional.filter(|_| invite).map(|line| (line.place, line.at)));
    stops.extend(life.end.map(|(place, _)| (place, wire.history.entries[place].at)));
    stops.extend(life.doubtful.map(|place| (place, wire.history.entries[place].at)));
    let mut stop = stops.iter().map(|(_, at)| *at).min().unwrap_or(Nanos::MAX);
    let place = stops.iter().map(|(place, _)| *place).min().unwrap_or(usize::MAX);
    // A restart in between, or the end of what we know.
    stop = stop.min(wire.end);
    let copies: Vec<&Line<'_>> = client.copies[1..].iter().map(|copy| wire.line(*copy)).collect();
    let doubtful =
        life.doubtful == Some(place) || life.end.is_some_and(|(end, ending)| end == place && ending == Ending::Killed);
    let stopped = copies.iter().filter(|copy| copy.place > place && !doubtful);
    for copy in stopped {
        wrong(copy.place, format!("a copy of {} {} after what stopped it", first.method, first.branch));
    }
    let copies: Vec<&Line<'_>> = copies.iter().copied().filter(|copy| copy.place < place).collect();
    let cap = if invite { Nanos::MAX / 4 } else { T2 };
    let slowed = |now: Nanos| !invite && provisional.is_some_and(|line| line.at <= now);
    compare(wire, Schedule::of(first.at, cap), &copies, stop, slowed, wrong, first);
    let most = if invite { 7 } else { 11 };
    if client.copies.len() > most {
        wrong(first.place, format!("{} {} left {} times", first.method, first.branch, client.copies.len()));
    }
}

/// Timers G and H.
fn failure(wire: &Wire<'_>, server: &Server, wrong: &mut impl FnMut(usize, String)) {
    let said: Vec<&Line<'_>> = server.responses.iter().map(|line| wire.line(*line)).collect();
    let Some(nth) = said.iter().position(|line| line.status >= 300) else { return };
    let first = said[nth];
    if server.stateless || server.doubtful || said[..nth].iter().any(|line| line.is_success()) {
        return;
    }
    let ack = server.acks.iter().map(|ack| wire.line(*ack)).find(|ack| ack.place > first.place);
    let kill = wire.kill_of(server.epoch);
    let end = wire.fired_from(first.at + PATIENCE).map(|place| (place, wire.history.entries[place].at));
    let stop = [ack.map(|ack| (ack.place, ack.at)), kill, end].into_iter().flatten().min();
    let (place, at) = stop.unwrap_or((usize::MAX, Nanos::MAX));
    // A copy of the INVITE draws one out of turn.
    let asked: Vec<usize> = server.copies.iter().map(|copy| wire.line(*copy).step).collect();
    // So does what cannot be read here and the daemon may have read as one.
    let drawn = |line: &Line<'_>| match wire.steps[line.step].cause {
        Cause::Heard(heard) => asked.contains(&line.step) || heard.is_none_or(|heard| !wire.line(heard).sure),
        Cause::Fired | Cause::Started | Cause::Undeliverable | Cause::Other => false,
    };
    let copies = said[nth + 1..].iter().filter(|line| line.status >= 300 && !drawn(line)).copied();
    let (before, after): (Vec<&Line<'_>>, Vec<&Line<'_>>) = copies.partition(|line| line.place < place);
    let sure = ack.is_none_or(|ack| ack.sure || ack.place > place);
    for copy in after.iter().filter(|_| sure) {
        wrong(copy.place, format!("a copy of {} to {} after what stopped it", copy.status, copy.branch));
    }
    compare(wire, Schedule::of(first.at, T2), &before, at.min(wire.end), |_| false, wrong, first);
}

/// RFC 3261 §17.2.1, RFC 6026 §7.1: what a copy of an INVITE draws.
fn repeated(wire: &Wire<'_>, server: &Server, wrong: &mut impl FnMut(usize, String)) {
    if server.doubtful || server.stateless || server.request.is_none() {
        return;
    }
    for copy in &server.copies {
        let line = wire.line(*copy);
        let mut before = server.responses.iter().map(|said| wire.line(*said)).filter(|said| said.place < line.place);
        let last = if server.absorbs_from.is_some() { None } else { before.next_back() };
        let acked = server.acks.iter().map(|ack| wire.line(*ack)).any(|ack| {
            let failed = server
                .responses
                .iter()
                .any(|said| wire.line(*said).status >= 300 && wire.line(*said).place < ack.place);
            ack.place < line.place && failed
        });
        let unsure = server.acks.iter().any(|ack| !wire.line(*ack).sure);
        if wire.step_of(*copy).cut || unsure {
            continue;
        }
        let drawn: Vec<&Line<'_>> =
            server.responses.iter().map(|said| wire.line(*said)).filter(|said| said.step == line.step).collect();
        let accepted =
            server.responses.iter().any(|said| wire.line(*said).is_success() && wire.line(*said).place < line.place);
        let failed = last.filter(|last| last.status >= 300);
        // A 2xx that crossed the CANCEL's 487 went past the transaction, which repeats its 487.
        let refused = server
            .responses
            .iter()
            .map(|said| wire.line(*said))
            .find(|said| said.status >= 300 && said.place < line.place);
        let right = match refused.or(failed).or(last.filter(|_| !accepted)) {
            Some(last) if !(last.status >= 300 && acked) => Some(last),
            _ => None,
        };
        match (right, drawn.as_slice()) {
            (None, []) => {}
            (Some(right), [one]) if one.datagram.bytes == right.datagram.bytes => {}
            (right, drawn) => {
                let right = right.map_or("nothing".to_owned(), |right| right.status.to_string());
                let drawn: Vec<u16> = drawn.iter().map(|line| line.status).collect();
                wrong(line.place, format!("a copy of INVITE {} draws {drawn:?} and not {right}", line.branch));
            }
        }
    }
}

/// RFC 4320.
fn other(wire: &Wire<'_>, server: &Server, wrong: &mut impl FnMut(usize, String)) {
    let begun = server.request.map(|request| wire.line(request).at);
    for line in server.responses.iter().map(|line| wire.line(*line)) {
        match line.status {
            408 => wrong(line.place, format!("408 to {}", line.method)),
            100 if begun.is_some_and(|begun| line.at < begun + TRYING) => {
                wrong(line.place, format!("100 to {} before 3.5 s", line.method));
            }
            100 => {}
            0..200 => wrong(line.place, format!("{} to {}", line.status, line.method)),
            200.. => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, REFUSED, REINVITE, TWO_PHONES, caught, right, without};

    const LEFT_ALONE: &str = "0 trunk > INVITE t1
0 trunk < 100 t1
0 phone0 < INVITE b1/t1
500 fired
500 phone0 < INVITE b1/t1
1500 fired
1500 phone0 < INVITE b1/t1
3500 fired
3500 phone0 < INVITE b1/t1
7500 fired
7500 phone0 < INVITE b1/t1
15500 fired
15500 phone0 < INVITE b1/t1
31500 fired
31500 phone0 < INVITE b1/t1
32000 fired
32000 trunk < 480 t1 q850=19
32010 trunk > ACK t1
40000 end
";

    #[test]
    fn copies_on_time_pass() {
        for story in [ANSWERED, CANCELLED, REFUSED, REINVITE, TWO_PHONES, LEFT_ALONE] {
            right(super::judge, story);
        }
    }

    #[test]
    fn a_copy_too_few_or_too_many_is_caught() {
        caught(super::judge, 8, &without(LEFT_ALONE, "7500 phone0"));
        caught(super::judge, 8, &without(LEFT_ALONE, "31500 phone0"));
        caught(
            super::judge,
            8,
            &LEFT_ALONE.replace("\n500 fired", "\n400 fired\n400 phone0 < INVITE b1/t1\n500 fired"),
        );
        caught(super::judge, 8, &LEFT_ALONE.replace("7500 phone0", "7502 phone0"));
        caught(super::judge, 8, &LEFT_ALONE.replace("32000 trunk <", "32000 phone0 < INVITE b1/t1\n32000 trunk <"));
    }

    #[test]
    fn a_copy_after_a_response_is_caught() {
        let rings = LEFT_ALONE.replace("7500 fired", "4000 phone0 > 100 b1/t1\n7500 fired");
        caught(super::judge, 8, &rings);
        let rings = without(&without(&without(&rings, "7500 phone0"), "15500 phone0"), "31500 phone0");
        right(super::judge, &rings);
    }

    #[test]
    fn what_fell_due_in_a_pause_leaves_once() {
        let paused = LEFT_ALONE.replace(
            "1500 fired\n1500 phone0 < INVITE b1/t1\n3500 fired\n3500 phone0 < INVITE b1/t1\n",
            "5000 stood 4000\n5000 fired\n5000 phone0 < INVITE b1/t1\n",
        );
        right(super::judge, &paused);
        caught(
            super::judge,
            8,
            &paused.replace("5000 phone0 < INVITE b1/t1", "5000 phone0 < INVITE b1/t1\n5000 phone0 < INVITE b1/t1"),
        );
        caught(super::judge, 8, &paused.replace("stood 4000", "stood 3000"));
    }

    #[test]
    fn a_refusal_is_repeated_until_its_ack() {
        let unheard = REFUSED.split("32600").next().unwrap();
        let repeated = format!("{unheard}33500 fired\n33500 trunk < 480 t1 q850=19\n33600 trunk > ACK t1\n");
        right(super::judge, &format!("{repeated}35000 end\n"));
        caught(super::judge, 8, &format!("{unheard}33600 end\n"));
        caught(super::judge, 8, &format!("{repeated}34000 fired\n34000 trunk < 480 t1 q850=19\n35000 end\n"));
    }

    #[test]
    fn what_cannot_be_read_may_draw_a_refusal_out_of_turn() {
        let unheard = REFUSED.split("32600").next().unwrap();
        let drawn =
            |cause: &str| format!("{unheard}32550 {cause}\n32550 trunk < 480 t1 q850=19\n32600 trunk > ACK t1\n");
        right(super::judge, &drawn("trunk > INVITE t1 cut"));
        caught(super::judge, 8, &drawn("fired"));
    }

    #[test]
    fn an_ack_behind_timer_h_is_nobodys() {
        let said = |at: u64| format!("{at} trunk > INVITE t1\n{at} trunk < 100 t1\n{at} trunk < 486 t1 q850=17\n");
        let copy = "33000 stood 32900\n33000 trunk > INVITE t1\n33000 trunk < 486 t1 q850=17\n";
        let acked = format!("{}{copy}33000 fired\n33500 trunk > ACK t1\n", said(0));
        right(super::judge, &format!("{acked}{}34001 trunk > ACK t1\n", said(34_000)));
        // In time it stops everything for T4.
        let acked = format!("{}100 trunk > ACK t1\n", said(0));
        caught(super::judge, 8, &format!("{acked}1000 fired\n{}", said(1_000)));
    }

    #[test]
    fn a_copy_of_an_invite_draws_the_last_response() {
        let again = ANSWERED.replace("1000 phone0", "600 trunk > INVITE t1\n600 trunk < 180 t1 to=p\n1000 phone0");
        right(super::judge, &again);
        caught(super::judge, 8, &ANSWERED.replace("1000 phone0", "600 trunk > INVITE t1\n1000 phone0"));
        caught(super::judge, 8, &again.replace("600 trunk < 180 t1 to=p", "600 trunk < 100 t1"));
        right(super::judge, &format!("{ANSWERED}7000 trunk > INVITE t1\n"));
        caught(super::judge, 8, &format!("{ANSWERED}7000 trunk > INVITE t1\n7000 trunk < 200 t1 to=p\n"));
    }

    #[test]
    fn what_rfc_4320_forbids_is_caught() {
        let bye = ANSWERED.split("6010").next().unwrap();
        caught(
            super::judge,
            8,
            &format!("{bye}6010 trunk < 100 t2 BYE n=2 to=p\n6011 phone0 > 200 b2/t2 BYE n=2 to=p\n6020 end\n"),
        );
        caught(super::judge, 8, &ANSWERED.replace("6010 trunk < 200 t2", "6010 trunk < 408 t2"));
        caught(
            super::judge,
            8,
            &format!("{bye}6010 phone0 > 180 b2/t2 BYE n=2 to=p\n6010 trunk < 180 t2 BYE n=2 to=p\n6011 end\n"),
        );
    }

    #[test]
    fn a_bye_is_repeated_at_most_every_four_seconds() {
        let bye = ANSWERED.split("6010").next().unwrap();
        let copies = |times: &[u64]| -> String {
            times.iter().map(|at| format!("{at} fired\n{at} phone0 < BYE b2/t2 n=2 to=p\n")).collect()
        };
        let all = [6500, 7500, 9500, 13500, 17500, 21500, 25500, 29500, 33500, 37500];
        right(super::judge, &format!("{bye}{}38000 fired\n39000 end\n", copies(&all)));
        caught(super::judge, 8, &format!("{bye}{}38000 fired\n39000 end\n", copies(&[6500, 7500, 9500, 13500, 21500])));
        // A 100 makes Timer E T2.
        // What stops it may name the branch in another case (RFC 3261 §7.3.1), not another branch.
        let stopped = |branch: &str| format!("{bye}6010 phone0 > 200 {branch}/t2 BYE n=2 to=p\n6510 end\n");
        right(super::judge, &stopped("B2"));
        caught(super::judge, 8, &stopped("b9"));
        let slowed =
            format!("{bye}{}6600 phone0 > 100 b2/t2 BYE n=2 to=p\n{}", copies(&[6500]), copies(&[7500, 11500]));
        right(super::judge, &format!("{slowed}15000 end\n"));
        caught(super::judge, 8, &format!("{}15000 end\n", slowed.replace("11500", "9500")));
    }
}
