//! Where a process is: in a pod or not, and how it agrees with others on lanes (rule S5).

use crate::cli::args::{ClusterArguments, InstanceArguments};
use crate::cli::lanes::{FileLanes, LeaseLanes};
use crate::cli::run::default_cache_dir;
use crate::cluster::Cluster;
use crate::engine::{Lanes, LocalLanes};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where Kubernetes says in which namespace a pod is, below the root of its file system.
pub(super) const POD_NAMESPACE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Where a machine keeps its name, below the root of its file system.
pub(super) const HOST_NAME: &str = "etc/hostname";

/// Where a process is.
pub(super) struct Whereabouts {
    /// Namespace of its own objects; none if it has none.
    pub(super) namespace: Option<String>,
    /// Namespace of the pod, if it is in one and talks to the cluster of that.
    pub(super) pod: Option<String>,
    /// What it calls itself towards other processes.
    pub(super) name: String,
    /// Folder of the lock files.
    pub(super) lanes: PathBuf,
}

// === impl Whereabouts ===

impl Whereabouts {
    /// Finds out where this is; `namespace` is what was asked for.
    pub(super) fn of(
        cluster: &ClusterArguments,
        instance: &InstanceArguments,
        namespace: Option<&str>,
    ) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self::seen(Path::new("/"), variable, cluster, instance, namespace)
    }

    /// The same below a root, and with other variables.
    pub(super) fn seen(
        root: &Path,
        variable: impl Fn(&str) -> Option<String>,
        cluster: &ClusterArguments,
        instance: &InstanceArguments,
        namespace: Option<&str>,
    ) -> Self {
        let variable = |name: &str| variable(name).filter(|it| !it.is_empty());
        let line = |path: &str| {
            let text = std::fs::read_to_string(root.join(path)).ok();
            text.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
        };
        // A kubeconfig leads to a cluster of which the pod's namespace says nothing.
        let other = cluster.kubeconfig.is_some() || variable("KUBECONFIG").is_some();
        let pod = variable("KUBERNETES_SERVICE_HOST").filter(|_| !other);
        let pod = pod.and_then(|_| line(POD_NAMESPACE));
        let host = variable("HOSTNAME").or_else(|| line(HOST_NAME)).unwrap_or_default();
        let cache = instance.cache_dir.clone().unwrap_or_else(default_cache_dir);
        Self {
            namespace: namespace.map(str::to_owned).or_else(|| pod.clone()),
            pod,
            name: format!("{}@{host}", instance.instance),
            lanes: cache.join("lanes"),
        }
    }

    /// The same place for a command that works beside a service: a Lease lets in all who bear its
    /// holder's name, and a service in the same pod is somebody else.
    pub(super) fn beside_a_service(self, command: &str) -> Self {
        Self { name: format!("{}/{command}", self.name), ..self }
    }

    /// Who may use which lane: a Lease says so in the cluster, a lock file elsewhere (rule S5).
    /// Outside a pod it takes both, for processes of one machine have one name.
    pub(super) fn lanes(&self, cluster: &Cluster) -> Arc<dyn Lanes> {
        let local: Arc<dyn Lanes> = if self.pod.is_some() {
            Arc::new(LocalLanes::default())
        } else {
            Arc::new(FileLanes::new(self.lanes.clone()))
        };
        let Some(namespace) = &self.namespace else { return local };
        Arc::new(LeaseLanes::new(cluster.clone(), namespace, &self.name, local))
    }
}
