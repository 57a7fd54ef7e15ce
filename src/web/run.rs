//! `POST /run/{scenario}`: somebody wants a run now.

use crate::web::pages::Pages;
use crate::web::ports::{Denied, Refused, Wait};
use crate::web::reply::refusal;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use secrecy::SecretString;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Most callers that wait for the end of a run at a time: each holds a connection.
const MOST_WAITS: usize = 64;

/// The callers that wait for the end of a run.
#[derive(Clone)]
pub(super) struct Waits(Arc<Semaphore>);

// === impl Waits ===

impl Default for Waits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_WAITS)))
    }
}

/// Admits the caller, asks for the run, and says what became of that.
pub(super) async fn request(
    State(pages): State<Pages>,
    Extension(waits): Extension<Waits>,
    Path(scenario): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some((runs, gate)) = pages.runs else { return off() };
    if let Err(denied) = gate.admit(bearer(&headers).as_ref(), &scenario).await {
        return denial(&denied);
    }
    let Some(wait) = wait(uri.query()) else {
        let sentence = "the address has more than `?wait=true` or `?wait=false` behind it";
        return refusal(StatusCode::BAD_REQUEST, "bad_query", sentence);
    };
    let waiting = match wait {
        Wait::Accepted => None,
        Wait::Ended => match waits.0.try_acquire() {
            Ok(waiting) => Some(waiting),
            Err(_) => return too_many(),
        },
    };
    // A task of its own: a caller that goes away ends only its own wait.
    let asked = tokio::spawn(async move { runs.request(&scenario, wait).await });
    let answer = asked.await;
    drop(waiting);
    match answer {
        Ok(Ok(requested)) => {
            let ended = requested.record.is_some();
            let status = if ended { StatusCode::OK } else { StatusCode::ACCEPTED };
            (status, Json(requested)).into_response()
        }
        Ok(Err(refused)) => no_run(&refused),
        Err(panic) => match panic.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => no_run(&Refused::Stopping),
        },
    }
}

/// The answer where runs cannot be asked for.
pub(super) fn off() -> Response {
    let sentence = "runs cannot be asked for here: only `hopclock serve` makes them, once it is \
                    told who may ask, with `--token-file FILE` or `--token-review`";
    refusal(StatusCode::NOT_FOUND, "off", sentence)
}

fn too_many() -> Response {
    let sentence = "too many callers wait for runs: ask without `wait=true`, or again later";
    refusal(StatusCode::SERVICE_UNAVAILABLE, "too_many_waits", sentence)
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    fits.then(|| SecretString::from(token.to_owned()))
}

/// What the query says; none if it cannot be understood.
fn wait(query: Option<&str>) -> Option<Wait> {
    match query.unwrap_or_default() {
        "" | "wait=false" => Some(Wait::Accepted),
        "wait=true" => Some(Wait::Ended),
        _ => None,
    }
}

fn denial(denied: &Denied) -> Response {
    let status = match denied {
        Denied::Missing | Denied::Wrong => StatusCode::UNAUTHORIZED,
        Denied::Forbidden { .. } => StatusCode::FORBIDDEN,
        Denied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refusal(status, denied.reason(), &denied.to_string())
}

fn no_run(refused: &Refused) -> Response {
    let status = match refused {
        Refused::UnknownScenario { .. } => StatusCode::NOT_FOUND,
        Refused::Busy { .. } | Refused::Paused { .. } | Refused::LaneHeld { .. } => {
            StatusCode::CONFLICT
        }
        Refused::NotLeader { .. } | Refused::Stopping | Refused::Unavailable(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    refusal(status, refused.reason(), &refused.to_string())
}
