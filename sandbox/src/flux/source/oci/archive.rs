//! Unpacking the archive of an artifact's layer.
//!
//! Only what archives of manifests hold: plain files and folders. Links and devices are passed over,
//! as they have no place in what is applied.

use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;

use crate::flux::artifacts::Files;

/// The unit of which archives are made.
const BLOCK: usize = 512;

/// The one file of an artifact that is a layer as it was pushed, and not what is in it.
pub(super) const COPIED: &str = "layer.tar.gz";

/// The files of an artifact as somebody sees them who downloads it: a layer that was copied is an
/// archive like any other.
pub(crate) fn opened(files: &Arc<Files>) -> Arc<Files> {
    let copied = files.get(COPIED).filter(|_| files.len() == 1);
    copied.and_then(|it| unpack(it).ok()).map_or(files.clone(), Arc::new)
}

/// The files in a compressed archive.
pub(super) fn unpack(bytes: &[u8]) -> Result<Files, String> {
    let mut archive = Vec::new();
    GzDecoder::new(bytes)
        .read_to_end(&mut archive)
        .map_err(|_| "requires gzip-compressed body: gzip: invalid header".to_owned())?;
    let mut files = Files::new();
    let mut rest = archive.as_slice();
    while let Some((header, content)) = rest.split_at_checked(BLOCK) {
        if header.iter().all(|it| *it == 0) {
            break;
        }
        let size = octal(&header[124..136]).ok_or("archive/tar: invalid tar header")?;
        let taken = size.next_multiple_of(BLOCK);
        if content.len() < taken {
            return Err("unexpected EOF".to_owned());
        }
        if matches!(header[156], b'0' | 0) {
            let name = name_of(header)?;
            files.insert(name, content[..size].to_vec());
        }
        rest = &content[taken..];
    }
    Ok(files)
}

/// The path of an entry, cut in two where it is long.
fn name_of(header: &[u8]) -> Result<String, String> {
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let path = path.strip_prefix("./").unwrap_or(&path);
    if path.is_empty() || path.starts_with('/') || path.split('/').any(|it| it == "..") {
        return Err(format!("tar contained invalid name error {path:?}"));
    }
    Ok(path.to_owned())
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|it| *it == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn octal(field: &[u8]) -> Option<usize> {
    usize::from_str_radix(text(field).trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::registry::archive_of;

    #[test]
    fn an_archive_is_unpacked_as_it_was_packed() {
        let long = format!("{}/{}.yaml", "folder".repeat(15), "name".repeat(10));
        let files = [("a.yaml", "x: 1\n"), (long.as_str(), ""), ("b/c.txt", "text")];
        let unpacked = unpack(&archive_of(&files)).unwrap();
        let expected: Files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        assert_eq!(unpacked, expected);
    }

    #[test]
    fn what_is_no_archive_or_leaves_its_folder_is_refused() {
        assert!(unpack(b"plain").is_err());
        assert!(unpack(&archive_of(&[("../a", "x")])).unwrap_err().contains("invalid name"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&[b'x'; 700]).unwrap();
        assert!(unpack(&encoder.finish().unwrap()).is_err());
    }
}
