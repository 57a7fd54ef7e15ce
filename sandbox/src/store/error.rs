//! What a write to the store can be refused for, and what ends a watch.

use thiserror::Error;

use super::Key;

/// Why the store refused a read or a write; the object is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No object has this address.
    #[error("`{0}` does not exist: create it first")]
    NotFound(Key),
    /// Another object has this address.
    #[error("`{0}` exists already: change it instead of creating it")]
    AlreadyExists(Key),
    /// The writer knows an older version, or another object of the same name.
    #[error("`{0}` was changed by somebody else: read it again and repeat the change")]
    Conflict(Key),
    /// The kind is served without a status subresource.
    #[error("`{0}` has no status subresource: write its status with the whole object")]
    NoStatus(Key),
    /// Nobody registered this kind.
    #[error("the kind `{0}` is unknown here: register it first")]
    UnknownKind(String),
    /// The object cannot be stored as it is.
    #[error("`{key}` is invalid: {field}: {problem}")]
    Invalid {
        /// The object's address, as far as it is known.
        key: Key,
        /// The path of the wrong field, such as `metadata.name`.
        field: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
}

/// The log no longer reaches back to where the watch stands: its reader has to list again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the log of changes no longer reaches back to {after}: list again")]
pub struct Gone {
    /// The version after which the reader wanted to go on.
    pub after: u64,
}
