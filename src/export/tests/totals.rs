//! Totals outlive a killed process: nothing that was shown is lost, and nothing is counted twice.

use super::{Stopped, exactly, hop, metrics, objective, reached, run, scenario, scheduled, value};
use crate::engine::{Stamped, Totals};
use crate::export::{Format, Metrics};
use crate::model::{
    CanaryId, Clock, Event, Missed, Moment, Observer, Outcome, Passage, ProbeError, RunRecord,
    SloVerdict, Usage, Via,
};
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is saved, then shown.
    Shown,
    /// The process is killed before it is saved; its events happen again to the next one.
    KilledBefore,
    /// The process is killed after it was saved and before it is shown.
    KilledAfter,
}

fn fresh() -> Metrics {
    let metrics = metrics();
    metrics.declare(&scenario("fleet"));
    metrics
}

fn stamped(event: Event) -> Stamped {
    Stamped { at: Stopped.wall(), event }
}

/// Saves totals as text and reads them back, as a restart does.
fn restarted(saved: &Value) -> Metrics {
    let metrics = fresh();
    let text = saved.to_string();
    metrics.restore("fleet", &serde_json::from_str(&text).unwrap()).unwrap();
    metrics
}

#[test]
fn a_scenario_is_declared_together_with_its_totals_or_at_zero() {
    let old = fresh();
    old.count("fleet", &[stamped(scheduled("fleet".to_owned()))]);
    let saved = old.after("fleet", &[]);
    let new = metrics();
    new.declare_with(&scenario("fleet"), &saved).unwrap();
    assert_eq!(lines(&new), lines(&old));
    let broken = metrics();
    broken.declare_with(&scenario("fleet"), &json!("totals")).unwrap_err();
    assert_eq!(lines(&broken), lines(&fresh()));
}

#[test]
fn s6_what_was_left_behind_is_known_after_a_restart_and_zero_before_anything() {
    let old = fresh();
    let shown = |metrics: &Metrics| lines(metrics)["hopclock_leftovers{scenario=\"fleet\"}"];
    assert!(shown(&old).abs() < f64::EPSILON);
    let tidied = tidied(Some(3), Usage::default());
    old.count("fleet", &[stamped(tidied)]);
    let new = restarted(&old.after("fleet", &[]));
    assert!((shown(&new) - 3.0).abs() < f64::EPSILON);
}

#[test]
fn s5_what_runs_and_tidying_up_ask_of_a_remote_is_counted_and_outlives_a_restart() {
    let old = fresh();
    let shown = |metrics: &Metrics| {
        ["requests", "throttled"].map(|it| {
            let series = format!("hopclock_remote_{it}_total{{scenario=\"fleet\"}}");
            lines(metrics)[&series].to_string()
        })
    };
    assert_eq!(shown(&old), ["0", "0"], "they exist before anything was asked");
    let usage = Usage { requests: 9, throttled: 2 };
    let finished = RunRecord { usage, ..record(1, Outcome::Ok, (1.0, 2.0)) };
    old.count("fleet", &[stamped(Event::Finished(Box::new(finished)))]);
    let error = ProbeError { reason: "registry_rate_limited".to_owned(), message: String::new() };
    let refused = RunRecord { usage, ..record(2, Outcome::ProbeError(error), (1.0, 2.0)) };
    old.count("fleet", &[stamped(Event::Finished(Box::new(refused)))]);
    let usage = Usage { requests: 4, throttled: 0 };
    old.count("fleet", &[stamped(tidied(Some(0), usage)), stamped(tidied(None, usage))]);
    let new = restarted(&old.after("fleet", &[]));
    assert_eq!(shown(&new), ["26", "4"]);
}

#[test]
fn s6_what_nobody_could_look_at_is_as_it_was() {
    let metrics = fresh();
    metrics.count("fleet", &[stamped(tidied(Some(3), Usage::default()))]);
    metrics.count("fleet", &[stamped(tidied(None, Usage::default()))]);
    let left = lines(&metrics)["hopclock_leftovers{scenario=\"fleet\"}"];
    assert!((left - 3.0).abs() < f64::EPSILON);
}

fn tidied(leftovers: Option<usize>, usage: Usage) -> Event {
    Event::Tidied { scenario: "fleet".to_owned(), leftovers, usage }
}

/// Every line but those of what only this process can know.
fn lines(metrics: &Metrics) -> BTreeMap<String, f64> {
    let text = String::from_utf8(metrics.snapshot().encode(Format::Plain)).unwrap();
    let samples = text.lines().filter(|it| !it.starts_with('#'));
    let live = ["hopclock_run_in_flight_seconds", "hopclock_hop_waiting"];
    let kept = samples.filter(|line| !live.iter().any(|it| line.starts_with(it)));
    let parsed = kept.map(|it| it.rsplit_once(' ').unwrap());
    parsed.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

/// Whether `scheduled = finished + in flight + missed`, as one scrape says.
fn is_accounted_for(metrics: &Metrics) -> bool {
    let all = lines(metrics);
    let sum = |name: &str| -> f64 {
        let named = all.iter().filter(|it| it.0.starts_with(&format!("hopclock_{name}{{")));
        named.map(|it| it.1).sum()
    };
    let parts = sum("runs_total") + sum("runs_in_flight") + sum("missed_runs_total");
    (sum("scheduled_runs_total") - parts).abs() < f64::EPSILON
}

fn record(canary: u64, outcome: Outcome, lengths: (f64, f64)) -> RunRecord {
    let mut passage = reached(exactly(lengths.0));
    if let Passage::Reached { wait, via, .. } = &mut passage {
        (*wait, *via) = (Some(exactly(lengths.0 / 3.0)), Some(Via::Upstream));
    }
    let hops = vec![hop("applied", passage), hop("live", Passage::Unreached)];
    let canary = CanaryId::new("hopclock", canary);
    RunRecord { canary, ..run(outcome, Some(exactly(lengths.1)), hops) }
}

/// A run from its tick to its end, or ticks that were missed.
fn story() -> impl Strategy<Value = Vec<Event>> {
    let name = || "fleet".to_owned();
    let outcome = select(vec![
        Outcome::Ok,
        Outcome::Slow,
        Outcome::Timeout,
        Outcome::Failed { reason: "BuildFailed".to_owned(), subject: String::new() },
        Outcome::Superseded { by: "abc".to_owned() },
        Outcome::ProbeError(ProbeError { reason: "git_status".to_owned(), message: String::new() }),
    ]);
    let verdict = select(vec![SloVerdict::Good, SloVerdict::Bad, SloVerdict::Unknown]);
    let lengths = (0.0..4000.0_f64, 0.0..4000.0_f64);
    let whole = (0_u64..1000, outcome, verdict, lengths);
    let whole = whole.prop_map(move |(number, outcome, verdict, lengths)| {
        let canary = CanaryId::new("hopclock", number);
        let at = Moment(Duration::from_secs(number / 20));
        vec![
            scheduled(name()),
            Event::Started { scenario: name(), canary: canary.clone(), at },
            Event::Publishing { scenario: name(), canary },
            Event::Decided { scenario: name(), slo: "total".to_owned(), verdict },
            Event::Ended { scenario: name(), outcome: outcome.clone() },
            Event::Finished(Box::new(record(number, outcome, lengths))),
        ]
    });
    let missed = (select(&Missed::ALL[..]), 1_u64..4).prop_map(move |(reason, count)| {
        vec![Event::Missed { scenario: name(), reason, count, due: Stopped.wall() }]
    });
    prop_oneof![3 => whole, 1 => missed]
}

fn fates() -> impl Strategy<Value = Vec<(usize, Fate)>> {
    let fate = prop_oneof![4 => Just(Fate::Shown), 1 => Just(Fate::KilledBefore),
        1 => Just(Fate::KilledAfter)];
    proptest::collection::vec((1_usize..5, fate), 1..40)
}

proptest! {
    #[test]
    fn property_a_killed_process_loses_nothing_that_it_showed(
        stories in proptest::collection::vec(story(), 1..12),
        fates in fates(),
    ) {
        let events: Vec<Stamped> = stories.into_iter().flatten().map(stamped).collect();
        let undisturbed = fresh();
        let (mut metrics, mut saved, mut shown) = (fresh(), undisturbed.after("fleet", &[]), lines(&undisturbed));
        let (mut rest, mut fates) = (events.as_slice(), fates.into_iter());
        while !rest.is_empty() {
            let (size, fate) = fates.next().unwrap_or((rest.len(), Fate::Shown));
            let (batch, left) = rest.split_at(size.min(rest.len()));
            let after = metrics.after("fleet", batch);
            if fate == Fate::KilledBefore {
                metrics = restarted(&saved);
            } else {
                saved = after;
                rest = left;
                undisturbed.count("fleet", batch);
                if fate == Fate::Shown {
                    metrics.count("fleet", batch);
                } else {
                    metrics = restarted(&saved);
                }
            }
            prop_assert_eq!(&metrics.after("fleet", &[]), &saved);
            prop_assert!(is_accounted_for(&metrics));
            let now = lines(&metrics);
            for (series, before) in &shown {
                let is_gauge = series.starts_with("hopclock_runs_in_flight");
                prop_assert!(is_gauge || now.get(series) >= Some(before), "{series} fell");
            }
            shown = now;
        }
        prop_assert_eq!(lines(&metrics), lines(&undisturbed));
        prop_assert_eq!(lines(&restarted(&saved)), lines(&undisturbed));
    }
}

#[test]
fn asking_what_will_be_changes_nothing() {
    let metrics = fresh();
    let before = lines(&metrics);
    let events = [stamped(scheduled("fleet".to_owned()))];
    let after = metrics.after("fleet", &events);
    assert_eq!(lines(&metrics), before);
    metrics.count("fleet", &events);
    assert_eq!(metrics.after("fleet", &[]), after);
    assert_eq!(
        after["numbers"],
        json!({"hopclock_scheduled_runs_total": [[[], 1.0]],
               "hopclock_runs_in_flight": [[[], 1.0]]})
    );
}

#[test]
fn a_restored_scenario_keeps_what_it_still_has_and_begins_at_zero_with_the_rest() {
    let metrics = fresh();
    metrics.observe(&scheduled("fleet".to_owned()));
    let finished = Event::Finished(Box::new(record(1, Outcome::Ok, (2.0, 3.0))));
    metrics.observe(&finished);
    let saved = metrics.after("fleet", &[]);
    let mut changed = scenario("fleet");
    changed.hops.retain(|it| it.hop != "applied");
    changed.slos.push(objective("source_fetched"));
    let metrics = super::metrics();
    metrics.declare(&changed);
    metrics.restore("fleet", &saved).unwrap();
    let all = lines(&metrics);
    assert!(!all.keys().any(|it| it.contains("\"applied\"")));
    let new = r#"hopclock_slo_events_total{scenario="fleet",slo="source_fetched"}"#;
    let old = r#"hopclock_runs_total{scenario="fleet",outcome="ok"}"#;
    assert_eq!((all.get(new), all.get(old)), (Some(&0.0), Some(&1.0)));
}

#[test]
fn gauges_of_a_run_that_goes_on_follow_its_events_again() {
    let metrics = fresh();
    let name = || "fleet".to_owned();
    let canary = || CanaryId::new("hopclock", 7);
    let start = || Event::Started { scenario: name(), canary: canary(), at: Moment::default() };
    metrics.observe(&scheduled(name()));
    metrics.observe(&start());
    metrics.observe(&Event::Publishing { scenario: name(), canary: canary() });
    let metrics = restarted(&metrics.after("fleet", &[]));
    let live = |metrics: &Metrics| {
        let waiting = r#"hopclock_hop_waiting{scenario="fleet",hop="live"}"#;
        let age = r#"hopclock_run_in_flight_seconds{scenario="fleet"}"#;
        let count = r#"hopclock_runs_in_flight{scenario="fleet"}"#;
        [waiting, age, count].map(|it| value(metrics, it).unwrap())
    };
    assert_eq!(live(&metrics), [0.0, 0.0, 1.0]);
    metrics.observe(&start());
    metrics.observe(&Event::Published {
        scenario: name(),
        canary: canary(),
        revisions: vec![],
        sent: Moment::default(),
        zero: crate::model::When::at(Moment::default()),
        attempts: 1,
    });
    assert_eq!(live(&metrics), [1.0, 100.0, 1.0]);
    metrics.observe(&Event::Finished(Box::new(record(7, Outcome::Ok, (2.0, 3.0)))));
    assert_eq!(live(&metrics), [0.0, 0.0, 0.0]);
}

#[test]
fn what_is_no_total_is_refused_by_name_and_changes_nothing() {
    let metrics = fresh();
    metrics.observe(&scheduled("fleet".to_owned()));
    metrics.observe(&Event::Finished(Box::new(record(1, Outcome::Ok, (2.0, 3.0)))));
    let (saved, before) = (metrics.after("fleet", &[]), lines(&metrics));
    let changed = |pointer: &str, value: Value| {
        let mut saved = saved.clone();
        *saved.pointer_mut(pointer).unwrap() = value;
        metrics.restore("fleet", &saved).unwrap_err()
    };
    let stage = "/histograms/hopclock_stage_duration_seconds/0";
    let mut said = vec![
        changed("/version", json!(2)),
        changed("/numbers", json!([])),
        changed("/numbers/hopclock_scheduled_runs_total/0/1", json!(-1.0)),
        changed("/numbers/hopclock_runs_total/0/0", json!(["ok", "prod"])),
        changed(&format!("{stage}/1"), json!("many")),
        changed(&format!("{stage}/1/version"), json!(2)),
        changed(&format!("{stage}/1/classic"), json!(vec![0; 16])),
    ];
    assert!(Metrics::check("fleet", &saved).is_ok() && Metrics::check("new", &Value::Null).is_ok());
    let newer = Metrics::check("fleet", &json!({"version": 2})).unwrap_err();
    assert_eq!(newer, said[0], "it is known before the scenario has series");
    said.push(metrics.restore("fleet", &json!("totals")).unwrap_err());
    said.push(metrics.restore("stranger", &saved).unwrap_err());
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(lines(&metrics), before);
    metrics.restore("fleet", &Value::Null).unwrap();
    assert_eq!(lines(&metrics), lines(&fresh()));
}
