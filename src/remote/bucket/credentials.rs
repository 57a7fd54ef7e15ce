//! What we prove ourselves with to a bucket, and where Flux's Secrets keep it.

use crate::model::{ProbeError, Secret};
use crate::remote::bucket::{Error, Provider};
use secrecy::{ExposeSecret, SecretString};

/// What to prove ourselves with. Never printed.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// Keys of S3.
    Keys {
        /// The name of the key.
        access: String,
        /// What requests are signed with.
        secret: SecretString,
        /// A token of a session, where the keys are temporary.
        token: Option<SecretString>,
    },
    /// The key file of a service account of Google's, as JSON.
    ServiceAccount(SecretString),
    /// A token that Google's servers take as it is.
    Bearer(SecretString),
    /// The key of a storage account of Azure's.
    AccountKey(SecretString),
    /// A shared access signature of Azure's.
    Sas(SecretString),
    /// An application of Azure's directory.
    Application {
        /// Its directory.
        tenant: String,
        /// The application.
        client: String,
        /// Its password.
        secret: SecretString,
    },
}

// === impl Credentials ===

impl Credentials {
    /// Reads the Secret of a Bucket, in Flux's layout.
    ///
    /// # Errors
    /// If it lacks what this provider needs.
    pub fn of_secret(provider: Provider, secret: &Secret) -> Result<Self, ProbeError> {
        let text = |key: &str| secret.text(key);
        let plain = |key: &str| text(key).map(|it| it.expose_secret().to_owned());
        Ok(match provider {
            Provider::S3 => Self::Keys {
                access: plain("accesskey")?,
                secret: text("secretkey")?,
                token: secret.has("sessiontoken").then(|| text("sessiontoken")).transpose()?,
            },
            Provider::Gcs => Self::ServiceAccount(text("serviceaccount")?),
            Provider::Azure if secret.has("sasKey") => Self::Sas(text("sasKey")?),
            Provider::Azure if secret.has("clientSecret") => Self::Application {
                tenant: plain("tenantId")?,
                client: plain("clientId")?,
                secret: text("clientSecret")?,
            },
            Provider::Azure => Self::AccountKey(text("accountKey")?),
        })
    }

    /// Refuses what only a workload identity could open.
    ///
    /// # Errors
    /// For a provider of a cloud.
    pub fn refuse_provider(what: &str, provider: Option<&str>) -> Result<(), Error> {
        match provider {
            None | Some("generic") => Ok(()),
            Some(provider) => Err(Error::WorkloadIdentity {
                what: what.to_owned(),
                provider: provider.to_owned(),
            }),
        }
    }
}
