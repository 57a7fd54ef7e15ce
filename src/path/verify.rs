//! What a source demands of the commits that it fetches: `spec.verify` (rule S4).

use crate::model::{GroupKind, ObjectName, Subject};
use serde_json::Value;

/// What a source verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The signature of each commit, by the keys of a Secret.
    Commit {
        /// The Secret that holds the public keys; its own namespace.
        trusted: ObjectName,
    },
    /// The signature of a tag, which no commit to a branch has.
    Tag {
        /// The mode, as the source says it.
        mode: String,
    },
}

/// What a GitRepository verifies; none if it takes every commit. A mode that is not known counts
/// as that of commits, which is Flux's default.
#[must_use]
pub fn verification(subject: &Subject, object: &Value) -> Option<Verification> {
    let verify = object["spec"]["verify"].as_object()?;
    if subject.kind != GroupKind::git_repository() {
        return None;
    }
    let text = |it: Option<&Value>| it.and_then(Value::as_str).map(str::to_owned);
    match text(verify.get("mode")) {
        Some(mode) if mode.starts_with("Tag") => Some(Verification::Tag { mode }),
        _ => {
            let name = text(verify.get("secretRef").map(|it| &it["name"])).unwrap_or_default();
            let trusted = ObjectName::new(&subject.namespace, &name);
            Some(Verification::Commit { trusted })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verification_of(verify: &Value) -> Option<Verification> {
        let source = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
        verification(&source, &json!({"spec": {"verify": verify}}))
    }

    #[test]
    fn s4_a_source_verifies_commits_by_the_keys_of_a_secret_beside_it() {
        let trusted = ObjectName::new("flux-system", "trusted");
        let commit = Some(Verification::Commit { trusted });
        for mode in [json!("HEAD"), json!("head"), json!(""), Value::Null] {
            let verify = json!({"mode": mode, "secretRef": {"name": "trusted"}});
            assert_eq!(verification_of(&verify), commit, "{mode}");
        }
        assert_eq!(verification_of(&Value::Null), None);
    }

    #[test]
    fn s4_a_source_that_verifies_tags_is_told_apart() {
        for mode in ["Tag", "TagAndHEAD"] {
            let verify = json!({"mode": mode, "secretRef": {"name": "trusted"}});
            assert_eq!(verification_of(&verify), Some(Verification::Tag { mode: mode.to_owned() }));
        }
    }
}
