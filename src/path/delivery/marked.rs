//! Whether anything but the canary uses what an image policy chooses (rule S3): then a canary's tag
//! would be rolled out to people's workloads.

use crate::model::{Marker, ObjectName, Subject};
use crate::path::delivery::Refusal;
use serde_json::Value;
use std::collections::BTreeMap;

/// Refuses a policy whose choice is written to something else than the scenario's `own` objects.
/// `files` are those with markers, by their paths.
///
/// # Errors
/// With the first line that is not the scenario's own.
pub fn check_markers(
    policy: &ObjectName,
    own: &[Subject],
    files: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let key = format!("{}:{}", policy.namespace, policy.name);
    for (file, text) in files {
        for marker in Marker::find_in(file, text).iter().filter(|it| it.policy == key) {
            let object = object_at(text, marker.line);
            if object.as_ref().is_some_and(|it| own.iter().any(|own| is(it, own))) {
                continue;
            }
            let what = object.as_ref().map_or("no single object".to_owned(), named);
            return Err(Refusal::new(
                "policy_used_elsewhere",
                format_args!(
                    "line {} of `{file}` writes the choice of ImagePolicy {policy} to {what}, which \
                     is not what the scenario waits to become live: give canaries a policy and an \
                     image repository of their own",
                    marker.line
                ),
            ));
        }
    }
    Ok(())
}

/// The object that the line, counted from 1, stands in; none if that cannot be told.
fn object_at(text: &str, line: usize) -> Option<Value> {
    let lines: Vec<_> = text.lines().collect();
    let is_end = |it: &str| it.trim_end() == "---" || it.starts_with("--- ");
    let before = lines.get(..line - 1)?.iter().rposition(|it| is_end(it)).map_or(0, |it| it + 1);
    let after = lines[line - 1..].iter().position(|it| is_end(it));
    let after = after.map_or(lines.len(), |it| it + line - 1);
    let object: Value = serde_saphyr::from_str(&lines[before..after].join("\n")).ok()?;
    object["kind"].is_string().then_some(object)
}

/// Whether a manifest is of that object. Its namespace may be given by whoever applies it.
fn is(manifest: &Value, object: &Subject) -> bool {
    let group = manifest["apiVersion"].as_str().and_then(|it| it.split_once('/'));
    let namespace = manifest["metadata"]["namespace"].as_str();
    manifest["kind"] == object.kind.kind.as_str()
        && group.map_or("", |it| it.0) == object.kind.group
        && manifest["metadata"]["name"] == object.name.as_str()
        && namespace.is_none_or(|it| it == object.namespace)
}

fn named(manifest: &Value) -> String {
    let metadata = |field: &str| manifest["metadata"][field].as_str();
    let kind = manifest["kind"].as_str().unwrap_or_default();
    match (metadata("namespace"), metadata("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        (_, None) => format!("a {kind} without a name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;

    const MARK: &str = r#"# {"$imagepolicy": "flux-system:app"}"#;

    fn check(text: &str) -> Result<(), Refusal> {
        let own = [
            Subject::local(GroupKind::new("", "ConfigMap"), "hopclock", "app"),
            Subject::local(GroupKind::new("apps", "Deployment"), "hopclock", "app"),
        ];
        let files = BTreeMap::from([("a.yaml".to_owned(), text.to_owned())]);
        check_markers(&ObjectName::new("flux-system", "app"), &own, &files)
    }

    fn manifest(head: &str, metadata: &str) -> String {
        format!("{head}\nmetadata: {{ {metadata} }}\nspec:\n  image: a:1 {MARK}\n")
    }

    #[test]
    fn s3_a_marker_on_what_becomes_live_is_the_canarys_own() {
        let deployment = "apiVersion: apps/v1\nkind: Deployment";
        assert_eq!(check(&manifest(deployment, "name: app, namespace: hopclock")), Ok(()));
        assert_eq!(check(&manifest(deployment, "name: app")), Ok(()));
        let other = "x: a:1 # {\"$imagepolicy\": \"flux-system:other\"}\n";
        assert_eq!(check(other), Ok(()), "the policy is another one");
    }

    #[test]
    fn s3_a_marker_on_anything_else_is_refused_with_its_line() {
        let deployment = "apiVersion: apps/v1\nkind: Deployment";
        let own = manifest(deployment, "name: app");
        let shop = manifest(deployment, "name: shop, namespace: prod");
        for (text, says) in [
            (format!("{own}---\n{shop}"), "line 11 of `a.yaml`"),
            (shop.clone(), "Deployment prod/shop"),
            (manifest(deployment, "name: app, namespace: prod"), "Deployment prod/app"),
            (manifest("apiVersion: v1\nkind: Deployment", "name: app"), "Deployment app"),
            (format!("images:\n- newTag: x {MARK}\n"), "no single object"),
            (format!("kind: Kustomization\nimages:\n- newTag: x {MARK}\n"), "without a name"),
        ] {
            let refusal = check(&text).unwrap_err();
            assert_eq!(refusal.reason, "policy_used_elsewhere");
            assert!(refusal.message.contains(says), "{}", refusal.message);
        }
    }
}
