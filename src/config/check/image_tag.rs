//! An `image_tag` or `image_digest` whose tag nobody waits for, or that could not be pushed.

use super::Findings;
use crate::config::hop_file::HopFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Item, Key};
use crate::hop::{HopConfig, PolicyUpdatedConfig};
use crate::model::{ImageRef, ObjectName};
use crate::trigger::{ImageDigestConfig, ImageTagConfig, MOST_KEPT, RegistryAuth, SecretSource};

const TAG: &str = "image_tag";
const DIGEST: &str = "image_digest";

/// Looks at the whole trigger, and at the policies that the hops name.
pub(super) fn check(trigger: &ImageTagConfig, hops: &[HopFile], findings: &mut Findings<'_>) {
    keep(trigger.keep, &below(TAG, "keep"), findings);
    if trigger.retag.as_deref().is_some_and(|it| !is_tag(it)) {
        findings.value(&below(TAG, "retag"), Mistake::NoTag);
    }
    auth(TAG, trigger.push_auth.as_ref(), findings);
    policies(&trigger.policy, hops, findings);
}

/// Looks at the whole trigger, and at the policies that the hops name.
pub(super) fn check_digest(
    trigger: &ImageDigestConfig,
    hops: &[HopFile],
    findings: &mut Findings<'_>,
) {
    auth(DIGEST, trigger.push_auth.as_ref(), findings);
    policies(&trigger.policy, hops, findings);
}

/// Looks whether so many canaries can stay.
pub(super) fn keep(keep: u32, place: &[Step<'_>], findings: &mut Findings<'_>) {
    if keep == 0 {
        findings.value(place, Mistake::KeepsNothing);
    } else if keep > MOST_KEPT {
        findings.value(place, Mistake::KeepsTooMuch { most: MOST_KEPT });
    }
}

/// Looks whether every secret of credentials is somewhere.
pub(super) fn auth(kind: &'static str, auth: Option<&RegistryAuth>, findings: &mut Findings<'_>) {
    check_auth(kind, "push_auth", auth, findings);
}

/// The same for credentials under any key of the trigger.
pub(super) fn check_auth(
    kind: &'static str,
    place: &'static str,
    auth: Option<&RegistryAuth>,
    findings: &mut Findings<'_>,
) {
    if let Some(auth) = auth {
        let key = match auth {
            RegistryAuth::Basic { password: SecretSource::File(it), .. }
            | RegistryAuth::Bearer(SecretSource::File(it))
                if it.as_os_str().is_empty() =>
            {
                Some("file")
            }
            RegistryAuth::Basic { password: SecretSource::Env(it), .. }
            | RegistryAuth::Bearer(SecretSource::Env(it))
                if it.is_empty() =>
            {
                Some("env")
            }
            RegistryAuth::DockerConfig(it) if it.as_os_str().is_empty() => Some("docker_config"),
            _ => None,
        };
        if let Some(key) = key {
            findings.value(&below(kind, place), Mistake::EmptySecretSource { key });
        }
    }
}

fn policies(policy: &ObjectName, hops: &[HopFile], findings: &mut Findings<'_>) {
    for (index, hop) in hops.iter().enumerate() {
        let (key, named) = match &hop.config {
            HopConfig::PolicyUpdated(PolicyUpdatedConfig::ImagePolicy(it)) => {
                (["policy_updated", "image_policy"], Some(it))
            }
            HopConfig::AutomationCommitted(it) => {
                (["automation_committed", "image_policy"], it.image_policy.as_ref())
            }
            _ => continue,
        };
        if named.is_some_and(|it| it != policy) {
            let way = [Key("hops"), Item(index), Key(key[0]), Key(key[1])];
            let policy = policy.to_string();
            findings.value(&way, Mistake::AnotherPolicy { policy });
        }
    }
}

fn below(kind: &'static str, key: &'static str) -> [Step<'static>; 3] {
    [Key("trigger"), Key(kind), Key(key)]
}

/// Whether a text can be a tag.
pub(super) fn is_tag(text: &str) -> bool {
    ImageRef::parse(&format!("a:{text}")).is_some_and(|it| it.tag == Some(text))
}
