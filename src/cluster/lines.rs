//! The lines of a watch: cut out of the stream's bytes, and what each of them says.
//!
//! A line is read twice: first only for what it is about, so that the thousand updates of
//! objects that nobody follows cost a scan and no allocation of their content.

use crate::cluster::version::Version;
use serde::Deserialize;
use serde_json::Value;

/// No object that an API server stores comes near this; a stream that does is garbage.
const LONGEST: usize = 16 << 20;

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub(super) struct Splitter {
    rest: Vec<u8>,
}

/// What a line of a watch says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An object was written, or deleted.
    Object { name: String, version: Version, deleted: bool },
    /// Nothing happened up to this version.
    Bookmark(Version),
    /// The server gives the watch up.
    Failure { code: u16, message: String },
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    sort: String,
    object: Head,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    resource_version: String,
}

#[derive(Deserialize)]
struct Failed {
    object: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

#[derive(Deserialize)]
struct Whole {
    object: Value,
}

impl Splitter {
    /// The lines that `bytes` complete; none once a line is longer than any object can be.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        let mut parts = bytes.split(|it| *it == b'\n');
        self.rest.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            let line = std::mem::replace(&mut self.rest, part.to_vec());
            if !line.iter().all(u8::is_ascii_whitespace) {
                lines.push(line);
            }
        }
        (self.rest.len() <= LONGEST).then_some(lines)
    }
}

impl Line {
    /// Reads what a line is about.
    pub(super) fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        let envelope: Envelope = serde_json::from_slice(line)?;
        let Metadata { name, resource_version } = envelope.object.metadata;
        let version = Version(resource_version);
        match envelope.sort.as_str() {
            "ADDED" | "MODIFIED" => Ok(Self::Object { name, version, deleted: false }),
            "DELETED" => Ok(Self::Object { name, version, deleted: true }),
            "BOOKMARK" => Ok(Self::Bookmark(version)),
            _ => {
                let Status { code, message } = serde_json::from_slice::<Failed>(line)?.object;
                Ok(Self::Failure { code, message })
            }
        }
    }

    /// The whole object of a line.
    pub(super) fn object(line: &[u8]) -> Result<Value, serde_json::Error> {
        serde_json::from_slice::<Whole>(line).map(|it| it.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_come_whole_however_the_bytes_are_cut() {
        let text = b"one\ntwo\n\nthree\nfo";
        for size in 1..text.len() {
            let mut splitter = Splitter::default();
            let lines: Vec<_> =
                text.chunks(size).flat_map(|it| splitter.push(it).unwrap()).collect();
            assert_eq!(lines, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()], "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut splitter = Splitter::default();
        assert!(splitter.push(&vec![b'x'; LONGEST]).is_some());
        assert!(splitter.push(b"x").is_none());
    }

    #[test]
    fn a_line_says_what_it_is_about() {
        let line = |value: Value| Line::parse(value.to_string().as_bytes()).unwrap();
        let object = json!({"metadata": {"name": "apps", "resourceVersion": "7"}, "code": "any"});
        let (name, version) = ("apps".to_owned(), Version("7".to_owned()));
        assert_eq!(
            line(json!({"type": "DELETED", "object": object})),
            Line::Object { name, version: version.clone(), deleted: true }
        );
        assert_eq!(line(json!({"type": "BOOKMARK", "object": object})), Line::Bookmark(version));
        assert_eq!(
            line(json!({"type": "ERROR", "object": {"code": 410, "message": "too old"}})),
            Line::Failure { code: 410, message: "too old".to_owned() }
        );
        assert!(Line::parse(b"{\"type\": \"ADDED\"").is_err());
    }
}
