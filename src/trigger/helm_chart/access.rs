//! Finds the repository of a chart, in a registry or a bucket, and what to prove ourselves with there.

use crate::model::{ObjectName, ProbeError, Subject};
use crate::remote::bucket::{self, Bucket, BucketAddress, BucketOptions};
use crate::remote::registry::{Credentials, Registry, RegistryOptions, Repository, Rights};
use crate::trigger::helm_chart::ChartBucket;
use crate::trigger::registry_access::{
    PATIENCE, PULL_KEYS, TIMEOUT, ca_of, error, of_auth, of_secret,
};
use crate::trigger::{RegistryAuth, Site};
use secrecy::ExposeSecret;
use serde_json::Value;

/// Opens the repository of a chart. Asks nothing of the registry.
pub(super) async fn open(
    site: &dyn Site,
    (subject, object): (&Subject, &Value),
    address: &str,
    push_auth: Option<&RegistryAuth>,
) -> Result<Registry, ProbeError> {
    let spec = &object["spec"];
    let repository =
        Repository::parse(address, spec["insecure"] == true).map_err(|it| error(&it))?;
    let secret = |key: &str| {
        let name = spec[key]["name"].as_str()?;
        Some(ObjectName::new(&subject.namespace, name))
    };
    let credentials = match (push_auth, secret("secretRef")) {
        (Some(auth), _) => of_auth(site, auth, &repository).await?,
        (None, Some(name)) => of_flux(site, &name, &repository).await?,
        (None, None) => {
            let provider = spec["provider"].as_str();
            Credentials::refuse_provider(&subject.to_string(), provider)
                .map_err(|it| error(&it))?;
            Credentials::None
        }
    };
    let ca = match secret("certSecretRef") {
        Some(name) => ca_of(&site.secret(&name).await?),
        None => None,
    };
    let (rights, timeout, patience) = (Rights::Delete, TIMEOUT, PATIENCE);
    let options = RegistryOptions { repository, credentials, ca, rights, timeout, patience };
    Registry::open(options, site.clock()).map_err(|it| error(&it))
}

/// Opens the bucket of a chart repository. Asks nothing of its server.
pub(super) async fn open_bucket(
    site: &dyn Site,
    wanted: &ChartBucket,
) -> Result<Bucket, ProbeError> {
    let ChartBucket { provider, endpoint, name, region, .. } = wanted;
    let bad =
        |it: bucket::Error| ProbeError { reason: it.reason().to_owned(), message: it.to_string() };
    let address = BucketAddress::new(*provider, endpoint, false, name, region.as_deref());
    let credentials = match &wanted.secret {
        Some(secret) => bucket::Credentials::of_secret(*provider, &site.secret(secret).await?)?,
        None => bucket::Credentials::Anonymous,
    };
    let ca = wanted.ca_file.as_ref();
    let ca = ca.map(|it| site.file(it, "certificate authority")).transpose()?;
    let (timeout, patience) = (TIMEOUT, PATIENCE);
    let address = address.map_err(bad)?;
    let options = BucketOptions { address, credentials, ca, timeout, patience };
    Bucket::open(&options, site.clock(), &site.clients()).map_err(bad)
}

/// A HelmRepository's Secret may hold `username` and `password` as well as a docker configuration.
async fn of_flux(
    site: &dyn Site,
    name: &ObjectName,
    repository: &Repository,
) -> Result<Credentials, ProbeError> {
    let secret = site.secret(name).await?;
    let is_pull_secret = PULL_KEYS.into_iter().any(|it| secret.has(it));
    if is_pull_secret || !secret.has("username") {
        return of_secret(site, name, repository).await;
    }
    let (user, password) = (secret.text("username")?, secret.text("password")?);
    Ok(Credentials::basic(user.expose_secret(), password.expose_secret()))
}
