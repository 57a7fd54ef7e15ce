//! Blobs, which have to be there before a manifest can name them.

use crate::remote::registry::http::Ask;
use crate::remote::registry::refusal::body_of;
use crate::remote::registry::{Artifact, Blob, Deed, Error, Registry};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url};

// === impl Registry ===

impl Registry {
    /// Uploads what an artifact's manifest names. Nothing is visible of it before the manifest is
    /// published.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn upload(&self, artifact: &Artifact) -> Result<(), Error> {
        for blob in artifact.blobs() {
            let is_there = blob.is_shared && self.has(blob).await?;
            if !is_there {
                self.send(blob).await?;
            }
        }
        Ok(())
    }

    async fn has(&self, blob: &Blob) -> Result<bool, Error> {
        let url = self.session.repository.url(&format!("blobs/{}", blob.digest()));
        let answer = self.session.ask(&Ask::new(Method::HEAD, url)).await;
        match answer.map(|it| it.status) {
            Ok(StatusCode::OK) => Ok(true),
            // It lies where the registry keeps its blobs.
            Err(none) if matches!(none.why, Error::Redirected { .. }) => Ok(true),
            Err(none) => Err(none.why),
            Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(self.session.refusal(Deed::Push, StatusCode::FORBIDDEN, &body_of(&[]), None))
            }
            Ok(_) => Ok(false),
        }
    }

    /// One blob: a request for the place, and one with the bytes.
    async fn send(&self, blob: &Blob) -> Result<(), Error> {
        let url = self.session.repository.url("blobs/uploads/");
        let ask = Ask::new(Method::POST, url.clone()).with(CONTENT_LENGTH, "0");
        let answer = self.session.ask(&ask).await.map_err(|it| it.why)?;
        let (status, digest) = (answer.status, blob.digest());
        if status != StatusCode::ACCEPTED {
            let said = body_of(&answer.body);
            return Err(self.session.refusal(Deed::Push, status, &said, None));
        }
        let place = place(&url, &answer.headers, &digest);
        let place = place.ok_or_else(|| Error::NotARegistry {
            registry: self.session.registry(),
            status: status.as_u16(),
        })?;
        let ask = Ask::new(Method::PUT, place)
            .with(CONTENT_TYPE, "application/octet-stream")
            .sending(blob.bytes.clone());
        let answer = self.session.ask(&ask).await.map_err(|it| it.why)?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(self.session.refusal(Deed::Push, answer.status, &body_of(&answer.body), None))
    }
}

/// Where the bytes go: the place that was given, with the digest added to what it asks for.
fn place(url: &str, headers: &HeaderMap, digest: &str) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let mut place = Url::parse(url).and_then(|it| it.join(location)).ok()?;
    place.query_pairs_mut().append_pair("digest", digest);
    Some(place.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn the_place_of_an_upload_keeps_what_it_asks_for() {
        let headers = HeaderMap::from_iter([(
            LOCATION,
            HeaderValue::from_static("/v2/a/blobs/uploads/1?_state=x"),
        )]);
        assert_eq!(
            place("http://r.test/v2/a/blobs/uploads/", &headers, "sha256:00").as_deref(),
            Some("http://r.test/v2/a/blobs/uploads/1?_state=x&digest=sha256%3A00")
        );
        assert_eq!(place("http://r.test/", &HeaderMap::new(), "sha256:00"), None);
    }
}
