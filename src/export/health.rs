//! What a service says of itself: whether it reads its scenarios, keeps its state, and hears.

use crate::engine::StoreError;
use crate::export::metrics::Metrics;
use crate::export::reference::Metric;
use std::time::Duration;

/// What came of reading the scenarios again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// All of them were taken over.
    Whole,
    /// At least one file was not.
    Partial,
}

/// How many scenarios are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScenarioCounts {
    /// They are as their files say.
    pub active: u32,
    /// Their last good form is used, although the file is broken now.
    pub stale: u32,
    /// Their files are broken, and there is no good form.
    pub broken: u32,
}

impl Metrics {
    /// Says what came of reading the scenarios, at the start or again.
    pub fn set_reload(&self, reload: Reload, scenarios: ScenarioCounts) {
        let seconds = self.clock.wall().as_duration().as_secs_f64();
        let ScenarioCounts { active, stale, broken } = scenarios;
        self.with_process(|series| {
            match reload {
                Reload::Whole => {
                    series.set(Metric::ReloadSuccessful, &[], 1.0);
                    series.set(Metric::ReloadSuccess, &[], seconds);
                }
                Reload::Partial => series.set(Metric::ReloadSuccessful, &[], 0.0),
            }
            for (state, count) in [("active", active), ("stale", stale), ("broken", broken)] {
                series.set(Metric::Scenarios, &[state], f64::from(count));
            }
        });
    }

    /// Says that state is kept, and for which reasons that may fail, so that these series exist.
    pub fn declare_state(&self, reasons: &[&str]) {
        self.with_process(|series| {
            series.set(Metric::StateSaved, &[], 1.0);
            for reason in reasons {
                series.declare(Metric::StateErrors, &[reason]);
            }
        });
    }

    /// Says whether the last change of state was kept.
    pub fn set_state_saved(&self, saved: Result<(), &StoreError>) {
        self.with_process(|series| match saved {
            Ok(()) => series.set(Metric::StateSaved, &[], 1.0),
            Err(error) => {
                series.set(Metric::StateSaved, &[], 0.0);
                series.add(Metric::StateErrors, &[error.reason], 1.0);
            }
        });
    }

    /// Says that echoes of a cluster will be observed, so that their series exists.
    pub fn declare_echo(&self, target_cluster: &str) {
        self.with_process(|series| series.declare_histogram(Metric::WatchEcho, &[target_cluster]));
    }

    /// Observes how long a write of our own took to come back as a watch event.
    pub fn observe_echo(&self, target_cluster: &str, took: Duration) {
        self.with_process(|series| series.observe(Metric::WatchEcho, &[target_cluster], took));
    }
}
