//! What a scenario says of itself, as gauges: alerts compare what happens with it.

use super::{declared, exactly, finish, hop, metrics, reached, run, scenario, value};
use crate::engine::{Stamped, Totals};
use crate::export::{HopSeries, Metrics, ScenarioSeries, Schedule};
use crate::model::{Event, Observer, Outcome, Passage, Pause, Ticks, Timetable};
use jiff::Timestamp;
use std::time::Duration;

const QUARTER: Duration = Duration::from_secs(900);

fn scheduled_every(period: Duration, pauses: Vec<Pause>) -> ScenarioSeries {
    let ticks = Ticks::Every(period);
    let timetable = Timetable { scenario: "fleet".to_owned(), ticks, jitter: None, pauses };
    let schedule = Some(Schedule { timetable, seed: "hopclock".to_owned() });
    ScenarioSeries { schedule, ..scenario("fleet") }
}

fn said(metrics: &Metrics, name: &str) -> Option<f64> {
    value(metrics, &format!(r#"hopclock_{name}{{scenario="fleet"}}"#))
}

fn next(metrics: &Metrics) -> Option<f64> {
    said(metrics, "next_run_timestamp_seconds")
}

/// Seconds from now, which is when `Stopped` says, to the next run.
fn ahead(metrics: &Metrics) -> f64 {
    next(metrics).unwrap() - 1_700_000_000.0
}

#[test]
fn period_deadline_and_objectives_stand_beside_the_counters() {
    let metrics = metrics();
    metrics.declare(&scheduled_every(QUARTER, vec![]));
    assert_eq!(said(&metrics, "scenario_period_seconds"), Some(900.0));
    assert_eq!(said(&metrics, "scenario_deadline_seconds"), Some(540.0));
    let of = |name: &str| value(&metrics, &format!(r#"{name}{{scenario="fleet",slo="live"}}"#));
    assert_eq!(of("hopclock_slo_objective_ratio"), Some(0.99));
    assert_eq!(of("hopclock_slo_threshold_seconds"), Some(120.0));
}

#[test]
fn without_a_schedule_nothing_is_due() {
    let metrics = declared();
    assert_eq!((next(&metrics), said(&metrics, "scenario_period_seconds")), (None, None));
    finish(&metrics, run(Outcome::Timeout, None, vec![]));
    assert_eq!(next(&metrics), None);
}

#[test]
fn the_next_run_is_due_from_the_start_and_moves_on_with_the_end_of_each() {
    let metrics = metrics();
    metrics.declare(&scheduled_every(QUARTER, vec![]));
    let first = next(&metrics).unwrap();
    assert!((0.0..=900.0).contains(&ahead(&metrics)), "{first}");
    let at = |seconds: f64| {
        Timestamp::from_second(1_700_000_000).unwrap() + Duration::from_secs_f64(seconds)
    };
    let end = |outcome, after: f64| {
        let event = Event::Finished(Box::new(run(outcome, None, vec![])));
        metrics.count("fleet", &[Stamped { at: at(after), event }]);
    };
    // However late it is, it stays for as long as no run ends, and any end will do.
    end(Outcome::Timeout, ahead(&metrics) + 4000.0);
    let second = next(&metrics).unwrap();
    assert_eq!((second - first) % 900.0, 0.0);
    assert!((4000.0 - 900.0..=4900.0).contains(&(second - first)), "{first} {second}");
}

#[test]
fn a_pause_makes_nothing_overdue() {
    let from = Timestamp::from_second(1_699_999_000).unwrap();
    let until = from + Duration::from_secs(36_000);
    let pause = Pause::Between { from, until };
    let metrics = metrics();
    metrics.declare(&scheduled_every(QUARTER, vec![pause]));
    assert!((35_000.0..35_900.0).contains(&ahead(&metrics)), "{}", ahead(&metrics));
}

#[test]
fn a_restart_owes_nothing_and_what_the_file_says_now_holds() {
    let old = metrics();
    old.declare(&scheduled_every(QUARTER, vec![]));
    old.observe(&Event::Finished(Box::new(run(Outcome::Ok, None, vec![]))));
    let saved = old.after("fleet", &[]);
    assert!(!saved.to_string().contains("next_run") && !saved.to_string().contains("period"));
    let new = metrics();
    new.declare_with(&scheduled_every(QUARTER * 2, vec![]), &saved).unwrap();
    assert_eq!(said(&new, "scenario_period_seconds"), Some(1800.0));
    assert!((0.0..=1800.0).contains(&ahead(&new)));
    // A change of the file, too, moves what it says.
    new.declare(&scheduled_every(QUARTER, vec![]));
    assert_eq!(said(&new, "scenario_period_seconds"), Some(900.0));
    assert!((0.0..=900.0).contains(&ahead(&new)));
    new.declare(&scenario("fleet"));
    assert_eq!((next(&new), said(&new, "scenario_period_seconds")), (None, None));
}

#[test]
fn a_schedule_that_changes_owes_nothing_and_any_other_change_forgives_nothing() {
    let metrics = metrics();
    metrics.declare(&scheduled_every(QUARTER, vec![]));
    let at = Timestamp::from_second(1_700_000_000 - 20_000).unwrap();
    let event = Event::Finished(Box::new(run(Outcome::Ok, None, vec![])));
    metrics.count("fleet", &[Stamped { at, event }]);
    assert!(ahead(&metrics) < -19_000.0, "{}", ahead(&metrics));
    let same =
        ScenarioSeries { deadline: Duration::from_secs(300), ..scheduled_every(QUARTER, vec![]) };
    metrics.declare(&same);
    assert_eq!(said(&metrics, "scenario_deadline_seconds"), Some(300.0));
    assert!(ahead(&metrics) < -19_000.0, "{}", ahead(&metrics));
    metrics.declare(&scheduled_every(QUARTER / 3, vec![]));
    assert!((0.0..=300.0).contains(&ahead(&metrics)), "{}", ahead(&metrics));
}

#[test]
fn a_webhook_that_nobody_could_hear_is_not_one_that_was_lost() {
    let metrics = declared();
    let webhooks = |webhook: &str| {
        let labels = format!(r#"hop="webhook_received",webhook="{webhook}""#);
        value(
            &metrics,
            &format!(
                r#"hopclock_webhooks_total{{scenario="fleet",target_cluster="prod",{labels}}}"#
            ),
        )
    };
    let mut deaf = hop("webhook_received", Passage::Bypassed);
    let lost = deaf.clone();
    deaf.unready = true;
    finish(&metrics, run(Outcome::Ok, None, vec![deaf]));
    assert_eq!((webhooks("none"), webhooks("unready")), (Some(0.0), Some(1.0)));
    finish(&metrics, run(Outcome::Ok, None, vec![lost]));
    assert_eq!((webhooks("none"), webhooks("unready")), (Some(1.0), Some(1.0)));
}

#[test]
fn a_delivered_change_of_which_nobody_told_is_a_lost_notification() {
    let series = scenario("fleet");
    let told =
        HopSeries { hop: "told".to_owned(), kind: "notified".to_owned(), ..series.hops[0].clone() };
    let metrics = metrics();
    metrics.declare(&ScenarioSeries { hops: vec![told], ..series });
    let counted = |notification: &str| {
        let labels = format!(r#"hop="told",notification="{notification}""#);
        value(
            &metrics,
            &format!(
                r#"hopclock_hop_notifications_total{{scenario="fleet",target_cluster="prod",{labels}}}"#
            ),
        )
    };
    assert_eq!((counted("heard"), counted("lost")), (Some(0.0), Some(0.0)));
    for passage in [Passage::Bypassed, reached(exactly(1.0)), Passage::Unreached] {
        finish(&metrics, run(Outcome::Ok, None, vec![hop("told", passage)]));
    }
    assert_eq!((counted("heard"), counted("lost")), (Some(1.0), Some(1.0)));
}
