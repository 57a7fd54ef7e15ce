//! Takes away what earlier canaries have left in the repository.
//!
//! Where each has a version of its own, a few of them stay. Where all had one tag, the manifest that
//! ours has replaced bears no tag any more; it goes, unless somebody else's tag may stand for it.

use crate::model::tokens;
use crate::remote::registry::{Manifest, Removal};
use crate::trigger::Tidied;
use crate::trigger::image_tag::image::stale;
use crate::trigger::image_tag::retention::{is_ours, sweep};
use crate::trigger::oci_artifact::{Lane, OciArtifact, Tags};
use std::collections::BTreeSet;

// === impl OciArtifact ===

impl OciArtifact {
    /// Takes away what is used by nobody; `sights` are texts that may name what is.
    pub(super) async fn retain(&self, sights: &[String]) -> Tidied {
        let lane = self.lane.lock().await;
        if lane.ours.is_none() {
            return Tidied::default();
        }
        let used: BTreeSet<String> =
            sights.iter().flat_map(|it| tokens(it)).map(str::to_owned).collect();
        match &self.aim.tags {
            Tags::One(tag) => self.remove_replaced(&lane, tag, &used).await,
            Tags::Versions { .. } => self.remove_versions(&lane, &used).await,
        }
    }

    async fn remove_versions(&self, lane: &Lane, used: &BTreeSet<String>) -> Tidied {
        let instance = &self.aim.instance;
        let mut label = lane.now.as_ref().and_then(|it| it.label.clone());
        if let (Some(label), Some(now)) = (&mut label, &lane.now) {
            label.tags.push(now.tag.clone());
        }
        // Ours is the latest, and was not there when the tags were listed.
        let room = self.aim.keep.saturating_sub(1);
        let mut tags = stale(&lane.tags, label.as_ref(), instance, room);
        tags.retain(|it| !used.contains(it));
        let may_go = |manifest: &Manifest| is_ours(manifest, instance, used);
        sweep(&self.registry, &tags, may_go).await
    }

    async fn remove_replaced(&self, lane: &Lane, tag: &str, used: &BTreeSet<String>) -> Tidied {
        let Some(now) = lane.now.as_ref().filter(|it| it.label.is_some()) else {
            return Tidied::default();
        };
        let alone = lane.tags.iter().all(|it| it == tag);
        if !alone || used.contains(now.digest.trim_start_matches("sha256:")) {
            return Tidied::default();
        }
        match self.registry.delete_manifest(&now.digest).await {
            Ok(Removal::Removed) => Tidied { removed: 1, ..Tidied::default() },
            Ok(Removal::WasNotThere) => Tidied::default(),
            Err(error) => Tidied { left: 1, why: Some(error.to_string()), removed: 0 },
        }
    }
}
