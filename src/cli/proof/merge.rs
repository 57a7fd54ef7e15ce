//! What has to be proven of a branch that hopclock itself merges into: that every source that follows
//! it takes an unsigned commit (rule S4), and that nobody is woken who does not know of it (rule S1).

use crate::cli::assemble::Workshop;
use crate::cli::proof::Proofs;
use crate::cli::proof::destination::{own_appliers, pipeline_of};
use crate::cli::say;
use crate::config::{Hop, Scenario};
use crate::hop::Objects;
use crate::model::{Landing, ProbeError, Subject};
use crate::path::delivery::Woken;

// === impl Proofs ===

impl Proofs {
    /// Proves by everybody who follows the branch that the merge of `hop` may be made. `source` is
    /// the GitRepository that the hop names.
    pub(in crate::cli) async fn prove_merge(
        &self,
        workshop: &Workshop,
        scenario: &Scenario,
        hop: &Hop,
        (landing, source): (&Landing, &Subject),
        objects: &Objects,
    ) -> Result<(), ProbeError> {
        let pipeline = pipeline_of(scenario, objects);
        let mut everybody = self.everybody(workshop, objects, &source.namespace).await?;
        if everybody.iter().all(|it| it.0 != hop.cluster) {
            let (clusters, now) = (&workshop.clusters, workshop.clock.now());
            let there = self.neighbours(clusters, &hop.cluster, &source.namespace, now).await?;
            everybody.push((hop.cluster.clone(), there));
        }
        let mut woken = Woken::default();
        for (cluster, neighbours) in everybody {
            if let Some(verifying) = neighbours.verifying(landing) {
                return Err(unsigned(hop, &verifying));
            }
            neighbours.check(landing, &own_appliers(&pipeline, &cluster))?;
            woken.extend(neighbours.woken(landing));
        }
        let woken = format!("the merge of hop `{}` wakes {woken}", hop.name);
        if landing.shared && self.is_news(&format!("{} {}", scenario.name, hop.name), &woken) {
            say(&format!("scenario `{}`: {woken}", scenario.name));
        }
        Ok(())
    }
}

/// Why an unsigned commit must not be merged into what this source follows.
pub(in crate::cli) fn unsigned(hop: &Hop, source: &Subject) -> ProbeError {
    let message = format!(
        "hop `{}` would merge into a branch of which {source} accepts signed commits only \
         (`spec.verify`), and hopclock does not sign merges: leave `merge` out, and let somebody \
         merge who does",
        hop.name
    );
    ProbeError { reason: "merge_unsigned".to_owned(), message }
}
