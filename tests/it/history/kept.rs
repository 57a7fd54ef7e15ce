//! What is kept comes back as it was, once, in order, and to those who ask for it.

use crate::history::kit::{batch, delivered, marks, minutes_ago, noon, open, timed_out, write};
use hopclock::engine::{Batch, Store};
use hopclock::history::{Filter, Forgetful, Found, History, Which};
use hopclock::model::{
    CanaryId, Evidence, FailureRecord, HopRecord, KeptRun, LogLine, ObjectEvent, Outcome, Passage,
    ProbeError, Push, Revision, RunRecord, Sight, Skip, SloRecord, SloVerdict, Span, Usage, Via,
    Webhook,
};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::{collection::vec, option};
use serde_json::{Value, json};
use std::time::Duration;

fn instants() -> impl Strategy<Value = Timestamp> {
    // 1970 to 2100, to the nanosecond.
    (0_i64..4_102_444_800, 0_i32..1_000_000_000).prop_map(|it| Timestamp::new(it.0, it.1).unwrap())
}

fn spans() -> impl Strategy<Value = Span> {
    // Seconds in a double are exact to the nanosecond up to 48 days, for which nobody waits.
    let nanoseconds = 0_u64..24 * 24 * 3600 * 1_000_000_000;
    (nanoseconds.clone(), prop_oneof![Just(0), nanoseconds]).prop_map(|(least, more)| Span {
        least: Duration::from_nanos(least),
        most: Duration::from_nanos(least + more),
    })
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", ".{0,12}", Just("a'; DROP TABLE runs; --".to_owned())]
}

fn passages() -> impl Strategy<Value = Passage> {
    let marks = (any::<bool>(), any::<bool>(), any::<bool>());
    let who = (
        option::of(select(&Via::ALL[..])),
        option::of(select(&[Webhook::Ours, Webhook::Shared][..])),
        option::of(words()),
    );
    let reached = (spans(), option::of(spans()), option::of(spans()), marks, who);
    let reached = reached.prop_map(|(at, stage, wait, marks, who)| Passage::Reached {
        at,
        stage,
        wait,
        early: marks.0,
        reordered: marks.1,
        uncertain: marks.2,
        via: who.0,
        webhook: who.1,
        carried_by: who.2,
    });
    prop_oneof![4 => reached, 1 => Just(Passage::Bypassed), 1 => Just(Passage::Unreached)]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Ok),
        Just(Outcome::Slow),
        Just(Outcome::Timeout),
        (words(), words()).prop_map(|it| Outcome::Failed { reason: it.0, subject: it.1 }),
        words().prop_map(|by| Outcome::Superseded { by }),
        words().prop_map(|subject| Outcome::Skipped(Skip::Suspended { subject })),
        words().prop_map(|subject| Outcome::Skipped(Skip::SuspendedDuring { subject })),
        (words(), words())
            .prop_map(|it| Outcome::ProbeError(ProbeError { reason: it.0, message: it.1 })),
    ]
}

fn statuses() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no such number", |it| it.is_finite())
            .prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(words(), inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let event =
        (words(), words(), any::<u32>(), option::of(instants())).prop_map(|it| ObjectEvent {
            r#type: "Warning".to_owned(),
            reason: it.0,
            message: it.1,
            count: it.2,
            first: it.3,
            last: it.3,
            reporter: "kustomize-controller".to_owned(),
        });
    (words(), instants(), statuses(), option::of(vec(event, 0..3))).prop_map(|it| Evidence {
        subject: it.0,
        at: it.1,
        status: it.2,
        events: it.3,
    })
}

fn runs() -> impl Strategy<Value = KeptRun> {
    let sight = (words(), spans()).prop_map(|(subject, at)| Sight { subject, at });
    let sights = vec(sight, 0..3);
    let flags = any::<[bool; 2]>();
    let hop = (words(), words(), words(), passages(), flags, sights);
    let hop = hop.prop_map(|it| HopRecord {
        hop: it.0,
        subject: it.1,
        target_cluster: it.2,
        passage: it.3,
        reverted: it.4[0],
        unready: it.4[1],
        sights: it.5,
    });
    let push = (spans(), any::<u32>()).prop_map(|it| Push {
        revisions: vec![Revision::Commit("2db739a384".repeat(4))],
        took: it.0,
        attempts: it.1,
    });
    let failure = (words(), spans(), words()).prop_map(|it| FailureRecord {
        reason: it.0,
        at: it.1,
        subject: it.2,
    });
    let slo = (words(), select(&[SloVerdict::Good, SloVerdict::Bad, SloVerdict::Unknown][..]))
        .prop_map(|it| SloRecord { slo: it.0, verdict: it.1 });
    let line = (instants(), words()).prop_map(|it| LogLine { at: it.0, text: it.1 });
    let head = (words(), instants(), instants(), instants(), 0_u64..1 << 50);
    let body = (option::of(push), vec(hop, 0..5), outcomes(), option::of(spans()), spans());
    let tail = (option::of(failure), vec(slo, 0..3), vec(evidence(), 0..3), vec(line, 0..5));
    (head, body, tail).prop_map(|(head, body, tail)| KeptRun {
        due: head.1,
        ended: head.2,
        record: RunRecord {
            scenario: head.0,
            canary: CanaryId::new("team-a", head.4),
            started: head.3,
            push: body.0,
            hops: body.1,
            outcome: body.2,
            push_to_apply: body.3,
            tolerance: body.4.most,
            failing_since: tail.0,
            slo: tail.1,
            usage: Usage::default(),
        },
        evidence: tail.2,
        log: tail.3,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn property_a_run_comes_back_as_it_was_however_often_it_is_saved(run in runs()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.sqlite");
        runtime.block_on(async {
            let mut store = open(&path).await;
            store.save(&batch(noon(), [run.clone()])).await.unwrap();
            store.save(&batch(noon(), [run.clone()])).await.unwrap();
        });
        let history = History::open_read_only(&path).unwrap();
        prop_assert_eq!(history.runs(&Filter::default()).unwrap().len(), 1);
        prop_assert_eq!(history.stages(&Filter::default()).unwrap().len(), run.record.hops.len());
        let found = history.run(Some(&run.record.scenario), Which::Due(run.due)).unwrap();
        prop_assert_eq!(found, Found::One(Box::new(run)));
    }
}

#[tokio::test]
async fn a_run_that_is_saved_again_is_the_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let mut store = open(&path).await;
    let at = minutes_ago(5);
    store.save(&batch(at, [timed_out("fleet", at)])).await.unwrap();
    let better = delivered("fleet", at, 1.0, 2.0, Via::Webhook);
    store.save(&batch(at, [better.clone()])).await.unwrap();
    let history = History::open_read_only(&path).unwrap();
    let mark = better.record.canary.to_string();
    assert_eq!(history.run(None, Which::Canary(&mark)).unwrap(), Found::One(Box::new(better)));
    assert_eq!(history.runs(&Filter::default()).unwrap().len(), 1);
}

#[tokio::test]
async fn o4_ticks_that_come_again_after_a_clock_was_set_back_are_rows_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let first = timed_out("fleet", minutes_ago(20));
    let mut again = first.clone();
    again.record.canary = CanaryId::new("hopclock", first.record.canary.sequence() + 1);
    write(&path, vec![first.clone(), again.clone()]).await;
    let history = History::open_read_only(&path).unwrap();
    assert_eq!(history.runs(&Filter::default()).unwrap().len(), 2);
    let Found::Several(both) = history.run(None, Which::Due(first.due)).unwrap() else {
        panic!("two runs were due then")
    };
    assert_eq!(both.len(), 2);
    let mark = again.record.canary.to_string();
    assert_eq!(history.run(None, Which::Canary(&mark)).unwrap(), Found::One(Box::new(again)));
}

#[tokio::test]
async fn accounts_come_back_until_their_scenario_is_forgotten_and_its_runs_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let mut saved = batch(noon(), [timed_out("fleet", noon())]);
    saved.accounts.get_mut("fleet").unwrap().totals = json!({ "seconds": 0.1 + 0.2 });
    open(&path).await.save(&saved).await.unwrap();
    let mut store = open(&path).await;
    assert_eq!(store.load().await.unwrap(), saved.accounts);
    let forgotten = Batch { forgotten: vec!["fleet".to_owned()], ..Batch::default() };
    store.save(&forgotten).await.unwrap();
    drop(store);
    assert!(open(&path).await.load().await.unwrap().is_empty());
    assert_eq!(marks(&path).len(), 1);
}

#[tokio::test]
async fn what_is_forgetful_satisfies_the_port_and_writes_nothing() {
    let mut store = Forgetful::default();
    let saved = batch(noon(), [timed_out("fleet", noon())]);
    store.save(&saved).await.unwrap();
    assert_eq!(store.load().await.unwrap(), saved.accounts);
    store.save(&Batch { forgotten: vec!["fleet".to_owned()], ..Batch::default() }).await.unwrap();
    assert!(store.load().await.unwrap().is_empty());
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let some = |scenario: &'static str| {
        move |it: i64| delivered(scenario, minutes_ago(it), 1.0, 2.5, Via::Interval)
    };
    let mut runs: Vec<_> = (1..=5).map(some("fleet")).chain((3..=4).map(some("other"))).collect();
    runs.push(timed_out("fleet", minutes_ago(6)));
    write(&path, runs).await;
    let history = History::open_read_only(&path).unwrap();
    assert_eq!(history.scenarios().unwrap(), ["fleet", "other"]);

    let (mut filter, mut pages) = (Filter { limit: Some(3), ..Filter::default() }, Vec::new());
    loop {
        let page = history.runs(&filter).unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.cursor);
        pages.push(page);
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    let all: Vec<_> = pages.concat();
    assert_eq!(all, history.runs(&Filter::default()).unwrap());
    assert!(all.windows(2).all(|it| it[0].cursor.started >= it[1].cursor.started));
    let slowest = all[0].slowest.as_ref().unwrap();
    assert_eq!((slowest.hop.as_str(), slowest.stage.most.as_secs_f64()), ("applied", 2.5));
    assert_eq!(all[0].via.as_deref(), Some("interval"));

    let count = |filter: Filter| history.runs(&filter).unwrap().len();
    let scenario = Some("fleet".to_owned());
    assert_eq!(count(Filter { scenario, ..Filter::default() }), 6);
    assert_eq!(count(Filter { outcome: Some("timeout".to_owned()), ..Filter::default() }), 1);
    let (since, until) = (Some(minutes_ago(4)), Some(minutes_ago(2)));
    assert_eq!(count(Filter { since, ..Filter::default() }), 6);
    assert_eq!(count(Filter { since, until, ..Filter::default() }), 4, "the end is not meant");
    let stages = history.stages(&Filter { limit: Some(2), ..Filter::default() }).unwrap();
    let hops: Vec<_> = stages.iter().map(|it| it.hop.as_str()).collect();
    assert_eq!(hops, ["source_fetched", "applied", "source_fetched", "applied"]);
}

#[tokio::test]
async fn a_run_is_found_by_the_beginning_of_its_mark_and_near_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.sqlite");
    let runs: Vec<_> = (1..=5).map(|it| timed_out("fleet", minutes_ago(it))).collect();
    let mark = runs[2].record.canary.to_string();
    write(&path, runs.clone()).await;
    let history = History::open_read_only(&path).unwrap();
    let find = |mark: &str| history.run(None, Which::Canary(mark)).unwrap();
    assert_eq!(find(&mark), Found::One(Box::new(runs[2].clone())));
    assert_eq!(find(&mark[..mark.len() - 1]), Found::One(Box::new(runs[2].clone())));
    assert!(matches!(find("hopclock-"), Found::Several(it) if it.len() == 3));
    let wrong = format!("{}z", &mark[..mark.len() - 1]);
    assert!(matches!(find(&wrong), Found::None(near) if near.len() == 3 && near[0] == mark));
    let elsewhere = history.run(Some("other"), Which::Canary(&mark)).unwrap();
    assert!(matches!(elsewhere, Found::None(near) if near[0] == mark));
    assert_eq!(history.run(None, Which::Due(noon())).unwrap(), Found::None(Vec::new()));
}
