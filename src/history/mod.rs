//! What happened, kept: runs and accounts in one `SQLite` file.
//!
//! One process owns the file and writes it ([`SqliteStore`]); any number may read it meanwhile
//! ([`History`]), because the file is in WAL mode. What [`SqliteStore`] said is kept is on the
//! disk: a run that was counted and then forgotten would make every total a lie.

mod damage;
mod error;
mod forgetful;
mod owner;
mod read;
mod recorder;
pub mod report;
mod retention;
mod schema;
mod store;
mod write;

#[cfg(test)]
mod tests;

pub use damage::{Lost, SetAside};
pub use error::Error;
pub use forgetful::Forgetful;
pub use read::{Cursor, Filter, Found, History, HopRow, RunSummary, SlowestStage, Which};
pub use recorder::Recorder;
pub use retention::Retention;
pub use store::{Options, SqliteStore};
