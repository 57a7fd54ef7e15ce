//! Which scenarios have been gone for so long that nothing has to be known of them any more.
//!
//! A folder can be empty for a moment: a mount comes late, a checkout removes and writes, somebody
//! reverts a commit. So what is known of a scenario is kept for a while after its file has gone,
//! and a folder that holds nothing, or something broken, proves nothing.

use crate::model::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a scenario is remembered that is gone.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// The scenarios of which something is known, and since when some of them are gone.
#[derive(Debug, Default)]
pub(super) struct Absent {
    known: BTreeSet<String>,
    since: BTreeMap<String, Moment>,
}

// === impl Absent ===

impl Absent {
    /// Something is known of these.
    pub(super) fn know<'a>(&mut self, scenarios: impl IntoIterator<Item = &'a String>) {
        self.known.extend(scenarios.into_iter().cloned());
    }

    /// The folder does not say for sure which scenarios there are.
    pub(super) fn doubt(&mut self) {
        self.since.clear();
    }

    /// Takes in which scenarios there are for sure. Returns those that are to be forgotten now.
    pub(super) fn look(&mut self, present: &BTreeSet<String>, now: Moment) -> Vec<String> {
        self.since.retain(|it, _| !present.contains(it));
        for gone in self.known.difference(present) {
            self.since.entry(gone.clone()).or_insert(now);
        }
        let is_old = |it: &(&String, &Moment)| now.since(*it.1) >= REMEMBERED;
        let old: Vec<String> = self.since.iter().filter(is_old).map(|it| it.0.clone()).collect();
        for it in &old {
            self.known.remove(it);
            self.since.remove(it);
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn minute(number: u64) -> Moment {
        Moment(Duration::from_secs(60 * number))
    }

    fn known(scenarios: &[&str]) -> Absent {
        let mut absent = Absent::default();
        absent.know(&names(scenarios));
        absent
    }

    #[test]
    fn what_is_gone_is_remembered_for_an_hour_and_forgotten_once() {
        let mut absent = known(&["a", "b"]);
        assert_eq!(absent.look(&names(&["a"]), minute(1)), Vec::<String>::new());
        assert_eq!(absent.look(&names(&["a"]), minute(60)), Vec::<String>::new());
        assert_eq!(absent.look(&names(&["a"]), minute(61)), ["b"]);
        assert_eq!(absent.look(&names(&["a"]), minute(200)), Vec::<String>::new());
    }

    #[test]
    fn what_comes_back_or_is_in_doubt_begins_its_hour_anew() {
        let mut absent = known(&["a", "b", "c"]);
        absent.look(&names(&["a"]), minute(1));
        absent.look(&names(&["a", "b"]), minute(40));
        assert_eq!(absent.look(&names(&["a"]), minute(70)), ["c"], "b was there meanwhile");
        absent.doubt();
        assert_eq!(absent.look(&names(&["a"]), minute(120)), Vec::<String>::new());
        assert_eq!(absent.look(&names(&["a"]), minute(180)), ["b"]);
    }
}
