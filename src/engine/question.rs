//! `switchboard explain` (product.md §4): the same code as a live call, asked beforehand.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{LocalResult, NaiveDateTime, TimeZone as _};

use super::command::Question;
use crate::claim::Claims;
use crate::config::Config;
use crate::id::{CallRef, CompanyId, Extension, PersonId, TrunkId, UserId};
use crate::number::{self, Caller, DialRules, Form};
use crate::routing::{self, Arrival, Called, Company, DecisionRecord, Line, Memories, Plan, Presence};
use crate::time::{Now, WallTime};

/// What a running engine knows.
pub type LiveState<'a> = (&'a Claims, &'a dyn Presence, &'a Memories, &'a Line);

/// The call of a question, and of the persons it supposes busy: never one of the engine's, which count from 1.
const ASKED: CallRef = CallRef(0);
const SUPPOSED: CallRef = CallRef(u64::MAX);

/// Who would ring, in what order, and why each of the others would not. With `live` against that state; without, as if
/// every phone were registered, every user at the switch the configuration gives, and nobody on a call.
///
/// # Errors
/// In words, what cannot be understood: the number, the trunk, the time, a person or user that does not exist.
pub fn explain(
    now: Now,
    question: &Question,
    config: &Config,
    live: Option<LiveState<'_>>,
) -> Result<DecisionRecord, String> {
    let plan = &config.plan;
    let (trunk, dial) = trunk_of(question, plan)?;
    let (called, form, company) = called(question, plan, &dial)?;
    let caller = match question.from.as_deref() {
        Some(from) => Caller::read(from.trim(), &dial),
        None => Caller::Anonymous,
    };
    let from_user = match &called {
        Called::User(_) => question.from.as_deref().and_then(|from| user_of(from, plan).ok()),
        Called::Number(_) | Called::Unknown(_) => None,
    };
    let moment = match question.at.as_deref() {
        Some(text) => moment(text, now, company.as_deref())?,
        None => now,
    };
    let mut away = BTreeSet::new();
    for name in &question.away {
        away.insert(user_of(name, plan)?);
    }
    let hashing = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let everybody = Everybody;
    let (mut claims, presence, memories, line) = match live {
        Some((claims, presence, memories, line)) => (claims.clone(), presence, memories.clone(), line.clone()),
        None => (Claims::new(hashing), &everybody as &dyn Presence, Memories::default(), Line::default()),
    };
    for name in &question.busy {
        let (person, user) = person_of(name, plan)?;
        // Somebody who is busy already stays so.
        if claims.take(moment, &person, SUPPOSED, &user).is_ok() {
            claims.answered(moment, &person, SUPPOSED);
        }
    }
    let trunk = match called {
        Called::User(_) => None,
        Called::Number(_) | Called::Unknown(_) => trunk,
    };
    let arrival = Arrival { call: ASKED, called, form, caller, trunk, from_user, shuffle: 0 };
    let supposed = Supposed { presence, away };
    Ok(routing::explain(moment, Arc::clone(plan), arrival, &claims, &supposed, &memories, &line))
}

fn trunk_of(question: &Question, plan: &Plan) -> Result<(Option<TrunkId>, DialRules), String> {
    if let Some(name) = question.trunk.as_deref() {
        return match plan.trunks.get(name) {
            Some(trunk) => Ok((Some(trunk.id.clone()), trunk.dial.clone())),
            None => {
                let known: Vec<&str> = plan.trunks.keys().map(TrunkId::as_str).collect();
                Err(format!("there is no trunk `{name}`; there are: {}", known.join(", ")))
            }
        };
    }
    let mut trunks = plan.trunks.values();
    match (trunks.next(), trunks.next()) {
        (Some(only), None) => Ok((Some(only.id.clone()), only.dial.clone())),
        _ => Ok((None, DialRules::default())),
    }
}

fn called(question: &Question, plan: &Plan, dial: &DialRules) -> Result<Reading, String> {
    let to = question.to.trim();
    if to.contains('@') {
        let user = user_of(to, plan)?;
        let company = plan.companies.get(&user.company).map(Arc::clone);
        return Ok((Called::User(user), None, company));
    }
    match number::read_called(to, dial, |number| plan.numbers.contains_key(number)) {
        Some((number, form)) => {
            let company = plan.numbers.get(&number).map(|(company, _)| Arc::clone(company));
            Ok((Called::Number(number), Some(form), company))
        }
        None => Err(format!("`{to}` is neither a number (`+918041234567`, or as the trunk writes it) nor EXT@COMPANY")),
    }
}

/// What was called, the form it was written in, and whose it is.
type Reading = (Called, Option<Form>, Option<Arc<Company>>);

fn user_of(name: &str, plan: &Plan) -> Result<UserId, String> {
    let Some((extension, company)) = name.trim().rsplit_once('@') else {
        return Err(format!("`{name}` is not of the form EXT@COMPANY"));
    };
    let Some(company) = plan.companies.get(&CompanyId::new(company)).or_else(|| plan.domains.get(company)) else {
        return Err(format!("there is no company `{company}`"));
    };
    match company.users.get(&Extension::new(extension)) {
        Some(user) => Ok(user.id.clone()),
        None => Err(format!("company `{}` has no extension `{extension}`", company.id)),
    }
}

fn person_of(name: &str, plan: &Plan) -> Result<(PersonId, UserId), String> {
    let users = plan.companies.values().flat_map(|company| company.users.values());
    let by_person = users.clone().find(|user| user.person.as_str() == name);
    match by_person {
        Some(user) => Ok((user.person.clone(), user.id.clone())),
        None => {
            let id = user_of(name, plan).map_err(|_| format!("there is no person `{name}`"))?;
            let user = plan.companies.get(&id.company).and_then(|company| company.users.get(&id.extension));
            user.map(|user| (user.person.clone(), id)).ok_or_else(|| format!("there is no person `{name}`"))
        }
    }
}

/// The moment asked about. The monotonic clock moves with the wall's, so that what is known now ages with it.
fn moment(text: &str, now: Now, company: Option<&Company>) -> Result<Now, String> {
    let wall = if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text.trim()) {
        WallTime::from_unix_millis(at.timestamp_millis())
    } else {
        let local = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text.trim(), form).ok())
            .ok_or_else(|| {
                format!(
                    "`{text}` is no time: write 2026-11-22T10:00:00+05:30, or 2026-11-22 10:00 on the company's clock"
                )
            })?;
        let zone = company.map_or(chrono_tz::UTC, |company| company.timezone);
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                WallTime::from_unix_millis(at.timestamp_millis())
            }
            LocalResult::None => return Err(format!("{text} does not exist in {zone}: the clocks go forward over it")),
        }
    };
    let ahead = u64::try_from(wall.unix_millis().saturating_sub(now.wall.unix_millis())).unwrap_or(0);
    Ok(Now { mono: now.mono + std::time::Duration::from_millis(ahead), wall })
}

/// The state supposed where there is no running daemon: every phone registered, nobody paused, no calls.
struct Everybody;

impl Presence for Everybody {
    fn is_registered(&self, _: &UserId) -> bool {
        true
    }

    fn takes_calls(&self, _: &UserId) -> Option<bool> {
        None
    }

    fn is_paused(&self, _: &UserId) -> bool {
        false
    }

    fn calls_of(&self, _: &CompanyId) -> u32 {
        0
    }
}

/// A presence with some users away.
struct Supposed<'a> {
    presence: &'a dyn Presence,
    away: BTreeSet<UserId>,
}

impl Presence for Supposed<'_> {
    fn is_registered(&self, user: &UserId) -> bool {
        self.presence.is_registered(user)
    }

    fn takes_calls(&self, user: &UserId) -> Option<bool> {
        if self.away.contains(user) { Some(false) } else { self.presence.takes_calls(user) }
    }

    fn is_paused(&self, user: &UserId) -> bool {
        self.presence.is_paused(user)
    }

    fn calls_of(&self, company: &CompanyId) -> u32 {
        self.presence.calls_of(company)
    }
}
