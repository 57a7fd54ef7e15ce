//! A stopwatch for GitOps pipelines.
//!
//! A [`trigger`] makes a change; [`hop`] detectors recognise it in the states they are shown; the
//! [`engine`] times one run; [`export`] counts what happens and [`web`] shows it.

pub mod model; // start reading here

pub mod engine;
pub mod export;
pub mod hop;
pub mod trigger;
pub mod web;
