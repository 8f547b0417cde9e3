//! Stories of the company's door: how numbers and callers are read, in which order a call is refused, and
//! every row of R-8 as the trunk hears it.

use std::time::Duration;

use switchboard::peer::{Behaviour, CallEvent, CallKey, OutgoingCall};

use super::companies::{MACHINE, acme, one_company};
use super::world::{World, configuration};

const SALES: &str = "[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n";
const NUMBER: &str = "+918041234567";
const CALLER: &str = "+919811112222";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn place(world: &mut World, call: OutgoingCall) -> CallKey {
    world.with_trunk("airtel", |trunk, now| trunk.place(now, call))
}

#[test]
fn every_form_of_a_number_is_that_number() {
    //
    let mut world = World::new(one_company(SALES, &[("221", "")]));
    world.trunk("airtel", "192.0.2.1:5060");
    let users = ["+918041234567", "00918041234567", "918041234567", "08041234567", "8041234567"];
    let uris = users.map(|user| format!("sip:{user}@203.0.113.10")).into_iter().chain(
        [
            "tel:+918041234567",
            "tel:+91-80-4123-4567",
            "tel:+91(80)41234567;ext=5",
            "tel:08041234567;phone-context=+91",
            "sips:+918041234567@203.0.113.10",
            "sip:+91-80-4123.4567@203.0.113.10",
            "sip:+918041234567;npdi;rn=+919999999999@203.0.113.10;user=phone",
            "sip:%2B918041234567@203.0.113.10",
        ]
        .map(str::to_owned),
    );
    for uri in uris {
        let call = OutgoingCall {
            number: NUMBER.into(),
            caller: CALLER.into(),
            request_uri: Some(uri.clone()),
            ..OutgoingCall::default()
        };
        let key = place(&mut world, call);
        world.pass(seconds(1));
        assert_eq!(world.refusal("airtel", key).map(|(status, _)| status), Some(480), "{uri}: nobody is registered");
        let record = world.records.last().unwrap();
        assert_eq!(record.decision.number, NUMBER, "{uri}");
    }
    world.end();
}

#[test]
fn the_caller_is_who_the_trunk_asserts_else_from_else_nobody() {
    //
    let mut world = World::new(one_company(SALES, &[("221", "")]));
    world.trunk("airtel", "192.0.2.1:5060");
    let asserted = |value: &str| Some(value.to_owned());
    let cases = [
        (None, None, "+919811112222"),
        (asserted("<sip:+914412345678@192.0.2.1>"), None, "+914412345678"),
        (asserted("<tel:+914412345678>"), None, "+914412345678"),
        (asserted("\"Bank\" <sip:04412345678@192.0.2.1;user=phone>"), None, "+914412345678"),
        (None, Some("<sip:9811112222@192.0.2.1>"), "+919811112222"),
        (None, Some("\"Anonymous\" <sip:anonymous@anonymous.invalid>"), "anonymous"),
        (None, Some("<sip:192.0.2.1>"), "anonymous"),
        (asserted("<sip:+914412345678@192.0.2.1>"), Some("<sip:anonymous@anonymous.invalid>"), "+914412345678"),
    ];
    for (asserted_identity, from, expected) in cases {
        let case = format!("{asserted_identity:?} {from:?}");
        let call = OutgoingCall {
            number: NUMBER.into(),
            caller: CALLER.into(),
            asserted_identity,
            from: from.map(str::to_owned),
            ..OutgoingCall::default()
        };
        place(&mut world, call);
        world.pass(seconds(1));
        assert_eq!(world.records.last().unwrap().decision.caller, expected, "{case}");
    }
    world.end();
}

/// What a company says before its tables, its number's routes, and the rest.
struct Door {
    machine: &'static str,
    top: &'static str,
    routes: &'static str,
    rest: &'static str,
}

const OPEN: Door = Door { machine: "", top: "", routes: "{ to = \"department:sales\" }", rest: SALES };

/// Closed on the Monday morning the world begins on.
const NEVER: &str = "[hours.never]\nweek = { sun = [\"01:00-02:00\"] }\n";

impl Door {
    fn world(&self) -> World {
        let Door { machine, top, routes, rest } = self;
        let text = acme(rest, &[("221", ""), ("222", "")])
            .replacen("outbound-trunk", &format!("{top}\noutbound-trunk"), 1)
            .replacen("{ to = \"department:sales\" }", routes, 1);
        let mut world = World::new(configuration(&format!("{MACHINE}{machine}\n"), &[("acme", &text)]));
        world.trunk("airtel", "192.0.2.1:5060");
        world
    }
}

/// What the trunk hears: status, Reason, Retry-After.
fn heard(world: &World, call: CallKey) -> Option<(u16, String, Option<u32>)> {
    world.call_events("airtel", call).into_iter().find_map(|event| match event {
        CallEvent::Refused { status, reason, retry_after } => Some((status, reason.unwrap_or_default(), retry_after)),
        _ => None,
    })
}

#[test]
fn every_row_of_the_table_is_what_the_trunk_hears() {
    // status, Q.850 cause, a word of the text, seconds until it is heard. Calls before it are numbered by `first`.
    struct Row {
        name: &'static str,
        door: Door,
        /// How the agent at 221 behaves; `None`: not registered.
        agent: Option<Behaviour>,
        first: usize,
        number: &'static str,
        after: u64,
        status: u16,
        cause: u8,
        word: &'static str,
    }
    let ringing = || Some(Behaviour::ring_only());
    let talking = || Some(Behaviour::answer_after(Duration::ZERO));
    let row = |name, door, agent, first, after, status, cause, word| Row {
        name,
        door,
        agent,
        first,
        number: NUMBER,
        after,
        status,
        cause,
        word,
    };
    let closed_sales = "[hours.never]\nweek = { sun = [\"01:00-02:00\"] }\n[departments.sales]\nmembers = [\"221\"]\nhours = \"never\"\n";
    let line = "[departments.sales]\nmembers = [\"221\"]\nwait = \"10s\"\nmax-waiting = 1\n";
    let rows = [
        Row { number: "+918049999999", ..row("unknown number", OPEN, None, 0, 0, 404, 1, "number") },
        row("company suspended", Door { top: "status = \"suspended\"", ..OPEN }, None, 0, 0, 403, 21, "suspended"),
        row("caller blocked", Door { top: "blocked-callers = [\"+9198*\"]", ..OPEN }, None, 0, 0, 603, 21, "blocked"),
        row("company at its limit", Door { top: "max-calls = 1", ..OPEN }, ringing(), 1, 0, 486, 17, "limit"),
        row("trunk at its limit", Door { machine: "max-calls = 1", ..OPEN }, ringing(), 1, 0, 503, 42, "limit"),
        row("trunk too fast", Door { machine: "max-calls-per-second = 1", ..OPEN }, None, 1, 0, 503, 42, "limit"),
        row(
            "no route open",
            Door { routes: "{ hours = \"never\", to = \"department:sales\" }", rest: closed_sales, ..OPEN },
            ringing(),
            0,
            0,
            480,
            31,
            "open",
        ),
        row("department closed", Door { rest: closed_sales, ..OPEN }, ringing(), 0, 0, 480, 31, "closed"),
        row("nobody available", OPEN, None, 0, 0, 480, 20, "sales"),
        row("everybody busy", OPEN, talking(), 1, 0, 486, 17, "busy"),
        row("line full", Door { rest: line, ..OPEN }, talking(), 2, 0, 486, 17, "line"),
        row("nobody answered", OPEN, ringing(), 0, 21, 480, 19, "answered"),
        row("waited too long", Door { rest: line, ..OPEN }, talking(), 1, 11, 480, 19, "sales"),
        row("reject busy", Door { routes: "{ to = \"reject:busy\" }", ..OPEN }, None, 0, 0, 486, 17, ""),
        row("reject unavailable", Door { routes: "{ to = \"reject:unavailable\" }", ..OPEN }, None, 0, 0, 480, 31, ""),
        row("reject decline", Door { routes: "{ to = \"reject:decline\" }", ..OPEN }, None, 0, 0, 603, 21, ""),
    ];
    for row in rows {
        let name = row.name;
        let mut world = row.door.world();
        if let Some(behaviour) = row.agent {
            world.phone("asha", "221", "acme.example", behaviour);
        }
        let mut earlier = Vec::new();
        for _ in 0..row.first {
            earlier.push(world.call("airtel", NUMBER, CALLER));
            world.pass(Duration::from_millis(300));
        }
        let call = world.call("airtel", row.number, CALLER);
        world.pass(seconds(row.after) + Duration::from_millis(300));
        let (status, reason, retry_after) = heard(&world, call).unwrap_or_else(|| panic!("{name}: nothing heard"));
        assert_eq!(status, row.status, "{name}: {reason}");
        let start = format!("Q.850;cause={};text=\"", row.cause);
        assert!(reason.starts_with(&start) && reason.ends_with('"'), "{name}: {reason}");
        assert!(reason.len() > start.len() + 1, "{name}: in words");
        assert!(reason.contains(row.word), "{name}: {reason}");
        assert_eq!(retry_after.is_some(), status == 503, "{name}");
        for call in earlier {
            world.with_trunk("airtel", |trunk, now| {
                trunk.cancel(now, call);
                trunk.hang_up(now, call);
            });
        }
        world.end();
    }
}

#[test]
fn the_door_asks_in_its_order() {
    // unknown number; suspended; blocked; at max-calls; no route. Each is let go of in turn.
    let closed = "{ hours = \"never\", to = \"department:sales\" }";
    let blocked = "blocked-callers = [\"+9198*\"]";
    let steps = [
        ("status = \"suspended\"\nmax-calls = 1\nblocked-callers = [\"+9198*\"]", "+918049999999", 404),
        ("status = \"suspended\"\nmax-calls = 1\nblocked-callers = [\"+9198*\"]", NUMBER, 403),
        ("max-calls = 1\nblocked-callers = [\"+9198*\"]", NUMBER, 603),
        (blocked, NUMBER, 603),
        ("max-calls = 1", NUMBER, 486),
        ("", NUMBER, 480),
    ];
    for (top, number, expected) in steps {
        // One call is on for the company, by its other number.
        let rest = format!("{NEVER}[numbers.\"+918041234568\"]\nroutes = [ {{ to = \"user:222\" }} ]\n{SALES}");
        let text = acme(&rest, &[("221", ""), ("222", "")]);
        let text = text.replacen("{ to = \"department:sales\" }", closed, 1);
        let open = configuration(MACHINE, &[("acme", &text)]);
        let text = text.replacen("outbound-trunk", &format!("{top}\noutbound-trunk"), 1);
        let strict = configuration(MACHINE, &[("acme", &text)]);
        let mut world = World::new(open);
        world.trunk("airtel", "192.0.2.1:5060");
        world.phone("ravi", "222", "acme.example", Behaviour::ring_only());
        let other = world.call("airtel", "+918041234568", "+914412345678");
        world.pass(Duration::from_millis(100));
        world.adopt(strict);
        let call = world.call("airtel", number, CALLER);
        world.pass(Duration::from_millis(100));
        assert_eq!(heard(&world, call).map(|(status, ..)| status), Some(expected), "{top:?}");
        world.with_trunk("airtel", |trunk, now| trunk.cancel(now, other));
        world.end();
    }
}

#[test]
fn a_blocked_caller_is_recognised_in_whatever_form_it_is_written() {
    let door = Door { top: "blocked-callers = [\"+919811112222\", \"anonymous\"]", ..OPEN };
    let mut world = door.world();
    for caller in ["+919811112222", "00919811112222", "09811112222", "9811112222", "919811112222", "anonymous"] {
        let call = world.call("airtel", NUMBER, caller);
        world.pass(Duration::from_millis(100));
        assert_eq!(heard(&world, call).map(|(status, ..)| status), Some(603), "{caller}");
    }
    let call = world.call("airtel", NUMBER, "+919811112223");
    world.pass(Duration::from_millis(100));
    assert_eq!(heard(&world, call).map(|(status, ..)| status), Some(480));
    world.end();
}
