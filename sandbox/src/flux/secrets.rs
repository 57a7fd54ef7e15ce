//! Reading keys of Secrets, the way the API stores them and the way people write them.

use crate::store::Key;
use crate::store::Store;

/// One key of a Secret: from `data` (base64), else from `stringData`.
pub(crate) fn read(store: &Store, namespace: &str, name: &str, key: &str) -> Option<Vec<u8>> {
    let secret = store.get(&Key::new("Secret", namespace, name))?;
    if let Some(encoded) = secret["data"][key].as_str() {
        return decode(encoded);
    }
    secret["stringData"][key].as_str().map(|text| text.as_bytes().to_vec())
}

/// The same as text, without the line end that files put behind a token.
pub(crate) fn read_text(store: &Store, namespace: &str, name: &str, key: &str) -> Option<String> {
    let text = String::from_utf8(read(store, namespace, name, key)?).ok()?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let padding = digits.iter().rev().take_while(|&&byte| byte == b'=').count();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for four in digits.chunks(4) {
        let mut bits = 0_u32;
        for &digit in four {
            bits = bits << 6 | if digit == b'=' { 0 } else { value_of(digit)? };
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    bytes.truncate(bytes.len().checked_sub(padding)?);
    (padding <= 2).then_some(bytes)
}

fn value_of(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn base64_is_read_with_any_padding() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo")] {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        for wrong in ["Zg", "Zg=", "Z===", "Z*==", "===="] {
            assert_eq!(decode(wrong), None, "`{wrong}`");
        }
    }

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
