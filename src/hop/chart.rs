//! Whose chart it is, by the version that Helm's objects show.
//!
//! Behind a version may stand what it was made of: Flux adds `+<12 digits>` of the digest to one
//! that came from an OCI registry, and of the source's revision to one that it packaged with
//! `reconcileStrategy: Revision`. Where a version was not announced, that part alone tells.

use crate::model::{Carried, Change, Revision, SourceKind};
use serde_json::Value;

/// Digits of a revision that stand behind a version.
const SHORT: usize = 12;

/// Whose chart has this version, if it carries the change.
pub(super) fn carried(change: &Change, version: &Value) -> Option<Carried> {
    let text = version.as_str()?;
    let (_, build) = text.split_once('+').unwrap_or((text, ""));
    let whole = || change.carried(&Revision::Version(text.to_owned()));
    let short = || {
        let is_short = |it: &&Revision| digits(it).is_some_and(|it| it == build);
        let made_of = change.carrying().filter(|_| build.len() == SHORT);
        change.carried(made_of.into_iter().find(is_short)?)
    };
    change.carried_in(version, SourceKind::HelmChart).or_else(whole).or_else(short)
}

/// The revision to follow a chart by that was made from ours: its version, with what it was made
/// of where only that tells it from the one before.
pub(super) fn made(version: &Value) -> Option<Revision> {
    version.as_str().map(|it| Revision::Version(it.to_owned()))
}

/// The first digits of a commit or digest.
fn digits(revision: &Revision) -> Option<&str> {
    match revision {
        Revision::Commit(hex) => hex.get(..SHORT),
        Revision::Digest(digest) => digest.split_once(':')?.1.get(..SHORT),
        Revision::Tag(_) | Revision::Version(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CanaryId;
    use serde_json::json;

    const DIGEST: &str = "sha256:679571276cb98a1e8fa7d708d9544573e736061a535dc5f29d661d40d2e7c4c7";

    fn change(ours: &[Revision]) -> Change {
        let mut change = Change::new(CanaryId::new("lane", 1));
        change.announce(ours.to_vec());
        change
    }

    #[test]
    fn a_version_is_ours_whatever_stands_behind_it() {
        let ours = change(&[Revision::Version("0.1.1".to_owned())]);
        for text in ["0.1.1", "0.1.1+679571276cb9"] {
            assert_eq!(carried(&ours, &json!(text)), Some(Carried::Ours), "{text}");
        }
        assert_eq!(carried(&ours, &json!("0.1.10")), None);
        assert_eq!(carried(&ours, &Value::Null), None);
    }

    #[test]
    fn an_unknown_version_is_ours_by_what_it_was_made_of() {
        let commit = Revision::Commit("0123456789abcdef0123456789abcdef01234567".to_owned());
        for (revision, build) in
            [(Revision::Digest(DIGEST.to_owned()), "679571276cb9"), (commit, "0123456789ab")]
        {
            let ours = change(&[revision]);
            assert_eq!(carried(&ours, &json!(format!("0.1.0+{build}"))), Some(Carried::Ours));
            assert_eq!(carried(&ours, &json!("0.1.0+8b2d0ad80349")), None);
            assert_eq!(carried(&ours, &json!("0.1.0")), None);
        }
    }

    #[test]
    fn a_learned_version_with_a_build_part_is_not_the_same_version_of_another_build() {
        let mut ours = change(&[Revision::Commit("c".repeat(40))]);
        ours.extend(made(&json!("0.1.0+aaaaaaaaaaaa")).unwrap());
        assert_eq!(carried(&ours, &json!("0.1.0+aaaaaaaaaaaa")), Some(Carried::Learned));
        assert_eq!(carried(&ours, &json!("0.1.0+bbbbbbbbbbbb")), None);
    }
}
