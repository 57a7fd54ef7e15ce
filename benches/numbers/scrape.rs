//! What a scrape of many scenarios takes: its size, its time, and the memory of the series.

use crate::Spread;
use hopclock::engine::{Stamped, SystemClock, Totals};
use hopclock::export::{Format, HopSeries, Metrics, Objective, ScenarioSeries};
use hopclock::model::{
    CanaryId, Clock, Event, HopRecord, Outcome, Passage, Push, RunRecord, Span, Usage,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SCENARIOS: usize = 1_000;

/// Scrapes of each form.
const SCRAPES: usize = 20;

/// Finished runs of each scenario in the second part: seven hops each, so 8,000 observations.
const RUNS: u32 = 1_000;

/// Names of sixteen characters; the push is the eighth.
const HOPS: [(&str, &str); 7] = [
    ("webhook_received", "webhook_received"),
    ("source_fetched", "platform_fetched"),
    ("applied", "platform_applied"),
    ("live", "platform_is_live"),
    ("applied", "services_applied"),
    ("live", "services_is_live"),
    ("live", "frontend_is_live"),
];

/// Prints the rows of this part.
pub(crate) fn measure() {
    let clock = Arc::new(SystemClock::new());
    let metrics = Metrics::new(clock.clone(), "bench", Box::new(Vec::new));
    let before = resident();
    for number in 0..SCENARIOS {
        metrics.declare(&series(&name(number)));
    }
    let idle = resident().saturating_sub(before) as f64 / SCENARIOS as f64;
    for format in Format::ALL {
        row(&metrics, format, "names of 30 and 16 characters");
    }
    let named = Metrics::new(clock.clone(), "bench", Box::new(Vec::new));
    for number in 0..SCENARIOS {
        named.declare(&in_a_named_cluster(number));
    }
    for format in Format::ALL {
        row(&named, format, "names of 10 and 16, a named cluster");
    }
    drop(named);
    let before = resident();
    for number in 0..SCENARIOS / 10 {
        let scenario = name(number);
        for run in 0..RUNS {
            let event = Event::Finished(Box::new(finished(&scenario, run)));
            metrics.count(&scenario, &[Stamped { at: clock.wall(), event }]);
        }
    }
    let busy = resident().saturating_sub(before) as f64 / (SCENARIOS / 10) as f64;
    let saved = metrics.after(&name(0), &[]).to_string().len();
    println!(
        "| series of a scenario of eight hops: {idle:.1} KiB of memory idle, {busy:.1} KiB more \
         after {} observations; saved they are {:.1} KiB | | | | |",
        RUNS * 8,
        saved as f64 / 1024.0
    );
    let events =
        [Stamped { at: clock.wall(), event: Event::Finished(Box::new(finished(&name(0), 1))) }];
    let times = (0..1_000).map(|_| time(|| drop(metrics.after(&name(0), &events)))).collect();
    println!("| what the totals of that scenario will be | {} |", Spread::of(times).cells());
}

fn row(metrics: &Metrics, format: Format, names: &str) {
    let mut size = 0;
    let times = (0..SCRAPES).map(|_| time(|| size = metrics.snapshot().encode(format).len()));
    let spread = Spread::of(times.collect());
    let mib = size as f64 / f64::from(1 << 20);
    println!(
        "| scrape of 1,000 scenarios of eight hops, {names}, {format:?}: {mib:.2} MiB | {} |",
        spread.cells()
    );
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Twenty-eight characters.
fn name(number: usize) -> String {
    format!("payments-platform-euro1-{number:04}")
}

fn series(scenario: &str) -> ScenarioSeries {
    let hops = HOPS.map(|(kind, hop)| HopSeries {
        hop: hop.to_owned(),
        target_cluster: String::new(),
        kind: kind.to_owned(),
        optional: kind == "webhook_received",
    });
    ScenarioSeries {
        scenario: scenario.to_owned(),
        hops: hops.to_vec(),
        slos: vec![Objective {
            slo: "total".to_owned(),
            within: Duration::from_secs(120),
            share: Some(0.99),
        }],
        clusters: vec![String::new()],
        open: false,
        deadline: Duration::from_secs(540),
        schedule: None,
    }
}

/// The same in another cluster than hopclock's own: one label more on nearly every line.
fn in_a_named_cluster(number: usize) -> ScenarioSeries {
    let mut series = series(&format!("fleet-{number:04}"));
    let cluster = "prod-1".to_owned();
    series.hops.iter_mut().for_each(|it| it.target_cluster.clone_from(&cluster));
    ScenarioSeries { clusters: vec![cluster], ..series }
}

/// A run whose stages are spread over six powers of ten.
fn finished(scenario: &str, number: u32) -> RunRecord {
    let length = |hop: usize| {
        let part = f64::from((number * 7919 + u32::try_from(hop).unwrap_or(0) * 104_729) % 10_000);
        Span::exactly(Duration::from_secs_f64(10_f64.powf(part / 10_000.0 * 6.0 - 2.5)))
    };
    let hops = HOPS.iter().enumerate().map(|(at, (_, hop))| HopRecord {
        hop: (*hop).to_owned(),
        subject: String::new(),
        target_cluster: String::new(),
        passage: Passage::Reached {
            at: length(at),
            stage: Some(length(at)),
            wait: None,
            early: false,
            reordered: false,
            uncertain: false,
            via: None,
            webhook: None,
            carried_by: None,
        },
        reverted: false,
        unready: false,
        sights: Vec::new(),
    });
    RunRecord {
        scenario: scenario.to_owned(),
        canary: CanaryId::new("bench", u64::from(number)),
        started: jiff::Timestamp::UNIX_EPOCH,
        push: Some(Push { revisions: vec![], took: length(7), attempts: 1 }),
        hops: hops.collect(),
        outcome: Outcome::Ok,
        push_to_apply: Some(length(8)),
        tolerance: Duration::from_secs(1),
        failing_since: None,
        slo: vec![],
        usage: Usage::default(),
    }
}

/// Resident memory of this process in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
