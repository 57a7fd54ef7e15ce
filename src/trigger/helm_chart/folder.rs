//! Reads a folder with a chart, as `helm package` would take it.

use crate::trigger::helm_chart::archive::Files;
use crate::trigger::helm_chart::lint::LARGEST;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::io;
use std::path::{Path, PathBuf};

/// Which files Helm leaves out.
const IGNORE: &str = ".helmignore";

/// Most folders below each other.
const MOST_LEVELS: usize = 12;

/// Reads all files of a chart, but for those that it ignores.
pub(super) fn read(folder: &Path) -> io::Result<Files> {
    let mut ignored = GitignoreBuilder::new(folder);
    for line in std::fs::read_to_string(folder.join(IGNORE)).unwrap_or_default().lines() {
        // A pattern that cannot be read ignores nothing.
        let _ = ignored.add_line(None, line);
    }
    let ignored = ignored.build().unwrap_or_else(|_| Gitignore::empty());
    let (mut files, mut open, mut size) = (Files::new(), vec![(PathBuf::new(), 0)], 0);
    while let Some((inner, level)) = open.pop() {
        for entry in std::fs::read_dir(folder.join(&inner))? {
            let name = entry?.file_name();
            let Some(text) = name.to_str() else { continue };
            // Mounted ConfigMaps keep their versions in folders of such names.
            if text == ".git" || text.starts_with("..") {
                continue;
            }
            let path = inner.join(&name);
            let whole = folder.join(&path);
            let about = std::fs::metadata(&whole)?;
            if ignored.matched(&path, about.is_dir()).is_ignore() {
                continue;
            }
            if about.is_dir() && level < MOST_LEVELS {
                open.push((path, level + 1));
            } else if about.is_file() && size <= LARGEST {
                let content = std::fs::read(whole)?;
                size += content.len();
                let parts = path.iter().filter_map(|it| it.to_str()).collect::<Vec<_>>();
                files.insert(parts.join("/"), content);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_without_what_helm_ignores() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("Chart.yaml", "name: a");
        put("templates/a.yaml", "a");
        put("templates/notes.bak", "b");
        put("ci/values.yaml", "c");
        put(".git/config", "d");
        put(".helmignore", "*.bak\n/ci/\n");
        let files = read(folder.path()).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, [".helmignore", "Chart.yaml", "templates/a.yaml"]);
        assert!(read(&folder.path().join("none")).is_err());
    }
}
