//! What happens on the day.

use super::{BEGIN, DAY, HOUR, Happening, NOON, STUCK, UPDATE, What};
use hopclock::engine::StoreError;
use hopclock::export::{
    ExportResult, HopSeries, Metrics, NoticeResult, Objective, Reload, ScenarioCounts,
    ScenarioSeries, Schedule, WayOut,
};
use hopclock::model::{
    CanaryId, Event, HopRecord, Missed, Moment, Origin, Outcome, Passage, ProbeError, Push,
    Revision, RunRecord, Skip, SloVerdict, Span, Ticks, Timetable, Usage, Via, Webhook, When,
};
use jiff::Timestamp;
use std::time::Duration;

/// Hops with the cluster of their subject and their kind.
pub(super) type Hops = &'static [(&'static str, &'static str, &'static str)];

const FLEET: Hops = &[
    ("webhook_received", "", "webhook_received"),
    ("source_fetched", "", "source_fetched"),
    ("applied", "", "applied"),
    ("live", "", "live"),
];

const IMAGE: Hops = &[
    ("image_scanned", "", "image_scanned"),
    ("policy_updated", "", "policy_updated"),
    ("automation_committed", "", "automation_committed"),
    ("source_fetched", "", "source_fetched"),
    ("applied", "", "applied"),
    ("rolled_out", "", "rolled_out"),
];

const REGIONS: Hops = &[
    ("fetched-east", "east", "source_fetched"),
    ("live-east", "east", "live"),
    ("notified-east", "east", "notified"),
    ("fetched-west", "west", "source_fetched"),
    ("live-west", "west", "live"),
];

/// Longest time that a run of `image` looks for its change, in seconds.
pub(super) const DEADLINE: u64 = 540;

/// A run as it is told.
pub(super) struct Run {
    pub(super) scenario: &'static str,
    /// When it was due, in seconds from the beginning of the day.
    pub(super) due: u64,
    pub(super) hops: Vec<HopRecord>,
    pub(super) outcome: Outcome,
    /// From push to live, in seconds; none if nothing was pushed.
    pub(super) length: Option<f64>,
    pub(super) verdict: Option<SloVerdict>,
    pub(super) usage: Usage,
}

/// What of each scenario there are series.
pub(super) fn scenarios() -> Vec<ScenarioSeries> {
    vec![
        scenario("fleet", FLEET, (30, 0.9), 900),
        scenario("image", IMAGE, (60, 0.95), 1_800),
        scenario("regions", REGIONS, (60, 0.95), 1_200),
    ]
}

/// What a process says when it begins.
pub(super) fn begin(metrics: &Metrics) {
    metrics.set_reload(Reload::Whole, ScenarioCounts { active: 3, stale: 0, broken: 0 });
    metrics.declare_state(&["busy", "full"]);
    metrics.declare_notices();
    metrics.declare_exports(WayOut::RemoteWrite);
    for cluster in ["", "east", "west"] {
        metrics.declare_echo(cluster);
    }
}

/// Everything that happens.
pub(super) fn happenings() -> Vec<Happening> {
    let mut all = Vec::new();
    for due in (420..DAY - 600).step_by(900) {
        all.extend(fleet(due).happens());
    }
    for (number, due) in (180..DAY - 600).step_by(1_800).enumerate() {
        all.extend(image(number, due).happens());
    }
    for (number, due) in (660..DAY - 600).step_by(1_200).enumerate() {
        all.extend(regions(number, due).happens());
    }
    for (at, reason, count) in [
        (4 * HOUR, Missed::Overlap, 1),
        (5 * HOUR, Missed::Paused, 3),
        (UPDATE + 30, Missed::Down, 1),
    ] {
        all.push(Happening::heard(at * 1_000, missed("regions", at, reason, count)));
    }
    let left = Usage { requests: 3, throttled: 1 };
    all.push(Happening::heard(
        15 * HOUR * 1_000,
        Event::Tidied { scenario: "image".to_owned(), leftovers: Some(2), usage: left },
    ));
    all.extend(of_the_process());
    all
}

fn of_the_process() -> Vec<Happening> {
    let mut all = Vec::new();
    for minute in (30..DAY).step_by(60) {
        all.push(Happening::done(minute * 1_000, |metrics| {
            for (cluster, took) in [("", 20), ("east", 30), ("west", 400)] {
                metrics.observe_echo(cluster, Duration::from_millis(took));
            }
            metrics.count_exports(WayOut::RemoteWrite, ExportResult::Sent, 2);
        }));
    }
    for at in (HOUR + 90..DAY).step_by(3_600) {
        all.push(Happening { at: at * 1_000, what: What::Watches(2) });
        all.push(Happening::done(at * 1_000, |metrics| {
            metrics.count_notice(NoticeResult::Unawaited);
            metrics.count_exports(WayOut::RemoteWrite, ExportResult::Failed, 1);
            metrics.count_notice(NoticeResult::WrongSignature);
        }));
    }
    let counts = |active, stale| ScenarioCounts { active, stale, broken: 0 };
    all.push(Happening::done(10 * HOUR * 1_000, move |metrics| {
        metrics.set_reload(Reload::Partial, counts(2, 1));
    }));
    all.push(Happening::done((10 * HOUR + 1_800) * 1_000, move |metrics| {
        metrics.set_reload(Reload::Whole, counts(3, 0));
    }));
    all.push(Happening::done(11 * HOUR * 1_000, |metrics| {
        let message = "the database is busy".to_owned();
        metrics.set_state_saved(Err(&StoreError { reason: "busy", message }));
    }));
    all.push(Happening::done((11 * HOUR + 120) * 1_000, |metrics| {
        metrics.set_state_saved(Ok(()));
    }));
    all.push(Happening { at: UPDATE * 1_000, what: What::Update });
    all
}

fn fleet(due: u64) -> Run {
    if STUCK.contains(&due) {
        return stuck(due);
    }
    let lost = due >= NOON;
    let (fetched, length) = if lost { (41.0, 58.0) } else { (2.0, 19.0) };
    let hops = if lost {
        [
            Passage::Bypassed,
            reached(fetched, fetched, None, Some(Via::Interval)),
            reached(length + 1.0, 18.0, Some(1.0), Some(Via::Upstream)),
            reached(length, 17.0, None, None),
        ]
    } else {
        [
            webhook(0.2),
            reached(fetched, fetched, Some(0.5), Some(Via::Webhook)),
            reached(length + 1.0, 18.0, Some(1.0), Some(Via::Upstream)),
            reached(length, 17.0, None, None),
        ]
    };
    Run {
        scenario: "fleet",
        due,
        hops: records(FLEET, hops),
        outcome: if lost { Outcome::Slow } else { Outcome::Ok },
        length: Some(length),
        verdict: Some(if lost { SloVerdict::Bad } else { SloVerdict::Good }),
        usage: Usage { requests: 4, throttled: 0 },
    }
}

/// A change of `fleet` that is fetched after 8 s, and then nothing happens until the deadline.
fn stuck(due: u64) -> Run {
    let fetched = reached(8.0, 8.0, Some(0.5), Some(Via::Webhook));
    let hops = [webhook(0.2), fetched, Passage::Unreached, Passage::Unreached];
    Run {
        scenario: "fleet",
        due,
        hops: records(FLEET, hops),
        outcome: Outcome::Timeout,
        length: Some(Duration::from_secs(DEADLINE).as_secs_f64()),
        verdict: Some(SloVerdict::Bad),
        usage: Usage { requests: 4, throttled: 0 },
    }
}

fn image(number: usize, due: u64) -> Run {
    let mut passages = vec![
        reached(20.0, 20.0, None, Some(Via::Interval)),
        reached(21.0, 1.0, Some(0.1), Some(Via::Upstream)),
        reached(30.0, 9.0, None, Some(Via::Upstream)),
        reached(32.0, 2.0, Some(0.5), Some(Via::Webhook)),
        reached(38.0, 6.0, Some(1.0), Some(Via::Upstream)),
        reached(44.0, 12.0, None, None),
    ];
    let mut run = Run {
        scenario: "image",
        due,
        hops: Vec::new(),
        outcome: Outcome::Ok,
        length: Some(44.0),
        verdict: Some(SloVerdict::Good),
        usage: Usage { requests: 12, throttled: 0 },
    };
    let deadline = Duration::from_secs(DEADLINE).as_secs_f64();
    let mut reverted = false;
    match number {
        6 => {
            passages[4..].fill(Passage::Unreached);
            let (reason, subject) = ("BuildFailed".to_owned(), "Kustomization a/b".to_owned());
            run.outcome = Outcome::Failed { reason, subject };
            (run.length, run.verdict) = (Some(40.0), Some(SloVerdict::Bad));
        }
        10 | 34 => {
            passages[2..].fill(Passage::Unreached);
            run.outcome = Outcome::Timeout;
            (run.length, run.verdict) = (Some(deadline), Some(SloVerdict::Bad));
        }
        14 | 40 => {
            passages.fill(Passage::Unreached);
            let (reason, message) = ("push_refused".to_owned(), "the push was refused".to_owned());
            run.outcome = Outcome::ProbeError(ProbeError { reason, message });
            (run.length, run.verdict) = (None, None);
        }
        16 => {
            passages[3..].fill(Passage::Unreached);
            run.outcome = Outcome::Superseded { by: "somebody".to_owned() };
            run.verdict = None;
        }
        18 => {
            passages.fill(Passage::Unreached);
            run.outcome = Outcome::Skipped(Skip::Suspended { subject: "a".to_owned() });
            (run.length, run.verdict) = (None, None);
        }
        20 | 38 => {
            passages[5] = vague(&passages[5]);
            run.verdict = Some(SloVerdict::Unknown);
        }
        22 => passages[1] = Passage::Bypassed,
        24 => passages[4] = reordered(&passages[4]),
        26 => reverted = true,
        _ => (),
    }
    run.hops = records(IMAGE, passages);
    run.hops[5].reverted = reverted;
    run
}

fn regions(number: usize, due: u64) -> Run {
    // Every tenth time Flux tells nobody.
    let told = if number % 10 == 9 { Passage::Bypassed } else { reached(13.0, 1.0, None, None) };
    Run {
        scenario: "regions",
        due,
        hops: records(
            REGIONS,
            [
                reached(3.0, 3.0, Some(0.5), Some(Via::Webhook)),
                reached(12.0, 9.0, None, None),
                told,
                reached(12.0, 12.0, None, Some(Via::Interval)),
                reached(32.0, 20.0, None, None),
            ],
        ),
        outcome: Outcome::Ok,
        length: Some(32.0),
        verdict: Some(SloVerdict::Good),
        usage: Usage { requests: 5, throttled: 0 },
    }
}

// === impl Run ===

impl Run {
    /// Its events, each at its time.
    pub(super) fn happens(self) -> Vec<Happening> {
        let scenario = || self.scenario.to_owned();
        let canary = CanaryId::new("hopclock", BEGIN + self.due);
        let begin = self.due * 1_000;
        let pushed = begin + 2_000;
        let moment = |at| Moment(Duration::from_millis(at));
        let mut all = vec![
            Happening::heard(
                begin,
                Event::Scheduled {
                    scenario: scenario(),
                    due: wall(self.due),
                    origin: Origin::Schedule,
                    fingerprint: String::new(),
                },
            ),
            Happening::heard(
                begin,
                Event::Started { scenario: scenario(), canary: canary.clone(), at: moment(begin) },
            ),
        ];
        let Some(length) = self.length else {
            all.push(Happening::heard(pushed, Event::Finished(Box::new(self.record(canary)))));
            return all;
        };
        let of = |at: f64| pushed + u64::try_from(Duration::from_secs_f64(at).as_millis()).unwrap();
        all.push(Happening::heard(
            pushed,
            Event::Publishing { scenario: scenario(), canary: canary.clone() },
        ));
        let zero = When { earliest: moment(pushed), latest: moment(pushed) };
        all.push(Happening::heard(
            pushed,
            Event::Published {
                scenario: scenario(),
                canary: canary.clone(),
                revisions: Vec::new(),
                sent: moment(pushed),
                zero,
                attempts: 1,
            },
        ));
        for it in &self.hops {
            if let Some(at) = it.passage.at() {
                let (hop, passage) = (it.hop.clone(), it.passage.clone());
                let event = Event::Reached { scenario: scenario(), hop, passage };
                all.push(Happening::heard(of(at.most.as_secs_f64()), event));
            }
        }
        if let Some(verdict) = self.verdict {
            let event = Event::Decided { scenario: scenario(), slo: "total".to_owned(), verdict };
            all.push(Happening::heard(of(length), event));
        }
        if self.hops.iter().any(|it| it.hop == "notified-east" && it.passage.at().is_some()) {
            all.push(Happening::done(of(13.0), |it| it.count_notice(NoticeResult::Heard)));
        }
        // Hops that nobody waits for are seen a little later.
        let end = of(length + 2.0);
        all.push(Happening::heard(end, Event::Finished(Box::new(self.record(canary)))));
        all
    }

    fn record(&self, canary: CanaryId) -> RunRecord {
        let measured = self.outcome.is_measurement();
        RunRecord {
            scenario: self.scenario.to_owned(),
            canary,
            started: wall(self.due),
            push: self.length.map(|_| Push {
                revisions: vec![Revision::Commit("c".repeat(40))],
                took: exactly(0.3),
                attempts: 1,
            }),
            hops: self.hops.clone(),
            outcome: self.outcome.clone(),
            push_to_apply: self.length.filter(|_| measured).map(exactly),
            tolerance: Duration::from_secs(1),
            failing_since: None,
            slo: Vec::new(),
            usage: self.usage,
            trace_id: None,
        }
    }
}

pub(super) fn scenario(
    name: &str,
    hops: Hops,
    (within, share): (u64, f64),
    period: u64,
) -> ScenarioSeries {
    let mut clusters: Vec<_> = hops.iter().map(|it| it.1.to_owned()).collect();
    clusters.dedup();
    let within = Duration::from_secs(within);
    let hop = |it: &(&str, &str, &str)| HopSeries {
        hop: it.0.to_owned(),
        target_cluster: it.1.to_owned(),
        kind: it.2.to_owned(),
        optional: ["webhook_received", "notified"].contains(&it.2),
    };
    ScenarioSeries {
        scenario: name.to_owned(),
        hops: hops.iter().map(hop).collect(),
        slos: vec![Objective { slo: "total".to_owned(), within, share: Some(share) }],
        clusters,
        open: false,
        deadline: Duration::from_secs(DEADLINE),
        schedule: Some(Schedule {
            timetable: Timetable {
                scenario: name.to_owned(),
                ticks: Ticks::Every(Duration::from_secs(period)),
                jitter: None,
                pauses: Vec::new(),
            },
            seed: "hopclock".to_owned(),
        }),
    }
}

pub(super) fn records(hops: Hops, passages: impl IntoIterator<Item = Passage>) -> Vec<HopRecord> {
    let record = |((hop, cluster, _), passage): (&(&str, &str, &str), Passage)| HopRecord {
        hop: (*hop).to_owned(),
        subject: String::new(),
        target_cluster: (*cluster).to_owned(),
        passage,
        reverted: false,
        unready: false,
        sights: Vec::new(),
    };
    hops.iter().zip(passages).map(record).collect()
}

pub(super) fn reached(at: f64, stage: f64, wait: Option<f64>, via: Option<Via>) -> Passage {
    Passage::Reached {
        at: exactly(at),
        stage: Some(exactly(stage)),
        wait: wait.map(exactly),
        early: false,
        reordered: false,
        uncertain: false,
        via,
        webhook: None,
        carried_by: None,
    }
}

fn webhook(at: f64) -> Passage {
    let mut passage = reached(at, at, None, None);
    if let Passage::Reached { webhook, .. } = &mut passage {
        *webhook = Some(Webhook::Ours);
    }
    passage
}

/// The same, known only to half a minute.
fn vague(passage: &Passage) -> Passage {
    let mut passage = passage.clone();
    if let Passage::Reached { stage, uncertain, .. } = &mut passage {
        let most = Duration::from_secs(40);
        (*stage, *uncertain) = (Some(Span { least: Duration::from_secs(10), most }), true);
    }
    passage
}

/// The same, before a hop that should come before it.
fn reordered(passage: &Passage) -> Passage {
    let mut passage = passage.clone();
    if let Passage::Reached { stage, reordered, .. } = &mut passage {
        (*stage, *reordered) = (None, true);
    }
    passage
}

fn missed(scenario: &str, at: u64, reason: Missed, count: u64) -> Event {
    Event::Missed { scenario: scenario.to_owned(), reason, count, due: wall(at) }
}

fn exactly(seconds: f64) -> Span {
    Span::exactly(Duration::from_secs_f64(seconds))
}

fn wall(at: u64) -> Timestamp {
    Timestamp::from_second(i64::try_from(BEGIN + at).unwrap()).unwrap()
}
