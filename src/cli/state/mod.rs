//! Where state lives between two processes: a file, a ConfigMap, or nowhere.

mod config_map;

use crate::cli::state::config_map::ConfigMapStore;
use crate::cluster::Cluster;
use crate::engine::{Store, StoreError};
use crate::history::{Forgetful, Options, SqliteStore};
use crate::model::{Clock, ObjectName};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Where state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StatePlace {
    /// In a database file, together with history.
    File(PathBuf),
    /// In a ConfigMap, without history.
    ConfigMap(ObjectName),
    /// Nowhere: every process begins anew.
    Nowhere,
}

/// A text that names no place for state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use `file:PATH`, `configmap:NAMESPACE/NAME` or `none`")]
pub(super) struct NotAStatePlace;

// === impl StatePlace ===

impl StatePlace {
    /// What is lost when the process ends; none if nothing is.
    pub(super) fn loss(&self) -> Option<&'static str> {
        match self {
            Self::File(_) => None,
            Self::ConfigMap(_) => Some(
                "runs are not kept as history; schedule position, runs in flight and totals are",
            ),
            Self::Nowhere => Some(
                "with every restart the schedule's position, runs in flight, totals and history \
                 are lost, and ticks that pass meanwhile are not counted",
            ),
        }
    }

    /// Whether another process can go on with a run.
    pub(super) fn is_lasting(&self) -> bool {
        *self != Self::Nowhere
    }

    /// Opens the store. A damaged file was set aside then, which is said.
    pub(super) async fn open(
        &self,
        cluster: &Cluster,
        writer: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            Self::File(path) => {
                let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
                folder.map_or(Ok(()), std::fs::create_dir_all).map_err(|error| StoreError {
                    reason: "history_no_folder",
                    message: format!("cannot make the folder of `{}`: {error}", path.display()),
                })?;
                let (store, set_aside) = SqliteStore::open(path, Options::default(), clock).await?;
                if let Some(it) = set_aside {
                    tracing::error!("{it}");
                }
                Box::new(store)
            }
            Self::ConfigMap(name) => {
                Box::new(ConfigMapStore::new(cluster.clone(), name.clone(), writer))
            }
            Self::Nowhere => Box::new(Forgetful::default()),
        })
    }

    /// Opens the store for these scenarios alone: others in the same ConfigMap belong to others,
    /// who may write at the same time.
    pub(super) async fn open_for(
        &self,
        scenarios: &BTreeSet<String>,
        cluster: &Cluster,
        writer: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Store>, StoreError> {
        if let Self::ConfigMap(name) = self {
            let store = ConfigMapStore::new(cluster.clone(), name.clone(), writer);
            return Ok(Box::new(store.of(scenarios)));
        }
        self.open(cluster, writer, clock).await
    }
}

impl FromStr for StatePlace {
    type Err = NotAStatePlace;

    fn from_str(text: &str) -> Result<Self, NotAStatePlace> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("configmap", name)) => {
                name.parse().map(Self::ConfigMap).map_err(|_| NotAStatePlace)
            }
            None if text == "none" => Ok(Self::Nowhere),
            _ => Err(NotAStatePlace),
        }
    }
}

impl fmt::Display for StatePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::ConfigMap(name) => write!(f, "ConfigMap `{name}`"),
            Self::Nowhere => f.write_str("nowhere"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_a_word() {
        let place = |text: &str| text.parse::<StatePlace>();
        assert_eq!(place("file:/a/b"), Ok(StatePlace::File("/a/b".into())));
        assert_eq!(place("configmap:a/b"), Ok(StatePlace::ConfigMap(ObjectName::new("a", "b"))));
        assert_eq!(place("none"), Ok(StatePlace::Nowhere));
        for wrong in ["", "file:", "configmap:", "configmap:a", "/a/b", "none:"] {
            assert_eq!(place(wrong), Err(NotAStatePlace), "{wrong}");
        }
    }
}
