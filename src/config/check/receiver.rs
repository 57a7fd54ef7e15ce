//! A `receiver_post` or `receiver_get` that could not be called, or that nobody could see.

use super::Findings;
use crate::config::file::ScenarioFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::Key;
use crate::trigger::{ReceiverGetConfig, ReceiverPostConfig, SecretSource};
use std::path::{Path, PathBuf};

/// Looks at a trigger that calls a Receiver.
pub(super) fn check(trigger: &ReceiverPostConfig, findings: &mut Findings<'_>) {
    const KIND: &str = "receiver_post";
    address(KIND, trigger.url.as_deref(), trigger.ca.as_ref(), findings);
    let key = match &trigger.token {
        Some(SecretSource::File(it)) if it.as_os_str().is_empty() => "file",
        Some(SecretSource::Env(it)) if it.is_empty() => "env",
        _ => return,
    };
    let way = [Key("trigger"), Key(KIND), Key("token")];
    findings.value(&way, Mistake::EmptySecretSource { key });
}

/// Looks at a trigger whose call has no effect, so that no hop can see one.
pub(super) fn check_preflight(
    trigger: &ReceiverGetConfig,
    file: &ScenarioFile,
    findings: &mut Findings<'_>,
) {
    address("receiver_get", trigger.url.as_deref(), trigger.ca.as_ref(), findings);
    if !file.hops.is_empty() {
        let why = "`receiver_get` has no effect that a hop could see: write `hops: []`, or use \
                   `receiver_post`";
        findings.key(&[Key("hops")], Mistake::Unfit(why.to_owned()));
    }
    if file.slo.is_some() {
        let why = "`receiver_get` delivers nothing that an objective could be for: leave `slo` out, \
                   and alert on runs that end as `probe_error`";
        findings.key(&[Key("slo")], Mistake::Unfit(why.to_owned()));
    }
}

fn address(
    kind: &'static str,
    url: Option<&str>,
    ca: Option<&PathBuf>,
    findings: &mut Findings<'_>,
) {
    if let Some(url) = url
        && !["http://", "https://"].iter().any(|it| url.len() > it.len() && url.starts_with(it))
    {
        let why = "no address of a webhook: begin with `https://` or `http://` and a host, and \
                   leave the path of the Receiver away";
        let way = [Key("trigger"), Key(kind), Key("url")];
        findings.value(&way, Mistake::Unfit(why.to_owned()));
    }
    if ca.is_some_and(|it| it.as_path() == Path::new("")) {
        let way = [Key("trigger"), Key(kind), Key("ca")];
        findings.value(&way, Mistake::EmptySecretSource { key: "ca" });
    }
}
