//! What happens to a world, as one list made before it begins: its phones, its calls, and every blow of fate with its moment.
//! Each kind of thing is drawn from dice of its own, so that a fault left out changes nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::dice::Dice;
use super::draw::CALLERS;
use super::faults::Faults;
use super::history::{MILLISECOND, Nanos, SECOND};
use super::model::{Company, Department, Destination, Model, Route, Strategy, Trunk, User};
use super::peers::{Caller, PlannedCall};

/// When the world begins.
pub const BEGINNING: Nanos = SECOND;

/// The company, number, user and trunk whose call must succeed once all is well again.
pub const PROBE_NUMBER: &str = "+4420700900900";
pub const PROBE_COMPANY: &str = "probe";
const PROBE_USER: &str = "900";

#[derive(Clone, Debug)]
pub struct PlannedPhone {
    pub company: String,
    pub extension: String,
    pub domain: String,
    pub password: String,
    pub address: SocketAddr,
    /// `None`: it is switched off until the end.
    pub registers_at: Option<Nanos>,
}

/// Something that comes over the world.
#[derive(Clone, Debug)]
pub enum Act {
    /// A right version of the configuration, the next one.
    Reload,
    /// A wrong one.
    Break,
    /// An admin's or a user's switch: `pause`, `resume`, `away`, `back`, and whose (`221@acme`).
    Switch(&'static str, String),
    /// The engine dies after so many outputs more, and is gone for a while.
    Kill {
        outputs: usize,
        down: Nanos,
    },
    /// It dies inside the next write of the journal.
    Tear {
        down: Nanos,
    },
    Stand(Nanos),
    Jump(i64),
    /// Nothing becomes durable for that long.
    Hang(Nanos),
    /// A phone's NAT gives it another address.
    Rebind(usize),
    /// A phone boots, on another port.
    Reboot(usize),
    /// A phone says goodbye, and comes back.
    Leave(usize),
}

#[derive(Clone, Debug)]
pub struct Script {
    pub phones: Vec<PlannedPhone>,
    pub calls: Vec<PlannedCall>,
    pub acts: Vec<(Nanos, Act)>,
    /// All calls have begun by then.
    pub span: Nanos,
}

/// How many calls a world has.
pub const CALLS: u64 = 50;

/// Adds the company whose call must succeed in the end to a model.
pub fn with_probe(mut model: Model) -> Model {
    model.trunks.push(Trunk {
        id: PROBE_COMPANY.to_owned(),
        address: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 14), 5060)),
        country: "44",
        max_calls: None,
    });
    let user = User {
        extension: PROBE_USER.to_owned(),
        person: None,
        status: "active",
        take_calls: true,
        hours: None,
        mobile: None,
        devices: true,
        ring: 20,
        overflow: Vec::new(),
        password: format!("secret-{PROBE_USER}"),
    };
    let department = Department {
        id: "desk".to_owned(),
        members: vec![PROBE_USER.to_owned()],
        strategy: Strategy::Simultaneous,
        ring: 20,
        wait: 0,
        wrap_up: 0,
        max_ring: 5,
        max_waiting: 1,
        sticky: None,
        hours: None,
        overflow: Vec::new(),
    };
    model.companies.push(Company {
        id: PROBE_COMPANY.to_owned(),
        domain: "probe.example".to_owned(),
        zone: "Europe/London",
        suspended: false,
        blocked: Vec::new(),
        max_calls: None,
        hours: Vec::new(),
        numbers: vec![super::model::CompanyNumber {
            number: PROBE_NUMBER.to_owned(),
            routes: vec![Route { hours: None, callers: Vec::new(), to: Destination::Department("desk".to_owned()) }],
        }],
        departments: vec![department],
        users: vec![user],
    });
    model
}

impl Script {
    pub fn drawn(seed: u64, faults: &Faults, model: &Model) -> Script {
        let mut dice = Dice::of_their_own(seed, "script", 0);
        let span = dice.of(&[8, 40, 120, 240]) * SECOND;
        let phones = phones(seed, model);
        let calls = (0..CALLS).map(|number| call(seed, number, span, faults, model, &phones)).collect();
        let mut acts = acts(seed, span, faults, model, &phones);
        acts.sort_by_key(|(at, _)| *at);
        Script { phones, calls, acts, span }
    }
}

impl Script {
    /// The phones of a model alone: nobody calls, and nothing comes over them.
    pub fn of_phones(seed: u64, model: &Model) -> Script {
        Script { phones: phones(seed, model), calls: Vec::new(), acts: Vec::new(), span: 0 }
    }
}

fn phones(seed: u64, model: &Model) -> Vec<PlannedPhone> {
    let mut phones = Vec::new();
    for company in &model.companies {
        for user in company.users.iter().filter(|user| user.devices) {
            let mut dice = Dice::of_their_own(seed, "phones of", phones.len() as u64);
            let is_probe = company.id == PROBE_COMPANY;
            let devices = if !is_probe && dice.thousandths(200) { 2 } else { 1 };
            for _ in 0..devices {
                let place = u8::try_from(phones.len() + 1).expect("few phones");
                let off = !is_probe && dice.thousandths(80);
                phones.push(PlannedPhone {
                    company: company.id.clone(),
                    extension: user.extension.clone(),
                    domain: company.domain.clone(),
                    password: user.password.clone(),
                    address: SocketAddr::from((Ipv4Addr::new(198, 51, 100, place), 5060)),
                    registers_at: (!off).then(|| BEGINNING + dice.below(1_500) * MILLISECOND),
                });
            }
        }
    }
    phones
}

/// A number as a trunk of that country may write it.
fn written(number: &str, country: &str, dice: &mut Dice) -> String {
    let digits = &number[1..];
    match digits.strip_prefix(country) {
        Some(national) => match dice.below(8) {
            0 => format!("00{digits}"),
            1 => digits.to_owned(),
            2 => format!("0{national}"),
            3 => national.to_owned(),
            _ => number.to_owned(),
        },
        None if dice.below(4) == 0 => format!("00{digits}"),
        None => number.to_owned(),
    }
}

fn call(seed: u64, number: u64, span: Nanos, faults: &Faults, model: &Model, phones: &[PlannedPhone]) -> PlannedCall {
    let mut dice = Dice::of_their_own(seed, "call", number);
    // The first ones may come all at once.
    let burst = number < faults.trunk.burst;
    let at = BEGINNING + 3 * SECOND + if burst { span / 2 } else { dice.below(span) };
    let companies: Vec<&Company> = model.companies.iter().filter(|company| company.id != PROBE_COMPANY).collect();
    let company = dice.of(&companies);
    let by_phone = phones.iter().enumerate().filter(|(_, phone)| phone.company == company.id);
    let by_phone: Vec<usize> = by_phone.map(|(place, _)| place).collect();
    let (caller, dialled, shown) = if !by_phone.is_empty() && dice.thousandths(150) {
        let place = dice.of(&by_phone);
        let dialled = match dice.below(5) {
            0 => dice.of(&company.numbers).number,
            1 => "999".to_owned(),
            _ => dice.of(&company.users).extension,
        };
        (Caller::Phone(place), dialled, String::new())
    } else {
        let trunks = model.trunks.iter().enumerate().filter(|(_, trunk)| trunk.id != PROBE_COMPANY);
        let trunks: Vec<usize> = trunks.map(|(place, _)| place).collect();
        let place = dice.of(&trunks);
        let country = model.trunks[place].country;
        let called = if dice.thousandths(30) { "+4930555000999".to_owned() } else { dice.of(&company.numbers).number };
        let dialled = written(&called, country, &mut dice);
        let shown = match dice.of(&CALLERS) {
            shown if shown.starts_with('+') && dice.below(6) == 0 => format!("00{}", &shown[1..]),
            shown => shown.to_owned(),
        };
        (Caller::Trunk(place), dialled, shown)
    };
    let talk = dice.millis(500, 20_000);
    let patience = dice.millis(15_000, 90_000);
    let nanos = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(Nanos::MAX);
    PlannedCall { number, at, caller, dialled, shown, talk: nanos(talk), patience: nanos(patience) }
}

fn acts(seed: u64, span: Nanos, faults: &Faults, model: &Model, phones: &[PlannedPhone]) -> Vec<(Nanos, Act)> {
    let mut acts = Vec::new();
    let mut times = |name: &str, count: u64, make: &mut dyn FnMut(&mut Dice) -> Act| {
        for number in 0..count {
            let mut dice = Dice::of_their_own(seed, name, number);
            let at = BEGINNING + 2 * SECOND + dice.below(span + 10 * SECOND);
            acts.push((at, make(&mut dice)));
        }
    };
    let users: Vec<String> = model
        .companies
        .iter()
        .filter(|company| company.id != PROBE_COMPANY)
        .flat_map(|company| company.users.iter().map(|user| format!("{}@{}", user.extension, company.id)))
        .collect();
    let movable = phones.len().saturating_sub(1).max(1) as u64;
    let down = |dice: &mut Dice| dice.of(&[1, 50, 700, 3_000, 20_000]) * MILLISECOND;
    times("reload", faults.config.reloads, &mut |_| Act::Reload);
    times("break", faults.config.broken, &mut |_| Act::Break);
    times("switch", faults.config.switches, &mut |dice| {
        Act::Switch(dice.of(&["pause", "resume", "away", "back"]), dice.of(&users))
    });
    times("kill", faults.process.kills, &mut |dice| Act::Kill { outputs: dice.below(12) as usize, down: down(dice) });
    times("tear", faults.process.torn, &mut |dice| Act::Tear { down: down(dice) });
    times("stand", faults.time.pauses, &mut |dice| {
        Act::Stand((1 + dice.below(faults.time.pause.max(1))) * MILLISECOND)
    });
    times("jump", faults.time.jumps, &mut |dice| {
        let far = 1 + dice.below(faults.time.jump.max(1)) as i64;
        Act::Jump(if dice.below(2) == 0 { far } else { -far })
    });
    times("slow", faults.process.slow, &mut |_| Act::Hang(faults.process.slowness * MILLISECOND));
    times("full", faults.process.full, &mut |dice| Act::Hang(dice.of(&[10, 60]) * SECOND));
    for place in 0..movable {
        let mut dice = Dice::of_their_own(seed, "fate of phone", place);
        let which = usize::try_from(place).unwrap_or_default();
        let mut maybe = |chance: u64, act: Act| {
            // Drawn whether or not it happens: what one fault needs does not move the others.
            let (happens, at) = (dice.thousandths(chance), BEGINNING + 2 * SECOND + dice.below(span + 10 * SECOND));
            if happens {
                acts.push((at, act));
            }
        };
        maybe(faults.link.rebind * 100, Act::Rebind(which));
        maybe(faults.phone.reboots * 3, Act::Reboot(which));
        maybe(if faults.none() { 0 } else { 60 }, Act::Leave(which));
    }
    acts
}
