//! What hopclock proves itself with to a git host.

use crate::remote::git::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// Credentials for a git host. Never printed: the secret parts hide themselves.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// None: the repository is open.
    #[default]
    None,
    /// User and password, or a host's token as password.
    Basic {
        /// The user's name.
        user: String,
        /// The password or token.
        password: SecretString,
    },
    /// A bearer token.
    Bearer(SecretString),
    /// A private key, for ssh.
    Ssh(SshKey),
}

/// What ssh needs to prove both sides to each other.
#[derive(Clone, Debug)]
pub struct SshKey {
    /// The private key: a file of OpenSSH, PEM or PKCS#8.
    pub identity: SecretString,
    /// What the private key is encrypted with, if it is.
    pub passphrase: Option<SecretString>,
    /// The keys of hosts, in the manner of OpenSSH's `known_hosts`.
    pub known_hosts: String,
}

impl Credentials {
    /// User and password; line ends, with which mounted secrets come, are cut off.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.trim_end().to_owned(), password: password.trim_end().into() }
    }

    /// A bearer token; a line end is cut off.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self::Bearer(token.trim_end().into())
    }

    /// The `Authorization` header, marked as sensitive.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, Error> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic { user, password } => {
                let pair = format!("{user}:{}", password.expose_secret());
                format!("Basic {}", STANDARD.encode(pair))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose_secret()),
            Self::Ssh(_) => return Err(Error::KeyOverHttp),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| Error::UnusableCredentials)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_from_a_file_may_end_in_a_newline() {
        let header = Credentials::bearer("abc\n").header().unwrap().unwrap();
        assert_eq!(header, "Bearer abc");
        assert!(header.is_sensitive());
        let header = Credentials::basic("Aladdin", "open sesame\n").header().unwrap().unwrap();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_token_that_is_no_header_is_an_error_without_the_token() {
        let error = Credentials::bearer("a\nb-planted").header().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("planted"));
    }

    #[test]
    fn credentials_do_not_show_their_secret() {
        let shown = format!(
            "{:?} {:?}",
            Credentials::basic("u", "pl4nted"),
            Credentials::bearer("pl4nted")
        );
        assert!(!shown.contains("pl4nted"), "{shown}");
    }
}
