//! A `git_commit` that could not push, or that would push what it must not (rules S1, S2).

use super::{Findings, PLACEHOLDER, signing};
use crate::config::hop_file::HopFile;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Item, Key};
use crate::hop::HopConfig;
use crate::model::ObjectName;
use crate::trigger::{Author, GitAuth, GitCommitConfig, PushMode, SecretSource, is_over_ssh};
use std::collections::BTreeSet;

/// Branch of a `url` that names none.
const DEFAULT_BRANCH: &str = "main";

const WAY: [Step<'static>; 2] = [Key("trigger"), Key("git_commit")];

/// Looks at the whole trigger; the hops, where they are known, say whether it can do without a
/// template.
pub(super) fn check(
    trigger: &GitCommitConfig,
    hops: Option<&[HopFile]>,
    findings: &mut Findings<'_>,
) {
    remote(trigger, findings);
    branch(trigger, findings);
    if let Some(why) = why_not_a_path(&trigger.path) {
        findings.value(&below("path"), Mistake::BadPath { why });
    }
    template("git_commit", trigger.template.as_deref(), hops, findings);
    if let Some(author) = &trigger.author {
        check_author(author, findings);
    }
    if let Some(it) = &trigger.signing {
        signing::check(it, findings);
    }
    for (index, trailer) in trigger.trailers.iter().enumerate() {
        if !is_trailer(trailer) {
            let [a, b, c] = below("trailers");
            findings.value(&[a, b, c, Item(index)], Mistake::BadTrailer);
        }
    }
}

fn remote(trigger: &GitCommitConfig, findings: &mut Findings<'_>) {
    match (&trigger.source, &trigger.url) {
        (None, None) => findings.key(&WAY, Mistake::NoRemote),
        (Some(_), Some(_)) => findings.key(&below("url"), Mistake::TwoRemotes),
        (Some(_), None) if trigger.auth.is_some() => {
            findings.key(&below("auth"), Mistake::AuthWithSource);
        }
        (None, Some(_)) if trigger.push_auth.is_some() => {
            findings.key(&below("push_auth"), Mistake::PushAuthWithUrl);
        }
        _ => {}
    }
    if trigger.source.is_none() && trigger.url.is_some() && trigger.shared {
        findings.key(&below("shared"), Mistake::SharedWithUrl);
    }
    if let Some(url) = trigger.url.as_deref() {
        let for_ssh = trigger.auth.as_ref().map(GitAuth::is_for_ssh);
        match (why_not_a_url(url), for_ssh) {
            (Some(mistake), _) => findings.value(&below("url"), mistake),
            (None, None) if is_over_ssh(url) => findings.value(&below("url"), Mistake::NoSshAuth),
            (None, Some(Some(false))) if is_over_ssh(url) => {
                findings.key(&below("auth"), Mistake::NoSshAuth);
            }
            (None, Some(Some(true))) if !is_over_ssh(url) => {
                findings.key(&below("auth"), Mistake::SshAuthOverHttp);
            }
            _ => {}
        }
    }
    for (key, auth) in [("auth", &trigger.auth), ("push_auth", &trigger.push_auth)] {
        check_auth(&below(key), auth.as_ref(), findings);
    }
}

/// Looks whether every secret of credentials is somewhere.
pub(super) fn check_auth(way: &[Step<'_>], auth: Option<&GitAuth>, findings: &mut Findings<'_>) {
    for source in auth.into_iter().flat_map(secret_sources) {
        secret_source(way, source, findings);
    }
}

/// Looks at where a secret is said to be.
pub(super) fn secret_source(way: &[Step<'_>], source: &SecretSource, findings: &mut Findings<'_>) {
    match source {
        SecretSource::File(it) if it.as_os_str().is_empty() => {
            findings.value(way, Mistake::EmptySecretSource { key: "file" });
        }
        SecretSource::Env(it) if it.is_empty() => {
            findings.value(way, Mistake::EmptySecretSource { key: "env" });
        }
        _ => {}
    }
}

fn secret_sources(auth: &GitAuth) -> Vec<&SecretSource> {
    match auth {
        GitAuth::Basic { password, .. } => vec![password],
        GitAuth::Bearer(token) => vec![token],
        GitAuth::Secret(_) => Vec::new(),
        GitAuth::Ssh { identity, known_hosts, passphrase } => {
            [Some(identity), Some(known_hosts), passphrase.as_ref()].into_iter().flatten().collect()
        }
    }
}

fn branch(trigger: &GitCommitConfig, findings: &mut Findings<'_>) {
    let named = trigger.branch.as_deref();
    if let Some(branch) = named.filter(|it| !is_branch(it)) {
        findings.value(&below("branch"), Mistake::BadBranch { branch: branch.to_owned() });
    }
    let PushMode::Replace { base } = &trigger.mode else { return };
    let [a, b, c] = below("mode");
    let way = [a, b, c, Key("replace"), Key("base")];
    let default = trigger.source.is_none().then_some(DEFAULT_BRANCH);
    if named.or(default) == Some(base) {
        findings.value(&way, Mistake::BaseIsBranch { base: base.clone() });
    } else if !is_branch(base) {
        findings.value(&way, Mistake::BadBranch { branch: base.clone() });
    }
}

/// Looks at the template of a kind of trigger; the hops say whether it can do without one.
pub(super) fn template(
    kind: &'static str,
    template: Option<&str>,
    hops: Option<&[HopFile]>,
    findings: &mut Findings<'_>,
) {
    let way = [Key("trigger"), Key(kind)];
    match template {
        Some(template) if !template.contains(PLACEHOLDER) => {
            let [trigger, kind] = way;
            findings.value(&[trigger, kind, Key("template")], Mistake::TemplateWithoutCanary);
        }
        Some(_) => {}
        None => match hops.map_or(1, |it| config_maps(it).len()) {
            0 => findings.key(&way, Mistake::NoTemplate),
            1 => {}
            _ => findings.key(&way, Mistake::ManyTemplates),
        },
    }
}

fn check_author(author: &Author, findings: &mut Findings<'_>) {
    for (key, text) in [("name", &author.name), ("email", &author.email)] {
        let wrong = |it: char| it.is_control() || matches!(it, '<' | '>');
        if text.trim().is_empty() || text.contains(wrong) {
            let [a, b, c] = below("author");
            findings.value(&[a, b, c, Key(key)], Mistake::BadAuthor { key });
        }
    }
}

/// Each ConfigMap that the hops look at: a template can be made of it.
pub(super) fn config_maps(hops: &[HopFile]) -> BTreeSet<&ObjectName> {
    let names = hops.iter().filter_map(|it| match &it.config {
        HopConfig::Live(live) => live.config_map.as_ref(),
        _ => None,
    });
    names.collect()
}

fn below(key: &'static str) -> [Step<'static>; 3] {
    [WAY[0], WAY[1], Key(key)]
}

pub(super) fn why_not_a_url(url: &str) -> Option<Mistake> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else { return why_not_over_ssh(url) };
    if rest.split(['/', '?', '#']).next().is_some_and(|it| it.contains('@')) {
        return Some(Mistake::SecretInUrl);
    }
    let uri = url.parse::<http::Uri>().ok();
    let sound = uri.as_ref().and_then(http::Uri::authority).is_some_and(|it| {
        let port = it.port().map_or(0, |it| it.as_str().len() + 1);
        !it.host().is_empty() && it.host().len() + port == it.as_str().len()
    });
    match sound {
        true => None,
        // A password with a slash in it looks like a port.
        false if rest.contains('@') => Some(Mistake::SecretInUrl),
        false => Some(Mistake::NotAGitUrl),
    }
}

fn why_not_over_ssh(url: &str) -> Option<Mistake> {
    let rest = url.strip_prefix("ssh://").unwrap_or(url);
    let user = rest.split('/').next().and_then(|it| it.rsplit_once('@'));
    match user {
        _ if is_over_ssh(url) => None,
        Some((user, _)) if user.contains(':') => Some(Mistake::SecretInUrl),
        _ => Some(Mistake::NotAGitUrl),
    }
}

/// What is wrong with the path of a file in a repository.
pub(super) fn why_not_a_path(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/');
    if path.is_empty() {
        Some("is empty")
    } else if path.starts_with('/') {
        Some("is absolute")
    } else if path.ends_with('/') {
        Some("is a directory")
    } else if parts.clone().any(|it| it == "..") {
        Some("leaves the repository by `..`")
    } else if parts.clone().any(|it| it.eq_ignore_ascii_case(".git")) {
        Some("lies in `.git`, which no commit can hold")
    } else if parts.any(|it| it.is_empty() || it == ".") || path.contains(['\\', '\0', '\n']) {
        Some("is not in its plain form")
    } else {
        None
    }
}

/// Whether git takes the name (the rules of `git check-ref-format`), or it can be a commit's id.
pub(super) fn is_branch(name: &str) -> bool {
    let wrong = |it: char| it.is_control() || " ~^:?*[\\".contains(it);
    let part =
        |it: &str| !it.is_empty() && !it.starts_with('.') && it.strip_suffix(".lock").is_none();
    !name.contains(wrong)
        && name.split('/').all(part)
        && !name.starts_with('-')
        && !name.starts_with("refs/")
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && name != "@"
}

/// `Key: value` on one line, as git knows a trailer.
fn is_trailer(text: &str) -> bool {
    let key =
        |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
    !text.contains(['\n', '\r'])
        && text.split_once(": ").is_some_and(|it| key(it.0) && !it.1.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_nobody() {
        assert_eq!(why_not_a_url("https://git.example.com/a@b/c.git"), None);
        assert_eq!(why_not_a_url("http://127.0.0.1:8080/x"), None);
        assert_eq!(why_not_a_url("http://[::1]:8080/x"), None);
        for url in ["ssh://git@h:2222/x", "ssh://h/x", "git@h:x", "h:x/y.git", "git@[::1]:x"] {
            assert_eq!(why_not_a_url(url), None, "{url}");
        }
        for url in [
            "https://me@h/x",
            "https://me:pw@h/x",
            "https://me:p/w@h/x",
            "ssh://me:pw@h/x",
            "me:pw@h:x",
        ] {
            assert_eq!(why_not_a_url(url), Some(Mistake::SecretInUrl), "{url}");
        }
        for url in [
            "",
            "h/x",
            "git@h:",
            "ssh://h",
            "git+ssh://h/x",
            "https://",
            "https:///x",
            "https://a b/",
            "https://h:x/",
        ] {
            assert_eq!(why_not_a_url(url), Some(Mistake::NotAGitUrl), "{url}");
        }
    }

    #[test]
    fn a_path_stays_in_the_repository() {
        for good in ["a", "a/b.yaml", "..a/b..", ".github/x"] {
            assert_eq!(why_not_a_path(good), None, "{good}");
        }
        for bad in ["", "/a", "a/", "../a", "a/../b", ".git/config", "a//b", "./a", "a\\b"] {
            assert!(why_not_a_path(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_branch_is_what_git_takes() {
        for good in ["main", "team/a-b", "1.x", "0123456789abcdef0123456789abcdef01234567"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a..b", "-a", "a b", "refs/heads/a", "a.lock", "@", "a~1"] {
            assert!(!is_branch(bad), "{bad}");
        }
    }

    #[test]
    fn a_trailer_is_a_key_and_a_value() {
        assert!(is_trailer("Skip-CI: true"));
        for bad in ["", "Skip CI: true", "Skip-CI", "Skip-CI:", "Skip-CI: ", "a: b\nc: d"] {
            assert!(!is_trailer(bad), "{bad}");
        }
    }
}
