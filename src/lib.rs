//! A stopwatch for GitOps pipelines.
//!
//! A [`trigger`] makes a change; [`hop`] detectors recognise it in the states they are shown.

pub mod model; // start reading here

pub mod hop;
pub mod remote;
pub mod trigger;
