//! What hopclock merges itself, where a scenario says so: whether it may, and with whose rights.

use crate::cli::site::ScenarioSite;
use crate::config::{Hop, Scenario};
use crate::engine::{BranchMerge, Errand, Errands};
use crate::hop::{HopConfig, MergedConfig};
use crate::model::{ClusterName, GitBranch, GroupKind, MergeWay, ProbeError, Subject};
use crate::path::delivery::Consent;
use crate::remote::git::Along;
use crate::trigger::Site;
use std::sync::Arc;

/// The merges of a scenario, by their hops. Nothing is merged, and no remote is asked.
pub(super) async fn errands<'a>(
    scenario: &Scenario,
    instance: &str,
    site: impl Fn(&ClusterName) -> ScenarioSite<'a>,
) -> Result<Errands, ProbeError> {
    let mut errands = Errands::new();
    for (index, hop) in scenario.hops.iter().enumerate() {
        if let HopConfig::Merged(config @ MergedConfig { merge: Some(way), .. }) = &hop.kind {
            let errand = errand(hop, config, *way, instance, &site(&hop.cluster)).await?;
            errands.insert(index, errand);
        }
    }
    Ok(errands)
}

async fn errand(
    hop: &Hop,
    config: &MergedConfig,
    way: MergeWay,
    instance: &str,
    site: &ScenarioSite<'_>,
) -> Result<Arc<dyn Errand>, ProbeError> {
    let name = &config.git_repository;
    let source = Subject::local(GroupKind::git_repository(), &name.namespace, &name.name);
    let object = site.object(&source).await?;
    if object["spec"]["verify"].is_object() {
        let message = format!(
            "hop `{}` would merge into a branch whose {source} accepts signed commits only \
             (`spec.verify`), and hopclock does not sign merges: leave `merge` out, and let \
             somebody merge who does",
            hop.name
        );
        return Err(ProbeError { reason: "merge_unsigned".to_owned(), message });
    }
    let branch = GitBranch::subject(name, None);
    let remote = site.branch(&branch).await?;
    let along = if config.shared { Along::Others } else { Along::Own };
    if along == Along::Own {
        let place = format!("branch `{}` of `{}`", remote.branch(), remote.url());
        Consent::of(instance, place, &[(&source, &object)])?.judge(None)?;
    }
    Ok(Arc::new(BranchMerge::new(remote, way, along)))
}
