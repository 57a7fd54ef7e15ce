//! Reading a private key, and saying what is wrong with one that cannot be read.
//!
//! All formats that `ssh-keygen` and `openssl` write are taken, except old encryption that nothing
//! writes any more.

use crate::remote::git::SshKey;
use crate::remote::git::ssh::trouble::SshTrouble;
use russh::keys::{self, Algorithm, PrivateKey, ssh_key};
use secrecy::ExposeSecret;

/// The only cipher of old PEM files that can be read; `ssh-keygen -m PEM` writes it.
const OLD_CIPHER: &str = "DEK-Info: AES-128-CBC,";

/// Reads the key, with its passphrase if it is encrypted.
pub(super) fn read(key: &SshKey) -> Result<PrivateKey, SshTrouble> {
    let text = key.identity.expose_secret();
    // A passphrase for a key that needs none would be an error of its own in one of the formats.
    let found = match keys::decode_secret_key(text, None) {
        Err(error) if is_encrypted(text, &error) => {
            let passphrase = key.passphrase.as_ref().ok_or(SshTrouble::NoPassphrase)?;
            old_encryption(text)?;
            keys::decode_secret_key(text, Some(passphrase.expose_secret()))
                .map_err(|error| refused(&error).unwrap_or(SshTrouble::WrongPassphrase))?
        }
        found => found.map_err(|error| {
            let why = || SshTrouble::UnreadableKey { why: why_unreadable(text).to_owned() };
            refused(&error).unwrap_or_else(why)
        })?,
    };
    match found.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => Ok(found),
        other => Err(SshTrouble::UnsupportedKey { kind: other.as_str().to_owned() }),
    }
}

fn is_encrypted(text: &str, error: &keys::Error) -> bool {
    matches!(error, keys::Error::KeyIsEncrypted)
        || text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// Refuses what would only look like a wrong passphrase.
fn old_encryption(text: &str) -> Result<(), SshTrouble> {
    let is_readable = text.contains("BEGIN RSA PRIVATE KEY") && text.contains(OLD_CIPHER);
    if text.contains("DEK-Info:") && !is_readable {
        let why = "it is encrypted in an old manner, which `ssh-keygen -p -f FILE` replaces";
        return Err(SshTrouble::UnreadableKey { why: why.to_owned() });
    }
    Ok(())
}

/// A sound key of a kind that is not used.
fn refused(error: &keys::Error) -> Option<SshTrouble> {
    let kind = match error {
        keys::Error::UnknownAlgorithm(kind) => kind.to_string(),
        keys::Error::UnsupportedKeyType { key_type_string, .. } => key_type_string.clone(),
        keys::Error::SshKey(ssh_key::Error::AlgorithmUnsupported { algorithm }) => {
            algorithm.as_str().to_owned()
        }
        keys::Error::SshKey(ssh_key::Error::AlgorithmUnknown) => "unknown".to_owned(),
        _ => return None,
    };
    Some(SshTrouble::UnsupportedKey { kind })
}

/// What is wrong with a text, without any of it.
fn why_unreadable(text: &str) -> &'static str {
    let begins = |start: &str| text.trim_start().starts_with(start);
    if begins("ssh-") || begins("ecdsa-") || begins("sk-") {
        "it is a public key"
    } else if begins("PuTTY-User-Key-File-") {
        "it is one of PuTTY, which its key generator exports to the format of OpenSSH"
    } else if !text.contains("PRIVATE KEY-----") {
        "it has no line `-----BEGIN ... PRIVATE KEY-----`"
    } else if !text.contains("-----END ") {
        "it has no last line `-----END ... PRIVATE KEY-----`"
    } else {
        "it is damaged"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(text: &str) -> SshTrouble {
        let key = SshKey {
            identity: text.into(),
            passphrase: Some("pl4nted".into()),
            known_hosts: String::new(),
        };
        read(&key).unwrap_err()
    }

    #[test]
    fn what_is_no_private_key_says_what_it_is() {
        for (text, why) in [
            ("", "no line `-----BEGIN"),
            ("pl4nted", "no line `-----BEGIN"),
            ("ssh-ed25519 AAAA me", "a public key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519", "PuTTY"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\npl4nted\n", "no last line"),
            ("-----BEGIN PRIVATE KEY-----\npl4nted!\n-----END PRIVATE KEY-----\n", "it is damaged"),
            (
                "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                 DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n\
                 -----END EC PRIVATE KEY-----\n",
                "old manner",
            ),
        ] {
            let trouble = trouble(text);
            assert!(matches!(trouble, SshTrouble::UnreadableKey { .. }), "{trouble}");
            assert!(trouble.to_string().contains(why), "{trouble}");
            assert!(!trouble.to_string().contains("pl4nted"), "{trouble}");
        }
    }
}
