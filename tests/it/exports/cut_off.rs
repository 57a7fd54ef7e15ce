//! Processes that are killed at chosen instants: to Prometheus each run is one, whatever was cut off.
//!
//! The other end holds its answer, so that a process stands still where it is to be killed.

use crate::cli::kit::{HOPS, SOURCE, Stage, lane, told};
use crate::eventually::eventually;
use crate::exports::gate::Gate;
use crate::exports::in_a_row::{RUNS, grown};
use crate::exports::kit::same;
use crate::prometheus_kit::{Prometheus, Setting, Version};
use hopclock_sandbox::api::{Scope, Silence};
use hopclock_sandbox::git::{Fault, FaultRule, RequestKind, UpdatedBy};
use hopclock_sandbox::pipeline::{Door, Hook};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const MAP: &str = "configmap:flux-system/totals";

const FILE: &str = "file:state.sqlite";

/// Some of what only grows.
const TOTALS: [&str; 6] = [
    "hopclock_runs_total",
    "hopclock_scheduled_runs_total",
    "hopclock_slo_events_total",
    "hopclock_push_to_apply_seconds_count",
    "hopclock_stage_duration_seconds_bucket",
    "hopclock_stage_wait_seconds_total",
];

/// Far above what anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Where a process stands still.
enum Stand {
    /// At a request to the API server.
    Api(Silence, Scope),
    /// At a request to the git host.
    Git(RequestKind, Fault),
    /// At its last export.
    Export(Silence),
}

/// Processes that run once each, with their totals in one place, and a Prometheus that they write to.
struct Scene {
    stage: Stage,
    prometheus: Prometheus,
    gate: Gate,
    state: &'static str,
    /// How many runs there were.
    runs: u32,
}

// === impl Scene ===

impl Scene {
    async fn new(state: &'static str) -> Self {
        let prometheus = Setting::of(Version::Two).receiving().start().await;
        let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
        stage.scenario(SOURCE, HOPS);
        let gate = Gate::to(prometheus.url("/api/v1/write")).await;
        Self { stage, prometheus, gate, state, runs: 0 }
    }

    /// A run whose first export is its first request, and whose last export is its second.
    fn run(&self) -> Command {
        let url = self.gate.url();
        let ways = ["--remote-write-url", &url, "--remote-write-histograms", "classic"];
        let place = ["--state", self.state, "--export-interval", "1h", "--export-timeout", "1m"];
        self.stage.call(&[&["run", "canary.yaml"][..], &ways, &place].concat())
    }

    /// Starts a run, and kills it where it stands still. Says whether it came there; else it has ended.
    async fn kill(&self, stand: &Stand) -> bool {
        let (api, git) = (self.stage.sandbox.api().faults(), self.stage.sandbox.git());
        match stand {
            Stand::Api(silence, scope) => {
                let mut silenced = api.silence(*silence, scope.clone());
                let stood = kill(self.run().spawn().unwrap(), silenced.struck()).await;
                api.lift(silenced.id);
                stood
            }
            Stand::Git(on, fault) => {
                let rule = FaultRule { on: Some(*on), fault: fault.clone(), times: Some(1) };
                git.add_fault(rule);
                let (before, mut updates) = (git.count(*on), git.watch_updates());
                let child = self.run().spawn().unwrap();
                let stood = match fault {
                    Fault::Silence => {
                        let come = eventually("it asks the git host", || git.count(*on) > before);
                        kill(child, come).await
                    }
                    _ => kill(child, async { drop(updates.recv().await.unwrap()) }).await,
                };
                git.clear_faults();
                stood
            }
            Stand::Export(silence) => {
                let mut struck = self.gate.hold(1, *silence);
                kill(self.run().spawn().unwrap(), async { struck.recv().await.unwrap() }).await
            }
        }
    }

    /// Runs once more, with nothing in the way.
    async fn run_well(&mut self) {
        let told = told(self.run()).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(!told.err.contains("not sent"), "{told:?}");
        self.runs += 1;
    }

    /// Prometheus has each run once, as a value.
    async fn assert_counted(&mut self, what: &str) {
        eprintln!("{what}: {} runs", self.runs);
        let expected = f64::from(self.runs);
        for metric in [RUNS, "sum(hopclock_scheduled_runs_total)"] {
            self.prometheus.eventually(metric, |it| same(it, expected)).await;
        }
    }

    /// The same as an increase, and what comes of them.
    async fn assert_grown(&mut self) {
        let metrics = ["hopclock_runs_total", "hopclock_scheduled_runs_total"];
        for metric in metrics {
            let grown = grown(&self.prometheus, metric).await;
            assert!((grown - f64::from(self.runs)).abs() < 1e-6, "{metric}: {grown}");
        }
        // Each change that was pushed is weighed once; the other runs could not measure.
        let updates = self.stage.sandbox.git().ref_updates();
        let pushed = updates.iter().filter(|it| it.by == UpdatedBy::Push).count();
        let pushed = f64::from(u32::try_from(pushed).unwrap());
        let weighed = "sum(hopclock_slo_events_total) + sum(hopclock_slo_unknown_total)";
        assert_eq!(self.prometheus.value(weighed).await, Some(pushed));
        let unmeasured = r#"sum(hopclock_runs_total{outcome="probe_error"})"#;
        assert_eq!(self.prometheus.value(unmeasured).await, Some(f64::from(self.runs) - pushed));
        // Nothing that was sent is ever taken back.
        for metric in TOTALS {
            let resets = self.prometheus.value(&format!("sum(resets({metric}[30m]))")).await;
            assert_eq!(resets, Some(0.0), "{metric}");
        }
    }
}

/// Kills a process as soon as it stands still; says whether it came there before its end.
async fn kill(mut child: Child, stands: impl Future<Output = ()>) -> bool {
    let stood = timeout(LIMIT, async {
        tokio::select! {
            () = stands => true,
            status = child.wait() => {
                assert!(status.unwrap().success());
                false
            }
        }
    });
    let stood = stood.await.expect("it stands still or ends");
    if stood {
        child.kill().await.unwrap();
    }
    stood
}

/// Instants in a run, in their order, and how many runs a process is that is killed there.
fn instants() -> Vec<(&'static str, Stand, u32)> {
    let late = Fault::AnswerLate(Duration::from_secs(3600));
    let source = Scope::all().kind("GitRepository").verb("get");
    vec![
        ("at its first question", Stand::Api(Silence::Before, Scope::all()), 0),
        ("with its totals, before it began", Stand::Api(Silence::Before, source), 0),
        ("before its push", Stand::Git(RequestKind::PushRefs, Fault::Silence), 1),
        ("in a push that is lost", Stand::Git(RequestKind::Push, Fault::Silence), 1),
        ("in a push that arrives", Stand::Git(RequestKind::Push, late), 1),
        ("when its totals are kept and not sent", Stand::Export(Silence::Before), 1),
        ("when they are sent, before its end", Stand::Export(Silence::After), 1),
    ]
}

async fn killed_at_each_instant(state: &'static str) {
    if !Version::Two.is_found() {
        return;
    }
    let mut scene = Scene::new(state).await;
    // What increases has to begin somewhere.
    scene.run_well().await;
    for (when, stand, runs) in instants() {
        assert!(scene.kill(&stand).await, "{state}, {when}: it ends before that");
        scene.runs += runs;
        if matches!(stand, Stand::Export(Silence::After)) {
            scene.assert_counted("at once").await;
        }
        scene.run_well().await;
        scene.assert_counted(&format!("{state}, {when}")).await;
    }
    scene.assert_grown().await;
    if state == FILE {
        let history = ["history", "--db", "state.sqlite", "--output", "json"];
        let told = scene.stage.tell(&history).await;
        assert_eq!(told.out.lines().count(), usize::try_from(scene.runs).unwrap(), "{told:?}");
    }
}

#[tokio::test]
async fn wherever_a_process_with_a_file_is_killed_each_run_is_counted_once() {
    killed_at_each_instant(FILE).await;
}

#[tokio::test]
async fn wherever_a_process_with_a_config_map_is_killed_each_run_is_counted_once() {
    killed_at_each_instant(MAP).await;
}

#[tokio::test]
async fn at_whichever_request_about_its_totals_a_process_is_killed_each_run_is_counted_once() {
    if !Version::Two.is_found() {
        return;
    }
    let mut scene = Scene::new(MAP).await;
    let map = |verb: &str| Scope::all().kind("ConfigMap").verb(verb);
    let create = Stand::Api(Silence::Before, map("create"));
    assert!(scene.kill(&create).await, "it creates none");
    scene.run_well().await;
    for silence in [Silence::Before, Silence::After] {
        assert!(scene.kill(&Stand::Api(silence, map("get"))).await, "it reads none");
        scene.run_well().await;
        let mut number = 0;
        while scene.kill(&Stand::Api(silence, map("update").behind(number))).await {
            // Nothing is a run that was never written down.
            scene.runs += u32::from(number > 0 || silence == Silence::After);
            scene.run_well().await;
            scene.assert_counted(&format!("{silence:?}, write {number}")).await;
            number += 1;
        }
        scene.runs += 1;
        assert!(number > 2, "it writes {number} times only");
    }
    scene.assert_counted("at the end").await;
    scene.assert_grown().await;
}
