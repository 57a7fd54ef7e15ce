//! What hopclock merges itself, where a scenario says so: whether it may, and with whose rights.

use crate::cli::assemble::Workshop;
use crate::cli::proof::unsigned;
use crate::cli::site::ScenarioSite;
use crate::config::{Hop, Scenario};
use crate::engine::{BranchMerge, Errand, Errands};
use crate::hop::{HopConfig, MergedConfig, Objects};
use crate::model::{
    ClusterName, GitBranch, GroupKind, Landing, MergeWay, ObjectName, ProbeError, Subject,
};
use crate::path::delivery::Consent;
use crate::remote::git::Along;
use crate::trigger::{Site, TriggerConfig};
use std::sync::Arc;

// === impl Workshop ===

impl Workshop {
    /// The merges of a scenario, by their hops. Nothing is merged, and no remote is asked.
    pub(super) async fn errands<'a>(
        &self,
        scenario: &Scenario,
        path: &Objects,
        site: impl Fn(&ClusterName) -> ScenarioSite<'a>,
    ) -> Result<Errands, ProbeError> {
        let mut errands = Errands::new();
        for (index, hop) in scenario.hops.iter().enumerate() {
            if let HopConfig::Merged(config @ MergedConfig { merge: Some(way), .. }) = &hop.kind {
                let site = site(&hop.cluster);
                let errand = self.errand(scenario, path, hop, (config, *way), &site).await?;
                errands.insert(index, errand);
            }
        }
        Ok(errands)
    }

    async fn errand(
        &self,
        scenario: &Scenario,
        path: &Objects,
        hop: &Hop,
        (config, way): (&MergedConfig, MergeWay),
        site: &ScenarioSite<'_>,
    ) -> Result<Arc<dyn Errand>, ProbeError> {
        let name = &config.git_repository;
        let source = Subject::local(GroupKind::git_repository(), &name.namespace, &name.name);
        let object = site.object(&source).await?;
        if object["spec"]["verify"].is_object() {
            return Err(unsigned(hop, &source));
        }
        let remote = site.branch(&GitBranch::subject(name, None)).await?;
        let along = if config.shared { Along::Others } else { own(scenario) };
        if !config.shared {
            let place = format!("branch `{}` of `{}`", remote.branch(), remote.url());
            Consent::of(&self.instance, place, &[(&source, &object)])?.judge(None)?;
        }
        let source = source.in_cluster(&hop.cluster);
        let landing = Landing {
            source: Some(source.clone()),
            url: remote.url().to_string(),
            branch: remote.branch().to_owned(),
            path: String::new(),
            shared: config.shared,
            replaces: false,
            signs_with: None,
        };
        self.proofs.prove_merge(self, scenario, hop, (&landing, &source), path).await?;
        Ok(Arc::new(BranchMerge::new(remote, way, along)))
    }
}

/// What may come along with a scenario's own change: what its image policies chose, if it goes
/// through such, else what its author did.
fn own(scenario: &Scenario) -> Along {
    let kind = GroupKind::image("ImagePolicy");
    let looked_at = scenario.hops.iter().flat_map(|it| it.subject().into_iter().chain(it.needs()));
    let looked_at = looked_at.filter(|it| it.kind == kind);
    let mut policies: Vec<_> =
        looked_at.map(|it| ObjectName::new(&it.namespace, &it.name)).collect();
    match &scenario.trigger {
        TriggerConfig::ImageTag(config) => policies.push(config.policy.clone()),
        TriggerConfig::ImageDigest(config) => policies.push(config.policy.clone()),
        _ => {}
    }
    if policies.is_empty() {
        return Along::Own;
    }
    // As markers name them.
    Along::Choices(policies.iter().map(|it| format!("{}:{}", it.namespace, it.name)).collect())
}
