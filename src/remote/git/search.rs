//! Follows a branch, and finds the files of its trees that hold a text.
//!
//! Flux writes the choice of an image policy to whatever line bears its mark, so every file of a
//! repository has to be looked at. Big and binary files are passed over, as Flux itself does with
//! what is no YAML.

use crate::remote::git::cache::{self, Cache};
use crate::remote::git::{Error, GitRemote, Inner, fetch, history};
use git2::{ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

/// The biggest file that is looked at.
const BIGGEST: usize = 1 << 20;

// === impl GitRemote ===

impl GitRemote {
    /// The commits that the branch has come to since it stood at `since`, along the first parents,
    /// the tip last; the tip alone where that cannot be told, and none where there is no branch.
    /// One request while nothing has changed.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub async fn advance(&self, since: Option<&str>) -> Result<Vec<String>, Error> {
        let since = since.and_then(|it| Oid::from_str(it).ok());
        self.with_cache(move |inner, cache| {
            let asked = inner.clock.now();
            let tip = fetch::follow(inner, cache)?;
            *inner.asked.lock().unwrap_or_else(PoisonError::into_inner) = tip.map(|_| asked);
            let Some(tip) = tip else { return Ok(Vec::new()) };
            let passed = since.and_then(|it| history::passed(cache.repository(), it, tip));
            let passed = passed.unwrap_or_else(|| vec![tip]);
            Ok(passed.iter().map(Oid::to_string).collect())
        })
        .await
    }

    /// The commit that the branch stood at when [`GitRemote::advance`] asked last, if that is no
    /// longer ago than `age`. Asks nothing.
    pub async fn stood_at(&self, age: Duration) -> Option<String> {
        let ask = move |inner: &Inner, cache: &mut Cache| {
            let asked = *inner.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = asked.is_some_and(|it| inner.clock.now().since(it) <= age);
            Ok::<_, Error>(cache.commit(cache::TIP).filter(|_| fresh))
        };
        self.with_cache(ask).await.ok().flatten().map(|it| it.to_string())
    }

    /// The text files of any commit of the remote that hold a text, by their paths. The commit is
    /// fetched if it is not here.
    ///
    /// # Errors
    /// When the remote does not give the commit.
    pub async fn files_with(
        &self,
        commit: &str,
        text: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        let (commit, text) = (commit.to_owned(), text.to_owned());
        self.with_cache(move |inner, cache| {
            let git = |error| inner.git_error(cache, &error);
            let id = Oid::from_str(&commit).map_err(git)?;
            fetch::fetch_commit(inner, cache, id)?;
            files_with(cache.repository(), id, &text).map_err(git)
        })
        .await
    }
}

/// The files of a commit that hold the text, by their paths.
pub(super) fn files_with(
    repository: &Repository,
    commit: Oid,
    text: &str,
) -> Result<BTreeMap<String, String>, git2::Error> {
    let tree = repository.find_commit(commit)?.tree()?;
    let mut found = BTreeMap::new();
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() == Some(ObjectType::Blob)
            && let Ok(blob) = repository.find_blob(entry.id())
            && blob.size() <= BIGGEST
            && let Ok(content) = std::str::from_utf8(blob.content())
            && content.contains(text)
        {
            let name = String::from_utf8_lossy(entry.name_bytes());
            found.insert(format!("{folder}{name}"), content.to_owned());
        }
        TreeWalkResult::Ok
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::build::TreeUpdateBuilder;
    use git2::{FileMode, Signature, Time};

    #[test]
    fn files_are_found_in_every_folder_and_binary_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let files: [(&str, &[u8]); 4] = [
            ("a.yaml", b"x: 1 # mark\n"),
            ("b/c/d.yaml", b"# mark"),
            ("b/e.yaml", b"nothing"),
            ("f.bin", b"\xff mark"),
        ];
        let mut builder = TreeUpdateBuilder::new();
        for (name, content) in files {
            builder.upsert(name, repository.blob(content).unwrap(), FileMode::Blob);
        }
        let empty = repository.treebuilder(None).unwrap().write().unwrap();
        let empty = repository.find_tree(empty).unwrap();
        let tree = builder.create_updated(&repository, &empty).unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let who = Signature::new("a", "a@example.com", &Time::new(0, 0)).unwrap();
        let commit = repository.commit(None, &who, &who, "x", &tree, &[]).unwrap();
        let found = files_with(&repository, commit, "mark").unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["a.yaml", "b/c/d.yaml"]);
    }
}
