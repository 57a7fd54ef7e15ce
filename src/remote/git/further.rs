//! Files that a commit changes beside its own, by what they hold on the branch at that time.
//!
//! A list that several people keep, such as the index of a chart repository, cannot be written
//! beforehand: when somebody else was faster, ours has to be put into theirs.

use std::fmt;
use std::sync::Arc;

/// A file that is changed beside the commit's own.
#[derive(Clone)]
pub struct Further {
    /// The file, relative to the root of the tree.
    pub path: String,
    rewrite: Rewrite,
}

/// What a file shall hold, by what it holds; none where there is, or shall be, no such file.
pub type Rewrite = Arc<dyn Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>, Unwritten> + Send + Sync>;

/// Why a file cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// Bounded name for the label `reason`.
    pub reason: &'static str,
    /// One sentence: what, where, what to do.
    pub message: String,
}

// === impl Further ===

impl Further {
    /// A file, and how it is changed.
    pub fn new(
        path: impl Into<String>,
        rewrite: impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>, Unwritten> + Send + Sync + 'static,
    ) -> Self {
        Self { path: path.into(), rewrite: Arc::new(rewrite) }
    }

    /// A file that goes, if it is there.
    pub fn removal(path: impl Into<String>) -> Self {
        Self::new(path, |_| Ok(None))
    }

    /// What it shall hold.
    pub(super) fn content(&self, before: Option<&[u8]>) -> Result<Option<Vec<u8>>, Unwritten> {
        (self.rewrite)(before)
    }
}

impl PartialEq for Further {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && Arc::ptr_eq(&self.rewrite, &other.rewrite)
    }
}

impl Eq for Further {}

impl fmt::Debug for Further {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Further").field("path", &self.path).finish_non_exhaustive()
    }
}
