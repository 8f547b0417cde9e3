//! The company's door and the route behind it, in one fixed order.

use std::sync::Arc;

use super::{
    Answer, AnswerCause, Arrival, Called, Company, CompanyStatus, DecisionRecord, Destination, DoorRecord, Number,
    PassedRouteRecord, Plan, Presence, Route, RouteRecord, words,
};
use crate::time::Now;

/// Lets a call in, to its first destination, or refuses it. The record is told either way.
pub(super) fn enter(
    now: Now,
    plan: &Plan,
    arrival: &Arrival,
    presence: &dyn Presence,
    record: &mut DecisionRecord,
) -> Result<(Arc<Company>, Destination), Answer> {
    match &arrival.called {
        Called::Number(number) => {
            let Some((company, number)) = plan.numbers.get(number) else {
                return refuse(record, AnswerCause::UnknownNumber, "nobody has this number", "in no company's numbers");
            };
            record.label.clone_from(&number.label);
            admit(now, company, arrival, presence, record)?;
            let to = route(now, number, arrival, record)?;
            Ok((Arc::clone(company), to))
        }
        Called::User(user) => {
            // one extension dials another in its company.
            let own = arrival.from_user.as_ref().is_some_and(|from| from.company == user.company);
            let company = plan.companies.get(&user.company).filter(|_| own);
            let Some(company) = company else {
                return refuse(record, AnswerCause::UnknownNumber, "nobody has this extension", "not of this company");
            };
            admit(now, company, arrival, presence, record)?;
            if !company.users.contains_key(&user.extension) {
                return refuse(record, AnswerCause::UnknownNumber, "nobody has this extension", "no user has it");
            }
            let to = Destination::User(user.extension.clone());
            record.route = Some(RouteRecord { to: words::destination(&to), hours: None, rule: None, callers: None });
            Ok((Arc::clone(company), to))
        }
        Called::Unknown(_) => {
            refuse(record, AnswerCause::UnknownNumber, "nobody has this number", "neither a number nor an extension")
        }
    }
}

/// suspended; blocked; at its limit.
fn admit(
    now: Now,
    company: &Company,
    arrival: &Arrival,
    presence: &dyn Presence,
    record: &mut DecisionRecord,
) -> Result<(), Answer> {
    record.company = Some(company.id.to_string());
    record.at = words::stamp(now.wall, company.timezone);
    match company.status {
        CompanyStatus::Active => {}
        CompanyStatus::Suspended => {
            let text = format!("{} is suspended", company.id);
            return refuse(record, AnswerCause::Suspended, &text, "status is suspended");
        }
    }
    let own = arrival.from_user.as_ref().is_some_and(|from| from.company == company.id);
    let blocked = company.blocked_callers.iter().find(|pattern| !own && pattern.matches(&arrival.caller));
    if let Some(pattern) = blocked {
        return refuse(record, AnswerCause::BlockedCaller, "the caller is blocked", &pattern.to_string());
    }
    let calls = presence.calls_of(&company.id);
    if let Some(limit) = company.max_calls.filter(|limit| calls >= *limit) {
        let text = format!("{} is at its limit of calls", company.id);
        return refuse(record, AnswerCause::CompanyLimit, &text, &format!("{calls} of {limit} calls"));
    }
    Ok(())
}

/// the number's hours, then the first route that is open to this caller.
fn route(now: Now, number: &Number, arrival: &Arrival, record: &mut DecisionRecord) -> Result<Destination, Answer> {
    if let Some(hours) = &number.hours {
        if !hours.schedule.is_open(now.wall) {
            let evidence = words::outside(hours, now.wall);
            return refuse(record, AnswerCause::NoRoute, "the number is closed now", &evidence);
        }
        record.number_hours = Some(words::within(hours, now.wall));
    }
    for route in &number.routes {
        match open(now, route, arrival) {
            Ok(taken) => {
                record.route = Some(taken);
                return Ok(route.to.clone());
            }
            Err(evidence) => record.passed.push(PassedRouteRecord { to: words::destination(&route.to), evidence }),
        }
    }
    refuse(record, AnswerCause::NoRoute, "no route is open now", &format!("{} routes passed", number.routes.len()))
}

/// Whether a route is taken, or why not.
fn open(now: Now, route: &Route, arrival: &Arrival) -> Result<RouteRecord, String> {
    if let Some(hours) = route.hours.as_ref().filter(|hours| !hours.schedule.is_open(now.wall)) {
        return Err(words::outside(hours, now.wall));
    }
    let callers = match &route.callers {
        None => None,
        Some(patterns) => match patterns.iter().find(|pattern| pattern.matches(&arrival.caller)) {
            Some(pattern) => Some(pattern.to_string()),
            None => return Err("not for this caller".to_owned()),
        },
    };
    let hours = route.hours.as_ref().map(|hours| hours.id.to_string());
    let rule = route.hours.as_ref().map(|hours| words::within(hours, now.wall));
    Ok(RouteRecord { to: words::destination(&route.to), hours, rule, callers })
}

fn refuse<T>(record: &mut DecisionRecord, cause: AnswerCause, text: &str, evidence: &str) -> Result<T, Answer> {
    record.door = Some(DoorRecord { refused: cause, evidence: evidence.to_owned() });
    Err(Answer::new(cause, text))
}
