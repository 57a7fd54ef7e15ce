//! Names of metrics that `export` is about to have.

/// What was sent elsewhere, by way and result.
pub(super) const EXPORTS: &str = "hopclock_exports_total";
