//! The history: what is kept comes back, whatever happens to the file or to the process.

mod files;
mod kept;
mod killed;
pub(crate) mod kit;
pub(crate) mod mounts;
mod reports;
