//! Objects that change: stamped under the lock, told to the world behind it.

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::json;
use tokio::time::Instant;

use super::{Object, ObjectUpdate, Shared, State};
use crate::flux::hex;

impl Shared {
    /// Writes an object. Webhooks follow.
    pub(super) fn write(self: &Arc<Self>, bucket: &str, key: &str, body: Bytes) {
        let etag = self.lock().write(bucket, key, body);
        self.tell(bucket, key, &etag);
    }

    /// Removes an object.
    pub(super) fn remove(&self, bucket: &str, key: &str) {
        self.lock().remove(bucket, key);
    }

    /// Posts what S3 calls an event notification, as `MinIO` sends it.
    pub(super) fn tell(self: &Arc<Self>, bucket: &str, key: &str, etag: &str) {
        let urls = self.lock().webhooks.get(bucket).cloned().unwrap_or_default();
        let body = json!({
            "EventName": "s3:ObjectCreated:Put",
            "Key": format!("{bucket}/{key}"),
            "Records": [{"eventName": "s3:ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": key, "eTag": etag}}}],
        });
        for url in urls {
            let request = self.client.post(url).header("content-type", "application/json");
            let request = request.body(body.to_string());
            // What came of it, the receiver's own log tells.
            self.runtime.spawn(async move { drop(request.send().await) });
        }
    }
}

impl State {
    pub(super) fn write(&mut self, bucket: &str, key: &str, body: Bytes) -> String {
        let etag = hex(&Md5::digest(&body));
        let object = Object { body, etag: etag.clone(), modified: self.now() };
        self.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), object);
        self.log(bucket, key, Some(etag.clone()));
        etag
    }

    pub(super) fn remove(&mut self, bucket: &str, key: &str) {
        let objects = self.buckets.get_mut(bucket);
        if objects.is_some_and(|it| it.remove(key).is_some()) {
            self.log(bucket, key, None);
        }
    }

    fn log(&mut self, bucket: &str, key: &str, etag: Option<String>) {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.updates.push(ObjectUpdate { bucket, key, etag, at: Instant::now() });
    }
}
