//! The objects of the sandbox's cluster, and the log of every write to them.
//!
//! The store keeps what makes Kubernetes measurable: one counter of versions for all kinds, no
//! event for a write that changes nothing, `generation` only for a changed wish, `managedFields`
//! for who wrote what. Everything happens under one lock without waiting, so it works with paused
//! time, and every change is shared, never copied, by all who read it.

mod change;
mod error;
mod key;
mod log;
mod meta;
mod objects;
mod resource;
mod rules;

pub(crate) use change::event_line;
pub use change::{Change, ChangeKind};
pub use error::{Gone, StoreError};
pub use key::Key;
pub use log::Watch;
pub use objects::{Part, Preconditions, Store};
pub use resource::Resource;
