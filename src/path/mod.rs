//! The installed pipeline as a graph: what feeds what.
//!
//! Pure: it reads objects that somebody else has fetched, and says which further ones belong to
//! the path (rule P5 looks for suspension on all of them).

pub mod checkup;
pub mod delivery;
mod draft;
mod facts;
mod graph;
mod links;
pub mod plan;
mod snapshot;

use crate::model::{GroupKind, Subject};
use serde_json::Value;

pub use draft::{Consented, Draft, Drafter, Field, NotDrafted, Step, Times, Wish, key_of};
pub use facts::Facts;
pub use graph::{Edge, Graph, Link, Node, Request};
pub use links::{Meant, Reference, Use, flux_kind, inventory, references, remote_cluster};
pub use snapshot::{KINDS, Snapshot};

/// Group of Flux's sources.
const SOURCES: &str = "source.toolkit.fluxcd.io";

/// What sort of member of the path an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It holds what others apply.
    Source,
    /// It applies what a source holds.
    Applier,
    /// It scans, chooses or commits images.
    Image,
}

/// The role of a kind in the path; none for what is no member.
#[must_use]
pub fn role(kind: &GroupKind) -> Option<Role> {
    match kind.group.as_str() {
        SOURCES => Some(Role::Source),
        "kustomize.toolkit.fluxcd.io" | "helm.toolkit.fluxcd.io" => Some(Role::Applier),
        "image.toolkit.fluxcd.io" => Some(Role::Image),
        _ => None,
    }
}

/// What an object needs before it can do its part: its source or chart, what it depends on, what it
/// includes, the image repository that it reads. All in its own cluster.
#[must_use]
pub fn upstream_of(subject: &Subject, object: &Value) -> Vec<Subject> {
    let needs = references(subject, object).into_iter().filter(|it| it.used.is_need());
    let one = needs.filter_map(|it| match it.meant {
        Meant::One(subject) => Some(subject),
        Meant::Labelled { .. } => None,
    });
    one.collect()
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

    #[test]
    fn p5_a_release_needs_its_chart_and_that_its_repository() {
        let release = GroupKind::new("helm.toolkit.fluxcd.io", "HelmRelease");
        let release = Subject::local(release, "apps", "web");
        let reference = json!({"kind": "HelmRepository", "name": "charts", "namespace": "base"});
        let object = json!({"spec": {"chart": {"spec": {"chart": "web", "sourceRef": reference}}}});
        let of =
            |kind: &str, name: &str| Subject::local(GroupKind::new(SOURCES, kind), "base", name);
        let chart = of("HelmChart", "apps-web");
        assert_eq!(upstream_of(&release, &object), std::slice::from_ref(&chart));
        let object = json!({"spec": {"sourceRef": {"kind": "HelmRepository", "name": "charts"}}});
        assert_eq!(upstream_of(&chart, &object), [of("HelmRepository", "charts")]);
        let by_reference = json!({"spec": {"chartRef": {"kind": "OCIRepository", "name": "web"}}});
        let own = Subject::local(GroupKind::new(SOURCES, "OCIRepository"), "apps", "web");
        assert_eq!(upstream_of(&release, &by_reference), [own]);
    }

    #[test]
    fn p5_an_automation_needs_its_repository_and_a_policy_its_images() {
        let image = |kind: &str, name: &str| {
            Subject::local(GroupKind::new("image.toolkit.fluxcd.io", kind), "flux-system", name)
        };
        let object = json!({"spec": {"imageRepositoryRef": {"name": "web"}}});
        let policy = image("ImagePolicy", "web");
        assert_eq!(upstream_of(&policy, &object), [image("ImageRepository", "web")]);
        let object = json!({"spec": {"sourceRef": {"kind": "GitRepository", "name": "fleet"}}});
        assert_eq!(upstream_of(&image("ImageUpdateAutomation", "web"), &object), [source()]);
    }
}
