//! Makes a job of a scenario: reads what it names in the cluster, resolves credentials, builds
//! its trigger and detectors, and finds the rest of its path.

use crate::cli::notify::{self, Ears};
use crate::cli::proof::Proofs;
use crate::cli::reader::Reader;
use crate::cli::site::ScenarioSite;
use crate::cli::{discover, metrics};
use crate::cluster::{self, Clusters};
use crate::config::{Hop, Scenario};
use crate::engine::{
    BranchPoll, Job, Plan, PlannedBystander, PlannedHop, Poll, Polled, Watches, Witness,
};
use crate::export::Metrics;
use crate::hop::{Bystander, HopConfig, Objects, Place};
use crate::model::{Clock, ClusterName, GroupKind, PackagedChart, ProbeError, SourceKind, Subject};
use crate::path::{self, Role};
use crate::remote::Clients;
use crate::trigger::{Site, unusable};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Semaphore, SemaphorePermit};

/// What all jobs share.
#[derive(Clone)]
pub(super) struct Workshop {
    /// The clusters.
    pub(super) clusters: Clusters,
    /// The only source of time.
    pub(super) clock: Arc<dyn Clock>,
    /// Name of this installation.
    pub(super) instance: String,
    /// Where HTTP clients come from.
    pub(super) clients: Clients,
    /// Folder of the git caches.
    pub(super) cache_dir: PathBuf,
    /// What was proven of deliveries.
    pub(super) proofs: Arc<Proofs>,
    /// Room for jobs that are being made.
    pub(super) bench: Arc<Bench>,
    /// Where notifications come in, if they do.
    pub(super) ears: Option<Ears>,
    /// Where the series of discovered hops are declared, once there is such a place.
    pub(super) metrics: Arc<OnceLock<Arc<Metrics>>>,
}

/// Room for a few jobs that are being made. At its start a service looks at every path, and each
/// look may list the whole cluster: all at once they would take memory that is never needed again.
/// Making a job asks nobody but the cluster, so none waits here for somebody else's remote.
pub(super) struct Bench(Semaphore);

/// Jobs that are made at once.
const AT_ONCE: usize = 2;

// === impl Bench ===

impl Default for Bench {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Bench {
    /// Waits for room. Nobody closes it; and without room things go on all the same.
    async fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}

// === impl Workshop ===

impl Workshop {
    /// Makes a job of a scenario. Nothing is pushed. The hops of one that only names its target are
    /// discovered before, and its series declared.
    pub(super) async fn assemble(&self, scenario: &Scenario) -> Result<Job, ProbeError> {
        let Some(target) = &scenario.target else { return self.with_hops(scenario).await };
        let (found, unseen) = {
            let _room = self.bench.room().await;
            let (home, trigger) = (self.clusters.home(), &scenario.trigger);
            discover::found(home, &self.instance, trigger, target).await?
        };
        self.proofs.say_unseen(&scenario.name, &unseen);
        if let Some(metrics) = self.metrics.get() {
            metrics.declare(&metrics::series(&found, &self.instance));
        }
        self.with_hops(&found).await
    }

    /// A silent cluster takes its time, and no room from those who do not need it.
    async fn with_hops(&self, scenario: &Scenario) -> Result<Job, ProbeError> {
        let named: BTreeSet<_> = scenario.hops.iter().map(|it| &it.cluster).collect();
        for cluster in named {
            self.clusters.get(cluster).await?;
        }
        let _room = self.bench.room().await;
        self.job(scenario).await
    }

    async fn job(&self, scenario: &Scenario) -> Result<Job, ProbeError> {
        let reader = Reader::new(&self.clusters);
        let mut hops = Vec::new();
        for hop in &scenario.hops {
            if let HopConfig::Notified(config) = &hop.kind {
                notify::listens(self.ears.as_ref(), &hop.name, config)?;
            }
            hops.push(plan_hop(&reader, scenario, hop).await?);
        }
        let path = path_of(&reader, scenario, &hops).await?;
        let slo = scenario.slo.as_ref();
        let until = slo.and_then(|it| it.until.as_ref());
        let plan = Plan {
            scenario: scenario.name.clone(),
            deadline: scenario.deadline,
            within: slo.map(|it| it.within),
            until: until.and_then(|name| scenario.hops.iter().position(|it| it.name == *name)),
            bystanders: bystanders(&path, &hops)
                .into_iter()
                .chain(needs(scenario))
                .chain(called(scenario))
                .collect(),
            hops,
        };
        let live = plan.hops.iter().filter(|it| it.place.is_arrival());
        // Whoever polls a branch and whoever pushes to it share what was fetched.
        let branches = Arc::default();
        let site = |cluster: &ClusterName| ScenarioSite {
            cluster: cluster.clone(),
            scenario: &scenario.name,
            instance: &self.instance,
            live: live.clone().map(|it| (*it.subject).clone()).collect(),
            is_built: plan.hops.iter().any(|it| comes_built(it, &path)),
            charts: packaged(&path),
            clock: &self.clock,
            clients: &self.clients,
            cache_dir: &self.cache_dir,
            reader: &reader,
            branches: Arc::clone(&branches),
        };
        let watches = self.watches(&site, &plan).await?;
        let watches = match &self.ears {
            Some(ears) => ears.beside(watches, scenario, self.clock.clone()),
            None => watches,
        };
        let errands = self.errands(scenario, &path, &site).await?;
        let built = scenario.trigger.kind().build(&site(&ClusterName::default())).await?;
        Ok(Job {
            plan: Arc::new(plan),
            trigger: self.proven(&reader, scenario, built, path).await?,
            watches,
            instance: self.instance.clone(),
            errands,
        })
    }

    /// The clusters; where the plan looks at git branches, they are asked beside them.
    async fn watches<'a>(
        &self,
        site: impl Fn(&ClusterName) -> ScenarioSite<'a>,
        plan: &Plan,
    ) -> Result<Arc<dyn Watches>, ProbeError> {
        let clusters: Arc<dyn Watches> = Arc::new(self.clusters.clone());
        let mut polls: Vec<Arc<dyn Poll>> = Vec::new();
        for subject in plan.subjects() {
            if subject.kind != GroupKind::git_branch() {
                continue;
            }
            let remote = site(&subject.cluster).branch(&subject).await?;
            let witnessed = |it: &&PlannedHop| it.witnesses.iter().any(|it| it.subject == subject);
            let pushed_by = plan.hops.iter().filter(witnessed).map(|it| (*it.subject).clone());
            let pushed_by = pushed_by.collect();
            polls.push(Arc::new(BranchPoll::new(subject, remote, pushed_by)));
        }
        if polls.is_empty() {
            return Ok(clusters);
        }
        Ok(Arc::new(Polled::new(clusters, polls, self.clock.clone())))
    }
}

async fn plan_hop(
    reader: &Reader<'_>,
    scenario: &Scenario,
    hop: &Hop,
) -> Result<PlannedHop, ProbeError> {
    let kind = hop.kind.kind();
    let none = || unusable(format!("hop `{}` does not say what to look at", hop.name));
    let subject = hop.subject().ok_or_else(none)?;
    let mut objects = Objects::new();
    // A kind knows nothing of clusters: what it is shown is all of its own.
    let home = |it: &Subject| it.clone().in_cluster(&ClusterName::default());
    for needed in hop.needs() {
        let object = reader.get(&needed).await?;
        objects.insert(home(&needed), object);
    }
    if !objects.is_empty() || path::role(&subject.kind).is_some() {
        let object = reader.get(&subject).await?;
        objects.insert(home(&subject), object);
    }
    if kind.reads_subject() && !objects.contains_key(&home(&subject)) {
        match reader.get(&subject).await {
            Ok(object) => drop(objects.insert(home(&subject), object)),
            // Whether it may be absent, the run knows (rule P6).
            Err(cluster::Error::NoSuchObject { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    kind.suits(scenario.trigger.kind().announces(), Some(&objects)).map_err(unusable)?;
    let detector = kind.detector(&objects).map_err(unusable)?;
    let witness = |(subject, detector): (Subject, _)| {
        let subject = Arc::new(subject.in_cluster(&hop.cluster));
        Witness { subject, detector }
    };
    let position = |name: &String| scenario.hops.iter().position(|it| it.name == *name);
    Ok(PlannedHop {
        name: hop.name.clone(),
        subject: Arc::new(subject),
        place: kind.traits().place,
        after: hop.after.iter().filter_map(position).collect(),
        within: hop.within,
        need: hop.required,
        detector,
        witnesses: kind.witnesses(&objects).into_iter().map(witness).collect(),
    })
}

/// The members of the path that the hops look at or need, and all that these need.
async fn path_of(
    reader: &Reader<'_>,
    scenario: &Scenario,
    hops: &[PlannedHop],
) -> Result<Objects, ProbeError> {
    let mut known = Objects::new();
    let mut open: Vec<Subject> = hops.iter().map(|it| (*it.subject).clone()).collect();
    open.extend(scenario.hops.iter().flat_map(Hop::needs));
    while let Some(subject) = open.pop() {
        if path::role(&subject.kind).is_none() || known.contains_key(&subject) {
            continue;
        }
        let object = reader.get(&subject).await?;
        open.extend(path::upstream_of(&subject, &object));
        known.insert(subject, object);
    }
    Ok(known)
}

/// The members of the path that have no hop of their own (rule P5).
fn bystanders(path: &Objects, hops: &[PlannedHop]) -> Vec<PlannedBystander> {
    let judged =
        |it: &Subject| hops.iter().any(|hop| *hop.subject == *it && !hop.place.is_request());
    let rest = path.keys().filter(|it| !judged(it));
    let plan = |subject: &Subject| {
        let detector = match path::role(&subject.kind)? {
            Role::Source => Bystander::Source(SourceKind::of(&subject.kind.kind)?),
            Role::Applier if subject.kind == GroupKind::helm_release() => Bystander::Release,
            Role::Applier => Bystander::Applier,
            Role::Image => Bystander::Image,
        };
        Some(PlannedBystander { subject: Arc::new(subject.clone()), detector })
    };
    rest.filter_map(plan).collect()
}

/// Whether a hop fetches, or applies, what has to be built of a commit: an artifact in a registry or
/// a bucket (rule P10). The chart of a release does not tell: it is often somebody else's.
fn comes_built(hop: &PlannedHop, path: &Objects) -> bool {
    let is_built = |it: &Subject| {
        let built = ["OCIRepository", "Bucket", "HelmRepository"];
        built.into_iter().any(|kind| it.kind == GroupKind::source(kind))
    };
    let applied =
        path.get(&*hop.subject).filter(|_| hop.subject.kind == GroupKind::kustomization());
    let sources = applied.map(|it| path::upstream_of(&hop.subject, it)).unwrap_or_default();
    hop.place == Place::Fetch && is_built(&hop.subject) || sources.iter().any(is_built)
}

/// The charts of the path that are packaged from files (rule P7).
fn packaged(path: &Objects) -> Vec<PackagedChart> {
    let charts = path.iter().filter(|it| it.0.kind == GroupKind::source("HelmChart"));
    let read = |(chart, object): (&Subject, &Value)| {
        let source = path::upstream_of(chart, object).into_iter().next()?;
        let url = path.get(&source).and_then(|it| it["spec"]["url"].as_str()).unwrap_or_default();
        PackagedChart::of(chart, object, &source, url)
    };
    charts.filter_map(read).collect()
}

/// What the hops need beside their subjects and the path: it has to be there (rule P6).
fn needs(scenario: &Scenario) -> impl Iterator<Item = PlannedBystander> + '_ {
    let subjects = scenario.hops.iter().flat_map(Hop::needs);
    let others = subjects.filter(|it| path::role(&it.kind).is_none());
    others.map(|it| PlannedBystander { subject: Arc::new(it), detector: Bystander::Other })
}

/// The Receiver that the trigger calls.
fn called(scenario: &Scenario) -> impl Iterator<Item = PlannedBystander> {
    let receivers = scenario.trigger.kind().needs().into_iter();
    receivers.map(|it| PlannedBystander { subject: Arc::new(it), detector: Bystander::Receiver })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hop::Applied;
    use crate::model::Requirement;
    use serde_json::json;

    fn hop(subject: &Subject, place: Place) -> PlannedHop {
        PlannedHop {
            name: "hop".to_owned(),
            subject: Arc::new(subject.clone()),
            place,
            after: Vec::new(),
            within: None,
            need: Requirement::Required,
            detector: Arc::new(Applied),
            witnesses: Vec::new(),
        }
    }

    #[test]
    fn p10_only_what_is_fetched_instead_of_a_commit_has_to_be_built() {
        let source = |kind: &str| Subject::local(GroupKind::source(kind), "flux-system", "app");
        let fetches = |kind: &str| comes_built(&hop(&source(kind), Place::Fetch), &Objects::new());
        assert!(["OCIRepository", "Bucket", "HelmRepository"].into_iter().all(fetches));
        assert!(!fetches("GitRepository") && !fetches("ExternalArtifact"));
        let applies = |kind: GroupKind, object| {
            let applier = Subject::local(kind, "flux-system", "app");
            comes_built(&hop(&applier, Place::Apply), &Objects::from([(applier, object)]))
        };
        let from = |kind: &str| json!({"spec": {"sourceRef": {"kind": kind, "name": "app"}}});
        assert!(applies(GroupKind::kustomization(), from("OCIRepository")));
        assert!(!applies(GroupKind::kustomization(), from("GitRepository")));
        let chart = json!({"spec": {"chartRef": {"kind": "OCIRepository", "name": "app"}}});
        assert!(!applies(GroupKind::helm_release(), chart), "the chart may be somebody else's");
    }
}
