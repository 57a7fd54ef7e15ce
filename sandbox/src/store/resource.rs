//! What kinds of objects the sandbox serves, and under which names.

/// A served resource: its address in the API and the two habits that differ between kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// The API group, empty for the core group.
    pub group: String,
    /// The one version under which it is served.
    pub version: String,
    /// The name in URLs, such as `gitrepositories`.
    pub plural: String,
    /// The kind, such as `GitRepository`; unique in the sandbox.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether status is written apart from the rest, through `/status`.
    pub status: bool,
    /// Whether `metadata.generation` counts the changes of the wish.
    pub generation: bool,
    /// Abbreviations that command lines accept.
    pub short_names: Vec<String>,
}

impl Resource {
    /// A namespaced resource with generation and status subresource, as Flux's kinds are.
    #[must_use]
    pub fn new(group: &str, version: &str, plural: &str, kind: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            namespaced: true,
            status: true,
            generation: true,
            short_names: Vec::new(),
        }
    }

    /// The same, in no namespace.
    #[must_use]
    pub fn cluster_scoped(mut self) -> Self {
        self.namespaced = false;
        self
    }

    /// The same without a status subresource: status is a field like any other.
    #[must_use]
    pub fn without_status(mut self) -> Self {
        self.status = false;
        self
    }

    /// The same as plain data, which has neither status nor generation.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.status = false;
        self.generation = false;
        self
    }

    /// The same with abbreviations for command lines.
    #[must_use]
    pub fn short(mut self, names: &[&str]) -> Self {
        self.short_names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// `v1` or `group/version`, as objects state it.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The plural with its group, as Kubernetes names a resource in messages.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

/// Everything that a new store knows: core kinds, Flux's kinds and one sample custom resource.
pub(super) fn builtin() -> Vec<Resource> {
    let mut all = core();
    all.extend(flux());
    all.push(Resource::new("lab.hopclock.dev", "v1", "widgets", "Widget"));
    all
}

fn core() -> Vec<Resource> {
    let rbac =
        |plural, kind| Resource::new("rbac.authorization.k8s.io", "v1", plural, kind).plain();
    vec![
        Resource::new("", "v1", "namespaces", "Namespace").cluster_scoped().short(&["ns"]).plain(),
        Resource::new("", "v1", "configmaps", "ConfigMap").short(&["cm"]).plain(),
        Resource::new("", "v1", "secrets", "Secret").plain(),
        Resource::new("", "v1", "events", "Event").short(&["ev"]).plain(),
        Resource::new("", "v1", "serviceaccounts", "ServiceAccount").short(&["sa"]).plain(),
        Resource::new("", "v1", "services", "Service").short(&["svc"]).plain(),
        Resource::new("", "v1", "pods", "Pod").short(&["po"]),
        Resource::new("apps", "v1", "deployments", "Deployment").short(&["deploy"]),
        Resource::new("apps", "v1", "statefulsets", "StatefulSet").short(&["sts"]),
        Resource::new("apps", "v1", "daemonsets", "DaemonSet").short(&["ds"]),
        Resource::new("coordination.k8s.io", "v1", "leases", "Lease").plain(),
        rbac("roles", "Role"),
        rbac("rolebindings", "RoleBinding"),
        rbac("clusterroles", "ClusterRole").cluster_scoped(),
        rbac("clusterrolebindings", "ClusterRoleBinding").cluster_scoped(),
        Resource::new(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
        )
        .cluster_scoped()
        .short(&["crd", "crds"]),
    ]
}

fn flux() -> Vec<Resource> {
    let source = |plural, kind| Resource::new("source.toolkit.fluxcd.io", "v1", plural, kind);
    let image = |plural, kind| Resource::new("image.toolkit.fluxcd.io", "v1", plural, kind);
    let notify = |version, plural, kind| {
        Resource::new("notification.toolkit.fluxcd.io", version, plural, kind)
    };
    vec![
        source("gitrepositories", "GitRepository").short(&["gitrepo"]),
        source("ocirepositories", "OCIRepository").short(&["ocirepo"]),
        source("buckets", "Bucket"),
        source("helmrepositories", "HelmRepository").short(&["helmrepo"]),
        source("helmcharts", "HelmChart").short(&["hc"]),
        source("externalartifacts", "ExternalArtifact").short(&["ea"]),
        Resource::new(
            "source.extensions.fluxcd.io",
            "v1beta1",
            "artifactgenerators",
            "ArtifactGenerator",
        )
        .short(&["ag"]),
        Resource::new("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
            .short(&["ks"]),
        Resource::new("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease").short(&["hr"]),
        notify("v1", "receivers", "Receiver"),
        notify("v1beta3", "alerts", "Alert").without_status(),
        notify("v1beta3", "providers", "Provider").without_status(),
        image("imagerepositories", "ImageRepository").short(&["imgrepo"]),
        image("imagepolicies", "ImagePolicy").short(&["imgpol"]),
        image("imageupdateautomations", "ImageUpdateAutomation").short(&["iua"]),
    ]
}
