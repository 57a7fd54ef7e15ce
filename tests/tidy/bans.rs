//! Crates that must never be linked, whatever pulls them in.
//!
//! Cargo.lock also lists what a feature nobody switches on would need (`ring` stands there because
//! `rustls-webpki` and `quinn-proto` could use it), so the question goes to Cargo, which knows
//! what is built.

use super::tree::{root, texts};
use std::process::Command;

#[test]
fn no_banned_crate_is_built() {
    let banned = banned();
    let built = built();
    let found: Vec<_> = banned.iter().filter(|it| built.contains(it)).collect();
    assert!(
        found.is_empty(),
        "banned by deny.toml, but built: {found:?}; `cargo tree -i` says why"
    );
}

#[test]
fn the_second_crypto_stacks_and_dead_yaml_crates_are_banned() {
    let banned = banned();
    for name in [
        "openssl-sys",
        "openssl",
        "native-tls",
        "ring",
        "serde_yaml",
        "serde_yml",
        "libyml",
        "backoff",
    ] {
        assert!(banned.iter().any(|it| it == name), "deny.toml does not ban `{name}`");
    }
}

/// The names in deny.toml's `bans.deny`.
fn banned() -> Vec<String> {
    let file = texts().into_iter().find(|it| it.path == "deny.toml").unwrap();
    let bans = file.text.split_once("\n[bans]\n").expect("a section `[bans]`").1;
    let list =
        bans.split_once("\ndeny = [\n").expect("a list `deny`").1.split_once("\n]").unwrap().0;
    let name = |line: &str| Some(line.split_once("crate = \"")?.1.split_once('"')?.0.to_owned());
    list.lines().filter_map(name).collect()
}

/// The crates of the workspace on every platform, or, where those of foreign platforms were never
/// fetched, on this one.
fn built() -> Vec<String> {
    let tree =
        tree(&["--target", "all"]).or_else(|_| tree(&[])).unwrap_or_else(|it| panic!("{it}"));
    let names: Vec<_> =
        tree.lines().filter_map(|it| it.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.iter().any(|it| it == "rustls"), "this is no tree of hopclock: {tree}");
    names
}

fn tree(more: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["tree", "--workspace", "--all-features", "--offline"]);
    command.args(["--locked", "--edges", "normal,build,dev", "--prefix", "none"]).args(more);
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
