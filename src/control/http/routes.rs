//! Every route, once: the router and the OpenAPI document are made of the same list, so that they cannot differ.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, InfoBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::admit;
use super::problem::Problem;
use super::{Api, explain, live, log, machine, switches};

/// The longest body, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// How long an answer may take, the reading of the body included. Longer than anything below allows itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// All of them, and what describes them.
fn described() -> (Router<Api>, OpenApi) {
    let (router, mut document) = OpenApiRouter::new()
        .routes(routes!(machine::health))
        .routes(routes!(machine::ready))
        .routes(routes!(machine::metrics))
        .routes(routes!(machine::openapi))
        .routes(routes!(live::calls))
        .routes(routes!(live::agents))
        .routes(routes!(live::agent))
        .routes(routes!(live::registrations))
        .routes(routes!(live::queues))
        .routes(routes!(switches::take_calls))
        .routes(routes!(switches::paused))
        .routes(routes!(explain::explain))
        .routes(routes!(log::log))
        .routes(routes!(log::one_call))
        .routes(routes!(log::report))
        .routes(routes!(machine::status))
        .routes(routes!(machine::reload))
        .routes(routes!(machine::level, machine::change_level))
        .split_for_parts();
    describe(&mut document);
    (router, document)
}

/// The document.
pub(super) fn document() -> OpenApi {
    described().1
}

/// The router, with everything that stands before it.
pub(super) fn router(api: Api) -> Router {
    let (router, _) = described();
    router
        .fallback(|| async { Problem::unknown("page") })
        .method_not_allowed_fallback(|| async {
            Problem::of_status(StatusCode::METHOD_NOT_ALLOWED, "this page is not asked for in that way; see Allow")
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(api.clone(), admit))
        .layer(middleware::from_fn(in_time))
        .with_state(api)
}

/// Nobody waits for ever, and nothing of what is answered is kept by anybody on the way.
async fn in_time(request: Request, next: Next) -> Response {
    let mut response = match timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable(format!("there was no answer for {} s", PATIENCE.as_secs())).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What every operation has in common.
fn describe(document: &mut OpenApi) {
    document.info = InfoBuilder::new()
        .title("Switchboard")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What goes on, who would ring, the call log, and the few things that are changed at run time. Times are RFC 3339 with a \
             zone. Errors are RFC 9457 problems. What a token may not know of is answered as what does not exist.",
        ))
        .build();
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert("token".to_owned(), RefOr::T(token));
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            describe_refusals(operation);
        }
    }
}

/// The refusals that any operation may give.
fn describe_refusals(operation: &mut Operation) {
    let public = operation.security.is_some();
    let refusals: &[(&str, &str)] = match public {
        true => &[],
        false => &[
            ("400", "The request makes no sense"),
            ("401", "No token, or none that is known"),
            ("403", "The token's role may not do that"),
            ("503", "The daemon gives no answer"),
        ],
    };
    let body: &[(&str, &str)] = match operation.request_body {
        Some(_) => &[("413", "The body is too long"), ("415", "The body is no JSON")],
        None => &[],
    };
    for (status, what) in refusals.iter().chain(body) {
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
        let refusal = ResponseBuilder::new().description(*what).content("application/problem+json", content).build();
        operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(refusal));
    }
}
