//! Where a repository is: an address that can be printed, and a name that two spellings share.
//!
//! People paste addresses with a password inside. It is taken out here, at the boundary, so that
//! nothing behind can print it.

use crate::remote::git::ssh::Address;
use crate::remote::git::{Credentials, Error};
use reqwest::Url;
use std::fmt;

/// The address of a repository, without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUrl {
    place: Place,
}

/// The same address, by the way that leads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Http(Url),
    Ssh(Address),
}

impl RemoteUrl {
    /// Reads an address over HTTP, HTTPS or ssh; `user@host:path` is one over ssh. Credentials
    /// inside it are handed out apart from it.
    ///
    /// # Errors
    /// When it is no address, or one of another scheme.
    pub fn parse(text: &str) -> Result<(Self, Option<Credentials>), Error> {
        let text = text.trim();
        let bad = |why| Error::BadUrl { url: without_user(text), why };
        if let Some(address) = Address::parse(text) {
            return Ok((Self { place: Place::Ssh(address.map_err(bad)?) }, None));
        }
        let mut url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad(format!("scheme `{}` is not `http`, `https` or `ssh`", url.scheme())));
        }
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        let credentials = (!user.is_empty() || !password.is_empty())
            .then(|| Credentials::basic(&unescaped(user), &unescaped(password)));
        // Neither fails: an address with a host takes both.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        Ok((Self { place: Place::Http(url) }, credentials))
    }

    /// Whether it is one over ssh.
    #[must_use]
    pub fn is_over_ssh(&self) -> bool {
        matches!(self.place, Place::Ssh(_))
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// One name for all spellings of the same repository: lanes and caches are keyed by it.
    ///
    /// Scheme, user, letter case of the host, default port, `.git` and a final slash do not matter.
    #[must_use]
    pub fn normalised(&self) -> String {
        let url = match &self.place {
            Place::Http(url) => url,
            Place::Ssh(address) => return address.normalised(),
        };
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = url.path().trim_end_matches('/');
        format!("{host}{port}{}", path.strip_suffix(".git").unwrap_or(path))
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Http(url) => formatter.write_str(url.as_str().trim_end_matches('/')),
            Place::Ssh(address) => address.fmt(formatter),
        }
    }
}

/// Cuts what may be user and password out of a text that could not be read as an address.
fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, after)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{after}"),
            None => after.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// Undoes percent-encoding.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        let code = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_taken_out_of_it() {
        let (url, found) =
            RemoteUrl::parse("https://u:pl%344nted@Git.Example.com/a/b.git/").unwrap();
        assert_eq!(url.to_string(), "https://git.example.com/a/b.git");
        assert!(found.is_some());
        assert!(!format!("{url:?} {found:?}").contains("nted"));
        assert_eq!(unescaped("s%40c%zz%"), "s@c%zz%");
    }

    #[test]
    fn a_token_in_the_place_of_the_user_is_one_too() {
        let (url, found) = RemoteUrl::parse("https://t0ken@example.com/a").unwrap();
        assert_eq!(url.to_string(), "https://example.com/a");
        assert!(matches!(found, Some(Credentials::Basic { user, .. }) if user == "t0ken"));
        assert!(RemoteUrl::parse("https://example.com/a").unwrap().1.is_none());
    }

    #[test]
    fn an_unreadable_address_is_printed_without_its_password() {
        for text in ["ssh://u:secret@h/x", "u:secret@h:x", "http://u:secret@h:port/x"] {
            let error = RemoteUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn s5_spellings_of_one_repository_have_one_name() {
        let name = |text| RemoteUrl::parse(text).unwrap().0.normalised();
        assert_eq!(name("https://GitHub.com:443/a/b.git"), name("http://github.com/a/b/"));
        assert_ne!(name("https://github.com/a/b"), name("https://github.com/a/c"));
        for ssh in [
            "git@GitHub.com:a/b.git",
            "github.com:/a/b/",
            "ssh://github.com/a/b",
            "ssh://me@github.com:22/a/b.git/",
        ] {
            assert_eq!(name(ssh), "github.com/a/b", "{ssh}");
        }
        assert_ne!(name("ssh://github.com:2222/a/b"), name("ssh://github.com/a/b"));
    }
}
