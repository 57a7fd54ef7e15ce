//! A stopwatch for GitOps pipelines.
//!
//! A [`config`] file says what to do: a [`trigger`] makes a change, and [`hop`] detectors recognise
//! it in the states they are shown.

pub mod model; // start reading here

pub mod config;
pub mod hop;
pub mod trigger;
