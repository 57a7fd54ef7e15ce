//! Pieces of queries.
//!
//! Histograms are asked for twice, `(classic) or (native)`: a Prometheus that keeps native ones may
//! have no `_bucket`, `_sum` and `_count`, and one that does not has nothing else. Where both are
//! kept the classic form answers alone, because both have the same labels.
//!
//! Counters are asked by `increase` and divided afterwards: runs are few, so what a reader wants is
//! how many there were, not how many per second.
//!
//! What a scenario counts is carried from pod to pod. So the largest of all pods is taken first, as in
//! the recording rules, and then its increase: that of each pod for itself would miss what happened
//! between the last scrape of one and the first of the next. Bars look at too short a while for that,
//! and quantiles cannot be made of a largest histogram; these two take each pod for itself.

use crate::dashboard::variable::BARS;
use crate::export::Metric;

/// What a histogram has counted in a range of time.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    metric: Metric,
    more: String,
    by: String,
    range: String,
}

/// Labels by which installations differ, and pods of one do not; the same as in rules.
const INSTALLATION: &str = "cluster, namespace, job";

/// Labels of what has a last run.
const EACH: &str = "scenario, target_cluster";

/// How far apart the largest of all pods is looked at: not further than Prometheus looks back, or it
/// would miss what is pushed once and gone.
const STEP: &str = "5m";

/// The series of a metric that the variables choose, limited by further matchers.
pub(super) fn of(metric: Metric, more: &str) -> String {
    series(metric, "", more)
}

/// The same whatever the cluster.
pub(super) fn of_scenarios(metric: Metric) -> String {
    let name = metric.doc().name;
    format!(r#"{name}{{job=~"$job", instance=~"$instance", scenario=~"$scenario"}}"#)
}

/// How often something happened in a range of time, added up by labels.
pub(super) fn counted(metric: Metric, more: &str, by: &str, range: &str) -> String {
    sum(by, &grown(metric, more, range))
}

/// By how much a counter has grown in a range of time, series by series.
pub(super) fn grown(metric: Metric, more: &str, range: &str) -> String {
    let series = of(metric, more);
    if is_carried(metric, range) {
        increase_of_largest(metric, &series, range)
    } else {
        increase(&series, range)
    }
}

/// How a gauge stands, whichever instance says it.
pub(super) fn stands(metric: Metric, more: &str, by: &str) -> String {
    aggregate("max", by, &of(metric, more))
}

/// How a gauge stands, or stood last in a range of time: what a `CronJob` has pushed is gone after five
/// minutes. What is there now goes before what somebody else has said.
pub(super) fn stood(metric: Metric, by: &str, range: &str) -> String {
    let last = format!("last_over_time({}[{range}])", of(metric, ""));
    format!("({} or {})", stands(metric, "", by), aggregate("max", by, &last))
}

/// When runs were last ok, by labels: of those with several scenarios or clusters, where that is longest
/// ago; 1970 where it has not happened yet, though a run has ended.
pub(super) fn last_ok(by: &str, range: &str) -> String {
    aggregate("min", by, &ok_each(range))
}

/// How long before the last run the last one was that was ok, scenario by scenario and cluster by cluster;
/// since 1970 where none was.
pub(super) fn behind(range: &str) -> String {
    format!("({} - ({}))", stood(Metric::LastRun, EACH, range), ok_each(range))
}

fn ok_each(range: &str) -> String {
    let of = |metric| stood(metric, EACH, range);
    format!("{} or 0 * {}", of(Metric::LastSuccess), of(Metric::LastRun))
}

/// The mean by labels; none for one in all.
pub(super) fn average(by: &str, of: &str) -> String {
    aggregate("avg", by, of)
}

/// How many there are by labels; none for one in all.
pub(super) fn number(by: &str, of: &str) -> String {
    aggregate("count", by, of)
}

/// The sum by labels; none for one in all.
pub(super) fn sum(by: &str, of: &str) -> String {
    aggregate("sum", by, of)
}

/// One part of another, where there is another.
pub(super) fn share(part: &str, whole: &str) -> String {
    format!("{part} / ({whole} > 0)")
}

/// Seconds since an instant in seconds since 1970.
pub(super) fn since(instant: &str) -> String {
    format!("time() - {instant}")
}

/// The same with a name for the cluster that hopclock runs in, whose series have no such label. In tables
/// every answer needs it, or Grafana could not tell which rows belong together.
pub(super) fn named(of: &str) -> String {
    format!(r#"label_replace({of}, "target_cluster", "its own", "target_cluster", "")"#)
}

fn aggregate(how: &str, by: &str, of: &str) -> String {
    if by.is_empty() { format!("{how}({of})") } else { format!("{how} by ({by}) ({of})") }
}

/// Whether the totals of a metric go on in the next pod, and a range is long enough to see that.
fn is_carried(metric: Metric, range: &str) -> bool {
    metric.doc().labels.contains(&"scenario") && range != BARS
}

/// By how much each of some series has grown in a range of time.
fn increase(series: &str, range: &str) -> String {
    format!("increase({series}[{range}])")
}

/// By how much the largest of all pods has grown.
fn increase_of_largest(metric: Metric, series: &str, range: &str) -> String {
    let labels = metric.doc().labels.join(", ");
    let largest = aggregate("max", &format!("{INSTALLATION}, {labels}"), series);
    format!("increase({largest}[{range}:{STEP}])")
}

fn series(metric: Metric, suffix: &str, more: &str) -> String {
    let doc = metric.doc();
    let mut matchers = vec![r#"job=~"$job""#, r#"instance=~"$instance""#];
    let chosen = [
        ("scenario", r#"scenario=~"$scenario""#),
        ("target_cluster", r#"target_cluster=~"$cluster""#),
    ];
    matchers.extend(chosen.iter().filter(|it| doc.labels.contains(&it.0)).map(|it| it.1));
    if !more.is_empty() {
        matchers.push(more);
    }
    format!("{}{suffix}{{{}}}", doc.name, matchers.join(", "))
}

// === impl Measured ===

impl Measured {
    /// What a histogram has counted in `range`, by labels.
    pub(super) fn new(metric: Metric, by: &str, range: &str) -> Self {
        let (by, range) = (by.to_owned(), range.to_owned());
        Self { metric, more: String::new(), by, range }
    }

    /// Only of series that fit these matchers.
    pub(super) fn only(self, more: &str) -> Self {
        Self { more: more.to_owned(), ..self }
    }

    /// How many lengths were counted.
    pub(super) fn count(&self) -> String {
        either(&self.classic("_count"), &self.native("histogram_count"))
    }

    /// Their mean in seconds, where there are any.
    pub(super) fn mean(&self) -> String {
        either(
            &share(&self.classic("_sum"), &self.classic("_count")),
            &share(&self.native("histogram_sum"), &self.native("histogram_count")),
        )
    }

    /// A quantile of them in seconds.
    pub(super) fn quantile(&self, q: f64) -> String {
        let with_bounds =
            if self.by.is_empty() { "le".to_owned() } else { format!("{}, le", self.by) };
        either(
            &format!("histogram_quantile({q}, {})", self.added("_bucket", &with_bounds)),
            &format!("histogram_quantile({q}, {})", self.added("", &self.by)),
        )
    }

    /// Counts by bucket. Where there are classic ones, the native ones are left out: they have no
    /// label by which `or` could tell that they are the same.
    pub(super) fn buckets(&self) -> String {
        format!("({}) or on () ({})", self.added("_bucket", "le"), self.added("", ""))
    }

    /// The sum by labels of what a part of classic histograms has counted.
    fn classic(&self, suffix: &str) -> String {
        if !is_carried(self.metric, &self.range) {
            return self.added(suffix, &self.by);
        }
        let series = series(self.metric, suffix, &self.more);
        sum(&self.by, &increase_of_largest(self.metric, &series, &self.range))
    }

    /// The same of native ones, whose part a function tells.
    fn native(&self, part: &str) -> String {
        if !is_carried(self.metric, &self.range) {
            return format!("{part}({})", self.added("", &self.by));
        }
        let series = format!("{part}({})", series(self.metric, "", &self.more));
        sum(&self.by, &increase_of_largest(self.metric, &series, &self.range))
    }

    /// The sum by labels of what one form, or one part of it, has counted, pod by pod.
    fn added(&self, suffix: &str, by: &str) -> String {
        let increase = increase(&series(self.metric, suffix, &self.more), &self.range);
        sum(by, &increase)
    }
}

fn either(classic: &str, native: &str) -> String {
    format!("({classic}) or ({native})")
}
