//! What is about the daemon itself: health, readiness, metrics, its own document, status, reload.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::Api;
use super::access::Visitor;
use super::asked::Said;
use super::moment::written;
use super::problem::Problem;
use crate::daemon::metrics::{CONTENT_TYPE, Snapshot};
use crate::daemon::{ReloadOutcome, Report, change_log_level, log_level};

/// How long the engine may think before it is not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// How long a reload may take.
const RELOAD_WITHIN: Duration = Duration::from_secs(25);

/// The program runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Health {
    /// Always `ok`: whoever is not well does not answer.
    status: &'static str,
}

/// The program runs. Anybody may ask.
#[utoipa::path(get, path = "/health", tag = "machine", security(()), responses((status = OK, body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether calls are served.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Readiness {
    /// Whether calls are served.
    ready: bool,
    /// The engine.
    engine: EngineState,
    /// The store.
    store: StoreState,
}

/// How the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EngineState {
    /// It answers.
    Serving,
    /// It answers and takes no new calls: the daemon is about to end.
    Draining,
    /// It does not answer.
    Silent,
}

/// How the store is. Calls go on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StoreState {
    /// Everything is written in time.
    Writing,
    /// It is behind, or writes fail.
    Failing,
    /// There is none.
    Absent,
}

/// Whether calls are served. Anybody may ask.
#[utoipa::path(get, path = "/ready", tag = "machine", security(()), responses((status = OK, body = Readiness),
    (status = SERVICE_UNAVAILABLE, body = Readiness, description = "Calls are not served")))]
pub(super) async fn ready(State(api): State<Api>) -> Response {
    let engine = match timeout(READY_WITHIN, api.listings().fresh_status()).await {
        Ok(Ok(status)) if status.draining => EngineState::Draining,
        Ok(Ok(_)) => EngineState::Serving,
        Ok(Err(_)) | Err(_) => EngineState::Silent,
    };
    let readiness = Readiness { ready: engine == EngineState::Serving, engine, store: api.store_state() };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// Metrics for Prometheus: OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "machine",
    responses((status = OK, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(api): State<Api>, visitor: Visitor) -> Result<Response, Problem> {
    visitor.may_run_the_machine()?;
    let listings = api.listings();
    let snapshot = Snapshot {
        config: api.config(),
        status: (*listings.status().await?).clone(),
        report: report(&api).await?,
        calls: listings.calls().await?,
        queue: listings.queue().await?,
        tallies: api.meters().tallies(),
        lost: api.meters().lost(),
        steps: api.meters().steps(),
        store: api.store_health(),
    };
    let text = snapshot.text().map_err(|error| Problem::defect(format!("the metrics cannot be written: {error}")))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

async fn report(api: &Api) -> Result<Report, Problem> {
    match timeout(RELOAD_WITHIN, api.client().report()).await {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(gone)) => Err(Problem::unavailable(gone.to_string())),
        Err(_) => Err(Problem::unavailable("the daemon is busy with its configuration")),
    }
}

/// This API as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "machine", responses((status = OK, body = Object)))]
pub(super) async fn openapi(State(api): State<Api>, _: Visitor) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], api.document()).into_response()
}

/// How the daemon is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Condition {
    /// Of the program.
    version: String,
    /// When it started, in UTC.
    #[schema(format = DateTime)]
    started_at: String,
    /// When the running configuration was adopted, in UTC.
    #[schema(format = DateTime)]
    configured_at: String,
    /// Whether it takes no new calls.
    draining: bool,
    /// Where it listens: `udp:192.0.2.10:5060`.
    listening: Vec<String>,
    /// Calls going on.
    calls: usize,
    /// Of these, answered.
    talking: usize,
    /// Of these, waiting in line.
    waiting: usize,
    /// Registered devices.
    registrations: usize,
    /// Configured companies.
    companies: usize,
    /// Configured numbers.
    numbers: usize,
    /// Configured users.
    users: usize,
    /// Calls by trunk.
    trunks: std::collections::BTreeMap<String, TrunkCondition>,
    /// What came of the last reload; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload: Option<LastReload>,
}

/// A trunk now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TrunkCondition {
    /// Calls in both directions.
    calls: u32,
    /// Addresses of its proxy; empty where there is none or its name has no address.
    proxy: Vec<String>,
}

/// What came of the last reload.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LastReload {
    /// When, in UTC.
    #[schema(format = DateTime)]
    at: String,
    /// Whether the new configuration serves.
    adopted: bool,
    /// What changed, or what is wrong, in words.
    text: String,
}

/// How the daemon is.
#[utoipa::path(get, path = "/v1/status", tag = "machine", responses((status = OK, body = Condition)))]
pub(super) async fn status(State(api): State<Api>, visitor: Visitor) -> Result<Json<Condition>, Problem> {
    visitor.may_run_the_machine()?;
    let status = api.listings().status().await?;
    let report = report(&api).await?;
    let utc = |millis| written(millis, chrono_tz::UTC);
    let last_reload = report.last_reload.map(|outcome| LastReload {
        at: utc(outcome.at()),
        adopted: outcome.is_adopted(),
        text: match outcome {
            ReloadOutcome::Adopted { changes, .. } => changes,
            ReloadOutcome::Refused { text, .. } => text,
        },
    });
    let trunks = status
        .trunks
        .iter()
        .map(|(trunk, view)| (trunk.clone(), TrunkCondition { calls: view.calls, proxy: view.proxy.clone() }));
    Ok(Json(Condition {
        version: report.version,
        started_at: utc(report.started_at),
        configured_at: utc(status.configured_at),
        draining: status.draining,
        listening: report.listening,
        calls: status.calls,
        talking: status.talking,
        waiting: status.waiting,
        registrations: status.registrations,
        companies: status.companies,
        numbers: status.numbers,
        users: status.users,
        trunks: trunks.collect(),
        last_reload,
    }))
}

/// A configuration that was adopted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Reloaded {
    /// When, in UTC.
    #[schema(format = DateTime)]
    at: String,
    /// What changed, in words: `+2 users, −1 number, sales: ring 25s → 20s`.
    changes: String,
    /// What can be served and is probably not meant, as `switchboard check --json` prints it.
    #[schema(value_type = Vec<Object>)]
    warnings: serde_json::Value,
}

/// Load the configuration again.
#[utoipa::path(post, path = "/v1/reload", tag = "machine", responses((status = OK, body = Reloaded),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json",
     description = "The configuration has problems; the old one serves on")))]
pub(super) async fn reload(State(api): State<Api>, visitor: Visitor) -> Result<Json<Reloaded>, Problem> {
    visitor.may_run_the_machine()?;
    let outcome = match timeout(RELOAD_WITHIN, api.client().reload()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(gone)) => return Err(Problem::unavailable(gone.to_string())),
        Err(_) => {
            return Err(Problem::unavailable(
                "the configuration is still being loaded; GET /v1/status tells what comes of it",
            ));
        }
    };
    api.listings().forget().await;
    match outcome {
        ReloadOutcome::Adopted { at, changes, warnings } => Ok(Json(Reloaded {
            at: written(at, chrono_tz::UTC),
            changes,
            warnings: if warnings.problems.is_null() {
                serde_json::Value::Array(Vec::new())
            } else {
                warnings.problems
            },
        })),
        ReloadOutcome::Refused { text, problems, .. } => Err(Problem::refused(text, problems)),
    }
}

/// How much is logged.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LogLevel {
    /// A level, or a filter such as `info,switchboard::record=debug` where one was given at the start or to `switchboard log-level`.
    level: String,
}

/// How much shall be logged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct NewLevel {
    /// The least severe that is logged.
    level: Severity,
}

/// How severe a line of the log is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Severity {
    /// What somebody must look at now.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And each event of each call.
    Info,
    /// And numbers, names and addresses of people.
    Debug,
    /// And whatever else there is.
    Trace,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warn => "warn",
            Severity::Info => "info",
            Severity::Debug => "debug",
            Severity::Trace => "trace",
        }
    }
}

/// How much is logged.
#[utoipa::path(get, path = "/v1/log-level", tag = "machine", responses((status = OK, body = LogLevel)))]
pub(super) async fn level(visitor: Visitor) -> Result<Json<LogLevel>, Problem> {
    visitor.may_run_the_machine()?;
    log_level().map(|level| Json(LogLevel { level })).ok_or_else(no_log)
}

/// Log so much from now on, until the next start or until the file says something new.
#[utoipa::path(put, path = "/v1/log-level", tag = "machine", request_body = NewLevel, responses((status = OK, body = LogLevel)))]
pub(super) async fn change_level(visitor: Visitor, Said(said): Said<NewLevel>) -> Result<Json<LogLevel>, Problem> {
    visitor.may_run_the_machine()?;
    if log_level().is_none() {
        return Err(no_log());
    }
    change_log_level(said.level.as_str()).map_err(Problem::nonsense)?;
    log_level().map(|level| Json(LogLevel { level })).ok_or_else(no_log)
}

fn no_log() -> Problem {
    Problem::unavailable("this daemon does not write its program's log")
}
