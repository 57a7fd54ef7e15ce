//! A `helm_chart` that names nobody who takes the chart, or could not be pushed.

use super::bucket_object::is_more_than_host;
use super::{Findings, git_commit, image_tag};
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Key};
use crate::trigger::{ChartBranch, HelmChartConfig, is_over_ssh};

const KIND: &str = "helm_chart";
const WAY: [Step<'static>; 2] = [Key("trigger"), Key(KIND)];

/// Looks at the whole trigger.
pub(super) fn check(trigger: &HelmChartConfig, findings: &mut Findings<'_>) {
    match (&trigger.helm_release, &trigger.helm_chart) {
        (None, None) => findings.key(&WAY, Mistake::NoTaker),
        (Some(_), Some(_)) => findings.key(&below(KIND), Mistake::TwoTakers),
        _ => {}
    }
    image_tag::keep(trigger.keep, &below("keep"), findings);
    if trigger.chart.as_ref().is_some_and(|it| it.as_os_str().is_empty()) {
        findings.value(&below("chart"), Mistake::NoFolder);
    }
    image_tag::auth(KIND, trigger.push_auth.as_ref(), findings);
    if trigger.push_auth.is_some() && (trigger.git.is_some() || trigger.bucket.is_some()) {
        findings.key(&below("push_auth"), Mistake::RegistryAuthForFiles);
    }
    if trigger.git.is_some() && trigger.bucket.is_some() {
        findings.key(&below("bucket"), Mistake::TwoChartPlaces);
    }
    if trigger.bucket.as_ref().is_some_and(|it| is_more_than_host(&it.endpoint)) {
        let way = [WAY[0], WAY[1], Key("bucket"), Key("endpoint")];
        findings.value(&way, Mistake::SecretInEndpoint { auth: "secret" });
    }
    if let Some(branch) = &trigger.git {
        check_branch(branch, findings);
    }
}

fn check_branch(branch: &ChartBranch, findings: &mut Findings<'_>) {
    let inner = |key| [WAY[0], WAY[1], Key("git"), Key(key)];
    match (&branch.source, &branch.url) {
        (None, None) => findings.key(&below("git"), Mistake::NoRemote),
        (Some(_), Some(_)) => findings.key(&inner("url"), Mistake::TwoRemotes),
        _ => {}
    }
    if let Some(url) = branch.url.as_deref() {
        let for_ssh = branch.auth.as_ref().map(crate::trigger::GitAuth::is_for_ssh);
        match (git_commit::why_not_a_url(url), for_ssh) {
            (Some(mistake), _) => findings.value(&inner("url"), mistake),
            (None, None | Some(Some(false))) if is_over_ssh(url) => {
                findings.value(&inner("url"), Mistake::NoSshAuth);
            }
            (None, Some(Some(true))) if !is_over_ssh(url) => {
                findings.key(&inner("auth"), Mistake::SshAuthOverHttp);
            }
            _ => {}
        }
    }
    git_commit::check_auth(&inner("auth"), branch.auth.as_ref(), findings);
    if let Some(name) = branch.branch.as_ref().filter(|it| !git_commit::is_branch(it)) {
        findings.value(&inner("branch"), Mistake::BadBranch { branch: name.clone() });
    }
    let folder = branch.folder.trim_end_matches('/');
    if let Some(why) = git_commit::why_not_a_path(folder).filter(|_| !folder.is_empty()) {
        findings.value(&inner("folder"), Mistake::BadPath { why });
    }
}

fn below(key: &'static str) -> [Step<'static>; 3] {
    [WAY[0], WAY[1], Key(key)]
}
