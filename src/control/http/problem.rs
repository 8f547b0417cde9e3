//! What is wrong with a request, as RFC 9457 writes it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not served: `application/problem+json`, RFC 9457. The kind of problem is the status alone, so that
/// `type` is `about:blank` (§4.2.1).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong here, and what would be right.
    detail: String,
    /// Of a configuration that was refused: every problem, as `switchboard check --json` prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    problems: Option<serde_json::Value>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            problems: None,
        }
    }

    /// 400: the request makes no sense.
    pub(super) fn nonsense(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: no token, or none that is known. They are answered alike.
    pub(super) fn stranger() -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "send `Authorization: Bearer TOKEN` with a token of [control.tokens]")
    }

    /// 403: a token whose role may not do this to anybody.
    pub(super) fn forbidden() -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "the role of this token may not do that")
    }

    /// 403: about the whole machine, and the token is not.
    pub(super) fn not_the_machines() -> Problem {
        Problem::new(
            StatusCode::FORBIDDEN,
            "this is about the whole machine: it takes an administrator's token for all companies",
        )
    }

    /// 404: there is none, or none this token may know of. They are answered alike.
    pub(super) fn unknown(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    /// 422: the files have problems; the old configuration serves on.
    pub(super) fn refused(detail: String, problems: serde_json::Value) -> Problem {
        Problem { problems: Some(problems), ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// 503: not now.
    pub(super) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 500: a defect of ours.
    pub(super) fn defect(detail: impl Into<String>) -> Problem {
        let detail = detail.into();
        tracing::error!("defect: an HTTP request could not be answered: {detail}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// What the framework found wrong.
    pub(super) fn of_status(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem::new(status, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"switchboard\""));
        }
        response
    }
}
