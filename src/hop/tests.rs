//! Rules of the design that single detectors obey, each by its number; a file per kind.

mod applied;
mod artifacts;
mod condition;
mod live;
mod notified;
pub(crate) mod objects;
mod released;
mod rolled_out;
mod source_fetched;
mod webhook_received;
