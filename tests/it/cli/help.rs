//! What explains the program itself: help, schema, completions, examples.

use crate::cli::kit::{Page, check, has, hopclock, told};
use insta::assert_snapshot;
use std::path::Path;

#[tokio::test]
async fn every_command_explains_itself() {
    let mut page = Page::default();
    for command in [
        "",
        "run",
        "serve",
        "trigger",
        "demo",
        "check",
        "discover",
        "gc",
        "doctor",
        "plan",
        "history",
        "report",
        "schema",
        "dashboards",
        "completions",
    ] {
        let arguments: Vec<_> =
            [command, "--help"].into_iter().filter(|it| !it.is_empty()).collect();
        let mut call = hopclock(Path::new("."), &arguments);
        call.env_remove("HOPCLOCK_CACHE_DIR").env_remove("HOPCLOCK_DB");
        let told = told(call).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        page.add(&format!("hopclock {}", arguments.join(" ")), told.out.trim_end());
    }
    check(|| assert_snapshot!("help", page.text()));
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    let told = told(hopclock(Path::new("."), &["--version"])).await;
    assert_eq!(told.out, format!("hopclock {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn the_schema_is_the_one_that_lies_beside_the_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = told(hopclock(Path::new("."), &["schema"])).await;
    let committed = std::fs::read_to_string(root.join("scenarios/scenario.schema.json")).unwrap();
    assert!(told.out == committed, "`hopclock schema` prints another schema");
}

#[tokio::test]
async fn the_examples_are_right() {
    let told = told(hopclock(Path::new(env!("CARGO_MANIFEST_DIR")), &["check", "scenarios"])).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    check(|| assert_snapshot!("examples", told.out));
}

#[tokio::test]
async fn completions_are_scripts_that_their_shells_accept() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let told = told(hopclock(folder.path(), &["completions", shell])).await;
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{shell}");
        for command in ["run", "trigger", "demo", "check", "schema", "--kubeconfig", "--server"] {
            let word = command.trim_start_matches('-');
            assert!(told.out.contains(word), "{shell} does not complete `{command}`");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, &told.out).unwrap();
        if ["bash", "zsh", "fish"].contains(&shell) && has(shell) {
            let mut check = tokio::process::Command::new(shell);
            let done = check.arg("-n").arg(&file).output().await.unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{shell}: {said}");
        }
    }
}
