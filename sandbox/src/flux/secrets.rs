//! Reading keys of Secrets, the way the API stores them and the way people write them.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::store::Key;
use crate::store::Store;

/// One key of a Secret: from `data` (base64), else from `stringData`.
pub(crate) fn read(store: &Store, namespace: &str, name: &str, key: &str) -> Option<Vec<u8>> {
    let secret = store.get(&Key::new("Secret", namespace, name))?;
    if let Some(encoded) = secret["data"][key].as_str() {
        return STANDARD.decode(encoded).ok();
    }
    secret["stringData"][key].as_str().map(|text| text.as_bytes().to_vec())
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
    let names: BTreeSet<String> = ["data", "stringData"]
        .iter()
        .filter_map(|it| secret[*it].as_object())
        .flat_map(|it| it.keys().cloned())
        .collect();
    Some(names.iter().filter_map(|it| read(store, namespace, name, it)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_found_in_data_and_in_string_data() {
        let store = Store::new();
        let secret = json!({"kind": "Secret", "metadata": {"namespace": "a", "name": "b"},
            "data": {"one": "bGFiCg=="}, "stringData": {"two": "lab"}});
        store.create(secret, "test").unwrap();
        for key in ["one", "two"] {
            assert_eq!(read_text(&store, "a", "b", key).as_deref(), Some("lab"));
        }
        assert_eq!(read(&store, "a", "b", "three"), None);
    }
}
