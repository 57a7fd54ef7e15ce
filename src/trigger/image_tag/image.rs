//! What a canary image says of itself: whose it is, and which tags its lane has made before.
//!
//! Many policies leave no room for a canary's id in a tag. Then the tags alone tell neither where
//! the sequence stands nor which of them are canaries, so each image hands that on to the next.

use crate::model::CanaryId;
use crate::model::image_policy::canary_in;
use crate::remote::registry::Manifest;
use serde_json::Value;
use std::collections::BTreeMap;

/// The label with the canary's id.
const CANARY: &str = "hopclock.dev/canary";

/// The label with the tags of earlier canaries, apart by blanks.
const TAGS: &str = "hopclock.dev/earlier-tags";

/// Most tags that are handed on.
const MOST_TAGS: usize = 64;

/// What a canary image says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::trigger) struct Label {
    /// Which canary it is.
    pub(in crate::trigger) canary: CanaryId,
    /// The tags of earlier ones, the latest last; their digests, where all have one tag.
    pub(in crate::trigger) tags: Vec<String>,
}

// === impl Label ===

impl Label {
    /// What a manifest says; none if it is no canary's.
    pub(in crate::trigger) fn of(manifest: &Manifest) -> Option<Self> {
        let manifest: Value = serde_json::from_slice(manifest.bytes()).ok()?;
        let annotations = &manifest["annotations"];
        let canary = annotations[CANARY].as_str()?.parse().ok()?;
        let tags = annotations[TAGS].as_str().unwrap_or_default();
        Some(Self { canary, tags: tags.split_whitespace().map(str::to_owned).collect() })
    }

    /// As labels of an image.
    pub(in crate::trigger) fn to_labels(&self) -> BTreeMap<String, String> {
        let kept = self.tags.len().saturating_sub(MOST_TAGS);
        let tags = (TAGS.to_owned(), self.tags[kept..].join(" "));
        let canary = (CANARY.to_owned(), self.canary.to_string());
        BTreeMap::from([canary, tags])
    }
}

/// The tags of an instance's canaries but for the `room` latest, the oldest first: those that a label
/// has handed on, and those that bear an id.
pub(in crate::trigger) fn stale(
    tags: &[String],
    label: Option<&Label>,
    instance: &str,
    room: usize,
) -> Vec<String> {
    let id = |it: &String| canary_in(it, instance);
    let handed_on = label.into_iter().flat_map(|it| &it.tags);
    let mut all: Vec<&String> =
        handed_on.filter(|it| tags.contains(it) && id(it).is_none()).collect();
    let mut named: Vec<_> = tags.iter().filter_map(|it| Some((id(it)?, it))).collect();
    named.sort_by_key(|it| CanaryId::sequence(&it.0));
    all.extend(named.into_iter().map(|it| it.1));
    all.truncate(all.len().saturating_sub(room));
    all.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::registry::Artifact;

    #[test]
    fn a_label_is_read_back_from_the_image_that_bears_it() {
        let tags = (0..70).map(|it| format!("0.1.{it}")).collect();
        let label = Label { canary: CanaryId::new("team-a", 7), tags };
        let image = Artifact::tiny_image(&label.to_labels(), jiff::Timestamp::UNIX_EPOCH);
        let read = Label::of(&image.manifest()).unwrap();
        assert_eq!(read.canary, label.canary);
        assert_eq!(read.tags, label.tags[6..]);
        let other = Artifact::tiny_image(&BTreeMap::new(), jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(Label::of(&other.manifest()), None);
    }
}
