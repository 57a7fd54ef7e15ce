//! Whether the `kustomization.yaml` files of a repository lead to a file (rule P7).
//!
//! Done in rounds: it says which files it has to see next, and is asked again with them, so that
//! whoever reads them decides how. Only what certainly does not lead there counts: any text of a
//! `kustomization.yaml` that names the file or a folder above it does.

use crate::path::delivery::place;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// After so many rounds nothing is said any more.
pub const MOST_ROUNDS: usize = 16;

/// The names that kustomize looks for, in its order.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Lists that may name folders to go on in.
const FOLDER_LISTS: [&str; 3] = ["resources", "components", "bases"];

/// What was read of a repository so far; none for what is not there.
pub(super) type Files = BTreeMap<String, Option<String>>;

/// What a round came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// The file is reached, or nothing speaks against it.
    Reached,
    /// These have to be read first.
    Needs(Vec<String>),
    /// It is not; these were looked at in vain, none if there is no `kustomization.yaml` at all.
    Lost(Vec<String>),
}

/// What stands in a folder.
enum Found<'a> {
    Unread(Vec<String>),
    None,
    Text(String, &'a str),
}

/// Whether what starts in `start` leads to `file`.
pub(super) fn lead(start: &str, file: &str, read: &Files) -> Lead {
    let (mut queue, mut seen, mut vain) = (Vec::new(), BTreeSet::new(), Vec::new());
    match entry(start, file, read) {
        Ok(Some(folder)) => queue.push(folder),
        // kustomize-controller makes one of all manifests below the folder.
        Ok(None) if place::below(file, start).is_some() && is_manifest(file) => {
            return Lead::Reached;
        }
        Ok(None) => return Lead::Lost(vain),
        Err(unread) => return Lead::Needs(unread),
    }
    while let Some(folder) = queue.pop() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        let (name, text) = match found(&folder, read) {
            Found::Unread(unread) => return Lead::Needs(unread),
            // A folder that is named and has none is kustomize's error, not ours to tell.
            Found::None if place::below(file, &folder).is_some() => return Lead::Reached,
            Found::None => continue,
            Found::Text(name, text) => (name, text),
        };
        let Ok(content) = serde_saphyr::from_str::<Value>(text) else { return Lead::Reached };
        let mut texts = Vec::new();
        collect(&content, &mut texts);
        for text in texts {
            let Some(named) = place::join(&folder, text) else { continue };
            if named == file {
                return Lead::Reached;
            }
            if named != folder && place::below(file, &named).is_some() {
                queue.push(named);
            }
        }
        for list in FOLDER_LISTS {
            let entries = content[list].as_array().into_iter().flatten();
            let folders = entries.filter_map(Value::as_str).filter(|it| may_be_folder(it));
            queue.extend(folders.filter_map(|it| place::join(&folder, it)));
        }
        vain.push(name);
    }
    Lead::Lost(vain)
}

/// The folder whose `kustomization.yaml` comes first: that of `start`, else the first one on the
/// way down to the file; none if there is none.
fn entry(start: &str, file: &str, read: &Files) -> Result<Option<String>, Vec<String>> {
    let on_the_way = place::folders_of(file).filter(|it| *it == start || under(it, start));
    let folders = std::iter::once(start).chain(on_the_way.filter(|it| *it != start));
    for folder in folders {
        match found(folder, read) {
            Found::Unread(unread) => return Err(unread),
            Found::None => {}
            Found::Text(..) => return Ok(Some(folder.to_owned())),
        }
    }
    Ok(None)
}

fn found<'a>(folder: &str, read: &'a Files) -> Found<'a> {
    let names = NAMES.map(|name| place::join(folder, name).unwrap_or_default());
    for name in &names {
        match read.get(name) {
            Some(Some(text)) => return Found::Text(name.clone(), text),
            Some(None) => {}
            None => return Found::Unread(names.to_vec()),
        }
    }
    Found::None
}

fn under(folder: &str, start: &str) -> bool {
    !folder.is_empty() && place::below(folder, start).is_some()
}

fn is_manifest(file: &str) -> bool {
    [".yaml", ".yml"].iter().any(|it| file.ends_with(it))
}

fn may_be_folder(text: &str) -> bool {
    !text.contains("://") && ![".yaml", ".yml", ".json"].iter().any(|it| text.ends_with(it))
}

/// Every text of a document, also that behind the `=` of generators (`key=file`).
fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => {
            texts.push(text);
            texts.extend(text.split_once('=').map(|it| it.1));
        }
        Value::Array(items) => items.iter().for_each(|it| collect(it, texts)),
        Value::Object(fields) => fields.values().for_each(|it| collect(it, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks until nothing more has to be read.
    fn ask(start: &str, file: &str, tree: &[(&str, &str)]) -> Lead {
        let mut read = Files::new();
        for _ in 0..MOST_ROUNDS {
            let Lead::Needs(names) = lead(start, file, &read) else { break };
            for name in names {
                let text = tree.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
                assert_eq!(read.insert(name, text), None, "asked twice");
            }
        }
        lead(start, file, &read)
    }

    const RESOURCES: &str = "resources:\n- ";

    #[test]
    fn p7_without_a_kustomization_every_manifest_of_the_folder_is_applied() {
        assert_eq!(ask("canary", "canary/a.yaml", &[]), Lead::Reached);
        assert_eq!(ask("", "canary/x/a.yml", &[]), Lead::Reached);
        assert_eq!(ask("canary", "canary/a.json", &[]), Lead::Lost(Vec::new()));
        assert_eq!(ask("apps", "canary/a.yaml", &[]), Lead::Lost(Vec::new()));
    }

    #[test]
    fn p7_a_kustomization_has_to_name_the_file_or_a_folder_above_it() {
        for entry in ["a.yaml", "./a.yaml", "../canary/a.yaml"] {
            let text = format!("{RESOURCES}{entry}\n");
            let tree = [("canary/kustomization.yaml", text.as_str())];
            assert_eq!(ask("canary", "canary/a.yaml", &tree), Lead::Reached, "{entry}");
        }
        let tree = [("canary/kustomization.yaml", "resources:\n- b.yaml\n")];
        let vain = Lead::Lost(vec!["canary/kustomization.yaml".to_owned()]);
        assert_eq!(ask("canary", "canary/a.yaml", &tree), vain);
        let patch = [("canary/Kustomization", "patches:\n- path: a.yaml\n")];
        assert_eq!(ask("canary", "canary/a.yaml", &patch), Lead::Reached);
        let generator =
            [("canary/kustomization.yml", "configMapGenerator:\n- files: [canary=a.txt]\n")];
        assert_eq!(ask("canary", "canary/a.txt", &generator), Lead::Reached);
    }

    #[test]
    fn p7_it_is_followed_through_folders_and_back() {
        let leads = [
            ("clusters/prod/kustomization.yaml", "resources: [../../overlays/prod]\n"),
            ("overlays/prod/kustomization.yaml", "resources: [../../canary]\n"),
            ("canary/kustomization.yaml", "resources: [a.yaml]\n"),
        ];
        assert_eq!(ask("clusters/prod", "canary/a.yaml", &leads), Lead::Reached);
        let mut broken = leads;
        broken[2].1 = "resources: [b.yaml, ../clusters/prod]\n";
        let Lead::Lost(vain) = ask("clusters/prod", "canary/a.yaml", &broken) else { panic!() };
        assert_eq!(vain.len(), 3, "each is looked at once: {vain:?}");
    }

    #[test]
    fn p7_a_folder_with_a_kustomization_of_its_own_decides_what_it_gives() {
        let tree = [("apps/canary/kustomization.yaml", "resources: [b.yaml]\n")];
        let vain = Lead::Lost(vec!["apps/canary/kustomization.yaml".to_owned()]);
        assert_eq!(ask("apps", "apps/canary/a.yaml", &tree), vain);
        assert_eq!(ask("apps", "apps/other/a.yaml", &tree), Lead::Reached);
    }

    #[test]
    fn p7_what_is_no_yaml_is_left_to_kustomize() {
        let tree = [("canary/kustomization.yaml", "resources: [\n")];
        assert_eq!(ask("canary", "canary/a.yaml", &tree), Lead::Reached);
    }
}
