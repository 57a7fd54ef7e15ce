//! Ctrl-C and SIGTERM: what was measured so far is printed, and nothing more is begun.

use crate::cli::exit_codes::records;
use crate::cli::kit::{HOPS, SOURCE, Stage, lane, scenario};
use hopclock::model::{Outcome, Passage};
use hopclock_sandbox::git::{Fault, FaultRule, RequestKind};
use hopclock_sandbox::pipeline::{Door, Hook};
use serde_json::json;
use std::process::Output;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// A call under way, and what it says.
struct Call {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Call {
    fn start(mut call: Command) -> Self {
        let mut child = call.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, said: Vec::new() }
    }

    /// Waits until it says something.
    async fn until(&mut self, part: &str) {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.said.push(line.clone());
            if line.contains(part) {
                return;
            }
        }
        panic!("it never says `{part}`: {:?}", self.said);
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let kill = format!("kill -{name} {id}");
        let done = Command::new("sh").args(["-c", &kill]).status().await.unwrap();
        assert!(done.success());
    }

    async fn end(mut self) -> (Output, Vec<String>) {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.said.push(line);
        }
        (self.child.wait_with_output().await.unwrap(), self.said)
    }
}

#[tokio::test]
async fn a_signal_ends_a_run_with_what_was_measured() {
    let stage = Stage::new().await;
    // Fetched, but never applied: the run waits for its deadline.
    stage.create(applier("another"));
    let hops = "
  - source_fetched: { git_repository: flux-system/canary }
  - applied: { kustomization: flux-system/another }
";
    let git = format!("{SOURCE}, shared: true, template: 'canary: ${{canary}}'");
    let text = scenario("canary", &git, hops).replace("20s", "10m");
    stage.file("canary.yaml", &text);
    stage.file("later.yaml", &scenario("later", SOURCE, HOPS));
    for signal in ["INT", "TERM"] {
        let call = stage.call(&["run", "canary.yaml", "later.yaml", "--output", "json"]);
        let mut call = Call::start(call);
        call.until("canary: source_fetched after").await;
        call.signal(signal).await;
        let (output, said) = call.end().await;
        assert_eq!(output.status.code(), Some(3), "{said:?}");
        let [record] = records(&String::from_utf8(output.stdout).unwrap()).try_into().unwrap();
        let Outcome::ProbeError(error) = &record.outcome else { panic!("{record:?}") };
        assert_eq!(error.reason, "stopped");
        assert!(record.push.is_some(), "{record:?}");
        let passage = |hop: &str| &record.hops.iter().find(|it| it.hop == hop).unwrap().passage;
        assert!(matches!(passage("source_fetched"), Passage::Reached { .. }), "{record:?}");
        assert!(matches!(passage("applied"), Passage::Unreached), "{record:?}");
        let told: Vec<_> = said.iter().rev().take(3).rev().collect();
        assert_eq!(
            told,
            [
                "stopping; once more ends hopclock at once",
                "error: scenario `canary`: the run was stopped before it ended; what was pushed stays",
                "error: stopped before the last 1 of 2 scenarios",
            ]
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_even_a_push_without_an_answer() {
    let stage = Stage::with(&lane("canary", Hook::Silent, Door::Open)).await;
    stage.sandbox.git().add_fault(FaultRule::always(RequestKind::Push, Fault::Silence));
    let mut call = Call::start(stage.call(&["run", stage.scenario(SOURCE, HOPS)]));
    call.until("canary: push sending").await;
    call.signal("INT").await;
    call.until("stopping").await;
    call.signal("INT").await;
    let (output, said) = call.end().await;
    assert_eq!(output.status.code(), Some(130), "{said:?}");
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn a_demo_that_is_stopped_takes_its_folders_along() {
    let stage = Stage::new().await;
    let temporary = stage.folder.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let mut call = stage.call(&["demo"]);
    call.env("TMPDIR", &temporary);
    let mut call = Call::start(call);
    call.until("webhook: push acknowledged").await;
    call.signal("INT").await;
    let (output, said) = call.end().await;
    assert_eq!(output.status.code(), Some(3), "{said:?}");
    let left: Vec<_> = temporary.read_dir().unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A Kustomization that fails to build what is no manifest, again and again.
fn applier(name: &str) -> serde_json::Value {
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "10m", "path": "./canary", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "canary"}}})
}
