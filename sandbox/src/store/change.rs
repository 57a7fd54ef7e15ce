//! One write: what it made of an object, when, and by whom.
//!
//! A change is made once and shared by the truth log and every watcher; its line on the wire is
//! encoded once, by the first watcher that needs it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::Key;

/// One write that changed something, as the truth log keeps it.
pub struct Change {
    /// The version that the write made; rises by one with each write of the whole store.
    pub rv: u64,
    /// Whether the object came, changed or went.
    pub kind: ChangeKind,
    /// The object's address.
    pub key: Key,
    /// The object after the write; for a deletion its last state, with the deletion's version.
    pub object: Arc<Value>,
    /// The object before the write, unless it was new.
    pub before: Option<Arc<Value>>,
    /// The monotonic instant of the write; virtual where time is paused.
    pub at: Instant,
    /// The same instant as time of day; it follows `at`, virtual where time is paused.
    pub wall: jiff::Timestamp,
    /// Who wrote: the field manager.
    pub writer: String,
    pub(super) line: OnceLock<Bytes>,
}

/// What a write did to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The object is new.
    Added,
    /// The object was there and differs now.
    Modified,
    /// The object is gone.
    Deleted,
}

impl fmt::Debug for Change {
    /// Leaves the objects out: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rv, kind, key, writer, .. } = self;
        write!(f, "{rv} {} {key} by {writer}", kind.as_str())
    }
}

impl PartialEq for Change {
    /// Versions are unique within a store.
    fn eq(&self, other: &Self) -> bool {
        self.rv == other.rv && self.key == other.key
    }
}

impl ChangeKind {
    /// The word for it in a watch event: `ADDED`, `MODIFIED` or `DELETED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

impl Change {
    /// The change as a line of a watch stream, newline included; encoded at the first call only.
    #[must_use]
    pub fn line(&self) -> Bytes {
        self.line.get_or_init(|| event_line(self.kind, &self.object)).clone()
    }
}

/// Encodes a watch event of `object` as one line of JSON.
#[must_use]
pub(crate) fn event_line(kind: ChangeKind, object: &Value) -> Bytes {
    let mut line = Vec::with_capacity(1024);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_str().as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    serde_json::to_writer(&mut line, object).expect("a JSON value always encodes into memory");
    line.extend_from_slice(b"}\n");
    line.into()
}
