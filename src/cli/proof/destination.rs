//! What has to be proven of each sort of destination before anything is pushed there: that it would
//! arrive (rule P7), and does no harm (rules S0 to S4).

use crate::cli::assemble::Workshop;
use crate::cli::proof::{Marked, Proofs, Proven, Tip, told};
use crate::cli::reader::Reader;
use crate::cli::{say, signing};
use crate::config::{Hop, Scenario};
use crate::hop::{Kind, Objects, Place};
use crate::model::{
    ArtifactLanding, BucketLanding, ChartFiles, ChartLanding, ClusterName, GroupKind, ImageLanding,
    Landing, ProbeError, ReceiverLanding, Subject,
};
use crate::path;
use crate::path::delivery::{Consent, Neighbours, Pipeline, Refusal, Rivals, Woken, subjects};
use crate::remote::registry::Repository;
use crate::trigger::{Built, Destination, Trigger, TriggerConfig};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

// === impl Workshop ===

impl Workshop {
    /// The trigger, once it is proven that what it pushes is delivered and may be pushed.
    pub(in crate::cli) async fn proven(
        &self,
        reader: &Reader<'_>,
        scenario: &Scenario,
        built: Built,
        mut path: Objects,
    ) -> Result<Arc<dyn Trigger>, ProbeError> {
        told::check(scenario, &path, &built.destination)?;
        let (landing, signer) = match built.destination {
            Destination::Branch(landing, signer) => (landing, signer),
            Destination::Artifact(landing) => {
                if let Some(source) = &landing.source {
                    path.insert(source.clone(), reader.get(source).await?);
                }
                let proofs = &self.proofs;
                let proven = proofs.prove_artifact(self, scenario, &landing, &path, built.trigger);
                return Ok(Arc::new(proven.await?));
            }
            Destination::Image(landing) => {
                path.insert(landing.policy.clone(), reader.get(&landing.policy).await?);
                let proofs = &self.proofs;
                let proven = proofs.prove_image(self, scenario, &landing, &path, built.trigger);
                return Ok(Arc::new(proven.await?));
            }
            Destination::Bucket(landing) => {
                if let Some(source) = &landing.source {
                    path.insert(source.clone(), reader.get(source).await?);
                    // Whoever may not list them knows only those of the path.
                    let kind = GroupKind::source("Bucket");
                    let all = reader
                        .all(&source.cluster, &kind, &source.namespace)
                        .await
                        .unwrap_or_default();
                    for object in all {
                        let name = object["metadata"]["name"].as_str().unwrap_or_default();
                        let twin = Subject { name: name.to_owned(), ..source.clone() };
                        path.insert(twin, object);
                    }
                }
                let proven =
                    self.proofs.prove_bucket(self, scenario, &landing, &path, built.trigger);
                return Ok(Arc::new(proven.await?));
            }
            Destination::Chart(landing) => {
                let pages = match &landing.files {
                    ChartFiles::Branch(branch) => branch.source.as_ref(),
                    _ => None,
                };
                for subject in landing.takers.iter().chain([&landing.source]).chain(pages) {
                    path.insert(subject.clone(), reader.get(subject).await?);
                }
                let proofs = &self.proofs;
                let proven = proofs.prove_chart(self, scenario, &landing, &path, built.trigger);
                return Ok(Arc::new(proven.await?));
            }
            Destination::Receiver(landing) => {
                let receiver = reader.get(&landing.receiver).await?;
                self.proofs.prove_receiver(self, scenario, &landing, &receiver)?;
                return Ok(built.trigger);
            }
            Destination::Nowhere => return Ok(built.trigger),
        };
        if let Some(source) = &landing.source {
            path.insert(source.clone(), reader.get(source).await?);
        }
        let proven = self.proofs.prove(self, scenario, &landing, &path, built.trigger).await?;
        if let Some(signer) = &signer {
            signing::prove(reader, signer, &landing, &path, self.clock.wall()).await?;
        }
        Ok(Arc::new(proven))
    }
}

// === impl Proofs ===

impl Proofs {
    /// Proves by the cluster's objects that a scenario's change is delivered; the trigger that it
    /// gives proves the rest.
    async fn prove(
        &self,
        workshop: &Workshop,
        scenario: &Scenario,
        landing: &Landing,
        objects: &Objects,
        trigger: Arc<dyn Trigger>,
    ) -> Result<Proven, ProbeError> {
        let pipeline = pipeline_of(scenario, objects);
        let tree = pipeline.prove(landing)?;
        let consenting = pipeline.consenting(landing);
        let consent = Consent::of(&workshop.instance, landing.place(), &consenting)?;
        let namespace = landing.source.as_ref().or_else(|| objects.keys().next());
        let namespace = namespace.map_or("", |it| it.namespace.as_str());
        let mut woken = Woken::default();
        for (cluster, neighbours) in self.everybody(workshop, objects, namespace).await? {
            neighbours.check_replace(landing)?;
            neighbours.check_verify(landing)?;
            neighbours.check(landing, &own_appliers(&pipeline, &cluster))?;
            woken.extend(neighbours.woken(landing));
        }
        if landing.shared {
            self.say_woken(&scenario.name, &woken);
        }
        Ok(Proven { inner: trigger, tip: Tip::Delivers(tree), consent })
    }

    /// Proves by the policy that an image tag may be pushed; the trigger that it gives proves the
    /// rest.
    async fn prove_image(
        &self,
        workshop: &Workshop,
        scenario: &Scenario,
        landing: &ImageLanding,
        objects: &Objects,
        trigger: Arc<dyn Trigger>,
    ) -> Result<Proven, ProbeError> {
        let pipeline = pipeline_of(scenario, objects);
        let ImageLanding { policy, repository, is_empty } = landing;
        if *is_empty && let Some(workload) = workload_of(scenario) {
            let retag = match scenario.trigger {
                TriggerConfig::ImageTag(_) => {
                    "say with `retag: TAG` which tag's image is given the new name, or "
                }
                _ => "",
            };
            let refusal = Refusal::new(
                "replaces_content",
                format_args!(
                    "{workload} would be given a new image in which there is nothing to run: \
                     {retag}wait for something else to become live, such as a ConfigMap"
                ),
            );
            return Err(refusal.into());
        }
        let consenting: Vec<_> = objects.get_key_value(policy).into_iter().collect();
        let place = format!("the image repository `{repository}`");
        let consent = Consent::of(&workshop.instance, place, &consenting)?;
        let appliers = scenario.hops.iter().map(|it| it.kind.kind());
        let appliers = appliers.filter(|it| it.traits().place == Place::Apply);
        let releases = appliers.filter_map(Kind::subject);
        let releases = releases.filter(|it| it.kind == GroupKind::helm_release());
        let own = pipeline.live.into_iter().chain(releases).collect();
        let mut rivals = Rivals::new(repository, &workshop.instance);
        for (_, neighbours) in self.everybody(workshop, objects, &policy.namespace).await? {
            rivals.add(&neighbours, landing, |image, insecure| {
                Some(Repository::parse(image, insecure).ok()?.normalised())
            });
        }
        let marked = Marked {
            scenario: scenario.name.clone(),
            policy: Some(policy.clone()),
            own,
            rivals,
            clusters: workshop.clusters.clone(),
            proofs: workshop.proofs.clone(),
        };
        Ok(Proven { inner: trigger, tip: Tip::MarksOnly(Box::new(marked)), consent })
    }

    /// Proves by the cluster's objects that an artifact is fetched and applied; the trigger that it
    /// gives proves the rest.
    async fn prove_artifact(
        &self,
        workshop: &Workshop,
        scenario: &Scenario,
        landing: &ArtifactLanding,
        objects: &Objects,
        trigger: Arc<dyn Trigger>,
    ) -> Result<Proven, ProbeError> {
        let pipeline = pipeline_from(&GroupKind::source("OCIRepository"), scenario, objects);
        pipeline.prove_artifact(landing)?;
        let consenting = pipeline.consenting_to_artifact(landing);
        let consent = Consent::of(&workshop.instance, landing.place(), &consenting)?;
        let sources: Vec<_> = consenting.iter().map(|it| it.0.clone()).collect();
        let namespace = sources.first().or_else(|| objects.keys().next());
        let namespace = namespace.map_or("", |it| it.namespace.as_str());
        let mut woken = Woken::default();
        for (cluster, neighbours) in self.everybody(workshop, objects, namespace).await? {
            neighbours.check_artifact_verify(landing)?;
            neighbours.check_artifact(landing, &own_appliers(&pipeline, &cluster))?;
            woken.extend(neighbours.woken_by_artifact(landing));
        }
        if landing.shared {
            self.say_woken(&scenario.name, &woken);
        }
        let marked = Marked {
            scenario: scenario.name.clone(),
            policy: None,
            own: sources,
            rivals: Rivals::default(),
            clusters: workshop.clusters.clone(),
            proofs: workshop.proofs.clone(),
        };
        Ok(Proven { inner: trigger, tip: Tip::Holds(Box::new(marked)), consent })
    }

    /// Proves by the objects that take it that a chart may be published; the trigger that it gives
    /// proves the rest.
    async fn prove_chart(
        &self,
        workshop: &Workshop,
        scenario: &Scenario,
        landing: &ChartLanding,
        objects: &Objects,
        trigger: Arc<dyn Trigger>,
    ) -> Result<Proven, ProbeError> {
        let on_path = Neighbours::on_path(objects);
        on_path.check_chart_hops(landing, &hops_of_chart(scenario))?;
        on_path.check_chart_verify(landing)?;
        let (namespace, pipeline) = (&landing.source.namespace, pipeline_of(scenario, objects));
        let everybody = self.everybody(workshop, objects, namespace).await?;
        let all: Vec<_> = [&on_path].into_iter().chain(everybody.iter().map(|it| &*it.1)).collect();
        let consent = consent_to_chart(&workshop.instance, landing, objects, &all)?;
        let mut woken = Woken::default();
        let mut having: BTreeSet<_> = landing.takers.iter().cloned().collect();
        for (cluster, neighbours) in &everybody {
            neighbours.check_chart_verify(landing)?;
            neighbours.check_chart(landing, &own_appliers(&pipeline, cluster))?;
            woken.extend(neighbours.woken_by_chart(landing));
            having.extend(neighbours.having(landing));
        }
        if landing.shared {
            self.say_woken(&scenario.name, &woken);
        }
        let marked = Marked {
            scenario: scenario.name.clone(),
            policy: Some(landing.source.clone()),
            own: having.into_iter().collect(),
            rivals: Rivals::default(),
            clusters: workshop.clusters.clone(),
            proofs: workshop.proofs.clone(),
        };
        Ok(Proven { inner: trigger, tip: Tip::Holds(Box::new(marked)), consent })
    }

    /// Proves by the cluster's objects that an object of a bucket is delivered; the trigger that it
    /// gives proves the rest.
    async fn prove_bucket(
        &self,
        workshop: &Workshop,
        scenario: &Scenario,
        landing: &BucketLanding,
        objects: &Objects,
        trigger: Arc<dyn Trigger>,
    ) -> Result<Proven, ProbeError> {
        let pipeline = Pipeline {
            sources: at(scenario, Place::Fetch, &GroupKind::source("Bucket")),
            appliers: at(scenario, Place::Apply, &GroupKind::kustomization()),
            ..pipeline_of(scenario, objects)
        };
        let tree = pipeline.prove_bucket(landing)?;
        let ours = pipeline.of_bucket(landing);
        let consent = Consent::of(&workshop.instance, landing.place.clone(), &ours)?;
        let namespace = landing.source.as_ref().or_else(|| objects.keys().next());
        let namespace = namespace.map_or("", |it| it.namespace.as_str());
        let (sources, mut woken) = (subjects(&ours), Woken::default());
        for (cluster, neighbours) in self.everybody(workshop, objects, namespace).await? {
            if !landing.shared {
                let own = own_appliers(&pipeline, &cluster);
                neighbours.check_users(&sources, &landing.place, "bucket", &own)?;
            }
            woken.extend(neighbours.woken_by(&sources));
        }
        if landing.shared {
            self.say_woken(&scenario.name, &woken);
        }
        Ok(Proven { inner: trigger, tip: Tip::Delivers(tree), consent })
    }

    /// Proves that a Receiver may be called: that whoever owns it lets us wake what it lists.
    fn prove_receiver(
        &self,
        workshop: &Workshop,
        scenario: &Scenario,
        landing: &ReceiverLanding,
        object: &Value,
    ) -> Result<(), ProbeError> {
        Consent::of_receiver(&workshop.instance, landing, object)?;
        let listed = object["spec"]["resources"].as_array().map_or(0, Vec::len);
        let woken = format!("each run wakes what {} lists ({listed} entries)", landing.receiver);
        if landing.shared && self.is_news(&scenario.name, &woken) {
            say(&format!("scenario `{}`: {woken}", scenario.name));
        }
        Ok(())
    }
}

/// Who consents to a chart, and to what its files lie in where others' charts may lie there too.
fn consent_to_chart(
    instance: &str,
    landing: &ChartLanding,
    objects: &Objects,
    all: &[&Neighbours],
) -> Result<Consent, Refusal> {
    // The command that gives consent names what the canary is for before what all share.
    let takers = landing.takers.iter().rev();
    let source = objects.get_key_value(&landing.source);
    let is_whole = landing.source.kind == GroupKind::source("OCIRepository");
    let takers = takers.filter_map(|it| objects.get_key_value(it));
    let takers: Vec<_> = takers.chain(source.filter(|_| is_whole)).collect();
    let source: Vec<_> = source.into_iter().collect();
    let consent = Consent::of_chart(instance, &landing.place, &takers, &source)?;
    let place = match &landing.files {
        ChartFiles::Registry => return Ok(consent),
        ChartFiles::Branch(branch) => branch.place(),
        ChartFiles::Bucket(bucket) => bucket.place.clone(),
    };
    let mut around = source;
    if let ChartFiles::Branch(branch) = &landing.files {
        around.extend(branch.source.as_ref().and_then(|it| objects.get_key_value(it)));
    }
    around.extend(all.iter().flat_map(|it| it.reading_files(&landing.files)));
    Ok(consent.within(Consent::of(instance, place, &around)?))
}

/// What a scenario looks at on the way of a chart.
fn hops_of_chart(scenario: &Scenario) -> Vec<Subject> {
    let on_way = |it: &&Hop| {
        matches!(it.kind.kind().traits().place, Place::Fetch | Place::Chart | Place::Apply)
    };
    scenario.hops.iter().filter(on_way).filter_map(Hop::subject).collect()
}

/// What a scenario looks at that runs images.
fn workload_of(scenario: &Scenario) -> Option<Subject> {
    let runs = |it: &Subject| {
        it.kind.group == "apps"
            && matches!(it.kind.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet")
    };
    scenario.hops.iter().filter_map(Hop::subject).find(runs)
}

/// The appliers that the path has in a cluster.
pub(super) fn own_appliers(pipeline: &Pipeline<'_>, cluster: &ClusterName) -> BTreeSet<Subject> {
    let mut own = pipeline.applying();
    own.retain(|it| it.cluster == *cluster);
    own
}

pub(super) fn pipeline_of<'a>(scenario: &Scenario, objects: &'a Objects) -> Pipeline<'a> {
    pipeline_from(&GroupKind::git_repository(), scenario, objects)
}

/// What a scenario looks at, as far as it begins with sources of this kind.
fn pipeline_from<'a>(first: &GroupKind, scenario: &Scenario, objects: &'a Objects) -> Pipeline<'a> {
    let (mut sources, mut appliers, mut live) = (Vec::new(), Vec::new(), Vec::new());
    // What a later source is made of, nobody can prove beforehand (rule P10).
    let mut later = Vec::new();
    for hop in &scenario.hops {
        let Some(subject) = hop.subject() else { continue };
        match hop.kind.kind().traits().place {
            Place::Fetch if subject.kind == *first => sources.push(subject),
            Place::Fetch | Place::Chart => later.push(subject),
            Place::Apply if subject.kind == GroupKind::kustomization() => appliers.push(subject),
            Place::Live => live.push(subject),
            _ => {}
        }
    }
    let applies_later = |it: &Subject| {
        let object = objects.get(it).unwrap_or(&Value::Null);
        path::upstream_of(it, object).iter().any(|it| later.contains(it))
    };
    appliers.retain(|it| !applies_later(it));
    Pipeline { objects, sources, appliers, live }
}

/// What the scenario's hops look at that stands so in the path and is of that kind.
fn at(scenario: &Scenario, place: Place, kind: &GroupKind) -> Vec<Subject> {
    let hops = scenario.hops.iter().filter(|it| it.kind.kind().traits().place == place);
    hops.filter_map(Hop::subject).filter(|it| it.kind == *kind).collect()
}
