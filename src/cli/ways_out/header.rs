//! What goes with each request: who we are, and headers that the other end wants.
//!
//! Files are read at each request, because mounted tokens are renewed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::str::FromStr;

/// What to prove ourselves with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Credentials {
    scheme: Scheme,
    place: Place,
}

/// A header and its value.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Header {
    name: String,
    value: Text,
}

/// A name and a value that is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Pair {
    /// The name.
    pub(super) name: String,
    /// The value.
    pub(super) value: String,
}

/// How a secret is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Basic,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Env(String),
}

/// The value of a header.
#[derive(Clone, Debug)]
enum Text {
    At(Place),
    Said(SecretString),
}

/// A text of another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum Malformed {
    /// No credentials.
    #[error("use `bearer:file:PATH`, `bearer:env:NAME`, `basic:file:PATH` or `basic:env:NAME`")]
    Credentials,
    /// No name and value.
    #[error("use `NAME=VALUE`")]
    Pair,
    /// No name of a header, and its value.
    #[error("use `NAME=VALUE` with the name of a header, which has no `:` and no space in it")]
    Header,
}

/// A secret that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// The file cannot be read.
    #[error(
        "the file `{path}` with a secret cannot be read ({why}): check the path and its rights"
    )]
    File { path: String, why: String },
    /// There is no such variable.
    #[error("the environment variable `{0}` with a secret is not set, or is no text: set it")]
    Env(String),
    /// There is nothing in it.
    #[error("{0} should hold a secret and is empty: write it there")]
    Empty(String),
}

// === impl Credentials ===

impl FromStr for Credentials {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (scheme, place) = text.split_once(':').ok_or(Malformed::Credentials)?;
        let scheme = match scheme {
            "bearer" => Scheme::Bearer,
            "basic" => Scheme::Basic,
            _ => return Err(Malformed::Credentials),
        };
        let place = Place::parse(place).ok_or(Malformed::Credentials)?;
        Ok(Self { scheme, place })
    }
}

impl Credentials {
    /// The value of `Authorization`.
    pub(super) fn authorization(&self) -> Result<SecretString, Unreadable> {
        let secret = self.place.read()?;
        let secret = secret.expose_secret();
        let value = match self.scheme {
            Scheme::Bearer => format!("Bearer {secret}"),
            Scheme::Basic => format!("Basic {}", STANDARD.encode(secret)),
        };
        Ok(value.into())
    }
}

// === impl Header ===

impl FromStr for Header {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let Pair { name, value } = text.parse()?;
        // What is no name may be the beginning of a credential, and is shown nowhere.
        if !name.bytes().all(is_token) {
            return Err(Malformed::Header);
        }
        let value = match Place::parse(&value) {
            Some(place) => Text::At(place),
            None => Text::Said(value.into()),
        };
        Ok(Self { name, value })
    }
}

impl Header {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub(super) fn value(&self) -> Result<SecretString, Unreadable> {
        match &self.value {
            Text::At(place) => place.read(),
            Text::Said(value) => Ok(value.clone()),
        }
    }

    /// The header as OpenTelemetry writes it: with `%20` and the like for what a list of headers
    /// cannot hold.
    pub(super) fn decoded(mut self) -> Self {
        if let Text::Said(value) = &self.value {
            self.value = Text::Said(percent_decoded(value.expose_secret()).into());
        }
        self
    }
}

/// Whether a byte may be in the name of a header (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

// === impl Pair ===

impl FromStr for Pair {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (name, value) = text.split_once('=').ok_or(Malformed::Pair)?;
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        if name.is_empty() { Err(Malformed::Pair) } else { Ok(Self { name, value }) }
    }
}

impl Pair {
    /// The pair as OpenTelemetry writes it.
    pub(super) fn decoded(&self) -> (String, String) {
        (self.name.clone(), percent_decoded(&self.value))
    }
}

// === impl Place ===

impl Place {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Some(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Some(Self::Env(name.to_owned())),
            _ => None,
        }
    }

    fn read(&self) -> Result<SecretString, Unreadable> {
        let (text, place) = match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| Unreadable::File {
                    path: path.display().to_string(),
                    why: error.to_string(),
                })?;
                (text, format!("the file `{}`", path.display()))
            }
            Self::Env(name) => {
                let text = std::env::var(name).map_err(|_| Unreadable::Env(name.clone()))?;
                (text, format!("the environment variable `{name}`"))
            }
        };
        match text.trim() {
            "" => Err(Unreadable::Empty(place)),
            text => Ok(text.to_owned().into()),
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let coded = tail.get(..2).filter(|_| *first == b'%');
        let coded = coded.and_then(|it| std::str::from_utf8(it).ok());
        let byte = coded.and_then(|it| u8::from_str_radix(it, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_anew_each_time_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let given = |scheme: &str| format!("{scheme}:file:{}", path.display()).parse().unwrap();
        let (bearer, basic): (Credentials, Credentials) = (given("bearer"), given("basic"));
        assert!(matches!(bearer.authorization(), Err(Unreadable::File { .. })));
        for (secret, encoded) in [("user:pl4nted\n", "dXNlcjpwbDRudGVk"), ("b", "Yg==")] {
            std::fs::write(&path, secret).unwrap();
            let shown = |it: &Credentials| it.authorization().unwrap().expose_secret().to_owned();
            assert_eq!(shown(&bearer), format!("Bearer {}", secret.trim()));
            assert_eq!(shown(&basic), format!("Basic {encoded}"));
        }
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(bearer.authorization(), Err(Unreadable::Empty(_))));
        let header: Header = "X-Key=pl4nted".parse().unwrap();
        assert!(!format!("{header:?}").contains("pl4nted"));
        for wrong in ["", "bearer", "bearer:token", "digest:file:x", "basic:file:"] {
            assert_eq!(wrong.parse::<Credentials>(), Err(Malformed::Credentials), "{wrong}");
        }
    }

    #[test]
    fn headers_of_opentelemetry_are_decoded() {
        let header: Header = "Authorization=Basic%20YQ==".parse().unwrap();
        assert_eq!(header.decoded().value().unwrap().expose_secret(), "Basic YQ==");
        let pair: Pair = " team = a%2Cb ".parse().unwrap();
        assert_eq!(pair.decoded(), ("team".to_owned(), "a,b".to_owned()));
        assert_eq!(percent_decoded("100% %zz %e4"), "100% %zz %e4");
        assert_eq!("=x".parse::<Pair>(), Err(Malformed::Pair));
    }
}
