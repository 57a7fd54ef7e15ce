//! What a number of times says: percentiles, and whether two periods differ.
//!
//! Latencies are skewed, have several humps (a webhook, a poll) and an end that nobody saw (a
//! timeout). So nothing here assumes a shape: percentiles are ranks, and the certainty of a
//! difference comes from drawing the same samples again.

mod comparison;
mod sample;

#[cfg(test)]
mod tests;

pub use comparison::{Comparison, Difference, Verdict, compare};
pub use sample::{Sample, Share, Time};
