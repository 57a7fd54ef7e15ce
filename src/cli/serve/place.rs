//! Where a service is, and where it keeps its state.

use crate::cli::args::ServeArguments;
use crate::cli::state::StatePlace;
use crate::cli::state_dir;
use crate::cli::whereabouts::Whereabouts;
use crate::cluster::Cluster;
use crate::engine::Lanes;
use crate::model::ObjectName;
use std::sync::Arc;

/// The ConfigMap in which a pod keeps its state.
pub(in crate::cli) const STATE: &str = "hopclock-state";

/// Where a service is.
pub(super) struct Place {
    /// Namespace of its own objects; none if it has none.
    pub(super) namespace: Option<String>,
    /// Where its state lives.
    pub(super) state: StatePlace,
    /// What it calls itself towards other processes.
    pub(super) name: String,
    whereabouts: Whereabouts,
}

// === impl Place ===

impl Place {
    /// Finds out where this is.
    pub(super) fn of(arguments: &ServeArguments) -> Self {
        let (cluster, instance) = (&arguments.cluster, &arguments.instance);
        Self::at(arguments, Whereabouts::of(cluster, instance, arguments.namespace.as_deref()))
    }

    fn at(arguments: &ServeArguments, whereabouts: Whereabouts) -> Self {
        let state = arguments.state.clone().unwrap_or_else(|| match &whereabouts.pod {
            Some(namespace) => StatePlace::ConfigMap(ObjectName::new(namespace, STATE)),
            None => StatePlace::File(state_dir::history(None)),
        });
        Self {
            namespace: whereabouts.namespace.clone(),
            state,
            name: whereabouts.name.clone(),
            whereabouts,
        }
    }

    /// Who may use which lane.
    pub(super) fn lanes(&self, cluster: &Cluster) -> Arc<dyn Lanes> {
        self.whereabouts.lanes(cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Arguments, Command};
    use crate::cli::whereabouts::{HOST_NAME, POD_NAMESPACE};
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
        let ServeArguments { cluster, instance, namespace, .. } = &arguments;
        let seen =
            Whereabouts::seen(root.path(), variable, cluster, instance, namespace.as_deref());
        Place::at(&arguments, seen)
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
        assert!(place.whereabouts.pod.is_some());
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
            assert!(matches!(place.state, StatePlace::File(_)) && place.whereabouts.pod.is_none());
        }
    }
}
