//! Which repository of which registry: how it is asked for, and one name for all its spellings.

use crate::remote::registry::Error;
use reqwest::Url;
use std::fmt;

/// What Docker Hub is called, and where it answers.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

/// A repository of images or artifacts in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    host: String,
    path: String,
    base: Url,
}

// === impl Repository ===

impl Repository {
    /// Reads an image's name without a tag, as in an `ImageRepository`, or an address that begins
    /// with `oci://`. `insecure` is over plain HTTP.
    ///
    /// # Errors
    /// When it is no name of a repository.
    pub fn parse(text: &str, insecure: bool) -> Result<Self, Error> {
        let text = text.trim();
        let name = text.strip_prefix("oci://").unwrap_or(text).trim_end_matches('/');
        let bad = |why| Error::BadName { name: without_user(name), why };
        if name.contains("://") {
            return Err(bad("it is an address of another scheme than `oci://`"));
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host.to_ascii_lowercase(), path.to_owned()),
            _ => (HUB.to_owned(), name.to_owned()),
        };
        if host.contains('@') {
            return Err(bad("a user or password does not belong into it"));
        }
        if path.contains(['@', ':']) {
            return Err(bad("a tag or digest does not belong to it"));
        }
        if !path.split('/').all(is_component) {
            return Err(bad("its parts are lower-case letters, digits, `.`, `_` and `-`"));
        }
        let host = match host.as_str() {
            "index.docker.io" | HUB_HOST => HUB.to_owned(),
            _ => host,
        };
        let bare = host == HUB && !path.contains('/');
        let path = if bare { format!("library/{path}") } else { path };
        let scheme = if insecure { "http" } else { "https" };
        let server = if host == HUB { HUB_HOST } else { &host };
        let base = Url::parse(&format!("{scheme}://{server}/v2/"));
        let base = base.map_err(|_| bad("its host cannot be one"))?;
        Ok(Self { host, path, base })
    }

    /// The host as people write it, with its port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path on the host.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// One name for all spellings of the same repository: lanes are keyed by it (design rule S5).
    #[must_use]
    pub fn normalised(&self) -> String {
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        let host =
            if self.host.contains(']') { self.base.host_str().unwrap_or(host) } else { host };
        format!("{host}{port}/{}", self.path)
    }

    /// Where the registry's interface begins.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// The address of something in the repository.
    pub(super) fn url(&self, rest: &str) -> String {
        format!("{}{}/{rest}", self.base, self.path)
    }

    /// The names under which credentials may be kept for it, the most special first.
    pub(super) fn credential_keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let mut path = self.path.as_str();
        loop {
            keys.push(format!("{}/{path}", self.host));
            match path.rsplit_once('/') {
                Some((shorter, _)) => path = shorter,
                None => break,
            }
        }
        if self.host == HUB {
            keys.push("https://index.docker.io/v1/".to_owned());
            keys.push("index.docker.io".to_owned());
        }
        keys.push(self.host.clone());
        keys
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

/// Docker's rule: what has a dot or a port is a host, and so is `localhost`.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn is_component(text: &str) -> bool {
    let part = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    let sign = |it: char| matches!(it, '.' | '_' | '-');
    text.starts_with(part) && text.ends_with(part) && text.chars().all(|it| part(it) || sign(it))
}

fn without_user(text: &str) -> String {
    text.split_once('/').map_or(text, |(host, _)| host).rsplit_once('@').map_or_else(
        || text.to_owned(),
        |(user, _)| text.get(user.len() + 1..).unwrap_or_default().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_spellings_of_one_repository_have_one_name() {
        let name = |text| Repository::parse(text, false).unwrap().normalised();
        for text in ["nginx", "docker.io/nginx", "index.docker.io/library/nginx", "oci://nginx/"] {
            assert_eq!(name(text), "docker.io/library/nginx", "{text}");
        }
        assert_eq!(name("GHCR.io:443/org/app"), "ghcr.io/org/app");
        assert_eq!(name("GHCR.io/org/app"), "ghcr.io/org/app");
        assert_ne!(name("ghcr.io:8443/org/app"), name("ghcr.io/org/app"));
        let plain = Repository::parse("registry.test:80/a", true).unwrap();
        assert_eq!(plain.normalised(), "registry.test/a");
        assert_eq!(plain.url("tags/list"), "http://registry.test/v2/a/tags/list");
    }

    #[test]
    fn docker_hub_answers_at_another_host_than_its_name() {
        let hub = Repository::parse("team/app", false).unwrap();
        assert_eq!(hub.to_string(), "docker.io/team/app");
        assert_eq!(hub.url("tags/list"), "https://registry-1.docker.io/v2/team/app/tags/list");
        let local = Repository::parse("localhost/app", false).unwrap();
        assert_eq!(local.host(), "localhost");
        assert_eq!(Repository::parse("127.0.0.1:5000/a/b", true).unwrap().host(), "127.0.0.1:5000");
    }

    #[test]
    fn what_is_no_repository_is_refused_without_a_password_in_the_message() {
        for text in ["", "ghcr.io/Org/app", "app:v1", "app@sha256:00", "https://ghcr.io/a", "a//b"]
        {
            let error = Repository::parse(text, false).unwrap_err();
            assert_eq!(error.reason(), "registry_bad_name", "{text}");
        }
        let error = Repository::parse("u:pl4nted@ghcr.io/a", false).unwrap_err().to_string();
        assert!(!error.contains("pl4nted"), "{error}");
    }
}
