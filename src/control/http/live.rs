//! What goes on now: calls, agents, registrations, lines.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::access::{Act, Visitor};
use super::asked::{Asked, Named};
use super::decision::told;
use super::moment::{written, zone};
use super::problem::Problem;
use crate::engine::{AgentView, CallView, QueueView, RegistrationView};

/// Of which company.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// A company's id; absent: every company the token may see.
    company: Option<String>,
}

/// A call that goes on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Call {
    /// Its id: `c17`.
    call: String,
    /// The company called (or calling, between extensions); absent while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    /// What was called.
    number: String,
    /// Who called: a number, an extension, a name or `anonymous`.
    caller: String,
    /// By which trunk; absent for a user's call.
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk: Option<String>,
    /// What it is doing.
    #[schema(value_type = CallState)]
    state: String,
    /// When it arrived, on the company's clock.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    answered_at: Option<String>,
    /// The department (or user, or outside number) it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Extensions and outside numbers that ring or talk.
    with: Vec<String>,
}

/// What a call is doing.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[allow(dead_code)]
pub(super) enum CallState {
    Ringing,
    Waiting,
    Talking,
    Ending,
}

/// Calls that go on, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Calls {
    calls: Vec<Call>,
}

impl Call {
    fn of(view: &CallView) -> Call {
        let zone = zone(&view.timezone);
        Call {
            call: view.call.clone(),
            company: Some(view.company.clone()).filter(|company| !company.is_empty()),
            number: view.number.clone(),
            caller: view.caller.clone(),
            trunk: view.trunk.clone(),
            state: view.state.clone(),
            started_at: written(view.started_at, zone),
            answered_at: view.answered_at.map(|at| written(at, zone)),
            place: view.place.clone(),
            with: view.with.clone(),
        }
    }
}

/// Whether a call that goes on is that visitor's to see: its company's, or for an agent one it rings for, talks in or makes.
fn shows(visitor: &Visitor, view: &CallView) -> bool {
    match visitor.own() {
        None if view.company.is_empty() => visitor.sees_all(),
        None => visitor.covers(&view.company),
        Some(user) => {
            let extension = user.extension.as_str();
            let rings = view.with.iter().any(|with| with == extension);
            let calls = view.trunk.is_none() && view.caller == extension;
            view.company == user.company.as_str() && (rings || calls)
        }
    }
}

/// Calls that go on.
#[utoipa::path(get, path = "/v1/calls", tag = "live", params(Of),
    responses((status = OK, body = Calls), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn calls(
    State(api): State<Api>,
    visitor: Visitor,
    Asked(of): Asked<Of>,
) -> Result<Json<Calls>, Problem> {
    visitor.may(Act::Look)?;
    let config = api.config();
    let company = visitor.asks_for(&config.plan, of.company.as_deref())?;
    let views = api.listings().calls().await?;
    let asked = views.iter().filter(|view| company.is_none_or(|company| view.company == company));
    Ok(Json(Calls { calls: asked.filter(|view| shows(&visitor, view)).map(Call::of).collect() }))
}

/// A user, and whether it could be rung now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Agent {
    /// The company.
    company: String,
    /// The extension.
    extension: String,
    /// The name for people.
    name: String,
    /// Who is behind it.
    person: String,
    /// `free`, or why it would not be rung.
    #[schema(value_type = AgentState)]
    state: String,
    /// What shows it: `at globex since 10:31 IST`. A company the token may not see is `another company`.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    /// The user's own switch.
    takes_calls: bool,
    /// Paused by an admin.
    paused: bool,
    /// Registered devices.
    devices: usize,
    /// Departments it is a member of.
    departments: Vec<String>,
}

/// `free`, or the first reason against ringing somebody.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[allow(dead_code)]
pub(super) enum AgentState {
    Free,
    Disabled,
    Paused,
    Away,
    OffHours,
    NotRegistered,
    OnCall,
    Ringing,
    WrapUp,
}

/// Users by company and extension.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Agents {
    agents: Vec<Agent>,
}

impl Agent {
    pub(super) fn of(visitor: &Visitor, view: &AgentView) -> Agent {
        Agent {
            company: view.company.clone(),
            extension: view.extension.clone(),
            name: view.name.clone(),
            person: view.person.clone(),
            state: view.state.clone(),
            evidence: view.evidence.as_deref().map(|evidence| told(visitor, &view.company, evidence)),
            takes_calls: view.takes_calls,
            paused: view.paused,
            devices: view.devices,
            departments: view.departments.clone(),
        }
    }
}

/// Which agents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichAgents {
    /// A company's id; absent: every company the token may see.
    company: Option<String>,
    /// Members of departments of that name.
    department: Option<String>,
}

/// Users, and whether each could be rung now.
#[utoipa::path(get, path = "/v1/agents", tag = "live", params(WhichAgents),
    responses((status = OK, body = Agents), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn agents(
    State(api): State<Api>,
    visitor: Visitor,
    Asked(which): Asked<WhichAgents>,
) -> Result<Json<Agents>, Problem> {
    visitor.may(Act::Look)?;
    let config = api.config();
    let company = visitor.asks_for(&config.plan, which.company.as_deref())?;
    if let Some(department) = which.department.as_deref() {
        let asked = company.and_then(|company| config.plan.companies.get(company));
        if asked.is_some_and(|company| !company.departments.contains_key(department)) {
            return Err(Problem::unknown("department"));
        }
    }
    let views = api.listings().agents().await?;
    let asked = |view: &&AgentView| {
        company.is_none_or(|company| view.company == company)
            && which.department.as_ref().is_none_or(|department| view.departments.contains(department))
            && visitor.sees(&view.company, &view.extension)
    };
    Ok(Json(Agents { agents: views.iter().filter(asked).map(|view| Agent::of(&visitor, view)).collect() }))
}

/// One user, and whether it could be rung now.
#[utoipa::path(get, path = "/v1/agents/{company}/{extension}", tag = "live",
    params(("company" = String, Path, description = "A company's id"), ("extension" = String, Path, description = "An extension of it")),
    responses((status = OK, body = Agent), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn agent(
    State(api): State<Api>,
    visitor: Visitor,
    Named((company, extension)): Named<(String, String)>,
) -> Result<Json<Agent>, Problem> {
    visitor.may(Act::Look)?;
    exists(&api, &visitor, &company, &extension)?;
    let view = api.listings().agent(&company, &extension).await?;
    Ok(Json(Agent::of(&visitor, &view)))
}

/// Whether there is such a user that the visitor may know of, by the names as configured: the engine's own reading of names
/// (domains, blanks around them) is for people who type.
///
/// # Errors
/// 404.
pub(super) fn exists(api: &Api, visitor: &Visitor, company: &str, extension: &str) -> Result<(), Problem> {
    let config = api.config();
    let exists = config.plan.companies.get(company).is_some_and(|company| company.users.contains_key(extension));
    if exists && visitor.sees(company, extension) { Ok(()) } else { Err(Problem::unknown("user")) }
}

/// A registered device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Registration {
    /// The company.
    company: String,
    /// The extension.
    extension: String,
    /// The Contact URI.
    contact: String,
    /// Where its requests are sent.
    target: String,
    /// Seconds until it expires.
    expires_in: u64,
    /// When it registered, on the company's clock.
    #[schema(format = DateTime)]
    registered_at: String,
    /// What the phone says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// Registered devices by company and extension.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Registrations {
    registrations: Vec<Registration>,
}

/// Registered devices.
#[utoipa::path(get, path = "/v1/registrations", tag = "live", params(Of),
    responses((status = OK, body = Registrations), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn registrations(
    State(api): State<Api>,
    visitor: Visitor,
    Asked(of): Asked<Of>,
) -> Result<Json<Registrations>, Problem> {
    visitor.may(Act::Oversee)?;
    let config = api.config();
    let company = visitor.asks_for(&config.plan, of.company.as_deref())?;
    let views = api.listings().registrations().await?;
    let asked = |view: &&RegistrationView| {
        company.is_none_or(|company| view.company == company) && visitor.covers(&view.company)
    };
    let registrations = views.iter().filter(asked).map(|view| {
        let zone = config.plan.companies.get(view.company.as_str()).map_or(chrono_tz::UTC, |company| company.timezone);
        Registration {
            company: view.company.clone(),
            extension: view.extension.clone(),
            contact: view.contact.clone(),
            target: view.target.clone(),
            expires_in: view.expires_in,
            registered_at: written(view.registered_at, zone),
            user_agent: view.user_agent.clone(),
        }
    });
    Ok(Json(Registrations { registrations: registrations.collect() }))
}

/// A call that waits in line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Waiting {
    /// The company.
    company: String,
    /// The department.
    department: String,
    /// The call.
    call: String,
    /// Who calls.
    caller: String,
    /// Since when, on the company's clock.
    #[schema(format = DateTime)]
    waiting_since: String,
    /// Its place in the department's line, from 1.
    place: u32,
}

/// Calls that wait, in the order they will be served.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Queues {
    waiting: Vec<Waiting>,
}

/// Calls that wait in line.
#[utoipa::path(get, path = "/v1/queues", tag = "live", params(Of),
    responses((status = OK, body = Queues), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn queues(
    State(api): State<Api>,
    visitor: Visitor,
    Asked(of): Asked<Of>,
) -> Result<Json<Queues>, Problem> {
    visitor.may(Act::Oversee)?;
    let config = api.config();
    let company = visitor.asks_for(&config.plan, of.company.as_deref())?;
    let views = api.listings().queue().await?;
    let asked =
        |view: &&QueueView| company.is_none_or(|company| view.company == company) && visitor.covers(&view.company);
    let waiting = views.iter().filter(asked).map(|view| Waiting {
        company: view.company.clone(),
        department: view.department.clone(),
        call: view.call.clone(),
        caller: view.caller.clone(),
        waiting_since: written(view.waiting_since, zone(&view.timezone)),
        place: view.place,
    });
    Ok(Json(Queues { waiting: waiting.collect() }))
}
