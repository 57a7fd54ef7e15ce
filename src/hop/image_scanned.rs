//! Flux has seen our tag in the registry.
//!
//! `latestTags` holds only the first ten tags in descending alphabetical order. A tag that is not
//! among them is not shown: then the scan was the last one that found another set of tags before
//! the policy chose.

use crate::hop::{Detector, Kind, Objects, Place, Traits, request, source_fetched};
use crate::model::{
    Change, GroupKind, ObjectName, Reached, Revision, RevisionSort, Sighting, State, Subject, When,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// What scans the registry: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageScannedConfig {
    /// An ImageRepository: its last scan shows our tag.
    ImageRepository(ObjectName),
}

/// See [`ImageScannedConfig`].
#[derive(Clone, Copy, Debug)]
pub struct ImageScanned;

// === impl ImageScannedConfig ===

impl Kind for ImageScannedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "image_scanned", place: Place::Scan, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let Self::ImageRepository(it) = self;
        Some(Subject::local(GroupKind::image("ImageRepository"), &it.namespace, &it.name))
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(Arc::new(ImageScanned))
    }

    /// A tag that is pushed again changes no set of tags, so no scan tells of it.
    fn suits(&self, sort: RevisionSort, _: Option<&Objects>) -> Result<(), String> {
        match sort {
            RevisionSort::Tag => Ok(()),
            RevisionSort::Digest => {
                Err("a scan shows tags and no digests, so it never shows that \
                                         a tag was pushed again: leave `image_scanned` out"
                    .to_owned())
            }
            RevisionSort::Commit | RevisionSort::Version | RevisionSort::Request => {
                Err("`image_scanned` is for a trigger that pushes an image tag: leave it out"
                    .to_owned())
            }
        }
    }
}

// === impl ImageScanned ===

impl Detector for ImageScanned {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if shows_ours(now, change) {
            return reached(past, now);
        }
        source_fetched::trouble(past, now, change)
    }

    fn look_back(&self, states: &[State], next: When, change: &Change) -> Sighting {
        let Some(began) = change.began() else { return Sighting::NotYet };
        let moved = |it: &usize| {
            let (before, now) = (&states[it - 1], &states[*it]);
            let fits = now.when.latest >= began && now.when.latest <= next.latest;
            fits && scan(before)["revision"] != scan(now)["revision"]
        };
        let last = (1..states.len()).rev().find(moved);
        last.map_or(Sighting::NotYet, |it| reached(&states[..it], &states[it]))
    }
}

/// Whether the last scan lists a tag of ours.
pub(super) fn shows_ours(state: &State, change: &Change) -> bool {
    let tags = scan(state)["latestTags"].as_array().into_iter().flatten();
    let mut ours = tags.filter_map(Value::as_str).map(|it| Revision::Tag(it.to_owned()));
    ours.any(|it| change.carried(&it).is_some())
}

/// Whether the last scan lists all tags, and none of ours.
pub(super) fn lacks_ours(state: &State, change: &Change) -> bool {
    let scan = scan(state);
    let listed = scan["latestTags"].as_array().map(Vec::len);
    let all =
        listed.is_some() && listed == scan["tagCount"].as_u64().and_then(|it| it.try_into().ok());
    all && !shows_ours(state, change)
}

/// What the last scan found.
pub(super) fn scan(state: &State) -> &Value {
    &state.value["status"]["lastScanResult"]
}

fn reached(past: &[State], now: &State) -> Sighting {
    Sighting::Reached(Reached {
        started: request::started(past, now),
        via: Some(request::via(past, now)),
        ..Reached::at(now.when)
    })
}
