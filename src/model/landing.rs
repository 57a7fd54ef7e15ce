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

/// The Receiver that a trigger calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverLanding {
    /// The Receiver.
    pub receiver: Subject,
    /// Whether the scenario says that everything that it lists may be woken.
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
