//! `WWW-Authenticate`: how a registry wants to be asked.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With user and password in every request.
    Basic,
    /// With a token that is given elsewhere.
    Bearer {
        /// Where.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
    },
}

// === impl Challenge ===

impl Challenge {
    /// The challenge of an answer; a token before a password.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let all = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|it| it.to_str().ok());
        let mut all: Vec<_> = all.filter_map(Self::parse).collect();
        let token = all.iter().position(|it| matches!(it, Self::Bearer { .. })).unwrap_or(0);
        (!all.is_empty()).then(|| all.swap_remove(token))
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        let parameters = parameters(rest);
        let parameter = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        let realm = parameter("realm").filter(|_| is_bearer)?;
        Some(Self::Bearer { realm, service: parameter("service") })
    }
}

/// `key="value"` pairs between commas; a comma may stand inside a value.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([',', ' ']).to_owned();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((key, value.trim().to_owned()));
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn challenges_are_read_with_commas_inside_values() {
        let text = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("registry.example".to_owned()),
        };
        assert_eq!(Challenge::parse(text), Some(bearer.clone()));
        assert_eq!(Challenge::parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=x"), None);
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"x\""));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap());
        assert_eq!(Challenge::of(&headers), Some(bearer));
    }
}
