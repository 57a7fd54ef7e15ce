//! What a registry is asked with: the Secrets that an `ImageRepository` names.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::client::Access;
use super::reference::ImageName;
use crate::flux::gotime;
use crate::flux::secrets;
use crate::store::Key;
use crate::store::Store;

/// The longest time for an answer where the object does not say.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Reads what the object names; the error is the whole message.
pub(crate) fn access(
    store: &Store,
    repository: &Value,
    image: ImageName,
) -> Result<Access, String> {
    let spec = &repository["spec"];
    let namespace = repository["metadata"]["namespace"].as_str().unwrap_or_default();
    let failed = |why: String| format!("failed to configure authentication options: {why}");
    let missing = |name: &str| failed(format!("secrets \"{name}\" not found"));
    let mut credentials = None;
    if let Some(name) = spec["secretRef"]["name"].as_str() {
        if store.get(&Key::new("Secret", namespace, name)).is_none() {
            return Err(missing(name));
        }
        let config = secrets::read(store, namespace, name, ".dockerconfigjson");
        let config = config.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let Some(config) = config else {
            let why = format!("secret '{namespace}/{name}' is missing '.dockerconfigjson'");
            return Err(failed(why));
        };
        credentials = account(&config["auths"], &image.host);
        if credentials.is_none() {
            let why = format!("auth for '{}' not found in secret {namespace}/{name}", image.host);
            return Err(failed(why));
        }
    }
    let mut authority = None;
    if let Some(name) = spec["certSecretRef"]["name"].as_str() {
        authority =
            Some(secrets::read(store, namespace, name, "ca.crt").ok_or_else(|| missing(name))?);
    }
    let timeout = spec["timeout"].as_str().and_then(gotime::parse).unwrap_or(TIMEOUT);
    Ok(Access { image, insecure: spec["insecure"] == true, credentials, authority, timeout })
}

/// User and password of a docker configuration for a host.
fn account(auths: &Value, host: &str) -> Option<(String, String)> {
    let plain = |key: &str| {
        let key = key.split_once("://").map_or(key, |(_, rest)| rest);
        key.split('/').next().unwrap_or_default().to_owned()
    };
    let (_, entry) = auths.as_object()?.iter().find(|(key, _)| plain(key) == host)?;
    if let (Some(user), Some(password)) = (entry["username"].as_str(), entry["password"].as_str()) {
        return Some((user.to_owned(), password.to_owned()));
    }
    let decoded = STANDARD.decode(entry["auth"].as_str()?).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_an_account_are_read_whatever_stands_around_the_host() {
        let auths = json!({"https://a.example/v1/": {"auth": "dXNlcjpwOnc="},
            "b.example:5000": {"username": "u", "password": "p"}});
        let account = |host| account(&auths, host);
        assert_eq!(account("a.example"), Some(("user".to_owned(), "p:w".to_owned())));
        assert_eq!(account("b.example:5000"), Some(("u".to_owned(), "p".to_owned())));
        assert_eq!(account("b.example"), None);
    }
}
