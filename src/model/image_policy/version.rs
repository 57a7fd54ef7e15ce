//! Versions as Flux reads them from tags.
//!
//! Flux takes a tag for a version only if it is a strict one, with at most one `v` before it. In
//! ranges the looser forms count too; both are ordered in the same way, without their build part.

use std::cmp::Ordering;
use std::fmt;

/// Longest text that Flux takes for a version.
const LONGEST: usize = 256;

/// A version, without its build part, which orders nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) core: [u64; 3],
    /// The part after the first `-`; empty for a release.
    pub(super) pre: String,
}

// === impl Version ===

impl Version {
    pub(super) fn release(core: [u64; 3]) -> Self {
        Self { core, pre: String::new() }
    }

    /// Reads a strict version, perhaps with a `v` before it.
    pub(super) fn of_tag(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        if text.len() > LONGEST {
            return None;
        }
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (core, pre) = match text.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (text, None),
        };
        let mut numbers = core.split('.').map(strict_number);
        let core = [numbers.next()??, numbers.next()??, numbers.next()??];
        let complete = numbers.next().is_none();
        let fits = pre.is_none_or(is_prerelease) && build.is_none_or(is_build);
        (complete && fits).then(|| Self { core, pre: pre.unwrap_or_default().to_owned() })
    }

    pub(super) fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }

    /// The cores one step above this one's: in the last, the middle and the first number.
    pub(super) fn steps(&self) -> [[u64; 3]; 3] {
        let [major, minor, patch] = self.core;
        [
            [major, minor, patch.saturating_add(1)],
            [major, minor.saturating_add(1), 0],
            [major.saturating_add(1), 0, 0],
        ]
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let core = self.core.cmp(&other.core);
        core.then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_prereleases(&self.pre, &other.pre),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.core;
        write!(f, "{major}.{minor}.{patch}")?;
        if self.is_prerelease() { write!(f, "-{}", self.pre) } else { Ok(()) }
    }
}

/// Whether a text can stand after the `-` of a version.
pub(super) fn is_prerelease(text: &str) -> bool {
    text.split('.').all(|it| {
        let leading_zero = it.len() > 1 && it.starts_with('0') && it.bytes().all(is_digit);
        is_identifier(it) && !leading_zero
    })
}

/// Whether a text can stand after the `+` of a version.
pub(super) fn is_build(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

/// Identifier by identifier; more of them are above fewer, numbers below words.
pub(super) fn compare_prereleases(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        let order = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (Some(a), Some(b)) => compare_identifiers(a, b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_identifiers(one: &str, other: &str) -> Ordering {
    // A number too large to be one is a word to Flux.
    match (number(one), number(other)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

fn strict_number(text: &str) -> Option<u64> {
    if text.len() > 1 && text.starts_with('0') { None } else { number(text) }
}

/// Digits only: Rust's own reader also takes a `+`.
pub(super) fn number(text: &str) -> Option<u64> {
    if text.bytes().all(is_digit) { text.parse().ok() } else { None }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

fn is_digit(it: u8) -> bool {
    it.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strict_versions_are_read_from_tags() {
        let read = |text: &str| Version::of_tag(text).map(|it| it.to_string());
        assert_eq!(read("v1.2.3-rc.1+b.7").as_deref(), Some("1.2.3-rc.1"));
        assert_eq!(read("1.2.3").as_deref(), Some("1.2.3"));
        let wrong = [
            "1.2",
            "1",
            "vv1.2.3",
            "01.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+",
            "latest",
            "1.2.3.4",
            "1.2.+3",
            "1.2.99999999999999999999",
            "V1.2.3",
            "1.2-x.3",
        ];
        for text in wrong {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_as_the_specification_says() {
        let rising = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1-0",
            "1.0.1",
            "1.10.0",
            "2.0.0",
        ];
        let versions: Vec<_> = rising.iter().map(|it| Version::of_tag(it).unwrap()).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    }
}
