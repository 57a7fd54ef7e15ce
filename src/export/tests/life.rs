//! How series come and go: declared, declared again, forgotten; and what the process says of itself.

use super::{declared, exactly, finish, hop, metrics, reached, run, scenario, scheduled, value};
use crate::engine::{StoreError, Totals};
use crate::export::{Format, Metrics, Reload, ScenarioCounts};
use crate::model::{CanaryId, Clock, Event, Moment, Observer, Outcome, ProbeError};
use std::time::Duration;

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.snapshot().encode(Format::Plain)).unwrap()
}

fn lines_of(metrics: &Metrics, scenario: &str) -> Vec<String> {
    let label = format!("scenario=\"{scenario}\"");
    text(metrics).lines().filter(|it| it.contains(&label)).map(str::to_owned).collect()
}

fn count(metrics: &Metrics, scenario: &str) -> Option<f64> {
    value(metrics, &format!(r#"hopclock_scheduled_runs_total{{scenario="{scenario}"}}"#))
}

#[test]
fn declaring_again_keeps_what_is_still_there_and_drops_what_is_not() {
    let metrics = declared();
    metrics.declare(&scenario("other"));
    metrics.observe(&scheduled("fleet".to_owned()));
    metrics.observe(&scheduled("other".to_owned()));
    let hops = || vec![hop("applied", reached(exactly(2.0))), hop("live", reached(exactly(3.0)))];
    finish(&metrics, run(Outcome::Ok, Some(exactly(3.0)), hops()));
    let error = ProbeError { reason: "git_status".to_owned(), message: String::new() };
    finish(&metrics, run(Outcome::ProbeError(error), None, vec![]));
    let (before, others) = (lines_of(&metrics, "fleet"), lines_of(&metrics, "other"));
    let mut smaller = scenario("fleet");
    smaller.hops.retain(|it| it.hop != "live");
    smaller.slos.retain(|it| it.slo != "live");
    metrics.declare(&smaller);
    let gone = |it: &&String| !it.contains("hop=\"live\"") && !it.contains("slo=\"live\"");
    let expected: Vec<_> = before.iter().filter(gone).cloned().collect();
    assert!(expected.len() < before.len());
    assert_eq!(lines_of(&metrics, "fleet"), expected);
    assert_eq!(lines_of(&metrics, "other"), others);
    // A run that still knows the hop brings nothing of it back.
    finish(&metrics, run(Outcome::Timeout, Some(exactly(9.0)), hops()));
    assert!(lines_of(&metrics, "fleet").iter().all(|it| gone(&it)));
    metrics.declare(&scenario("fleet"));
    let lines = lines_of(&metrics, "fleet");
    let names = |all: &[String]| -> Vec<_> {
        all.iter().map(|it| it.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    assert_eq!(names(&lines).len(), names(&before).len());
    let stage = r#"hopclock_stage_duration_seconds_count{scenario="fleet",target_cluster="prod""#;
    assert!(lines.contains(&format!(r#"{stage},hop="applied"}} 2"#)));
    assert!(lines.contains(&format!(r#"{stage},hop="live"}} 0"#)));
}

#[test]
fn nothing_brings_back_the_series_of_a_scenario_that_is_not_there() {
    let metrics = declared();
    metrics.observe(&scheduled("fleet".to_owned()));
    metrics.forget("fleet");
    metrics.observe(&scheduled("fleet".to_owned()));
    metrics.observe(&scheduled("stranger".to_owned()));
    finish(&metrics, run(Outcome::Ok, Some(exactly(3.0)), vec![]));
    assert!(!text(&metrics).contains("scenario="));
    assert_eq!(metrics.after("fleet", &[]), serde_json::Value::Null);
    metrics.declare(&scenario("fleet"));
    assert_eq!(count(&metrics, "fleet"), Some(0.0));
}

#[test]
fn a_forgotten_scenario_goes_with_its_last_run() {
    let metrics = declared();
    metrics.declare(&scenario("other"));
    let canary = CanaryId::new("hopclock", 0x1a1_fbe6_7da8);
    let at = Moment(Duration::from_secs(40));
    metrics.observe(&scheduled("fleet".to_owned()));
    metrics.observe(&Event::Started { scenario: "fleet".to_owned(), canary, at });
    metrics.forget("fleet");
    assert_eq!(count(&metrics, "fleet"), Some(1.0));
    finish(&metrics, run(Outcome::Ok, Some(exactly(3.0)), vec![]));
    assert_eq!((count(&metrics, "fleet"), count(&metrics, "other")), (None, Some(0.0)));
}

#[test]
fn a_snapshot_stays_what_it_was_while_counting_goes_on() {
    let metrics = declared();
    let before = metrics.snapshot();
    let said = before.encode(Format::Plain);
    metrics.observe(&scheduled("fleet".to_owned()));
    assert_eq!(before.encode(Format::Plain), said);
    assert_eq!(count(&metrics, "fleet"), Some(1.0));
}

#[test]
fn reloads_say_whether_they_were_whole_and_how_scenarios_stand() {
    let metrics = metrics();
    let success = "hopclock_config_last_reload_success_timestamp_seconds";
    let successful = "hopclock_config_last_reload_successful";
    assert_eq!((value(&metrics, success), value(&metrics, successful)), (None, None));
    metrics.set_reload(Reload::Partial, ScenarioCounts { active: 1, stale: 0, broken: 2 });
    assert_eq!((value(&metrics, success), value(&metrics, successful)), (None, Some(0.0)));
    metrics.set_reload(Reload::Whole, ScenarioCounts { active: 3, stale: 0, broken: 0 });
    metrics.set_reload(Reload::Partial, ScenarioCounts { active: 2, stale: 1, broken: 0 });
    let wall = super::Stopped.wall().as_duration().as_secs_f64();
    assert_eq!((value(&metrics, success), value(&metrics, successful)), (Some(wall), Some(0.0)));
    let states = ["active", "stale", "broken"]
        .map(|it| value(&metrics, &format!("hopclock_config_scenarios{{state=\"{it}\"}}")));
    assert_eq!(states, [Some(2.0), Some(1.0), Some(0.0)]);
}

#[test]
fn state_that_could_not_be_kept_is_said_until_it_is() {
    let metrics = metrics();
    let said = || {
        let full = value(&metrics, r#"hopclock_state_errors_total{reason="full"}"#);
        (value(&metrics, "hopclock_state_saved"), full)
    };
    assert_eq!(said(), (None, None));
    metrics.declare_state(&["full", "locked"]);
    assert_eq!(said(), (Some(1.0), Some(0.0)));
    let error = StoreError { reason: "full", message: "no space is left".to_owned() };
    metrics.set_state_saved(Err(&error));
    assert_eq!(said(), (Some(0.0), Some(1.0)));
    metrics.set_state_saved(Ok(()));
    assert_eq!(said(), (Some(1.0), Some(1.0)));
}

#[test]
fn an_echo_is_observed_for_its_cluster() {
    let metrics = metrics();
    metrics.declare_echo("prod");
    let line = |it: &str| {
        value(&metrics, &format!("hopclock_watch_echo_seconds_{it}{{target_cluster=\"prod\"}}"))
    };
    assert_eq!((line("count"), line("sum")), (Some(0.0), Some(0.0)));
    metrics.observe_echo("prod", Duration::from_millis(250));
    assert_eq!((line("count"), line("sum")), (Some(1.0), Some(0.25)));
}
