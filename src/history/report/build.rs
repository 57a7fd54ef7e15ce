//! Gathers what each run says, hop by hop.

use crate::history::report::measured::{Gathered, Measured};
use crate::history::report::{PUSH, Period, Question, Report, Row, ScenarioReport, TOTAL, Window};
use crate::history::{Error, Filter, History, HopRow, RunSummary};
use crate::model::statistics::{Share, compare};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// A hop of a cluster.
type Key = (String, String);

/// What one period says of one scenario.
#[derive(Default)]
struct Part {
    outcomes: BTreeMap<String, usize>,
    push: Gathered,
    total: Gathered,
    hops: BTreeMap<Key, Gathered>,
    /// The hops in the order of the newest run, those that it has not behind them.
    order: Vec<Key>,
}

/// Answers a question.
pub(super) fn report(history: &History, question: &Question) -> Result<Report, Error> {
    let (period, mut parts) = look(history, question, question.period)?;
    let before = question.before.map(|it| look(history, question, it)).transpose()?;
    let (before, mut earlier) = before.map_or((None, None), |it| (Some(it.0), Some(it.1)));
    let names: BTreeSet<String> =
        parts.keys().chain(earlier.iter().flat_map(BTreeMap::keys)).cloned().collect();
    let scenarios = names.into_iter().map(|name| {
        let part = parts.remove(&name).unwrap_or_default();
        let was = earlier.as_mut().map(|it| it.remove(&name).unwrap_or_default());
        scenario(name, part, was)
    });
    Ok(Report { period, before, scenarios: scenarios.collect() })
}

/// Looks at the runs of a period.
fn look(
    history: &History,
    question: &Question,
    window: Window,
) -> Result<(Period, BTreeMap<String, Part>), Error> {
    let complete = history.complete_since()?;
    let cut = complete > window.since;
    let filter = Filter {
        scenario: question.scenario.clone(),
        since: window.since.max(complete),
        until: window.until,
        ..Filter::default()
    };
    let runs = history.runs(&filter)?;
    let stages = history.stages(&filter)?;
    let mut hops: HashMap<i64, Vec<&HopRow>> = HashMap::new();
    for hop in &stages {
        hops.entry(hop.run).or_default().push(hop);
    }
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for run in &runs {
        let hops = hops.remove(&run.cursor.number).unwrap_or_default();
        parts.entry(run.scenario.clone()).or_default().add(run, &hops);
    }
    Ok((Period { since: filter.since, until: window.until, cut, runs: runs.len() }, parts))
}

fn scenario(scenario: String, mut part: Part, mut was: Option<Part>) -> ScenarioReport {
    let mut order = part.order.clone();
    order
        .extend(was.iter().flat_map(|it| &it.order).filter(|it| !part.order.contains(it)).cloned());
    let mut rows = vec![row(
        PUSH,
        "",
        std::mem::take(&mut part.push),
        was.as_mut().map(|it| std::mem::take(&mut it.push)),
    )];
    for key in order {
        let now = part.hops.remove(&key).unwrap_or_default();
        let then = was.as_mut().map(|it| it.hops.remove(&key).unwrap_or_default());
        rows.push(row(&key.0, &key.1, now, then));
    }
    let total = was.as_mut().map(|it| std::mem::take(&mut it.total));
    rows.push(row(TOTAL, "", part.total, total));
    let outcomes_before = was.map(|it| it.outcomes);
    ScenarioReport { scenario, outcomes: part.outcomes, outcomes_before, rows }
}

fn row(hop: &str, target_cluster: &str, now: Gathered, then: Option<Gathered>) -> Row {
    let (measured, before) = (now.finish(), then.map(Gathered::finish));
    let compared = |share| {
        let before: &Measured = before.as_ref()?;
        Some(compare(&before.sample, &measured.sample, share))
    };
    Row {
        hop: hop.to_owned(),
        target_cluster: target_cluster.to_owned(),
        median: compared(Share::MEDIAN),
        p90: compared(Share::P90),
        measured,
        before,
    }
}

// === impl Part ===

impl Part {
    /// Adds a run. Newer ones come first.
    fn add(&mut self, run: &RunSummary, hops: &[&HopRow]) {
        *self.outcomes.entry(run.outcome.clone()).or_default() += 1;
        let speaks =
            ["ok", "slow", "failed", "timeout", "superseded"].contains(&run.outcome.as_str());
        if !speaks || run.push.is_none() {
            return;
        }
        self.push.add_push(run);
        self.total.add_total(run);
        let stuck = stuck(run, hops);
        for hop in hops {
            let key = (hop.hop.clone(), hop.target_cluster.clone());
            if !self.order.contains(&key) {
                self.order.push(key.clone());
            }
            let stuck = stuck.filter(|it| it.0 == hop.place).map(|it| it.1);
            self.hops.entry(key).or_default().add_hop(hop, stuck);
        }
    }
}

/// At which hop an undelivered change stood in the end, and since when it had not moved: at the
/// first that it did not reach. What is behind that never began.
fn stuck(run: &RunSummary, hops: &[&HopRow]) -> Option<(u32, Duration)> {
    let given_up = ["failed", "timeout"].contains(&run.outcome.as_str());
    let end = run.push_to_apply.filter(|_| given_up)?.most;
    let first = hops.iter().find(|it| it.passage == "unreached")?;
    let last = hops.iter().filter_map(|it| it.at).map(|it| it.most).max().unwrap_or_default();
    Some((first.place, end.saturating_sub(last)))
}
