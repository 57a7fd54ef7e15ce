//! Files and folders of a repository, by their names alone.

/// A folder or file without `./`, doubled slashes and slashes at its ends, with `..` resolved;
/// none if it leaves the repository. The root is empty.
pub(in crate::path) fn clean(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A path as another one in `folder` means it; none if it leaves the repository.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    clean(&format!("{folder}/{path}"))
}

/// What remains of a file's path below a folder; none if it does not lie there.
pub(super) fn below<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// The folders that a file lies in, from the root down.
pub(super) fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    let inner = path.match_indices('/').map(|(end, _)| &path[..end]);
    std::iter::once("").chain(inner)
}

/// A folder as people write it.
pub(super) fn shown(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_name_however_it_is_written() {
        for text in ["apps/canary", "./apps/canary/", "/apps//canary", "apps/x/../canary"] {
            assert_eq!(clean(text).as_deref(), Some("apps/canary"), "{text}");
        }
        assert_eq!(clean("./").as_deref(), Some(""));
        assert_eq!(clean("apps/../.."), None);
        assert_eq!(join("clusters/prod", "../../apps").as_deref(), Some("apps"));
    }

    #[test]
    fn a_folder_holds_what_lies_in_it_and_not_what_begins_alike() {
        assert_eq!(below("apps/a.yaml", "apps"), Some("a.yaml"));
        assert_eq!(below("apps-old/a.yaml", "apps"), None);
        assert_eq!(below("a.yaml", ""), Some("a.yaml"));
        assert_eq!(folders_of("a/b/c.yaml").collect::<Vec<_>>(), ["", "a", "a/b"]);
    }
}
