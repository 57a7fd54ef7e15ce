//! How every client of this layer is built, and what lies behind its errors.
//!
//! In one place, so that authorities, proxies and certificates are the same for all: what one
//! remote is reached with, another one is reached with too.

use reqwest::{Certificate, Client};
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Long enough for the two requests of a push, too short for a load balancer to cut it first.
const KEEP_CONNECTION: Duration = Duration::from_secs(10);

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It took too long.
    Timeout,
    /// The certificate is not signed by an authority that we trust; what rustls says.
    UntrustedCertificate(String),
    /// The host's name is not known.
    UnknownHost,
    /// Nobody listens there, or the way there is cut; what the system says.
    Unreachable(String),
    /// The connection ended before the answer did; what the system says.
    Broken(String),
}

/// What was given as a certificate authority is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoAuthority;

/// The clients of a process, each built once: the authorities of a machine are a megabyte, and all
/// remotes that are reached in the same way can share them, and their connections. Clones share
/// the same; all uses have to be in one tokio runtime.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    built: Arc<Mutex<Vec<(Way, Client)>>>,
}

/// How a client reaches its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    user_agent: &'static str,
    ca: Option<Vec<u8>>,
    timeout: Duration,
}

/// Most clients that are kept; the oldest one goes first.
const MOST: usize = 16;

// === impl Clients ===

impl Clients {
    /// A client with further authorities and a timeout.
    pub(super) fn get(
        &self,
        user_agent: &'static str,
        ca: Option<&[u8]>,
        timeout: Duration,
    ) -> Result<Client, NoAuthority> {
        let way = Way { user_agent, ca: ca.map(<[u8]>::to_vec), timeout };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = built.iter().find(|it| it.0 == way) {
            return Ok(client.clone());
        }
        let client = client(user_agent, ca, timeout)?;
        if built.len() == MOST {
            built.remove(0);
        }
        built.push((way, client.clone()));
        Ok(client)
    }
}

/// A client with further authorities and a timeout, without redirects and retries that we do not
/// see. Proxies come from the environment.
pub(super) fn client(
    user_agent: &str,
    ca: Option<&[u8]>,
    timeout: Duration,
) -> Result<Client, NoAuthority> {
    let mut builder = Client::builder()
        .user_agent(user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_idle_timeout(KEEP_CONNECTION)
        .tcp_nodelay(true)
        .timeout(timeout);
    if let Some(pem) = ca {
        let authorities = Certificate::from_pem_bundle(pem).map_err(|_| NoAuthority)?;
        if authorities.is_empty() {
            return Err(NoAuthority);
        }
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(|_| NoAuthority)
}

/// What lies behind an error of the client.
pub(super) fn cause(error: &reqwest::Error) -> Cause {
    if error.is_timeout() {
        return Cause::Timeout;
    }
    let mut innermost = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(why) = certificate_problem(error) {
            return Cause::UntrustedCertificate(why);
        }
        innermost = error.to_string();
        if innermost.starts_with("dns error") {
            return Cause::UnknownHost;
        }
        cause = error.source();
    }
    if error.is_connect() { Cause::Unreachable(innermost) } else { Cause::Broken(innermost) }
}

/// What rustls says of a certificate, if that is what went wrong.
fn certificate_problem(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return certificate_problem(inner);
    }
    match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(why.to_string()),
        _ => None,
    }
}
