//! Why there are no rules for something.

use crate::rules::cadence::Cadence;
use crate::rules::objective::Objective;
use crate::rules::span::text;
use std::fmt;
use std::time::Duration;

/// Why there are no rules for something.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Nobody knows how often the scenario runs.
    #[error(
        "scenario `{scenario}` has an objective and no `schedule`: without a period no window \
         fits, so say how often it runs"
    )]
    NoSchedule {
        /// The scenario.
        scenario: String,
    },
    /// The cadence is too slow for the objective.
    #[error(transparent)]
    Unsupported(#[from] Box<Unsupported>),
}

/// An objective that its cadence cannot support.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsupported {
    /// The objective.
    pub objective: Objective,
    /// What is in the way.
    pub why: Why,
    /// The highest usual objective that this cadence supports.
    pub other_share: Option<f64>,
    /// The longest usual period that supports this objective.
    pub other_period: Option<Duration>,
}

/// What keeps a cadence from supporting an objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// All runs of the year that is looked at lie in pauses.
    NoRuns,
    /// A single bad run would page.
    OneRun {
        /// Runs in the longest window that pages.
        of: u64,
        /// That window.
        window: Duration,
    },
    /// The budget is spent before anybody is paged.
    TooLate {
        /// Bad runs that page.
        bad: u64,
        /// Runs in the window that pages first.
        of: u64,
        /// That window.
        window: Duration,
    },
    /// No page would ever come.
    Never {
        /// Decisions that it takes.
        least: u64,
        /// In this window.
        window: Duration,
    },
    /// The budget is spent before anybody is paged, if an outage begins at a bad time.
    Uneven {
        /// Bad runs that page then.
        bad: u64,
    },
    /// The shortest window with enough runs is longer than that of the objective.
    TooRare {
        /// The shortest window with enough runs.
        window: Duration,
    },
}

impl std::error::Error for Unsupported {}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Objective { scenario, slo, share, window, cadence, .. } = &self.objective;
        let runs = cadence.runs_in(*window);
        let (wanted, window) = (percent(*share), text(*window));
        let often = often(cadence);
        write!(
            f,
            "scenario `{scenario}` cannot be held to {wanted} of objective `{slo}` with {often}: \
             {window} have {runs:.0} runs, so {:.1} of them may be bad, and ",
            runs * (1.0 - share)
        )?;
        match self.why {
            Why::NoRuns => {
                return f.write_str(
                    "its pauses leave no run in 2027: shorten them, or leave its file out",
                );
            }
            Why::OneRun { of, window } => {
                write!(f, "1 bad run of the {of} in {} would page", text(window))
            }
            Why::TooLate { bad, of, window } => {
                let window = text(window);
                write!(f, "nobody would be paged before {bad} of the {of} in {window} are")
            }
            Why::Never { least, window } => {
                write!(f, "there are times without {least} runs in {} to page for", text(window))
            }
            Why::Uneven { bad } => {
                write!(f, "an outage that begins at a bad time pages nobody before {bad} are")
            }
            Why::TooRare { window } => {
                write!(f, "the 12 runs that have to be looked at take {}", text(window))
            }
        }?;
        let share = self.other_share.map(|it| format!("{} with this schedule", percent(it)));
        let always = if cadence.is_even() { "" } else { ", day and night" };
        let period = |it| format!("{wanted} with a run every {}{always}", text(it));
        let period = self.other_period.map(period);
        match share.into_iter().chain(period).collect::<Vec<_>>().as_slice() {
            [] => f.write_str("; no schedule would do"),
            ways => write!(f, "; what would do is {}", ways.join(", or ")),
        }
    }
}

/// How often there is a run.
fn often(cadence: &Cadence) -> String {
    if cadence.is_even() {
        return format!("a run every {}", text(cadence.period));
    }
    format!("{} runs a day in the mean", plain((cadence.per_day * 10.0).round() / 10.0))
}

/// A share as people write it.
pub(super) fn percent(share: f64) -> String {
    format!("{}%", plain(share * 100.0))
}

/// A number without what floating point adds to it.
pub(super) fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
