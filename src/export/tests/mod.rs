//! What one event or one finished run does to the series, rule by rule.

#![allow(clippy::float_cmp, reason = "counts and these sums are exact")]

mod forms;
mod junit;
mod life;
mod said;
mod totals;
mod volume;

use crate::export::{Format, HopSeries, Metrics, Objective, ScenarioSeries, WatchRestarts};
use crate::model::{
    CanaryId, Clock, Event, HopRecord, Missed, Moment, Observer, Origin, Outcome, Passage,
    ProbeError, Push, RunRecord, Skip, SloVerdict, Span, Usage, Via, Webhook,
};
use std::sync::Arc;
use std::time::Duration;

/// Always 100 s after its origin.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(100))
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_700_000_000).unwrap()
    }
}

fn scheduled(scenario: String) -> Event {
    let (due, origin) = (Stopped.wall(), Origin::Schedule);
    Event::Scheduled { scenario, due, origin, fingerprint: String::new() }
}

pub(super) fn metrics() -> Metrics {
    let restarts = || {
        let (target_cluster, kind) = ("prod".to_owned(), "Kustomization".to_owned());
        vec![WatchRestarts { target_cluster, kind, reason: "expired".to_owned(), count: 3 }]
    };
    Metrics::new(Arc::new(Stopped), "1.2.3", Box::new(restarts))
}

pub(super) fn declared() -> Metrics {
    let metrics = metrics();
    metrics.declare(&scenario("fleet"));
    metrics
}

pub(super) fn scenario(name: &str) -> ScenarioSeries {
    let kinds = ["webhook_received", "source_fetched", "applied", "live"];
    let hop = |kind: &str| HopSeries {
        hop: kind.to_owned(),
        target_cluster: "prod".to_owned(),
        kind: kind.to_owned(),
        optional: kind == "live",
    };
    ScenarioSeries {
        scenario: name.to_owned(),
        hops: kinds.map(hop).to_vec(),
        slos: ["total", "live"].map(objective).to_vec(),
        clusters: vec!["prod".to_owned()],
        open: false,
        deadline: Duration::from_secs(540),
        schedule: None,
    }
}

fn objective(slo: &str) -> Objective {
    Objective { slo: slo.to_owned(), within: secs(120.0), share: Some(0.99) }
}

pub(super) fn secs(it: f64) -> Duration {
    Duration::from_secs_f64(it)
}

fn exactly(it: f64) -> Span {
    Span::exactly(secs(it))
}

fn reached(stage: Span) -> Passage {
    Passage::Reached {
        at: stage,
        stage: Some(stage),
        wait: None,
        early: false,
        reordered: false,
        uncertain: !stage.is_exact(),
        via: None,
        webhook: None,
        carried_by: None,
    }
}

fn hop(name: &str, passage: Passage) -> HopRecord {
    HopRecord {
        hop: name.to_owned(),
        subject: String::new(),
        target_cluster: "prod".to_owned(),
        passage,
        reverted: false,
        unready: false,
        sights: Vec::new(),
    }
}

fn run(outcome: Outcome, push_to_apply: Option<Span>, hops: Vec<HopRecord>) -> RunRecord {
    RunRecord {
        scenario: "fleet".to_owned(),
        canary: CanaryId::new("hopclock", 0x1a1_fbe6_7da8),
        started: jiff::Timestamp::UNIX_EPOCH,
        push: Some(Push { revisions: vec![], took: exactly(0.4), attempts: 1 }),
        hops,
        outcome,
        push_to_apply,
        tolerance: secs(1.0),
        failing_since: None,
        slo: vec![],
        usage: Usage::default(),
        trace_id: None,
    }
}

/// A run of `fleet` of which nothing is known but its end.
pub(super) fn fleet_run(outcome: Outcome, push_to_apply: Option<Span>) -> RunRecord {
    run(outcome, push_to_apply, vec![hop("live", Passage::Unreached)])
}

fn finish(metrics: &Metrics, record: RunRecord) {
    metrics.observe(&Event::Finished(Box::new(record)));
}

pub(super) fn failed() -> Outcome {
    Outcome::Failed { reason: "BuildFailed".to_owned(), subject: String::new() }
}

/// The value of a line of the older text form, none if there is no such line.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = String::from_utf8(metrics.snapshot().encode(Format::Plain)).unwrap();
    text.lines().find_map(|it| it.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Like `value`, of the scenario, the cluster and a hop.
fn of_hop(metrics: &Metrics, metric: &str, hop: &str, more: &str) -> Option<f64> {
    let labels = format!(r#"scenario="fleet",target_cluster="prod",hop="{hop}"{more}"#);
    value(metrics, &format!("hopclock_{metric}{{{labels}}}"))
}

fn stages(metrics: &Metrics, hop: &str) -> (f64, f64) {
    let part = |it: &str| of_hop(metrics, &format!("stage_duration_seconds_{it}"), hop, "");
    (part("count").unwrap_or(0.0), part("sum").unwrap_or(0.0))
}

fn deliveries(metrics: &Metrics, outcome: &str) -> (f64, f64) {
    let labels = format!(r#"{{scenario="fleet",target_cluster="prod",outcome="{outcome}"}}"#);
    let part = |it: &str| value(metrics, &format!("hopclock_push_to_apply_seconds_{it}{labels}"));
    (part("count").unwrap_or(0.0), part("sum").unwrap_or(0.0))
}

#[test]
fn t1_an_early_hop_is_observed_as_no_time_at_all() {
    let metrics = declared();
    let hops = vec![hop("source_fetched", reached(Span::ZERO))];
    finish(&metrics, run(Outcome::Ok, Some(exactly(3.0)), hops));
    assert_eq!(stages(&metrics, "source_fetched"), (1.0, 0.0));
    assert_eq!(stages(&metrics, "push"), (1.0, 0.4));
}

#[test]
fn t6_a_stage_known_well_enough_is_observed_by_its_upper_bound() {
    let metrics = declared();
    let span = Span { least: secs(3.0), most: secs(4.0) };
    finish(&metrics, run(Outcome::Ok, Some(span), vec![hop("applied", reached(span))]));
    assert_eq!(stages(&metrics, "applied"), (1.0, 4.0));
    assert_eq!(deliveries(&metrics, "ok"), (1.0, 4.0));
    assert_eq!(of_hop(&metrics, "uncertain_hops_total", "applied", ""), Some(0.0));
}

#[test]
fn t6_a_stage_known_too_vaguely_stays_out_and_is_counted() {
    let metrics = declared();
    let span = Span { least: secs(3.0), most: secs(4.001) };
    finish(&metrics, run(Outcome::Ok, Some(span), vec![hop("applied", reached(span))]));
    assert_eq!(stages(&metrics, "applied"), (0.0, 0.0));
    assert_eq!(deliveries(&metrics, "ok"), (0.0, 0.0));
    assert_eq!(of_hop(&metrics, "uncertain_hops_total", "applied", ""), Some(1.0));
    assert_eq!(of_hop(&metrics, "uncertain_hops_total", "total", ""), Some(1.0));
    assert_eq!(of_hop(&metrics, "uncertain_hops_total", "push", ""), Some(0.0));
}

#[test]
fn t10_a_wait_is_added_where_its_stage_was_observed() {
    let metrics = declared();
    let waited = |stage: Span| match reached(stage) {
        Passage::Reached { at, stage, early, reordered, uncertain, carried_by, .. } => {
            let (wait, via, webhook) = (Some(exactly(1.5)), Some(Via::Interval), None);
            let passage = Passage::Reached {
                at,
                stage,
                wait,
                early,
                reordered,
                uncertain,
                via,
                webhook,
                carried_by,
            };
            hop("source_fetched", passage)
        }
        other => panic!("{other:?}"),
    };
    finish(&metrics, run(Outcome::Ok, None, vec![waited(exactly(2.0))]));
    let vague = Span { least: secs(2.0), most: secs(9.0) };
    finish(&metrics, run(Outcome::Ok, None, vec![waited(vague)]));
    assert_eq!(of_hop(&metrics, "stage_wait_seconds_total", "source_fetched", ""), Some(1.5));
    let wakes = |via| of_hop(&metrics, "hop_wakes_total", "source_fetched", via);
    assert_eq!(wakes(r#",via="interval""#), Some(2.0));
    assert_eq!(wakes(r#",via="webhook""#), Some(0.0));
}

#[test]
fn t12_a_webhook_that_never_came_is_none() {
    let metrics = declared();
    let came = Passage::Reached {
        at: exactly(0.1),
        stage: Some(exactly(0.1)),
        wait: None,
        early: false,
        reordered: false,
        uncertain: false,
        via: None,
        webhook: Some(Webhook::Shared),
        carried_by: None,
    };
    finish(&metrics, run(Outcome::Ok, None, vec![hop("webhook_received", came)]));
    finish(&metrics, run(Outcome::Ok, None, vec![hop("webhook_received", Passage::Bypassed)]));
    let by = Outcome::Superseded { by: "abc".to_owned() };
    finish(&metrics, run(by, None, vec![hop("webhook_received", Passage::Unreached)]));
    // Nothing was fetched either: that is no matter of webhooks.
    for outcome in [Outcome::Timeout, failed()] {
        finish(&metrics, run(outcome, None, vec![hop("webhook_received", Passage::Unreached)]));
    }
    let webhooks = |it: &str| {
        of_hop(&metrics, "webhooks_total", "webhook_received", &format!(r#",webhook="{it}""#))
    };
    assert_eq!(["ours", "shared", "none"].map(webhooks), [Some(0.0), Some(1.0), Some(1.0)]);
    assert_eq!(of_hop(&metrics, "hop_bypassed_total", "webhook_received", ""), Some(1.0));
}

#[test]
fn p2_a_reordered_hop_is_counted_and_not_observed() {
    let metrics = declared();
    let passage = Passage::Reached {
        at: exactly(1.0),
        stage: None,
        wait: None,
        early: false,
        reordered: true,
        uncertain: false,
        via: Some(Via::Upstream),
        webhook: None,
        carried_by: None,
    };
    finish(&metrics, run(Outcome::Ok, None, vec![hop("applied", passage)]));
    assert_eq!(stages(&metrics, "applied"), (0.0, 0.0));
    assert_eq!(of_hop(&metrics, "hop_reordered_total", "applied", ""), Some(1.0));
    assert_eq!(of_hop(&metrics, "hop_wakes_total", "applied", r#",via="upstream""#), Some(1.0));
}

#[test]
fn p11_a_reverted_hop_is_counted_and_its_stage_stays() {
    let metrics = declared();
    let lost = HopRecord { reverted: true, ..hop("live", reached(exactly(2.0))) };
    finish(&metrics, run(Outcome::Timeout, Some(exactly(540.0)), vec![lost]));
    assert_eq!(of_hop(&metrics, "hop_reverted_total", "live", ""), Some(1.0));
    assert_eq!(stages(&metrics, "live"), (1.0, 2.0));
}

#[test]
fn o2_a_verdict_is_counted_when_it_is_made_and_not_again() {
    let metrics = declared();
    for verdict in [SloVerdict::Good, SloVerdict::Bad, SloVerdict::Bad, SloVerdict::Unknown] {
        let (scenario, slo) = ("fleet".to_owned(), "total".to_owned());
        metrics.observe(&Event::Decided { scenario, slo, verdict });
    }
    finish(&metrics, run(Outcome::Slow, Some(exactly(200.0)), vec![]));
    let counted = ["slo_events_total", "slo_bad_events_total", "slo_unknown_total"]
        .map(|it| value(&metrics, &format!(r#"hopclock_{it}{{scenario="fleet",slo="total"}}"#)));
    assert_eq!(counted, [Some(3.0), Some(2.0), Some(1.0)]);
}

#[test]
fn o3_a_timeout_is_observed_at_the_deadline_under_its_own_outcome() {
    let metrics = declared();
    let hops = vec![hop("applied", Passage::Unreached)];
    finish(&metrics, run(Outcome::Timeout, Some(exactly(540.0)), hops));
    finish(&metrics, run(failed(), Some(exactly(7.0)), vec![hop("applied", Passage::Unreached)]));
    assert_eq!(deliveries(&metrics, "timeout"), (1.0, 540.0));
    assert_eq!(deliveries(&metrics, "failed"), (1.0, 7.0));
    assert_eq!(deliveries(&metrics, "ok"), (0.0, 0.0));
    let unreached = of_hop(&metrics, "stage_unreached_total", "applied", r#",outcome="timeout""#);
    assert_eq!(unreached, Some(1.0));
    assert_eq!(deliveries(&metrics, "slow"), (0.0, 0.0));
}

#[test]
fn o4_every_due_run_is_finished_in_flight_or_missed() {
    let metrics = declared();
    let scenario = || "fleet".to_owned();
    (0..3).for_each(|_| metrics.observe(&scheduled(scenario())));
    let reason = Missed::Overlap;
    let missed = Event::Missed { scenario: scenario(), reason, count: 1, due: Stopped.wall() };
    metrics.observe(&missed);
    let start = |sequence, at| {
        let canary = CanaryId::new("hopclock", sequence);
        metrics.observe(&Event::Started { scenario: scenario(), canary, at: Moment(secs(at)) });
    };
    start(1, 90.0);
    start(0x1a1_fbe6_7da8, 40.0);
    start(3, 70.0);
    let in_flight = || value(&metrics, r#"hopclock_run_in_flight_seconds{scenario="fleet"}"#);
    assert_eq!(in_flight(), Some(60.0));
    finish(&metrics, run(Outcome::Ok, Some(exactly(3.0)), vec![]));
    assert_eq!(in_flight(), Some(30.0));
    let count = |it: &str| value(&metrics, &format!("hopclock_{it}"));
    assert_eq!(count(r#"scheduled_runs_total{scenario="fleet"}"#), Some(4.0));
    assert_eq!(count(r#"missed_runs_total{scenario="fleet",reason="overlap"}"#), Some(1.0));
    assert_eq!(count(r#"runs_total{scenario="fleet",outcome="ok"}"#), Some(1.0));
    assert_eq!(count(r#"runs_in_flight{scenario="fleet"}"#), Some(2.0));
}

#[test]
fn a_superseded_run_says_something_of_its_stages_but_not_of_delivery() {
    let metrics = declared();
    let hops =
        vec![hop("source_fetched", reached(exactly(2.0))), hop("applied", Passage::Unreached)];
    finish(&metrics, run(Outcome::Superseded { by: "abc".to_owned() }, None, hops));
    assert_eq!(stages(&metrics, "source_fetched"), (1.0, 2.0));
    let unreached =
        of_hop(&metrics, "stage_unreached_total", "applied", r#",outcome="superseded""#);
    assert_eq!(unreached, None);
    let all: Vec<_> = ["ok", "slow", "failed", "timeout"].map(|it| deliveries(&metrics, it)).into();
    assert_eq!(all, [(0.0, 0.0); 4]);
}

#[test]
fn a_run_that_was_skipped_or_broke_says_nothing_but_that() {
    let (before, metrics) = (declared(), declared());
    let error = ProbeError { reason: "push_refused".to_owned(), message: String::new() };
    let suspended = Skip::SuspendedDuring { subject: String::new() };
    for outcome in [Outcome::ProbeError(error), Outcome::Skipped(suspended)] {
        let hops =
            vec![hop("source_fetched", reached(exactly(2.0))), hop("applied", Passage::Unreached)];
        finish(&metrics, run(outcome, None, hops));
    }
    assert_eq!(
        (stages(&metrics, "source_fetched"), stages(&metrics, "push")),
        ((0.0, 0.0), (0.0, 0.0))
    );
    let text =
        |metrics: &Metrics| String::from_utf8(metrics.snapshot().encode(Format::Plain)).unwrap();
    let (before, after) = (text(&before), text(&metrics));
    let known: Vec<_> = before.lines().collect();
    let moved: Vec<_> =
        after.lines().filter(|it| it.contains("fleet") && !known.contains(it)).collect();
    insta::assert_snapshot!(moved.join("\n"), @r#"
    hopclock_runs_total{scenario="fleet",outcome="skipped"} 1
    hopclock_runs_total{scenario="fleet",outcome="probe_error"} 1
    hopclock_cluster_runs_total{scenario="fleet",target_cluster="prod",outcome="skipped"} 1
    hopclock_cluster_runs_total{scenario="fleet",target_cluster="prod",outcome="probe_error"} 1
    hopclock_last_run_timestamp_seconds{scenario="fleet",target_cluster="prod"} 1700000000
    hopclock_probe_errors_total{scenario="fleet",reason="push_refused"} 1
    "#);
}

#[test]
fn a_hop_is_waited_for_from_the_push_until_it_is_seen_or_the_run_ends() {
    let metrics = declared();
    let scenario = || "fleet".to_owned();
    let waiting = || {
        ["applied", "live"].map(|hop| {
            let labels = format!(r#"{{scenario="fleet",hop="{hop}"}}"#);
            value(&metrics, &format!("hopclock_hop_waiting{labels}")).unwrap()
        })
    };
    assert_eq!(waiting(), [0.0, 0.0]);
    let canary = CanaryId::new("hopclock", 1);
    metrics.observe(&Event::Publishing { scenario: scenario(), canary });
    assert_eq!(waiting(), [1.0, 1.0]);
    let (hop, passage) = ("live".to_owned(), reached(exactly(1.0)));
    metrics.observe(&Event::Reached { scenario: scenario(), hop, passage });
    assert_eq!(waiting(), [1.0, 0.0]);
    metrics.observe(&Event::Ended { scenario: scenario(), outcome: Outcome::Timeout });
    assert_eq!(waiting(), [0.0, 0.0]);
}
