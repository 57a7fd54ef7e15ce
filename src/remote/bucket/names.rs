//! Names in a list that the store cannot read, such as `x//y.yaml`.
//!
//! Servers allow them and the store fails with the whole list at the first. So each is written in a
//! way that the store can read, before it sees the list, and read back behind it.

use object_store::path::Path;
use std::fmt::Write as _;

/// What a rewritten name begins with. One that is really called so is rewritten, too.
const MARK: &str = "%00/";

/// The elements in which lists name objects: S3's and Google's, and Azure's.
const ELEMENTS: [(&str, &str); 2] = [("<Key>", "</Key>"), ("<Name>", "</Name>")];

/// A list in which every name can be read by the store; none if that is so already.
pub(super) fn readable(list: &str) -> Option<String> {
    let mut text = list.to_owned();
    for (open, close) in ELEMENTS {
        let mut rest = text.as_str();
        let mut written = String::with_capacity(text.len());
        while let Some((before, behind)) = rest.split_once(open) {
            let Some((name, after)) = behind.split_once(close) else { break };
            written.extend([before, open]);
            let real = unescaped(name);
            // The store forgets a `/` at the beginning.
            let is_odd = Path::parse(&real).is_err() || real.starts_with('/');
            if is_odd || real.starts_with(MARK) {
                written.push_str(MARK);
                written.push_str(&hexadecimal(&real));
            } else {
                written.push_str(name);
            }
            written.push_str(close);
            rest = after;
        }
        written.push_str(rest);
        text = written;
    }
    (text != list).then_some(text)
}

/// The name that an object really has.
pub(super) fn real(name: &str) -> String {
    let Some(digits) = name.strip_prefix(MARK) else { return name.to_owned() };
    let pairs = (0..digits.len()).step_by(2).filter_map(|it| digits.get(it..it + 2));
    let bytes: Vec<u8> = pairs.filter_map(|it| u8::from_str_radix(it, 16).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(name: &str) -> String {
    name.bytes().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Text of XML as it is meant.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut meant = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(';').and_then(|(name, rest)| Some((entity(name)?, rest))) {
            Some((letter, rest)) => {
                meant.push(letter);
                meant.push_str(rest);
            }
            None => meant.extend(["&", part]),
        }
    }
    meant
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_path_can_have_survive_and_others_are_left_alone() {
        let plain = "<Contents><Key>a&amp;b/&#39;c&#39;.yaml</Key></Contents><Name>fleet</Name>";
        assert_eq!(readable(plain), None);
        for (written, meant) in [
            ("x//y.yaml", "x//y.yaml"),
            ("a&amp;/../b", "a&/../b"),
            ("a&#xA;b", "a\nb"),
            ("/a", "/a"),
            ("%00/x", "%00/x"),
        ] {
            let list = readable(&format!("<B><Name>{written}</Name></B><Key>a</Key>")).unwrap();
            let name = list.strip_prefix("<B><Name>").unwrap().split('<').next().unwrap();
            assert!(Path::parse(name).is_ok(), "{name}");
            assert_eq!(real(name), meant);
            assert!(list.ends_with("</Name></B><Key>a</Key>"), "{list}");
        }
        assert_eq!(readable("<Key>never ends"), None);
    }
}
