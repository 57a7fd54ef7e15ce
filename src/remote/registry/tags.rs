//! All tags of a repository, page by page.

use crate::remote::registry::http::Ask;
use crate::remote::registry::refusal::body_of;
use crate::remote::registry::{Deed, Error, Registry};
use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

/// Tags per page: the most that registries of Docker's kind give.
const PAGE: usize = 1000;

/// Most pages that are read: a million tags are no place for a canary.
const MOST_PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    /// Null where there are none.
    tags: Option<Vec<String>>,
}

// === impl Registry ===

impl Registry {
    /// All tags, in the registry's order.
    ///
    /// # Errors
    /// When there is no such repository, or the registry cannot be asked. A repository that nothing
    /// was ever pushed to is not there for most registries.
    pub async fn tags(&self) -> Result<Vec<String>, Error> {
        let mut tags = Vec::new();
        let mut next = Some(self.session.repository.url(&format!("tags/list?n={PAGE}")));
        for _ in 0..MOST_PAGES {
            let Some(url) = next else { break };
            let answer = self.session.ask(&Ask::new(Method::GET, url.clone())).await;
            let answer = answer.map_err(|it| it.why)?;
            if answer.status != StatusCode::OK {
                let said = body_of(&answer.body);
                return Err(self.session.refusal(Deed::List, answer.status, &said, None));
            }
            let status = answer.status.as_u16();
            let page: Page = serde_json::from_slice(&answer.body)
                .map_err(|_| Error::NotARegistry { registry: self.session.registry(), status })?;
            tags.extend(page.tags.unwrap_or_default());
            next = following(&url, &answer.headers);
            if let Some(next) = next.as_deref().filter(|it| !self.session.is_ours(it)) {
                let host = Url::parse(next).ok().and_then(|it| it.host_str().map(str::to_owned));
                let (registry, to) = (self.session.registry(), host.unwrap_or_default());
                return Err(Error::Redirected { registry, to });
            }
        }
        Ok(tags)
    }
}

/// The address of the next page, which an answer names relative to its own.
fn following(url: &str, headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|it| it.to_str().ok());
    let mut links = links.flat_map(|it| it.split(','));
    let link = links.find(|it| it.contains("rel=\"next\"") || it.contains("rel=next"))?;
    let target = link.split_once('<')?.1.split_once('>')?.0;
    let next = Url::parse(url).and_then(|it| it.join(target)).ok()?.to_string();
    (next != url).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn the_next_page_is_found_relative_to_this_one() {
        let next = |link: &'static str| {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static(link))]);
            following("https://r.test/v2/a/tags/list?n=2", &headers)
        };
        let page = "https://r.test/v2/a/tags/list?last=b&n=2";
        assert_eq!(next(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#).as_deref(), Some(page));
        assert_eq!(next("<?last=b&n=2>;rel=next").as_deref(), Some(page));
        assert_eq!(next(r#"</v2/>; rel="prev""#), None);
        assert_eq!(next(r#"<https://r.test/v2/a/tags/list?n=2>; rel="next""#), None);
    }
}
