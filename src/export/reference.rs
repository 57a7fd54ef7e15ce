//! Every metric, once: what registers it, what documents it and what explains it in a scrape all
//! read the one list below, whose doc comments are the HELP texts.

/// The stage from sending the change to its acknowledgement, beside those of the hops.
pub const PUSH: &str = "push";

/// The whole delivery, where others name a hop.
pub const TOTAL: &str = "total";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricDoc {
    /// Full name, as in queries.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Names of its labels, in the order of the exposition.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in classic and native buckets.
    Histogram,
}

/// Writes the list down as an enum and as its documentation.
macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $id:ident: $kind:ident $name:literal [$($label:ident),*];)+) => {
        /// A metric that hopclock exposes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[doc = $help])+ $id,)+
        }

        impl Metric {
            /// Every metric, in the order of the exposition.
            pub const ALL: &'static [Self] = &[$(Self::$id),+];

            /// What it is.
            #[must_use]
            pub const fn doc(self) -> MetricDoc {
                match self {
                    $(Self::$id => MetricDoc {
                        name: $name,
                        kind: MetricKind::$kind,
                        labels: &[$(stringify!($label)),*],
                        help: concat!($($help),+).trim_ascii_start(),
                    },)+
                }
            }
        }
    };
}

metrics! {
    /// Time from the hops before a hop to the hop, or of the push itself (hop push), of changes
    /// that were delivered, late, undelivered or superseded.
    StageDuration: Histogram "hopclock_stage_duration_seconds" [scenario, target_cluster, hop];

    /// Part of the observed stages in which nobody had started to work yet, where Flux shows it.
    StageWait: Counter "hopclock_stage_wait_seconds_total" [scenario, target_cluster, hop];

    /// Changes that did not reach a hop and were not seen behind it either, by how their run ended;
    /// superseded changes had no time to and are not counted.
    StageUnreached: Counter "hopclock_stage_unreached_total"
        [scenario, target_cluster, hop, outcome];

    /// Time from the acknowledged push to the end of delivery; undelivered changes count with the
    /// time at which that was certain, timeouts with the deadline.
    PushToApply: Histogram "hopclock_push_to_apply_seconds" [scenario, target_cluster, outcome];

    /// Hops reached, by who woke the subject.
    HopWakes: Counter "hopclock_hop_wakes_total" [scenario, target_cluster, hop, via];

    /// Webhooks by whose they were; none counts changes that were noticed without one, unready those
    /// of which none came while the Receiver was suspended or not ready; absent until that was met.
    Webhooks: Counter "hopclock_webhooks_total" [scenario, target_cluster, hop, webhook];

    /// Delivered changes of which Flux told hopclock (heard), and those of which it did not (lost).
    HopNotifications: Counter "hopclock_hop_notifications_total"
        [scenario, target_cluster, hop, notification];

    /// Changes that were not seen at a hop, though at one behind it.
    HopBypassed: Counter "hopclock_hop_bypassed_total" [scenario, target_cluster, hop];

    /// Changes that were seen at a hop before one that should come before it; not observed as a
    /// stage.
    HopReordered: Counter "hopclock_hop_reordered_total" [scenario, target_cluster, hop];

    /// Changes that a subject lost again before the run ended.
    HopReverted: Counter "hopclock_hop_reverted_total" [scenario, target_cluster, hop];

    /// Times that stayed out of the histograms because they are known too vaguely: a stage's, the
    /// push's (hop push) or the whole delivery's (hop total).
    UncertainHops: Counter "hopclock_uncertain_hops_total" [scenario, target_cluster, hop];

    /// Runs that were due.
    ScheduledRuns: Counter "hopclock_scheduled_runs_total" [scenario];

    /// Due runs that did not take place, by reason.
    MissedRuns: Counter "hopclock_missed_runs_total" [scenario, reason];

    /// Finished runs by outcome.
    Runs: Counter "hopclock_runs_total" [scenario, outcome];

    /// Finished runs by outcome, for each cluster that the run looked at.
    ClusterRuns: Counter "hopclock_cluster_runs_total" [scenario, target_cluster, outcome];

    /// Decisions on an objective, good or bad; counted when it is met or crossed.
    SloEvents: Counter "hopclock_slo_events_total" [scenario, slo];

    /// Decisions that an objective was missed.
    SloBadEvents: Counter "hopclock_slo_bad_events_total" [scenario, slo];

    /// Objectives on which a run could not decide; in neither of the other two.
    SloUnknown: Counter "hopclock_slo_unknown_total" [scenario, slo];

    /// Share of the changes that should hold an objective, as the scenario says it.
    SloObjective: Gauge "hopclock_slo_objective_ratio" [scenario, slo];

    /// How long a change may take to hold an objective, as the scenario says it.
    SloThreshold: Gauge "hopclock_slo_threshold_seconds" [scenario, slo];

    /// Usual time between two runs of the scenario's schedule: its period, or of a calendar, or with
    /// pauses, a quarter of the time that most runs see the last four take; absent without one.
    ScenarioPeriod: Gauge "hopclock_scenario_period_seconds" [scenario];

    /// How long a run looks for its change, as the scenario says it.
    ScenarioDeadline: Gauge "hopclock_scenario_deadline_seconds" [scenario];

    /// When the run behind the last finished one is due, in seconds since 1970: the first tick outside
    /// of pauses since a run has ended, or since this process knows of the scenario. It lies in the past
    /// for as long as a run is overdue; absent without a schedule.
    NextRun: Gauge "hopclock_next_run_timestamp_seconds" [scenario];

    /// Runs that were due and have not finished; scheduled are those that finished, these, and the
    /// missed.
    RunsInFlight: Gauge "hopclock_runs_in_flight" [scenario];

    /// Age of the oldest run that has not finished, since this process knows of it; 0 if there is
    /// none.
    RunInFlight: Gauge "hopclock_run_in_flight_seconds" [scenario];

    /// 1 while a run has pushed its change, waits for its outcome and has not seen it at the hop.
    HopWaiting: Gauge "hopclock_hop_waiting" [scenario, hop];

    /// Canaries beyond those that stay, such as tags, that were still there after the last run that
    /// could look; hopclock gc says which and takes them away.
    Leftovers: Gauge "hopclock_leftovers" [scenario];

    /// Requests that finished runs have sent to the remote that they push to, those for tokens and for
    /// tidying up included; over ssh, conversations.
    RemoteRequests: Counter "hopclock_remote_requests_total" [scenario];

    /// Answers to those requests that asked for patience (429, or the like of a bucket).
    RemoteThrottled: Counter "hopclock_remote_throttled_total" [scenario];

    /// When the last run finished, in seconds since 1970; absent until one has.
    LastRun: Gauge "hopclock_last_run_timestamp_seconds" [scenario, target_cluster];

    /// When the last run with the outcome ok finished, in seconds since 1970; absent until one has.
    LastSuccess: Gauge "hopclock_last_success_timestamp_seconds" [scenario, target_cluster];

    /// Runs that could not measure, by reason; absent until a reason was met, so an alert better
    /// counts runs by outcome.
    ProbeErrors: Counter "hopclock_probe_errors_total" [scenario, reason];

    /// Watches of the Kubernetes API that had to be opened again, by reason.
    WatchRestarts: Counter "hopclock_watch_restarts_total" [target_cluster, kind, reason];

    /// Time from a write of our own to its watch event: our own error.
    WatchEcho: Histogram "hopclock_watch_echo_seconds" [target_cluster];

    /// 1 if the last reading of the scenarios was taken over whole; 0 if a file was not.
    ReloadSuccessful: Gauge "hopclock_config_last_reload_successful" [];

    /// When a reading of the scenarios was last taken over whole, in seconds since 1970; absent
    /// until one was.
    ReloadSuccess: Gauge "hopclock_config_last_reload_success_timestamp_seconds" [];

    /// Scenarios by state: active; stale, the last good form runs although the file is broken now;
    /// broken, nothing runs.
    Scenarios: Gauge "hopclock_config_scenarios" [state];

    /// 1 if the last change of state was kept; 0 if not, and it would be lost in a restart.
    StateSaved: Gauge "hopclock_state_saved" [];

    /// Changes of state that could not be kept, by reason.
    StateErrors: Counter "hopclock_state_errors_total" [reason];

    /// Notifications that reached the listener, by what became of them: heard, a run waited for it;
    /// unawaited; and what was refused.
    Notifications: Counter "hopclock_notifications_total" [result];

    /// What became of the metrics, runs or events that were to be sent some way out: sent; failed,
    /// the other end did not take them; dropped, they were never sent because it was busy or asked
    /// for patience. Of metrics, a later export makes up for both.
    Exports: Counter "hopclock_exports_total" [way, result];

    /// When something was last sent that way, in seconds since 1970; absent until something was.
    ExportSuccess: Gauge "hopclock_export_last_success_timestamp_seconds" [way];

    /// Always 1; says which hopclock this is.
    BuildInfo: Gauge "hopclock_build_info" [version];
}

/// Every metric that hopclock exposes, in the order of the exposition.
#[must_use]
pub fn reference() -> Vec<MetricDoc> {
    Metric::ALL.iter().map(|it| it.doc()).collect()
}

// === impl MetricKind ===

impl MetricKind {
    /// The type's name, as in a scrape.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

// === impl Metric ===

impl Metric {
    /// Whether the series belong to a scenario, which is then their first label.
    pub(super) fn is_of_a_scenario(self) -> bool {
        self.doc().labels.first() == Some(&"scenario")
    }

    /// Its labels, that of the scenario aside.
    pub(super) fn own_labels(self) -> &'static [&'static str] {
        let labels = self.doc().labels;
        labels.strip_prefix(&["scenario"]).unwrap_or(labels)
    }

    /// Whether it says what goes on in this process, or what the scenario says, and so means
    /// nothing to the next one.
    pub(super) fn is_live(self) -> bool {
        matches!(self, Self::RunInFlight | Self::HopWaiting | Self::NextRun) || self.is_said()
    }

    /// Whether its values stand in the scenario.
    pub(super) fn is_said(self) -> bool {
        use Metric::{ScenarioDeadline, ScenarioPeriod, SloObjective, SloThreshold};
        [ScenarioDeadline, ScenarioPeriod, SloObjective, SloThreshold].contains(&self)
    }

    /// The unit that the name ends in.
    pub(super) fn unit(self) -> Option<&'static str> {
        let name = self.doc().name;
        name.strip_suffix("_total").unwrap_or(name).ends_with("_seconds").then_some("seconds")
    }
}
