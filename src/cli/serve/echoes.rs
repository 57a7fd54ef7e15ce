//! The echo of our own write in every cluster that was reached: what our watches are worth there.

use crate::cluster::{Cluster, Clusters, Echo, EchoOptions};
use crate::export::Metrics;
use crate::model::ClusterName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often our own write is timed.
const EVERY: Duration = Duration::from_secs(60);

/// The ConfigMap of the echo.
pub(in crate::cli) const ECHO: &str = "hopclock-echo";

/// The echoes of all clusters. They end when it is dropped.
pub(super) struct Echoes {
    options: EchoOptions,
    metrics: Arc<Metrics>,
    running: BTreeMap<ClusterName, (Cluster, Echo)>,
}

// === impl Echoes ===

impl Echoes {
    /// Echoes in a namespace of this name, which the other clusters need as well.
    pub(super) fn new(namespace: &str, metrics: &Arc<Metrics>) -> Self {
        let (namespace, name) = (namespace.to_owned(), ECHO.to_owned());
        let options = EchoOptions { namespace, name, every: EVERY };
        Self { options, metrics: Arc::clone(metrics), running: BTreeMap::new() }
    }

    /// Starts those of clusters that were reached since, and ends those of clusters that are reached
    /// in another way now.
    pub(super) fn look(&mut self, clusters: &Clusters) {
        self.running.retain(|name, (cluster, _)| clusters.reaches(name, cluster));
        for (name, cluster) in clusters.reached() {
            if self.running.contains_key(&name) {
                continue;
            }
            self.metrics.declare_echo(&name.0);
            let (metrics, label) = (Arc::clone(&self.metrics), name.0.clone());
            let report = move |took| metrics.observe_echo(&label, took);
            let echo = cluster.start_echo(&self.options, report);
            self.running.insert(name, (cluster, echo));
        }
    }
}
