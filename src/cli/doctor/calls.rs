//! Calls Receivers at an address from outside, so that nothing happens, and looks at who answers.
//! It is what a scenario with the trigger `receiver_get` does.

use crate::cli::assemble::Workshop;
use crate::config::{self, Scenario};
use crate::model::{GroupKind, ProbeError, Subject, flux};
use crate::path::Graph;
use crate::path::checkup::{Finding, table};
use crate::trigger::Trigger;
use serde_json::json;
use std::collections::BTreeSet;

/// Receivers that cannot be reached at `url`, of those that matter and are ready.
pub(super) async fn check(
    workshop: &Workshop,
    graph: &Graph,
    seen: Option<&BTreeSet<Subject>>,
    url: &str,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let kind = GroupKind::receiver();
    let all = graph.snapshot().of_kind(&kind);
    for (receiver, object) in all.filter(|it| seen.is_none_or(|seen| seen.contains(it.0))) {
        let is_ready = flux::condition(object, "Ready").is_some_and(|it| it.status == "True");
        if !is_ready || flux::is_suspended(object) {
            continue;
        }
        if let Err(error) = call(workshop, receiver, url).await {
            found.push(Finding::of(
                table::RECEIVER_UNREACHABLE,
                receiver,
                format!(
                    "a call without effect was not answered as by a Receiver: {}",
                    error.message
                ),
                format!("as the sentence says; the call's reason is `{}`", error.reason),
            ));
        }
    }
    found
}

/// Sends the call of a trigger that has no effect.
pub(super) async fn harmless(trigger: &dyn Trigger) -> Result<(), ProbeError> {
    let sent = trigger.publish(&|_| {}).await;
    sent.map(|_| ()).map_err(|it| ProbeError { reason: it.reason.to_owned(), message: it.message })
}

async fn call(workshop: &Workshop, receiver: &Subject, url: &str) -> Result<(), ProbeError> {
    let scenario = scenario(receiver, url)?;
    let job = workshop.assemble(&scenario).await?;
    harmless(&*job.trigger).await
}

fn scenario(receiver: &Subject, url: &str) -> Result<Scenario, ProbeError> {
    let named = format!("{}/{}", receiver.namespace, receiver.name);
    let text = json!({
        "name": "doctor", "deadline": "1m", "hops": [],
        "trigger": {"receiver_get": {"receiver": named, "url": url}},
    });
    let loaded = config::load_text("doctor", &text.to_string());
    loaded.map_err(|it| crate::trigger::unusable(it.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_receiver_makes_a_scenario_that_calls_it() {
        let receiver = Subject::local(GroupKind::receiver(), "flux-system", "push");
        let scenario = scenario(&receiver, "https://hooks.example.com").unwrap();
        assert!(scenario.hops.is_empty());
    }
}
