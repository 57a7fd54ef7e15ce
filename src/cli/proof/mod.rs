//! Proves, before a run pushes, that its change would be delivered and may be made (rules P7, S0
//! to S4).
//!
//! What objects can tell is asked of those that were read anyway, before each run. Who else in the
//! cluster uses the source is asked for all scenarios at once, and believed for a minute: somebody
//! may begin to verify our branch, or to apply our source, at any time. What the branch's tip tells
//! is asked when the run has fetched it, so no request is made for it.

mod destination;
mod merge;
mod told;

pub(in crate::cli) use merge::unsigned;

use crate::cli::assemble::Workshop;
use crate::cli::say;
use crate::cluster::{Cluster, Clusters, Error as ClusterError};
use crate::hop::Objects;
use crate::model::{
    Ancestry, CanaryId, ClusterName, GroupKind, Moment, ObjectName, ProbeError, Revision, Subject,
    Survey, Tidied, Usage,
};
use crate::path::delivery::{
    Consent, KINDS, MOST_ROUNDS, Neighbours, Refusal, Rivals, Tree, Woken, check_markers,
};
use crate::trigger::{self, Published, Reach, Sweep, Trigger};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is known of the whole cluster, and what was said of it.
#[derive(Default)]
pub(super) struct Proofs {
    /// Who waits for a silent cluster keeps nobody from another one.
    censuses: Mutex<HashMap<ClusterName, Arc<Censuses>>>,
    /// The last word on each scenario, and on what is not known.
    said: Mutex<HashMap<String, String>>,
}

/// Everybody who could use a source, at one time.
struct Census {
    at: Moment,
    everybody: Arc<Neighbours>,
}

/// What is known of one cluster, by namespace; the empty namespace stands for all.
type Censuses = tokio::sync::Mutex<HashMap<String, Census>>;

/// How long a census is believed.
const BELIEVED: Duration = Duration::from_secs(60);

/// A trigger that pushes only what the tip of a branch lets arrive.
pub(super) struct Proven {
    inner: Arc<dyn Trigger>,
    tip: Tip,
    consent: Consent,
}

/// What has to be true of the tip.
enum Tip {
    /// It delivers the file that is pushed.
    Delivers(Tree),
    /// The choice of this policy is written to nothing but these.
    MarksOnly(Box<Marked>),
    /// It holds nobody else's artifacts or charts, unless one of these consents.
    Holds(Box<Marked>),
}

/// What has to be true of what automations write to.
struct Marked {
    scenario: String,
    /// The image policy, if the change goes through one.
    policy: Option<Subject>,
    own: Vec<Subject>,
    /// The other policies of the same image.
    rivals: Rivals,
    clusters: Clusters,
    proofs: Arc<Proofs>,
}

// === impl Proofs ===

impl Proofs {
    /// Everybody who could use a source, in each cluster that the path leads through.
    async fn everybody(
        &self,
        workshop: &Workshop,
        path: &Objects,
        namespace: &str,
    ) -> Result<Vec<(ClusterName, Arc<Neighbours>)>, ProbeError> {
        let home = ClusterName::default();
        let clusters: BTreeSet<_> = path.keys().map(|it| &it.cluster).chain([&home]).collect();
        let mut all = Vec::new();
        for cluster in clusters {
            let now = workshop.clock.now();
            let found = self.neighbours(&workshop.clusters, cluster, namespace, now).await?;
            all.push((cluster.clone(), found));
        }
        Ok(all)
    }

    /// Says whom each run wakes, unless that was the last word on the scenario.
    fn say_woken(&self, scenario: &str, woken: &Woken) {
        let woken = format!("each run wakes {woken}");
        if self.is_news(scenario, &woken) {
            say(&format!("scenario `{scenario}`: {woken}"));
        }
    }

    /// Says what a discovery had to do without, unless that was the last word on the scenario.
    pub(super) fn say_unseen(&self, scenario: &str, unseen: &[String]) {
        let unseen = unseen.join("; ");
        if self.is_news(&format!("path of {scenario}"), &unseen) && !unseen.is_empty() {
            tracing::warn!(
                "the path of scenario `{scenario}` is discovered without what cannot be listed: \
                 {unseen}"
            );
        }
    }

    /// Everybody who could use a source beside `namespace`. One asks at a time: at the start all
    /// scenarios want to know.
    async fn neighbours(
        &self,
        clusters: &Clusters,
        name: &ClusterName,
        namespace: &str,
        now: Moment,
    ) -> Result<Arc<Neighbours>, ProbeError> {
        let own = {
            let mut all = self.censuses.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(name.clone()).or_default())
        };
        let mut censuses = own.lock().await;
        let fresh = |it: &&Census| now.since(it.at) < BELIEVED;
        let known = ["", namespace].into_iter().find_map(|it| censuses.get(it).filter(fresh));
        if let Some(known) = known {
            return Ok(Arc::clone(&known.everybody));
        }
        let cluster = clusters.get(name).await?;
        let (everybody, unknown) = take_census(&cluster, name, namespace).await;
        let everybody = Arc::new(everybody);
        let place = if unknown.is_empty() { "" } else { namespace };
        let census = Census { at: now, everybody: Arc::clone(&everybody) };
        censuses.retain(|_, it| now.since(it.at) < BELIEVED);
        censuses.insert(place.to_owned(), census);
        let unknown = unknown.join("; ");
        if self.is_news(&format!(" {}", name.0), &unknown) && !unknown.is_empty() {
            tracing::warn!(
                "who else uses what is pushed to is known only in part, for these cannot be listed \
                 in all namespaces: {unknown}"
            );
        }
        Ok(everybody)
    }

    /// Whether this was not the last word on a scenario.
    fn is_news(&self, scenario: &str, word: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(scenario.to_owned(), word.to_owned()).as_deref() != Some(word)
    }
}

// === impl Proven ===

impl Proven {
    /// Looks at the tip that the trigger has fetched.
    async fn look(&self) -> Result<(), trigger::Error> {
        let tree = match &self.tip {
            Tip::Delivers(tree) => tree,
            Tip::Holds(_) => {
                let survey = self.inner.survey(&[]).await?;
                return self.consent.judge(survey.as_ref()).map_err(refused);
            }
            Tip::MarksOnly(marked) => {
                let survey = self.inner.survey(&[]).await?;
                self.consent.judge(survey.as_ref()).map_err(refused)?;
                let files = survey.map(|it| it.files).unwrap_or_default();
                let Some(policy) = &marked.policy else { return Ok(()) };
                let policy = ObjectName::new(&policy.namespace, &policy.name);
                return check_markers(&policy, &marked.own, &files).map_err(refused);
            }
        };
        let (mut read, mut wanted) = (BTreeMap::new(), tree.wanted());
        for _ in 0..MOST_ROUNDS {
            let Some(mut survey) = self.inner.survey(&wanted).await? else {
                self.consent.judge(None).map_err(refused)?;
                return tree.judge_blind().map_err(refused);
            };
            self.consent.judge(Some(&survey)).map_err(refused)?;
            for file in wanted {
                let text = survey.files.remove(&file);
                read.insert(file, text);
            }
            wanted = tree.judge(&read).map_err(refused)?;
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

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, trigger::Error> {
        let latest = self.inner.latest().await?;
        self.look().await?;
        Ok(latest)
    }

    async fn survey(&self, files: &[String]) -> Result<Option<Survey>, trigger::Error> {
        self.inner.survey(files).await
    }

    async fn offer(
        &self,
        canary: &CanaryId,
    ) -> Result<Option<(String, Vec<String>)>, trigger::Error> {
        let offer = self.inner.offer(canary).await?;
        if let (Tip::MarksOnly(marked), Some((tag, tags))) = (&self.tip, &offer) {
            marked.rivals.check(tags, tag).map_err(refused)?;
        }
        Ok(offer)
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, trigger::Error> {
        self.offer(canary).await?;
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

    async fn tidy(&self, sweep: &Sweep) -> Result<Tidied, trigger::Error> {
        match &self.tip {
            Tip::Delivers(_) => self.inner.tidy(sweep).await,
            Tip::MarksOnly(marked) | Tip::Holds(marked) => marked.tidy(&self.inner, sweep).await,
        }
    }
}

// === impl Marked ===

impl Marked {
    /// Tidies up, but for what the policy and the live objects name; says once what stays.
    async fn tidy(
        &self,
        trigger: &Arc<dyn Trigger>,
        sweep: &Sweep,
    ) -> Result<Tidied, trigger::Error> {
        let tidied = match self.sights(sweep.reach).await {
            Ok(more) => {
                let sights = sweep.sights.iter().cloned().chain(more).collect();
                trigger.tidy(&Sweep { sights, ..sweep.clone() }).await
            }
            // Whoever cannot look takes nothing away.
            Err(error) => Err(error),
        };
        if sweep.reach != Reach::AfterRun {
            return tidied;
        }
        let word = match &tidied {
            Ok(tidied) => tidied.left.first().map(|it| {
                let left = tidied.leftovers();
                format!("tags of canaries stay behind ({left}): {}", it.why)
            }),
            Err(error) => Some(format!("whether canaries stay behind is not known: {error}")),
        };
        let is_news = self
            .proofs
            .is_news(&format!("{} tidied", self.scenario), word.as_deref().unwrap_or_default());
        if let Some(word) = word.filter(|_| is_news) {
            say(&format!("scenario `{}`: {word}", self.scenario));
        }
        tidied
    }

    /// What names a canary that is in use. Of a lane that is given up, what chooses or fetches
    /// canaries is no use of them: only what runs an image is, for it may have to be pulled again.
    async fn sights(&self, reach: Reach) -> Result<Vec<String>, trigger::Error> {
        let is_image = |it: &Subject| it.kind == GroupKind::image("ImagePolicy");
        let chooser = self.policy.iter().filter(|_| reach != Reach::Everything);
        let runs = reach != Reach::Everything || self.policy.as_ref().is_some_and(is_image);
        let own = self.own.iter().filter(|_| runs);
        let mut sights = Vec::new();
        for subject in own.chain(chooser).chain(self.rivals.subjects()) {
            match self.clusters.object(subject).await {
                Ok(mut object) => {
                    // In the annotations of an artifact the canary itself names those before it.
                    object.pointer_mut("/status/artifact/metadata").map(Value::take);
                    // What a release had before, Helm keeps itself.
                    let history =
                        object.pointer_mut("/status/history").and_then(Value::as_array_mut);
                    if let Some(history) = history {
                        history.truncate(1);
                    }
                    sights.push(object.to_string());
                }
                Err(ClusterError::NoSuchObject { .. }) => {}
                Err(error) => {
                    let reason = "cluster";
                    return Err(trigger::Error { reason, message: error.to_string() });
                }
            }
        }
        Ok(sights)
    }
}

fn refused(refusal: Refusal) -> trigger::Error {
    trigger::Error { reason: refusal.reason, message: refusal.message }
}

/// Everybody who could use a source, as far as we may know, and what cannot be known.
async fn take_census(
    cluster: &Cluster,
    name: &ClusterName,
    namespace: &str,
) -> (Neighbours, Vec<String>) {
    let (mut all, mut unknown) = (Neighbours::default(), Vec::new());
    for (group, plain) in KINDS {
        let kind = GroupKind::new(group, plain);
        let found: Option<Vec<Value>> = match cluster.all(&kind, None).await {
            Ok(found) => found,
            Err(error) => {
                unknown.push(format!("{plain} ({error})"));
                // Who may not look everywhere may still look beside the source.
                match namespace {
                    "" => None,
                    _ if !error.is_permanent() => None,
                    _ => cluster.all(&kind, Some(namespace)).await.ok().flatten(),
                }
            }
        };
        all.add(name, &kind, found.unwrap_or_default());
    }
    (all, unknown)
}

#[cfg(all(test, feature = "sandbox"))]
mod tests {
    use super::*;
    use crate::cluster::{Cluster, ClusterOptions};
    use crate::config::load_text;
    use crate::engine::SystemClock;
    use crate::model::Clock;
    use crate::remote::Clients;
    use hopclock_sandbox::pipeline::{Door, Hook, Lane, Sandbox, SandboxOptions};
    use hopclock_sandbox::store::{Key, Part};
    use jiff::Timestamp;
    use serde_json::json;
    use std::sync::atomic::{AtomicU64, Ordering};

    const SCENARIO: &str = "name: canary\ndeadline: 5m\n\
        trigger: { git_commit: { source: flux-system/canary, path: canary/configmap.yaml } }\n\
        hops:\n- source_fetched: { git_repository: flux-system/canary }\n\
        - applied: { kustomization: flux-system/canary }\n\
        - live: { config_map: hopclock/canary }\n";

    /// A clock that also goes when it is told to.
    struct Hands {
        system: SystemClock,
        ahead: AtomicU64,
    }

    impl Hands {
        fn pass(&self, time: Duration) {
            self.ahead.fetch_add(time.as_secs(), Ordering::Relaxed);
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Moment {
            self.system.now() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
        }

        fn wall(&self) -> Timestamp {
            self.system.wall()
        }
    }

    async fn workshop(sandbox: &Sandbox) -> Result<(Workshop, Arc<Hands>), crate::cluster::Error> {
        // Fails if another test has chosen it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(Hands { system: SystemClock::new(), ahead: AtomicU64::new(0) });
        let kubeconfigs = vec![sandbox.kubeconfig()];
        let options = ClusterOptions { kubeconfigs, ..ClusterOptions::default() };
        let workshop = Workshop {
            clusters: Clusters::new(
                Cluster::connect(options.clone(), clock.clone()).await?,
                options,
                BTreeMap::new(),
                clock.clone(),
            ),
            clock: clock.clone(),
            instance: "hopclock".to_owned(),
            cache_dir: sandbox.kubeconfig().with_file_name("cache"),
            proofs: Arc::default(),
            clients: Clients::default(),
            bench: Arc::default(),
            ears: None,
            metrics: Arc::default(),
            telling: Arc::default(),
        };
        Ok((workshop, clock))
    }

    #[tokio::test]
    async fn s4_who_else_uses_the_branch_is_asked_again_after_a_minute() {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let (name, interval) = ("canary".to_owned(), "10m".to_owned());
        let lane = Lane { name, interval, hook: Hook::Silent, door: Door::Open };
        sandbox.add_lane(&lane).await.unwrap();
        let (workshop, clock) = workshop(&sandbox).await.unwrap();
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
        clock.pass(BELIEVED);
        assert_eq!(ask().await, (KINDS.len(), 3 + KINDS.len(), None));

        let key = |kind: &str, name: &str| Key::new(kind, "flux-system", name);
        let source = key("GitRepository", "canary");
        let change = |spec: Value| {
            sandbox.store().merge(&source, &json!({"spec": spec}), Part::Whole, "test").unwrap();
        };
        change(json!({"sparseCheckout": ["apps"]}));
        assert_eq!(ask().await, (0, 3, Some("outside_sparse_checkout".to_owned())));
        change(json!({"sparseCheckout": null}));

        // Somebody begins to verify what is on our branch.
        let mut verified = (*sandbox.store().get(&source).unwrap()).clone();
        verified["metadata"] = json!({"namespace": "flux-system", "name": "verified"});
        verified["status"] = Value::Null;
        verified["spec"]["verify"] = json!({"mode": "HEAD", "secretRef": {"name": "keys"}});
        sandbox.store().create(verified, "test").unwrap();
        clock.pass(BELIEVED);
        assert_eq!(ask().await.2, Some("verify_unsatisfied".to_owned()));
    }
}
