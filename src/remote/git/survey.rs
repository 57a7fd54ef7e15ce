//! What a tree holds beside the canary: whose files they are, and what some of them say.
//!
//! Looking for canaries ends at the first file that is none, so that a big repository of somebody
//! else's costs no more than a small one.

use crate::model::{CanaryId, Holding, Survey};
use crate::remote::git::{Error, GitRemote};
use git2::{ObjectType, Oid, Repository, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// The biggest file that is looked at: a canary is small.
const BIGGEST: usize = 1 << 20;

/// Whose canaries a file holds, by its path and content; none for a file that is not looked at.
type Whose = dyn Fn(&str, &[u8]) -> Option<BTreeSet<String>> + Send + Sync;

// === impl GitRemote ===

impl GitRemote {
    /// Whose files the tip holds that the cache knows, as `whose` reads them: the instances whose
    /// canaries a file holds, by its path and content, or none if it does not count.
    ///
    /// # Errors
    /// When a cold cache cannot be filled.
    pub async fn holding(
        &self,
        whose: impl Fn(&str, &[u8]) -> Option<BTreeSet<String>> + Send + Sync + 'static,
    ) -> Result<Holding, Error> {
        self.at_tip(move |repository, tip| {
            holding(repository, &repository.find_commit(tip)?.tree()?, &whose)
        })
        .await
    }
}

/// The instances whose canaries a text names.
fn instances_in(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&text[..text.len().min(BIGGEST)]);
    let ids = CanaryId::find_in(&text).map(|it| it.instance().to_owned());
    // Bare digits may be anything.
    ids.filter(|it| !it.is_empty()).collect()
}

/// Looks at the tree of a commit.
pub(super) fn of(
    repository: &Repository,
    commit: Oid,
    wanted: &[String],
) -> Result<Survey, git2::Error> {
    let tree = repository.find_commit(commit)?.tree()?;
    let mut files = BTreeMap::new();
    for name in wanted {
        let Ok(entry) = tree.get_path(name.as_ref()) else { continue };
        if let Ok(blob) = entry.to_object(repository)?.into_blob() {
            files.insert(name.clone(), String::from_utf8_lossy(blob.content()).into_owned());
        }
    }
    let holding = holding(repository, &tree, &|_, content| Some(instances_in(content)))?;
    Ok(Survey { commit: commit.to_string(), files, holding, around: None })
}

fn holding(
    repository: &Repository,
    tree: &Tree<'_>,
    whose: &Whose,
) -> Result<Holding, git2::Error> {
    let mut instances = BTreeSet::new();
    Ok(match stranger(repository, tree, "", whose, &mut instances)? {
        Some(file) => Holding::Others(file),
        None => Holding::Canaries(instances),
    })
}

/// The first file that is no canary; notes whose the canaries before it are.
fn stranger(
    repository: &Repository,
    tree: &Tree<'_>,
    folder: &str,
    whose: &Whose,
    instances: &mut BTreeSet<String>,
) -> Result<Option<String>, git2::Error> {
    for entry in tree {
        let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
        let found = match entry.kind() {
            Some(ObjectType::Tree) => {
                let inner = repository.find_tree(entry.id())?;
                stranger(repository, &inner, &format!("{path}/"), whose, instances)?
            }
            Some(ObjectType::Blob) => {
                let blob = repository.find_blob(entry.id())?;
                let named = whose(&path, blob.content());
                let none = named.as_ref().is_some_and(BTreeSet::is_empty);
                instances.extend(named.into_iter().flatten());
                none.then_some(path)
            }
            // A submodule, say.
            _ => Some(path),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::build::TreeUpdateBuilder;
    use git2::{FileMode, Signature, Time};

    /// What a tree of these files holds, when these are asked for.
    fn look(files: &[(&str, &str)], wanted: &[&str]) -> Survey {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let mut builder = TreeUpdateBuilder::new();
        for (name, text) in files {
            builder.upsert(*name, repository.blob(text.as_bytes()).unwrap(), FileMode::Blob);
        }
        let empty = repository.treebuilder(None).unwrap().write().unwrap();
        let empty = repository.find_tree(empty).unwrap();
        let tree = builder.create_updated(&repository, &empty).unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let who = Signature::new("a", "a@example.com", &Time::new(0, 0)).unwrap();
        let commit = repository.commit(None, &who, &who, "x", &tree, &[]).unwrap();
        let wanted: Vec<_> = wanted.iter().map(|it| (*it).to_owned()).collect();
        of(&repository, commit, &wanted).unwrap()
    }

    fn canaries(instances: &[&str]) -> Holding {
        Holding::Canaries(instances.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn s0_a_tree_of_canaries_names_their_instances() {
        assert_eq!(look(&[], &[]).holding, canaries(&[]), "an empty tree is nobody's");
        let files = [("a.yaml", "x: hopclock-1a1fbe67da8\n"), ("b/c.yaml", "team-b-1a1fbe67da8")];
        assert_eq!(look(&files, &[]).holding, canaries(&["hopclock", "team-b"]));
    }

    #[test]
    fn s0_one_file_that_is_no_canary_is_named() {
        let files = [("a.yaml", "hopclock-1a1fbe67da8"), ("b/README.md", "image: x@a1b2c3d4e5f6")];
        assert_eq!(look(&files, &[]).holding, Holding::Others("b/README.md".to_owned()));
    }

    #[test]
    fn p7_of_the_files_that_are_asked_for_those_are_given_that_are_there() {
        let survey =
            look(&[("a/.sourceignore", "*.md\n")], &[".sourceignore", "a/.sourceignore", "a"]);
        let all: Vec<_> = survey.files.into_iter().collect();
        assert_eq!(all, [("a/.sourceignore".to_owned(), "*.md\n".to_owned())]);
    }
}
