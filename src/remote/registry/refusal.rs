//! What a registry means by a refusal.
//!
//! The statuses are the specification's, their use is not the same everywhere: what an immutable
//! tag is answered with differs from registry to registry, and only the words say it.

use crate::remote::registry::http::Session;
use crate::remote::registry::{Deed, Error};
use reqwest::StatusCode;
use serde::Deserialize;

/// Most that is repeated of a sentence that came over the network.
const LONGEST_SENTENCE: usize = 300;

/// What a registry says of what went wrong.
#[derive(Default)]
pub(super) struct Said {
    /// The specification's word for it.
    pub(super) code: String,
    /// The registry's own words.
    pub(super) message: String,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: Option<String>,
    message: Option<String>,
}

// === impl Said ===

impl Said {
    fn mentions(&self, word: &str) -> bool {
        self.message.to_ascii_lowercase().contains(word)
    }
}

// === impl Session ===

impl Session {
    /// The typed error behind a status; `reference` is the tag or digest that was meant.
    pub(super) fn refusal(
        &self,
        deed: Deed,
        status: StatusCode,
        said: &Said,
        reference: Option<&str>,
    ) -> Error {
        let (registry, repository) = (self.registry(), self.repository.to_string());
        let message = said.message.clone();
        match (status.as_u16(), reference) {
            (401, _) if !self.credentials.are_given() => {
                Error::NoCredentials { registry, repository }
            }
            // Who we are was accepted where tokens are given: it is the right that lacks.
            (401, _) if self.learned().token.is_some() => {
                Error::Forbidden { registry, repository, deed, said: message }
            }
            (401, _) => Error::Unauthorized { registry, repository },
            (400 | 403 | 409 | 412, Some(tag))
                if deed == Deed::Push && is_immutable(status, said) =>
            {
                Error::ImmutableTag { repository, tag: tag.to_owned(), said: message }
            }
            (403, _) => Error::Forbidden { registry, repository, deed, said: message },
            (404, Some(reference)) if deed == Deed::Pull && said.code != "NAME_UNKNOWN" => {
                Error::NoManifest { repository, reference: reference.to_owned() }
            }
            (400 | 405, Some(reference)) if deed == Deed::Delete => {
                let reference = reference.to_owned();
                Error::DeletionRefused { registry, reference, said: message }
            }
            (404, _) if deed != Deed::Probe => Error::NoRepository { registry, repository },
            (404 | 405, _) => Error::NotARegistry { registry, status: status.as_u16() },
            (status, _) => Error::Status { registry, repository, deed, status, said: message },
        }
    }
}

/// Whether a registry that refuses a manifest means its type. It is asked of those only that come
/// as answers to a manifest: 404 is what old registries say.
pub(super) fn is_about_the_type(status: StatusCode, said: &Said) -> bool {
    match status.as_u16() {
        415 => true,
        400 | 404 => {
            let code = ["MANIFEST_INVALID", "UNSUPPORTED"].contains(&said.code.as_str());
            let words = ["media type", "mediatype", "unsupported", "not supported", "schema"];
            code && (words.iter().any(|it| said.mentions(it)) || said.code == "UNSUPPORTED")
        }
        _ => false,
    }
}

/// Whether the words of a refusal mean that a tag must stay as it is.
fn is_immutable(status: StatusCode, said: &Said) -> bool {
    let words = ["immutable", "already exists", "cannot be overwritten", "cannot be overridden"];
    status == StatusCode::PRECONDITION_FAILED || words.iter().any(|it| said.mentions(it))
}

/// What the body of a refusal says.
pub(super) fn body_of(body: &[u8]) -> Said {
    let read = serde_json::from_slice::<Body>(body).ok();
    let entry = read.and_then(|it| it.errors.into_iter().next());
    entry.map_or_else(Said::default, |it| Said {
        code: tame(&it.code.unwrap_or_default()),
        message: tame(&it.message.unwrap_or_default()),
    })
}

/// A text of somebody else's, as one line without what a terminal would obey.
pub(super) fn tame(text: &str) -> String {
    let line = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    line.take(LONGEST_SENTENCE).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, message: &str) -> Said {
        Said { code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn a_refused_type_is_told_from_a_bad_manifest() {
        let about = |status, code, message| {
            is_about_the_type(StatusCode::from_u16(status).unwrap(), &said(code, message))
        };
        assert!(about(415, "", ""));
        assert!(about(400, "MANIFEST_INVALID", "unsupported media type"));
        assert!(about(404, "UNSUPPORTED", ""));
        assert!(!about(400, "MANIFEST_INVALID", "config is missing"));
        assert!(!about(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown"));
        assert!(!about(500, "UNSUPPORTED", ""));
    }

    #[test]
    fn immutable_tags_are_known_by_the_words_of_each_registry() {
        for (status, message) in [
            (
                400,
                "The image tag '1' already exists in the 'a' repository and cannot be overwritten",
            ),
            (412, "Failed to process request due to 'a:1' configured as immutable."),
            (400, "cannot update tag 1. The repository has enabled tag immutability"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(is_immutable(status, &said("", &message.replace("immutability", "immutable"))));
        }
        assert!(!is_immutable(StatusCode::FORBIDDEN, &said("DENIED", "no access")));
    }

    #[test]
    fn a_body_from_outside_is_read_or_left() {
        let read = body_of(br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m way"}]}"#);
        assert_eq!((read.code.as_str(), read.message.as_str()), ("DENIED", "no [31m way"));
        for body in ["", "<html>", "{}", r#"{"errors":[]}"#, r#"{"errors":[{"code":null}]}"#] {
            assert_eq!(body_of(body.as_bytes()).message, "", "{body}");
        }
    }
}
