//! Names of metrics that `export` is about to have.

pub(super) const OBJECTIVE: &str = "hopclock_slo_objective_ratio";
pub(super) const PERIOD: &str = "hopclock_scenario_period_seconds";
pub(super) const DEADLINE: &str = "hopclock_scenario_deadline_seconds";
pub(super) const NEXT_RUN: &str = "hopclock_next_run_timestamp_seconds";
pub(super) const HOP_INFO: &str = "hopclock_hop_info";
pub(super) const EXPORTS: &str = "hopclock_exports_total";
