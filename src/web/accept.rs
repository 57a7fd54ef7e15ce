//! Accepts connections, and lets none of them cost more than it may.
//!
//! Done by hand because axum's own server sets no timer: a client that never finishes its header
//! would hold a connection for ever.

use crate::web::Error;
use crate::web::body::take_in;
use crate::web::crowd::Crowd;
use crate::web::front::{Front, Turned};
use crate::web::patient::Patient;
use crate::web::reply::refusal;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::any::Any;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_http::catch_panic::CatchPanicLayer;

/// Pause after an error that is not about one connection, such as too many open files.
const BREATH: Duration = Duration::from_millis(500);

/// Fewest bytes of a header that the HTTP library can be told to take.
const LEAST_HEADER: usize = 8 << 10;

/// What a connection too many hears.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    content-length: 82\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\
    \r\n\
    {\"error\":\"too many connections: try again later\",\"reason\":\"too_many_connections\"}\n";

/// What clients may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time in which a request's header has to arrive; also how long a connection may
    /// idle between two requests.
    pub header: Duration,
    /// Most bytes of a request's header; fewer than 8 KiB count as 8 KiB.
    pub header_bytes: usize,
    /// Most bytes of a request's body.
    pub body: usize,
    /// Longest time in which a request's body has to arrive.
    pub body_time: Duration,
    /// Longest time that a client may take to read an answer.
    pub read_time: Duration,
    /// Longest time for which a connection takes further requests; the one under way ends.
    pub lifetime: Duration,
    /// Time that open requests get to end when the server stops; then they are cut.
    pub grace: Duration,
    /// Most connections at a time; others are refused at once.
    pub connections: usize,
    /// Most connections of one client, by its address: whoever opens all it can keeps neither
    /// scrapers nor the kubelet out.
    pub per_client: usize,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            header_bytes: 16 << 10,
            body: 16 << 10,
            body_time: Duration::from_secs(10),
            read_time: Duration::from_secs(30),
            lifetime: Duration::from_secs(300),
            grace: Duration::from_secs(5),
            connections: 128,
            per_client: 48,
        }
    }
}

/// Takes the port, so that a mistake is said before anything else is done.
///
/// # Errors
/// The port is taken or not ours to take.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => Error::PortInUse { address },
        ErrorKind::PermissionDenied => Error::NotPermitted { address },
        _ => Error::Unavailable { address, source },
    })
}

/// Answers with `pages` until `shutdown`; then no connection is accepted any more, and open
/// requests get `limits.grace` to end. Whatever `pages` are, the limits hold for them.
pub async fn serve(
    listener: TcpListener,
    pages: impl Into<Front>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let front = pages.into();
    let pages =
        front.pages.clone().layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| panicked()));
    let pages = TowerToHyperService::new(pages);
    let (slots, crowd) = (Arc::new(Semaphore::new(limits.connections)), Crowd::default());
    // Saying no politely costs a little too, so that is bounded as well.
    let polite = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopped) = watch::channel(());
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let place = crowd.enter(client.ip(), limits.per_client);
                let slot = place.and_then(|it| Some((it, slots.clone().try_acquire_owned().ok()?)));
                if let Some(slot) = slot {
                    let (front, pages, stopped) = (front.clone(), pages.clone(), stopped.clone());
                    open.spawn(async move {
                        converse(stream, &front, pages, limits, stopped).await;
                        drop(slot);
                    });
                } else {
                    front.tell(Turned::TooMany);
                    if let Ok(slot) = Arc::clone(&polite).try_acquire_owned() {
                        open.spawn(async move {
                            refuse(stream, limits).await;
                            drop(slot);
                        });
                    }
                }
            }
            Err(error) if is_of_one_connection(error.kind()) => (),
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(BREATH).await;
            }
        }
        while open.try_join_next().is_some() {}
    }
    drop(listener);
    drop(stop);
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, all).await.is_err() {
        tracing::warn!(left = open.len(), "cutting requests that did not end in time");
        open.shutdown().await;
    }
}

/// Serves one connection until it ends, is too old or the server stops.
async fn converse(
    stream: TcpStream,
    front: &Front,
    pages: TowerToHyperService<Router>,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    // An answer is small, and waits for nothing that could be sent with it.
    let _ = stream.set_nodelay(true);
    let hasty = Arc::new(AtomicBool::new(false));
    let io = Patient::new(stream, limits.read_time, Arc::clone(&hasty));
    let service = service_fn(|request| {
        let (pages, hasty) = (pages.clone(), Arc::clone(&hasty));
        async move {
            match take_in(request, &limits).await {
                Ok(request) => pages.call(request).await,
                Err((turned, refusal)) => {
                    front.tell(turned);
                    hasty.store(true, Ordering::Relaxed);
                    Ok(*refusal)
                }
            }
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .max_buf_size(limits.header_bytes.max(LEAST_HEADER))
            .serve_connection(TokioIo::new(io), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped.changed() => None,
        () = tokio::time::sleep(limits.lifetime) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Tells a client that it is one too many.
async fn refuse(stream: TcpStream, limits: Limits) {
    let mut stream = Patient::new(stream, limits.read_time, Arc::new(AtomicBool::new(true)));
    if stream.write_all(FULL).await.is_ok() {
        // A client that has gone away hears it as well as one that has not asked.
        let _ = stream.shutdown().await;
    }
}

/// The answer of a page that has a mistake. The panic itself was told to the log.
fn panicked() -> Response {
    let sentence = "hopclock made a mistake: its log says which";
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "mistake", sentence)
}

/// Whether an error of `accept` says nothing of the connections to come.
fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_connection_too_many_is_as_long_as_it_says() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["reason"], "too_many_connections");
    }
}
