//! How a git remote is reached, and with what we prove ourselves there.

use crate::remote::git::url::Place;
use crate::remote::git::{Credentials, Error, GitRemoteOptions, RemoteUrl, USER_AGENT, ssh};
use reqwest::header::HeaderValue;
use reqwest::{Client, Url};
use std::sync::Arc;

/// How the remote is reached.
pub(super) enum Way {
    /// By smart HTTP; redirects are compared with the address.
    Http { client: Client, address: Url, authorization: Option<HeaderValue> },
    /// By ssh.
    Ssh(Arc<ssh::Access>),
}

// === impl Way ===

impl Way {
    /// The way that the address and the credentials are for. Asks nothing of the remote.
    pub(super) fn of(
        remote: &RemoteUrl,
        options: &GitRemoteOptions,
        found: Option<Credentials>,
    ) -> Result<Self, Error> {
        match remote.place() {
            Place::Http(address) => {
                let authorization = match (&options.credentials, found) {
                    (Credentials::None, Some(found)) => found.header()?,
                    (given, _) => given.header()?,
                };
                let clients = &options.clients;
                let client = clients
                    .get(USER_AGENT, options.ca.as_deref(), options.timeout)
                    .map_err(|_| Error::BadAuthority { url: remote.to_string() })?;
                Ok(Self::Http { client, address: address.clone(), authorization })
            }
            Place::Ssh(address) => {
                let access = ssh::Access::new(address.clone(), &options.credentials);
                let of_this =
                    |trouble| Error::Ssh { url: remote.to_string(), trouble: Box::new(trouble) };
                Ok(Self::Ssh(Arc::new(access.map_err(of_this)?)))
            }
        }
    }
}
