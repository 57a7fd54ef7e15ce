//! What holds for all rules: who shares the Prometheus, how series come, where runbooks are.

use crate::model::Timetable;
use crate::rules::cadence::WALK;
use crate::rules::selector::{Selector, is_label};
use crate::rules::span::text;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// How long a series counts that is not sent again, if runs are a day apart at the most.
const MEMORY: Duration = Duration::from_secs(4 * 86_400);

/// What holds for all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Labels beside our own that tell installations apart, those of the selector included.
    by: Vec<String>,
    selector: Option<Selector>,
    /// How series come to Prometheus.
    pub arrival: Arrival,
    /// How long a series counts that is not sent again.
    memory: Duration,
    /// Where the runbooks are, without a slash at its end.
    pub runbooks: String,
    /// Address of a dashboard, if there is one.
    pub dashboard: Option<String>,
}

/// How series come to Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// They are there all the time: scraped from a service, or from a Pushgateway.
    #[default]
    Scraped,
    /// They come when a run ends, by remote write, and are gone five minutes later.
    Pushed,
}

// === impl Settings ===

impl Settings {
    /// Settings with these labels of installations; none if one of them is no label.
    #[must_use]
    pub fn new(by: &[String], selector: Option<Selector>, arrival: Arrival) -> Option<Self> {
        let mut labels: Vec<String> = Vec::new();
        let more = selector.iter().flat_map(Selector::labels);
        for label in by.iter().map(String::as_str).chain(more) {
            if !is_label(label) {
                return None;
            }
            if !labels.iter().any(|it| it == label) {
                labels.push(label.to_owned());
            }
        }
        let runbooks = "docs/runbooks".to_owned();
        let memory = MEMORY;
        Some(Self { by: labels, selector, arrival, memory, runbooks, dashboard: None })
    }

    /// Has what was sent last count until a run of this schedule is missed for certain: four usual
    /// gaps, and a day longer than the longest night or pause.
    pub fn remember(&mut self, timetable: &Timetable) {
        let needed = (4 * timetable.usual_gap()).max(timetable.longest_wait(WALK) + DAY);
        let days = needed.as_secs().div_ceil(DAY.as_secs());
        self.memory = self.memory.max(Duration::from_secs(days * DAY.as_secs()));
    }

    /// How long a series counts that is not sent again.
    pub(super) fn memory(&self) -> Duration {
        self.memory
    }

    /// The labels of installations, then these.
    pub(super) fn by(&self, more: &[&str]) -> String {
        let all: Vec<_> = self.by.iter().map(String::as_str).chain(more.iter().copied()).collect();
        all.join(", ")
    }

    /// A metric with matchers of its own, as it is now or, where it is not sent again, was last.
    pub(super) fn now(&self, metric: &str, matchers: &str) -> String {
        let series = self.series(metric, matchers);
        match self.arrival {
            Arrival::Scraped => series,
            Arrival::Pushed => format!("last_over_time({series}[{}])", text(self.memory)),
        }
    }

    /// A series with matchers of its own and those of the selector.
    pub(super) fn series(&self, name: &str, matchers: &str) -> String {
        let all = match &self.selector {
            Some(selector) if matchers.is_empty() => selector.to_string(),
            Some(selector) => format!("{matchers}, {selector}"),
            None => matchers.to_owned(),
        };
        if all.is_empty() { name.to_owned() } else { format!("{name}{{{all}}}") }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let by = ["cluster", "namespace", "job"].map(str::to_owned).to_vec();
        let runbooks = "docs/runbooks".to_owned();
        let (arrival, memory) = (Arrival::Scraped, MEMORY);
        Self { by, selector: None, arrival, memory, runbooks, dashboard: None }
    }
}
