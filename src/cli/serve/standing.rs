//! How the service stands: what `/readyz` says.

use crate::cli::serve::folder::Look;
use crate::cli::state::StatePlace;
use crate::cluster::{Clusters, EchoState, Silence};
use crate::engine::{Activity, Service, Status};
use crate::history::Recorder;
use crate::web::{Check, CheckState, Readiness, Ready};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How the service stands.
pub(super) struct Standing {
    folder: PathBuf,
    state: StatePlace,
    clusters: Arc<OnceLock<Clusters>>,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// What keeps it from starting, or that it ends.
    hindrance: Option<String>,
    look: Look,
    service: Option<Arc<Service>>,
    recorder: Option<Recorder>,
    has_echo: bool,
}

// === impl Standing ===

impl Standing {
    pub(super) fn new(
        folder: &Path,
        state: &StatePlace,
        clusters: Arc<OnceLock<Clusters>>,
    ) -> Arc<Self> {
        let hindrance = Some("it connects to the cluster".to_owned());
        let now = Mutex::new(Now { hindrance, ..Now::default() });
        Arc::new(Self { folder: folder.to_owned(), state: state.clone(), clusters, now })
    }

    /// Says what keeps it from working; none if nothing does.
    pub(super) fn hinder(&self, hindrance: Option<String>) {
        self.now().hindrance = hindrance;
    }

    /// Takes in what the folder says.
    pub(super) fn look(&self, look: &Look) {
        self.now().look = look.clone();
    }

    /// The service is there.
    pub(super) fn open(&self, service: &Arc<Service>, recorder: &Recorder, has_echo: bool) {
        let mut now = self.now();
        now.service = Some(service.clone());
        now.recorder = Some(recorder.clone());
        now.has_echo = has_echo;
    }

    /// Lets go of the recorder, so that its writer can end.
    pub(super) fn close(&self) {
        let mut now = self.now();
        (now.service, now.recorder) = (None, None);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_cluster(&self, now: &Now) -> Vec<Check> {
        let server = self.clusters.get().map(|it| format!("connected to {}", it.home().server()));
        let silence = self.clusters.get().and_then(|it| it.home().silence());
        let mut checks = vec![match (&now.hindrance, silence) {
            (Some(why), _) => check("service", CheckState::Failing, why.clone()),
            (None, Some(silence)) => {
                let Silence { since, problem } = silence;
                let text = format!("since {since:.0} {problem}; what is seen now is uncertain");
                check("service", CheckState::Warning, text)
            }
            (None, None) => check("service", CheckState::Ok, server.unwrap_or_default()),
        }];
        let reached = self.clusters.get().map(Clusters::reached).unwrap_or_default();
        for (name, cluster) in reached {
            let named = |what: &str| format!("{what} {}", name.0).trim_end().to_owned();
            if let Some(Silence { since, problem }) = cluster.silence()
                && !name.0.is_empty()
            {
                let text = format!("since {since:.0} {problem}; what is seen there is uncertain");
                checks.push(check(&named("cluster"), CheckState::Warning, text));
            }
            if now.has_echo {
                checks.push(of_echo(&named("echo"), cluster.echo_state()));
            }
        }
        checks
    }

    fn of_state(&self, now: &Now) -> Check {
        let trouble = now.recorder.as_ref().and_then(Recorder::trouble);
        match (trouble, self.state.loss()) {
            (Some(error), _) => check("state", CheckState::Failing, error.message),
            (None, Some(loss)) => {
                check("state", CheckState::Warning, format!("{}: {loss}", self.state))
            }
            (None, None) => check("state", CheckState::Ok, format!("kept in {}", self.state)),
        }
    }

    fn of_folder(&self, now: &Now) -> Check {
        let (look, folder) = (&now.look, self.folder.display());
        let mut text = format!("{} of `{folder}` run", counted(look.scenarios.len()));
        if look.is_unreadable {
            let _ = write!(text, "; the folder cannot be read: {}", look.problems);
        }
        for file in &look.stale {
            let _ = write!(text, "; `{file}` is broken, its last good form runs");
        }
        for file in &look.broken {
            let _ = write!(text, "; `{file}` is broken, nothing of it runs");
        }
        let fine = look.problems.is_empty();
        let state = match (look.scenarios.is_empty(), fine) {
            (true, _) => CheckState::Failing,
            (false, true) => CheckState::Ok,
            (false, false) => CheckState::Warning,
        };
        check("scenarios", state, text)
    }
}

impl Ready for Standing {
    fn readiness(&self) -> Readiness {
        let now = self.now();
        let mut checks = self.of_cluster(&now);
        checks.push(self.of_state(&now));
        checks.push(self.of_folder(&now));
        let statuses = now.service.as_ref().map(|it| it.statuses()).unwrap_or_default();
        checks.extend(statuses.iter().map(|(name, status)| of_scenario(name, status)));
        let ready = checks.iter().all(|it| it.state != CheckState::Failing);
        Readiness { ready, checks }
    }
}

fn of_echo(name: &str, echo: EchoState) -> Check {
    let late = "the echo of our own write is overdue: what is seen now is uncertain";
    match (echo.problem, echo.last) {
        (Some(problem), _) => check(name, CheckState::Warning, problem),
        (None, _) if echo.overdue => check(name, CheckState::Warning, late.to_owned()),
        (None, Some(last)) => check(name, CheckState::Ok, format!("a watch event takes {last:?}")),
        (None, None) => check(name, CheckState::Ok, "none has come back yet".to_owned()),
    }
}

/// A scenario that cannot run is no fault of the service, which is ready all the same.
fn of_scenario(name: &str, status: &Status) -> Check {
    let mut text = match status.activity {
        Activity::Starting => "its path is being looked at".to_owned(),
        Activity::Waiting => match status.next {
            Some(next) => format!("next run at {next:.0}"),
            None => "runs when it is asked to".to_owned(),
        },
        Activity::Paused { until } => format!("paused until {until:.0}"),
        Activity::Running { since } => format!("running since {since:.0}"),
    };
    if let Some(last) = &status.last {
        let _ = write!(text, "; the last run ended at {:.0}: {}", last.ended, last.text);
    }
    let trouble = status.problem.as_ref().or(status.warning.as_ref());
    // What the last run could not do may be what keeps the next one from beginning.
    if let Some(trouble) = trouble.filter(|it| !text.contains(it.as_str())) {
        let _ = write!(text, "; {trouble}");
    }
    let state = if trouble.is_some() { CheckState::Warning } else { CheckState::Ok };
    check(&format!("scenario {name}"), state, text)
}

fn counted(scenarios: usize) -> String {
    if scenarios == 1 { "1 scenario".to_owned() } else { format!("{scenarios} scenarios") }
}

fn check(name: &str, state: CheckState, detail: String) -> Check {
    Check { name: name.to_owned(), state, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::LastRun;

    #[test]
    fn what_keeps_runs_from_beginning_is_said_once() {
        let why = "the Secret `a/b` is not there";
        let last = LastRun {
            ended: "2026-03-02T08:00:00Z".parse().unwrap(),
            outcome: "probe_error",
            text: format!("we could not measure: {why}"),
        };
        let mut status = Status {
            activity: Activity::Waiting,
            problem: Some(why.to_owned()),
            ..Status::default()
        };
        let first = of_scenario("a", &status);
        assert_eq!(first.detail, format!("runs when it is asked to; {why}"));
        status.last = Some(last);
        let check = of_scenario("a", &status);
        assert_eq!(check.detail.matches(why).count(), 1, "{}", check.detail);
        assert_eq!(check.state, CheckState::Warning);
    }
}
