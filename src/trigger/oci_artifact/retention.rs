//! Takes away what earlier canaries have left in the repository.
//!
//! Where each has a version of its own, a few of them stay. Where all had one tag, the manifest that
//! ours has replaced bears no tag any more; it goes, unless somebody else's tag may stand for it.

use crate::model::Tidied;
use crate::remote::registry::Manifest;
use crate::trigger::image_tag::image::stale;
use crate::trigger::image_tag::retention::{is_ours, remove_replaced, sweep, words};
use crate::trigger::oci_artifact::{Lane, OciArtifact, Tags};
use crate::trigger::{Error, Reach, Sweep};
use std::collections::BTreeSet;

// === impl OciArtifact ===

impl OciArtifact {
    /// Takes away what is used by nobody.
    pub(super) async fn retain(&self, how: &Sweep) -> Result<Tidied, Error> {
        let lane = self.lane.lock().await;
        let used = words(&how.sights);
        Ok(match &self.aim.tags {
            // Which manifest was replaced, only a run knows.
            Tags::One(tag) if lane.ours.is_some() => {
                let Some(now) = lane.now.as_ref().filter(|it| it.label.is_some()) else {
                    return Ok(Tidied::default());
                };
                remove_replaced(&self.registry, (&now.digest, tag), &lane.tags, &used).await
            }
            Tags::One(tag) if how.reach == Reach::Everything => {
                self.remove_only(&lane, tag, &used, how).await
            }
            Tags::One(_) => Tidied::default(),
            Tags::Versions { .. } => self.remove_versions(&lane, &used, how).await,
        })
    }

    async fn remove_versions(&self, lane: &Lane, used: &BTreeSet<String>, how: &Sweep) -> Tidied {
        let instance = &self.aim.instance;
        let mut label = lane.now.as_ref().and_then(|it| it.label.clone());
        if let (Some(label), Some(now)) = (&mut label, &lane.now) {
            label.tags.push(now.tag.clone());
        }
        // Ours is the latest, and was not there when the tags were listed.
        let room = how.room(self.aim.keep).saturating_sub(usize::from(lane.ours.is_some()));
        let tags = stale(&lane.tags, label.as_ref(), instance, room);
        let may_go = |manifest: &Manifest| is_ours(manifest, instance, used);
        sweep(&self.registry, tags, used, how, may_go).await
    }

    /// The one tag of a lane that is given up, if a canary of ours stands behind it.
    async fn remove_only(
        &self,
        lane: &Lane,
        tag: &str,
        used: &BTreeSet<String>,
        how: &Sweep,
    ) -> Tidied {
        let label = lane.now.as_ref().and_then(|it| it.label.as_ref());
        if label.is_none_or(|it| it.canary.instance() != self.aim.instance) {
            return Tidied::default();
        }
        let may_go = |manifest: &Manifest| is_ours(manifest, &self.aim.instance, used);
        sweep(&self.registry, vec![tag.to_owned()], used, how, may_go).await
    }
}
