//! What was found of earlier changes on a remote, and taken away there (rule S6).
//!
//! What stays says why: a canary that somebody still uses is none that was left behind, and one that
//! could not be taken away has to be counted.

/// What tidying up came to. That nothing was found is one; that nobody could look is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// What was taken away; if nothing was to be touched, what would have been.
    pub removed: Vec<String>,
    /// What stays because somebody uses it, or may.
    pub used: Vec<Stays>,
    /// What stays although it should go.
    pub left: Vec<Stays>,
    /// What goes after later runs: each takes away only a little.
    pub later: Vec<String>,
}

/// Something that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stays {
    /// Its name on the remote.
    pub name: String,
    /// Why it stays, in a sentence.
    pub why: String,
}

// === impl Tidied ===

impl Tidied {
    /// How much is there that should not be (rule S6).
    #[must_use]
    pub fn leftovers(&self) -> usize {
        self.left.len() + self.later.len()
    }
}

// === impl Stays ===

impl Stays {
    /// Something that stays, and why.
    pub fn new(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), why: why.into() }
    }
}
