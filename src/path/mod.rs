//! The installed pipeline as a graph: what feeds what.
//!
//! Pure: it reads objects that somebody else has fetched, and says which further ones belong to
//! the path (rule P5 looks for suspension on all of them).

mod verify;

use crate::model::{GroupKind, Subject};
use serde_json::Value;

pub use verify::{Verification, verification};

/// What sort of member of the path an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It holds what others apply.
    Source,
    /// It applies what a source holds.
    Applier,
}

/// The role of a kind in the path; none for what is no member.
#[must_use]
pub fn role(kind: &GroupKind) -> Option<Role> {
    match kind.group.as_str() {
        "source.toolkit.fluxcd.io" => Some(Role::Source),
        "kustomize.toolkit.fluxcd.io" => Some(Role::Applier),
        _ => None,
    }
}

/// What an object needs before it can do its part: its source, what it depends on, what it
/// includes (Flux: `spec.sourceRef`, `spec.dependsOn`, `spec.include`). All in its own cluster.
#[must_use]
pub fn upstream_of(subject: &Subject, object: &Value) -> Vec<Subject> {
    let spec = &object["spec"];
    let named = |kind: GroupKind, reference: &Value| {
        let name = reference["name"].as_str()?.to_owned();
        let namespace = reference["namespace"].as_str().unwrap_or(&subject.namespace).to_owned();
        Some(Subject { cluster: subject.cluster.clone(), kind, namespace, name })
    };
    let each = |list: &'_ Value| list.as_array().cloned().unwrap_or_default();
    match role(&subject.kind) {
        Some(Role::Applier) => {
            let source = &spec["sourceRef"];
            let kind = source["kind"].as_str().unwrap_or("GitRepository");
            let source = named(GroupKind::new("source.toolkit.fluxcd.io", kind), source);
            let depends = each(&spec["dependsOn"]);
            let depends = depends.iter().filter_map(|it| named(subject.kind.clone(), it));
            source.into_iter().chain(depends).collect()
        }
        Some(Role::Source) => {
            let includes = each(&spec["include"]);
            let repository = |it: &Value| named(GroupKind::git_repository(), &it["repository"]);
            includes.iter().filter_map(repository).collect()
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn source() -> Subject {
        Subject::local(GroupKind::git_repository(), "flux-system", "fleet")
    }

    #[test]
    fn p5_an_applier_needs_its_source_and_what_it_depends_on() {
        let apps = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
        let object = json!({"spec": {
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
            "dependsOn": [{"name": "infra"}, {"name": "crds", "namespace": "base"}],
        }});
        let applier = |namespace: &str, name: &str| {
            Subject::local(GroupKind::kustomization(), namespace, name)
        };
        let expected = [source(), applier("flux-system", "infra"), applier("base", "crds")];
        assert_eq!(upstream_of(&apps, &object), expected);
    }

    #[test]
    fn p5_a_source_needs_what_it_includes() {
        let object = json!({"spec": {"include": [{"repository": {"name": "lib"}}]}});
        let lib = Subject::local(GroupKind::git_repository(), "flux-system", "lib");
        assert_eq!(upstream_of(&source(), &object), [lib]);
    }
}
