//! A chart in an OCI registry: the version is a tag, and its digest is known before it is sent.
//!
//! Each canary says whose it is, and which versions were canaries before it, as canary images do. If
//! the version that is chosen is none, the next below it are asked.

use crate::model::{Ancestry, CanaryId, Clock, Holding, Revision, Survey, Tidied, Usage};
use crate::remote::registry::{self, Artifact, Manifest, Registry};
use crate::trigger::helm_chart::choice::comparable;
use crate::trigger::helm_chart::{Aim, Ours, taken};
use crate::trigger::image_tag::image::Label;
use crate::trigger::image_tag::retention::{is_ours, sweep, words};
use crate::trigger::registry_access::Move;
use crate::trigger::{Error, Published, Sweep, Trigger};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Where a manifest names the version that it is.
const VERSION: &str = "org.opencontainers.image.version";

/// Most versions that are looked at to find the latest canary.
const MOST_LOOKED_AT: usize = 10;

/// What a tag is called after a push without an answer, and what a second writer of it should do.
const CALLED: (&str, &str) = ("version", "let only one scenario push the chart");

/// Pushes charts to a repository of a registry.
pub(super) struct ChartInRegistry {
    registry: Registry,
    aim: Aim,
    clock: Arc<dyn Clock>,
    lane: Mutex<Lane>,
}

/// What is known of the repository, and of our change in it.
#[derive(Default)]
struct Lane {
    tags: Vec<String>,
    /// The tag that is chosen, and the canary that it is.
    chosen: Option<(String, Option<CanaryId>)>,
    /// What the latest canary says of itself.
    label: Option<Label>,
    prepared: Option<(String, Manifest)>,
    ours: Option<(Ours, String)>,
}

// === impl ChartInRegistry ===

impl ChartInRegistry {
    pub(super) fn new(registry: Registry, aim: Aim, clock: Arc<dyn Clock>) -> Self {
        Self { registry, aim, clock, lane: Mutex::default() }
    }

    fn place(&self) -> String {
        format!("the chart repository `{}`", self.registry.repository().normalised())
    }

    /// All tags; none in a repository that nothing was pushed to yet.
    async fn tags(&self) -> Result<Vec<String>, Error> {
        match self.registry.tags().await {
            Err(registry::Error::NoRepository { .. }) => Ok(Vec::new()),
            tags => Ok(tags?),
        }
    }

    /// The tag of the version that is chosen among all.
    fn chosen<'a>(&self, tags: &'a [String]) -> Option<&'a String> {
        let versions: Vec<_> = tags.iter().map(|it| comparable(it)).collect();
        let chosen = self.aim.choice.chosen(&versions)?;
        tags.iter().find(|it| comparable(it) == chosen)
    }

    /// Looks at the version that is chosen and, as long as they are no canaries, at those below it.
    async fn look(&self, tags: Vec<String>) -> Result<Lane, Error> {
        let mut lane = Lane { tags, ..Lane::default() };
        let mut left = lane.tags.clone();
        for _ in 0..MOST_LOOKED_AT {
            let Some(tag) = self.chosen(&left).cloned() else { break };
            let label = Label::of(&self.registry.manifest(&tag).await?);
            let canary = label.as_ref().map(|it| it.canary.clone());
            lane.chosen.get_or_insert((tag.clone(), canary));
            if let Some(mut label) = label {
                // Its own tag is one of them, too.
                label.tags.push(tag);
                lane.label = Some(label);
                break;
            }
            left.retain(|it| comparable(it) != comparable(&tag));
        }
        Ok(lane)
    }

    /// The whole artifact, as `helm push` would make it.
    fn artifact(&self, version: &str, canary: &CanaryId, lane: &Lane) -> Result<Artifact, Error> {
        let package = self.aim.package(version, canary)?;
        let mut tags = lane.label.as_ref().map(|it| it.tags.clone()).unwrap_or_default();
        tags.retain(|it| lane.tags.contains(it));
        let mut annotations = Label { canary: canary.clone(), tags }.to_labels();
        let text = |key: &str| package.about[key].as_str().map(str::to_owned);
        let told = [
            ("org.opencontainers.image.title", text("name")),
            (VERSION, Some(version.to_owned())),
            ("org.opencontainers.image.description", text("description")),
            ("org.opencontainers.image.created", Some(self.clock.wall().to_string())),
        ];
        annotations.extend(told.into_iter().filter_map(|(key, it)| Some((key.to_owned(), it?))));
        Ok(Artifact::chart(&package.about, package.archive, annotations))
    }

    /// The canary behind a tag or digest, and its version, as its manifest tells.
    async fn told(&self, reference: &str) -> Result<(Option<CanaryId>, Option<String>), Error> {
        let manifest = self.registry.manifest(reference).await?;
        let read: Value = serde_json::from_slice(manifest.bytes()).unwrap_or_default();
        let version = read["annotations"][VERSION].as_str().map(str::to_owned);
        Ok((Label::of(&manifest).map(|it| it.canary), version))
    }

    /// The tags of canaries beyond those that stay, the oldest first.
    fn stale(&self, lane: &Lane, how: &Sweep) -> Vec<String> {
        let ours = lane.label.iter().filter(|it| it.canary.instance() == self.aim.instance);
        let mut all: Vec<_> =
            ours.flat_map(|it| &it.tags).filter(|it| lane.tags.contains(it)).collect();
        let room = how.room(self.aim.keep).saturating_sub(usize::from(lane.ours.is_some()));
        all.truncate(all.len().saturating_sub(room));
        all.into_iter().cloned().collect()
    }
}

#[async_trait::async_trait]
impl Trigger for ChartInRegistry {
    fn lane(&self) -> String {
        self.registry.repository().normalised()
    }

    fn usage(&self) -> Usage {
        self.registry.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        let lane = self.look(self.tags().await?).await?;
        let latest = lane.label.as_ref().map(|it| it.canary.clone());
        self.aim.check_lane(&self.place(), latest.as_ref())?;
        *self.lane.lock().await = lane;
        Ok(latest)
    }

    async fn survey(&self, _: &[String]) -> Result<Option<Survey>, Error> {
        let lane = self.lane.lock().await;
        let ours: BTreeSet<_> = lane.label.iter().flat_map(|it| &it.tags).collect();
        let holding = match lane.tags.iter().find(|it| !ours.contains(it)) {
            Some(tag) => Holding::Others(tag.clone()),
            None => Holding::Canaries(
                lane.label.iter().map(|it| it.canary.instance().to_owned()).collect(),
            ),
        };
        Ok(Some(Survey { commit: String::new(), files: [].into(), holding, around: None }))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let mut lane = self.lane.lock().await;
        let chosen = lane.chosen.as_ref().map(|it| (it.0.as_str(), it.1.clone()));
        self.aim.check_content(&self.place(), chosen)?;
        let versions: Vec<_> = lane.tags.iter().map(|it| comparable(it)).collect();
        let version = self.aim.next(&versions, canary)?;
        let artifact = self.artifact(&version, canary, &lane)?;
        self.registry.upload(&artifact).await?;
        let manifest = artifact.manifest();
        let digest = manifest.digest();
        let ours = Ours { canary: canary.clone(), version: version.clone() };
        lane.ours = Some((ours, digest.clone()));
        lane.prepared = Some((version.clone(), manifest));
        Ok(vec![Revision::Version(version), Revision::Digest(digest)])
    }

    async fn publish(&self, _: &(dyn Fn(Vec<Revision>) + Send + Sync)) -> Result<Published, Error> {
        let prepared = self.lane.lock().await.prepared.take();
        let (tag, manifest) = prepared.ok_or_else(|| Error {
            reason: "not_prepared",
            message: "a change must be prepared before it is published".to_owned(),
        })?;
        let step = Move { registry: &self.registry, tag: &tag, before: None, called: CALLED };
        if !step.is_free().await? {
            return Err(taken(&tag, &self.place()));
        }
        let pushed = self.registry.publish(&tag, &manifest).await;
        step.conclude(pushed, &manifest.digest(), 1).await
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        let Some(version) = revisions.iter().find_map(|it| match it {
            Revision::Version(version) => Some(version.clone()),
            _ => None,
        }) else {
            return Ok(None);
        };
        let found = self.registry.digest(&version).await.or_else(none_if_new)?;
        let Some(digest) = found.filter(|it| revisions.iter().any(|our| our.id() == it)) else {
            return Ok(None);
        };
        let ours = Ours { canary: canary.clone(), version };
        self.lane.lock().await.ours = Some((ours, digest));
        Ok(Some(revisions.to_vec()))
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Some((ours, digest)) = self.lane.lock().await.ours.clone() else {
            return Ancestry::Unknown;
        };
        if ours.is_sent_as(revision) || *revision == Revision::Digest(digest) {
            return Ancestry::Carries(Some(ours.canary));
        }
        match revision {
            Revision::Version(version) if !self.aim.choice.prefers(version, &ours.version) => {
                Ancestry::NotYet
            }
            Revision::Version(version) => match self.told(&version.replace('+', "_")).await {
                Ok((canary, _)) => self.aim.of_version(&ours, version, canary),
                Err(_) => Ancestry::Unknown,
            },
            Revision::Digest(digest) => match self.told(digest).await {
                Ok((canary, version)) => {
                    self.aim.of_version(&ours, &version.unwrap_or_default(), canary)
                }
                Err(_) => Ancestry::Unknown,
            },
            Revision::Commit(_) | Revision::Tag(_) => Ancestry::Unknown,
        }
    }

    async fn tidy(&self, how: &Sweep) -> Result<Tidied, Error> {
        let stale = self.stale(&*self.lane.lock().await, how);
        let used = words(&how.sights);
        let may_go = |manifest: &Manifest| is_ours(manifest, &self.aim.instance, &used);
        Ok(sweep(&self.registry, stale, &used, how, may_go).await)
    }
}

/// A repository that nothing was pushed to is no error of a push.
fn none_if_new(error: registry::Error) -> Result<Option<String>, registry::Error> {
    match error {
        registry::Error::NoRepository { .. } => Ok(None),
        other => Err(other),
    }
}
