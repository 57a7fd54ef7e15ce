//! An `oci_artifact` that could not be pushed, or whose canary nobody would know.

use super::{Findings, git_commit, image_tag};
use crate::config::hop_file::HopFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Key};
use crate::trigger::{OciArtifactConfig, fits_archive, why_no_repository};

const KIND: &str = "oci_artifact";
const WAY: [Step<'static>; 2] = [Key("trigger"), Key(KIND)];

/// Looks at the whole trigger; the hops say whether it can do without a template.
pub(super) fn check(
    trigger: &OciArtifactConfig,
    hops: Option<&[HopFile]>,
    findings: &mut Findings<'_>,
) {
    match (&trigger.source, &trigger.url) {
        (None, None) => findings.key(&WAY, Mistake::NoRemote),
        (Some(_), Some(_)) => findings.key(&below("url"), Mistake::TwoRemotes),
        (Some(_), None) => beside_source(trigger, findings),
        (None, Some(url)) => beside_url(trigger, url, findings),
    }
    if trigger.tag.as_deref().is_some_and(|it| !image_tag::is_tag(it)) {
        findings.value(&below("tag"), Mistake::NoArtifactTag);
    }
    image_tag::keep(trigger.keep, &below("keep"), findings);
    image_tag::check_auth(KIND, "auth", trigger.auth.as_ref(), findings);
    image_tag::check_auth(KIND, "push_auth", trigger.push_auth.as_ref(), findings);
    if let Some(why) = git_commit::why_not_a_path(&trigger.path) {
        findings.value(&below("path"), Mistake::BadPath { why });
    } else if !fits_archive(&trigger.path) {
        let why = "is too long for an archive";
        findings.value(&below("path"), Mistake::BadPath { why });
    }
    git_commit::template(KIND, trigger.template.as_deref(), hops, findings);
}

fn beside_source(trigger: &OciArtifactConfig, findings: &mut Findings<'_>) {
    for (key, is_there) in [
        ("tag", trigger.tag.is_some()),
        ("insecure", trigger.insecure),
        ("ca_file", trigger.ca_file.is_some()),
    ] {
        if is_there {
            findings.key(&below(key), Mistake::OfSource { key });
        }
    }
    if trigger.auth.is_some() {
        findings.key(&below("auth"), Mistake::AuthWithSource);
    }
}

fn beside_url(trigger: &OciArtifactConfig, url: &str, findings: &mut Findings<'_>) {
    if !url.starts_with("oci://") {
        findings.value(&below("url"), Mistake::NotOverOci);
    } else if let Some(why) = why_no_repository(url) {
        findings.value(&below("url"), Mistake::NoRepository { why });
    }
    if trigger.push_auth.is_some() {
        findings.key(&below("push_auth"), Mistake::PushAuthWithUrl);
    }
    if trigger.shared {
        findings.key(&below("shared"), Mistake::SharedWithUrl);
    }
}

fn below(key: &'static str) -> [Step<'static>; 3] {
    [WAY[0], WAY[1], Key(key)]
}
