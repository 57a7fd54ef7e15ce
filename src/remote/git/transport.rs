//! libgit2's smart protocol over our own sessions.
//!
//! libgit2 is built without TLS, ssh and an HTTP client of its own; it asks here instead. A
//! transport is registered for the whole process, so the session of an operation reaches it
//! through the thread that the operation runs on.

use crate::remote::git::http::{self, Ask};
use crate::remote::git::session::Session;
use crate::remote::git::{Error, ssh};
use bytes::Bytes;
use git2::transport::{self, Service, SmartSubtransport, SmartSubtransportStream, Transport};
use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, OnceLock};

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Gives libgit2 the session for the time of one operation on this thread.
pub(super) fn with_session<T>(session: &Session, operation: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            SESSION.set(None);
        }
    }
    SESSION.set(Some(session.clone()));
    let _reset = Reset;
    operation()
}

/// The address that libgit2 is given for every remote; the session knows the real one.
///
/// A scheme of our own, so that no `url.insteadOf` of the user's git configuration rewrites it.
pub(super) const ADDRESS: &str = "hopclock://remote";

/// Makes libgit2 ask us for our scheme; the first call of the process does it.
pub(super) fn register() -> Result<(), Error> {
    static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
    let register = || register_scheme("hopclock").map_err(|error| error.to_string());
    let registered = REGISTERED.get_or_init(register);
    registered.clone().map_err(|why| Error::Git { url: ADDRESS.to_owned(), why })
}

#[expect(unsafe_code, reason = "registering a transport is unsafe; the OnceLock serialises it")]
fn register_scheme(scheme: &str) -> Result<(), git2::Error> {
    // SAFETY: runs once, before any remote is opened: every remote of this process is opened
    // behind `register`.
    unsafe {
        transport::register(scheme, |remote| {
            let session = SESSION.with_borrow(Clone::clone);
            let session =
                session.ok_or_else(|| git2::Error::from_str("no session on this thread"))?;
            match session {
                Session::Http(session) => Transport::smart(remote, true, Http { session }),
                // The connection is one conversation, so libgit2 keeps to one stream.
                Session::Ssh(session) => Transport::smart(remote, false, ssh::Ssh::new(session)),
            }
        })
    }
}

struct Http {
    session: Arc<http::Session>,
}

/// One request: written, then sent by the first read.
struct Exchange {
    session: Arc<http::Session>,
    ask: Ask,
    request: Vec<u8>,
    answer: Option<Cursor<Bytes>>,
}

impl SmartSubtransport for Http {
    fn action(
        &self,
        _url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let ask = match service {
            Service::UploadPackLs => Ask::FetchRefs,
            Service::UploadPack => Ask::Fetch,
            Service::ReceivePackLs => Ask::PushRefs,
            Service::ReceivePack => Ask::Push,
        };
        let session = self.session.clone();
        Ok(Box::new(Exchange { session, ask, request: Vec::new(), answer: None }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.request.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.answer.is_none() {
            let request = std::mem::take(&mut self.request);
            self.answer = Some(Cursor::new(self.session.ask(self.ask, request)?));
        }
        self.answer.as_mut().map_or(Ok(0), |answer| answer.read(buffer))
    }
}
