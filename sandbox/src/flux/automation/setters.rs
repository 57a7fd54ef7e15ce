//! Setters: the comments in manifests that say which policy a value belongs to.
//!
//! A marker stands at the end of its value's line, `# {"$imagepolicy": "namespace:policy"}`; behind
//! the policy's name may stand `:tag`, `:name` or `:digest`. Files without one are left alone.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::flux::artifacts::Files;

/// What makes a file worth reading.
const TOKEN: &str = "$imagepolicy";

/// One value that a policy sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) file: String,
    /// Kind, namespace and name of the object that the value stands in.
    pub(super) object: [String; 3],
    pub(super) old: String,
    pub(super) new: String,
    pub(super) setter: String,
}

/// What an update comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Update {
    /// The files that differ, complete.
    pub(super) files: Files,
    /// The values that differ, in the order of the files.
    pub(super) changes: Vec<Change>,
}

/// Sets what the policies (by namespace and name, with their `latestRef`) say below a folder.
pub(super) fn update(
    files: &Files,
    folder: &str,
    policies: &BTreeMap<(String, String), Value>,
) -> Update {
    let mut update = Update::default();
    for (path, content) in files.iter().filter(|(path, _)| is_manifest(path, folder)) {
        let Ok(text) = std::str::from_utf8(content) else { continue };
        if !text.contains(TOKEN) {
            continue;
        }
        let before = update.changes.len();
        let documents = text.split_inclusive("\n---").map(|document| {
            let object = object_of(document);
            let lines = document.split_inclusive('\n').map(|line| {
                let Some((new_line, mut change)) = set(line, policies) else {
                    return line.to_owned();
                };
                if change.old != change.new {
                    path.clone_into(&mut change.file);
                    change.object.clone_from(&object);
                    update.changes.push(change);
                }
                new_line
            });
            lines.collect::<String>()
        });
        let new: String = documents.collect();
        if update.changes.len() > before {
            update.files.insert(path.clone(), new.into_bytes());
        }
    }
    update
}

/// The line with its value set; none if it has no marker of a known policy.
fn set(line: &str, policies: &BTreeMap<(String, String), Value>) -> Option<(String, Change)> {
    let (head, comment) = line.split_once('#').filter(|(_, it)| it.contains(TOKEN))?;
    let json: Value = serde_json::from_str(comment.trim()).ok()?;
    let setter = json[TOKEN].as_str()?;
    let mut parts = setter.split(':');
    let policy = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let latest = policies.get(&policy)?;
    let text = |field: &str| latest[field].as_str().unwrap_or_default();
    let new = match parts.next() {
        Some("tag") => text("tag").to_owned(),
        Some("name") => text("name").to_owned(),
        Some("digest") => text("digest").to_owned(),
        Some(_) => return None,
        None if text("digest").is_empty() => format!("{}:{}", text("name"), text("tag")),
        None => format!("{}:{}@{}", text("name"), text("tag"), text("digest")),
    };
    let value = head.trim_end();
    let start = value.find(": ").map(|at| at + 2).or_else(|| value.find("- ").map(|at| at + 2))?;
    let start = start + value[start..].len() - value[start..].trim_start().len();
    let quote = value[start..].chars().next().filter(|c| matches!(c, '"' | '\''));
    let old = value[start..].trim_matches(|c| Some(c) == quote).to_owned();
    let quoted = quote.map_or_else(|| new.clone(), |quote| format!("{quote}{new}{quote}"));
    let gap = &head[value.len()..];
    let line = format!("{}{quoted}{gap}#{comment}", &value[..start]);
    let (file, object, setter) = (String::new(), <[String; 3]>::default(), setter.to_owned());
    Some((line, Change { file, object, old, new, setter }))
}

/// Kind, namespace and name of a document, as far as it can be read.
fn object_of(document: &str) -> [String; 3] {
    let text = document.trim_end_matches("---");
    let object: Value = serde_saphyr::from_str(text).unwrap_or_default();
    let metadata = &object["metadata"];
    [&object["kind"], &metadata["namespace"], &metadata["name"]]
        .map(|value| value.as_str().unwrap_or_default().to_owned())
}

fn is_manifest(path: &str, folder: &str) -> bool {
    let folder = folder.trim_start_matches("./").trim_matches('/');
    let inside = path
        .strip_prefix(folder)
        .is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest.starts_with('/'));
    let yaml = path.rsplit_once('.').is_some_and(|(_, end)| matches!(end, "yaml" | "yml"));
    inside && (yaml || path.rsplit('/').next() == Some("Kustomization"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policies() -> BTreeMap<(String, String), Value> {
        let of = |name: &str| ("flux-system".to_owned(), name.to_owned());
        let plain = json!({"name": "r.example/team/app", "tag": "0.2.0"});
        let digest = json!({"name": "r.example/team/app", "tag": "latest", "digest": "sha256:00"});
        [(of("app"), plain), (of("pinned"), digest)].into()
    }

    fn set(text: &str) -> Update {
        let files = Files::from([("apps/a.yaml".to_owned(), text.as_bytes().to_vec())]);
        update(&files, "./apps", &policies())
    }

    #[test]
    fn each_marker_sets_its_part_and_leaves_the_rest_of_the_line() {
        let text = "kind: ConfigMap\nmetadata: {name: app, namespace: default}\ndata:\n  \
            image: r.example/team/app:0.1.0 # {\"$imagepolicy\": \"flux-system:app\"}\n  \
            tag: \"0.1.0\"  # {\"$imagepolicy\": \"flux-system:app:tag\"}\n  \
            name: r.example/team/app # {\"$imagepolicy\": \"flux-system:app:name\"}\n  \
            digest: x # {\"$imagepolicy\": \"flux-system:pinned:digest\"}\n  \
            pinned: x # {\"$imagepolicy\": \"flux-system:pinned\"}\n  \
            other: x # {\"$imagepolicy\": \"flux-system:nobody\"}\n";
        let update = set(text);
        let new = text
            .replace("app:0.1.0", "app:0.2.0")
            .replace("\"0.1.0\"", "\"0.2.0\"")
            .replace("digest: x", "digest: sha256:00")
            .replace("pinned: x", "pinned: r.example/team/app:latest@sha256:00");
        assert_eq!(String::from_utf8_lossy(&update.files["apps/a.yaml"]), new);
        let changes: Vec<_> =
            update.changes.iter().map(|it| (it.old.as_str(), it.setter.as_str())).collect();
        let expected = [
            ("r.example/team/app:0.1.0", "flux-system:app"),
            ("0.1.0", "flux-system:app:tag"),
            ("x", "flux-system:pinned:digest"),
            ("x", "flux-system:pinned"),
        ];
        assert_eq!(changes, expected);
        assert_eq!(update.changes[0].object, ["ConfigMap", "default", "app"]);
    }

    #[test]
    fn what_is_right_already_or_lies_elsewhere_is_no_change() {
        let right = "image: r.example/team/app:0.2.0 # {\"$imagepolicy\": \"flux-system:app\"}\n";
        assert_eq!(set(right), Update::default());
        let wrong = right.replace("0.2.0", "0.1.0");
        for path in ["other/a.yaml", "apps/a.txt", "apps-two/a.yaml"] {
            let files = Files::from([(path.to_owned(), wrong.clone().into_bytes())]);
            assert_eq!(update(&files, "./apps", &policies()), Update::default(), "{path}");
        }
        let list = "- r.example/team/app:0.1.0 # {\"$imagepolicy\": \"flux-system:app\"}\n";
        let update = set(list);
        let new = list.replace("0.1.0", "0.2.0");
        assert_eq!(String::from_utf8_lossy(&update.files["apps/a.yaml"]), new);
    }
}
