//! A member of the path that has no hop of its own: nothing is reached there, but it can be
//! suspended or failing, and then stands in the way (rules P5 and O1).

use crate::hop::{Detector, applied, source_fetched};
use crate::model::{Change, Revision, Sighting, SourceKind, State};

/// A member of the path that has no hop of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bystander {
    /// A source.
    Source(SourceKind),
    /// An applier.
    Applier,
    /// What scans, chooses or commits images. Its failures name no revision either.
    Image,
    /// Something that only has to be there, such as a Receiver.
    Other,
}

// === impl Bystander ===

impl Detector for Bystander {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        match self {
            Self::Source(_) | Self::Image => source_fetched::trouble(past, now, change),
            Self::Applier => applied::trouble(past, now, change),
            Self::Other => Sighting::NotYet,
        }
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        match self {
            Self::Source(kind) => source_fetched::SourceFetched(*kind).revisions(now),
            Self::Applier => applied::Applied.revisions(now),
            Self::Image | Self::Other => Vec::new(),
        }
    }
}
