//! The keys of hosts, in the manner of OpenSSH's `known_hosts`: which of them speak of a host, and
//! what they say of a key that it shows.
//!
//! A host on another port than 22 is only known by `[host]:port`, as for Flux: a key of the host's
//! own ssh server says nothing of what listens elsewhere.

use crate::remote::git::ssh::address::Address;
use crate::remote::git::ssh::trouble::SshTrouble;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, HashAlg, PublicKey};

/// What a `known_hosts` says of one host.
#[derive(Debug)]
pub(super) struct KnownHost {
    name: String,
    scan: String,
    entries: Vec<Entry>,
}

/// One line that speaks of the host.
#[derive(Debug)]
struct Entry {
    line: usize,
    marker: Marker,
    key: PublicKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

/// What a line means for the host.
enum Line {
    Key(Marker, PublicKey),
    Unreadable,
    Other,
}

impl KnownHost {
    /// Reads the lines that speak of the host.
    ///
    /// # Errors
    /// When there is nothing in it at all, when a line for the host cannot be read, and when only
    /// an authority is known for it.
    pub(super) fn read(text: &str, address: &Address) -> Result<Self, SshTrouble> {
        let (name, scan) = (address.known_as(), address.scan());
        if text.trim().is_empty() {
            return Err(SshTrouble::NoKnownHosts { scan });
        }
        let mut entries = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            match read_line(text, &name) {
                Line::Key(marker, key) => entries.push(Entry { line, marker, key }),
                Line::Unreadable => return Err(SshTrouble::BadKnownHosts { host: name, line }),
                Line::Other => {}
            }
        }
        let authority = entries.iter().find(|entry| entry.marker == Marker::Authority);
        if let Some(authority) = authority
            && !entries.iter().any(|entry| entry.marker == Marker::None)
        {
            return Err(SshTrouble::HostCertificate { host: name, line: authority.line });
        }
        Ok(Self { name, scan, entries })
    }

    /// Which keys to ask the host for: those of the kinds that are known, if any are. Else a known
    /// key would be missed because the host prefers to show another.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let known = self.trusted().map(|entry| entry.key.algorithm());
        let known: Vec<_> = known.map(|kind| kind.as_str().to_owned()).collect();
        let is_known = |algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa { .. } => known.iter().any(|kind| kind == "ssh-rsa"),
            other => known.iter().any(|kind| kind == other.as_str()),
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = every_algorithm().into_iter().partition(is_known);
        first.extend(rest);
        first
    }

    /// Whether the key is the host's.
    ///
    /// # Errors
    /// When it is revoked, another one, or not known at all.
    pub(super) fn check(&self, shown: &PublicKey) -> Result<(), SshTrouble> {
        let (host, scan) = (self.name.clone(), self.scan.clone());
        let (kind, fingerprint) = describe(shown);
        let same = |entry: &&Entry| entry.key.key_data() == shown.key_data();
        let mut revoked = self.entries.iter().filter(|entry| entry.marker == Marker::Revoked);
        if let Some(Entry { line, .. }) = revoked.find(same) {
            return Err(SshTrouble::RevokedHostKey { host, kind, fingerprint, line: *line });
        }
        if self.trusted().any(|entry| same(&entry)) {
            return Ok(());
        }
        let of_its_kind = self.trusted().find(|entry| entry.key.algorithm() == shown.algorithm());
        if let Some(Entry { line, .. }) = of_its_kind {
            let line = *line;
            return Err(SshTrouble::ChangedHostKey { host, kind, fingerprint, line, scan });
        }
        let others: Vec<_> =
            self.trusted().map(|it| format!("`{}`", describe(&it.key).0)).collect();
        let others = match others.as_slice() {
            [] => String::new(),
            others => format!(" of this type, only {}", others.join(", ")),
        };
        Err(SshTrouble::UnknownHostKey { host, kind, fingerprint, others, scan })
    }

    fn trusted(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.marker == Marker::None)
    }
}

/// The type of a key, and its fingerprint as OpenSSH prints it.
pub(super) fn describe(key: &PublicKey) -> (String, String) {
    (key.algorithm().as_str().to_owned(), key.fingerprint(HashAlg::Sha256).to_string())
}

/// Everything that a host may prove itself with; SHA-1 is not among it.
fn every_algorithm() -> Vec<Algorithm> {
    use russh::keys::EcdsaCurve::{NistP256, NistP384, NistP521};
    vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: NistP256 },
        Algorithm::Ecdsa { curve: NistP384 },
        Algorithm::Ecdsa { curve: NistP521 },
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    ]
}

fn read_line(line: &str, name: &str) -> Line {
    let mut words = line.split_whitespace();
    let Some(mut patterns) = words.next() else { return Line::Other };
    let marker = match patterns {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::Authority,
        _ => Marker::None,
    };
    if marker != Marker::None {
        patterns = words.next().unwrap_or_default();
    }
    // A marker that is not known yet must not be taken for trust.
    if patterns.starts_with(['#', '@']) || !matches(patterns, name) {
        return Line::Other;
    }
    let Some((kind, key)) = words.next().zip(words.next()) else { return Line::Unreadable };
    let usable = every_algorithm().iter().any(|it| match it {
        Algorithm::Rsa { .. } => kind == "ssh-rsa",
        other => kind == other.as_str(),
    });
    if usable {
        let key = PublicKey::from_openssh(&format!("{kind} {key}"));
        return key.map_or(Line::Unreadable, |key| Line::Key(marker, key));
    }
    // The line of an old key, or of one in a piece of hardware, beside another.
    let is_kind = kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.contains('@');
    if is_kind { Line::Other } else { Line::Unreadable }
}

/// Whether a list of patterns means the host: one of them does, and none excludes it.
fn matches(patterns: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        if let Some(excluded) = pattern.strip_prefix('!') {
            if glob(excluded.to_ascii_lowercase().as_bytes(), name.as_bytes()) {
                return false;
            }
        } else if let Some(hashed) = pattern.strip_prefix("|1|") {
            found |= is_hash_of(hashed, name);
        } else {
            found |= glob(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
        }
    }
    found
}

/// `salt|hash`, both in Base64; the hash is an HMAC of SHA-1.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let parts = hashed
        .split_once('|')
        .and_then(|(salt, hash)| Some((STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?)));
    parts.is_some_and(|(salt, hash)| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
        hmac::verify(&key, name.as_bytes(), &hash).is_ok()
    })
}

/// `*` and `?`, as in a shell.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from, mut retry) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at, from));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == text[from] => {
                (at, from) = (at + 1, from + 1);
            }
            _ => {
                // The last star takes one character more.
                let Some((star, taken)) = retry else { return false };
                (at, from) = (star + 1, taken + 1);
                retry = Some((star, taken + 1));
            }
        }
    }
    pattern[at..].iter().all(|it| *it == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
    const CURVE: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn known(text: &str, address: &str) -> Result<KnownHost, SshTrouble> {
        KnownHost::read(text, &Address::parse(address).unwrap().unwrap())
    }

    /// What becomes of the key at a host, as a label.
    fn verdict(text: &str, address: &str, shown: &str) -> &'static str {
        let checked = known(text, address)
            .and_then(|known| known.check(&PublicKey::from_openssh(shown).unwrap()));
        checked.map_or_else(|trouble| trouble.reason(), |()| "good")
    }

    #[test]
    fn a_line_speaks_of_the_hosts_that_its_patterns_mean() {
        let hashed = {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"salt");
            let hash = STANDARD.encode(hmac::sign(&key, b"git.example").as_ref());
            format!("|1|{}|{hash}", STANDARD.encode("salt"))
        };
        let unknown = "git_ssh_unknown_host_key";
        for (patterns, address, wanted) in [
            ("git.example", "git@git.example:x", "good"),
            ("Git.Example", "git@GIT.example:x", "good"),
            ("a,git.example,b", "git@git.example:x", "good"),
            ("git.example", "git@sub.git.example:x", unknown),
            ("*.example", "git@git.example:x", "good"),
            ("g?t.*", "git@git.example:x", "good"),
            ("*.example,!git.example", "git@git.example:x", unknown),
            ("!git.example,*.example", "git@other.example:x", "good"),
            ("git.example", "ssh://git.example:2222/x", unknown),
            ("[git.example]:2222", "ssh://git.example:2222/x", "good"),
            ("[git.example]:2222", "ssh://git.example/x", unknown),
            ("[*.example]:2222", "ssh://git.example:2222/x", "good"),
            (&hashed, "git@git.example:x", "good"),
            (&hashed, "git@git.examples:x", unknown),
            ("|1|broken", "git@git.example:x", unknown),
            ("# git.example", "git@git.example:x", unknown),
        ] {
            let text = format!("{patterns} {ONE} a comment\n");
            assert_eq!(verdict(&text, address, ONE), wanted, "{patterns} {address}");
        }
    }

    #[test]
    fn another_key_of_the_same_type_is_a_change_and_one_of_another_type_is_unknown() {
        let text = format!("# hosts\n\nh {ONE}\n");
        assert_eq!(verdict(&text, "git@h:x", OTHER), "git_ssh_changed_host_key");
        assert_eq!(verdict(&text, "git@h:x", CURVE), "git_ssh_unknown_host_key");
        let error = known(&text, "git@h:x").unwrap();
        let error = error.check(&PublicKey::from_openssh(OTHER).unwrap()).unwrap_err();
        assert!(matches!(error, SshTrouble::ChangedHostKey { line: 3, .. }), "{error}");
        let both = format!("h {ONE}\nh {OTHER}\n");
        assert_eq!(verdict(&both, "git@h:x", OTHER), "good");
    }

    #[test]
    fn a_revoked_key_is_refused_even_if_it_is_known() {
        let text = format!("h {ONE}\n@revoked * {ONE}\n");
        assert_eq!(verdict(&text, "git@h:x", ONE), "git_ssh_revoked_host_key");
        let text = format!("h {ONE}\n@revoked * {OTHER}\n");
        assert_eq!(verdict(&text, "git@h:x", ONE), "good");
    }

    #[test]
    fn an_authority_alone_and_a_line_without_a_key_are_said_before_anything_is_asked() {
        let authority = format!("@cert-authority *.example {ONE}\n");
        let error = known(&authority, "git@git.example:x").unwrap_err();
        assert_eq!(error.reason(), "git_ssh_host_certificate");
        assert!(known(&format!("{authority}git.example {OTHER}\n"), "git@git.example:x").is_ok());
        for line in ["h", "h ssh-ed25519", "h ssh-ed25519 AAAA", "h AAAA ssh-ed25519"] {
            let error = known(&format!("\n{line}\n"), "git@h:x").unwrap_err();
            assert!(matches!(error, SshTrouble::BadKnownHosts { line: 2, .. }), "{line}: {error}");
        }
        for line in ["h ssh-dss AAAA", "h sk-ssh-ed25519@openssh.com AAAA", "@new h ssh-rsa AAAA"] {
            assert!(known(&format!("{line}\nh {ONE}\n"), "git@h:x").is_ok(), "{line}");
        }
        assert_eq!(known(" \n", "git@h:x").unwrap_err().reason(), "git_ssh_known_hosts");
    }

    #[test]
    fn the_kinds_of_known_keys_are_asked_for_first_and_sha_1_never() {
        let algorithms = known(&format!("h {CURVE}\n@revoked h {ONE}\n"), "git@h:x").unwrap();
        let names: Vec<_> =
            algorithms.algorithms().iter().map(|it| it.as_str().to_owned()).collect();
        assert_eq!(names[..2], ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        assert!(!names.contains(&"ssh-rsa".to_owned()), "{names:?}");
    }

    #[test]
    fn stars_stand_for_any_number_of_characters() {
        for (pattern, text, wanted) in [
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b", "ab", true),
            ("*.b", "a.b.b", true),
            ("a?", "a", false),
            ("a*b", "abc", false),
            ("a", "ab", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} {text}");
        }
    }
}
