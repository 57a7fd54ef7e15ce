//! Pushes an image tag that an image policy will choose, or a new image under the tag that it
//! chooses already.
//!
//! Where the tags have room for it, the canary stands in them, and the latest one says where the
//! lane's sequence stands. Where they have none, the image that the policy chooses says it, which
//! hopclock itself has made.

mod build;
mod config;
pub(super) mod image;
pub(super) mod retention;

use crate::model::image_policy::{ImagePolicy, canary_in};
use crate::model::{
    Ancestry, CanaryId, Clock, Holding, ImageRef, Marker, ObjectName, Revision, RevisionSort,
    Survey, Tidied, Usage,
};
use crate::remote::git::{self, GitRemote};
use crate::remote::registry::{self, Artifact, Manifest, PublishError, Registry};
use crate::trigger::registry_access::{Move, TAG};
use crate::trigger::{Error, Published, Sweep, Trigger};
use image::Label;
use retention::is_digest;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

pub use config::{ImageDigestConfig, ImageTagConfig};

/// Pushes an image tag. See [`ImageTagConfig`].
pub struct ImageTag {
    registry: Registry,
    aim: Aim,
    books: Vec<Book>,
    clock: Arc<dyn Clock>,
    lane: Mutex<Lane>,
}

/// What is pushed, and for whom.
struct Aim {
    /// The installation that pushes.
    instance: String,
    /// What chooses.
    policy: ImagePolicy,
    /// Its name.
    name: ObjectName,
    /// What is made.
    making: Making,
    /// How many canaries stay.
    keep: usize,
}

/// What is made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Making {
    /// A new tag for a new image.
    Image,
    /// A new tag for the image of this one.
    Retag(String),
    /// A new image for the tag that the policy chooses already.
    SameTag,
}

/// Where an automation writes a policy's choice to.
struct Book {
    remote: GitRemote,
    /// The folder that it looks through; empty for all.
    folder: String,
}

/// What is known of the repository, and of our change in it.
#[derive(Default)]
struct Lane {
    tags: Vec<String>,
    /// What the image that the policy chooses says of itself.
    label: Option<Label>,
    /// The digest that the tag which is pushed again stood for when we looked.
    before: Option<String>,
    prepared: Option<Prepared>,
    /// What [`Trigger::ancestry`] speaks of.
    ours: Option<Ours>,
}

/// The change of this run.
#[derive(Clone)]
struct Ours {
    canary: CanaryId,
    tag: String,
    /// The digest behind it, where that tells it apart.
    digest: Option<String>,
}

/// A change that is ready to be sent.
#[derive(Clone)]
struct Prepared {
    tag: String,
    manifest: Manifest,
    /// The same in the older type, for a registry that refuses the newer one.
    older: Option<Manifest>,
}

/// How many digests of earlier canaries one hands on that has their tag: the policy remembers the last.
const DIGESTS: usize = 2;

// === impl ImageTag ===

impl ImageTag {
    fn new(registry: Registry, aim: Aim, books: Vec<Book>, clock: Arc<dyn Clock>) -> Self {
        Self { registry, aim, books, clock, lane: Mutex::default() }
    }

    /// The policy, as markers name it.
    fn marker(&self) -> String {
        format!("{}:{}", self.aim.name.namespace, self.aim.name.name)
    }

    /// The manifest that is to be pushed, and what it names is there.
    async fn image(&self, canary: &CanaryId, lane: &Lane) -> Result<Artifacts, Error> {
        if let Making::Retag(tag) = &self.aim.making {
            return Ok((self.registry.manifest(tag).await?, None));
        }
        let mut tags = lane.label.as_ref().map(|it| it.tags.clone()).unwrap_or_default();
        tags.retain(|it| lane.tags.contains(it) || is_digest(it));
        if self.aim.making == Making::SameTag {
            tags.retain(|it| is_digest(it));
            tags.drain(..tags.len().saturating_sub(DIGESTS));
        }
        let label = Label { canary: canary.clone(), tags };
        let image = Artifact::tiny_image(&label.to_labels(), self.clock.wall());
        self.registry.upload(&image).await?;
        Ok((image.manifest(), image.docker_manifest()))
    }

    /// What the image that the policy chooses says of itself, if it is a canary of ours that no tag
    /// tells; and its digest, if its tag is pushed again.
    async fn look_at_chosen(&self, tags: &[String]) -> Result<Chosen, Error> {
        let chosen = self.aim.policy.chosen(tags).map_err(|it| self.refused(&it))?;
        let Some(chosen) = chosen else { return Ok((None, None)) };
        let tells = canary_in(chosen, &self.aim.instance).is_some();
        let told = match self.aim.making {
            Making::Image => tells,
            Making::Retag(_) => true,
            Making::SameTag => false,
        };
        if told {
            return Ok((None, None));
        }
        let manifest = self.registry.manifest(chosen).await?;
        let digest = (self.aim.making == Making::SameTag).then(|| manifest.digest());
        let Some(mut label) = Label::of(&manifest) else { return Ok((None, digest)) };
        if label.canary.instance() != self.aim.instance {
            return Err(Error {
                reason: "foreign_canary",
                message: format!(
                    "the tag `{chosen}` of `{}` is a canary of instance `{}`: give each instance an \
                     image repository of its own",
                    self.registry.repository().normalised(),
                    label.canary.instance()
                ),
            });
        }
        label.tags.extend(digest.clone());
        label.tags.push(chosen.to_owned());
        Ok((Some(label), digest))
    }

    fn refused(&self, error: &crate::model::image_policy::PolicyError) -> Error {
        let message = format!("ImagePolicy {}: {error}", self.aim.name);
        Error { reason: error.reason(), message }
    }

    /// The files in which automations write the policy's choice, at the heads of their branches, as
    /// they were no longer ago than `age`.
    async fn marked(&self, age: Duration) -> Result<(String, BTreeMap<String, String>), Error> {
        let (mut commit, mut all) = (String::new(), BTreeMap::new());
        for book in &self.books {
            let known = book.remote.stood_at(age).await;
            let tip = match known {
                Some(known) => Some(known),
                None => book.remote.advance(None).await?.pop(),
            };
            let Some(tip) = tip else { continue };
            all.extend(book.files(&tip).await?);
            commit = tip;
        }
        Ok((commit, all))
    }

    /// The tags, or digests where these are followed, that stand behind a marker of the policy in a
    /// commit; none if it cannot be had.
    async fn written_in(&self, commit: &str) -> Option<Vec<String>> {
        let policy = self.marker();
        let part = if self.aim.making == Making::SameTag { digest_of } else { tag_of };
        for book in &self.books {
            let Ok(files) = book.files(commit).await else { continue };
            let all = files.iter().flat_map(|(file, text)| Marker::find_in(file, text));
            let ours = all.filter(|it| it.policy == policy);
            return Some(ours.filter_map(|it| part(&it)).collect());
        }
        None
    }

    /// What another digest means: ours is gone once the tag stands for another one.
    async fn of_other_digest(&self, ours: &Ours) -> Ancestry {
        if self.aim.making != Making::SameTag {
            // Behind another digest there is another tag, which is asked for as well.
            return Ancestry::NotYet;
        }
        match self.registry.digest(&ours.tag).await {
            Ok(now) if now == ours.digest => Ancestry::NotYet,
            Ok(_) => Ancestry::Gone,
            Err(_) => Ancestry::Unknown,
        }
    }

    /// The tag that is to be pushed; it is not there unless it is pushed again.
    fn next_tag(&self, canary: &CanaryId, lane: &Lane) -> Result<String, Error> {
        if self.aim.making == Making::SameTag {
            let chosen = self.aim.policy.chosen(&lane.tags).map_err(|it| self.refused(&it))?;
            return chosen.map(str::to_owned).ok_or_else(|| Error {
                reason: "no_next_tag",
                message: format!(
                    "ImagePolicy {} chooses none of the {} tags of `{}`: push a first image under \
                     a tag that it would choose",
                    self.aim.name,
                    lane.tags.len(),
                    self.registry.repository().normalised()
                ),
            });
        }
        let next = self.aim.policy.next(&lane.tags, canary).map_err(|it| self.refused(&it))?;
        Ok(next.tag)
    }

    /// Why a tag that is no longer what it was when we looked is not pushed.
    fn not_free(&self, tag: &str) -> Error {
        let place = self.registry.repository().normalised();
        if self.aim.making == Making::SameTag {
            return Error {
                reason: "second_writer",
                message: format!(
                    "somebody else has pushed the tag `{tag}` of `{place}` while this run began, and \
                     their image would be replaced: let only one scenario, and nobody else, push there"
                ),
            };
        }
        Error {
            reason: "tag_exists",
            message: format!(
                "the tag `{tag}`, which {} would choose next, is in `{place}` already, and the \
                 registry did not list it: somebody pushed it just now, or its list is out of date; \
                 run again",
                self.aim.name
            ),
        }
    }

    fn revisions(&self, prepared: &Prepared) -> Vec<Revision> {
        let tag = Revision::Tag(prepared.tag.clone());
        let digest = Revision::Digest(prepared.manifest.digest());
        match self.aim.making {
            Making::Image => vec![tag, digest],
            // The image of a tag that was there may be live already.
            Making::Retag(_) => vec![tag],
            Making::SameTag => vec![digest],
        }
    }

    fn ours(&self, canary: &CanaryId, prepared: &Prepared) -> Ours {
        let digest = prepared.manifest.digest();
        let digest = (self.aim.making == Making::SameTag).then_some(digest);
        Ours { canary: canary.clone(), tag: prepared.tag.clone(), digest }
    }
}

#[async_trait::async_trait]
impl Trigger for ImageTag {
    fn lane(&self) -> String {
        self.registry.repository().normalised()
    }

    fn usage(&self) -> Usage {
        self.registry.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        let tags = self.registry.tags().await?;
        let (label, before) = self.look_at_chosen(&tags).await?;
        let named = tags.iter().filter_map(|it| canary_in(it, &self.aim.instance));
        let all = named.chain(label.as_ref().map(|it| it.canary.clone()));
        let latest = all.max_by_key(CanaryId::sequence);
        *self.lane.lock().await = Lane { tags, label, before, ..Lane::default() };
        Ok(latest)
    }

    /// The files are those that bear a marker, whatever was asked for.
    async fn survey(&self, _: &[String]) -> Result<Option<Survey>, Error> {
        let (commit, files) = self.marked(Duration::ZERO).await?;
        let lane = self.lane.lock().await;
        let is_ours = |it: &&String| {
            let listed = lane.label.as_ref().is_some_and(|label| label.tags.contains(it));
            listed || canary_in(it, &self.aim.instance).is_some()
        };
        let holding = match lane.tags.iter().find(|it| !is_ours(it)) {
            Some(tag) => Holding::Others(tag.clone()),
            None => Holding::Canaries([self.aim.instance.clone()].into()),
        };
        Ok(Some(Survey { commit, files, holding, around: None }))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let mut lane = self.lane.lock().await;
        let tag = self.next_tag(canary, &lane)?;
        let (manifest, older) = self.image(canary, &lane).await?;
        let prepared = Prepared { tag, manifest, older };
        let revisions = self.revisions(&prepared);
        lane.ours = Some(self.ours(canary, &prepared));
        lane.prepared = Some(prepared);
        Ok(revisions)
    }

    async fn publish(
        &self,
        announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error> {
        let mut lane = self.lane.lock().await;
        let mut prepared = lane.prepared.clone().ok_or_else(|| Error {
            reason: "not_prepared",
            message: "a change must be prepared before it is published".to_owned(),
        })?;
        let (registry, tag) = (&self.registry, prepared.tag.clone());
        let step = Move { registry, tag: &tag, before: lane.before.as_deref(), called: TAG };
        if !step.is_free().await? {
            return Err(self.not_free(&tag));
        }
        let mut attempts = 1;
        let mut sent = registry.publish(&tag, &prepared.manifest).await;
        if let Err(PublishError::Failed(registry::Error::RefusedType { .. })) = &sent
            && let Some(older) = prepared.older.take()
        {
            prepared.manifest = older;
            announce(self.revisions(&prepared));
            attempts += 1;
            sent = registry.publish(&tag, &prepared.manifest).await;
        }
        let published = step.conclude(sent, &prepared.manifest.digest(), attempts).await?;
        if let Some(canary) = lane.ours.take().map(|it| it.canary) {
            lane.ours = Some(self.ours(&canary, &prepared));
        }
        lane.prepared = Some(prepared);
        Ok(published)
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        let of = |sort| revisions.iter().find(|it| it.sort() == sort).map(|it| it.id().to_owned());
        let (tag, digest) = (of(RevisionSort::Tag), of(RevisionSort::Digest));
        let Some(reference) = tag.clone().or_else(|| digest.clone()) else { return Ok(None) };
        let Some(now) = self.registry.digest(&reference).await? else { return Ok(None) };
        if self.aim.making == Making::Image && digest.as_ref() != Some(&now) {
            // Somebody may have pushed the tag while nobody looked. Of ours, only one in the older
            // type bears a digest that nobody has written down, and that says nothing of itself.
            let there = self.registry.manifest(&now).await?;
            let label = Label::of(&there).map(|it| it.canary);
            if label.as_ref() != Some(canary) && !there.is_older() {
                return Ok(None);
            }
        }
        let mut found = revisions.to_vec();
        for it in &mut found {
            if matches!(it, Revision::Digest(_)) {
                *it = Revision::Digest(now.clone());
            }
        }
        let tag = if let Some(tag) = tag {
            tag
        } else {
            let tags = self.registry.tags().await?;
            let chosen = self.aim.policy.chosen(&tags).map_err(|it| self.refused(&it))?;
            chosen.unwrap_or_default().to_owned()
        };
        let digest = digest.filter(|_| self.aim.making == Making::SameTag);
        self.lane.lock().await.ours = Some(Ours { canary: canary.clone(), tag, digest });
        Ok(Some(found))
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Some(ours) = self.lane.lock().await.ours.clone() else { return Ancestry::Unknown };
        let wins = |it: &str| ours.digest.is_none() && self.aim.policy.prefers(it, &ours.tag);
        let carries = |it: &String| *it == *ours.digest.as_ref().unwrap_or(&ours.tag);
        match revision {
            Revision::Tag(tag) if *tag == ours.tag => Ancestry::Carries(Some(ours.canary)),
            Revision::Tag(tag) if wins(tag) => Ancestry::Gone,
            Revision::Tag(_) => Ancestry::NotYet,
            Revision::Digest(_) => self.of_other_digest(&ours).await,
            Revision::Commit(commit) => {
                let Some(all) = self.written_in(commit).await else { return Ancestry::Unknown };
                let later = |it: &String| {
                    let later = canary_in(it, &self.aim.instance);
                    later.filter(|it| it.sequence() > ours.canary.sequence())
                };
                if all.iter().any(carries) {
                    return Ancestry::Carries(Some(ours.canary));
                }
                match all.iter().find_map(later) {
                    Some(later) => Ancestry::Carries(Some(later)),
                    None if ours.digest.is_some() => self.of_other_digest(&ours).await,
                    None if all.iter().any(|it| wins(it)) => Ancestry::Gone,
                    None => Ancestry::NotYet,
                }
            }
            Revision::Version(_) => Ancestry::Unknown,
        }
    }

    async fn tidy(&self, sweep: &Sweep) -> Result<Tidied, Error> {
        self.retain(sweep).await
    }
}

/// A label, and a digest.
type Chosen = (Option<Label>, Option<String>);

/// A manifest, and the same in an older type.
type Artifacts = (Manifest, Option<Manifest>);

// === impl Book ===

impl Book {
    /// The files with markers in a commit that the automation looks through.
    async fn files(&self, commit: &str) -> Result<BTreeMap<String, String>, git::Error> {
        let mut files = self.remote.files_with(commit, Marker::KEY).await?;
        files.retain(|it, _| {
            let rest = it.strip_prefix(self.folder.as_str());
            self.folder.is_empty() || rest.is_some_and(|it| it.starts_with('/'))
        });
        Ok(files)
    }
}

// === impl Error ===

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}

/// The tag that stands behind a marker.
fn tag_of(marker: &Marker) -> Option<String> {
    match marker.part.as_deref() {
        None => ImageRef::parse(&marker.value)?.tag.map(str::to_owned),
        Some("tag") => Some(marker.value.clone()),
        Some(_) => None,
    }
}

/// The digest that stands behind a marker.
fn digest_of(marker: &Marker) -> Option<String> {
    match marker.part.as_deref() {
        None => ImageRef::parse(&marker.value)?.digest.map(str::to_owned),
        Some("digest") => Some(marker.value.clone()),
        Some(_) => None,
    }
}
