//! Whether anything but the canary uses what an image policy chooses (rule S3): then a canary's tag
//! would be rolled out to people's workloads.

use crate::model::{Marker, ObjectName, Subject};
use crate::path::delivery::Refusal;
use serde_json::Value;
use std::collections::BTreeMap;

/// A manifest with a marker that may be of one of our objects.
struct Mark<'f> {
    file: &'f str,
    line: usize,
    /// The line after which the manifest begins.
    begins: usize,
    object: Value,
}

/// Refuses a policy whose choice is written to something else than the scenario's `own` objects.
/// `files` are those with markers, by their paths. Of manifests without a namespace one is ours at
/// most: a folder for another namespace may hold one of the same name.
///
/// # Errors
/// With the first line that is not the scenario's own.
pub fn check_markers(
    policy: &ObjectName,
    own: &[Subject],
    files: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let key = format!("{}:{}", policy.namespace, policy.name);
    let mut all: Vec<Mark<'_>> = Vec::new();
    for (file, text) in files {
        for marker in Marker::find_in(file, text).iter().filter(|it| it.policy == key) {
            let (begins, object) = object_at(text, marker.line);
            if let Some(object) = object.clone().filter(|it| own.iter().any(|own| is(it, own))) {
                all.push(Mark { file, line: marker.line, begins, object });
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
    own.iter().try_for_each(|it| check_places(policy, it, &all))
}

/// Refuses a manifest without a namespace that may be of another object than ours.
fn check_places(policy: &ObjectName, own: &Subject, all: &[Mark<'_>]) -> Result<(), Refusal> {
    let mut ours: Option<&Mark<'_>> = None;
    let is_placed = |it: &&Mark<'_>| it.object["metadata"]["namespace"].is_string();
    let mut all: Vec<_> = all.iter().filter(|it| is(&it.object, own)).collect();
    all.sort_by_key(|it| !is_placed(it));
    for mark in all {
        match ours {
            Some(first)
                if is_placed(&mark) || (mark.file, mark.begins) == (first.file, first.begins) => {}
            None => ours = Some(mark),
            Some(first) => {
                return Err(Refusal::new(
                    "policy_used_elsewhere",
                    format_args!(
                        "line {} of `{}` writes the choice of ImagePolicy {policy} to {}, and so \
                         does line {} of `{}`, which is enough for what the scenario waits to become \
                         live, so this may be another one: write its `metadata.namespace`",
                        mark.line,
                        mark.file,
                        named(&mark.object),
                        first.line,
                        first.file
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// The object that the line, counted from 1, stands in, and the line after which it begins; none if
/// that cannot be told.
fn object_at(text: &str, line: usize) -> (usize, Option<Value>) {
    let lines: Vec<_> = text.lines().collect();
    let is_end = |it: &str| it.trim_end() == "---" || it.starts_with("--- ");
    let at = (line - 1).min(lines.len());
    let before = lines[..at].iter().rposition(|it| is_end(it)).map_or(0, |it| it + 1);
    let after = lines[at..].iter().position(|it| is_end(it));
    let after = after.map_or(lines.len(), |it| it + at);
    let object: Option<Value> = serde_saphyr::from_str(&lines[before..after].join("\n")).ok();
    (before, object.filter(|it| it["kind"].is_string()))
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
        check_all(&[("a.yaml", text)])
    }

    fn check_all(files: &[(&str, &str)]) -> Result<(), Refusal> {
        let own = [
            Subject::local(GroupKind::new("", "ConfigMap"), "hopclock", "app"),
            Subject::local(GroupKind::new("apps", "Deployment"), "hopclock", "app"),
        ];
        let files = files.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
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

    #[test]
    fn s3_of_manifests_without_a_namespace_one_is_the_canarys_own_at_most() {
        let deployment = "apiVersion: apps/v1\nkind: Deployment";
        let config_map = "apiVersion: v1\nkind: ConfigMap";
        let bare = manifest(deployment, "name: app");
        let placed = manifest(deployment, "name: app, namespace: hopclock");
        let twice = format!("{bare}  again: a:1 {MARK}\n");
        assert_eq!(check(&twice), Ok(()), "two markers of one manifest");
        let other = manifest(config_map, "name: app");
        assert_eq!(check_all(&[("a.yaml", &bare), ("b.yaml", &other)]), Ok(()), "another kind");
        assert_eq!(check_all(&[("a.yaml", &placed), ("b.yaml", &placed)]), Ok(()));
        for first in [&bare, &placed] {
            let refusal = check_all(&[("app.yaml", first), ("prod/web.yaml", &bare)]).unwrap_err();
            assert_eq!(refusal.reason, "policy_used_elsewhere");
            let says = "line 5 of `prod/web.yaml` writes the choice of ImagePolicy flux-system/app to \
                        Deployment app, and so does line 5 of `app.yaml`";
            assert!(refusal.message.starts_with(says), "{}", refusal.message);
        }
        let both = format!("{bare}---\n{bare}");
        assert!(check(&both).is_err(), "two manifests of one file");
    }
}
