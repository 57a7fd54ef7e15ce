//! Takes away the tags of earlier canaries, but for a few.
//!
//! A tag that anybody names stays: the policy, a workload in sight, or git. Some registries delete
//! only manifests, with every tag that stands for them; those of people are never touched, so that
//! way is taken only for an image that says of itself that it is a canary of ours.

use crate::model::{Marker, Stays, Tidied, tokens};
use crate::remote::registry::{self, Manifest, Registry, Removal};
use crate::trigger::image_tag::image::{Label, stale};
use crate::trigger::image_tag::{ImageTag, Lane, Making};
use crate::trigger::{Error, Reach, Sweep};
use std::collections::BTreeSet;
use std::time::Duration;

/// How old may be what is known of git: a canary that is older than many others comes back rarely.
const FRESH: Duration = Duration::from_secs(60);

/// Most tags that go after one run: registries limit requests.
const MOST: usize = 2;

/// Why a tag stays that somebody names.
const NAMED: &str = "an object in the cluster, or a file in git, names it: it goes when none does";

/// How a tag was removed.
enum Removed {
    /// By itself.
    Alone,
    /// With its manifest, and so with all tags of that.
    WithManifest,
}

// === impl ImageTag ===

impl ImageTag {
    /// Takes away what is beyond `keep` and used by nobody.
    pub(super) async fn retain(&self, how: &Sweep) -> Result<Tidied, Error> {
        let lane = self.lane.lock().await;
        if let (Making::SameTag, Some(ours), Some(label)) =
            (&self.aim.making, &lane.ours, &lane.label)
        {
            // They had the tag before. The last one, the policy still remembers.
            let used = self.used(how).await?;
            let mut tidied = Tidied::default();
            for digest in label.tags.iter().filter(|it| is_digest(it)) {
                let replaced = (digest.as_str(), ours.tag.as_str());
                let more = remove_replaced(&self.registry, replaced, &lane.tags, &used).await;
                tidied.removed.extend(more.removed);
                tidied.left.extend(more.left);
            }
            return Ok(tidied);
        }
        let stale = self.stale(&lane, how);
        drop(lane);
        if stale.is_empty() {
            return Ok(Tidied::default());
        }
        let used = self.used(how).await?;
        let by_manifest = self.aim.making == Making::Image;
        let instance = &self.aim.instance;
        let may_go = |manifest: &Manifest| by_manifest && is_ours(manifest, instance, &used);
        Ok(sweep(&self.registry, stale, &used, how, may_go).await)
    }

    /// The tags of canaries beyond those that stay, the oldest first.
    fn stale(&self, lane: &Lane, how: &Sweep) -> Vec<String> {
        // Ours is the latest, and was not there when the tags were listed.
        let room = how.room(self.aim.keep).saturating_sub(usize::from(lane.ours.is_some()));
        stale(&lane.tags, lane.label.as_ref(), &self.aim.instance, room)
    }

    /// Every word that workloads and git say now, and the policy where that is among the sights:
    /// tags and digests among them.
    async fn used(&self, how: &Sweep) -> Result<BTreeSet<String>, Error> {
        let age = if how.reach == Reach::AfterRun { FRESH } else { Duration::ZERO };
        let (_, files) = self.marked(age).await?;
        let markers = files.iter().flat_map(|(file, text)| Marker::find_in(file, text));
        let texts = markers.map(|it| it.value).chain(how.sights.iter().cloned());
        Ok(words(&texts.collect::<Vec<_>>()))
    }
}

/// Whether an earlier canary was told by its digest, because all have one tag.
pub(super) fn is_digest(earlier: &str) -> bool {
    earlier.starts_with("sha256:")
}

/// Every word of some texts that may be a tag or a digest.
pub(in crate::trigger) fn words(texts: &[String]) -> BTreeSet<String> {
    texts.iter().flat_map(|it| tokens(it)).map(str::to_owned).collect()
}

/// Whether a manifest is a canary of ours whose digest nobody names.
pub(in crate::trigger) fn is_ours(
    manifest: &Manifest,
    instance: &str,
    used: &BTreeSet<String>,
) -> bool {
    let ours = Label::of(manifest).is_some_and(|it| it.canary.instance() == instance);
    ours && !used.contains(manifest.digest().trim_start_matches("sha256:"))
}

/// Removes the manifest of the canary before that `tag` has stood for until ours took the tag, unless
/// somebody uses it, or another tag may stand for it: that would go as well.
pub(in crate::trigger) async fn remove_replaced(
    registry: &Registry,
    (digest, tag): (&str, &str),
    tags: &[String],
    used: &BTreeSet<String>,
) -> Tidied {
    let mut tidied = Tidied::default();
    let alone = tags.iter().all(|it| it == tag);
    if !alone || used.contains(digest.trim_start_matches("sha256:")) {
        return tidied;
    }
    let removal = match is_left(registry, digest, tag).await {
        Ok(true) => registry.delete_manifest(digest).await,
        Ok(false) => Ok(Removal::WasNotThere),
        Err(error) => Err(error),
    };
    match removal {
        Ok(Removal::Removed) => tidied.removed.push(digest.to_owned()),
        Ok(Removal::WasNotThere) => {}
        Err(error) => tidied.left.push(Stays::new(digest, error.to_string())),
    }
    tidied
}

/// Whether a manifest that `tag` has stood for is still there, and no tag stands for it by now.
async fn is_left(registry: &Registry, digest: &str, tag: &str) -> Result<bool, registry::Error> {
    if registry.digest(digest).await?.is_none() {
        return Ok(false);
    }
    if registry.digest(tag).await?.as_deref() == Some(digest) {
        return Ok(false);
    }
    Ok(registry.tags().await?.iter().all(|it| it == tag))
}

/// Removes tags that nobody uses, a few at a time after a run; those that cannot be removed alone
/// with their manifest, if that may go.
pub(in crate::trigger) async fn sweep(
    registry: &Registry,
    tags: Vec<String>,
    used: &BTreeSet<String>,
    how: &Sweep,
    may_go: impl Fn(&Manifest) -> bool + Send + Sync,
) -> Tidied {
    let mut tidied = Tidied::default();
    let mut room = if how.reach == Reach::AfterRun { MOST } else { usize::MAX };
    // What keeps all the others from being removed as well.
    let mut hindrance: Option<String> = None;
    for tag in tags {
        if used.contains(&tag) {
            tidied.used.push(Stays::new(tag, NAMED));
        } else if let Some(why) = &hindrance {
            tidied.left.push(Stays::new(tag, why));
        } else if room == 0 {
            tidied.later.push(tag);
        } else if how.is_dry {
            tidied.removed.push(tag);
        } else {
            match remove(registry, &tag, &may_go).await {
                Ok(Removed::WithManifest) if how.reach == Reach::AfterRun => room = 0,
                Ok(_) => room -= 1,
                Err(error) => {
                    let of_this = matches!(error, registry::Error::DeletionRefused { .. });
                    if how.reach == Reach::AfterRun || !of_this {
                        hindrance = Some(error.to_string());
                    }
                    tidied.left.push(Stays::new(tag, error.to_string()));
                    continue;
                }
            }
            tidied.removed.push(tag);
        }
    }
    tidied
}

/// Removes one tag.
async fn remove(
    registry: &Registry,
    tag: &str,
    may_go: &(impl Fn(&Manifest) -> bool + Send + Sync),
) -> Result<Removed, registry::Error> {
    let refused = match registry.delete_tag(tag).await {
        Ok(_) => return Ok(Removed::Alone),
        Err(error @ registry::Error::DeletionRefused { .. }) => error,
        Err(error) => return Err(error),
    };
    let manifest = match registry.manifest(tag).await {
        Ok(manifest) => manifest,
        // It has gone with another tag of the same manifest.
        Err(registry::Error::NoManifest { .. }) => return Ok(Removed::Alone),
        Err(error) => return Err(error),
    };
    if !may_go(&manifest) {
        return Err(refused);
    }
    registry.delete_manifest(&manifest.digest()).await?;
    Ok(Removed::WithManifest)
}
