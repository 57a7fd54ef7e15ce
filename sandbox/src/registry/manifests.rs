//! Manifests and tags: read, written, listed and removed.

use bytes::Bytes;
use http::{Method, header};
use serde_json::{Value, json};

use super::answer::{Asked, Served, no_method};
use super::content::{Manifest, digest_of, needs};
use super::refusal::{finish, json, no_manifest, refuse, status};
use super::{Deletion, State, UpdatedBy};
use crate::loopback::Answer;

/// The largest manifest that is taken.
const LARGEST: usize = 4 * 1024 * 1024;

impl State {
    /// Reads, writes or removes a manifest.
    pub(super) fn manifest(&mut self, name: &str, reference: &str, asked: &Asked<'_>) -> Served {
        match *asked.method {
            Method::GET | Method::HEAD => self.read_manifest(name, reference).into(),
            Method::PUT => self.put_manifest(name, reference, asked),
            Method::DELETE => self.delete_manifest(name, reference).into(),
            _ => no_method().into(),
        }
    }

    /// The tags in alphabetical order, in pages if the client or the repository wants them.
    pub(super) fn list_tags(&self, name: &str, asked: &Asked<'_>) -> Answer {
        let Some(repository) = self.repositories.get(name) else {
            return refuse(404, "NAME_UNKNOWN", "repository name not known to registry");
        };
        let wanted = asked.value("n").map(|n| n.parse::<usize>());
        let Ok(wanted) = wanted.transpose() else {
            return refuse(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested");
        };
        let most = self.rules_of(name).page;
        let page = wanted.into_iter().chain(most).min().unwrap_or(usize::MAX);
        let last = asked.value("last").unwrap_or_default();
        let mut rest = repository.tags.keys().filter(|tag| **tag > last);
        let tags: Vec<&String> = rest.by_ref().take(page).collect();
        let mut answer = status(200);
        if let (Some(last), Some(_)) = (tags.last(), rest.next()) {
            let link = format!("</v2/{name}/tags/list?last={last}&n={page}>; rel=\"next\"");
            answer = answer.header(header::LINK, link);
        }
        json(answer, &json!({"name": name, "tags": tags}))
    }

    /// An index of the manifests whose subject is a digest; empty where nothing refers to it.
    pub(super) fn referrers(&self, name: &str, digest: &str) -> Answer {
        let all = self.repositories.get(name).map(|it| it.manifests.iter());
        let found = all.into_iter().flatten().filter_map(|(own, manifest)| {
            let content: Value = serde_json::from_slice(&manifest.body).ok()?;
            (content["subject"]["digest"] == digest).then(|| {
                json!({"mediaType": manifest.media_type, "digest": own,
                    "size": manifest.body.len(), "annotations": content["annotations"],
                    "artifactType": content["artifactType"].as_str()
                        .or(content["config"]["mediaType"].as_str())})
            })
        });
        let kind = "application/vnd.oci.image.index.v1+json";
        let body = json!({"schemaVersion": 2, "mediaType": kind,
            "manifests": found.collect::<Vec<_>>()});
        finish(status(200).header(header::CONTENT_TYPE, kind), body.to_string())
    }

    fn read_manifest(&self, name: &str, reference: &str) -> Answer {
        let Some(repository) = self.repositories.get(name) else {
            return refuse(404, "NAME_UNKNOWN", "repository name not known to registry");
        };
        let Some((digest, manifest)) = repository.manifest(reference) else {
            return no_manifest(reference);
        };
        let answer = status(200)
            .header(header::CONTENT_TYPE, &manifest.media_type)
            .header("docker-content-digest", digest);
        finish(answer, manifest.body.clone())
    }

    fn put_manifest(&mut self, name: &str, reference: &str, asked: &Asked<'_>) -> Served {
        let rules = self.rules_of(name);
        let digest = digest_of(&asked.body);
        let content = match self.check(name, asked, &rules.refused_media_types) {
            Ok(content) => content,
            Err(refused) => return (*refused).into(),
        };
        let by_digest = reference.contains(':');
        if by_digest && reference != digest {
            let message = "provided digest did not match uploaded content";
            return refuse(400, "DIGEST_INVALID", message).into();
        }
        let old = self.digest(name, reference);
        if rules.immutable_tags && old.is_some_and(|old| old != digest) {
            let message = format!(
                "Failed to process request due to '{name}:{reference}' configured as immutable."
            );
            return refuse(412, "PRECONDITION", &message).into();
        }
        let media_type = asked.header("content-type").to_owned();
        let manifest = Manifest { media_type, body: asked.body.clone() };
        self.repository(name).manifests.insert(digest.clone(), manifest);
        let mut answer = status(201)
            .header(header::LOCATION, format!("/v2/{name}/manifests/{digest}"))
            .header("docker-content-digest", &digest);
        if let Some(subject) = content["subject"]["digest"].as_str() {
            answer = answer.header("oci-subject", subject);
        }
        let push = || self.move_tag(name, reference, Some(digest), UpdatedBy::Push);
        let moved = (!by_digest).then(push);
        Served { answer: finish(answer, Bytes::new()), moved }
    }

    /// Whether a manifest can be taken: its kind, its form, and that all it names is there.
    fn check(
        &self,
        name: &str,
        asked: &Asked<'_>,
        refused: &[String],
    ) -> Result<Value, Box<Answer>> {
        let kind = asked.header("content-type");
        let invalid = |message: &str| Err(refuse(400, "MANIFEST_INVALID", message).into());
        if asked.body.len() > LARGEST {
            return Err(refuse(413, "SIZE_INVALID", "manifest too large").into());
        }
        if kind.is_empty() || refused.iter().any(|it| it == kind) {
            return invalid(&format!("manifest invalid: media type '{kind}' is not supported"));
        }
        let Ok(content) = serde_json::from_slice::<Value>(&asked.body) else {
            return invalid("manifest invalid: not JSON");
        };
        if content["mediaType"].as_str().is_some_and(|own| own != kind) {
            return invalid("manifest invalid: media type does not match the Content-Type header");
        }
        let (blobs, children) = needs(&content);
        let repository = self.repositories.get(name);
        let has_blob = |digest: &&str| repository.is_some_and(|it| it.blobs.contains_key(*digest));
        let has_child =
            |digest: &&str| repository.is_some_and(|it| it.manifests.contains_key(*digest));
        if blobs.iter().all(has_blob) && children.iter().all(has_child) {
            return Ok(content);
        }
        Err(refuse(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry").into())
    }

    fn delete_manifest(&mut self, name: &str, reference: &str) -> Answer {
        let by_digest = reference.contains(':');
        match self.rules_of(name).deletion {
            Deletion::Refused => return no_method(),
            Deletion::ByDigest if !by_digest => return no_method(),
            _ => {}
        }
        let unknown = || no_manifest(reference);
        let Some(repository) = self.repositories.get_mut(name) else { return unknown() };
        let tags: Vec<String> = if by_digest {
            if repository.manifests.remove(reference).is_none() {
                return unknown();
            }
            let all = repository.tags.iter().filter(|(_, digest)| *digest == reference);
            all.map(|(tag, _)| tag.clone()).collect()
        } else if repository.tags.contains_key(reference) {
            vec![reference.to_owned()]
        } else {
            return unknown();
        };
        for tag in tags {
            self.move_tag(name, &tag, None, UpdatedBy::Push);
        }
        finish(status(202), Bytes::new())
    }
}
