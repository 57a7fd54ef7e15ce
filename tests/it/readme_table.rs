//! Tables of the README that are written from the code.

use std::sync::Mutex;

/// Several tables may be written anew at once, each by a test of its own.
static WRITING: Mutex<()> = Mutex::new(());

/// Compares what stands between two lines of the README with the table that is to stand there; writes
/// it there instead, where `UPDATE` is set. `test` is the filter by which that is asked for.
pub(crate) fn check((begin, end): (&str, &str), table: &str, test: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let _one = WRITING.lock();
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once(begin).expect("the beginning of the table");
    let (committed, tail) = rest.split_once(end).expect("the end of the table");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{head}{begin}{table}{end}{tail}")).unwrap();
        return;
    }
    assert!(committed == table, "run `UPDATE=1 cargo test --test it {test}` and commit");
}
