//! A file for the textfile collector of `node_exporter`.
//!
//! It is written beside its place and then renamed, so that nobody reads half of it; the other
//! name does not end in `.prom`, so that the collector leaves it alone.

use crate::cli::ways_out::pace::Way;
use crate::export::{Format, Snapshot};
use crate::remote::post::NotTaken;
use async_trait::async_trait;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::{fs, io};
use tokio::task::JoinHandle;

/// One file.
pub(super) struct Textfile {
    path: PathBuf,
    /// The last write: nobody can end one that hangs.
    writing: Option<JoinHandle<Result<(), NotTaken>>>,
}

// === impl Textfile ===

impl Textfile {
    /// A file whose name ends in `.prom`; what is wrong with it, in a sentence.
    pub(super) fn new(path: &Path) -> Result<Self, String> {
        if path.extension().is_none_or(|it| it != "prom") {
            return Err(format!(
                "`--textfile {}` would not be read: give a name that ends in `.prom`",
                path.display()
            ));
        }
        Ok(Self { path: path.to_owned(), writing: None })
    }
}

#[async_trait]
impl Way for Textfile {
    async fn send(&mut self, snapshot: &Snapshot, _: Timestamp) -> Result<(), NotTaken> {
        if self.writing.as_ref().is_some_and(|it| !it.is_finished()) {
            let path = self.path.display();
            let why = format!("the file `{path}` is still being written: check its file system");
            return Err(NotTaken::Refused { status: 0, why });
        }
        let (snapshot, path) = (snapshot.clone(), self.path.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let text = snapshot.encode(Format::Plain);
            write(&path, &text).map_err(|error| NotTaken::Refused {
                status: 0,
                why: format!(
                    "the file `{}` cannot be written ({error}): check its folder, its rights and the space that is left",
                    path.display()
                ),
            })
        });
        self.writing.insert(writing).await.expect("writing does not panic")
    }
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = path.with_file_name(name);
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}
