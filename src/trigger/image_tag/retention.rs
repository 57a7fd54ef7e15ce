//! Takes away the tags of earlier canaries, but for a few.
//!
//! A tag that anybody names stays: the policy, a workload in sight, or git. Some registries delete
//! only manifests, with every tag that stands for them; those of people are never touched, so that
//! way is taken only for an image that says of itself that it is a canary of ours, and for which none
//! of their tags stands.

use crate::model::image_policy::canary_in;
use crate::model::{Marker, Stays, Tidied, tokens};
use crate::remote::registry::{self, Registry, Removal};
use crate::trigger::image_tag::image::{Label, stale};
use crate::trigger::image_tag::{Aim, ImageTag, Lane, Making};
use crate::trigger::{Error, Reach, Sweep};
use std::collections::BTreeSet;
use std::time::Duration;

/// How old may be what is known of git: a canary that is older than many others comes back rarely.
const FRESH: Duration = Duration::from_secs(60);

/// Most tags that go after one run: registries limit requests.
const MOST: usize = 2;

/// Most tags of others that are looked at before a manifest goes.
const MOST_OTHERS: usize = 20;

/// Why a tag stays that somebody names.
const NAMED: &str = "an object in the cluster, or a file in git, names it: it goes when none does";

/// Why a tag stays of which nobody can say who gave it to the image.
const UNTOLD: &str = "it is another name of the tag that is given new names, and leaves no room to tell \
                      who gave it: delete it if nobody needs it, or have the policy admit tags with \
                      a suffix";

/// How a tag was removed.
enum Removed {
    /// By itself.
    Alone,
    /// With its manifest, and so with all tags of that.
    WithManifest,
    /// Not at all, for this tag of somebody else would have gone too.
    With(String),
    /// Not at all, for there are so many tags of others that one may stand for it as well.
    AmongMany(usize),
}

/// The tags of others, and what they stand for; the number of those that are too many.
type Others = Result<Vec<(String, Option<String>)>, usize>;

/// What of a repository is ours.
pub(in crate::trigger) struct Own<'o> {
    /// Whether a manifest of this digest, which says this of itself, may go with all its tags.
    pub(in crate::trigger) may_go: &'o (dyn Fn(&str, Option<&Label>) -> bool + Send + Sync),
    /// Whether a tag is one that hopclock has pushed.
    pub(in crate::trigger) tag: &'o (dyn Fn(&str) -> bool + Send + Sync),
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
        let untold = match &self.aim.making {
            Making::Retag(tag) => self.untold(&lane, tag, how).await?,
            _ => Vec::new(),
        };
        let stale = self.stale(&lane, how);
        let mut own: Vec<_> = lane.label.iter().flat_map(|it| it.tags.clone()).collect();
        own.extend(lane.ours.iter().map(|it| it.tag.clone()));
        drop(lane);
        if stale.is_empty() {
            return Ok(Tidied { left: untold, ..Tidied::default() });
        }
        let used = self.used(how).await?;
        let by_manifest = self.aim.making == Making::Image;
        let instance = &self.aim.instance;
        let may_go = |digest: &str, label: Option<&Label>| {
            by_manifest && is_ours(digest, label, instance, &used)
        };
        let tag = |it: &str| own.iter().any(|own| own == it) || canary_in(it, instance).is_some();
        let own = Own { may_go: &may_go, tag: &tag };
        let mut tidied = sweep(&self.registry, stale, &used, how, &own).await;
        tidied.left.extend(untold);
        Ok(tidied)
    }

    /// The tags beyond those that stay that bear no canary, and stand for the image of `source` as
    /// those do that a canary gave it. Only the oldest are asked for.
    async fn untold(&self, lane: &Lane, source: &str, how: &Sweep) -> Result<Vec<Stays>, Error> {
        let Aim { policy, instance, .. } = &self.aim;
        let is_above = |it: &&String| {
            policy.prefers(it, source) && canary_in(it, instance).is_none() && *it != source
        };
        let mut all: Vec<_> = lane.tags.iter().filter(is_above).collect();
        all.sort_by(|one, other| policy.prefers(one, other).cmp(&policy.prefers(other, one)));
        all.truncate(all.len().saturating_sub(self.room(lane, how)));
        all.truncate(if how.reach == Reach::AfterRun { MOST } else { MOST_OTHERS });
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let image = self.registry.digest(source).await?;
        let mut left = Vec::new();
        for tag in all {
            if image.is_some() && self.registry.digest(tag).await? == image {
                left.push(Stays::new(tag, UNTOLD));
            }
        }
        Ok(left)
    }

    /// The tags of canaries beyond those that stay, the oldest first.
    fn stale(&self, lane: &Lane, how: &Sweep) -> Vec<String> {
        let Aim { instance, policy, .. } = &self.aim;
        stale(&lane.tags, lane.label.as_ref(), instance, policy, self.room(lane, how))
    }

    /// How many of the tags that were listed stay: ours is the latest, and was not there then.
    fn room(&self, lane: &Lane, how: &Sweep) -> usize {
        how.room(self.aim.keep).saturating_sub(usize::from(lane.ours.is_some()))
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
    digest: &str,
    label: Option<&Label>,
    instance: &str,
    used: &BTreeSet<String>,
) -> bool {
    let ours = label.is_some_and(|it| it.canary.instance() == instance);
    ours && !used.contains(digest.trim_start_matches("sha256:"))
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
    own: &Own<'_>,
) -> Tidied {
    let mut tidied = Tidied::default();
    let mut room = if how.reach == Reach::AfterRun { MOST } else { usize::MAX };
    // What keeps all the others from being removed as well.
    let mut hindrance: Option<String> = None;
    let mut others: Option<Others> = None;
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
            match remove(registry, &tag, own, &mut others).await {
                Ok(Removed::With(other)) => {
                    let why = format!(
                        "the tag `{other}` of somebody else stands for its image, and the registry \
                         deletes only both: it goes when they do"
                    );
                    tidied.used.push(Stays::new(tag, why));
                    continue;
                }
                Ok(Removed::AmongMany(many)) => {
                    hindrance = Some(format!(
                        "the registry deletes images only with all their tags, and among {many} tags \
                         of others one may stand for it as well: give canaries an image repository \
                         of their own"
                    ));
                    tidied.left.extend(hindrance.iter().map(|why| Stays::new(&*tag, why)));
                    continue;
                }
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
    own: &Own<'_>,
    others: &mut Option<Others>,
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
    let (digest, label) = (manifest.digest(), Label::of_image(&manifest, registry).await?);
    if !(own.may_go)(&digest, label.as_ref()) {
        return Err(refused);
    }
    let all = match others {
        Some(all) => all,
        None => others.insert(others_in(registry, own).await?),
    };
    match all {
        Err(many) => return Ok(Removed::AmongMany(*many)),
        Ok(all) => {
            if let Some(other) = all.iter().find(|it| it.1.as_ref() == Some(&digest)) {
                return Ok(Removed::With(other.0.clone()));
            }
        }
    }
    registry.delete_manifest(&digest).await?;
    Ok(Removed::WithManifest)
}

/// The tags of others at this moment, unless there are too many to ask for each.
async fn others_in(registry: &Registry, own: &Own<'_>) -> Result<Others, registry::Error> {
    let mut all = registry.tags().await?;
    all.retain(|it| !(own.tag)(it));
    if all.len() > MOST_OTHERS {
        return Ok(Err(all.len()));
    }
    let mut others = Vec::new();
    for tag in all {
        let digest = registry.digest(&tag).await?;
        others.push((tag, digest));
    }
    Ok(Ok(others))
}
