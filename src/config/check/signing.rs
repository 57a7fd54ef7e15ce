//! A `signing` that names no key, or more than one.

use super::Findings;
use crate::config::mistake::Mistake;
use crate::config::node::Step::{self, Key};
use crate::trigger::{SecretSource, Signing};

/// Looks at where the signing key is said to be.
pub(super) fn check(signing: &Signing, findings: &mut Findings<'_>) {
    let way = [Key("trigger"), Key("git_commit"), Key("signing"), Key(signing.as_str())];
    let below = |key: &'static str| -> Vec<Step<'static>> {
        way.iter().copied().chain([Key(key)]).collect()
    };
    let key = signing.key();
    match (&key.secret, &key.key) {
        (None, None) => findings.key(&way, Mistake::NoSigningKey),
        (Some(_), Some(_)) => findings.key(&below("key"), Mistake::TwoSigningKeys),
        (Some(_), None) if key.passphrase.is_some() => {
            findings.key(&below("passphrase"), Mistake::PassphraseWithSecret);
        }
        _ => {}
    }
    for (name, source) in [("key", &key.key), ("passphrase", &key.passphrase)] {
        match source {
            Some(SecretSource::File(it)) if it.as_os_str().is_empty() => {
                findings.value(&below(name), Mistake::EmptySecretSource { key: "file" });
            }
            Some(SecretSource::Env(it)) if it.is_empty() => {
                findings.value(&below(name), Mistake::EmptySecretSource { key: "env" });
            }
            _ => {}
        }
    }
}
