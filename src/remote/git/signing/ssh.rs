//! An SSH private key, and the signatures that `git` and Flux know as `gpg.format = ssh`.

use super::{SHORTEST_RSA, SigningError};
use secrecy::{ExposeSecret, SecretString};
use ssh_key::private::KeypairData;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// What signatures of git objects are made for; those for other purposes do not count as such.
pub(super) const NAMESPACE: &str = "git";
const BEGINNING: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// An unlocked key.
pub(super) struct Key {
    key: PrivateKey,
    fingerprint: String,
}

// === impl Key ===

impl Key {
    /// Reads and unlocks it.
    pub(super) fn read(
        bytes: &[u8],
        passphrase: Option<&SecretString>,
    ) -> Result<Self, SigningError> {
        let text = std::str::from_utf8(bytes).map(str::trim).unwrap_or_default();
        if !text.starts_with(BEGINNING) {
            return Err(what_else(text));
        }
        // An editor of Windows or an indented block may have been at it.
        let text: String = text.lines().flat_map(|it| [it.trim(), "\n"]).collect();
        let key = match PrivateKey::from_openssh(&text) {
            Err(ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. }) => {
                return Err(SigningError::Unsupported { what: "a key of this type".to_owned() });
            }
            read => read.map_err(|_| SigningError::Damaged)?,
        };
        let key = match passphrase {
            _ if !key.is_encrypted() => key,
            None => return Err(SigningError::NoPassphrase),
            // What comes out with a wrong passphrase is noise, whatever the reader says of it.
            Some(passphrase) => key
                .decrypt(passphrase.expose_secret())
                .map_err(|_| SigningError::WrongPassphrase)?,
        };
        check_type(&key)?;
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Ok(Self { key, fingerprint })
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<String, SigningError> {
        let signature = self.key.sign(NAMESPACE, HashAlg::Sha512, text);
        signature.and_then(|it| it.to_pem(LineEnding::LF)).map_err(|_| SigningError::Failed)
    }
}

/// Flux takes ed25519, ECDSA and RSA; keys that live in a device cannot be used by a service.
fn check_type(key: &PrivateKey) -> Result<(), SigningError> {
    let unsupported = |what: String| Err(SigningError::Unsupported { what });
    match key.key_data() {
        KeypairData::Ed25519(_) | KeypairData::Ecdsa(_) => Ok(()),
        KeypairData::Rsa(rsa) if rsa.key_size() as usize >= SHORTEST_RSA => Ok(()),
        KeypairData::Rsa(rsa) => unsupported(format!("an RSA key of {} bits", rsa.key_size())),
        _ => unsupported(format!("a key of type `{}`", key.algorithm())),
    }
}

/// What a text is that is no private key of OpenSSH.
fn what_else(text: &str) -> SigningError {
    let public = ["ssh-", "ecdsa-", "sk-", "---- BEGIN SSH2 PUBLIC"];
    if public.iter().any(|it| text.starts_with(it)) {
        SigningError::Public
    } else if text.starts_with("-----BEGIN PGP") {
        SigningError::NotAKey { expected: BEGINNING }
    } else if text.lines().next().is_some_and(|it| it.contains("PRIVATE KEY"))
        || text.starts_with("PuTTY-User-Key-File")
    {
        SigningError::Foreign
    } else {
        SigningError::NotAKey { expected: BEGINNING }
    }
}
