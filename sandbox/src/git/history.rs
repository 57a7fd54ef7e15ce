//! Commits made on the host itself: what other people and bots do to a branch.
//!
//! They land in the same bare repositories that git serves and are stamped like pushes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Oid, Repository, RepositoryInitOptions, Signature};
use jiff::Timestamp;
use tokio::time::Instant;

use super::pkt::Command;
use super::{Error, GitHost, Shared, webhook};

/// Who moved a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatedBy {
    /// A push over the wire.
    Push,
    /// A call of this process.
    Host,
}

/// One moved ref and the moment from which others could see it.
#[derive(Debug, Clone)]
pub struct RefUpdate {
    /// The repository's name.
    pub repository: String,
    /// The ref's full name.
    pub reference: String,
    /// What it pointed to, zeros if it is new.
    pub old: String,
    /// What it points to, zeros if it is gone.
    pub new: String,
    /// When git's report of it arrived, right after the ref had moved.
    pub at: Instant,
    /// The same by the wall clock.
    pub wall: Timestamp,
    /// Who moved it.
    pub by: UpdatedBy,
    /// The options of the push, each `key` or `key=value`.
    pub options: Vec<String>,
}

/// A commit to make on the host.
#[derive(Debug, Clone, Default)]
pub struct NewCommit {
    branch: String,
    message: String,
    files: BTreeMap<String, Option<String>>,
    parents: Option<Vec<String>>,
    signature: Option<String>,
}

impl NewCommit {
    /// A commit on the branch's tip (the first one if there is none) that changes nothing yet.
    #[must_use]
    pub fn new(branch: &str, message: &str) -> Self {
        Self { branch: branch.to_owned(), message: message.to_owned(), ..Self::default() }
    }

    /// Writes one file.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), Some(content.to_owned()));
        self
    }

    /// Writes several files.
    #[must_use]
    pub fn files(self, files: &[(&str, &str)]) -> Self {
        files.iter().fold(self, |commit, (path, content)| commit.file(path, content))
    }

    /// Removes one file.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), None);
        self
    }

    /// Builds on these commits instead of the tip: a merge, or a rewritten branch.
    #[must_use]
    pub fn on(mut self, parents: &[&str]) -> Self {
        self.parents = Some(parents.iter().map(|&id| id.to_owned()).collect());
        self
    }

    /// Carries a signature, whose text nobody checks.
    #[must_use]
    pub fn signed(mut self, signature: &str) -> Self {
        self.signature = Some(signature.to_owned());
        self
    }
}

impl GitHost {
    /// Makes a commit, moves its branch there, and returns its id. Webhooks follow.
    ///
    /// # Errors
    /// When the repository or a parent is unknown.
    pub fn commit(&self, url: &str, commit: &NewCommit) -> Result<String, Error> {
        let reference = format!("refs/heads/{}", commit.branch);
        self.write(url, &reference, "make a commit", |repository| make(repository, commit))
    }

    /// Points a branch at an existing commit, whatever it pointed to. Webhooks follow.
    ///
    /// # Errors
    /// When the repository or the commit is unknown.
    pub fn force(&self, url: &str, branch: &str, id: &str) -> Result<(), Error> {
        let find = |repository: &Repository| Ok(repository.find_commit(Oid::from_str(id)?)?.id());
        self.write(url, &format!("refs/heads/{branch}"), "move a branch", find).map(drop)
    }

    /// Points a lightweight tag at an existing commit. Webhooks follow.
    ///
    /// # Errors
    /// When the repository or the commit is unknown.
    pub fn tag(&self, url: &str, tag: &str, id: &str) -> Result<(), Error> {
        let find = |repository: &Repository| Ok(repository.find_commit(Oid::from_str(id)?)?.id());
        self.write(url, &format!("refs/tags/{tag}"), "set a tag", find).map(drop)
    }

    /// Removes a branch.
    ///
    /// # Errors
    /// When the repository or the branch is unknown.
    pub fn delete_branch(&self, url: &str, branch: &str) -> Result<(), Error> {
        let shared = &self.inner.shared;
        let delete = || {
            let repository = Repository::open_bare(shared.path_of(url)?).map_err(git("open"))?;
            let reference = repository.find_reference(&format!("refs/heads/{branch}"));
            reference.and_then(|mut found| found.delete()).map_err(git("delete a branch"))
        };
        delete()
    }

    /// The commit that a branch points to.
    ///
    /// # Errors
    /// When the repository or the branch is unknown.
    pub fn tip(&self, url: &str, branch: &str) -> Result<String, Error> {
        let path = self.inner.shared.path_of(url)?;
        let find = || {
            let repository = Repository::open_bare(path)?;
            let reference = repository.find_reference(&format!("refs/heads/{branch}"))?;
            Ok(reference.peel_to_commit()?.id().to_string())
        };
        find().map_err(git("find a branch"))
    }

    fn write(
        &self,
        url: &str,
        reference: &str,
        what: &'static str,
        make: impl FnOnce(&Repository) -> Result<Oid, git2::Error>,
    ) -> Result<String, Error> {
        let shared: &Arc<Shared> = &self.inner.shared;
        let name = shared.name_of(url)?;
        let write = || {
            let repository = Repository::open_bare(shared.folder(&name))?;
            let old = repository.refname_to_id(reference).unwrap_or(Oid::ZERO_SHA1);
            let new = make(&repository)?;
            repository.reference(reference, new, true, what)?;
            let reference = reference.to_owned();
            Ok(Command { old: old.to_string(), new: new.to_string(), reference })
        };
        let command = write().map_err(git(what))?;
        let update = shared.stamp(&name, &command, Instant::now(), UpdatedBy::Host, &[]);
        shared.runtime.spawn(webhook::send(shared, &update));
        Ok(command.new)
    }
}

impl Shared {
    /// Writes down that a ref has moved.
    pub(super) fn stamp(
        &self,
        name: &str,
        command: &Command,
        at: Instant,
        by: UpdatedBy,
        options: &[String],
    ) -> RefUpdate {
        let wall = Timestamp::now();
        let update = RefUpdate {
            repository: name.to_owned(),
            reference: command.reference.clone(),
            old: command.old.clone(),
            new: command.new.clone(),
            at,
            wall: wall.checked_sub(at.elapsed()).unwrap_or(wall),
            by,
            options: options.to_vec(),
        };
        self.lock().updates.push(update.clone());
        // Nobody listening is no loss: the list has it.
        let _ = self.moved.send(update.clone());
        update
    }
}

/// Makes the bare repository of a name, served as a public host would.
pub(super) fn create(shared: &Shared, name: &str, branch: &str) -> Result<(), Error> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).no_reinit(true).mkpath(true).external_template(false).initial_head(branch);
    let create = || {
        let repository = Repository::init_opts(shared.folder(name), &options)?;
        let mut config = repository.config()?;
        config.set_bool("http.receivepack", true)?;
        config.set_bool("uploadpack.allowAnySHA1InWant", true)?;
        config.set_bool("receive.autogc", false)?;
        config.set_bool("receive.advertisePushOptions", true)?;
        config.set_str("core.hooksPath", "/dev/null")
    };
    create().map_err(git("create a repository"))
}

/// The message of a commit, if there is such a commit.
pub(super) fn message(folder: &Path, id: &str) -> Option<String> {
    let repository = Repository::open_bare(folder).ok()?;
    let commit = repository.find_commit(Oid::from_str(id).ok()?).ok()?;
    Some(String::from_utf8_lossy(commit.message_bytes()).into_owned())
}

fn make(repository: &Repository, commit: &NewCommit) -> Result<Oid, git2::Error> {
    let parents = match &commit.parents {
        Some(ids) => ids.iter().map(|id| repository.find_commit(Oid::from_str(id)?)).collect(),
        None => match repository.find_reference(&format!("refs/heads/{}", commit.branch)) {
            Ok(tip) => tip.peel_to_commit().map(|tip| vec![tip]),
            Err(_) => Ok(Vec::new()),
        },
    }?;
    let base = match parents.first() {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let mut changes = TreeUpdateBuilder::new();
    for (path, content) in &commit.files {
        match content {
            Some(content) => {
                changes.upsert(path.as_str(), repository.blob(content.as_bytes())?, FileMode::Blob)
            }
            None => changes.remove(path.as_str()),
        };
    }
    let tree = repository.find_tree(changes.create_updated(repository, &base)?)?;
    let author = Signature::now("Somebody Else", "somebody@example.com")?;
    let parents: Vec<_> = parents.iter().collect();
    let Some(signature) = &commit.signature else {
        return repository.commit(None, &author, &author, &commit.message, &tree, &parents);
    };
    let text =
        repository.commit_create_buffer(&author, &author, &commit.message, &tree, &parents)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let id = repository.commit_signed(&text, signature, None)?;
    Ok(repository.find_object(id, Some(ObjectType::Commit))?.id())
}

fn git(what: &'static str) -> impl Fn(git2::Error) -> Error {
    move |source| Error::Git { what, source }
}
