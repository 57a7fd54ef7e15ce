//! An address with all that goes with a request to it.

use crate::cli::ways_out::header::{Credentials, Header};
use crate::remote::Clients;
use crate::remote::post::{Destination, NotTaken, Parcel, Receipt, Verb};
use secrecy::SecretString;
use std::time::Duration;

/// An address with all that goes with a request to it.
pub(super) struct Endpoint {
    destination: Destination,
    credentials: Option<Credentials>,
    headers: Vec<Header>,
}

/// What is known of an address.
pub(super) struct Given<'a> {
    pub(super) url: &'a str,
    pub(super) credentials: Option<Credentials>,
    pub(super) headers: Vec<Header>,
    pub(super) ca_file: Option<&'a str>,
}

// === impl Endpoint ===

impl Endpoint {
    /// An address that was given with an argument; what is wrong with it, in a sentence.
    pub(super) fn of(
        given: Given<'_>,
        argument: &str,
        timeout: Duration,
        clients: &Clients,
    ) -> Result<Self, String> {
        let ca = match given.ca_file {
            Some(path) => Some(std::fs::read(path).map_err(|why| {
                format!("the authority `{path}` for `{argument}` cannot be read: {why}")
            })?),
            None => None,
        };
        let destination = Destination::new(given.url, ca.as_deref(), timeout, clients)
            .map_err(|why| format!("`{argument}` cannot be used: {why}"))?;
        let Given { credentials, headers, .. } = given;
        let endpoint = Self { destination, credentials, headers };
        // What is missing now is better said before anything is done.
        endpoint.headers().map_err(|why| format!("`{argument}` cannot be used: {why}"))?;
        Ok(endpoint)
    }

    /// The address without what may be a secret.
    pub(super) fn host(&self) -> String {
        self.destination.host()
    }

    /// Sends a body with these headers, and our own.
    pub(super) async fn send(
        &self,
        verb: Verb,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Receipt, NotTaken> {
        let own = self.headers().map_err(|why| NotTaken::Refused { status: 0, why })?;
        let given = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        let headers = given.chain(own).collect();
        self.destination.send(Parcel { verb, headers, body }).await
    }

    fn headers(&self) -> Result<Vec<(String, SecretString)>, String> {
        let mut all = Vec::new();
        if let Some(it) = &self.credentials {
            let value = it.authorization().map_err(|it| it.to_string())?;
            all.push(("Authorization".to_owned(), value));
        }
        for it in &self.headers {
            all.push((it.name().to_owned(), it.value().map_err(|it| it.to_string())?));
        }
        Ok(all)
    }
}
