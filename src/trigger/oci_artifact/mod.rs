//! Pushes an OCI artifact that Flux fetches instead of a git repository.
//!
//! The artifact is made whole before anything is sent, so its digest is announced first. Under a tag
//! that all canaries share, the manifest says which one it is; where each has a version of its own,
//! it also hands on the tags of those before it, as canary images do.

mod build;
mod config;
mod retention;

use crate::model::image_policy::{ImagePolicy, canary_in};
use crate::model::{
    Ancestry, CanaryId, Clock, Findings, Holding, Revision, Survey, Tidied, Usage, conclude,
};
use crate::remote::registry::{self, Artifact, Manifest, Registry, archive};
use crate::trigger::image_tag::image::Label;
use crate::trigger::registry_access::{Move, TAG};
use crate::trigger::{Content, Error, Published, Sweep, Trigger};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

pub use config::OciArtifactConfig;

/// The annotations by which Flux tells where an artifact comes from.
const CREATED: &str = "org.opencontainers.image.created";
const SOURCE: &str = "org.opencontainers.image.source";
const REVISION: &str = "org.opencontainers.image.revision";

/// Pushes an OCI artifact. See [`OciArtifactConfig`].
pub struct OciArtifact {
    registry: Registry,
    aim: Aim,
    clock: Arc<dyn Clock>,
    lane: Mutex<Lane>,
}

/// What is pushed.
struct Aim {
    /// The installation that pushes.
    instance: String,
    /// Under which tags.
    tags: Tags,
    /// The file.
    path: String,
    /// What it holds.
    content: Content,
    /// How many versions stay.
    keep: usize,
}

/// Under which tags canaries are pushed.
enum Tags {
    /// All under this one.
    One(String),
    /// Each under the version that is chosen next.
    Versions {
        /// What chooses among them.
        policy: Box<ImagePolicy>,
        /// Whose choice it is, for messages.
        of: String,
    },
}

/// What is known of the repository, and of our change in it.
#[derive(Default)]
struct Lane {
    tags: Vec<String>,
    /// What is fetched now: its tag, its digest, and what it says of itself.
    now: Option<Now>,
    prepared: Option<Prepared>,
    /// What [`Trigger::ancestry`] speaks of.
    ours: Option<CanaryId>,
}

/// What is fetched now.
#[derive(Clone)]
struct Now {
    tag: String,
    digest: String,
    label: Option<Label>,
}

/// A change that is ready to be sent.
#[derive(Clone)]
struct Prepared {
    tag: String,
    /// The digest that the tag stood for when we looked.
    before: Option<String>,
    manifest: Manifest,
}

// === impl OciArtifact ===

impl OciArtifact {
    fn new(registry: Registry, aim: Aim, clock: Arc<dyn Clock>) -> Self {
        Self { registry, aim, clock, lane: Mutex::default() }
    }

    fn place(&self) -> String {
        self.registry.repository().normalised()
    }

    /// All tags; none of a repository that nothing was pushed to.
    async fn tags(&self) -> Result<Vec<String>, Error> {
        match self.registry.tags().await {
            Err(registry::Error::NoRepository { .. }) => Ok(Vec::new()),
            tags => Ok(tags?),
        }
    }

    /// What would be fetched now, of these tags.
    async fn now(&self, tags: &[String]) -> Result<Option<Now>, Error> {
        let tag = match &self.aim.tags {
            Tags::One(tag) => tags.contains(tag).then(|| tag.clone()),
            Tags::Versions { policy, .. } => {
                policy.chosen(tags).map_err(|it| self.refused(&it))?.map(str::to_owned)
            }
        };
        let Some(tag) = tag else { return Ok(None) };
        let manifest = match self.registry.manifest(&tag).await {
            Err(registry::Error::NoManifest { .. }) => return Ok(None),
            manifest => manifest?,
        };
        Ok(Some(Now { tag, digest: manifest.digest(), label: Label::of(&manifest) }))
    }

    fn refused(&self, error: &crate::model::image_policy::PolicyError) -> Error {
        let whose = match &self.aim.tags {
            Tags::Versions { of, .. } => of.as_str(),
            Tags::One(tag) => tag.as_str(),
        };
        Error { reason: error.reason(), message: format!("{whose}: {error}") }
    }

    /// The tag that is to be pushed, and the digest that it stood for when we looked.
    fn next_tag(&self, canary: &CanaryId, lane: &Lane) -> Result<(String, Option<String>), Error> {
        match &self.aim.tags {
            Tags::One(tag) => Ok((tag.clone(), lane.now.as_ref().map(|it| it.digest.clone()))),
            Tags::Versions { policy, .. } => {
                let next = policy.next(&lane.tags, canary).map_err(|it| self.refused(&it))?;
                Ok((next.tag, None))
            }
        }
    }

    /// Refuses to take the place of what people fetch (rule S0): whatever their workloads come
    /// from would be pruned, and no annotation says that somebody wants that.
    fn check_content(&self, lane: &Lane) -> Result<(), Error> {
        let Some(now) = lane.now.as_ref().filter(|it| it.label.is_none()) else { return Ok(()) };
        Err(Error {
            reason: "replaces_content",
            message: format!(
                "the tag `{}` of `{}`, which is fetched now, is no canary, and an artifact with \
                 nothing but a canary in it would remove all that comes from it: begin without that \
                 tag, with a repository of its own",
                now.tag,
                self.place()
            ),
        })
    }

    fn artifact(&self, canary: &CanaryId, lane: &Lane) -> Artifact {
        let mut tags = Vec::new();
        if let (Tags::Versions { .. }, Some(now)) = (&self.aim.tags, &lane.now)
            && let Some(label) = &now.label
        {
            tags = label.tags.iter().filter(|it| lane.tags.contains(it)).cloned().collect();
            tags.push(now.tag.clone());
        }
        let mut annotations = Label { canary: canary.clone(), tags }.to_labels();
        let now = self.clock.wall();
        annotations.insert(CREATED.to_owned(), now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        annotations.insert(SOURCE.to_owned(), format!("oci://{}", self.place()));
        annotations.insert(REVISION.to_owned(), canary.to_string());
        let content = self.aim.content.for_canary(canary).into_bytes();
        let files = BTreeMap::from([(self.aim.path.clone(), content)]);
        Artifact::flux(archive(&files), annotations)
    }

    /// What a label tells of the change `ours`: each canary of a lane is pushed on top of those
    /// before it.
    fn findings(ours: &CanaryId, label: Option<Label>) -> Findings {
        let canary = label.map(|it| it.canary);
        let same = canary.as_ref().filter(|it| it.instance() == ours.instance());
        let (descends_from_ours, is_before_ours) = same.map_or((false, false), |it| {
            (it.sequence() > ours.sequence(), it.sequence() < ours.sequence())
        });
        Findings { canary, descends_from_ours, is_before_ours }
    }

    /// What is fetched at this moment.
    async fn tip(&self, ours: &CanaryId) -> Option<Findings> {
        let tags = match &self.aim.tags {
            Tags::One(tag) => vec![tag.clone()],
            Tags::Versions { .. } => self.tags().await.ok()?,
        };
        let label = self.now(&tags).await.ok()?.and_then(|it| it.label);
        Some(Self::findings(ours, label))
    }
}

#[async_trait::async_trait]
impl Trigger for OciArtifact {
    fn lane(&self) -> String {
        match &self.aim.tags {
            Tags::One(tag) => format!("{}:{tag}", self.place()),
            Tags::Versions { .. } => self.place(),
        }
    }

    fn usage(&self) -> Usage {
        self.registry.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        let tags = self.tags().await?;
        let now = self.now(&tags).await?;
        let label = now.as_ref().and_then(|it| it.label.as_ref());
        if let (Some(label), Some(now)) = (label, &now)
            && label.canary.instance() != self.aim.instance
        {
            return Err(Error {
                reason: "foreign_canary",
                message: format!(
                    "the tag `{}` of `{}` is a canary of instance `{}`: give each instance a \
                     repository of its own",
                    now.tag,
                    self.place(),
                    label.canary.instance()
                ),
            });
        }
        let named = tags.iter().filter_map(|it| canary_in(it, &self.aim.instance));
        let all = named.chain(label.map(|it| it.canary.clone()));
        let latest = all.max_by_key(CanaryId::sequence);
        *self.lane.lock().await = Lane { tags, now, ..Lane::default() };
        Ok(latest)
    }

    async fn survey(&self, _: &[String]) -> Result<Option<Survey>, Error> {
        let lane = self.lane.lock().await;
        let label = lane.now.as_ref().and_then(|it| Some((&it.tag, it.label.as_ref()?)));
        let is_ours = |it: &&String| {
            let listed = label.is_some_and(|(tag, label)| *it == tag || label.tags.contains(it));
            listed || canary_in(it, &self.aim.instance).is_some()
        };
        let holding = match lane.tags.iter().find(|it| !is_ours(it)) {
            Some(tag) => Holding::Others(tag.clone()),
            None => Holding::Canaries([self.aim.instance.clone()].into()),
        };
        let commit = lane.now.as_ref().map(|it| it.digest.clone()).unwrap_or_default();
        Ok(Some(Survey { commit, files: BTreeMap::new(), holding, around: None }))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let mut lane = self.lane.lock().await;
        self.check_content(&lane)?;
        let (tag, before) = self.next_tag(canary, &lane)?;
        let artifact = self.artifact(canary, &lane);
        self.registry.upload(&artifact).await?;
        let manifest = artifact.manifest();
        let revisions = vec![Revision::Digest(manifest.digest())];
        lane.ours = Some(canary.clone());
        lane.prepared = Some(Prepared { tag, before, manifest });
        Ok(revisions)
    }

    async fn publish(
        &self,
        _announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error> {
        let lane = self.lane.lock().await;
        let Prepared { tag, before, manifest } = lane.prepared.as_ref().ok_or_else(|| Error {
            reason: "not_prepared",
            message: "a change must be prepared before it is published".to_owned(),
        })?;
        let (registry, before) = (&self.registry, before.as_deref());
        let step = Move { registry, tag, before, called: TAG };
        if !step.is_free().await? {
            return Err(Error {
                reason: "second_writer",
                message: format!(
                    "somebody else has pushed the tag `{tag}` of `{}` while this run began: let only \
                     one scenario, and nobody else, push there",
                    self.place()
                ),
            });
        }
        let pushed = registry.publish(tag, manifest).await;
        step.conclude(pushed, &manifest.digest(), 1).await
    }

    /// A manifest comes into the registry by the one request that publishes it.
    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        let digest = revisions.iter().find_map(|it| match it {
            Revision::Digest(digest) => Some(digest.clone()),
            _ => None,
        });
        let Some(digest) = digest else { return Ok(None) };
        if self.registry.digest(&digest).await?.is_none() {
            return Ok(None);
        }
        self.lane.lock().await.ours = Some(canary.clone());
        Ok(Some(vec![Revision::Digest(digest)]))
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Some(ours) = self.lane.lock().await.ours.clone() else { return Ancestry::Unknown };
        let Revision::Digest(digest) = revision else { return Ancestry::Unknown };
        let label = match self.registry.manifest(digest).await {
            Ok(manifest) => Label::of(&manifest),
            // Whatever it was, it is there no more.
            Err(registry::Error::NoManifest { .. }) => None,
            Err(_) => return Ancestry::Unknown,
        };
        let found = Self::findings(&ours, label);
        let told = found.carries(&ours) || found.is_before_ours;
        let tip = if told { None } else { self.tip(&ours).await };
        conclude(&ours, &found, || tip)
    }

    async fn tidy(&self, sweep: &Sweep) -> Result<Tidied, Error> {
        self.retain(sweep).await
    }
}
