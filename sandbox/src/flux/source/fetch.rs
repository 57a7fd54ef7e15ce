//! Where commits come from: the one thing that source-controller needs of a git host.
//!
//! A trait, so that tests in virtual time can bring a host that needs neither sockets nor git.

use crate::flux::artifacts::Files;

/// What a source follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A branch by its short name.
    Branch(String),
    /// A tag by its short name.
    Tag(String),
    /// Any ref by its full name.
    Name(String),
    /// A commit by its id.
    Commit(String),
}

/// A commit with everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedCommit {
    /// The commit's id, 40 hexadecimal digits.
    pub commit: String,
    /// The signature that it carries.
    pub signed: Option<SignedText>,
    /// Every file, by its path.
    pub files: Files,
    /// The first line of its message.
    pub subject: String,
}

/// A commit's signature, and what it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText {
    /// The signature, armored.
    pub signature: String,
    /// The commit without it.
    pub text: Vec<u8>,
}

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The host refuses connections.
    Down,
    /// The host does not know the repository.
    NotFound,
    /// The credentials are missing or wrong.
    Unauthorized,
    /// The repository has no such ref or commit.
    MissingRef,
}

/// A git host as a controller in the same process sees it.
pub trait SourceFetcher: Send + Sync + 'static {
    /// Reads the commit behind a reference; credentials are user and password.
    ///
    /// # Errors
    ///
    /// Every [`FetchFailure`], as a clone over the wire would fail.
    fn fetch(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &Reference,
    ) -> Result<FetchedCommit, FetchFailure>;
}

impl Reference {
    /// The name that a git server lists it under.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
            Self::Name(name) | Self::Commit(name) => name.clone(),
        }
    }
}

impl FetchFailure {
    /// The message that source-controller reports for it.
    pub(crate) fn message(&self, url: &str, reference: &Reference) -> String {
        let why = match self {
            Self::Down => {
                let host = host_of(url);
                format!(
                    "unable to list remote for '{url}': Get \"{url}/info/refs?service=\
                     git-upload-pack\": dial tcp {host}: connect: connection refused"
                )
            }
            Self::NotFound => {
                format!("unable to list remote for '{url}': repository not found")
            }
            Self::Unauthorized => {
                format!("unable to list remote for '{url}': authentication required")
            }
            Self::MissingRef => format!(
                "unable to clone '{url}': couldn't find remote ref \"{}\"",
                reference.full_name()
            ),
        };
        format!("failed to checkout and determine revision: {why}")
    }
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_reported_in_the_words_of_source_controller() {
        let url = "http://127.0.0.1:3300/fleet.git";
        let main = Reference::Branch("nope".to_owned());
        assert_eq!(
            FetchFailure::Down.message(url, &main),
            "failed to checkout and determine revision: unable to list remote for \
             'http://127.0.0.1:3300/fleet.git': Get \"http://127.0.0.1:3300/fleet.git/info/refs?\
             service=git-upload-pack\": dial tcp 127.0.0.1:3300: connect: connection refused"
        );
        assert_eq!(
            FetchFailure::MissingRef.message(url, &main),
            "failed to checkout and determine revision: unable to clone \
             'http://127.0.0.1:3300/fleet.git': couldn't find remote ref \"refs/heads/nope\""
        );
    }

    #[test]
    fn a_password_in_a_url_is_no_part_of_the_host() {
        assert_eq!(host_of("https://me:secret@git.example/x.git"), "git.example");
    }
}
