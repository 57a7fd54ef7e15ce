//! The hops of a scenario that only names its target: discovered anew at the start of each run, so
//! that a change of the installed path is taken up by the next one.

use crate::cli::discover::{collect, hops};
use crate::cluster::Cluster;
use crate::config::{Scenario, Target};
use crate::model::{GroupKind, ProbeError, Subject};
use crate::path::{Drafter, Graph, Wish};
use crate::trigger::{TriggerConfig, unusable};
use serde_json::Value;

/// The scenario with the hops of the path that is installed now, and what could not be looked at.
///
/// # Errors
///
/// When the cluster cannot be read, or there is no path that suits the scenario.
pub(in crate::cli) async fn found(
    cluster: &Cluster,
    instance: &str,
    trigger: &TriggerConfig,
    target: &Target,
) -> Result<(Scenario, Vec<String>), ProbeError> {
    let namespace = target.config.subject().namespace;
    let snapshot = collect(cluster, None, Some(&namespace)).await?;
    let unseen = snapshot.unseen().map(|it| it.1.to_owned()).collect();
    let found = found_in(&Graph::of(snapshot), instance, trigger, target)?;
    Ok((found, unseen))
}

/// The same in a graph that is there already.
///
/// # Errors
///
/// When there is no path that suits the scenario.
pub(in crate::cli) fn found_in(
    graph: &Graph,
    instance: &str,
    trigger: &TriggerConfig,
    target: &Target,
) -> Result<Scenario, ProbeError> {
    let subject = target.config.subject();
    let wish = Wish { live: written(trigger), reuse: true };
    let refused = |why: String| unusable(format!("no path to its target is found: {why}"));
    let drafter = Drafter::new(graph, instance);
    let draft = drafter.draft(&subject, &wish);
    let draft = draft.map_err(|it| refused(it.to_string()))?;
    target.with_hops(hops(&draft).map_err(refused)?).map_err(refused)
}

/// The object that a template makes, which is what has to become live.
fn written(trigger: &TriggerConfig) -> Option<Subject> {
    let TriggerConfig::GitCommit(config) = trigger else { return None };
    let manifest: Value = serde_saphyr::from_str(config.template.as_ref()?).ok()?;
    let version = manifest["apiVersion"].as_str()?;
    let group = version.split_once('/').map_or("", |it| it.0);
    let metadata = &manifest["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let kind = GroupKind::new(group, manifest["kind"].as_str()?);
    Some(Subject::local(kind, namespace, metadata["name"].as_str()?))
}
