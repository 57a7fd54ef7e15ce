//! An API server in the process that says exactly what a test tells it to, in virtual time.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use hopclock::cluster::{Cluster, Timing};
use hopclock::model::Clock;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The watches that a cluster opens.
pub(super) struct Script {
    opened: UnboundedReceiver<OpenWatch>,
    patched: UnboundedReceiver<u64>,
}

/// A watch that is open. Dropping it closes it in good order.
pub(super) struct OpenWatch {
    pub(super) query: String,
    bytes: UnboundedSender<Bytes>,
}

impl Script {
    /// A server that has one GitRepository `lab/apps`, at version 1, and a client of it.
    pub(super) fn serve(clock: Arc<dyn Clock>) -> (Self, Cluster) {
        let (sender, opened) = unbounded_channel();
        let (patches, patched) = unbounded_channel();
        let version = AtomicU64::new(1_000);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let answer = if request.method() == Method::PATCH {
                let version = version.fetch_add(1, Ordering::Relaxed);
                let _ = patches.send(version);
                let metadata = json!({"resourceVersion": version.to_string()});
                Response::new(Body::from(json!({"metadata": metadata}).to_string()))
            } else {
                answer(&request, &sender)
            };
            async move { Ok::<_, Infallible>(answer) }
        });
        let client = kube::Client::new(service, "lab");
        (Self { opened, patched }, Cluster::over(client, Timing::default(), clock))
    }

    /// The next watch that is opened.
    pub(super) async fn watch(&mut self) -> OpenWatch {
        self.opened.recv().await.expect("the server runs")
    }

    /// The version that the next patch of any object makes.
    pub(super) async fn patch(&mut self) -> u64 {
        self.patched.recv().await.expect("the server runs")
    }
}

impl OpenWatch {
    pub(super) fn send(&self, bytes: impl Into<Bytes>) {
        self.bytes.send(bytes.into()).expect("the watch is read");
    }
}

/// A line that says that a ConfigMap was patched.
pub(super) fn patched(version: u64) -> String {
    let metadata = json!({"name": "hopclock-echo", "resourceVersion": version.to_string()});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    format!("{}\n", json!({"type": "MODIFIED", "object": object}))
}

/// A line that says that `apps` was written.
pub(super) fn line(version: u64) -> String {
    format!("{}\n", json!({"type": "MODIFIED", "object": object(version)}))
}

fn object(version: u64) -> Value {
    let version = version.to_string();
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"namespace": "lab", "name": "apps", "resourceVersion": version},
        "status": {"artifact": {"revision": version}}
    })
}

fn answer(
    request: &Request<kube::client::Body>,
    opened: &UnboundedSender<OpenWatch>,
) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    if query.contains("watch=true") {
        let (bytes, lines) = unbounded_channel();
        let _ = opened.send(OpenWatch { query: query.to_owned(), bytes });
        let next = |mut lines: UnboundedReceiver<Bytes>| async {
            lines.recv().await.map(|it| (Ok::<_, Infallible>(it), lines))
        };
        return Response::new(Body::from_stream(stream::unfold(lines, next)));
    }
    let body = match request.uri().path() {
        "/api/v1" => json!({"resources": [
            {"name": "configmaps", "kind": "ConfigMap", "namespaced": true}]}),
        "/apis/source.toolkit.fluxcd.io" => json!({"versions": [{"version": "v1"}]}),
        "/apis/source.toolkit.fluxcd.io/v1" => json!({"resources": [
            {"name": "gitrepositories", "kind": "GitRepository", "namespaced": true}]}),
        _ => json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "metadata": {"resourceVersion": "1"},
            "items": [object(1)]
        }),
    };
    Response::new(Body::from(body.to_string()))
}
