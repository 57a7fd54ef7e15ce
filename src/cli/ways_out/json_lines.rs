//! Runs as lines of JSON, at the end of a file or on standard output.
//!
//! A line is written at once and as a whole. Where that does not succeed, because the disk is full
//! for example, the next one begins behind a line break, so that only one is lost. A file that was
//! renamed or deleted is made anew.

use crate::cli::ways_out::ear::FinishedRun;
use crate::cli::ways_out::tell::Tell;
use crate::remote::post::NotTaken;
use async_trait::async_trait;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

/// Lines of JSON.
pub(super) struct JsonLines {
    /// Shared with whoever writes, which may have to be left alone.
    page: Arc<Mutex<Page>>,
}

/// Where lines go.
struct Page {
    path: PathBuf,
    file: Option<File>,
    /// The last line is not whole.
    torn: bool,
}

/// What stands for standard output. Opened by its path it has a mode of its own, so that a reader who
/// does not read holds nobody up.
const OUT: &str = "/dev/stdout";

/// How long to wait before a reader that is slow is tried again, and how often.
const AGAIN: Duration = Duration::from_millis(20);
const TRIES: u32 = 100;

// === impl JsonLines ===

impl JsonLines {
    /// Lines at the end of this file; `-` stands for standard output.
    pub(super) fn new(path: &Path) -> Self {
        let path = if is_out(path) { Path::new(OUT) } else { path };
        let page = Page { path: path.to_owned(), file: None, torn: false };
        Self { page: Arc::new(Mutex::new(page)) }
    }
}

/// Whether a path stands for standard output.
pub(super) fn is_out(path: &Path) -> bool {
    path == Path::new("-")
}

#[async_trait]
impl Tell for JsonLines {
    async fn tell(&mut self, run: &FinishedRun) -> Result<(), NotTaken> {
        let line = serde_json::to_string(&run.record).expect("a record is plain data") + "\n";
        let page = self.page.clone();
        let writing = tokio::task::spawn_blocking(move || {
            // A disk that hangs holds one of us, and not one more with each run.
            let mut page = match page.try_lock() {
                Ok(page) => page,
                Err(TryLockError::Poisoned(page)) => page.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    let why = "the line before it is still being written".to_owned();
                    return Err(NotTaken::Later { why, after: None });
                }
            };
            page.write(&line).map_err(|error| NotTaken::Refused {
                status: 0,
                why: format!(
                    "`{}` does not take a line ({error}): check its folder, its rights and the space \
                     that is left",
                    page.path.display()
                ),
            })
        });
        writing.await.expect("writing does not panic")
    }
}

// === impl Page ===

impl Page {
    fn write(&mut self, line: &str) -> io::Result<()> {
        if !self.is_the_same() {
            self.file = None;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.open()?,
        };
        let text = if self.torn { format!("\n{line}") } else { line.to_owned() };
        let written = put(&mut file, text.as_bytes());
        self.file = Some(file);
        match written {
            Ok(()) => {
                self.torn = false;
                Ok(())
            }
            Err((bytes, error)) => {
                // Of a line break alone there is nothing to be mended.
                self.torn = bytes > usize::from(self.torn) || (self.torn && bytes == 0);
                Err(error)
            }
        }
    }

    /// Whether what is open is what the path leads to.
    fn is_the_same(&self) -> bool {
        let id = |it: fs::Metadata| (it.dev(), it.ino());
        let open = self.file.as_ref().and_then(|it| it.metadata().ok()).map(id);
        open.is_some() && open == fs::metadata(&self.path).ok().map(id)
    }

    fn open(&mut self) -> io::Result<File> {
        let options =
            OpenOptions::new().append(true).create(true).custom_flags(libc::O_NONBLOCK).clone();
        let file = options.open(&self.path)?;
        // Somebody was killed while he wrote, or a disk was full.
        self.torn = ends_torn(&self.path);
        Ok(file)
    }
}

/// Writes all of it; what was written, if not all was.
fn put(file: &mut File, mut rest: &[u8]) -> Result<(), (usize, io::Error)> {
    let (whole, mut tries) = (rest.len(), TRIES);
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err((whole - rest.len(), ErrorKind::WriteZero.into())),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            // Only a pipe whose reader is slow.
            Err(error) if error.kind() == ErrorKind::WouldBlock && tries > 0 => {
                tries -= 1;
                std::thread::sleep(AGAIN);
            }
            Err(error) => return Err((whole - rest.len(), error)),
        }
    }
    Ok(())
}

/// Whether a file does not end with a line break. Of what cannot be read, nobody knows.
fn ends_torn(path: &Path) -> bool {
    let last = || {
        let is_file = fs::metadata(path)?.is_file();
        let mut last = [b'\n'];
        if is_file {
            let mut file = File::open(path)?;
            if file.seek(SeekFrom::End(0))? > 0 {
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
            }
        }
        io::Result::Ok(last[0] != b'\n')
    };
    last().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &Path) -> Page {
        Page { path: path.to_owned(), file: None, torn: false }
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn lines_go_to_the_end_of_what_has_the_name_now() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("runs"), folder.path().join("runs.1"));
        fs::write(&path, "there before\n").unwrap();
        let mut page = page(&path);
        page.write("one\n").unwrap();
        fs::rename(&path, &old).unwrap();
        page.write("two\n").unwrap();
        fs::remove_file(&path).unwrap();
        page.write("three\n").unwrap();
        page.write("four\n").unwrap();
        assert_eq!(
            (read(&old), read(&path)),
            ("there before\none\n".into(), "three\nfour\n".into())
        );
    }

    #[test]
    fn behind_half_a_line_the_next_one_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs");
        fs::write(&path, "whole\nhal").unwrap();
        page(&path).write("one\n").unwrap();
        assert_eq!(read(&path), "whole\nhal\none\n");
        let mut torn = Page {
            torn: true,
            file: Some(OpenOptions::new().append(true).open(&path).unwrap()),
            path,
        };
        torn.write("two\n").unwrap();
        torn.write("three\n").unwrap();
        assert_eq!(read(&torn.path), "whole\nhal\none\n\ntwo\nthree\n");
    }

    #[test]
    fn a_full_disk_tears_nothing() {
        let mut full = page(Path::new("/dev/full"));
        let error = full.write("one\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(!full.torn);
    }

    #[test]
    fn a_reader_who_does_not_read_is_not_waited_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        // Nobody has it open for reading.
        let error = page(&path).write("one\n").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
        let mut reader =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        let mut pipe = page(&path);
        let error = pipe.write(&("x".repeat(1 << 20) + "\n")).unwrap_err();
        assert_eq!((error.kind(), pipe.torn), (ErrorKind::WouldBlock, true));
        let mut come = Vec::new();
        // It would block for more.
        let _ = reader.read_to_end(&mut come);
        assert!(come.len() > 1000 && come.iter().all(|it| *it == b'x'));
        pipe.write("two\n").unwrap();
        come.clear();
        let _ = reader.read_to_end(&mut come);
        assert_eq!(come, b"\ntwo\n");
    }
}
