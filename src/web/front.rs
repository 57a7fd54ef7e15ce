//! Pages, and who hears of the requests that none of them saw.
//!
//! A body that is too long and a connection too many are answered before any page is asked. Whoever
//! counts what comes would never know of them.

use axum::Router;
use std::sync::Arc;

/// Why a request was answered before a page saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Its body is longer than is read.
    TooLong,
    /// Its body broke off, or did not come in time.
    Broken,
    /// Its connection was one too many.
    TooMany,
}

/// Pages, and who is told of what none of them saw.
#[derive(Clone)]
pub struct Front {
    /// The pages.
    pub(super) pages: Router,
    told: Option<Arc<dyn Fn(Turned) + Send + Sync>>,
}

// === impl Front ===

impl Front {
    /// Pages, and somebody who is told at once: he must not wait.
    pub fn new(pages: Router, told: impl Fn(Turned) + Send + Sync + 'static) -> Self {
        Self { pages, told: Some(Arc::new(told)) }
    }

    /// Tells of a request that no page saw.
    pub(super) fn tell(&self, turned: Turned) {
        if let Some(told) = &self.told {
            told(turned);
        }
    }
}

impl From<Router> for Front {
    fn from(pages: Router) -> Self {
        Self { pages, told: None }
    }
}
