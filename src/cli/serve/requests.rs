//! Hands requests for runs to the service, once it is there.

use crate::engine::{Begun, Refusal, Service};
use crate::history::Recorder;
use crate::model::RunRecord;
use crate::web::{Refused, Requested, Runs, Wait};
use std::sync::{Arc, OnceLock};

/// Hands requests for runs to the service.
#[derive(Default)]
pub(super) struct Requests {
    behind: OnceLock<(Arc<Service>, Recorder)>,
}

// === impl Requests ===

impl Requests {
    /// From now on there is a service, and who keeps what its runs come to.
    pub(super) fn open(&self, service: &Arc<Service>, recorder: &Recorder) {
        self.behind.get_or_init(|| (service.clone(), recorder.clone()));
    }
}

#[async_trait::async_trait]
impl Runs for Requests {
    async fn request(&self, scenario: &str, wait: Wait) -> Result<Requested, Refused> {
        let starting = || Refused::Unavailable("hopclock is starting: see /readyz".to_owned());
        let (service, recorder) = self.behind.get().ok_or_else(starting)?;
        let Begun { due, record } =
            service.request(scenario).await.map_err(|it| refused(it, service))?;
        let record: Option<Box<RunRecord>> = match wait {
            Wait::Accepted => None,
            Wait::Ended => {
                let record = record.await.map_err(|_| Refused::Stopping)?;
                // Whoever hears of the end finds it counted and in history.
                recorder.flush().await;
                Some(Box::new(record))
            }
        };
        Ok(Requested { run: due.to_string(), record })
    }
}

fn refused(refusal: Refusal, service: &Service) -> Refused {
    match refusal {
        Refusal::Unknown { scenario } => {
            let near = |name: &String| are_alike(name, &scenario);
            let names = service.statuses().into_keys();
            Refused::UnknownScenario { near: names.filter(near).min() }
        }
        Refusal::Busy { since, .. } => Refused::Busy { since },
        Refusal::Paused { until, .. } => Refused::Paused { why: format!("until {until}") },
        Refusal::LaneHeld { by, .. } => Refused::LaneHeld { holder: by },
        Refusal::Stopping => Refused::Stopping,
    }
}

/// Whether two names are alike: one begins or ends with the other.
fn are_alike(one: &str, other: &str) -> bool {
    let within = |long: &str, short: &str| {
        short.len() > 2 && (long.starts_with(short) || long.ends_with(short))
    };
    within(one, other) || within(other, one)
}
