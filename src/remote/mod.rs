//! Everything outside the cluster that hopclock talks to.

pub mod git;
