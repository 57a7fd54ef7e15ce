//! Takes away the tags of earlier canaries, but for a few.
//!
//! A tag that anybody names stays: the policy, a workload in sight, or git. Some registries delete
//! only manifests, with every tag that stands for them; those of people are never touched, so that
//! way is taken only for an image that says of itself that it is a canary of ours.

use crate::model::{Marker, tokens};
use crate::remote::registry::{self, Manifest, Registry};
use crate::trigger::image_tag::image::{Label, stale};
use crate::trigger::image_tag::{ImageTag, Lane, Making};
use crate::trigger::{Error, Tidied};
use std::collections::BTreeSet;
use std::time::Duration;

/// How old may be what is known of git: a canary that is older than many others comes back rarely.
const FRESH: Duration = Duration::from_secs(60);

/// Most tags that go after one run: registries limit requests.
const MOST: u32 = 2;

// === impl ImageTag ===

impl ImageTag {
    /// Takes away what is beyond `keep` and used by nobody.
    pub(super) async fn retain(&self, sights: &[String]) -> Tidied {
        let stale = self.stale(&*self.lane.lock().await);
        if stale.is_empty() {
            return Tidied::default();
        }
        let used = match self.used(sights).await {
            Ok(used) => used,
            Err(error) => {
                let left = u32::try_from(stale.len()).unwrap_or(u32::MAX);
                return Tidied { left, why: Some(error.message), removed: 0 };
            }
        };
        let registry = &self.registry;
        let by_manifest = self.aim.making == Making::Image;
        let instance = &self.aim.instance;
        let unused: Vec<_> = stale.into_iter().filter(|it| !used.contains(it)).collect();
        sweep(registry, &unused, |manifest| by_manifest && is_ours(manifest, instance, &used)).await
    }

    /// The tags of canaries beyond those that stay, the oldest first.
    fn stale(&self, lane: &Lane) -> Vec<String> {
        // Ours is the latest, and was not there when the tags were listed.
        let room = self.aim.keep.saturating_sub(usize::from(lane.ours.is_some()));
        stale(&lane.tags, lane.label.as_ref(), &self.aim.instance, room)
    }

    /// Every word that the policy, workloads and git say now: tags and digests among them.
    async fn used(&self, sights: &[String]) -> Result<BTreeSet<String>, Error> {
        let (_, files) = self.marked(FRESH).await?;
        let markers = files.iter().flat_map(|(file, text)| Marker::find_in(file, text));
        let texts = markers.map(|it| it.value).chain(sights.iter().cloned());
        Ok(texts.flat_map(|it| tokens(&it).map(str::to_owned).collect::<Vec<_>>()).collect())
    }
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

/// Removes tags, a few at a time; those that cannot be removed alone with their manifest, if that
/// may go.
pub(in crate::trigger) async fn sweep(
    registry: &Registry,
    tags: &[String],
    may_go: impl Fn(&Manifest) -> bool + Send + Sync,
) -> Tidied {
    let mut tidied = Tidied::default();
    for tag in tags {
        if tidied.removed >= MOST || tidied.why.is_some() {
            tidied.left += 1;
            continue;
        }
        match remove(registry, tag, &may_go).await {
            Ok(further) => {
                tidied.removed += if further { 1 } else { MOST };
            }
            Err(error) => {
                tidied.left += 1;
                tidied.why = Some(error.to_string());
            }
        }
    }
    // What is left to the next run is no leftover.
    if tidied.why.is_none() {
        tidied.left = 0;
    }
    tidied.removed = tidied.removed.min(MOST);
    tidied
}

/// Removes one tag; says whether there may be further ones.
async fn remove(
    registry: &Registry,
    tag: &str,
    may_go: &(impl Fn(&Manifest) -> bool + Send + Sync),
) -> Result<bool, registry::Error> {
    let refused = match registry.delete_tag(tag).await {
        Ok(_) => return Ok(true),
        Err(error @ registry::Error::DeletionRefused { .. }) => error,
        Err(error) => return Err(error),
    };
    let manifest = registry.manifest(tag).await?;
    if !may_go(&manifest) {
        return Err(refused);
    }
    registry.delete_manifest(&manifest.digest()).await?;
    Ok(false)
}
