//! The trace that a run is told in: its id, and those of the spans in it.
//!
//! Both are functions of what the run is, not random: whoever tells of a run twice tells the same,
//! and an exemplar names the span without having asked who told of it.

use crate::model::{CanaryId, fnv1a};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The id of a trace. Never zero, which would be none. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId([u8; 16]);

/// The id of a span of a trace. Never zero. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

/// A text that is no id of a trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a trace: it must be 32 hexadecimal digits, not all of them zero")]
pub struct NotATraceId(String);

// === impl TraceId ===

impl TraceId {
    /// The id that a hash of 32 bytes begins with.
    #[must_use]
    pub fn of_hash(hash: [u8; 32]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        if id == [0; 16] {
            id[15] = 1;
        }
        Self(id)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The span of a part of a run in this trace: of all of it, if `part` is empty.
    #[must_use]
    pub fn span(self, run: &CanaryId, part: &str) -> SpanId {
        let text = format!("{self}/{run}/{part}");
        SpanId(fnv1a(text.into_bytes()).max(1).to_be_bytes())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl FromStr for TraceId {
    type Err = NotATraceId;

    fn from_str(text: &str) -> Result<Self, NotATraceId> {
        let wrong = || NotATraceId(text.to_owned());
        let is_hex = text.len() == 32 && text.chars().all(|it| it.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|it| is_hex && *it != 0);
        number.map(|it| Self(it.to_be_bytes())).ok_or_else(wrong)
    }
}

impl TryFrom<String> for TraceId {
    type Error = NotATraceId;

    fn try_from(text: String) -> Result<Self, NotATraceId> {
        text.parse()
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

// === impl SpanId ===

impl SpanId {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_zero_and_reads_back() {
        let mut hash = [0; 32];
        hash[31] = 7;
        let none = TraceId::of_hash(hash);
        assert_eq!(none.to_string(), "00000000000000000000000000000001");
        hash[0] = 0xab;
        let id = TraceId::of_hash(hash);
        assert_eq!(id.to_string(), "ab000000000000000000000000000000");
        assert_eq!(id.to_string().parse::<TraceId>().unwrap(), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        for wrong in ["", "ab", &"0".repeat(32), &"+".repeat(32), &"g".repeat(32)] {
            assert!(wrong.parse::<TraceId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_of_a_run_have_spans_of_their_own_in_each_trace() {
        let trace = |byte| TraceId::of_hash([byte; 32]);
        let (run, other) = (CanaryId::new("a", 1), CanaryId::new("a", 2));
        let all = [
            trace(1).span(&run, ""),
            trace(1).span(&run, "push"),
            trace(1).span(&other, ""),
            trace(2).span(&run, ""),
        ];
        let different: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0], trace(1).span(&run, ""));
    }
}
