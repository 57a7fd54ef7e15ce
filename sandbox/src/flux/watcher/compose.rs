//! Which files of which sources make an artifact.
//!
//! `from` and `to` are paths that begin with `@`: an alias of a source, and `@artifact`. Not
//! evaluated, and refused: patterns other than `**` at the end, exclusions and strategies.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::flux::artifacts::Files;

/// The files of an artifact's `copy` list; `sources` are those of each alias.
pub(super) fn compose(
    artifact: &Value,
    sources: &HashMap<String, Arc<Files>>,
) -> Result<Files, String> {
    let mut files = Files::new();
    for copy in artifact["copy"].as_array().into_iter().flatten() {
        let text = |field: &str| copy[field].as_str().unwrap_or_default();
        if !copy["exclude"].is_null() || !copy["strategy"].is_null() {
            return Err("`exclude` and `strategy` are not evaluated in the sandbox".to_owned());
        }
        let invalid = |field: &str| format!("invalid copy operation: '{field}'");
        let (alias, from) = split(text("from")).ok_or_else(|| invalid(text("from")))?;
        let (artifact, to) = split(text("to")).ok_or_else(|| invalid(text("to")))?;
        if artifact != "artifact" {
            return Err(invalid(text("to")));
        }
        let source =
            sources.get(alias).ok_or_else(|| format!("source alias '{alias}' not found"))?;
        let before = files.len();
        for (path, content) in source.iter() {
            if let Some(place) = place(path, from, to) {
                files.insert(place, content.clone());
            }
        }
        if files.len() == before {
            return Err(format!("source '{}' does not exist", text("from")));
        }
    }
    Ok(files)
}

/// Alias and path of `@alias/path`.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('@')?;
    Some(text.split_once('/').unwrap_or((text, "")))
}

/// Where a file comes to lie that is copied; none if it is not.
fn place(path: &str, from: &str, to: &str) -> Option<String> {
    let folder = to.trim_end_matches('/');
    let below = |rest: &str| {
        if folder.is_empty() { rest.to_owned() } else { format!("{folder}/{rest}") }
    };
    if let Some(start) = from.strip_suffix("**") {
        return path.strip_prefix(start).map(below);
    }
    let is_folder = to.is_empty() || to.ends_with('/');
    let name = path.rsplit('/').next().unwrap_or(path);
    (path == from).then(|| if is_folder { below(name) } else { to.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn folders_and_files_are_copied_under_their_new_names() {
        let files = ["apps/a.yaml", "apps/x/b.yaml", "README.md"];
        let files: Files = files.iter().map(|it| ((*it).to_owned(), Vec::new())).collect();
        let sources = HashMap::from([("git".to_owned(), Arc::new(files))]);
        let of = |from: &str, to: &str| {
            let artifact = json!({"copy": [{"from": from, "to": to}]});
            compose(&artifact, &sources).map(|it| it.into_keys().collect::<Vec<_>>())
        };
        let all = |it: &[&str]| Ok(it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(of("@git/apps/**", "@artifact/"), all(&["a.yaml", "x/b.yaml"]));
        assert_eq!(of("@git/apps/x/**", "@artifact/y/"), all(&["y/b.yaml"]));
        assert_eq!(of("@git/README.md", "@artifact/docs/"), all(&["docs/README.md"]));
        assert_eq!(of("@git/README.md", "@artifact/a.md"), all(&["a.md"]));
        assert!(of("@git/none/**", "@artifact/").is_err());
        assert!(of("@oci/a", "@artifact/").is_err());
        assert!(of("git/a", "@artifact/").is_err());
    }
}
