//! What the API changes in users: their own switch, and an admin's pause.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::{Act, Visitor};
use super::asked::{Named, Said};
use super::listings::unexpected;
use super::live::{Agent, exists};
use super::problem::Problem;
use crate::engine::{Command, Reply};

/// The user's own switch.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct TakeCalls {
    /// Whether it wants to be rung.
    take_calls: bool,
}

/// An admin's switch, which outranks the user's own.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Paused {
    /// Whether it shall not be rung, whatever its own switch says.
    paused: bool,
}

/// Switch taking calls on or off: an agent for itself, an administrator for its companies' users.
#[utoipa::path(put, path = "/v1/agents/{company}/{extension}/take-calls", tag = "switches", request_body = TakeCalls,
    params(("company" = String, Path, description = "A company's id"), ("extension" = String, Path, description = "An extension of it")),
    responses((status = OK, body = Agent, description = "The user, after the change"), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn take_calls(
    State(api): State<Api>,
    visitor: Visitor,
    Named((company, extension)): Named<(String, String)>,
    Said(said): Said<TakeCalls>,
) -> Result<Json<Agent>, Problem> {
    visitor.may(Act::Switch)?;
    let takes = said.take_calls;
    switch(&api, &visitor, &company, &extension, |user| Command::TakeCalls { user, takes }).await
}

/// Pause a user, or end its pause.
#[utoipa::path(put, path = "/v1/agents/{company}/{extension}/paused", tag = "switches", request_body = Paused,
    params(("company" = String, Path, description = "A company's id"), ("extension" = String, Path, description = "An extension of it")),
    responses((status = OK, body = Agent, description = "The user, after the change"), (status = NOT_FOUND, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn paused(
    State(api): State<Api>,
    visitor: Visitor,
    Named((company, extension)): Named<(String, String)>,
    Said(said): Said<Paused>,
) -> Result<Json<Agent>, Problem> {
    visitor.may(Act::Administer)?;
    let command = |user| if said.paused { Command::Pause { user } } else { Command::Resume { user } };
    switch(&api, &visitor, &company, &extension, command).await
}

async fn switch(
    api: &Api,
    visitor: &Visitor,
    company: &str,
    extension: &str,
    command: impl FnOnce(String) -> Command,
) -> Result<Json<Agent>, Problem> {
    exists(api, visitor, company, extension)?;
    match api.listings().command(command(format!("{extension}@{company}"))).await? {
        Reply::Done(done) => tracing::info!("{done}, by the HTTP interface"),
        // It was configured a moment ago.
        Reply::Refused(_) => return Err(Problem::unknown("user")),
        other => return Err(unexpected(&other)),
    }
    let view = api.listings().changed(company, extension).await?;
    Ok(Json(Agent::of(visitor, &view)))
}
