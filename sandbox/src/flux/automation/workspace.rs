//! Where automation commits: the one thing that image-automation-controller needs of a git host.
//!
//! A trait, so that tests in virtual time can bring a host that needs neither sockets nor git.

use crate::flux::artifacts::Files;
use crate::flux::source::FetchFailure;
use crate::flux::source::Reference;
use crate::flux::source::SourceFetcher;

/// A commit to make on top of a clone, and where to push it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushOrder {
    /// The files that change, complete.
    pub files: Files,
    /// The message.
    pub message: String,
    /// Name and e-mail address of its author.
    pub author: (String, String),
    /// The refs to push it to, in order, and whether what is there may be lost.
    pub to: Vec<(String, bool)>,
    /// Options for the server, each `key` or `key=value`.
    pub options: Vec<String>,
}

/// A clone that a commit can be made on.
pub trait Workspace: Send {
    /// The commit that was cloned, 40 hexadecimal digits.
    fn commit(&self) -> &str;

    /// Every file of it, by its path.
    fn files(&self) -> &Files;

    /// Makes a commit and pushes it; answers its id. The error is what git says.
    ///
    /// # Errors
    ///
    /// When the host refuses or does not answer.
    fn push(&mut self, order: &PushOrder) -> Result<String, String>;
}

/// A git host that takes commits too. Both calls may block.
pub trait SourcePusher: SourceFetcher {
    /// Clones what a reference points to; credentials are user and password.
    ///
    /// # Errors
    ///
    /// When the host does not answer, refuses, or has no such reference.
    fn clone_at(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &Reference,
    ) -> Result<Box<dyn Workspace>, FetchFailure>;
}
