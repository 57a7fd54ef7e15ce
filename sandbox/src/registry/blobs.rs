//! Blobs: read, removed, and uploaded in one piece, in several, or by mounting.

use bytes::Bytes;
use http::{Method, header};

use super::State;
use super::answer::{Asked, no_method};
use super::content::digest_of;
use super::refusal::{finish, refuse, status};
use crate::loopback::Answer;

impl State {
    /// Reads or removes a blob.
    pub(super) fn blob(&mut self, name: &str, digest: &str, asked: &Asked<'_>) -> Answer {
        let found = self.repositories.get_mut(name);
        let blob = found.as_ref().and_then(|it| it.blobs.get(digest)).cloned();
        let Some((repository, blob)) = found.zip(blob) else {
            return refuse(404, "BLOB_UNKNOWN", "blob unknown to registry");
        };
        match *asked.method {
            Method::GET | Method::HEAD => {
                let answer = status(200).header(header::CONTENT_TYPE, "application/octet-stream");
                finish(answer.header("docker-content-digest", digest), blob)
            }
            Method::DELETE => {
                repository.blobs.remove(digest);
                finish(status(202), Bytes::new())
            }
            _ => no_method(),
        }
    }

    /// Begins an upload; mounting and a digest with the whole blob end it at once.
    pub(super) fn begin_upload(&mut self, name: &str, asked: &Asked<'_>) -> Answer {
        if *asked.method != Method::POST {
            return no_method();
        }
        if let Some(digest) = asked.value("mount") {
            let from = asked.value("from");
            let source = from.and_then(|from| self.repositories.get(&from));
            if let Some(blob) = source.and_then(|it| it.blobs.get(&digest)).cloned() {
                self.repository(name).blobs.insert(digest.clone(), blob);
                return created(name, &digest);
            }
        }
        if let Some(digest) = asked.value("digest") {
            return self.keep(name, &digest, asked.body.clone());
        }
        self.uploads += 1;
        let id = format!("{:032x}-{}", fastrand::u128(..), self.uploads);
        self.repository(name).uploads.insert(id.clone(), asked.body.to_vec());
        accepted(202, name, &id, asked.body.len())
    }

    /// Goes on with an upload, asks for its state, ends it or gives it up.
    pub(super) fn upload(&mut self, name: &str, id: &str, asked: &Asked<'_>) -> Answer {
        let unknown = || refuse(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
        let uploads = &mut self.repository(name).uploads;
        let Some(sofar) = uploads.get_mut(id) else { return unknown() };
        match *asked.method {
            Method::GET => accepted(204, name, id, sofar.len()),
            Method::PATCH => {
                let start = asked.header("content-range").split('-').next().unwrap_or_default();
                if !start.is_empty() && start.parse() != Ok(sofar.len()) {
                    return accepted(416, name, id, sofar.len());
                }
                sofar.extend_from_slice(&asked.body);
                accepted(202, name, id, sofar.len())
            }
            Method::PUT => {
                let Some(digest) = asked.value("digest") else {
                    return refuse(400, "DIGEST_INVALID", "digest missing");
                };
                let mut whole = uploads.remove(id).unwrap_or_default();
                whole.extend_from_slice(&asked.body);
                self.keep(name, &digest, whole.into())
            }
            Method::DELETE => {
                uploads.remove(id);
                finish(status(204), Bytes::new())
            }
            _ => no_method(),
        }
    }

    fn keep(&mut self, name: &str, digest: &str, blob: Bytes) -> Answer {
        if digest_of(&blob) != digest {
            let message = "provided digest did not match uploaded content";
            return refuse(400, "DIGEST_INVALID", message);
        }
        self.repository(name).add_blob(blob);
        created(name, digest)
    }
}

fn created(name: &str, digest: &str) -> Answer {
    let answer = status(201).header(header::LOCATION, format!("/v2/{name}/blobs/{digest}"));
    finish(answer.header("docker-content-digest", digest), Bytes::new())
}

fn accepted(number: u16, name: &str, id: &str, size: usize) -> Answer {
    let answer = status(number)
        .header(header::LOCATION, format!("/v2/{name}/blobs/uploads/{id}"))
        .header(header::RANGE, format!("0-{}", size.saturating_sub(1)))
        .header("docker-upload-uuid", id);
    finish(answer, Bytes::new())
}
