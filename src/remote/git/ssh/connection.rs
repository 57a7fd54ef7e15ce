//! Connecting, checking the host, proving who we are, and having one program of git run.

use crate::remote::git::Error;
use crate::remote::git::ssh::known_hosts::describe;
use crate::remote::git::ssh::trouble::SshTrouble;
use crate::remote::git::ssh::{Access, Session};
use russh::client::{self, AuthResult, DisconnectReason};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use russh::{Channel, Preferred};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;

const CLIENT_ID: &str = concat!("SSH-2.0-hopclock_", env!("CARGO_PKG_VERSION"));

/// A program of git at the other end of a connection.
pub(super) struct Link {
    pub(super) handle: client::Handle<Guard>,
    pub(super) channel: Channel<client::Msg>,
    last_words: LastWords,
}

/// Looks at what the host shows, and keeps what it says at the end.
pub(super) struct Guard {
    access: Arc<Access>,
    last_words: LastWords,
}

/// Why a connection could not be made.
#[derive(Debug)]
pub(super) enum Failure {
    Trouble(SshTrouble),
    Protocol(russh::Error),
}

type LastWords = Arc<Mutex<String>>;

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

// === impl Link ===

impl Link {
    /// Makes the whole way to a running program, within the session's timeout.
    pub(super) async fn open(session: &Session, program: &str) -> Result<Self, Error> {
        let opened = tokio::time::timeout(session.timeout, Self::make(session, program)).await;
        opened.map_err(|_| Error::Timeout { url: session.url(), after: session.timeout })?
    }

    /// What the host said when it closed the connection.
    pub(super) fn last_words(&self) -> String {
        heard(&self.last_words)
    }

    async fn make(session: &Session, program: &str) -> Result<Self, Error> {
        let access = &session.access;
        let socket = connect(session).await?;
        let last_words = LastWords::default();
        let guard = Guard { access: access.clone(), last_words: last_words.clone() };
        let failed = |failure| session.failed(failure, &last_words);
        let handle = client::connect_stream(Arc::new(config(access)), socket, guard).await;
        let mut handle = handle.map_err(failed)?;
        authenticate(session, &mut handle, &last_words).await?;
        let failed = |error| session.failed(Failure::Protocol(error), &last_words);
        let channel = handle.channel_open_session().await.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(why) => {
                let said = format!("{why:?}");
                session.trouble(SshTrouble::CommandRefused { command: program.to_owned(), said })
            }
            error => failed(error),
        })?;
        channel.exec(true, access.address.command(program)).await.map_err(failed)?;
        Ok(Self { handle, channel, last_words })
    }
}

// === impl Guard ===

impl client::Handler for Guard {
    type Error = Failure;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.access.host.check(key).map_err(Failure::Trouble)?;
                Ok(true)
            }
            // None is asked for.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Failure>) -> Result<(), Failure> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let mut words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
                *words = super::stream::plain(info.message.as_bytes());
                Ok(())
            }
            DisconnectReason::Error(failure) => Err(failure),
        }
    }
}

// === impl Session ===

impl Session {
    /// The typed error behind one of the protocol.
    fn failed(&self, failure: Failure, last_words: &LastWords) -> Error {
        let url = self.url();
        let error = match failure {
            Failure::Trouble(trouble) => return self.trouble(trouble),
            Failure::Protocol(error) => error,
        };
        match error {
            russh::Error::NoCommonAlgo { kind, theirs, .. } => {
                let what = match kind {
                    russh::AlgorithmKind::Kex => "way to exchange keys",
                    russh::AlgorithmKind::Key => "type of host key",
                    russh::AlgorithmKind::Cipher => "cipher",
                    russh::AlgorithmKind::Compression => "compression",
                    russh::AlgorithmKind::Mac => "message authentication",
                };
                let theirs: Vec<_> =
                    theirs.iter().take(8).map(|it| super::stream::plain(it.as_bytes())).collect();
                let (what, theirs) = (what.to_owned(), theirs.join(", "));
                self.trouble(SshTrouble::NoCommonAlgorithm { what, theirs })
            }
            error @ russh::Error::Version => {
                self.trouble(SshTrouble::NotSsh { why: error.to_string() })
            }
            error => {
                let words = heard(last_words);
                let why = if words.is_empty() { error.to_string() } else { words };
                Error::Broken { url, why }
            }
        }
    }
}

async fn connect(session: &Session) -> Result<TcpStream, Error> {
    let address = &session.access.address;
    let found = tokio::net::lookup_host((address.host(), address.port())).await;
    let found: Vec<_> = found.map_err(|_| Error::UnknownHost { url: session.url() })?.collect();
    let unreachable =
        |error: std::io::Error| Error::Unreachable { url: session.url(), why: error.to_string() };
    let socket = TcpStream::connect(found.as_slice()).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    Ok(socket)
}

fn config(access: &Access) -> client::Config {
    let preferred = Preferred { key: Cow::Owned(access.host.algorithms()), ..Preferred::DEFAULT };
    client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(CLIENT_ID)),
        preferred,
        ..client::Config::default()
    }
}

async fn authenticate(
    session: &Session,
    handle: &mut client::Handle<Guard>,
    last_words: &LastWords,
) -> Result<(), Error> {
    let failed = |error| session.failed(Failure::Protocol(error), last_words);
    let access = &session.access;
    let user = access.address.user();
    let (kind, fingerprint) = describe(access.identity.public_key());
    let refused = |said: String| {
        let (user, kind, fingerprint) = (user.to_owned(), kind.clone(), fingerprint.clone());
        session.trouble(SshTrouble::KeyRefused { user, kind, fingerprint, said })
    };
    let hash = match access.identity.algorithm() {
        // Never SHA-1, whatever the server knows.
        Algorithm::Rsa { .. } => match handle.best_supported_rsa_hash().await.map_err(failed)? {
            Some(Some(hash)) => Some(hash),
            Some(None) => {
                return Err(refused("it takes RSA keys with SHA-1 only".to_owned()));
            }
            None => Some(HashAlg::Sha256),
        },
        _ => None,
    };
    let key = PrivateKeyWithHashAlg::new(access.identity.clone(), hash);
    match handle.authenticate_publickey(user, key).await.map_err(failed)? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { partial_success: true, .. } => {
            Err(refused("it asks for more than a key".to_owned()))
        }
        AuthResult::Failure { .. } => Err(refused(heard(last_words))),
    }
}

fn heard(last_words: &LastWords) -> String {
    last_words.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
