//! Two hundred scenarios over all kinds of triggers and hops, each with objects of its own.

use hopclock::config::{Scenario, load_text};
use hopclock::hop::HopConfig;
use hopclock::model::{GroupKind, Subject};
use hopclock::trigger::TriggerConfig;
use std::collections::BTreeSet;

/// How many scenarios of each sort there are.
const EACH: usize = 25;

/// Trigger and hops of each sort; `LANE` is the lane's name.
const SORTS: [(&str, &str); 8] = [
    (
        "git_commit: { source: flux-system/LANE, path: canary/configmap.yaml }",
        "
  - webhook_received: { receiver: flux-system/LANE }
  - source_fetched: { git_repository: flux-system/LANE }
  - { name: generated, condition: { artifact_generator: flux-system/LANE } }
  - { name: composed, source_fetched: { external_artifact: flux-system/LANE } }
  - applied: { kustomization: flux-system/LANE }
  - { live: { config_map: hopclock/LANE }, after: composed }
  - notified: { kustomization: flux-system/LANE }",
    ),
    (
        "image_tag: { policy: flux-system/LANE }",
        "
  - image_scanned: { image_repository: flux-system/LANE }
  - policy_updated: { image_policy: flux-system/LANE }
  - automation_committed: { image_update_automation: flux-system/LANE }
  - merged: { git_repository: flux-system/LANE }
  - source_fetched: { git_repository: flux-system/LANE }
  - applied: { kustomization: flux-system/LANE }
  - live: { deployment: hopclock/LANE, image: app }
  - rolled_out: { deployment: hopclock/LANE }",
    ),
    (
        "image_digest: { policy: flux-system/LANE }",
        "
  - policy_updated: { image_policy: flux-system/LANE }
  - automation_committed: { image_update_automation: flux-system/LANE }
  - source_fetched: { git_repository: flux-system/LANE }
  - live: { stateful_set: hopclock/LANE, image: app }
  - rolled_out: { stateful_set: hopclock/LANE }",
    ),
    (
        "oci_artifact: { source: flux-system/LANE }",
        "
  - webhook_received: { receiver: flux-system/LANE, oci_repository: flux-system/LANE }
  - source_fetched: { oci_repository: flux-system/LANE }
  - applied: { kustomization: flux-system/LANE }
  - live: { config_map: hopclock/LANE }",
    ),
    (
        "bucket_object: { source: flux-system/LANE, path: canary/configmap.yaml }",
        "
  - source_fetched: { bucket: flux-system/LANE }
  - applied: { kustomization: flux-system/LANE }
  - live: { config_map: hopclock/LANE }",
    ),
    (
        "helm_chart: { helm_release: flux-system/LANE }",
        "
  - { name: index, source_fetched: { helm_repository: flux-system/LANE } }
  - { name: chart, source_fetched: { helm_chart: flux-system/LANE } }
  - applied: { helm_release: flux-system/LANE }
  - live: { daemon_set: hopclock/LANE }
  - rolled_out: { daemon_set: hopclock/LANE }",
    ),
    (
        "receiver_post: { receiver: flux-system/LANE }",
        "
  - webhook_received: { receiver: flux-system/LANE, git_repository: flux-system/LANE }
    required: true",
    ),
    ("receiver_get: { receiver: flux-system/LANE }", ""),
];

/// All of them.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let lanes = (0..SORTS.len() * EACH).map(|it| (format!("lane-{it}"), SORTS[it % SORTS.len()]));
    let scenario = |(lane, (trigger, hops)): (String, (&str, &str))| {
        let hops = if hops.is_empty() { " []" } else { hops };
        let text = format!("name: LANE\ndeadline: 5m\ntrigger: {{ {trigger} }}\nhops:{hops}\n");
        load_text("lane.yaml", &text.replace("LANE", &lane)).unwrap()
    };
    lanes.map(scenario).collect()
}

/// What a scenario has watched in the cluster.
pub(crate) fn watched(scenario: &Scenario) -> Vec<Subject> {
    let elsewhere = [GroupKind::git_branch(), GroupKind::notification()];
    let subjects = scenario.hops.iter().filter_map(|it| it.kind.kind().subject());
    subjects.filter(|it| !elsewhere.contains(&it.kind)).collect()
}

/// Kinds and namespaces of what is watched.
pub(crate) fn places(scenarios: &[Scenario]) -> BTreeSet<(String, String)> {
    let subjects = scenarios.iter().flat_map(watched);
    subjects.map(|it| (it.kind.kind.clone(), it.namespace.clone())).collect()
}

/// Which kinds of triggers and of hops occur. A kind that is new has to be added to [`SORTS`].
pub(crate) fn occurring(scenarios: &[Scenario]) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let trigger = |it: &Scenario| match &it.trigger {
        TriggerConfig::GitCommit(_) => 0,
        TriggerConfig::ImageTag(_) => 1,
        TriggerConfig::ImageDigest(_) => 2,
        TriggerConfig::OciArtifact(_) => 3,
        TriggerConfig::BucketObject(_) => 4,
        TriggerConfig::HelmChart(_) => 5,
        TriggerConfig::ReceiverPost(_) => 6,
        TriggerConfig::ReceiverGet(_) => 7,
    };
    let hop = |it: &HopConfig| match it {
        HopConfig::WebhookReceived(_) => 0,
        HopConfig::ImageScanned(_) => 1,
        HopConfig::PolicyUpdated(_) => 2,
        HopConfig::AutomationCommitted(_) => 3,
        HopConfig::Merged(_) => 4,
        HopConfig::SourceFetched(_) => 5,
        HopConfig::Applied(_) => 6,
        HopConfig::Live(_) => 7,
        HopConfig::RolledOut(_) => 8,
        HopConfig::Condition(_) => 9,
        HopConfig::Notified(_) => 10,
    };
    let hops = scenarios.iter().flat_map(|it| it.hops.iter().map(|it| hop(&it.kind)));
    (scenarios.iter().map(trigger).collect(), hops.collect())
}
