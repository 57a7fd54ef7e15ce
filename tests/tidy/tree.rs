//! The files of the project, and the list of what is wrong with them.

use super::scrub::{find_token, scrub, test_lines};
use std::fs;
use std::path::{Path, PathBuf};

/// One text file.
pub(crate) struct File {
    /// From the project's folder on, with `/` between the parts.
    pub(crate) path: String,
    /// What stands in it.
    pub(crate) text: String,
    code: String,
    tests: Vec<bool>,
}

/// Everything that breaks a rule.
#[derive(Default)]
pub(crate) struct Complaints(Vec<String>);

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    let now = std::env::var_os("CARGO_MANIFEST_DIR");
    now.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// Every file of ours that is text, and no file that a build or an editor left behind.
pub(crate) fn texts() -> Vec<File> {
    let mut paths = Vec::new();
    collect(&root(), &mut paths);
    paths.sort();
    assert!(paths.len() > 20, "no project in `{}`", root().display());
    paths.iter().filter_map(|it| File::read(it)).collect()
}

/// Every Rust file whose path begins with one of `folders`.
pub(crate) fn rust(folders: &[&str]) -> Vec<File> {
    let mut files = texts();
    files.retain(|it| it.is_rust() && folders.iter().any(|folder| it.path.starts_with(folder)));
    assert!(!files.is_empty(), "no Rust in {folders:?}");
    let declared: Vec<String> = files.iter().flat_map(File::test_modules).collect();
    for file in &mut files {
        let path = file.path.clone();
        if declared
            .iter()
            .any(|it| path == format!("{it}.rs") || path.starts_with(&format!("{it}/")))
        {
            file.tests = vec![true; file.tests.len()];
        }
    }
    files
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    if folder.join("CACHEDIR.TAG").exists() {
        return;
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true if name == ".git" || name == "target" => {}
            true => collect(&path, paths),
            false if name == ".git" || name.ends_with(".snap.new") => {}
            false => paths.push(path),
        }
    }
}

// === impl File ===

impl File {
    fn read(path: &Path) -> Option<Self> {
        let text = String::from_utf8(fs::read(path).ok()?).ok()?;
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        let rust = Path::new(&path).extension().is_some_and(|it| it == "rs");
        let code = if rust { scrub(&text) } else { String::new() };
        let whole = ["tests/", "sandbox/tests/", "benches/", "sandbox/benches/"];
        let tests = if whole.iter().any(|it| path.starts_with(it)) {
            vec![true; code.lines().count()]
        } else {
            test_lines(&code)
        };
        Some(Self { path, text, code, tests })
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == "rs")
    }

    /// Its code without prose: number of the line, the line, whether it only exists for tests.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let lines = self.code.lines().zip(&self.tests).enumerate();
        lines.map(|(at, (line, test))| (at + 1, line, *test))
    }

    /// The folder of `src` that it lies in, if it lies in one.
    pub(crate) fn layer(&self) -> Option<&str> {
        Some(self.path.strip_prefix("src/")?.split_once('/')?.0)
    }

    /// Paths, without the ending, of the files that it declares as tests.
    fn test_modules(&self) -> Vec<String> {
        let base = self.path.strip_suffix(".rs").unwrap();
        let base = base.strip_suffix("/mod").unwrap_or(base);
        let names = self.code().filter(|(_, _, test)| *test).filter_map(|(_, line, _)| {
            let at = find_token(line, "mod")?;
            line[at + 3..].trim().strip_suffix(';').map(str::to_owned)
        });
        names.map(|name| format!("{base}/{name}")).collect()
    }
}

// === impl Complaints ===

impl Complaints {
    /// Notes that a line breaks a rule.
    pub(crate) fn at(&mut self, file: &File, line: usize, what: &str) {
        self.0.push(format!("{}:{line}: {what}", file.path));
    }

    /// Fails with all that was noted.
    #[track_caller]
    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "{} against the rule:\n{}\n", self.0.len(), self.0.join("\n"));
    }
}
