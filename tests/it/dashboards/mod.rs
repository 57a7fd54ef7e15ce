//! The dashboards: as committed, as Grafana's own linter wants them, and with an answer to every
//! query from a Prometheus with native histograms and from one without.

mod answers;
mod committed;
mod day;
mod exclusions;
mod filled;
mod left_behind;
mod model;
mod promql;
mod rules;
mod sense;
