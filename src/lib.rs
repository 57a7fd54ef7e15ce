//! A stopwatch for GitOps pipelines.
//!
//! A [`config`] file says what to do: a [`trigger`] makes a change; [`hop`] detectors recognise it
//! in the states they are shown; the [`engine`] times one run.

pub mod model; // start reading here

pub mod config;
pub mod engine;
pub mod hop;
pub mod remote;
pub mod trigger;

pub mod cluster;
