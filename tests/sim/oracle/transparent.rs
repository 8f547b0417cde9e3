//! Invariant 9: what passes through is left as it is. A request gains our Via (and on a new call Record-Route), loses a hop of Max-Forwards
//! and the Route values that were ours; a response loses our Via; everything else, and the body, stays byte for byte and in order
//! (RFC 3261 §16.6, §16.7 item 3). Our branch ids never repeat (§16.6 item 8).
//!
//! Two fields of a phone's request stay with us: credentials (§22.3) and P-Asserted-Identity (RFC 3325 §5). Contact, Route and Request-URI
//! of a new call are the binding's and ours to set (docs/choices.md).

use ahash::AHashMap;

use super::super::history::Role;
use super::super::text::{Field, Message, Name, uri};
use super::Violation;
use super::answers::is_passed_on;
use super::wire::{Cause, Line, Wire, values, vias};

pub fn judge(wire: &Wire<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |place: usize, words: String| violations.push(Violation { invariant: 9, place, words });
    for client in &wire.clients {
        let out = wire.line(client.first);
        for copy in &client.copies {
            let copy = wire.line(*copy);
            if copy.datagram.bytes != out.datagram.bytes && out.method != "CANCEL" {
                wrong(copy.place, format!("branch {} serves two requests", out.branch));
            }
        }
        // A CANCEL has its INVITE's branch, and no other request has (RFC 3261 §9.1).
        let Some(server) = client.server.map(|server| &wire.servers[server]) else {
            if vias(out.message).nth(1).is_some() && client.revived.is_none() {
                wrong(out.place, format!("{} {} is a copy of nothing that came in", out.method, out.branch));
            }
            continue;
        };
        let request = server.request.filter(|_| client.revived.is_none() && !server.doubtful);
        if let Some(request) = request {
            forwarded(wire, wire.line(request), out, &mut wrong);
        }
    }
    let mut branches: AHashMap<&str, &Line<'_>> = AHashMap::new();
    for ack in &wire.relayed_acks {
        let out = wire.line(*ack);
        if let Cause::Heard(Some(heard)) = wire.step_of(*ack).cause
            && wire.line(heard).method == "ACK"
            && wire.line(heard).sure
        {
            forwarded(wire, wire.line(heard), out, &mut wrong);
        }
        // §16.11: a copy of the same ACK leaves with the same branch.
        let first = branches.entry(out.branch).or_insert(out);
        if first.call_id != out.call_id || first.cseq != out.cseq || first.to_tag != out.to_tag {
            wrong(out.place, format!("branch {} serves two ACKs", out.branch));
        }
    }
    for client in &wire.clients {
        let line = wire.line(client.first);
        if branches.contains_key(line.branch) {
            wrong(line.place, format!("branch {} is an ACK's too", line.branch));
        }
    }
    for (index, server) in wire.servers.iter().enumerate() {
        for response in &server.responses {
            let up = wire.line(*response);
            if up.status > 100
                && is_passed_on(wire, index, up)
                && let Cause::Heard(Some(heard)) = wire.steps[up.step].cause
                && wire.line(heard).sure
            {
                returned(wire.line(heard), up, &mut wrong);
            }
        }
    }
    violations
}

const TOUCHED: [Name; 4] = [Name::Via, Name::Route, Name::RecordRoute, Name::MaxForwards];

/// The header lines that must pass, in order.
fn kept<'m>(message: &'m Message, is_ours: impl Fn(&Field) -> bool + 'm) -> impl Iterator<Item = &'m str> {
    let fields = message.fields.iter().filter(move |field| !TOUCHED.contains(&field.name) && !is_ours(field));
    fields.map(|field| message.text(field.line.clone()))
}

fn is_named(message: &Message, field: &Field, name: &str) -> bool {
    let line = message.text(field.line.clone());
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && line[name.len()..].trim_start().starts_with(':')
}

/// What Content-Length says, or all.
fn body(message: &Message) -> &[u8] {
    let body = message.body();
    let length = message.first(Name::ContentLength).and_then(|length| length.parse().ok());
    body.get(..length.unwrap_or(body.len())).unwrap_or(body)
}

fn forwarded(wire: &Wire<'_>, heard: &Line<'_>, out: &Line<'_>, wrong: &mut impl FnMut(usize, String)) {
    let mut wrong = |words: String| wrong(out.place, format!("{} {}: {words}", out.method, out.branch));
    let (was, is) = (heard.message, out.message);
    let initial = heard.to_tag.is_empty();
    let from_phone = !matches!(wire.history.role(heard.datagram.from), Some(Role::Trunk(_)));
    let ours = |message: &Message, field: &Field| {
        field.name == Name::Other
            && (is_named(message, field, "Max-Breadth")
                || from_phone
                    && (is_named(message, field, "Proxy-Authorization")
                        || is_named(message, field, "P-Asserted-Identity")))
    };
    let (before, after) = (kept(was, |field| ours(was, field)), kept(is, |field| ours(is, field)));
    if let Some((before, after)) = differing(before, after) {
        wrong(format!("`{after}` where `{before}` came in"));
    }
    let identity = |field: &Field| is_named(is, field, "P-Asserted-Identity");
    if from_phone && is.fields.iter().any(identity) {
        wrong("a phone's P-Asserted-Identity goes on".to_owned());
    }
    if body(was) != body(is) {
        wrong("another body".to_owned());
    }
    if was.method() != is.method()
        || !initial && was.request_uri() != is.request_uri() && values(was, Name::Route).next().is_none()
    {
        wrong("another request line".to_owned());
    }
    let hops = |message: &Message| message.first(Name::MaxForwards).and_then(|hops| hops.parse::<u32>().ok());
    let right = hops(was).map_or(70, |hops| hops.saturating_sub(1));
    if hops(is) != Some(right) || hops(was) == Some(0) {
        wrong(format!("Max-Forwards {:?} after {:?}", hops(is), hops(was)));
    }
    passed_vias(was, is, &mut wrong);
    let (routes, before): (Vec<&str>, Vec<&str>) =
        (values(is, Name::Route).collect(), values(was, Name::Route).collect());
    if !initial && was.request_uri() == is.request_uri() {
        let own = before.iter().take_while(|route| is_ours(wire, route)).count();
        if routes != before[own..] {
            wrong(format!("Route {routes:?} after {before:?}"));
        }
    }
    let (records, before): (Vec<&str>, Vec<&str>) =
        (values(is, Name::RecordRoute).collect(), values(was, Name::RecordRoute).collect());
    let added = records.len().saturating_sub(before.len());
    let lost = !records.ends_with(&before);
    let fits = if initial { (1..=2).contains(&added) } else { added == 0 };
    let loose = |value: &&str| value.contains(";lr") && is_ours(wire, value);
    if lost || !fits || !records[..added].iter().all(loose) {
        wrong(format!("Record-Route {records:?} after {before:?}"));
    }
}

/// Whether a Route value names one of our sockets, of any version.
fn is_ours(wire: &Wire<'_>, value: &str) -> bool {
    let address = uri(value);
    let address = address.split_once(':').map_or(address, |(_, rest)| rest);
    let host = address.split(';').next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let own = |address: &std::net::SocketAddr| {
        address.to_string() == host || address.port() == 5060 && address.ip().to_string() == host
    };
    wire.history.models.iter().any(|model| model.listen.iter().any(own))
}

/// One more, and the one below it has `received` and `rport` at most.
fn passed_vias(was: &Message, is: &Message, wrong: &mut impl FnMut(String)) {
    let (before, after): (Vec<&str>, Vec<&str>) = (vias(was).collect(), vias(is).collect());
    let bare = |via: &str| -> Vec<String> {
        let keep = |part: &&str| {
            let name = part.split('=').next().unwrap_or_default().trim();
            !name.eq_ignore_ascii_case("received") && !name.eq_ignore_ascii_case("rport")
        };
        via.split(';').filter(keep).map(|part| part.trim().to_owned()).collect()
    };
    let fits = after.len() == before.len() + 1 && bare(after[1]) == bare(before[0]) && after[2..] == before[1..];
    if !fits {
        wrong(format!("Via {after:?} after {before:?}"));
    }
}

fn returned(heard: &Line<'_>, up: &Line<'_>, wrong: &mut impl FnMut(usize, String)) {
    let (was, is) = (heard.message, up.message);
    let not_via = |message: &'_ Message| -> Vec<(usize, usize)> {
        message
            .fields
            .iter()
            .filter(|field| field.name != Name::Via)
            .map(|field| (field.line.start, field.line.end))
            .collect()
    };
    let text = |message: &Message, (from, to): (usize, usize)| message.bytes.slice(from..to);
    let (before, after) = (not_via(was), not_via(is));
    let same = before.len() == after.len()
        && before.iter().zip(&after).all(|(before, after)| text(was, *before) == text(is, *after));
    let first =
        |message: &Message| message.bytes.iter().position(|byte| *byte == b'\r').map(|end| message.bytes.slice(..end));
    if !same || first(was) != first(is) || body(was) != body(is) {
        wrong(up.place, format!("the {} of branch {} did not go up as it came", heard.status, heard.branch));
    }
    if !vias(was).skip(1).eq(vias(is)) {
        wrong(up.place, format!("the {} of branch {} went up with other Vias", heard.status, heard.branch));
    }
}

/// The first pair that is not equal.
fn differing<'a>(
    before: impl Iterator<Item = &'a str>,
    after: impl Iterator<Item = &'a str>,
) -> Option<(String, String)> {
    let (mut before, mut after) = (before, after);
    loop {
        match (before.next(), after.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((one.unwrap_or_default().to_owned(), other.unwrap_or_default().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ANSWERED, CANCELLED, CUT_OFF, REFUSED, REINVITE, TWO_PHONES, caught, right};

    #[test]
    fn what_passes_unchanged_is_right() {
        for story in [ANSWERED, CANCELLED, CUT_OFF, REFUSED, REINVITE, TWO_PHONES] {
            right(super::judge, story);
        }
    }

    #[test]
    fn a_changed_field_or_body_is_caught() {
        let with = |heard: &str, sent: &str| {
            ANSWERED
                .replace("0 trunk > INVITE t1", &format!("0 trunk > INVITE t1 {heard}"))
                .replace("0 phone0 < INVITE b1/t1", &format!("0 phone0 < INVITE b1/t1 {sent}"))
        };
        right(super::judge, &with("body=v=0 x=1", "body=v=0 x=1"));
        caught(super::judge, 9, &with("body=v=0", "body=v=1"));
        caught(super::judge, 9, &with("x=1", "x=2"));
        caught(super::judge, 9, &with("x=1", ""));
        caught(super::judge, 9, &with("", "x=1"));
        caught(super::judge, 9, &with("", "hops=70"));
        caught(super::judge, 9, &with("", "record=no"));
        caught(super::judge, 9, &with("", "from=z"));
    }

    #[test]
    fn a_response_that_changed_on_its_way_is_caught() {
        let with = |heard: &str, sent: &str| {
            ANSWERED
                .replace("1000 phone0 > 200 b1/t1 to=p", &format!("1000 phone0 > 200 b1/t1 to=p {heard}"))
                .replace("1000 trunk < 200 t1 to=p", &format!("1000 trunk < 200 t1 to=p {sent}"))
        };
        right(super::judge, &with("x=1 body=sdp", "x=1 body=sdp"));
        caught(super::judge, 9, &with("x=1", ""));
        caught(super::judge, 9, &with("body=a", "body=b"));
        caught(super::judge, 9, &with("n=2", "n=1"));
        caught(super::judge, 9, &ANSWERED.replace("1000 trunk < 200 t1 to=p", "1000 trunk < 200 b1/t1 to=p"));
    }

    #[test]
    fn a_branch_used_twice_is_caught() {
        caught(super::judge, 9, &TWO_PHONES.replace("b2", "b1"));
        caught(super::judge, 9, &ANSWERED.replace("2000 phone0 < ACK b4/t1a", "2000 phone0 < ACK b2/t1a"));
    }

    #[test]
    fn vias_that_do_not_fit_are_caught() {
        caught(super::judge, 9, &ANSWERED.replace("0 phone0 < INVITE b1/t1", "0 phone0 < INVITE b1/t9"));
        caught(super::judge, 9, &ANSWERED.replace("0 phone0 < INVITE b1/t1", "0 phone0 < INVITE b1/t1/t8"));
    }
}
