//! An HTTP server on loopback that can be gone from one moment to the next.
//!
//! Its connections end with it, kept-alive ones too, so that a stopped controller refuses
//! everybody, not only those who come anew.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// A listener and its connections; dropping it ends both.
pub(super) struct HttpServer {
    pub(super) address: SocketAddr,
    task: JoinSet<()>,
}

impl HttpServer {
    /// Listens on the address it had before, or on a free port.
    pub(super) async fn start(before: Option<SocketAddr>, router: Router) -> io::Result<Self> {
        let address = before.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(accept(listener, router));
        Ok(Self { address, task })
    }

    /// Ends; when this returns, connections are refused.
    pub(super) async fn stop(mut self) {
        self.task.shutdown().await;
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        // Small answers must not wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service =
            service_fn(move |request: hyper::Request<Incoming>| router.clone().oneshot(request));
        connections.spawn(async move {
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(problem) = served.await {
                tracing::debug!(%problem, "connection ended");
            }
        });
    }
}
