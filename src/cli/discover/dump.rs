//! Reads from files what may stand on a path: manifests, or what `kubectl get -A -o yaml` prints.

use crate::model::{GroupKind, Subject};
use crate::path::{KINDS, Snapshot};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Deepest folder below the one that is named.
const DEEPEST: usize = 8;
/// Largest file, in bytes.
const LARGEST: u64 = 64 << 20;

/// Reads a file, or all `*.yaml`, `*.yml` and `*.json` of a folder and those below it.
///
/// # Errors
///
/// One sentence: what cannot be read.
pub(in crate::cli) fn read(path: &Path, namespace: Option<&str>) -> Result<Snapshot, String> {
    let mut files = Vec::new();
    list(path, 0, &mut files)?;
    files.sort();
    let mut snapshot = Snapshot::default();
    for file in &files {
        for document in documents(file)? {
            take(&mut snapshot, document, namespace);
        }
    }
    if snapshot.objects().next().is_none() {
        let path = path.display();
        return Err(format!(
            "`{path}` holds no object of Flux: write it with `kubectl get -A -o yaml` and the kinds \
             that are installed"
        ));
    }
    Ok(snapshot)
}

fn list(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |error| format!("cannot read `{}`: {error}", path.display());
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in path.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let known = |it: &std::ffi::OsStr| it == "yaml" || it == "yml" || it == "json";
        if entry.is_dir() && depth < DEEPEST || entry.extension().is_some_and(known) {
            list(&entry, depth + 1, files)?;
        }
    }
    Ok(())
}

fn documents(file: &Path) -> Result<Vec<Value>, String> {
    let name = file.display();
    let unreadable = |error: std::io::Error| format!("cannot read `{name}`: {error}");
    if std::fs::metadata(file).map_err(unreadable)?.len() > LARGEST {
        return Err(format!("`{name}` is larger than {LARGEST} bytes: dump fewer kinds"));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let most = text.len().max(1);
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: most,
            max_events: most.saturating_mul(2),
            max_total_scalar_bytes: most.saturating_mul(2),
            max_documents: most,
        },
    };
    // What the parser shows of the text may be a secret: only the place is said.
    serde_saphyr::from_multiple_with_options(&text, options).map_err(|error| {
        let place = error.location().map(|it| format!(" (line {})", it.line())).unwrap_or_default();
        format!("`{name}` is no YAML{place}: write it with `kubectl get -A -o yaml`")
    })
}

/// Takes in a document, or each item of a list. Secrets are left where they are.
fn take(snapshot: &mut Snapshot, mut document: Value, namespace: Option<&str>) {
    // A file of something else has no items, nor keys.
    let items = document.get_mut("items").map(Value::take);
    if let Some(Value::Array(items)) = items {
        for it in items {
            take(snapshot, it, namespace);
        }
        return;
    }
    let version = document["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |it| it.0);
    let kind = GroupKind::new(group, document["kind"].as_str().unwrap_or_default());
    let text = |field: &str| document["metadata"][field].as_str().unwrap_or_default();
    let subject = Subject::local(kind, text("namespace"), text("name"));
    let on_path = KINDS.contains(&(subject.kind.group.as_str(), subject.kind.kind.as_str()));
    let configures =
        subject.kind == GroupKind::new("", "ConfigMap") || subject.kind.group == "apps";
    let inside = namespace.is_none_or(|it| subject.namespace == it);
    if inside && (on_path || configures) && !subject.name.is_empty() {
        snapshot.put(subject, document);
    }
}
