//! The listening socket: connections, TLS, and an outage that keeps its port.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{Error, Shared, answer};

/// The accepting task, and what is needed to stop and to start it again.
pub(super) struct Server {
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    phase: Mutex<Phase>,
}

enum Phase {
    Up(JoinHandle<Infallible>),
    /// Bound but not listening: connections are refused and nobody else gets the port.
    Down(Option<TcpSocket>),
}

impl Server {
    pub(super) fn start(
        listener: TcpListener,
        address: SocketAddr,
        acceptor: Option<TlsAcceptor>,
        shared: Arc<Shared>,
    ) -> Self {
        let task = tokio::spawn(accept(listener, acceptor.clone(), shared));
        Self { address, acceptor, phase: Mutex::new(Phase::Up(task)) }
    }

    /// Stops listening and cuts every connection.
    pub(super) fn stop(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Up(task) = &*phase {
            task.abort();
            *phase = Phase::Down(socket(self.address).ok());
        }
    }

    /// Listens on the same port again.
    pub(super) fn resume(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Down(held) = &mut *phase {
            let failed = |source| Error::Listen { port: self.address.port(), source };
            let held = held.take().map_or_else(|| socket(self.address), Ok).map_err(failed)?;
            let listener = held.listen(128).map_err(failed)?;
            let task = accept(listener, self.acceptor.clone(), shared.clone());
            *phase = Phase::Up(shared.runtime.spawn(task));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens on loopback.
pub(super) fn bind(port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { port, source };
    let socket = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(failed)?;
    let listener = socket.listen(128).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let (acceptor, shared) = (acceptor.clone(), shared.clone());
                connections.spawn(async move {
                    match acceptor {
                        // A client that does not trust the certificate hangs up: its own affair.
                        Some(acceptor) => if let Ok(stream) = acceptor.accept(stream).await {
                            speak(stream, shared).await;
                        },
                        None => speak(stream, shared).await,
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| answer::answer(shared.clone(), request));
    // The error is the cut that a fault asked for, or a client that went away.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
