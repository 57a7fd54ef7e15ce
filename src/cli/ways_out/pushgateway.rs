//! A Pushgateway: it keeps the last numbers of a job that is not there any more.
//!
//! What is put replaces the group, and is never deleted: Prometheus has to find it later.

use crate::cli::ways_out::endpoint::Endpoint;
use crate::cli::ways_out::pace::Way;
use crate::export::{Format, Snapshot};
use crate::remote::post::{NotTaken, Verb};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use jiff::Timestamp;

/// One group of a Pushgateway.
pub(super) struct Pushgateway {
    endpoint: Endpoint,
    format: Format,
}

// === impl Pushgateway ===

impl Pushgateway {
    /// The group at an address, which [`group`] has made.
    pub(super) fn new(endpoint: Endpoint, format: Format) -> Self {
        Self { endpoint, format }
    }
}

#[async_trait]
impl Way for Pushgateway {
    async fn send(&mut self, snapshot: &Snapshot, _: Timestamp) -> Result<(), NotTaken> {
        let (snapshot, format) = (snapshot.clone(), self.format);
        let body = tokio::task::spawn_blocking(move || snapshot.encode(format)).await;
        let body = body.expect("encoding does not panic");
        let headers = [("Content-Type", self.format.content_type())];
        self.endpoint.send(Verb::Put, &headers, body).await.map(drop)
    }
}

/// The address of a group. Values go in base64, as its API has it for what a path cannot hold.
pub(super) fn group(url: &str, job: &str, instance: &str) -> String {
    let part = |name: &str, value: &str| match value {
        // To it, no text is one sign of padding.
        "" => format!("{name}@base64/="),
        value => format!("{name}@base64/{}", URL_SAFE.encode(value)),
    };
    let (job, instance) = (part("job", job), part("instance", instance));
    format!("{}/metrics/{job}/{instance}", url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_have_any_name() {
        let of = |job, instance| group("http://h:9091/", job, instance);
        let plain = "http://h:9091/metrics/job@base64/aG9wY2xvY2s=/instance@base64/YQ==";
        assert_eq!(of("hopclock", "a"), plain);
        let odd = "http://h:9091/metrics/job@base64/YS_Dv8O_/instance@base64/=";
        assert_eq!(of("a/ÿÿ", ""), odd);
    }
}
