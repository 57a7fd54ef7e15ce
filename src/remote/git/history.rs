//! Questions to the part of the history that the cache knows.
//!
//! It is shallow, so there are three answers: yes, no, and unknown. Parents are read from the raw
//! commits: libgit2 hides those that were not fetched, and goes on hiding them once they are.

use git2::{Commit, Oid, Repository};
use std::collections::HashSet;

/// One commit above a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSummary {
    /// The commit, 40 digits.
    pub commit: String,
    /// Its author's name and e-mail address.
    pub author: String,
    /// Its whole message.
    pub message: String,
}

/// What stands above a base.
pub(super) enum Above {
    /// Nothing but commits with the trailer.
    Canaries,
    /// A commit without it, as far as the known history goes.
    Foreign { commit: String, subject: String },
}

/// What two commits both stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// This commit.
    At(Oid),
    /// Several, of which none is older than another: they were merged into each other.
    Several,
    /// Nothing.
    Nothing,
    /// The known history ends too early to tell.
    Unknown,
}

/// A commit and everything before it, as far as it is known.
struct Ancestry {
    commits: HashSet<Oid>,
    complete: bool,
}

/// Whether `older` is `newer` or before it; none where the history ends too early to tell.
pub(super) fn is_ancestor(repository: &Repository, older: Oid, newer: Oid) -> Option<bool> {
    let ancestry = Ancestry::of(repository, newer);
    if ancestry.commits.contains(&older) {
        return Some(true);
    }
    ancestry.complete.then_some(false)
}

/// The commits from the tip down to, and without, the base; none where they cannot all be seen.
pub(super) fn commits_above(
    repository: &Repository,
    tip: Oid,
    base: Oid,
) -> Option<Vec<CommitSummary>> {
    let known = Ancestry::of(repository, base);
    let (mut queue, mut seen, mut found) = (vec![tip], HashSet::new(), Vec::new());
    while let Some(id) = queue.pop() {
        if known.commits.contains(&id) || !seen.insert(id) {
            continue;
        }
        let commit = repository.find_commit(id).ok()?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let author = commit.author().to_string();
        found.push(CommitSummary { commit: id.to_string(), author, message });
        queue.extend(parents(repository, id)?);
    }
    Some(found)
}

/// The commits after `since` up to the tip, oldest first, along the first parents; none where
/// `since` is not found among them, as after a forced push. The tip alone if it is `since`.
pub(super) fn passed(repository: &Repository, since: Oid, tip: Oid) -> Option<Vec<Oid>> {
    let mut found = vec![tip];
    let mut next = tip;
    while next != since {
        next = *parents(repository, next)?.first()?;
        if next != since {
            found.push(next);
        }
    }
    found.reverse();
    Some(found)
}

/// What two commits both stand on: the newest commit that is in the history of each. One that is
/// older than another one is never it, however near it is: what was taken back since would come back.
pub(super) fn common_base(repository: &Repository, tip: Oid, theirs: Oid) -> Base {
    let (ours, others) = (Ancestry::of(repository, tip), Ancestry::of(repository, theirs));
    for (known, id) in [(&ours, theirs), (&others, tip)] {
        if known.commits.contains(&id) {
            return Base::At(id);
        }
    }
    let is_shared = |it: &Oid| ours.commits.contains(it) && others.commits.contains(it);
    let (mut queue, mut seen, mut shared) = (vec![tip, theirs], HashSet::new(), Vec::new());
    while let Some(id) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        if is_shared(&id) {
            shared.push(id);
        } else if let Some(parents) = parents(repository, id) {
            queue.extend(parents);
        } else {
            return Base::Unknown;
        }
    }
    let mut newest = Vec::new();
    for id in &shared {
        let above = shared.iter().filter(|it| *it != id);
        let above: Vec<_> = above.map(|it| is_ancestor(repository, *id, *it)).collect();
        if above.contains(&Some(true)) {
            continue;
        }
        if above.contains(&None) {
            return Base::Unknown;
        }
        newest.push(*id);
    }
    match newest[..] {
        [] => Base::Nothing,
        [id] => Base::At(id),
        _ => Base::Several,
    }
}

/// Whether the message of a commit above the base, as far as these are known, is such a one.
pub(super) fn any_above(
    repository: &Repository,
    tip: Oid,
    base: Oid,
    is_such: impl Fn(&str) -> bool,
) -> bool {
    let known = Ancestry::of(repository, base);
    let (mut queue, mut seen) = (vec![tip], HashSet::new());
    while let Some(id) = queue.pop() {
        if known.commits.contains(&id) || !seen.insert(id) {
            continue;
        }
        let Ok(commit) = repository.find_commit(id) else { continue };
        if is_such(&String::from_utf8_lossy(commit.message_bytes())) {
            return true;
        }
        queue.extend(parents(repository, id).unwrap_or_default());
    }
    false
}

/// Whether every commit above the base carries the trailer.
///
/// The base may have advanced since the last canary; then what the canary stood on is found among
/// the base's ancestors. A commit that is found nowhere is taken for somebody's work.
pub(super) fn above(repository: &Repository, tip: Oid, base: Oid, trailer: &str) -> Above {
    let known = Ancestry::of(repository, base);
    let (mut queue, mut seen) = (vec![tip], HashSet::new());
    while let Some(id) = queue.pop() {
        if known.commits.contains(&id) || !seen.insert(id) {
            continue;
        }
        match repository.find_commit(id) {
            Ok(commit) if carries(&commit, trailer) => {
                queue.extend(parents(repository, id).unwrap_or_default());
            }
            Ok(commit) => {
                let subject = commit.summary_bytes().unwrap_or_default();
                let subject = String::from_utf8_lossy(subject).into_owned();
                return Above::Foreign { commit: id.to_string(), subject };
            }
            Err(_) => return Above::Foreign { commit: id.to_string(), subject: String::new() },
        }
    }
    Above::Canaries
}

/// The content of a file in a commit's tree.
pub(super) fn file(
    repository: &Repository,
    commit: Oid,
    path: &str,
) -> Result<Option<Vec<u8>>, git2::Error> {
    let tree = repository.find_commit(commit)?.tree()?;
    let Ok(entry) = tree.get_path(path.as_ref()) else { return Ok(None) };
    let Ok(blob) = entry.to_object(repository)?.into_blob() else { return Ok(None) };
    Ok(Some(blob.content().to_vec()))
}

impl Ancestry {
    fn of(repository: &Repository, id: Oid) -> Self {
        let mut ancestry = Self { commits: HashSet::new(), complete: true };
        let mut queue = vec![id];
        while let Some(id) = queue.pop() {
            match parents(repository, id) {
                Some(parents) if ancestry.commits.insert(id) => queue.extend(parents),
                Some(_) => {}
                None => ancestry.complete = false,
            }
        }
        ancestry
    }
}

/// Whether the last paragraph of the message has the line.
fn carries(commit: &Commit<'_>, trailer: &str) -> bool {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let lines = message.trim_end().lines().rev().take_while(|line| !line.trim().is_empty());
    lines.into_iter().any(|line| line.trim_end() == trailer)
}

/// The parents that a commit names, fetched or not; none if the commit itself is not here.
fn parents(repository: &Repository, id: Oid) -> Option<Vec<Oid>> {
    let odb = repository.odb().ok()?;
    let commit = odb.read(id).ok()?;
    let text = String::from_utf8_lossy(commit.data()).into_owned();
    let header = text.lines().take_while(|line| !line.is_empty());
    let parents = header.filter_map(|line| line.strip_prefix("parent "));
    Some(parents.filter_map(|id| Oid::from_str(id).ok()).collect())
}
