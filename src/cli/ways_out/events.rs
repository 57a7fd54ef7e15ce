//! Runs as Kubernetes Events, where people look first: on the objects that the change has passed, or
//! has not.

use crate::cli::waterfall::length;
use crate::cli::ways_out::ear::FinishedRun;
use crate::cli::ways_out::tell::Tell;
use crate::cli::ways_out::telling::Telling;
use crate::cluster::{Clusters, Note, Tone};
use crate::model::{GroupKind, HopRecord, Outcome, Passage, RunRecord, Skip, Subject};
use crate::remote::post::NotTaken;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Events in the clusters of scenarios.
pub(super) struct Events {
    clusters: Arc<OnceLock<Clusters>>,
    telling: Arc<Telling>,
    instance: String,
}

/// What is said of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Reached,
    Bypassed,
    Reverted,
    Skipped,
    NotReached,
    Failed,
}

// === impl Events ===

impl Events {
    pub(super) fn new(
        clusters: Arc<OnceLock<Clusters>>,
        telling: Arc<Telling>,
        instance: &str,
    ) -> Self {
        Self { clusters, telling, instance: instance.to_owned() }
    }
}

#[async_trait]
impl Tell for Events {
    async fn tell(&mut self, run: &FinishedRun) -> Result<(), NotTaken> {
        let Some(clusters) = self.clusters.get() else { return Ok(()) };
        let looked = self.telling.looked(&run.record.scenario);
        let mut first = None;
        for (subject, (word, message)) in said(&run.record, &looked) {
            let note = Note {
                subject: Subject::clone(&subject),
                tone: word.tone(),
                reason: word.as_str(),
                message,
                matter: run.record.scenario.clone(),
                instance: self.instance.clone(),
                at: run.ended,
            };
            let written = match clusters.get(&subject.cluster).await {
                Ok(cluster) => cluster.note(&note).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                let rights = match error.reason() {
                    "forbidden" => "; Events need `create` and `patch` of `events`",
                    _ => "",
                };
                first = first.or(Some(format!("{error}{rights}")));
            }
        }
        // Others were written, and must not be counted twice.
        first.map_or(Ok(()), |why| Err(NotTaken::Refused { status: 0, why }))
    }
}

// === impl Word ===

impl Word {
    /// The Event's `reason`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "HopclockReached",
            Self::Bypassed => "HopclockBypassed",
            Self::Reverted => "HopclockReverted",
            Self::Skipped => "HopclockSkipped",
            Self::NotReached => "HopclockNotReached",
            Self::Failed => "HopclockFailed",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Reached | Self::Bypassed | Self::Skipped => Tone::Normal,
            Self::Reverted | Self::NotReached | Self::Failed => Tone::Warning,
        }
    }
}

/// What is said of each object that a run looked at: by the last of its hops that has something to
/// say.
fn said(
    record: &RunRecord,
    looked: &[(String, Arc<Subject>)],
) -> BTreeMap<Arc<Subject>, (Word, String)> {
    let mut all = BTreeMap::new();
    for hop in &record.hops {
        let subject = looked.iter().find(|it| it.0 == hop.hop).map(|it| &it.1);
        // A branch, or our own listener, is no object of any cluster.
        let object = subject.filter(|it| it.kind.group != GroupKind::git_branch().group);
        let (Some(subject), Some(said)) = (object, of_hop(record, hop)) else { continue };
        all.insert(subject.clone(), said);
    }
    all
}

/// What is said of the object of a hop; nothing, if the run does not know.
fn of_hop(record: &RunRecord, hop: &HopRecord) -> Option<(Word, String)> {
    let (canary, scenario) = (&record.canary, &record.scenario);
    let who = format!("canary {canary} of scenario `{scenario}`");
    Some(match (&hop.passage, &record.outcome) {
        (Passage::Reached { at, .. }, _) if hop.reverted => {
            let text = format!("{who} got here after {}, and was gone again later", length(*at));
            (Word::Reverted, text)
        }
        (Passage::Reached { at, wait, via, .. }, _) => {
            let mut text = format!("{who} got here after {}", length(*at));
            if let Some(via) = via {
                text = format!("{text}, woken by {}", via.as_str());
            }
            if let Some(wait) = wait {
                text = format!("{text}: {} of it waiting", length(*wait));
            }
            (Word::Reached, text)
        }
        (Passage::Bypassed, _) => {
            (Word::Bypassed, format!("{who} was not seen here, though it went on"))
        }
        (Passage::Unreached, Outcome::Failed { reason, subject }) if *subject == hop.subject => {
            (Word::Failed, format!("{who} was not applied here: {reason}"))
        }
        (Passage::Unreached, Outcome::Skipped(skip)) => {
            let (Skip::Suspended { subject } | Skip::SuspendedDuring { subject }) = skip;
            if *subject != hop.subject {
                return None;
            }
            (Word::Skipped, format!("{who} was not waited for, because this is suspended"))
        }
        (Passage::Unreached, outcome) if outcome.is_measurement() => {
            let took = record.push_to_apply.map(|it| format!(" within {}", length(it)));
            (Word::NotReached, format!("{who} did not get here{}", took.unwrap_or_default()))
        }
        (Passage::Unreached, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CanaryId, Span, Usage, Via};
    use std::time::Duration;

    fn hop(name: &str, passage: Passage) -> HopRecord {
        HopRecord {
            hop: name.to_owned(),
            subject: subject(name).to_string(),
            target_cluster: String::new(),
            passage,
            reverted: false,
            unready: false,
            sights: Vec::new(),
        }
    }

    fn subject(name: &str) -> Subject {
        let name = if name.starts_with("source") { "source" } else { name };
        Subject::local(GroupKind::kustomization(), "flux-system", name)
    }

    fn reached(at: u64, wait: Option<u64>) -> Passage {
        let length = |it| Span::exactly(Duration::from_secs(it));
        Passage::Reached {
            at: length(at),
            stage: Some(length(at)),
            wait: wait.map(length),
            early: false,
            reordered: false,
            uncertain: false,
            via: wait.map(|_| Via::Interval),
            webhook: None,
            carried_by: None,
        }
    }

    fn words(outcome: Outcome, hops: Vec<HopRecord>) -> Vec<String> {
        let branch = Subject::local(GroupKind::git_branch(), "", "branch");
        let of = |it: &HopRecord| match it.hop.as_str() {
            "branch" => (it.hop.clone(), Arc::new(branch.clone())),
            name => (it.hop.clone(), Arc::new(subject(name))),
        };
        let looked: Vec<_> = hops.iter().map(of).collect();
        let record = RunRecord {
            scenario: "fleet".to_owned(),
            canary: CanaryId::new("hopclock", 1),
            started: jiff::Timestamp::UNIX_EPOCH,
            push: None,
            hops,
            outcome,
            push_to_apply: Some(Span::exactly(Duration::from_secs(60))),
            tolerance: Duration::ZERO,
            failing_since: None,
            slo: Vec::new(),
            usage: Usage::default(),
            trace_id: None,
        };
        let all = said(&record, &looked).into_iter();
        let who = "canary hopclock-00000000001 of scenario `fleet` ";
        let line = |(subject, (word, message)): (Arc<Subject>, (Word, String))| {
            let message = message.strip_prefix(who).unwrap();
            format!("{} {} {}: {message}", subject.name, word.tone().as_str(), word.as_str())
        };
        all.map(line).collect()
    }

    #[test]
    fn each_object_is_told_of_once_and_by_its_last_hop() {
        let hops = vec![
            hop("branch", reached(1, None)),
            hop("source_hook", Passage::Bypassed),
            hop("source_fetched", reached(41, Some(40))),
            hop("applied", reached(43, None)),
            hop("live", Passage::Unreached),
        ];
        assert_eq!(
            words(Outcome::Timeout, hops),
            [
                "applied Normal HopclockReached: got here after 43.0 s",
                "live Warning HopclockNotReached: did not get here within 60.0 s",
                "source Normal HopclockReached: got here after 41.0 s, woken by interval: 40.0 s of \
                 it waiting",
            ]
        );
        let bypassed = words(Outcome::Ok, vec![hop("applied", Passage::Bypassed)]);
        let text = "applied Normal HopclockBypassed: was not seen here, though it went on";
        assert_eq!(bypassed, [text]);
    }

    #[test]
    fn what_failed_or_was_suspended_is_told_where_it_was() {
        let (reason, at) = ("BuildFailed".to_owned(), subject("applied").to_string());
        let failed = Outcome::Failed { reason, subject: at.clone() };
        let hops = vec![hop("applied", Passage::Unreached), hop("live", Passage::Unreached)];
        assert_eq!(
            words(failed, hops.clone()),
            [
                "applied Warning HopclockFailed: was not applied here: BuildFailed",
                "live Warning HopclockNotReached: did not get here within 60.0 s",
            ]
        );
        let skipped = Outcome::Skipped(Skip::Suspended { subject: at });
        assert_eq!(
            words(skipped, hops.clone()),
            ["applied Normal HopclockSkipped: was not waited for, because this is suspended"]
        );
        let by = "c".repeat(40);
        assert_eq!(words(Outcome::Superseded { by }, hops), [""; 0]);
    }
}
