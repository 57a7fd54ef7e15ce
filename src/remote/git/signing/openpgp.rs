//! An OpenPGP private key, and the detached signatures that `git` and Flux know as `gpg`.

use super::SigningError;
use super::certificate::{Part, signing_parts};
use jiff::Timestamp;
use pgp::composed::{
    ArmorOptions, DetachedSignature, PublicOrSecret, SignedPublicKey, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    SecretKey, SecretSubkey, SignatureConfig, SignatureType, Subpacket, SubpacketData,
};
use pgp::types::{KeyDetails, Password, SigningKey};
use secrecy::{ExposeSecret, SecretString};

const BEGINNING: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";
const PUBLIC: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// An unlocked key.
pub(super) struct Key {
    part: SecretPart,
    public: SignedPublicKey,
    fingerprint: String,
}

/// The unlocked part that signs.
enum SecretPart {
    Primary(SecretKey),
    Subkey(SecretSubkey),
}

// === impl Key ===

impl Key {
    /// Reads and unlocks it.
    pub(super) fn read(
        bytes: &[u8],
        passphrase: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Self, SigningError> {
        let key = parse(bytes)?;
        let public = key.to_public_key();
        let parts = signing_parts(&public, now)?;
        // Of a key that was exported without its primary part, only the subkeys are there.
        let part = parts.iter().find_map(|it| secret_part(&key, it));
        let mut part = part.ok_or(SigningError::NoSigningPart)?;
        part.unlock(passphrase)?;
        let fingerprint = format!("{:X}", public.primary_key.fingerprint());
        Ok(Self { part, public, fingerprint })
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Signs, if the key is still valid.
    pub(super) fn sign(&self, text: &[u8], now: Timestamp) -> Result<String, SigningError> {
        let ours = self.part.fingerprint();
        signing_parts(&self.public, now)?
            .iter()
            .find(|it| it.fingerprint() == ours)
            .ok_or(SigningError::NoSigningPart)?;
        let signature = match &self.part {
            SecretPart::Primary(key) => detached(key, text, now),
            SecretPart::Subkey(key) => detached(key, text, now),
        };
        signature
            .and_then(|it| it.to_armored_string(ArmorOptions::default()))
            .map_err(|_| SigningError::Failed)
    }
}

// === impl SecretPart ===

impl SecretPart {
    fn fingerprint(&self) -> pgp::types::Fingerprint {
        match self {
            Self::Primary(key) => key.fingerprint(),
            Self::Subkey(key) => key.fingerprint(),
        }
    }

    fn unlock(&mut self, passphrase: Option<&SecretString>) -> Result<(), SigningError> {
        let locked = match self {
            Self::Primary(key) => key.secret_params().is_encrypted(),
            Self::Subkey(key) => key.secret_params().is_encrypted(),
        };
        if !locked {
            return Ok(());
        }
        let passphrase = passphrase.ok_or(SigningError::NoPassphrase)?;
        let password = Password::from(passphrase.expose_secret());
        let opened = match self {
            Self::Primary(key) => key.remove_password(&password),
            Self::Subkey(key) => key.remove_password(&password),
        };
        opened.map_err(|_| SigningError::WrongPassphrase)
    }
}

/// The key in a file of either form.
fn parse(bytes: &[u8]) -> Result<SignedSecretKey, SigningError> {
    let not_a_key = || SigningError::NotAKey { expected: BEGINNING };
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let begins = |it: &str| text.lines().any(|line| line.trim() == it);
    if begins(PUBLIC) && !begins(BEGINNING) {
        return Err(SigningError::Public);
    }
    let armored = begins(BEGINNING);
    // In binary form, the highest bit of a packet's first byte is set.
    if !armored && bytes.first().is_none_or(|it| it & 0x80 == 0) {
        return Err(not_a_key());
    }
    let damaged = |_| SigningError::Damaged;
    let mut keys = if armored {
        // What stands before the first line, such as a comment, is no part of it.
        let start = text.find(BEGINNING).unwrap_or_default();
        let text: String = text[start..].lines().flat_map(|it| [it.trim(), "\n"]).collect();
        PublicOrSecret::from_armor_many(std::io::Cursor::new(text)).map_err(damaged)?.0
    } else {
        PublicOrSecret::from_bytes_many(bytes).map_err(damaged)?
    };
    match keys.next() {
        Some(Ok(PublicOrSecret::Secret(key))) => Ok(key),
        Some(Ok(PublicOrSecret::Public(_))) => Err(SigningError::Public),
        Some(Err(_)) if armored => Err(SigningError::Damaged),
        Some(Err(_)) | None => Err(not_a_key()),
    }
}

fn secret_part(key: &SignedSecretKey, part: &Part<'_>) -> Option<SecretPart> {
    let wanted = part.fingerprint();
    match part {
        Part::Primary(_) => Some(SecretPart::Primary(key.primary_key.clone())),
        Part::Subkey(_) => {
            let subkey = key.secret_subkeys.iter().find(|it| it.key.fingerprint() == wanted)?;
            Some(SecretPart::Subkey(subkey.key.clone()))
        }
    }
}

fn detached(
    key: &impl SigningKey,
    text: &[u8],
    now: Timestamp,
) -> Result<DetachedSignature, pgp::errors::Error> {
    let seconds = u32::try_from(now.as_second()).unwrap_or_default();
    let time = pgp::types::Timestamp::from_secs(seconds.max(key.created_at().as_secs()));
    let mut config =
        SignatureConfig::v4(SignatureType::Binary, key.algorithm(), HashAlgorithm::Sha512);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        Subpacket::critical(SubpacketData::SignatureCreationTime(time))?,
    ];
    config.unhashed_subpackets =
        vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    config.sign(key, &Password::empty(), text).map(DetachedSignature::new)
}
