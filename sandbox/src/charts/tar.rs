//! Tar archives, packed with gzip: as much of them as charts need.
//!
//! Plain files with short names, written without times and owners, so that equal content makes
//! equal bytes and with them equal digests.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// The unit of an archive.
const BLOCK: usize = 512;

/// Packs files; the order is that of their paths.
pub(super) fn pack(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, content) in files {
        archive.extend_from_slice(&header(path, content.len()));
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&archive).expect("writing to memory does not fail");
    encoder.finish().expect("writing to memory does not fail")
}

/// Unpacks the plain files of an archive; the error says what is wrong with it.
pub(super) fn unpack(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut archive = Vec::new();
    let mut decoder = GzDecoder::new(bytes);
    decoder.read_to_end(&mut archive).map_err(|_| "gzip: invalid header".to_owned())?;
    let mut files = BTreeMap::new();
    let mut rest = archive.as_slice();
    while rest.len() >= BLOCK && rest[0] != 0 {
        let (header, behind) = rest.split_at(BLOCK);
        let broken = || "archive/tar: invalid tar header".to_owned();
        let size =
            usize::from_str_radix(text(&header[124..136]).trim(), 8).map_err(|_| broken())?;
        let content = behind.get(..size).ok_or_else(|| "unexpected EOF".to_owned())?;
        let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if matches!(header[156], b'0' | 0) {
            files.insert(path.trim_start_matches("./").to_owned(), content.to_vec());
        }
        rest = behind.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    Ok(files)
}

fn header(path: &str, size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    let (prefix, name) = match path.char_indices().rev().find(|(at, c)| *c == '/' && *at < 155) {
        Some((at, _)) if path.len() > 100 => (&path[..at], &path[at + 1..]),
        _ => ("", path),
    };
    put(0, &name[..name.len().min(100)]);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    put(345, prefix);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    header[148..156].copy_from_slice(sum.as_bytes());
    header
}

/// The text up to the first zero.
fn text(field: &[u8]) -> &str {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_and_equal_files_make_equal_bytes() {
        let long = format!("demo/{}/values.yaml", "folder/".repeat(14));
        let files = BTreeMap::from([
            ("demo/Chart.yaml".to_owned(), b"name: demo\n".to_vec()),
            ("demo/empty".to_owned(), Vec::new()),
            (long, vec![7; 1500]),
        ]);
        assert_eq!(pack(&files), pack(&files));
        assert_eq!(unpack(&pack(&files)), Ok(files));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert_eq!(unpack(b"hello"), Err("gzip: invalid header".to_owned()));
    }
}
