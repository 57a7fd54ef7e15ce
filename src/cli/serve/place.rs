//! Where a service is: in a pod or not, and what follows from that.

use crate::cli::args::ServeArguments;
use crate::cli::lanes::{FileLanes, LeaseLanes};
use crate::cli::run::default_cache_dir;
use crate::cli::state::StatePlace;
use crate::cli::state_dir;
use crate::cluster::Cluster;
use crate::engine::{Lanes, LocalLanes};
use crate::model::ObjectName;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where Kubernetes says in which namespace a pod is, below the root of its file system.
const POD_NAMESPACE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Where a machine keeps its name, below the root of its file system.
const HOST_NAME: &str = "etc/hostname";

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
    /// Folder of the lock files.
    lanes: PathBuf,
    /// Whether nobody else can bear its name.
    is_pod: bool,
}

/// What a process sees of where it is.
struct Signs {
    /// Namespace of the pod, if it is in one and talks to the cluster of that.
    pod: Option<String>,
    /// Name of the pod, or of the machine.
    host: String,
}

// === impl Place ===

impl Place {
    /// Finds out where this is.
    pub(super) fn of(arguments: &ServeArguments) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self::seen(arguments, Signs::read(Path::new("/"), arguments, variable))
    }

    fn seen(arguments: &ServeArguments, signs: Signs) -> Self {
        let Signs { pod, host } = signs;
        let is_pod = pod.is_some();
        let state = arguments.state.clone().unwrap_or_else(|| match &pod {
            Some(namespace) => StatePlace::ConfigMap(ObjectName::new(namespace, STATE)),
            None => StatePlace::File(state_dir::history(None)),
        });
        let instance = &arguments.instance.instance;
        let cache = arguments.instance.cache_dir.clone().unwrap_or_else(default_cache_dir);
        Self {
            namespace: arguments.namespace.clone().or(pod),
            state,
            name: format!("{instance}@{host}"),
            lanes: cache.join("lanes"),
            is_pod,
        }
    }

    /// Who may use which lane: a Lease says so in the cluster, a lock file elsewhere (rule S5).
    /// Outside a pod it takes both, for processes of one machine have one name.
    pub(super) fn lanes(&self, cluster: &Cluster) -> Arc<dyn Lanes> {
        let local: Arc<dyn Lanes> = if self.is_pod {
            Arc::new(LocalLanes::default())
        } else {
            Arc::new(FileLanes::new(self.lanes.clone()))
        };
        let Some(namespace) = &self.namespace else { return local };
        Arc::new(LeaseLanes::new(cluster.clone(), namespace, &self.name, local))
    }
}

// === impl Signs ===

impl Signs {
    /// Reads them below a root, and from the environment.
    fn read(
        root: &Path,
        arguments: &ServeArguments,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let variable = |name: &str| variable(name).filter(|it| !it.is_empty());
        let line = |path: &str| {
            let text = std::fs::read_to_string(root.join(path)).ok();
            text.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
        };
        // A kubeconfig leads to a cluster of which the pod's namespace says nothing.
        let other = arguments.cluster.kubeconfig.is_some() || variable("KUBECONFIG").is_some();
        let pod = variable("KUBERNETES_SERVICE_HOST").filter(|_| !other);
        let host = variable("HOSTNAME").or_else(|| line(HOST_NAME)).unwrap_or_default();
        Self { pod: pod.and_then(|_| line(POD_NAMESPACE)), host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Arguments, Command};
    use clap::Parser;

    /// Where a service finds itself with these arguments and variables, beside these files.
    fn place(arguments: &[&str], variables: &[(&str, &str)], files: &[(&str, &str)]) -> Place {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let line = [&["hopclock", "serve", "scenarios"], arguments].concat();
        let Command::Serve(arguments) = Arguments::parse_from(line).command else { panic!() };
        let variable = |name: &str| {
            let found = variables.iter().find(|it| it.0 == name);
            found.map(|it| it.1.to_owned())
        };
        Place::seen(&arguments, Signs::read(root.path(), &arguments, variable))
    }

    const SERVICE: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    const NAMESPACE: (&str, &str) = (POD_NAMESPACE, "watching\n");

    #[test]
    fn a_pod_keeps_its_state_and_its_lanes_in_its_own_namespace() {
        let place = place(&[], &[SERVICE, ("HOSTNAME", "hopclock-0")], &[NAMESPACE]);
        assert_eq!(place.namespace.as_deref(), Some("watching"));
        let state = ObjectName::new("watching", STATE);
        assert_eq!(place.state, StatePlace::ConfigMap(state));
        assert_eq!(place.name, "hopclock@hopclock-0");
        assert!(place.is_pod);
    }

    #[test]
    fn what_is_said_goes_before_what_a_pod_sees() {
        let arguments = ["--namespace", "other", "--state", "none", "--instance", "second"];
        let place = place(&arguments, &[SERVICE], &[NAMESPACE, (HOST_NAME, "node\n")]);
        assert_eq!(place.namespace.as_deref(), Some("other"));
        assert_eq!((place.state, place.name.as_str()), (StatePlace::Nowhere, "second@node"));
    }

    #[test]
    fn only_who_talks_to_the_pods_cluster_is_in_a_pod() {
        let kubeconfig = ["--kubeconfig", "config"];
        for (arguments, variables, files) in [
            (&[][..], &[][..], &[NAMESPACE][..]),
            (&[], &[SERVICE], &[]),
            (&[], &[SERVICE], &[(POD_NAMESPACE, "\n")]),
            (&kubeconfig, &[SERVICE], &[NAMESPACE]),
            (&[], &[SERVICE, ("KUBECONFIG", "config")], &[NAMESPACE]),
        ] {
            let place = place(arguments, variables, files);
            assert_eq!(place.namespace, None, "{arguments:?} {variables:?} {files:?}");
            assert!(matches!(place.state, StatePlace::File(_)) && !place.is_pod);
        }
    }
}
