//! Tokens: what most registries take in the place of a password, and where they come from.
//!
//! One token is asked for, with all the rights that the run will need, so that it costs one
//! request and not one for each step.

use crate::remote::registry::http::{Ask, Session};
use crate::remote::registry::refusal::body_of;
use crate::remote::registry::{Credentials, Error};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::net::IpAddr;

/// What a token server answers; both names are in use.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
}

// === impl Session ===

impl Session {
    /// Asks for a token with the rights of this session.
    pub(super) async fn fetch_token(
        &self,
        realm: &str,
        service: Option<&str>,
    ) -> Result<SecretString, Error> {
        let url = self.place_of_tokens(realm)?;
        let scope = format!("repository:{}:{}", self.repository.path(), self.rights.actions());
        let answer = match &self.credentials {
            Credentials::Identity(token) => {
                let ask = exchange(url, service, &scope, token);
                self.send(&ask, None).await
            }
            credentials => {
                let authorization = credentials.basic_header(&self.registry())?;
                let mut url = url;
                if let Some(service) = service {
                    url.query_pairs_mut().append_pair("service", service);
                }
                url.query_pairs_mut().append_pair("scope", &scope);
                if let Credentials::Basic { user, .. } = credentials {
                    url.query_pairs_mut().append_pair("account", user);
                }
                self.send(&Ask::new(Method::GET, url.into()), authorization).await
            }
        };
        let answer = answer.map_err(|it| it.why)?;
        let deed = self.rights.deed();
        match answer.status {
            StatusCode::OK => {
                let given = serde_json::from_slice::<Given>(&answer.body).ok();
                let token = given.and_then(|it| it.token.or(it.access_token));
                let status = answer.status.as_u16();
                token
                    .map(SecretString::from)
                    .ok_or_else(|| Error::NotARegistry { registry: self.registry(), status })
            }
            // Some ask for a name and a password with this status.
            StatusCode::BAD_REQUEST if !self.credentials.are_given() => {
                Err(self.refusal(deed, StatusCode::UNAUTHORIZED, &body_of(&answer.body), None))
            }
            status => Err(self.refusal(deed, status, &body_of(&answer.body), None)),
        }
    }

    /// Where tokens are given. A registry that we talk to in confidence must not send us and our
    /// password to a place that we do not.
    fn place_of_tokens(&self, realm: &str) -> Result<Url, Error> {
        let registry = self.registry();
        let url = Url::parse(realm).ok().filter(|it| it.host_str().is_some());
        let Some(url) = url else { return Err(Error::NotARegistry { registry, status: 401 }) };
        if is_as_safe(&url, self.repository.base()) {
            return Ok(url);
        }
        let realm = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        Err(Error::UnsafeRealm { registry, realm })
    }
}

/// Whether an address is no less safe than the registry's own.
fn is_as_safe(url: &Url, base: &Url) -> bool {
    url.scheme() == "https" || base.scheme() == "http" || is_here(url)
}

/// Whether nobody can listen on the way there.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// The request that exchanges an identity token for one of the registry's.
fn exchange(url: Url, service: Option<&str>, scope: &str, token: &SecretString) -> Ask {
    let mut form = url.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "hopclock")
        .append_pair("service", service.unwrap_or_default())
        .append_pair("scope", scope)
        .append_pair("refresh_token", token.expose_secret());
    let body = form.query().unwrap_or_default().to_owned();
    Ask::new(Method::POST, url.into())
        .with(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .sending(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_nowhere_that_is_less_safe_than_the_registry() {
        let safe = |url: &str, base: &str| {
            is_as_safe(&Url::parse(url).unwrap(), &Url::parse(base).unwrap())
        };
        assert!(safe("https://auth.test/token", "https://registry.test/v2/"));
        assert!(safe("http://auth.test/token", "http://registry.test/v2/"));
        assert!(safe("http://127.0.0.1:5001/token", "https://registry.test/v2/"));
        assert!(!safe("http://auth.test/token", "https://registry.test/v2/"));
        assert!(!safe("ftp://auth.test/token", "https://registry.test/v2/"));
    }
}
