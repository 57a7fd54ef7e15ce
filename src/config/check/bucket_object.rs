//! A `bucket_object` that could not write, or that would write what nobody looks for.

use super::Findings;
use super::git_commit::{secret_source, template};
use crate::config::hop_file::HopFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Key};
use crate::trigger::{BucketAuth, BucketObjectConfig};

const WAY: [Step<'static>; 2] = [Key("trigger"), Key("bucket_object")];

/// Looks at the whole trigger; the hops say whether it can do without a template.
pub(super) fn check(
    trigger: &BucketObjectConfig,
    hops: Option<&[HopFile]>,
    findings: &mut Findings<'_>,
) {
    let BucketObjectConfig { source, bucket, .. } = trigger;
    match (source, bucket) {
        (None, None) => findings.key(&WAY, Mistake::NoBucket),
        (Some(_), Some(_)) => findings.key(&below("bucket"), Mistake::TwoBuckets),
        (Some(_), None) => {
            let told = [
                ("endpoint", trigger.endpoint.is_some()),
                ("region", trigger.region.is_some()),
                ("auth", trigger.auth.is_some()),
            ];
            for (key, _) in told.into_iter().filter(|it| it.1) {
                findings.key(&below(key), Mistake::ToldBySource { key });
            }
        }
        (None, Some(_)) => {
            let only = [("push_auth", trigger.push_auth.is_some()), ("shared", trigger.shared)];
            for (key, _) in only.into_iter().filter(|it| it.1) {
                findings.key(&below(key), Mistake::OnlyWithSource { key });
            }
        }
    }
    if trigger.endpoint.as_deref().is_some_and(is_more_than_host) {
        findings.value(&below("endpoint"), Mistake::SecretInEndpoint { auth: "auth" });
    }
    for (key, auth) in [("auth", &trigger.auth), ("push_auth", &trigger.push_auth)] {
        let from = match auth {
            Some(
                BucketAuth::Keys { secret_key: it, .. }
                | BucketAuth::ServiceAccount(it)
                | BucketAuth::AccountKey(it)
                | BucketAuth::Sas(it),
            ) => it,
            Some(BucketAuth::Secret(_)) | None => continue,
        };
        secret_source(&below(key), from, findings);
    }
    if let Some(path) = trigger.path.as_deref()
        && path.split('/').any(|it| matches!(it, "" | "." | ".."))
    {
        findings.value(&below("path"), Mistake::BadObjectName);
    }
    template("bucket_object", trigger.template.as_deref(), hops, findings);
}

/// Whether an endpoint has parts that most often hold a secret.
pub(super) fn is_more_than_host(endpoint: &str) -> bool {
    endpoint.contains(['@', '?', '#'])
}

fn below(key: &'static str) -> [Step<'static>; 3] {
    [WAY[0], WAY[1], Key(key)]
}
