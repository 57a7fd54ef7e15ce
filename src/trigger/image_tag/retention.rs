//! Takes away the tags of earlier canaries, but for a few.
//!
//! A tag that anybody names stays: the policy, a workload in sight, or git. Some registries delete
//! only manifests, with every tag that stands for them; those of people are never touched, so that
//! way is taken only for an image that says of itself that it is a canary of ours.

use crate::model::image_policy::canary_in;
use crate::model::{CanaryId, Marker, tokens};
use crate::remote::registry;
use crate::trigger::image_tag::image::Label;
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
        let mut tidied = Tidied::default();
        for tag in stale.iter().filter(|it| !used.contains(it.as_str())) {
            if tidied.removed >= MOST || tidied.why.is_some() {
                tidied.left += 1;
                continue;
            }
            match self.remove(tag, &used).await {
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

    /// The tags of canaries beyond those that stay, the oldest first.
    fn stale(&self, lane: &Lane) -> Vec<String> {
        let id = |it: &String| canary_in(it, &self.aim.instance);
        let handed_on = lane.label.iter().flat_map(|it| &it.tags);
        let mut all: Vec<&String> =
            handed_on.filter(|it| lane.tags.contains(it) && id(it).is_none()).collect();
        let mut named: Vec<_> = lane.tags.iter().filter_map(|it| Some((id(it)?, it))).collect();
        named.sort_by_key(|it| CanaryId::sequence(&it.0));
        all.extend(named.into_iter().map(|it| it.1));
        // Ours is the latest, and was not there when the tags were listed.
        let room = self.aim.keep.saturating_sub(usize::from(lane.ours.is_some()));
        all.truncate(all.len().saturating_sub(room));
        all.into_iter().cloned().collect()
    }

    /// Every word that the policy, workloads and git say now: tags and digests among them.
    async fn used(&self, sights: &[String]) -> Result<BTreeSet<String>, Error> {
        let (_, files) = self.marked(FRESH).await?;
        let markers = files.iter().flat_map(|(file, text)| Marker::find_in(file, text));
        let texts = markers.map(|it| it.value).chain(sights.iter().cloned());
        Ok(texts.flat_map(|it| tokens(&it).map(str::to_owned).collect::<Vec<_>>()).collect())
    }

    /// Removes one tag; says whether there may be further ones.
    async fn remove(&self, tag: &str, used: &BTreeSet<String>) -> Result<bool, registry::Error> {
        let refused = match self.registry.delete_tag(tag).await {
            Ok(_) => return Ok(true),
            Err(error @ registry::Error::DeletionRefused { .. })
                if self.aim.making == Making::Image =>
            {
                error
            }
            Err(error) => return Err(error),
        };
        let manifest = self.registry.manifest(tag).await?;
        let digest = manifest.digest();
        let ours = Label::of(&manifest).is_some_and(|it| it.canary.instance() == self.aim.instance);
        let hex = digest.trim_start_matches("sha256:");
        if !ours || used.contains(hex) {
            return Err(refused);
        }
        self.registry.delete_manifest(&digest).await?;
        Ok(false)
    }
}
