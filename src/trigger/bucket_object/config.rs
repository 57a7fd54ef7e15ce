//! What a scenario says of a `bucket_object`.

use crate::model::ObjectName;
use crate::remote::bucket::Provider;
use crate::trigger::SecretSource;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Writes an object to a bucket.
///
/// Exactly one of `source` and `bucket`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketObjectConfig {
    /// A Bucket: server, name, region and credentials are taken from it.
    #[serde(default)]
    pub source: Option<ObjectName>,

    /// Name of the bucket, or of the container at Azure's.
    #[serde(default)]
    pub bucket: Option<String>,

    /// Who speaks for a `bucket`.
    #[serde(default)]
    pub provider: Provider,

    /// Server of a `bucket`: a host, or `http://` and a host for one without TLS. Default: the
    /// provider's own, but for Azure, whose host names the storage account.
    #[serde(default)]
    pub endpoint: Option<String>,

    /// Region of a `bucket`, where its provider is `s3`. Default: `us-east-1`.
    #[serde(default)]
    pub region: Option<String>,

    /// Credentials for a `bucket`.
    #[serde(default)]
    pub auth: Option<BucketAuth>,

    /// File with the certificate authority of the server, in PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,

    /// Credentials for the write where those of `source` are read-only, as Flux's own often are.
    #[serde(default)]
    pub push_auth: Option<BucketAuth>,

    /// Object to write; its whole content is replaced. Default: `hopclock/` and the scenario's name,
    /// below the prefix of `source`.
    #[serde(default)]
    pub path: Option<String>,

    /// Content of the object; `${canary}` stands for the canary id. Default: a ConfigMap of the
    /// name and namespace of the scenario's `live` hop.
    #[serde(default)]
    pub template: Option<String>,

    /// The source is also used by others, and each run wakes them too.
    #[serde(default)]
    pub shared: bool,
}

/// Credentials of a bucket: one key, naming the kind. Never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BucketAuth {
    /// A Secret in the layout of a Bucket's `secretRef`.
    Secret(ObjectName),
    /// Keys of S3.
    Keys {
        /// The name of the key.
        access_key: String,
        /// Where the secret key is.
        secret_key: SecretSource,
    },
    /// The key file of a service account of Google's.
    ServiceAccount(SecretSource),
    /// The key of a storage account of Azure's.
    AccountKey(SecretSource),
    /// A shared access signature of Azure's.
    Sas(SecretSource),
}
