//! What the tip of a trigger's branch holds, beside the canary: who else is there (rule S0), and
//! what decides whether the canary is delivered (rule P7).

use std::collections::{BTreeMap, BTreeSet};

/// What a branch's tip holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The commit that was looked at.
    pub commit: String,
    /// Of the files that were asked for, those that are there.
    pub files: BTreeMap<String, String>,
    /// Whose files they all are.
    pub holding: Holding,
    /// Whose files stand around them, where they are only a part of what is written.
    pub around: Option<Holding>,
}

/// Whose files a tree holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Every file is a canary, of one of these instances; none for an empty tree.
    Canaries(BTreeSet<String>),
    /// This file is none.
    Others(String),
}

// === impl Holding ===

impl Holding {
    /// Whose files these and those are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Canaries(mut ours), Self::Canaries(others)) => {
                ours.extend(others);
                Self::Canaries(ours)
            }
            (others @ Self::Others(_), _) | (_, others) => others,
        }
    }
}
