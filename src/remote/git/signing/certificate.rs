//! An OpenPGP public key at an instant: which of its parts may sign then.
//!
//! As go-crypto judges it, with which Flux verifies: by the newest self-signature that is genuine,
//! by revocations, by expiry, and for a subkey by the signature with which it agrees to belong to
//! the key.

use super::{SHORTEST_RSA, SigningError};
use jiff::Timestamp;
use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{Fingerprint, KeyDetails, KeyVersion, PublicParams, Tag};

/// A part that may sign.
#[derive(Clone, Copy)]
pub(super) enum Part<'k> {
    /// The key itself.
    Primary(&'k SignedPublicKey),
    /// A part of it.
    Subkey(&'k SignedPublicSubKey),
}

// === impl Part ===

impl Part<'_> {
    /// What names it.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Primary(key) => key.primary_key.fingerprint(),
            Self::Subkey(subkey) => subkey.key.fingerprint(),
        }
    }

    /// Whether it made a signature of a text.
    pub(super) fn made(&self, signature: &Signature, text: &[u8]) -> bool {
        match self {
            Self::Primary(key) => signature.verify(&key.primary_key, text).is_ok(),
            Self::Subkey(subkey) => signature.verify(&subkey.key, text).is_ok(),
        }
    }
}

/// The parts that may sign, the newest subkey first and the primary key last.
pub(super) fn signing_parts(
    key: &SignedPublicKey,
    now: Timestamp,
) -> Result<Vec<Part<'_>>, SigningError> {
    let primary = &key.primary_key;
    let revoked = key.details.revocation_signatures.iter().any(|it| it.verify_key(primary).is_ok());
    if revoked {
        return Err(SigningError::Revoked);
    }
    let own = newest(self_signatures(key)).ok_or(SigningError::NoSigningPart)?;
    alive(primary, own, now)?;
    let mut expired = None;
    let mut weak = None;
    let mut subkeys = Vec::new();
    for subkey in &key.public_subkeys {
        match signs(key, subkey, now) {
            Ok(true) => subkeys.push(subkey),
            Ok(false) => {}
            Err(why @ SigningError::Expired { .. }) => expired = Some(why),
            Err(why) => weak = Some(why),
        }
    }
    subkeys.sort_by_key(|it| std::cmp::Reverse(it.key.created_at().as_secs()));
    let mut parts: Vec<_> = subkeys.into_iter().map(Part::Subkey).collect();
    if may_sign(own) && primary.algorithm().can_sign() {
        match strong(primary) {
            Ok(()) => parts.push(Part::Primary(key)),
            Err(why) => weak = Some(why),
        }
    }
    if parts.is_empty() {
        return Err(weak.or(expired).unwrap_or(SigningError::NoSigningPart));
    }
    Ok(parts)
}

/// Whether a subkey may sign; an error if it could, but for its age or size.
fn signs(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now: Timestamp,
) -> Result<bool, SigningError> {
    let primary = &key.primary_key;
    let genuine = |it: &&Signature| it.verify_subkey_binding(primary, &subkey.key).is_ok();
    let of_type = |wanted: SignatureType| {
        subkey.signatures.iter().filter(move |it| it.typ() == Some(wanted)).filter(genuine)
    };
    if of_type(SignatureType::SubkeyRevocation).next().is_some() {
        return Ok(false);
    }
    let Some(binding) = newest(of_type(SignatureType::SubkeyBinding)) else { return Ok(false) };
    let agrees = binding
        .embedded_signature()
        .is_some_and(|it| it.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if !(may_sign(binding) && agrees && subkey.key.algorithm().can_sign()) {
        return Ok(false);
    }
    alive(&subkey.key, binding, now)?;
    strong(&subkey.key)?;
    Ok(true)
}

/// What the key says of itself, and did sign.
fn self_signatures(key: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &key.primary_key;
    let direct = key.details.direct_signatures.iter();
    let direct = direct.filter(|it| it.verify_key(primary).is_ok());
    let of_users = key.details.users.iter().flat_map(move |user| {
        user.signatures.iter().filter(move |it| {
            it.typ() != Some(SignatureType::CertRevocation)
                && it.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    });
    direct.chain(of_users)
}

fn newest<'s>(signatures: impl Iterator<Item = &'s Signature>) -> Option<&'s Signature> {
    signatures.max_by_key(|it| it.created().map(pgp::types::Timestamp::as_secs))
}

/// A self-signature without flags allows everything.
fn may_sign(signature: &Signature) -> bool {
    let limits = signature.config().is_some_and(|it| {
        it.hashed_subpackets().any(|it| matches!(it.data, SubpacketData::KeyFlags(_)))
    });
    !limits || signature.key_flags().sign()
}

fn alive(key: &impl KeyDetails, own: &Signature, now: Timestamp) -> Result<(), SigningError> {
    if key.version() != KeyVersion::V4 {
        let what = format!("an OpenPGP key of version {}", u8::from(key.version()));
        return Err(SigningError::Unsupported { what });
    }
    let created = i64::from(key.created_at().as_secs());
    let Some(lifetime) = own.key_expiration_time().filter(|it| it.as_secs() > 0) else {
        return Ok(());
    };
    let at = Timestamp::from_second(created + i64::from(lifetime.as_secs())).unwrap_or_default();
    if at <= now { Err(SigningError::Expired { at }) } else { Ok(()) }
}

fn strong(key: &impl KeyDetails) -> Result<(), SigningError> {
    // An RSA key is written with the number of its bits in front.
    let PublicParams::RSA(rsa) = key.public_params() else { return Ok(()) };
    let bits = rsa.to_bytes().ok().and_then(|it| it.first_chunk::<2>().copied());
    match bits.map(u16::from_be_bytes).map(usize::from) {
        Some(bits) if bits < SHORTEST_RSA => {
            Err(SigningError::Unsupported { what: format!("an RSA key of {bits} bits") })
        }
        _ => Ok(()),
    }
}
