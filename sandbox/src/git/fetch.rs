//! Reading a repository without the wire: what a controller in the same process fetches.
//!
//! Accounts, outages and status faults apply as they do over the wire; slowness does not, since a
//! caller in virtual time keeps its own.

use std::collections::BTreeMap;

use git2::{Commit, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};

use super::access::Rights;
use super::fault::{Fault, RequestKind};
use super::{GitHost, access, fault};

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitRef {
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The commit's id.
    pub commit: String,
    /// The signature that it carries, valid or not, and what it was made of.
    pub signed: Option<(String, Vec<u8>)>,
    /// Every file, by its path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The first line of its message.
    pub subject: String,
}

/// Why nothing was fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The host does not answer, or answers that it is broken.
    #[error("the git host is down")]
    Down,
    /// There is no such repository.
    #[error("repository `{0}` not found")]
    NotFound(String),
    /// The credentials are missing, wrong or not enough.
    #[error("authentication required")]
    Unauthorized,
    /// The repository has no such ref.
    #[error("reference `{0}` not found")]
    MissingRef(String),
}

impl GitHost {
    /// Reads the commit behind a reference; the pair is user and password, or no user and a token.
    ///
    /// # Errors
    /// As a fetch over the wire would fail: see [`FetchError`].
    pub fn fetch(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &GitRef,
    ) -> Result<Fetched, FetchError> {
        let shared = &self.inner.shared;
        let name = shared.name_of(url).map_err(|_| FetchError::NotFound(url.to_owned()));
        let accounts = {
            let mut state = shared.lock();
            if state.down {
                return Err(FetchError::Down);
            }
            spoil(fault::take(&mut state.faults, RequestKind::FetchRefs).as_ref(), url)?;
            let name = name.as_ref().map_err(Clone::clone)?;
            state.repositories.get(name).map(|found| found.accounts.clone()).unwrap_or_default()
        };
        match access::rights_by_pair(&accounts, credentials) {
            Some(Rights::Read | Rights::Write) => {}
            Some(Rights::None) | None => return Err(FetchError::Unauthorized),
        }
        let missing = |_| FetchError::MissingRef(reference.to_string());
        let repository = Repository::open_bare(shared.folder(&name?))
            .map_err(|_| FetchError::NotFound(url.to_owned()))?;
        let commit = resolve(&repository, reference).map_err(missing)?;
        read(&repository, &commit).map_err(missing)
    }
}

impl std::fmt::Display for GitRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Branch(branch) => write!(formatter, "refs/heads/{branch}"),
            Self::Tag(tag) => write!(formatter, "refs/tags/{tag}"),
            Self::Name(text) | Self::Commit(text) => formatter.write_str(text),
        }
    }
}

fn spoil(fault: Option<&Fault>, url: &str) -> Result<(), FetchError> {
    match fault {
        Some(Fault::Status(401 | 403, _)) => Err(FetchError::Unauthorized),
        Some(Fault::Status(404, _)) => Err(FetchError::NotFound(url.to_owned())),
        Some(Fault::Slow(_) | Fault::AnswerLate(_)) | None => Ok(()),
        Some(_) => Err(FetchError::Down),
    }
}

fn resolve<'r>(repository: &'r Repository, reference: &GitRef) -> Result<Commit<'r>, git2::Error> {
    match reference {
        GitRef::Commit(id) => repository.find_commit(Oid::from_str(id)?),
        named => repository.find_reference(&named.to_string())?.peel_to_commit(),
    }
}

pub(super) fn read(repository: &Repository, commit: &Commit<'_>) -> Result<Fetched, git2::Error> {
    let mut files = BTreeMap::new();
    commit.tree()?.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() == Some(ObjectType::Blob)
            && let Ok(blob) = repository.find_blob(entry.id())
        {
            let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
            files.insert(path, blob.content().to_vec());
        }
        TreeWalkResult::Ok
    })?;
    Ok(Fetched {
        commit: commit.id().to_string(),
        signed: signature(repository, commit),
        files,
        subject: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
    })
}

fn signature(repository: &Repository, commit: &Commit<'_>) -> Option<(String, Vec<u8>)> {
    let (signature, text) = repository.extract_signature(&commit.id(), None).ok()?;
    Some((String::from_utf8_lossy(&signature).into_owned(), text.to_vec()))
}
