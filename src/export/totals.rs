//! Totals survive kills: what was saved and what comes after it are what an undisturbed process
//! would have counted.

#![allow(clippy::float_cmp, reason = "counts are exact")]

use crate::engine::{Stamped, Totals};
use crate::export::{Format, HopSeries, Metrics, ScenarioSeries};
use crate::model::{
    CanaryId, Clock, Event, HopRecord, Missed, Moment, Origin, Outcome, Passage, ProbeError, Push,
    RunRecord, SloVerdict, Span, Via,
};
use jiff::Timestamp;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(100))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }
}

/// A process.
fn metrics(hops: &[&str]) -> Metrics {
    let metrics = Metrics::new(Arc::new(Stopped), "1.2.3", Box::new(Vec::new));
    metrics.declare(&series(hops));
    metrics
}

fn series(hops: &[&str]) -> ScenarioSeries {
    let hop = |it: &&str| HopSeries {
        hop: (*it).to_owned(),
        target_cluster: "prod".to_owned(),
        kind: "live".to_owned(),
        optional: false,
    };
    ScenarioSeries {
        scenario: "fleet".to_owned(),
        hops: hops.iter().map(hop).collect(),
        slos: vec!["total".to_owned()],
        clusters: vec!["prod".to_owned()],
    }
}

fn stamped(event: Event) -> Stamped {
    Stamped { at: Stopped.wall(), event }
}

fn record(sequence: u64, millis: u64, hop: &str, outcome: Outcome) -> RunRecord {
    let span = Span::exactly(Duration::from_millis(millis));
    RunRecord {
        scenario: "fleet".to_owned(),
        canary: CanaryId::new("hopclock", sequence),
        started: Stopped.wall(),
        push: Some(Push { revisions: Vec::new(), took: span, attempts: 1 }),
        hops: vec![HopRecord {
            hop: hop.to_owned(),
            subject: "ConfigMap a/b".to_owned(),
            target_cluster: "prod".to_owned(),
            passage: Passage::Reached {
                at: span,
                stage: Some(span),
                wait: Some(span),
                early: false,
                reordered: false,
                uncertain: false,
                via: Some(Via::Webhook),
                webhook: None,
                carried_by: None,
            },
            reverted: false,
        }],
        outcome,
        push_to_apply: Some(span),
        tolerance: Duration::from_secs(1),
        failing_since: None,
        slo: Vec::new(),
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let scenario = || "fleet".to_owned();
    let due = Stopped.wall();
    let error = ProbeError { reason: "forbidden".to_owned(), message: String::new() };
    let outcomes = vec![Outcome::Ok, Outcome::Slow, Outcome::Timeout, Outcome::ProbeError(error)];
    let event = prop_oneof![
        select(vec![Event::Scheduled {
            scenario: scenario(),
            due,
            origin: Origin::Schedule,
            fingerprint: String::new(),
        }]),
        (select(&Missed::ALL[..]), 1_u64..4).prop_map(move |(reason, count)| Event::Missed {
            scenario: "fleet".to_owned(),
            reason,
            count,
            due
        }),
        select(vec![SloVerdict::Good, SloVerdict::Bad, SloVerdict::Unknown]).prop_map(|verdict| {
            Event::Decided { scenario: "fleet".to_owned(), slo: "total".to_owned(), verdict }
        }),
        (any::<u16>(), 0_u64..400_000, select(outcomes)).prop_map(|(sequence, millis, outcome)| {
            Event::Finished(Box::new(record(u64::from(sequence), millis, "live", outcome)))
        }),
    ];
    proptest::collection::vec(event, 0..60)
}

/// Every sample of a scrape, without what speaks of the moment.
fn samples(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = String::from_utf8(metrics.snapshot().encode(Format::Plain)).unwrap();
    let lines = text.lines().filter(|it| !it.starts_with('#'));
    let sample = lines.filter_map(|it| it.rsplit_once(' '));
    sample.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

proptest! {
    #[test]
    fn property_o4_a_kill_changes_no_total(events in events(), kills in proptest::collection::vec(any::<bool>(), 60)) {
        let undisturbed = metrics(&["live"]);
        let mut process = metrics(&["live"]);
        let mut exposed = samples(&process);
        for (event, killed) in events.into_iter().zip(kills) {
            let event = [stamped(event)];
            undisturbed.count("fleet", &event);
            let saved = process.after("fleet", &event);
            if killed {
                // Killed after the save and before anybody was shown.
                process = metrics(&["live"]);
                process.restore("fleet", &saved).unwrap();
            } else {
                process.count("fleet", &event);
                prop_assert_eq!(&process.after("fleet", &[]), &saved);
            }
            let now = samples(&process);
            for (series, value) in exposed {
                let is_gauge = series.starts_with("hopclock_runs_in_flight");
                prop_assert!(is_gauge || now[&series] >= value, "{} went back", series);
            }
            exposed = now;
        }
        prop_assert_eq!(samples(&process), samples(&undisturbed));
    }
}

#[test]
fn o4_one_scrape_shows_that_every_due_run_is_accounted_for() {
    let process = metrics(&["live"]);
    let (scenario, due) = ("fleet".to_owned(), Stopped.wall());
    let reason = Missed::Down;
    process.count("fleet", &[stamped(Event::Missed { scenario, reason, count: 3, due })]);
    for _ in 0..4 {
        let (origin, fingerprint) = (Origin::Schedule, String::new());
        let scenario = "fleet".to_owned();
        let event = Event::Scheduled { scenario, due, origin, fingerprint };
        process.count("fleet", &[stamped(event)]);
    }
    let ended = Event::Finished(Box::new(record(1, 5, "live", Outcome::Ok)));
    process.count("fleet", &[stamped(ended)]);
    let saved = process.after("fleet", &[]);
    let restarted = metrics(&["live"]);
    restarted.restore("fleet", &saved).unwrap();
    for it in [process, restarted] {
        let all = samples(&it);
        let sum = |name: &str| {
            all.iter().filter(|it| it.0.starts_with(name)).map(|it| *it.1).sum::<f64>()
        };
        assert_eq!(sum("hopclock_scheduled_runs_total"), 7.0);
        assert_eq!(sum("hopclock_runs_in_flight"), 3.0);
        assert_eq!(sum("hopclock_runs_total") + sum("hopclock_missed_runs_total"), 4.0);
    }
}

#[test]
fn a_scenario_that_changed_keeps_what_it_still_has() {
    let process = metrics(&["live", "other"]);
    for hop in ["live", "other"] {
        let ended = Event::Finished(Box::new(record(1, 5, hop, Outcome::Ok)));
        process.count("fleet", &[stamped(ended)]);
    }
    let count = |it: &Metrics, hop: &str| {
        let name = "hopclock_stage_duration_seconds_count";
        let series = format!("{name}{{scenario=\"fleet\",target_cluster=\"prod\",hop=\"{hop}\"}}");
        samples(it).get(&series).copied()
    };
    let saved = process.after("fleet", &[]);
    process.declare(&series(&["live", "third"]));
    let restarted = metrics(&["live", "third"]);
    restarted.restore("fleet", &saved).unwrap();
    for it in [&process, &restarted] {
        assert_eq!(count(it, "live"), Some(1.0));
        assert_eq!(count(it, "other"), None);
        assert_eq!(count(it, "third"), Some(0.0));
    }
}

#[test]
fn what_comes_late_brings_no_forgotten_series_back() {
    let process = metrics(&["live"]);
    process.forget("fleet");
    let ended = Event::Finished(Box::new(record(1, 5, "live", Outcome::Ok)));
    process.count("fleet", &[stamped(ended)]);
    assert!(samples(&process).keys().all(|it| !it.contains("fleet")));
}

#[test]
fn damaged_totals_are_refused_and_nothing_changes() {
    let process = metrics(&["live"]);
    let damaged = serde_json::json!({"histograms": {"hopclock_stage_duration_seconds":
        [[["prod", "live"], {"version": 9}]]}});
    let error = process.restore("fleet", &damaged).unwrap_err();
    assert!(error.starts_with("the totals of scenario `fleet` are damaged: "), "{error}");
    process.restore("fleet", &serde_json::Value::Null).unwrap();
    assert_eq!(process.after("fleet", &[]), metrics(&["live"]).after("fleet", &[]));
}
