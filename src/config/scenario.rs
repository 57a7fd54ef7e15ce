//! A scenario that was checked: names resolved, defaults filled in, nothing left to refuse.

use super::file::{ScenarioFile, SloFile};
use super::hop_file::HopFile;
use super::target::Target;
use crate::hop::{
    AppliedConfig, AutomationCommittedConfig, HopConfig, PolicyUpdatedConfig, WebhookReceivedConfig,
};
use crate::model::{ClusterName, ObjectName, Requirement, Subject, Timetable};
use crate::trigger::TriggerConfig;
use std::collections::BTreeSet;
use std::time;

/// A checked scenario.
///
/// Invariant: hops have different names, `after`s name hops and make no cycle, at least one hop
/// is needed, and no objective exceeds the deadline. With a target there are no hops yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Name, fit for a label.
    pub name: String,
    /// What it shows; empty if it does not say.
    pub description: String,
    /// When to run; without it only on demand.
    pub schedule: Option<Timetable>,
    /// How long a run looks for the change.
    pub deadline: time::Duration,
    /// What makes the change.
    pub trigger: TriggerConfig,
    /// The steps that the change has to take, as the file lists them.
    pub hops: Vec<Hop>,
    /// What the hops are to be found for.
    pub target: Option<Target>,
    /// What is good enough.
    pub slo: Option<Slo>,
}

/// One step that the change has to take.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Its name, unique in the scenario.
    pub name: String,
    /// What recognises the change.
    pub kind: HopConfig,
    /// Names of the hops before it; none stands for the push.
    pub after: Vec<String>,
    /// Its own objective, from the acknowledged push.
    pub within: Option<time::Duration>,
    /// Whether a run needs it.
    pub required: Requirement,
    /// The cluster to look in.
    pub cluster: ClusterName,
}

/// What is good enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// A change should take no longer than this.
    pub within: time::Duration,
    /// Share of the changes that should hold it, between 0 and 1.
    pub objective: f64,
    /// Time over which the share is taken.
    pub window: time::Duration,
    /// The hop at which it ends; unsaid, the latest needed `live`, else the last `applied`.
    pub until: Option<String>,
}

// === impl Scenario ===

impl From<ScenarioFile> for Scenario {
    /// Fills in the defaults. The file has to be free of mistakes.
    fn from(file: ScenarioFile) -> Self {
        Self {
            target: Target::of(&file),
            schedule: file.schedule.and_then(|it| it.timetable(&file.name)),
            name: file.name,
            description: file.description.unwrap_or_default(),
            deadline: file.deadline.0,
            trigger: file.trigger,
            hops: resolve(&file.hops),
            slo: file.slo.map(Slo::from),
        }
    }
}

// === impl Hop ===

impl Hop {
    /// What is looked at, in the hop's cluster; none if the scenario does not say.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        self.kind.kind().subject().map(|it| it.in_cluster(&self.cluster))
    }

    /// Further objects that have to be there (rule P6), in the hop's cluster.
    #[must_use]
    pub fn needs(&self) -> Vec<Subject> {
        let needs = self.kind.kind().needs().into_iter();
        needs.map(|it| it.in_cluster(&self.cluster)).collect()
    }
}

// === impl Slo ===

impl From<SloFile> for Slo {
    fn from(file: SloFile) -> Self {
        Self {
            within: file.within.0,
            objective: file.objective.share(),
            window: file.window.length(),
            until: file.until,
        }
    }
}

// === impl HopFile ===

impl HopFile {
    /// Its name: the kind, unless it has one of its own.
    pub(crate) fn name(&self) -> &str {
        self.shared.name.as_deref().unwrap_or(&self.kind)
    }

    /// Whether a run needs it (rule P3).
    pub(crate) fn requirement(&self) -> Requirement {
        match self.shared.required {
            Some(true) => Requirement::Waited,
            None if self.config.kind().traits().required => Requirement::Required,
            Some(false) | None => Requirement::Optional,
        }
    }
}

/// The hops with all defaults.
pub(crate) fn resolve(hops: &[HopFile]) -> Vec<Hop> {
    let hops = &with_all_defaults(hops);
    let resolved = hops.iter().map(|hop| Hop {
        name: hop.name().to_owned(),
        kind: hop.config.clone(),
        after: match &hop.shared.after {
            Some(names) => names.0.clone(),
            None => upstream(hop, hops).map(|it| it.name().to_owned()).into_iter().collect(),
        },
        within: hop.shared.within.map(|it| it.0),
        required: hop.requirement(),
        cluster: ClusterName(hop.shared.cluster.clone().unwrap_or_default()),
    });
    resolved.collect()
}

/// The hops, each with its kind's defaults: where a webhook stands depends on what it annotates.
fn with_all_defaults(hops: &[HopFile]) -> Vec<HopFile> {
    let full = |it: &HopFile| HopFile { config: with_defaults(&it.config, hops), ..it.clone() };
    hops.iter().map(full).collect()
}

/// The objects that the hops fetch from or scan, and that a Receiver can annotate.
pub(crate) fn annotated(webhook: &WebhookReceivedConfig, hops: &[HopFile]) -> BTreeSet<Subject> {
    let found = hops.iter().filter_map(|it| match &it.config {
        HopConfig::SourceFetched(_) | HopConfig::ImageScanned(_) => it.config.kind().subject(),
        _ => None,
    });
    found.filter(|it| webhook.of(it).is_some()).collect()
}

/// The policies whose updates the hops wait for.
pub(crate) fn policies(hops: &[HopFile]) -> BTreeSet<&ObjectName> {
    let policies = hops.iter().filter_map(|it| match &it.config {
        HopConfig::PolicyUpdated(PolicyUpdatedConfig::ImagePolicy(name)) => Some(name),
        _ => None,
    });
    policies.collect()
}

/// The config; a webhook that does not say what it annotates is for what the scenario fetches from
/// or scans, an automation commits the choice of the policy that the scenario waits for, and a
/// notification without an applier is of the last one.
fn with_defaults(config: &HopConfig, hops: &[HopFile]) -> HopConfig {
    match config {
        HopConfig::WebhookReceived(webhook) if webhook.annotated().is_empty() => {
            let first = annotated(webhook, hops).into_iter().next();
            let of = first.and_then(|it| webhook.of(&it)).map(Box::new);
            of.map_or_else(|| config.clone(), HopConfig::WebhookReceived)
        }
        HopConfig::AutomationCommitted(automation) if automation.image_policy.is_none() => {
            let image_policy = policies(hops).first().map(|it| (*it).clone());
            let automation = AutomationCommittedConfig { image_policy, ..automation.clone() };
            HopConfig::AutomationCommitted(automation)
        }
        HopConfig::Notified(notified) if notified.applier().is_none() => {
            let mut notified = notified.clone();
            match last_applier(hops) {
                Some(AppliedConfig::Kustomization(it)) => notified.kustomization = Some(it.clone()),
                Some(AppliedConfig::HelmRelease(it)) => notified.helm_release = Some(it.clone()),
                None => {}
            }
            HopConfig::Notified(notified)
        }
        _ => config.clone(),
    }
}

/// The applier that the scenario waits for last.
pub(crate) fn last_applier(hops: &[HopFile]) -> Option<&AppliedConfig> {
    hops.iter().rev().find_map(|it| match &it.config {
        HopConfig::Applied(applier) => Some(applier),
        _ => None,
    })
}

/// The nearest hop that is upstream of this one by kind (rule P1); `None` stands for the push. A
/// release whose object is written by another applier follows the hop that sees it written.
fn upstream<'a>(hop: &HopFile, hops: &'a [HopFile]) -> Option<&'a HopFile> {
    if let HopConfig::Applied(AppliedConfig::HelmRelease(_)) = &hop.config {
        let written = |it: &&HopFile| {
            matches!(it.config, HopConfig::Live(_))
                && it.shared.cluster == hop.shared.cluster
                && it.config.kind().subject() == hop.config.kind().subject()
        };
        if let Some(written) = hops.iter().find(written) {
            return Some(written);
        }
    }
    let place = |it: &HopFile| it.config.kind().traits().place;
    place(hop).follows().iter().find_map(|nearer| {
        let there = || hops.iter().rev().filter(|it| place(it) == *nearer);
        there().find(|it| it.shared.cluster == hop.shared.cluster).or_else(|| there().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use Requirement::{Optional, Required, Waited};

    /// The hops of a file whose trigger does not matter.
    fn resolved(text: &str) -> Vec<Hop> {
        let hops: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        resolve(&serde_json::from_value::<Vec<HopFile>>(hops).unwrap())
    }

    fn hops(text: &str) -> Vec<Hop> {
        let head = "name: a\ndeadline: 5m\ntrigger: { git_commit: { url: 'https://h/x', path: a, \
                    template: '${canary}' } }\nhops:\n";
        load_text("a.yaml", &format!("{head}{text}")).unwrap().hops
    }

    fn afters(text: &str) -> Vec<String> {
        hops(text).iter().map(|it| it.after.join("+")).collect()
    }

    #[test]
    fn p1_webhooks_and_fetches_follow_the_push_and_the_rest_the_last_fetch() {
        let text = "- webhook_received: { receiver: a/b }\n\
                    - source_fetched: { git_repository: a/b }\n\
                    - applied: { kustomization: a/b }\n\
                    - live: { config_map: a/b }\n";
        assert_eq!(afters(text), ["", "", "source_fetched", "source_fetched"]);
        let text = "- { name: one, source_fetched: { git_repository: a/b } }\n\
                    - { name: two, source_fetched: { git_repository: a/c }, after: one }\n\
                    - live: { config_map: a/b }\n";
        assert_eq!(afters(text), ["", "one", "two"]);
    }

    #[test]
    fn p1_a_release_follows_the_hop_that_sees_its_object_written() {
        let release = "{ object: { group: helm.toolkit.fluxcd.io, kind: HelmRelease, \
                       namespace: a, name: b } }";
        let text = format!(
            "- source_fetched: {{ git_repository: a/b }}\n\
             - {{ name: written, live: {release} }}\n\
             - applied: {{ helm_release: a/b }}\n\
             - {{ name: other, applied: {{ helm_release: a/c }} }}\n"
        );
        assert_eq!(afters(&text), ["", "source_fetched", "written", "source_fetched"]);
    }

    #[test]
    fn p1_a_chart_follows_its_repository_and_what_it_brings_follows_the_chart() {
        let text = "- source_fetched: { helm_repository: a/b }\n\
                    - { name: chart, source_fetched: { helm_chart: a/b } }\n\
                    - applied: { helm_release: a/b }\n";
        assert_eq!(afters(text), ["", "source_fetched", "chart"]);
    }

    #[test]
    fn p1_without_a_fetch_a_hop_follows_the_push() {
        assert_eq!(afters("- live: { config_map: a/b }\n"), [""]);
    }

    #[test]
    fn p1_the_nearest_fetch_is_that_of_the_same_cluster() {
        let text = "- { name: near, source_fetched: { git_repository: a/b } }\n\
                    - { name: far, source_fetched: { git_repository: a/b }, cluster: east }\n\
                    - applied: { kustomization: a/b }\n\
                    - { name: other, applied: { kustomization: a/b }, cluster: east }\n\
                    - { name: third, applied: { kustomization: a/b }, cluster: west }\n";
        assert_eq!(afters(text), ["", "", "near", "far", "far"]);
    }

    #[test]
    fn p1_what_is_said_replaces_the_default() {
        let text = "- source_fetched: { git_repository: a/b }\n\
                    - { live: { config_map: a/b }, after: [] }\n\
                    - { applied: { kustomization: a/b }, after: [live, source_fetched] }\n";
        assert_eq!(afters(text), ["", "", "live+source_fetched"]);
    }

    #[test]
    fn a_webhook_is_for_the_repository_that_is_fetched() {
        let text = "- webhook_received: { receiver: a/b }\n\
                    - source_fetched: { git_repository: a/c }\n";
        let HopConfig::WebhookReceived(webhook) = &hops(text)[0].kind else { panic!("a webhook") };
        assert_eq!(webhook.git_repository, Some(ObjectName::new("a", "c")));
    }

    #[test]
    fn a_notification_is_of_the_last_applier_unless_it_is_said() {
        let text = "- { name: one, applied: { kustomization: a/b } }\n\
                    - { name: two, applied: { helm_release: a/c } }\n\
                    - notified: {}\n\
                    - { name: told, notified: { kustomization: a/b } }\n";
        let appliers = hops(text).into_iter().filter_map(|it| match it.kind {
            HopConfig::Notified(it) => Some(it.applier()?.to_string()),
            _ => None,
        });
        assert_eq!(appliers.collect::<Vec<_>>(), ["HelmRelease a/c", "Kustomization a/b"]);
    }

    #[test]
    fn p1_a_chain_of_images_follows_itself_up_to_the_fetch() {
        let text = "- { name: registry, webhook_received: { receiver: a/b, image_repository: a/i } }\n\
                    - image_scanned: { image_repository: a/i }\n\
                    - policy_updated: { image_policy: a/p }\n\
                    - automation_committed: { image_update_automation: a/u }\n\
                    - merged: { git_repository: a/c }\n\
                    - { name: git, webhook_received: { receiver: a/d, git_repository: a/c } }\n\
                    - source_fetched: { git_repository: a/c }\n\
                    - live: { config_map: a/b }\n";
        let hops = resolved(text);
        let afters: Vec<_> = hops.iter().map(|it| it.after.join("+")).collect();
        let expected = [
            "",
            "",
            "image_scanned",
            "policy_updated",
            "automation_committed",
            "merged",
            "merged",
            "source_fetched",
        ];
        assert_eq!(afters, expected);
        let HopConfig::AutomationCommitted(automation) = &hops[3].kind else { panic!("a commit") };
        assert_eq!(automation.image_policy, Some(ObjectName::new("a", "p")));
    }

    #[test]
    fn p3_webhooks_are_not_required_unless_it_is_said() {
        let text = "- webhook_received: { receiver: a/b }\n\
                    - source_fetched: { git_repository: a/b }\n\
                    - { applied: { kustomization: a/b }, required: true }\n\
                    - { live: { config_map: a/b }, required: false }\n\
                    - { name: x, webhook_received: { receiver: a/c }, required: true }\n";
        let found: Vec<_> = hops(text).iter().map(|it| it.required).collect();
        assert_eq!(found, [Optional, Required, Waited, Optional, Waited]);
    }
}
