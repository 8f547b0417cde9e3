//! Classes 6, 7, 8 and 12: who somebody is, what nobody may ask, and what nobody is told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use switchboard::auth::{Origin, Trunks};
use switchboard::config;

use super::super::companies::{acme, one_company};
use super::super::proxy::scripted_phones;
use super::super::raw::{Account, Ask, challenges, status, tell, values};
use super::super::script::{hang_up, talk};
use super::super::world::{Seen, World};
use super::{ASHA, DESK, OTHER_DESK, SALES, STRANGER, TRUNK, USUAL, counted, heard, proven, still_serves, world};

const METHODS: [&str; 13] = [
    "INVITE",
    "OPTIONS",
    "BYE",
    "PRACK",
    "UPDATE",
    "INFO",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "MESSAGE",
    "PUBLISH",
    "ACK",
    "FROBNICATE",
];

#[test]
fn class_06_inside_a_call_every_method_is_its_ends_alone() {
    for method in METHODS {
        let sales = "[departments.sales]\nmembers = [\"221\"]\nring = \"20s\"\n";
        let mut world = World::new(one_company(sales, &[("221", ""), ("222", "")]));
        scripted_phones(&mut world, 2);
        let (mut caller, callee) = talk(&mut world, "inside", DESK, "");
        // In the caller's name and in the callee's, from everywhere but where they are.
        for (end, own) in [(&caller, TRUNK), (&callee, DESK)] {
            for from in [TRUNK, DESK, OTHER_DESK, STRANGER, "192.0.2.200:5060"] {
                if from == own {
                    continue;
                }
                for at in [TRUNK, DESK, OTHER_DESK, STRANGER] {
                    world.heard(at);
                }
                let mut thief = end.clone();
                thief.address = from.to_owned();
                world.say(from, &thief.request(method, "", ""));
                let case = format!("{method} from {from} in the name of {own}");
                for at in [TRUNK, DESK, OTHER_DESK, STRANGER] {
                    let lines = world.lines(at);
                    let refusals = lines.iter().filter(|line| {
                        line.starts_with("SIP/2.0 403")
                            || line.starts_with("SIP/2.0 407")
                            || line.starts_with("SIP/2.0 481")
                    });
                    assert_eq!(refusals.count(), lines.len(), "{case}: {at} heard {lines:?}");
                    assert!(lines.is_empty() || (at == from && method != "ACK"), "{case}: {at} heard {lines:?}");
                }
            }
        }
        assert_eq!(world.busy(), ["221@acme on-call"], "{method}");
        hang_up(&mut world, &mut caller, DESK);
        world.end();
    }
}

#[test]
fn class_06_outside_a_call_a_stranger_reaches_nobody_by_any_method() {
    let mut world = world();
    for method in METHODS.into_iter().chain(["REGISTER", "CANCEL"]) {
        for uri in
            ["sip:222@acme.example", "sip:+918041234567@203.0.113.10", "sip:222@198.51.100.2:5060", "sip:203.0.113.10"]
        {
            for from in ["221@acme.example", "+919811112222@192.0.2.1", "nobody@elsewhere.example"] {
                let mut ask = Ask::new(method, uri, from, "222@acme.example").line(USUAL);
                ask.branch = format!("z9hG4bK-{method}-{}-{}", uri.len(), from.len());
                let sent = tell(&mut world, STRANGER, &ask.text());
                assert!(sent.iter().all(|seen| seen.to.to_string() == STRANGER), "{method} {uri} {from}: {sent:?}");
                assert!(sent.iter().all(|seen| status(seen) >= 400), "{method} {uri} {from}: {sent:?}");
            }
        }
    }
    assert!(world.engine.audit().is_empty());
    still_serves(world);
}

/// A source as an admin writes it.
fn source() -> impl Strategy<Value = (IpAddr, u8, Option<u16>)> {
    let four =
        (0_u32..64, 26_u8..=32).prop_map(|(low, length)| (IpAddr::from((0xc000_0200 + low).to_be_bytes()), length));
    let six = (0_u128..16, 124_u8..=128)
        .prop_map(|(low, length)| (IpAddr::from(((0x2001_0db8_u128 << 96) + low).to_be_bytes()), length));
    (prop_oneof![four, six], prop_oneof![Just(None), Just(Some(5060)), Just(Some(5080))])
        // A port may stand behind a single address alone.
        .prop_map(|((address, length), port)| {
            let single = length == bits(address).0;
            (address, length, port.filter(|_| single))
        })
}

fn bits(address: IpAddr) -> (u8, u128) {
    match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    }
}

fn written((address, length, port): &(IpAddr, u8, Option<u16>)) -> String {
    let (width, value) = bits(*address);
    let keep = if *length == 0 { 0 } else { u128::MAX << (width - length) };
    let network = value & keep & if width == 32 { 0xffff_ffff } else { u128::MAX };
    let network =
        if width == 32 { IpAddr::from((network as u32).to_be_bytes()) } else { IpAddr::from(network.to_be_bytes()) };
    match (port, network) {
        (None, network) => format!("{network}/{length}"),
        (Some(port), network) => SocketAddr::new(network, *port).to_string(),
    }
}

proptest! {
    #[test]
    fn class_07_a_source_is_the_trunk_that_names_it_most_exactly_or_nobodys(
        trunks in proptest::collection::vec(proptest::collection::vec(source(), 0..4), 1..4),
        asked in proptest::collection::vec((0_u32..80, 0_u128..24, any::<bool>(), prop_oneof![Just(5060_u16), Just(5080), Just(9)]), 40),
    ) {
        let mut machine = "[sip]\nlisten = [\"udp:203.0.113.10:5060\"]\n[control]\nsocket = \"/tmp/unused.sock\"\n".to_owned();
        for (n, sources) in trunks.iter().enumerate() {
            let sources: Vec<String> = sources.iter().map(|one| format!("\"{}\"", written(one))).collect();
            machine.push_str(&format!("[trunks.t{n}]\nsources = [{}]\n", sources.join(", ")));
        }
        let company = acme("[departments.sales]\nmembers = []\n", &[]).replace("outbound-trunk = \"airtel\"\n", "");
        let files = vec![
            ("switchboard.toml".into(), machine.into_bytes()),
            ("companies/acme.toml".into(), company.into_bytes()),
        ];
        // What two trunks claim is a configuration error and never runs; nothing else here is.
        let mut all: Vec<String> = trunks.iter().flatten().map(written).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        let wrong = all.len() < count;
        let loaded = config::load_texts(&files);
        prop_assert_eq!(loaded.is_err(), wrong, "{:?}", loaded.err().map(|problems| problems.render(false)));
        if let Ok(config) = loaded {
            let known = Trunks::new(&config.plan);
            for (four, six, is_four, port) in asked {
                let address = if is_four {
                    IpAddr::from((0xc000_0200 + four).to_be_bytes())
                } else {
                    IpAddr::from(((0x2001_0db8_u128 << 96) + six).to_be_bytes())
                };
                // The oracle: every source of every trunk, bit by bit; the longest, then the one with a port.
                let (width, value) = bits(address);
                let best = trunks.iter().enumerate().flat_map(|(n, sources)| sources.iter().map(move |one| (n, one)))
                    .filter(|(_, (network, length, own))| {
                        let (own_width, own_value) = bits(*network);
                        own_width == width
                            && (0..*length).all(|bit| (value ^ own_value) >> (width - 1 - bit) & 1 == 0)
                            && own.is_none_or(|own| own == port)
                    })
                    .max_by_key(|(_, (_, length, own))| (*length, own.is_some()))
                    .map(|(n, _)| format!("t{n}"));
                let found = known.identify(SocketAddr::new(address, port)).map(|origin| match origin {
                    Origin::Trunk(proof) => proof.trunk().id.to_string(),
                    Origin::User(_) => "a user".to_owned(),
                });
                prop_assert_eq!(found, best, "{} of {:?}", SocketAddr::new(address, port), trunks);
            }
        }
    }
}

#[test]
fn class_07_a_user_without_a_secret_is_proven_by_nothing() {
    let load = |user: &str| {
        let company = acme(SALES, &[("222", "")]) + user;
        config::load_texts(&[
            ("switchboard.toml".into(), super::super::companies::MACHINE.as_bytes().to_vec()),
            ("companies/acme.toml".into(), company.into_bytes()),
        ])
    };
    // A phone's user without one is a configuration error; a user who has a mobile alone needs none, and is nobody to a registrar.
    let problems = load("[users.225]\nname = \"No Secret\"\n").err().map(|problems| problems.render(false));
    assert!(problems.is_some_and(|text| text.contains("has no password")));
    let config = load("[users.225]\nname = \"Mobile\"\nmobile = \"+919810000005\"\nring-on = [\"mobile\"]\n");
    let config = config.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let mut world = World::new(config);
    for password in ["", "225", "secret-225", "password"] {
        for count in 1..3 {
            let ask = Ask::register("225").line("Contact: <sip:225@198.51.100.66>").line(USUAL);
            let challenged = tell(&mut world, STRANGER, &ask.text());
            let challenge = challenges(&challenged[0]).remove(0);
            let account = Account { name: "225", password };
            let mut ask = ask.next();
            ask.branch = format!("z9hG4bK-{password}{count}");
            let sent = tell(&mut world, STRANGER, &ask.proven(&account, &challenge, count).text());
            assert_eq!(heard(&sent, STRANGER), Some(401), "{password:?}");
        }
    }
    world.end();
}

/// An answer without what must differ: nonces, tags, and the name it echoes.
fn masked(seen: &Seen, name: &str) -> String {
    let mut text = seen.text();
    for challenge in challenges(seen) {
        text = text.replace(&challenge.nonce, "NONCE");
    }
    let to = seen.header("To").unwrap();
    let tag = to.split("tag=").nth(1).unwrap_or("none");
    text.replace(tag, "TAG").replace(name, "NAME")
}

#[test]
fn class_08_thirty_guesses_hear_the_same_and_do_the_same_work_whoever_there_is() {
    // Also where guesses are no longer looked at, and by every method that is challenged.
    for method in ["REGISTER", "INVITE"] {
        let mut told = Vec::new();
        for name in ["221", "223", "224", "999", "xyz"] {
            let mut world = world();
            let (events, mut story) = (world.events.len(), Vec::new());
            for n in 0..30 {
                let own = format!("{name}@acme.example");
                let uri = if method == "INVITE" { "sip:222@acme.example" } else { "sip:acme.example" };
                let mut ask = Ask::new(method, uri, &own, &own).line("Contact: <sip:x@198.51.100.66>").line(USUAL);
                ask.branch = format!("z9hG4bK-{n}");
                ask.cseq = 1 + 2 * n;
                let challenged = tell(&mut world, STRANGER, &ask.text());
                let challenge = challenges(&challenged[0]).remove(0);
                let account = Account { name, password: "a guess" };
                let mut ask = ask.next();
                ask.branch = format!("z9hG4bK-{n}-2");
                let text = ask.proven(&account, &challenge, 1).text();
                let refused = tell(&mut world, STRANGER, &text);
                let copy = tell(&mut world, STRANGER, &text);
                for sent in [&challenged, &refused, &copy] {
                    assert_eq!(sent.len(), 1);
                    story.push(masked(&sent[0], name));
                }
            }
            // Work: what was computed, counted and put out. (The admin's log alone may name a user.)
            let unchecked = counted(&mut world, "guesses-not-checked");
            let checked =
                counted(&mut world, "wrong-credentials") + counted(&mut world, "credentials-of-inactive-user");
            assert!(unchecked > 40 && checked == 8, "{name}: {checked} looked at, {unchecked} not");
            let quiet =
                |event: &&switchboard::engine::Event| !matches!(event, switchboard::engine::Event::PhoneRefused { .. });
            let events = world.events[events..].iter().filter(quiet).count();
            told.push((story, events, unchecked, checked));
            assert!(world.engine.audit().is_empty(), "nothing is remembered of {name}");
            world.pass(Duration::from_secs(40));
        }
        for other in &told[1..] {
            assert!(*other == told[0], "{method}: {:#?}\n{:#?}", other.0.last(), told[0].0.last());
        }
    }
}

#[test]
fn class_12_whoever_is_proven_as_one_speaks_as_that_one() {
    // 221's password, with 222's name in each place where a name can stand.
    struct Case {
        what: &'static str,
        method: &'static str,
        change: fn(&mut Ask),
        expected: fn(&[Seen]) -> bool,
    }
    let refused: fn(&[Seen]) -> bool = |sent| heard(sent, DESK) == Some(403) && sent.len() == 1;
    let cases = [
        Case {
            what: "From of an INVITE",
            method: "INVITE",
            change: |ask| ask.from = "222@acme.example".into(),
            expected: refused,
        },
        Case {
            what: "From of a REGISTER",
            method: "REGISTER",
            change: |ask| ask.from = "222@acme.example".into(),
            expected: refused,
        },
        Case {
            what: "To of a REGISTER",
            method: "REGISTER",
            change: |ask| ask.to = "222@acme.example".into(),
            expected: refused,
        },
        Case {
            what: "Contact of a REGISTER",
            method: "REGISTER",
            change: |ask| ask.lines.insert(0, "Contact: <sip:222@198.51.100.2:5060>".into()),
            // It is only what 221's own phone is called by: nothing ever goes there but to where it registered from.
            expected: |sent| heard(sent, DESK) == Some(200) && sent.iter().all(|seen| seen.to.to_string() == DESK),
        },
        Case {
            what: "P-Asserted-Identity",
            method: "INVITE",
            change: |ask| {
                ask.lines.push(
                    "P-Asserted-Identity: <sip:222@acme.example>\r\nP-Preferred-Identity: <sip:222@acme.example>"
                        .into(),
                )
            },
            expected: |sent| {
                let onward: Vec<&Seen> = sent.iter().filter(|seen| seen.to.to_string() == OTHER_DESK).collect();
                !onward.is_empty() && onward.iter().all(|seen| values(seen, "P-Asserted-Identity").is_empty())
            },
        },
        Case {
            what: "a From in another domain",
            method: "INVITE",
            change: |ask| ask.from = "221@elsewhere.example".into(),
            expected: refused,
        },
    ];
    for Case { what, method, change, expected } in cases {
        let mut world = world();
        let uri = if method == "INVITE" { "sip:222@acme.example" } else { "sip:acme.example" };
        let to = if method == "INVITE" { "222@acme.example" } else { "221@acme.example" };
        let mut ask =
            Ask::new(method, uri, "221@acme.example", to).line("Contact: <sip:221@198.51.100.1:5060>").line(USUAL);
        change(&mut ask);
        let challenged = tell(&mut world, DESK, &ask.text());
        match challenged.iter().flat_map(challenges).next() {
            Some(challenge) => {
                let sent = tell(&mut world, DESK, &ask.next().proven(&ASHA, &challenge, 1).text());
                assert!(expected(&sent), "{what}: {sent:?}");
            }
            None => assert!(expected(&challenged), "{what}: {challenged:?}"),
        }
        world.settle();
        assert!(world.engine.audit().is_empty(), "{what}");
    }
    // And the Request-URI: another company's extension is nobody 221 can call.
    let mut world = world();
    let ask = Ask::new("INVITE", "sip:222@globex.example", "221@acme.example", "222@globex.example");
    let (_, sent) = proven(&mut world, DESK, &ASHA, ask.line("Contact: <sip:221@198.51.100.1:5060>"));
    assert_eq!(heard(&sent, DESK), Some(404));
    world.end();
}
