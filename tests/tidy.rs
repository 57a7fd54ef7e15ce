//! The house rules that a machine can check.
//!
//! Each test names every place that breaks its rule, so that one run is enough to mend them all.
//! It reads text, not syntax: a rule that needs more than that belongs into a lint.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod tidy {
    mod bans;
    mod layers;
    mod places;
    mod scrub;
    mod shape;
    mod snapshots;
    mod tree;
}
