//! Rules that the detector of `merged` obeys.

use crate::hop::tests::images::{branch, tag_change};
use crate::hop::tests::objects::{commit, next, nothing, reached};
use crate::hop::{Detector, Kind, Merged, MergedConfig, Objects, Place};
use crate::model::{Carried, Carrier, Change, MergeWay, RevisionSort, Sighting};

fn look(letter: char, change: &Change) -> Sighting {
    Merged::default().look(&[], &next(12.0, branch(letter, "app:1")), change)
}

#[test]
fn t9_a_branch_has_the_change_once_its_tip_is_or_brings_the_learned_commit() {
    let mut change = tag_change();
    assert_eq!(look('d', &change), Sighting::NotYet, "no commit is known");
    change.extend(commit('d'));
    assert_eq!(reached(look('d', &change)).carried, Carried::Learned, "fast-forward");
    assert_eq!(look('e', &change), Sighting::NotYet);
    change.learn(Carrier { revision: commit('e'), canary: None });
    assert_eq!(reached(look('e', &change)).carried, Carried::By(commit('e')), "merge or squash");
    assert_eq!(Merged::default().look(&[], &next(12.0, nothing()), &change), Sighting::NotYet);
}

#[test]
fn t9_the_tip_can_be_asked_for() {
    assert_eq!(Merged::default().revisions(&next(12.0, branch('e', "app:1"))), [commit('e')]);
    assert!(Merged::default().revisions(&next(12.0, nothing())).is_empty());
}

#[test]
fn p11_a_branch_that_goes_back_has_lost_the_change() {
    let mut change = tag_change();
    change.extend(commit('d'));
    change.dismiss(commit('a'));
    assert!(Merged::default().has_lost(&next(14.0, branch('a', "app:1")), &change));
    assert!(!Merged::default().has_lost(&next(14.0, branch('d', "app:1")), &change));
}

fn config(text: &str) -> MergedConfig {
    serde_json::from_str(text).unwrap()
}

#[test]
fn it_looks_at_the_branch_that_the_repository_fetches() {
    let kind = config(r#"{"git_repository": "flux-system/fleet"}"#);
    assert_eq!(kind.subject().unwrap().to_string(), "GitBranch flux-system/fleet");
    assert_eq!((kind.traits().place, kind.traits().required), (Place::Merge, true));
    assert!(!kind.detector(&Objects::new()).unwrap().needs_errand(), "somebody else merges");
}

#[test]
fn hopclock_merges_where_the_scenario_says_how() {
    let kind = config(r#"{"git_repository": "flux-system/fleet", "merge": "squash"}"#);
    assert_eq!(kind.merge, Some(MergeWay::Squash));
    assert!(kind.detector(&Objects::new()).unwrap().needs_errand());
    assert_eq!(kind.suits(RevisionSort::Tag, None), Ok(()));
    assert!(kind.suits(RevisionSort::Version, None).unwrap_err().contains("is no commit"));
    let shared = config(r#"{"git_repository": "flux-system/fleet", "shared": true}"#);
    assert!(shared.suits(RevisionSort::Tag, None).unwrap_err().contains("say how with `merge`"));
}
