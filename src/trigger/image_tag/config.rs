//! What a scenario says of an `image_tag`, or of an `image_digest`.

use crate::model::ObjectName;
use crate::trigger::{MOST_KEPT, RegistryAuth};
use schemars::JsonSchema;
use serde::Deserialize;

/// Pushes an image tag that an ImagePolicy will choose.
///
/// The tag is computed from the policy. Image, registry and credentials are those of the policy's
/// ImageRepository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageTagConfig {
    /// The ImagePolicy that is to choose the tag.
    pub policy: ObjectName,

    /// Credentials for the push where those of the ImageRepository are read-only, as Flux's own
    /// often are.
    #[serde(default)]
    pub push_auth: Option<RegistryAuth>,

    /// A tag of the same repository whose image is given the new tag too. Default: a new image of a
    /// few hundred bytes.
    #[serde(default)]
    pub retag: Option<String>,

    /// How many tags of canaries stay in the repository; older ones are deleted after a run.
    #[serde(default = "keep")]
    #[schemars(range(min = 1, max = MOST_KEPT))]
    pub keep: u32,
}

/// Pushes a new image under the tag that an ImagePolicy chooses already, such as `latest`.
///
/// The policy has to reflect digests, and always (`digestReflectionPolicy: Always`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageDigestConfig {
    /// The ImagePolicy that chooses the tag.
    pub policy: ObjectName,

    /// Credentials for the push where those of the ImageRepository are read-only, as Flux's own
    /// often are.
    #[serde(default)]
    pub push_auth: Option<RegistryAuth>,
}

fn keep() -> u32 {
    5
}
