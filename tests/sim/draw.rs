//! Draws configurations: a first one, right ones that may follow it, and broken ones. All of it follows from a seed, and all right ones
//! load.

use std::str::FromStr;

use chrono::{DateTime, Datelike, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::dice::Dice;
use super::faults::Faults;
use super::model::{
    Company, CompanyNumber, Department, Destination, Hours, Model, Route, Sticky, Strategy, Trunk, User,
};

mod broken;
mod next;

pub use broken::{broken, worded};
pub use next::next;

/// Outside callers: the block lists and routes of a drawn model are about these. More of them would seldom meet a sticky memory.
pub const CALLERS: [&str; 8] = [
    "+919811112220",
    "+919811112221",
    "+919811113330",
    "+914412345678",
    "+4915112345670",
    "+4915112345671",
    "+447700900123",
    "anonymous",
];

/// What a route or a block list says of callers.
const PATTERNS: [&str; 7] =
    ["+91*", "+9198*", "+919811112220", "+49151*", "+4915112345671", "+447700900123", "anonymous"];
/// Reached through the first trunk, as a destination.
pub const OUTSIDE: [&str; 3] = ["+919800000001", "+919800000002", "+4989000003"];

const COMPANIES: [&str; 3] = ["one", "two", "three"];
const TRUNKS: [(&str, &str, &str); 3] =
    [("first", "192.0.2.1:5060", "91"), ("second", "192.0.2.2:5060", "49"), ("third", "192.0.2.3:5060", "44")];
/// A zone, and how the numbers of a company there begin; two digits follow.
const PLACES: [(&str, &str); 4] = [
    ("Asia/Kolkata", "+9180412345"),
    ("Europe/Berlin", "+4930123456"),
    ("Europe/London", "+4420712345"),
    ("America/New_York", "+1212555012"),
];
const DEPARTMENTS: [&str; 4] = ["sales", "support", "desk", "night"];
const PERSONS: [&str; 4] = ["asha", "ravi", "mina", "otto"];
const STRATEGIES: [Strategy; 6] = [
    Strategy::Serial,
    Strategy::Simultaneous,
    Strategy::RoundRobin,
    Strategy::LongestIdle,
    Strategy::FewestCalls,
    Strategy::Random,
];
const REFUSALS: [&str; 3] = ["busy", "unavailable", "decline"];
pub const CAUSES: [&str; 6] = ["closed", "unavailable", "busy", "full", "timeout", "no-answer"];

/// The configuration a world begins with.
pub fn drawn(seed: u64, faults: &Faults) -> Model {
    let places = places(seed);
    let beginning = begins(seed, faults);
    let mut dice = Dice::of_their_own(seed, "model", 0);
    let dice = &mut dice;
    let trunks = TRUNKS.iter().take(dice.of(&[1, 2, 2, 3])).map(|trunk| Trunk {
        id: trunk.0.to_owned(),
        address: trunk.1.parse().unwrap(),
        country: trunk.2,
        max_calls: dice.thousandths(120).then(|| dice.of(&[2, 4, 8])),
    });
    let trunks = trunks.collect();
    let count = dice.of(&[1, 2, 2, 3]);
    let companies = (0..count).map(|which| company(which, places[which], beginning, dice, faults)).collect();
    Model { listen: vec!["203.0.113.10:5060".parse().unwrap()], trunks, companies }
}

/// When the world of a seed begins, in milliseconds since 1970: Monday 2026-11-23 10:00 where its first company is, or shortly before
/// something that its clocks find hard.
pub fn begins(seed: u64, faults: &Faults) -> i64 {
    let zone = zone(places(seed)[0].0);
    let usual = local(zone, 2026, 11, 23, 10, 0);
    if !faults.time.edge {
        return usual;
    }
    let mut dice = Dice::of_their_own(seed, "beginning", 0);
    let changes = match zone {
        Tz::America__New_York => ["2026-11-01T06:00:00Z", "2027-03-14T07:00:00Z"],
        _ => ["2026-10-25T01:00:00Z", "2027-03-28T01:00:00Z"],
    };
    let changes = changes.map(|moment| DateTime::parse_from_rfc3339(moment).unwrap().timestamp_millis());
    let moment =
        dice.of(&[usual, changes[0], changes[1], local(zone, 2027, 1, 1, 0, 0), local(zone, 2026, 11, 24, 0, 0)]);
    moment - dice.millis(5_000, 400_000).as_millis() as i64
}

fn places(seed: u64) -> [(&'static str, &'static str); 3] {
    let mut dice = Dice::of_their_own(seed, "places", 0);
    let mut places = PLACES.to_vec();
    [0; 3].map(|_| places.remove(dice.below(places.len() as u64) as usize))
}

fn zone(name: &str) -> Tz {
    Tz::from_str(name).unwrap()
}

fn local(zone: Tz, year: i32, month: u32, day: u32, hour: u32, minute: u32) -> i64 {
    zone.with_ymd_and_hms(year, month, day, hour, minute, 0).earliest().unwrap().timestamp_millis()
}

fn company(
    which: usize,
    (zone_name, prefix): (&'static str, &'static str),
    beginning: i64,
    dice: &mut Dice,
    faults: &Faults,
) -> Company {
    let id = COMPANIES[which].to_owned();
    let mut company = Company {
        domain: format!("{id}.example"),
        id,
        zone: zone_name,
        suspended: dice.thousandths(30),
        blocked: if dice.thousandths(250) { vec![dice.of(&PATTERNS[1..]).to_owned()] } else { Vec::new() },
        max_calls: dice.thousandths(150).then(|| dice.of(&[1, 2, 4, 10])),
        hours: hours(zone(zone_name), beginning, dice, faults),
        numbers: Vec::new(),
        departments: Vec::new(),
        users: Vec::new(),
    };
    for _ in 0..2 + dice.below(5) {
        let user = user(&company, which, dice);
        company.users.push(user);
    }
    let departments = 1 + dice.below(4) as usize;
    for id in DEPARTMENTS.iter().take(departments) {
        company.departments.push(department(id, &company.users, dice));
    }
    // What leads elsewhere is drawn when everything it may lead to is there.
    for place in 0..company.departments.len() {
        company.departments[place].hours = some_hours(200, dice);
        company.departments[place].overflow = overflow(&company, 550, dice);
    }
    for place in 0..company.users.len() {
        company.users[place].hours = some_hours(80, dice);
        company.users[place].overflow = overflow(&company, 250, dice);
    }
    for count in 0..1 + dice.below(3) {
        let number = CompanyNumber { number: format!("{prefix}{which}{count}"), routes: routes(&company, dice) };
        company.numbers.push(number);
    }
    company
}

/// `open` now and for hours, `closed` now and for hours; with edges, `open` closes and `closed` opens within minutes.
fn hours(zone: Tz, beginning: i64, dice: &mut Dice, faults: &Faults) -> Vec<Hours> {
    let now = zone.from_utc_datetime(&DateTime::<Utc>::from_timestamp_millis(beginning).unwrap().naive_utc());
    let minute = i64::from(now.hour() * 60 + now.minute());
    let today = i64::from(now.weekday().num_days_from_monday());
    let span = |id: &str, from: i64, to: i64| {
        let mut week: [Vec<(u16, u16)>; 7] = Default::default();
        for day in [-1, 0, 1] {
            let (from, to) = ((from - day * 1440).clamp(0, 1440), (to - day * 1440).clamp(0, 1440));
            if from < to {
                week[(today + day).rem_euclid(7) as usize].push((from as u16, to as u16));
            }
        }
        Hours { id: id.to_owned(), week }
    };
    if !faults.time.edge {
        return vec![span("open", minute - 180, minute + 600), span("closed", minute + 600, minute + 900)];
    }
    let (end, start) = (1 + dice.below(15) as i64, 1 + dice.below(15) as i64);
    let mut open = span("open", minute - 180, minute + end);
    if dice.thousandths(500) {
        // A short break, and open again.
        let again = span("open", minute + end + 1 + dice.below(4) as i64, minute + 600);
        for (windows, more) in open.week.iter_mut().zip(again.week) {
            windows.extend(more);
        }
    }
    vec![open, span("closed", minute + start, minute + start + 1 + dice.below(30) as i64)]
}

fn some_hours(thousandths: u64, dice: &mut Dice) -> Option<String> {
    dice.thousandths(thousandths).then(|| dice.of(&["open", "open", "closed"]).to_owned())
}

fn user(company: &Company, which: usize, dice: &mut Dice) -> User {
    // The same extensions in all companies: who mixes companies up is found out.
    let extension = (201..).map(|number: u64| number.to_string()).find(|name| company.user(name).is_none()).unwrap();
    let person = dice.thousandths(450).then(|| dice.of(&PERSONS).to_owned());
    // Twice in one company is allowed, and rare.
    let again = |person: &String| company.users.iter().any(|user| user.person.as_ref() == Some(person));
    let person = person.filter(|person| !again(person) || dice.thousandths(100));
    let mobile = dice.thousandths(100).then(|| format!("+9198100{which}0{extension}"));
    User {
        person,
        status: if dice.thousandths(60) { dice.of(&["pending", "disabled"]) } else { "active" },
        take_calls: !dice.thousandths(60),
        hours: None,
        devices: mobile.is_none() || dice.thousandths(700),
        mobile,
        ring: 3 + dice.below(10),
        overflow: Vec::new(),
        password: format!("secret-{extension}"),
        extension,
    }
}

fn members(users: &[User], dice: &mut Dice) -> Vec<String> {
    if dice.thousandths(15) {
        return Vec::new();
    }
    let mut left: Vec<String> = users.iter().map(|user| user.extension.clone()).collect();
    let count = 1 + dice.below(left.len() as u64);
    (0..count).map(|_| left.remove(dice.below(left.len() as u64) as usize)).collect()
}

fn department(id: &str, users: &[User], dice: &mut Dice) -> Department {
    Department {
        id: id.to_owned(),
        members: members(users, dice),
        strategy: dice.of(&STRATEGIES),
        ring: 3 + dice.below(10),
        wait: if dice.thousandths(500) { 10 + dice.below(31) } else { 0 },
        wrap_up: if dice.thousandths(400) { 1 + dice.below(5) } else { 0 },
        max_ring: dice.of(&[1, 2, 2, 3, 5]),
        max_waiting: dice.of(&[0, 1, 2, 10]),
        sticky: dice
            .thousandths(200)
            .then(|| Sticky { strict: dice.thousandths(500), window: dice.of(&[30, 300, 86_400]) }),
        hours: None,
        overflow: Vec::new(),
    }
}

fn destination(company: &Company, dice: &mut Dice) -> Destination {
    match dice.below(10) {
        0..=4 if !company.departments.is_empty() => Destination::Department(dice.of(&company.departments).id),
        5 | 6 if !company.users.is_empty() => Destination::User(dice.of(&company.users).extension),
        7 => Destination::External(dice.of(&OUTSIDE).to_owned()),
        _ => Destination::Reject(dice.of(&REFUSALS)),
    }
}

fn overflow(company: &Company, thousandths: u64, dice: &mut Dice) -> Vec<(&'static str, Destination)> {
    if !dice.thousandths(thousandths) {
        return Vec::new();
    }
    let mut entries: Vec<_> = CAUSES.into_iter().filter(|_| dice.thousandths(250)).collect();
    if entries.is_empty() || dice.thousandths(600) {
        entries.push("default");
    }
    entries.into_iter().map(|cause| (cause, destination(company, dice))).collect()
}

fn routes(company: &Company, dice: &mut Dice) -> Vec<Route> {
    let mut routes = Vec::new();
    while dice.thousandths(350) && routes.len() < 2 {
        let callers: Vec<String> = if dice.thousandths(500) { vec![dice.of(&PATTERNS).to_owned()] } else { Vec::new() };
        let hours = if callers.is_empty() { 900 } else { 300 };
        routes.push(Route { hours: some_hours(hours, dice), callers, to: destination(company, dice) });
    }
    let first = Destination::Department(company.departments.first().map(|first| first.id.clone()).unwrap_or_default());
    let to = if dice.thousandths(400) && !company.departments.is_empty() { first } else { destination(company, dice) };
    routes.push(Route { hours: some_hours(60, dice), callers: Vec::new(), to });
    routes
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use switchboard::config::{Severity, load_texts};

    use super::*;

    fn texts(files: &[(String, String)]) -> Vec<(PathBuf, Vec<u8>)> {
        files.iter().map(|(path, text)| (PathBuf::from(path), text.clone().into_bytes())).collect()
    }

    fn loads(seed: u64, model: &Model) {
        if let Err(problems) = load_texts(&texts(&model.files())) {
            panic!("seed {seed}: {}", problems.render(false));
        }
    }

    #[test]
    fn what_is_drawn_and_what_follows_it_loads() {
        for seed in 0..300 {
            let mut faults = Faults::drawn(seed);
            (faults.config.removals, faults.config.listeners) = (seed % 2 == 0, seed % 3 == 0);
            let mut model = drawn(seed, &faults);
            assert_eq!(model, drawn(seed, &faults));
            loads(seed, &model);
            let mut dice = Dice::new(seed);
            for _ in 0..3 {
                let after = next(&model, &mut dice, &faults);
                assert_ne!(after, model, "seed {seed}: nothing changed");
                model = after;
                loads(seed, &model);
            }
        }
    }

    #[test]
    fn every_planted_problem_is_named_where_it_stands() {
        let mut counts = [0; 4];
        for seed in 0..300 {
            let model = drawn(seed, &Faults::default());
            let broken = broken(&model, &mut Dice::new(seed));
            counts[broken.planted.len()] += 1;
            let problems = load_texts(&texts(&broken.files)).unwrap_err();
            for (file, line) in &broken.planted {
                let named = problems.iter().any(|problem| {
                    problem.severity == Severity::Error
                        && problem.file == Path::new(file)
                        && problem.place.as_ref().is_some_and(|place| place.line == *line)
                });
                assert!(named, "seed {seed}: nothing at {file}:{line}\n{}", problems.render(false));
            }
            for number in 1..=broken.planted.len() {
                let marks = broken::marks(number, broken.planted.len());
                let worded = worded(&problems);
                assert!(
                    worded.iter().any(|words| marks.iter().any(|mark| words.contains(mark.as_str()))),
                    "seed {seed}: {marks:?} in none of {worded:#?}"
                );
            }
        }
        assert!(counts[0] == 0 && counts[1..].iter().all(|count| *count > 50), "{counts:?}");
    }

    #[test]
    fn every_choice_is_drawn() {
        let models: Vec<Model> = (0..200).map(|seed| drawn(seed, &Faults::default())).collect();
        let companies: Vec<&Company> = models.iter().flat_map(|model| &model.companies).collect();
        for strategy in STRATEGIES {
            assert!(companies.iter().flat_map(|company| &company.departments).any(|it| it.strategy == strategy));
        }
        let routes = || companies.iter().flat_map(|company| &company.numbers).flat_map(|number| &number.routes);
        assert!(routes().any(|route| matches!(route.to, Destination::External(_))));
        assert!(routes().any(|route| matches!(route.to, Destination::User(_))));
        assert!(routes().any(|route| matches!(route.to, Destination::Reject(_))));
        let shared = models.iter().filter(|model| {
            let persons = |company: &Company| {
                company.users.iter().filter_map(|user| user.person.clone()).collect::<Vec<String>>()
            };
            let (first, others) = model.companies.split_first().unwrap();
            others.iter().any(|other| persons(other).iter().any(|person| persons(first).contains(person)))
        });
        assert!(shared.count() > 60, "persons in two companies");
    }

    #[test]
    fn a_world_begins_where_its_faults_want_it() {
        for seed in 0..200 {
            let zone = zone(places(seed)[0].0);
            let begun = zone.timestamp_millis_opt(begins(seed, &Faults::default())).unwrap();
            assert_eq!(begun.naive_local().to_string(), "2026-11-23 10:00:00");
            let mut faults = Faults::default();
            faults.time.edge = true;
            assert_ne!(begins(seed, &faults), begun.timestamp_millis());
        }
    }
}
