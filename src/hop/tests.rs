//! Rules of the design that single detectors obey, each by its number; a file per kind.

mod applied;
mod automation_committed;
mod image_scanned;
pub(crate) mod images;
mod live;
mod merged;
pub(crate) mod objects;
mod policy_updated;
mod source_fetched;
mod webhook_received;
