//! What following the objects of many scenarios of all kinds costs the API server.

use crate::fleet_kit;
use futures_util::future::join_all;
use hopclock::cluster::{Cluster, ClusterOptions};
use hopclock::engine::SystemClock;
use hopclock_sandbox::api::Scope;
use hopclock_sandbox::pipeline::{Sandbox, SandboxOptions};
use std::sync::Arc;

/// Prints the row of this part.
pub(crate) async fn measure() {
    // Fails if another part has chosen it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let sandbox = Sandbox::start(SandboxOptions::default()).await.expect("a sandbox");
    let kubeconfigs = vec![sandbox.kubeconfig()];
    let options = ClusterOptions { kubeconfigs, ..ClusterOptions::default() };
    let cluster = Cluster::connect(options, Arc::new(SystemClock::new())).await;
    let cluster = cluster.expect("its API server");
    let scenarios = fleet_kit::scenarios();
    let places = fleet_kit::places(&scenarios).len();
    let subjects: Vec<_> = scenarios.iter().map(fleet_kit::watched).collect();
    let objects: usize = subjects.iter().map(Vec::len).sum();
    let before = cluster.request_count();
    let following = join_all(subjects.iter().map(|it| cluster.follow(it))).await;
    let failed = following.iter().filter(|it| it.is_err()).count();
    let open = sandbox.api().faults().open_watches(&Scope::all());
    println!(
        "| watches with {} scenarios of all kinds, {objects} objects in {places} kinds and \
         namespaces: {open} open, {failed} failed, {} requests in all | | | | |",
        scenarios.len(),
        cluster.request_count() - before
    );
}
