//! Names of images: which registry they mean, and which repository there.

/// An image's name without a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageName {
    /// Host and port of the registry.
    pub(crate) host: String,
    /// The repository.
    pub(crate) repository: String,
}

impl ImageName {
    /// Reads a name; a tag in it is refused, as scanning all of them would make no sense of it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!(
                "could not parse reference: URL scheme '{scheme}://' is not allowed in image '{text}'"
            ));
        }
        let last = text.rsplit('/').next().unwrap_or_default();
        let has_host = text.contains('/');
        if last.contains('@') || (last.contains(':') && (has_host || !last.contains('.'))) {
            return Err(format!(
                "spec.image '{text}' should not contain a tag or digest: remove it"
            ));
        }
        let (host, repository) = match text.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (host.to_owned(), rest.to_owned())
            }
            Some(_) => ("index.docker.io".to_owned(), text.to_owned()),
            None => ("index.docker.io".to_owned(), format!("library/{text}")),
        };
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        if text.is_empty() || repository.is_empty() || !repository.chars().all(good) {
            return Err(format!("could not parse reference: {text}"));
        }
        Ok(Self { host, repository })
    }

    /// The complete name, under which tags are kept.
    pub(crate) fn canonical(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// Whether its registry is on this machine, where nobody expects a certificate.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.host.split(':').next().unwrap_or_default();
        host == "localhost" || host.starts_with("127.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_docker_completes_them() {
        for (text, canonical) in [
            ("127.0.0.1:5001/team/app", "127.0.0.1:5001/team/app"),
            ("nginx", "index.docker.io/library/nginx"),
            ("team/app", "index.docker.io/team/app"),
            ("ghcr.io/a/b/c", "ghcr.io/a/b/c"),
        ] {
            assert_eq!(ImageName::parse(text).unwrap().canonical(), canonical);
        }
        for wrong in ["http://a.b/c", "a.b/c:1", "a.b/c@sha256:00", "a.b/C", ""] {
            assert!(ImageName::parse(wrong).is_err(), "{wrong}");
        }
        assert!(ImageName::parse("127.0.0.1:5001/a").unwrap().is_local());
    }
}
