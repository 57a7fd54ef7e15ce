//! Reading keys of Secrets, the way the API stores them and the way people write them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::store::Key;
use crate::store::Store;

/// One key of a Secret.
pub(crate) fn read(store: &Store, namespace: &str, name: &str, key: &str) -> Option<Vec<u8>> {
    let secret = store.get(&Key::new("Secret", namespace, name))?;
    STANDARD.decode(secret["data"][key].as_str()?).ok()
}

/// The same as text, without the line end that files put behind a token.
pub(crate) fn read_text(store: &Store, namespace: &str, name: &str, key: &str) -> Option<String> {
    let text = String::from_utf8(read(store, namespace, name, key)?).ok()?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The `token` of a Secret as it stands there: notification-controller takes away no line end.
pub(crate) fn read_token(store: &Store, namespace: &str, name: &str) -> Option<String> {
    String::from_utf8(read(store, namespace, name, "token")?).ok()
}

/// All values of a Secret, by name; none if there is no such Secret.
pub(crate) fn values(store: &Store, namespace: &str, name: &str) -> Option<Vec<Vec<u8>>> {
    let secret = store.get(&Key::new("Secret", namespace, name))?;
    let keys = secret["data"].as_object().into_iter().flatten().map(|it| it.0);
    Some(keys.filter_map(|it| read(store, namespace, name, it)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_write_as_strings_is_kept_as_data() {
        let store = Store::new();
        let secret = json!({"kind": "Secret", "metadata": {"namespace": "a", "name": "b"},
            "data": {"one": "bGFiCg=="}, "stringData": {"two": "lab"}});
        store.create(secret, "test").unwrap();
        for key in ["one", "two"] {
            assert_eq!(read_text(&store, "a", "b", key).as_deref(), Some("lab"));
        }
        assert_eq!(read(&store, "a", "b", "three"), None);
        let stored = store.get(&Key::new("Secret", "a", "b")).unwrap();
        assert_eq!((&stored["data"]["two"], stored.get("stringData")), (&json!("bGFi"), None));
    }
}
