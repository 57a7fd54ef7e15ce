//! Whether a commit's signature was made with a key that a Secret trusts, as source-controller asks.
//!
//! Real cryptography: a signature that only looks like one would let a test pass that a cluster
//! does not. Every value of the Secret counts: lines of `authorized_keys` for SSH, the first armored
//! block for OpenPGP. Left out of OpenPGP's rules: expiry.

use std::io::Cursor;

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::types::KeyDetails;
use ssh_key::{HashAlg, PublicKey, SshSig};

use super::SignedText;

/// What an SSH signature of a git object is made for.
const NAMESPACE: &str = "git";
const OPENPGP: &str = "-----BEGIN PGP ";

/// The name of the key that made the signature, or why the commit is refused.
pub(super) fn verify(signed: Option<&SignedText>, keys: &[Vec<u8>]) -> Result<String, String> {
    let Some(signed) = signed else {
        return Err("unsupported signature type: empty".to_owned());
    };
    let keys: Vec<_> = keys.iter().map(|it| String::from_utf8_lossy(it)).collect();
    let keys = keys.iter().map(AsRef::as_ref);
    let signature = signed.signature.trim();
    if signature.starts_with("-----BEGIN SSH SIGNATURE-----") {
        let keys = keys.filter(|it: &&str| !it.contains(OPENPGP));
        return by_ssh(signature, &signed.text, keys);
    }
    if signature.starts_with("-----BEGIN PGP SIGNATURE-----") {
        return by_openpgp(signature, &signed.text, keys);
    }
    Err("unsupported signature type: unknown".to_owned())
}

fn by_ssh<'k>(
    signature: &str,
    text: &[u8],
    files: impl Iterator<Item = &'k str>,
) -> Result<String, String> {
    let error = |why: &str| Err(format!("unable to verify Git commit SSH signature: {why}"));
    let Ok(signature) = SshSig::from_pem(signature) else {
        return error("unable to unarmor SSH signature");
    };
    for file in files {
        for line in file.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some(key) = authorized(line) else {
                return error("unable to parse authorized keys: ssh: no key found");
            };
            if key.verify(NAMESPACE, text, &signature).is_ok() {
                return Ok(key.fingerprint(HashAlg::Sha256).to_string());
            }
        }
    }
    error("unable to verify payload with any of the given authorized keys")
}

/// A key, with or without something before it.
fn authorized(line: &str) -> Option<PublicKey> {
    let behind = |it: &str| PublicKey::from_openssh(it).ok();
    behind(line).or_else(|| behind(line.split_once(char::is_whitespace)?.1.trim_start()))
}

fn by_openpgp<'k>(
    signature: &str,
    text: &[u8],
    rings: impl Iterator<Item = &'k str>,
) -> Result<String, String> {
    let read = DetachedSignature::from_string(signature);
    for ring in rings.filter(|it| it.contains(OPENPGP)) {
        let Ok((keys, _)) = SignedPublicKey::from_armor_many(Cursor::new(ring)) else { continue };
        for key in keys.filter_map(Result::ok) {
            if read.as_ref().is_ok_and(|(it, _)| made_by(it, &key, text)) {
                return Ok(key.legacy_key_id().to_string().to_uppercase());
            }
        }
    }
    Err("unable to verify Git commit: unable to verify payload with any of the given key rings"
        .to_owned())
}

fn made_by(signature: &DetachedSignature, key: &SignedPublicKey, text: &[u8]) -> bool {
    let sound = key.verify_bindings().is_ok() && key.details.revocation_signatures.is_empty();
    let of_users = key.details.users.iter().flat_map(|it| &it.signatures);
    let primary = of_users.chain(&key.details.direct_signatures).any(|it| it.key_flags().sign());
    let subkeys = key.public_subkeys.iter();
    let mut subkeys = subkeys.filter(|it| it.signatures.iter().all(|it| it.key_flags().sign()));
    sound
        && (primary && signature.verify(&key.primary_key, text).is_ok()
            || subkeys.any(|it| signature.verify(&it.key, text).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `ssh-keygen -Y sign` and `gpg --detach-sign`.
    const TEXT: &[u8] = include_bytes!("../../../tests/fixtures/signed/text");
    const SSH: &str = include_str!("../../../tests/fixtures/signed/git.sig");
    const OF_A_FILE: &str = include_str!("../../../tests/fixtures/signed/file.sig");
    const SSH_KEY: &str = include_str!("../../../tests/fixtures/signed/ssh.pub");
    const GPG: &str = include_str!("../../../tests/fixtures/signed/gpg.asc");
    const GPG_KEY: &str = include_str!("../../../tests/fixtures/signed/gpg.pub.asc");

    fn verdict(signature: &str, text: &[u8], keys: &[&str]) -> Result<String, String> {
        let signed = SignedText { signature: signature.to_owned(), text: text.to_vec() };
        let keys: Vec<_> = keys.iter().map(|it| it.as_bytes().to_vec()).collect();
        verify(Some(&signed), &keys)
    }

    #[test]
    fn a_signature_of_a_trusted_key_names_it() {
        let fingerprint = verdict(SSH, TEXT, &[GPG_KEY, SSH_KEY]).unwrap();
        assert!(fingerprint.starts_with("SHA256:"), "{fingerprint}");
        let id = verdict(GPG, TEXT, &[SSH_KEY, GPG_KEY]).unwrap();
        assert!(id.len() == 16 && id.chars().all(|it| it.is_ascii_hexdigit()), "{id}");
    }

    #[test]
    fn a_signature_of_another_text_key_or_purpose_is_refused() {
        let ssh = "unable to verify Git commit SSH signature: unable to verify payload with any of \
                   the given authorized keys";
        assert_eq!(verdict(SSH, b"other", &[SSH_KEY]), Err(ssh.to_owned()));
        assert_eq!(verdict(SSH, TEXT, &[GPG_KEY]), Err(ssh.to_owned()));
        assert_eq!(verdict(OF_A_FILE, TEXT, &[SSH_KEY]), Err(ssh.to_owned()));
        let gpg = "unable to verify Git commit: unable to verify payload with any of the given key \
                   rings";
        assert_eq!(verdict(GPG, b"other", &[GPG_KEY]), Err(gpg.to_owned()));
        assert_eq!(verdict(GPG, TEXT, &[SSH_KEY]), Err(gpg.to_owned()));
    }

    #[test]
    fn what_is_no_signature_is_named_by_its_type() {
        assert_eq!(verify(None, &[]), Err("unsupported signature type: empty".to_owned()));
        let unknown = Err("unsupported signature type: unknown".to_owned());
        assert_eq!(verdict("planted", TEXT, &[SSH_KEY]), unknown);
    }
}
