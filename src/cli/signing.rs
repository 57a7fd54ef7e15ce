//! Proves that every source on the path accepts the signatures of a key (rule S4): an unsigned head
//! stops all delivery from its repository.

use crate::cli::reader::Reader;
use crate::hop::Objects;
use crate::model::{Landing, ObjectName, ProbeError, Subject};
use crate::path::delivery::trusted_keys;
use crate::remote::git::signing::{Signer, Trust};
use jiff::Timestamp;
use secrecy::ExposeSecret;

/// What the bounded word for labels is when a source would not accept our commits.
const UNSATISFIED: &str = "verify_unsatisfied";

/// Proves that every source on the path that verifies our commits trusts the key. That each gets
/// the sort of signature it wants has been proven by the objects alone.
pub(super) async fn prove(
    reader: &Reader<'_>,
    signer: &Signer,
    landing: &Landing,
    path: &Objects,
    now: Timestamp,
) -> Result<(), ProbeError> {
    for (source, object) in path {
        if landing.may_feed(source, object)
            && let Some(trusted) = trusted_keys(source, object)
        {
            trusts(reader, signer, source, &trusted, now).await?;
        }
    }
    Ok(())
}

async fn trusts(
    reader: &Reader<'_>,
    signer: &Signer,
    source: &Subject,
    trusted: &ObjectName,
    now: Timestamp,
) -> Result<(), ProbeError> {
    let secret = reader.secret(&source.cluster, trusted).await?;
    let mut values = Vec::new();
    for key in secret.keys() {
        values.push((key, secret.bytes(key)?.expose_secret()));
    }
    Trust::read(values).accepts(signer, now).map_err(|why| {
        let (kind, fingerprint) = (signer.kind(), signer.fingerprint());
        error(
            UNSATISFIED,
            format!(
                "{source} would not accept a commit that is signed with the {kind} key \
                 `{fingerprint}`: the Secret {trusted} {why}"
            ),
        )
    })
}

fn error(reason: &str, message: String) -> ProbeError {
    ProbeError { reason: reason.to_owned(), message }
}
