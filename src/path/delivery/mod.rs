//! Proof of delivery: why a change that is pushed here would never arrive, or must not be pushed.
//!
//! Rules P7 and S0 to S4, each as a pure function over objects that somebody else has read. A
//! change that cannot arrive would be measured as an outage, so it is refused before it is made.

mod applier;
mod artifact;
mod bucket;
mod charted;
mod consent;
mod ignored;
mod include;
mod kustomization;
mod marked;
pub(in crate::path) mod place;
mod proof;
mod reference;
mod rivals;
mod shared;
mod sparse;
mod told;
mod verify;

use crate::model::ProbeError;
use std::fmt;

pub use bucket::subjects;
pub use consent::{CONSENT, Consent, command as consent_command};
pub use kustomization::MOST_ROUNDS;
pub use marked::check_markers;
pub use proof::{Pipeline, Tree};
pub use reference::branch_of;
pub use rivals::Rivals;
pub use shared::{KINDS, Neighbours, Woken};
pub use told::{Feeds, check_told};
pub use verify::trusted_keys;

/// Every reason for which nothing is pushed, and when it is given; the README lists them.
pub const REASONS: [(&str, &str); 25] = [
    ("pinned_commit", "the source is pinned to a commit"),
    (
        "needs_tag_trigger",
        "the source follows tags or versions, and the trigger pushes to a branch",
    ),
    ("another_branch", "the source follows another branch than the trigger pushes to"),
    ("another_repository", "the source follows another repository, and includes none of ours"),
    (
        "another_chart",
        "a hop looks at a release, a chart or a source that never takes the trigger's chart",
    ),
    ("pinned_digest", "the OCIRepository is pinned to a digest"),
    ("another_tag", "the OCIRepository follows another tag, or versions, than the trigger pushes"),
    ("layer_not_selected", "the OCIRepository selects a layer of another type than the trigger's"),
    ("another_bucket", "the source fetches from another bucket than the trigger writes to"),
    ("outside_prefix", "the object does not begin with the `spec.prefix` of the Bucket"),
    ("ignored", "Flux's own exclusions, a `.sourceignore` or `spec.ignore` leave the file out"),
    ("outside_sparse_checkout", "the file lies in no folder of `spec.sparseCheckout`"),
    ("outside_include", "the source includes ours, but not the folder of the file"),
    (
        "include_needs_live",
        "an `applied` hop behind an include: the revision it shows is another's",
    ),
    ("applier_of_another_source", "a Kustomization of an `applied` hop applies another source"),
    (
        "outside_applier",
        "the file lies under no Kustomization's `spec.path`, nor is it in an inventory",
    ),
    ("not_in_kustomization", "a `kustomization.yaml` on the way does not lead to the file"),
    (
        "no_consent",
        "neither the source bears the annotation, nor does the branch hold only canaries",
    ),
    ("foreign_consent", "the source is annotated for another instance"),
    ("foreign_canary", "the branch or the file holds canaries of another instance"),
    ("shared_source", "others use the source too, and the trigger does not say `shared: true`"),
    ("automation_pushes", "`replace` on a branch that an ImageUpdateAutomation pushes to"),
    (
        "policy_used_elsewhere",
        "the image policy's choice is written to something else than what the scenario waits for, or another \
         policy would choose the tag too",
    ),
    (
        "replaces_content",
        "`image_tag` without `retag`, or `image_digest`, where a Deployment, StatefulSet or DaemonSet would \
         run its image",
    ),
    ("verify_unsatisfied", "the source takes only what is signed, and the trigger's would not do"),
];

/// Why nothing is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Bounded name for the label `reason`.
    pub reason: &'static str,
    /// One sentence: what, where, what to do.
    pub message: String,
}

// === impl Refusal ===

impl Refusal {
    /// A refusal for one of [`REASONS`].
    #[must_use]
    pub fn new(reason: &'static str, message: impl fmt::Display) -> Self {
        debug_assert!(REASONS.iter().any(|it| it.0 == reason), "`{reason}` is not listed");
        Self { reason, message: message.to_string() }
    }
}

impl From<Refusal> for ProbeError {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.reason.to_owned(), message: refusal.message }
    }
}
