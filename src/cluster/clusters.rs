//! All clusters that scenarios look into: our own, and others by the names that hops give them.
//!
//! Another cluster is reached when a scenario first needs it, and then shared by all. A kubeconfig
//! in a Secret is read again for each job, because whoever rotates it does not tell us.

use crate::cluster::access::KubeconfigText;
use crate::cluster::{Cluster, ClusterOptions, Error};
use crate::model::{Clock, ClusterName, Moment, ObjectName, Secret, Subject};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Keys under which Flux looks for a kubeconfig in a Secret, where none is named.
const FLUX_KEYS: [&str; 2] = ["value", "value.yaml"];

/// Clusters by name. Clones share everything.
#[derive(Clone)]
pub struct Clusters {
    home: Cluster,
    others: Arc<Others>,
}

/// How another cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterWay {
    /// By the current context of this kubeconfig.
    File(PathBuf),
    /// By this context of the kubeconfig that leads to our own cluster.
    Context(String),
    /// By a kubeconfig in a Secret of our own cluster, in the layout of Flux's
    /// `spec.kubeConfig.secretRef`: under this key, else under `value` or `value.yaml`.
    Secret(ObjectName, Option<String>),
}

struct Others {
    options: ClusterOptions,
    ways: BTreeMap<String, ClusterWay>,
    clock: Arc<dyn Clock>,
    /// Each is reached by one at a time; nobody waits for another one.
    reaching: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    reached: Mutex<BTreeMap<String, Reached>>,
    failed: Mutex<BTreeMap<String, Failed>>,
}

#[derive(Clone)]
struct Reached {
    cluster: Cluster,
    /// The kubeconfig, where it came out of a Secret.
    by: Option<SecretString>,
}

/// A cluster that could not be reached.
#[derive(Clone)]
struct Failed {
    at: Moment,
    by: Option<SecretString>,
    why: Error,
}

/// How long nobody tries again to reach a cluster that could not be reached: one that is silent
/// would keep each who asks for as long as the first.
const AGAIN: Duration = Duration::from_secs(10);

// === impl Clusters ===

impl Clusters {
    /// Our own cluster, which was reached by `options`, and the ways to others. A cluster without a
    /// way is the context of that name.
    #[must_use]
    pub fn new(
        home: Cluster,
        options: ClusterOptions,
        ways: BTreeMap<String, ClusterWay>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let others = Others {
            options,
            ways,
            clock,
            reaching: Mutex::default(),
            reached: Mutex::default(),
            failed: Mutex::default(),
        };
        Self { home, others: Arc::new(others) }
    }

    /// The one that hopclock itself talks to.
    #[must_use]
    pub fn home(&self) -> &Cluster {
        &self.home
    }

    /// A cluster by its name; reached first, if nobody needed it before.
    ///
    /// # Errors
    /// If there is no way to it, or it cannot be reached.
    pub async fn get(&self, name: &ClusterName) -> Result<Cluster, Error> {
        if name.0.is_empty() {
            return Ok(self.home.clone());
        }
        self.reach(&name.0)
            .await
            .map_err(|why| Error::OtherCluster { name: name.0.clone(), why: Box::new(why) })
    }

    async fn reach(&self, name: &str) -> Result<Cluster, Error> {
        let default = ClusterWay::Context(name.to_owned());
        let way = self.others.ways.get(name).unwrap_or(&default);
        let by = match way {
            ClusterWay::Secret(secret, key) => Some(self.kubeconfig(secret, key.as_deref()).await?),
            ClusterWay::File(_) | ClusterWay::Context(_) => None,
        };
        let text = |it: &Option<SecretString>| it.as_ref().map(|it| it.expose_secret().to_owned());
        let known = || self.others.known(name).filter(|it| text(&it.by) == text(&by));
        if let Some(known) = known() {
            return Ok(known.cluster);
        }
        let lock = self.others.lock_of(name);
        let _one = lock.lock().await;
        if let Some(known) = known() {
            return Ok(known.cluster);
        }
        let now = self.others.clock.now();
        let failed = self.others.failed(name).filter(|it| text(&it.by) == text(&by));
        if let Some(failed) = failed.filter(|it| now.since(it.at) < AGAIN) {
            return Err(failed.why);
        }
        let mut options = self.others.options.clone();
        match way {
            ClusterWay::File(path) => {
                (options.kubeconfigs, options.context) = (vec![path.clone()], None);
            }
            ClusterWay::Context(context) => options.context = Some(context.clone()),
            ClusterWay::Secret(secret, _) => {
                let from = format!("Secret {secret}");
                options.given = by.clone().map(|text| KubeconfigText { text, from });
                options.context = None;
            }
        }
        let cluster = match Cluster::connect(options, self.others.clock.clone()).await {
            Ok(cluster) => cluster,
            Err(why) => {
                let at = self.others.clock.now();
                self.others.fail(name, Failed { at, by, why: why.clone() });
                return Err(why);
            }
        };
        self.others.keep(name, Reached { cluster: cluster.clone(), by });
        Ok(cluster)
    }

    /// Reads an object of its cluster, as detectors see it.
    ///
    /// # Errors
    /// If the cluster cannot be reached, or the object cannot be read.
    pub async fn object(&self, subject: &Subject) -> Result<Value, Error> {
        self.get(&subject.cluster).await?.get(subject).await
    }

    /// Those that were reached, our own first.
    #[must_use]
    pub fn reached(&self) -> Vec<(ClusterName, Cluster)> {
        let reached = self.others.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let others =
            reached.iter().map(|(name, it)| (ClusterName(name.clone()), it.cluster.clone()));
        std::iter::once((ClusterName::default(), self.home.clone())).chain(others).collect()
    }

    /// Whether a cluster is still reached in the same way.
    #[must_use]
    pub fn reaches(&self, name: &ClusterName, cluster: &Cluster) -> bool {
        let known = self.others.known(&name.0).map(|it| it.cluster);
        let known = if name.0.is_empty() { Some(self.home.clone()) } else { known };
        known.is_some_and(|it| Arc::ptr_eq(&it.hub, &cluster.hub))
    }

    async fn kubeconfig(
        &self,
        name: &ObjectName,
        key: Option<&str>,
    ) -> Result<SecretString, Error> {
        let secret = self.home.secret(&name.namespace, &name.name).await?;
        kubeconfig_of(&secret, key).map_err(|problem| Error::KubeconfigUnusable {
            path: format!("Secret {name}"),
            problem,
        })
    }
}

// === impl ClusterWay ===

impl FromStr for ClusterWay {
    type Err = String;

    /// Reads `context:NAME`, `secret:NAMESPACE/NAME` with `/KEY` behind it or not, or a path.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(context) = text.strip_prefix("context:") {
            let missing = || "name a context behind `context:`".to_owned();
            return (!context.is_empty())
                .then(|| Self::Context(context.to_owned()))
                .ok_or_else(missing);
        }
        let Some(secret) = text.strip_prefix("secret:") else {
            let missing = || "name a kubeconfig".to_owned();
            return (!text.is_empty()).then(|| Self::File(text.into())).ok_or_else(missing);
        };
        let (name, key) = match secret.match_indices('/').nth(1) {
            Some((at, _)) => (&secret[..at], Some(secret[at + 1..].to_owned())),
            None => (secret, None),
        };
        let name: ObjectName = name.parse().map_err(|_| {
            format!("`{secret}` names no Secret: write `secret:NAMESPACE/NAME` or `secret:NAMESPACE/NAME/KEY`")
        })?;
        Ok(Self::Secret(name, key))
    }
}

// === impl Others ===

impl Others {
    fn known(&self, name: &str) -> Option<Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn lock_of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.reaching.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.to_owned()).or_default())
    }

    fn failed(&self, name: &str) -> Option<Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn fail(&self, name: &str, failed: Failed) {
        let mut all = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), failed);
    }

    fn keep(&self, name: &str, reached: Reached) {
        let mut all = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), reached);
    }
}

fn kubeconfig_of(secret: &Secret, key: Option<&str>) -> Result<SecretString, String> {
    let keys: Vec<&str> = key.map_or_else(|| FLUX_KEYS.to_vec(), |it| vec![it]);
    let Some(key) = keys.iter().find(|it| secret.has(it)) else {
        let wanted: Vec<_> = keys.iter().map(|it| format!("`{it}`")).collect();
        return Err(format!(
            "it has no key {}, only {}",
            wanted.join(" or "),
            secret.listed_keys()
        ));
    };
    secret.text(key).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretSlice;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::net::TcpListener;

    #[test]
    fn a_way_is_a_file_a_context_or_a_secret() {
        let read = |text: &str| text.parse::<ClusterWay>();
        assert_eq!(read("/etc/east"), Ok(ClusterWay::File("/etc/east".into())));
        assert_eq!(read("context:east"), Ok(ClusterWay::Context("east".to_owned())));
        let name = ObjectName::new("flux-system", "east");
        assert_eq!(read("secret:flux-system/east"), Ok(ClusterWay::Secret(name.clone(), None)));
        let key = Some("config".to_owned());
        assert_eq!(read("secret:flux-system/east/config"), Ok(ClusterWay::Secret(name, key)));
        for text in ["", "context:", "secret:east", "secret:A/b"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_without_a_kubeconfig_is_said_with_its_keys() {
        let secret = |keys: &[&str]| {
            let value = || SecretSlice::from(b"planted\n".to_vec());
            let values = keys.iter().map(|it| ((*it).to_owned(), value())).collect();
            Secret::new(ObjectName::new("flux-system", "east"), values)
        };
        let text =
            |secret, key| kubeconfig_of(&secret, key).map(|it| it.expose_secret().to_owned());
        assert_eq!(text(secret(&["value"]), None), Ok("planted".to_owned()));
        assert_eq!(text(secret(&["value.yaml"]), None), Ok("planted".to_owned()));
        assert_eq!(text(secret(&["own", "value"]), Some("own")), Ok("planted".to_owned()));
        let error = text(secret(&["token"]), None).unwrap_err();
        assert_eq!(error, "it has no key `value` or `value.yaml`, only `token`");
    }

    /// A clock that stands until it is moved.
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

    /// The ways to two clusters on these ports; our own is not there.
    fn clusters(folder: &Path, ports: &[(&str, u16)], clock: &Arc<Hand>) -> Clusters {
        // Fails if another test has chosen it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let way = |(name, port): &(&str, u16)| {
            let path = folder.join(name);
            let text = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
                 contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
                 clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
                 users: [{{name: a, user: {{}}}}]\n"
            );
            std::fs::write(&path, text).unwrap();
            ((*name).to_owned(), ClusterWay::File(path))
        };
        let ways = ports.iter().map(way).collect();
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        let options = ClusterOptions::default();
        let home = Cluster::over(client, options.timing.clone(), clock.clone());
        Clusters::new(home, options, ways, clock.clone())
    }

    #[tokio::test]
    async fn a_silent_cluster_keeps_nobody_from_another_one() {
        let folder = tempfile::tempdir().unwrap();
        // It takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [east, west] = [&silent, &closed].map(|it| it.local_addr().unwrap().port());
        let all = clusters(folder.path(), &[("east", east), ("west", west)], &Arc::default());
        let asked = all.clone();
        let waits =
            tokio::spawn(async move { asked.get(&ClusterName("east".to_owned())).await.is_ok() });
        let _held = silent.accept().await.unwrap();
        drop(closed);
        assert!(all.get(&ClusterName("west".to_owned())).await.is_err());
        assert!(!waits.is_finished(), "the silent one is still waited for");
        waits.abort();
    }

    #[tokio::test]
    async fn a_cluster_that_was_not_reached_is_tried_again_after_ten_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicU64::new(0));
        let counted = calls.clone();
        tokio::spawn(async move {
            while let Ok((call, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                drop(call);
            }
        });
        let clock = Arc::<Hand>::default();
        let all = clusters(folder.path(), &[("east", port)], &clock);
        let ask = async || {
            let before = calls.load(Ordering::Relaxed);
            let why = all.get(&ClusterName("east".to_owned())).await.err().unwrap();
            (calls.load(Ordering::Relaxed) > before, why)
        };
        let (tried, why) = ask().await;
        assert!(tried);
        assert_eq!(ask().await, (false, why));
        clock.0.store(10, Ordering::Relaxed);
        assert!(ask().await.0);
    }
}
