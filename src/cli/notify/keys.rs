//! The tokens of the listeners, wherever they are kept.
//!
//! They can be exchanged while hopclock runs, and a thousand notifications a second must not read
//! a Secret each. So a token is believed for a little, and read again when a signature does not fit.

use crate::cli::notify::token::{NotifyToken, TokenPlace};
use crate::cli::site::secret_text;
use crate::cluster::Clusters;
use crate::model::{Clock, Moment};
use crate::trigger::SecretSource;
use crate::web::{NoKey, NoticeKey, NoticeKeys};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a token is believed to be the one that was read.
const BELIEVED: Duration = Duration::from_secs(30);

/// How long even where a signature does not fit: whoever sends wrong ones must not make us ask the
/// cluster as often as he likes.
const DOUBTED: Duration = Duration::from_secs(1);

/// The key `token` in a Secret of Flux's layout.
const KEY: &str = "token";

/// The tokens of the listeners.
pub(super) struct KeyRing {
    places: BTreeMap<String, TokenPlace>,
    clusters: Arc<OnceLock<Clusters>>,
    clock: Arc<dyn Clock>,
    read: Mutex<BTreeMap<String, Reading>>,
}

/// What came of reading a token, and when.
type Reading = (Moment, Result<SecretString, String>);

// === impl KeyRing ===

impl KeyRing {
    /// Those of these listeners; Secrets are read as soon as there is a cluster.
    pub(super) fn new(
        tokens: &[NotifyToken],
        clusters: Arc<OnceLock<Clusters>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let places = tokens.iter().map(|it| (it.listener.clone(), it.place.clone())).collect();
        Self { places, clusters, clock, read: Mutex::default() }
    }

    async fn token(&self, place: &TokenPlace) -> Result<SecretString, String> {
        let source = match place {
            TokenPlace::File(path) => SecretSource::File(path.clone()),
            TokenPlace::Env(name) => SecretSource::Env(name.clone()),
            TokenPlace::Unsigned => return Err("there is no token".to_owned()),
            TokenPlace::Secret(name) => {
                let cluster = self.clusters.get().ok_or("the cluster is not there yet")?;
                let secret = cluster.home().secret(&name.namespace, &name.name).await;
                return secret.map_err(|it| it.to_string())?.text(KEY).map_err(|it| it.to_string());
            }
        };
        secret_text(&source).map_err(|it| it.message)
    }
}

#[async_trait::async_trait]
impl NoticeKeys for KeyRing {
    async fn key(&self, listener: &str, doubt: bool) -> Result<NoticeKey, NoKey> {
        let place = self.places.get(listener).ok_or(NoKey::NoListener)?;
        if *place == TokenPlace::Unsigned {
            return Ok(NoticeKey::Unsigned);
        }
        let mut read = self.read.lock().await;
        let now = self.clock.now();
        let holds = |(at, token): &Reading| {
            let doubt = doubt || token.is_err();
            now.since(*at) < if doubt { DOUBTED } else { BELIEVED }
        };
        if !read.get(listener).is_some_and(holds) {
            let token = self.token(place).await;
            read.insert(listener.to_owned(), (now, token));
        }
        match read.get(listener) {
            Some((_, Ok(token))) => Ok(NoticeKey::Token(token.clone())),
            Some((_, Err(why))) => Err(NoKey::Unreadable(why.clone())),
            None => Err(NoKey::NoListener),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
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
