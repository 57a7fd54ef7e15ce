//! Where a bucket is, and one name for all ways to say it.

use crate::remote::bucket::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;

/// Who speaks for a bucket, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// S3 of AWS, or of anybody who speaks the same: `MinIO`, Ceph, R2.
    #[default]
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage; the bucket is a container.
    Azure,
}

/// A bucket at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketAddress {
    provider: Provider,
    scheme: &'static str,
    host: String,
    name: String,
    region: String,
}

// === impl Provider ===

impl Provider {
    /// How lanes name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }
}

// === impl BucketAddress ===

impl BucketAddress {
    /// Reads an endpoint, with or without a scheme; without one it is HTTPS, or HTTP if `insecure`.
    ///
    /// # Errors
    /// For an endpoint that is no host, one with a path, or a bucket without a name.
    pub fn new(
        provider: Provider,
        endpoint: &str,
        insecure: bool,
        name: &str,
        region: Option<&str>,
    ) -> Result<Self, Error> {
        // What stands behind these is most often a signature.
        if endpoint.contains(['?', '#']) {
            let address = shown(endpoint);
            return Err(Error::BadAddress { address, why: "it has a query or a fragment" });
        }
        let bad = |why| Error::BadAddress { address: shown(endpoint), why };
        let default = if insecure { "http" } else { "https" };
        let (scheme, rest) = match endpoint.split_once("://") {
            None => (default, endpoint),
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            Some(_) => return Err(bad("it is neither HTTP nor HTTPS")),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        if host.contains('@') {
            return Err(bad("it holds credentials"));
        }
        if host.contains('/') {
            return Err(bad("it has a path"));
        }
        let url = format!("{scheme}://{host}");
        if host.is_empty() || reqwest::Url::parse(&url).is_err() {
            return Err(bad("it is no host"));
        }
        let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | '$');
        if name.is_empty() || !name.chars().all(part) {
            return Err(Error::BadName { name: name.to_owned() });
        }
        let region = region.filter(|it| !it.is_empty()).unwrap_or("us-east-1").to_owned();
        Ok(Self { provider, scheme, host, name: name.to_owned(), region })
    }

    /// Who speaks for it.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The bucket's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The endpoint's host, with its port if it has one.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The region that signatures name.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Scheme and host.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }

    /// Whether requests go over the wire as plain text.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.scheme == "http"
    }

    /// One name for all spellings, for lanes.
    #[must_use]
    pub fn normalised(&self) -> String {
        let default = if self.is_plain() { ":80" } else { ":443" };
        let host = self.host.strip_suffix(default).unwrap_or(&self.host);
        format!("{}://{host}/{}", self.provider.as_str(), self.name)
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket `{}` at `{}`", self.name, self.host)
    }
}

/// An endpoint without what may be a secret: what stands before `@`, and from `?` or `#` on.
fn shown(endpoint: &str) -> String {
    let host = match endpoint.rsplit_once('@') {
        // Nobody knows whether a password or a query begins there.
        Some((before, _)) if before.contains(['?', '#']) => "***",
        Some((_, host)) => host,
        None => endpoint,
    };
    host.split(['?', '#']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(endpoint: &str, insecure: bool) -> Result<BucketAddress, Error> {
        BucketAddress::new(Provider::S3, endpoint, insecure, "fleet", None)
    }

    #[test]
    fn s5_a_bucket_has_one_name_however_its_endpoint_is_written() {
        for endpoint in ["s3.example.com", "https://S3.example.com/", "s3.example.com:443"] {
            let normalised = address(endpoint, false).unwrap().normalised();
            assert_eq!(normalised, "s3://s3.example.com/fleet", "{endpoint}");
        }
        let plain = address("127.0.0.1:9000", true).unwrap();
        assert_eq!(plain.endpoint(), "http://127.0.0.1:9000");
        assert_eq!(plain.to_string(), "bucket `fleet` at `127.0.0.1:9000`");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_and_no_password_repeated() {
        for endpoint in [
            "",
            "ftp://h",
            "https://h/path",
            "https://u:planted@h",
            "a b",
            "http://127.0.0.1:1/?X-Amz-Signature=planted",
            "https://a.blob.core.windows.net/c?sv=1&sig=planted",
            "https://h/c?sig=planted@planted?planted",
            "h#planted",
            "ftp://h?planted",
        ] {
            let error = address(endpoint, false).unwrap_err().to_string();
            assert!(!error.contains("planted"), "{error}");
        }
        let nameless = BucketAddress::new(Provider::Gcs, "h", false, "a/b", None);
        assert_eq!(nameless.unwrap_err().reason(), "bucket_bad_address");
    }
}
