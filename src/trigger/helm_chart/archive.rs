//! The archive of a chart: a compressed tar, the same bytes for the same files.
//!
//! It is written without times, owners and names of a machine, so that the digest of a chart can be
//! announced before it is sent (rule T1).

use crate::model::CanaryId;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io::{Read, Write};

/// Files by their path, with `/` between folders.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Bytes of a block of a tar.
const BLOCK: usize = 512;

/// Longest last part of a path, and longest part before it.
const LONGEST: (usize, usize) = (100, 155);

/// Most bytes that are unpacked of somebody's archive.
const MOST_UNPACKED: u64 = 16 << 20;

/// Whether a path fits into an archive.
pub(super) fn fits(path: &str) -> bool {
    split(path).is_some()
}

/// The archive with these files, the first of all `first`.
pub(super) fn compressed(folder: &str, first: &str, files: &Files) -> Vec<u8> {
    let mut tar = Vec::new();
    let rest = files.iter().filter(|it| it.0 != first);
    for (path, content) in files.get_key_value(first).into_iter().chain(rest) {
        append(&mut tar, &format!("{folder}/{path}"), content);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&tar).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

/// Whether an archive holds a canary of this instance.
pub(super) fn is_canary_of(archive: &[u8], instance: &str) -> bool {
    let mut unpacked = Vec::new();
    // What is no archive, or only the beginning of one, is read as far as it goes.
    let _ = GzDecoder::new(archive).take(MOST_UNPACKED).read_to_end(&mut unpacked);
    CanaryId::find_in(&String::from_utf8_lossy(&unpacked)).any(|it| it.instance() == instance)
}

/// One file: a header as POSIX has it (`ustar`), and the content in whole blocks.
fn append(tar: &mut Vec<u8>, path: &str, content: &[u8]) {
    let (before, last) = split(path).unwrap_or(("", path));
    let mut header = [0_u8; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, last);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    // The checksum counts its own field as blanks.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    put(345, before);
    let sum: u32 = header.iter().map(|it| u32::from(*it)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// A path in the two parts of a header; none if it fits in no way.
fn split(path: &str) -> Option<(&str, &str)> {
    let (last, before) = LONGEST;
    if path.len() <= last {
        return Some(("", path));
    }
    let mut places = path.match_indices('/').map(|(at, _)| at);
    let at = places.find(|at| path.len() - at - 1 <= last && *at <= before)?;
    Some((&path[..at], &path[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_its_files_and_is_the_same_each_time() {
        let long = format!("templates/{}/{}.yaml", "a".repeat(90), "b".repeat(60));
        let files = Files::from([
            ("Chart.yaml".to_owned(), b"name: c\n".to_vec()),
            (".helmignore".to_owned(), Vec::new()),
            (long.clone(), vec![b'x'; 600]),
        ]);
        let archive = compressed("canary", "Chart.yaml", &files);
        assert_eq!(archive, compressed("canary", "Chart.yaml", &files));
        assert_eq!(&archive[4..8], [0; 4], "no time in the header");
        let mut tar = Vec::new();
        GzDecoder::new(&archive[..]).read_to_end(&mut tar).unwrap();
        assert_eq!(tar.len() % BLOCK, 0);
        assert!(tar.starts_with(b"canary/Chart.yaml\0"), "helm looks for it first");
        assert!(fits(&format!("canary/{long}")));
        assert!(!fits(&"x".repeat(101)));
    }
    #[test]
    fn an_archive_tells_whose_canary_it_holds() {
        let chart = |text: &str| {
            compressed("c", "Chart.yaml", &Files::from([("Chart.yaml".to_owned(), text.into())]))
        };
        let ours = chart("annotations: {hopclock.dev/canary: team-a-1a1fbe67da8}\n");
        assert!(is_canary_of(&ours, "team-a"));
        assert!(!is_canary_of(&ours, "team-b"));
        assert!(!is_canary_of(&chart("name: web\n"), "team-a"));
        assert!(!is_canary_of(b"team-a-1a1fbe67da8", "team-a"), "it is no archive");
    }
}
