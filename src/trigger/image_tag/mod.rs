//! Pushes an image tag that an image policy will choose.
//!
//! Where the tags have room for it, the canary stands in them, and the latest one says where the
//! lane's sequence stands. Where they have none, the image that the policy chooses says it, which
//! hopclock itself has made.

mod build;
mod config;
mod image;
mod retention;

use crate::model::image_policy::{ImagePolicy, canary_in};
use crate::model::{
    Ancestry, CanaryId, Clock, Holding, ImageRef, Marker, ObjectName, Revision, Survey, When,
};
use crate::remote::git::{self, GitRemote};
use crate::remote::registry::{self, Artifact, Manifest, PublishError, Registry};
use crate::trigger::{Error, Published, Tidied, Trigger};
use image::Label;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

pub use config::ImageTagConfig;

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
    /// The tag whose image is pushed again; none for a new image.
    retag: Option<String>,
    /// How many canaries stay.
    keep: usize,
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
    prepared: Option<Prepared>,
    /// The canary and tag that [`Trigger::ancestry`] speaks of.
    ours: Option<(CanaryId, String)>,
}

/// A change that is ready to be sent.
#[derive(Clone)]
struct Prepared {
    tag: String,
    manifest: Manifest,
    /// The same in the older type, for a registry that refuses the newer one.
    older: Option<Manifest>,
}

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
        if let Some(tag) = &self.aim.retag {
            return Ok((self.registry.manifest(tag).await?, None));
        }
        let mut tags = lane.label.as_ref().map(|it| it.tags.clone()).unwrap_or_default();
        tags.retain(|it| lane.tags.contains(it));
        let label = Label { canary: canary.clone(), tags };
        let image = Artifact::tiny_image(&label.to_labels(), self.clock.wall());
        self.registry.upload(&image).await?;
        Ok((image.manifest(), image.docker_manifest()))
    }

    /// What the image that the policy chooses says of itself, if it is a canary of ours that no tag
    /// tells.
    async fn chosen_label(&self, tags: &[String]) -> Result<Option<Label>, Error> {
        let chosen = self.aim.policy.chosen(tags).map_err(|it| self.refused(&it))?;
        let Some(chosen) = chosen else { return Ok(None) };
        if self.aim.retag.is_some() || canary_in(chosen, &self.aim.instance).is_some() {
            return Ok(None);
        }
        let Some(mut label) = Label::of(&self.registry.manifest(chosen).await?) else {
            return Ok(None);
        };
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
        label.tags.push(chosen.to_owned());
        Ok(Some(label))
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

    /// The tags that stand behind a marker of the policy in a commit; none if it cannot be had.
    async fn written_in(&self, commit: &str) -> Option<Vec<String>> {
        let policy = self.marker();
        for book in &self.books {
            let Ok(files) = book.files(commit).await else { continue };
            let all = files.iter().flat_map(|(file, text)| Marker::find_in(file, text));
            let ours = all.filter(|it| it.policy == policy);
            return Some(ours.filter_map(|it| tag_of(&it)).collect());
        }
        None
    }

    /// Reads the tag once after a push without an answer (rule T2).
    async fn after_no_answer(&self, prepared: &Prepared, why: &PublishError) -> Result<(), Error> {
        let error = |reason, what: &str| Error { reason, message: format!("{why}, and {what}") };
        match self.registry.digest(&prepared.tag).await {
            Ok(Some(digest)) if digest == prepared.manifest.digest() => Ok(()),
            Ok(Some(_)) => Err(error(
                "second_writer",
                "somebody else has pushed the same tag meanwhile: let only one scenario push for \
                 this policy",
            )),
            Ok(None) => Err(error("push_lost", "the tag is not there, so nothing was pushed")),
            Err(read) => Err(error(
                "push_unknown",
                &format!(
                    "whether it was made is not known, for the tag could not be read afterwards: \
                     {read}"
                ),
            )),
        }
    }

    fn revisions(&self, prepared: &Prepared) -> Vec<Revision> {
        let tag = Revision::Tag(prepared.tag.clone());
        // The image of a tag that was there may be live already.
        let new = self.aim.retag.is_none().then(|| Revision::Digest(prepared.manifest.digest()));
        [tag].into_iter().chain(new).collect()
    }
}

#[async_trait::async_trait]
impl Trigger for ImageTag {
    fn lane(&self) -> String {
        self.registry.repository().normalised()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        let tags = self.registry.tags().await?;
        let label = self.chosen_label(&tags).await?;
        let named = tags.iter().filter_map(|it| canary_in(it, &self.aim.instance));
        let all = named.chain(label.as_ref().map(|it| it.canary.clone()));
        let latest = all.max_by_key(CanaryId::sequence);
        *self.lane.lock().await = Lane { tags, label, ..Lane::default() };
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
        Ok(Some(Survey { commit, files, holding }))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let mut lane = self.lane.lock().await;
        let next = self.aim.policy.next(&lane.tags, canary).map_err(|it| self.refused(&it))?;
        if self.registry.digest(&next.tag).await?.is_some() {
            return Err(Error {
                reason: "tag_exists",
                message: format!(
                    "the tag `{}`, which {} would choose next, is in `{}` already, and the registry \
                     did not list it: somebody pushed it just now, or its list is out of date; run \
                     again",
                    next.tag,
                    self.aim.name,
                    self.registry.repository().normalised()
                ),
            });
        }
        let (manifest, older) = self.image(canary, &lane).await?;
        let prepared = Prepared { tag: next.tag, manifest, older };
        let revisions = self.revisions(&prepared);
        lane.ours = Some((canary.clone(), prepared.tag.clone()));
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
        let mut attempts = 1;
        let mut sent = self.registry.publish(&prepared.tag, &prepared.manifest).await;
        if let Err(PublishError::Failed(registry::Error::RefusedType { .. })) = &sent
            && let Some(older) = prepared.older.take()
        {
            prepared.manifest = older;
            announce(self.revisions(&prepared));
            attempts += 1;
            sent = self.registry.publish(&prepared.tag, &prepared.manifest).await;
        }
        let published = match sent {
            Ok(it) => Published { sent: it.sent, zero: When::at(it.acknowledged), attempts },
            Err(ref error @ PublishError::NoAnswer { sent, .. }) => {
                self.after_no_answer(&prepared, error).await?;
                Published { sent, zero: When::between(sent, self.registry.now()), attempts }
            }
            Err(PublishError::Failed(error)) => return Err(error.into()),
        };
        lane.prepared = Some(prepared);
        Ok(published)
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        let tag = revisions.iter().find(|it| matches!(it, Revision::Tag(_)));
        let Some(tag) = tag.map(Revision::id) else { return Ok(None) };
        let Some(digest) = self.registry.digest(tag).await? else { return Ok(None) };
        let mut found = revisions.to_vec();
        for it in &mut found {
            // An attempt that was made again bears a digest that nobody has written down.
            if matches!(it, Revision::Digest(_)) {
                *it = Revision::Digest(digest.clone());
            }
        }
        self.lane.lock().await.ours = Some((canary.clone(), tag.to_owned()));
        Ok(Some(found))
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Some((canary, ours)) = self.lane.lock().await.ours.clone() else {
            return Ancestry::Unknown;
        };
        let wins = |it: &str| self.aim.policy.prefers(it, &ours);
        match revision {
            Revision::Tag(tag) if *tag == ours => Ancestry::Carries(Some(canary)),
            Revision::Tag(tag) if wins(tag) => Ancestry::Gone,
            // Behind another digest there is another tag, which is asked for as well.
            Revision::Tag(_) | Revision::Digest(_) => Ancestry::NotYet,
            Revision::Commit(commit) => {
                let Some(tags) = self.written_in(commit).await else { return Ancestry::Unknown };
                let later = |it: &String| {
                    canary_in(it, &self.aim.instance).filter(|it| it.sequence() > canary.sequence())
                };
                if tags.contains(&ours) {
                    return Ancestry::Carries(Some(canary));
                }
                match tags.iter().find_map(later) {
                    Some(later) => Ancestry::Carries(Some(later)),
                    None if tags.iter().any(|it| wins(it)) => Ancestry::Gone,
                    None => Ancestry::NotYet,
                }
            }
            Revision::Version(_) => Ancestry::Unknown,
        }
    }

    async fn tidy(&self, sights: &[String]) -> Tidied {
        self.retain(sights).await
    }
}

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
