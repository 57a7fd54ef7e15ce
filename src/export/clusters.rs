//! What a run came to in each cluster.
//!
//! A run has one outcome: that of the change as a whole. A change that is stuck in one of several
//! clusters got to the others all the same, and whoever looks at clusters beside each other asks which
//! one it is. So each has the outcome that the run would have had with its hops alone.

use crate::export::declared::ScenarioSeries;
use crate::export::reference::TOTAL;
use crate::model::{HopRecord, Outcome, Passage, RunRecord, SloVerdict, Span};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a run came to in one cluster.
#[derive(Clone, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) cluster: &'a str,
    pub(super) outcome: &'static str,
    /// From the acknowledged push to the end of delivery there; none where nothing was measured.
    pub(super) took: Option<Span>,
}

/// A hop of one cluster, with what its scenario says of it.
struct Hop<'a> {
    record: &'a HopRecord,
    kind: &'a str,
    optional: bool,
}

/// Kinds of hops that show that the change is there (rule P4).
const ARRIVED: [&str; 3] = ["live", "rolled_out", "served"];

/// The kind of hop at which delivery ends where nothing shows that.
const APPLIED: &str = "applied";

/// What a run came to in each of its clusters. Where none of them shows why the run ended as it did,
/// nobody can say which it was, and it is all of them.
pub(super) fn arrivals<'a>(record: &'a RunRecord, declared: &ScenarioSeries) -> Vec<Arrival<'a>> {
    let mut clusters: BTreeSet<&str> =
        record.hops.iter().map(|it| it.target_cluster.as_str()).collect();
    if clusters.is_empty() {
        clusters.insert("");
    }
    if clusters.len() > 1 && record.outcome.is_measurement() {
        let each: Vec<_> = clusters.iter().map(|it| alone(record, declared, it)).collect();
        if each.iter().any(|it| it.outcome == record.outcome.as_str()) {
            return each;
        }
    }
    clusters.into_iter().map(|it| as_the_run(record, it)).collect()
}

fn as_the_run<'a>(record: &RunRecord, cluster: &'a str) -> Arrival<'a> {
    let took = record.push_to_apply.filter(|_| record.outcome.is_measurement());
    Arrival { cluster, outcome: record.outcome.as_str(), took }
}

/// What the run would have come to with the hops of this cluster alone.
fn alone<'a>(record: &RunRecord, declared: &ScenarioSeries, cluster: &'a str) -> Arrival<'a> {
    let here = record.hops.iter().filter(|it| it.target_cluster == cluster);
    let hops: Vec<Hop<'_>> = here.map(|it| Hop::of(it, declared)).collect();
    let was_delivered = matches!(record.outcome, Outcome::Ok | Outcome::Slow);
    if !was_delivered && hops.iter().any(Hop::is_missed) {
        return as_the_run(record, cluster);
    }
    let at = end(&hops);
    let is_late = record.outcome != Outcome::Ok && has_missed(record, declared, &hops, at);
    let outcome = if is_late { Outcome::Slow } else { Outcome::Ok };
    let took = record.push_to_apply.map(|whole| match at {
        // What the scenario calls the end of delivery may come before that of all hops.
        Some(at) if was_delivered => {
            Span { least: at.least.min(whole.least), most: at.most.min(whole.most) }
        }
        Some(at) => at,
        // It went by unseen, at some time of the run.
        None => Span { least: Duration::ZERO, most: whole.most },
    });
    Arrival { cluster, outcome: outcome.as_str(), took }
}

/// When the change had got to the last hop at which delivery ends; none if that was not seen.
fn end(hops: &[Hop<'_>]) -> Option<Span> {
    let sorts: [fn(&Hop<'_>) -> bool; 4] = [
        |it| !it.optional && ARRIVED.contains(&it.kind),
        |it| !it.optional && it.kind == APPLIED,
        |it| !it.optional,
        |_| true,
    ];
    let ends = sorts.into_iter().find(|sort| hops.iter().any(sort))?;
    let instants = hops.iter().filter(|it| ends(it)).filter_map(|it| it.record.passage.at());
    instants.reduce(|one, other| Span {
        least: one.least.max(other.least),
        most: one.most.max(other.most),
    })
}

/// Whether one of these hops missed an objective of its own, or all of them that of the whole.
fn has_missed(
    record: &RunRecord,
    declared: &ScenarioSeries,
    hops: &[Hop<'_>],
    at: Option<Span>,
) -> bool {
    let mut bad = record.slo.iter().filter(|it| it.verdict == SloVerdict::Bad);
    let total = declared.slos.iter().find(|it| it.slo == TOTAL);
    bad.any(|it| hops.iter().any(|hop| hop.record.hop == it.slo))
        || at.zip(total).is_some_and(|(at, total)| at.least > total.within)
}

// === impl Hop ===

impl<'a> Hop<'a> {
    /// A hop that the scenario does not name (yet) is taken for a required one of the kind that its
    /// name says.
    fn of(record: &'a HopRecord, declared: &'a ScenarioSeries) -> Self {
        let said = declared
            .hops
            .iter()
            .find(|it| it.hop == record.hop && it.target_cluster == record.target_cluster);
        let (kind, optional) =
            said.map_or((record.hop.as_str(), false), |it| (it.kind.as_str(), it.optional));
        Self { record, kind, optional }
    }

    /// Whether a change that was not delivered is missing here. One that was lost may have come back,
    /// which is not known.
    fn is_missed(&self) -> bool {
        let is_there = self.record.passage != Passage::Unreached && !self.record.reverted;
        !self.optional && !is_there
    }
}
