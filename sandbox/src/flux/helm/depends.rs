//! Dependencies between releases, looked at and not watched: one that is not ready costs half a
//! minute.

use serde_json::Value;

use crate::flux::draft;
use crate::store::Key;
use crate::store::Store;

/// Checks all dependencies; the error says which one is not ready and why.
pub(super) fn check(store: &Store, release: &Value) -> Result<(), String> {
    let own = release["metadata"]["namespace"].as_str().unwrap_or_default();
    for needed in release["spec"]["dependsOn"].as_array().into_iter().flatten() {
        if !needed["readyExpr"].is_null() {
            return Err("`readyExpr` is not evaluated in the sandbox: remove it".to_owned());
        }
        let namespace = needed["namespace"].as_str().unwrap_or(own);
        let name = needed["name"].as_str().unwrap_or_default();
        let Some(other) = store.get(&Key::new("HelmRelease", namespace, name)) else {
            return Err(format!(
                "dependency '{namespace}/{name}' not found: \
                 helmreleases.helm.toolkit.fluxcd.io \"{name}\" not found"
            ));
        };
        let seen = other["status"]["observedGeneration"] == other["metadata"]["generation"];
        if !seen || !draft::is_true(&other, "Ready") {
            return Err(format!("dependency '{namespace}/{name}' is not ready"));
        }
    }
    Ok(())
}
