//! References to container images, and the marks by which Flux finds them in git.
//!
//! Sources: the reference grammar of the distribution project; Flux's image-automation, whose
//! setters look for `{"$imagepolicy": "<namespace>:<policy>[:tag|:name|:digest]"}` in a comment.

use crate::model::{Change, Revision};
use serde::{Deserialize, Serialize};

/// `name[:tag][@digest]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRef<'a> {
    /// Registry and path of the repository.
    pub name: &'a str,
    /// Tag, if it has one.
    pub tag: Option<&'a str>,
    /// Digest, if it has one: `sha256:<hex>`.
    pub digest: Option<&'a str>,
}

/// A line of a file that a policy's choice is written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The file, from the root of the tree.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The policy: `<namespace>:<name>`.
    pub policy: String,
    /// Which part of the reference stands there: `tag`, `name` or `digest`; none for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What stands there now, without quotes.
    pub value: String,
}

// === impl ImageRef ===

impl<'a> ImageRef<'a> {
    /// Reads a reference; none for what is none, such as a URL. A name alone is one, too.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let of_name = |it: char| it.is_ascii_alphanumeric() || "._-/:".contains(it);
        let is_name = name.starts_with(|it: char| it.is_ascii_alphanumeric())
            && name.chars().all(of_name)
            && !name.contains("//");
        let fits = tag.is_none_or(is_tag) && digest.is_none_or(|it| it.contains(':'));
        (is_name && fits).then_some(Self { name, tag, digest })
    }

    /// Whether it names what the change brought: by its tag, where the change has one, else by its
    /// digest.
    #[must_use]
    pub fn carries(&self, change: &Change) -> bool {
        let tag = self.tag.map(|it| Revision::Tag(it.to_owned()));
        if change.knows_a_tag() {
            return tag.is_some_and(|it| change.carried(&it).is_some());
        }
        let digest = self.digest.map(|it| Revision::Digest(it.to_owned()));
        digest.is_some_and(|it| change.carried(&it).is_some())
    }
}

// === impl Marker ===

impl Marker {
    /// What stands in every line with a marker.
    pub const KEY: &str = "$imagepolicy";

    /// Every marker in the text of a file.
    #[must_use]
    pub fn find_in(file: &str, text: &str) -> Vec<Self> {
        let lines = text.lines().enumerate();
        lines.filter_map(|(index, line)| Self::read(file, index + 1, line)).collect()
    }

    /// Whether what stands there is what the change brought.
    #[must_use]
    pub fn carries(&self, change: &Change) -> bool {
        let carried = |it: Revision| change.carried(&it).is_some();
        match self.part.as_deref() {
            None => ImageRef::parse(&self.value).is_some_and(|it| it.carries(change)),
            Some("tag") => carried(Revision::Tag(self.value.clone())),
            Some("digest") => carried(Revision::Digest(self.value.clone())),
            Some(_) => false,
        }
    }

    fn read(file: &str, line: usize, text: &str) -> Option<Self> {
        let (before, comment) = text.split_once("\"$imagepolicy\"")?;
        let named = comment.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let mut parts = named.split_once('"')?.0.splitn(3, ':');
        let (namespace, name) = (parts.next()?, parts.next()?);
        let part = parts.next().map(str::to_owned);
        let scalar = before.rsplit_once('#')?.0.trim().trim_end_matches(',');
        let scalar = scalar.rsplit_once(": ").map_or(scalar, |it| it.1);
        let value = scalar.trim_start_matches("- ").trim().trim_matches(['"', '\'']).to_owned();
        let policy = format!("{namespace}:{name}");
        Some(Self { file: file.to_owned(), line, policy, part, value })
    }
}

fn is_tag(text: &str) -> bool {
    let part = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    (1..=128).contains(&text.len()) && text.chars().all(part) && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CanaryId;

    #[test]
    fn a_reference_falls_into_name_tag_and_digest() {
        let parts = |text| ImageRef::parse(text).map(|it| (it.name, it.tag, it.digest));
        assert_eq!(parts("app"), Some(("app", None, None)));
        assert_eq!(parts("app:1.2"), Some(("app", Some("1.2"), None)));
        let local = "127.0.0.1:5001/team/app";
        assert_eq!(parts(local), Some((local, None, None)));
        let full = format!("{local}:1.2@sha256:beef");
        assert_eq!(parts(&full), Some((local, Some("1.2"), Some("sha256:beef"))));
        for other in ["", ":1.2", "https://host:8080", "a b:1", "app:1/2", "-x:1", "app:.1"] {
            assert!(parts(other).is_none_or(|it| it.1.is_none()), "{other}");
        }
    }

    #[test]
    fn a_reference_is_judged_by_the_sort_of_the_change() {
        let mut change = Change::new(CanaryId::new("a", 1));
        let digest = format!("sha256:{}", "d".repeat(64));
        change.announce(vec![Revision::Digest(digest.clone())]);
        let carries = |text: &str, change: &Change| ImageRef::parse(text).unwrap().carries(change);
        assert!(carries(&format!("app:latest@{digest}"), &change));
        assert!(!carries("app:latest", &change));
        change.announce(vec![Revision::Tag("1.2".to_owned())]);
        assert!(carries("app:1.2", &change));
        assert!(!carries("app:1.2.3", &change));
    }

    #[test]
    fn markers_are_found_as_flux_writes_them() {
        let text = "spec:\n\
            - image: app:1.0 # {\"$imagepolicy\": \"flux-system:app\"}\n\
            - \"app:1.0\" # {\"$imagepolicy\": \"flux-system:app\"}\n\
              newTag: '1.0'   # {\"$imagepolicy\":\"flux-system:app:tag\"}\n\
              \"image\": \"app\", # {\"$imagepolicy\": \"flux-system:app:name\"}\n\
              image: app:1.0 # a comment\n";
        let found = Marker::find_in("a.yaml", text);
        let short: Vec<_> =
            found.iter().map(|it| (it.line, it.part.as_deref(), it.value.as_str())).collect();
        let expected = [
            (2, None, "app:1.0"),
            (3, None, "app:1.0"),
            (4, Some("tag"), "1.0"),
            (5, Some("name"), "app"),
        ];
        assert_eq!(short, expected);
        assert!(found.iter().all(|it| it.policy == "flux-system:app" && it.file == "a.yaml"));
    }

    #[test]
    fn a_marker_carries_the_change_only_with_exactly_our_tag() {
        let mut change = Change::new(CanaryId::new("a", 1));
        change.announce(vec![Revision::Tag("1.1".to_owned())]);
        let carries = |line: &str| Marker::find_in("a", line)[0].carries(&change);
        assert!(carries("image: app:1.1 # {\"$imagepolicy\": \"a:b\"}"));
        assert!(carries("tag: 1.1 # {\"$imagepolicy\": \"a:b:tag\"}"));
        assert!(!carries("image: app:1.1.1 # {\"$imagepolicy\": \"a:b\"}"));
        assert!(!carries("name: 1.1 # {\"$imagepolicy\": \"a:b:name\"}"));
    }
}
