//! Rules of the design that single detectors obey, each by its number; a file per kind.

mod applied;
mod artifacts;
mod automation_committed;
mod condition;
mod image_scanned;
pub(crate) mod images;
mod live;
mod merged;
mod notified;
pub(crate) mod objects;
mod policy_updated;
mod released;
mod rolled_out;
mod source_fetched;
mod webhook_received;
