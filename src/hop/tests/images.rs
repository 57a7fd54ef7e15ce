//! What Flux's image kinds show, cut down to the fields that detectors read.

use crate::hop::tests::objects::{Object, at, canary, commit, ready};
use crate::model::{Change, GitBranch, Marker, Revision};
use serde_json::json;

/// Our tag.
pub(crate) const TAG: &str = "0.5.1";
/// Our digest, where a tag is pushed again.
pub(crate) const DIGEST: &str =
    "sha256:aadb2435dfa68e758c7ef3ed7f2f03ce09360cf7e638162b30e2b804cda45540";

/// A change that pushes our tag; its publish began at second 10.
pub(crate) fn tag_change() -> Change {
    change_of(Revision::Tag(TAG.to_owned()))
}

/// A change that pushes our digest behind a tag that was there.
pub(crate) fn digest_change() -> Change {
    change_of(Revision::Digest(DIGEST.to_owned()))
}

/// An `ImageRepository` whose last scan found this set of tags, and lists these of them.
pub(crate) fn scanned(set: &str, tags: &[&str], count: usize) -> Object {
    let scan = json!({"revision": set, "latestTags": tags, "tagCount": count});
    ready("ImageRepository").with("/status/lastScanResult", scan)
}

/// An `ImagePolicy` that has chosen this tag.
pub(crate) fn chosen(tag: &str) -> Object {
    ready("ImagePolicy").with("/status/latestRef", json!({"name": "host/app", "tag": tag}))
}

/// An `ImagePolicy` that always reflects the digest, and has chosen `latest` with this one.
pub(crate) fn reflected(digest: &str) -> Object {
    let latest = json!({"name": "host/app", "tag": "latest", "digest": digest});
    let policy = ready("ImagePolicy").with("/status/latestRef", latest);
    policy.with("/spec/digestReflectionPolicy", json!("Always"))
}

/// An `ImageUpdateAutomation` that has named this tag of the policy `app` last, and pushed this
/// commit last.
pub(crate) fn automation(tag: &str, pushed: char) -> Object {
    let app = json!({"name": "host/app", "tag": tag});
    let automation = ready("ImageUpdateAutomation").with("/status/observedPolicies/app", app);
    automation.with("/status/lastPushCommit", json!(commit(pushed).id()))
}

/// A branch at this commit, with this image behind the marker of the policy `app`.
pub(crate) fn branch(at: char, image: &str) -> Object {
    let line = format!("image: {image} # {{\"$imagepolicy\": \"flux-system:app\"}}");
    let markers = Marker::find_in("apps/app.yaml", &line);
    Object::of(GitBranch { commit: commit(at).id().to_owned(), markers }.to_value())
}

fn change_of(revision: Revision) -> Change {
    let mut change = Change::new(canary(100));
    change.announce(vec![revision]);
    change.begin(at(10.0));
    change
}
