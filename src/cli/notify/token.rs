//! How a listener's notifications prove themselves, as the command line says it.

use crate::model::ObjectName;
use std::path::PathBuf;
use std::str::FromStr;

/// How the notifications of one listener prove themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct NotifyToken {
    /// The listener: the last part of the Provider's address.
    pub(in crate::cli) listener: String,
    /// Where the token is.
    pub(super) place: TokenPlace,
}

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenPlace {
    /// The key `token` of a Secret, as Flux's Providers have it.
    Secret(ObjectName),
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// There is none.
    Unsigned,
}

/// A text that says nothing of a listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "use `LISTENER=secret:NAMESPACE/NAME`, `LISTENER=file:PATH`, `LISTENER=env:NAME` or \
     `LISTENER=unsigned`, with a listener of at most 63 lower-case letters, digits and `-`"
)]
pub(in crate::cli) struct NotANotifyToken;

// === impl NotifyToken ===

impl FromStr for NotifyToken {
    type Err = NotANotifyToken;

    fn from_str(text: &str) -> Result<Self, NotANotifyToken> {
        let (listener, place) = text.split_once('=').ok_or(NotANotifyToken)?;
        let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
        let fits = (1..=63).contains(&listener.len())
            && listener.chars().all(|it| plain(it) || it == '-')
            && listener.starts_with(plain)
            && listener.ends_with(plain);
        let place = match place.split_once(':') {
            None if place == "unsigned" => TokenPlace::Unsigned,
            Some(("secret", name)) => {
                TokenPlace::Secret(name.parse().map_err(|_| NotANotifyToken)?)
            }
            Some(("file", path)) if !path.is_empty() => TokenPlace::File(path.into()),
            Some(("env", name)) if !name.is_empty() => TokenPlace::Env(name.to_owned()),
            _ => return Err(NotANotifyToken),
        };
        fits.then(|| Self { listener: listener.to_owned(), place }).ok_or(NotANotifyToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_says_where_its_token_is_or_that_there_is_none() {
        for (text, place) in [
            ("flux=secret:a/b", TokenPlace::Secret(ObjectName::new("a", "b"))),
            ("flux=file:/run/token", TokenPlace::File("/run/token".into())),
            ("flux=env:TOKEN", TokenPlace::Env("TOKEN".to_owned())),
            ("flux=unsigned", TokenPlace::Unsigned),
        ] {
            let token = NotifyToken { listener: "flux".to_owned(), place };
            assert_eq!(text.parse(), Ok(token), "{text}");
        }
        for text in ["", "flux", "flux=", "flux=secret:b", "=unsigned", "Flux=unsigned", "a=file:"]
        {
            assert_eq!(text.parse::<NotifyToken>(), Err(NotANotifyToken), "{text}");
        }
    }
}
