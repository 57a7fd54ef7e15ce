//! Pieces of queries.
//!
//! Histograms are asked for twice, `(classic) or (native)`: a Prometheus that keeps native ones may
//! have no `_bucket`, `_sum` and `_count`, and one that does not has nothing else. Where both are
//! kept the classic form answers alone, because both have the same labels.
//!
//! Counters are asked by `increase` and divided afterwards: runs are few, so what a reader wants is
//! how many there were, not how many per second.

use crate::export::Metric;

/// What a histogram has counted in a range of time.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    metric: Metric,
    more: String,
    by: String,
    range: String,
}

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
    sum(by, &increase(&of(metric, more), range))
}

/// How a gauge stands, whichever instance says it.
pub(super) fn stands(metric: Metric, more: &str, by: &str) -> String {
    aggregate("max", by, &of(metric, more))
}

/// The mean by labels; none for one in all.
pub(super) fn average(by: &str, of: &str) -> String {
    aggregate("avg", by, of)
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

/// By how much each of some series has grown in a range of time.
pub(super) fn increase(series: &str, range: &str) -> String {
    format!("increase({series}[{range}])")
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
        let native = self.added("", &self.by);
        either(&self.added("_count", &self.by), &format!("histogram_count({native})"))
    }

    /// Their sum in seconds.
    pub(super) fn seconds(&self) -> String {
        let native = self.added("", &self.by);
        either(&self.added("_sum", &self.by), &format!("histogram_sum({native})"))
    }

    /// Their mean in seconds, where there are any.
    pub(super) fn mean(&self) -> String {
        let native = self.added("", &self.by);
        either(
            &share(&self.added("_sum", &self.by), &self.added("_count", &self.by)),
            &share(&format!("histogram_sum({native})"), &format!("histogram_count({native})")),
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

    /// The sum by labels of what one form, or one part of it, has counted.
    fn added(&self, suffix: &str, by: &str) -> String {
        let increase = increase(&series(self.metric, suffix, &self.more), &self.range);
        sum(by, &increase)
    }
}

fn either(classic: &str, native: &str) -> String {
    format!("({classic}) or ({native})")
}
