//! `status.history`: what was applied lately, newest first.
//!
//! Entries are one per (built YAML, outcome): two revisions with the same output share one, which
//! then names the later revision only.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::flux::gotime;

/// How many entries are kept.
const KEPT: usize = 5;

/// What one run adds.
pub(super) struct Entry<'a> {
    pub(super) digest: &'a str,
    pub(super) outcome: &'a str,
    pub(super) took: Duration,
    pub(super) revision: &'a str,
    pub(super) origin: Option<&'a str>,
}

/// The history with a run added.
pub(super) fn with(history: &Value, entry: &Entry<'_>, now: &str) -> Value {
    let mut all = history.as_array().cloned().unwrap_or_default();
    let place = all.iter().position(|old| {
        old["digest"] == entry.digest && old["lastReconciledStatus"] == entry.outcome
    });
    let mut newest = match place {
        Some(place) => all.remove(place),
        None => json!({
            "digest": entry.digest,
            "firstReconciled": now,
            "lastReconciledStatus": entry.outcome,
            "totalReconciliations": 0,
        }),
    };
    let total = newest["totalReconciliations"].as_u64().unwrap_or(0) + 1;
    newest["totalReconciliations"] = total.into();
    newest["lastReconciled"] = now.into();
    newest["lastReconciledDuration"] = gotime::duration(entry.took).into();
    newest["metadata"] = json!({ "revision": entry.revision });
    if let Some(origin) = entry.origin {
        newest["metadata"]["originRevision"] = origin.into();
    }
    all.insert(0, newest);
    all.truncate(KEPT);
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(history: &Value, digest: &str, revision: &str) -> Value {
        let took = Duration::from_millis(120);
        let entry =
            Entry { digest, outcome: "ReconciliationSucceeded", took, revision, origin: None };
        with(history, &entry, "2026-11-21T02:40:11Z")
    }

    #[test]
    fn equal_output_shares_an_entry_that_moves_to_the_front() {
        let mut history = Value::Null;
        for (digest, revision) in [("a", "r1"), ("b", "r2"), ("a", "r3")] {
            history = add(&history, digest, revision);
        }
        assert_eq!(history.as_array().unwrap().len(), 2);
        assert_eq!(history[0]["metadata"]["revision"], "r3");
        assert_eq!(history[0]["totalReconciliations"], 2);
        assert_eq!(history[0]["lastReconciledDuration"], "120ms");
    }

    #[test]
    fn five_entries_are_kept() {
        let mut history = Value::Null;
        for digest in ["a", "b", "c", "d", "e", "f"] {
            history = add(&history, digest, "r");
        }
        assert_eq!(history.as_array().unwrap().len(), 5);
        assert_eq!(history[4]["digest"], "b");
    }
}
