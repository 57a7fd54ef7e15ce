//! Where a request goes: the path of the distribution API, taken apart.
//!
//! Names contain slashes, so a path is read from its end.

use super::Route;

/// A place in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Ping,
    Token,
    Tags { name: String },
    Manifest { name: String, reference: String },
    Blob { name: String, digest: String },
    Uploads { name: String },
    Upload { name: String, id: String },
    Referrers { name: String, digest: String },
    Other,
}

impl Place {
    /// Reads a path.
    pub(super) fn of(path: &str) -> Self {
        let rest = match path {
            "/token" => return Self::Token,
            "/v2" | "/v2/" => return Self::Ping,
            _ => path.strip_prefix("/v2/"),
        };
        rest.and_then(inside).unwrap_or(Self::Other)
    }

    /// The route that requests to this place are counted under.
    pub(super) fn route(&self) -> Route {
        match self {
            Self::Ping => Route::Ping,
            Self::Token => Route::Token,
            Self::Tags { .. } => Route::Tags,
            Self::Manifest { .. } => Route::Manifest,
            Self::Blob { .. } => Route::Blob,
            Self::Uploads { .. } | Self::Upload { .. } => Route::Upload,
            Self::Referrers { .. } => Route::Referrers,
            Self::Other => Route::Other,
        }
    }

    /// The repository that it lies in.
    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Ping | Self::Token | Self::Other => None,
            Self::Tags { name }
            | Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Referrers { name, .. } => Some(name),
        }
    }
}

fn inside(rest: &str) -> Option<Place> {
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some(Place::Tags { name: name.to_owned() });
    }
    if let Some((name, id)) = rest.split_once("/blobs/uploads") {
        let (name, id) = (name.to_owned(), id.trim_matches('/').to_owned());
        let whole = id.is_empty();
        return Some(if whole { Place::Uploads { name } } else { Place::Upload { name, id } });
    }
    let (head, last) = rest.rsplit_once('/')?;
    let (name, what) = head.rsplit_once('/')?;
    let (name, last) = (name.to_owned(), last.to_owned());
    match what {
        "manifests" => Some(Place::Manifest { name, reference: last }),
        "blobs" => Some(Place::Blob { name, digest: last }),
        "referrers" => Some(Place::Referrers { name, digest: last }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_slashes_are_told_from_what_follows_them() {
        let name = || "team/manifests/app".to_owned();
        let of = |rest: &str| Place::of(&format!("/v2/team/manifests/app{rest}"));
        assert_eq!(of("/tags/list"), Place::Tags { name: name() });
        let reference = "1.0".to_owned();
        assert_eq!(of("/manifests/1.0"), Place::Manifest { name: name(), reference });
        assert_eq!(of("/blobs/uploads/"), Place::Uploads { name: name() });
        assert_eq!(of("/blobs/uploads/x"), Place::Upload { name: name(), id: "x".to_owned() });
        let digest = "sha256:00".to_owned();
        assert_eq!(of("/blobs/sha256:00"), Place::Blob { name: name(), digest });
        assert_eq!(Place::of("/v2/"), Place::Ping);
        assert_eq!(Place::of("/v1/search"), Place::Other);
        assert_eq!(Place::of("/v2/_catalog"), Place::Other);
    }
}
