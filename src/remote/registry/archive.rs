//! The compressed archive in an artifact's layer, or of a chart.
//!
//! The same files make the same bytes, always: without times, owners and modes of this machine. So a
//! digest can be announced before anything is sent (rule T1).

use crate::remote::registry::artifact::compressed;

/// The unit of which archives are made.
const BLOCK: usize = 512;

/// Longest name of a file in its folder, and longest path of that.
const LONGEST: (usize, usize) = (100, 155);

/// Whether a path can stand in an archive.
#[must_use]
pub fn fits_archive(path: &str) -> bool {
    split(path).is_some()
}

/// An archive of files by their path, in their order, compressed. What does not fit
/// ([`fits_archive`]) is left out.
#[must_use]
pub fn archive(files: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, content) in files {
        let content = content.as_ref();
        let Some(header) = header(path.as_ref(), content.len()) else { continue };
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    compressed(&archive)
}

/// The block before a file, as POSIX has it (`ustar`).
fn header(path: &str, size: usize) -> Option<[u8; BLOCK]> {
    let (folder, name) = split(path)?;
    let mut block = [0; BLOCK];
    let fields = [
        (0, name),
        (100, "0000644"),
        (108, "0000000"),
        (116, "0000000"),
        (124, &format!("{size:011o}")),
        (136, "00000000000"),
        // The sum counts its own field as blanks.
        (148, "        "),
        (156, "0"),
        (257, "ustar\u{0}00"),
        (345, folder),
    ];
    for (at, text) in fields {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    let sum: u32 = block.iter().map(|it| u32::from(*it)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// Folder and name; a path that is short enough stays in one piece.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= LONGEST.0 {
        return Some(("", path));
    }
    let cuts = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    let mut fitting = cuts.filter(|it| it.0.len() <= LONGEST.1 && it.1.len() <= LONGEST.0);
    fitting.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::process::Command;

    #[test]
    fn the_same_files_make_the_same_archive_and_tar_unpacks_it() {
        let long = format!("{}/canary.yaml", "folder/".repeat(18).trim_end_matches('/'));
        let files = BTreeMap::from([
            ("a.yaml".to_owned(), b"x: 1\n".to_vec()),
            (long.clone(), vec![b'y'; 600]),
        ]);
        assert_eq!(archive(&files), archive(&files));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tgz");
        std::fs::write(&file, archive(&files)).unwrap();
        let unpacked = Command::new("tar").arg("-xzf").arg(&file).current_dir(&folder).status();
        assert!(unpacked.unwrap().success());
        for (path, content) in &files {
            assert_eq!(&std::fs::read(folder.path().join(path)).unwrap(), content, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_too_long_does_not_fit() {
        assert!(fits_archive("canary/configmap.yaml"));
        assert!(!fits_archive(&"x".repeat(101)));
        assert!(!fits_archive(&format!("{}/a", "folder/".repeat(40))));
    }
}
