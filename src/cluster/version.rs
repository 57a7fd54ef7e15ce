//! The resource version of an object or list, and which of two is the newer.
//!
//! API servers number their writes in one ascending sequence (Kubernetes guarantees it since
//! 1.35, etcd always did). That is what lets a list, a watch and its successor overlap without a
//! state lost or shown twice. A server with versions of another form gets the cautious reading:
//! whatever is not the same is newer.

/// A resource version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version(pub(super) String);

impl Version {
    /// Whether this is a later write than `other`.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        match (self.0.parse::<u64>(), other.0.parse::<u64>()) {
            (Ok(mine), Ok(theirs)) => mine > theirs,
            _ => self != other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_where_they_are_numbers() {
        let version = |text: &str| Version(text.to_owned());
        assert!(version("1000").is_newer_than(&version("999")));
        assert!(!version("999").is_newer_than(&version("1000")));
        assert!(!version("999").is_newer_than(&version("999")));
        assert!(version("a").is_newer_than(&version("b")));
        assert!(!version("a").is_newer_than(&version("a")));
    }
}
