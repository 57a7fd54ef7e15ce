//! Versions of what can carry the change, and how Flux's sources write them.
//!
//! Two sources may write the same text and mean different things: `main@sha256:…` is a commit of a
//! git repository, and a manifest of an OCI one. So a text is read by the kind of its source.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A version of something that can carry the change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revision {
    /// A git commit, by its full hexadecimal id.
    Commit(String),
    /// A tag of an image repository.
    Tag(String),
    /// The content of an OCI manifest, a bucket, a chart index or an archive: `sha256:<hex>`.
    Digest(String),
    /// The version of a Helm chart, without its build part.
    Version(String),
}

/// What sort of version a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevisionSort {
    /// A git commit.
    Commit,
    /// A tag of an image repository.
    Tag,
    /// A content.
    Digest,
    /// A version of a Helm chart.
    Version,
    /// None: it is a request, and what it does is the Receiver's business.
    Request,
}

/// A kind of Flux source, by how it writes its revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// `GitRepository`: `main@sha1:<hex>`, `refs/heads/x@sha1:<hex>` or `sha1:<hex>`.
    Git,
    /// `OCIRepository`: `<tag>@sha256:<hex>` or `sha256:<hex>`.
    Oci,
    /// `Bucket`: `sha256:<hex>` of its list of objects.
    Bucket,
    /// `HelmRepository`: `sha256:<hex>` of its index.
    HelmRepository,
    /// `HelmChart`: the chart's version.
    HelmChart,
    /// `ExternalArtifact`: `latest@sha256:<hex>`, or its source's own revision.
    External,
}

// === impl Revision ===

impl Revision {
    /// The bare id, as people paste it into other tools.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Commit(id) | Self::Tag(id) | Self::Digest(id) | Self::Version(id) => id,
        }
    }

    /// What sort of version it is.
    #[must_use]
    pub fn sort(&self) -> RevisionSort {
        match self {
            Self::Commit(_) => RevisionSort::Commit,
            Self::Tag(_) => RevisionSort::Tag,
            Self::Digest(_) => RevisionSort::Digest,
            Self::Version(_) => RevisionSort::Version,
        }
    }

    /// Whether both are commits, tags, digests or versions.
    #[must_use]
    pub fn is_of_sort(&self, other: &Self) -> bool {
        self.sort() == other.sort()
    }

    /// A commit by its bare id; none for any other text.
    #[must_use]
    pub fn commit(id: &str) -> Option<Self> {
        let hex = id.chars().all(|it| it.is_ascii_hexdigit());
        (hex && matches!(id.len(), 40 | 64)).then(|| Self::Commit(id.to_owned()))
    }
}

impl fmt::Display for Revision {
    /// Short enough for a table: the first ten digits of a commit or digest; tags and versions as
    /// they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id();
        let shown = match self {
            Self::Commit(_) => id.get(..10),
            Self::Digest(_) => id.find(':').and_then(|it| id.get(..it + 11)),
            Self::Tag(_) | Self::Version(_) => None,
        };
        f.write_str(shown.unwrap_or(id))
    }
}

// === impl SourceKind ===

impl SourceKind {
    /// The kind that is called so; none for what is no source.
    #[must_use]
    pub fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "GitRepository" => Self::Git,
            "OCIRepository" => Self::Oci,
            "Bucket" => Self::Bucket,
            "HelmRepository" => Self::HelmRepository,
            "HelmChart" => Self::HelmChart,
            "ExternalArtifact" => Self::External,
            _ => return None,
        })
    }

    /// Reads a revision as a source of this kind writes it, and whoever applies it repeats it
    /// (Flux: `Commit.String` of its git package; the reconcilers of source-controller); none for
    /// any other text.
    #[must_use]
    pub fn revision(self, text: &str) -> Option<Revision> {
        match self {
            Self::Git => commit(text),
            Self::HelmChart => version(text),
            // Behind an alias stands what the source itself wrote.
            Self::External if text.contains("sha1:") => commit(text),
            Self::Oci | Self::Bucket | Self::HelmRepository | Self::External => digest(text),
        }
    }
}

/// The commit behind a branch or tag.
fn commit(text: &str) -> Option<Revision> {
    let (algorithm, hex) = checksum(text)?;
    let length = match algorithm {
        "sha1" => 40,
        "sha256" => 64,
        _ => return None,
    };
    (hex.len() == length).then(|| Revision::Commit(hex.to_owned()))
}

/// The digest behind a tag.
fn digest(text: &str) -> Option<Revision> {
    let (algorithm, hex) = checksum(text)?;
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return None,
    };
    (hex.len() == length).then(|| Revision::Digest(format!("{algorithm}:{hex}")))
}

/// Algorithm and digits of `<anything>@<algorithm>:<hex>`.
fn checksum(text: &str) -> Option<(&str, &str)> {
    let (before, hex) = text.rsplit_once(':')?;
    let algorithm = before.rsplit_once('@').map_or(before, |it| it.1);
    hex.chars().all(|it| it.is_ascii_hexdigit()).then_some((algorithm, hex))
}

/// Helm writes `+<digest>` behind a version that came from an OCI registry.
fn version(text: &str) -> Option<Revision> {
    let version = text.split_once('+').map_or(text, |it| it.0);
    (!version.is_empty()).then(|| Revision::Version(version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: &str = "a7a38ae42422820b3f5671004fcb257b5b8a3b9d";
    const SHA256: &str = "07add0925eeb27af1b271bcff656330b500082f11738102bceb85ec295b041fa";

    #[test]
    fn a_commit_is_read_from_every_form_of_git_revision() {
        let commit = Some(Revision::Commit(SHA1.to_owned()));
        for form in ["main@sha1:", "refs/heads/x@sha1:", "v1.2.3@sha1:", "sha1:"] {
            assert_eq!(SourceKind::Git.revision(&format!("{form}{SHA1}")), commit);
        }
        for other in ["", "1.2.3", "latest@sha256:beef", SHA1, "main@sha1:xyz"] {
            assert_eq!(SourceKind::Git.revision(other), None, "{other}");
        }
    }

    #[test]
    fn the_same_text_means_another_thing_in_another_source() {
        let text = format!("main@sha256:{SHA256}");
        let (commit, digest) = (SHA256.to_owned(), format!("sha256:{SHA256}"));
        assert_eq!(SourceKind::Git.revision(&text), Some(Revision::Commit(commit)));
        for kind in [SourceKind::Oci, SourceKind::External] {
            assert_eq!(kind.revision(&text), Some(Revision::Digest(digest.clone())));
        }
    }

    #[test]
    fn what_has_no_tag_is_read_as_well() {
        let text = format!("sha256:{SHA256}");
        for kind in [SourceKind::Oci, SourceKind::Bucket, SourceKind::HelmRepository] {
            assert_eq!(kind.revision(&text), Some(Revision::Digest(text.clone())));
            assert_eq!(kind.revision("sha256:beef"), None);
        }
    }

    #[test]
    fn the_build_part_of_a_charts_version_is_left_out() {
        let version = Some(Revision::Version("0.1.1".to_owned()));
        for text in ["0.1.1", "0.1.1+679571276cb9"] {
            assert_eq!(SourceKind::HelmChart.revision(text), version);
        }
        assert_eq!(SourceKind::HelmChart.revision(""), None);
    }

    #[test]
    fn an_alias_shows_what_its_source_wrote() {
        let text = format!("main@sha1:{SHA1}");
        assert_eq!(SourceKind::External.revision(&text), SourceKind::Git.revision(&text));
    }

    #[test]
    fn in_a_table_it_is_short() {
        let digest = Revision::Digest(format!("sha256:{SHA256}"));
        assert_eq!(digest.to_string(), "sha256:07add0925e");
        assert_eq!(Revision::Commit(SHA1.to_owned()).to_string(), "a7a38ae424");
        assert_eq!(Revision::Tag("2026.11.21-canary".to_owned()).to_string(), "2026.11.21-canary");
    }
}
