//! An API server in the process that says exactly what a test tells it to, in virtual time.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use hopclock::cluster::{Cluster, Timing};
use hopclock::model::Clock;
use http::{Request, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The watches that a cluster opens.
pub(super) struct Script {
    opened: UnboundedReceiver<OpenWatch>,
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
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let answer = answer(&request, &sender);
            async move { Ok::<_, Infallible>(answer) }
        });
        let client = kube::Client::new(service, "lab");
        (Self { opened }, Cluster::over(client, Timing::default(), clock))
    }

    /// The next watch that is opened.
    pub(super) async fn watch(&mut self) -> OpenWatch {
        self.opened.recv().await.expect("the server runs")
    }
}

impl OpenWatch {
    pub(super) fn send(&self, bytes: impl Into<Bytes>) {
        self.bytes.send(bytes.into()).expect("the watch is read");
    }
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
