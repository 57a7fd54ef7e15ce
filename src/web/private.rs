//! The private port: metrics for scrapers, and whether the process lives.

use crate::export::{Format, Metrics};
use crate::web::accept::{Limits, serve};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves [`private_pages`] until `shutdown`.
pub async fn serve_metrics(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    serve(listener, private_pages(metrics), limits, shutdown).await;
}

/// `/metrics` in the form that the scraper asks for, and `/healthz`, which answers as long as the
/// process does. They name scenarios and clusters, so they belong on a port that is not public.
pub fn private_pages(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(async || plain(StatusCode::OK, "ok\n".to_owned())))
        .method_not_allowed_fallback(not_allowed)
        .fallback(not_found)
        .with_state(metrics)
}

async fn scrape(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let accept: Vec<_> =
        headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()).collect();
    let format = Format::negotiate((!accept.is_empty()).then(|| accept.join(",")).as_deref());
    // Many scenarios make many megabytes: not a thing to do where watch events are stamped.
    match tokio::task::spawn_blocking(move || metrics.snapshot().encode(format)).await {
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

async fn not_found(uri: Uri) -> Response {
    let path = uri.path();
    let text = format!("There is no page {path} here. There are /metrics and /healthz.\n");
    plain(StatusCode::NOT_FOUND, text)
}

async fn not_allowed(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let text = format!("The page {path} can only be read: {method} is not allowed, GET is.\n");
    plain(StatusCode::METHOD_NOT_ALLOWED, text)
}

fn plain(status: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}
