//! Keys that sign, and keys that must not, as `ssh-keygen` and `gpg` wrote them to `tests/keys`.

use hopclock::remote::git::signing::{Distrust, SignatureKind, Signer, SigningError, Trust};
use jiff::Timestamp;
use secrecy::SecretString;
use std::fmt::Write;
use std::path::Path;

/// What opens the locked keys.
pub(crate) const PASSPHRASE: &str = "open sesame";

/// When all keys are good, but for the expired one.
pub(crate) fn now() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

/// A key of `tests/keys`.
pub(crate) fn key(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// Where a key of `tests/keys` is.
pub(crate) fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

/// A key that signs.
pub(crate) fn signer(name: &str) -> Signer {
    read(name, Some(PASSPHRASE)).unwrap()
}

fn read(name: &str, passphrase: Option<&str>) -> Result<Signer, SigningError> {
    let passphrase = passphrase.map(SecretString::from);
    let (key, passphrase) = (key(name), passphrase.as_ref());
    if name.starts_with("ssh") {
        Signer::ssh(&key, passphrase)
    } else {
        Signer::openpgp(&key, passphrase, now())
    }
}

fn accepts(names: &[&str], signer: &Signer) -> Result<(), Distrust> {
    let values: Vec<_> = names.iter().map(|it| (*it, key(it))).collect();
    let trust = Trust::read(values.iter().map(|it| (it.0, it.1.as_slice())));
    trust.accepts(signer, now())
}

/// What is wrong with a key.
fn wrong(name: &str, passphrase: Option<&str>) -> String {
    read(name, passphrase).unwrap_err().to_string()
}

#[test]
fn s4_a_source_accepts_what_its_public_key_is_there_for() {
    for (private, public) in [
        ("ssh_ed25519", "ssh_ed25519.pub"),
        ("ssh_ecdsa", "ssh_ecdsa.pub"),
        ("ssh_rsa", "ssh_rsa.pub"),
        ("ssh_encrypted", "ssh_encrypted.pub"),
        ("gpg_ed25519.asc", "gpg_ed25519.pub.asc"),
        ("gpg_ed25519.bin", "gpg_ed25519.pub.asc"),
        ("gpg_rsa.asc", "gpg_rsa.pub.asc"),
        ("gpg_subkey.asc", "gpg_subkey.pub.asc"),
    ] {
        let signer = signer(private);
        assert_eq!(accepts(&[public], &signer), Ok(()), "{private}");
        let others = ["ssh_rsa_pem.pub", "gpg_certify.pub.asc"];
        assert_eq!(accepts(&others, &signer), Err(Distrust::Unknown), "{private}");
        assert_eq!(accepts(&[others[0], others[1], public], &signer), Ok(()), "{private}");
    }
}

#[test]
fn s4_keys_of_the_other_kind_are_no_keys_for_a_signature() {
    assert_eq!(
        accepts(&["gpg_rsa.pub.asc"], &signer("ssh_ed25519")),
        Err(Distrust::NoneOfKind(SignatureKind::Ssh))
    );
    assert_eq!(
        accepts(&["ssh_rsa.pub"], &signer("gpg_ed25519.asc")),
        Err(Distrust::NoneOfKind(SignatureKind::OpenPgp))
    );
}

#[test]
fn s4_a_copy_of_the_key_without_its_signing_part_accepts_nothing() {
    assert_eq!(
        accepts(&["gpg_subkey_before.pub.asc"], &signer("gpg_subkey.asc")),
        Err(Distrust::Stale(SigningError::NoSigningPart))
    );
}

#[test]
fn s4_a_binary_keyring_is_nothing_that_flux_reads() {
    assert_eq!(
        accepts(&["gpg_ed25519.bin"], &signer("gpg_ed25519.asc")),
        Err(Distrust::NoneOfKind(SignatureKind::OpenPgp))
    );
}

#[test]
fn s4_a_line_that_is_no_key_spoils_the_ssh_keys_beside_it() {
    let good = String::from_utf8(key("ssh_ed25519.pub")).unwrap();
    let signer = signer("ssh_ed25519");
    let accepts = |text: &str| {
        Trust::read([("keys", text.as_bytes())])
            .accepts(&signer, now())
            .map_err(|it| it.to_string())
    };
    assert_eq!(accepts(&format!("# the canary\n\n  {good}")), Ok(()));
    assert_eq!(accepts(&format!("canary@example.com {good}")), Ok(()));
    assert_eq!(accepts(&format!("namespaces=\"git, file\" {good}")), Ok(()));
    assert_eq!(
        accepts(&format!("{good}not a key\n")),
        Err(
            "holds something under `keys` that is no public key, at which Flux gives up: remove it"
                .to_owned()
        )
    );
}

#[test]
fn s4_a_key_that_expires_while_the_service_runs_signs_no_more() {
    let young: Timestamp = "2020-06-01T00:00:00Z".parse().unwrap();
    let signer = Signer::openpgp(&key("gpg_expired.asc"), None, young).unwrap();
    assert!(signer.sign(b"text", young).is_ok());
    assert!(matches!(signer.sign(b"text", now()), Err(SigningError::Expired { .. })));
    let trust = key("gpg_expired.pub.asc");
    let trust = Trust::read([("a.asc", trust.as_slice())]);
    assert_eq!(trust.accepts(&signer, young), Ok(()));
    assert!(matches!(trust.accepts(&signer, now()), Err(Distrust::Unsigned(_))));
}

#[test]
fn a_key_that_cannot_sign_says_why() {
    let mut page = String::new();
    for (name, passphrase) in [
        ("ssh_encrypted", None),
        ("ssh_encrypted", Some("open says me")),
        ("ssh_ed25519.pub", None),
        ("ssh_rsa_pem", None),
        ("ssh_rsa_short", None),
        ("gpg_rsa.asc", None),
        ("gpg_rsa.asc", Some("open says me")),
        ("gpg_rsa.pub.asc", None),
        ("gpg_expired.asc", None),
        ("gpg_revoked.asc", None),
        ("gpg_certify.asc", None),
    ] {
        writeln!(page, "{name}: {}", wrong(name, passphrase)).unwrap();
    }
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("a password", b"hunter2-planted\n"),
        ("bytes", b"\xff\xfe\x00planted"),
        ("the other kind", &key("gpg_ed25519.asc")),
        ("half a key", &key("ssh_ed25519")[..200]),
    ] {
        writeln!(page, "ssh, {what}: {}", Signer::ssh(bytes, None).unwrap_err()).unwrap();
    }
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("a password", b"hunter2-planted\n"),
        ("bytes", b"\xff\xfe\x00planted"),
        ("the other kind", &key("ssh_ed25519")),
        ("half a key", &key("gpg_ed25519.asc")[..200]),
    ] {
        let error = Signer::openpgp(bytes, None, now()).unwrap_err();
        writeln!(page, "gpg, {what}: {error}").unwrap();
    }
    assert!(!page.contains("planted") && !page.contains(PASSPHRASE), "{page}");
    insta::assert_snapshot!("signing_keys_of_no_use", page);
}

#[test]
fn a_signer_shows_no_more_than_its_fingerprint() {
    let signer = signer("ssh_ed25519");
    let shown = format!("{signer:?}");
    assert_eq!(shown, format!("Signer(SSH {})", signer.fingerprint()));
    assert!(signer.fingerprint().starts_with("SHA256:"));
    let fingerprint = self::signer("gpg_subkey.asc").fingerprint().to_owned();
    assert!(fingerprint.len() == 40 && fingerprint.chars().all(|it| it.is_ascii_hexdigit()));
}
