//! Whether a source follows the branch that the trigger pushes to (rule P7).
//!
//! Repositories are compared by address, as far as that goes: one repository has many doors (https
//! and ssh, outside and inside the cluster), and a mirror has another name altogether. What cannot
//! be told is let pass; what is certainly another one is refused.

use crate::model::Subject;
use crate::path::delivery::Refusal;
use serde_json::Value;

/// What a source's address says of being ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    /// It is the same repository.
    Same,
    /// It may be a mirror.
    Unknown,
    /// It is another repository of the same host.
    Other,
}

/// What a `spec.ref` follows, in the order in which Flux looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Followed<'a> {
    Commit(&'a str),
    Name(&'a str),
    Versions(&'a str),
    Tag(&'a str),
    Branch(&'a str),
}

/// The branch that a GitRepository follows.
///
/// # Errors
/// When it follows none: then no commit on a branch is ever fetched by it.
pub fn branch_of(subject: &Subject, source: &Value) -> Result<String, Refusal> {
    let needs_tag = |what: &str, name: &str| {
        Refusal::new(
            "needs_tag_trigger",
            format_args!(
                "{subject} follows {what} `{name}`, and a commit on a branch never becomes one: \
                 set its `spec.ref.branch`, or name another source"
            ),
        )
    };
    match followed(source) {
        Followed::Branch(name) => Ok(name.to_owned()),
        Followed::Name(name) => match name.strip_prefix("refs/heads/") {
            Some(branch) => Ok(branch.to_owned()),
            None => Err(needs_tag("the reference", name)),
        },
        Followed::Versions(range) => Err(needs_tag("the versions", range)),
        Followed::Tag(tag) => Err(needs_tag("the tag", tag)),
        Followed::Commit(commit) => Err(Refusal::new(
            "pinned_commit",
            format_args!(
                "{subject} is pinned to commit `{commit}`, so it never fetches another: remove its \
                 `spec.ref.commit`, or name another source"
            ),
        )),
    }
}

/// Whether a source of our repository follows our branch.
pub(super) fn check(subject: &Subject, source: &Value, branch: &str) -> Result<(), Refusal> {
    let followed = branch_of(subject, source)?;
    if followed == branch {
        return Ok(());
    }
    Err(Refusal::new(
        "another_branch",
        format_args!(
            "{subject} follows branch `{followed}`, and the trigger pushes to `{branch}`: let both \
             name the same branch"
        ),
    ))
}

/// How a source's address is related to ours.
pub(super) fn kinship(ours: &str, source: &Value) -> Kinship {
    let theirs = source["spec"]["url"].as_str().unwrap_or_default();
    let (Some(ours), Some(theirs)) = (address(ours), address(theirs)) else {
        return Kinship::Unknown;
    };
    match (ours.1 == theirs.1, ours.0 == theirs.0) {
        (true, _) => Kinship::Same,
        (false, true) => Kinship::Other,
        (false, false) => Kinship::Unknown,
    }
}

fn followed(source: &Value) -> Followed<'_> {
    let text = |field: &str| source["spec"]["ref"][field].as_str().filter(|it| !it.is_empty());
    if let Some(commit) = text("commit") {
        Followed::Commit(commit)
    } else if let Some(name) = text("name") {
        Followed::Name(name)
    } else if let Some(range) = text("semver") {
        Followed::Versions(range)
    } else if let Some(tag) = text("tag") {
        Followed::Tag(tag)
    } else {
        Followed::Branch(text("branch").unwrap_or("master"))
    }
}

/// Host (with a port that is not the scheme's own) and path of an address, without what does not
/// tell repositories apart.
fn address(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = match url.split_once("://") {
        Some(parts) => parts,
        // The short form of ssh: `git@host:path`.
        None => ("ssh", url),
    };
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) if url.contains("://") => (host, path),
        _ => rest.split_once(':')?,
    };
    let host = host.rsplit_once('@').map_or(host, |it| it.1).to_ascii_lowercase();
    let own_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => ":22",
    };
    let host = host.strip_suffix(own_port).map_or(host.clone(), str::to_owned);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).to_owned();
    (!host.is_empty() && !path.is_empty()).then_some((host, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;
    use serde_json::json;

    fn subject() -> Subject {
        Subject::local(GroupKind::git_repository(), "flux-system", "canary")
    }

    fn of(reference: &Value) -> Value {
        json!({"spec": {"url": "https://h/a", "ref": reference}})
    }

    #[test]
    fn p7_a_source_that_follows_our_branch_delivers() {
        for reference in [json!({"branch": "main"}), json!({"name": "refs/heads/main"})] {
            assert_eq!(check(&subject(), &of(&reference), "main"), Ok(()));
        }
        assert_eq!(check(&subject(), &of(&Value::Null), "master"), Ok(()), "Flux's default");
    }

    #[test]
    fn p7_a_source_of_another_branch_is_refused() {
        let refusal = check(&subject(), &of(&json!({"branch": "prod"})), "main").unwrap_err();
        assert_eq!(refusal.reason, "another_branch");
        assert!(refusal.message.contains("`prod`") && refusal.message.contains("`main`"));
    }

    #[test]
    fn p7_a_tag_or_versions_need_a_tag_trigger_even_beside_a_branch() {
        for reference in [
            json!({"tag": "v1", "branch": "main"}),
            json!({"semver": ">=1", "branch": "main"}),
            json!({"name": "refs/tags/v1"}),
        ] {
            let refusal = check(&subject(), &of(&reference), "main").unwrap_err();
            assert_eq!(refusal.reason, "needs_tag_trigger", "{reference}");
        }
    }

    #[test]
    fn p7_a_pinned_commit_is_refused_even_beside_a_branch() {
        let reference = json!({"commit": "0123", "branch": "main"});
        let refusal = check(&subject(), &of(&reference), "main").unwrap_err();
        assert_eq!(refusal.reason, "pinned_commit");
        assert!(refusal.message.contains("GitRepository flux-system/canary"), "{refusal:?}");
    }

    #[test]
    fn p7_a_repository_is_the_same_through_every_door_and_a_mirror_cannot_be_told() {
        let to = |url: &str| kinship("https://git.example.com/a/b", &json!({"spec": {"url": url}}));
        for door in [
            "https://GIT.example.com:443/a/b.git",
            "ssh://git@git.example.com/a/b",
            "git@git.example.com:a/b.git",
            "http://gitea.git.svc:3000/a/b",
        ] {
            assert_eq!(to(door), Kinship::Same, "{door}");
        }
        assert_eq!(to("https://git.example.com/a/c"), Kinship::Other);
        assert_eq!(to("https://mirror.example.com/x/b"), Kinship::Unknown);
        assert_eq!(to(""), Kinship::Unknown);
    }
}
