//! The sandbox from outside: over real sockets on loopback, or in virtual time.
//!
//! One binary for all subjects, because each further one would link the whole stack again.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod api;
mod bucket_facts;
mod bucket_stories;
mod flux_facts;
mod helm_facts;
mod helm_lanes;
mod helm_stories;
mod image_facts;
mod image_lanes;
mod image_stories;
mod lab;
mod normal;
mod oci_facts;
mod oci_stories;
mod pipeline;
mod receivers;
mod stories;
mod watcher_facts;
