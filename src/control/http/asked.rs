//! What a request says: its query, path and body, with every fault answered as a [`Problem`].

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query of a request. A parameter that is not known is an error, never passed over.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked<T>, Problem> {
        let Query(asked) = Query::from_request_parts(parts, state)
            .await
            .map_err(|wrong: QueryRejection| Problem::nonsense(wrong.body_text()))?;
        Ok(Asked(asked))
    }
}

/// The names in a request's path.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<T>, Problem> {
        let Path(named) = Path::from_request_parts(parts, state)
            .await
            .map_err(|wrong: PathRejection| Problem::of_status(wrong.status(), wrong.body_text()))?;
        Ok(Named(named))
    }
}

/// The body of a request: JSON.
pub(super) struct Said<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Said<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Said<T>, Problem> {
        let Json(said) = Json::from_request(request, state).await.map_err(|wrong: JsonRejection| {
            // JSON of the wrong shape makes as little sense as what is no JSON: one status for both.
            match &wrong {
                JsonRejection::JsonDataError(_) => Problem::nonsense(wrong.body_text()),
                _ => Problem::of_status(wrong.status(), wrong.body_text()),
            }
        })?;
        Ok(Said(said))
    }
}
