//! The listener: accepts connections, hands their requests on, and can go away and come back.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::store::Store;

use super::{
    Faults, Request, Tls, User,
    auth::{API_SERVER, Tokens},
    kubeconfig,
    read::Pages,
    requests::RequestLog,
    route::{self, Context},
};

/// How a server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The loopback port; 0 for any free one.
    pub port: u16,
    /// TLS if there is a certificate, plain HTTP otherwise. Mind that `kubectl` sends its token
    /// over TLS only.
    pub tls: Option<Tls>,
    /// What somebody without a token may do.
    pub anonymous: Anonymous,
    /// Whether objects may be created in namespaces that nobody created.
    pub namespaces: Namespaces,
    /// How many requests the log keeps.
    pub requests_kept: usize,
}

/// Who a client without a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// `system:anonymous`, who sees health and version only.
    Nobody,
    /// An administrator: for plain HTTP on a machine of one's own.
    Admin,
}

/// What a namespace has to be before clients may create objects in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// Nothing: every name will do.
    Any,
    /// An object in the store, as in a real cluster; a missing one is 404.
    MustExist,
}

/// A running API server. Dropping it ends it.
pub struct ApiServer {
    context: Arc<Context>,
    addr: SocketAddr,
    tls: Option<Tls>,
    admin: String,
    running: Mutex<Option<JoinHandle<()>>>,
}

/// Why the server is not there.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is taken or not allowed.
    #[error("the sandbox cannot listen on `{addr}`: choose another port, or 0 for any free one")]
    Listen {
        /// Where it wanted to listen.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The kubeconfig could not be written.
    #[error("the kubeconfig `{}` cannot be written: choose a folder that is writable", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            tls: None,
            anonymous: Anonymous::Nobody,
            namespaces: Namespaces::Any,
            requests_kept: 10_000,
        }
    }
}

/// Serves a store on loopback.
///
/// # Errors
///
/// [`ServeError::Listen`].
pub async fn serve(store: Store, options: Options) -> Result<ApiServer, ServeError> {
    let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await?;
    let addr = listener.local_addr().map_err(|source| ServeError::Listen {
        addr: (Ipv4Addr::LOCALHOST, options.port).into(),
        source,
    })?;
    let tokens = Tokens::default();
    let admin = tokens.mint(admin(), API_SERVER);
    let context = Arc::new(Context {
        faults: Faults::new(store.clone()),
        store,
        tokens,
        log: RequestLog::new(options.requests_kept),
        pages: Pages::default(),
        anonymous: options.anonymous,
        namespaces: options.namespaces,
    });
    let running = tokio::spawn(accept(listener, context.clone(), options.tls.clone()));
    let running = Mutex::new(Some(running));
    Ok(ApiServer { context, addr, tls: options.tls, admin, running })
}

impl ApiServer {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base of all URLs, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// The store that it serves.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.context.store
    }

    /// The token of an administrator (group `system:masters`).
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin
    }

    /// A new token for a user, such as `system:serviceaccount:ns:name`, and its groups.
    #[must_use]
    pub fn token_for(&self, user: &str, groups: &[&str]) -> String {
        self.token_meant_for(user, groups, API_SERVER)
    }

    /// A new token that proves to `audience` who somebody is, and to nobody else.
    #[must_use]
    pub fn token_meant_for(&self, user: &str, groups: &[&str], audience: &str) -> String {
        self.context.tokens.mint(User::new(user, groups), audience)
    }

    /// Makes a token worthless: from now on it is answered with 401.
    pub fn revoke(&self, token: &str) {
        self.context.tokens.revoke(token);
    }

    /// A kubeconfig for a user (with a new token), or for the administrator.
    #[must_use]
    pub fn kubeconfig(&self, user: Option<(&str, &[&str])>) -> String {
        let token = match user {
            Some((name, groups)) => self.token_for(name, groups),
            None => self.admin.clone(),
        };
        kubeconfig::kubeconfig(&self.url(), self.tls.as_ref().map(Tls::ca_pem), &token)
    }

    /// Writes the administrator's kubeconfig.
    ///
    /// # Errors
    ///
    /// [`ServeError::Kubeconfig`].
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), ServeError> {
        fs::write(path, self.kubeconfig(None))
            .map_err(|source| ServeError::Kubeconfig { path: path.to_owned(), source })
    }

    /// The faults, to switch them on and off.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.context.faults.clone()
    }

    /// The newest requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.context.log.all()
    }

    /// Stops listening and breaks every connection; new ones are refused once this returns.
    pub async fn go_away(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.abort();
            // Ends with the cancellation just asked for; the listener is closed then.
            let _ = running.await;
        }
    }

    /// Listens again, on the same port. Does nothing if it listens already.
    ///
    /// # Errors
    ///
    /// [`ServeError::Listen`] if somebody else took the port meanwhile.
    pub async fn come_back(&self) -> Result<(), ServeError> {
        if self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let listener = listen(self.addr).await?;
        let accepting = tokio::spawn(accept(listener, self.context.clone(), self.tls.clone()));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepting);
        Ok(())
    }

    /// Ends the server and all its connections.
    pub async fn shutdown(self) {
        self.go_away().await;
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take()
        {
            running.abort();
        }
    }
}

fn admin() -> User {
    User::new("system:admin", &["system:masters"])
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(addr).await.map_err(|source| ServeError::Listen { addr, source })
}

/// Accepts for ever. Its connections end with it.
async fn accept(listener: TcpListener, context: Arc<Context>, tls: Option<Tls>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, context.clone(), tls.clone()));
                }
                Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, context: Arc<Context>, tls: Option<Tls>) {
    // Without it a small event would wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays slow");
    }
    let served = match tls {
        None => http(TokioIo::new(stream), context).await,
        Some(tls) => match tls.acceptor.accept(stream).await {
            Ok(stream) => http(TokioIo::new(stream), context).await,
            Err(error) => {
                tracing::debug!(%error, "a client did not complete the TLS handshake");
                return;
            }
        },
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn http<I>(io: I, context: Arc<Context>) -> Result<(), hyper::Error>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let service = service_fn(move |request| {
        let context = context.clone();
        async move { Ok::<_, std::convert::Infallible>(route::handle(context, request).await) }
    });
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await
}
