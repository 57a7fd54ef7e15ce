//! What the exporter counts of a webhook, and what the alert makes of it: numbers of its own, so that
//! neither the simulation nor the rules have to believe the other.

use crate::metrics::Still;
use crate::rules::kit::{Rulebook, Story};
use crate::rules::world::{OK, Run, TIMEOUT, World, of_pod};
use hopclock::export::{Format, HopSeries, Metrics, ScenarioSeries};
use hopclock::model::{
    CanaryId, Event, HopRecord, Observer, Outcome, Passage, Push, RunRecord, Span, Usage,
};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

const WEBHOOK: &str = "webhook_received";

const SECOND: Duration = Duration::from_secs(1);

/// What is shown as lost, minute by minute, of runs of every quarter of an hour that end so from minute
/// 120 on.
fn lost(outcome: &Outcome, passage: &Passage) -> String {
    let metrics = Metrics::new(Arc::new(Still), "1", Box::new(Vec::new));
    metrics.declare(&ScenarioSeries {
        scenario: "a".to_owned(),
        hops: vec![HopSeries {
            hop: WEBHOOK.to_owned(),
            target_cluster: String::new(),
            kind: WEBHOOK.to_owned(),
            optional: true,
        }],
        slos: Vec::new(),
        clusters: vec![String::new()],
        open: false,
        deadline: Duration::from_secs(240),
        schedule: None,
    });
    let mut values = String::new();
    for minute in 0..=300 {
        if minute >= 120 && minute % 15 == 4 {
            let hop = HopRecord {
                hop: WEBHOOK.to_owned(),
                subject: String::new(),
                target_cluster: String::new(),
                passage: passage.clone(),
                reverted: false,
                unready: false,
                sights: Vec::new(),
            };
            metrics.observe(&Event::Finished(Box::new(RunRecord {
                scenario: "a".to_owned(),
                canary: CanaryId::new("hopclock", minute),
                started: jiff::Timestamp::UNIX_EPOCH,
                push: Some(Push {
                    revisions: Vec::new(),
                    took: Span::exactly(SECOND),
                    attempts: 1,
                }),
                hops: vec![hop],
                outcome: outcome.clone(),
                push_to_apply: None,
                tolerance: SECOND,
                failing_since: None,
                slo: Vec::new(),
                usage: Usage::default(),
                trace_id: None,
            })));
        }
        write!(values, "{} ", shown(&metrics)).unwrap();
    }
    values
}

fn shown(metrics: &Metrics) -> u32 {
    let text = String::from_utf8(metrics.snapshot().encode(Format::Plain)).unwrap();
    let line = text
        .lines()
        .find(|it| it.starts_with("hopclock_webhooks_total{") && it.contains(r#"webhook="none""#));
    line.and_then(|it| it.rsplit_once(' ')).unwrap().1.parse().unwrap()
}

#[test]
fn a_change_that_nothing_fetched_is_no_lost_webhook() {
    let story = |name: &str, run, values: &str| {
        let labels = r#"hop="webhook_received", target_cluster="", webhook="none""#;
        let series = format!("hopclock_webhooks_total{{{}, scenario=\"a\", {labels}}}", of_pod(0));
        Story::of(name, World::calm("a").until(300).from(120, run)).with(&series, values)
    };
    let fetched = lost(&Outcome::Ok, &Passage::Bypassed);
    let late = lost(&Outcome::Timeout, &Passage::Bypassed);
    let not = lost(&Outcome::Timeout, &Passage::Unreached);
    Rulebook::general().play(
        1,
        &[
            story("polled", Run { webhook: "", ..OK }, &fetched)
                .have_fired(300, &["HopclockWebhookLost"]),
            story("polled, and stuck behind", TIMEOUT, &late)
                .have_fired(300, &["HopclockWebhookLost"]),
            story("nothing fetches", TIMEOUT, &not).have_fired(300, &[]),
        ],
    );
}
