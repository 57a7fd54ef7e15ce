//! A clone made over the wire with the `git` program: how a robot commits to a repository.
//!
//! The program and not the library, because libgit2 is built without any transport here; and the
//! wire and not the folder, so that accounts, faults, refusals and webhooks are met as anybody
//! meets them.

use std::collections::BTreeMap;
use std::process::Command;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository, Signature};
use tempfile::TempDir;

use super::{Credentials, fetch};

/// Where a clone keeps what it fetched.
const FETCHED: &str = "refs/clone/fetched";

/// A shallow clone of one commit. Not for printing: it knows credentials.
pub struct WorkingClone {
    folder: TempDir,
    url: String,
    environment: Vec<(&'static str, String)>,
    id: String,
    content: BTreeMap<String, Vec<u8>>,
}

/// Why a clone or a push failed.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// The repository has no such ref or commit.
    #[error("couldn't find remote ref")]
    MissingRef,
    /// The credentials are missing, wrong or not enough.
    #[error("authentication required")]
    Unauthorized,
    /// There is no such repository.
    #[error("repository not found")]
    NotFound,
    /// What git says.
    #[error("{0}")]
    Other(String),
}

impl WorkingClone {
    /// Fetches what a full ref or a commit's id names. Blocks until git is done.
    ///
    /// # Errors
    /// When git fails, or cannot be run.
    pub fn new(
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &str,
        authority: Option<&str>,
    ) -> Result<Self, CloneError> {
        let folder = tempfile::Builder::new().prefix("sandbox-clone-").tempdir().map_err(other)?;
        let repository = Repository::init_bare(folder.path()).map_err(other)?;
        let mut environment = Vec::new();
        if let Some((user, password)) = credentials {
            let header = match user {
                "" => Credentials::Bearer(password.to_owned()).header(),
                user => Credentials::basic(user, password).header(),
            };
            environment.push(("GIT_CONFIG_COUNT", "1".to_owned()));
            environment.push(("GIT_CONFIG_KEY_0", "http.extraHeader".to_owned()));
            environment.push(("GIT_CONFIG_VALUE_0", format!("Authorization: {header}")));
        }
        if let Some(authority) = authority {
            let path = folder.path().join("authority.pem");
            std::fs::write(&path, authority).map_err(other)?;
            environment.push(("GIT_SSL_CAINFO", path.to_string_lossy().into_owned()));
        }
        let url = url.to_owned();
        let (id, content) = (String::new(), BTreeMap::new());
        let mut clone = Self { folder, url, environment, id, content };
        let wanted = format!("+{reference}:{FETCHED}");
        clone.git(&["fetch", "-q", "--no-tags", "--depth", "1", &clone.url, &wanted])?;
        let commit = repository.find_reference(FETCHED).and_then(|it| it.peel_to_commit());
        let commit = commit.map_err(other)?;
        let fetched = fetch::read(&repository, &commit).map_err(other)?;
        (clone.id, clone.content) = (fetched.commit, fetched.files);
        Ok(clone)
    }

    /// The commit that was fetched.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Every file of it, by its path.
    #[must_use]
    pub fn content(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.content
    }

    /// Makes a commit on top of what was fetched that writes some files; returns its id.
    ///
    /// # Errors
    /// When the objects cannot be written.
    pub fn commit_files(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        author: (&str, &str),
    ) -> Result<String, CloneError> {
        let make = || {
            let repository = Repository::open_bare(self.folder.path())?;
            let parent = repository.find_commit(Oid::from_str(&self.id)?)?;
            let mut changes = TreeUpdateBuilder::new();
            for (path, content) in files {
                changes.upsert(path.as_str(), repository.blob(content)?, FileMode::Blob);
            }
            let tree = changes.create_updated(&repository, &parent.tree()?)?;
            let tree = repository.find_tree(tree)?;
            let author = Signature::now(author.0, author.1)?;
            repository.commit(None, &author, &author, message, &tree, &[&parent])
        };
        make().map(|id| id.to_string()).map_err(other)
    }

    /// Pushes a commit to a full ref. Blocks until git is done.
    ///
    /// # Errors
    /// When the host refuses, or git cannot be run.
    pub fn push_commit(
        &self,
        id: &str,
        reference: &str,
        force: bool,
        options: &[String],
    ) -> Result<(), CloneError> {
        let wanted = format!("{}{id}:{reference}", if force { "+" } else { "" });
        let options = options.iter().flat_map(|option| ["-o", option.as_str()]);
        let end = [self.url.as_str(), wanted.as_str()];
        let arguments: Vec<&str> = ["push", "-q"].into_iter().chain(options).chain(end).collect();
        self.git(&arguments)
    }

    fn git(&self, arguments: &[&str]) -> Result<(), CloneError> {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(self.folder.path())
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ASKPASS", "true")
            .env("LC_ALL", "C")
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .map_err(other)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&["couldn't find remote ref", "not our ref"]) {
            return Err(CloneError::MissingRef);
        }
        if has(&["Authentication failed", "could not read Username", "error: 403"]) {
            return Err(CloneError::Unauthorized);
        }
        if has(&["not found"]) {
            return Err(CloneError::NotFound);
        }
        Err(CloneError::Other(said.trim().to_owned()))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn other(error: impl ToString) -> CloneError {
    CloneError::Other(error.to_string())
}
