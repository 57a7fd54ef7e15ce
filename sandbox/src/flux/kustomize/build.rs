//! From the files of an artifact to the objects that shall be there.
//!
//! A folder with a `kustomization.yaml` is built from its `resources`, `namespace` and labels;
//! one without from all its YAML files, deeper folders included. More of kustomize is not needed
//! to time a pipeline.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use serde_json::Value;
use serde_json::json;

use crate::flux::artifacts::Files;
use crate::flux::artifacts::hex;

/// Names under which a folder says how it is built.
const MANIFESTS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Where the files of an artifact seem to lie in messages.
pub(super) struct Unpacked<'a> {
    pub(super) files: &'a Files,
    pub(super) root: String,
}

impl Unpacked<'_> {
    /// Whether the artifact has anything below `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        let folder = folder(path);
        self.files.keys().any(|file| file.starts_with(folder.as_str()))
    }

    /// All objects below `path`, in the order of the files; the error is the whole message.
    pub(super) fn build(&self, path: &str) -> Result<Vec<Value>, String> {
        self.build_folder(&folder(path), &mut BTreeSet::new())
    }

    fn build_folder(
        &self,
        folder: &str,
        seen: &mut BTreeSet<String>,
    ) -> Result<Vec<Value>, String> {
        if !seen.insert(folder.to_owned()) {
            return Err(format!("kustomize build failed: cycle detected at '{folder}'"));
        }
        let manifest =
            MANIFESTS.iter().map(|name| format!("{folder}{name}")).find(|path| self.has_file(path));
        if let Some(path) = manifest {
            return self.build_manifest(folder, &path, seen);
        }
        let mut objects = Vec::new();
        for path in self.files.keys().filter(|path| is_yaml(path) && path.starts_with(folder)) {
            add(&mut objects, self.read(path)?, path)?;
        }
        Ok(objects)
    }

    fn build_manifest(
        &self,
        folder: &str,
        path: &str,
        seen: &mut BTreeSet<String>,
    ) -> Result<Vec<Value>, String> {
        let manifest = self.documents(path)?.into_iter().next().unwrap_or_default();
        let mut objects = Vec::new();
        for resource in manifest["resources"].as_array().into_iter().flatten() {
            let name = resource.as_str().unwrap_or_default();
            let target = join(folder, name);
            if self.has_file(&target) {
                add(&mut objects, self.read(&target)?, name)?;
            } else if !target.is_empty() && self.has(&target) {
                add(&mut objects, self.build_folder(&self::folder(&target), seen)?, name)?;
            } else {
                return Err(format!(
                    "kustomize build failed: accumulating resources: accumulation err='accumulating \
                     resources from '{name}': open {}/{target}: no such file or directory'",
                    self.root
                ));
            }
        }
        for object in &mut objects {
            transform(object, &manifest);
        }
        Ok(objects)
    }

    fn read(&self, path: &str) -> Result<Vec<Value>, String> {
        let mut objects = Vec::new();
        for document in self.documents(path)? {
            let items = match &document["items"] {
                Value::Array(items) if is_list(&document) => items.clone(),
                _ => vec![document],
            };
            for object in items {
                for (field, value) in [
                    ("kind", &object["kind"]),
                    ("apiVersion", &object["apiVersion"]),
                    ("metadata.name", &object["metadata"]["name"]),
                ] {
                    if value.as_str().is_none_or(str::is_empty) {
                        return Err(format!(
                            "kustomize build failed: accumulating resources: missing {field} in \
                             object in {}/{path}",
                            self.root
                        ));
                    }
                }
                objects.push(object);
            }
        }
        Ok(objects)
    }

    fn documents(&self, path: &str) -> Result<Vec<Value>, String> {
        let malformed = |problem: String| {
            format!(
                "failed to decode Kubernetes YAML from {}/{path}: MalformedYAMLError: yaml: {problem}",
                self.root
            )
        };
        let content = self.files.get(path).map_or(&[][..], Vec::as_slice);
        let text = std::str::from_utf8(content)
            .map_err(|_| malformed("control characters are not allowed".to_owned()))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
            let said = error.without_snippet().to_string();
            let said = said.lines().next().unwrap_or_default();
            match error.location() {
                Some(place) => malformed(format!("line {}: {said}", place.line())),
                None => malformed(said.to_owned()),
            }
        })?;
        Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
    }

    fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

/// The checksum of everything that was built.
pub(super) fn checksum(objects: &[Value]) -> String {
    let mut digest = digest::Context::new(&digest::SHA256);
    for object in objects {
        digest.update(object.to_string().as_bytes());
        digest.update(b"\n---\n");
    }
    format!("sha256:{}", hex(digest.finish().as_ref()))
}

/// Adds labels to an object's own.
pub(super) fn label(object: &mut Value, labels: &Value, field: &str) {
    for (name, value) in labels.as_object().into_iter().flatten() {
        if !object["metadata"][field].is_object() {
            object["metadata"][field] = json!({});
        }
        object["metadata"][field][name] = value.clone();
    }
}

/// Takes the objects of a resource to the others; one that is there already breaks the build.
fn add(objects: &mut Vec<Value>, more: Vec<Value>, resource: &str) -> Result<(), String> {
    for object in more {
        if objects.iter().any(|it| id(it) == id(&object)) {
            return Err(format!(
                "kustomize build failed: accumulating resources: accumulation err='merging \
                 resources from '{resource}': may not add resource with an already registered id: \
                 {}'",
                id(&object)
            ));
        }
        objects.push(object);
    }
    Ok(())
}

/// What kustomize knows an object by, as it writes it.
fn id(object: &Value) -> String {
    let text = |value: &Value, unsaid: &str| value.as_str().unwrap_or(unsaid).to_owned();
    let api = text(&object["apiVersion"], "");
    let (group, version) = api.split_once('/').unwrap_or(("[noGrp]", &api));
    let metadata = &object["metadata"];
    let (kind, name) = (text(&object["kind"], ""), text(&metadata["name"], ""));
    let namespace = text(&metadata["namespace"], "[noNs]");
    format!("{kind}.{version}.{group}/{name}.{namespace}")
}

fn transform(object: &mut Value, manifest: &Value) {
    if let Some(namespace) = manifest["namespace"].as_str() {
        object["metadata"]["namespace"] = namespace.into();
    }
    label(object, &manifest["commonLabels"], "labels");
    label(object, &manifest["commonAnnotations"], "annotations");
    for labels in manifest["labels"].as_array().into_iter().flatten() {
        label(object, &labels["pairs"], "labels");
    }
}

fn is_list(document: &Value) -> bool {
    document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"))
}

fn is_yaml(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    ending.is_some_and(|(_, ending)| matches!(ending, "yaml" | "yml")) && !name.starts_with('.')
}

fn folder(path: &str) -> String {
    let path = join("", path);
    if path.is_empty() { path } else { format!("{path}/") }
}

/// A path relative to `folder`, without `.` and `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(files: &[(&str, &str)], path: &str) -> Result<Vec<String>, String> {
        let files: Files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let root = "/tmp/kustomization-1".to_owned();
        let objects = Unpacked { files: &files, root }.build(path)?;
        Ok(objects.iter().map(|object| object["metadata"].to_string()).collect())
    }

    fn map(name: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
    }

    #[test]
    fn a_folder_without_a_manifest_is_all_its_yaml() {
        let two = format!("{}---\n{}", map("b"), map("c"));
        let (a, note) = (map("a"), "not: [yaml");
        let files = [
            ("apps/a.yaml", a.as_str()),
            ("apps/deep/b.yml", &two),
            ("apps/x.md", note),
            ("z.yaml", note),
        ];
        let names = [r#"{"name":"a"}"#, r#"{"name":"b"}"#, r#"{"name":"c"}"#];
        assert_eq!(build(&files, "./apps").unwrap(), names);
    }

    #[test]
    fn a_manifest_names_its_resources_and_puts_marks_on_them() {
        let manifest = "resources: [a.yaml, ../base]\nnamespace: prod\ncommonLabels: {team: x}\n";
        let (a, b) = (map("a"), map("b"));
        let files = [
            ("apps/kustomization.yaml", manifest),
            ("apps/a.yaml", &a),
            ("apps/unused.yaml", "x: ["),
            ("base/b.yaml", &b),
        ];
        let expected = ["a", "b"].map(|name| {
            format!(r#"{{"labels":{{"team":"x"}},"name":"{name}","namespace":"prod"}}"#)
        });
        assert_eq!(build(&files, "apps").unwrap(), expected);
    }

    #[test]
    fn broken_yaml_is_reported_with_its_file_and_line() {
        let broken = format!("{}data:\n  run: [a\n", map("a"));
        let message = build(&[("apps/canary.yaml", &broken)], "./apps").unwrap_err();
        let start = "failed to decode Kubernetes YAML from \
                     /tmp/kustomization-1/apps/canary.yaml: MalformedYAMLError: yaml: line ";
        assert!(message.starts_with(start), "{message}");
    }

    #[test]
    fn a_missing_resource_and_a_cycle_are_build_errors() {
        let missing = build(&[("a/kustomization.yaml", "resources: [b.yaml]\n")], "a").unwrap_err();
        assert!(missing.contains("open /tmp/kustomization-1/a/b.yaml: no such file"), "{missing}");
        let cycle = build(&[("a/kustomization.yaml", "resources: [../a]\n")], "a").unwrap_err();
        assert!(cycle.contains("cycle detected"), "{cycle}");
    }

    #[test]
    fn an_object_that_is_there_twice_is_a_build_error() {
        let (one, other) = (map("one"), map("other"));
        let with = |second: &str| build(&[("a.yaml", one.as_str()), ("b.yaml", second)], "./");
        let message = with(&one).unwrap_err();
        let end = "may not add resource with an already registered id: \
                   ConfigMap.v1.[noGrp]/one.[noNs]'";
        assert!(message.ends_with(end), "{message}");
        assert_eq!(with(&other).unwrap().len(), 2);
        assert_eq!(with(&one.replace("name: one", "name: one\n  namespace: b")).unwrap().len(), 2);
    }

    #[test]
    fn an_object_without_a_name_is_a_build_error() {
        let nameless = "apiVersion: v1\nkind: ConfigMap\n";
        let message = build(&[("a.yaml", nameless)], "./").unwrap_err();
        assert!(message.contains("missing metadata.name in object"), "{message}");
    }
}
