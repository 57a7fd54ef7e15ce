//! Builds a `bucket_object`: finds its bucket, its credentials and what it writes.

use crate::model::{BucketLanding, GroupKind, ObjectName, ProbeError, RevisionSort, Subject};
use crate::remote::bucket::{self, Bucket, BucketAddress, BucketOptions, Credentials, Provider};
use crate::trigger::bucket_object::{Aim, BucketAuth, BucketObject, BucketObjectConfig};
use crate::trigger::git_commit::content;
use crate::trigger::{Built, Destination, Kind, Site, unusable};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long one request to a server may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long one operation may wait where a server asks for patience.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bucket, and what else its source says.
struct Access {
    address: BucketAddress,
    credentials: Credentials,
    ca: Option<Vec<u8>>,
    prefix: String,
}

// === impl BucketObjectConfig ===

#[async_trait::async_trait]
impl Kind for BucketObjectConfig {
    /// What the bucket will be called, nobody can compute beforehand (rule P9).
    fn announces(&self) -> RevisionSort {
        RevisionSort::Digest
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        let Access { address, credentials, ca, prefix } = match &self.source {
            Some(name) => self.of_source(site, name).await?,
            None => self.by_hand(site).await?,
        };
        let key = self.path.clone().unwrap_or_else(|| default_key(&prefix, site.scenario()));
        let source = self.source.as_ref();
        let landing = BucketLanding {
            source: source.map(|it| Subject::local(kind(), &it.namespace, &it.name)),
            place: address.to_string(),
            host: address.host().to_owned(),
            bucket: address.name().to_owned(),
            key: key.clone(),
            shared: self.shared,
        };
        let content = content(self.template.as_deref(), site)?;
        let aim = Aim { instance: site.instance().to_owned(), key, prefix, content };
        let (timeout, patience) = (TIMEOUT, PATIENCE);
        let options = BucketOptions { address, credentials, ca, timeout, patience };
        let bucket = Bucket::open(&options, site.clock(), &site.clients());
        let trigger = BucketObject::new(bucket.map_err(|it| error(&it))?, aim);
        let destination = Destination::Bucket(Box::new(landing));
        Ok(Built { trigger: Arc::new(trigger), destination })
    }
}

impl BucketObjectConfig {
    async fn of_source(&self, site: &dyn Site, name: &ObjectName) -> Result<Access, ProbeError> {
        let subject = Subject::local(kind(), &name.namespace, &name.name);
        let object = site.object(&subject).await?;
        let spec = &object["spec"];
        let text = |field: &str| spec[field].as_str().unwrap_or_default();
        let provider = match spec["provider"].as_str() {
            Some("gcp") => Provider::Gcs,
            Some("azure") => Provider::Azure,
            _ => Provider::S3,
        };
        let insecure = spec["insecure"] == true;
        let region = spec["region"].as_str();
        let address =
            BucketAddress::new(provider, text("endpoint"), insecure, text("bucketName"), region);
        let address = address.map_err(|it| error(&it))?;
        let named = |field: &str| named(spec, field, &name.namespace);
        let credentials = match (&self.push_auth, named("secretRef")) {
            (Some(auth), _) => of_auth(site, provider, auth).await?,
            (None, Some(name)) => Credentials::of_secret(provider, &site.secret(&name).await?)?,
            (None, None) => {
                let refused =
                    Credentials::refuse_provider(&subject.to_string(), spec["provider"].as_str());
                refused.map_err(|it| error(&it))?;
                Credentials::Anonymous
            }
        };
        let ca = match (&self.ca_file, named("certSecretRef")) {
            (Some(path), _) => Some(site.file(path, "certificate authority")?),
            (None, Some(name)) => {
                Some(site.secret(&name).await?.bytes("ca.crt")?.expose_secret().to_vec())
            }
            (None, None) => None,
        };
        Ok(Access { address, credentials, ca, prefix: text("prefix").to_owned() })
    }

    async fn by_hand(&self, site: &dyn Site) -> Result<Access, ProbeError> {
        let region = self.region.as_deref();
        let endpoint = match (self.endpoint.as_deref(), self.provider) {
            (Some(endpoint), _) => endpoint.to_owned(),
            (None, Provider::S3) => {
                format!("s3.{}.amazonaws.com", region.unwrap_or("us-east-1"))
            }
            (None, Provider::Gcs) => "storage.googleapis.com".to_owned(),
            (None, Provider::Azure) => {
                return Err(unusable(format!(
                    "scenario `{}` does not say where its container is: give the host of the storage \
                     account in `endpoint`, such as `account.blob.core.windows.net`",
                    site.scenario()
                )));
            }
        };
        let name = self.bucket.as_deref().unwrap_or_default();
        let address = BucketAddress::new(self.provider, &endpoint, false, name, region);
        let address = address.map_err(|it| error(&it))?;
        let credentials = match &self.auth {
            Some(auth) => of_auth(site, self.provider, auth).await?,
            None => Credentials::Anonymous,
        };
        let ca = self.ca_file.as_ref();
        let ca = ca.map(|it| site.file(it, "certificate authority")).transpose()?;
        Ok(Access { address, credentials, ca, prefix: String::new() })
    }
}

/// Where nothing else is said. A prefix may end within a name, as `can` does for `canary.yaml`; what
/// is called so is somebody's, so ours lies in a folder of its name.
fn default_key(prefix: &str, scenario: &str) -> String {
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    format!("{prefix}{slash}hopclock/{scenario}.yaml")
}

fn kind() -> GroupKind {
    GroupKind::source("Bucket")
}

/// The object beside the source that a field of it names.
fn named(spec: &Value, field: &str, namespace: &str) -> Option<ObjectName> {
    Some(ObjectName::new(namespace, spec[field]["name"].as_str()?))
}

async fn of_auth(
    site: &dyn Site,
    provider: Provider,
    auth: &BucketAuth,
) -> Result<Credentials, ProbeError> {
    Ok(match auth {
        BucketAuth::Secret(name) => Credentials::of_secret(provider, &site.secret(name).await?)?,
        BucketAuth::Keys { access_key, secret_key } => Credentials::Keys {
            access: access_key.clone(),
            secret: site.secret_text(secret_key)?,
            token: None,
        },
        BucketAuth::ServiceAccount(key) => Credentials::ServiceAccount(site.secret_text(key)?),
        BucketAuth::AccountKey(key) => Credentials::AccountKey(site.secret_text(key)?),
        BucketAuth::Sas(signature) => Credentials::Sas(site.secret_text(signature)?),
    })
}

fn error(error: &bucket::Error) -> ProbeError {
    ProbeError { reason: error.reason().to_owned(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_object_lies_below_the_prefix_by_whole_names() {
        for (prefix, key) in [
            ("", "hopclock/app.yaml"),
            ("can", "can/hopclock/app.yaml"),
            ("apps/can", "apps/can/hopclock/app.yaml"),
            ("apps/", "apps/hopclock/app.yaml"),
        ] {
            assert_eq!(default_key(prefix, "app"), key);
            assert!(key.starts_with(prefix));
        }
    }
}
