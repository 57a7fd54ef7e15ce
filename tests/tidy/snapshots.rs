//! No snapshot outlives the test that made it.

use super::tree::{Complaints, File, root, texts};
use std::path::Path;

#[test]
fn every_snapshot_has_the_test_that_made_it() {
    let files = texts();
    let mut complaints = Complaints::default();
    for snapshot in
        files.iter().filter(|it| Path::new(&it.path).extension().is_some_and(|e| e == "snap"))
    {
        let Some(source) = header(snapshot, "source: ") else {
            complaints.at(snapshot, 1, "names no source");
            continue;
        };
        if let Some(input) = header(snapshot, "input_file: ")
            && !root().join(input).exists()
        {
            complaints.at(snapshot, 1, &format!("its input `{input}` is gone"));
        }
        match files.iter().find(|it| it.path == source) {
            None => complaints.at(snapshot, 1, &format!("its source `{source}` is gone")),
            Some(source) if !is_made_by(source, snapshot) => {
                complaints.at(snapshot, 1, &format!("`{}` makes no such snapshot", source.path));
            }
            Some(_) => {}
        }
    }
    complaints.none();
}

/// A line of the head of a snapshot.
fn header<'a>(snapshot: &'a File, key: &str) -> Option<&'a str> {
    let head = snapshot.text.strip_prefix("---\n")?.split("\n---").next()?;
    head.lines().find_map(|it| it.strip_prefix(key)).map(|it| it.trim_matches('"'))
}

/// Whether a test names the snapshot, or the snapshot stands beside the input that it is named
/// after and the test reads that folder.
fn is_made_by(source: &File, snapshot: &File) -> bool {
    let path = Path::new(&snapshot.path);
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let name = stem.rsplit("__").next().unwrap().split('@').next().unwrap();
    let numbered = name.rsplit_once('-').filter(|(_, it)| it.parse::<u32>().is_ok());
    if source.text.contains(name) || numbered.is_some_and(|(it, _)| source.text.contains(it)) {
        return true;
    }
    let input = root().join(path.with_extension("yaml"));
    let folder = path.parent().and_then(Path::file_name).and_then(|it| it.to_str());
    input.exists() && folder.is_some_and(|it| source.text.contains(it))
}
