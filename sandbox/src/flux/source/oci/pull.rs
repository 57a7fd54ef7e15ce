//! From an `OCIRepository`'s spec to the files of an artifact, or to the reason why not.

use regex::Regex;
use serde_json::Value;
use serde_json::json;
use tokio::time::sleep;

use super::Failure;
use super::archive;
use crate::flux::artifacts::Files;
use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::registry;
use crate::flux::registry::Access;
use crate::flux::registry::ImageName;
use crate::flux::semver::Range;
use crate::flux::semver::Version;
use crate::flux::source::ignore;

/// What is asked for in the repository.
pub(super) enum Reference {
    /// A tag.
    Tag(String),
    /// A manifest.
    Digest(String),
}

/// What was pulled.
pub(super) struct Pulled {
    /// The files that become the artifact.
    pub(super) files: Files,
    /// The manifest's annotations; null without any.
    pub(super) annotations: Value,
}

impl Reference {
    /// The reference as messages have it.
    pub(super) fn shown(&self, access: &Access) -> String {
        let name = access.image.canonical();
        match self {
            Self::Tag(tag) => format!("{name}:{tag}"),
            Self::Digest(digest) => format!("{name}@{digest}"),
        }
    }
}

/// Which registry is asked, and with which Secrets.
pub(super) fn access_of(context: &Context, draft: &Draft) -> Result<Access, Failure> {
    let url = draft.spec()["url"].as_str().unwrap_or_default();
    let invalid = |why: &str| Failure {
        stalled: true,
        ..failed("URLInvalid", format!("URL validation failed for '{url}': {why}"))
    };
    let Some(name) = url.strip_prefix("oci://") else {
        return Err(invalid("URL must be in format 'oci://<domain>/<org>/<repo>'"));
    };
    let image = ImageName::parse(name).map_err(|why| invalid(&why))?;
    registry::access(&context.store, &draft.object, image).map_err(|why| {
        let why = why.rsplit_once("options: ").map_or(why.as_str(), |(_, why)| why);
        failed("AuthenticationFailed", format!("failed to get credential: {why}"))
    })
}

/// What the spec names: a digest, else the highest of a range, else a tag.
pub(super) async fn reference_of(
    context: &Context,
    draft: &Draft,
    access: &Access,
) -> Result<Reference, Failure> {
    let wish = &draft.spec()["ref"];
    let text = |field: &str| wish[field].as_str().filter(|it| !it.is_empty());
    if let Some(digest) = text("digest") {
        return Ok(Reference::Digest(digest.to_owned()));
    }
    let Some(range) = text("semver") else {
        return Ok(Reference::Tag(text("tag").unwrap_or("latest").to_owned()));
    };
    let url = draft.spec()["url"].as_str().unwrap_or_default();
    let failed = |why: String| {
        let message = format!("failed to determine the artifact tag for '{url}': {why}");
        failed("ReadOperationFailed", message)
    };
    let parsed = Range::parse(range)
        .map_err(|why| failed(format!("semver '{range}' parse error: {why}")))?;
    sleep(context.speeds().scan).await;
    let tags = access.clone().tags().await.map_err(&failed)?;
    let filter = Regex::new(text("semverFilter").unwrap_or_default())
        .map_err(|why| failed(format!("invalid semver filter: {why}")))?;
    let fitting = tags.iter().filter(|it| filter.is_match(it));
    let versions = fitting.filter_map(|tag| Some((Version::parse(tag)?, tag)));
    let fitting = versions.filter(|(version, _)| parsed.fits(version));
    let highest = fitting.max_by(|one, other| one.0.precedence(&other.0));
    let none = || failed(format!("no match found for semver: {range}"));
    highest.map(|(_, tag)| Reference::Tag(tag.clone())).ok_or_else(none)
}

/// The revision of what the reference stands for now.
pub(super) async fn revision_of(
    context: &Context,
    access: &Access,
    reference: &Reference,
) -> Result<String, Failure> {
    let tag = match reference {
        Reference::Digest(digest) => return Ok(digest.clone()),
        Reference::Tag(tag) => tag,
    };
    sleep(context.speeds().scan).await;
    let digest = match access.clone().digest(tag.clone()).await {
        Ok(digest) => Ok(digest),
        // The answer to HEAD has no words, so it is asked again for them.
        Err(_) => access.clone().manifest(tag.clone()).await.map(|it| it.digest),
    };
    let digest = digest.map_err(|why| {
        failed("OCIArtifactPullFailed", format!("failed to determine artifact digest: {why}"))
    })?;
    Ok(format!("{tag}@{digest}"))
}

/// Downloads what a revision holds.
pub(super) async fn pull(
    context: &Context,
    draft: &Draft,
    access: &Access,
    revision: &str,
) -> Result<Pulled, Failure> {
    sleep(context.speeds().pull_artifact).await;
    let digest = revision.rsplit_once('@').map_or(revision, |(_, digest)| digest);
    let url = draft.spec()["url"].as_str().unwrap_or_default();
    let not_pulled = |why: String| {
        failed("OCIArtifactPullFailed", format!("failed to pull artifact from '{url}': {why}"))
    };
    let manifest = access.clone().manifest(digest.to_owned()).await.map_err(not_pulled)?.body;
    let bad_layer = |why: String| failed("OCIArtifactLayerOperationFailed", why);
    let selector = &draft.spec()["layerSelector"];
    let layer = select(&manifest, selector["mediaType"].as_str()).map_err(bad_layer)?;
    let blob = access.clone().blob(layer.to_owned()).await.map_err(|why| {
        bad_layer(format!("failed to extract the first layer from artifact: {why}"))
    })?;
    let annotations = manifest["annotations"].clone();
    if selector["operation"] == "copy" {
        let files = Files::from([(archive::COPIED.to_owned(), blob)]);
        return Ok(Pulled { files, annotations });
    }
    let files = archive::unpack(&blob).map_err(|why| {
        bad_layer(format!("failed to extract layer contents from artifact: {why}"))
    })?;
    let files = ignore::keep(files, draft.spec()["ignore"].as_str());
    Ok(Pulled { files, annotations })
}

/// The digest of the layer that is wanted: of this type, else the first.
fn select<'m>(manifest: &'m Value, wanted: Option<&str>) -> Result<&'m str, String> {
    let layers = manifest["layers"].as_array().map_or(&[][..], Vec::as_slice);
    let first = layers.first().ok_or("no layers found in artifact")?;
    let layer = match wanted.filter(|it| !it.is_empty()) {
        None => first,
        Some(wanted) => {
            layers.iter().find(|it| it["mediaType"] == json!(wanted)).ok_or_else(|| {
                format!("failed to find layer with media type '{wanted}' in artifact")
            })?
        }
    };
    layer["digest"].as_str().ok_or_else(|| "failed to parse artifact layers".to_owned())
}

fn failed(reason: &'static str, message: String) -> Failure {
    Failure { condition: "FetchFailed", status: "True", reason, message, stalled: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_chosen_by_its_type_and_else_the_first() {
        let layer = |kind: &str, digest: &str| json!({"mediaType": kind, "digest": digest});
        let manifest = json!({"layers": [layer("a", "1"), layer("b", "2")]});
        assert_eq!(select(&manifest, None), Ok("1"));
        assert_eq!(select(&manifest, Some("b")), Ok("2"));
        let missing = select(&manifest, Some("c")).unwrap_err();
        assert_eq!(missing, "failed to find layer with media type 'c' in artifact");
        assert_eq!(select(&json!({}), None).unwrap_err(), "no layers found in artifact");
    }
}
