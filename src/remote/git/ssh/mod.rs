//! Git over ssh: one connection for each operation, one program of git at its other end.
//!
//! No ssh program is run and no configuration of one is read: the key and the known hosts are
//! what the scenario or the Secret gives, and a host that is not known is never trusted.

mod address;
mod connection;
mod identity;
mod known_hosts;
mod report;
mod stream;
mod trouble;

use crate::model::Clock;
use crate::remote::git::session::Trace;
use crate::remote::git::{Credentials, Error, RemoteUrl};
use crate::remote::meter::Meter;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use known_hosts::KnownHost;
use russh::keys::PrivateKey;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;

pub(super) use address::Address;
pub use trouble::SshTrouble;

/// Where to, as whom, and what the host must show. Has no `Debug`: it holds the key.
pub(super) struct Access {
    address: Address,
    identity: Arc<PrivateKey>,
    host: KnownHost,
}

/// One operation on a remote over ssh.
pub(super) struct Session {
    pub(super) access: Arc<Access>,
    pub(super) runtime: Handle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) remote: RemoteUrl,
    /// What a push moves; its report is the answer.
    pub(super) reference: String,
    pub(super) timeout: Duration,
    pub(super) meter: Meter,
    pub(super) trace: Mutex<Trace>,
}

/// What libgit2 asks for a stream.
pub(super) struct Ssh {
    session: Arc<Session>,
}

impl Access {
    /// Reads the key and the known hosts. Asks nothing of the remote.
    pub(super) fn new(address: Address, credentials: &Credentials) -> Result<Self, SshTrouble> {
        let Credentials::Ssh(key) = credentials else { return Err(SshTrouble::NoKey) };
        let identity = Arc::new(identity::read(key)?);
        let host = KnownHost::read(&key.known_hosts, &address)?;
        Ok(Self { address, identity, host })
    }
}

impl Session {
    fn url(&self) -> String {
        self.remote.to_string()
    }

    fn trouble(&self, trouble: SshTrouble) -> Error {
        Error::Ssh { url: self.url(), trouble: Box::new(trouble) }
    }
}

impl Ssh {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

impl SmartSubtransport for Ssh {
    fn action(
        &self,
        _url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let stream = match service {
            Service::UploadPackLs | Service::UploadPack => stream::Stream::fetch(&self.session),
            Service::ReceivePackLs | Service::ReceivePack => stream::Stream::push(&self.session),
        };
        Ok(Box::new(stream.map_err(|error| git2::Error::from_str(&error.to_string()))?))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}
