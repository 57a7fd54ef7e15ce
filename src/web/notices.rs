//! The listener for Flux's notifications: `POST /notify/{listener}`.
//!
//! It stands on a port of its own, because Flux has to reach it and nobody else should reach the
//! private pages. Whoever knows no token is told why by the status and the sentence; the log says
//! it once in a while, because a provider with a wrong token tries again for ever.

use crate::export::{Metrics, NoticeResult};
use crate::model::{Clock, Moment, Notice, When};
use crate::web::front::{Front, Turned};
use crate::web::reply::{plain, refusal};
use crate::web::unheard::Unheard;
use async_trait::async_trait;
use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The header in which `generic-hmac` providers sign.
const SIGNATURE: &str = "x-signature";

/// How long a provider tries again (Flux: four times, all within its timeout of 15 s; a longer one can
/// be set).
const AGAIN: Duration = Duration::from_secs(60);

/// How long the log says nothing of what it has just said.
const QUIET: Duration = Duration::from_secs(60);

/// What stands for a listener where it is not known which one was meant.
const ANY: &str = "";

/// How notifications of one listener prove themselves.
#[derive(Clone)]
pub enum NoticeKey {
    /// By a signature with this token, as `generic-hmac` providers send it.
    Token(SecretString),
    /// Not at all, as `generic` providers send them: whoever reaches the port is believed.
    Unsigned,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// There is no listener of that name.
    NoListener,
    /// The token cannot be read now; the sentence says why.
    Unreadable(String),
}

/// Knows the keys of the listeners.
#[async_trait]
pub trait NoticeKeys: Send + Sync {
    /// The key of a listener; asked for with every notification. `doubt`: the one that was given
    /// last did not fit, so that it may have been exchanged.
    async fn key(&self, listener: &str, doubt: bool) -> Result<NoticeKey, NoKey>;
}

/// What became of a notification that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// To a run that waits for it.
    Heard,
    /// Nobody waits for it.
    Unawaited,
    /// Whoever waits for it cannot take it now.
    Busy,
}

/// Takes notifications that were let in.
pub trait Noticeboard: Send + Sync {
    /// Hands on a notification that reached a listener then.
    fn post(&self, listener: &str, notice: &Notice, when: When) -> Delivered;
}

/// What stands behind the listener.
#[derive(Clone)]
pub struct NoticePages {
    /// Who waits.
    pub board: Arc<dyn Noticeboard>,
    /// The keys.
    pub keys: Arc<dyn NoticeKeys>,
    /// Counts what comes.
    pub metrics: Arc<Metrics>,
    /// Says when it came.
    pub clock: Arc<dyn Clock>,
}

/// The listener's own state.
#[derive(Clone)]
struct Listener {
    pages: NoticePages,
    /// When the log last said why nothing was let in by a listener. Only those that are there have
    /// a name here.
    said: Arc<Mutex<BTreeMap<(String, NoticeResult), Moment>>>,
    /// Since when each listener has put off what a provider will send again.
    put_off: Arc<Mutex<BTreeMap<String, Moment>>>,
}

/// `POST /notify/{listener}`, to which Flux's Provider posts, and nothing else.
pub fn notice_pages(pages: NoticePages) -> Front {
    pages.metrics.declare_notices();
    let listener = Listener { pages, said: Arc::default(), put_off: Arc::default() };
    let ear = listener.clone();
    let router = Router::new()
        .route("/notify/{listener}", post(take))
        .method_not_allowed_fallback(async |State(listener): State<Listener>| {
            listener.refuse(ANY, &Unheard::WrongMethod);
            let text = "Notifications are posted here: use POST.\n";
            plain(StatusCode::METHOD_NOT_ALLOWED, text.to_owned())
        })
        .fallback(async |State(listener): State<Listener>, uri: Uri| {
            listener.refuse(ANY, &Unheard::NoListener);
            let path = uri.path();
            let text = format!(
                "There is nothing at {path}. Notifications are posted to /notify/LISTENER.\n"
            );
            plain(StatusCode::NOT_FOUND, text)
        })
        .with_state(listener);
    Front::new(router, move |turned| {
        ear.refuse(
            ANY,
            &match turned {
                Turned::TooLong => Unheard::TooLong,
                Turned::Broken => Unheard::Incomplete,
                Turned::TooMany => Unheard::TooMany,
            },
        );
    })
}

async fn take(
    State(listener): State<Listener>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // Its instant is now, whatever the check of the signature takes (rule T4).
    let at = listener.pages.clock.now();
    let admitted = match listener.admit(&name, &headers, &body).await {
        Ok(()) => Notice::read(&body).ok_or(Unheard::Malformed),
        Err(refused) => Err(refused),
    };
    let delivered = admitted.and_then(|it| {
        match listener.pages.board.post(&name, &it, listener.when(&name, at)) {
            Delivered::Busy => Err(Unheard::Busy),
            delivered => Ok(delivered),
        }
    });
    match delivered {
        Ok(delivered) => {
            listener.well(&name, at);
            let heard = delivered == Delivered::Heard;
            let result = if heard { NoticeResult::Heard } else { NoticeResult::Unawaited };
            listener.pages.metrics.count_notice(result);
            StatusCode::OK.into_response()
        }
        Err(refused) => {
            // The name of one that is not there is the sender's, and there may be any number.
            let known = if matches!(refused, Unheard::NoListener) { ANY } else { &name };
            listener.refuse(known, &refused);
            refusal(refused.status(), refused.result().as_str(), &refused.sentence(&name))
        }
    }
}

// === impl Listener ===

impl Listener {
    async fn admit(&self, name: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), Unheard> {
        let keys = &self.pages.keys;
        let key = match keys.key(name, false).await.map_err(Unheard::from)? {
            NoticeKey::Unsigned => return Ok(()),
            NoticeKey::Token(key) => key,
        };
        let signature = headers.get(SIGNATURE).and_then(|it| it.to_str().ok());
        let signature = signature.ok_or(Unheard::Missing)?;
        if is_signed(&key, signature, body) {
            return Ok(());
        }
        match keys.key(name, true).await.map_err(Unheard::from)? {
            NoticeKey::Unsigned => Ok(()),
            NoticeKey::Token(key) if is_signed(&key, signature, body) => Ok(()),
            NoticeKey::Token(_) => Err(Unheard::Wrong),
        }
    }

    /// Counts one that is not let in, and says why unless that was just said.
    fn refuse(&self, name: &str, refused: &Unheard) {
        let (now, result) = (self.pages.clock.now(), refused.result());
        self.pages.metrics.count_notice(result);
        if refused.comes_again() {
            self.put_off().entry(name.to_owned()).or_insert(now);
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = said.get(&(name.to_owned(), result));
        if last.is_none_or(|it| now.since(*it) >= QUIET) {
            said.insert((name.to_owned(), result), now);
            tracing::warn!("{}", refused.sentence(name));
        }
    }

    /// When something happened that is heard at `at`: if others were put off, it may be one of them
    /// that was sent again (rule T6).
    fn when(&self, name: &str, at: Moment) -> When {
        let put_off = self.put_off();
        let may_come = |it: &&Moment| at.since(**it) < AGAIN;
        match [name, ANY].into_iter().filter_map(|it| put_off.get(it)).filter(may_come).min() {
            Some(since) => When::between(*since, at),
            None => When::at(at),
        }
    }

    fn put_off(&self) -> MutexGuard<'_, BTreeMap<String, Moment>> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever was put off has come again after a while, or never will.
    fn well(&self, name: &str, at: Moment) {
        let is_over = |listener: &str| listener == name || listener == ANY;
        self.put_off().retain(|it, since| !is_over(it) || at.since(*since) < AGAIN);
    }
}

/// Whether `signature` is `sha256=<hex>` of the body; takes the same time whatever is wrong in it.
fn is_signed(token: &SecretString, signature: &str, body: &[u8]) -> bool {
    let Some(digest) = signature.strip_prefix("sha256=").and_then(unhex) else { return false };
    let fits = |token: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
        hmac::verify(&key, body, &digest).is_ok()
    };
    // Flux signs with the token as it stands in its Secret, and editors leave a line end there.
    let token = token.expose_secret();
    fits(token) || fits(token.trim_end()) || fits(&format!("{}\n", token.trim_end()))
}

/// The bytes of an even number of hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |it: &u8| char::from(*it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_only_its_body_and_its_token() {
        // RFC 4231, test case 2.
        let token = SecretString::from("Jefe");
        let body = b"what do ya want for nothing?";
        let digits = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let right = format!("sha256={digits}");
        assert!(is_signed(&token, &right, body));
        assert!(is_signed(&token, &format!("sha256={}", digits.to_uppercase()), body));
        assert!(is_signed(&SecretString::from("Jefe\n"), &right, body));
        assert!(!is_signed(&token, &right, b"something else"));
        assert!(!is_signed(&SecretString::from("other"), &right, body));
        for wrong in ["", "sha256=", "sha256=5b", "sha256=5bd", "sha1=5bdc", "sha256=+1é", digits]
        {
            assert!(!is_signed(&token, wrong, body), "{wrong}");
        }
    }
}
