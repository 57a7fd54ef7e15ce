//! What a hop looks at: one object of one cluster, by group, kind, namespace and name.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of a cluster as the scenario gives it; empty for the one that hopclock itself talks to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterName(pub String);

/// Group and kind of a Kubernetes object. The version is the API server's choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, in its singular upper-case form.
    pub kind: String,
}

/// What a hop looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The cluster that holds the object.
    pub cluster: ClusterName,
    /// What sort of object it is.
    pub kind: GroupKind,
    /// Its namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

// === impl GroupKind ===

impl GroupKind {
    /// Names a kind of a group.
    #[must_use]
    pub fn new(group: &str, kind: &str) -> Self {
        Self { group: group.to_owned(), kind: kind.to_owned() }
    }

    /// Flux's `GitRepository`.
    #[must_use]
    pub fn git_repository() -> Self {
        Self::new("source.toolkit.fluxcd.io", "GitRepository")
    }

    /// A kind of Flux source, such as `OCIRepository`.
    #[must_use]
    pub fn source(kind: &str) -> Self {
        Self::new("source.toolkit.fluxcd.io", kind)
    }

    /// A kind of Flux's image group, such as `ImagePolicy`.
    #[must_use]
    pub fn image(kind: &str) -> Self {
        Self::new("image.toolkit.fluxcd.io", kind)
    }

    /// A branch of a git repository, which no API server has: it is polled.
    #[must_use]
    pub fn git_branch() -> Self {
        Self::new("remote.hopclock.dev", "GitBranch")
    }

    /// Flux's `Kustomization`.
    #[must_use]
    pub fn kustomization() -> Self {
        Self::new("kustomize.toolkit.fluxcd.io", "Kustomization")
    }

    /// Flux's `HelmRelease`.
    #[must_use]
    pub fn helm_release() -> Self {
        Self::new("helm.toolkit.fluxcd.io", "HelmRelease")
    }

    /// What our own listener hears: no object of any cluster, but a subject as well.
    #[must_use]
    pub fn notification() -> Self {
        Self::new("remote.hopclock.dev", "Notification")
    }

    /// Flux's `Receiver`.
    #[must_use]
    pub fn receiver() -> Self {
        Self::new("notification.toolkit.fluxcd.io", "Receiver")
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)
    }
}

// === impl Subject ===

impl Subject {
    /// An object of the cluster that hopclock itself talks to.
    #[must_use]
    pub fn local(kind: GroupKind, namespace: &str, name: &str) -> Self {
        Self {
            cluster: ClusterName::default(),
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The same object of another cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: &ClusterName) -> Self {
        Self { cluster: cluster.clone(), ..self }
    }
}

impl fmt::Display for Subject {
    /// `Kind namespace/name`, with the cluster behind it where it is not our own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)?;
        if self.cluster.0.is_empty() { Ok(()) } else { write!(f, " of cluster {}", self.cluster.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_as_people_name_it() {
        let mut subject = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
        assert_eq!(subject.to_string(), "Kustomization flux-system/apps");
        subject.cluster = ClusterName("eu".to_owned());
        assert_eq!(subject.to_string(), "Kustomization flux-system/apps of cluster eu");
    }
}
