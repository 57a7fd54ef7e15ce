//! Everything outside the cluster that hopclock talks to.

pub mod bucket;
mod client;
pub mod git;
mod meter;
pub mod post;
pub mod registry;
pub mod server;
pub mod webhook;

pub use client::Clients;
