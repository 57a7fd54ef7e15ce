//! The tokens of the listeners, wherever they are kept.
//!
//! They can be exchanged while hopclock runs, and a thousand notifications a second must not read
//! a Secret each. So a token is believed for a little, and read again when a signature does not fit.

use crate::cli::notify::token::{NotifyToken, TokenPlace};
use crate::cli::site::secret_text;
use crate::cluster::Clusters;
use crate::model::{Clock, Moment, ObjectName};
use crate::trigger::SecretSource;
use crate::web::{NoKey, NoticeKey, NoticeKeys};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How long a token is believed to be the one that was read.
const BELIEVED: Duration = Duration::from_secs(30);

/// How long even where a signature does not fit: whoever sends wrong ones must not make us ask the
/// cluster as often as he likes.
const DOUBTED: Duration = Duration::from_secs(1);

/// The key `token` in a Secret of Flux's layout.
const KEY: &str = "token";

/// The tokens of the listeners.
pub(super) struct KeyRing {
    listeners: BTreeMap<String, OneKey>,
    clusters: Arc<OnceLock<Clusters>>,
    clock: Arc<dyn Clock>,
}

/// One listener's token.
struct OneKey {
    place: TokenPlace,
    last: Mutex<Option<Reading>>,
    /// Held while it is read: one reads at a time, and nobody waits for it who has one.
    reading: tokio::sync::Mutex<()>,
}

/// What came of reading a token, and when.
#[derive(Clone)]
struct Reading {
    at: Moment,
    token: Result<SecretString, Unread>,
}

/// Why a token was not read.
#[derive(Clone)]
struct Unread {
    why: String,
    /// Whether waiting helps: the token that was read before is then still the best that is known.
    passes: bool,
}

// === impl KeyRing ===

impl KeyRing {
    /// Those of these listeners; Secrets are read as soon as there is a cluster.
    pub(super) fn new(
        tokens: &[NotifyToken],
        clusters: Arc<OnceLock<Clusters>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let ring = |it: &NotifyToken| {
            let place = it.place.clone();
            let ring =
                OneKey { place, last: Mutex::default(), reading: tokio::sync::Mutex::default() };
            (it.listener.clone(), ring)
        };
        Self { listeners: tokens.iter().map(ring).collect(), clusters, clock }
    }

    async fn read(&self, place: &TokenPlace) -> Result<SecretString, Unread> {
        let for_good = |why: String| Unread { why, passes: false };
        let source = match place {
            TokenPlace::File(path) => SecretSource::File(path.clone()),
            TokenPlace::Env(name) => SecretSource::Env(name.clone()),
            TokenPlace::Unsigned => return Err(for_good("there is no token".to_owned())),
            TokenPlace::Secret(name) => return self.of_secret(name).await,
        };
        secret_text(&source).map_err(|it| for_good(it.message))
    }

    /// The token as it stands in the Secret: that is what Flux signs with.
    async fn of_secret(&self, name: &ObjectName) -> Result<SecretString, Unread> {
        let for_good = |why: String| Unread { why, passes: false };
        let absent = || Unread { why: "the cluster is not there yet".to_owned(), passes: true };
        let cluster = self.clusters.get().ok_or_else(absent)?.home();
        let secret = cluster.secret(&name.namespace, &name.name).await;
        let secret =
            secret.map_err(|it| Unread { passes: !it.is_permanent(), why: it.to_string() })?;
        let bytes = secret.bytes(KEY).map_err(|it| for_good(it.to_string()))?;
        let text = std::str::from_utf8(bytes.expose_secret()).ok();
        let text = text.filter(|it| !it.trim().is_empty()).ok_or_else(|| {
            for_good(format!(
                "the key `{KEY}` of the Secret {name} is empty or no text: give it a token"
            ))
        })?;
        Ok(SecretString::from(text))
    }
}

#[async_trait::async_trait]
impl NoticeKeys for KeyRing {
    async fn key(&self, listener: &str, doubt: bool) -> Result<NoticeKey, NoKey> {
        let ring = self.listeners.get(listener).ok_or(NoKey::NoListener)?;
        if ring.place == TokenPlace::Unsigned {
            return Ok(NoticeKey::Unsigned);
        }
        let key = |it: Reading| match it.token {
            Ok(token) => Ok(NoticeKey::Token(token)),
            Err(unread) => Err(NoKey::Unreadable(unread.why)),
        };
        if let Some(known) = ring.known(doubt, self.clock.now()) {
            return key(known);
        }
        let reading = ring.reading.try_lock();
        let held = ring.last().clone().filter(|it| it.token.is_ok() && !doubt);
        let _reading = match (reading, held) {
            (Ok(reading), _) => reading,
            (Err(_), Some(held)) => return key(held),
            (Err(_), None) => ring.reading.lock().await,
        };
        let now = self.clock.now();
        if let Some(known) = ring.known(doubt, now) {
            return key(known);
        }
        let mut token = self.read(&ring.place).await;
        let before = ring.last().take();
        if let (Err(unread), Some(Reading { token: Ok(good), .. })) = (&token, before)
            && unread.passes
        {
            token = Ok(good);
        }
        let reading = Reading { at: now, token };
        *ring.last() = Some(reading.clone());
        key(reading)
    }
}

// === impl OneKey ===

impl OneKey {
    /// What was read lately enough.
    fn known(&self, doubt: bool, now: Moment) -> Option<Reading> {
        let last = self.last().clone()?;
        let doubt = doubt || last.token.is_err();
        let limit = if doubt { DOUBTED } else { BELIEVED };
        (now.since(last.at) < limit).then_some(last)
    }

    fn last(&self) -> MutexGuard<'_, Option<Reading>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Moment {
            Moment(Duration::from_secs(self.0.load(Ordering::Relaxed)))
        }

        fn wall(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    #[tokio::test]
    async fn a_token_that_was_exchanged_is_read_again_in_doubt_and_in_time_without() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "one\n").unwrap();
        let clock = Arc::new(Hand::default());
        let token = format!("flux=file:{}", file.display()).parse().unwrap();
        let ring = KeyRing::new(&[token], Arc::default(), clock.clone());
        let ask = async |doubt| match ring.key("flux", doubt).await {
            Ok(NoticeKey::Token(token)) => token.expose_secret().to_owned(),
            Ok(NoticeKey::Unsigned) => panic!("unsigned"),
            Err(why) => format!("{why:?}"),
        };
        assert_eq!(ask(false).await, "one");
        std::fs::write(&file, "two\n").unwrap();
        assert_eq!((ask(false).await, ask(true).await), ("one".to_owned(), "one".to_owned()));
        clock.0.store(1, Ordering::Relaxed);
        assert_eq!((ask(false).await, ask(true).await), ("one".to_owned(), "two".to_owned()));
        std::fs::remove_file(&file).unwrap();
        clock.0.store(40, Ordering::Relaxed);
        assert!(ask(false).await.contains("name a readable file"));
        assert!(matches!(ring.key("other", false).await, Err(NoKey::NoListener)));
    }
}
