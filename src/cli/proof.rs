//! Proves, before a run pushes, that its change would be delivered and may be made (rules P7, S0
//! to S4).
//!
//! What objects can tell is asked of those that were read anyway, before each run. Who else in the
//! cluster uses the source is asked only when the source or an applier has changed. What the
//! branch's tip tells is asked when the run has fetched it, so no request is made for it.

use crate::cli::say;
use crate::cluster::Cluster;
use crate::config::Scenario;
use crate::hop::{HopConfig, Objects};
use crate::model::{Ancestry, CanaryId, GroupKind, ProbeError, Revision, Subject, Survey};
use crate::path::delivery::{
    Consent, KINDS, Landing, MOST_ROUNDS, Neighbours, Pipeline, Refusal, Tree,
};
use crate::trigger::{self, Published, Trigger};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What was proven of which scenario, and for which generations of its objects.
#[derive(Default)]
pub(super) struct Proofs {
    known: Mutex<HashMap<String, Key>>,
}

/// A trigger that pushes only what the tip of its branch lets arrive.
pub(super) struct Proven {
    inner: Arc<dyn Trigger>,
    tree: Tree,
    consent: Consent,
}

/// The generations of the sources and appliers of a path, and where it begins.
type Key = (Landing, Vec<(Subject, String, i64)>);

// === impl Proofs ===

impl Proofs {
    /// Proves by the cluster's objects that a scenario's change is delivered; the trigger that it
    /// gives proves the rest.
    pub(super) async fn prove(
        &self,
        cluster: &Cluster,
        scenario: &Scenario,
        instance: &str,
        landing: &Landing,
        objects: &Objects,
        trigger: Arc<dyn Trigger>,
    ) -> Result<Proven, ProbeError> {
        let pipeline = pipeline_of(scenario, objects);
        let tree = pipeline.prove(landing)?;
        let consent = Consent::of(instance, landing.place(), &pipeline.consenting(landing))?;
        let key = key_of(landing, objects);
        if !self.knows(&scenario.name, &key) {
            let (neighbours, complete) = neighbours(cluster, scenario, landing, objects).await;
            neighbours.check_replace(landing)?;
            neighbours.check_verify(landing)?;
            neighbours.check(landing, &pipeline.applying())?;
            if landing.shared {
                let woken = neighbours.woken(landing);
                say(&format!("scenario `{}`: each run wakes {woken}", scenario.name));
            }
            if complete {
                self.remember(&scenario.name, key);
            }
        }
        Ok(Proven { inner: trigger, tree, consent })
    }

    fn knows(&self, scenario: &str, key: &Key) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(scenario) == Some(key)
    }

    fn remember(&self, scenario: &str, key: Key) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(scenario.to_owned(), key);
    }
}

// === impl Proven ===

impl Proven {
    /// Looks at the tip that the trigger has fetched.
    async fn look(&self) -> Result<(), trigger::Error> {
        let (mut read, mut wanted) = (BTreeMap::new(), self.tree.wanted());
        for _ in 0..MOST_ROUNDS {
            let Some(mut survey) = self.inner.survey(&wanted).await? else {
                self.consent.judge(None).map_err(refused)?;
                return self.tree.judge_blind().map_err(refused);
            };
            self.consent.judge(Some(&survey)).map_err(refused)?;
            for file in wanted {
                let text = survey.files.remove(&file);
                read.insert(file, text);
            }
            wanted = self.tree.judge(&read).map_err(refused)?;
            if wanted.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Trigger for Proven {
    fn lane(&self) -> String {
        self.inner.lane()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, trigger::Error> {
        let latest = self.inner.latest().await?;
        self.look().await?;
        Ok(latest)
    }

    async fn survey(&self, files: &[String]) -> Result<Option<Survey>, trigger::Error> {
        self.inner.survey(files).await
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, trigger::Error> {
        self.inner.prepare(canary).await
    }

    async fn publish(
        &self,
        announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, trigger::Error> {
        self.inner.publish(announce).await
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, trigger::Error> {
        self.inner.recover(canary, revisions).await
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        self.inner.ancestry(revision).await
    }
}

fn refused(refusal: Refusal) -> trigger::Error {
    trigger::Error { reason: refusal.reason, message: refusal.message }
}

fn pipeline_of<'a>(scenario: &Scenario, objects: &'a Objects) -> Pipeline<'a> {
    let (mut sources, mut appliers, mut live) = (Vec::new(), Vec::new(), Vec::new());
    for hop in &scenario.hops {
        let Some(subject) = hop.kind.kind().subject() else { continue };
        match hop.kind {
            HopConfig::SourceFetched(_) => sources.push(subject),
            HopConfig::Applied(_) => appliers.push(subject),
            HopConfig::Live(_) => live.push(subject),
            _ => {}
        }
    }
    Pipeline { objects, sources, appliers, live }
}

fn key_of(landing: &Landing, objects: &Objects) -> Key {
    let marks = objects.iter().map(|(subject, object)| {
        let metadata = &object["metadata"];
        let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
        (subject.clone(), uid, metadata["generation"].as_i64().unwrap_or_default())
    });
    (landing.clone(), marks.collect())
}

/// Everybody who could use the source, as far as we may know, and whether asking again would be of
/// no use. What cannot be known is said.
async fn neighbours(
    cluster: &Cluster,
    scenario: &Scenario,
    landing: &Landing,
    objects: &Objects,
) -> (Neighbours, bool) {
    let (mut all, mut unknown, mut complete) = (Neighbours::default(), Vec::new(), true);
    let namespace = landing.source.as_ref().or_else(|| objects.keys().next());
    let namespace = namespace.map(|it| it.namespace.as_str());
    for (group, name) in KINDS {
        let kind = GroupKind::new(group, name);
        let found: Option<Vec<Value>> = match cluster.all(&kind, None).await {
            Ok(found) => found,
            Err(error) => {
                complete &= error.is_permanent();
                unknown.push(format!("{name} ({error})"));
                // Who may not look everywhere may still look beside the source.
                match namespace {
                    Some(_) if complete => cluster.all(&kind, namespace).await.ok().flatten(),
                    _ => None,
                }
            }
        };
        all.add(&kind, found.unwrap_or_default());
    }
    if !unknown.is_empty() {
        tracing::warn!(
            "who else uses what scenario `{}` pushes to is known only in part, for these cannot be \
             listed in all namespaces: {}",
            scenario.name,
            unknown.join("; ")
        );
    }
    (all, complete)
}

#[cfg(all(test, feature = "sandbox"))]
mod tests {
    use super::*;
    use crate::cli::assemble::Workshop;
    use crate::cluster::ClusterOptions;
    use crate::config::load_text;
    use crate::engine::SystemClock;
    use hopclock_sandbox::pipeline::{Door, Hook, Lane, Sandbox, SandboxOptions};
    use hopclock_sandbox::store::{Key, Part};
    use serde_json::json;

    const SCENARIO: &str = "name: canary\ndeadline: 5m\n\
        trigger: { git_commit: { source: flux-system/canary, path: canary/configmap.yaml } }\n\
        hops:\n- source_fetched: { git_repository: flux-system/canary }\n\
        - applied: { kustomization: flux-system/canary }\n\
        - live: { config_map: hopclock/canary }\n";

    async fn workshop(sandbox: &Sandbox) -> Result<Workshop, crate::cluster::Error> {
        // Fails if another test has chosen it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(SystemClock::new());
        let kubeconfigs = vec![sandbox.kubeconfig()];
        let options = ClusterOptions { kubeconfigs, ..ClusterOptions::default() };
        Ok(Workshop {
            cluster: Cluster::connect(options, clock.clone()).await?,
            clock,
            instance: "hopclock".to_owned(),
            cache_dir: sandbox.kubeconfig().with_file_name("cache"),
            proofs: Arc::default(),
        })
    }

    #[tokio::test]
    async fn p7_the_cluster_is_asked_again_only_when_a_generation_has_changed() {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let (name, interval) = ("canary".to_owned(), "10m".to_owned());
        let lane = Lane { name, interval, hook: Hook::Silent, door: Door::Open };
        sandbox.add_lane(&lane).await.unwrap();
        let workshop = workshop(&sandbox).await.unwrap();
        let scenario = load_text("a.yaml", SCENARIO).unwrap();
        let ask = async || {
            let before = sandbox.api().requests().len();
            let refused = workshop.assemble(&scenario).await.err().map(|it| it.reason);
            let ours = sandbox.api().requests().split_off(before);
            (ours.iter().filter(|it| it.verb == "list").count(), ours.len(), refused)
        };
        assert_eq!(ask().await.0, KINDS.len());
        // What is left are source, applier and the Secret of the push.
        assert_eq!(ask().await, (0, 3, None));
        let change = |kind: &str, spec: Value| {
            let key = Key::new(kind, "flux-system", "canary");
            sandbox.store().merge(&key, &json!({"spec": spec}), Part::Whole, "test").unwrap();
        };
        change("Kustomization", json!({"interval": "11m"}));
        assert_eq!(ask().await.0, KINDS.len());
        assert_eq!(ask().await, (0, 3, None));
        change("GitRepository", json!({"sparseCheckout": ["apps"]}));
        assert_eq!(ask().await, (0, 3, Some("outside_sparse_checkout".to_owned())));
        change("GitRepository", json!({"sparseCheckout": null}));
        assert_eq!(ask().await.0, KINDS.len());
    }
}
