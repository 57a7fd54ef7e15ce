//! Which words of an object are our tag, digest or chart version.
//!
//! Unlike a canary id, a tag like `7` or a version like `0.1.1` can stand in many places. What
//! counts is as narrow as the ways in which deployments write them:
//!
//! - a tag: that of an image reference (`name:tag`, `name:tag@digest`), or a word by itself. One of at
//!   most five digits looks like a port or a count: as a word it counts only under a key that
//!   ends in `tag`, in a reference only behind a name with a `/`.
//! - a digest: that of a reference, or a word by itself.
//! - a chart's version: a word by itself, without its build part; that of a URL like
//!   `oci://host/chart:version`, for an image of the same tag is another thing;
//!   the end of the label `helm.sh/chart`, which Helm's own templates write as `<chart>-<version>`.
//!
//! Where the scenario names the place, every whole word there counts. What stands there before the
//! push is found at the start (rule T3).

use crate::model::{ImageRef, Revision};

/// The label of the chart that an object was made from.
const CHART_LABEL: &str = "helm.sh/chart";
/// Longest number that may be a port or a count.
const SHORT_NUMBER: usize = 5;

/// How a text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// It is one of all texts of the object.
    Anywhere,
    /// The scenario names its place.
    Named,
}

/// Whether a text under `key` holds a revision that is no commit.
pub(super) fn is_in(revision: &Revision, key: &str, text: &str, aim: Aim) -> bool {
    match revision {
        Revision::Commit(_) => false,
        Revision::Tag(tag) => words(text).any(|it| is_tag(tag, key, it, aim)),
        Revision::Digest(digest) => words(text).any(|it| {
            it == digest || ImageRef::parse(it).is_some_and(|it| it.digest == Some(digest))
        }),
        Revision::Version(version) => {
            (key == CHART_LABEL && is_of_chart(version, text))
                || words(text).any(|it| is_version(version, it))
        }
    }
}

fn is_tag(tag: &str, key: &str, word: &str, aim: Aim) -> bool {
    let short = tag.len() <= SHORT_NUMBER && tag.chars().all(|it| it.is_ascii_digit());
    let doubtful = short && aim == Aim::Anywhere;
    if word == tag {
        return !doubtful || key.to_ascii_lowercase().ends_with("tag");
    }
    let reference = ImageRef::parse(word).filter(|it| it.tag == Some(tag));
    reference.is_some_and(|it| !doubtful || it.name.contains('/'))
}

fn is_version(version: &str, word: &str) -> bool {
    let chart = word.strip_prefix("oci://").and_then(ImageRef::parse).and_then(|it| it.tag);
    without_build(word) == version || chart.is_some_and(|it| without_build(it) == version)
}

fn is_of_chart(version: &str, label: &str) -> bool {
    let chart = without_build(label).strip_suffix(version).and_then(|it| it.strip_suffix('-'));
    chart.is_some_and(|it| !it.is_empty())
}

/// Tags and labels cannot hold a `+`, so Helm writes `_` there.
fn without_build(version: &str) -> &str {
    version.split_once(['+', '_']).map_or(version, |it| it.0)
}

/// The longest runs of what references, tags and versions are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let part = |it: char| it.is_ascii_alphanumeric() || "._-+:@/".contains(it);
    text.split(move |it| !part(it)).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(tag: &str, key: &str, text: &str) -> bool {
        is_in(&Revision::Tag(tag.to_owned()), key, text, Aim::Anywhere)
    }

    fn version(version: &str, key: &str, text: &str) -> bool {
        is_in(&Revision::Version(version.to_owned()), key, text, Aim::Anywhere)
    }

    #[test]
    fn a_tag_counts_in_a_reference_or_as_a_word_by_itself() {
        for text in [
            "127.0.0.1:5001/team/app:0.1.1",
            "app:0.1.1@sha256:beef",
            "--image=app:0.1.1",
            "image: \"team/app:0.1.1\"\nother: x",
            "0.1.1",
            "tag: 0.1.1, # a comment",
            r#"{"image":"team/app:0.1.1"}"#,
        ] {
            assert!(tag("0.1.1", "x", text), "{text}");
        }
        for text in [
            "app:0.1.10",
            "app:10.1.1",
            "app:0.1.1-rc1",
            "https://host/v/0.1.1/file",
            "app-0.1.1.tgz",
            "v0.1.1",
            "team/0.1.1:2",
            "0.1.1+build",
        ] {
            assert!(!tag("0.1.1", "x", text), "{text}");
        }
    }

    #[test]
    fn a_short_number_is_a_tag_only_where_nothing_else_can_be_meant() {
        assert!(tag("8080", "image", "team/app:8080"));
        assert!(tag("8080", "newTag", "8080"));
        assert!(!tag("8080", "address", "redis:8080"));
        assert!(!tag("8080", "address", "http://host:8080"));
        assert!(!tag("8080", "port", "8080"));
        assert!(tag("20261121", "x", "20261121"), "longer than any port");
        let named = |text| is_in(&Revision::Tag("7".to_owned()), "x", text, Aim::Named);
        assert!(named("7") && named("app:7") && !named("77"));
    }

    #[test]
    fn a_digest_counts_in_a_reference_or_by_itself() {
        let digest = format!("sha256:{}", "d".repeat(64));
        let holds = |text: &str| is_in(&Revision::Digest(digest.clone()), "x", text, Aim::Anywhere);
        assert!(holds(&digest) && holds(&format!("team/app:1@{digest}")));
        assert!(holds(&format!("app@{digest}")));
        assert!(!holds(&format!("{digest}0")) && !holds(&"d".repeat(64)));
    }

    #[test]
    fn the_build_part_of_a_charts_version_does_not_count() {
        for text in ["0.1.2", "0.1.2+88a1994ab7c1", "oci://host:5000/charts/demo:0.1.2"] {
            assert!(version("0.1.2", "version", text), "{text}");
        }
        assert!(version("0.1.2", "helm.sh/chart", "demo-app-0.1.2_88a1994ab7c1"));
        assert!(version("0.1.2", "helm.sh/chart", "demo-0.1.2"));
        for (key, text) in
            [("x", "demo-0.1.2"), ("helm.sh/chart", "demo-10.1.2"), ("helm.sh/chart", "-0.1.2")]
        {
            assert!(!version("0.1.2", key, text), "{key}: {text}");
        }
        for text in ["0.1.20", "0.1.2-rc1", "1.0.1.2", "v0.1.2", "team/app:0.1.2"] {
            assert!(!version("0.1.2", "version", text), "{text}");
        }
    }
}
