//! The words of a report, the same in all its forms.

use crate::cli::history::{at_cluster, when};
use crate::history::report::{Measured, PUSH, Period, Report, Row, TOTAL};
use crate::model::statistics::{Comparison, Difference, Time, Verdict};
use std::collections::BTreeMap;

/// Titles of the columns.
pub(super) const TITLES: [&str; 9] =
    ["stage", "n", "p50", "p90", "p99", "max", "waits", "works", "woken via"];

/// How the numbers are meant.
pub(super) const HOW: &str = "n: times that count. p50, p90, p99: the time of that rank (p90 from \
    10 times on, p99 from 100). A change that was not delivered counts as longer than it was \
    waited for, at the first hop that it did not reach: `>` marks what lies beyond. waits, works: \
    means of the stages that Flux shows in two parts. Differences: percentile bootstrap of 2,000 \
    draws; of twenty comparisons without a difference one may show one by chance.";

/// What is said if there is nothing to say.
pub(super) const NOTHING: &str = "no runs of that period are kept";

/// The cells of a row.
pub(super) fn cells(row: &Row) -> [String; 9] {
    let Measured { count, p50, p90, p99, max, mean_wait, mean_work, via, .. } = &row.measured;
    let mean = |it: &Option<f64>| it.map_or_else(|| "-".to_owned(), seconds);
    let longest = [p50, p90, p99, max].map(|it| it.map_or_else(|| "-".to_owned(), time));
    let [p50, p90, p99, max] = longest;
    let name = name(row);
    let count = count.to_string();
    [name, count, p50, p90, p99, max, mean(mean_wait), mean(mean_work), shares(via)]
}

/// What a row is of.
pub(super) fn name(row: &Row) -> String {
    match row.hop.as_str() {
        TOTAL => "push to live".to_owned(),
        PUSH => PUSH.to_owned(),
        hop => at_cluster(hop, &row.target_cluster),
    }
}

/// What else is to be known of a row.
pub(super) fn remarks(measured: &Measured) -> Vec<String> {
    let counts = [
        (measured.unreached, "not reached"),
        (measured.bypassed, "not seen on the way"),
        (measured.reordered, "out of order, left out"),
        (measured.reverted, "lost again"),
        (measured.uncertain, "uncertain"),
        (measured.vague, "too uncertain, left out"),
    ];
    counts.into_iter().filter(|it| it.0 > 0).map(|it| format!("{} {}", it.0, it.1)).collect()
}

/// How the medians, and where there are enough times the ninetieth percentiles, have changed.
pub(super) fn changes(row: &Row) -> Vec<(&'static str, String)> {
    let Some(before) = &row.before else { return Vec::new() };
    if before.count == 0 && row.measured.count == 0 {
        return Vec::new();
    }
    let mut changes = Vec::new();
    if let Some(it) = &row.median {
        changes.push(("p50", turn(before.p50, row.measured.p50, it)));
    }
    if let Some(it @ Comparison::Found(_)) = &row.p90 {
        changes.push(("p90", turn(before.p90, row.measured.p90, it)));
    }
    changes
}

/// A verdict in words: `slower by 3.100 s (95 % CI 1.200 s to 5.000 s)`.
pub(super) fn verdict(comparison: &Comparison) -> String {
    let Difference { least, most, low, high, verdict } = match comparison {
        Comparison::TooFew { before, after, least } => {
            return format!("too few samples: {before} and {after}, at least {least} each");
        }
        Comparison::Found(difference) => difference,
    };
    let interval = |low: f64, high: f64| match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("95 % CI {} to {}", seconds(low), seconds(high)),
        (true, false) => format!("95 % CI {} or more", seconds(low)),
        (false, true) => format!("95 % CI {} or less", seconds(high)),
        (false, false) => "95 % CI without ends".to_owned(),
    };
    match verdict {
        Verdict::Slower if most.is_finite() => {
            format!("slower by {} ({})", seconds(*least), interval(*low, *high))
        }
        Verdict::Slower => {
            format!("slower by more than {} ({})", seconds(*least), interval(*low, *high))
        }
        Verdict::Faster if least.is_finite() => {
            format!("faster by {} ({})", seconds(-most), interval(-high, -low))
        }
        Verdict::Faster => {
            format!("faster by more than {} ({})", seconds(-most), interval(-high, -low))
        }
        Verdict::NoDifference => format!("no difference seen ({})", interval(*low, *high)),
        Verdict::Unknown => "not known: beyond what was waited for in both periods".to_owned(),
    }
}

/// The periods, one line each.
pub(super) fn periods(report: &Report) -> Vec<String> {
    let line = |title: &str, it: &Period| {
        let since = it.since.map_or_else(|| "the beginning".to_owned(), when);
        let until = it.until.map_or_else(|| "now".to_owned(), when);
        let runs = if it.runs == 1 { "1 run".to_owned() } else { format!("{} runs", it.runs) };
        let cut = if it.cut { "; before that, runs are no longer all kept" } else { "" };
        format!("{title}{runs} from {since} to {until}{cut}")
    };
    match &report.before {
        None => vec![line("", &report.period)],
        Some(before) => vec![line("before: ", before), line("after: ", &report.period)],
    }
}

/// How runs ended: `137 ok, 3 timeout`.
pub(super) fn outcomes(outcomes: &BTreeMap<String, usize>) -> String {
    if outcomes.is_empty() {
        return "no runs".to_owned();
    }
    outcomes.iter().map(|it| format!("{} {}", it.1, it.0)).collect::<Vec<_>>().join(", ")
}

/// A time in words.
pub(super) fn time(time: Time) -> String {
    match time {
        Time::Measured(it) => seconds(it),
        Time::Beyond(it) => format!("> {}", seconds(it)),
    }
}

/// Seconds, in as many digits as mean something.
fn seconds(seconds: f64) -> String {
    if seconds.abs() < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}

fn turn(before: Option<Time>, after: Option<Time>, comparison: &Comparison) -> String {
    let cell = |it: Option<Time>| it.map_or_else(|| "-".to_owned(), time);
    format!("{} → {}: {}", cell(before), cell(after), verdict(comparison))
}

/// Who woke it how often, in per cent.
fn shares(via: &BTreeMap<String, usize>) -> String {
    let all: usize = via.values().sum();
    let mut shares: Vec<_> = via.iter().collect();
    shares.sort_by_key(|it| std::cmp::Reverse(it.1));
    let share =
        |(name, count): (&String, &usize)| format!("{name} {} %", (count * 100 + all / 2) / all);
    if all == 0 {
        "-".to_owned()
    } else {
        shares.into_iter().map(share).collect::<Vec<_>>().join(", ")
    }
}
