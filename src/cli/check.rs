//! `hopclock check`: says everything that is wrong with scenario files, without a cluster.

use crate::cli::args::CheckArguments;
use crate::cli::{Exit, complain, print};
use crate::config::{self, Scenario};
use std::path::{Path, PathBuf};

/// Checks files and directories.
pub(super) fn check(arguments: &CheckArguments) -> Exit {
    let Some(scenarios) = load(&arguments.files) else { return Exit::Usage };
    let lines = scenarios.iter().map(|it| {
        let note = "; its source is shared: `run` counts whom each run wakes";
        let shared = if it.trigger.kind().is_shared() { note } else { "" };
        let hops = match &it.target {
            Some(target) => format!("its path to {} is to be discovered", target.config.subject()),
            None => format!("{} hops", it.hops.len()),
        };
        format!("scenario `{}` is right: {hops}{shared}\n", it.name)
    });
    match print(&lines.collect::<String>()) {
        Ok(()) => Exit::Delivered,
        Err(_) => Exit::Unmeasured,
    }
}

/// Loads files, and directories of them; says what is wrong with any, and gives none then.
pub(super) fn load(paths: &[PathBuf]) -> Option<Vec<Scenario>> {
    let files = match list(paths) {
        Ok(files) => files,
        Err(error) => {
            complain(&error);
            return None;
        }
    };
    match config::load(&files) {
        Ok(scenarios) => Some(scenarios),
        Err(problems) => {
            complain(&problems);
            None
        }
    }
}

/// The files that are meant: directories stand for their `*.yaml` and `*.yml`.
fn list(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = in_directory(path)?;
            if found.is_empty() {
                return Err(format!("`{}` holds no `*.yaml` or `*.yml` file", path.display()));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn in_directory(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("cannot read the directory `{}`: {error}", path.display());
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|it| it == "yaml" || it == "yml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
