//! Classes 3, 17 and 18: floods, reflection, and requests that go round.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchboard::engine::{Engine, Input, Listener, Output};
use switchboard::flow::{Flow, ListenerId};
use switchboard::time::{Instant, Now, WallTime};

use super::super::companies::one_company;
use super::super::raw::{Account, Ask, challenges, daemon, status, tell};
use super::super::script::{self, Party};
use super::super::world::{Seen, World, configuration};
use super::{Dice, SALES, STRANGER, TRUNK, USUAL, counted, still_serves, world};

const METHODS: [&str; 9] =
    ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "CANCEL", "ACK", "FROBNICATE"];

/// Something a flood is made of.
fn junk(dice: &mut Dice, number: usize) -> String {
    let method = METHODS[dice.below(METHODS.len())];
    let from = format!("{}@{}", 100 + dice.below(900), ["acme.example", "elsewhere.example"][dice.below(2)]);
    let uri = ["sip:+918041234567@203.0.113.10", "sip:acme.example", "sip:222@acme.example"][dice.below(3)];
    let mut ask = Ask::new(method, uri, &from, &from);
    ask.branch = format!("z9hG4bK-j{number}");
    ask.call_id = format!("j{number}");
    if dice.below(4) == 0 {
        ask.to_tag = Some(format!("t{number}"));
    }
    let text = ask.line(USUAL).text();
    match dice.below(8) {
        0 => text.replace("Max-Forwards: 70", "Max-Forwards: many"),
        1 => text[..dice.below(text.len())].to_owned(),
        _ => text,
    }
}

#[test]
fn class_03_a_flood_leaves_nothing_behind_and_calls_in_progress_go_on() {
    let mut world = World::new(one_company(SALES, &[("222", "")]));
    world.phone("ravi", "222", "acme.example", switchboard::peer::Behaviour::ring_only());
    world.take_over("198.51.100.1:5060");
    let (mut caller, _) = script::talk(&mut world, "steady", "198.51.100.1:5060", "");
    world.pass(Duration::from_secs(40));
    let before = (world.engine.audit(), daemon(&mut world));
    let mut dice = Dice(3);
    let mut answered = 0;
    for number in 0..20_000 {
        let source = SocketAddr::from(([10, 0, dice.below(40) as u8, dice.below(250) as u8], 5060));
        let flow = Flow { local: ListenerId(0), remote: source };
        let bytes = Bytes::from(junk(&mut dice, number).into_bytes());
        world.now = world.now + Duration::from_micros(50);
        world.engine.handle_input(world.now, Input::Datagram { flow, bytes });
        while let Some(output) = world.engine.poll_output() {
            match output {
                Output::Datagram { flow, .. } => {
                    assert_eq!(flow.remote, source);
                    answered += 1;
                }
                Output::Event(_) => {}
                other => panic!("a stranger causes {other:?}"),
            }
        }
    }
    assert!(answered > 5_000, "{answered}: what is within the limits is answered");
    let after = (world.engine.audit(), daemon(&mut world));
    assert_eq!(before.0, after.0, "no table has grown");
    assert_eq!((before.1.transactions, before.1.timers), (after.1.transactions, after.1.timers));
    script::hang_up(&mut world, &mut caller, "198.51.100.1:5060");
    world.end();
}

#[test]
fn class_03_one_source_has_its_share_of_answers_and_nobody_else_notices() {
    let mut world = world();
    let mut dice = Dice(33);
    let mut answers = 0;
    for number in 0..3_000 {
        answers += tell(&mut world, &format!("198.51.100.250:{}", 1_024 + number), &junk(&mut dice, number)).len();
    }
    assert!((400..=500).contains(&answers), "{answers} at one instant");
    assert!(counted(&mut world, "source-over-its-limit") > 1_000);
    let elsewhere = tell(&mut world, "198.51.100.251:5060", &Ask::register("223").line(USUAL).text());
    assert_eq!(elsewhere.iter().map(status).collect::<Vec<_>>(), [401]);
    // The trunk and the registered phones have no part in it.
    for number in 0..1_000 {
        let mut ask = Ask::new("BYE", "sip:x@203.0.113.10", "x@192.0.2.9", "y@192.0.2.9");
        ask.branch = format!("z9hG4bK-t{number}");
        ask.to_tag = Some("t".to_owned());
        assert_eq!(tell(&mut world, "192.0.2.9:5060", &ask.text()).iter().map(status).collect::<Vec<_>>(), [481]);
    }
    world.seen.clear();
    still_serves(world);
}

#[test]
fn class_03_a_thousand_phones_behind_one_address_all_register_at_once() {
    const PHONES: usize = 1_200;
    let names: Vec<String> = (0..PHONES).map(|n| format!("{}", 10_000 + n)).collect();
    let users: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let mut world = World::new(one_company("[departments.sales]\nmembers = []\n", &users));
    let passwords: Vec<String> = names.iter().map(|name| format!("secret-{name}")).collect();
    let mut waiting: BTreeSet<usize> = (0..PHONES).collect();
    let mut rounds = 0;
    // All ask in the same moment; who hears nothing asks again after T1, as RFC 3261 has it.
    while !waiting.is_empty() {
        rounds += 1;
        assert!(rounds < 10, "{} phones have not registered", waiting.len());
        let mut challenged = Vec::new();
        for phone in &waiting {
            let mut ask =
                Ask::register(&names[*phone]).line(format!("Contact: <sip:{}@10.0.0.1>", names[*phone])).line(USUAL);
            ask.call_id = format!("nat-{phone}");
            ask.branch = format!("z9hG4bK-{phone}");
            let at = format!("198.51.100.250:{}", 2_000 + phone);
            let sent = tell(&mut world, &at, &ask.text());
            if let Some(challenge) = sent.iter().flat_map(challenges).next() {
                challenged.push((*phone, at, ask, challenge));
            }
        }
        for (phone, at, mut ask, challenge) in challenged {
            ask.cseq += 1;
            ask.branch = format!("z9hG4bK-{phone}-2");
            let account = Account { name: &names[phone], password: &passwords[phone] };
            let sent = tell(&mut world, &at, &ask.proven(&account, &challenge, 1).text());
            assert_eq!(sent.iter().map(status).collect::<Vec<_>>(), [200]);
            waiting.remove(&phone);
        }
        world.pass(Duration::from_millis(500));
    }
    assert!(rounds > 1, "the limit was met");
    assert_eq!(daemon(&mut world).registrations, PHONES);
    world.end();
}

#[test]
fn class_17_strangers_hear_less_than_they_say_once_and_at_their_own_address() {
    let mut world = world();
    let mut dice = Dice(17);
    let (mut asked, mut heard) = (0, 0);
    let mut sources: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for number in 0..3_000 {
        let source = format!("198.51.100.{}:{}", 100 + number % 100, 5_000 + number % 7);
        let text = junk(&mut dice, number);
        let sent = tell(&mut world, &source, &text);
        *sources.entry(source.parse().unwrap()).or_default() += 1;
        assert!(sent.len() <= 1, "{sent:?}");
        for seen in &sent {
            assert_eq!(seen.to.to_string(), source);
            assert!(seen.bytes.len() * 2 <= text.len() * 3, "{} for {}", seen.bytes.len(), text.len());
            heard += seen.bytes.len();
        }
        asked += text.len();
    }
    assert!(heard > 0 && heard * 2 <= asked * 3);
    let before = world.seen.len();
    world.pass(Duration::from_secs(70));
    let later = world.seen[before..].iter().filter(|seen| sources.contains_key(&seen.to)).count();
    assert_eq!(later, 0, "nothing is sent again");
    world.seen.clear();
    still_serves(world);
}

#[test]
fn class_17_no_header_turns_an_answer_to_a_victim() {
    const VICTIM: &str = "203.0.113.200";
    let mut world = world();
    for (number, method) in METHODS.into_iter().enumerate() {
        for tag in [None, Some("t".to_owned())] {
            let mut ask = Ask::new(method, "sip:222@acme.example", "221@acme.example", "222@acme.example");
            ask.sent_by = format!("{VICTIM}:5060;received={VICTIM};maddr={VICTIM}");
            ask.branch = format!("z9hG4bK-v{number}{}", tag.is_some());
            ask.to_tag = tag;
            let lines =
                format!("Contact: <sip:x@{VICTIM}>\r\nRoute: <sip:{VICTIM};lr>\r\nRecord-Route: <sip:{VICTIM};lr>");
            tell(&mut world, STRANGER, &ask.line(lines).line(USUAL).text());
        }
    }
    world.pass(Duration::from_secs(70));
    assert!(world.seen.iter().all(|seen| seen.to.ip().to_string() != VICTIM));
    assert!(world.seen.iter().any(|seen| seen.to.to_string() == STRANGER), "the source itself was answered");
    still_serves(world);
}

/// An engine of a ring, and where it is.
struct Station {
    engine: Engine,
    address: SocketAddr,
}

/// `count` of our own daemons, each the trunk of the one before it: two agents, each rung on a number that the next one
/// serves, so that every call forks in two at every station.
fn ring(count: u8) -> Vec<Station> {
    let address = |n: u8| format!("203.0.113.{}:5060", 10 + n % count);
    let number = |n: u8, which: u8| format!("+9180412345{}{which}", n % count);
    let now = Now { mono: Instant::from_nanos(1_000_000_000), wall: WallTime::from_unix_millis(1_795_408_200_000) };
    (0..count)
        .map(|n| {
            let before = format!("203.0.113.{}", 10 + (n + count - 1) % count);
            let next = address(n + 1);
            let machine = format!(
                "[sip]\nlisten = [\"udp:{}\"]\n[control]\nsocket = \"/tmp/unused.sock\"\n\
                 [trunks.next]\nsources = [\"{}\"]\nproxy = \"sip:{next}\"\ncountry-code = \"91\"\n\
                 [trunks.before]\nsources = [\"{before}\"]\ncountry-code = \"91\"\n\
                 [trunks.outside]\nsources = [\"192.0.2.0/28\"]\ncountry-code = \"91\"\n",
                address(n),
                next.split(':').next().unwrap(),
            );
            let mut company =
                format!("name = \"C{n}\"\ndomain = \"c{n}.example\"\ntimezone = \"UTC\"\noutbound-trunk = \"next\"\n");
            for which in 0..2 {
                company.push_str(&format!(
                    "[numbers.\"{}\"]\nroutes = [{{ to = \"department:all\" }}]\n",
                    number(n, which)
                ));
            }
            company.push_str("[departments.all]\nmembers = [\"1\", \"2\"]\nring = \"10s\"\n");
            for which in 0..2 {
                company.push_str(&format!(
                    "[users.{}]\nname = \"U\"\nmobile = \"{}\"\nring-on = [\"mobile\"]\n",
                    which + 1,
                    number(n + 1, which)
                ));
            }
            let config = configuration(&machine, &[(&format!("c{n}"), &company)]);
            let listener = Listener { id: ListenerId(0), address: address(n).parse().unwrap(), advertised: address(n) };
            Station {
                engine: Engine::new(now, [n; 32], Arc::new(config), vec![listener]),
                address: address(n).parse().unwrap(),
            }
        })
        .collect()
}

#[test]
fn class_18_five_of_our_own_pointed_at_each_other_do_not_multiply_a_call() {
    let mut stations = ring(5);
    let addresses: Vec<SocketAddr> = stations.iter().map(|station| station.address).collect();
    let mut now = Now { mono: Instant::from_nanos(2_000_000_000), wall: WallTime::from_unix_millis(1_795_408_201_000) };
    for (n, station) in stations.iter_mut().enumerate() {
        let trunk = switchboard::id::TrunkId::new("next");
        let addresses = vec![addresses[(n + 1) % addresses.len()]];
        station.engine.handle_input(now, Input::TrunkAddresses { trunk, addresses });
    }
    let outside: SocketAddr = TRUNK.parse().unwrap();
    let mut caller = Party::caller(TRUNK, "round", "sip:+918041234500@203.0.113.10");
    let mut wire: VecDeque<(SocketAddr, SocketAddr, Bytes)> = VecDeque::new();
    wire.push_back((outside, addresses[0], Bytes::from(caller.request("INVITE", "", "").into_bytes())));
    let (mut invites, mut datagrams, mut last) = (BTreeSet::new(), 0_u32, None);
    let end = now.mono + Duration::from_secs(400);
    while now.mono < end {
        while let Some((from, to, bytes)) = wire.pop_front() {
            datagrams += 1;
            assert!(datagrams < 5_000, "the call multiplies: {} INVITEs so far", invites.len());
            let seen = Seen { from, to, bytes: bytes.clone() };
            if to == outside {
                if bytes.starts_with(b"SIP/2.0") && status(&seen) >= 200 {
                    last = Some(status(&seen));
                    wire.push_back((outside, addresses[0], Bytes::from(caller.ack_failure(&seen).into_bytes())));
                }
                continue;
            }
            if bytes.starts_with(b"INVITE") {
                invites.insert(script::branch(&seen));
            }
            let Some(station) = stations.iter_mut().find(|station| station.address == to) else {
                panic!("a datagram to {to}");
            };
            station
                .engine
                .handle_input(now, Input::Datagram { flow: Flow { local: ListenerId(0), remote: from }, bytes });
            while let Some(output) = station.engine.poll_output() {
                if let Output::Datagram { flow, bytes } = output {
                    wire.push_back((station.address, flow.remote, bytes));
                }
            }
        }
        let Some(next) = stations.iter().filter_map(|station| station.engine.poll_timeout()).min() else { break };
        let passed = next.since(now.mono);
        now = now + passed.max(Duration::from_millis(1));
        for station in &mut stations {
            station.engine.handle_timeout(now);
            while let Some(output) = station.engine.poll_output() {
                if let Output::Datagram { flow, bytes } = output {
                    wire.push_back((station.address, flow.remote, bytes));
                }
            }
        }
    }
    assert!(invites.len() > 5, "it went round: {}", invites.len());
    assert!(invites.len() <= 40, "{} branches of one call", invites.len());
    assert!(last.is_some_and(|status| status >= 400), "the caller is told in the end: {last:?}");
    for station in &stations {
        assert!(station.engine.audit().is_empty(), "{:?}", station.engine.audit());
    }
}
