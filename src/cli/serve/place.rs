//! Where a service is: in a pod or not, and what follows from that.

use crate::cli::args::ServeArguments;
use crate::cli::lanes::{FileLanes, LeaseLanes};
use crate::cli::run::default_cache_dir;
use crate::cli::state::StatePlace;
use crate::cli::state_dir;
use crate::cluster::Cluster;
use crate::engine::Lanes;
use crate::model::ObjectName;
use std::sync::Arc;

/// Where Kubernetes says in which namespace a pod is.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The ConfigMap in which a pod keeps its state.
const STATE: &str = "hopclock-state";

/// Where a service is.
pub(super) struct Place {
    /// Namespace of its own objects; none if it has none.
    pub(super) namespace: Option<String>,
    /// Where its state lives.
    pub(super) state: StatePlace,
    /// What it calls itself towards other processes.
    pub(super) name: String,
    lanes: std::path::PathBuf,
}

// === impl Place ===

impl Place {
    /// Finds out where this is.
    pub(super) fn of(arguments: &ServeArguments) -> Self {
        let pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
            && arguments.cluster.kubeconfig.is_none();
        let pod = pod.then(|| std::fs::read_to_string(POD_NAMESPACE).ok()).flatten();
        let pod = pod.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let state = arguments.state.clone().unwrap_or_else(|| match &pod {
            Some(namespace) => StatePlace::ConfigMap(ObjectName::new(namespace, STATE)),
            None => StatePlace::File(state_dir::history(None)),
        });
        let instance = &arguments.instance.instance;
        let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| host.trim().to_owned());
        let cache = arguments.instance.cache_dir.clone().unwrap_or_else(default_cache_dir);
        Self {
            namespace: arguments.namespace.clone().or(pod),
            state,
            name: format!("{instance}@{host}"),
            lanes: cache.join("lanes"),
        }
    }

    /// Who may use which lane: a Lease says so in the cluster, a lock file elsewhere (rule S5).
    pub(super) fn lanes(&self, cluster: &Cluster) -> Arc<dyn Lanes> {
        match &self.namespace {
            Some(namespace) => Arc::new(LeaseLanes::new(cluster.clone(), namespace, &self.name)),
            None => Arc::new(FileLanes::new(self.lanes.clone())),
        }
    }
}
