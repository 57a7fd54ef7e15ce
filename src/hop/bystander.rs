//! A member of the path that has no hop of its own: nothing is reached there, but it can be
//! suspended or failing, and then stands in the way (rules P5 and O1).

use crate::hop::{Applied, Detector, Released, SourceFetched, applied, released, source_fetched};
use crate::model::{Change, Revision, Sighting, SourceKind, State};

/// A member of the path that has no hop of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bystander {
    /// A source.
    Source(SourceKind),
    /// A Kustomization.
    Applier,
    /// A HelmRelease.
    Release,
    /// What scans, chooses or commits images. Its failures name no revision either.
    Image,
    /// The Receiver that a trigger calls: suspended, it takes nothing.
    Receiver,
    /// Something that only has to be there, such as a Receiver whose webhook is timed.
    Other,
}

// === impl Bystander ===

impl Detector for Bystander {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        match self {
            Self::Source(_) | Self::Image => source_fetched::trouble(past, now, change),
            Self::Applier => applied::trouble(past, now, change),
            Self::Release => released::trouble(past, now, change),
            Self::Receiver if now.value["spec"]["suspend"] == true => Sighting::Suspended,
            Self::Receiver | Self::Other => Sighting::NotYet,
        }
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        match self {
            Self::Source(kind) => SourceFetched(*kind).revisions(now),
            Self::Applier => Applied.revisions(now),
            Self::Release => Released.revisions(now),
            Self::Image | Self::Receiver | Self::Other => Vec::new(),
        }
    }

    fn learns(&self, past: &[State], now: &State, change: &Change) -> Vec<Revision> {
        match self {
            Self::Source(kind) => SourceFetched(*kind).learns(past, now, change),
            _ => Vec::new(),
        }
    }

    fn supposes(&self, revision: &Revision, change: &Change) -> bool {
        matches!(self, Self::Source(kind) if SourceFetched(*kind).supposes(revision, change))
    }

    fn applies(&self) -> bool {
        matches!(self, Self::Applier | Self::Release)
    }
}
