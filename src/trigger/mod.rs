//! Triggers: the things that make a change.
//!
//! To add a kind: write `trigger/<kind>.rs` with its config, its `impl Kind` and its `impl Trigger`,
//! then add its variant to [`TriggerConfig`] and its arm to [`TriggerConfig::kind`]. Nothing else
//! knows the kinds.

mod bucket_object;
mod git_access;
mod git_commit;
mod helm_chart;
mod image_tag;
mod oci_artifact;
mod receiver;
mod registry_access;
mod signing;
mod site;

use crate::model::{
    Ancestry, ArtifactLanding, BucketLanding, CanaryId, ChartLanding, ImageLanding, Landing,
    Moment, ProbeError, ReceiverLanding, Revision, RevisionSort, Subject, Survey, Tidied, Usage,
    When,
};
use crate::remote::git::signing::Signer;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

pub use crate::remote::registry::fits_archive;
pub use bucket_object::{BucketAuth, BucketObject, BucketObjectConfig};
pub use git_access::{GitAuth, open_branch};
pub use git_commit::{
    Author, Builds, Content, EditTemplate, GitCommit, GitCommitConfig, PLACEHOLDER, PushMode,
    is_over_ssh,
};
pub use helm_chart::{ChartBranch, ChartBucket, HelmChartConfig};
pub use image_tag::{ImageDigestConfig, ImageTag, ImageTagConfig};
pub use oci_artifact::{OciArtifact, OciArtifactConfig};
pub use receiver::{ReceiverGet, ReceiverGetConfig, ReceiverPost, ReceiverPostConfig};
pub use registry_access::{RegistryAuth, why_no_repository};
pub use signing::{Signing, SigningKey};
pub use site::{SecretSource, Site, unusable};

/// A kind of trigger, as a scenario asks for it.
#[async_trait::async_trait]
pub trait Kind: Send + Sync {
    /// What sort of revision it announces, by which hops recognise the change: `image_tag` a tag,
    /// `image_digest` a digest and no tag, `receiver_post` nothing.
    fn announces(&self) -> RevisionSort;

    /// Whether the scenario says that others use what is pushed to as well (rule S1).
    fn is_shared(&self) -> bool {
        false
    }

    /// Further objects that have to be there, and must not be suspended (rules P5 and P6).
    fn needs(&self) -> Vec<Subject> {
        Vec::new()
    }

    /// Builds the trigger. Nothing is pushed.
    ///
    /// # Errors
    /// If something that it needs cannot be had, or would never work.
    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError>;
}

/// A trigger, and what has to be proven before it pushes.
pub struct Built {
    /// It.
    pub trigger: Arc<dyn Trigger>,
    /// Where its changes go.
    pub destination: Destination,
}

/// Where changes go: what has to be proven before anything is pushed there.
pub enum Destination {
    /// To a branch, signed by this key if there is one.
    Branch(Box<Landing>, Option<Signer>),
    /// To an image repository, for a policy to choose.
    Image(ImageLanding),
    /// To a repository of artifacts, for an OCIRepository to fetch.
    Artifact(ArtifactLanding),
    /// To a bucket.
    Bucket(Box<BucketLanding>),
    /// To a chart repository, for a release to take.
    Chart(Box<ChartLanding>),
    /// To a Receiver, which wakes what it lists.
    Receiver(ReceiverLanding),
    /// Nowhere: it has no effect.
    Nowhere,
}

/// Makes one change per run, in two steps (rule T1).
#[async_trait::async_trait]
pub trait Trigger: Send + Sync {
    /// What no two runs must use at once (rule S5): one name for all spellings, without
    /// credentials.
    fn lane(&self) -> String;

    /// The latest canary of the lane on the remote; the next one must be later (rule T9).
    async fn latest(&self) -> Result<Option<CanaryId>, Error>;

    /// What stands beside the latest canary, and those of these files that are there: what
    /// [`Trigger::latest`] has fetched is looked at, and nothing asked again. None if the remote
    /// has no tree of files.
    async fn survey(&self, _files: &[String]) -> Result<Option<Survey>, Error> {
        Ok(None)
    }

    /// Makes the change locally, and says which revisions will carry it. What nobody sees before it
    /// is named, such as blobs and archives, may be sent already; nothing becomes visible.
    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error>;

    /// Sends what was prepared, unless somebody else has written there since [`Trigger::latest`]
    /// looked (rule S5); returns when it was sent and acknowledged.
    ///
    /// Where the remote binds a write to what was read, it finds that out by itself. Registries do
    /// not: there the tag is read once more, right before the one request that makes it visible.
    /// An attempt that has to be made again announces its new revisions before it is sent. If the
    /// remote gives no answer it is read once (rule T2): a change that is there was acknowledged
    /// between sending and now, one that is not is an error. Nothing is ever sent again blindly.
    async fn publish(
        &self,
        announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error>;

    /// Finds out whether a change that an earlier process was about to publish is on the remote,
    /// and with which revisions; none if it is not. From then on [`Trigger::ancestry`] speaks of
    /// that change. Reads only.
    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error>;

    /// What another's revision means for the change that was published (rule T9). A commit carries
    /// an image if its tree holds our tag; a tag or digest that a policy chose instead means that
    /// ours is gone if the policy orders it above ours, else not yet.
    async fn ancestry(&self, revision: &Revision) -> Ancestry;

    /// Takes away what earlier runs have left on the remote (rule S6): behind a run, or behind
    /// [`Trigger::latest`]. The lane has to be ours meanwhile.
    ///
    /// # Errors
    /// If it cannot be known what is there, or whether it is used: then nothing was taken away.
    async fn tidy(&self, _sweep: &Sweep) -> Result<Tidied, Error> {
        Ok(Tidied::default())
    }

    /// What was asked so far of the remote that it pushes to. A trigger is built for one run, so
    /// that is what the run has cost; nothing where nobody counts.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

/// How much is to be taken away, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// How much.
    pub reach: Reach,
    /// Whether it is only told what would be taken away.
    pub is_dry: bool,
    /// Texts that may name what is still used, beside what the remote itself tells.
    pub sights: Vec<String>,
}

/// How much is to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A little of what is beyond those that stay: a run costs few requests.
    AfterRun,
    /// All that is beyond those that stay.
    Surplus,
    /// Every canary of ours on the lane, which is given up.
    Everything,
}

/// A change that is on its remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// When the last attempt was sent.
    pub sent: Moment,
    /// When it was acknowledged: zero.
    pub zero: When,
    /// How often it was sent.
    pub attempts: u32,
}

/// What makes the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerConfig {
    /// Pushes a commit that rewrites one file.
    GitCommit(Box<GitCommitConfig>),
    /// Pushes an image tag that an ImagePolicy will choose.
    ImageTag(Box<ImageTagConfig>),
    /// Pushes a new image under the tag that an ImagePolicy chooses already.
    ImageDigest(Box<ImageDigestConfig>),
    /// Pushes an OCI artifact with one file in it.
    OciArtifact(Box<OciArtifactConfig>),
    /// Writes an object to a bucket.
    BucketObject(Box<BucketObjectConfig>),
    /// Pushes a new version of a Helm chart.
    HelmChart(Box<HelmChartConfig>),
    /// Calls a Receiver, correctly signed.
    ReceiverPost(Box<ReceiverPostConfig>),
    /// Calls a Receiver so that nothing happens.
    ReceiverGet(Box<ReceiverGetConfig>),
}

/// A change that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Bounded name for the label `reason`.
    pub reason: &'static str,
    /// One sentence: what, where, what to do.
    pub message: String,
}

// === impl Sweep ===

impl Sweep {
    /// What is taken away after a run.
    #[must_use]
    pub fn after_run() -> Self {
        Self { reach: Reach::AfterRun, is_dry: false, sights: Vec::new() }
    }

    /// How many canaries stay, of a lane that keeps so many.
    #[must_use]
    pub fn room(&self, keep: usize) -> usize {
        if self.reach == Reach::Everything { 0 } else { keep }
    }
}

// === impl TriggerConfig ===

impl TriggerConfig {
    /// The kind that the scenario asks for.
    #[must_use]
    pub fn kind(&self) -> &dyn Kind {
        match self {
            Self::GitCommit(config) => &**config,
            Self::ImageTag(config) => &**config,
            Self::ImageDigest(config) => &**config,
            Self::OciArtifact(config) => &**config,
            Self::BucketObject(config) => &**config,
            Self::HelmChart(config) => &**config,
            Self::ReceiverPost(config) => &**config,
            Self::ReceiverGet(config) => &**config,
        }
    }
}
