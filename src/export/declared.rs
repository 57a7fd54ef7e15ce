//! Which series a scenario has, so that they exist before anything happened: an increase from
//! nothing to one is none to Prometheus.

use crate::export::finished;
use crate::export::reference::{Metric, PUSH, TOTAL};
use crate::export::series::Series;
use crate::model::{Missed, Outcome, Timetable, Via, Webhook};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// The kind of hop that is the arrival of a webhook.
const WEBHOOK: &str = "webhook_received";

/// The kind of hop that is the arrival of a notification.
const NOTIFIED: &str = "notified";

/// What a scenario has series of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScenarioSeries {
    /// The scenario's name.
    pub scenario: String,
    /// Its hops.
    pub hops: Vec<HopSeries>,
    /// Its objectives: that of the whole delivery, and those of hops with one of their own.
    pub slos: Vec<Objective>,
    /// The clusters that it looks at, as the label `target_cluster`.
    pub clusters: Vec<String>,
    /// Whether its hops are still to be discovered: until then what an earlier process counted of
    /// any hop stays.
    pub open: bool,
    /// How long a run looks for its change.
    pub deadline: Duration,
    /// When it runs; none if only on demand.
    pub schedule: Option<Schedule>,
}

/// An objective that has series.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its label: `total`, or the name of the hop.
    pub slo: String,
    /// A change should take no longer than this.
    pub within: Duration,
    /// Share of the changes that should hold it, between 0 and 1; none if the scenario says none.
    pub share: Option<f64>,
}

/// When a scenario runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its ticks and pauses.
    pub timetable: Timetable,
    /// What spreads the ticks of a period: the name of the installation.
    pub seed: String,
}

/// A hop that has series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopSeries {
    /// The hop's name.
    pub hop: String,
    /// The cluster of its subject.
    pub target_cluster: String,
    /// Its kind, as in scenarios.
    pub kind: String,
    /// Whether a run can end well without it (`required: false`).
    pub optional: bool,
}

// === impl ScenarioSeries ===

impl ScenarioSeries {
    /// Every series, at zero.
    pub(super) fn series(&self) -> Series {
        let mut series = Series::default();
        let of_runs = [Metric::ScheduledRuns, Metric::RunsInFlight, Metric::RunInFlight];
        let of_remotes = [Metric::Leftovers, Metric::RemoteRequests, Metric::RemoteThrottled];
        for metric in of_runs.into_iter().chain(of_remotes) {
            series.declare(metric, &[]);
        }
        for reason in Missed::ALL {
            series.declare(Metric::MissedRuns, &[reason.as_str()]);
        }
        for outcome in Outcome::LABELS {
            series.declare(Metric::Runs, &[outcome]);
        }
        for it in &self.slos {
            for metric in [Metric::SloEvents, Metric::SloBadEvents, Metric::SloUnknown] {
                series.declare(metric, &[&it.slo]);
            }
            series.set(Metric::SloThreshold, &[&it.slo], it.within.as_secs_f64());
            if let Some(share) = it.share {
                series.set(Metric::SloObjective, &[&it.slo], share);
            }
        }
        series.set(Metric::ScenarioDeadline, &[], self.deadline.as_secs_f64());
        if let Some(it) = &self.schedule {
            series.set(Metric::ScenarioPeriod, &[], it.timetable.usual_gap().as_secs_f64());
        }
        let clusters: BTreeSet<&str> = self.clusters.iter().map(String::as_str).collect();
        for cluster in clusters {
            declare_cluster(&mut series, cluster);
        }
        for hop in &self.hops {
            declare_hop(&mut series, hop);
        }
        series.shrink();
        series
    }

    /// Whether the scenario has what a series is about: a hop that a reload has removed gets no
    /// series back from a run that knew it. Values that say what happened there are not looked at.
    pub(super) fn admits(&self, metric: Metric, labels: &[&str]) -> bool {
        if self.open {
            return true;
        }
        let names = metric.own_labels();
        let label = |name: &str| names.iter().position(|it| *it == name).map(|at| labels[at]);
        let cluster = label("target_cluster");
        let is_here = |it: &HopSeries| cluster.is_none_or(|cluster| it.target_cluster == cluster);
        let has_cluster = cluster.is_none_or(|it| self.clusters.iter().any(|own| own == it));
        if let Some(hop) = label("hop") {
            let of_the_whole = has_cluster && cluster.is_some() && [PUSH, TOTAL].contains(&hop);
            of_the_whole || self.hops.iter().any(|it| it.hop == hop && is_here(it))
        } else {
            has_cluster && label("slo").is_none_or(|it| self.slos.iter().any(|own| own.slo == it))
        }
    }

    /// Whether a hop is the arrival of a webhook.
    pub(super) fn is_webhook(&self, hop: &str) -> bool {
        self.hops.iter().any(|it| it.hop == hop && it.kind == WEBHOOK)
    }

    /// Whether a hop is the arrival of a notification.
    pub(super) fn is_notification(&self, hop: &str) -> bool {
        self.hops.iter().any(|it| it.hop == hop && it.kind == NOTIFIED)
    }
}

// === impl Schedule ===

impl Schedule {
    /// The first tick after `after` that no pause takes; none if there is none within a year.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let horizon = after.checked_add(SignedDuration::from_hours(366 * 24)).ok()?;
        let mut after = after;
        loop {
            let tick = self.timetable.next_after(&self.seed, after)?;
            let Some(end) = self.timetable.is_paused(tick) else { return Some(tick) };
            // The end of a pause belongs to it no more.
            after = end.checked_sub(Duration::from_nanos(1)).ok()?.max(tick);
            if tick > horizon {
                return None;
            }
        }
    }
}

fn declare_cluster(series: &mut Series, cluster: &str) {
    for outcome in Outcome::LABELS {
        series.declare(Metric::ClusterRuns, &[cluster, outcome]);
    }
    for outcome in finished::MEASURED {
        series.declare_histogram(Metric::PushToApply, &[cluster, outcome]);
    }
    series.declare_histogram(Metric::StageDuration, &[cluster, PUSH]);
    for hop in [PUSH, TOTAL] {
        series.declare(Metric::UncertainHops, &[cluster, hop]);
    }
}

fn declare_hop(series: &mut Series, it: &HopSeries) {
    let labels = [it.target_cluster.as_str(), it.hop.as_str()];
    let with = |more: &'static str| [labels[0], labels[1], more];
    let (wakes, counters) = abilities(&it.kind);
    series.declare(Metric::HopWaiting, &[&it.hop]);
    series.declare_histogram(Metric::StageDuration, &labels);
    for counter in counters {
        series.declare(*counter, &labels);
    }
    let well: &[&str] = if it.optional { &finished::ENDED_WELL } else { &[] };
    for outcome in well.iter().chain(&finished::ENDED_BADLY) {
        series.declare(Metric::StageUnreached, &with(outcome));
    }
    for via in wakes {
        series.declare(Metric::HopWakes, &with(via.as_str()));
    }
    if it.kind == NOTIFIED {
        for came in finished::NOTIFICATION {
            series.declare(Metric::HopNotifications, &with(came));
        }
    }
    if it.kind == WEBHOOK {
        for webhook in [Webhook::Ours.as_str(), Webhook::Shared.as_str(), finished::NO_WEBHOOK] {
            series.declare(Metric::Webhooks, &with(webhook));
        }
    }
}

/// Who can wake the subject of a hop of this kind, and which counters it can move. Everything, if
/// the kind is not known here: a series that stays at zero does less harm than one that begins
/// with one.
fn abilities(kind: &str) -> (&'static [Via], &'static [Metric]) {
    use Metric::{HopBypassed, HopReordered, HopReverted, StageWait, UncertainHops};
    match kind {
        WEBHOOK => (&[], &[HopBypassed, UncertainHops]),
        "source_fetched" => (
            &[Via::Webhook, Via::Manual, Via::Interval, Via::Unknown],
            &[StageWait, HopBypassed, HopReordered, UncertainHops],
        ),
        "applied" => (&[Via::Upstream], &[StageWait, HopBypassed, HopReordered, UncertainHops]),
        "live" => (&[], &[HopBypassed, HopReordered, HopReverted, UncertainHops]),
        _ => (&Via::ALL, &[StageWait, HopBypassed, HopReordered, HopReverted, UncertainHops]),
    }
}
