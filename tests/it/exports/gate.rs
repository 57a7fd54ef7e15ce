//! A way to a Prometheus on which a request can fall into silence, so that whoever sends it stands
//! still at that instant.

use crate::exports::kit::send;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hopclock::remote::post::Verb;
use hopclock_sandbox::api::Silence;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A way to a Prometheus that receives remote write.
pub(crate) struct Gate {
    address: SocketAddr,
    held: Arc<Held>,
    serving: JoinHandle<()>,
}

/// What becomes of requests.
struct Held {
    /// Where they go.
    to: String,
    /// How many pass before one falls into silence, when it does, and whom that is told.
    next: Mutex<Option<(usize, Silence, mpsc::UnboundedSender<()>)>>,
}

/// What goes with the body of a remote write.
const HEADERS: [&str; 3] =
    ["content-type", "content-encoding", "x-prometheus-remote-write-version"];

// === impl Gate ===

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Gate {
    /// A way to this address.
    pub(crate) async fn to(url: String) -> Self {
        let held = Arc::new(Held { to: url, next: Mutex::default() });
        let router = Router::new().fallback(pass).with_state(held.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, held, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Lets one request fall into silence, behind so many from now on. Says when it has.
    pub(crate) fn hold(&self, behind: usize, silence: Silence) -> mpsc::UnboundedReceiver<()> {
        let (say, struck) = mpsc::unbounded_channel();
        *self.held.next.lock().unwrap() = Some((behind, silence, say));
        struck
    }
}

// === impl Held ===

impl Held {
    /// Whether the request that has come falls into silence.
    fn strikes(&self) -> Option<(Silence, mpsc::UnboundedSender<()>)> {
        let mut next = self.next.lock().unwrap();
        let (behind, silence, say) = next.take()?;
        if behind == 0 {
            return Some((silence, say));
        }
        *next = Some((behind - 1, silence, say));
        None
    }
}

async fn pass(State(held): State<Arc<Held>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let struck = held.strikes();
    if let Some((Silence::Before, say)) = &struck {
        say.send(()).unwrap();
        return std::future::pending().await;
    }
    let text = |name| (name, headers.get(name).map_or("", |it| it.to_str().unwrap()));
    send(&held.to, Verb::Post, &HEADERS.map(text), body.to_vec()).await.unwrap();
    if let Some((Silence::After, say)) = struck {
        say.send(()).unwrap();
        return std::future::pending().await;
    }
    StatusCode::NO_CONTENT
}
