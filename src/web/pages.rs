//! The private port: metrics for scrapers, how the service stands, and runs on request.
//!
//! The pages name scenarios and clusters, so they belong on a port that is not public.

use crate::export::{Format, Metrics};
use crate::web::ports::{Gate, Readiness, Ready, Runs};
use crate::web::reply::plain;
use crate::web::run;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use std::fmt::Write;
use std::sync::Arc;

/// What stands behind the pages.
#[derive(Clone)]
pub struct Pages {
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/readyz`.
    pub ready: Arc<dyn Ready>,
    /// For `POST /run/{scenario}`, which is not there without somebody who guards it.
    pub runs: Option<(Arc<dyn Runs>, Arc<dyn Gate>)>,
}

/// `/metrics` in the form that the scraper asks for; `/healthz`, which answers as long as the
/// process does; `/readyz`, which says how the service stands; `POST /run/{scenario}`.
pub fn private_pages(pages: Pages) -> Router {
    let mut router = Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(async || plain(StatusCode::OK, "ok\n".to_owned())))
        .route("/readyz", get(readiness));
    if pages.runs.is_some() {
        let waits = Extension(run::Waits::default());
        router = router.route("/run/{scenario}", post(run::request).layer(waits));
    }
    router.method_not_allowed_fallback(not_allowed).fallback(not_found).with_state(pages)
}

async fn scrape(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let format = Format::negotiate(accepted(&headers).as_deref());
    // Many scenarios make many megabytes: not a thing to do where watch events are stamped.
    match tokio::task::spawn_blocking(move || pages.metrics.snapshot().encode(format)).await {
        Ok(body) => {
            let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "Accept")];
            (headers, body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be written.\n".into())
        }
    }
}

async fn readiness(State(pages): State<Pages>, uri: Uri, headers: HeaderMap) -> Response {
    let readiness = pages.ready.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let asked = uri.query().is_some_and(|it| it.split('&').any(|it| it == "format=json"));
    if asked || accepted(&headers).is_some_and(|it| it.contains("application/json")) {
        return (status, axum::Json(readiness)).into_response();
    }
    plain(status, in_words(&readiness))
}

/// One line for the whole, and one for each check.
fn in_words(readiness: &Readiness) -> String {
    let mut text = if readiness.ready { "ready\n" } else { "not ready\n" }.to_owned();
    let width = readiness.checks.iter().map(|it| it.name.len()).max().unwrap_or(0);
    for check in &readiness.checks {
        let (state, name, detail) = (check.state.as_str(), &check.name, &check.detail);
        let _ = writeln!(text, "{state:7}  {name:width$}  {detail}");
    }
    text
}

/// What a client accepts, from all of its headers.
fn accepted(headers: &HeaderMap) -> Option<String> {
    let accept: Vec<_> =
        headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()).collect();
    (!accept.is_empty()).then(|| accept.join(","))
}

async fn not_found(State(pages): State<Pages>, uri: Uri) -> Response {
    let path = uri.path();
    if pages.runs.is_none() && path.starts_with("/run/") {
        return run::off();
    }
    let there = match pages.runs {
        Some(_) => "/metrics, /healthz, /readyz and POST /run/{scenario}",
        None => "/metrics, /healthz and /readyz",
    };
    plain(StatusCode::NOT_FOUND, format!("There is no page {path} here. There are {there}.\n"))
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let text = if path.starts_with("/run/") {
        format!("A run is asked for with POST: {method} is not allowed at {path}.\n")
    } else {
        format!("The page {path} can only be read: {method} is not allowed, GET is.\n")
    };
    plain(StatusCode::METHOD_NOT_ALLOWED, text)
}
