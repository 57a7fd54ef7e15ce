//! What a watch knows of the objects that somebody follows, so that a state is shown once.
//!
//! A list, a watch, its successor and a proof all tell of the same writes. Resource versions say
//! which of them is new; the rest is dropped here.

use crate::cluster::list::List;
use crate::cluster::version::Version;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objects that are followed, as last seen.
#[derive(Default)]
pub(super) struct Track {
    known: BTreeMap<String, Known>,
}

/// An object as last seen; null if it does not exist.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) version: Version,
    pub(super) value: Arc<Value>,
}

/// Something new about an object.
pub(super) struct News {
    pub(super) name: String,
    /// Whether nothing was known of it before.
    pub(super) first: bool,
    pub(super) value: Arc<Value>,
}

impl Track {
    /// Names of all objects that something is known of.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.known.keys()
    }

    /// What is known of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Known> {
        self.known.get(name)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// Forgets all objects but those that `keep` names.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.known.retain(|name, _| keep(name));
    }

    /// Whether an event of this version tells something new.
    pub(super) fn is_news(&self, name: &str, version: &Version, deleted: bool) -> bool {
        self.known.get(name).is_none_or(|known| {
            version.is_newer_than(&known.version)
                || (deleted && !known.value.is_null() && *version == known.version)
        })
    }

    /// Takes in an event that [`Self::is_news`].
    pub(super) fn event(&mut self, name: String, version: Version, value: Arc<Value>) -> News {
        let known = Known { version, value: Arc::clone(&value) };
        let first = self.known.insert(name.clone(), known).is_none();
        News { name, first, value }
    }

    /// Takes in a list of these `names`, read instead of a watch: it is right, whatever was known.
    pub(super) fn relist<'a>(
        &mut self,
        list: &List,
        names: impl Iterator<Item = &'a String>,
    ) -> Vec<News> {
        let changed = |known: &Known, now: &Known| {
            known.value.is_null() != now.value.is_null()
                || (!now.value.is_null() && known.version != now.version)
                || known.value["apiVersion"] != now.value["apiVersion"]
        };
        let names: Vec<_> = names.collect();
        let news = self.take(list, names.iter().copied(), changed);
        for name in names {
            if let Some(known) = self.known.get_mut(name) {
                known.version = list.get(name).version;
            }
        }
        news
    }

    /// Takes in a list of these `names`, read beside a watch: only what that has not yet told.
    pub(super) fn catch_up<'a>(
        &mut self,
        list: &List,
        names: impl Iterator<Item = &'a String>,
    ) -> Vec<News> {
        self.take(list, names, is_behind)
    }

    /// Whether a list shows more than the watch has told.
    pub(super) fn is_behind<'a>(
        &self,
        list: &List,
        mut names: impl Iterator<Item = &'a String>,
    ) -> bool {
        names.any(|name| self.known.get(name).is_none_or(|it| is_behind(it, &list.get(name))))
    }

    fn take<'a>(
        &mut self,
        list: &List,
        names: impl Iterator<Item = &'a String>,
        changed: impl Fn(&Known, &Known) -> bool,
    ) -> Vec<News> {
        let mut news = Vec::new();
        for name in names {
            let now = list.get(name);
            let before = self.known.get(name);
            let (first, new) = (before.is_none(), before.is_none_or(|it| changed(it, &now)));
            if new {
                news.push(News { name: name.clone(), first, value: Arc::clone(&now.value) });
                self.known.insert(name.clone(), now);
            }
        }
        news
    }
}

/// Whether `now` shows a later write than `known`.
fn is_behind(known: &Known, now: &Known) -> bool {
    now.version.is_newer_than(&known.version) && !(known.value.is_null() && now.value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Moment;
    use serde_json::json;

    fn version(number: u64) -> Version {
        Version(number.to_string())
    }

    fn list(number: u64, objects: &[(&str, u64)]) -> List {
        let items = objects.iter().map(|(name, number)| {
            let value = Arc::new(json!({"metadata": {"name": name}}));
            ((*name).to_owned(), Known { version: version(*number), value })
        });
        let (version, now) = (version(number), Moment::default());
        List {
            scope: crate::cluster::list::Scope::Whole,
            version,
            items: items.collect(),
            sent: now,
            answered: now,
        }
    }

    fn names(news: &[News]) -> Vec<(&str, bool, bool)> {
        news.iter().map(|it| (it.name.as_str(), it.first, it.value.is_null())).collect()
    }

    #[test]
    fn a_relist_shows_only_what_changed() {
        let followed = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let mut track = Track::default();
        let first = track.relist(&list(5, &[("a", 1), ("b", 2), ("x", 3)]), followed.iter());
        assert_eq!(names(&first), [("a", true, false), ("b", true, false), ("c", true, true)]);
        assert!(track.relist(&list(9, &[("a", 1), ("b", 2)]), followed.iter()).is_empty());
        let later = track.relist(&list(12, &[("a", 10), ("c", 11)]), followed.iter());
        assert_eq!(names(&later), [("a", false, false), ("b", false, true), ("c", false, false)]);
    }

    #[test]
    fn an_event_that_a_list_already_told_is_no_news() {
        let followed = ["a".to_owned(), "b".to_owned()];
        let mut track = Track::default();
        track.relist(&list(5, &[("a", 4)]), followed.iter());
        assert!(!track.is_news("a", &version(4), false));
        assert!(!track.is_news("b", &version(3), false), "was gone before the list");
        assert!(track.is_news("b", &version(6), false));
        assert!(track.is_news("a", &version(4), true), "a deletion may keep the version");
        track.event("a".to_owned(), version(7), Arc::new(Value::Null));
        assert!(!track.is_news("a", &version(7), true));
    }

    #[test]
    fn a_relist_is_believed_even_if_the_servers_versions_stepped_back() {
        let followed = ["a".to_owned(), "b".to_owned()];
        let mut track = Track::default();
        track.relist(&list(500, &[("a", 400)]), followed.iter());
        assert_eq!(names(&track.relist(&list(50, &[("a", 40)]), followed.iter())).len(), 1);
        assert!(track.is_news("a", &version(51), false));
        assert!(track.is_news("b", &version(51), false));
    }

    #[test]
    fn a_proof_finds_only_what_the_watch_did_not_tell() {
        let followed = ["a".to_owned()];
        let mut track = Track::default();
        track.relist(&list(5, &[("a", 4)]), followed.iter());
        assert!(!track.is_behind(&list(9, &[("a", 4)]), followed.iter()));
        track.event("a".to_owned(), version(8), Arc::new(json!({})));
        assert!(!track.is_behind(&list(7, &[("a", 6)]), followed.iter()), "the watch was faster");
        let newer = list(10, &[("a", 10)]);
        assert!(track.is_behind(&newer, followed.iter()));
        assert_eq!(names(&track.catch_up(&newer, followed.iter())), [("a", false, false)]);
        assert!(track.is_behind(&list(11, &[]), followed.iter()), "deleted");
    }
}
