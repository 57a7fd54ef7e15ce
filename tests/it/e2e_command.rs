//! Runs of the program itself, as a user starts it: its output, its exit code, and its traces.

use crate::e2e_kit::Bench;
use hopclock::model::{Outcome, RunRecord};
use std::path::Path;
use std::process::Output;
use tokio::process::Command;

/// What a run of the program came to.
pub(crate) struct Said {
    pub(crate) code: i32,
    /// What was printed on standard output.
    pub(crate) out: String,
    /// What was logged, and said for people.
    pub(crate) err: String,
}

/// A scenario of a lane: trigger keys beside `path` come as lines of `more`.
pub(crate) fn scenario(lane: &str, more: &str) -> String {
    let more = format!("    {}\n", more.trim_end().replace('\n', "\n    "));
    format!(
        "name: {lane}\n\
         deadline: 20s\n\
         trigger:\n  git_commit:\n    path: canary/configmap.yaml\n{more}\
         hops:\n  \
         - webhook_received: {{ receiver: flux-system/{lane}, git_repository: flux-system/{lane} }}\n  \
         - source_fetched: {{ git_repository: flux-system/{lane} }}\n  \
         - applied: {{ kustomization: flux-system/{lane} }}\n  \
         - live: {{ config_map: hopclock/{lane} }}\n"
    )
}

/// A scenario that pushes to where the lane's source fetches from.
pub(crate) fn scenario_of_source(lane: &str) -> String {
    scenario(lane, &format!("source: flux-system/{lane}"))
}

/// Runs `hopclock run` on one scenario with everything logged.
pub(crate) async fn hopclock(bench: &Bench, scenario: &str) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario).unwrap();
    let Output { status, stdout, stderr } = command(bench, &file).output().await.unwrap();
    let text = |it| String::from_utf8(it).unwrap();
    Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

fn command(bench: &Bench, file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopclock"));
    command.arg("run").arg(file).args(["--output", "json", "--instance", "test"]);
    command.arg("--kubeconfig").arg(bench.sandbox.kubeconfig());
    command.arg("--cache-dir").arg(bench.caches.path());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("HOPCLOCK_LOG", "trace").kill_on_drop(true);
    command
}

// === impl Said ===

impl Said {
    pub(crate) fn record(&self) -> RunRecord {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {}", self.err))
    }

    /// Reason and message of a run that could not measure.
    pub(crate) fn error(&self) -> (String, String) {
        assert_eq!(self.code, 3, "{}", self.out);
        match self.record().outcome {
            Outcome::ProbeError(error) => (error.reason, error.message),
            other => panic!("{other}"),
        }
    }
}
