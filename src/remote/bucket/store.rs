//! Builds the store of a provider over our own client.

use crate::remote::bucket::wire::Wire;
use crate::remote::bucket::{BucketAddress, Credentials, Error, Provider};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use secrecy::ExposeSecret;
use std::sync::Arc;

/// The host that Google's own buckets have.
const GOOGLE: &str = "storage.googleapis.com";

/// A store that asks over the wire what it is told to, and once.
pub(super) fn build(
    address: &BucketAddress,
    credentials: &Credentials,
    wire: Wire,
) -> Result<Arc<dyn ObjectStore>, Error> {
    // Whatever an error of theirs says may hold a key.
    let unusable = |_| Error::UnusableCredentials { bucket: address.to_string() };
    Ok(match address.provider() {
        Provider::S3 => Arc::new(s3(address, credentials, wire)?.build().map_err(unusable)?),
        Provider::Gcs => Arc::new(gcs(address, credentials, wire)?.build().map_err(unusable)?),
        Provider::Azure => Arc::new(azure(address, credentials, wire)?.build().map_err(unusable)?),
    })
}

fn s3(
    address: &BucketAddress,
    credentials: &Credentials,
    wire: Wire,
) -> Result<AmazonS3Builder, Error> {
    let builder = AmazonS3Builder::new()
        .with_endpoint(address.endpoint())
        .with_bucket_name(address.name())
        .with_region(address.region())
        .with_virtual_hosted_style_request(false)
        .with_disable_bulk_delete(true)
        .with_retry(once())
        .with_client_options(options(address))
        .with_http_connector(wire);
    match credentials {
        Credentials::Anonymous => Ok(builder.with_skip_signature(true)),
        Credentials::Keys { access, secret, token } => {
            let builder = builder
                .with_access_key_id(access.as_str())
                .with_secret_access_key(secret.expose_secret());
            Ok(match token {
                Some(token) => builder.with_token(token.expose_secret()),
                None => builder,
            })
        }
        _ => Err(unfit(address, "an access key and a secret key")),
    }
}

fn gcs(
    address: &BucketAddress,
    credentials: &Credentials,
    wire: Wire,
) -> Result<GoogleCloudStorageBuilder, Error> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(address.name())
        .with_retry(once())
        .with_client_options(options(address))
        .with_http_connector(wire);
    let elsewhere = address.host() != GOOGLE;
    let builder = if elsewhere { builder.with_base_url(&address.endpoint()) } else { builder };
    match credentials {
        Credentials::Anonymous => Ok(builder.with_skip_signature(true)),
        Credentials::ServiceAccount(key) => {
            Ok(builder.with_service_account_key(key.expose_secret()))
        }
        Credentials::Bearer(token) => Ok(builder.with_bearer_token(token.expose_secret())),
        _ => Err(unfit(address, "the key of a service account")),
    }
}

fn azure(
    address: &BucketAddress,
    credentials: &Credentials,
    wire: Wire,
) -> Result<MicrosoftAzureBuilder, Error> {
    let account = address.host().split(['.', ':']).next().unwrap_or_default();
    let builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_endpoint(address.endpoint())
        .with_container_name(address.name())
        .with_allow_http(address.is_plain())
        .with_retry(once())
        .with_client_options(options(address))
        .with_http_connector(wire);
    match credentials {
        Credentials::Anonymous => Ok(builder.with_skip_signature(true)),
        Credentials::AccountKey(key) => Ok(builder.with_access_key(key.expose_secret())),
        Credentials::Sas(signature) => {
            Ok(builder.with_sas_authorization(pairs(signature.expose_secret())))
        }
        Credentials::Application { tenant, client, secret } => Ok(builder
            .with_tenant_id(tenant.as_str())
            .with_client_id(client.as_str())
            .with_client_secret(secret.expose_secret())),
        _ => Err(unfit(address, "the key of a storage account")),
    }
}

/// Nothing is sent again behind our back.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn options(address: &BucketAddress) -> ClientOptions {
    ClientOptions::new().with_allow_http(address.is_plain())
}

fn unfit(address: &BucketAddress, wanted: &'static str) -> Error {
    Error::UnfitCredentials { bucket: address.to_string(), wanted }
}

/// The pairs of a shared access signature, decoded.
fn pairs(signature: &str) -> Vec<(String, String)> {
    let query = signature.trim_start_matches('?');
    let url = reqwest::Url::parse(&format!("http://h/?{query}")).ok();
    url.iter().flat_map(|it| it.query_pairs()).map(|(k, v)| (k.into(), v.into())).collect()
}
