//! Servers on loopback that can be down and come back on the same port: connections, TLS, outages.
//!
//! Every host of the sandbox needs the same outage: connections are cut and refused from one moment
//! to the next, nobody else gets the port meanwhile, and clients find the host where it was.

pub(crate) mod tls;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What a host answers.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A host: what answers the requests of its connections.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one request, or ends its connection.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Answer, Cut>> + Send;
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut on purpose")]
pub(crate) struct Cut;

/// A bound port, before anybody answers on it.
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// The accepting task, and what is needed to stop and to start it again.
pub(crate) struct Server<S> {
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    service: Arc<S>,
    runtime: Handle,
    phase: Mutex<Phase>,
}

enum Phase {
    Up(JoinHandle<Infallible>),
    /// Bound but not listening: connections are refused and nobody else gets the port.
    Down(Option<TcpSocket>),
}

impl<S: Service> Server<S> {
    /// Answers on a bound port; must be called inside a tokio runtime.
    pub(crate) fn start(bound: Bound, acceptor: Option<TlsAcceptor>, service: Arc<S>) -> Self {
        let task = tokio::spawn(accept(bound.listener, acceptor.clone(), service.clone()));
        let (address, runtime) = (bound.address, Handle::current());
        Self { address, acceptor, service, runtime, phase: Mutex::new(Phase::Up(task)) }
    }

    /// Listens on the same port again; the error tells why that is impossible.
    pub(crate) fn resume(&self) -> io::Result<()> {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Down(held) = &mut *phase {
            let held = held.take().map_or_else(|| socket(self.address), Ok)?;
            // Registering the listener needs the runtime that is to accept.
            let _inside = self.runtime.enter();
            let listener = held.listen(128)?;
            let task = accept(listener, self.acceptor.clone(), self.service.clone());
            *phase = Phase::Up(self.runtime.spawn(task));
        }
        Ok(())
    }
}

impl<S> Server<S> {
    /// Where it listens, or will again.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops listening and cuts every connection.
    pub(crate) fn stop(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Up(task) = &*phase {
            task.abort();
            *phase = Phase::Down(socket(self.address).ok());
        }
    }
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens on loopback; port 0 takes a free one.
pub(crate) fn bind(port: u16) -> io::Result<Bound> {
    let listener = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?.listen(128)?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept<S: Service>(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    service: Arc<S>,
) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let (acceptor, service) = (acceptor.clone(), service.clone());
                connections.spawn(async move {
                    match acceptor {
                        // A client that does not trust the certificate hangs up: its own affair.
                        Some(acceptor) => if let Ok(stream) = acceptor.accept(stream).await {
                            speak(stream, service).await;
                        },
                        None => speak(stream, service).await,
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn speak<S: Service>(stream: impl AsyncRead + AsyncWrite + Unpin, service: Arc<S>) {
    let service = service_fn(|request| service.clone().answer(request));
    // The error is the cut that a fault asked for, or a client that went away.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
