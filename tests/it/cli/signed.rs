//! Sources that verify signatures: what they fetch, and what is never pushed to them (rule S4).

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, told};
use crate::eventually::eventually;
use crate::signing::{PASSPHRASE, key, path};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hopclock_sandbox::store::Key;
use insta::assert_snapshot;
use serde_json::{Value, json};

/// A Secret of what stands in `tests/keys`.
fn secret(name: &str, values: &[(&str, Vec<u8>)]) -> Value {
    let data: serde_json::Map<_, _> =
        values.iter().map(|it| (it.0.to_owned(), STANDARD.encode(&it.1).into())).collect();
    json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "flux-system"}, "data": data})
}

/// A lane whose source trusts these public keys.
async fn verified(keys: &[&str]) -> Stage {
    let stage = Stage::new().await;
    let values: Vec<_> = keys.iter().map(|it| (*it, key(it))).collect();
    stage.create(secret("trusted", &values));
    verify(&stage, "HEAD");
    stage
}

fn verify(stage: &Stage, mode: &str) {
    let verify = json!({"mode": mode, "secretRef": {"name": "trusted"}});
    stage.change("GitRepository", "canary", &json!({"spec": {"verify": verify}}));
}

/// A trigger that signs.
fn signing(signing: &str) -> String {
    format!("{SOURCE}, signing: {{ {signing} }}")
}

fn ssh_file(name: &str) -> String {
    signing(&format!("ssh: {{ key: {{ file: '{}' }} }}", path(name).display()))
}

fn gpg_file(name: &str) -> String {
    signing(&format!("gpg: {{ key: {{ file: '{}' }} }}", path(name).display()))
}

/// What the source says of the head's signature, once it has said it of this commit.
async fn said_of(stage: &Stage, commit: &str) -> String {
    let source = Key::new("GitRepository", "flux-system", "canary");
    let look = || {
        let object = stage.sandbox.store().get(&source)?;
        let conditions = object["status"]["conditions"].as_array()?;
        let verified = conditions.iter().find(|it| it["type"] == "SourceVerified")?;
        let text = |key: &str| verified[key].as_str().unwrap_or_default().to_owned();
        text("message").contains(commit).then(|| format!("{}/{}", text("status"), text("reason")))
    };
    let mut said = None;
    let seen = || {
        said = look();
        said.is_some()
    };
    eventually("the source has looked at the signature", seen).await;
    said.unwrap()
}

/// Pushes a commit without a signature, with git itself.
async fn push_unsigned(stage: &Stage) -> String {
    let folder = tempfile::tempdir().unwrap();
    let git = async |arguments: &[&str]| {
        let output = tokio::process::Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(folder.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("NO_PROXY", "127.0.0.1")
            .output();
        let output = output.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["clone", "-q", &stage.url, "."]).await;
    git(&["commit", "-q", "--allow-empty", "-m", "Unsigned"]).await;
    git(&["push", "-q", "origin", "main"]).await;
    git(&["rev-parse", "HEAD"]).await
}

#[tokio::test]
async fn s4_a_signed_canary_is_delivered_and_an_unsigned_head_stops_all_delivery() {
    let stage = verified(&["ssh_ed25519.pub"]).await;
    let git = ssh_file("ssh_ed25519");
    let ran = stage.tell(&["run", stage.scenario(&git, HOPS)]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let signed = stage.sandbox.git().tip(&stage.url, "main").unwrap();
    assert_eq!(said_of(&stage, &signed).await, "True/Succeeded");

    let unsigned = push_unsigned(&stage).await;
    assert_eq!(said_of(&stage, &unsigned).await, "False/InvalidCommitSignature");
    let source = stage.sandbox.store().get(&Key::new("GitRepository", "flux-system", "canary"));
    let revision = source.unwrap()["status"]["artifact"]["revision"].clone();
    assert_eq!(revision, format!("main@sha1:{signed}"), "an unsigned commit was fetched");

    // The next signed head is accepted, whatever is below it.
    let ran = stage.tell(&["run", "canary.yaml"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn s4_a_key_of_fluxs_own_secret_signs_as_well() {
    let stage = verified(&["gpg_rsa.pub.asc", "ssh_encrypted.pub"]).await;
    let phrase = || PASSPHRASE.as_bytes().to_vec();
    let gpg = [("git.asc", key("gpg_rsa.asc")), ("passphrase", phrase())];
    stage.create(secret("signing-gpg", &gpg));
    let ssh = [("identity", key("ssh_encrypted")), ("password", phrase())];
    stage.create(secret("signing-ssh", &ssh));
    for kind in ["gpg", "ssh"] {
        let git = signing(&format!("{kind}: {{ secret: flux-system/signing-{kind} }}"));
        let ran = stage.tell(&["run", stage.scenario(&git, HOPS)]).await;
        assert_eq!(ran.code, Some(0), "{kind}: {ran:?}");
        let tip = stage.sandbox.git().tip(&stage.url, "main").unwrap();
        assert_eq!(said_of(&stage, &tip).await, "True/Succeeded", "{kind}");
    }
}

#[tokio::test]
async fn s4_nothing_is_pushed_that_the_source_would_not_accept() {
    let stage = verified(&["ssh_ed25519.pub", "gpg_rsa.pub.asc"]).await;
    let mut page = Page::default();
    for (title, git) in [
        ("no signature", SOURCE.to_owned()),
        ("another SSH key", ssh_file("ssh_ecdsa")),
        ("another OpenPGP key", gpg_file("gpg_subkey.asc")),
    ] {
        stage.refuse_scenario(&mut page, title, &git, HOPS).await;
    }
    let url = format!("url: '{}'", stage.url);
    stage.refuse_scenario(&mut page, "no signature, by the address", &url, HOPS).await;
    for mode in ["Tag", "TagAndHEAD"] {
        verify(&stage, mode);
        let title = format!("mode {mode}");
        stage.refuse_scenario(&mut page, &title, &ssh_file("ssh_ed25519"), HOPS).await;
    }
    let verify = json!({"mode": "HEAD", "secretRef": {"name": "lost"}});
    stage.change("GitRepository", "canary", &json!({"spec": {"verify": verify}}));
    stage.refuse_scenario(&mut page, "no Secret", &ssh_file("ssh_ed25519"), HOPS).await;
    check(|| assert_snapshot!("signed_unsatisfied", page.text()));
}

#[tokio::test]
async fn a_signing_key_of_no_use_gets_one_sentence() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    stage.create(secret("without", &[("identity.pub", key("ssh_ed25519.pub"))]));
    stage.create(secret("locked", &[("identity", key("ssh_encrypted"))]));
    stage.file("wrong", "open says me\n");
    stage.file("empty", "\n");
    let encrypted = path("ssh_encrypted");
    let with = |phrase: &str| {
        let key = encrypted.display();
        signing(&format!("ssh: {{ key: {{ file: '{key}' }}, passphrase: {{ {phrase} }} }}"))
    };
    for (title, git) in [
        ("no passphrase", ssh_file("ssh_encrypted")),
        ("a wrong passphrase", with("file: wrong")),
        ("an empty passphrase", with("file: empty")),
        ("no file of the passphrase", with("file: lost")),
        ("no file", signing("ssh: { key: { file: lost } }")),
        ("no variable", signing("gpg: { key: { env: LOST } }")),
        ("the public key", ssh_file("ssh_ed25519.pub")),
        ("no key", gpg_file("ssh_ed25519")),
        ("an expired key", gpg_file("gpg_expired.asc")),
        ("no Secret", signing("ssh: { secret: flux-system/lost }")),
        ("no key in the Secret", signing("ssh: { secret: flux-system/without }")),
        ("no passphrase in the Secret", signing("ssh: { secret: flux-system/locked }")),
    ] {
        stage.refuse_scenario(&mut page, title, &git, HOPS).await;
    }
    let keys = path("").display().to_string();
    let text = page.text().replace(&keys, "KEYS/");
    assert!(!text.contains("says me"), "{text}");
    check(|| assert_snapshot!("signed_bad_keys", text));
}

#[tokio::test]
async fn a_private_key_reaches_no_log() {
    let stage = Stage::new().await;
    let git = signing("gpg: { key: { env: SIGNING_KEY } }");
    let mut call = stage.call(&["run", stage.scenario(&git, HOPS)]);
    call.env("SIGNING_KEY", String::from_utf8(key("gpg_ed25519.asc")).unwrap());
    call.env("HOPCLOCK_LOG", "trace");
    let told = told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    // The unlocked key stands at the end of the first packet of its binary form.
    let bytes = key("gpg_ed25519.bin");
    let end = 2 + usize::from(bytes[1]);
    let piece: [u8; 16] = bytes[end - 20..end - 4].try_into().unwrap();
    let hex = format!("{:032x}", u128::from_be_bytes(piece));
    assert!(told.err.contains("TRACE") && !told.err.to_lowercase().contains(&hex), "it was logged");
}
