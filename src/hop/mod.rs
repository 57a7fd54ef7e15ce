//! Hops: the steps that a change has to take, and how to tell that it has taken one.
//!
//! A detector never waits, reads a clock or asks the cluster: it is shown states and answers. To
//! add a kind: write `hop/<kind>.rs` with its config and its `impl Detector`, then add its variant
//! to [`HopConfig`] and its arm to [`HopConfig::kind`]. Nothing else knows the kinds.

mod applied;
mod automation_committed;
mod bystander;
mod chart;
mod condition;
mod image_scanned;
mod live;
mod merged;
mod names;
mod notified;
mod place;
mod policy_updated;
mod presets;
mod released;
mod request;
mod rolled_out;
mod source_fetched;
mod token;
mod webhook_received;

#[cfg(test)]
pub(crate) mod tests;

use crate::model::{Change, Revision, RevisionSort, Sighting, State, Subject, When};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use applied::{Applied, AppliedConfig};
pub use automation_committed::{AutomationCommitted, AutomationCommittedConfig, BranchCommitted};
pub use bystander::Bystander;
pub use condition::{Condition, ConditionConfig, NotAnExpression};
pub use image_scanned::{ImageScanned, ImageScannedConfig};
pub use live::{Live, LiveConfig, ObjectConfig};
pub use merged::{Merged, MergedConfig};
pub use notified::{Notified, NotifiedConfig};
pub use place::Place;
pub use policy_updated::{PolicyUpdated, PolicyUpdatedConfig};
pub use released::Released;
pub use rolled_out::{RolledOut, RolledOutConfig};
pub use source_fetched::{SourceFetched, SourceFetchedConfig};
pub use webhook_received::{Annotated, Upstream, WebhookReceived, WebhookReceivedConfig};

/// Recognises the change in the states of one subject.
pub trait Detector: Send + Sync + fmt::Debug {
    /// Says what `now` shows, in the light of the states before it. Pure: the same states and the
    /// same change always give the same sighting.
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting;

    /// What the states so far tell once a hop directly behind this one was reached, at `next`, and
    /// this one was not seen.
    fn look_back(&self, _states: &[State], _next: When, _change: &Change) -> Sighting {
        Sighting::NotYet
    }

    /// What can still be said when the run is over, from all states that were shown.
    fn finish(&self, _past: &[State], _change: &Change) -> Sighting {
        Sighting::NotYet
    }

    /// The revisions that a state shows; those nobody knows have to be asked for (rule T9).
    fn revisions(&self, _now: &State) -> Vec<Revision> {
        Vec::new()
    }

    /// The revisions that Flux has made from ours, as `now` tells (rule T8): an automation's
    /// commit, the digest behind a tag.
    fn learns(&self, _past: &[State], _now: &State, _change: &Change) -> Vec<Revision> {
        Vec::new()
    }

    /// Whether a revision that it shows may be ours, though nobody could compute ours beforehand:
    /// it is a candidate then (rule P9).
    fn supposes(&self, _revision: &Revision, _change: &Change) -> bool {
        false
    }

    /// Whether it tells the change by a mark of its own, and so knows better than a candidate.
    fn knows_better(&self, _change: &Change) -> bool {
        false
    }

    /// Whether the revisions that it shows are those that it applies.
    fn applies(&self) -> bool {
        false
    }

    /// Whether hopclock itself has to do something for the change to get here, once the hops before
    /// it are reached.
    fn needs_errand(&self) -> bool {
        false
    }

    /// Who has to work for the hop to be seen at all, beside its subject: the Receiver of a webhook.
    fn relies_on(&self) -> Option<&Subject> {
        None
    }

    /// Whether `now` has lost the change that was here before (rule P11).
    fn has_lost(&self, _now: &State, _change: &Change) -> bool {
        false
    }
}

/// A kind of hop, as a scenario asks for it.
pub trait Kind: Send + Sync {
    /// What the engine has to know of the kind, beside its detector.
    fn traits(&self) -> Traits;

    /// What is looked at; none if the scenario does not say.
    fn subject(&self) -> Option<Subject>;

    /// Further objects that have to be there (rule P6).
    fn needs(&self) -> Vec<Subject> {
        Vec::new()
    }

    /// Whether the detector depends on what the subject is like.
    fn reads_subject(&self) -> bool {
        false
    }

    /// Where else the hop may be seen, and earlier; `objects` are those of
    /// [`Kind::detector`].
    fn witnesses(&self, _objects: &Objects) -> Vec<(Subject, Arc<dyn Detector>)> {
        Vec::new()
    }

    /// Whether a change that is recognised by revisions of this sort ever passes here, as far as
    /// the scenario tells and, where they are given, the objects of [`Kind::detector`].
    ///
    /// # Errors
    /// One sentence that says why not, and what would mend that.
    fn suits(&self, _sort: RevisionSort, _objects: Option<&Objects>) -> Result<(), String> {
        Ok(())
    }

    /// Builds the detector. `objects` holds the needs and, where it is one of Flux's or there are
    /// needs, the subject; the subject, too, if it is read and there is one.
    ///
    /// # Errors
    /// One sentence that says why the change could never be seen, and what would mend that.
    fn detector(&self, objects: &Objects) -> Result<Arc<dyn Detector>, String>;
}

/// Objects of the cluster.
pub type Objects = BTreeMap<Subject, Value>;

/// What recognises the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HopConfig {
    /// Flux's Receiver annotated an object: the webhook arrived.
    WebhookReceived(Box<WebhookReceivedConfig>),
    /// The registry was scanned, and shows our tag.
    ImageScanned(ImageScannedConfig),
    /// The image policy has chosen our tag, or our digest.
    PolicyUpdated(PolicyUpdatedConfig),
    /// The automation has committed the policy's choice.
    AutomationCommitted(AutomationCommittedConfig),
    /// The automation's commit is on the branch that is fetched.
    Merged(MergedConfig),
    /// The source's artifact carries the change.
    SourceFetched(SourceFetchedConfig),
    /// The applier reports the change as applied.
    Applied(AppliedConfig),
    /// An object in the cluster carries the change.
    Live(Box<LiveConfig>),
    /// All replicas of a workload run the change.
    RolledOut(RolledOutConfig),
    /// An expression over an object is true.
    Condition(Box<ConditionConfig>),
    /// Flux told our listener that the change was applied.
    Notified(NotifiedConfig),
}

/// What the engine has to know of a kind of hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The kind's name, as in scenarios.
    pub kind: &'static str,
    /// Where in the path it stands.
    pub place: Place,
    /// Whether a run has to reach it where the scenario does not say (rule P3).
    pub required: bool,
}

// === impl HopConfig ===

impl HopConfig {
    /// The kind that the scenario asks for.
    #[must_use]
    pub fn kind(&self) -> &dyn Kind {
        match self {
            Self::WebhookReceived(config) => &**config,
            Self::ImageScanned(config) => config,
            Self::PolicyUpdated(config) => config,
            Self::AutomationCommitted(config) => config,
            Self::Merged(config) => config,
            Self::SourceFetched(config) => config,
            Self::Applied(config) => config,
            Self::Live(config) => &**config,
            Self::RolledOut(config) => config,
            Self::Condition(config) => &**config,
            Self::Notified(config) => config,
        }
    }
}
