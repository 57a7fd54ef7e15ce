//! Whether a scenario says what its hops are, or what they are to be found for: one of both.

use super::Findings;
use crate::config::TargetConfig;
use crate::config::file::ScenarioFile;
use crate::config::mistake::Mistake;
use crate::config::node::Node;
use crate::config::node::Step::Key;
use crate::trigger::TriggerConfig;

/// Looks at `hops` and `target`; `root` tells an empty list from none.
pub(super) fn check(file: &ScenarioFile, root: &Node, findings: &mut Findings<'_>) {
    let given = !root.to_json()["hops"].is_null();
    let Some(target) = &file.target else {
        // A preflight measures the answer alone.
        let is_preflight = matches!(file.trigger, TriggerConfig::ReceiverGet(_));
        if file.hops.is_empty() && !is_preflight {
            let mistake = if given { Mistake::NoHops } else { Mistake::NoHopsNorTarget };
            findings.key(&[Key("hops")], mistake);
        }
        return;
    };
    if given {
        findings.key(&[Key("target")], Mistake::HopsAndTarget);
        return;
    }
    match (&file.trigger, target) {
        (TriggerConfig::ReceiverGet(_), _) => {
            let mistake = Mistake::TargetOfNoChange { trigger: "receiver_get" };
            return findings.key(&[Key("target")], mistake);
        }
        (TriggerConfig::ReceiverPost(_), _) => {
            let mistake = Mistake::TargetOfNoChange { trigger: "receiver_post" };
            return findings.key(&[Key("target")], mistake);
        }
        (TriggerConfig::HelmChart(chart), TargetConfig::HelmRelease(it)) => {
            if let Some(release) = chart.helm_release.as_ref().filter(|own| *own != it) {
                let mistake = Mistake::AnotherRelease { release: release.to_string() };
                return findings.value(&[Key("target"), Key("helm_release")], mistake);
            }
        }
        _ => {}
    }
    let pushed = if let TriggerConfig::ImageTag(it) = &file.trigger {
        Some(("image_tag", &it.policy))
    } else if let TriggerConfig::ImageDigest(it) = &file.trigger {
        Some(("image_digest", &it.policy))
    } else {
        None
    };
    match (pushed, target) {
        (Some((_, policy)), TargetConfig::ImagePolicy(it)) if policy != it => {
            let policy = policy.to_string();
            findings
                .value(&[Key("target"), Key("image_policy")], Mistake::AnotherPolicy { policy });
        }
        (Some(_), TargetConfig::ImagePolicy(_)) => {}
        (Some((trigger, _)), _) => {
            findings.value(&[Key("target")], Mistake::TargetOfNoPolicy { trigger });
        }
        (None, TargetConfig::ImagePolicy(_)) => {
            findings.value(&[Key("target")], Mistake::TargetOfNoImage);
        }
        (None, _) => {}
    }
}
