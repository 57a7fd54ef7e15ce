//! Whether a source that takes only signed commits would take the trigger's (rule S4).
//!
//! An unsigned head stops all delivery from a repository, not only the canary's.

use crate::model::{GroupKind, ObjectName, Signature, Subject};
use crate::path::delivery::Refusal;
use serde_json::Value;

/// Refuses a source with `spec.verify` that what the trigger signs with does not satisfy; whether
/// its key is one of those that the source knows is not asked here.
pub(super) fn check(
    subject: &Subject,
    source: &Value,
    signs_with: Option<Signature>,
) -> Result<(), Refusal> {
    let verify = &source["spec"]["verify"];
    if !verify.is_object() {
        return Ok(());
    }
    let mode = verify["mode"].as_str().unwrap_or_default();
    let mode = if mode.is_empty() { "HEAD" } else { mode };
    let wants_tag = !mode.eq_ignore_ascii_case("head");
    let (why, cure) = match (wants_tag, signs_with) {
        (false, Some(_)) => return Ok(()),
        (true, _) => (
            format!("verifies tags (`mode: {mode}`), and the trigger makes none"),
            "name a source that verifies `HEAD`",
        ),
        (false, None) => (
            "takes only signed commits, and the trigger signs none, so one of ours would stop all \
             delivery from its repository"
                .to_owned(),
            "give the trigger a signing key whose public half is in the Secret of `spec.verify`, or \
             name another source",
        ),
    };
    Err(Refusal::new("verify_unsatisfied", format_args!("{subject} {why}: {cure}")))
}

/// The Secret beside a GitRepository whose keys it verifies commits by, if it verifies any.
#[must_use]
pub fn trusted_keys(subject: &Subject, source: &Value) -> Option<ObjectName> {
    let verify = source["spec"]["verify"].as_object()?;
    if subject.kind != GroupKind::git_repository() {
        return None;
    }
    let name = verify.get("secretRef").and_then(|it| it["name"].as_str()).unwrap_or_default();
    Some(ObjectName::new(&subject.namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn s4_a_source_that_verifies_gets_a_signature_or_no_push_at_all() {
        let subject = Subject::local(GroupKind::git_repository(), "flux-system", "canary");
        let ask = |verify: Value, with| check(&subject, &json!({"spec": {"verify": verify}}), with);
        assert_eq!(ask(Value::Null, None), Ok(()));
        for mode in ["HEAD", "head", ""] {
            assert_eq!(ask(json!({"mode": mode}), Some(Signature::Ssh)), Ok(()), "{mode}");
        }
        assert_eq!(ask(json!({"secretRef": {"name": "k"}}), Some(Signature::Gpg)), Ok(()));
        let refusal = ask(json!({"mode": "HEAD"}), None).unwrap_err();
        assert_eq!(refusal.reason, "verify_unsatisfied");
        for mode in ["Tag", "TagAndHEAD"] {
            let refusal = ask(json!({"mode": mode}), Some(Signature::Gpg)).unwrap_err();
            assert!(refusal.message.contains(mode), "{}", refusal.message);
        }
    }

    #[test]
    fn s4_a_source_verifies_commits_by_the_keys_of_a_secret_beside_it() {
        let subject = Subject::local(GroupKind::git_repository(), "flux-system", "canary");
        let ask = |verify: Value| trusted_keys(&subject, &json!({"spec": {"verify": verify}}));
        let keys = ObjectName::new("flux-system", "trusted");
        assert_eq!(ask(json!({"secretRef": {"name": "trusted"}})), Some(keys));
        assert_eq!(ask(Value::Null), None);
    }
}
