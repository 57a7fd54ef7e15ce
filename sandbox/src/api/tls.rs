//! Certificates made in the process: an authority of one's own and a server behind it.

use std::{fmt, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use thiserror::Error;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// What a server needs to speak TLS, and what its clients need to trust it.
#[derive(Clone)]
pub struct Tls {
    ca_pem: String,
    pub(super) acceptor: TlsAcceptor,
}

/// Why no certificate could be made.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Making a key or signing a certificate failed.
    #[error("the sandbox could not make its certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library did not take the certificate.
    #[error("the sandbox's certificate was not accepted by the TLS library")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// A new authority and a certificate for `127.0.0.1`, `::1` and `localhost` signed by it. Two
    /// calls make two authorities, of which neither is trusted by who trusts the other.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the crypto library fails.
    pub fn self_signed() -> Result<Self, TlsError> {
        let mut authority = CertificateParams::new(Vec::<String>::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "hopclock sandbox authority");
        let authority_key = KeyPair::generate()?;
        let authority_cert = authority.self_signed(&authority_key)?;
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { ca_pem: authority_cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The authority's certificate, for clients.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
