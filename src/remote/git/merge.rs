//! Merging a commit into the branch: by a merge commit, squashed or rebased.
//!
//! The trees are merged here, on as little of the history as has the commit that both stand on, and
//! the result is pushed like any other commit: only if the branch is where it was read, else all of
//! it is made anew. The branch is read first, so what is there already is never merged again.

mod brought;

use crate::model::{MergeWay, Moment};
use crate::remote::git::cache::{self, Cache};
use crate::remote::git::history::Base;
use crate::remote::git::push::{self, Attempt, Outgoing};
use crate::remote::git::{
    ANCESTRY_DEPTHS, ATTEMPTS, Author, Error, GitRemote, Inner, Mode, PublishError, fetch, history,
};
use git2::{Commit, Oid, Repository, Signature, Time, Tree};

/// A line at the end of the message of what hopclock merged, before the merged commit.
const TRAILER: &str = "Hopclock-Merged: ";

/// A commit that shall get on the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The commit, 40 digits.
    pub commit: String,
    /// How it gets there.
    pub way: MergeWay,
    /// Who merges.
    pub author: Author,
    /// What may come along with it.
    pub along: Along,
}

/// Which of the commits before a merged one, as far as the branch lacks them, may come along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Along {
    /// Those of its own author.
    Own,
    /// Those of its own author, if all that they change are the choices of these image policies, as
    /// markers name them: one automation commits everybody's.
    Choices(Vec<String>),
    /// All.
    Others,
}

/// What came of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merging {
    /// The branch had it already; nothing was pushed.
    Already,
    /// It was pushed.
    Made {
        /// The branch's new tip.
        commit: String,
        /// When the server's whole answer had been read.
        acknowledged: Moment,
    },
}

/// A merge that exists here and nowhere else yet.
#[derive(Clone, Copy)]
struct Made {
    id: Oid,
    /// The tip that it was made on.
    tip: Oid,
}

/// One merge that is being made, on what the cache knows.
struct Work<'a> {
    inner: &'a Inner,
    cache: &'a Cache,
    tip: Commit<'a>,
    theirs: Commit<'a>,
    base: Oid,
    who: Signature<'a>,
}

// === impl GitRemote ===

impl GitRemote {
    /// Merges a commit of the remote into the branch, unless the branch has it already. Each attempt
    /// announces what the branch will point to, before it is sent.
    ///
    /// # Errors
    /// When nothing was pushed, or when nobody knows ([`PublishError::NoAnswer`]): asking once more
    /// tells, for the branch is read first.
    pub async fn merge(
        &self,
        merge: &Merge,
        announce: impl Fn(&str) + Send,
    ) -> Result<Merging, PublishError> {
        for _ in 0..ATTEMPTS {
            let this = merge.clone();
            let made = self.with_cache(move |inner, cache| make(inner, cache, &this)).await?;
            let Some(made) = made else { return Ok(Merging::Already) };
            let commit = made.id.to_string();
            announce(&commit);
            let sent = self.with_cache(move |inner, cache| send(inner, cache, made)).await?;
            if let Some(acknowledged) = sent {
                return Ok(Merging::Made { commit, acknowledged });
            }
        }
        let (url, branch) = (self.inner.remote.to_string(), self.inner.branch.clone());
        Err(Error::KeepsMoving { url, branch, attempts: ATTEMPTS }.into())
    }
}

// === impl Work ===

impl Work<'_> {
    /// Makes what the branch will point to; none if it would hold what it holds already.
    fn make(&self, way: MergeWay) -> Result<Option<Oid>, Error> {
        let (commit, branch) = (self.theirs.id(), &self.inner.branch);
        let message = String::from_utf8_lossy(self.theirs.message_bytes()).into_owned();
        let parents = match way {
            MergeWay::Merge => vec![&self.tip, &self.theirs],
            MergeWay::Squash => vec![&self.tip],
            MergeWay::Rebase => return self.rebase(),
        };
        let tree = self.merged(self.base, &self.tip, &self.theirs)?;
        if tree.id() == self.tip.tree_id() {
            return Ok(None);
        }
        let message = match way {
            MergeWay::Merge => format!("Merge commit `{commit}` into `{branch}`"),
            _ => message,
        };
        let message = with_trailer(&message, commit);
        self.commit(&self.who, &message, &tree, &parents).map(Some)
    }

    /// Copies every commit from the base on to the tip, along the first parents.
    fn rebase(&self) -> Result<Option<Oid>, Error> {
        if self.base == self.tip.id() {
            return Ok(Some(self.theirs.id()));
        }
        let (repository, commit) = (self.cache.repository(), self.theirs.id());
        let missing = || unmergeable(self.inner, commit, "its history is not linear".to_owned());
        let copied = history::passed(repository, self.base, commit).ok_or_else(missing)?;
        let (mut onto, mut parent) = (self.tip.clone(), self.base);
        for id in copied {
            let theirs = repository.find_commit(id).map_err(|it| self.git(&it))?;
            let tree = self.merged(parent, &onto, &theirs)?;
            parent = id;
            if tree.id() == onto.tree_id() {
                continue;
            }
            let message = String::from_utf8_lossy(theirs.message_bytes()).into_owned();
            let author = theirs.author().to_owned();
            let copy = self.commit(&author, &with_trailer(&message, id), &tree, &[&onto])?;
            onto = repository.find_commit(copy).map_err(|it| self.git(&it))?;
        }
        Ok((onto.id() != self.tip.id()).then(|| onto.id()))
    }

    /// What changed from `base` to `theirs`, on top of `ours`.
    fn merged(&self, base: Oid, ours: &Commit<'_>, theirs: &Commit<'_>) -> Result<Tree<'_>, Error> {
        let repository = self.cache.repository();
        let merge = || {
            let base = repository.find_commit(base)?.tree()?;
            repository.merge_trees(&base, &ours.tree()?, &theirs.tree()?, None)
        };
        let mut index = merge().map_err(|it| self.git(&it))?;
        if index.has_conflicts() {
            let conflict = index.conflicts().ok().and_then(|mut it| it.next()?.ok());
            let entry = conflict.and_then(|it| it.our.or(it.their).or(it.ancestor));
            let path = entry.map(|it| String::from_utf8_lossy(&it.path).into_owned());
            let why = format!("both change `{}`", path.unwrap_or_default());
            return Err(unmergeable(self.inner, self.theirs.id(), why));
        }
        let tree = index.write_tree_to(repository).and_then(|it| repository.find_tree(it));
        tree.map_err(|it| self.git(&it))
    }

    fn commit(
        &self,
        author: &Signature<'_>,
        message: &str,
        tree: &Tree<'_>,
        parents: &[&Commit<'_>],
    ) -> Result<Oid, Error> {
        let repository = self.cache.repository();
        let made = repository.commit(None, author, &self.who, message, tree, parents);
        made.map_err(|it| self.git(&it))
    }

    fn git(&self, error: &git2::Error) -> Error {
        self.inner.git_error(self.cache, error)
    }
}

/// Makes the merge on the branch's tip as it is now; none if the branch has it.
fn make(inner: &Inner, cache: &Cache, merge: &Merge) -> Result<Option<Made>, PublishError> {
    let git = |error| inner.git_error(cache, &error);
    fetch::refresh(inner, cache, &Mode::Append)?;
    let tip = cache.commit(cache::TIP).ok_or_else(|| inner.unknown_branch(Vec::new()))?;
    let theirs = Oid::from_str(&merge.commit).map_err(git)?;
    let base = common_base(inner, cache, tip, theirs)?;
    let repository = cache.repository();
    let has_it = |message: &str| {
        message.lines().any(|it| it.strip_prefix(TRAILER) == Some(merge.commit.as_str()))
    };
    if base == theirs || history::any_above(repository, tip, base, has_it) {
        return Ok(None);
    }
    if merge.along != Along::Others {
        check_authors(inner, repository, tip, theirs)?;
    }
    let time = Time::new(inner.clock.wall().as_second(), 0);
    let work = Work {
        inner,
        cache,
        tip: repository.find_commit(tip).map_err(git)?,
        theirs: repository.find_commit(theirs).map_err(git)?,
        base,
        who: Signature::new(&merge.author.name, &merge.author.email, &time).map_err(git)?,
    };
    let made = work.make(merge.way)?;
    if let (Some(made), Along::Choices(policies)) = (made, &merge.along) {
        check_changes(&work, made, policies)?;
    }
    Ok(made.map(|id| Made { id, tip }))
}

/// Sends a merge, and says when it was acknowledged; none if the branch moved meanwhile.
fn send(inner: &Inner, cache: &Cache, made: Made) -> Result<Option<Moment>, PublishError> {
    let outgoing = Outgoing { id: made.id, expected: made.tip, mode: &Mode::Append };
    match push::attempt(inner, cache, &outgoing)? {
        Attempt::Acknowledged { acknowledged, .. } => Ok(Some(acknowledged)),
        Attempt::Moved { refusal: Some(refusal) } => {
            // A branch that stands where it stood was not moved: the server means what it said.
            fetch::refresh(inner, cache, &Mode::Append)?;
            if cache.commit(cache::TIP) == Some(made.tip) { Err(refusal.into()) } else { Ok(None) }
        }
        Attempt::Moved { refusal: None } => Ok(None),
    }
}

/// Checks that whatever would come along is of the same author (rule S1).
fn check_authors(
    inner: &Inner,
    repository: &Repository,
    tip: Oid,
    theirs: Oid,
) -> Result<(), Error> {
    let unseen = || unmergeable(inner, theirs, "nobody knows what would come along".to_owned());
    let above = history::commits_above(repository, theirs, tip).ok_or_else(unseen)?;
    let own = above.iter().find(|it| it.commit == theirs.to_string()).ok_or_else(unseen)?;
    let Some(other) = above.iter().find(|it| it.author != own.author) else { return Ok(()) };
    let (url, branch) = (inner.remote.to_string(), inner.branch.clone());
    let other = Box::new(other.clone());
    Err(Error::BringsOthers { url, branch, commit: own.commit.clone(), other })
}

/// Checks that the branch would change by the choices of these policies only (rule S1).
fn check_changes(work: &Work<'_>, made: Oid, policies: &[String]) -> Result<(), Error> {
    let (inner, repository) = (work.inner, work.cache.repository());
    let look = || {
        let after = repository.find_commit(made)?.tree()?;
        brought::beyond(repository, &work.tip.tree()?, &after, policies)
    };
    let Some(what) = look().map_err(|it| work.git(&it))? else { return Ok(()) };
    let (url, branch) = (inner.remote.to_string(), inner.branch.clone());
    Err(Error::BringsMore { url, branch, commit: work.theirs.id().to_string(), what })
}

/// The commit that both stand on; looks further back until it is found.
fn common_base(inner: &Inner, cache: &Cache, tip: Oid, theirs: Oid) -> Result<Oid, Error> {
    fetch::fetch_commit(inner, cache, theirs)?;
    let find = || history::common_base(cache.repository(), tip, theirs);
    let mut found = find();
    for depth in ANCESTRY_DEPTHS {
        if found != Base::Unknown {
            break;
        }
        fetch::deepen(inner, cache, theirs, depth)?;
        fetch::deepen(inner, cache, tip, depth)?;
        found = find();
    }
    let why = match found {
        Base::At(base) => return Ok(base),
        Base::Nothing => "they have no commit in common",
        Base::Several => "they were merged into each other, so no one commit is their base",
        Base::Unknown => "what they have in common lies too far back",
    };
    Err(unmergeable(inner, theirs, why.to_owned()))
}

fn unmergeable(inner: &Inner, commit: Oid, why: String) -> Error {
    let (url, branch) = (inner.remote.to_string(), inner.branch.clone());
    Error::Unmergeable { url, branch, commit: commit.to_string(), why }
}

/// The message with our line in its last paragraph, if that is one of such lines.
fn with_trailer(message: &str, commit: Oid) -> String {
    let message = message.trim_end();
    let last = message.lines().last().filter(|_| message.contains("\n\n")).unwrap_or_default();
    let is_trailer = last.split_once(": ").is_some_and(|(key, _)| !key.contains(' '));
    let gap = if is_trailer { "\n" } else { "\n\n" };
    format!("{message}{gap}{TRAILER}{commit}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_line_stands_among_the_others_of_its_kind() {
        let id = Oid::from_str(&"a".repeat(40)).unwrap();
        let ours = format!("{TRAILER}{}\n", "a".repeat(40));
        assert_eq!(
            with_trailer("A subject: with a colon\n", id),
            format!("A subject: with a colon\n\n{ours}")
        );
        let signed = "A subject\n\nSigned-off-by: somebody\n";
        assert_eq!(with_trailer(signed, id), format!("{signed}{ours}"));
        assert_eq!(
            with_trailer("A\n\nSome text here: it ends", id),
            format!("A\n\nSome text here: it ends\n\n{ours}")
        );
    }
}
