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

/// What lies behind an error of the client. Of addresses in its words the hosts are left: the rest
/// may be as good as a password.
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
    let innermost = hosts_only(&innermost);
    if error.is_connect() { Cause::Unreachable(innermost) } else { Cause::Broken(innermost) }
}

/// A text in which addresses end with their hosts, and begin without users and passwords. What
/// follows a `?` is a query, in whatever it stands.
fn hosts_only(text: &str) -> String {
    // None of these stands in an address as it is printed.
    let ends = |it: char| it.is_whitespace() || matches!(it, '"' | '<' | '>' | '`');
    let words = text.split_inclusive(ends).map(|word| {
        let (word, end) = match word.char_indices().last().filter(|it| ends(it.1)) {
            Some((at, _)) => word.split_at(at),
            None => (word, ""),
        };
        let Some((before, address)) = word.split_once("://") else {
            let bare = word.split_once('?').map_or(word, |it| it.0);
            return format!("{bare}{end}");
        };
        let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |it| it.1);
        let closed = if before.starts_with('(') && !host.ends_with(')') { ")" } else { "" };
        format!("{before}://{host}{closed}{end}")
    });
    words.collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;
    use reqwest::{ResponseBuilderExt as _, Url};

    /// An error of the client whose own words hold an address.
    fn error_of(address: &str) -> reqwest::Error {
        let url = Url::parse(address).unwrap();
        let response = Response::builder().status(500).url(url).body("").unwrap();
        reqwest::Response::from(response).error_for_status().unwrap_err()
    }

    #[test]
    fn no_password_and_no_signature_in_an_address_is_told() {
        for address in [
            "https://user:pass(w,o)rd@h.test:8443/fleet/a.yaml",
            "https://h.test:8443/fleet/a.yaml?X-Amz-Credential=user&X-Amz-Signature=password",
            "https://h.test:8443/hook/password#password",
        ] {
            let error = error_of(address);
            assert!(error.to_string().contains("h.test:8443/"), "{error}");
            let Cause::Broken(why) = cause(&error) else { panic!("{error}") };
            assert!(!why.contains("pass") && !why.contains("user"), "{why}");
            assert!(why.ends_with("for url (https://h.test:8443)"), "{why}");
        }
        let told =
            hosts_only("no way to /fleet/a?sig=password \"http://u:p@h\" <ftp://h/x?y> is it");
        assert_eq!(told, "no way to /fleet/a \"http://h\" <ftp://h> is it");
    }
}
