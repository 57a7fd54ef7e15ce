//! Scenarios, secrets and folders that are of no use, and the sentence that each gets.

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, has, hopclock, scenario, told};
use insta::assert_snapshot;
use std::path::Path;
use std::process::Command;

#[tokio::test]
async fn a_scenario_that_cannot_be_read_is_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    write("list.yaml", b"- a\n- list\n");
    write("open.yaml", b"name: [\n");
    write("latin.yaml", b"name: caf\xe9\n");
    write("typo.yaml", scenario("canary", SOURCE, HOPS).replace("deadline", "dedline").as_bytes());
    write("one.yaml", scenario("canary", SOURCE, HOPS).as_bytes());
    write("two.yaml", scenario("canary", SOURCE, HOPS).as_bytes());
    let mut page = Page::default();
    for files in [
        ["missing.yaml"].as_slice(),
        &["empty"],
        &["list.yaml"],
        &["open.yaml"],
        &["latin.yaml"],
        &["typo.yaml"],
        &["one.yaml", "two.yaml"],
        &["missing.yaml", "typo.yaml", "one.yaml"],
    ] {
        for command in ["run", "check"] {
            let arguments: Vec<_> = [command].iter().chain(files).copied().collect();
            let told = told(hopclock(folder.path(), &arguments)).await;
            assert_eq!((told.code, told.out.as_str()), (Some(2), ""), "{files:?}");
            if command == "check" {
                page.add(&files.join(" "), told.err.trim_end());
            }
        }
    }
    check(|| assert_snapshot!("bad_files_scenarios", page.text()));
}

#[tokio::test]
async fn a_secret_that_is_not_where_it_should_be_is_named() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    stage.file("empty", "\n");
    stage.file("spaces", "a b\nc\n");
    for (title, password) in [
        ("no variable", "{ env: GIT_TOKEN }"),
        ("an empty variable", "{ env: EMPTY }"),
        ("no file", "{ file: missing }"),
        ("a directory", "{ file: / }"),
        ("an empty file", "{ file: empty }"),
        ("a line break within", "{ file: spaces }"),
    ] {
        let auth = format!(", auth: {{ bearer: {password} }}");
        let mut call = stage.call(&[
            "run",
            stage.scenario(
                &format!("url: '{}'{auth}", stage.url),
                "
  - source_fetched: { git_repository: flux-system/canary }
  - live: { config_map: hopclock/canary }
",
            ),
        ]);
        call.env("EMPTY", "");
        stage.refuse(&mut page, title, 3, call).await;
    }
    check(|| assert_snapshot!("bad_files_secrets", page.text()));
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_named() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let file = stage.scenario(SOURCE, HOPS);
    stage.file("taken", "a file\n");
    let below_a_file = stage.folder.path().join("taken/cache");
    let mut call = stage.call(&["run", file]);
    call.env("HOPCLOCK_CACHE_DIR", &below_a_file);
    stage.refuse(&mut page, "below a file", 3, call).await;
    let mut call = stage.call(&["run", file]);
    call.env("HOPCLOCK_CACHE_DIR", "/proc/hopclock");
    stage.refuse(&mut page, "where nobody may write", 3, call).await;
    check(|| assert_snapshot!("bad_files_cache", page.text()));
}

/// A file system of a few pages; gone when dropped.
struct Tiny<'f>(&'f Path);

impl Tiny<'_> {
    fn mount(folder: &Path) -> Option<Tiny<'_>> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32k", "tiny"]).arg(folder);
        mount.output().is_ok_and(|it| it.status.success()).then_some(Tiny(folder))
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let stage = Stage::new().await;
    let disk = tempfile::tempdir().unwrap();
    if !has("mount") {
        return;
    }
    let Some(tiny) = Tiny::mount(disk.path()) else {
        eprintln!("nothing may be mounted here: a full disk is not tested");
        return;
    };
    let mut call = stage.call(&["run", stage.scenario(SOURCE, HOPS)]);
    call.env("HOPCLOCK_CACHE_DIR", tiny.0);
    let before = stage.sandbox.git().ref_updates().len();
    let told = told(call).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    assert_eq!(stage.sandbox.git().ref_updates().len(), before);
    // Which file is the first that does not fit depends on the size of pages.
    let sentence = told.sentence("a full disk");
    for part in [tiny.0.to_str().unwrap(), "No space left on device", "free some space there"] {
        assert!(sentence.contains(part), "`{part}` is not in `{sentence}`");
    }
}
