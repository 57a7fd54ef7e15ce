//! A stopwatch for GitOps pipelines.
//!
//! A [`config`] file says what to do: a [`trigger`] makes a change; [`hop`] detectors recognise it
//! in the states they are shown; the [`engine`] times one run. [`path`] knows the installed
//! pipeline, [`cluster`] and [`remote`] talk to the outside, [`history`] keeps what happens, [`export`]
//! counts it, [`web`] shows it and [`dashboard`] draws it, [`cli`] wires everything together.

pub mod model; // start reading here

pub mod path;

pub mod hop;
pub mod trigger;

pub mod config;

pub mod cluster;
pub mod remote;

pub mod engine;

pub mod history;

pub mod export;
pub mod web;

pub mod dashboard;

pub mod cli;
