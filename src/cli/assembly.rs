//! Makes the jobs of a scenario for whoever runs it again and again.

use crate::cli::assemble::Workshop;
use crate::cli::run::unassembled;
use crate::config::Scenario;
use crate::engine::{Assembled, Assembly};
use crate::model::{Moment, ProbeError, RunRecord};
use crate::path::{self, Facts, Role};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the intervals on a path are believed to be as they were read.
const BELIEVED: Duration = Duration::from_secs(10 * 60);

/// Makes the jobs of one scenario.
pub(super) struct ScenarioAssembly {
    workshop: Workshop,
    scenario: Scenario,
    /// The longest interval on the path, and when it was read.
    longest_poll: Mutex<Option<(Option<Duration>, Moment)>>,
}

// === impl ScenarioAssembly ===

impl ScenarioAssembly {
    pub(super) fn new(workshop: &Workshop, scenario: Scenario) -> Self {
        Self { workshop: workshop.clone(), scenario, longest_poll: Mutex::default() }
    }

    /// The longest interval at which a source on the path is polled; what cannot be read is not
    /// known, and no reason not to run.
    async fn longest_poll(&self, job: &crate::engine::Job) -> Option<Duration> {
        let now = self.workshop.clock.now();
        let mut known = self.longest_poll.lock().await;
        if let Some((longest, at)) = *known
            && now.since(at) < BELIEVED
        {
            return longest;
        }
        let mut longest = None;
        for subject in job.plan.subjects() {
            if path::role(&subject.kind) == Some(Role::Source)
                && let Ok(object) = self.workshop.clusters.object(&subject).await
            {
                longest = longest.max(Facts::of(&subject, &object).interval);
            }
        }
        *known = Some((longest, now));
        longest
    }
}

#[async_trait::async_trait]
impl Assembly for ScenarioAssembly {
    async fn assemble(&self) -> Result<Assembled, ProbeError> {
        let job = self.workshop.assemble(&self.scenario).await?;
        let longest_poll = self.longest_poll(&job).await;
        let lane = job.trigger.lane();
        Ok(Assembled { job, lane, longest_poll })
    }

    fn unassembled(&self, error: ProbeError, started: Timestamp) -> RunRecord {
        unassembled(&self.workshop.instance, &self.scenario, error, started)
    }
}
