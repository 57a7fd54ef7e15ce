//! Accepts connections, and lets none of them cost more than it may.
//!
//! Done by hand because axum's own server sets no timer: a client that never finishes its header
//! would hold a connection for ever.

use crate::web::Error;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_http::limit::RequestBodyLimitLayer;

/// Pause after an error that is not about one connection, such as too many open files.
const BREATH: Duration = Duration::from_millis(500);

/// What clients may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time in which a request's header has to arrive; also how long a connection may
    /// idle between two requests.
    pub header: Duration,
    /// Longest time that a connection may live; what it is at then may still end within `grace`.
    pub lifetime: Duration,
    /// Time that open requests get to end when the server stops.
    pub grace: Duration,
    /// Most bytes of a request's body.
    pub body: usize,
    /// Most connections at a time; others wait to be accepted.
    pub connections: usize,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            lifetime: Duration::from_secs(300),
            grace: Duration::from_secs(5),
            body: 16 << 10,
            connections: 64,
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
/// requests get `limits.grace` to end.
pub async fn serve(
    listener: TcpListener,
    pages: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let pages = pages.layer(RequestBodyLimitLayer::new(limits.body));
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopped) = watch::channel(());
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (pages, stopped) = (pages.clone(), stopped.clone());
                open.spawn(async move {
                    converse(stream, pages, limits, stopped).await;
                    drop(slot);
                });
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
    let _ = tokio::time::timeout(limits.grace, all).await;
}

/// Serves one connection until it ends, is too old or the server stops.
async fn converse(
    stream: TcpStream,
    pages: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages))
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
        tokio::time::timeout(limits.grace, connection).await.unwrap_or(Ok(()))
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Whether an error of `accept` says nothing of the connections to come.
fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}
