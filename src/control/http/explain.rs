//! Who would ring. A token for some companies may ask about those and suppose things of their people only, and what the engine says
//! of wrong questions (it suggests names) is for tokens that see all.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, NaiveDateTime};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::access::{Act, Visitor};
use super::asked::Said;
use super::decision::Decision;
use super::listings::unexpected;
use super::problem::Problem;
use crate::engine::{Command, Question, Reply};
use crate::routing::Plan;

/// A call that might come.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Asking {
    /// The called number, in any form the trunk writes, or `EXT@COMPANY`.
    #[schema(max_length = 128, example = "+918041234567")]
    to: String,
    /// The caller: `EXT@COMPANY`, or a number as the trunk writes it; absent: anonymous.
    #[serde(default)]
    #[schema(max_length = 128)]
    from: Option<String>,
    /// The trunk whose rules read both; absent: any, where all read it alike.
    #[serde(default)]
    #[schema(max_length = 128)]
    trunk: Option<String>,
    /// When: RFC 3339, or `2026-11-22 10:00` on the company's clock; absent: now.
    #[serde(default)]
    #[schema(max_length = 64)]
    at: Option<String>,
    /// Persons supposed to be on a call.
    #[serde(default)]
    #[schema(max_items = 64)]
    busy: Vec<String>,
    /// Users (`EXT@COMPANY`) supposed to be away.
    #[serde(default)]
    #[schema(max_items = 64)]
    away: Vec<String>,
    /// A user (`EXT@COMPANY`) of whom to say in one sentence whether it rings, and why not: `user-verdict`.
    #[serde(default)]
    #[schema(max_length = 128)]
    user: Option<String>,
}

/// The longest name that can be meant, and the most of them.
const LONGEST: usize = 128;
const MOST: usize = 64;

/// Who would ring for a call, in what order, and why each of the others would not.
#[utoipa::path(post, path = "/v1/explain", tag = "explain", request_body = Asking,
    responses((status = OK, body = Decision), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn explain(
    State(api): State<Api>,
    visitor: Visitor,
    Said(asking): Said<Asking>,
) -> Result<Json<Decision>, Problem> {
    visitor.may(Act::Administer)?;
    let Asking { to, from, trunk, at, busy, away, user } = asking;
    let texts = [Some(&to), from.as_ref(), trunk.as_ref(), at.as_ref(), user.as_ref()]
        .into_iter()
        .flatten()
        .chain(&busy)
        .chain(&away);
    if busy.len() > MOST || away.len() > MOST || texts.into_iter().any(|text| text.chars().count() > LONGEST) {
        return Err(Problem::nonsense(format!("at most {MOST} names, each of at most {LONGEST} characters")));
    }
    if to.trim().is_empty() {
        return Err(Problem::nonsense("`to` is empty: write a number or EXT@COMPANY"));
    }
    if at.as_deref().is_some_and(|at| !is_time(at)) {
        return Err(Problem::nonsense(
            "`at` is no time: write 2026-11-22T10:00:00+05:30, or 2026-11-22 10:00 on the company's clock",
        ));
    }
    let config = api.config();
    let of_its_own = covers_number(&visitor, &config.plan, &to);
    if !visitor.sees_all() {
        let users: Vec<&str> = away.iter().chain(&user).map(String::as_str).collect();
        may_ask(&visitor, &config.plan, &to, from.as_deref(), &busy, &users)?;
    }
    let question = Question { to, from, trunk, at, busy, away, user };
    let record = match api.listings().command(Command::Explain(question)).await? {
        Reply::Explained(record) => *record,
        Reply::Refused(refusal) if visitor.sees_all() => return Err(Problem::nonsense(refusal.why)),
        // What is wrong with a question can depend on whose the number is: only of its own is that for this token.
        Reply::Refused(_) if !of_its_own => return Err(Problem::unknown("number")),
        Reply::Refused(_) => {
            return Err(Problem::nonsense(
                "the question cannot be understood: `to` is a number of your companies (best with its +), `trunk` a trunk's name, \
                 `at` 2026-11-22T10:00:00+05:30 or 2026-11-22 10:00",
            ));
        }
        other => return Err(unexpected(&other)),
    };
    // Nobody's number and another company's are alike.
    if !visitor.sees_all() && !record.company.as_deref().is_some_and(|company| visitor.covers(company)) {
        return Err(Problem::unknown("number"));
    }
    Decision::of(&visitor, &record).map(Json)
}

/// Whether it is a number of the visitor's companies, written with its `+`, or a user.
fn covers_number(visitor: &Visitor, plan: &Plan, to: &str) -> bool {
    let bare: String = to.chars().filter(|letter| !matches!(letter, ' ' | '-' | '(' | ')' | '.')).collect();
    let mut own = plan.numbers.iter().filter(|(_, (company, _))| visitor.covers(company.id.as_str()));
    to.contains('@') || own.any(|(number, _)| number.to_string() == bare)
}

/// Whether that is one of the times that `at` can be.
fn is_time(text: &str) -> bool {
    let text = text.trim();
    let forms = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let year = text.split_once('-').map_or("", |(year, _)| year);
    year.len() == 4
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && (DateTime::parse_from_rfc3339(text).is_ok()
            || forms.iter().any(|form| NaiveDateTime::parse_from_str(text, form).is_ok()))
}

/// Whether every name in the question is of the visitor's companies.
fn may_ask(
    visitor: &Visitor,
    plan: &Plan,
    to: &str,
    from: Option<&str>,
    busy: &[String],
    named: &[&str],
) -> Result<(), Problem> {
    let own_user = |name: &str| {
        name.trim().rsplit_once('@').is_some_and(|(extension, of)| {
            let company = plan.companies.get(of).or_else(|| plan.domains.get(&of.to_ascii_lowercase()));
            company.is_some_and(|company| visitor.covers(company.id.as_str()) && company.users.contains_key(extension))
        })
    };
    let users = [Some(to), from].into_iter().flatten().filter(|name| name.contains('@'));
    if !users.chain(named.iter().copied()).all(own_user) {
        return Err(Problem::unknown("user"));
    }
    let own_person = |name: &String| {
        let companies = plan.companies.values().filter(|company| visitor.covers(company.id.as_str()));
        let mut users = companies.flat_map(|company| company.users.values());
        users.any(|user| user.person.as_str() == name) || own_user(name)
    };
    if busy.iter().all(own_person) { Ok(()) } else { Err(Problem::unknown("person")) }
}
