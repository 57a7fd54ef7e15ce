//! Certificates for a host on loopback, signed by an authority made in the process.
//!
//! A client that is given the authority trusts the host, any other one does not: both have to be
//! tried, and no certificate has to be kept anywhere.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::{TlsAcceptor, rustls};

/// A certificate authority and its key.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, String> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "hopclock sandbox authority");
        let key = KeyPair::generate().map_err(error)?;
        let certificate = params.self_signed(&key).map_err(error)?;
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Accepts TLS with a fresh certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(error)?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let key = KeyPair::generate().map_err(error)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(error)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(error)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(error)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

#[allow(clippy::needless_pass_by_value)]
fn error(error: impl ToString) -> String {
    error.to_string()
}
