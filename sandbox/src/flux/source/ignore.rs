//! Which files of a commit become part of the artifact.
//!
//! Patterns are those of git's ignore files: the built-in list, every `.sourceignore`, then
//! `spec.ignore`, and the last pattern that fits decides. A commit that touches only ignored files
//! has a new revision but an old digest, which is why a canary must not be one of them.

use crate::flux::artifacts::Files;

/// What is left out unless a later pattern takes it back in.
const BUILT_IN: &[&str] = &[
    ".git/",
    ".gitignore",
    ".gitmodules",
    ".gitattributes",
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

struct Pattern {
    folder: String,
    glob: String,
    negated: bool,
    folders_only: bool,
    anchored: bool,
}

/// The files that are not ignored.
pub(super) fn keep(files: Files, spec_ignore: Option<&str>) -> Files {
    let mut patterns: Vec<Pattern> =
        BUILT_IN.iter().filter_map(|line| Pattern::parse("", line)).collect();
    for (path, content) in &files {
        let folder = match path.rsplit_once('/') {
            Some((folder, ".sourceignore")) => folder,
            None if path == ".sourceignore" => "",
            _ => continue,
        };
        let text = String::from_utf8_lossy(content);
        patterns.extend(text.lines().filter_map(|line| Pattern::parse(folder, line)));
    }
    let spec = spec_ignore.unwrap_or_default();
    patterns.extend(spec.lines().filter_map(|line| Pattern::parse("", line)));
    files.into_iter().filter(|(path, _)| !ignored(&patterns, path)).collect()
}

/// Whether a bucket's own rules leave an object out: those of the ignore file at its root, then those
/// of `spec.ignore`. The built-in list is for repositories.
pub(crate) fn leaves_out(root: &str, spec_ignore: &str, key: &str) -> bool {
    let lines = root.lines().chain(spec_ignore.lines());
    let patterns: Vec<Pattern> = lines.filter_map(|line| Pattern::parse("", line)).collect();
    ignored(&patterns, key)
}

/// The files below the folders of a sparse checkout; the first folder that is missing is an error.
pub(super) fn sparse(files: Files, folders: &[String]) -> Result<Files, String> {
    let clean: Vec<String> = folders
        .iter()
        .map(|folder| format!("{}/", folder.trim_start_matches("./").trim_matches('/')))
        .collect();
    for folder in &clean {
        if folder != "/" && !files.keys().any(|path| path.starts_with(folder.as_str())) {
            return Err(folder.trim_end_matches('/').to_owned());
        }
    }
    let wanted = |path: &str| clean.iter().any(|folder| folder == "/" || path.starts_with(folder));
    Ok(files.into_iter().filter(|(path, _)| clean.is_empty() || wanted(path)).collect())
}

fn ignored(patterns: &[Pattern], path: &str) -> bool {
    patterns.iter().rev().find(|pattern| pattern.fits(path)).is_some_and(|last| !last.negated)
}

impl Pattern {
    fn parse(folder: &str, line: &str) -> Option<Self> {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (negated, glob) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (folders_only, glob) =
            glob.strip_suffix('/').map_or((false, glob), |rest| (true, rest));
        let anchored = glob.contains('/');
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let glob = glob.trim_start_matches('/').to_owned();
        Some(Self { folder, glob, negated, folders_only, anchored })
    }

    /// Whether the file, or a folder that it is in, fits.
    fn fits(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix(self.folder.as_str()) else { return false };
        let parts: Vec<&str> = path.split('/').collect();
        let deepest = if self.folders_only { parts.len() - 1 } else { parts.len() };
        (1..=deepest).any(|depth| {
            if self.anchored {
                let glob: Vec<&str> = self.glob.split('/').collect();
                path_fits(&glob, &parts[..depth])
            } else {
                name_fits(self.glob.as_bytes(), parts[depth - 1].as_bytes())
            }
        })
    }
}

fn path_fits(glob: &[&str], parts: &[&str]) -> bool {
    match (glob.split_first(), parts.split_first()) {
        (None, None) | (Some((&"**", [])), Some(_)) => true,
        (Some((&"**", rest)), _) => (0..=parts.len()).any(|skip| path_fits(rest, &parts[skip..])),
        (Some((first, glob)), Some((name, parts))) => {
            name_fits(first.as_bytes(), name.as_bytes()) && path_fits(glob, parts)
        }
        _ => false,
    }
}

fn name_fits(glob: &[u8], name: &[u8]) -> bool {
    match (glob.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| name_fits(rest, &name[skip..])),
        (Some((b'?', glob)), Some((_, name))) => name_fits(glob, name),
        (Some((wanted, glob)), Some((byte, name))) => wanted == byte && name_fits(glob, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Files {
        paths.iter().map(|path| ((*path).to_owned(), Vec::new())).collect()
    }

    fn kept(paths: &[&str], ignore: &str) -> Vec<String> {
        keep(files(paths), Some(ignore)).into_keys().collect()
    }

    #[test]
    fn pictures_and_pipelines_are_no_part_of_an_artifact() {
        let paths = ["apps/a.yaml", "apps/logo.png", ".github/workflows/x.yml", "a/.sops.yaml"];
        assert_eq!(kept(&paths, ""), ["apps/a.yaml"]);
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        let paths = ["apps/a.yaml", "apps/b.yaml", "docs/x.md"];
        assert_eq!(kept(&paths, "/*\n!/apps/"), ["apps/a.yaml", "apps/b.yaml"]);
        assert_eq!(kept(&paths, "*.yaml\n!b.yaml\ndocs/"), ["apps/b.yaml"]);
    }

    #[test]
    fn a_bucket_has_no_rules_but_its_own() {
        assert!(!leaves_out("", "", "logo.png"));
        assert!(leaves_out("*.png", "", "logo.png"));
        assert!(!leaves_out("*.png", "!logo.png", "logo.png"));
    }

    #[test]
    fn two_stars_cross_folders_and_one_does_not() {
        let paths = ["a/b/c.yaml", "a/c.yaml"];
        assert_eq!(kept(&paths, "a/*/c.yaml"), ["a/c.yaml"]);
        assert!(kept(&paths, "a/**/c.yaml").is_empty());
    }

    #[test]
    fn an_ignore_file_speaks_for_its_own_folder() {
        let mut all = files(&["apps/x.md", "x.md"]);
        all.insert("apps/.sourceignore".to_owned(), b"# notes\n*.md\n".to_vec());
        let kept: Vec<String> = keep(all, None).into_keys().collect();
        assert_eq!(kept, ["apps/.sourceignore", "x.md"]);
    }

    #[test]
    fn a_sparse_checkout_keeps_its_folders_and_misses_those_that_are_not_there() {
        let all = files(&["apps/a.yaml", "infra/b.yaml"]);
        let kept = sparse(all.clone(), &["./apps".to_owned()]).unwrap();
        assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["apps/a.yaml"]);
        assert_eq!(sparse(all, &["nope".to_owned()]), Err("nope".to_owned()));
    }
}
