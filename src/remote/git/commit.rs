//! Making the commit that a run will push, without asking the remote.

use crate::remote::git::cache::{self, Cache};
use crate::remote::git::signing::Signer;
use crate::remote::git::{Error, Further, Inner, history};
use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, ObjectType, Oid, Signature, Time, Tree};
use std::path::{Component, Path};

/// Who commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

/// What the new commit does to the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Stands on the tip.
    Append,
    /// Stands on the base and takes the place of whatever canary stood there (design rule S2).
    Replace {
        /// A branch, or the 40 digits of a commit.
        base: String,
        /// The line that every commit above the base must carry at the end of its message.
        trailer: String,
    },
}

/// One file to write, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The file, relative to the root of the tree.
    pub path: String,
    /// Its whole new content; none if only [`Edit::further`] says what changes.
    pub content: Option<Vec<u8>>,
    /// The commit's message, trailers included.
    pub message: String,
    /// Author and committer.
    pub author: Author,
    /// How the commit follows the others.
    pub mode: Mode,
    /// What else changes with it.
    pub further: Vec<Further>,
}

/// A commit that exists here and nowhere else yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The commit, 40 digits.
    pub commit: String,
    /// The commit that it stands on.
    pub parent: String,
    /// What the file held at the branch's tip, on which or in whose place the commit is made.
    pub replaced: Option<Vec<u8>>,
    /// What the branch must point to for the push to be made.
    pub(super) expected: Oid,
    pub(super) id: Oid,
    pub(super) edit: Edit,
}

/// Makes the commit on what the cache knows of the remote.
pub(super) fn make(
    inner: &Inner,
    cache: &Cache,
    edit: Edit,
    signer: Option<&Signer>,
) -> Result<Prepared, Error> {
    let git = |error| inner.git_error(cache, &error);
    let repository = cache.repository();
    let missing = || inner.unknown_branch(Vec::new());
    let expected = cache.commit(cache::TIP).ok_or_else(missing)?;
    let parent = match &edit.mode {
        Mode::Append => expected,
        Mode::Replace { .. } => cache.commit(cache::BASE).ok_or_else(missing)?,
    };
    let parent = repository.find_commit(parent).map_err(git)?;
    let tree = write_tree(inner, cache, &edit, &parent)?;
    let before = repository.find_commit(expected).and_then(|tip| tip.tree()).map_err(git)?;
    if tree.id() == before.id() {
        return Err(Error::NothingChanges {
            url: inner.remote.to_string(),
            branch: inner.branch.clone(),
            path: edit.path,
        });
    }
    let replaced = history::file(repository, expected, &edit.path).map_err(git)?;
    let now = inner.clock.wall();
    let time = Time::new(now.as_second(), 0);
    // Without a change of its own the base itself takes the canary's place.
    if edit.mode != Mode::Append && edit.content.is_none() && tree.id() == parent.tree_id() {
        let id = parent.id();
        let (commit, parent) = (id.to_string(), id.to_string());
        return Ok(Prepared { commit, parent, replaced, expected, id, edit });
    }
    let who = Signature::new(&edit.author.name, &edit.author.email, &time).map_err(git)?;
    let id = match signer {
        None => repository.commit(None, &who, &who, &edit.message, &tree, &[&parent]),
        Some(signer) => {
            let text = repository
                .commit_create_buffer(&who, &who, &edit.message, &tree, &[&parent])
                .map_err(git)?;
            let unsigned = |why| Error::Unsigned { fingerprint: signer.fingerprint().into(), why };
            let signature = signer.sign(&text, now).map_err(unsigned)?;
            // All of it was made of texts.
            let text = String::from_utf8_lossy(&text);
            repository.commit_signed(&text, &signature, None)
        }
    };
    let id = id.map_err(git)?;
    cache.point(cache::OUTGOING, id)?;
    let (commit, parent) = (id.to_string(), parent.id().to_string());
    Ok(Prepared { commit, parent, replaced, expected, id, edit })
}

fn write_tree<'c>(
    inner: &Inner,
    cache: &'c Cache,
    edit: &Edit,
    parent: &Commit<'c>,
) -> Result<Tree<'c>, Error> {
    let git = |error| inner.git_error(cache, &error);
    let base = parent.tree().map_err(git)?;
    let repository = cache.repository();
    let mut change = TreeUpdateBuilder::new();
    if let Some(content) = &edit.content {
        let mode = mode_of(inner, edit, &edit.path, &base)?;
        change.upsert(edit.path.as_str(), repository.blob(content).map_err(git)?, mode);
    }
    for further in &edit.further {
        let path = further.path.as_str();
        let mode = mode_of(inner, edit, path, &base)?;
        let before = history::file(repository, parent.id(), path).map_err(git)?;
        let after = further.content(before.as_deref()).map_err(|it| Error::Unwritten {
            url: inner.remote.to_string(),
            branch: inner.branch.clone(),
            why: it,
        })?;
        match after {
            Some(after) => {
                change.upsert(path, repository.blob(&after).map_err(git)?, mode);
            }
            None if before.is_some() => {
                change.remove(path);
            }
            None => {}
        }
    }
    let tree = change.create_updated(repository, &base).map_err(git)?;
    repository.find_tree(tree).map_err(git)
}

/// The mode that a file keeps, if it can be one.
fn mode_of(inner: &Inner, edit: &Edit, file: &str, base: &Tree<'_>) -> Result<FileMode, Error> {
    let bad = |why: &str| Error::BadPath {
        url: inner.remote.to_string(),
        branch: inner.branch.clone(),
        path: file.to_owned(),
        why: why.to_owned(),
    };
    let path = Path::new(file);
    let plain =
        |part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    let same = edit.further.iter().filter(|it| it.path == file).count();
    if file.is_empty() || file.ends_with('/') || !path.components().all(plain) {
        return Err(bad("it must be relative, without `..` or `.git`, and name a file"));
    }
    if same + usize::from(edit.content.is_some() && edit.path == file) > 1 {
        return Err(bad("it is changed twice"));
    }
    let mode = match base.get_path(path) {
        Ok(entry) if entry.kind() != Some(ObjectType::Blob) => return Err(bad("it is a folder")),
        Ok(entry) if entry.filemode() == i32::from(FileMode::Link) => {
            return Err(bad("it is a symbolic link"));
        }
        Ok(entry) if entry.filemode() == i32::from(FileMode::BlobExecutable) => {
            FileMode::BlobExecutable
        }
        _ => FileMode::Blob,
    };
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        let entry = base.get_path(folder).ok();
        if entry.is_some_and(|entry| entry.kind() != Some(ObjectType::Tree)) {
            return Err(bad("a part of it is a file"));
        }
    }
    Ok(mode)
}
