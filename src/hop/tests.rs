//! Rules of the design that single detectors obey, each by its number; a file per kind.

mod applied;
mod live;
pub(crate) mod objects;
mod source_fetched;
mod webhook_received;
