//! Signatures of commits: with an SSH key as git makes them, or with an OpenPGP key.
//!
//! A source with `spec.verify` fetches nothing whose signature it does not accept, and an unsigned
//! head stops all delivery from its repository (rule S4). So the key is read, unlocked and proven
//! before anything is pushed; what is wrong with it is said in one sentence without its content.

mod certificate;
mod openpgp;
mod ssh;
mod trust;

use jiff::Timestamp;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;

pub use trust::{Distrust, Trust};

/// Smallest RSA key that Flux takes signatures of, in bits.
pub const SHORTEST_RSA: usize = 2048;

/// A private key that signs commits. Clones share it; nothing of it is ever printed but its
/// fingerprint.
#[derive(Clone)]
pub struct Signer(Key);

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// As `ssh-keygen -Y sign -n git` makes it.
    Ssh,
    /// As `gpg --detach-sign --armor` makes it.
    OpenPgp,
}

#[derive(Clone)]
enum Key {
    Ssh(Arc<ssh::Key>),
    OpenPgp(Arc<openpgp::Key>),
}

/// What is wrong with a private key. Continues a sentence that names the key, and repeats nothing of
/// what a library says: that may be a piece of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// It is something else.
    #[error("this is no private key of this kind: it should begin with `{expected}`")]
    NotAKey {
        /// The first line of a good one.
        expected: &'static str,
    },
    /// The public half.
    #[error("this is the public key: give the private one")]
    Public,
    /// PEM of another program.
    #[error("this key is not in OpenSSH's own format: convert it with `ssh-keygen -p -f FILE`")]
    Foreign,
    /// It begins well.
    #[error("this key is damaged: export it again")]
    Damaged,
    /// It is locked, and nobody said with what.
    #[error("this key is locked, and no passphrase is given: add its `passphrase`")]
    NoPassphrase,
    /// It is locked with another passphrase.
    #[error("the passphrase does not open this key: give the one that it was locked with")]
    WrongPassphrase,
    /// We or Flux cannot use such keys.
    #[error("{what} cannot be used for signatures that Flux accepts: make one of type ed25519")]
    Unsupported {
        /// What kind of key it is.
        what: String,
    },
    /// No part of it is for signing.
    #[error("no part of this key may sign data: add a signing subkey, or give another key")]
    NoSigningPart,
    /// It was valid once.
    #[error("this key expired at {at}: extend it and export it again")]
    Expired {
        /// Since when it is not.
        at: Timestamp,
    },
    /// Its owner has taken it back.
    #[error("this key is revoked: give another one")]
    Revoked,
    /// It should have worked.
    #[error("this key makes no signature, although it looks sound: give another one")]
    Failed,
}

// === impl Signer ===

impl Signer {
    /// Reads an SSH private key in OpenSSH's format.
    ///
    /// Takes a moment if it is locked: the derivation of its key is slow on purpose.
    ///
    /// # Errors
    /// When no commit can be signed with it.
    pub fn ssh(key: &[u8], passphrase: Option<&SecretString>) -> Result<Self, SigningError> {
        Ok(Self(Key::Ssh(Arc::new(ssh::Key::read(key, passphrase)?))))
    }

    /// Reads an OpenPGP private key, armored or binary, and picks the part that signs: the newest
    /// signing subkey, else the primary key.
    ///
    /// Takes a moment if it is locked: the derivation of its key is slow on purpose.
    ///
    /// # Errors
    /// When no commit can be signed with it at `now`.
    pub fn openpgp(
        key: &[u8],
        passphrase: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Self, SigningError> {
        let key = openpgp::Key::read(key, passphrase, now)?;
        Ok(Self(Key::OpenPgp(Arc::new(key))))
    }

    /// How it signs.
    #[must_use]
    pub fn kind(&self) -> SignatureKind {
        match self.0 {
            Key::Ssh(_) => SignatureKind::Ssh,
            Key::OpenPgp(_) => SignatureKind::OpenPgp,
        }
    }

    /// The name of its public half, as `ssh-keygen -l` and `gpg --fingerprint` show it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        match &self.0 {
            Key::Ssh(key) => key.fingerprint(),
            Key::OpenPgp(key) => key.fingerprint(),
        }
    }

    /// The armored signature of a commit's text, without a final line end.
    ///
    /// # Errors
    /// When the key has expired since it was read.
    pub fn sign(&self, text: &[u8], now: Timestamp) -> Result<String, SigningError> {
        let signature = match &self.0 {
            Key::Ssh(key) => key.sign(text),
            Key::OpenPgp(key) => key.sign(text, now),
        }?;
        Ok(signature.trim_end().to_owned())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} {})", self.kind(), self.fingerprint())
    }
}

impl fmt::Display for SignatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssh => "SSH",
            Self::OpenPgp => "OpenPGP",
        })
    }
}
