//! Signed commits, with `git verify-commit` as the judge: with `ssh-keygen`, and with `gpg`.

use crate::cli::kit::has;
use crate::git_kit::{Bench, append, replace};
use crate::signing::{path, signer};
use hopclock::remote::git::{GitRemote, Prepared};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Whether the judge is there. Without it its tests say so and pass, unless
/// `HOPCLOCK_REQUIRE_TOOLS=1` makes that a failure.
fn judged_by(program: &str) -> bool {
    let there = has(program);
    let required = std::env::var_os("HOPCLOCK_REQUIRE_TOOLS").is_some_and(|it| it == "1");
    assert!(there || !required, "`{program}` is required");
    there
}

/// What `git` says of the branch's tip.
async fn verdict(bench: &Bench, configuration: &[&str], home: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| {
        let output = tokio::process::Command::new("git")
            .args(arguments)
            .current_dir(folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("NO_PROXY", "127.0.0.1")
            .env("GNUPGHOME", home)
            .output();
        let output = output.await.unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text)
    };
    assert!(run(&["clone", "-q", "--bare", &bench.url, "."]).await.0);
    // The text that was signed, and the header that carries the signature, are sound.
    assert_eq!(run(&["fsck", "--strict", "--no-dangling"]).await, (true, String::new()));
    let mut arguments: Vec<_> = configuration.iter().flat_map(|it| ["-c", *it]).collect();
    arguments.extend(["verify-commit", "main"]);
    let (good, text) = run(&arguments).await;
    assert!(good, "{text}");
    text
}

async fn signed(bench: &Bench, key: &str) -> GitRemote {
    bench.remote().await.signed_by(signer(key))
}

async fn push(remote: &GitRemote, canary: &str) {
    let prepared = remote.prepare(append(canary)).await.unwrap();
    let commit = prepared.commit.clone();
    let published = remote.publish(prepared, |_| {}).await.unwrap();
    assert_eq!(published.commit, commit);
}

/// A file of allowed signers, as `git` reads it.
fn allowed(folder: &Path, key: &str) -> String {
    let public = std::fs::read_to_string(path(&format!("{key}.pub"))).unwrap();
    let file = folder.join("allowed");
    std::fs::write(&file, format!("h@example.com {public}")).unwrap();
    format!("gpg.ssh.allowedSignersFile={}", file.display())
}

#[tokio::test]
async fn s4_git_accepts_commits_that_are_signed_with_ssh_keys() {
    if !judged_by("ssh-keygen") {
        return;
    }
    for key in ["ssh_ed25519", "ssh_ecdsa", "ssh_rsa", "ssh_encrypted"] {
        let bench = Bench::new().await;
        let remote = signed(&bench, key).await;
        push(&remote, "1").await;
        let folder = tempfile::tempdir().unwrap();
        let allowed = allowed(folder.path(), key);
        let said = verdict(&bench, &["gpg.format=ssh", &allowed], folder.path()).await;
        assert!(said.contains("Good \"git\" signature for h@example.com"), "{key}: {said}");
        let fingerprint = signer(key).fingerprint().to_owned();
        assert!(said.contains(&fingerprint), "{key}: {said} is not of {fingerprint}");
    }
}

#[tokio::test]
async fn s4_git_accepts_commits_that_are_signed_with_openpgp_keys() {
    if !judged_by("gpg") {
        return;
    }
    for key in ["gpg_ed25519", "gpg_rsa", "gpg_subkey"] {
        let bench = Bench::new().await;
        let remote = signed(&bench, &format!("{key}.asc")).await;
        push(&remote, "1").await;
        // The path of gpg's socket must be short.
        let home = tempfile::Builder::new().prefix("hc").tempdir_in("/tmp").unwrap();
        let import = tokio::process::Command::new("gpg")
            .args(["--batch", "--quiet", "--import"])
            .arg(path(&format!("{key}.pub.asc")))
            .env("GNUPGHOME", home.path())
            .output();
        let import = import.await.unwrap();
        assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
        let said = verdict(&bench, &[], home.path()).await;
        assert!(said.contains("Good signature from"), "{key}: {said}");
        let fingerprint = signer(&format!("{key}.asc")).fingerprint().to_owned();
        let primary: String = said.chars().filter(|it| !it.is_whitespace()).collect();
        assert!(primary.contains(&fingerprint), "{key}: {said} is not of {fingerprint}");
    }
}

#[tokio::test]
async fn t1_the_signed_commit_is_announced_also_when_it_is_made_anew() {
    if !judged_by("ssh-keygen") {
        return;
    }
    let bench = Bench::new().await;
    let remote = signed(&bench, "ssh_ed25519").await;
    let prepared = remote.prepare(append("1")).await.unwrap();
    let commit =
        hopclock_sandbox::git::NewCommit::new("main", "Somebody was faster").file("x", "y");
    bench.host.commit(&bench.url, &commit).unwrap();
    let announced = Arc::new(Mutex::new(Vec::new()));
    let first = prepared.commit.clone();
    let notes = announced.clone();
    let published = remote
        .publish(prepared, move |again: &Prepared| notes.lock().unwrap().push(again.commit.clone()))
        .await
        .unwrap();
    assert_ne!(published.commit, first);
    assert_eq!(*announced.lock().unwrap(), std::slice::from_ref(&published.commit));
    assert_eq!(bench.tip(), published.commit);
    let folder = tempfile::tempdir().unwrap();
    let allowed = allowed(folder.path(), "ssh_ed25519");
    verdict(&bench, &["gpg.format=ssh", &allowed], folder.path()).await;
}

#[tokio::test]
async fn s4_a_canary_that_replaces_another_is_signed_as_well() {
    if !judged_by("ssh-keygen") {
        return;
    }
    let bench = Bench::new().await;
    let base = bench.tip();
    let remote = signed(&bench, "ssh_ed25519").await;
    for canary in ["1", "2"] {
        let prepared = remote.prepare(replace(canary, &base)).await.unwrap();
        remote.publish(prepared, |_| {}).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let allowed = allowed(folder.path(), "ssh_ed25519");
    verdict(&bench, &["gpg.format=ssh", &allowed], folder.path()).await;
    assert_eq!(bench.git(&["rev-parse", "main^"]).await.trim(), base);
}
