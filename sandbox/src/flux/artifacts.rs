//! The storage of source-controller: what a source has published, and what appliers download.
//!
//! Kept in memory and across restarts of the controller, as a volume would be.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use aws_lc_rs::digest;
use serde_json::Value;
use serde_json::json;

use super::gotime;
use crate::store::Key;

/// Where artifacts are said to be.
const HOST: &str = "http://source-controller.flux-system.svc.cluster.local.";

/// The files of an artifact by their path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Every artifact that is still kept. Clones share them.
#[derive(Clone, Default)]
pub struct Artifacts(Arc<Mutex<HashMap<String, Arc<Files>>>>);

impl Artifacts {
    /// Stores files under a revision of a source; answers what its `status.artifact` shall say.
    ///
    /// Equal files have equal digests, whatever the revision. Earlier artifacts of the source are
    /// removed, apart from the one that its status still names as `before`.
    #[must_use]
    pub fn put(
        &self,
        source: &Key,
        revision: &str,
        files: Files,
        before: &Value,
        now: jiff::Timestamp,
    ) -> Value {
        let folder =
            format!("{}/{}/{}/", source.kind.to_ascii_lowercase(), source.namespace, source.name);
        let path = format!("{folder}{}.tar.gz", hash_of(revision));
        let size: usize = files.iter().map(|(name, content)| name.len() + content.len()).sum();
        let artifact = json!({
            "digest": digest_of(&files),
            "lastUpdateTime": gotime::seconds(now),
            "path": path,
            "revision": revision,
            "size": size,
            "url": format!("{HOST}/{path}"),
        });
        let kept = before["path"].as_str().unwrap_or_default();
        let mut all = self.lock();
        all.retain(|old, _| !old.starts_with(&folder) || old == kept);
        all.insert(path, Arc::new(files));
        artifact
    }

    /// Stores one file under a name of its own, as indexes and charts are kept; else like
    /// [`Artifacts::put`].
    #[must_use]
    pub fn put_file(
        &self,
        source: &Key,
        revision: &str,
        (name, content): (&str, &[u8]),
        before: &Value,
        now: jiff::Timestamp,
    ) -> Value {
        let files = Files::from([(name.to_owned(), content.to_vec())]);
        let mut artifact = self.put(source, revision, files.clone(), before, now);
        let path = format!("{}{name}", folder_of(source));
        let digest = digest::digest(&digest::SHA256, content);
        artifact["digest"] = format!("sha256:{}", hex(digest.as_ref())).into();
        artifact["url"] = format!("{HOST}/{path}").into();
        artifact["size"] = content.len().into();
        let mut all = self.lock();
        all.remove(artifact["path"].as_str().unwrap_or_default());
        all.insert(path.clone(), Arc::new(files));
        artifact["path"] = path.into();
        artifact
    }

    /// Removes everything of a source that is gone.
    pub(crate) fn remove(&self, source: &Key) {
        let folder = folder_of(source);
        self.lock().retain(|path, _| !path.starts_with(&folder));
    }

    /// The files that a `status.artifact` names, if they are still there.
    #[must_use]
    pub fn get(&self, artifact: &Value) -> Option<Arc<Files>> {
        self.lock().get(artifact["path"].as_str()?).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Files>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest of files and their names.
pub(crate) fn digest_of(files: &Files) -> String {
    let mut digest = digest::Context::new(&digest::SHA256);
    for (name, content) in files {
        for part in [name.as_bytes(), content] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    format!("sha256:{}", hex(digest.finish().as_ref()))
}

fn folder_of(source: &Key) -> String {
    let kind = source.kind.to_ascii_lowercase();
    format!("{kind}/{}/{}/", source.namespace, source.name)
}

/// Bytes in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

/// The part of a revision behind the algorithm's name.
pub(crate) fn hash_of(revision: &str) -> &str {
    revision.rsplit_once(':').map_or(revision, |(_, hash)| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(artifacts: &Artifacts, revision: &str, text: &str, before: &Value) -> Value {
        let files = Files::from([("a.yaml".to_owned(), text.as_bytes().to_vec())]);
        let source = Key::new("GitRepository", "flux-system", "fleet");
        artifacts.put(&source, revision, files, before, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn equal_files_of_two_revisions_have_one_digest() {
        let artifacts = Artifacts::default();
        let first = put(&artifacts, "main@sha1:aa", "x", &Value::Null);
        let second = put(&artifacts, "main@sha1:bb", "x", &first);
        let third = put(&artifacts, "main@sha1:cc", "y", &second);
        assert_eq!(first["digest"], second["digest"]);
        assert_ne!(second["digest"], third["digest"]);
        assert_eq!(second["path"], "gitrepository/flux-system/fleet/bb.tar.gz");
    }

    #[test]
    fn the_artifact_that_is_still_named_outlives_the_new_one_by_one() {
        let artifacts = Artifacts::default();
        let first = put(&artifacts, "main@sha1:aa", "x", &Value::Null);
        let second = put(&artifacts, "main@sha1:bb", "y", &first);
        assert!(artifacts.get(&first).is_some());
        put(&artifacts, "main@sha1:cc", "z", &second);
        assert!(artifacts.get(&first).is_none());
        assert!(artifacts.get(&second).is_some());
    }
}
