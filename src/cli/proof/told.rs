//! Whether those whose notifications a scenario waits for will ever tell of its change (rule P7).

use crate::config::Scenario;
use crate::hop::{HopConfig, Objects};
use crate::model::{GroupKind, ProbeError};
use crate::path::delivery::{Feeds, check_told};
use crate::trigger::{Destination, unusable};

/// Refuses hops that wait for the notification of a release which never names the change.
pub(super) fn check(
    scenario: &Scenario,
    objects: &Objects,
    destination: &Destination,
) -> Result<(), ProbeError> {
    let feeds = match destination {
        Destination::Branch(landing, _) => Feeds::Branch(landing),
        Destination::Image(_) => Feeds::AnyBranch,
        Destination::Artifact(_) => Feeds::Kind("OCIRepository"),
        Destination::Bucket(_) => Feeds::Kind("Bucket"),
        Destination::Chart(_) => Feeds::Chart,
        Destination::Receiver(_) | Destination::Nowhere => return Ok(()),
    };
    for hop in &scenario.hops {
        let HopConfig::Notified(config) = &hop.kind else { continue };
        let release = config.applier().filter(|it| it.kind == GroupKind::helm_release());
        if let Some(release) = release {
            check_told(&hop.name, &release, objects, feeds).map_err(unusable)?;
        }
    }
    Ok(())
}
