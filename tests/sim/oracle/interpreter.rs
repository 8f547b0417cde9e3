//! Reads a [`Model`] as product.md's rules R-1 … R-8 say, in the most naive way: every question anew from the written values. It knows
//! nothing of how the daemon compiles or keeps them, and remembers nothing.

use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Duration, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::model::{Company, Department, Destination, Model, Route, Strategy, Trunk, User};

/// What R-2 says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The name of the row of R-8.
    Refused(&'static str),
    /// the first route that is open.
    Open(Destination),
}

/// whether these hours of a company are open at a moment, in milliseconds since 1970.
pub fn is_open(company: &Company, hours: &str, wall: i64) -> bool {
    let Some(hours) = company.hours.iter().find(|known| known.id == hours) else { return false };
    let today = today(company, wall);
    // A window that ends at midnight in a zone whose clocks change then may reach into the next day.
    [today.checked_sub_days(Days::new(1)), Some(today)].into_iter().flatten().any(|date| {
        let windows = &hours.week[date.weekday().num_days_from_monday() as usize];
        windows.iter().any(|(from, to)| starts(company, date, *from) <= wall && wall < ends(company, date, *to))
    })
}

/// The date on the company's clock.
pub fn today(company: &Company, wall: i64) -> NaiveDate {
    zone(company).from_utc_datetime(&DateTime::<Utc>::from_timestamp_millis(wall).unwrap().naive_utc()).date_naive()
}

fn zone(company: &Company) -> Tz {
    Tz::from_str(company.zone).unwrap()
}

fn written(date: NaiveDate, minutes: u16) -> NaiveDateTime {
    date.and_hms_opt(0, 0, 0).unwrap() + Duration::minutes(i64::from(minutes))
}

/// of a time that occurs twice the first occurrence starts a window.
fn starts(company: &Company, date: NaiveDate, minutes: u16) -> i64 {
    match zone(company).from_local_datetime(&written(date, minutes)) {
        LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment.timestamp_millis(),
        LocalResult::None => behind_the_gap(company, written(date, minutes)),
    }
}

/// and the second ends it.
fn ends(company: &Company, date: NaiveDate, minutes: u16) -> i64 {
    match zone(company).from_local_datetime(&written(date, minutes)) {
        LocalResult::Single(moment) | LocalResult::Ambiguous(_, moment) => moment.timestamp_millis(),
        LocalResult::None => behind_the_gap(company, written(date, minutes)),
    }
}

/// "a local time that does not exist is the first instant after the gap".
fn behind_the_gap(company: &Company, mut local: NaiveDateTime) -> i64 {
    loop {
        local += Duration::minutes(1);
        if let Some(moment) = zone(company).from_local_datetime(&local).earliest() {
            return moment.timestamp_millis();
        }
    }
}

/// the numbers that a text may mean on a trunk.
pub fn meanings(trunk: &Trunk, text: &str) -> Vec<String> {
    let bare: String = text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect();
    if bare.starts_with('+') {
        vec![bare]
    } else if let Some(rest) = bare.strip_prefix("00") {
        vec![format!("+{rest}")]
    } else if let Some(rest) = bare.strip_prefix('0') {
        vec![format!("+{}{rest}", trunk.country)]
    } else {
        vec![format!("+{bare}"), format!("+{}{bare}", trunk.country)]
    }
}

/// the configured number that is called, if any of its meanings is one.
pub fn called<'m>(model: &'m Model, trunk: &Trunk, text: &str) -> Option<(&'m Company, String)> {
    meanings(trunk, text).into_iter().find_map(|number| model.number(&number).map(|(company, _)| (company, number)))
}

/// Whether a block list's or a route's word means this caller.
pub fn matches(pattern: &str, caller: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => caller.starts_with(prefix),
        None => pattern == caller,
    }
}

/// for a number: `calls` are those of the company that go on, `colleague` whether a user of it calls.
pub fn door(company: &Company, number: &str, caller: &str, calls: u32, wall: i64, colleague: Colleague) -> Door {
    if let Some(refused) = refused(company, caller, calls, colleague) {
        return refused;
    }
    let Some(number) = company.numbers.iter().find(|known| known.number == number) else {
        return Door::Refused("unknown-number");
    };
    let taken = number.routes.iter().find(|route| is_taken(company, route, caller, wall));
    taken.map_or(Door::Refused("no-route"), |route| Door::Open(route.to.clone()))
}

/// R-2, as far as it is about the company.
pub fn refused(company: &Company, caller: &str, calls: u32, colleague: Colleague) -> Option<Door> {
    if company.suspended {
        return Some(Door::Refused("suspended"));
    }
    if colleague == Colleague::No && company.blocked.iter().any(|pattern| matches(pattern, caller)) {
        return Some(Door::Refused("blocked-caller"));
    }
    company.max_calls.is_some_and(|most| calls >= most).then_some(Door::Refused("company-limit"))
}

/// Whether a user of the same company calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colleague {
    Yes,
    No,
}

fn is_taken(company: &Company, route: &Route, caller: &str, wall: i64) -> bool {
    route.hours.as_ref().is_none_or(|hours| is_open(company, hours, wall))
        && (route.callers.is_empty() || route.callers.iter().any(|pattern| matches(pattern, caller)))
}

/// What a department remembers of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worked {
    pub day: NaiveDate,
    pub calls: u32,
    /// When the last call was answered or ended, on the wall's clock.
    pub last: i64,
}

/// the order in which members are looked at, by their positions; `None`: any order is right.
pub fn order<'w>(
    department: &Department,
    last_offered: Option<&str>,
    worked: impl Fn(&str) -> Option<&'w Worked>,
    today: NaiveDate,
) -> Option<Vec<usize>> {
    let members = &department.members;
    let mut order: Vec<usize> = (0..members.len()).collect();
    match department.strategy {
        Strategy::Serial | Strategy::Simultaneous => {}
        Strategy::Random => return None,
        Strategy::RoundRobin => {
            if let Some(last) = members.iter().position(|member| Some(member.as_str()) == last_offered) {
                order.rotate_left(last + 1);
            }
        }
        Strategy::LongestIdle => order.sort_by_key(|at| worked(&members[*at]).map(|worked| worked.last)),
        Strategy::FewestCalls => order.sort_by_key(|at| {
            worked(&members[*at]).filter(|worked| worked.day == today).map_or(0, |worked| worked.calls)
        }),
    }
    Some(order)
}

/// how many are rung at once.
pub fn breadth(department: &Department) -> usize {
    if department.strategy == Strategy::Simultaneous { department.max_ring } else { 1 }
}

/// R-6, as far as it stands in the configuration and in the user's switches: the first reason against ringing somebody.
pub fn against(
    company: &Company,
    user: &User,
    switches: Switches,
    registered: Registered,
    wall: i64,
) -> Option<&'static str> {
    if user.status != "active" {
        Some("disabled")
    } else if switches.paused {
        Some("paused")
    } else if !switches.takes_calls.unwrap_or(user.take_calls) {
        Some("away")
    } else if user.hours.as_ref().is_some_and(|hours| !is_open(company, hours, wall)) {
        Some("off-hours")
    } else if user.mobile.is_none() && registered == Registered::No {
        Some("not-registered")
    } else {
        None
    }
}

/// What was switched at run time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    pub takes_calls: Option<bool>,
    pub paused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    Yes,
    No,
}

/// where a cause leads.
pub fn overflow<'m>(entries: &'m [(&'static str, Destination)], cause: &str) -> Option<&'m Destination> {
    let of = |wanted: &str| entries.iter().find(|(key, _)| *key == wanted).map(|(_, to)| to);
    of(cause).or_else(|| of("default"))
}

/// status and Q.850 cause.
pub fn answer(cause: &str) -> Option<(u16, u16)> {
    Some(match cause {
        "unknown-number" => (404, 1),
        "suspended" => (403, 21),
        "blocked-caller" | "reject-decline" => (603, 21),
        "company-limit" | "busy" | "full" | "reject-busy" => (486, 17),
        "trunk-limit" => (503, 42),
        "no-route" | "closed" | "reject-unavailable" => (480, 31),
        "unavailable" => (480, 20),
        "no-answer" | "timeout" => (480, 19),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CompanyNumber, Hours};

    fn company(zone: &'static str, windows: Vec<(u16, u16)>) -> Company {
        Company {
            id: "one".into(),
            domain: "one.example".into(),
            zone,
            suspended: false,
            blocked: vec!["+9198*".into(), "anonymous".into()],
            max_calls: Some(2),
            hours: vec![Hours { id: "open".into(), week: std::array::from_fn(|_| windows.clone()) }],
            numbers: vec![CompanyNumber {
                number: "+918041234500".into(),
                routes: vec![
                    Route { hours: Some("open".into()), callers: Vec::new(), to: Destination::User("1".into()) },
                    Route { hours: None, callers: vec!["+49*".into()], to: Destination::Reject("busy") },
                ],
            }],
            departments: Vec::new(),
            users: Vec::new(),
        }
    }

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn hours_are_half_open_and_know_summer_time() {
        let office = company("Asia/Kolkata", vec![(600, 720), (1380, 1440)]);
        for (moment, open) in [
            ("2026-11-23T09:59:59.999+05:30", false),
            ("2026-11-23T10:00:00+05:30", true),
            ("2026-11-23T11:59:59.999+05:30", true),
            ("2026-11-23T12:00:00+05:30", false),
            ("2026-11-23T23:59:59.999+05:30", true),
            ("2026-11-24T00:00:00+05:30", false),
        ] {
            assert_eq!(is_open(&office, "open", at(moment)), open, "{moment}");
        }
        // 02:30 does not exist on that day in spring and occurs twice on that in autumn.
        let night = company("Europe/Berlin", vec![(150, 160)]);
        assert!(!is_open(&night, "open", at("2027-03-28T01:00:00Z")), "from 03:00 to 03:00 is nothing");
        let long = company("Europe/Berlin", vec![(150, 240)]);
        assert!(!is_open(&long, "open", at("2027-03-28T00:59:59Z")));
        assert!(is_open(&long, "open", at("2027-03-28T01:00:00Z")));
        assert!(!is_open(&night, "open", at("2026-10-25T00:29:59Z")));
        assert!(is_open(&night, "open", at("2026-10-25T00:30:00Z")));
        assert!(is_open(&night, "open", at("2026-10-25T01:39:59Z")), "until 02:40 the second time");
        assert!(!is_open(&night, "open", at("2026-10-25T01:40:00Z")));
    }

    #[test]
    fn the_door_is_gone_through_in_its_order() {
        let mut office = company("Asia/Kolkata", vec![(600, 720)]);
        let (open, shut) = (at("2026-11-23T10:00:00+05:30"), at("2026-11-23T13:00:00+05:30"));
        let number = "+918041234500";
        let ask =
            |office: &Company, caller: &str, calls, wall| door(office, number, caller, calls, wall, Colleague::No);
        assert_eq!(ask(&office, "+4930", 0, open), Door::Open(Destination::User("1".into())));
        assert_eq!(ask(&office, "+4930", 0, shut), Door::Open(Destination::Reject("busy")));
        assert_eq!(ask(&office, "+4430", 0, shut), Door::Refused("no-route"));
        assert_eq!(ask(&office, "+4430", 2, shut), Door::Refused("company-limit"));
        assert_eq!(ask(&office, "+91981", 2, shut), Door::Refused("blocked-caller"));
        assert_eq!(door(&office, number, "+91981", 0, open, Colleague::Yes), Door::Open(Destination::User("1".into())));
        office.suspended = true;
        assert_eq!(ask(&office, "anonymous", 2, shut), Door::Refused("suspended"));
    }

    #[test]
    fn a_number_is_one_in_all_its_forms() {
        let trunk =
            Trunk { id: "first".into(), address: "192.0.2.1:5060".parse().unwrap(), country: "91", max_calls: None };
        for text in ["+918041234500", "00918041234500", "918041234500", "08041234500", "8041234500", "+91 80-4123.4500"]
        {
            assert!(meanings(&trunk, text).contains(&"+918041234500".to_owned()), "{text}");
        }
    }
}
