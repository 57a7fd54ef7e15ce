//! Everything outside the cluster that hopclock talks to.

mod client;
pub mod git;
pub mod registry;
pub mod server;
pub mod webhook;

pub use client::Clients;
