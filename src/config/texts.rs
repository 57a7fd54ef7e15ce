//! The files of a directory as they were read, before anything is understood of them.
//!
//! Whoever looks at a directory again and again compares what it read, and understands it only if
//! it is something else: with many scenarios that is the larger part of the work.

use super::{
    Found, Mistake, Problem, Problems, contents, files_of, load_one, of_directory, same_names,
    to_json,
};
use aws_lc_rs::digest::{Context, SHA256};
use std::borrow::Cow;
use std::path::Path;

/// The `.yaml` and `.yml` files of a directory, in the order of their names.
pub struct Texts(Vec<(String, Result<String, Mistake>)>);

// === impl Texts ===

impl Texts {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read. One without such files is empty.
    pub fn read(directory: &Path) -> Result<Self, Problems> {
        let files = match files_of(directory) {
            Err(Mistake::EmptyDirectory) => Vec::new(),
            files => files.map_err(|mistake| of_directory(directory, &mistake))?,
        };
        let all = files.iter().map(|path| (path.display().to_string(), contents(path)));
        Ok(Self(all.collect()))
    }

    /// Equal for equal names and texts: 32 bytes, SHA-256 of all of them.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        let mut context = Context::new(&SHA256);
        for (file, text) in &self.0 {
            let (kind, text) = match text {
                Ok(text) => (0, Cow::Borrowed(text)),
                Err(mistake) => (1, Cow::Owned(mistake.to_string())),
            };
            for part in [file, &*text] {
                context.update(&part.len().to_le_bytes());
                context.update(part.as_bytes());
            }
            context.update(&[kind]);
        }
        context.finish().as_ref().to_vec()
    }

    /// Looks at each by itself: one that is broken keeps no other from being used. A name that two
    /// of them share is a mistake of the later one.
    #[must_use]
    pub fn survey(self) -> Vec<Found> {
        let mut loaded = Vec::new();
        let mut found = Vec::new();
        for (file, text) in self.0 {
            let text = text.map_err(|it| vec![Problem::of_file(&file, &it)]);
            let fingerprint = text.as_ref().ok().and_then(|it| to_json(&file, it).ok());
            let scenario = text.and_then(|it| load_one(&file, &it)).and_then(|it| {
                let scenario = Box::new(it.scenario.clone());
                loaded.push(it);
                match same_names(&loaded) {
                    problems if problems.is_empty() => Ok(scenario),
                    problems => {
                        loaded.pop();
                        Err(problems)
                    }
                }
            });
            let scenario = scenario.map_err(Problems::of);
            let fingerprint = fingerprint.map(|it| it.to_string()).unwrap_or_default();
            found.push(Found { file, fingerprint, scenario });
        }
        found
    }
}
