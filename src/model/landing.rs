//! Where a change lands: what a trigger pushes to, and what it rewrites there.
//!
//! The trigger knows it, and the path proves by it that the change is delivered (rule P7) and may be
//! made (rules S0 to S4).

use crate::model::Subject;

/// The branch that a trigger pushes to, and the file that it rewrites there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The GitRepository that the trigger names.
    pub source: Option<Subject>,
    /// Address of the repository, without credentials.
    pub url: String,
    /// The branch.
    pub branch: String,
    /// The file, relative to the root.
    pub path: String,
    /// Whether the scenario says that others use the source too.
    pub shared: bool,
    /// Whether it replaces commits of the branch.
    pub replaces: bool,
    /// What it signs its commits with.
    pub signs_with: Option<Signature>,
}

/// The image repository that a trigger pushes a tag to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLanding {
    /// The ImagePolicy that is to choose the tag.
    pub policy: Subject,
    /// The repository, one name for all its spellings.
    pub repository: String,
}

/// The repository of artifacts that a trigger pushes to, and the file that it writes into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactLanding {
    /// The OCIRepository that the trigger names.
    pub source: Option<Subject>,
    /// The repository, one name for all its spellings: `host/path`.
    pub repository: String,
    /// The tag that is pushed; none where each canary has a version of its own.
    pub tag: Option<String>,
    /// The file, relative to the root of the artifact.
    pub path: String,
    /// Whether the scenario says that others use the artifact too.
    pub shared: bool,
}

/// The bucket that a trigger writes to, and the object that it rewrites there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketLanding {
    /// The Bucket that the trigger names.
    pub source: Option<Subject>,
    /// The bucket, as messages name it.
    pub place: String,
    /// The host of its server.
    pub host: String,
    /// Its name.
    pub bucket: String,
    /// The object.
    pub key: String,
    /// Whether the scenario says that others use the source too.
    pub shared: bool,
}

/// What a trigger signs its commits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// A GPG key.
    Gpg,
    /// An SSH key.
    Ssh,
}
