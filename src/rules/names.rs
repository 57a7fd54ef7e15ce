//! Names of the series that rules record, as others show them.

/// Decisions on an objective.
pub(super) const EVENTS: &str = "hopclock:slo_events";

/// Decisions that it was missed.
pub(super) const BAD: &str = "hopclock:slo_bad_events";

/// The objective itself.
pub(super) const OBJECTIVE: &str = "hopclock:slo_objective:ratio";

/// Share of the decisions that were bad; a window follows.
pub(super) const ERROR_RATIO: &str = "hopclock:slo_sli_error:ratio_rate";

/// Share of the budget that is left; a window follows.
pub(super) const BUDGET_LEFT: &str = "hopclock:slo_budget_left:ratio";

/// Finished runs.
pub(super) const RUNS: &str = "hopclock:runs";

/// Webhooks by whose they were.
pub(super) const WEBHOOKS: &str = "hopclock:webhooks";

/// Delivered changes by whether Flux told of them.
pub(super) const NOTIFICATIONS: &str = "hopclock:notifications";

/// The period of a scenario.
pub(super) const PERIOD: &str = "hopclock:scenario_period_seconds:max";

/// The deadline of a scenario.
pub(super) const DEADLINE: &str = "hopclock:scenario_deadline_seconds:max";

/// When the next run is due.
pub(super) const NEXT_RUN: &str = "hopclock:next_run_timestamp_seconds:max";

/// Canaries beyond those that stay.
pub(super) const LEFTOVERS: &str = "hopclock:leftovers:max";

/// What a counter's highest value of all pods is called.
pub(super) fn max(of: &str) -> String {
    format!("{of}:max")
}

/// What its increase over the last few periods is called.
pub(super) fn recent(of: &str) -> String {
    format!("{of}:increase_recent")
}
