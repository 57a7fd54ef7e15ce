//! Windows and thresholds that fit a cadence: the arithmetic of `docs/slo.md`.
//!
//! The tiers are those of the SRE workbook for 30 days, scaled to the window of the objective: how
//! many times too fast the budget is spent, over which window. With few runs such a window holds
//! one or none of them, so it grows until it holds twelve, and its short companion three. Where
//! runs are not evenly apart, an outage is played through from each of them.

use crate::rules::cadence::{Cadence, held_by_each};
use crate::rules::error::{Error, Unsupported, Why};
use crate::rules::objective::Objective;
use crate::rules::rule::Severity;
use std::time::Duration;

/// What alerts on an objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The fastest first; at least one of them pages.
    pub tiers: Vec<Tier>,
}

/// One pair of windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tier {
    /// Who should look.
    pub severity: Severity,
    /// How many times faster than it may the budget is spent.
    pub factor: f64,
    /// Share of bad runs above which it alerts, in both windows.
    pub threshold: f64,
    /// The window that says that it matters.
    pub long: Duration,
    /// The window that says that it goes on.
    pub short: Duration,
    /// Runs in the long window, as most runs see it.
    pub runs: u64,
    /// Fewest bad ones of them that alert.
    pub bad: u64,
    /// Fewest bad ones that alert, however few runs there were.
    pub fewest: u64,
    /// Fewest decisions in the long window that are enough to judge.
    pub least: u64,
}

/// Severity, factor and hours of the long window, for an objective over 30 days.
const TIERS: [(Severity, f64, f64); 4] = [
    (Severity::Critical, 14.4, 1.0),
    (Severity::Critical, 6.0, 6.0),
    (Severity::Warning, 3.0, 24.0),
    (Severity::Warning, 1.0, 72.0),
];

const MONTH: f64 = 30.0 * 86_400.0;

/// Fewest runs in a long window, and in a short one.
const RUNS: (u32, u32) = (12, 3);

/// Fewest bad runs that page, and that make a ticket. At a bad rate that the budget allows, two of two
/// dozen runs are bad by chance about every month; three are in two years.
const FEWEST_BAD: (u64, u64) = (3, 2);

/// Fewest decisions to judge by: half of the fewest runs of a long window.
const LEAST: u64 = 6;

/// Highest share of bad runs that an alert may ask for; above it not even an outage might alert.
const CAP: f64 = 0.8;

/// Objectives that people use, the highest first.
const SHARES: [f64; 14] =
    [0.9999, 0.9995, 0.999, 0.998, 0.9975, 0.995, 0.99, 0.98, 0.97, 0.95, 0.9, 0.8, 0.75, 0.5];

/// Periods that people use, the longest first, in seconds.
const PERIODS: [u64; 14] =
    [86_400, 43_200, 21_600, 14_400, 10_800, 7_200, 3_600, 1_800, 1_200, 900, 600, 300, 120, 60];

// === impl Tier ===

impl Tier {
    /// How long after an outage begins this tier alerts at the latest, if every run is bad and each
    /// begins up to `jitter` late: the run that is just too early to notice, then as many as it
    /// takes. Evaluation comes on top, and nights and pauses do where there are any.
    #[must_use]
    pub fn detects_after(&self, objective: &Objective, jitter: Duration) -> Duration {
        let runs = u32::try_from(self.bad).unwrap_or(u32::MAX);
        objective.cadence.span(runs) + jitter + objective.within
    }

    /// Whether so many bad runs of so many in the long window, and in the short one, alert.
    #[expect(clippy::cast_precision_loss, reason = "numbers of runs")]
    fn alerts(&self, (bad, long): (u64, u64), (recently, short): (u64, u64)) -> bool {
        let exceeds = |bad: u64, of: u64| bad as f64 > self.threshold * of as f64;
        bad >= self.fewest && long >= self.least && exceeds(bad, long) && exceeds(recently, short)
    }
}

/// Windows and thresholds for an objective.
///
/// # Errors
///
/// [`Error::Unsupported`] if nobody could be paged in time, or one bad run would page.
pub fn plan(objective: &Objective) -> Result<Plan, Error> {
    let Objective { share, window, cadence, .. } = objective;
    tiers(*share, *window, cadence).map(|tiers| Plan { tiers }).map_err(|why| {
        let fits = |share: f64, cadence: &Cadence| tiers(share, *window, cadence).is_ok();
        let lower = SHARES.into_iter().filter(|it| it < share);
        let faster = PERIODS.map(Duration::from_secs).into_iter().filter(|it| *it < cadence.period);
        Box::new(Unsupported {
            objective: objective.clone(),
            why,
            other_share: lower.into_iter().find(|it| fits(*it, cadence)),
            other_period: faster.into_iter().find(|it| fits(*share, &Cadence::every(*it))),
        })
        .into()
    })
}

fn tiers(share: f64, window: Duration, cadence: &Cadence) -> Result<Vec<Tier>, Why> {
    if cadence.per_day <= 0.0 {
        return Err(Why::NoRuns);
    }
    let fewest = cadence.span(RUNS.0);
    if fewest > window {
        return Err(Why::TooRare { window: whole_minutes(fewest) });
    }
    let all = TIERS.map(|it| tier(it, share, window, cadence));
    let slowest = all[1];
    let pages = all.into_iter().filter(|it| it.severity == Severity::Critical);
    let pages: Vec<Tier> = pages.collect();
    let Some(first) = pages.iter().min_by_key(|it| it.bad) else {
        return Err(Why::OneRun { of: slowest.runs, window: slowest.long });
    };
    #[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
    let is_spent = |bad: u64| bad as f64 >= cadence.runs_in(window) * (1.0 - share);
    if is_spent(first.bad) {
        return Err(Why::TooLate { bad: first.bad, of: first.runs, window: first.long });
    }
    if let Some(runs) = cadence.runs() {
        match most_bad(&pages, runs) {
            None => return Err(Why::Never { least: first.least, window: first.long }),
            Some(bad) if is_spent(bad) => return Err(Why::Uneven { bad }),
            Some(_) => (),
        }
    }
    let mut tiers: Vec<Tier> = Vec::new();
    for it in all {
        // Of two over the same window, the one that asks for more adds nothing.
        tiers.retain(|other| (other.severity, other.long) != (it.severity, it.long));
        tiers.push(it);
    }
    Ok(tiers)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "numbers of runs"
)]
fn tier(
    (severity, factor, hours): (Severity, f64, f64),
    share: f64,
    window: Duration,
    cadence: &Cadence,
) -> Tier {
    let budget = 1.0 - share;
    let nominal = Duration::from_secs_f64(hours * 3_600.0 * window.as_secs_f64() / MONTH);
    let long = whole_minutes(nominal.max(cadence.span(RUNS.0)));
    let short = whole_minutes((long / 12).max(cadence.span(RUNS.1)).min(long));
    let factor = factor.min(CAP / budget);
    let threshold = factor * budget;
    let runs = cadence.held(long);
    let bad = (threshold * runs as f64) as u64 + 1;
    // Where the share alone would page for a single run, it says too little to page at all.
    let severity = if bad < 2 { severity.max(Severity::Warning) } else { severity };
    let (page, ticket) = FEWEST_BAD;
    let fewest = if severity == Severity::Critical { page } else { ticket };
    let bad = bad.max(fewest);
    Tier { severity, factor, threshold, long, short, runs, bad, fewest, least: bad.max(LEAST) }
}

/// How many runs are bad at the most before one of these tiers alerts, whichever run an outage begins
/// with; none if one that begins with some run does not alert in weeks.
fn most_bad(tiers: &[Tier], runs: &[u64]) -> Option<u64> {
    let held = |it: &Tier| (*it, held_by_each(runs, it.long), held_by_each(runs, it.short));
    let held: Vec<_> = tiers.iter().map(held).collect();
    let longest = tiers.iter().map(|it| it.long.as_secs()).max()?;
    // What lies before the first run is not known, nor what lies behind the last.
    let first = runs.partition_point(|it| it - runs[0] < longest);
    let last = usize::midpoint(first, runs.len());
    let mut most = 0;
    for begin in first..last {
        let alerts = |at: &usize| {
            let bad = (at - begin) as u64 + 1;
            held.iter().any(|(tier, long, short)| {
                let of = |held: &[u64]| (bad.min(held[*at]), held[*at]);
                tier.alerts(of(long), of(short))
            })
        };
        let at = (begin..runs.len()).find(alerts)?;
        most = most.max((at - begin) as u64 + 1);
    }
    (most > 0).then_some(most)
}

/// Rounded up, at least one.
fn whole_minutes(length: Duration) -> Duration {
    let seconds = length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0));
    Duration::from_secs(seconds.div_ceil(60).max(1).saturating_mul(60))
}
