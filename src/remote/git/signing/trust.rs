//! The public keys that a source trusts, and whether it will accept our signature (rule S4).
//!
//! Decided by trying: a text is signed as a commit would be, and verified with what the source's
//! Secret holds, in the way in which Flux reads it. Every value of the Secret counts, whatever its
//! key is called.

use super::certificate::signing_parts;
use super::{SignatureKind, Signer, SigningError, ssh};
use jiff::Timestamp;
use pgp::composed::{Deserializable, DetachedSignature, PublicOrSecret, SignedPublicKey};
use pgp::types::KeyDetails;
use ssh_key::{PublicKey, SshSig};
use std::io::Cursor;

/// What is signed to see who accepts it; no commit, and of no use as one.
const PROBE: &[u8] = b"hopclock asks whether this signature would be accepted\n";

/// The public keys of a Secret.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    ssh: Vec<PublicKey>,
    openpgp: Vec<SignedPublicKey>,
    /// Keys of the Secret that hold neither.
    unreadable: Vec<String>,
}

/// Why a signature would not be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Others' keys are there.
    #[error("does not hold its public key: add it there, or sign with a key that is there")]
    Unknown,
    /// There are no keys for signatures of our kind.
    #[error("holds no public key for {0} signatures: add that of the signing key")]
    NoneOfKind(SignatureKind),
    /// Flux gives up at such a value before it gets to ours.
    #[error("holds something under `{0}` that is no public key, at which Flux gives up: remove it")]
    Unreadable(String),
    /// Our key is there, in a state in which nothing can be accepted of it.
    #[error(
        "holds its public key in a state that no signature satisfies ({0}), in that copy of it"
    )]
    Stale(SigningError),
    /// We cannot even sign.
    #[error("cannot be asked, for {0}")]
    Unsigned(SigningError),
}

// === impl Trust ===

impl Trust {
    /// Reads the values of a Secret, each with the name of its key.
    pub fn read<'v>(values: impl IntoIterator<Item = (&'v str, &'v [u8])>) -> Self {
        let mut trust = Self::default();
        for (name, value) in values {
            let text = std::str::from_utf8(value).unwrap_or_default();
            let read = if text.contains("-----BEGIN PGP ") {
                keyring(text).map(|it| trust.openpgp.extend(it))
            } else {
                authorized_keys(text).map(|it| trust.ssh.extend(it))
            };
            if read.is_none() || value.is_empty() || text.is_empty() {
                trust.unreadable.push(name.to_owned());
            }
        }
        trust
    }

    /// Whether what `signer` signs at `now` is accepted.
    ///
    /// # Errors
    /// Why not.
    pub fn accepts(&self, signer: &Signer, now: Timestamp) -> Result<(), Distrust> {
        let signature = signer.sign(PROBE, now).map_err(Distrust::Unsigned)?;
        match signer.kind() {
            SignatureKind::Ssh => self.accepts_ssh(&signature),
            SignatureKind::OpenPgp => self.accepts_openpgp(signer, &signature, now),
        }
    }

    fn accepts_ssh(&self, signature: &str) -> Result<(), Distrust> {
        if let Some(name) = self.unreadable.first() {
            return Err(Distrust::Unreadable(name.clone()));
        }
        if self.ssh.is_empty() {
            return Err(Distrust::NoneOfKind(SignatureKind::Ssh));
        }
        let accepted = SshSig::from_pem(signature).is_ok_and(|signature| {
            self.ssh.iter().any(|it| it.verify(ssh::NAMESPACE, PROBE, &signature).is_ok())
        });
        if accepted { Ok(()) } else { Err(Distrust::Unknown) }
    }

    fn accepts_openpgp(
        &self,
        signer: &Signer,
        signature: &str,
        now: Timestamp,
    ) -> Result<(), Distrust> {
        if self.openpgp.is_empty() {
            return Err(Distrust::NoneOfKind(SignatureKind::OpenPgp));
        }
        let Ok((DetachedSignature { signature }, _)) = DetachedSignature::from_string(signature)
        else {
            return Err(Distrust::Unknown);
        };
        let mut why = Distrust::Unknown;
        for key in &self.openpgp {
            let ours = format!("{:X}", key.fingerprint()) == signer.fingerprint();
            match signing_parts(key, now) {
                Ok(parts) if parts.iter().any(|it| it.made(&signature, PROBE)) => return Ok(()),
                Ok(_) if ours => why = Distrust::Stale(SigningError::NoSigningPart),
                Err(state) if ours => why = Distrust::Stale(state),
                _ => {}
            }
        }
        Err(why)
    }
}

/// The keys of the first armored block, which is all that Flux reads of a value.
fn keyring(text: &str) -> Option<Vec<SignedPublicKey>> {
    let text = &text[text.find("-----BEGIN PGP ")?..];
    let (keys, _) = PublicOrSecret::from_armor_many(Cursor::new(text)).ok()?;
    let public = |it| match it {
        PublicOrSecret::Public(key) => key,
        PublicOrSecret::Secret(key) => key.to_public_key(),
    };
    keys.map(|it| it.ok().map(public)).collect::<Option<Vec<_>>>().filter(|it| !it.is_empty())
}

/// The keys of a file of authorized keys; none if any line is something else.
fn authorized_keys(text: &str) -> Option<Vec<PublicKey>> {
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines.map(authorized_key).collect()
}

/// A key, behind options or a name if need be.
fn authorized_key(line: &str) -> Option<PublicKey> {
    let key = PublicKey::from_openssh(line).ok();
    key.or_else(|| {
        let mut quoted = false;
        let end = line.find(|it: char| {
            quoted ^= it == '"';
            !quoted && it.is_whitespace()
        })?;
        PublicKey::from_openssh(line[end..].trim_start()).ok()
    })
}
