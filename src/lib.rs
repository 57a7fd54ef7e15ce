//! A stopwatch for GitOps pipelines.
//!
//! A [`trigger`] makes a change; [`hop`] detectors recognise it in the states they are shown;
//! those of a cluster's objects come from [`cluster`].

pub mod model; // start reading here

pub mod hop;
pub mod trigger;

pub mod cluster; // the only code that talks to Kubernetes
