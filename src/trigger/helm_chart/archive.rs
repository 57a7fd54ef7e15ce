//! The archive of a chart: a compressed tar, the same bytes for the same files.
//!
//! It is written without times, owners and names of a machine, so that the digest of a chart can be
//! announced before it is sent (rule T1).

use crate::model::CanaryId;
use crate::remote::registry::archive;
use flate2::read::GzDecoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Files by their path, with `/` between folders.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Most bytes that are unpacked of somebody's archive.
const MOST_UNPACKED: u64 = 16 << 20;

/// The archive with these files, the first of all `first`.
pub(super) fn compressed(folder: &str, first: &str, files: &Files) -> Vec<u8> {
    let rest = files.iter().filter(|it| it.0 != first);
    let all = files.get_key_value(first).into_iter().chain(rest);
    archive(all.map(|(path, content)| (format!("{folder}/{path}"), content)))
}

/// Whether an archive holds a canary of this instance.
pub(super) fn is_canary_of(archive: &[u8], instance: &str) -> bool {
    instances_in(archive).contains(instance)
}

/// The instances whose canaries an archive holds.
pub(super) fn instances_in(archive: &[u8]) -> BTreeSet<String> {
    let mut unpacked = Vec::new();
    // What is no archive, or only the beginning of one, is read as far as it goes.
    let _ = GzDecoder::new(archive).take(MOST_UNPACKED).read_to_end(&mut unpacked);
    let text = String::from_utf8_lossy(&unpacked);
    let ids = CanaryId::find_in(&text).map(|it| it.instance().to_owned());
    // Bare digits may be anything.
    ids.filter(|it| !it.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::registry::fits_archive;

    /// Bytes of a block of a tar.
    const BLOCK: usize = 512;

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
        assert!(fits_archive(&format!("canary/{long}")));
        assert!(!fits_archive(&"x".repeat(101)));
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
